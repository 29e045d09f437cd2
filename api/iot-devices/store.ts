/**
 * Devices in the database, as the routes beside those of the resource need them: found, registered, mounted, given tokens.
 * Every function runs inside the caller's tenant transaction; row-level security hides the devices of units that the
 * caller does not see. Hashes of tokens are written here and never read.
 */
import { and, eq, isNull, sql, type SQL } from 'drizzle-orm';
import {
  equipment,
  equipmentHasIotDevice,
  iotDevice,
  vehicleBasicInformationHdr,
} from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { makeDeviceToken } from '../auth/device-token.ts';
import type { Principal } from '../auth/principal.ts';
import { requireMatch } from '../entity-tag.ts';
import { requireOwnRow } from '../ownership.ts';
import { fieldProblem, notFound, Problem } from '../problem.ts';
import { countForQuota } from '../quota.ts';
import { DEVICE_TYPE_DEFAULT } from './schemas.ts';

/** What must be known of a device to act on it; unit and account are of the unit that it is on. */
export type DeviceRow = Awaited<ReturnType<typeof getDevice>>;

const device = iotDevice;
const mount = equipmentHasIotDevice;
const vehicle = vehicleBasicInformationHdr;

/** Throws 404. */
export async function getDevice(db: TenantDb, id: number) {
  const [found] = await db
    .select({
      iot_device_id: device.iot_device_id,
      customer_id: device.customer_id,
      status: device.status,
      version: device.version,
      equipment_id: equipment.equipment_id,
      account_id: equipment.account_id,
    })
    .from(device)
    .leftJoin(mount, and(eq(mount.iot_device_id, device.iot_device_id), isNull(mount.removed_at)))
    .leftJoin(equipment, eq(equipment.equipment_id, mount.equipment_id))
    .where(eq(device.iot_device_id, id));
  if (!found) throw notFound('device');
  return found;
}

/** Throws 403 when it is on the shelf or on a unit of the whole customer and the caller is held to accounts. */
export async function requireOwnDevice(
  db: TenantDb,
  principal: Principal,
  id: number,
): Promise<void> {
  requireOwnRow(principal, await getDevice(db, id));
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
  await holdDevice(db, id);
  const stored = await getDevice(db, id);
  requireOwnRow(principal, stored);
  requireMatch(ifMatch, stored.version);
  return stored;
}

/** A device that is to be registered. */
export interface Registration {
  readonly device_identifier: string;
  readonly device_type?: string;
  readonly sign_in_by_name?: boolean;
  readonly token_hash?: Buffer;
  readonly equipment_id?: number | null;
}

/**
 * Registers a device, on a unit if one is named, and gives its id. Throws 409 for a name that anybody has registered, and
 * when the tenant has its fill of devices; 422 for a unit that is not the caller's; 403 for a shelf that is not.
 */
export async function createDevice(
  db: TenantDb,
  principal: Principal,
  body: Registration,
  perTenantMax: number,
): Promise<number> {
  await requireUnit(db, principal, body.equipment_id ?? null);
  await requireRoomForDevice(db, perTenantMax);
  return insertDevice(db, principal, body);
}

/** Throws 409 when the tenant has its fill of devices. */
export async function requireRoomForDevice(db: TenantDb, perTenantMax: number): Promise<void> {
  if ((await countDevices(db, perTenantMax)) >= perTenantMax) throw deviceQuota(perTenantMax);
}

/** How many devices the tenant has in all its accounts, without retired ones; counts no further than `max`. */
export function countDevices(db: TenantDb, max: number): Promise<number> {
  return countForQuota(db, 'iot_device', max);
}

/** What is said to a tenant that has its fill of devices. */
export function deviceQuota(perTenantMax: number): Problem {
  return new Problem('conflict', `there are ${perTenantMax} devices already, which is the limit`);
}

/**
 * Registers a device whose unit is known to be the caller's to name, and for which there is room; gives its id. Throws 409
 * for a name that anybody has registered.
 */
export async function insertDevice(
  db: TenantDb,
  { tenant }: Principal,
  { equipment_id = null, ...columns }: Registration,
): Promise<number> {
  const { customerId } = tenant;
  const [made] = await db
    .insert(device)
    .values({ device_type: DEVICE_TYPE_DEFAULT, ...columns, customer_id: customerId })
    .onConflictDoNothing({ target: device.device_identifier, where: sql`status <> 'retired'` })
    .returning({ id: device.iot_device_id });
  // By whom is nobody's business.
  if (!made) throw fieldProblem('conflict', 'body', '/device_identifier', 'is registered already');
  if (equipment_id !== null) await mountOn(db, customerId, made.id, equipment_id);
  return made.id;
}

/** Changes how a device is called and signs in. */
export async function changeDevice(
  db: TenantDb,
  principal: Principal,
  id: number,
  patch: Pick<Registration, 'device_type' | 'sign_in_by_name'>,
): Promise<void> {
  await lockDevice(db, principal, id);
  await db.update(device).set(patch).where(eq(device.iot_device_id, id));
}

/** Mounts the device on a unit, taking it off the one before; null only takes it off. */
export async function mountDevice(
  db: TenantDb,
  principal: Principal,
  id: number,
  equipmentId: number | null,
  ifMatch: string | undefined,
): Promise<void> {
  const stored = await lockDevice(db, principal, id, ifMatch);
  await requireUnit(db, principal, equipmentId);
  if (stored.equipment_id === equipmentId) return;
  if (equipmentId !== null) requireInService(stored);
  await takeOff(db, id);
  if (equipmentId !== null) await mountOn(db, stored.customer_id, id, equipmentId);
  // So that the device has a new version.
  await db.update(device).set({ status: stored.status }).where(eq(device.iot_device_id, id));
}

/**
 * Takes a device off its unit and its tokens away, before it is retired: then nothing that it sends is accepted any more, and
 * another one may bear its name. What it has sent stays. Throws 409 for the tracker of a vehicle.
 */
export async function letGoOfDevice(db: TenantDb, id: number): Promise<void> {
  const [tracked] = await db
    .select({ id: vehicle.vehicle_id_code_hdr })
    .from(vehicle)
    .where(and(eq(vehicle.iot_device_id, id), isNull(vehicle.deleted_at)));
  if (tracked) {
    throw fieldProblem('conflict', 'body', '/status', `is the tracker of vehicle ${tracked.id}`);
  }
  await takeOff(db, id);
  await db.update(device).set(NO_TOKENS).where(eq(device.iot_device_id, id));
}

/** Retires the tracker of a vehicle that goes. One that is mounted on another unit by now is left as it is. */
export async function retireTracker(db: TenantDb, id: number, equipmentId: number): Promise<void> {
  await holdDevice(db, id);
  const taken = await takeOff(db, id, eq(mount.equipment_id, equipmentId));
  if (taken === 0) return;
  await db
    .update(device)
    .set({ status: 'retired', ...NO_TOKENS })
    .where(eq(device.iot_device_id, id));
}

const NO_TOKENS = { token_hash: null, previous_token_until: null };

async function holdDevice(db: TenantDb, id: number): Promise<void> {
  const held = db.select({ id: device.iot_device_id }).from(device);
  await held.where(eq(device.iot_device_id, id)).for('update');
}

/** Ends where the device is mounted, if it is and the mount is such a one; gives how many mounts have ended. */
async function takeOff(db: TenantDb, id: number, which?: SQL): Promise<number> {
  const ended = await db
    .update(mount)
    .set({ removed_at: sql`greatest(now(), ${mount.assigned_at})` })
    .where(and(eq(mount.iot_device_id, id), isNull(mount.removed_at), which))
    .returning({ id: mount.iot_device_id });
  return ended.length;
}

function requireInService({ status }: DeviceRow): void {
  if (status !== 'retired') return;
  throw new Problem('conflict', 'the device is retired; change its status first');
}

/** Gives the device a new token, and tells it; the one before holds for so many seconds more. */
export async function rotateToken(
  db: TenantDb,
  principal: Principal,
  id: number,
  overlapS: number,
): Promise<string> {
  requireInService(await lockDevice(db, principal, id));
  const { token, hash } = makeDeviceToken();
  // Now is over already: then nothing is held over.
  const until = sql`now() + make_interval(secs => ${overlapS})`;
  await db
    .update(device)
    .set({ token_hash: hash, previous_token_until: until })
    .where(eq(device.iot_device_id, id));
  return token;
}

/** Takes all tokens away. */
export async function deleteToken(db: TenantDb, principal: Principal, id: number): Promise<void> {
  await lockDevice(db, principal, id);
  await db.update(device).set(NO_TOKENS).where(eq(device.iot_device_id, id));
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

/** Whoever is held to accounts puts devices on units of theirs, and not on the shelf. Throws 403, or 422. */
export async function requireUnit(
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
