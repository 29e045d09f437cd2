/**
 * A vehicle's unit and tracker: found where they are there already, and else made. Runs in the transaction that makes the
 * vehicle; ingestion hears of both by the change feed.
 *
 * Whoever may make vehicles may make units and trackers for them. A tracker that is registered already is taken as it is:
 * changing how it signs in asks for the right to change devices.
 */
import { and, desc, eq, isNotNull, isNull, ne } from 'drizzle-orm';
import { equipment, iotDevice, vehicleBasicInformationHdr } from '../../db/schema.ts';
import { makeDeviceToken } from '../auth/device-token.ts';
import { requirePermission } from '../guard.ts';
import { OVERLAP_S_DEFAULT } from '../iot-devices/schemas.ts';
import {
  changeDevice,
  countDevices,
  deviceQuota,
  getDevice,
  insertDevice,
  mountDevice,
  rotateToken,
  type DeviceRow,
} from '../iot-devices/store.ts';
import { requireOwnRow } from '../ownership.ts';
import { fieldProblem } from '../problem.ts';
import type { Work } from '../resources/store.ts';
import { blame, IMEI, trackerTaken } from './blame.ts';
import type { TrackerBody } from './schemas.ts';

/** The type of a tracker of which nothing better is said. */
export const TRACKER_TYPE_DEFAULT = 'vehicle tracker';

/** Devices that the tenant may yet register; null before somebody has counted. Shared by the vehicles of a request. */
export interface DeviceRoom {
  readonly perTenantMax: number;
  left: number | null;
}

/** What a request says of unit and tracker. */
export interface Wanted {
  readonly imei: string;
  readonly chassisNumber: string;
  /** A unit that is there, by its id. */
  readonly equipmentId: number | null;
  /** Undefined: not said. */
  readonly accountId: number | null | undefined;
  /** Undefined: not said. */
  readonly unitNumber: string | undefined;
  /** Of a new unit, when none is said. */
  readonly unitNumberDefault: string;
  readonly description: string;
  readonly tracker: TrackerBody;
}

export interface Placed {
  readonly equipmentId: number;
  readonly accountId: number | null;
  readonly deviceId: number;
  /** A new token of the tracker; null: none was asked for. */
  readonly token: string | null;
  /** The tracker was not registered before. */
  readonly isNewTracker: boolean;
}

type UnitRow = typeof equipment.$inferSelect;

/**
 * Throws 409 where the tracker or the unit is another vehicle's or another tenant's, or the unit is not as it is said to
 * be; 403 where they are not the caller's to change; 422 for a unit that is not there.
 */
export async function placeTracker(work: Work, wanted: Wanted, room: DeviceRoom): Promise<Placed> {
  const found = await findTracker(work, wanted);
  const unit = await placeUnit(work, wanted, found);
  const place = {
    names: { '/device_identifier': IMEI, '/device_type': '/tracker/device_type' },
    otherwise: IMEI,
  };
  const { equipment_id: equipmentId, account_id: accountId } = unit;
  if (!found) {
    const made = await registerTracker(work, wanted, equipmentId, room);
    return {
      equipmentId,
      accountId,
      deviceId: made.iot_device_id,
      token: made.token,
      isNewTracker: true,
    };
  }
  const deviceId = found.iot_device_id;
  const token = await blame(place, async () => {
    await mountDevice(work.db, work.principal, deviceId, equipmentId, undefined);
    return changeTracker(work, deviceId, wanted.tracker);
  });
  return { equipmentId, accountId, deviceId, token, isNewTracker: false };
}

/** The tenant's device of this name, held until the transaction ends; null: it has none that the caller sees. */
async function findTracker({ db, principal }: Work, { imei }: Wanted): Promise<DeviceRow | null> {
  const [known] = await db
    .select({ id: iotDevice.iot_device_id })
    .from(iotDevice)
    .where(and(eq(iotDevice.device_identifier, imei), ne(iotDevice.status, 'retired')))
    .for('update');
  if (!known) return null;
  const device = await getDevice(db, known.id);
  if (device.equipment_id !== null && (await isVehicle(db, device.equipment_id))) {
    throw trackerTaken();
  }
  await blame({ otherwise: IMEI }, () => Promise.resolve(requireOwnRow(principal, device)));
  if (device.status !== 'active') {
    const detail = `is registered and ${device.status}; make it active first`;
    throw fieldProblem('conflict', 'body', IMEI, detail);
  }
  return device;
}

async function isVehicle(db: Work['db'], equipmentId: number): Promise<boolean> {
  const header = vehicleBasicInformationHdr;
  const rows = await db
    .select({ id: header.vehicle_id_code_hdr })
    .from(header)
    .where(and(eq(header.equipment_id, equipmentId), isNull(header.deleted_at)));
  return rows.length > 0;
}

async function placeUnit(work: Work, wanted: Wanted, found: DeviceRow | null): Promise<UnitRow> {
  const { equipmentId } = wanted;
  const mountedOn = found?.equipment_id ?? null;
  if (equipmentId !== null && mountedOn !== null && equipmentId !== mountedOn) {
    const detail = 'the tracker is mounted on another unit';
    throw fieldProblem('conflict', 'body', '/equipment_id', detail);
  }
  const id = equipmentId ?? mountedOn ?? (await unitLeftBehind(work, wanted));
  return id === null ? makeUnit(work, wanted) : adoptUnit(work, wanted, id);
}

/** The unit of the last vehicle of this chassis that was deleted: the same vehicle, entered anew. Null: there is none. */
async function unitLeftBehind({ db }: Work, { chassisNumber }: Wanted): Promise<number | null> {
  const header = vehicleBasicInformationHdr;
  const [last] = await db
    .select({ id: equipment.equipment_id })
    .from(header)
    .innerJoin(equipment, eq(equipment.equipment_id, header.equipment_id))
    .where(
      and(
        eq(header.vin_chassis_no, chassisNumber),
        eq(equipment.vin, chassisNumber),
        isNotNull(header.deleted_at),
      ),
    )
    .orderBy(desc(header.deleted_at))
    .limit(1);
  return last?.id ?? null;
}

function makeUnit({ db, principal }: Work, wanted: Wanted): Promise<UnitRow> {
  const row = {
    customer_id: principal.tenant.customerId,
    account_id: wanted.accountId ?? null,
    unit_number: wanted.unitNumber ?? wanted.unitNumberDefault,
    description: wanted.description,
    vin: wanted.chassisNumber,
  };
  return blame({ names: { '/vin': '/vin_chassis_no' } }, async () => {
    const [made] = await db.insert(equipment).values(row).returning();
    return made!;
  });
}

/** A unit that is there becomes the vehicle's. What the request says of it must be so. */
async function adoptUnit({ db, principal }: Work, wanted: Wanted, id: number): Promise<UnitRow> {
  const conflict = (pointer: string, detail: string) =>
    fieldProblem('conflict', 'body', pointer, detail);
  const byId = eq(equipment.equipment_id, id);
  const [unit] = await db.select().from(equipment).where(byId).for('update');
  if (!unit) throw fieldProblem('unprocessable', 'body', '/equipment_id', 'no such equipment');
  if (await isVehicle(db, id)) throw conflict('/equipment_id', 'is the unit of a vehicle already');
  const otherwise = wanted.equipmentId === null ? IMEI : '/equipment_id';
  await blame({ otherwise }, () => Promise.resolve(requireOwnRow(principal, unit)));
  if (wanted.accountId !== undefined && wanted.accountId !== unit.account_id) {
    throw conflict('/account_id', 'is not the account of the unit');
  }
  if (wanted.unitNumber !== undefined && wanted.unitNumber !== unit.unit_number) {
    throw conflict('/unit_number', 'is not the number of the unit');
  }
  const { chassisNumber } = wanted;
  if (unit.vin === null) {
    await blame({ names: { '/vin': '/vin_chassis_no' } }, () =>
      db.update(equipment).set({ vin: chassisNumber }).where(byId),
    );
  } else if (unit.vin.toUpperCase() !== chassisNumber) {
    throw conflict('/vin_chassis_no', 'is not the VIN of the unit');
  }
  return unit;
}

// An IMEI is mostly all that a tracker can say. So one that gets no token signs in by its name, unless that is refused:
// otherwise nothing that it sends would be accepted.
async function registerTracker(
  { db, principal }: Work,
  { imei, tracker }: Wanted,
  equipmentId: number,
  room: DeviceRoom,
): Promise<{ iot_device_id: number; token: string | null }> {
  const { device_type = TRACKER_TYPE_DEFAULT, issue_token = false } = tracker;
  const { sign_in_by_name = !issue_token } = tracker;
  room.left ??= room.perTenantMax - (await countDevices(db, room.perTenantMax));
  if (room.left <= 0) throw deviceQuota(room.perTenantMax);
  const made = issue_token ? makeDeviceToken() : null;
  const iot_device_id = await blame({ names: { '/device_identifier': IMEI } }, () =>
    insertDevice(db, principal, {
      device_identifier: imei,
      device_type,
      sign_in_by_name,
      equipment_id: equipmentId,
      ...(made && { token_hash: made.hash }),
    }),
  );
  return { iot_device_id, token: made?.token ?? null };
}

/** Gives the new token, which the one before outlives by a while. */
async function changeTracker(
  { db, principal }: Work,
  deviceId: number,
  { issue_token = false, ...patch }: TrackerBody,
): Promise<string | null> {
  const isChanged = Object.keys(patch).length > 0;
  if (isChanged || issue_token) requirePermission(principal, 'iot_device:write');
  if (isChanged) await changeDevice(db, principal, deviceId, patch);
  if (!issue_token) return null;
  return rotateToken(db, principal, deviceId, OVERLAP_S_DEFAULT);
}
