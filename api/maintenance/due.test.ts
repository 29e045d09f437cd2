/** When maintenance is due: tables of cases, and random plans against a reference that goes day by day, kilometre by kilometre. */
import fc from 'fast-check';
import t from 'tap';
import { addDays, addMonths, dayIn, daysBetween, startOfDayMs } from '../calendar.ts';
import {
  dueState,
  FORECAST_DAYS_MAX,
  METER_TOLERANCE,
  withStart,
  type DueHistory,
  type DuePlan,
  type Mark,
  type Meters,
} from './due.ts';

const PLAN: DuePlan = {
  status: 'active',
  frequency_interval: 1,
  frequency_type: 'months',
  interval_days: null,
  interval_km: null,
  interval_engine_hours: null,
  due_soon_days: null,
  due_soon_km: null,
  due_soon_engine_hours: null,
  anchor: 'from_completion',
  starts_on: '2026-01-31',
  start_odometer_m: null,
  start_engine_hours_h: null,
};
const NEVER: DueHistory = { done: null, due: null, isSkipped: false };
const NO_METERS: Meters = { odometer: null, engineHours: null };
const mark = (
  on: string | null,
  odometer_m: number | null = null,
  engine_hours_h: number | null = null,
): Mark => ({
  on,
  odometer_m,
  engine_hours_h,
});
const plan = (given: Partial<DuePlan>): DuePlan => ({ ...PLAN, ...given });
const km = (value: number, on = '2026-05-01', perDay: number | null = null): Meters => ({
  odometer: { value: value * 1_000, on, perDay: perDay === null ? null : perDay * 1_000 },
  engineHours: null,
});

t.test('the days on which it comes due, one after the other', (t) => {
  const rows: [string, Partial<DuePlan>, string[]][] = [
    ['a month after the 31st', {}, ['2026-02-28', '2026-03-31', '2026-04-30', '2026-05-31']],
    [
      'every quarter from a 30th of November',
      { frequency_interval: 3, starts_on: '2026-11-30' },
      ['2027-02-28', '2027-05-30', '2027-08-30', '2027-11-30', '2028-02-29'],
    ],
    [
      'every year from a leap day',
      { frequency_type: 'years', starts_on: '2024-02-29' },
      ['2025-02-28', '2026-02-28', '2027-02-28', '2028-02-29', '2029-02-28'],
    ],
    [
      'every hundred years, past one that is no leap year',
      { frequency_type: 'years', frequency_interval: 76, starts_on: '2024-02-29' },
      ['2100-02-28', '2176-02-29'],
    ],
    [
      'over the end of a year, by days',
      { frequency_type: 'days', starts_on: '2026-12-31' },
      ['2027-01-01', '2027-01-02'],
    ],
    [
      'by weeks over a leap day',
      { frequency_type: 'weeks', starts_on: '2028-02-25' },
      ['2028-03-03', '2028-03-10'],
    ],
    [
      'by weeks over the days of 23 and 25 hours in Berlin',
      { frequency_type: 'weeks', starts_on: '2026-03-25', frequency_interval: 31 },
      ['2026-10-28', '2027-06-02'],
    ],
  ];
  for (const [name, given, days] of rows) {
    const fixed = plan({ ...given, anchor: 'from_schedule' });
    let history = NEVER;
    for (const day of days) {
      const { next_due_on } = dueState(fixed, history, NO_METERS, '2026-01-01');
      t.equal(next_due_on, day, name);
      history = { done: mark(day), due: mark(day), isSkipped: false };
    }
  }
  t.end();
});

t.test('from where the next one is counted', (t) => {
  const rows: [string, Partial<DuePlan>, DueHistory, string][] = [
    ['from the start', {}, NEVER, '2026-02-28'],
    ['from when it was done', {}, { ...NEVER, done: mark('2026-03-05') }, '2026-04-05'],
    ['done late, by completion', {}, { done: mark('2026-03-10'), due: mark('2026-02-28'), isSkipped: false }, '2026-04-10'],
    ['skipped, by completion', {}, { done: mark('2026-01-15'), due: mark('2026-02-15'), isSkipped: true }, '2026-03-15'],
    ['done late, by schedule', { anchor: 'from_schedule' }, { done: mark('2026-03-10'), due: mark('2026-02-28'), isSkipped: false }, '2026-03-31'],
    ['done early, by schedule', { anchor: 'from_schedule' }, { done: mark('2026-02-03'), due: mark('2026-02-28'), isSkipped: false }, '2026-03-31'],
    ['skipped, by schedule', { anchor: 'from_schedule' }, { done: null, due: mark('2026-02-28'), isSkipped: true }, '2026-03-31'],
    ['done so late that it stands for two', { anchor: 'from_schedule' }, { done: mark('2026-04-02'), due: mark('2026-02-28'), isSkipped: false }, '2026-04-30'],
    ['done on the day of the one after', { anchor: 'from_schedule' }, { done: mark('2026-03-31'), due: mark('2026-02-28'), isSkipped: false }, '2026-04-30'],
    ['done before it starts', { anchor: 'from_schedule' }, { ...NEVER, done: mark('2025-06-01') }, '2026-02-28'],
    ['the further interval is earlier', { interval_days: 10 }, NEVER, '2026-02-10'],
    ['the further interval is later', { interval_days: 40 }, NEVER, '2026-02-28'],
  ]; // prettier-ignore
  for (const [name, given, history, day] of rows) {
    t.equal(dueState(plan(given), history, NO_METERS, '2026-01-01').next_due_on, day, name);
  }
  t.end();
});

t.test('its status by date', (t) => {
  const monthly = plan({ due_soon_days: 7, starts_on: '2026-04-10' });
  const rows = [
    ['2026-05-02', 'ok', 8, '2026-05-03'],
    ['2026-05-03', 'due_soon', 7, '2026-05-10'],
    ['2026-05-09', 'due_soon', 1, '2026-05-10'],
    ['2026-05-10', 'due', 0, '2026-05-11'],
    ['2026-05-11', 'overdue', -1, null],
    ['2027-05-11', 'overdue', -366, null],
  ] as const;
  for (const [today, status, left, changes] of rows) {
    const state = dueState(monthly, NEVER, NO_METERS, today);
    t.equal(state.status, status, today);
    const forecast = { forecast_due_on: '2026-05-10', forecast_due_soon_on: '2026-05-03' };
    const reason = {
      dimension: 'date',
      status,
      due_at: '2026-05-10',
      now: today,
      left,
      ...forecast,
    };
    t.same(state.reasons, [reason]);
    t.equal(state.changes.on, changes, today);
  }
  const late = plan({ starts_on: '2026-04-10' });
  t.equal(dueState(late, NEVER, NO_METERS, '2026-05-09').status, 'ok', 'without a threshold');
  t.equal(dueState(late, NEVER, NO_METERS, '2026-05-10').status, 'due');
  t.end();
});

t.test('its status by a meter', (t) => {
  const every = plan({
    frequency_type: 'km',
    frequency_interval: 10_000,
    due_soon_km: 500,
    start_odometer_m: 100_000_000,
  });
  const rows = [
    [109_499.999, 'ok', 109_500],
    [109_500, 'due_soon', 110_000],
    [109_999.999, 'due_soon', 110_000],
    [110_000, 'due', 110_100],
    [110_099.999, 'due', 110_100],
    [110_100, 'overdue', null],
    [180_000, 'overdue', null],
  ] as const;
  for (const [at, status, changes] of rows) {
    const state = dueState(every, NEVER, km(at), '2026-05-01');
    t.equal(state.status, status, String(at));
    t.equal(state.changes.odometer_m, changes === null ? null : changes * 1_000, String(at));
    t.equal(state.next_due_odometer_m, 110_000_000);
  }
  t.equal(METER_TOLERANCE, 0.01);
  t.end();
});

t.test('whichever comes first', (t) => {
  const both = plan({
    frequency_type: 'km',
    frequency_interval: 40_000,
    interval_days: 180,
    interval_engine_hours: 800,
    due_soon_days: 14,
    due_soon_km: 2_000,
    starts_on: '2026-01-05',
    start_odometer_m: 398_000_000,
    start_engine_hours_h: 9_120,
  });
  const meters = (odometer: number | null, hours: number | null): Meters => ({
    odometer:
      odometer === null ? null : { value: odometer * 1_000, on: '2026-05-01', perDay: null },
    engineHours: hours === null ? null : { value: hours, on: '2026-05-01', perDay: null },
  });
  const rows: [string, Meters, string, string, string[]][] = [
    ['nothing yet', meters(400_000, 9_200), '2026-05-01', 'ok', ['ok', 'ok', 'ok']],
    ['by distance', meters(438_000, 9_200), '2026-05-01', 'due', ['ok', 'due', 'ok']],
    ['by hours', meters(436_500, 9_940), '2026-05-01', 'overdue', ['ok', 'due_soon', 'overdue']],
    ['by date', meters(400_000, 9_200), '2026-07-04', 'due', ['due', 'ok', 'ok']],
    ['the date counts without meters', meters(null, null), '2026-06-20', 'due_soon', ['due_soon', 'no_data', 'no_data']],
    ['one meter counts without the other', meters(null, 9_920), '2026-05-01', 'due', ['ok', 'no_data', 'due']],
  ]; // prettier-ignore
  for (const [name, now, today, status, each] of rows) {
    const state = dueState(both, NEVER, now, today);
    t.equal(state.status, status, name);
    t.same(
      state.reasons.map((one) => one.status),
      each,
      name,
    );
  }
  const state = dueState(both, NEVER, meters(null, null), '2026-05-01');
  t.same(
    [state.next_due_on, state.next_due_odometer_m, state.next_due_engine_hours_h],
    ['2026-07-04', 438_000_000, 9_920],
  );
  const hours = dueState(plan({ frequency_type: 'engine_hours' }), NEVER, NO_METERS, '2026-05-01');
  t.match(hours, { status: 'no_data', changes: { engine_hours_h: 0 } }, 'the first reading counts');
  t.end();
});

t.test('miles, and the shorter of two distances', (t) => {
  const base = { start_odometer_m: 0, frequency_interval: 100 };
  const due = (given: Partial<DuePlan>) =>
    dueState(plan({ ...base, ...given }), NEVER, NO_METERS, '2026-05-01').next_due_odometer_m;
  t.equal(due({ frequency_type: 'miles' }), 160_934.4);
  t.equal(due({ frequency_type: 'miles', interval_km: 160 }), 160_000);
  t.equal(due({ frequency_type: 'miles', interval_km: 161 }), 160_934.4);
  t.equal(due({ interval_km: 42.195 }), 42_195, 'beside months');
  t.end();
});

t.test('a meter that starts nowhere starts at its first reading', (t) => {
  const every = plan({ frequency_type: 'km', frequency_interval: 1_000 });
  t.equal(dueState(every, NEVER, km(500), '2026-05-01').status, 'no_data');
  const started = withStart(every, NEVER, km(500));
  t.equal(started.start_odometer_m, 500_000);
  t.equal(dueState(started, NEVER, km(500), '2026-05-01').next_due_odometer_m, 1_500_000);
  t.equal(withStart(every, NEVER, NO_METERS).start_odometer_m, null);
  const done = { ...NEVER, done: mark('2026-01-01', 7_000) };
  t.equal(withStart(every, done, km(500)).start_odometer_m, null, 'it counts from the last time');
  t.equal(withStart(plan({}), NEVER, km(500)).start_odometer_m, null, 'it does not count by it');
  t.end();
});

t.test('fixed values of a meter', (t) => {
  const every = plan({
    frequency_type: 'km',
    frequency_interval: 10_000,
    anchor: 'from_schedule',
    start_odometer_m: 5_000_000,
  });
  const next = (done: number | null, due: number | null, given: Partial<DuePlan> = {}) =>
    dueState(
      { ...every, ...given },
      {
        done: done === null ? null : mark(null, done * 1_000),
        due: due === null ? null : mark(null, due * 1_000),
        isSkipped: false,
      },
      NO_METERS,
      '2026-05-01',
    ).next_due_odometer_m;
  t.equal(next(null, null), 15_000_000);
  t.equal(next(14_200, 15_000), 25_000_000, 'done early');
  t.equal(next(16_000, 15_000), 25_000_000, 'done late');
  t.equal(next(25_000, 15_000), 35_000_000, 'so late that it stands for two');
  t.equal(next(1_000, null), 15_000_000, 'done before it starts');
  t.equal(next(16_000, 15_000, { start_odometer_m: null }), 25_000_000, 'from the last due value');
  t.end();
});

t.test('the forecast by average use', (t) => {
  // 22,450 on the meter, an interval of 5,000, due soon 500 before, 115 a day: in 43 and 39 days.
  const every = plan({
    frequency_type: 'km',
    frequency_interval: 5_000,
    due_soon_km: 500,
    start_odometer_m: 22_450_000,
  });
  const today = '2026-05-01';
  const of = (meters: Meters) => dueState(every, NEVER, meters, today);
  const state = of(km(22_450, today, 115));
  t.equal(state.next_due_odometer_m, 27_450_000);
  t.equal(state.forecast_due_on, addDays(today, 43));
  t.equal(state.reasons[0]!.forecast_due_soon_on, addDays(today, 39));
  t.equal(
    of(km(22_450, '2026-04-21', 115)).forecast_due_on,
    addDays(today, 33),
    'a reading of ten days ago',
  );
  t.equal(of(km(22_450, '2025-04-21', 115)).forecast_due_on, today, 'it will have come due');
  t.equal(of(km(28_000, today, 115)).forecast_due_on, today, 'it is due');
  t.equal(of(km(22_450, today)).forecast_due_on, null, 'nothing is known of its use');
  t.equal(of(km(22_450, today, 0)).forecast_due_on, null, 'it stands still');
  t.equal(
    of(km(22_450, today, 5_000 / (FORECAST_DAYS_MAX + 2))).forecast_due_on,
    null,
    'too far ahead',
  );
  const dated = { ...every, interval_days: 20, starts_on: '2026-04-20' };
  t.equal(
    dueState(dated, NEVER, km(22_450, today, 115), today).forecast_due_on,
    '2026-05-10',
    'the date is first',
  );
  t.end();
});

t.test('what is paused or ended is not called due', (t) => {
  for (const status of ['paused', 'ended'] as const) {
    const state = dueState(
      plan({ status, frequency_type: 'days' }),
      NEVER,
      NO_METERS,
      '2030-01-01',
    );
    t.match(state, { status: 'ok', reasons: [], forecast_due_on: null, next_due_on: '2026-02-01' });
    t.same(state.changes, { on: null, odometer_m: null, engine_hours_h: null });
  }
  t.end();
});

t.test('what lies beyond all calendars never comes', (t) => {
  const never = plan({ frequency_type: 'years', frequency_interval: 1_000_000 });
  t.match(dueState(never, NEVER, NO_METERS, '2026-01-01'), { status: 'ok', next_due_on: null });
  const weeks = plan({ frequency_type: 'weeks', frequency_interval: 1_000_000 });
  t.match(dueState(weeks, NEVER, NO_METERS, '2026-01-01'), { status: 'ok', next_due_on: null });
  t.match(dueState({ ...never, interval_days: 1 }, NEVER, NO_METERS, '2026-01-01'), {
    next_due_on: '2026-02-01',
  });
  t.end();
});

t.test('the zone of the customer says which day it is, and nothing else does', (t) => {
  const daily = plan({ frequency_type: 'days', frequency_interval: 30, starts_on: '2026-03-01' });
  // Due on 31 March 2026: two days after the clocks of Berlin went forward.
  const rows = [
    ['Europe/Berlin', '2026-03-30T21:59:59Z', 'ok'],
    ['Europe/Berlin', '2026-03-30T22:00:00Z', 'due'],
    ['Europe/Berlin', '2026-03-31T21:59:59Z', 'due'],
    ['Europe/Berlin', '2026-03-31T22:00:00Z', 'overdue'],
    ['America/Los_Angeles', '2026-03-31T06:59:59Z', 'ok'],
    ['America/Los_Angeles', '2026-03-31T07:00:00Z', 'due'],
    ['Pacific/Kiritimati', '2026-03-30T10:00:00Z', 'due'],
    ['Pacific/Pago_Pago', '2026-03-31T10:59:59Z', 'ok'],
    ['Asia/Kathmandu', '2026-03-30T18:15:00Z', 'due'],
    ['UTC', '2026-03-31T00:00:00Z', 'due'],
  ] as const;
  for (const [zone, at, status] of rows) {
    const today = dayIn(zone, Date.parse(at));
    t.equal(dueState(daily, NEVER, NO_METERS, today).status, status, `${zone} ${at}`);
  }
  t.end();
});

t.test('days of 23, 24 and 25 hours are days', (t) => {
  const rows = [
    ['Europe/Berlin', '2026-03-29', 23],
    ['Europe/Berlin', '2026-10-25', 25],
    ['America/New_York', '2026-03-08', 23],
    ['America/New_York', '2026-11-01', 25],
    ['Australia/Lord_Howe', '2026-04-05', 24.5],
    // Its clocks go forward at midnight: the day begins at one.
    ['America/Santiago', '2026-09-06', 23],
    // The day that Samoa left out.
    ['Pacific/Apia', '2011-12-29', 24],
    ['Asia/Kolkata', '2026-03-29', 24],
  ] as const;
  const daily = plan({ frequency_type: 'days', frequency_interval: 1 });
  for (const [zone, day, hours] of rows) {
    const starts_on = addDays(day, -1);
    const beginMs = startOfDayMs(zone, day);
    const endMs = beginMs + hours * 3_600_000;
    const statusAt = (ms: number) =>
      dueState({ ...daily, starts_on }, NEVER, NO_METERS, dayIn(zone, ms)).status;
    t.equal(statusAt(beginMs - 1), 'ok', `${zone} ${day}: before`);
    t.equal(statusAt(beginMs), 'due', `${zone} ${day}: its first moment`);
    t.equal(statusAt(endMs - 1), 'due', `${zone} ${day}: its last`);
    t.equal(statusAt(endMs), 'overdue', `${zone} ${day}: after`);
  }
  t.end();
});

const day = fc.integer({ min: 0, max: 3_000 }).map((days) => addDays('2023-01-15', days));
const dayPlan = fc.record({
  frequency_type: fc.constantFrom('days', 'weeks', 'months', 'years'),
  frequency_interval: fc.integer({ min: 1, max: 20 }),
  interval_days: fc.option(fc.integer({ min: 1, max: 200 })),
  due_soon_days: fc.option(fc.integer({ min: 0, max: 40 })),
  anchor: fc.constantFrom('from_completion', 'from_schedule'),
  starts_on: day,
});

/** Goes on day by day from the start until it meets one that is due. */
function slowNext(given: DuePlan, base: string): string {
  const { frequency_type: type, frequency_interval: count, interval_days: days } = given;
  const origin = given.anchor === 'from_schedule' ? given.starts_on : base;
  const isOnGrid = (one: string): boolean => {
    const distance = daysBetween(origin, one);
    if (distance <= 0) return false;
    if (type === 'days' && distance % count === 0) return true;
    if (type === 'weeks' && distance % (7 * count) === 0) return true;
    if (days !== null && distance % days === 0) return true;
    if (type === 'days' || type === 'weeks') return false;
    const step = type === 'months' ? count : 12 * count;
    for (let k = step; ; k += step) {
      const reached = addMonths(origin, k);
      if (reached === one) return true;
      if (reached > one) return false;
    }
  };
  for (let one = addDays(base < origin ? origin : base, 1); ; one = addDays(one, 1)) {
    if (isOnGrid(one)) return one;
  }
}

t.test('days, against a reference that goes day by day', (t) => {
  fc.assert(
    fc.property(dayPlan, fc.option(day), fc.option(day), day, (given, done, due, today) => {
      const whole = plan(given);
      const isFixed = whole.anchor === 'from_schedule';
      const history = {
        done: done === null ? null : mark(done),
        due: due === null ? null : mark(due),
        isSkipped: false,
      };
      const known = [done, isFixed ? due : null].filter((one) => one !== null).sort();
      const base = known.at(-1) ?? whole.starts_on;
      const state = dueState(whole, history, NO_METERS, today);
      const next = slowNext(whole, base);
      const left = daysBetween(today, next);
      const soon = whole.due_soon_days;
      const status =
        left < 0
          ? 'overdue'
          : left === 0
            ? 'due'
            : soon !== null && left <= soon
              ? 'due_soon'
              : 'ok';
      return (
        state.next_due_on === next && state.status === status && state.reasons[0]!.left === left
      );
    }),
    { numRuns: 120 },
  );
  t.pass();
  t.end();
});

t.test('distances, against a reference that goes kilometre by kilometre', (t) => {
  const distance = fc.integer({ min: 0, max: 3_000 });
  fc.assert(
    fc.property(
      fc.record({
        frequency_interval: fc.integer({ min: 1, max: 400 }),
        interval_km: fc.option(fc.integer({ min: 1, max: 400 })),
        due_soon_km: fc.option(fc.integer({ min: 0, max: 100 })),
        anchor: fc.constantFrom('from_completion' as const, 'from_schedule' as const),
        start: distance,
      }),
      fc.option(distance),
      fc.option(distance),
      distance,
      ({ start, ...given }, done, due, now) => {
        const whole = plan({ ...given, frequency_type: 'km', start_odometer_m: start * 1_000 });
        const isFixed = given.anchor === 'from_schedule';
        const base = Math.max(...[done, isFixed ? due : null].map((one) => one ?? -1));
        const from = base === -1 ? start : base;
        const interval = Math.min(given.frequency_interval, given.interval_km ?? Infinity);
        const origin = isFixed ? start : from;
        let next = origin + interval;
        for (let value = Math.max(from, origin) + 1; ; value += 1) {
          if ((value - origin) % interval !== 0) continue;
          next = value;
          break;
        }
        const history = {
          done: done === null ? null : mark(null, done * 1_000),
          due: due === null ? null : mark(null, due * 1_000),
          isSkipped: false,
        };
        const state = dueState(whole, history, km(now), '2026-05-01');
        const late = (now - next) * 100 >= interval;
        const soon = given.due_soon_km !== null && next - now <= given.due_soon_km;
        const status = now >= next ? (late ? 'overdue' : 'due') : soon ? 'due_soon' : 'ok';
        return state.next_due_odometer_m === next * 1_000 && state.status === status;
      },
    ),
    { numRuns: 1_000 },
  );
  t.pass();
  t.end();
});

const change = fc.record({
  given: dayPlan,
  interval_km: fc.option(fc.integer({ min: 1, max: 300 })),
  due_soon_km: fc.option(fc.integer({ min: 0, max: 100 })),
  today: day,
  at: fc.integer({ min: 0, max: 600 }),
  days: fc.integer({ min: 0, max: 400 }),
  run: fc.integer({ min: 0, max: 400 }),
});

t.test('a status changes when it said it would, and not before', (t) => {
  fc.assert(
    fc.property(change, ({ given, interval_km, due_soon_km, today, at, days, run }) => {
      const own = { interval_km, due_soon_km, start_odometer_m: 0 };
      const whole = plan({ ...given, ...own });
      const before = dueState(whole, NEVER, km(at), today);
      const later = addDays(today, days);
      const after = dueState(whole, NEVER, km(at + run), later);
      const { on, odometer_m } = before.changes;
      if (on !== null && on <= today) return false;
      if (odometer_m !== null && odometer_m <= at * 1_000) return false;
      const isByDay = on !== null && on <= later;
      const isByMeter = odometer_m !== null && odometer_m <= (at + run) * 1_000;
      return isByDay || isByMeter || after.status === before.status;
    }),
    { numRuns: 1_000 },
  );
  t.pass();
  t.end();
});
