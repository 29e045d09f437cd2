/** The next day of a calendar of due days: so many days, or so many months of the calendar, apart. */
import { addDays, addMonths, daysBetween, type Day } from '../calendar.ts';

export type DayStep = { readonly days: number } | { readonly months: number };

/** Days end here: a text of a later one would sort before. */
const YEAR_MAX = 9_999;
const DAYS_MAX = 366 * YEAR_MAX;

/**
 * The first day after `base` that is a whole number of steps, one or more, after `origin`; null beyond the year 9999. Months
 * are counted from the day of `origin` each time: from 31 January on, every month, it is 28 February and then 31 March.
 */
export function nextDay(step: DayStep, origin: Day, base: Day): Day | null {
  const isDays = 'days' in step;
  const size = isDays ? step.days : step.months;
  const distance = isDays ? daysBetween(origin, base) : monthsBetween(origin, base);
  const passed = Math.max(0, Math.floor(distance / size));
  // A month that ends before the day of `origin` is passed one step earlier than its number says.
  for (const count of [passed, passed + 1, passed + 2]) {
    if (count === 0) continue;
    const day = isDays ? laterDay(origin, count * size) : laterMonth(origin, count * size);
    if (day === null || day > base) return day;
  }
  throw new Error('a day was not found within two steps');
}

function monthsBetween(from: Day, to: Day): number {
  return monthOf(to) - monthOf(from);
}

function monthOf(day: Day): number {
  return Number(day.slice(0, 4)) * 12 + Number(day.slice(5, 7)) - 1;
}

function laterDay(day: Day, days: number): Day | null {
  if (days > DAYS_MAX) return null;
  const later = addDays(day, days);
  return later.length > 10 ? null : later;
}

function laterMonth(day: Day, months: number): Day | null {
  return monthOf(day) + months >= (YEAR_MAX + 1) * 12 ? null : addMonths(day, months);
}
