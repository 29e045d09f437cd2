import type pg from 'pg';
import t from 'tap';
import { createPool } from './pools.ts';
import { KEPT_STATEMENTS_MAX } from './prepared.ts';
import { readAsTenant, type Reader } from './tenancy.ts';
import { connectTestClient, createTestDatabase } from './test-database.ts';
import { seedTenant } from './test-tenant.ts';

interface Tearable {
  teardown(work: () => Promise<unknown>): unknown;
}

/** Two tenants, and a pool of one connection of the API's role, so that both use the same. */
async function setUp(t: Tearable) {
  const { ownerUrl } = await createTestDatabase(t);
  const owner = await connectTestClient(t, ownerUrl);
  const ours = await seedTenant(owner, 'ours');
  const theirs = await seedTenant(owner, 'theirs');
  const pool = createPool({
    connectionString: ownerUrl,
    role: 'milepost_api',
    max: 1,
    applicationName: 'prepared test',
    statementTimeoutMs: 10_000,
  });
  t.teardown(() => pool.end());
  return { owner, pool, ours, theirs };
}

function readerOf(customerId: number, accountIds: number[] | null = null): Reader {
  return { tenant: { customerId, accountIds }, userId: null };
}

/** What is left of a tenant on the only connection. */
async function leftOn(pool: pg.Pool): Promise<unknown> {
  const { rows } = await pool.query(
    `select coalesce(current_setting('app.customer_id', true), '') as customer,
       coalesce(current_setting('app.account_ids', true), '') as accounts,
       coalesce(current_setting('app.user_id', true), '') as user,
       current_setting('transaction_read_only') as read_only,
       (select count(*)::int from equipment) as units`,
  );
  return rows[0];
}

const NOTHING_LEFT = { customer: '', accounts: '', user: '', read_only: 'off', units: 0 };

t.test('one plan serves two tenants, and shows each its own', async (t) => {
  const { pool, ours, theirs } = await setUp(t);
  const text = 'select equipment_id as id from equipment where status = $1 order by equipment_id';
  const read = async (reader: Reader): Promise<number[]> =>
    (await readAsTenant<{ id: number }>(pool, reader, { text, values: ['active'] })).map(
      ({ id }) => id,
    );
  // After five times the server makes a plan for all values.
  for (let i = 0; i < 12; i++) {
    t.same(await read(readerOf(ours.customerId)), ours.equipmentIds);
    t.same(await read(readerOf(theirs.customerId)), theirs.equipmentIds);
    const [first, , none] = ours.equipmentIds;
    t.same(await read(readerOf(ours.customerId, [ours.firstAccountId])), [first, none]);
    t.same(await read(readerOf(ours.customerId, [])), [none]);
  }
  const { rows } = await pool.query(
    `select generic_plans > 0 as generic from pg_prepared_statements where statement = $1`,
    [text],
  );
  t.same(rows, [{ generic: true }], 'it was the plan for all');
});

t.test(
  'nothing of the tenant stays on the connection, whatever came of its statement',
  async (t) => {
    const { pool, ours } = await setUp(t);
    const reader: Reader = { ...readerOf(ours.customerId, [ours.firstAccountId]), userId: 1 };
    const read = (text: string, values: unknown[] = []) =>
      readAsTenant(pool, reader, { text, values });
    t.same(await read('select count(*)::int as units from equipment'), [{ units: 2 }]);
    t.same(await leftOn(pool), NOTHING_LEFT);
    await t.rejects(read('select 1 / $1::int', [0]), { code: '22012' });
    t.same(await leftOn(pool), NOTHING_LEFT);
    await t.rejects(read('no sql'), { code: '42601' });
    t.same(await leftOn(pool), NOTHING_LEFT);
    await t.rejects(
      read(`update equipment set description = 'x'`),
      { code: '25006' },
      'it reads only',
    );
    await t.rejects(read('select 9007199254740993::bigint as n'), { name: 'RangeError' });
    t.same(await leftOn(pool), NOTHING_LEFT);
  },
);

t.test('a connection keeps so many statements and no more', async (t) => {
  const { pool, ours } = await setUp(t);
  const reader = readerOf(ours.customerId);
  const read = (n: number) => readAsTenant(pool, reader, { text: `select ${n} as n`, values: [] });
  const kept = async (): Promise<number[]> => {
    const { rows } = await pool.query<{ n: number }>(
      `select substring(statement from '[0-9]+')::int as n from pg_prepared_statements where name like 'kept %' order by 1`,
    );
    return rows.map(({ n }) => n);
  };
  for (let n = 0; n < 3 * KEPT_STATEMENTS_MAX; n++) {
    t.same(await read(n), [{ n }]);
    // One that is used stays, however many others come.
    t.same(await read(0), [{ n: 0 }]);
  }
  const names = await kept();
  t.ok(names.length <= KEPT_STATEMENTS_MAX + 1, `${names.length} are kept`);
  t.equal(names[0], 0);
  t.equal(names.at(-1), 3 * KEPT_STATEMENTS_MAX - 1);
});

t.test('a table that is altered under a plan costs one failure', async (t) => {
  const { owner, pool, ours } = await setUp(t);
  await owner.query('create table altered (n integer); grant select on altered to milepost_api');
  await owner.query('insert into altered values (1)');
  const read = () =>
    readAsTenant(pool, readerOf(ours.customerId), { text: 'select n from altered', values: [] });
  t.same(await read(), [{ n: 1 }]);
  await owner.query('alter table altered alter n type text');
  await t.rejects(read(), { code: '0A000' });
  t.same(await read(), [{ n: '1' }]);
  await owner.query('drop table altered');
  await t.rejects(read(), { code: '42P01' });
  t.same(await leftOn(pool), NOTHING_LEFT);
});
