/** Nobody hands out more than they hold. */
import pg from 'pg';
import t from 'tap';
import { createPool, valueTypes } from '../../db/pools.ts';
import { withTenant } from '../../db/tenancy.ts';
import { createTestDatabase } from '../../db/test-database.ts';
import { seedTenant } from '../../db/test-tenant.ts';
import type { Permission } from '../auth/permissions.ts';
import type { Principal } from '../auth/principal.ts';
import { QUOTAS } from '../context.ts';
import type { ResourceRules, Row } from '../resources/define.ts';
import { columnPreferenceRules } from '../views/rules.ts';
import { accountRules, customerRules, userRoleRules, userRules } from './people-rules.ts';

type Test = Parameters<typeof createTestDatabase>[0];

async function open(t: Test) {
  const { ownerUrl } = await createTestDatabase(t);
  const owner = new pg.Client({ connectionString: ownerUrl, types: valueTypes });
  await owner.connect();
  t.teardown(() => owner.end());
  const { customerId, firstAccountId } = await seedTenant(owner, 'ours');
  const { rows } = await owner.query<{ user_id: number; user_role_id: number }>(
    'select user_id, user_role_id from "user"',
  );
  const pool = createPool({
    connectionString: ownerUrl,
    role: 'milepost_api',
    max: 1,
    applicationName: 'test',
    statementTimeoutMs: 10_000,
  });
  t.teardown(() => pool.end());
  /** Prepares values in the name of somebody with these rights. */
  const prepare = (
    rules: ResourceRules,
    values: Row,
    stored: Row | null,
    who: { rights?: Permission[]; accountIds?: number[] | null } = {},
  ): Promise<Row> => {
    const tenant = { customerId, accountIds: who.accountIds ?? null };
    const principal: Principal = {
      subject: 'local|ours',
      userId: rows[0]!.user_id,
      email: 'ours@example.com',
      roleName: 'any',
      tenant,
      permissions: new Set(who.rights),
    };
    return withTenant(pool, tenant, async (db) =>
      rules.prepare!({ db, principal, quotas: QUOTAS, nowMs: 0 }, values, stored),
    );
  };
  return { owner, customerId, firstAccountId, dispatcher: rows[0]!, prepare };
}

const forbidden = (pointer?: string) => ({
  code: 'forbidden',
  errors: pointer === undefined ? [] : [{ in: 'body', pointer }],
});

t.test('roles and users hold only what their maker holds', async (t) => {
  const { dispatcher, prepare } = await open(t);
  const rights: Permission[] = ['equipment:read', 'user:write'];
  const role = { role_permission: { equipment: ['read'] } };
  t.same(await prepare(userRoleRules, role, null, { rights }), role);
  const more = { role_permission: { equipment: ['read', 'write'] } };
  await t.rejects(prepare(userRoleRules, more, null, { rights }), forbidden('/role_permission'));
  await t.rejects(prepare(userRoleRules, role, more, { rights }), forbidden(), 'a greater role');
  await t.rejects(
    prepare(userRoleRules, {}, { ...role, is_system: true }, { rights }),
    forbidden(),
  );

  const { user_role_id } = dispatcher;
  const person = { user_role_id, email: 'New@Example.com' };
  t.same(await prepare(userRules, person, null, { rights }), {
    user_role_id,
    email: 'new@example.com',
    status: 'pending_approval',
  });
  const less = { rights: ['user:write'] as Permission[] };
  await t.rejects(prepare(userRules, person, null, less), forbidden('/user_role_id'));
  await t.rejects(prepare(userRules, { email: 'x@y.z' }, person, less), forbidden());
  t.same(await prepare(userRules, { phone: null }, person, { rights }), { phone: null });
});

t.test('customers, accounts and roles are changed by those who see all', async (t) => {
  const { firstAccountId, prepare } = await open(t);
  const held = { accountIds: [firstAccountId] };
  await t.rejects(prepare(customerRules, { customer_name: 'x' }, {}, held), forbidden());
  await t.rejects(
    prepare(userRoleRules, { name: 'x' }, { role_permission: {} }, held),
    forbidden(),
  );
  t.same(await prepare(customerRules, { contact_email: 'A@B.c' }, {}), { contact_email: 'a@b.c' });
  const move = { parent_account_id: null };
  t.same(await prepare(accountRules, move, {}), move);
  await t.rejects(prepare(accountRules, move, {}, held), forbidden());
});

t.test('a new default view takes the place of the one before', async (t) => {
  const { owner, customerId, dispatcher, prepare } = await open(t);
  const { user_id } = dispatcher;
  const list = await owner.query<{ id: number }>(
    `insert into column_preference_table_name (table_name) values ('test list')
     returning column_preference_table_name_id as id`,
  );
  const values = { column_preference_table_name_id: list.rows[0]!.id, is_default: true };
  await owner.query(
    `insert into column_preferences (customer_id, user_id, column_preference_table_name_id, selected_columns, is_default)
     values ($1, $2, $3, '["vin"]', true)`,
    [customerId, user_id, list.rows[0]!.id],
  );
  const defaults = async () => {
    const { rows } = await owner.query('select * from column_preferences where is_default');
    return rows as Row[];
  };
  const [stored] = await defaults();
  await prepare(columnPreferenceRules, { is_default: true }, stored!);
  t.equal((await defaults()).length, 1, 'it is the one itself');
  t.same(await prepare(columnPreferenceRules, values, null), { ...values, user_id });
  t.equal((await defaults()).length, 0);
});

t.test('a view shows what its list has', async (t) => {
  const { owner, prepare } = await open(t);
  const { rows } = await owner.query<{ id: number }>(
    `select column_preference_table_name_id as id from column_preference_table_name where table_name = 'equipment'`,
  );
  const list = rows[0]!.id;
  const choose = (...selected_columns: string[]) =>
    prepare(
      columnPreferenceRules,
      { column_preference_table_name_id: list, selected_columns },
      null,
    );
  t.match(await choose('vin', 'status'), { selected_columns: ['vin', 'status'] });
  await t.rejects(choose('vin', 'constructor', 'status', 'premium_amount'), {
    code: 'unprocessable',
    errors: [
      { in: 'body', pointer: '/selected_columns/1', detail: 'is no field of units' },
      { in: 'body', pointer: '/selected_columns/3' },
    ],
  });
  const stored = { column_preference_table_name_id: list, column_preferences_id: 1 };
  await t.rejects(prepare(columnPreferenceRules, { selected_columns: ['x'] }, stored), {
    errors: [{ pointer: '/selected_columns/0' }],
  });
  await t.resolves(prepare(columnPreferenceRules, { view_name: 'x' }, stored));
});
