import t from 'tap';
import { connectTestClient, createTestDatabase } from '../db/test-database.ts';
import { openSessionView } from './answer-watch.ts';

t.test('what a session does, as the server tells', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const [idle, locked, other] = await Promise.all(
    ['watched', 'watched', 'other'].map((name) =>
      connectTestClient(t, `${ownerUrl}?application_name=${name}`),
    ),
  );
  const pidOf = async (client: typeof idle): Promise<number> =>
    (await client!.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid;
  const pids = await Promise.all([idle, locked, other].map(pidOf));
  await idle!.query('begin; lock table customer');
  const blocked = locked!.query('select count(*) from customer');
  const view = await openSessionView(ownerUrl, 'watched', new AbortController().signal);
  t.teardown(() => view.close());
  const look = async (): Promise<unknown[]> => {
    const sessions = await view.look(pids);
    return sessions.map(({ pid, waitsForClient }) => [pids.indexOf(pid), waitsForClient]).sort();
  };
  // The lock is asked for on its own way.
  while (String((await look())[1]) !== '1,false');
  t.same(await look(), [
    [0, true],
    [1, false],
  ]);
  const [before] = await view.look([pids[0]!]);
  t.same(await view.look([pids[0]!]), [before], 'who does nothing keeps its mark');
  await idle!.query('select 1');
  const [after] = await view.look([pids[0]!]);
  t.not(after?.mark, before?.mark, 'who does something does not');

  await view.end(pids[2]!);
  t.equal((await other!.query('select 1')).rowCount, 1, 'a session of another name is not ended');
  await view.end(pids[0]!);
  await blocked;
  await t.rejects(idle!.query('select 1'), 'the session is ended, and its lock is free');
});

t.test('a view that is given up ends', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const stopping = new AbortController();
  const view = await openSessionView(ownerUrl, 'watched', stopping.signal);
  stopping.abort();
  await t.rejects(view.look([1]));
  await view.close();
  await t.rejects(openSessionView(ownerUrl, 'watched', stopping.signal));
});
