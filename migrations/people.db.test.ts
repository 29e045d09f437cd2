/** What 0013 holds together by itself: the tree of accounts, who sees which part of it, and who changes whom. */
import pg from 'pg';
import t from 'tap';
import { createPool, valueTypes } from '../db/pools.ts';
import { withTenant } from '../db/tenancy.ts';
import { createTestDatabase } from '../db/test-database.ts';
import { seedTenant } from '../db/test-tenant.ts';

type Test = Parameters<typeof createTestDatabase>[0];
type Sql = (text: string, values?: unknown[]) => Promise<Record<string, unknown>[]>;

async function open(t: Test) {
  const { ownerUrl } = await createTestDatabase(t);
  const owner = new pg.Client({ connectionString: ownerUrl, types: valueTypes });
  await owner.connect();
  t.teardown(() => owner.end());
  const pool = createPool({
    connectionString: ownerUrl,
    role: 'milepost_api',
    max: 3,
    applicationName: 'test',
    statementTimeoutMs: 10_000,
  });
  t.teardown(() => pool.end());
  const { customerId, subject } = await seedTenant(owner, 'ours');
  /** Runs one statement as somebody of the tenant. */
  const as =
    (accountIds: number[] | null, userId: number | null = null): Sql =>
    (text, values = []) =>
      withTenant(pool, { customerId, accountIds }, async (_db, client) => {
        await client.query(`select set_config('app.user_id', $1, true)`, [String(userId ?? '')]);
        return (await client.query<Record<string, unknown>>(text, values)).rows;
      });
  const addAccount = async (number: string, parentId: number | null): Promise<number> => {
    const [row] = await as(null)(
      `insert into account (customer_id, parent_account_id, account_name, account_number, account_type)
       values ($1, $2, $3, $3, 'REGIONAL') returning account_id`,
      [customerId, parentId, number],
    );
    return row!['account_id'] as number;
  };
  /** Accounts each below the one before. */
  const addChain = async (prefix: string, count: number, parentId: number | null = null) => {
    const ids: number[] = [];
    for (let i = 0; i < count; i++) {
      ids.push(await addAccount(`${prefix}-${i}`, ids.at(-1) ?? parentId));
    }
    return ids;
  };
  const move = (accountId: number, parentId: number | null) =>
    as(null)('update account set parent_account_id = $2 where account_id = $1', [
      accountId,
      parentId,
    ]);
  const assign = (accountIds: number[]) =>
    as(null)('update "user" set assigned_account_ids = $1', [accountIds]);
  const sees = async () => {
    const found = await pool.query<{ assigned_account_ids: number[] }>(
      'select * from auth_user_by_subject($1)',
      [subject],
    );
    return found.rows[0]?.assigned_account_ids;
  };
  return {
    ownerUrl,
    owner,
    pool,
    customerId,
    subject,
    as,
    addAccount,
    addChain,
    move,
    assign,
    sees,
  };
}

const refused = (column: string, word: string) => ({
  code: '23514',
  constraint: `account_${column}_check_${word}`,
});
const CIRCLE = refused('parent_account_id', 'circle');
const DEEP = refused('parent_account_id', 'depth');

t.test('accounts are a tree of ten levels', async (t) => {
  const { addAccount, addChain, move, as, customerId } = await open(t);
  const chain = await addChain('a', 10);
  const [top, second] = chain as [number, number];
  const last = chain.at(-1)!;
  await t.rejects(addAccount('too deep', last), DEEP);
  await t.rejects(move(top, top), CIRCLE);
  await t.rejects(move(top, second), CIRCLE);
  await t.rejects(move(top, last), CIRCLE, 'whatever is between');

  const branch = await addChain('b', 3);
  await t.rejects(move(branch[0]!, chain[7]!), DEEP, 'counted with what hangs below');
  await move(branch[0]!, chain[6]!);
  await t.rejects(addAccount('below the branch', branch[2]!), DEEP);
  await move(branch[0]!, null);
  await addAccount('below the branch', branch[2]!);

  const ids = [1_000_001, 1_000_002];
  const both = `insert into account (account_id, customer_id, parent_account_id, account_name, account_number, account_type)
    values ($1, $3, $2, 'x', 'x', 'REGIONAL'), ($2, $3, $1, 'y', 'y', 'REGIONAL')`;
  await t.rejects(as(null)(both, [...ids, customerId]), CIRCLE, 'closed by one statement');
});

t.test('two who move accounts at the same time do not close a circle', async (t) => {
  const { ownerUrl, addAccount, owner } = await open(t);
  const [first, second] = [await addAccount('1st', null), await addAccount('2nd', null)];
  const other = new pg.Client({ connectionString: ownerUrl });
  await other.connect();
  t.teardown(() => other.end());
  const move = 'update account set parent_account_id = $2 where account_id = $1';
  await owner.query('begin');
  await owner.query(move, [first, second]);
  const waiting = other.query(move, [second, first]);
  const outcome = t.rejects(waiting, CIRCLE);
  await owner.query('commit');
  await outcome;
});

t.test('a customer has so many accounts and no more', async (t) => {
  const { owner, customerId, addAccount } = await open(t);
  const fill = `insert into account (customer_id, account_name, account_number, account_type)
    select $1, 'n' || n, 'n' || n, 'REGIONAL' from generate_series(1, $2::int) n`;
  const count = refused('customer_id', 'count');
  await t.rejects(owner.query(fill, [customerId, 4_999]), count, 'two were there');
  await owner.query(fill, [customerId, 4_998]);
  await t.rejects(addAccount('one more', null), count);
});

t.test('somebody assigned to an account sees all below it', async (t) => {
  const { addChain, addAccount, move, assign, sees, as } = await open(t);
  const [top, middle, low] = (await addChain('a', 3)) as [number, number, number];
  const side = await addAccount('side', top);
  const apart = await addAccount('apart', null);
  t.same(await sees(), [], 'none is every account');
  await assign([middle]);
  t.same(await sees(), [middle, low]);
  await assign([apart, low, top]);
  t.same(await sees(), [top, middle, low, side, apart], 'once each, in order');
  await assign([apart]);
  await move(side, apart);
  t.same(await sees(), [side, apart], 'follows the tree');

  await t.rejects(as(null)('delete from account where account_id = $1', [apart]), {
    code: '23503',
    detail: /still referenced/,
  });
  t.same(await sees(), [side, apart], 'a list that became empty would open everything');
});

t.test('accounts of others and of nobody are not assigned', async (t) => {
  const { owner, assign, as } = await open(t);
  const theirs = await seedTenant(owner, 'theirs');
  const missing = (id: number) => ({
    code: '23503',
    detail: `Key (assigned_account_ids)=(${id}) is not present in table "account".`,
  });
  await t.rejects(assign([theirs.firstAccountId]), missing(theirs.firstAccountId));
  await t.rejects(assign([999_999]), missing(999_999));
  await t.rejects(as(null)(`update "user" set assigned_account_ids = '{null}'`), { code: /^23/ });
});

t.test('only active people get in', async (t) => {
  const { as, sees } = await open(t);
  const set = (assignments: string) => as(null)(`update "user" set ${assignments}`);
  for (const status of ['pending_approval', 'disabled']) {
    await set(`status = '${status}'`);
    t.equal(await sees(), undefined, status);
  }
  await t.rejects(set(`status = 'rejected'`), {
    code: '23514',
    constraint: 'user_rejected_reason_check_status',
  });
  await set(`status = 'rejected', rejected_reason = 'unknown here'`);
  t.equal(await sees(), undefined, 'rejected');
  await t.rejects(set(`status = 'active', approved_by = user_id, approved_at = now()`), {
    code: '23514',
    constraint: 'user_approved_by_check_other',
  });
  await set(`status = 'active'`);
  t.same(await sees(), []);
});

t.test('who is held to accounts lets nobody see more', async (t) => {
  const { as, addChain, customerId, assign } = await open(t);
  const [top, low] = (await addChain('a', 2)) as [number, number];
  const held = as([top, low]);
  const add = (email: string, accountIds: number[]) =>
    held(
      `insert into "user" (customer_id, user_role_id, email, assigned_account_ids)
       select $1, min(user_role_id), $2, $3 from user_role`,
      [customerId, email, accountIds],
    );
  await add('low@example.com', [low]);
  const policy = { code: '42501', message: /row-level security/ };
  await t.rejects(add('all@example.com', []), policy);
  const change = (accountIds: number[], email: string) =>
    held(`update "user" set assigned_account_ids = $1 where email = $2 returning user_id`, [
      accountIds,
      email,
    ]);
  await t.rejects(change([], 'low@example.com'), policy);
  t.equal((await change([top], 'low@example.com')).length, 1);
  t.same(await change([low], 'ours@example.com'), [], 'one who sees everything is out of reach');
  await assign([top]);
  t.equal((await held('select from "user"')).length, 2, 'and yet everybody is seen');
});

t.test('signing in is no change of a person', async (t) => {
  const { as, owner } = await open(t);
  const heard: string[] = [];
  owner.on('notification', ({ payload }) => heard.push(payload!));
  await owner.query('listen milepost_change');
  const trail = () => as(null)(`select from activity_feed where entity_type = 'user'`);
  const [signed] = await as(null)('update "user" set last_sign_in_at = now() returning version');
  t.same(signed, { version: 1 });
  t.equal((await trail()).length, 0);
  const [changed] = await as(null)(`update "user" set status = 'disabled' returning version`);
  t.same(changed, { version: 2 });
  t.equal((await trail()).length, 1);
  await owner.query('select 1');
  t.equal(heard.length, 1, 'listeners are told of the change alone');
});

t.test('the tree is told to those who remember who sees what', async (t) => {
  const { owner, addChain, as } = await open(t);
  const [top, low] = (await addChain('a', 2)) as [number, number];
  const heard: unknown[] = [];
  owner.on('notification', ({ payload }) => heard.push(JSON.parse(payload!)));
  await owner.query('listen milepost_change');
  const change = (assignments: string) =>
    as(null)(`update account set ${assignments} where account_id = ${low}`);
  await change(`account_name = 'renamed'`);
  await change('parent_account_id = null');
  await as(null)('delete from account where account_id = $1', [top]);
  await owner.query('select 1');
  t.match(heard, [
    { table: 'account', op: 'update', id: low },
    { table: 'account', op: 'delete', id: top },
  ]);
});

t.test('time zones and preferences are of their list', async (t) => {
  const { as } = await open(t);
  const zone = (name: string) => as(null)('update customer set time_zone = $1', [name]);
  for (const good of ['UTC', 'America/Chicago', 'America/Argentina/Buenos_Aires', 'Etc/GMT+5']) {
    await zone(good);
  }
  for (const bad of [
    '',
    'Mars/Olympus',
    'EST',
    '+01:00',
    'EST5EDT',
    'Foo/5',
    'Foo/Bar5',
    'UTC+3',
  ]) {
    await t.rejects(zone(bad), { code: '23514', constraint: 'customer_time_zone_check' }, bad);
  }
  const prefer = (column: string, kind: string) =>
    as(null)(
      `update "user" set ${column} = (select min(user_metric_lookup_id) from user_metric_lookup
                                      where user_metric_type = '${kind}')`,
    );
  await prefer('temperature_unit_id', 'temperature');
  await t.rejects(prefer('temperature_unit_id', 'distance'), {
    code: '23503',
    detail: /^Key \(temperature_unit_id\)=/,
  });
});

t.test('column preferences are seen by their owner, with one default a list', async (t) => {
  const { owner, as, customerId } = await open(t);
  await owner.query(
    `insert into "user" (customer_id, user_role_id, email)
     select $1, min(user_role_id), 'second@example.com' from user_role`,
    [customerId],
  );
  const { rows } = await owner.query<{ user_id: number }>(
    'select user_id from "user" order by user_id',
  );
  const [first, second] = rows.map((row) => row.user_id) as [number, number];
  const list = await owner.query<{ id: number }>(
    `insert into column_preference_table_name (table_name) values ('test list')
     returning column_preference_table_name_id as id`,
  );
  const add = (userId: number, view: string, asUser = userId) =>
    as(null, asUser)(
      `insert into column_preferences (customer_id, user_id, column_preference_table_name_id, view_name,
         selected_columns, is_default) values ($1, $2, $3, $4, '["vin"]', true)`,
      [customerId, userId, list.rows[0]!.id, view],
    );
  await add(first, 'mine');
  await add(second, 'mine');
  await t.rejects(add(first, 'another default'), { code: '23505' });
  await t.rejects(add(first, 'by another', second), { code: '42501' });
  const seen = await as(null, second)('select user_id from column_preferences');
  t.same(seen, [{ user_id: second }]);
});
