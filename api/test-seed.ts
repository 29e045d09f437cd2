/** For the tests of this room: two tenants with some of everything. In every text of the second stands `CANARY`. */
import type pg from 'pg';
import { PERMISSIONS, rolePermissionOf } from './auth/permissions.ts';

/** In every text of the second tenant. */
export const CANARY = 'canary-9c1f';
/** The minute at which the clock of the portal under test stands: the database keeps no other times than near ones. */
export const NOW_MS = Math.floor(Date.now() / 60_000) * 60_000;

/** Ids of what was made. */
export interface Seed {
  readonly mine: TenantSeed;
  readonly foreign: TenantSeed;
}

export interface TenantSeed {
  readonly customerId: number;
  /** North and south. */
  readonly accountIds: [number, number];
  /** Of north, of south, of no account. */
  readonly equipmentIds: [number, number, number];
  readonly deviceIds: [number, number, number];
  /** The devices themselves, where `deviceIds` are their mounts. */
  readonly iotDeviceIds: [number, number, number];
  readonly commandIds: [number, number, number];
  readonly gatewayTokenId: number;
  readonly geofenceIds: [number, number, number];
  readonly alertIds: [number, number, number];
  /** Each on the unit at the same place; there are no bytes to them. */
  readonly attachmentIds: [number, number, number];
}

/** Makes both, and the users that a test asks as. */
export async function makeSeed(owner: pg.Pool): Promise<Seed> {
  const mine = await makeTenant(owner, 'acme', 'acme');
  const foreign = await makeTenant(owner, CANARY, 'rival');
  const all = rolePermissionOf(PERMISSIONS);
  await makeUser(owner, mine.customerId, 'admin', 'acme', all);
  await makeUser(owner, mine.customerId, 'held', 'acme', all, [mine.accountIds[0]]);
  await makeUser(owner, mine.customerId, 'bare', 'acme', {});
  await makeUser(owner, foreign.customerId, 'foreign', 'rival', all);
  return { mine, foreign };
}

async function insert(owner: pg.Pool, text: string, values: unknown[]): Promise<number> {
  const { rows } = await owner.query<{ id: number }>(`${text} as id`, values);
  return rows[0]!.id;
}

async function makeUser(
  owner: pg.Pool,
  customerId: number,
  name: string,
  domain: string,
  ...[permission, accountIds = []]: [unknown, number[]?]
): Promise<void> {
  const roleId = await insert(
    owner,
    `insert into user_role (customer_id, name, role_permission) values ($1, $2, $3) returning user_role_id`,
    [customerId, `${name} role`, JSON.stringify(permission)],
  );
  await insert(
    owner,
    `insert into "user" (customer_id, user_role_id, email, auth_0_reference_id, assigned_account_ids)
     values ($1, $2, $3, $4, $5) returning user_id`,
    [customerId, roleId, `${name}@${domain}.test`, `test|${name}`, accountIds],
  );
}

async function makeTenant(owner: pg.Pool, word: string, key: string): Promise<TenantSeed> {
  const customerId = await insert(
    owner,
    `insert into customer (customer_name, time_zone) values ($1, 'Europe/Berlin') returning customer_id`,
    [`${word} company`],
  );
  const accountIds = [];
  for (const place of ['north', 'south']) {
    accountIds.push(
      await insert(
        owner,
        `insert into account (customer_id, account_name, account_number, account_type)
         values ($1, $2, $3, 'REGIONAL') returning account_id`,
        [customerId, `${word} ${place}`, `${key}-${place}`],
      ),
    );
  }
  const seed = {
    equipmentIds: [],
    deviceIds: [],
    iotDeviceIds: [],
    commandIds: [],
    geofenceIds: [],
    alertIds: [],
    attachmentIds: [],
  } as {
    [name: string]: number[];
  };
  for (const [i, accountId] of [accountIds[0]!, accountIds[1]!, null].entries()) {
    const row = { owner, customerId, accountId, word, i };
    const equipmentId = await insert(
      owner,
      `insert into equipment (customer_id, account_id, unit_number, vin)
       values ($1, $2, $3, $4) returning equipment_id`,
      [customerId, accountId, `${word} ${i}`, `${key}-vin-${i}`],
    );
    seed['equipmentIds']!.push(equipmentId);
    const device = await makeDevice({ ...row, equipmentId, key: `${key}-${i}` });
    seed['deviceIds']!.push(device.deviceId);
    seed['iotDeviceIds']!.push(device.iotDeviceId);
    seed['commandIds']!.push(await makeDeviceWords(row, device.iotDeviceId, equipmentId));
    seed['geofenceIds']!.push(await makeGeofence(row));
    seed['alertIds']!.push(await makeAlert(row));
    seed['attachmentIds']!.push(await makeAttachment({ ...row, equipmentId, key }));
  }
  const gatewayTokenId = await makeGateway(owner, customerId, word);
  return { customerId, accountIds, gatewayTokenId, ...seed } as unknown as TenantSeed;
}

/** A gateway, and two devices that it vouches for. */
async function makeGateway(owner: pg.Pool, customerId: number, word: string): Promise<number> {
  await owner.query(
    `insert into knocking_device (customer_id, protocol, device_identifier, first_seen_at, last_seen_at, knock_count,
       last_payload, last_payload_bytes, remote_address)
     select $1, 'http', $2 || '-knock-' || n, $3, $3, n, $4, 2, '192.0.2.1' from generate_series(1, 2) n`,
    [customerId, word, new Date(NOW_MS), Buffer.from('{}')],
  );
  return insert(
    owner,
    `insert into gateway_token (customer_id, name, token_hash) values ($1, $2::text, sha256($2::text::bytea))
     returning gateway_token_id`,
    [customerId, `${word} gateway`],
  );
}

/** What a device said, and what it is to be told; gives the id of the latter. */
async function makeDeviceWords(
  { owner, customerId, word }: RowSeed,
  iotDeviceId: number,
  equipmentId: number,
): Promise<number> {
  await owner.query(
    `insert into iot_device_event (event_key, customer_id, iot_device_id, equipment_id, event_kind, recorded_at,
       received_at, latitude, longitude, detail)
     values (gen_random_uuid(), $1, $2, $3, 'region_enter', $4, $4, 50, 10, $5)`,
    [customerId, iotDeviceId, equipmentId, new Date(NOW_MS), JSON.stringify({ desc: word })],
  );
  return insert(
    owner,
    `insert into iot_device_command (customer_id, iot_device_id, payload, expires_at)
     values ($1, $2, $3, now() + interval '1 day') returning iot_device_command_id`,
    [customerId, iotDeviceId, `${word} report`],
  );
}

interface RowSeed {
  owner: pg.Pool;
  customerId: number;
  accountId: number | null;
  word: string;
  i: number;
}

async function makeDevice(
  row: RowSeed & { equipmentId: number; key: string },
): Promise<{ deviceId: number; iotDeviceId: number }> {
  const { owner, customerId, equipmentId } = row;
  const iotDeviceId = await insert(
    owner,
    `insert into iot_device (customer_id, device_identifier, device_type) values ($1, $2, 'tracker')
     returning iot_device_id`,
    [customerId, `${row.word}-${row.key}`],
  );
  const deviceId = await insert(
    owner,
    `insert into equipment_has_iot_device (customer_id, equipment_id, iot_device_id)
     values ($1, $2, $3) returning equipment_has_iot_device_id`,
    [customerId, equipmentId, iotDeviceId],
  );
  const at = new Date(NOW_MS);
  await owner.query(
    `insert into telematics (customer_id, account_id, equipment_id, unit_number, equipment_has_iot_device_id,
       recorded_at, received_at, latitude, longitude, speed, motion_status)
     values ($1, $2, $3, $4, $5, $6, $6, 50, 10, 12.5, $7)`,
    [customerId, row.accountId, equipmentId, `${row.word} ${row.i}`, deviceId, at, row.word],
  );
  await owner.query(
    `insert into ingest_reject (customer_id, iot_device_id, device_identifier, source, reason, payload,
       payload_bytes, received_at) values ($1, $2, $3, 'mqtt', 'lat_range', $4, 2, $5)`,
    [customerId, iotDeviceId, `${row.word}-${row.key}`, Buffer.from('{}'), at],
  );
  return { deviceId, iotDeviceId };
}

function makeGeofence({ owner, customerId, accountId, word, i }: RowSeed): Promise<number> {
  return insert(
    owner,
    `insert into geofence (customer_id, account_id, geofence_name, shape_type, center_lat, center_lng, radius_m)
     values ($1, $2, $3, 'circle', 50, 10, 100) returning geofence_id`,
    [customerId, accountId, `${word} fence ${i}`],
  );
}

function makeAlert({ owner, customerId, accountId, word, i }: RowSeed): Promise<number> {
  return insert(
    owner,
    `insert into telematic_alert (customer_id, account_id, alert_name, metric_code, operator, operator_value)
     values ($1, $2, $3, 'speed_mps', '>', 25) returning telematic_alert_id`,
    [customerId, accountId, `${word} rule ${i}`],
  );
}

async function makeAttachment(
  row: RowSeed & { equipmentId: number; key: string },
): Promise<number> {
  const { owner, customerId, equipmentId } = row;
  const attachmentId = await insert(
    owner,
    `insert into attachment (customer_id, account_id, name, mime_type, description, url, storage_key, size_bytes, sha256)
     values ($1, $2, $3, 'application/pdf', $3, '', $4, 9, sha256($4::text::bytea)) returning attachment_id`,
    [customerId, row.accountId, `${row.word} ${row.i}.pdf`, `seed/${row.key}/${row.i}`],
  );
  await owner.query(
    'insert into equipment_has_attachment (customer_id, equipment_id, attachment_id) values ($1, $2, $3)',
    [customerId, equipmentId, attachmentId],
  );
  return attachmentId;
}
