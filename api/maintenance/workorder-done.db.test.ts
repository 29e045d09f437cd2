/** A work order that is done completes the maintenance that is linked to it. */
import t from 'tap';
import { withTenant } from '../../db/tenancy.ts';
import { addDays, dayIn } from '../calendar.ts';
import { QUOTAS } from '../context.ts';
import type { Row, RuleContext } from '../resources/define.ts';
import { DAY_MS, HOUR_MS, TestFleet } from './test-fleet.ts';
import { completeEventsOfWorkorder } from './workorder-done.ts';

const fleet = await TestFleet.start(t);
fleet.clock.nowMs = Math.floor(fleet.clock.nowMs / DAY_MS) * DAY_MS + 12 * HOUR_MS;
const { mine } = fleet.portal.seed;
const today = dayIn('Europe/Berlin', fleet.clock.nowMs);

async function linked(given: Row = {}): Promise<{ scheduleId: unknown; workorder: Row }> {
  const workorder = await fleet.make('workorders', {
    account_id: mine.accountIds[0],
    equipment_id: fleet.unitId,
    workorder_description: 'Service',
    currency_code: 'EUR',
  });
  const schedule = await fleet.makeSchedule({
    frequency_interval: 30,
    frequency_type: 'days',
    starts_on: addDays(today, -31),
    interval_km: 20_000,
    start_odometer_m: 100_000_000,
    ...given,
  });
  const [event] = await fleet.events(schedule['pm_schedule_id']);
  await fleet.patch(`preventive-maintenance-events/${String(event!['pm_event_id'])}`, {
    workorder_id: workorder['workorder_id'],
  });
  return { scheduleId: schedule['pm_schedule_id'], workorder };
}

/** As the service domain calls it, in the transaction that completes the order. */
function complete(workorder: Row): Promise<void> {
  const tenant = { customerId: mine.customerId, accountIds: null };
  return withTenant(fleet.portal.apiPool, tenant, (db) => {
    const principal = { tenant } as unknown as RuleContext['principal'];
    const context = { db, principal, quotas: QUOTAS, nowMs: fleet.clock.nowMs };
    return completeEventsOfWorkorder(context, workorder);
  });
}

const done = (hours: number) => ({
  completed_at: new Date(fleet.clock.nowMs + hours * HOUR_MS),
  completion_odometer_m: 117_500_000,
  completion_engine_hours_h: null,
  resolution: 'Oil and filters changed.',
  technician_name: 'M. Kowalski',
});

t.test('on its day, at its meters, with its resolution', async (t) => {
  const { scheduleId, workorder } = await linked();
  // 22:30 UTC of yesterday is today in Berlin, in summer; 23:30 all year round.
  await complete({ ...workorder, ...done(-12.5) });
  t.match(await fleet.events(scheduleId), [
    {
      status: 'completed',
      performed_date: today,
      odometer_m: 117_500_000,
      work_performed: 'Oil and filters changed.',
      performed_by: 'M. Kowalski',
    },
  ]);
  t.match(await fleet.schedule(scheduleId), {
    due_status: 'ok',
    last_done_on: today,
    next_due_on: addDays(today, 30),
    next_due_odometer_m: 137_500_000,
  });
  await complete({ ...workorder, ...done(0) });
  t.equal((await fleet.events(scheduleId)).length, 1, 'told again, nothing more happens');
});

t.test('what was done later already is not undone by it', async (t) => {
  const { scheduleId, workorder } = await linked({
    last_done_on: addDays(today, -30),
    last_done_odometer_m: 118_000_000,
  });
  await complete({ ...workorder, ...done(-40 * 24) });
  t.match(await fleet.events(scheduleId), [
    { status: 'completed', performed_date: addDays(today, -30), odometer_m: 118_000_000 },
  ]);
});

t.test('no meter of an order is higher than what devices may report', async (t) => {
  const { scheduleId, workorder } = await linked();
  const url = `workorders/${String(workorder['workorder_id'])}/transitions`;
  await fleet.post(url, { workorder_status: 'in_progress' });
  for (const [name, highest] of [
    ['completion_odometer_m', 1e11],
    ['completion_engine_hours_h', 1e7],
  ] as const) {
    for (const value of [highest + 1, 1e308]) {
      const completed = { workorder_status: 'completed', resolution: 'Done.', [name]: value };
      const refused = { status: 400, body: { errors: [{ pointer: `/${name}` }] } };
      t.match(await fleet.post(url, completed), refused, `${name} ${value}`);
    }
  }
  t.match(await fleet.events(scheduleId), [{ status: 'open' }]);
});

t.test(
  'an order that is done already is linked to what is done, and to nothing open',
  async (t) => {
    const { workorder } = await linked();
    const order = `workorders/${String(workorder['workorder_id'])}/transitions`;
    await fleet.post(order, { workorder_status: 'in_progress' });
    await fleet.post(order, { workorder_status: 'completed', resolution: 'Done.' });
    const schedule = await fleet.makeSchedule({
      frequency_interval: 30,
      frequency_type: 'days',
      starts_on: addDays(today, -31),
    });
    const [event] = await fleet.events(schedule['pm_schedule_id']);
    const url = `preventive-maintenance-events/${String(event!['pm_event_id'])}`;
    const link = { workorder_id: workorder['workorder_id'] };
    const refused = { status: 409, body: { errors: [{ pointer: '/workorder_id' }] } };
    t.match(await fleet.patch(url, link), refused);
    t.match(await fleet.patch(url, { ...link, status: 'in_progress' }), refused);
    t.equal((await fleet.post(order, { workorder_status: 'closed' })).status, 200);
    t.match(await fleet.patch(url, link), refused, 'closed as well');
    t.match(await fleet.patch(url, { ...link, status: 'completed' }), {
      status: 200,
      body: { ...link, status: 'completed', performed_date: today },
    });
  },
);

t.test('one that is not linked stays open', async (t) => {
  const { workorder } = await linked();
  const other = await fleet.makeSchedule({
    frequency_interval: 1,
    frequency_type: 'days',
    starts_on: addDays(today, -9),
  });
  await complete({ ...workorder, ...done(0) });
  t.match(await fleet.events(other['pm_schedule_id']), [{ status: 'open' }]);
});

t.test('an event is of the account of its schedule, and moves with that', async (t) => {
  const [north, south] = mine.accountIds;
  const schedule = await fleet.makeSchedule({ frequency_interval: 30, frequency_type: 'days' });
  const about = { equipment_id: fleet.unitId, pm_schedule_id: schedule['pm_schedule_id'] };
  const other = await fleet.post('preventive-maintenance-events', { ...about, account_id: south });
  t.match(other, { status: 422, body: { errors: [{ pointer: '/account_id' }] } });
  const event = await fleet.make('preventive-maintenance-events', about);
  t.equal(event['account_id'], north);
  const url = `preventive-maintenance-events/${String(event['pm_event_id'])}`;
  t.equal((await fleet.patch(url, { account_id: south })).status, 422);
  const path = `preventive-maintenance-schedules/${String(schedule['pm_schedule_id'])}`;
  await fleet.patch(path, { account_id: south });
  t.equal((await fleet.get(url)).body['account_id'], south);
});

t.test('an event whose schedule the caller does not see stays as it is', async (t) => {
  const [north, south] = mine.accountIds;
  const { scheduleId, workorder } = await linked({ account_id: south });
  const [event] = await fleet.events(scheduleId);
  const eventId = String(event!['pm_event_id']);
  // From before events were held to the account of their schedule.
  await fleet.portal.owner.query(
    'update preventive_maintenance_event set account_id = $1 where pm_event_id = $2',
    [north, eventId],
  );
  const change = (path: string, payload: Row) =>
    fleet.as('held', { method: 'POST', url: `/v1/${path}/transitions`, payload });
  const url = `preventive-maintenance-events/${eventId}`;
  const refused = { status: 409, body: { errors: [{ pointer: '/pm_schedule_id' }] } };
  t.match(await change(url, { status: 'completed' }), refused);
  const path = `workorders/${String(workorder['workorder_id'])}`;
  await change(path, { workorder_status: 'in_progress' });
  const completed = { workorder_status: 'completed', resolution: 'Done.' };
  t.equal((await change(path, completed)).status, 200);
  t.match(await fleet.events(scheduleId), [{ status: 'open' }]);
});

t.test('an event whose unit the caller does not see any more stays as it is', async (t) => {
  const { scheduleId, workorder } = await linked();
  const moveUnit = (accountId: number) =>
    fleet.portal.owner.query('update equipment set account_id = $1 where equipment_id = $2', [
      accountId,
      fleet.unitId,
    ]);
  await moveUnit(mine.accountIds[1]);
  const path = `/v1/workorders/${String(workorder['workorder_id'])}/transitions`;
  for (const payload of [
    { workorder_status: 'in_progress' },
    { workorder_status: 'completed', resolution: 'Done.' },
  ]) {
    const answer = await fleet.as('held', { method: 'POST', url: path, payload });
    t.equal(answer.status, 200, answer.text);
  }
  t.match(await fleet.events(scheduleId), [{ status: 'open' }]);
  await moveUnit(mine.accountIds[0]);
});

t.test('a last time that is yet to come, since the zone has moved, is today', async (t) => {
  const { scheduleId, workorder } = await linked();
  await fleet.portal.owner.query(
    'update preventive_maintenance_schedule set last_done_on = $1 where pm_schedule_id = $2',
    [addDays(today, 1), scheduleId],
  );
  await complete({ ...workorder, ...done(0) });
  t.match(await fleet.events(scheduleId), [{ status: 'completed', performed_date: today }]);
});
