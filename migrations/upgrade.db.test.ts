/** Databases with rows that were right once: what the guide for upgrading says helps, and what moves by itself moves. */
import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import t from 'tap';
import { administer, connectTestClient, databaseUrl, testServerUrl } from '../db/test-database.ts';
import { RowMaker } from '../db/test-rows.ts';
import { migrate, migrationsDir } from './run.ts';

type Test = { teardown(work: () => Promise<unknown>): unknown };

/** A database at this version, and its owner's connection. */
async function openAt(t: Test, version: number): Promise<{ url: string; client: pg.Client }> {
  const name = `upgrade_${process.pid}_${randomBytes(6).toString('hex')}`;
  await administer(testServerUrl(), `create database ${name}`);
  t.teardown(() => administer(testServerUrl(), `drop database if exists ${name} with (force)`));
  const url = databaseUrl(testServerUrl(), name);
  const dir = await mkdtemp(join(tmpdir(), 'milepost-upgrade-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  for (const file of await readdir(migrationsDir)) {
    if (Number.parseInt(file, 10) <= version) await cp(join(migrationsDir, file), join(dir, file));
  }
  await migrate(url, undefined, dir);
  return { url, client: await connectTestClient(t, url) };
}

const valueOf = async (client: pg.Client, text: string, values: unknown[] = []) =>
  (await client.query<{ value: unknown }>(text, values)).rows[0]!.value;

/** Statements that the guide gives between these words, in their order. */
async function guided(from: string, to: string): Promise<string[]> {
  const guide = await readFile(join(migrationsDir, '../docs/operations.md'), 'utf8');
  const part = guide.slice(guide.indexOf(from), guide.indexOf(to));
  return [...part.matchAll(/```sql\n([^`]*)```/g)].flatMap(([, block]) => block!.match(/[^;]+;/g)!);
}

t.test('from 0009, with a role that is a list and users of very many accounts', async (t) => {
  const { url, client } = await openAt(t, 9);
  const customer = await valueOf(
    client,
    `insert into customer (customer_name) values ('old') returning customer_id as value`,
  );
  const role = await valueOf(
    client,
    `insert into user_role (customer_id, name, role_permission) values ($1, 'list', '[]') returning user_role_id as value`,
    [customer],
  );
  const users: [string, string][] = [
    ['many', `array(select generate_series(1, 1001)::bigint)`],
    ['holes', `'{7,null,9}'`],
    ['none', `'{null}'`],
    ['plain', `'{7}'`],
  ];
  for (const [name, accounts] of users) {
    await client.query(
      `insert into "user" (customer_id, user_role_id, email, auth_0_reference_id, assigned_account_ids)
       values ($1, $2, $3 || '@old.test', $3, ${accounts})`,
      [customer, role, name],
    );
  }
  await t.rejects(migrate(url), { code: 'MIGRATION_FAILED', message: /0013/ });
  const [badRoles, badUsers, ...mends] = await guided('**From a database at 0009', '**To 0028');
  t.equal((await client.query(badRoles!)).rowCount, 1);
  t.equal((await client.query(badUsers!)).rowCount, 3);
  t.equal(mends.length, 2);
  for (const statement of mends) await client.query(statement);
  t.ok((await migrate(url)).length > 0, 'it goes on from where it stopped');
  const { rows } = await client.query(
    `select email, cardinality(assigned_account_ids) as count, status from "user" order by user_id`,
  );
  t.same(rows, [
    { email: 'many@old.test', count: 1_000, status: 'active' },
    { email: 'holes@old.test', count: 2, status: 'active' },
    { email: 'none@old.test', count: 0, status: 'disabled' },
    { email: 'plain@old.test', count: 1, status: 'active' },
  ]);
  t.same(await valueOf(client, 'select role_permission as value from user_role'), {});
});

t.test('from 0028, with files that stayed behind and amounts that were kept', async (t) => {
  const { url, client } = await openAt(t, 28);
  const customer = await valueOf(
    client,
    `insert into customer (customer_name) values ('old') returning customer_id as value`,
  );
  const accounts: unknown[] = [];
  for (const name of ['a', 'b']) {
    accounts.push(
      await valueOf(
        client,
        `insert into account (customer_id, account_name, account_number, account_type)
         values ($1, $2, $2, 'REGIONAL') returning account_id as value`,
        [customer, name],
      ),
    );
  }
  const unit = await valueOf(
    client,
    `insert into equipment (customer_id, account_id, unit_number) values ($1, $2, 'u') returning equipment_id as value`,
    [customer, accounts[1]],
  );
  const file = await valueOf(
    client,
    `insert into attachment (customer_id, account_id, name, mime_type, url, storage_key, size_bytes, sha256)
     values ($1, $2, 'f', 'application/pdf', '', 'f', 1, sha256('f')) returning attachment_id as value`,
    [customer, accounts[0]],
  );
  await client.query(
    'insert into equipment_has_attachment (customer_id, equipment_id, attachment_id) values ($1, $2, $3)',
    [customer, unit, file],
  );
  await client.query(
    `insert into invoice (customer_id, account_id, due_date, currency_code, subtotal_amount, total_amount, applied_amount,
       status)
     values ($1, $2, '2099-01-01', 'USD', 999999999999.99, 999999999999.99, 0.01, 'partial')`,
    [customer, accounts[0]],
  );
  await migrate(url);
  t.equal(await valueOf(client, 'select account_id as value from attachment'), accounts[1]);
  t.equal(
    await valueOf(client, 'select trim_scale(balance_amount)::text as value from invoice'),
    '999999999999.98',
  );
});

t.test('from 0027, with amounts that are finer than their currency', async (t) => {
  const { url, client } = await openAt(t, 27);
  const maker = await RowMaker.open(client);
  const { customer_id } = await maker.make('customer', {
    customerId: 0,
    accountId: null,
    word: 'old',
  });
  const tenant = { customerId: Number(customer_id), accountId: null as number | null, word: 'old' };
  const { account_id } = await maker.make('account', tenant, { currency_code: null });
  tenant.accountId = Number(account_id);
  const ids: Record<string, unknown> = {};
  for (const [currency, amount] of [
    ['JPY', 100.5],
    ['USD', 100.5],
    ['CLF', 999_999_999_999.99],
  ] as const) {
    ids[currency] = await valueOf(
      client,
      `insert into invoice (customer_id, account_id, due_date, currency_code, subtotal_amount, total_amount)
       values ($1, $2, '2099-01-01', $3, $4, $4) returning id as value`,
      [customer_id, account_id, currency, amount],
    );
  }
  for (const [currency, rate] of [
    ['JPY', 100.5],
    ['USD', 100.2],
  ] as const) {
    await client.query(
      `insert into invoice_items (customer_id, invoice_id, item_description, quantity, rate, amount, currency_code)
       values ($1, $2, 'x', 1, $3, 100.5, $4)`,
      [customer_id, ids[currency], rate, currency],
    );
  }
  const { ers_id } = await maker.make('ers', tenant, {
    currency_code: null,
    cost: null,
    cost_limit: null,
  });
  await client.query(
    `insert into ers_parts_used (customer_id, ers_id, part_name, part_quantity, part_cost, currency_code)
     values ($1, $2, 'valve', 3, 1.2345, 'KWD')`,
    [customer_id, ers_id],
  );
  await migrate(url);
  const [finer, apart] = await guided('**Amounts that are finer', '## Health and metrics');
  t.same(
    (
      await client.query(
        `select table_name, column_name, amount from (${finer!.replace(';', '')}) f order by 1, 2, 3`,
      )
    ).rows,
    [
      { table_name: 'invoice', column_name: 'subtotal_amount', amount: '100.5000' },
      { table_name: 'invoice', column_name: 'subtotal_amount', amount: '999999999999.9900' },
      { table_name: 'invoice', column_name: 'total_amount', amount: '100.5000' },
      { table_name: 'invoice', column_name: 'total_amount', amount: '999999999999.9900' },
      { table_name: 'invoice_items', column_name: 'amount', amount: '100.5000' },
    ],
  );
  const { rows: lines } = await client.query(apart!);
  t.match(lines, [{ rate: '100.2000', currency_code: 'USD' }]);
  t.equal(lines.length, 1);

  const may = async (what: string, text: string) => t.resolves(client.query(text), what);
  await may('to be paid', 'update invoice set applied_amount = 100, status = $$partial$$');
  await may(
    'all sent again',
    'update invoice set notes = $$y$$, total_amount = total_amount, subtotal_amount = subtotal_amount, currency_code = currency_code',
  );
  await may('a line in other words', 'update invoice_items set item_description = $$y$$');
  await may(
    'a line sent again',
    'update invoice_items set amount = amount, quantity = quantity, rate = rate, tax_amount = 1',
  );
  const total = 'select trim_scale(total_cost)::text as value from ers_parts_used';
  t.equal(await valueOf(client, total), '3.7');
  await may('a part by another name', 'update ers_parts_used set part_name = $$tap$$');
  t.equal(await valueOf(client, total), '3.7', 'its price is what it was');
  await may(
    'a part sent again',
    'update ers_parts_used set part_cost = part_cost, part_quantity = part_quantity',
  );
  t.equal(await valueOf(client, total), '3.7');
  await may('more parts', 'update ers_parts_used set part_quantity = 6');
  t.equal(await valueOf(client, total), '7.407', 'and as its currency is when it is priced anew');

  const mayNot = async (message: string, text: string) =>
    t.rejects(client.query(text), { message }, text);
  const yen = `currency_code = 'JPY'`;
  await mayNot(
    'total_amount has more decimals than its currency',
    `update invoice set total_amount = 102.5 where ${yen}`,
  );
  await mayNot(
    'subtotal_amount has more decimals than its currency',
    `update invoice set currency_code = 'KRW' where ${yen}`,
  );
  await mayNot(
    'the amount of a line is quantity times rate',
    `update invoice_items set rate = 100.1 where not ${yen}`,
  );
  await may(
    'an amount that is right now',
    `update invoice set subtotal_amount = 101, total_amount = 101 where ${yen}`,
  );
});

t.test('from 0032, with roles and orders from before there were rules of service', async (t) => {
  const { url, client } = await openAt(t, 32);
  const customer = await valueOf(
    client,
    `insert into customer (customer_name) values ('old') returning customer_id as value`,
  );
  const roles: [string, object, object][] = [
    ['writes', { workorder: ['read', 'write'], service_request: ['write'] }, {}],
    ['reads', { workorder: ['read'] }, { workorder: ['read'] }],
    ['odd', { workorder: 'write', ers: ['write'] }, { workorder: 'write', ers: ['write'] }],
  ];
  for (const [name, rights] of roles) {
    await client.query(
      `insert into user_role (customer_id, name, role_permission) values ($1, $2, $3)`,
      [customer, name, JSON.stringify(rights)],
    );
  }
  const unitOf = (name: string) =>
    valueOf(
      client,
      `insert into equipment (customer_id, unit_number) values ($1, $2) returning equipment_id as value`,
      [customer, name],
    );
  const [unit, other] = [await unitOf('a'), await unitOf('b')];
  const request = await valueOf(
    client,
    `insert into service_request (customer_id, equipment_id, service_urgency_lookup_id, issue_description)
     values ($1, $2, 1, 'x') returning service_request_id as value`,
    [customer, other],
  );
  const order = await valueOf(
    client,
    `insert into workorder (customer_id, equipment_id, service_request_id, workorder_description, currency_code,
       part_cost, cost_limit, approval_status)
     values ($1, $2, $3, 'x', 'USD', 50, 10, 'approved') returning workorder_id as value`,
    [customer, unit, request],
  );
  await client.query(
    `insert into workorder_vmrs (customer_id, workorder_id, vmrs_id, currency_code, workorder_part_cost)
     select $1, $2, (select min(vmrs_id) from vmrs_lookup), c, 3 from unnest(array['USD', 'EUR']) c`,
    [customer, order],
  );
  await migrate(url);
  t.match(
    (await client.query(`select name, role_permission from user_role order by user_role_id`)).rows,
    [
      {
        role_permission: {
          workorder: ['read', 'write', 'approve'],
          service_request: ['write', 'approve'],
        },
      },
      ...roles.slice(1).map(([name, , role_permission]) => ({ name, role_permission })),
    ],
    'who could approve still can',
  );
  const change = (set: string) =>
    client.query(`update workorder set ${set} where workorder_id = $1`, [order]);
  await change(`workorder_description = 'y'`);
  await change(`workorder_status = 'completed'`);
  const costs = async () =>
    (await client.query(`select part_cost::float8 as part, approval_status as at from workorder`))
      .rows[0] as unknown;
  t.same(await costs(), { part: 50, at: 'approved' }, 'it is as it was');
  await client.query(`update workorder_vmrs set cause = 'y'`);
  t.same(await costs(), { part: 3, at: 'approved' }, 'until a line is written');
  await t.rejects(change('part_cost = 50'), { message: 'part_cost follows from the lines' });
});
t.test(
  'from 0033, with more units out than allowed, and inspections that were signed',
  async (t) => {
    const { url, client } = await openAt(t, 33);
    const maker = await RowMaker.open(client);
    const { customer_id } = await maker.make('customer', {
      customerId: 0,
      accountId: null,
      word: 'old',
    });
    const tenant = {
      customerId: Number(customer_id),
      accountId: null as number | null,
      word: 'old',
    };
    tenant.accountId = Number((await maker.make('account', tenant))['account_id']);
    await maker.make('schedule_agreement', tenant, { currency_code: 'USD' });
    await maker.make('schedule_agreement_line_item', tenant, {
      currency_code: 'USD',
      number_of_units: 1,
    });
    const { equipment_type_allocation_id: place } = await maker.make(
      'equipment_type_allocation',
      tenant,
      { units_allowed: 1 },
    );
    for (const returned_at of [null, null, null, '2026-05-01T00:00:00Z']) {
      const { equipment_id } = await maker.make('equipment', tenant);
      await maker.make('equipment_assignment', tenant, {
        equipment_id,
        equipment_type_allocation_id: place,
        returned_at,
      });
    }
    const inspect = async (status: string, given: object = {}) => {
      const row = await maker.make('dot_inspection', tenant, {
        inspection_result: 'out_of_service',
        status,
        ...given,
      });
      return row['dot_inspection_id'];
    };
    const signed = await inspect('certified', { certified_at: '2026-02-01T00:00:00Z' });
    const open = await inspect('open');
    await migrate(url);
    const units = () =>
      valueOf(client, 'select units_assigned as value from equipment_type_allocation');
    t.equal(await units(), 3, 'what is out was counted');
    const back = (id: unknown) =>
      valueOf(
        client,
        'select back_in_service_at as value from dot_inspection where dot_inspection_id = $1',
        [id],
      );
    t.same(await back(signed), new Date('2026-02-01T00:00:00Z'));
    t.equal(await back(open), null);
    await client.query(
      `update equipment_assignment set returned_at = '2026-06-01' where equipment_assignment_id in
       (select equipment_assignment_id from equipment_assignment where returned_at is null limit 1)`,
    );
    t.equal(await units(), 2, 'still too many, and one less');
    await t.rejects(
      client.query(`update equipment_assignment set returned_at = null`),
      { code: '23514', constraint: 'equipment_type_allocation_units_assigned_check_block' },
      'no more than that',
    );
    await t.resolves(client.query('update equipment_type_allocation set units_allowed = 2'));
  },
);
