/**
 * Devices in the database. Every function runs inside the caller's tenant transaction; row-level security hides the
 * devices of units that the caller does not see. Hashes of tokens are written here and never read.
 */
import { and, asc, eq, gt, isNull, sql } from 'drizzle-orm';
import {
  equipment,
  equipmentHasIotDevice,
  iotDevice,
  iotDeviceVendorLookup,
} from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { makeDeviceToken } from '../auth/device-token.ts';
import type { Principal } from '../auth/principal.ts';
import { requireMatch } from '../entity-tag.ts';
import { requireOwnRow } from '../ownership.ts';
import { fieldProblem, notFound, Problem } from '../problem.ts';
import { DEVICE_TYPE_DEFAULT, type DeviceCreateBody, type DevicePatchBody } from './schemas.ts';

export type DeviceRow = Awaited<ReturnType<typeof getDevice>>;

export interface DeviceFilters {
  readonly status?: DeviceRow['status'];
  readonly equipment_id?: number;
  readonly device_identifier?: string;
}

const device = iotDevice;
const mount = equipmentHasIotDevice;

// The account is that of the unit, and only for this room to judge by.
const shown = {
  iot_device_id: device.iot_device_id,
  customer_id: device.customer_id,
  iot_device_vendor_lookup_id: device.iot_device_vendor_lookup_id,
  device_identifier: device.device_identifier,
  device_type: device.device_type,
  device_installation_date: device.device_installation_date,
  battery_health: device.battery_health,
  status: device.status,
  sign_in_by_name: device.sign_in_by_name,
  token_changed_at: device.token_changed_at,
  previous_token_until: sql<Date | null>`case when ${device.previous_token_until} > now()
    then ${device.previous_token_until} end`.mapWith(device.previous_token_until),
  equipment_id: equipment.equipment_id,
  account_id: equipment.account_id,
  version: device.version,
  created_at: device.created_at,
  updated_at: device.updated_at,
};

function selectDevices(db: TenantDb) {
  return db
    .select(shown)
    .from(device)
    .leftJoin(mount, and(eq(mount.iot_device_id, device.iot_device_id), isNull(mount.removed_at)))
    .leftJoin(equipment, eq(equipment.equipment_id, mount.equipment_id));
}

/** Devices after the given id, in the order they were registered. */
export function listDevices(
  db: TenantDb,
  filters: DeviceFilters,
  afterId: number | null,
  rowsMax: number,
) {
  const { status, equipment_id, device_identifier: name } = filters;
  return selectDevices(db)
    .where(
      and(
        status === undefined ? undefined : eq(device.status, status),
        equipment_id === undefined ? undefined : eq(mount.equipment_id, equipment_id),
        name === undefined ? undefined : eq(device.device_identifier, name),
        afterId === null ? undefined : gt(device.iot_device_id, afterId),
      ),
    )
    .orderBy(asc(device.iot_device_id))
    .limit(rowsMax);
}

/** Throws 404. */
export async function getDevice(db: TenantDb, id: number) {
  const rows = await selectDevices(db).where(eq(device.iot_device_id, id));
  if (!rows[0]) throw notFound('device');
  return rows[0];
}

/**
 * Locks a device that the caller is about to change. Throws 404, 412, and 403 when it is on the shelf or on a unit of the
 * whole customer and the caller is held to accounts.
 */
export async function lockDevice(
  db: TenantDb,
  principal: Principal,
  id: number,
  ifMatch?: string,
): Promise<DeviceRow> {
  await db
    .select({ id: device.iot_device_id })
    .from(device)
    .where(eq(device.iot_device_id, id))
    .for('update');
  const stored = await getDevice(db, id);
  requireOwnRow(principal, stored);
  requireMatch(ifMatch, stored.version);
  return stored;
}

/** What registering needs beside the body. */
export interface Registration extends DeviceCreateBody {
  readonly token_hash?: Buffer;
}

/**
 * Registers a device, on a unit if one is named. Throws 409 for a name that anybody has registered, and when the tenant
 * has its fill of devices; 422 for a unit that is not the caller's; 403 for a shelf that is not.
 */
export async function createDevice(
  db: TenantDb,
  principal: Principal,
  body: Registration,
  perTenantMax: number,
): Promise<DeviceRow> {
  await requireUnit(db, principal, body.equipment_id ?? null);
  await requireVendor(db, body.iot_device_vendor_lookup_id ?? null);
  if ((await countDevices(db, perTenantMax)) >= perTenantMax) throw deviceQuota(perTenantMax);
  return insertDevice(db, principal, body);
}

/** How many devices the tenant has; counts no further than `max`. */
export async function countDevices(db: TenantDb, max: number): Promise<number> {
  const held = await db
    .select({ rows: sql<number>`count(*)`.mapWith(Number) })
    .from(db.select({ id: device.iot_device_id }).from(device).limit(max).as('held'));
  return held[0]!.rows;
}

/** What is said to a tenant that has its fill of devices. */
export function deviceQuota(perTenantMax: number): Problem {
  return new Problem('conflict', `there are ${perTenantMax} devices already, which is the limit`);
}

/**
 * Registers a device whose unit and vendor are known to be the caller's to name, and for which there is room. Throws 409
 * for a name that anybody has registered.
 */
export async function insertDevice(
  db: TenantDb,
  { tenant }: Principal,
  { equipment_id = null, ...columns }: Registration,
): Promise<DeviceRow> {
  const { customerId } = tenant;
  const [made] = await db
    .insert(device)
    .values({ device_type: DEVICE_TYPE_DEFAULT, ...columns, customer_id: customerId })
    .onConflictDoNothing({ target: device.device_identifier, where: sql`status <> 'retired'` })
    .returning({ id: device.iot_device_id });
  // By whom is nobody's business.
  if (!made) throw fieldProblem('conflict', 'body', '/device_identifier', 'is registered already');
  if (equipment_id !== null) await mountOn(db, customerId, made.id, equipment_id);
  return getDevice(db, made.id);
}

/** Applies a merge patch; an empty one changes nothing, not even the version. */
export async function patchDevice(
  db: TenantDb,
  principal: Principal,
  id: number,
  patch: DevicePatchBody,
  ifMatch: string | undefined,
): Promise<DeviceRow> {
  const stored = await lockDevice(db, principal, id, ifMatch);
  if (Object.keys(patch).length === 0) return stored;
  await db.update(device).set(patch).where(eq(device.iot_device_id, id));
  return getDevice(db, id);
}

/** Mounts the device on a unit, taking it off the one before; null only takes it off. */
export async function mountDevice(
  db: TenantDb,
  principal: Principal,
  id: number,
  equipmentId: number | null,
  ifMatch: string | undefined,
): Promise<DeviceRow> {
  const stored = await lockDevice(db, principal, id, ifMatch);
  await requireUnit(db, principal, equipmentId);
  if (stored.equipment_id === equipmentId) return stored;
  await db
    .update(mount)
    .set({ removed_at: sql`greatest(now(), ${mount.assigned_at})` })
    .where(and(eq(mount.iot_device_id, id), isNull(mount.removed_at)));
  if (equipmentId !== null) await mountOn(db, stored.customer_id, id, equipmentId);
  // So that the device has a new version.
  await db.update(device).set({ status: stored.status }).where(eq(device.iot_device_id, id));
  return getDevice(db, id);
}

/**
 * Takes a device off the unit and out of service: nothing that it sends is accepted any more, and another one may bear its
 * name. What it has sent stays. One that is mounted on another unit by now is left as it is.
 */
export async function retireDevice(db: TenantDb, id: number, equipmentId: number): Promise<void> {
  await db
    .select({ id: device.iot_device_id })
    .from(device)
    .where(eq(device.iot_device_id, id))
    .for('update');
  const taken = await db
    .update(mount)
    .set({ removed_at: sql`greatest(now(), ${mount.assigned_at})` })
    .where(
      and(
        eq(mount.iot_device_id, id),
        eq(mount.equipment_id, equipmentId),
        isNull(mount.removed_at),
      ),
    )
    .returning({ id: mount.iot_device_id });
  if (taken.length === 0) return;
  await db
    .update(device)
    .set({ status: 'retired', token_hash: null, previous_token_until: null })
    .where(eq(device.iot_device_id, id));
}

/** Gives the device a new token; the one before holds for so many seconds more. */
export async function rotateToken(
  db: TenantDb,
  principal: Principal,
  id: number,
  overlapS: number,
): Promise<DeviceRow & { token: string }> {
  await lockDevice(db, principal, id);
  const { token, hash } = makeDeviceToken();
  // Now is over already: then nothing is held over.
  const until = sql`now() + make_interval(secs => ${overlapS})`;
  await db
    .update(device)
    .set({ token_hash: hash, previous_token_until: until })
    .where(eq(device.iot_device_id, id));
  return { ...(await getDevice(db, id)), token };
}

/** Takes all tokens away. */
export async function deleteToken(db: TenantDb, principal: Principal, id: number): Promise<void> {
  await lockDevice(db, principal, id);
  await db
    .update(device)
    .set({ token_hash: null, previous_token_until: null })
    .where(eq(device.iot_device_id, id));
}

async function mountOn(
  db: TenantDb,
  customerId: number,
  deviceId: number,
  equipmentId: number,
): Promise<void> {
  const row = { customer_id: customerId, equipment_id: equipmentId, iot_device_id: deviceId };
  await db
    .insert(mount)
    .values(row)
    .onConflictDoUpdate({
      target: [mount.equipment_id, mount.iot_device_id],
      set: { removed_at: null, assigned_at: sql`now()` },
    });
}

// Whoever is held to accounts puts devices on units of theirs, and not on the shelf.
async function requireUnit(
  db: TenantDb,
  principal: Principal,
  equipmentId: number | null,
): Promise<void> {
  const isHeld = principal.tenant.accountIds !== null;
  const pointer = '/equipment_id';
  if (equipmentId === null) {
    if (!isHeld) return;
    const detail = 'you are held to accounts: name a unit of theirs';
    throw fieldProblem('forbidden', 'body', pointer, detail);
  }
  const rows = await db
    .select({ account_id: equipment.account_id })
    .from(equipment)
    .where(eq(equipment.equipment_id, equipmentId));
  if (!rows[0]) throw fieldProblem('unprocessable', 'body', pointer, 'no such equipment');
  if (isHeld && rows[0].account_id === null) {
    const detail = 'the unit belongs to the whole customer, and you are held to accounts';
    throw fieldProblem('forbidden', 'body', pointer, detail);
  }
}

async function requireVendor(db: TenantDb, vendorId: number | null): Promise<void> {
  if (vendorId === null) return;
  const vendor = iotDeviceVendorLookup;
  const id = vendor.iot_device_vendor_lookup_id;
  const rows = await db.select({ id }).from(vendor).where(eq(id, vendorId));
  if (rows[0]) return;
  const pointer = '/iot_device_vendor_lookup_id';
  throw fieldProblem('unprocessable', 'body', pointer, 'no such vendor');
}
