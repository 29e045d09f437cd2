/**
 * Keeps schedules true: works out how each stands, writes what has changed, and opens an event for those that have come
 * due. Everything runs in the transaction of its caller, as one tenant. Which schedules those are is for the caller to
 * say: those that a write concerns, or those of a round.
 *
 * Order of locks: units by their id, an order, an event, then schedules by their id (see `api/equipment/hold.ts`). Rounds
 * hold schedules alone, and leave those that somebody else holds.
 */
import { sql } from 'drizzle-orm';
import type { TenantDb } from '../../db/tenancy.ts';
import { dayIn, type Day } from '../calendar.ts';
import { readZone } from '../customer-day.ts';
import {
  dueState,
  withStart,
  type DueHistory,
  type DuePlan,
  type DueState,
  type Mark,
  type Meters,
  type MeterNow,
} from './due.ts';
import {
  newestMeters,
  NO_METERS,
  NO_USE,
  type Shown,
  type UnitMeters,
  type UnitUse,
} from '../equipment/meters.ts';

/** A schedule with all that says when it is due. */
export interface ScheduleRow extends DuePlan {
  readonly pm_schedule_id: number;
  readonly equipment_id: number;
  readonly due_status: string;
  readonly next_due_on: Day | null;
  readonly next_due_odometer_m: number | null;
  readonly next_due_engine_hours_h: number | null;
  readonly history: DueHistory;
  /** The caller sees its unit, and so its meters, and the events that its history is of. */
  readonly is_seen: boolean;
}

/** As a day on which the status changes: the next round looks at it. Long gone, and never a day that was worked out. */
export const LOOK_AGAIN: Day = '2000-01-01';

/** What became of schedules. */
export interface Evaluated {
  readonly schedules: number;
  readonly eventsOpened: number;
}

/**
 * Holds schedules until the transaction ends, in the order of their ids, and gives the ids of those that are there and not
 * deleted. `isPatient` false leaves out those that somebody else holds.
 */
export async function lockSchedules(
  db: TenantDb,
  ids: readonly number[],
  isPatient = true,
): Promise<number[]> {
  const { rows } = await db.execute<{ id: number }>(sql`
    select pm_schedule_id::float8 as id from preventive_maintenance_schedule
    where pm_schedule_id = any(${sql.param(ids)}::bigint[]) and deleted_at is null
    order by pm_schedule_id for no key update ${isPatient ? sql`` : sql`skip locked`}`);
  return rows.map(({ id }) => id);
}

/**
 * Evaluates schedules, which it locks. Six statements, however many they are; a schedule that is as it was is not written.
 * How those stand whose units or history the caller does not see is left to the next round.
 */
export async function evaluateSchedules(
  db: TenantDb,
  nowMs: number,
  ids: readonly number[],
  isPatient = true,
): Promise<Evaluated> {
  const locked = ids.length === 0 ? [] : await lockSchedules(db, ids, isPatient);
  if (locked.length === 0) return { schedules: 0, eventsOpened: 0 };
  const zone = await readZone(db);
  const found = await readSchedules(db, locked);
  const schedules = found.filter((one) => canBeTold(one));
  await leaveToRound(db, found);
  const units = [...new Set(schedules.map((one) => one.equipment_id))];
  const running = new Set(schedules.filter(countsHours).map((one) => one.equipment_id));
  const meters = await newestMeters(db, units, nowMs, (id) => running.has(id));
  const states = schedules.map((schedule) => {
    const now = metersNow(meters.get(schedule.equipment_id) ?? NO_METERS, NO_USE, zone);
    return { schedule, ...stateOf(schedule, now, dayIn(zone, nowMs)) };
  });
  await writeStates(db, states);
  return { schedules: locked.length, eventsOpened: await openEvents(db, locked) };
}

/** Whether the caller sees what it takes to say how it stands: one that is not active stands without its meters. */
export function canBeTold({ is_seen, status }: ScheduleRow, statusToBe = status): boolean {
  return is_seen || statusToBe !== 'active';
}

async function leaveToRound(db: TenantDb, found: readonly ScheduleRow[]): Promise<void> {
  const ids = found.filter((one) => !canBeTold(one)).map((one) => one.pm_schedule_id);
  if (ids.length === 0) return;
  await db.execute(sql`
    update preventive_maintenance_schedule set status_changes_on = ${LOOK_AGAIN}
    where pm_schedule_id = any(${sql.param(ids)}::bigint[]) and status_changes_on is distinct from ${LOOK_AGAIN}::date`);
}

function countsHours({ frequency_type: type, interval_engine_hours: hours }: DuePlan): boolean {
  return type === 'engine_hours' || hours !== null;
}

/** Those of units that are active; those that the caller does not see are left to the next round (migrations/0040). */
export async function evaluateUnits(
  db: TenantDb,
  nowMs: number,
  unitIds: readonly number[],
): Promise<void> {
  await db.execute(sql`select look_again_at_schedules(${sql.param(unitIds)}::bigint[])`);
  const { rows } = await db.execute<{ id: number }>(sql`
    select pm_schedule_id::float8 as id from preventive_maintenance_schedule
    where customer_id = (select app_customer_id()) and equipment_id = any(${sql.param(unitIds)}::bigint[]) and status = 'active'
      and deleted_at is null`);
  await evaluateSchedules(
    db,
    nowMs,
    rows.map(({ id }) => id),
  );
}

/** How a schedule stands, and its plan with where it starts. */
export function stateOf(
  schedule: DuePlan & { readonly history: DueHistory },
  meters: Meters,
  today: Day,
): { plan: DuePlan; state: DueState } {
  const plan = withStart(schedule, schedule.history, meters);
  return { plan, state: dueState(plan, schedule.history, meters, today) };
}

/** The meters of a unit as `dueState` takes them. */
export function metersNow(meters: UnitMeters, use: UnitUse, timeZone: string): Meters {
  const now = (shown: Shown | null, perDay: number | null): MeterNow | null =>
    shown && { value: shown.value, on: dayIn(timeZone, shown.atMs), perDay };
  return {
    odometer: now(meters.odometer, use.odometerMPerDay),
    engineHours: now(meters.engineHours, use.engineHoursPerDay),
  };
}

/** Schedules with what was done before, in no order. */
export async function readSchedules(
  db: TenantDb,
  ids: readonly number[],
): Promise<readonly ScheduleRow[]> {
  const { rows } = await db.execute<{ schedule: Omit<ScheduleRow, 'history'> & Remembered }>(sql`
    select to_json(found) as schedule from (
      select s.pm_schedule_id, s.equipment_id, s.status, s.frequency_interval, s.frequency_type, s.interval_days,
        s.interval_km, s.interval_engine_hours, s.due_soon_days, s.due_soon_km, s.due_soon_engine_hours, s.anchor,
        s.starts_on, s.start_odometer_m, s.start_engine_hours_h, s.due_status, s.next_due_on, s.next_due_odometer_m,
        s.next_due_engine_hours_h,
        exists (select from equipment u where u.equipment_id = s.equipment_id) and s.pm_schedule_id not in (
          select schedules_with_unseen_events(${sql.param(ids)}::bigint[])) as is_seen,
        json_build_object('on', s.last_done_on, 'odometer_m', s.last_done_odometer_m,
          'engine_hours_h', s.last_done_engine_hours_h) as known,
        json_build_object('on', s.brought_on, 'odometer_m', s.brought_odometer_m,
          'engine_hours_h', s.brought_engine_hours_h) as brought,
        done.mark as done, done.deleted_at is null as is_done, settled.mark as due, settled.status as settled_status
      from preventive_maintenance_schedule s
      left join lateral (
        select e.deleted_at, json_build_object('on', e.performed_date, 'odometer_m', e.odometer_m,
          'engine_hours_h', e.engine_hours_h) as mark
        from preventive_maintenance_event e
        where e.customer_id = s.customer_id and e.pm_schedule_id = s.pm_schedule_id and e.status = 'completed'
        order by e.deleted_at is not null, e.pm_event_id desc limit 1) done on true
      left join lateral (
        select e.status, json_build_object('on', e.due_on, 'odometer_m', e.due_odometer_m,
          'engine_hours_h', e.due_engine_hours_h) as mark
        from preventive_maintenance_event e
        where e.customer_id = s.customer_id and e.pm_schedule_id = s.pm_schedule_id
          and e.status in ('completed', 'skipped') and e.deleted_at is null
        order by e.pm_event_id desc limit 1) settled on true
      where s.pm_schedule_id = any(${sql.param(ids)}::bigint[])) found`);
  return rows.map(
    ({ schedule: { known, brought, done, is_done, due, settled_status, ...row } }) => {
      // As long as nothing was ever completed here, the schedule says itself what was known when it was made.
      const last = done === null ? known : is_done ? done : brought;
      return { ...row, history: { done: last, due, isSkipped: settled_status === 'skipped' } };
    },
  );
}

interface Remembered {
  readonly known: Mark;
  readonly brought: Mark;
  readonly done: Mark | null;
  /** It is not deleted. */
  readonly is_done: boolean;
  readonly due: Mark | null;
  readonly settled_status: string | null;
}

interface Worked {
  readonly schedule: ScheduleRow;
  readonly plan: DuePlan;
  readonly state: DueState;
}

async function writeStates(db: TenantDb, worked: readonly Worked[]): Promise<void> {
  const rows = worked.map(({ schedule, plan, state }) => ({
    pm_schedule_id: schedule.pm_schedule_id,
    start_odometer_m: plan.start_odometer_m,
    start_engine_hours_h: plan.start_engine_hours_h,
    last_done_on: schedule.history.done?.on ?? null,
    last_done_odometer_m: schedule.history.done?.odometer_m ?? null,
    last_done_engine_hours_h: schedule.history.done?.engine_hours_h ?? null,
    ...derivedOf(state),
  }));
  await db.execute(sql`
    update preventive_maintenance_schedule s
    set start_odometer_m = n.start_odometer_m, start_engine_hours_h = n.start_engine_hours_h,
      last_done_on = n.last_done_on, last_done_odometer_m = n.last_done_odometer_m,
      last_done_engine_hours_h = n.last_done_engine_hours_h, due_status = n.due_status, next_due_on = n.next_due_on,
      next_due_odometer_m = n.next_due_odometer_m, next_due_engine_hours_h = n.next_due_engine_hours_h,
      status_changes_on = n.status_changes_on, status_changes_odometer_m = n.status_changes_odometer_m,
      status_changes_engine_hours_h = n.status_changes_engine_hours_h
    from json_to_recordset(${JSON.stringify(rows)}::json) as n (pm_schedule_id bigint, start_odometer_m float8,
      start_engine_hours_h float8, last_done_on date, last_done_odometer_m float8, last_done_engine_hours_h float8,
      due_status text, next_due_on date, next_due_odometer_m float8, next_due_engine_hours_h float8,
      status_changes_on date, status_changes_odometer_m float8, status_changes_engine_hours_h float8)
    where s.pm_schedule_id = n.pm_schedule_id and row(s.start_odometer_m, s.start_engine_hours_h, s.last_done_on,
        s.last_done_odometer_m, s.last_done_engine_hours_h, s.due_status, s.next_due_on, s.next_due_odometer_m,
        s.next_due_engine_hours_h, s.status_changes_on, s.status_changes_odometer_m, s.status_changes_engine_hours_h)
      is distinct from row(n.start_odometer_m, n.start_engine_hours_h, n.last_done_on, n.last_done_odometer_m,
        n.last_done_engine_hours_h, n.due_status, n.next_due_on, n.next_due_odometer_m, n.next_due_engine_hours_h,
        n.status_changes_on, n.status_changes_odometer_m, n.status_changes_engine_hours_h)`);
}

/** The columns of a schedule that follow from how it stands. */
export function derivedOf(state: DueState) {
  return {
    due_status: state.status,
    next_due_on: state.next_due_on,
    next_due_odometer_m: state.next_due_odometer_m,
    next_due_engine_hours_h: state.next_due_engine_hours_h,
    status_changes_on: state.changes.on,
    status_changes_odometer_m: state.changes.odometer_m,
    status_changes_engine_hours_h: state.changes.engine_hours_h,
  };
}

/**
 * Opens an event for each of these schedules that is due or overdue and has none, unless the next round looks at it; gives
 * how many. The caller holds them, so nobody else opens one at the same time; the index of open events holds it besides.
 */
export async function openEvents(db: TenantDb, ids: readonly number[]): Promise<number> {
  const { rowCount } = await db.execute(sql`
    insert into preventive_maintenance_event (customer_id, account_id, equipment_id, pm_schedule_id, due_on,
      due_odometer_m, due_engine_hours_h, currency_code)
    select s.customer_id, s.account_id, s.equipment_id, s.pm_schedule_id, s.next_due_on, s.next_due_odometer_m,
      s.next_due_engine_hours_h, s.currency_code
    from preventive_maintenance_schedule s
    where s.pm_schedule_id = any(${sql.param(ids)}::bigint[]) and s.due_status in ('due', 'overdue')
      and s.status = 'active' and s.deleted_at is null and s.status_changes_on is distinct from ${LOOK_AGAIN}::date
      and not exists (
        select from preventive_maintenance_event e
        where e.customer_id = s.customer_id and e.pm_schedule_id = s.pm_schedule_id
          and e.equipment_id = s.equipment_id and e.status in ('open', 'in_progress') and e.deleted_at is null)
    order by s.pm_schedule_id
    on conflict (customer_id, pm_schedule_id, equipment_id) where status in ('open', 'in_progress') and deleted_at is null
    do nothing`);
  return rowCount ?? 0;
}
