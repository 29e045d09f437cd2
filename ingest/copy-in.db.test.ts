import pg from 'pg';
import t, { type Test } from 'tap';
import { valueTypes } from '../db/pools.ts';
import { createTestDatabase } from '../db/test-database.ts';
import { copyIn } from './copy-in.ts';
import { boolArray, float4Array, float8Array, int8Array, textArray } from './pg-arrays.ts';

async function connect(t: Test, url: string, queryTimeoutMs = 0): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    types: valueTypes,
    query_timeout: queryTimeoutMs,
  });
  client.on('error', () => undefined);
  await client.connect();
  t.teardown(() => client.end());
  return client;
}

const COPY = 'copy number_list (n) from stdin (format csv)';

t.test('rows arrive, alone and behind other statements', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connect(t, ownerUrl);
  await client.query('create table number_list (n bigint primary key)');
  await copyIn(client, COPY, Buffer.from('1\n2\n'));
  await copyIn(client, `begin; ${COPY}`, Buffer.from('3\n'));
  t.equal((await client.query('select n from number_list')).rowCount, 3);
  await client.query('rollback');
  t.equal((await client.query('select n from number_list')).rowCount, 2, 'it was a transaction');
});

t.test('an error of the server is given with its code, and the connection goes on', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connect(t, ownerUrl);
  await client.query('create table number_list (n bigint primary key)');
  // More than fits a socket's buffers: the server speaks while bytes are still on their way.
  const many = Buffer.from(`1\n1\n${'7\n'.repeat(4_000_000)}`);
  await t.rejects(copyIn(client, `begin; ${COPY}`, many), { code: '23505' });
  await client.query('rollback');
  await t.rejects(copyIn(client, 'copy nowhere (n) from stdin', Buffer.alloc(0)), {
    code: '42P01',
  });
  await copyIn(client, COPY, Buffer.from('5\n'));
  t.equal((await client.query('select n from number_list')).rowCount, 1);
});

t.test('a server that does not answer is given up after the time limit', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connect(t, ownerUrl, 300);
  const locker = await connect(t, ownerUrl);
  await client.query('create table number_list (n bigint primary key)');
  await locker.query('begin; lock table number_list in exclusive mode');
  await t.rejects(copyIn(client, COPY, Buffer.from('1\n')), { message: 'Query read timeout' });
  await locker.query('rollback');
});

t.test('a connection that is cut is an error', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connect(t, ownerUrl);
  const locker = await connect(t, ownerUrl);
  await client.query('create table number_list (n bigint primary key)');
  await locker.query('begin; lock table number_list in exclusive mode');
  const refused = t.rejects(copyIn(client, COPY, Buffer.from('1\n')));
  const waits = `select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`;
  while ((await locker.query(waits)).rowCount === 0);
  await refused;
});

t.test('arrays of numbers and words are what the database reads', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connect(t, ownerUrl);
  const ids = [0, 1, -1, 2 ** 32, -(2 ** 32) - 1, Number.MAX_SAFE_INTEGER, null];
  const numbers = [0, -1.5, 1e300, 5e-324, NaN, null, Infinity];
  const words = ['', 'moving', 'Tür “auf” 🚪', '{"a":"\\"NULL"}', 'NULL', null, ' x '];
  const { rows } = await client.query(
    `select i, d, r, b, w from unnest($1::bigint[], $2::float8[], $3::real[], $4::boolean[], $5::text[]) as a (i, d, r, b, w)`,
    [
      int8Array(ids),
      float8Array(numbers),
      float4Array([0.5, -3.25, null, NaN, 1, 2, 3]),
      boolArray([true, false, null, true, false, true, null]),
      textArray(words),
    ],
  );
  const column = (name: string): unknown[] => rows.map((row: Record<string, unknown>) => row[name]);
  t.same(column('i'), ids);
  t.same(column('d'), [0, -1.5, 1e300, 5e-324, null, null, Infinity]);
  t.same(column('r'), [0.5, -3.25, null, null, 1, 2, 3]);
  t.same(column('b'), [true, false, null, true, false, true, null]);
  t.same(column('w'), words);
  const none = await client.query('select cardinality($1::bigint[]) as n', [int8Array([])]);
  t.same(none.rows, [{ n: 0 }]);
});
