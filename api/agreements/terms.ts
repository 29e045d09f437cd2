/** How long an agreement runs. Days and months alone; asks nobody. */
import { addDays, addMonths, type Day } from '../calendar.ts';

/** Months that a contract may run, renewals included (migrations/0015). */
export const TERM_MONTHS_MAX = 600;

/** Whether a contract ends on a day that can be written: by 31 December 9999. */
export function endsInTime(effective: Day, months: number): boolean {
  const [year, month, day] = effective.split('-').map(Number) as [number, number, number];
  const monthsLeft = (10_000 - year) * 12 - (month - 1) - months;
  return monthsLeft > 0 || (monthsLeft === 0 && day === 1);
}

/** The last day of a contract that begins on a day and runs for so many months; as the database reckons it. */
export function contractEnd(effective: Day, months: number): Day {
  return addDays(addMonths(effective, months), -1);
}

/**
 * The term of a contract that is renewed by `renewalMonths` as often as it takes to reach `today`; null where it would run
 * longer than a contract may. All in months from the first day, so an end on the 31st comes back after a shorter month.
 */
export function renewedTerm(
  { effective, months }: { effective: Day; months: number },
  renewalMonths: number,
  today: Day,
): number | null {
  let term = months;
  while (contractEnd(effective, term) < today) {
    term += renewalMonths;
    if (term > TERM_MONTHS_MAX) return null;
  }
  return term;
}
