/** What it takes for a maintenance to be done: on which day, at which meters, and for how much. */
import { sql } from 'drizzle-orm';
import { addDays, dayIn, startOfDayMs, type Day } from '../calendar.ts';
import { readZone } from '../customer-day.ts';
import { fieldProblem } from '../problem.ts';
import type { Row, RuleContext } from '../resources/define.ts';
import {
  metersAt,
  newestMeters,
  NO_METERS,
  type Shown,
  type UnitMeters,
} from '../equipment/meters.ts';

/** When a schedule was done last. */
interface LastDone {
  readonly last_done_on: Day | null;
  readonly last_done_odometer_m: number | null;
  readonly last_done_engine_hours_h: number | null;
  /** The caller sees the unit. */
  readonly is_seen: boolean;
}

/**
 * Day, meters and cost of an event that is being completed, where it does not say them itself: today for the customer, the
 * last meters known by the end of that day (or else those of now), and what its parts come to. Throws 422 naming the field
 * for a day that is in the future or before the last time, and for meters below those of the last time. The caller holds
 * the schedule.
 */
export async function completionOf(context: RuleContext, whole: Row): Promise<Row> {
  const { db, nowMs } = context;
  const zone = await readZone(db);
  const today = dayIn(zone, nowMs);
  const day = (whole['performed_date'] ?? today) as Day;
  const last = await lastDone(context, whole['pm_schedule_id'] as number, today);
  if (last === null) throw unseen('pm_schedule_id', 'is not a schedule that you may change');
  if (!last.is_seen) throw unseen('equipment_id', 'is not a unit that you may see');
  requireDay(day, today, last.last_done_on);
  const unitId = whole['equipment_id'] as number;
  const newest = (await newestMeters(db, [unitId], nowMs)).get(unitId) ?? NO_METERS;
  requireMeters(whole, last, newest);
  const then = day === today ? newest : await metersAt(db, unitId, endOf(day, zone));
  const known = (shown: Shown | null, before: number | null, now: Shown | null) =>
    knownMeter(shown && { ...shown, on: dayIn(zone, shown.atMs) }, before, last) ??
    now?.value ??
    null;
  return {
    performed_date: day,
    odometer_m:
      whole['odometer_m'] ?? known(then.odometer, last.last_done_odometer_m, newest.odometer),
    engine_hours_h:
      whole['engine_hours_h'] ??
      known(then.engineHours, last.last_done_engine_hours_h, newest.engineHours),
    ...(await costOf(context, whole)),
  };
}

/**
 * When a schedule was done last; null for one that is not the caller's to see. A day that is yet to come, because the zone of
 * the customer is another one by now, is today.
 */
export async function lastDone(
  { db }: RuleContext,
  scheduleId: number,
  today: Day,
): Promise<LastDone | null> {
  const { rows } = await db.execute<{ last: LastDone }>(sql`
    select json_build_object('last_done_on', case when last_done_on > ${today}::date then ${today}::date else last_done_on end,
      'last_done_odometer_m', last_done_odometer_m, 'last_done_engine_hours_h', last_done_engine_hours_h,
      'is_seen', exists (select from equipment u where u.equipment_id = s.equipment_id)) as last
    from preventive_maintenance_schedule s where pm_schedule_id = ${scheduleId}`);
  return rows[0]?.last ?? null;
}

/** 409 for an event that cannot be done without its schedule, or without the meters of its unit. */
function unseen(name: string, detail: string) {
  return fieldProblem('conflict', 'body', `/${name}`, detail);
}

function endOf(day: Day, zone: string): number {
  return startOfDayMs(zone, addDays(day, 1));
}

function requireDay(day: Day, today: Day, last: Day | null): void {
  if (day > today) throw refusal('performed_date', 'is in the future');
  if (last !== null && day < last) {
    throw refusal('performed_date', `is before ${last}, when it was done last`);
  }
}

/**
 * What a meter is known to have shown: what it has shown last, or that of the last time where that is newer or higher. A
 * meter that has shown less on a day after the last time was replaced.
 */
function knownMeter(
  shown: { readonly value: number; readonly on: Day } | null,
  before: number | null,
  { last_done_on: on }: LastDone,
): number | null {
  if (shown === null || before === null) return shown?.value ?? before;
  return on !== null && shown.on > on ? shown.value : Math.max(shown.value, before);
}

/** Meters never run backwards; where the unit itself shows less than at the last time, its meter was replaced. */
function requireMeters(whole: Row, last: LastDone, newest: UnitMeters): void {
  const pairs = [
    ['odometer_m', last.last_done_odometer_m, newest.odometer?.value],
    ['engine_hours_h', last.last_done_engine_hours_h, newest.engineHours?.value],
  ] as const;
  for (const [name, before, now] of pairs) {
    const given = (whole[name] ?? null) as number | null;
    if (given === null || before === null || given >= before) continue;
    if (now !== undefined && now < before) continue;
    throw refusal(name, `is below ${before}, which it was when it was done last`);
  }
}

/** What the parts come to, where the event says no cost: summed by the database, exactly. Of several currencies, no cost. */
async function costOf({ db }: RuleContext, whole: Row): Promise<Row> {
  if ((whole['cost'] ?? null) !== null || whole['pm_event_id'] === undefined) return {};
  const { rows } = await db.execute<{ cost: string | null; currency_code: string | null }>(sql`
    select case when min(currency_code) = max(currency_code) then sum(total_cost)::text end as cost,
      min(currency_code) as currency_code from pm_parts_used
    where customer_id = app_customer_id() and pm_event_id = ${whole['pm_event_id']} and deleted_at is null`);
  const { cost, currency_code } = rows[0]!;
  return cost === null ? {} : { cost, currency_code };
}

function refusal(name: string, detail: string) {
  return fieldProblem('unprocessable', 'body', `/${name}`, detail);
}
