/** The newest readings of a unit's meters, from its devices and from what people have noted, whichever is later. */
import { sql } from 'drizzle-orm';
import type { TenantDb } from '../../db/tenancy.ts';

export interface Meters {
  readonly odometer_m: number | null;
  readonly odometer_at: Date | null;
  readonly engine_hours_h: number | null;
  readonly engine_hours_at: Date | null;
}

/** Days within which a device's count of engine hours is looked for. */
const METRIC_AGE_DAYS_MAX = 7;

/** Metres and hours in one of each unit that such readings come in (UCUM). */
const METRES = sql.raw(
  `(values ('m', 1), ('km', 1000), ('mi', 1609.344), ('[nmi_i]', 1852), ('[ft_i]', 0.3048), ('[yd_i]', 0.9144),
    ('cm', 0.01), ('mm', 0.001), ('[in_i]', 0.0254)) as unit (uom_code, factor)`,
);
const HOURS = sql.raw(
  `(values ('h{engine}', 1), ('h', 1), ('min', 1 / 60.0), ('s', 1 / 3600.0), ('ms', 1 / 3600000.0), ('d', 24),
    ('wk', 168)) as unit (uom_code, factor)`,
);

/** What is known at an instant (epoch milliseconds) of a unit that the caller sees; null where nothing is. */
export async function latestMeters(
  db: TenantDb,
  equipmentId: number,
  nowMs: number,
): Promise<Meters> {
  const now = sql`${new Date(nowMs).toISOString()}::timestamptz`;
  const noted = (type: string, units: typeof METRES) => sql`
    (select (r.equipment_reading * unit.factor)::float8 as value, r.reading_at as at
     from equipment_reading r join uom_lookup using (uom_lookup_id) join ${units} using (uom_code)
     where r.equipment_id = ${equipmentId} and r.reading_type = ${type} and not r.is_void and r.deleted_at is null
       and r.reading_at <= ${now} order by r.reading_at desc limit 1)`;
  const newest = (readings: ReturnType<typeof noted>) =>
    sql`(select value, at from (${readings}) reading where value is not null order by at desc limit 1)`;
  const odometer = newest(sql`${noted('odometer', METRES)}
    union all select odometer_m, recorded_at from telematics where equipment_id = ${equipmentId}`);
  const hours = newest(sql`${noted('engine_hours', HOURS)}
    union all (select metric_value / 3600, recorded_at from tenant_device_metric
      where equipment_id = ${equipmentId} and metric_code = 'engine_hours_s' and recorded_at <= ${now}
        and recorded_at > ${now} - make_interval(days => ${METRIC_AGE_DAYS_MAX}) order by recorded_at desc limit 1)`);
  const { rows } = await db.execute<Record<keyof Meters, unknown>>(sql`
    select o.value as odometer_m, o.at as odometer_at, h.value as engine_hours_h, h.at as engine_hours_at
    from (select) one left join ${odometer} o on true left join ${hours} h on true`);
  const { odometer_m, odometer_at, engine_hours_h, engine_hours_at } = rows[0]!;
  const toDate = (at: unknown) => (at === null ? null : new Date(at as string));
  return {
    odometer_m: odometer_m as number | null,
    odometer_at: toDate(odometer_at),
    engine_hours_h: engine_hours_h as number | null,
    engine_hours_at: toDate(engine_hours_at),
  };
}
