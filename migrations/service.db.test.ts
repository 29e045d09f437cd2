/** What the database itself holds of service: numbers without gaps, one open maintenance, a log that is only added to. */
import type pg from 'pg';
import t from 'tap';
import { createPool } from '../db/pools.ts';
import { withTenant } from '../db/tenancy.ts';
import { connectTestClient, createTestDatabase } from '../db/test-database.ts';
import { seedTenant, type TestTenant } from '../db/test-tenant.ts';

type Test = Parameters<typeof createTestDatabase>[0];

async function openDatabase(t: Test) {
  const { ownerUrl } = await createTestDatabase(t);
  const owner = await connectTestClient(t, ownerUrl);
  const pool = createPool({
    connectionString: ownerUrl,
    role: 'milepost_api',
    max: 8,
    applicationName: 'test',
    statementTimeoutMs: 10_000,
  });
  t.teardown(() => pool.end());
  await owner.query(
    `insert into currency_lookup (currencytype, currency_code, currency_code_numeric, minor_unit_digits)
     values ('US Dollar', 'USD', '840', 2) on conflict do nothing`,
  );
  const ours = await seedTenant(owner, 'ours');
  const theirs = await seedTenant(owner, 'theirs');
  const as = <T>(
    tenant: TestTenant,
    work: (client: pg.ClientBase) => Promise<T>,
    accountIds: number[] | null = null,
  ) =>
    withTenant(pool, { customerId: tenant.customerId, accountIds }, (_db, client) => work(client));
  return { owner, ours, theirs, as };
}

async function addWorkorder(client: pg.ClientBase, tenant: TestTenant, number?: string) {
  const { rows } = await client.query<{ workorder_id: number; workorder_number: string }>(
    `insert into workorder (customer_id, equipment_id, workorder_description, currency_code, workorder_number)
     values ($1, $2, 'Tyre', 'USD', $3) returning workorder_id, workorder_number`,
    [tenant.customerId, tenant.equipmentIds[0], number ?? null],
  );
  return rows[0]!;
}

const numbers = (count: number) =>
  Array.from({ length: count }, (_, index) => `WO-${String(index + 1).padStart(6, '0')}`);

t.test('numbers of a tenant have neither gaps nor doubles, whoever creates at once', async (t) => {
  const { ours, theirs, as } = await openDatabase(t);
  const changedMind = new Error('changed my mind');
  const create = (tenant: TestTenant, isTakenBack: boolean) =>
    as(tenant, async (client) => {
      const { workorder_number } = await addWorkorder(client, tenant);
      if (isTakenBack) throw changedMind;
      return workorder_number;
    }).catch((error: unknown) => {
      if (error !== changedMind) throw error;
      return null;
    });
  const attempts = Array.from({ length: 90 }, (_, index) => index);
  const given = await Promise.all(
    attempts.map(async (index) => ({
      isOurs: index % 3 !== 0,
      number: await create(index % 3 === 0 ? theirs : ours, index % 5 === 0),
    })),
  );
  const sortedOf = (isOurs: boolean) =>
    given
      .filter((one) => one.isOurs === isOurs && one.number !== null)
      .map((one) => one.number)
      .sort();
  t.same(sortedOf(true), numbers(48));
  t.same(sortedOf(false), numbers(24));

  const counted = await Promise.all(
    attempts.map(() =>
      as(ours, async (client) => {
        const { rows } = await client.query<{ n: number }>(`select next_number('x') as n`);
        return rows[0]!.n;
      }),
    ),
  );
  t.same(
    counted.sort((a, b) => a - b),
    attempts.map((index) => index + 1),
  );
});

t.test('numbers are filled in for the owner too, and those brought along are kept', async (t) => {
  const { owner, ours, theirs, as } = await openDatabase(t);
  t.match(await addWorkorder(owner, ours), { workorder_number: 'WO-000001' });
  t.match(await addWorkorder(owner, ours, ''), { workorder_number: 'WO-000002' });
  t.match(await addWorkorder(owner, ours, 'WO-000010'), { workorder_number: 'WO-000010' });
  t.match(await addWorkorder(owner, ours, 'WO-000007'), { workorder_number: 'WO-000007' });
  t.match(await addWorkorder(owner, ours, 'OLD/17'), { workorder_number: 'OLD/17' });
  t.match(await addWorkorder(owner, ours, 'WO-9999999'), { workorder_number: 'WO-9999999' });
  t.match(await addWorkorder(owner, ours), { workorder_number: 'WO-10000000' });
  t.match(await addWorkorder(owner, theirs), { workorder_number: 'WO-000001' });
  await t.rejects(addWorkorder(owner, theirs, 'WO-000001'), {
    code: '23505',
    constraint: 'workorder_customer_id_workorder_number_key',
  });

  // A transaction that brings along a foreign tenant's row is refused, and the foreign counter has not moved.
  await t.rejects(
    as(ours, (client) => addWorkorder(client, theirs)),
    { code: '42501' },
  );
  t.match(await addWorkorder(owner, theirs), { workorder_number: 'WO-000002' });

  await t.rejects(owner.query(`select next_number('workorder')`), { code: '42501' });
  for (const statement of [
    `select take_number(${theirs.customerId}, 'workorder')`,
    'select * from tenant_counter',
    'update tenant_counter set next_value = 1',
  ]) {
    await t.rejects(
      as(ours, (client) => client.query(statement)),
      { code: '42501', message: /permission denied/ },
      statement,
    );
  }
});

async function addSchedule(client: pg.ClientBase, tenant: TestTenant, equipmentId: number) {
  const { rows } = await client.query<{ id: number }>(
    `insert into preventive_maintenance_schedule
       (customer_id, equipment_id, schedule_name, frequency_interval, frequency_type)
     values ($1, $2, 'PM-A', 90, 'days') returning pm_schedule_id as id`,
    [tenant.customerId, equipmentId],
  );
  return rows[0]!.id;
}

t.test('a schedule has one open event', async (t) => {
  const { ours, as } = await openDatabase(t);
  const [unit, otherUnit] = ours.equipmentIds;
  const schedule = await as(ours, (client) => addSchedule(client, ours, unit));
  const addEvent = (status: string, equipmentId: number = unit) =>
    as(ours, async (client) => {
      const { rows } = await client.query<{ id: number }>(
        `insert into preventive_maintenance_event
           (customer_id, equipment_id, pm_schedule_id, status, performed_date)
         values ($1, $2, $3, $4, current_date) returning pm_event_id as id`,
        [ours.customerId, equipmentId, schedule, status],
      );
      return rows[0]!.id;
    });
  const change = (id: number, set: string) =>
    as(ours, (client) =>
      client.query(`update preventive_maintenance_event set ${set} where pm_event_id = $1`, [id]),
    );
  const secondOpen = {
    code: '23505',
    constraint: 'preventive_maintenance_event_pm_schedule_id_key',
  };

  await addEvent('completed');
  await addEvent('completed');
  const tries = await Promise.allSettled(Array.from({ length: 6 }, () => addEvent('open')));
  const won = tries.filter((one) => one.status === 'fulfilled');
  t.equal(won.length, 1);
  for (const one of tries) if (one.status === 'rejected') t.match(one.reason, secondOpen);

  const first = won[0]!.value;
  await t.rejects(addEvent('in_progress'), secondOpen);
  await change(first, `status = 'in_progress'`);
  await t.rejects(addEvent('open'), secondOpen);
  await change(first, `status = 'completed'`);
  const second = await addEvent('open');
  await change(second, 'deleted_at = now()');
  await addEvent('open');
  await t.rejects(
    change(second, 'deleted_at = null'),
    secondOpen,
    'one that comes back counts again',
  );

  await t.rejects(addEvent('completed', otherUnit), { code: '23503' }, 'of the schedule’s unit');
  await t.rejects(
    change(first, 'performed_date = null'),
    { code: '23514', constraint: 'preventive_maintenance_event_performed_date_check_done' },
    'what is completed was done on some day',
  );
});

t.test('a record about a unit belongs to the account of the unit', async (t) => {
  const { ours, as } = await openDatabase(t);
  const [unit, otherUnit, poolUnit] = ours.equipmentIds;
  const { firstAccountId, secondAccountId } = ours;
  const accountOf = (equipmentId: number, accountId: number | null, limit: number[] | null) =>
    as(
      ours,
      async (client) => {
        const { rows } = await client.query<{ account_id: number | null }>(
          `insert into workorder (customer_id, account_id, equipment_id, workorder_description, currency_code)
           values ($1, $2, $3, 'Tyre', 'USD') returning account_id`,
          [ours.customerId, accountId, equipmentId],
        );
        return rows[0]!.account_id;
      },
      limit,
    );
  t.equal(await accountOf(unit, null, null), firstAccountId);
  t.equal(await accountOf(poolUnit, null, null), null);
  t.equal(await accountOf(unit, secondAccountId, null), secondAccountId);
  t.equal(await accountOf(unit, null, [firstAccountId]), firstAccountId);
  await t.rejects(accountOf(otherUnit, null, [firstAccountId]), { code: '42501' });
});

t.test('what was said about a roadside call stays as it was said', async (t) => {
  const { ours, as } = await openDatabase(t);
  const { firstAccountId, secondAccountId } = ours;
  const logged = await as(ours, async (client) => {
    const { rows } = await client.query<{ number: string; log: number }>(
      `with call as (
         insert into ers (customer_id, equipment_id, issue_description) values ($1, $2, 'Flat tyre')
         returning ers_id, ers_number
       ) select ers_number as number, ers_id as log from call`,
      [ours.customerId, ours.equipmentIds[0]],
    );
    await client.query(
      `insert into communication_log (customer_id, ers_id, communication_type, direction, message)
       values ($1, $2, 'phone', 'outbound', 'On the way')`,
      [ours.customerId, rows[0]!.log],
    );
    return rows[0]!;
  });
  t.equal(logged.number, 'ERS-000001');
  for (const statement of [
    `update communication_log set message = 'Not on the way'`,
    'update communication_log set deleted_at = now()',
    'delete from communication_log',
  ]) {
    await t.rejects(
      as(ours, (client) => client.query(statement)),
      { code: '42501' },
      statement,
    );
  }
  const seenBy = (accountId: number) =>
    as(ours, async (client) => (await client.query('select from communication_log')).rowCount, [
      accountId,
    ]);
  t.equal(await seenBy(firstAccountId), 1);
  t.equal(await seenBy(secondAccountId), 0, 'it hangs on a call of another account');
});
