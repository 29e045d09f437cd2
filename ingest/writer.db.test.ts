import type { Pool, PoolClient } from 'pg';
import t, { type Test } from 'tap';
import { createPool } from '../db/pools.ts';
import { connectTestClient, createTestDatabase } from '../db/test-database.ts';
import { Writer } from './writer.ts';

const READY = (): Promise<void> => Promise.resolve();

async function poolOf(t: Test): Promise<{ pool: Pool; ownerUrl: string }> {
  const { ownerUrl } = await createTestDatabase(t);
  const pool = createPool({
    connectionString: ownerUrl,
    role: 'milepost_ingest',
    max: 1,
    applicationName: 'writer',
    statementTimeoutMs: 60_000,
  });
  t.teardown(() => pool.end());
  return { pool, ownerUrl };
}

/** A use that works. */
async function pidOf(client: PoolClient): Promise<number> {
  return (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid;
}

t.test('a connection is kept until it is dropped, and then another is made', async (t) => {
  const { pool } = await poolOf(t);
  const writer = new Writer(pool, READY);
  t.teardown(() => writer.drop());
  const first = await writer.use(pidOf);
  t.equal(await writer.use(pidOf), first);
  await t.rejects(writer.use((client) => client.query('select 1/0')));
  t.equal(await writer.use(pidOf), first, 'an error alone does not end it');
  writer.drop();
  writer.drop();
  t.equal(pool.totalCount, 0);
  t.not(await writer.use(pidOf), first);
});

t.test('what is unanswered can be cut, and deaths are counted', async (t) => {
  const { pool } = await poolOf(t);
  const writer = new Writer(pool, READY);
  const deathCount = (): Promise<number> =>
    writer.use(() => Promise.resolve(writer.unanswered!.deathCount));
  const die = async (): Promise<void> => {
    const died = writer.use((client) => {
      const answer = client.query('select pg_sleep(60)');
      writer.unanswered!.cut();
      return answer;
    });
    await t.rejects(died, /terminated/);
    writer.drop();
  };
  t.teardown(() => writer.drop());
  t.equal(writer.unanswered, null);
  t.equal(Number.isNaN(writer.waitedMs(performance.now())), true);
  const stale = await writer.use(() => Promise.resolve(writer.unanswered!));
  t.equal(writer.unanswered, null, 'nothing is, once the use is over');
  await die();
  await die();
  stale.cut();
  t.same(
    [await deathCount(), await deathCount()],
    [2, 2],
    'the first use after one counts for nothing',
  );
  t.same([await deathCount(), await deathCount(), await deathCount()], [1, 0, 0]);
});

t.test('it ends while a connection is being made ready, and makes no other', async (t) => {
  const { pool, ownerUrl } = await poolOf(t);
  const locker = await connectTestClient(t, ownerUrl);
  await locker.query('select pg_advisory_lock(1)');
  let onAsked = (): void => undefined;
  const asked = new Promise<void>((resolve) => (onAsked = resolve));
  const writer = new Writer(pool, async (client) => {
    const locked = client.query('select pg_advisory_lock(1)');
    onAsked();
    await locked;
  });
  const use = t.rejects(writer.use(pidOf), /terminated/);
  await asked;
  t.equal(writer.unanswered, null, 'it is not watched yet');
  writer.end();
  await use;
  await t.rejects(writer.use(pidOf), /ended/);
  t.equal(pool.totalCount, 0);
});
