import type pg from 'pg';
import t from 'tap';
import { connectTestClient, createTestDatabase } from '../db/test-database.ts';
import { Pipeline } from '../db/pipeline.ts';
import { nameSession, openSessionView } from './session-view.ts';

const GOING_ON = new AbortController().signal;

t.test('what a session does, as the server tells', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  // Neither a name nor a role in the connection string is in the way.
  const url = `${ownerUrl}?application_name=somebody&options=-c%20role%3Dmilepost_ingest`;
  const connect = async (): Promise<pg.Client> => connectTestClient(t, url);
  const [idle, locked, other] = [await connect(), await connect(), await connect()];
  const names = [await nameSession(idle), await nameSession(locked)];
  const view = await openSessionView(url, GOING_ON);
  t.teardown(() => view.close());
  await idle.query('begin; select pg_advisory_xact_lock(1)');
  const blocked = locked.query('select pg_advisory_xact_lock(1)');
  const look = async (): Promise<unknown[]> => {
    const sessions = await view.look(names);
    return sessions.map(({ name, waitsForClient }) => [names.indexOf(name), waitsForClient]).sort();
  };
  // The lock is asked for on its own way.
  while (String((await look())[1]) !== '1,false');
  t.same(await look(), [
    [0, true],
    [1, false],
  ]);
  const [before] = await view.look([names[0]!]);
  t.same(await view.look([names[0]!]), [before], 'who does nothing keeps its mark');
  await idle.query('select 1');
  const [after] = await view.look([names[0]!]);
  t.not(after?.mark, before?.mark, 'who does something does not');

  await view.end(names[0]!);
  await blocked;
  await t.rejects(idle.query('select 1'), 'the session is ended, and its lock is free');
  t.same(await view.look([names[0]!]), [], 'and is not there any more');
  t.equal((await other.query('select 1')).rowCount, 1, 'another one is not ended');
});

t.test('COPY moves with each piece of its data', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connectTestClient(t, ownerUrl);
  await client.query('create table number_list (n bigint)');
  const name = await nameSession(client);
  const view = await openSessionView(ownerUrl, GOING_ON);
  t.teardown(() => view.close());
  const { stream } = (
    client as unknown as { connection: { stream: { write: (...args: unknown[]) => boolean } } }
  ).connection;
  // From the second piece on, what is written waits until it is let go.
  const write = stream.write.bind(stream);
  const held: unknown[][] = [];
  let bytes = 0;
  stream.write = (...args) => {
    bytes += (args[0] as Buffer).length;
    if (bytes < 20_000) return write(...args);
    held.push(args);
    return true;
  };
  const pipeline = new Pipeline();
  const data = Buffer.from('1234567\n'.repeat(8_000));
  pipeline.copy('copy', 'copy number_list (n) from stdin (format csv)', data);
  const done = pipeline.run(client);
  const marks = new Set<string>();
  const seen = async (count: number): Promise<void> => {
    while (marks.size < count) {
      const [session] = await view.look([name]);
      if (session!.waitsForClient) marks.add(session!.mark);
    }
  };
  await seen(1);
  t.ok(held.length > 6, 'most of it is on its way');
  for (let n = 2; held.length > 4; n++) {
    // Head and piece.
    for (const args of held.splice(0, 2)) write(...args);
    await seen(n);
  }
  t.ok(marks.size >= 3, `${marks.size} times it was seen elsewhere`);
  stream.write = write;
  for (const args of held) write(...args);
  await done;
  t.same((await client.query('select count(*)::int as n from number_list')).rows, [{ n: 8_000 }]);
});

t.test('a view that is given up ends', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const stopping = new AbortController();
  const view = await openSessionView(ownerUrl, stopping.signal);
  stopping.abort();
  await t.rejects(view.look(['']));
  await view.close();
  await t.rejects(openSessionView(ownerUrl, stopping.signal));
});
