/** Readings of meters: which are refused, which of them is the unit's, and what they make due. */
import t from 'tap';
import type { Row } from '../resources/define.ts';
import { withTenant } from '../../db/tenancy.ts';
import { averageUse, metersAt, newestMeters } from '../equipment/meters.ts';
import { DAY_MS, HOUR_MS, TestFleet } from './test-fleet.ts';

const fleet = await TestFleet.start(t);
const { mine } = fleet.portal.seed;
const uom = {
  km: await fleet.uomId('km'),
  m: await fleet.uomId('m'),
  mi: await fleet.uomId('mi'),
  h: await fleet.uomId('h{engine}'),
  min: await fleet.uomId('min'),
  percent: await fleet.uomId('%'),
};
const refusal = (pointer: string) => ({ status: 422, body: { errors: [{ pointer }] } });
const at = (ms: number): string => new Date(fleet.clock.nowMs + ms).toISOString();

/** Entered for one of the three units, at some time from now. */
const read = (value: number, ms: number, given: Row = {}) =>
  fleet.post('equipment-readings', {
    equipment_id: fleet.unitId,
    reading_type: 'odometer',
    equipment_reading: value,
    uom_lookup_id: uom.km,
    reading_at: at(ms),
    ...given,
  });

const meters = (index: 0 | 1 | 2) =>
  withTenant(
    fleet.portal.runnerPool,
    { customerId: mine.customerId, accountIds: null },
    async (db) => {
      const id = mine.equipmentIds[index];
      const found = (await newestMeters(db, [id], fleet.clock.nowMs)).get(id)!;
      return { odometer: found.odometer?.value ?? null, hours: found.engineHours?.value ?? null };
    },
  );

t.test('readings follow one another', async (t) => {
  const first = await read(1_000, -10 * DAY_MS);
  t.equal(first.status, 201, first.text);
  t.equal((await read(1_500, -5 * DAY_MS)).status, 201);
  t.match(await read(999, -4 * DAY_MS), refusal('/equipment_reading'), 'below the one before');
  t.match(await read(1_499.999, -4 * DAY_MS), refusal('/equipment_reading'));
  t.match(await read(1_501, -7 * DAY_MS), refusal('/equipment_reading'), 'above the one after');
  t.match(await read(999, -7 * DAY_MS), refusal('/equipment_reading'), 'below one of before');
  t.equal((await read(1_200, -7 * DAY_MS)).status, 201, 'between the two');
  t.equal((await read(1_500, -5 * DAY_MS)).status, 201, 'the same again');
  t.equal((await read(0, -20 * DAY_MS)).status, 201, 'before all of them');
  const miles = { uom_lookup_id: uom.mi };
  t.match(await read(932, -4 * DAY_MS, miles), refusal('/equipment_reading'), '1499.9 km');
  t.equal((await read(933, -4 * DAY_MS, miles)).status, 201, '1501.5 km');
  t.match(await read(9_999, 11 * 60_000), refusal('/reading_at'), 'of the future');
  t.equal((await read(1_600, 9 * 60_000)).status, 201, 'by a clock that is ahead');
  const hours = { reading_type: 'engine_hours', uom_lookup_id: uom.h };
  t.equal((await read(5, -DAY_MS, hours)).status, 201, 'every meter by itself');
  t.match(
    await read(299, -HOUR_MS, { ...hours, uom_lookup_id: uom.min }),
    refusal('/equipment_reading'),
  );
  const fuel = { reading_type: 'fuel_level', uom_lookup_id: uom.percent };
  t.equal((await read(90, -DAY_MS, fuel)).status, 201);
  t.equal((await read(20, -HOUR_MS, fuel)).status, 201, 'tanks are emptied');
  t.equal(
    (await read(7, -DAY_MS, { equipment_id: mine.equipmentIds[1] })).status,
    201,
    'every unit',
  );
});

t.test('a wrong one is voided, and one that is changed is looked at again', async (t) => {
  const wrong = await read(160_000, 9 * 60_000);
  t.equal(wrong.status, 201);
  const url = `equipment-readings/${String(wrong.body['equipment_reading_id'])}`;
  t.match(await read(1_700, 9 * 60_000 + 1), refusal('/equipment_reading'));
  t.match(await fleet.patch(url, { is_void: true }), { status: 422 }, 'not without a reason');
  const voided = { is_void: true, void_reason: 'A digit too many' };
  t.equal((await fleet.patch(url, voided)).status, 200);
  const right = await read(1_700, 9 * 60_000 + 1);
  t.equal(right.status, 201, right.text);
  const back = { is_void: false, void_reason: null };
  t.match(await fleet.patch(url, back), refusal('/is_void'), 'it does not fit any more');
  const other = `equipment-readings/${String(right.body['equipment_reading_id'])}`;
  t.match(await fleet.patch(other, { equipment_reading: 1_400 }), refusal('/equipment_reading'));
  t.match(await fleet.patch(other, { reading_at: at(-15 * DAY_MS) }), refusal('/reading_at'));
  t.match(await fleet.patch(other, { uom_lookup_id: uom.m }), refusal('/uom_lookup_id'));
  t.equal((await fleet.patch(other, { note: 'At the gate' })).status, 200);
});

t.test('of fifty who enter another at once those stay that follow one another', async (t) => {
  const values = Array.from({ length: 50 }, (_one, index) => 2_000 + ((index * 37) % 50));
  const unit = { equipment_id: mine.equipmentIds[1] };
  const answers = await Promise.all(values.map((value, index) => read(value, index, unit)));
  t.ok(answers.every(({ status }) => status === 201 || status === 422));
  const list = await fleet.get(
    `equipment-readings?filter[equipment_id]=${mine.equipmentIds[1]}&sort=reading_at,equipment_reading_id&limit=100`,
  );
  const kept = (list.body['data'] as Row[]).map((row) => row['equipment_reading'] as number);
  t.same(
    kept,
    [...kept].sort((a, b) => a - b),
    'they rise',
  );
  t.ok(kept.length > 1);
});

t.test('which is the meter of a unit', async (t) => {
  const unit = { equipment_id: mine.equipmentIds[2] };
  t.same(await meters(2), { odometer: null, hours: null }, 'nothing is known of it');
  const hub = { ...unit, reading_type: 'hub_odometer' };
  await read(900, -5 * DAY_MS, hub);
  t.same(await meters(2), { odometer: 900_000, hours: null }, 'a trailer has its hub alone');
  await read(700, -4 * DAY_MS, unit);
  t.same(await meters(2), { odometer: 700_000, hours: null }, 'its odometer goes before its hub');
  await fleet.drive(650, 2);
  t.same((await meters(2)).odometer, 700_000, 'a tracker that counts from its own first day');
  await fleet.runEngine(12.5, 2);
  t.same((await meters(2)).hours, 12.5);
  await read(11, -HOUR_MS, { ...unit, reading_type: 'engine_hours', uom_lookup_id: uom.h });
  t.same((await meters(2)).hours, 12.5);
  fleet.clock.nowMs += HOUR_MS;
  await fleet.drive(701.5, 2);
  t.same((await meters(2)).odometer, 701_500);
  await read(705, 0, unit);
  t.same((await meters(2)).odometer, 705_000);
  t.same(await meters(1).then(({ hours }) => hours), null, 'of no other unit');
});

t.test('those who are held to accounts see no meters of others', async (t) => {
  const { customerId, accountIds, equipmentIds } = mine;
  const seen = await withTenant(
    fleet.portal.apiPool,
    { customerId, accountIds: [accountIds[1]] },
    async (db) => {
      const { rows } = await db.execute(
        `select equipment_id from unit_odometers(array[${equipmentIds.join()}]::bigint[], '-infinity', 'infinity', true)`,
      );
      return rows.length;
    },
  );
  t.equal(seen, 1, 'of the unit that has no account');
  const other = await withTenant(
    fleet.portal.apiPool,
    { customerId: fleet.portal.seed.foreign.customerId, accountIds: null },
    async (db) => (await metersAt(db, equipmentIds[2], fleet.clock.nowMs)).odometer,
  );
  t.equal(other, null, 'nor does another tenant');
});

t.test('average use: of what devices report, or else of readings', async (t) => {
  const use = () =>
    withTenant(fleet.portal.runnerPool, { customerId: mine.customerId, accountIds: null }, (db) =>
      averageUse(db, mine.equipmentIds, fleet.clock.nowMs),
    );
  const before = await use();
  const few = before.get(mine.equipmentIds[2])!;
  t.equal(
    Math.round(few.odometerMPerDay!),
    1_237,
    'an hour of the tracker tells nothing, and readings do',
  );
  t.equal(few.engineHoursPerDay, null, 'a single one tells nothing');
  const reads = before.get(mine.equipmentIds[0])!.odometerMPerDay!;
  // 0 km twenty days ago, 1,700 km now.
  t.ok(Math.abs(reads - 85_000) < 500, String(reads));
  fleet.clock.nowMs += 2 * DAY_MS;
  await fleet.drive(701.5 + 230, 2);
  await fleet.runEngine(12.5 + 16, 2);
  const after = (await use()).get(mine.equipmentIds[2])!;
  t.ok(Math.abs(after.odometerMPerDay! - 137_878) < 10, String(after.odometerMPerDay));
  t.ok(Math.abs(after.engineHoursPerDay! - 7.83) < 0.2, String(after.engineHoursPerDay));
});

t.test('a reading makes due, and one that is voided or deleted makes undue', async (t) => {
  const schedule = await fleet.makeSchedule({
    frequency_type: 'km',
    frequency_interval: 500,
    start_odometer_m: 1_700_000,
    due_soon_km: 100,
  });
  const id = schedule['pm_schedule_id'];
  const statusNow = async () => (await fleet.schedule(id))['due_status'];
  t.equal(schedule['due_status'], 'ok');
  await read(2_150, 0);
  t.equal(await statusNow(), 'due_soon');
  t.same(await fleet.events(id), []);
  const due = await read(2_203, 1);
  t.equal(await statusNow(), 'due');
  t.match(await fleet.events(id), [{ status: 'open', due_odometer_m: 2_200_000 }]);
  const url = `equipment-readings/${String(due.body['equipment_reading_id'])}`;
  await fleet.patch(url, { is_void: true, void_reason: 'Another unit' });
  t.equal(await statusNow(), 'due_soon');
  const again = await read(2_210, 2);
  t.equal(await statusNow(), 'overdue', 'five kilometres beyond are one in a hundred');
  await fleet.remove(`equipment-readings/${String(again.body['equipment_reading_id'])}`);
  t.equal(await statusNow(), 'due_soon');
  t.equal((await fleet.events(id)).length, 1, 'what was opened is for people to close');
});
