/** Events of schedules: how they are opened, what completing, skipping, cancelling and deleting them does. */
import t from 'tap';
import { addDays, dayIn } from '../calendar.ts';
import type { Row } from '../resources/define.ts';
import { DAY_MS, HOUR_MS, TestFleet } from './test-fleet.ts';

const fleet = await TestFleet.start(t);
const ZONE = 'Europe/Berlin';
const today = (): string => dayIn(ZONE, fleet.clock.nowMs);
const refusal = (status: number, pointer: string) => ({ status, body: { errors: [{ pointer }] } });
/** Not near midnight, wherever. */
fleet.clock.nowMs = Math.floor(fleet.clock.nowMs / DAY_MS) * DAY_MS + 12 * HOUR_MS;

/** A schedule that is due today, with its open event. */
async function dueSchedule(given: Row = {}): Promise<{ schedule: Row; event: Row }> {
  const schedule = await fleet.makeSchedule({
    frequency_interval: 30,
    frequency_type: 'days',
    starts_on: addDays(today(), -30),
    ...given,
  });
  const [event] = await fleet.events(schedule['pm_schedule_id']);
  return { schedule, event: event! };
}

t.test('a schedule that is made due has an open event, and says so itself', async (t) => {
  const { schedule, event } = await dueSchedule();
  t.match(schedule, { due_status: 'due', next_due_on: today(), version: 1 });
  t.match(event, { status: 'open', due_on: today(), account_id: schedule['account_id'] });
  const shown = await fleet.schedule(schedule['pm_schedule_id']);
  t.same(shown, schedule, 'what it was answered with is what is stored');
  const later = await fleet.makeSchedule({ frequency_interval: 2, frequency_type: 'months' });
  t.match(later, { due_status: 'ok', starts_on: today() }, 'it starts today for the customer');
  t.same(await fleet.events(later['pm_schedule_id']), []);
});

t.test('what follows from the rest is not written by callers', async (t) => {
  const { schedule } = await dueSchedule();
  const url = `preventive-maintenance-schedules/${String(schedule['pm_schedule_id'])}`;
  const derived = ['due_status', 'next_due_on', 'next_due_odometer_m', 'status_changes_on'];
  for (const name of [...derived, 'last_done_on', 'last_done_odometer_m', 'brought_on']) {
    t.match(await fleet.patch(url, { [name]: null }), refusal(400, `/${name}`), name);
  }
  t.notOk('brought_on' in schedule);
  const bad: [Row, string][] = [
    [{ last_done_on: addDays(today(), 1) }, '/last_done_on'],
    [{ last_done_odometer_m: 5 }, '/last_done_on'],
    [{ frequency_interval: 101, frequency_type: 'years' }, '/frequency_interval'],
  ];
  for (const [given, pointer] of bad) {
    const body = {
      account_id: 1,
      equipment_id: fleet.unitId,
      schedule_name: 'x',
      frequency_interval: 1,
    };
    const payload = { ...body, frequency_type: 'days', ...given };
    t.match(await fleet.post('preventive-maintenance-schedules', payload), refusal(422, pointer));
  }
  t.match(
    await fleet.patch(url, { frequency_type: 'years', frequency_interval: 500 }),
    refusal(422, '/frequency_interval'),
  );
});

t.test('completed today: it counts from today', async (t) => {
  await fleet.drive(100_000);
  await fleet.runEngine(4_000);
  const { schedule, event } = await dueSchedule({
    interval_km: 500,
    starts_on: addDays(today(), -33),
  });
  t.equal(schedule['due_status'], 'overdue');
  t.equal(schedule['start_odometer_m'], 100_000_000, 'it starts from what the unit shows');
  const done = await fleet.moveEvent(event['pm_event_id'], { status: 'completed' });
  t.match(done, {
    status: 200,
    body: { performed_date: today(), odometer_m: 100_000_000, engine_hours_h: 4_000 },
  });
  t.match(await fleet.schedule(schedule['pm_schedule_id']), {
    due_status: 'ok',
    last_done_on: today(),
    last_done_odometer_m: 100_000_000,
    next_due_on: addDays(today(), 30),
    next_due_odometer_m: 100_500_000,
  });
  t.equal((await fleet.events(schedule['pm_schedule_id'])).length, 1, 'and none is open');
});

t.test('completed late by schedule: it counts from when it had been due', async (t) => {
  const { schedule, event } = await dueSchedule({
    anchor: 'from_schedule',
    starts_on: addDays(today(), -35),
  });
  t.match(schedule, { due_status: 'overdue', next_due_on: addDays(today(), -5) });
  await fleet.moveEvent(event['pm_event_id'], { status: 'completed' });
  t.match(await fleet.schedule(schedule['pm_schedule_id']), {
    last_done_on: today(),
    next_due_on: addDays(today(), 25),
  });
});

t.test('skipped: the next comes in its turn', async (t) => {
  for (const anchor of ['from_completion', 'from_schedule']) {
    const { schedule, event } = await dueSchedule({ anchor, starts_on: addDays(today(), -32) });
    const id = event['pm_event_id'];
    t.match(await fleet.moveEvent(id, { status: 'skipped' }), refusal(422, '/status_reason'));
    const skipped = await fleet.moveEvent(id, { status: 'skipped', status_reason: 'Laid up.' });
    t.equal(skipped.status, 200, skipped.text);
    t.match(await fleet.schedule(schedule['pm_schedule_id']), {
      last_done_on: null,
      next_due_on: addDays(today(), 28),
      due_status: 'ok',
    });
  }
});

t.test('cancelled: it is looked at anew, and what is still due is opened again', async (t) => {
  const { schedule, event } = await dueSchedule();
  const reason = { status: 'cancelled', status_reason: 'Opened twice, it seemed.' };
  t.equal((await fleet.moveEvent(event['pm_event_id'], reason)).status, 200);
  t.match(await fleet.events(schedule['pm_schedule_id']), [
    { status: 'cancelled' },
    { status: 'open' },
  ]);
  const url = `preventive-maintenance-schedules/${String(schedule['pm_schedule_id'])}`;
  await fleet.patch(url, { status: 'paused' });
  const [, open] = await fleet.events(schedule['pm_schedule_id']);
  t.equal((await fleet.moveEvent(open!['pm_event_id'], reason)).status, 200);
  t.equal((await fleet.events(schedule['pm_schedule_id'])).length, 2, 'but not while it is paused');
  t.match(await fleet.patch(url, { status: 'active' }), { body: { due_status: 'due' } });
  t.match((await fleet.events(schedule['pm_schedule_id']))[2], { status: 'open' });
});

t.test('a completion on a day and at meters that cannot be is refused', async (t) => {
  const { event } = await dueSchedule({
    last_done_on: addDays(today(), -40),
    last_done_odometer_m: 90_000_000,
    last_done_engine_hours_h: 3_900,
  });
  const bad: [Row, string][] = [
    [{ performed_date: addDays(today(), 1) }, '/performed_date'],
    [{ performed_date: addDays(today(), -41) }, '/performed_date'],
    [{ odometer_m: 89_999_999 }, '/odometer_m'],
    [{ engine_hours_h: 3_899 }, '/engine_hours_h'],
  ];
  for (const [given, pointer] of bad) {
    const answer = await fleet.moveEvent(event['pm_event_id'], { status: 'completed', ...given });
    t.match(answer, refusal(422, pointer), answer.text);
  }
  const on = addDays(today(), -40);
  const done = await fleet.moveEvent(event['pm_event_id'], {
    status: 'completed',
    performed_date: on,
    odometer_m: 90_000_000,
  });
  t.equal(done.status, 200, done.text);
});

t.test('a day in the past has the meters of that day', async (t) => {
  const begin = fleet.clock.nowMs + HOUR_MS;
  fleet.clock.nowMs = begin;
  await fleet.drive(101_000);
  fleet.clock.nowMs = begin + DAY_MS;
  await fleet.drive(101_700);
  fleet.clock.nowMs = begin + 2 * DAY_MS;
  await fleet.drive(102_000);
  const { event } = await dueSchedule();
  const done = await fleet.moveEvent(event['pm_event_id'], {
    status: 'completed',
    performed_date: addDays(today(), -1),
  });
  t.equal(done.body['odometer_m'], 101_700_000);
});

t.test('recorded after the fact, and undone', async (t) => {
  const schedule = await fleet.makeSchedule({
    frequency_interval: 1,
    frequency_type: 'months',
    starts_on: addDays(today(), -10),
    last_done_on: addDays(today(), -12),
    last_done_odometer_m: 90_000_000,
  });
  const id = schedule['pm_schedule_id'];
  const record = (performed_date: string) =>
    fleet.post('preventive-maintenance-events', {
      equipment_id: fleet.unitId,
      pm_schedule_id: id,
      status: 'completed',
      performed_date,
      odometer_m: 95_000_000,
    });
  const first = await record(addDays(today(), -8));
  t.equal(first.status, 201, first.text);
  t.equal(first.body['due_on'], schedule['next_due_on'], 'what it had been due at is noted');
  t.match(await record(addDays(today(), -9)), refusal(422, '/performed_date'));
  const second = await record(addDays(today(), -2));
  t.match(await fleet.schedule(id), { last_done_on: addDays(today(), -2) });
  await fleet.remove(`preventive-maintenance-events/${String(second.body['pm_event_id'])}`);
  t.match(await fleet.schedule(id), { last_done_on: addDays(today(), -8) });
  await fleet.remove(`preventive-maintenance-events/${String(first.body['pm_event_id'])}`);
  const { version, updated_at, ...rest } = await fleet.schedule(id);
  t.match(schedule, rest, 'all of it undone, it is as it was made');
  t.ok(version !== schedule['version'] && updated_at !== schedule['updated_at']);
});

t.test('a schedule has one open event', async (t) => {
  const { schedule, event } = await dueSchedule();
  for (const status of ['open', 'in_progress', 'completed']) {
    const payload = {
      equipment_id: fleet.unitId,
      pm_schedule_id: schedule['pm_schedule_id'],
      status,
    };
    const answer = await fleet.post('preventive-maintenance-events', payload);
    t.match(answer, refusal(409, '/pm_schedule_id'), answer.text);
  }
  const payload = {
    equipment_id: fleet.unitId,
    pm_schedule_id: schedule['pm_schedule_id'],
    status: 'skipped',
  };
  t.match(await fleet.post('preventive-maintenance-events', payload), refusal(422, '/status'));
  const url = `preventive-maintenance-events/${String(event['pm_event_id'])}`;
  t.match(await fleet.get(`${url}/transitions`), {
    body: { allowed_transitions: ['in_progress', 'completed', 'skipped', 'cancelled'] },
  });
});

t.test('what is settled stays', async (t) => {
  const { event } = await dueSchedule();
  const url = `preventive-maintenance-events/${String(event['pm_event_id'])}`;
  t.equal((await fleet.moveEvent(event['pm_event_id'], { status: 'in_progress' })).status, 200);
  t.equal((await fleet.moveEvent(event['pm_event_id'], { status: 'open' })).status, 200);
  t.equal((await fleet.moveEvent(event['pm_event_id'], { status: 'completed' })).status, 200);
  for (const given of [{ performed_date: today() + '' }, { odometer_m: 1 }, { status: 'open' }]) {
    const answer = await fleet.patch(url, { ...given, performed_date: addDays(today(), -1) });
    t.match(answer, { status: 409, body: { allowedTransitions: [] } }, answer.text);
  }
  const told = { cost: 12.5, currency_code: 'EUR', work_performed: 'Greased.', performed_by: 'Jo' };
  t.match(await fleet.patch(url, told), { status: 200, body: told });
});

t.test('parts: their currency, their event, and what they come to', async (t) => {
  const { event } = await dueSchedule();
  const pm_event_id = event['pm_event_id'];
  const part = {
    pm_event_id,
    part_name: 'Filter',
    part_quantity: 3,
    part_cost: 0.1,
    currency_code: 'EUR',
  };
  const made = await fleet.make('pm-parts-used', part);
  t.match(
    await fleet.post('pm-parts-used', { ...part, currency_code: 'USD' }),
    refusal(422, '/currency_code'),
  );
  await fleet.make('pm-parts-used', { ...part, part_quantity: 1, part_cost: 0.2 });
  const gone = await fleet.make('pm-parts-used', { ...part, part_cost: 700 });
  await fleet.remove(`pm-parts-used/${String(gone['pm_parts_id'])}`);
  const url = `preventive-maintenance-events/${String(pm_event_id)}`;
  t.match(await fleet.patch(url, { currency_code: 'USD' }), refusal(422, '/currency_code'));
  t.match(await fleet.moveEvent(pm_event_id, { status: 'completed' }), {
    body: { cost: 0.5, currency_code: 'EUR' },
  });
  const one = `pm-parts-used/${String(made['pm_parts_id'])}`;
  t.match(await fleet.patch(one, { currency_code: 'USD' }), refusal(422, '/currency_code'));
  const other = await dueSchedule();
  await fleet.moveEvent(other.event['pm_event_id'], { status: 'cancelled', status_reason: 'x' });
  const late = { ...part, pm_event_id: other.event['pm_event_id'] };
  t.match(await fleet.post('pm-parts-used', late), refusal(409, '/pm_event_id'));
});

t.test('parts in several currencies, from before that was refused, come to no cost', async (t) => {
  const { event } = await dueSchedule();
  const pm_event_id = event['pm_event_id'];
  const part = { pm_event_id, part_name: 'Filter', part_cost: 5, currency_code: 'EUR' };
  await fleet.make('pm-parts-used', part);
  const { pm_parts_id } = await fleet.make('pm-parts-used', part);
  await fleet.portal.owner.query(
    `alter table pm_parts_used disable trigger user;
     update pm_parts_used set currency_code = 'USD' where pm_parts_id = ${String(pm_parts_id)};
     alter table pm_parts_used enable trigger user`,
  );
  t.match(await fleet.moveEvent(pm_event_id, { status: 'completed' }), {
    status: 200,
    body: { status: 'completed', cost: null, currency_code: null },
  });
});

t.test('a work order is one of the same unit', async (t) => {
  const order = (index: 0 | 1) =>
    fleet.make('workorders', {
      account_id: fleet.portal.seed.mine.accountIds[index],
      equipment_id: fleet.portal.seed.mine.equipmentIds[index],
      workorder_description: 'Service',
      currency_code: 'EUR',
    });
  const { event } = await dueSchedule();
  const url = `preventive-maintenance-events/${String(event['pm_event_id'])}`;
  const { workorder_id: other } = await order(1);
  t.match(await fleet.patch(url, { workorder_id: other }), refusal(422, '/workorder_id'));
  const { workorder_id } = await order(0);
  t.match(await fleet.patch(url, { workorder_id }), { status: 200, body: { workorder_id } });
});

t.test('a schedule that is deleted takes its open event with it', async (t) => {
  const { schedule, event } = await dueSchedule();
  const url = `preventive-maintenance-schedules/${String(schedule['pm_schedule_id'])}`;
  await fleet.moveEvent(event['pm_event_id'], { status: 'in_progress' });
  t.equal((await fleet.remove(url)).status, 409, 'not while somebody is at work on it');
  await fleet.moveEvent(event['pm_event_id'], { status: 'open' });
  t.equal((await fleet.remove(url)).status, 204);
  t.match(await fleet.events(schedule['pm_schedule_id']), [{ status: 'cancelled' }]);
});

t.test('of fifty who complete it at once one does', async (t) => {
  const { schedule, event } = await dueSchedule();
  const before = (await fleet.schedule(schedule['pm_schedule_id']))['version'] as number;
  const answers = await Promise.all(
    Array.from({ length: 50 }, () =>
      fleet.moveEvent(event['pm_event_id'], { status: 'completed' }),
    ),
  );
  const refused = answers.filter(({ status }) => status !== 200);
  t.equal(refused.length, 49);
  for (const one of refused)
    t.match(one, { status: 409, body: { allowedTransitions: [] } }, one.text);
  t.match(await fleet.schedule(schedule['pm_schedule_id']), {
    version: before + 1,
    next_due_on: addDays(today(), 30),
  });
});

t.test('a day of which no meter is known counts from the last that is', async (t) => {
  const { accountIds, equipmentIds } = fleet.portal.seed.mine;
  const unit = { equipment_id: equipmentIds[1], account_id: accountIds[1] };
  const ofUnit = { ...unit, interval_km: 100, start_odometer_m: 0 };
  const completed = async (scheduleId: unknown, given: Row = {}) => {
    const payload = { ...unit, pm_schedule_id: scheduleId, status: 'completed', ...given };
    const open = (await fleet.events(scheduleId)).find(({ status }) => status === 'open');
    return open
      ? fleet.moveEvent(open['pm_event_id'], { status: 'completed', ...given })
      : fleet.post('preventive-maintenance-events', payload);
  };
  fleet.clock.nowMs -= 100 * DAY_MS;
  const first = await dueSchedule(ofUnit);
  const id = first.schedule['pm_schedule_id'];
  const early = await completed(id, { performed_date: '0001-01-01' });
  t.match(early, { status: 200, body: { odometer_m: null } }, 'a unit of which nothing is known');
  await fleet.drive(1_000, 1);
  const late = await dueSchedule(ofUnit);
  const before = { performed_date: addDays(today(), -1) };
  t.match(await completed(late.schedule['pm_schedule_id'], before), {
    body: { odometer_m: 1_000_000 },
  });
  t.match((await completed(id)).body, { odometer_m: 1_000_000 });

  fleet.clock.nowMs += 50 * DAY_MS;
  await fleet.round();
  const yesterday = { performed_date: addDays(today(), -1) };
  const silent = await completed(id, yesterday);
  t.match(silent.body, { ...yesterday, odometer_m: 1_000_000 }, 'a device that has been silent');
  t.match(await fleet.schedule(id), {
    due_status: 'ok',
    last_done_odometer_m: 1_000_000,
    next_due_odometer_m: 1_100_000,
  });
  const statuses = (await fleet.events(id)).map(({ status }) => status);
  t.same(statuses, ['completed', 'completed', 'completed'], 'and none is open');

  await completed(id, { odometer_m: 1_080_000 });
  fleet.clock.nowMs += 50 * DAY_MS;
  await fleet.drive(1_500, 1);
  const told = await completed(id, { performed_date: addDays(today(), -1) });
  t.match(told.body, { odometer_m: 1_080_000 }, 'never below that of the last time');
  t.match(await fleet.schedule(id), { next_due_odometer_m: 1_180_000, due_status: 'overdue' });
});
