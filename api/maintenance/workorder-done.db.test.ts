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
    { status: 'completed', performed_date: addDays(today, -30), odometer_m: null },
  ]);
});

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
