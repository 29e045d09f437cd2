import type pg from 'pg';
import t from 'tap';
import { connectTestClient, createTestDatabase } from './test-database.ts';
import { boolArray, float4Array, float8Array, int8Array, textArray } from './pg-arrays.ts';
import { Pipeline } from './pipeline.ts';

const COPY = 'copy number_list (n) from stdin (format csv)';
const TABLE = 'create table number_list (n bigint primary key)';

/** COPY of these lines, in a transaction of its own. */
function copyIn(client: pg.Client, lines: string, text = COPY): Promise<void> {
  const pipeline = new Pipeline();
  pipeline.copy(`copy ${text}`.slice(0, 60), text, Buffer.from(lines));
  return pipeline.run(client);
}

async function numbers(client: pg.Client): Promise<unknown[]> {
  const { rows } = await client.query<{ n: number }>('select n from number_list order by n');
  return rows.map((row) => row.n);
}

t.test('statements run in order, and each has its own answer', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connectTestClient(t, ownerUrl);
  await client.query(TABLE);
  // The second time everything is prepared already.
  for (const first of [1, 11]) {
    const pipeline = new Pipeline();
    pipeline.query('begin', 'begin');
    pipeline.copy('copy', COPY, Buffer.from(`${first}\n${first + 1}\n`));
    const counted = pipeline.query(
      'count',
      'select count(*) as all, null as none from number_list',
    );
    const added = pipeline.query<{ n: number }>(
      'add',
      'insert into number_list select n from unnest($1::bigint[]) as a (n) returning n',
      [[first + 2, first + 3]],
    );
    pipeline.copy('copy', COPY, Buffer.from(`${first + 4}\n`));
    const recounted = pipeline.query(
      'count',
      'select count(*) as all, null as none from number_list',
    );
    const nothing = pipeline.query('', 'select n from number_list where n < $1', [0]);
    const words = pipeline.query('', "select 'a' as word");
    pipeline.query('commit', 'commit');
    await pipeline.run(client);
    t.same(words.rows, [{ word: 'a' }]);
    const before = first === 1 ? 0 : 5;
    t.same(counted.rows, [{ all: before + 2, none: null }]);
    t.same(added.rows, [{ n: first + 2 }, { n: first + 3 }]);
    t.same(recounted.rows, [{ all: before + 5, none: null }]);
    t.same(nothing.rows, []);
  }
  t.same(await numbers(client), [1, 2, 3, 4, 5, 11, 12, 13, 14, 15]);
});

t.test('behind an error nothing is done, whatever failed', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connectTestClient(t, ownerUrl);
  await client.query(TABLE);
  await copyIn(client, '1\n');
  const bad: readonly [string, (pipeline: Pipeline) => void][] = [
    ['23505', (p) => p.copy('copy', COPY, Buffer.from('7\n1\n'))],
    ['22P02', (p) => p.copy('copy', COPY, Buffer.from('seven\n'))],
    ['42P01', (p) => p.copy('nowhere', 'copy nowhere (n) from stdin', Buffer.alloc(100_000, 'x\n'))],
    ['42601', (p) => void p.query('no_sql', 'no sql')],
    ['22012', (p) => void p.query('zero', 'select 1 / $1::integer', [0])],
  ]; // prettier-ignore
  for (const [code, add] of bad) {
    const pipeline = new Pipeline();
    pipeline.query('begin', 'begin');
    pipeline.query('two', 'insert into number_list values (2)');
    add(pipeline);
    pipeline.query('three', 'insert into number_list values (3)');
    pipeline.copy('copy_behind', COPY, Buffer.from('4\n'));
    pipeline.query('commit', 'commit');
    await t.rejects(pipeline.run(client), { code });
    await client.query('rollback');
    t.same(await numbers(client), [1], `${code}: all of it or nothing`);
  }
  const pipeline = new Pipeline();
  pipeline.query('three', 'insert into number_list values (3)');
  pipeline.copy('copy_behind', COPY, Buffer.from('4\n'));
  await pipeline.run(client);
  t.same(await numbers(client), [1, 3, 4], 'what was passed over is prepared now');
});

t.test('a constraint that is looked at in the end fails the whole', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connectTestClient(t, ownerUrl);
  await client.query('create table number_list (n bigint unique deferrable initially deferred)');
  const pipeline = new Pipeline();
  pipeline.query('begin', 'begin');
  pipeline.copy('copy', COPY, Buffer.from('1\n1\n'));
  pipeline.query('commit', 'commit');
  await t.rejects(pipeline.run(client), { code: '23505' });
  t.same(await numbers(client), []);
});

t.test('an error while data is on its way is given, and the connection goes on', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connectTestClient(t, ownerUrl);
  await client.query(TABLE);
  // More than fits a socket's buffers: the server speaks while bytes are still on their way.
  await t.rejects(copyIn(client, `1\n1\n${'7\n'.repeat(4_000_000)}`), { code: '23505' });
  const nowhere = 'copy nowhere (n) from stdin';
  await t.rejects(copyIn(client, '1\n'.repeat(4_000_000), nowhere), { code: '42P01' });
  await copyIn(client, '5\n');
  t.same(await numbers(client), [5]);
});

t.test('a server that does not answer is given up after the time limit', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connectTestClient(t, ownerUrl, 2_000);
  const locker = await connectTestClient(t, ownerUrl);
  await client.query(TABLE);
  await locker.query('begin; lock table number_list in exclusive mode');
  await t.rejects(copyIn(client, '1\n'), { message: 'Query read timeout' });
  await locker.query('rollback');
});

t.test('the time limit is for each statement, not for all of them', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connectTestClient(t, ownerUrl, 2_000);
  const pipeline = new Pipeline();
  for (let i = 0; i < 4; i++) pipeline.query('sleep', 'select pg_sleep(0.75)');
  await pipeline.run(client);
  const late = new Pipeline();
  late.query('sleep', 'select pg_sleep(0.75)');
  late.query('long', 'select pg_sleep(30)');
  await t.rejects(late.run(client), { message: 'Query read timeout' });
});

t.test('a value that cannot be read is an error, and the connection goes on', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connectTestClient(t, ownerUrl);
  const pipeline = new Pipeline();
  pipeline.query('', 'select 9007199254740993::bigint as n from generate_series(1, 3)');
  const others = pipeline.query('', 'select 1 as n');
  pipeline.query('', '');
  await t.rejects(pipeline.run(client), { name: 'RangeError', message: /beyond/ });
  t.same(others.rows, [{ n: 1 }]);
  t.equal((await client.query('select 1')).rowCount, 1);
});

t.test('a connection that is cut is an error', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connectTestClient(t, ownerUrl);
  const locker = await connectTestClient(t, ownerUrl);
  await client.query(TABLE);
  await locker.query('begin; lock table number_list in exclusive mode');
  const refused = t.rejects(copyIn(client, '1\n'));
  const waits = `select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`;
  while ((await locker.query(waits)).rowCount === 0);
  await refused;
});

t.test('arrays of numbers and words are what the database reads', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connectTestClient(t, ownerUrl);
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

t.test('what was given up before it was sent is not sent later', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connectTestClient(t, ownerUrl, 300);
  const locker = await connectTestClient(t, ownerUrl);
  await client.query(TABLE);
  await locker.query('begin; lock table number_list in exclusive mode');
  // This one has no limit, and stands before it.
  const unlimited = { text: 'insert into number_list values (1)', query_timeout: 60_000 };
  const first = client.query(unlimited);
  await t.rejects(copyIn(client, '2\n'), { message: 'Query read timeout' });
  await locker.query('rollback');
  await first;
  t.same(await numbers(client), [1], 'and the connection goes on');
});
