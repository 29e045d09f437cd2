/** The days that follow from an inspection. Reckons with days of the calendar alone; asks nobody. */
import { addDays, addMonths, daysBetween, type Day } from '../calendar.ts';
import type { Row } from '../resources/define.ts';

/** An annual inspection counts for the twelve months after it (49 CFR 396.17). */
export const ANNUAL_MONTHS = 12;
/**
 * A roadside report goes back signed within so many days (49 CFR 396.9(d)(3)), where the authority wants it. The rule may
 * change, and states differ: each inspection has a day of its own, of which this is the default.
 */
export const RETURN_DUE_DAYS = 15;
/** From so many days before an annual inspection runs out it is due soon, and due. */
export const DUE_SOON_DAYS = 30;
export const DUE_DAYS = 7;

export const DUE_STATUSES = ['none', 'overdue', 'due', 'due_soon', 'ok'] as const;
export type DueStatus = (typeof DUE_STATUSES)[number];

/** The last day on which an annual inspection of that day counts: of 29 February it is 28 February. */
export function annualExpiry(inspectedOn: Day): Day {
  return addMonths(inspectedOn, ANNUAL_MONTHS);
}

export function returnDue(inspectedOn: Day): Day {
  return addDays(inspectedOn, RETURN_DUE_DAYS);
}

/** How near the end of an inspection is; null: there is none. It still counts on its last day. */
export function dueStatus(expiresOn: Day | null, today: Day): DueStatus {
  if (expiresOn === null) return 'none';
  const daysLeft = daysBetween(today, expiresOn);
  if (daysLeft < 0) return 'overdue';
  if (daysLeft <= DUE_DAYS) return 'due';
  return daysLeft <= DUE_SOON_DAYS ? 'due_soon' : 'ok';
}

/**
 * Days that an inspection gets where nobody says them, and loses where they make no sense: one that was not passed counts
 * until no day. `stored` is null for a new one; a day that followed from the date of the inspection moves with it.
 */
export function defaultDays(values: Row, stored: Row | null): Row {
  const whole: Row = { ...stored, ...values };
  const on = whole['inspection_date'] as Day;
  const before = (stored?.['inspection_date'] ?? on) as Day;
  const isAnnual = whole['inspection_kind'] === 'annual';
  const hasPassed = whole['inspection_result'] === 'pass';
  const wantsReturn =
    whole['inspection_kind'] === 'roadside' && whole['is_return_required'] === true;
  const expiresOn = keptOr(values, stored, 'expires_on', annualExpiry(before));
  const dueOn = keptOr(values, stored, 'return_due_on', returnDue(before));
  return {
    ...(isAnnual && hasPassed && expiresOn === null && { expires_on: annualExpiry(on) }),
    ...(isAnnual && !hasPassed && values['expires_on'] === undefined && { expires_on: null }),
    ...(wantsReturn && dueOn === null && { return_due_on: returnDue(on) }),
  };
}

/** What is said of a day now, or was before; null where that was nothing, or what follows by itself. */
function keptOr(values: Row, stored: Row | null, name: string, followed: Day): Day | null {
  if (values[name] !== undefined) return values[name] as Day | null;
  const was = (stored?.[name] ?? null) as Day | null;
  return was === followed ? null : was;
}
