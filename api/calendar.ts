/**
 * Days of the calendar, as the portal reckons with them: `YYYY-MM-DD`, without a time and without a zone. What a day is at
 * an instant depends on a time zone; how many days or months lie between two does not, so no clock change moves a due date.
 */
import { Temporal } from 'temporal-polyfill';

/** `YYYY-MM-DD`. */
export type Day = string;

/** The day that it is in a time zone (IANA) at an instant (epoch milliseconds). */
export function dayIn(timeZone: string, atMs: number): Day {
  const instant = Temporal.Instant.fromEpochMilliseconds(atMs);
  return instant.toZonedDateTimeISO(timeZone).toPlainDate().toString();
}

/** The instant (epoch milliseconds) at which a day begins in a time zone. */
export function startOfDayMs(timeZone: string, day: Day): number {
  return Temporal.PlainDate.from(day).toZonedDateTime(timeZone).epochMilliseconds;
}

export function addDays(day: Day, days: number): Day {
  return Temporal.PlainDate.from(day).add({ days }).toString();
}

/** The same day of a later or earlier month, or that month's last: a month after 31 January is the end of February. */
export function addMonths(day: Day, months: number): Day {
  return Temporal.PlainDate.from(day).add({ months }).toString();
}

/** How many days later `to` is; below zero when it is earlier. */
export function daysBetween(from: Day, to: Day): number {
  return Temporal.PlainDate.from(from).until(to, { largestUnit: 'days' }).days;
}
