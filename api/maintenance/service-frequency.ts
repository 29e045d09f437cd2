/**
 * The service frequency of vehicles: the same reckoning as that of schedules. A frequency is counted from the last service
 * of its kind, by time and by distance, whichever comes first; without one from the vehicle's registration (or else from
 * when it was entered here), and from its first kilometre.
 */
import { sql, type SQL } from 'drizzle-orm';
import { dayIn, type Day } from '../calendar.ts';
import { readZone } from '../customer-day.ts';
import { fieldProblem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import { dueState, type DuePlan, type DueState, type FrequencyType } from './due.ts';
import { metersNow } from './evaluate.ts';
import { averageUse, newestMeters, NO_METERS, NO_USE } from '../equipment/meters.ts';

/** A service is due soon when it is so near. */
export const SERVICE_SOON_DAYS = 14;
export const SERVICE_SOON_KM = 500;
/** Frequencies of one vehicle that are looked at. */
export const FREQUENCIES_MAX = 200;

/** A frequency and what it is counted from. */
export interface FrequencyRow {
  readonly service_frequency_id: number;
  readonly sequence_number: number;
  readonly type_of_service: string | null;
  readonly time_period: string | null;
  readonly km_drove: number | null;
  readonly status: 'active' | 'paused';
  readonly last_service_id: string | null;
  readonly last_service_date: Day | null;
  readonly last_odometer_m: number | null;
  readonly registered_on: Day | null;
  readonly created_at: string;
  readonly equipment_id: number | null;
}

export interface ServiceDue {
  readonly frequency: FrequencyRow;
  readonly state: DueState;
}

/** A frequency as a schedule says it. */
export function planOf(
  { time_period, km_drove, status }: Pick<FrequencyRow, 'time_period' | 'km_drove' | 'status'>,
  startsOn: Day,
): DuePlan {
  const [count, type] = time_period === null ? [km_drove!, 'km' as const] : periodOf(time_period);
  return {
    status,
    frequency_interval: count,
    frequency_type: type,
    interval_days: null,
    interval_km: km_drove,
    interval_engine_hours: null,
    due_soon_days: SERVICE_SOON_DAYS,
    due_soon_km: SERVICE_SOON_KM,
    due_soon_engine_hours: null,
    anchor: 'from_completion',
    starts_on: startsOn,
    start_odometer_m: 0,
    start_engine_hours_h: null,
  };
}

/** `6 months` as a number and what it counts. */
function periodOf(period: string): [number, FrequencyType] {
  const [count, word] = period.split(' ') as [string, string];
  return [Number(count), (word.endsWith('s') ? word : `${word}s`) as FrequencyType];
}

/** How the frequencies of a vehicle stand, in their order. */
export async function serviceDue(
  { db, nowMs }: RuleContext,
  vehicleId: string,
): Promise<ServiceDue[]> {
  const zone = await readZone(db);
  const today = dayIn(zone, nowMs);
  const frequencies = await readFrequencies(db, sql`f.vehicle_id = ${vehicleId}`);
  const unitIds = frequencies.flatMap(({ equipment_id: id }) => (id === null ? [] : [id]));
  const meters = await newestMeters(db, unitIds, nowMs);
  const use = await averageUse(db, unitIds, nowMs);
  return frequencies.map((frequency) => {
    const { last_service_date: on, last_odometer_m: odometer_m, equipment_id } = frequency;
    const startsOn = frequency.registered_on ?? dayIn(zone, Date.parse(frequency.created_at));
    // A service without an odometer tells nothing of the distance; the one before is not counted from either.
    const plan = planOf(frequency, startsOn);
    const counted = on === null ? plan : { ...plan, start_odometer_m: odometer_m };
    const history = {
      done: on === null ? null : { on, odometer_m, engine_hours_h: null },
      due: null,
      isSkipped: false,
    };
    const id = equipment_id ?? 0;
    const now = metersNow(meters.get(id) ?? NO_METERS, use.get(id) ?? NO_USE, zone);
    return { frequency, state: dueState(counted, history, now, today) };
  });
}

async function readFrequencies(db: RuleContext['db'], where: SQL): Promise<FrequencyRow[]> {
  const { rows } = await db.execute<{ frequency: FrequencyRow }>(sql`
    select to_json(found) as frequency from (
      select f.service_frequency_id, f.sequence_number, f.type_of_service, f.time_period, f.km_drove, f.status,
        last.vehicle_maintenance_id as last_service_id, last.service_date as last_service_date,
        last.odometer_m as last_odometer_m, h.equipment_id, h.created_at,
        (select min(o.registration_date) from vehicle_ownership_details o
         where o.customer_id = f.customer_id and o.vehicle_id_code = f.vehicle_id and o.deleted_at is null)
          as registered_on
      from service_frequency_master f
      join vehicle_basic_information_hdr h
        on h.customer_id = f.customer_id and h.vehicle_id_code_hdr = f.vehicle_id
      left join lateral (
        select s.vehicle_maintenance_id, s.service_date, s.odometer_m from vehicle_maintenance_service_history s
        where s.customer_id = f.customer_id and s.vehicle_id_code = f.vehicle_id and s.deleted_at is null
          and s.type_of_service is not distinct from f.type_of_service
        order by s.service_date desc, s.vehicle_maintenance_unique_id desc limit 1) last on true
      where f.customer_id = app_customer_id() and h.deleted_at is null and ${where}
      order by f.sequence_number limit ${FREQUENCIES_MAX}) found`);
  return rows.map(({ frequency }) => frequency);
}

/** A service that does not say when the next one comes takes it from the vehicle's frequencies of its kind. */
export const vehicleServiceRules: ResourceRules = {
  async prepare(context, values, stored) {
    if (stored || values['upcoming_service_date'] !== undefined) return values;
    return { ...values, upcoming_service_date: await upcomingOf(context, values) };
  },
};

/** The earliest that a frequency says, by its time, or by its distance and the unit's average use. */
async function upcomingOf({ db, nowMs }: RuleContext, service: Row): Promise<Day> {
  const type = service['type_of_service'] ?? null;
  const served = service['service_date'] as Day;
  const frequencies = await readFrequencies(
    db,
    sql`f.vehicle_id = ${service['vehicle_id_code']} and f.status = 'active'
      and f.type_of_service is not distinct from ${type}::text`,
  );
  const unitId = frequencies[0]?.equipment_id ?? null;
  const isByDistance = unitId !== null && frequencies.some(({ km_drove: km }) => km !== null);
  const use = isByDistance ? await averageUse(db, [unitId], nowMs) : new Map<number, never>();
  const perDay = (unitId === null ? undefined : use.get(unitId))?.odometerMPerDay ?? null;
  const days = frequencies.flatMap((frequency) => nextAfter(frequency, served, perDay) ?? []);
  const [first] = days.sort();
  if (first !== undefined) return first;
  const detail = 'is required where no frequency of the vehicle says when this service comes again';
  throw fieldProblem('unprocessable', 'body', '/upcoming_service_date', detail);
}

/** When a service comes again that was done on a day. */
function nextAfter(frequency: FrequencyRow, served: Day, perDay: number | null): Day | null {
  const done = { on: served, odometer_m: 0, engine_hours_h: null };
  const odometer = { value: 0, on: served, perDay };
  return dueState(
    planOf(frequency, served),
    { done, due: null, isSkipped: false },
    { odometer, engineHours: null },
    served,
  ).forecast_due_on;
}
