import type { Pool } from 'pg';
import t, { type Test } from 'tap';
import { createPool, cutPool } from '../db/pools.ts';
import { createTestDatabase } from '../db/test-database.ts';
import { Leader } from './leader.ts';

/** pg_locks shows the whole server: other tests hold locks in their databases. */
const HERE = `where locktype = 'advisory'
  and database = (select oid from pg_database where datname = current_database())`;

function poolOf(t: Test, connectionString: string): Pool {
  const pool = createPool({
    connectionString,
    role: 'milepost_ingest',
    max: 4,
    applicationName: 'test',
    statementTimeoutMs: 5_000,
  });
  t.teardown(() => pool.end());
  return pool;
}

function leaderOn(t: Test, pool: Pool): { leader: Leader; waiting: Promise<void> } {
  let told: () => void = () => undefined;
  const waiting = new Promise<void>((resolve) => (told = resolve));
  const log = { info: () => undefined, error: () => undefined, warn: () => told() };
  const leader = new Leader(pool, log, () => t.fail('lost'));
  t.teardown(() => leader.stop());
  return { leader, waiting };
}

t.test('a second process waits for the first, and for its last writer', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const [poolA, poolB] = [poolOf(t, ownerUrl), poolOf(t, ownerUrl)];
  const { leader: first } = leaderOn(t, poolA);
  await first.lead();
  const writer = await poolA.connect();
  await first.admit(writer);

  const { leader: second, waiting } = leaderOn(t, poolB);
  let led = false;
  const leading = second.lead().then(() => (led = true));
  await waiting;
  t.equal(led, false, 'while the first leads');
  first.stop();
  // The first process is gone, but PostgreSQL still works for its writer.
  await poolB.query('select 1');
  t.equal(led, false, 'while a writer of the first is left');
  writer.release(true);
  await leading;
  t.equal(led, true);
});

t.test('a leader whose connection breaks leads again, and lets writers in only then', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const pool = poolOf(t, ownerUrl);
  const { leader } = leaderOn(t, pool);
  await leader.lead();
  const owner = createPool({
    connectionString: ownerUrl,
    role: 'owner',
    max: 1,
    applicationName: 'owner',
    statementTimeoutMs: 5_000,
  });
  t.teardown(() => owner.end());
  await owner.query(`select pg_terminate_backend(pid) from pg_locks ${HERE}`);
  const writer = await pool.connect();
  await leader.admit(writer);
  const { rows } = await owner.query<{ n: number }>(
    `select count(*)::int as n from pg_locks ${HERE} and granted`,
  );
  t.equal(rows[0]?.n, 2, 'the leader and its writer');
  writer.release(true);
});

t.test('a leader that is stopped while it takes the lead keeps no connection', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const pool = poolOf(t, ownerUrl);
  const { leader } = leaderOn(t, pool);
  const leading = leader.lead();
  leader.stop();
  await leading;
  t.equal(pool.totalCount, 0);
});

t.test(
  'who waits to be admitted is let go when the leader stops and its pool is cut',
  async (t) => {
    const { ownerUrl } = await createTestDatabase(t);
    const [pool, writers] = [poolOf(t, ownerUrl), poolOf(t, ownerUrl)];
    const { leader, waiting } = leaderOn(t, pool);
    await leader.lead();
    const writer = await writers.connect();
    cutPool(pool);
    await waiting;
    const admitted = leader.admit(writer);
    admitted.catch(() => undefined);
    leader.stop();
    cutPool(writers);
    await t.rejects(admitted);
    writer.release(true);
  },
);

t.test('a leader that was replaced while it was cut off does not lead again', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const pool = poolOf(t, ownerUrl);
  let told: () => void = () => undefined;
  const lost = new Promise<void>((resolve) => (told = resolve));
  const log = { info: () => undefined, error: () => undefined, warn: () => undefined };
  const leader = new Leader(pool, log, told);
  t.teardown(() => leader.stop());
  await leader.lead();
  const owner = createPool({
    connectionString: ownerUrl,
    role: 'owner',
    max: 1,
    applicationName: 'owner',
    statementTimeoutMs: 5_000,
  });
  t.teardown(() => owner.end());
  // As another process does when it begins.
  await owner.query('update ingest_leader set epoch = epoch + 1');
  await owner.query(`select pg_terminate_backend(pid) from pg_locks ${HERE}`);
  await lost;
  let admitted = false;
  const writer = await pool.connect();
  const admitting = leader.admit(writer).then(
    () => (admitted = true),
    () => undefined,
  );
  await owner.query('select 1');
  t.equal(admitted, false, 'and admits no writer');
  leader.stop();
  await admitting;
  t.equal(admitted, false);
  writer.release(true);
});
