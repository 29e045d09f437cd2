/**
 * The bench's fleet: one customer, a device a unit, fences to drive through and one rule that fires now and then. Further
 * devices can be made known that never speak. Knows the tables; refuses to know what is measured.
 */
import { createHash } from 'node:crypto';
import pg from 'pg';
import { valueTypes } from '../../db/pools.ts';
import { AREA, deviceName, seededRandom } from './track.ts';

/** The gateway that may speak for every device. */
export const GATEWAY_TOKEN = 'token-of-the-gateway';
/** Devices made known in one statement. */
const SEED_ROWS_MAX = 50_000;
const FENCE_RADIUS_M = 300;
const FENCE_VERTICES = 12;

export function tokenOf(device: string): string {
  return `token-of-${device}`;
}

export interface BenchFleet {
  readonly customerId: number;
  /** `equipment_has_iot_device_id` of each device that speaks, in order. */
  readonly deviceIds: readonly number[];
}

/** Seeds devices 0 … `devices` − 1, fences, the rule and the gateway. */
export async function seedBenchFleet(
  ownerUrl: string,
  params: { readonly seed: number; readonly devices: number; readonly fences: number },
): Promise<BenchFleet> {
  return withOwner(ownerUrl, async (client) => {
    const customer = await client.query<{ id: number }>(
      `insert into customer (customer_name) values ('Bench') returning customer_id as id`,
    );
    const customerId = customer.rows[0]!.id;
    await seedDevices(client, customerId, 0, params.devices);
    await seedFences(client, customerId, params);
    await client.query(
      `insert into telematic_alert (customer_id, alert_name, metric_code, operator, operator_value, clear_value)
         values ($1, 'Speeding', 'speed_mps', '>', 25, 20)`,
      [customerId],
    );
    await client.query(
      `insert into gateway_token (customer_id, name, token_hash) values ($1, 'gateway', $2)`,
      [customerId, sha256(GATEWAY_TOKEN)],
    );
    const { rows } = await client.query<{ id: number }>(
      `select equipment_has_iot_device_id as id from equipment_has_iot_device join iot_device using (iot_device_id)
        order by substr(device_identifier, 7)::int`,
    );
    return { customerId, deviceIds: rows.map((row) => row.id) };
  });
}

/** Makes devices `from` … `to` − 1 known, which never speak. */
export async function seedSilentDevices(
  ownerUrl: string,
  customerId: number,
  from: number,
  to: number,
): Promise<void> {
  await withOwner(ownerUrl, async (client) => {
    // Without triggers and checks of foreign keys: a million rows would take a quarter of an hour.
    await client.query('set session_replication_role = replica');
    await seedDevices(client, customerId, from, to);
    await settle(client);
  });
}

/**
 * Does at once what PostgreSQL would do on the side during the minutes after so many new rows, and what would be counted as
 * the cost of the fixes that are measured then: vacuum, statistics, and writing pages out.
 */
async function settle(client: pg.Client): Promise<void> {
  await client.query('vacuum (analyze) customer, iot_device, equipment, equipment_has_iot_device');
  await client.query('checkpoint');
}

async function seedDevices(
  client: pg.Client,
  customerId: number,
  from: number,
  to: number,
): Promise<void> {
  for (let at = from; at < to; at += SEED_ROWS_MAX) {
    const count = Math.min(SEED_ROWS_MAX, to - at);
    const names = Array.from({ length: count }, (_, i) => deviceName(at + i));
    await client.query(
      `with device as (
         insert into iot_device (customer_id, device_identifier, device_type, token_hash)
           select $1, name, 'tracker', sha256(convert_to('token-of-' || name, 'UTF8')) from unnest($2::text[]) as name
           returning iot_device_id, device_identifier),
       unit as (
         insert into equipment (customer_id, unit_number) select $1, name from unnest($2::text[]) as name
           returning equipment_id, unit_number)
       insert into equipment_has_iot_device (customer_id, equipment_id, iot_device_id)
         select $1, equipment_id, iot_device_id from unit join device on device_identifier = unit_number
           order by iot_device_id`,
      [customerId, names],
    );
  }
}

/** Half circles, half polygons, all about 300 m across their middle, scattered over the area. */
async function seedFences(
  client: pg.Client,
  customerId: number,
  params: { readonly seed: number; readonly fences: number },
): Promise<void> {
  const random = seededRandom(params.seed + 7);
  const centers = Array.from({ length: params.fences }, () => ({
    latDeg: AREA.southDeg + random() * AREA.sizeDeg,
    lonDeg: AREA.westDeg + random() * AREA.sizeDeg,
  }));
  const circles = centers.filter((_, n) => n % 2 === 0);
  const polygons = centers.filter((_, n) => n % 2 === 1).map(polygonAround);
  await client.query(
    `insert into geofence (customer_id, geofence_name, shape_type, center_lat, center_lng, radius_m)
       select $1, 'Circle ' || i, 'circle', lat, lng, $4
         from unnest($2::float8[], $3::float8[]) with ordinality as f (lat, lng, i)`,
    [customerId, circles.map((c) => c.latDeg), circles.map((c) => c.lonDeg), FENCE_RADIUS_M],
  );
  await client.query(
    `insert into geofence (customer_id, geofence_name, shape_type, polygon)
       select $1, 'Polygon ' || i, 'polygon', shape from unnest($2::jsonb[]) with ordinality as f (shape, i)`,
    [customerId, polygons],
  );
}

function polygonAround(center: { latDeg: number; lonDeg: number }): string {
  const ring: [number, number][] = [];
  for (let v = 0; v <= FENCE_VERTICES; v++) {
    const angle = (2 * Math.PI * (v % FENCE_VERTICES)) / FENCE_VERTICES;
    ring.push([
      center.lonDeg + (Math.cos(angle) * FENCE_RADIUS_M) / 82_800,
      center.latDeg + (Math.sin(angle) * FENCE_RADIUS_M) / 111_195,
    ]);
  }
  return JSON.stringify({ type: 'Polygon', coordinates: [ring] });
}

async function withOwner<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, types: valueTypes });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
