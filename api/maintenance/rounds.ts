/**
 * Looks again and again for schedules whose status changes without anybody writing: days pass, and devices report meters.
 * Tenant after tenant, as each of them; several processes never look at one tenant at once.
 */
import { sql } from 'drizzle-orm';
import type pg from 'pg';
import { withTenant, type TenantDb } from '../../db/tenancy.ts';
import { dayIn } from '../calendar.ts';
import { readZone } from '../customer-day.ts';
import { startRounds } from '../rounds.ts';
import { evaluateSchedules } from './evaluate.ts';
import { ENGINE_HOURS_CODE, METER_AHEAD_MS } from '../equipment/meters.ts';

export interface MaintenanceOptions {
  /** Connections of the role `milepost_runner`. */
  readonly pool: pg.Pool;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
  readonly limits?: Partial<MaintenanceLimits>;
}

export interface MaintenanceLimits {
  /** From the end of a round to the next. */
  readonly roundMs: number;
  /** Tenants that are asked for at once. */
  readonly tenantsMax: number;
  /** Active schedules that one statement looks through. */
  readonly watchedRowsMax: number;
  /** Schedules that one transaction evaluates. */
  readonly batchRowsMax: number;
}

export const MAINTENANCE_LIMITS: MaintenanceLimits = {
  roundMs: 45_000,
  tenantsMax: 100,
  watchedRowsMax: 20_000,
  batchRowsMax: 1_000,
};

/**
 * Engine hours older than this were looked at long ago. Of a unit that reports none, every day of the span is looked into,
 * each round.
 */
const HOURS_WINDOW_MS = 90 * 86_400_000;

/** What a round has done. */
export interface Round {
  readonly tenants: number;
  readonly schedules: number;
  readonly eventsOpened: number;
}

/**
 * One round over all tenants. A tenant that fails is told to `onError`, and does not hold up the others; one that another
 * process looks at is left to that.
 */
export async function evaluateMaintenance(options: MaintenanceOptions): Promise<Round> {
  const { tenantsMax } = { ...MAINTENANCE_LIMITS, ...options.limits };
  const round = { tenants: 0, schedules: 0, eventsOpened: 0 };
  for (let after = 0; ;) {
    const { rows } = await options.pool.query<{ id: number }>(
      'select id from maintenance_tenants($1, $2) id',
      [after, tenantsMax],
    );
    for (const { id } of rows) {
      const done = await evaluateTenant(options, id).catch(options.onError);
      round.tenants += 1;
      round.schedules += done?.schedules ?? 0;
      round.eventsOpened += done?.eventsOpened ?? 0;
    }
    if (rows.length < tenantsMax) return round;
    after = rows.at(-1)!.id;
  }
}

/** Evaluates in turns until the function that it gives is called. */
export function startMaintenance(options: MaintenanceOptions): () => Promise<void> {
  const { roundMs } = { ...MAINTENANCE_LIMITS, ...options.limits };
  return startRounds(roundMs, () => evaluateMaintenance(options), options.onError);
}

/** Of one tenant, a stretch of its schedules after the other, each in a transaction of its own. */
async function evaluateTenant(options: MaintenanceOptions, customerId: number) {
  const { pool, now } = options;
  const limits = { ...MAINTENANCE_LIMITS, ...options.limits };
  const total = { schedules: 0, eventsOpened: 0 };
  let after: number | null = 0;
  while (after !== null) {
    const from: number = after;
    after = await withTenant(pool, { customerId, accountIds: null }, async (db) => {
      if (!(await isOurs(db, customerId))) return null;
      const nowMs = now();
      const stretch = await findChanging(db, nowMs, from, limits);
      const done = await evaluateSchedules(db, nowMs, stretch.ids, false);
      total.schedules += done.schedules;
      total.eventsOpened += done.eventsOpened;
      return stretch.next;
    });
  }
  return total;
}

/** Until the transaction ends, no other process looks at this tenant. */
async function isOurs(db: TenantDb, customerId: number): Promise<boolean> {
  const { rows } = await db.execute<{ ours: boolean }>(
    sql`select pg_try_advisory_xact_lock(hashtextextended(${`maintenance ${customerId}`}, 0)) as ours`,
  );
  return rows[0]!.ours;
}

interface Stretch {
  /** Whose status may change. */
  readonly ids: readonly number[];
  /** From where to look on; null at the end. */
  readonly next: number | null;
}

/**
 * The schedules after an id, in their order, whose status may have changed since they were written: the day or a value has
 * come at which it does. One statement, which looks through some thousands of rows and gives few.
 */
async function findChanging(
  db: TenantDb,
  nowMs: number,
  after: number,
  { watchedRowsMax, batchRowsMax }: MaintenanceLimits,
): Promise<Stretch> {
  const today = dayIn(await readZone(db), nowMs);
  const from = new Date(nowMs - HOURS_WINDOW_MS).toISOString();
  const until = new Date(nowMs + METER_AHEAD_MS).toISOString();
  const { rows } = await db.execute<{ ids: number[]; last: number | null; seen: number }>(sql`
    with watched as materialized (
      select pm_schedule_id, equipment_id, status_changes_on, status_changes_odometer_m as odometer_m,
        status_changes_engine_hours_h as engine_hours_h
      from preventive_maintenance_schedule
      where customer_id = (select app_customer_id()) and status = 'active' and deleted_at is null
        and pm_schedule_id > ${after}
      order by pm_schedule_id limit ${watchedRowsMax}
    ), running as materialized (
      select equipment_id, metric_value / 3600 as hours_h
      from unit_metrics((select array_agg(distinct equipment_id) from watched where engine_hours_h is not null),
        ${ENGINE_HOURS_CODE}, ${from}::timestamptz, ${until}::timestamptz, true)
    ), changing as (
      select w.pm_schedule_id from watched w
      left join telematics t on t.equipment_id = w.equipment_id
      left join running r on r.equipment_id = w.equipment_id
      where w.status_changes_on <= ${today}::date or t.odometer_m >= w.odometer_m or r.hours_h >= w.engine_hours_h
      order by w.pm_schedule_id limit ${batchRowsMax}
    )
    select coalesce((select json_agg(pm_schedule_id) from changing), '[]') as ids,
      (select max(pm_schedule_id)::float8 from watched) as last, (select count(*)::float8 from watched) as seen`);
  const { ids, last, seen } = rows[0]!;
  if (ids.length === batchRowsMax) return { ids, next: ids.at(-1)! };
  return { ids, next: seen < watchedRowsMax ? null : last };
}
