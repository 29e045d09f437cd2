/** The bench's fleet: one customer, a device a unit, circles to drive through and one rule that fires now and then. */
import { createHash } from 'node:crypto';
import pg from 'pg';
import { valueTypes } from '../../db/pools.ts';
import { seededRandom } from './track.ts';

export function tokenOf(device: string): string {
  return `token-of-${device}`;
}

/** Seeds and gives `equipment_has_iot_device_id` of each device, in order. */
export async function seedBenchFleet(
  ownerUrl: string,
  params: { readonly seed: number; readonly devices: number; readonly fences: number },
): Promise<number[]> {
  const client = new pg.Client({ connectionString: ownerUrl, types: valueTypes });
  await client.connect();
  try {
    const customer = await client.query<{ id: number }>(
      `insert into customer (customer_name) values ('Bench') returning customer_id as id`,
    );
    const customerId = customer.rows[0]!.id;
    const names = Array.from({ length: params.devices }, (_, n) => `bench-${n}`);
    const hashes = names.map((name) => createHash('sha256').update(tokenOf(name)).digest());
    const { rows } = await client.query<{ id: number }>(
      `with device as (
         insert into iot_device (customer_id, device_identifier, device_type, token_hash)
           select $1, name, 'tracker', hash from unnest($2::text[], $3::bytea[]) as d (name, hash)
           returning iot_device_id, device_identifier),
       unit as (
         insert into equipment (customer_id, unit_number) select $1, name from unnest($2::text[]) as name
           returning equipment_id, unit_number)
       insert into equipment_has_iot_device (customer_id, equipment_id, iot_device_id)
         select $1, equipment_id, iot_device_id from unit join device on device_identifier = unit_number
           order by array_position($2::text[], unit_number)
         returning equipment_has_iot_device_id as id`,
      [customerId, names, hashes],
    );
    const random = seededRandom(params.seed + 7);
    const fences = Array.from({ length: params.fences }, () => [
      41.7 + random() * 0.4,
      -87.9 + random() * 0.4,
    ]);
    await client.query(
      `insert into geofence (customer_id, geofence_name, shape_type, center_lat, center_lng, radius_m)
         select $1, 'Fence ' || i, 'circle', lat, lng, 800 from unnest($2::float8[], $3::float8[]) with ordinality as f (lat, lng, i)`,
      [customerId, fences.map(([lat]) => lat), fences.map(([, lng]) => lng)],
    );
    await client.query(
      `insert into telematic_alert (customer_id, alert_name, metric_code, operator, operator_value, clear_value)
         values ($1, 'Speeding', 'speed_mps', '>', 24.8, 20)`,
      [customerId],
    );
    return rows.map((row) => row.id);
  } finally {
    await client.end();
  }
}
