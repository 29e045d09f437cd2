import t from 'tap';
import { readActiveHours } from './active-hours.ts';
import { checkSchedule, isInForce, windowEndMs } from './schedule.ts';
import { seededRandom } from './test-data.ts';
import { BLOCKS_PER_ZONE_MAX, isTimeZone, offsetSpanAt, TIME_MS_MAX } from './time-zone.ts';
import type { Schedule } from './types.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const WEEK = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

/** `sat sun 22:00-06:00, mon 08:00-12:00` in a zone. */
function hours(timeZone: string, text: string): Schedule {
  const windows = text.split(', ').map((window) => {
    const words = window.split(' ');
    const [from, to] = words.at(-1)!.split('-');
    return { days: words.slice(0, -1), from, to };
  });
  const read = readActiveHours(windows, timeZone);
  if (!read.ok || read.schedule === null) throw new Error(text);
  return read.schedule;
}

const whole = (timeZone: string): Schedule => hours(timeZone, `${WEEK.join(' ')} 00:00-24:00`);

t.test('windows open and close by the clocks of the zone', (t) => {
  // Each stretch in force from the first instant to the last, and nothing for a minute on either side.
  const rows: [string, Schedule, string, string][] = [
    ['summer', hours('Europe/Berlin', 'wed 08:00-18:00'), '2026-07-15T06:00Z', '2026-07-15T16:00Z'],
    ['winter', hours('Europe/Berlin', 'wed 08:00-18:00'), '2026-01-14T07:00Z', '2026-01-14T17:00Z'],
    [
      'over midnight',
      hours('Europe/Berlin', 'wed 22:00-06:00'),
      '2026-07-15T20:00Z',
      '2026-07-16T04:00Z',
    ],
    ['to midnight', hours('UTC', 'wed 22:00-24:00'), '2026-07-15T22:00Z', '2026-07-16T00:00Z'],
    ['to 00:00', hours('UTC', 'wed 22:00-00:00'), '2026-07-15T22:00Z', '2026-07-16T00:00Z'],
    ['a whole day', hours('UTC', 'wed 00:00-24:00'), '2026-07-15T00:00Z', '2026-07-16T00:00Z'],
    [
      '24 hours from eight',
      hours('UTC', 'wed 08:00-08:00'),
      '2026-07-15T08:00Z',
      '2026-07-16T08:00Z',
    ],
    [
      'over the end of the week',
      hours('UTC', 'sun 20:00-08:00'),
      '2026-07-19T20:00Z',
      '2026-07-20T08:00Z',
    ],
    [
      'over the end of the year',
      hours('America/New_York', 'thu 22:00-04:00'),
      '2027-01-01T03:00Z',
      '2027-01-01T09:00Z',
    ],
    [
      'windows that touch',
      hours('UTC', 'fri 12:00-24:00, sat 00:00-06:00'),
      '2026-07-17T12:00Z',
      '2026-07-18T06:00Z',
    ],
    [
      'windows that overlap',
      hours('UTC', 'mon 10:00-14:00, mon 08:00-11:00, mon 13:00-15:00, mon 09:00-10:00'),
      '2026-07-13T08:00Z',
      '2026-07-13T15:00Z',
    ],
    [
      'windows that touch over the end of the week',
      hours('UTC', 'sun 12:00-24:00, mon 00:00-06:00'),
      '2026-07-19T12:00Z',
      '2026-07-20T06:00Z',
    ],
    [
      'half an hour off',
      hours('Asia/Kolkata', 'mon 09:00-17:00'),
      '2026-07-13T03:30Z',
      '2026-07-13T11:30Z',
    ],
    [
      '45 minutes off',
      hours('Asia/Kathmandu', 'mon 09:00-17:00'),
      '2026-07-13T03:15Z',
      '2026-07-13T11:15Z',
    ],
    [
      'half a minute off',
      hours('Africa/Monrovia', 'wed 12:00-13:00'),
      '1970-01-07T12:44:30Z',
      '1970-01-07T13:44:30Z',
    ],
    [
      'clocks put on by three quarters of an hour and half a minute',
      hours('Africa/Monrovia', 'fri 00:44-01:00'),
      '1972-01-07T00:44:30Z',
      '1972-01-07T01:00:00Z',
    ],
    [
      'clocks put on by half an hour',
      hours('Australia/Lord_Howe', 'sun 02:30-03:00'),
      '2026-10-03T15:30Z',
      '2026-10-03T16:00Z',
    ],
    [
      'clocks put on: an hour less',
      hours('Europe/Berlin', 'sat 22:00-06:00'),
      '2026-03-28T21:00Z',
      '2026-03-29T04:00Z',
    ],
    [
      'clocks put on within: its last hour is missing',
      hours('Europe/Berlin', 'sun 01:00-03:00'),
      '2026-03-29T00:00Z',
      '2026-03-29T01:00Z',
    ],
    [
      'clocks put on: its first hour is missing',
      hours('Europe/Berlin', 'sun 02:00-04:00'),
      '2026-03-29T01:00Z',
      '2026-03-29T02:00Z',
    ],
    [
      'clocks put back: an hour more',
      hours('Europe/Berlin', 'sun 01:00-03:00'),
      '2026-10-24T23:00Z',
      '2026-10-25T02:00Z',
    ],
    [
      'clocks put back by half an hour',
      hours('Australia/Lord_Howe', 'sun 01:00-02:00'),
      '2026-04-04T14:00Z',
      '2026-04-04T15:30Z',
    ],
    [
      'a doubled time, first',
      hours('Europe/Berlin', 'sun 02:15-02:45'),
      '2026-10-25T00:15Z',
      '2026-10-25T00:45Z',
    ],
    [
      'a doubled time, again',
      hours('Europe/Berlin', 'sun 02:15-02:45'),
      '2026-10-25T01:15Z',
      '2026-10-25T01:45Z',
    ],
    [
      'ends as the clocks are put back into it',
      hours('Europe/Berlin', 'sun 02:00-03:00'),
      '2026-10-25T00:00Z',
      '2026-10-25T02:00Z',
    ],
    [
      'a gap in the week that the clocks leap over',
      hours(
        'Europe/Berlin',
        'mon tue wed thu fri sat 00:00-24:00, sun 00:00-02:00, sun 03:00-24:00',
      ),
      '2026-03-22T02:00Z',
      '2026-04-05T00:00Z',
    ],
    [
      'a day that was not',
      hours('Pacific/Apia', 'thu 12:00-24:00, sat 00:00-06:00'),
      '2011-12-29T22:00Z',
      '2011-12-30T16:00Z',
    ],
  ];
  for (const [name, schedule, from, to] of rows) {
    const [fromMs, toMs] = [Date.parse(from), Date.parse(to)];
    t.equal(checkSchedule(schedule).ok, true, name);
    const inForce = [fromMs - 1, fromMs, toMs - 1, toMs].map((ms) => isInForce(schedule, ms));
    t.same(inForce, [false, true, true, false], name);
    t.same(
      [fromMs, (fromMs + toMs) / 2, toMs - 1].map((ms) => windowEndMs(schedule, ms)),
      [toMs, toMs, toMs],
      `${name}: its end`,
    );
    t.same([windowEndMs(schedule, fromMs - 1), windowEndMs(schedule, toMs)], [NaN, NaN], name);
  }
  t.end();
});

t.test('what never is, and what always is', (t) => {
  const missing = hours('Europe/Berlin', 'sun 02:15-02:45');
  const dayMs = Date.parse('2026-03-29T00:00Z');
  let minutes = 0;
  for (let ms = dayMs - DAY_MS / 2; ms < dayMs + DAY_MS; ms += MINUTE_MS) {
    if (isInForce(missing, ms)) minutes++;
  }
  t.equal(minutes, 0, 'a time that the clocks leap over');
  for (const schedule of [whole('Europe/Berlin'), hours('UTC', `${WEEK.join(' ')} 08:00-08:00`)]) {
    t.equal(isInForce(schedule, dayMs), true);
    t.equal(windowEndMs(schedule, dayMs), Infinity);
  }
  for (const ms of [NaN, Infinity, -Infinity, TIME_MS_MAX + 1]) {
    t.equal(isInForce(whole('UTC'), ms), false, `at ${ms}`);
    t.same(windowEndMs(whole('UTC'), ms), NaN, `at ${ms}`);
  }
  const evening = hours('Europe/Berlin', `${WEEK.join(' ')} 12:00-11:59`);
  for (const ms of [TIME_MS_MAX, -TIME_MS_MAX]) {
    t.equal(isInForce(evening, ms), true, `at ${ms}`);
    t.ok(windowEndMs(evening, ms) > ms, `at ${ms}`);
  }
  t.end();
});

t.test('against the clock on the wall, minute by minute', (t) => {
  const seed = Date.now() % 1e9;
  t.comment(`seed ${seed}`);
  const random = seededRandom(seed);
  const pick = (count: number): number => Math.floor(random() * count);
  const places: [string, string][] = [
    ['Europe/Berlin', '2026-03-29T01:00Z'],
    ['Europe/Berlin', '2026-10-25T01:00Z'],
    ['Europe/Dublin', '2026-10-25T01:00Z'],
    ['America/New_York', '2026-03-08T07:00Z'],
    ['America/St_Johns', '2026-11-01T04:30Z'],
    ['Australia/Lord_Howe', '2026-04-04T15:00Z'],
    ['Australia/Lord_Howe', '2026-10-03T15:30Z'],
    ['Pacific/Chatham', '2026-09-26T14:00Z'],
    ['Africa/Casablanca', '2026-02-15T02:00Z'],
    ['Africa/Cairo', '2026-04-23T22:00Z'],
    ['America/Santiago', '2026-04-05T03:00Z'],
    ['Antarctica/Troll', '2026-03-29T01:00Z'],
    ['Asia/Kolkata', '2026-12-31T18:30Z'],
    ['Pacific/Kiritimati', '2026-12-31T10:00Z'],
    ['Pacific/Apia', '2011-12-30T10:00Z'],
    ['Asia/Pyongyang', '2015-08-14T15:00Z'],
  ];
  const clock = (min: number): string =>
    `${String(Math.floor(min / 60)).padStart(2, '0')}:${String(min % 60).padStart(2, '0')}`;
  let compared = 0;
  const wrong: string[] = [];
  for (const [timeZone, changeAt] of places) {
    const wall = wallClock(timeZone);
    for (let run = 0; run < 10; run++) {
      const text = Array.from({ length: 1 + pick(4) }, () => {
        const days = WEEK.filter(() => random() < 0.5);
        const step = random() < 0.5 ? 30 : 1;
        // Most begin and end near the change.
        const near = (wall(Date.parse(changeAt))[1] + 1440 - 120 + pick(240 / step) * step) % 1440;
        const start = random() < 0.7 ? near : pick(1440 / step) * step;
        const end = (start + 1 + pick(random() < 0.7 ? 300 : 1440)) % 1440;
        return `${days.length > 0 ? days.join(' ') : 'sun'} ${clock(start)}-${clock(end)}`;
      }).join(', ');
      const schedule = hours(timeZone, text);
      const startMs = Date.parse(changeAt) - pick(18 * 60) * MINUTE_MS;
      // When the walk ends, it is not known when the last stretch does.
      let endMs = NaN;
      for (let ms = startMs + DAY_MS; ms >= startMs; ms -= MINUTE_MS) {
        const expected = isWithin(schedule, wall(ms));
        if (!expected) endMs = ms;
        const within = ms + pick(MINUTE_MS);
        compared++;
        const end = windowEndMs(schedule, within);
        const isEndRight = !expected
          ? Number.isNaN(end)
          : Number.isNaN(endMs)
            ? end > startMs + DAY_MS
            : end === endMs;
        if (isInForce(schedule, within) !== expected || !isEndRight) {
          wrong.push(`${timeZone} ${text} at ${new Date(within).toISOString()}`);
        }
      }
    }
  }
  t.same(wrong.slice(0, 5), []);
  t.ok(compared > 200_000, `${compared} instants`);
  t.end();
});

/** What the clock shows in a minute of time: the day of the week, 1 Monday, and the minute of the day. */
function wallClock(timeZone: string): (timeMs: number) => [number, number] {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  const seen = new Map<number, [number, number]>();
  return (timeMs) => {
    let shown = seen.get(timeMs);
    if (shown === undefined) {
      const [, day, hour, minute] = /^(\w+),? (\d+):(\d+)$/.exec(format.format(timeMs))!;
      shown = [WEEK.indexOf(day!.toLowerCase()) + 1, Number(hour) * 60 + Number(minute)];
      seen.set(timeMs, shown);
    }
    return shown;
  };
}

function isWithin({ windows }: Schedule, [day, minute]: [number, number]): boolean {
  const dayBefore = day === 1 ? 7 : day - 1;
  return windows.some(({ days, startMin, endMin }) => {
    if (endMin > startMin) return days.includes(day) && minute >= startMin && minute < endMin;
    return (
      (days.includes(day) && minute >= startMin) || (days.includes(dayBefore) && minute < endMin)
    );
  });
}

t.test('more of a zone than is remembered, and again from the beginning', (t) => {
  const daily = hours('America/Chicago', `${WEEK.join(' ')} 08:00-17:00`);
  const wall = wallClock('America/Chicago');
  const stepMs = 61 * DAY_MS + 47 * MINUTE_MS;
  const wrong: number[] = [];
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 2 * BLOCKS_PER_ZONE_MAX; i++) {
      const ms = Date.UTC(1995, 0, 1) + i * stepMs;
      if (isInForce(daily, ms) !== isWithin(daily, wall(ms))) wrong.push(ms);
    }
  }
  t.same(wrong, []);
  t.throws(() => offsetSpanAt('Mars/Olympus', 0), { name: 'RangeError' });
  t.same(['Europe/Berlin', 'europe/berlin', 'UTC', 'Etc/GMT+3'].map(isTimeZone), [
    true,
    true,
    true,
    true,
  ]);
  t.same(['', ' UTC', '+05:30', 'GMT+3', 'Mars/Olympus', '__proto__'].map(isTimeZone), [
    false,
    false,
    false,
    false,
    false,
    false,
  ]);
  t.end();
});

t.test('schedules that are refused', (t) => {
  const window = { days: [1, 5], startMin: 480, endMin: 1080 };
  const good: Schedule = { timeZone: 'UTC', windows: [window] };
  const rows: [Partial<Schedule>, string][] = [
    [{ timeZone: 'Mars/Olympus' }, '/timeZone'],
    [{ windows: [] }, '/windows'],
    [{ windows: Array.from({ length: 33 }, () => window) }, '/windows'],
    ...[[], [0], [8], [1.5], [2, 1], [1, 1], [NaN]].map((days): [Partial<Schedule>, string] => [
      { windows: [window, { ...window, days }] },
      '/windows/1/days',
    ]),
    ...[-1, 1440, 0.5, NaN].map((startMin): [Partial<Schedule>, string] => [
      { windows: [{ ...window, startMin }] },
      '/windows/0/startMin',
    ]),
    ...[0, 1441, 0.5, NaN].map((endMin): [Partial<Schedule>, string] => [
      { windows: [{ ...window, endMin }] },
      '/windows/0/endMin',
    ]),
  ];
  t.same(checkSchedule(good), { ok: true });
  for (const [change, pointer] of rows) {
    t.match(
      checkSchedule({ ...good, ...change }),
      { ok: false, pointer, detail: /\w/ },
      JSON.stringify(change).slice(0, 80),
    );
  }
  t.end();
});
