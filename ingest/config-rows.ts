/**
 * Reads the configuration that ingestion works from: devices, gateways, rules, and what devices were last known to do;
 * fences are read by `fence-rows.ts`. All reads run under the ingest role and see every tenant. Refuses to know the
 * engine's state.
 */
import type { Pool } from 'pg';
import type { Device, DeviceLast, DeviceState, Rule } from '../engine/types.ts';
import { digestOf, type Gateway, type RegisteredDevice } from './registry.ts';

/** Rows fetched for a set of ids, or for everything when `ids` is `null`. */
export type Ids = readonly number[] | null;

/** Devices read in one go of a full reading. */
const PAGE_ROWS_MAX = 5_000;

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

const DEVICES_SQL = `
  select d.iot_device_id, d.device_identifier, d.customer_id, d.token_hash, d.sign_in_by_name,
         d.previous_token_hash,
         (extract(epoch from d.previous_token_until) * 1000)::double precision as previous_token_until_ms,
         h.equipment_has_iot_device_id, h.equipment_id, e.account_id, e.unit_number
    from iot_device d
    join customer c on c.customer_id = d.customer_id and c.status = 'active'
    left join equipment_has_iot_device h on h.iot_device_id = d.iot_device_id and h.removed_at is null
    left join equipment e on e.equipment_id = h.equipment_id
   where d.status = 'active'`;

/** Of these devices the active ones of active customers, each with the unit it is mounted on now. */
export async function readDevices(pool: Pool, ids: readonly number[]): Promise<RegisteredDevice[]> {
  const { rows } = await pool.query<DeviceRow>(
    `${DEVICES_SQL} and d.iot_device_id = any ($1::bigint[])`,
    [ids],
  );
  return rows.map(deviceOf);
}

/**
 * All active devices of active customers as of one moment, page by page: a million in one breath would stop everything
 * else for seconds. One query behind a cursor, for each page as a query of its own has its joins made anew. Holds a
 * connection until it is read to its end or left.
 */
export async function* readAllDevices(pool: Pool): AsyncGenerator<RegisteredDevice[], void> {
  const client = await pool.connect();
  let isWhole = false;
  try {
    await client.query('begin read only');
    // Between two pages their devices' states are read, which takes its time in a large fleet.
    await client.query('set local idle_in_transaction_session_timeout = 0');
    // All of it is wanted, not the first rows soon.
    await client.query('set local cursor_tuple_fraction = 1');
    await client.query(`declare every_device no scroll cursor for ${DEVICES_SQL}`);
    const fetch = (): Promise<{ rows: DeviceRow[] }> =>
      client.query<DeviceRow>(`fetch ${PAGE_ROWS_MAX} from every_device`);
    for (let next = fetch(); ;) {
      const { rows } = await next;
      if (rows.length === 0) break;
      // The server works on the next page while this one is taken in.
      next = fetch();
      next.catch(() => undefined);
      yield rows.map(deviceOf);
    }
    await client.query('commit');
    isWhole = true;
  } finally {
    client.release(!isWhole);
  }
}

function deviceOf(row: DeviceRow): RegisteredDevice {
  return {
    iotDeviceId: row.iot_device_id,
    deviceName: row.device_identifier,
    tenantId: row.customer_id,
    tokenHash: row.token_hash === null ? null : digestOf(row.token_hash),
    previousToken:
      row.previous_token_hash === null
        ? null
        : { hash: digestOf(row.previous_token_hash), untilMs: row.previous_token_until_ms ?? 0 },
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
  };
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

/** A device on its unit, as {@link readDeviceStates} is asked for it. */
export interface Mounted {
  readonly deviceId: number;
  readonly equipmentId: number;
}

/**
 * Devices with stays under way that have left their unit, or may not speak any more: what ended while nobody looked. In
 * order of their links, after the given one.
 */
export async function readDeparted(
  pool: Pool,
  afterDeviceId: number,
  max: number,
): Promise<Device[]> {
  const { rows } = await pool.query<Device>(
    `select s.equipment_has_iot_device_id as "deviceId", h.customer_id as "tenantId",
            e.account_id as "accountId", e.equipment_id as "equipmentId"
       from engine_state s
       join equipment_has_iot_device h using (equipment_has_iot_device_id)
       join equipment e using (equipment_id)
       join iot_device d on d.iot_device_id = h.iot_device_id
       join customer c on c.customer_id = h.customer_id
      where s.equipment_has_iot_device_id > $1
        and jsonb_path_exists(s.state, '$.inside[*]')
        and (h.removed_at is not null or d.status <> 'active' or c.status <> 'active')
      order by s.equipment_has_iot_device_id limit $2`,
    [afterDeviceId, max],
  );
  return rows;
}

interface HeardRow {
  id: number;
  state: DeviceState | null;
  fix_ms: number | null;
  latitude: number;
  longitude: number;
  accuracy_m: number | null;
}

type FixRow = Omit<HeardRow, 'state'>;

/**
 * What devices were last known to do: the persisted engine state, and the newest stored fix and reading, which are by
 * construction the newest that were evaluated. Only of those that were ever heard: with the first that a device sends,
 * its engine state is written in the same transaction, and with the first fix of a unit its latest position.
 *
 * The newest fix of the device that a latest position names is that position: any newer one would have replaced it.
 * Every other one that was heard costs an index probe a day kept, and as many for each metric that it never sent.
 */
export async function readDeviceStates(
  pool: Pool,
  devices: readonly Mounted[],
  metricCodes: readonly string[],
): Promise<RestoredDevice[]> {
  const heard = await readHeard(pool, devices);
  if (heard.length === 0) return [];
  const fixless = heard.filter((row) => row.fix_ms === null).map((row) => row.id);
  const fixes = await readNewestFixes(pool, fixless);
  const heardIds = heard.map((row) => row.id);
  const readings = await readNewestReadings(pool, heardIds, metricCodes);
  return heard.map((row) => {
    const fix = row.fix_ms === null ? fixes.get(row.id) : row;
    return { deviceId: row.id, state: row.state, last: lastOf(fix, readings.get(row.id)) };
  });
}

function lastOf(
  fix: FixRow | undefined,
  readingMs: Readonly<Record<string, number>> | undefined,
): DeviceLast | null {
  if (fix === undefined && readingMs === undefined) return null;
  return {
    fixMs: fix?.fix_ms ?? NaN,
    lonDeg: fix?.longitude ?? NaN,
    latDeg: fix?.latitude ?? NaN,
    accuracyM: fix?.accuracy_m ?? NaN,
    readingMs: readingMs ?? {},
  };
}

async function readHeard(pool: Pool, devices: readonly Mounted[]): Promise<HeardRow[]> {
  const { rows } = await pool.query<HeardRow>(
    `select d.id, s.state, t.latitude, t.longitude, t.accuracy_m,
            (extract(epoch from t.recorded_at) * 1000)::double precision as fix_ms
       from unnest($1::bigint[], $2::bigint[]) as d (id, equipment_id)
       left join engine_state s on s.equipment_has_iot_device_id = d.id
       left join telematics u on u.equipment_id = d.equipment_id
       left join telematics t on t.equipment_id = d.equipment_id and t.equipment_has_iot_device_id = d.id
      where s.equipment_has_iot_device_id is not null or u.equipment_id is not null`,
    [devices.map((device) => device.deviceId), devices.map((device) => device.equipmentId)],
  );
  return rows;
}

async function readNewestFixes(
  pool: Pool,
  deviceIds: readonly number[],
): Promise<Map<number, FixRow>> {
  if (deviceIds.length === 0) return new Map();
  const { rows } = await pool.query<FixRow>(
    `select d.id, f.latitude, f.longitude, f.accuracy_m,
            (extract(epoch from f.recorded_at) * 1000)::double precision as fix_ms
       from unnest($1::bigint[]) as d (id)
       cross join lateral (
         select l.recorded_at, l.latitude, l.longitude, l.accuracy_m from equipment_gps_location l
          where l.equipment_has_iot_device_id = d.id order by l.recorded_at desc limit 1) f`,
    [deviceIds],
  );
  return new Map(rows.map((row) => [row.id, row]));
}

/** Newest time by metric code, by device. */
async function readNewestReadings(
  pool: Pool,
  deviceIds: readonly number[],
  metricCodes: readonly string[],
): Promise<Map<number, Record<string, number>>> {
  if (metricCodes.length === 0) return new Map();
  const { rows } = await pool.query<{ id: number; code: string; reading_ms: number }>(
    `select d.id, c.code,
            (extract(epoch from m.recorded_at) * 1000)::double precision as reading_ms
       from unnest($1::bigint[]) as d (id)
       cross join unnest($2::text[]) as c (code)
       cross join lateral (
         select i.recorded_at from iot_device_metric i
          where i.equipment_has_iot_device_id = d.id and i.metric_code = c.code
          order by i.recorded_at desc limit 1) m`,
    [deviceIds, metricCodes],
  );
  const newest = new Map<number, Record<string, number>>();
  for (const { id, code, reading_ms: readingMs } of rows) {
    const ofDevice = newest.get(id);
    if (ofDevice === undefined) newest.set(id, { [code]: readingMs });
    else ofDevice[code] = readingMs;
  }
  return newest;
}
