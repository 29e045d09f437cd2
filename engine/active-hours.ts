/**
 * Turns active hours as they are stored and sent, `[{"days": ["mon"], "from": "08:00", "to": "18:00"}]` and the name of a
 * time zone, into a `Schedule`. Pure, and safe on any input.
 */
import { SCHEDULE_WINDOWS_MAX } from './schedule.ts';
import { isTimeZone } from './time-zone.ts';
import type { Schedule, ScheduleWindow } from './types.ts';

/** Days of the week as they are written, Monday first. */
export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

/** `pointer` is a JSON pointer into the fields (`/active_hours/0/from`), for the message to a person. */
export type ActiveHours =
  | { readonly ok: true; readonly schedule: Schedule | null }
  | {
      readonly ok: false;
      readonly reason: 'active_hours' | 'time_zone';
      readonly pointer: string;
      readonly detail: string;
    };

const TIME = /^([01]\d|2[0-3]):([0-5]\d)$/;
const DAY_END = '24:00';
const DAY_MIN = 1_440;
const WINDOW_FIELDS = ['days', 'from', 'to'];

class HoursRefusal extends Error {
  readonly pointer: string;
  constructor(pointer: string, detail: string) {
    super(detail);
    this.pointer = pointer;
  }
}

/**
 * Reads active hours, already parsed; anything is taken and checked. `null` hours are no schedule: in force always.
 * A window's `to` at or before its `from` is a time of the next day, `24:00` and `00:00` are the end of the day. The
 * zone is not looked at where there are no hours.
 */
export function readActiveHours(activeHours: unknown, timeZone: unknown): ActiveHours {
  if (activeHours === null) return { ok: true, schedule: null };
  try {
    const windows = readWindows(activeHours);
    if (typeof timeZone === 'string' && isTimeZone(timeZone)) {
      return { ok: true, schedule: { timeZone, windows } };
    }
    const detail = `${JSON.stringify(timeZone)} is not a time zone that is known here`;
    return { ok: false, reason: 'time_zone', pointer: '/time_zone', detail };
  } catch (error) {
    if (!(error instanceof HoursRefusal)) throw error;
    const { pointer, message } = error;
    return {
      ok: false,
      reason: 'active_hours',
      pointer: `/active_hours${pointer}`,
      detail: message,
    };
  }
}

function readWindows(value: unknown): ScheduleWindow[] {
  if (!Array.isArray(value) || value.length < 1 || value.length > SCHEDULE_WINDOWS_MAX) {
    throw new HoursRefusal('', `must be a list of 1 to ${SCHEDULE_WINDOWS_MAX} windows`);
  }
  return value.map((window: unknown, i) => readWindow(window, `/${i}`));
}

function readWindow(value: unknown, at: string): ScheduleWindow {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new HoursRefusal(at, 'must be an object of days, from and to');
  }
  const unknown = Object.keys(value).find((name) => !WINDOW_FIELDS.includes(name));
  if (unknown !== undefined) {
    throw new HoursRefusal(`${at}/${escaped(unknown)}`, 'is not a field that is known here');
  }
  const { days, from, to } = value as Record<string, unknown>;
  const startMin = readTime(from, `${at}/from`);
  if (to === DAY_END) return { days: readDays(days, `${at}/days`), startMin, endMin: DAY_MIN };
  const endMin = readTime(to, `${at}/to`);
  return { days: readDays(days, `${at}/days`), startMin, endMin: endMin === 0 ? DAY_MIN : endMin };
}

function readDays(value: unknown, at: string): number[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw new HoursRefusal(at, 'must name one day or more');
  }
  const days = value.map((name: unknown, i) => {
    const index = WEEKDAYS.indexOf(name as (typeof WEEKDAYS)[number]);
    if (index < 0) throw new HoursRefusal(`${at}/${i}`, `must be one of ${WEEKDAYS.join(', ')}`);
    if (value.indexOf(name) < i) throw new HoursRefusal(`${at}/${i}`, 'is named twice');
    return index + 1;
  });
  return days.sort((a, b) => a - b);
}

function readTime(value: unknown, at: string): number {
  const [, hours, minutes] = (typeof value === 'string' && TIME.exec(value)) || [];
  if (hours === undefined || minutes === undefined) {
    const end = at.endsWith('to') ? ', or 24:00' : '';
    throw new HoursRefusal(at, `must be a time of day, 00:00 to 23:59${end}`);
  }
  return Number(hours) * 60 + Number(minutes);
}

/** As a step of a JSON pointer (RFC 6901). */
function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}
