/**
 * When a fence is in force: weekly windows on the clocks of a time zone. An instant is within a window when the clock on
 * the wall shows a time that is, so a window of two hours lasts three on the night when the clocks are put back, and a
 * time that the clocks leap over is in none. Knows nothing of fences.
 */
import { isTimeZone, offsetSpanAt, TIME_MS_MAX } from './time-zone.ts';
import type { Schedule, ScheduleWindow } from './types.ts';

/** Windows of one schedule. */
export const SCHEDULE_WINDOWS_MAX = 32;

const MINUTE_MS = 60_000;
const DAY_MIN = 1_440;
const WEEK_MIN = 7 * DAY_MIN;
const WEEK_MS = WEEK_MIN * MINUTE_MS;
/** 1970 began on a Thursday. */
const MONDAY_SHIFT_MS = 3 * DAY_MIN * MINUTE_MS;

export type ScheduleCheck =
  { readonly ok: true } | { readonly ok: false; readonly pointer: string; readonly detail: string };

/** Starts and ends in turn, milliseconds after Monday 00:00, ascending, neither overlapping nor touching. */
type Stretches = Float64Array;

const prepared = new WeakMap<Schedule, Stretches>();

/**
 * Whether the schedule is in force at an instant, epoch milliseconds; the start of a window is, its end is not. NaN and
 * instants beyond `TIME_MS_MAX` are never. The schedule must have passed `checkSchedule` and must not change. Some 100 ns.
 */
export function isInForce(schedule: Schedule, timeMs: number): boolean {
  if (!isTime(timeMs)) return false;
  const weekMs = weekMsOf(timeMs + offsetSpanAt(schedule.timeZone, timeMs).offsetMs);
  return remainingMs(stretchesOf(schedule), weekMs) > 0;
}

/**
 * The instant at which the stretch in force at `timeMs` ends, over windows that touch and changes of the clocks:
 * Infinity when the windows leave nothing out, NaN when it is not in force at `timeMs`. Costs like `isInForce`.
 */
export function windowEndMs(schedule: Schedule, timeMs: number): number {
  if (!isTime(timeMs)) return NaN;
  const stretches = stretchesOf(schedule);
  let atMs = timeMs;
  while (atMs <= TIME_MS_MAX) {
    const { offsetMs, untilMs } = offsetSpanAt(schedule.timeZone, atMs);
    const remaining = remainingMs(stretches, weekMsOf(atMs + offsetMs));
    if (remaining === 0) return atMs === timeMs ? NaN : atMs;
    if (remaining === Infinity || atMs + remaining < untilMs) return atMs + remaining;
    // The clocks may be put on or back here, or not: what they show from now on is asked anew.
    atMs = untilMs;
  }
  return Infinity;
}

/** Says whether a schedule can be one, and if not, where (a JSON pointer into it) and why. */
export function checkSchedule({ timeZone, windows }: Schedule): ScheduleCheck {
  if (!isTimeZone(timeZone)) return refusal('/timeZone', `${timeZone} is not a known time zone`);
  if (windows.length < 1 || windows.length > SCHEDULE_WINDOWS_MAX) {
    return refusal('/windows', `${windows.length} windows; there are 1 to ${SCHEDULE_WINDOWS_MAX}`);
  }
  for (const [i, { days, startMin, endMin }] of windows.entries()) {
    const at = `/windows/${i}`;
    const isDay = (day: number, k: number): boolean =>
      isWithin(day, 1, 7) && (k === 0 || day > (days[k - 1] ?? 7));
    if (days.length === 0 || !days.every(isDay)) {
      return refusal(`${at}/days`, 'days are 1 to 7, ascending, at least one');
    }
    if (!isWithin(startMin, 0, DAY_MIN - 1)) {
      return refusal(`${at}/startMin`, `${startMin} is not a whole minute of 0 to 1439`);
    }
    if (!isWithin(endMin, 1, DAY_MIN)) {
      return refusal(`${at}/endMin`, `${endMin} is not a whole minute of 1 to 1440`);
    }
  }
  return { ok: true };
}

function refusal(pointer: string, detail: string): ScheduleCheck {
  return { ok: false, pointer, detail };
}

function isWithin(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}

function isTime(timeMs: number): boolean {
  return Math.abs(timeMs) <= TIME_MS_MAX;
}

function weekMsOf(localMs: number): number {
  const ms = (localMs + MONDAY_SHIFT_MS) % WEEK_MS;
  return ms < 0 ? ms + WEEK_MS : ms;
}

/** How long the clocks may run on before they leave the windows; 0 outside, Infinity when they never do. */
function remainingMs(stretches: Stretches, weekMs: number): number {
  let low = 0;
  let high = stretches.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((stretches[middle] ?? 0) <= weekMs) low = middle + 1;
    else high = middle;
  }
  // After an even number of edges the last one passed is an end.
  if (low % 2 === 0) return 0;
  const endMs = stretches[low] ?? 0;
  if (endMs < WEEK_MS || stretches[0] !== 0) return endMs - weekMs;
  return stretches.length === 2 ? Infinity : endMs - weekMs + (stretches[1] ?? 0);
}

function stretchesOf(schedule: Schedule): Stretches {
  let stretches = prepared.get(schedule);
  if (stretches === undefined) {
    stretches = merge(schedule.windows.flatMap(spansOf));
    prepared.set(schedule, stretches);
  }
  return stretches;
}

/** A window as spans of minutes of the week; what runs over its end goes on at its beginning. */
function spansOf({ days, startMin, endMin }: ScheduleWindow): (readonly [number, number])[] {
  return days.flatMap((day) => {
    const start = (day - 1) * DAY_MIN + startMin;
    const end = (day - 1) * DAY_MIN + (endMin > startMin ? endMin : endMin + DAY_MIN);
    if (end <= WEEK_MIN) return [[start, end] as const];
    return [[start, WEEK_MIN] as const, [0, end - WEEK_MIN] as const];
  });
}

function merge(spans: readonly (readonly [number, number])[]): Stretches {
  const edges: number[] = [];
  for (const [start, end] of spans.toSorted((a, b) => a[0] - b[0])) {
    const last = edges.length - 1;
    if (last > 0 && start <= (edges[last] ?? 0)) edges[last] = Math.max(edges[last] ?? 0, end);
    else edges.push(start, end);
  }
  return Float64Array.from(edges, (minutes) => minutes * MINUTE_MS);
}
