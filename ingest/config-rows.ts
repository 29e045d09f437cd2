/**
 * Reads the configuration that ingestion works from: devices, gateways, fences, rules, and what devices were last
 * known to do. All reads run under the ingest role and see every tenant. Refuses to know the engine's state.
 */
import type { Pool } from 'pg';
import type { DeviceLast, DeviceState, Fence, Rule } from '../engine/types.ts';
import { shapeFromGeoJson } from '../engine/geojson.ts';
import { checkShape } from '../engine/shape.ts';
import type { Gateway, RegisteredDevice } from './registry.ts';

/** Rows fetched for a set of ids, or for everything when `ids` is `null`. */
export type Ids = readonly number[] | null;

/** A part of a table in the order of its ids, so that a large one is not read in one breath. */
export interface Page {
  readonly afterId: number;
  /** `null`: all that follow. */
  readonly rowsMax: number | null;
}

const ALL: Page = { afterId: 0, rowsMax: null };

interface DeviceRow {
  iot_device_id: number;
  device_identifier: string;
  customer_id: number;
  token_hash: Buffer | null;
  previous_token_hash: Buffer | null;
  previous_token_until_ms: number | null;
  sign_in_by_name: boolean;
  equipment_has_iot_device_id: number | null;
  equipment_id: number;
  account_id: number | null;
  unit_number: string;
}

/** Active devices of active customers, each with the unit it is mounted on now, ascending by id. */
export async function readDevices(
  pool: Pool,
  ids: Ids,
  page: Page = ALL,
): Promise<RegisteredDevice[]> {
  const { rows } = await pool.query<DeviceRow>(
    `select d.iot_device_id, d.device_identifier, d.customer_id, d.token_hash, d.sign_in_by_name,
            d.previous_token_hash,
            (extract(epoch from d.previous_token_until) * 1000)::double precision as previous_token_until_ms,
            h.equipment_has_iot_device_id, h.equipment_id, e.account_id, e.unit_number
       from iot_device d
       join customer c on c.customer_id = d.customer_id and c.status = 'active'
       left join equipment_has_iot_device h on h.iot_device_id = d.iot_device_id and h.removed_at is null
       left join equipment e on e.equipment_id = h.equipment_id
      where d.status = 'active' and ($1::bigint[] is null or d.iot_device_id = any ($1)) and d.iot_device_id > $2
      order by d.iot_device_id limit $3`,
    [ids, page.afterId, page.rowsMax],
  );
  return rows.map((row) => ({
    iotDeviceId: row.iot_device_id,
    deviceName: row.device_identifier,
    tenantId: row.customer_id,
    tokenHash: row.token_hash,
    previousToken:
      row.previous_token_hash === null
        ? null
        : { hash: row.previous_token_hash, untilMs: row.previous_token_until_ms ?? 0 },
    signInByName: row.sign_in_by_name,
    link:
      row.equipment_has_iot_device_id === null
        ? null
        : {
            deviceId: row.equipment_has_iot_device_id,
            iotDeviceId: row.iot_device_id,
            deviceName: row.device_identifier,
            tenantId: row.customer_id,
            equipmentId: row.equipment_id,
            accountId: row.account_id,
            unitNumber: row.unit_number,
          },
  }));
}

/** Ids of the devices that a change of these links, units or customers concerns. */
export async function readDeviceIdsOf(
  pool: Pool,
  concerned: { links: number[]; equipment: number[]; customers: number[] },
): Promise<number[]> {
  const { rows } = await pool.query<{ iot_device_id: number }>(
    `select iot_device_id from equipment_has_iot_device
      where equipment_has_iot_device_id = any ($1) or equipment_id = any ($2)
      union select iot_device_id from iot_device where customer_id = any ($3)`,
    [concerned.links, concerned.equipment, concerned.customers],
  );
  return rows.map((row) => row.iot_device_id);
}

export async function readGateways(pool: Pool, ids: Ids): Promise<Gateway[]> {
  const { rows } = await pool.query<{
    gateway_token_id: number;
    customer_id: number;
    token_hash: Buffer;
    iot_device_ids: number[] | null;
  }>(
    `select g.gateway_token_id, g.customer_id, g.token_hash, g.iot_device_ids
       from gateway_token g join customer c on c.customer_id = g.customer_id and c.status = 'active'
      where g.status = 'active' and ($1::bigint[] is null or g.gateway_token_id = any ($1))`,
    [ids],
  );
  return rows.map((row) => ({
    gatewayTokenId: row.gateway_token_id,
    tenantId: row.customer_id,
    tokenHash: row.token_hash,
    iotDeviceIds: row.iot_device_ids === null ? null : new Set(row.iot_device_ids.map(Number)),
  }));
}

interface FenceRow {
  geofence_id: number;
  version: number;
  customer_id: number;
  account_id: number | null;
  geofence_name: string;
  shape_type: string;
  polygon: unknown;
  center_lat: number | null;
  center_lng: number | null;
  radius_m: number | null;
  width_m: number | null;
  exit_buffer_m: number;
  enter_fix_count: number;
  exit_fix_count: number;
  accuracy_m_max: number | null;
}

/** A fence whose stored shape the engine refuses: written past the API. It is left out and logged. */
export interface BadFence {
  readonly fenceId: number;
  readonly reason: string;
}

/** Versions of all active fences by id. */
export async function readFenceVersions(pool: Pool): Promise<Map<number, number>> {
  const { rows } = await pool.query<{ geofence_id: number; version: number }>(
    `select geofence_id, version from geofence where status = 'active'`,
  );
  return new Map(rows.map((row) => [row.geofence_id, row.version]));
}

/** Active fences, and those that cannot be used with the reason. */
export async function readFences(
  pool: Pool,
  ids: readonly number[],
): Promise<{ fences: Fence[]; bad: BadFence[] }> {
  const { rows } = await pool.query<FenceRow>(
    `select geofence_id, version, customer_id, account_id, geofence_name, shape_type, polygon, center_lat, center_lng,
            radius_m, width_m, exit_buffer_m, enter_fix_count, exit_fix_count, accuracy_m_max
       from geofence where status = 'active' and geofence_id = any ($1)`,
    [ids],
  );
  const fences: Fence[] = [];
  const bad: BadFence[] = [];
  for (const row of rows) {
    const result = shapeFromGeoJson(row);
    if (!result.ok) {
      bad.push({ fenceId: row.geofence_id, reason: `${result.reason}: ${result.detail}` });
      continue;
    }
    const check = checkShape(result.shape);
    if (!check.ok) {
      bad.push({ fenceId: row.geofence_id, reason: `${check.reason}: ${check.detail}` });
      continue;
    }
    fences.push({
      fenceId: row.geofence_id,
      version: row.version,
      tenantId: row.customer_id,
      accountId: row.account_id,
      name: row.geofence_name,
      shape: result.shape,
      exitBufferM: row.exit_buffer_m,
      enterFixCount: row.enter_fix_count,
      exitFixCount: row.exit_fix_count,
      accuracyMMax: row.accuracy_m_max,
    });
  }
  return { fences, bad };
}

/** Active alert rules. */
export async function readRules(pool: Pool, ids: Ids): Promise<Rule[]> {
  const { rows } = await pool.query<Rule>(
    `select telematic_alert_id as "ruleId", version, customer_id as "tenantId", account_id as "accountId",
            equipment_id as "equipmentId", alert_name as name, metric_code as "metricCode", operator,
            operator_value as value, operator_value_high as "valueHigh", clear_value as "clearValue",
            hold_s * 1000 as "holdMs", severity
       from telematic_alert where status = 'active' and ($1::bigint[] is null or telematic_alert_id = any ($1))`,
    [ids],
  );
  return rows;
}

/** `uom_lookup_id` by unit code. */
export async function readUnits(pool: Pool): Promise<Map<string, number>> {
  const { rows } = await pool.query<{ uom_code: string; uom_lookup_id: number }>(
    'select uom_code, uom_lookup_id from uom_lookup',
  );
  return new Map(rows.map((row) => [row.uom_code, row.uom_lookup_id]));
}

export interface RestoredDevice {
  readonly deviceId: number;
  readonly state: DeviceState | null;
  readonly last: DeviceLast | null;
}

interface RestoredRow {
  id: number;
  state: DeviceState | null;
  fix_ms: number | null;
  latitude: number;
  longitude: number;
  accuracy_m: number | null;
  reading_ms: Record<string, number> | null;
}

/**
 * What devices were last known to do: the persisted engine state, and the newest stored fix and reading, which are by
 * construction the newest that were evaluated. Costs an index probe a device and metric.
 */
export async function readDeviceStates(
  pool: Pool,
  deviceIds: readonly number[],
  metricCodes: readonly string[],
): Promise<RestoredDevice[]> {
  const { rows } = await pool.query<RestoredRow>(
    `select d.id, s.state, f.latitude, f.longitude, f.accuracy_m, r.reading_ms,
            (extract(epoch from f.recorded_at) * 1000)::double precision as fix_ms
       from unnest($1::bigint[]) as d (id)
       left join engine_state s on s.equipment_has_iot_device_id = d.id
       left join lateral (
         select l.recorded_at, l.latitude, l.longitude, l.accuracy_m from equipment_gps_location l
          where l.equipment_has_iot_device_id = d.id order by l.recorded_at desc limit 1) f on true
       left join lateral (
         select jsonb_object_agg(c.code, extract(epoch from m.recorded_at) * 1000) as reading_ms
           from unnest($2::text[]) as c (code)
           cross join lateral (
             select i.recorded_at from iot_device_metric i
              where i.equipment_has_iot_device_id = d.id and i.metric_code = c.code
              order by i.recorded_at desc limit 1) m) r on true`,
    [deviceIds, metricCodes],
  );
  return rows.map((row) => ({
    deviceId: row.id,
    state: row.state,
    last:
      row.fix_ms === null && row.reading_ms === null
        ? null
        : {
            fixMs: row.fix_ms ?? NaN,
            lonDeg: row.fix_ms === null ? NaN : row.longitude,
            latDeg: row.fix_ms === null ? NaN : row.latitude,
            accuracyM: row.accuracy_m ?? NaN,
            readingMs: row.reading_ms ?? {},
          },
  }));
}
