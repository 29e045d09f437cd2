/**
 * When a schedule is in force, said plainly: what the clock on the wall shows, asked of the runtime, minute by
 * minute. For tests that hold the engine against it.
 */
import type { Schedule } from './types.ts';

const MINUTE_MS = 60_000;
const DAY_MIN = 1_440;
const WEEK_MIN = 7 * DAY_MIN;
/** No zone changes its clocks within a quarter of an hour of UTC. */
const SAME_CLOCK_MS = 15 * MINUTE_MS;
/** Who finds no end in so many minutes says that there is none. */
const SEARCH_MIN_MAX = 2 * WEEK_MIN;

const formats = new Map<string, Intl.DateTimeFormat>();
const shifts = new Map<string, number>();

/** Whether the schedule is in force at an instant. */
export function isOpen(schedule: Schedule, timeMs: number): boolean {
  const minute = minuteOfWeek(schedule.timeZone, timeMs);
  return schedule.windows.some(({ days, startMin, endMin }) =>
    days.some((day) => {
      const start = (day - 1) * DAY_MIN + startMin;
      const end = (day - 1) * DAY_MIN + endMin + (endMin <= startMin ? DAY_MIN : 0);
      return (
        (minute >= start && minute < end) || (minute + WEEK_MIN >= start && minute + WEEK_MIN < end)
      );
    }),
  );
}

/** The first minute after `timeMs` at which it is not in force; Infinity when none is found. */
export function closingMs(schedule: Schedule, timeMs: number): number {
  let atMs = timeMs;
  for (let i = 0; i < SEARCH_MIN_MAX; i++) {
    if (!isOpen(schedule, atMs)) return atMs;
    atMs = (Math.floor(atMs / MINUTE_MS) + 1) * MINUTE_MS;
  }
  return Infinity;
}

/** Whole minutes after Monday 00:00 that the clock shows. */
function minuteOfWeek(timeZone: string, timeMs: number): number {
  const localMs = timeMs + shiftMs(timeZone, timeMs);
  const date = new Date(localMs);
  const day = (date.getUTCDay() + 6) % 7;
  return day * DAY_MIN + date.getUTCHours() * 60 + date.getUTCMinutes();
}

function shiftMs(timeZone: string, timeMs: number): number {
  const fromMs = Math.floor(timeMs / SAME_CLOCK_MS) * SAME_CLOCK_MS;
  const key = `${timeZone} ${fromMs}`;
  let shift = shifts.get(key);
  if (shift === undefined) shifts.set(key, (shift = askShiftMs(timeZone, fromMs)));
  return shift;
}

function askShiftMs(timeZone: string, timeMs: number): number {
  let format = formats.get(timeZone);
  if (format === undefined) {
    const two = '2-digit';
    const options = { year: 'numeric', month: two, day: two, hour: two, minute: two } as const;
    format = new Intl.DateTimeFormat('en-US', { ...options, timeZone, hourCycle: 'h23' });
    formats.set(timeZone, format);
  }
  const parts = new Map(format.formatToParts(timeMs).map(({ type, value }) => [type, +value]));
  const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? NaN;
  const localMs = Date.UTC(
    part('year'),
    part('month') - 1,
    part('day'),
    part('hour'),
    part('minute'),
  );
  return localMs - timeMs;
}
