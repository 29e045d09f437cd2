/** What comes due without anybody writing: as days pass, and as devices report. Rounds are awaited, and the clock is moved. */
import t from 'tap';
import { startOfDayMs, addDays, dayIn } from '../calendar.ts';
import type { Row } from '../resources/define.ts';
import { DAY_MS, HOUR_MS, TestFleet } from './test-fleet.ts';

const fleet = await TestFleet.start(t);
const { owner, seed } = fleet.portal;
// The database keeps fixes of a hundred days, and of ten to come.
fleet.clock.nowMs -= 60 * DAY_MS;
const today = (): string => dayIn('Europe/Berlin', fleet.clock.nowMs);

t.test('an odometer that runs, as ingestion writes it', async (t) => {
  await fleet.drive(398_000);
  const schedule = await fleet.makeSchedule({
    frequency_type: 'km',
    frequency_interval: 10_000,
    due_soon_km: 1_000,
    interval_engine_hours: 400,
    due_soon_engine_hours: 20,
  });
  const id = schedule['pm_schedule_id'];
  t.match(schedule, {
    due_status: 'ok',
    start_odometer_m: 398_000_000,
    start_engine_hours_h: null,
  });
  const seen: unknown[] = [];
  const look = async () => {
    const round = await fleet.round();
    const { due_status } = await fleet.schedule(id);
    const events = await fleet.events(id);
    seen.push([due_status, events.length]);
    return round;
  };
  t.match(await look(), { schedules: 0 }, 'nothing has changed');
  for (const km of [402_000, 406_999, 407_000, 407_900, 408_000, 408_050, 408_100, 409_000]) {
    fleet.clock.nowMs += HOUR_MS;
    await fleet.drive(km);
    await look();
  }
  t.same(seen, [
    ['ok', 0],
    ['ok', 0],
    ['ok', 0],
    ['due_soon', 0],
    ['due_soon', 0],
    ['due', 1],
    ['due', 1],
    ['overdue', 1],
    ['overdue', 1],
  ]);
  const [event] = await fleet.events(id);
  t.match(event, { status: 'open', due_odometer_m: 408_000_000, created_by: null });
  const { rows } = await owner.query<Row>(
    `select cause, event_type, actor_user_id from activity_feed
     where entity_type = 'preventive_maintenance_event' and entity_id = $1`,
    [String(event!['pm_event_id'])],
  );
  t.match(rows, [{ cause: 'system', event_type: 'record_created', actor_user_id: null }]);
  await fleet.moveEvent(event!['pm_event_id'], { status: 'completed' });
  t.match(await fleet.schedule(id), { next_due_odometer_m: 419_000_000, due_status: 'ok' });
});

t.test('engine hours that run', async (t) => {
  const schedule = await fleet.makeSchedule({
    frequency_type: 'engine_hours',
    frequency_interval: 250,
  });
  const id = schedule['pm_schedule_id'];
  t.equal(schedule['due_status'], 'no_data');
  const looked: unknown[] = [];
  for (const hours of [9_000, 9_249.9, 9_250, 9_253]) {
    fleet.clock.nowMs += HOUR_MS;
    await fleet.runEngine(hours);
    await fleet.round();
    looked.push((await fleet.schedule(id))['due_status']);
  }
  t.same(looked, ['ok', 'ok', 'due', 'overdue']);
  t.match(await fleet.schedule(id), {
    start_engine_hours_h: 9_000,
    next_due_engine_hours_h: 9_250,
  });
  t.equal((await fleet.events(id)).length, 1);
  t.match(await fleet.get(`preventive-maintenance-schedules/${String(id)}/due`), {
    body: {
      due_status: 'overdue',
      engine_hours_left_h: -3,
      reasons: [{ dimension: 'engine_hours', due_value: 9_250, now_value: 9_253, due_on: null }],
    },
  });
});

t.test('days that pass in the zone of the customer', async (t) => {
  const schedule = await fleet.makeSchedule({
    frequency_type: 'days',
    frequency_interval: 10,
    due_soon_days: 3,
  });
  const id = schedule['pm_schedule_id'];
  const start = today();
  const looked: unknown[] = [];
  for (const [day, offsetMs] of [
    [7, -1],
    [7, 0],
    [10, -1],
    [10, 0],
    [11, -1],
    [11, 0],
  ] as const) {
    fleet.clock.nowMs = startOfDayMs('Europe/Berlin', addDays(start, day)) + offsetMs;
    await fleet.round();
    looked.push((await fleet.schedule(id))['due_status']);
  }
  t.same(looked, ['ok', 'due_soon', 'due_soon', 'due', 'due', 'overdue']);
  const { version } = await fleet.schedule(id);
  await fleet.round();
  t.equal((await fleet.schedule(id))['version'], version, 'what is as it was is not written');
});

t.test('of fifty rounds at once one opens the event', async (t) => {
  const schedule = await fleet.makeSchedule({ frequency_type: 'days', frequency_interval: 5 });
  fleet.clock.nowMs += 5 * DAY_MS;
  const rounds = await Promise.all(Array.from({ length: 50 }, () => fleet.round()));
  const opened = rounds.reduce((sum, one) => sum + one.eventsOpened, 0);
  t.equal(opened, 1);
  const id = schedule['pm_schedule_id'];
  t.match(await fleet.events(id), [{ status: 'open' }]);
  const [event] = await fleet.events(id);
  const tries = await Promise.all([
    ...Array.from({ length: 25 }, () => fleet.round()),
    ...Array.from({ length: 25 }, () =>
      fleet.moveEvent(event!['pm_event_id'], { status: 'completed' }),
    ),
  ]);
  t.equal(tries.filter((one) => 'status' in one && one.status === 200).length, 1);
  t.equal((await fleet.events(id)).length, 1, 'and none after it was completed');
});

t.test('what nobody has ever looked at, in small stretches', async (t) => {
  const { rows } = await owner.query<{ id: number }>(
    `insert into preventive_maintenance_schedule (customer_id, account_id, equipment_id, schedule_name,
       frequency_interval, frequency_type, starts_on)
     select $1, $2, $3, 'imported ' || n, 10, 'days', $4::date - n from generate_series(1, 25) n
     returning pm_schedule_id as id`,
    [seed.mine.customerId, seed.mine.accountIds[0], fleet.unitId, today()],
  );
  const round = await fleet.round({ watchedRowsMax: 7, batchRowsMax: 3, tenantsMax: 1 });
  t.match(round, { tenants: 1, schedules: 25, eventsOpened: 16 });
  const list = await owner.query<{ due_status: string; count: number }>(
    `select due_status, count(*) from preventive_maintenance_schedule where pm_schedule_id = any($1) group by 1`,
    [rows.map(({ id }) => id)],
  );
  const counts = Object.fromEntries(list.rows.map((row) => [row.due_status, row.count]));
  t.same(counts, { ok: 9, due: 1, overdue: 15 });
  t.match(await fleet.round(), { schedules: 0, eventsOpened: 0 });
});

t.test(
  'what is paused is not looked at, and other tenants are looked at as themselves',
  async (t) => {
    const foreign = seed.foreign;
    const { rows } = await owner.query<{ id: number }>(
      `insert into preventive_maintenance_schedule (customer_id, account_id, equipment_id, schedule_name,
       frequency_interval, frequency_type, starts_on, status)
     select $1, $2, $3, s, 1, 'days', '2026-01-01', s from unnest(array['active', 'paused', 'ended']) s
     returning pm_schedule_id as id`,
      [foreign.customerId, foreign.accountIds[0], foreign.equipmentIds[0]],
    );
    t.match(await fleet.round(), { tenants: 2, schedules: 1, eventsOpened: 1 });
    const events = await owner.query<Row>(
      'select customer_id, pm_schedule_id from preventive_maintenance_event where pm_schedule_id = any($1)',
      [rows.map(({ id }) => id)],
    );
    t.same(events.rows, [{ customer_id: foreign.customerId, pm_schedule_id: rows[0]!.id }]);
  },
);

t.test('the list of what is due', async (t) => {
  const list = await fleet.get('maintenance-due?limit=5');
  t.equal(list.status, 200, list.text);
  const data = list.body['data'] as Row[];
  t.ok(data.every((row) => row['due_status'] === 'overdue' && row['open_event_id'] !== null));
  const days = data.map((row) => row['next_due_on'] as string);
  t.same(days, [...days].sort(), 'the longest overdue first');
  const all: Row[] = [];
  for (let cursor = ''; ;) {
    const page = await fleet.get(`maintenance-due?limit=4&within_days=3650${cursor}`);
    all.push(...(page.body['data'] as Row[]));
    const { next_cursor } = page.body['page'] as { next_cursor: string | null };
    if (next_cursor === null) break;
    cursor = `&cursor=${next_cursor}`;
  }
  const ids = all.map((row) => row['pm_schedule_id']);
  t.equal(new Set(ids).size, ids.length, 'each once');
  const due = await fleet.get('maintenance-due?status=due&within_days=0');
  t.ok(
    (due.body['data'] as Row[]).every(
      (row) => row['due_status'] === 'due' && row['days_left'] === 0,
    ),
  );
  t.match((await fleet.get('maintenance-due?status=later')).status, 400);
  const held = await fleet.as('held', {
    url: `/v1/maintenance-due?account_id=${seed.mine.accountIds[1]}`,
  });
  t.same(held.body['data'], []);
});

t.test('the forecast of a unit that runs, and that of one without data', async (t) => {
  fleet.clock.nowMs += 10 * DAY_MS;
  await fleet.drive(420_000, 1);
  fleet.clock.nowMs += 4 * DAY_MS;
  await fleet.drive(420_460, 1);
  const [, south] = seed.mine.accountIds;
  const given = { account_id: south, equipment_id: seed.mine.equipmentIds[1], due_soon_km: 500 };
  const every = { ...given, frequency_type: 'km', frequency_interval: 5_000 };
  const schedule = await fleet.makeSchedule(every);
  const due = await fleet.get(
    `preventive-maintenance-schedules/${String(schedule['pm_schedule_id'])}/due`,
  );
  // 115 km a day.
  t.match(due.body, {
    forecast_due_on: addDays(today(), 43),
    distance_left_m: 5_000_000,
    reasons: [{ forecast_due_soon_on: addDays(today(), 39) }],
  });
  const soon = await fleet.get(
    `maintenance-due?within_days=43&equipment_id=${seed.mine.equipmentIds[1]}`,
  );
  t.equal((soon.body['data'] as Row[]).length, 1);
  const later = await fleet.get(
    `maintenance-due?within_days=42&equipment_id=${seed.mine.equipmentIds[1]}`,
  );
  t.same(later.body['data'], []);
});

t.test('what is due by date alone, and later than asked for, takes up no page', async (t) => {
  const equipment_id = seed.mine.equipmentIds[2];
  const later = { equipment_id, account_id: null, frequency_interval: 100 };
  await fleet.makeSchedule({ ...later, frequency_type: 'days' });
  await fleet.makeSchedule({ ...later, frequency_type: 'days' });
  const none = await fleet.get(
    `maintenance-due?within_days=99&limit=1&equipment_id=${equipment_id}`,
  );
  t.match(none.body, { data: [], page: { has_more: false } });
  const one = await fleet.get(
    `maintenance-due?within_days=100&limit=1&equipment_id=${equipment_id}`,
  );
  t.match(one.body, { page: { has_more: true } });
  t.equal((one.body['data'] as Row[]).length, 1);
});

const ofHeld = (method: 'POST' | 'PATCH', url: string, payload: Row) =>
  fleet.as('held', { method, url: `/v1/${url}`, payload, headers: { 'if-match': '*' } });

t.test('readings of those who do not see a schedule move it all the same', async (t) => {
  fleet.clock.nowMs += HOUR_MS;
  await fleet.drive(500_000);
  const { pm_schedule_id: id } = await fleet.makeSchedule({
    account_id: seed.mine.accountIds[1],
    frequency_type: 'km',
    frequency_interval: 100,
  });
  const standing = async () => {
    await fleet.round();
    return (await fleet.schedule(id))['due_status'];
  };
  const [kept, late] = [500_050, 500_200].map((equipment_reading, index) => ({
    equipment_id: fleet.unitId,
    reading_type: 'odometer',
    equipment_reading,
    reading_at: new Date(fleet.clock.nowMs + index).toISOString(),
  }));
  const uom_lookup_id = await fleet.uomId('km');
  t.equal(await standing(), 'ok');
  await ofHeld('POST', 'equipment-readings', { ...kept, uom_lookup_id });
  const { version } = await fleet.schedule(id);
  t.equal(await standing(), 'ok');
  t.not((await fleet.schedule(id))['version'], version, 'it was looked at');
  const { body } = await ofHeld('POST', 'equipment-readings', { ...late, uom_lookup_id });
  t.equal((await fleet.schedule(id))['due_status'], 'ok', 'not yet');
  t.equal(await standing(), 'overdue');
  t.match(await fleet.events(id), [{ status: 'open', due_odometer_m: 500_100_000 }]);
  const voided = { is_void: true, void_reason: 'Another unit' };
  const url = `equipment-readings/${String(body['equipment_reading_id'])}`;
  t.equal((await ofHeld('PATCH', url, voided)).status, 200);
  t.equal(await standing(), 'ok', 'and back again');
});

t.test('a schedule is not reckoned by those who do not see its unit', async (t) => {
  fleet.clock.nowMs += HOUR_MS;
  await fleet.drive(950, 1);
  const { accountIds, equipmentIds } = seed.mine;
  const schedule = await fleet.makeSchedule({
    account_id: accountIds[0],
    equipment_id: equipmentIds[1],
    frequency_type: 'km',
    frequency_interval: 1_000,
    due_soon_km: 100,
    start_odometer_m: 0,
  });
  const url = `preventive-maintenance-schedules/${String(schedule['pm_schedule_id'])}`;
  const about = { pm_schedule_id: schedule['pm_schedule_id'], equipment_id: equipmentIds[1] };
  const standing = async () => {
    await fleet.round();
    const { due_status, next_due_odometer_m } = await fleet.schedule(about.pm_schedule_id);
    return [due_status, next_due_odometer_m];
  };
  t.same(await standing(), ['due_soon', 1_000_000]);
  const told = await ofHeld('PATCH', url, { work_instructions: 'Oil.' });
  t.match(told, { status: 200, body: { due_status: 'due_soon', start_odometer_m: 0 } });
  t.same(await standing(), ['due_soon', 1_000_000]);
  t.match(await ofHeld('PATCH', url, { status: 'paused' }), { body: { due_status: 'ok' } });
  await ofHeld('PATCH', url, { status: 'active', frequency_interval: 500 });
  t.same(await fleet.events(about.pm_schedule_id), [], 'it is for the round to say');
  t.same(await standing(), ['overdue', 500_000]);
  const [event] = await fleet.events(about.pm_schedule_id);
  const path = `preventive-maintenance-events/${String(event!['pm_event_id'])}/transitions`;
  const refused = { status: 409, body: { errors: [{ pointer: '/equipment_id' }] } };
  t.match(await ofHeld('POST', path, { status: 'completed' }), refused);
  const skipped = await ofHeld('POST', path, { status: 'skipped', status_reason: 'Laid up.' });
  t.equal(skipped.status, 200, skipped.text);
  const events = await fleet.events(about.pm_schedule_id);
  t.match(events, [{ status: 'skipped' }], 'none is opened by what it was');
  t.equal(events.length, 1);
  t.same(await standing(), ['due_soon', 1_000_000]);
  const done = { ...about, account_id: accountIds[0], status: 'completed' };
  const made = await ofHeld('POST', 'preventive-maintenance-events', done);
  t.match(made, { status: 422, body: { errors: [{ pointer: '/equipment_id' }] } }, made.text);
});

t.test('a schedule is not reckoned by those who do not see what was done last', async (t) => {
  fleet.clock.nowMs += HOUR_MS;
  await fleet.drive(600_000);
  const { accountIds } = seed.mine;
  const uom_lookup_id = await fleet.uomId('km');
  const read = async (equipment_reading: number) => {
    const reading_at = new Date((fleet.clock.nowMs += 1)).toISOString();
    const about = { equipment_id: fleet.unitId, reading_type: 'odometer', uom_lookup_id };
    const made = await ofHeld('POST', 'equipment-readings', {
      ...about,
      equipment_reading,
      reading_at,
    });
    t.equal(made.status, 201, made.text);
  };
  const make = async () => {
    const plan = { frequency_type: 'km', frequency_interval: 1_000 };
    const schedule = await fleet.makeSchedule({ account_id: accountIds[1], ...plan });
    return schedule['pm_schedule_id'] as number;
  };
  // Their account, and the whole customer.
  const moved = [
    { id: await make(), account_id: accountIds[0] },
    { id: await make(), account_id: null },
  ];
  fleet.clock.nowMs += HOUR_MS;
  await fleet.drive(601_100);
  await fleet.round();
  for (const { id, account_id } of moved) {
    const url = `preventive-maintenance-schedules/${id}`;
    const [event] = await fleet.events(id);
    await fleet.moveEvent(event!['pm_event_id'], { status: 'skipped', status_reason: 'Laid up.' });
    t.equal((await fleet.patch(url, { account_id })).status, 200);
    t.match(await fleet.events(id), [{ status: 'skipped', account_id: accountIds[1] }]);
    const known = { due_status: 'ok', next_due_odometer_m: 602_000_000 };
    const same = async (name: string) => {
      t.match(await fleet.schedule(id), known, name);
      t.equal((await fleet.events(id)).length, 1, name);
    };
    await same('skipped');
    await read(601_150);
    await same('a reading');
    const { version } = await fleet.schedule(id);
    await fleet.round();
    await same('a round');
    t.not((await fleet.schedule(id))['version'], version, 'it was looked at');
    // What is of the whole customer is not theirs to change.
    if (account_id === null) continue;
    const told = await ofHeld('PATCH', url, { frequency_interval: 1_001 });
    t.match(told, { status: 200, body: known }, 'a change');
    await ofHeld('PATCH', url, { frequency_interval: 1_000 });
    await fleet.round();
    await same('another round');
  }
  for (const { id: pm_schedule_id } of moved) {
    const done = { pm_schedule_id, equipment_id: fleet.unitId, account_id: accountIds[0] };
    await fleet.make('preventive-maintenance-events', { ...done, status: 'completed' });
  }
  await read(602_200);
  for (const { id } of moved) {
    const due = { due_status: 'overdue', next_due_odometer_m: 602_150_000 };
    t.match(await fleet.schedule(id), due, 'what is seen was done last');
  }
});
