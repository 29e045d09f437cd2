/**
 * What a schedule works out by itself: from where it counts, when it is due next, and how it stands. Callers write what it
 * says; what follows from that is never theirs to write.
 */
import { sql } from 'drizzle-orm';
import { preventiveMaintenanceSchedule } from '../../db/schema.ts';
import { dayIn, daysBetween } from '../calendar.ts';
import { readZone } from '../customer-day.ts';
import { holdUnitOf } from '../equipment/hold.ts';
import { fieldProblem, Problem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import type { DueHistory, DuePlan } from './due.ts';
import {
  canBeTold,
  derivedOf,
  LOOK_AGAIN,
  metersNow,
  openEvents,
  readSchedules,
  stateOf,
} from './evaluate.ts';
import { newestMeters, NO_METERS, NO_USE } from '../equipment/meters.ts';

/** Days of the longest frequency: a hundred years. */
export const FREQUENCY_DAYS_MAX = 36_525;
/** Days of one of them, the longest that it may be. */
const DAYS_OF: Readonly<Record<string, number>> = { days: 1, weeks: 7, months: 31, years: 366 };

const OF_UNIT = {
  table: preventiveMaintenanceSchedule,
  key: preventiveMaintenanceSchedule.pm_schedule_id,
  unit: preventiveMaintenanceSchedule.equipment_id,
};

export const scheduleRules: ResourceRules = {
  // Its events are locked after it, and before it by those who change one: the unit is what they take turns for.
  async holding({ db }, id) {
    await holdUnitOf(db, OF_UNIT, id);
  },
  async prepare(context, values, stored) {
    const { db, nowMs } = context;
    const zone = await readZone(db);
    const today = dayIn(zone, nowMs);
    const whole: Row = {
      ...DEFAULTS,
      ...stored,
      starts_on: stored?.['starts_on'] ?? today,
      ...values,
    };
    requireFrequency(whole, values);
    if (!stored) requireDone(whole, today);
    const known = stored && (await readSchedules(db, [stored['pm_schedule_id'] as number]))[0]!;
    if (known && !canBeTold(known, whole['status'] as DuePlan['status'])) {
      return { ...values, status_changes_on: LOOK_AGAIN };
    }
    const history = known ? known.history : broughtBy(whole);
    const unitId = whole['equipment_id'] as number;
    const meters = (await newestMeters(db, [unitId], nowMs)).get(unitId) ?? NO_METERS;
    const schedule = { ...(whole as unknown as DuePlan), history };
    const { plan, state } = stateOf(schedule, metersNow(meters, NO_USE, zone), today);
    return {
      ...values,
      ...(!stored && { starts_on: plan.starts_on }),
      start_odometer_m: plan.start_odometer_m,
      start_engine_hours_h: plan.start_engine_hours_h,
      ...derivedOf(state),
    };
  },
  async written({ db }, row, stored) {
    const id = row['pm_schedule_id'] as number;
    // What was done stays with the account that it was done for.
    if (stored && stored['account_id'] !== row['account_id']) {
      await db.execute(sql`
        update preventive_maintenance_event set account_id = ${row['account_id']}
        where customer_id = app_customer_id() and pm_schedule_id = ${id}
          and status in ('open', 'in_progress') and deleted_at is null`);
    }
    await openEvents(db, [id]);
  },
  async removing(context, stored) {
    await endEvents(context, stored['pm_schedule_id'] as number);
  },
};

/** What the database puts where nothing is given. */
const DEFAULTS: DuePlan & Row = {
  status: 'active',
  anchor: 'from_completion',
  frequency_interval: 1,
  frequency_type: 'days',
  interval_days: null,
  interval_km: null,
  interval_engine_hours: null,
  due_soon_days: null,
  due_soon_km: null,
  due_soon_engine_hours: null,
  starts_on: '',
  start_odometer_m: null,
  start_engine_hours_h: null,
};

function requireFrequency(whole: Row, values: Row): void {
  const { frequency_interval: count, frequency_type: type } = whole as unknown as DuePlan;
  if (count * (DAYS_OF[type] ?? 0) <= FREQUENCY_DAYS_MAX) return;
  const name = 'frequency_interval' in values ? 'frequency_interval' : 'frequency_type';
  throw fieldProblem('unprocessable', 'body', `/${name}`, 'comes to more than a hundred years');
}

/** Throws 422 for a last time that was tomorrow, or for meters of no day. */
function requireDone(whole: Row, today: string): void {
  const on = (whole['last_done_on'] ?? null) as string | null;
  if (on !== null && daysBetween(on, today) < 0) {
    throw fieldProblem('unprocessable', 'body', '/last_done_on', 'is in the future');
  }
  const meters = ['last_done_odometer_m', 'last_done_engine_hours_h'];
  if (on === null && meters.some((name) => (whole[name] ?? null) !== null)) {
    const detail = 'is required where meters of the last time are given';
    throw fieldProblem('unprocessable', 'body', '/last_done_on', detail);
  }
}

function broughtBy(whole: Row): DueHistory {
  const done = {
    on: (whole['last_done_on'] ?? null) as string | null,
    odometer_m: (whole['last_done_odometer_m'] ?? null) as number | null,
    engine_hours_h: (whole['last_done_engine_hours_h'] ?? null) as number | null,
  };
  return { done, due: null, isSkipped: false };
}

/** Its open event goes with it. Throws 409 while somebody is at work on one. */
async function endEvents({ db }: RuleContext, scheduleId: number): Promise<void> {
  const { rows } = await db.execute<{ status: string }>(sql`
    select status from preventive_maintenance_event
    where customer_id = app_customer_id() and pm_schedule_id = ${scheduleId}
      and status in ('open', 'in_progress') and deleted_at is null for update`);
  if (rows.some(({ status }) => status === 'in_progress')) {
    throw new Problem('conflict', 'an event of it is in progress; complete or cancel that first');
  }
  await db.execute(sql`
    update preventive_maintenance_event set status = 'cancelled', status_reason = 'The schedule was deleted.'
    where customer_id = app_customer_id() and pm_schedule_id = ${scheduleId} and status = 'open' and deleted_at is null`);
}
