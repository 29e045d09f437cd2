/** What 0014 and 0015 hold together by themselves: units of readings, one permit, and who has a unit when. */
import pg from 'pg';
import t from 'tap';
import { createPool, valueTypes } from '../db/pools.ts';
import { withTenant } from '../db/tenancy.ts';
import { createTestDatabase } from '../db/test-database.ts';
import { seedTenant } from '../db/test-tenant.ts';

type Test = Parameters<typeof createTestDatabase>[0];

async function open(t: Test) {
  const { ownerUrl } = await createTestDatabase(t);
  const owner = new pg.Client({ connectionString: ownerUrl, types: valueTypes });
  await owner.connect();
  t.teardown(() => owner.end());
  const ours = await seedTenant(owner, 'ours');
  const theirs = await seedTenant(owner, 'theirs');
  const pool = createPool({
    connectionString: ownerUrl,
    role: 'milepost_api',
    max: 3,
    applicationName: 'test',
    statementTimeoutMs: 10_000,
  });
  t.teardown(() => pool.end());
  const { customerId } = ours;
  const run =
    (accountIds: number[] | null) =>
    (text: string, values: unknown[] = []) =>
      withTenant(
        pool,
        { customerId, accountIds },
        async (_db, client) => (await client.query<Record<string, unknown>>(text, values)).rows,
      );
  /** Puts a row into a table and gives its first column. */
  const add = async (table: string, row: Record<string, unknown>): Promise<number> => {
    const whole = { customer_id: customerId, ...row };
    const marks = Object.keys(whole).map((_name, i) => `$${i + 1}`);
    const [made] = await run(null)(
      `insert into ${table} (${Object.keys(whole).join(', ')}) values (${marks.join(', ')}) returning *`,
      Object.values(whole),
    );
    return Object.values(made!)[0] as number;
  };
  return { ours, theirs, owner, run, add };
}

t.test('a reading is in a unit of its kind', async (t) => {
  const { ours, run, owner } = await open(t);
  const [unit] = ours.equipmentIds;
  const read = (type: string, uom: string) =>
    run(null)(
      `insert into equipment_reading (customer_id, equipment_id, reading_type, equipment_reading, uom_lookup_id)
       select $1, $2, $3, 12.5, uom_lookup_id from uom_lookup where uom_code = $4`,
      [ours.customerId, unit, type, uom],
    );
  await read('odometer', 'km');
  await read('hub_odometer', 'mi');
  await read('reefer_hours', 'h');
  await read('fuel_level', '%');
  const wrong = { code: '23514', constraint: 'equipment_reading_uom_lookup_id_check' };
  await t.rejects(read('odometer', 'h'), wrong);
  await t.rejects(read('engine_hours', 'km'), wrong);
  await t.rejects(run(null)('update equipment_reading set is_void = true'), {
    code: '23514',
    constraint: 'equipment_reading_void_reason_check_void',
  });
  await run(null)(`update equipment_reading set is_void = true, void_reason = 'misread'`);
  await t.rejects(run(null)('delete from equipment_reading'), { code: '42501' });
  const { rows } = await owner.query(
    'select distinct event_type from activity_feed where entity_type is not null',
  );
  t.same(rows.map((row: Record<string, unknown>) => row['event_type']).sort(), [
    'record_created',
    'record_updated',
  ]);
});

t.test('what belongs to a unit is seen with it', async (t) => {
  const { ours, theirs, run, add } = await open(t);
  const [first, second] = ours.equipmentIds;
  await add('equipment_permit', { equipment_id: first, license_plate_number: 'P1' });
  await add('equipment_permit', { equipment_id: second, license_plate_number: 'P2' });
  const held = run([ours.firstAccountId]);
  const plates = 'select license_plate_number as plate from equipment_permit';
  t.same(await held(plates), [{ plate: 'P1' }]);
  t.equal((await run(null)(plates)).length, 2);
  await t.rejects(add('equipment_permit', { equipment_id: first }), { code: '23505' });
  await t.rejects(
    add('equipment_permit', { equipment_id: ours.equipmentIds[2], license_plate_number: 'P1' }),
    { code: '23505' },
    'a plate is on one unit',
  );
  await run(null)('update equipment_permit set deleted_at = now() where equipment_id = $1', [
    first,
  ]);
  await add('equipment_permit', { equipment_id: first, license_plate_number: 'P1' });
  await t.rejects(add('equipment_permit', { equipment_id: theirs.equipmentIds[0] }), {
    code: /^(23503|42501)$/,
  });
});

t.test(
  'an account has a unit from one instant to another, and nobody else has it then',
  async (t) => {
    const { ours, theirs, run, add } = await open(t);
    const [unit, otherUnit] = ours.equipmentIds;
    const { firstAccountId, secondAccountId } = ours;
    const assign = (accountId: number, from: string, to: string | null, equipmentId = unit) =>
      add('equipment_assignment', {
        account_id: accountId,
        equipment_id: equipmentId,
        activation_date: '2026-01-01',
        assigned_at: from,
        returned_at: to,
      });
    const overlap = { code: '23P01', constraint: 'equipment_assignment_assigned_at_check_overlap' };
    const one = await assign(firstAccountId, '2026-01-01T00:00Z', '2026-02-01T00:00Z');
    const two = await assign(secondAccountId, '2026-02-01T00:00Z', null);
    await t.rejects(assign(firstAccountId, '2026-03-01T00:00Z', null), overlap, 'it is out');
    await t.rejects(assign(firstAccountId, '2025-12-01T00:00Z', '2026-01-01T00:01Z'), overlap);
    await assign(firstAccountId, '2026-03-01T00:00Z', null, otherUnit);
    await t.rejects(assign(theirs.firstAccountId, '2024-01-01T00:00Z', '2024-01-02T00:00Z'), {
      code: /^(23503|42501)$/,
    });

    const holder = async (instant: string, accountIds: number[] | null = null) => {
      const rows = await run(accountIds)(
        'select equipment_assignment_id as id from equipment_assignment_at($1, $2)',
        [unit, instant],
      );
      return rows.map((row) => row['id']);
    };
    t.same(await holder('2025-12-31T23:59:59Z'), []);
    t.same(await holder('2026-01-01T00:00Z'), [one]);
    t.same(await holder('2026-02-01T00:00Z'), [two], 'the instant of the return is the next one’s');
    t.same(await holder('2030-01-01T00:00Z'), [two]);
    t.same(await holder('2030-01-01T00:00Z', [firstAccountId]), [], 'hidden with its account');

    await run(null)(
      'update equipment_assignment set deleted_at = now() where equipment_assignment_id = $1',
      [two],
    );
    t.same(await holder('2026-02-01T00:00Z'), []);
    await assign(firstAccountId, '2026-02-01T00:00Z', null);
  },
);

t.test('from a master agreement to a unit', async (t) => {
  const { ours, run, add } = await open(t);
  const account_id = ours.firstAccountId;
  const master_agreement_id = await add('master_agreement', {
    account_id,
    agreement_number: 'MA-1',
    agreement_name: 'Lease',
    contract_effective_date: '2026-01-31',
    contract_term: 1,
    contract_billing_method: 'advance',
    currency_code: 'USD',
  });
  t.same(await run(null)('select contract_end_date from master_agreement'), [
    { contract_end_date: '2026-02-27' },
  ]);
  const [lookups] = await run(null)(
    `select (select min(contract_type_lookup_id) from contract_type_lookup) as contract,
            (select min(equipment_type_lookup_id) from equipment_type_lookup) as type`,
  );
  const schedule_agreement_id = await add('schedule_agreement', {
    account_id,
    master_agreement_id,
    contract_type_lookup_id: lookups!['contract'],
    schedule_number: 'MA-1/1',
    effective_date: '2026-02-01',
    currency_code: 'USD',
  });
  const line = {
    schedule_agreement_id,
    line_number: 1,
    equipment_type_lookup_id: lookups!['type'],
    number_of_units: 2,
    rate: 415.1234,
  };
  await t.rejects(add('schedule_agreement_line_item', { ...line, currency_code: 'CAD' }), {
    code: '23503',
  });
  const schedule_agreement_line_item_id = await add('schedule_agreement_line_item', {
    ...line,
    currency_code: 'USD',
  });
  const equipment_type_allocation_id = await add('equipment_type_allocation', {
    account_id,
    schedule_agreement_line_item_id,
    units_allowed: 2,
    effective_date: '2026-02-01',
  });
  const assignment = {
    equipment_id: ours.equipmentIds[0],
    equipment_type_allocation_id,
    activation_date: '2026-02-02',
    assigned_at: '2026-02-02T08:00Z',
  };
  await t.rejects(
    add('equipment_assignment', { ...assignment, account_id: ours.secondAccountId }),
    { code: '23503' },
    'an allocation is for its account',
  );
  await add('equipment_assignment', { ...assignment, account_id });
  const tables = ['master_agreement', 'schedule_agreement', 'schedule_agreement_line_item'];
  for (const table of [...tables, 'equipment_type_allocation', 'equipment_assignment']) {
    t.equal((await run([account_id])(`select from ${table}`)).length, 1, table);
    t.equal((await run([ours.secondAccountId])(`select from ${table}`)).length, 0, table);
    await t.rejects(run(null)(`delete from ${table}`), { code: '42501' }, table);
  }
});
