/**
 * What the meters of units show: from what devices report, and from readings that people and other systems have entered. In
 * metres and hours, whatever they were read in.
 *
 * The odometer is the highest of two: what the unit's devices report, and the newest reading of its odometer. Meters never
 * run backwards, so that is the newest of all that do not; a tracker that counts from its own first day does not undo what
 * was read at the dashboard. A unit with neither, such as a trailer, has its hub odometer. Engine hours are the highest of
 * the metric `engine_hours_s` and the newest reading. Readings that are void or deleted do not count.
 */
import { sql, type SQL } from 'drizzle-orm';
import type { TenantDb } from '../../db/tenancy.ts';
import { INSTANT_MS_MIN } from '../instants.ts';

/** The code of the metric, in seconds. */
export const ENGINE_HOURS_CODE = 'engine_hours_s';
/** Devices' clocks may be ahead by this much, and so may those of people. */
export const METER_AHEAD_MS = 10 * 60_000;
/** Average use is taken over so long. */
export const USE_WINDOW_MS = 30 * 86_400_000;
/** And over this much where only readings tell of it. */
export const READING_WINDOW_MS = 180 * 86_400_000;
/** Less than this tells nothing of a day's use. */
const USE_SPAN_MS_MIN = 86_400_000;
const DAY_MS = 86_400_000;

/** What a meter showed, in metres or hours, and when. */
export interface Shown {
  readonly value: number;
  readonly atMs: number;
}

export interface UnitMeters {
  readonly odometer: Shown | null;
  readonly engineHours: Shown | null;
}

/** Metres and hours that a unit runs in a day; null: not known. */
export interface UnitUse {
  readonly odometerMPerDay: number | null;
  readonly engineHoursPerDay: number | null;
}

export const NO_METERS: UnitMeters = { odometer: null, engineHours: null };
export const NO_USE: UnitUse = { odometerMPerDay: null, engineHoursPerDay: null };

type Pair = readonly [number | null, number | null];

/**
 * The meters of units as of now, by the unit's id. One statement, which reads some rows of indexes for each unit. Engine
 * hours that devices report are left out where `counts` says that nothing counts by them: of a unit without any, all days
 * that are kept are looked into.
 */
export async function newestMeters(
  db: TenantDb,
  unitIds: readonly number[],
  nowMs: number,
  counts: (unitId: number) => boolean = () => true,
): Promise<Map<number, UnitMeters>> {
  const told = sql`select t.equipment_id, t.odometer_m as value, ${msOf(sql`t.recorded_at`)} as ms from telematics t
    where t.equipment_id = any(${bigints(unitIds)}) and t.odometer_m is not null`;
  return readMeters(db, [unitIds, unitIds.filter(counts)], instant(nowMs + METER_AHEAD_MS), told);
}

/**
 * The meters of a unit as of an instant in the past: the last ones known by then. Readings count however old they are, and so
 * does the newest fix; earlier fixes are looked for over `USE_WINDOW_MS`.
 */
export async function metersAt(db: TenantDb, unitId: number, untilMs: number): Promise<UnitMeters> {
  const from = instant(untilMs - USE_WINDOW_MS);
  const until = instant(untilMs);
  const told = sql`select distinct on (f.equipment_id) f.equipment_id, f.odometer_m as value,
      ${msOf(sql`f.recorded_at`)} as ms
    from (select o.equipment_id, o.odometer_m, o.recorded_at
        from unit_odometers(${reporting([unitId])}, ${from}, ${until}, true) o
      union all select t.equipment_id, t.odometer_m, t.recorded_at from telematics t
        where t.equipment_id = ${unitId} and t.odometer_m is not null and t.recorded_at < ${until}) f
    order by f.equipment_id, f.recorded_at desc`;
  const found = await readMeters(db, [[unitId], [unitId]], until, told);
  return found.get(unitId) ?? NO_METERS;
}

async function readMeters(
  db: TenantDb,
  [unitIds, runningIds]: readonly [readonly number[], readonly number[]],
  until: SQL,
  told: SQL,
): Promise<Map<number, UnitMeters>> {
  const { rows } = await db.execute<{
    id: number;
    meters: Record<'told' | 'read' | 'hub' | 'metric' | 'hours', Pair>;
  }>(sql`
    with told as materialized (${told}), metric as materialized (
      select m.equipment_id, m.metric_value / 3600 as value, ${msOf(sql`m.recorded_at`)} as ms
      from unit_metrics(${bigints(runningIds)}, ${ENGINE_HOURS_CODE}, '-infinity', ${until}, true) m)
    select u.id::float8 as id, json_build_object('told', json_build_array(told.value, told.ms),
      'read', json_build_array(read.value, read.ms), 'hub', json_build_array(hub.value, hub.ms),
      'metric', json_build_array(metric.value, metric.ms), 'hours', json_build_array(hours.value, hours.ms)) as meters
    from unnest(${bigints(unitIds)}) as u (id)
    left join told on told.equipment_id = u.id
    left join metric on metric.equipment_id = u.id
    left join lateral (${newestReading('odometer', until)}) read on true
    left join lateral (${newestReading('hub_odometer', until)}) hub on true
    left join lateral (${newestReading('engine_hours', until)}) hours on true`);
  return new Map(
    rows.map(({ id, meters }) => {
      const odometer = highest(meters.told, meters.read) ?? highest(meters.hub);
      return [id, { odometer, engineHours: highest(meters.metric, meters.hours) }];
    }),
  );
}

/** Those of the units whose devices report an odometer; of the others, all fixes would be looked through. */
function reporting(unitIds: readonly number[]): SQL {
  return sql`(select array_agg(t.equipment_id) from telematics t
    where t.equipment_id = any(${bigints(unitIds)}) and t.odometer_m is not null)`;
}

function newestReading(type: string, until: SQL): SQL {
  return sql`select r.equipment_reading::float8 * meter_factor(o.uom_code) as value, ${msOf(sql`r.reading_at`)} as ms
    from equipment_reading r join uom_lookup o using (uom_lookup_id)
    where r.customer_id = (select app_customer_id()) and r.equipment_id = u.id and r.reading_type = ${type}
      and not r.is_void and r.deleted_at is null and r.reading_at < ${until}
    order by r.reading_at desc, value desc limit 1`;
}

/** The highest; of equals the newest. */
function highest(...pairs: readonly Pair[]): Shown | null {
  const shown = pairs.flatMap(([value, atMs]) =>
    value === null || atMs === null ? [] : [{ value, atMs }],
  );
  shown.sort((a, b) => b.value - a.value || b.atMs - a.atMs);
  return shown[0] ?? null;
}

/**
 * How much units run in a day, on average over `USE_WINDOW_MS` of what their devices report, or else over
 * `READING_WINDOW_MS` of readings. Not known where that is less than a day, or a meter ran backwards.
 */
export async function averageUse(
  db: TenantDb,
  unitIds: readonly number[],
  nowMs: number,
): Promise<Map<number, UnitUse>> {
  const from = instant(nowMs - USE_WINDOW_MS);
  const until = instant(nowMs + METER_AHEAD_MS);
  const span = (first: string, last: string): SQL => {
    const [a, b] = [sql.identifier(first), sql.identifier(last)];
    return sql`json_build_array(${a}.value, ${a}.ms, ${b}.value, ${b}.ms)`;
  };
  const units = bigints(unitIds);
  const metric = (isNewest: boolean): SQL => sql`
    select m.equipment_id, m.metric_value / 3600 as value, ${msOf(sql`m.recorded_at`)} as ms
    from unit_metrics(${units}, ${ENGINE_HOURS_CODE}, ${from}, ${until}, ${isNewest}) m`;
  const { rows } = await db.execute<{ id: number; spans: Record<string, Span> }>(sql`
    with last_told as materialized (
      select t.equipment_id, t.odometer_m as value, ${msOf(sql`t.recorded_at`)} as ms from telematics t
      where t.equipment_id = any(${units}) and t.odometer_m is not null
    ), first_told as materialized (
      select o.equipment_id, o.odometer_m as value, ${msOf(sql`o.recorded_at`)} as ms
      from unit_odometers(${reporting(unitIds)}, ${from}, ${until}, false) o
    ), first_metric as materialized (${metric(false)}), last_metric as materialized (${metric(true)})
    select u.id::float8 as id, json_build_object('told', ${span('first_told', 'last_told')},
      'read', ${span('first_read', 'last_read')}, 'metric', ${span('first_metric', 'last_metric')},
      'hours', ${span('first_hours', 'last_hours')}) as spans
    from unnest(${units}) as u (id)
    left join last_told on last_told.equipment_id = u.id
    left join first_told on first_told.equipment_id = u.id
    left join first_metric on first_metric.equipment_id = u.id
    left join last_metric on last_metric.equipment_id = u.id
    left join lateral (${edgeReading('odometer', nowMs, false)}) first_read on true
    left join lateral (${edgeReading('odometer', nowMs, true)}) last_read on true
    left join lateral (${edgeReading('engine_hours', nowMs, false)}) first_hours on true
    left join lateral (${edgeReading('engine_hours', nowMs, true)}) last_hours on true`);
  return new Map(
    rows.map(({ id, spans }) => [
      id,
      {
        odometerMPerDay: perDayOf(spans['told']!) ?? perDayOf(spans['read']!),
        engineHoursPerDay: perDayOf(spans['metric']!) ?? perDayOf(spans['hours']!),
      },
    ]),
  );
}

type Span = readonly [number | null, number | null, number | null, number | null];

function perDayOf([first, firstMs, last, lastMs]: Span): number | null {
  if (first === null || firstMs === null || last === null || lastMs === null) return null;
  if (lastMs - firstMs < USE_SPAN_MS_MIN || last < first) return null;
  return ((last - first) * DAY_MS) / (lastMs - firstMs);
}

/** The newest reading of the window, or the oldest; of the odometer, or of the hub where there is none. */
function edgeReading(type: 'odometer' | 'engine_hours', nowMs: number, isNewest: boolean): SQL {
  const order = isNewest ? sql`desc` : sql`asc`;
  const types = type === 'odometer' ? ['odometer', 'hub_odometer'] : [type];
  const edges = types.map(
    (one, index) => sql`(select ${index}::integer as place,
        r.equipment_reading::float8 * meter_factor(o.uom_code) as value, ${msOf(sql`r.reading_at`)} as ms
      from equipment_reading r join uom_lookup o using (uom_lookup_id)
      where r.customer_id = (select app_customer_id()) and r.equipment_id = u.id and r.reading_type = ${one}
        and not r.is_void and r.deleted_at is null
        and r.reading_at >= ${instant(nowMs - READING_WINDOW_MS)} and r.reading_at < ${instant(nowMs + METER_AHEAD_MS)}
      order by r.reading_at ${order} limit 1)`,
  );
  return sql`select value, ms from (${sql.join(edges, sql` union all `)}) edge order by place limit 1`;
}

function bigints(ids: readonly number[]): SQL {
  return sql`${sql.param([...new Set(ids)])}::bigint[]`;
}

function instant(ms: number): SQL {
  // What lies before the first year cannot be written.
  return sql`${new Date(Math.max(ms, INSTANT_MS_MIN)).toISOString()}::timestamptz`;
}

function msOf(column: SQL): SQL {
  return sql`floor(extract(epoch from ${column}) * 1000)::float8`;
}
