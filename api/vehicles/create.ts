/**
 * Makes a vehicle: unit and tracker, header, and everything that hangs on it, all of it or nothing. It runs in a
 * transaction, or under a savepoint, that its caller ends; whatever is thrown names the field of the body that is to blame.
 */
import { sql, type SQL } from 'drizzle-orm';
import { vehicleBasicInformationHdr } from '../../db/schema.ts';
import { requireAccount } from '../ownership.ts';
import { fieldProblem } from '../problem.ts';
import type { Row } from '../resources/define.ts';
import { createRow, run, type Work } from '../resources/store.ts';
import { blame, IMEI } from './blame.ts';
import { HEADER, isList, PARTS, type Part, type PartName, type VehicleBody } from './schemas.ts';
import { placeTracker, type DeviceRoom, type Wanted } from './tracker.ts';

/** A vehicle with all that hangs on it, as it is shown. */
export interface Vehicle extends Row {
  readonly header: Row;
  readonly equipment_id: number | null;
  readonly iot_device_id: number | null;
}

export interface MadeVehicle {
  readonly vehicle: Vehicle;
  /** A new token of its tracker; null: none was asked for. */
  readonly token: string | null;
  /** Its tracker was not registered before. */
  readonly isNewTracker: boolean;
}

/**
 * Throws 409 for a chassis, tracker, plate, permit or unit number that is somebody's, 422 for references to what is not
 * there, and 403 for what is not the caller's to write.
 */
export async function createVehicle(
  work: Work,
  body: VehicleBody,
  room: DeviceRoom,
): Promise<MadeVehicle> {
  await requireAccount(work.db, work.principal, body.account_id ?? null);
  requireServices(body);
  const code = await nextCode(work);
  const placed = await placeTracker(work, wantedOf(body, code), room);
  const header = await blame({ names: namesOf(body) }, () =>
    createRow(work, HEADER, {
      ...headerOf(body),
      vehicle_id_code_hdr: code,
      account_id: placed.accountId,
      equipment_id: placed.equipmentId,
      iot_device_id: placed.deviceId,
    }),
  );
  const parts = await createParts(work, body, code);
  const { equipmentId: equipment_id, deviceId: iot_device_id, token, isNewTracker } = placed;
  return { vehicle: { header, equipment_id, iot_device_id, ...parts }, token, isNewTracker };
}

/** How many rows hang on the vehicle. */
export function countParts(body: Partial<VehicleBody>): number {
  return PARTS.reduce((count, { name }) => count + rowsOf(body, name).length, 0);
}

function rowsOf(body: Partial<VehicleBody>, name: PartName): readonly Row[] {
  const given = body[name];
  if (given === undefined || given === null) return [];
  if (!isList(name)) return [given as Row];
  return Array.isArray(given) ? (given as readonly Row[]) : [];
}

function headerOf(body: VehicleBody): Row {
  return Object.fromEntries(Object.entries(body).filter(([name]) => HEADER.writable.has(name)));
}

// The number is needed before the row is written, for the unit may be called by it.
async function nextCode({ client }: Work): Promise<string> {
  const { default: next } = vehicleBasicInformationHdr.vehicle_id_code_hdr;
  const [row] = await run(client, sql`select ${next as SQL} as code`);
  return row!['code'] as string;
}

function wantedOf(body: VehicleBody, code: string): Wanted {
  const { maker_brand_description: maker, maker_model: model } = body;
  return {
    imei: body.gps_tracker_imei_number,
    chassisNumber: body.vin_chassis_no,
    equipmentId: body.equipment_id ?? null,
    accountId: body.account_id,
    unitNumber: body.unit_number,
    unitNumberDefault: presentRegistration(rowsOf(body, 'ownerships')) ?? code,
    description: [maker, model].filter((word) => typeof word === 'string').join(' '),
    tracker: body.tracker ?? {},
  };
}

/** The plate of the owner who came last among those who have not left. */
function presentRegistration(ownerships: readonly Row[]): string | undefined {
  const since = (row: Row) => (row['valid_from'] ?? '') as string;
  const [latest] = ownerships
    .filter((row) => (row['valid_to'] ?? null) === null && (row['registration_number'] ?? null))
    .sort((a, b) => since(b).localeCompare(since(a)));
  return latest?.['registration_number'] as string | undefined;
}

// A unit that the request does not name was found by its tracker.
function namesOf(body: VehicleBody): Record<string, string> {
  const byTracker = (body.equipment_id ?? null) === null;
  return { '/iot_device_id': IMEI, ...(byTracker && { '/equipment_id': IMEI }) };
}

function requireServices(body: VehicleBody): void {
  const services = rowsOf(body, 'services').length;
  for (const [index, { service_index: service }] of rowsOf(body, 'documents').entries()) {
    if (typeof service !== 'number' || service < services) continue;
    const pointer = `/documents/${index}/service_index`;
    throw fieldProblem('unprocessable', 'body', pointer, 'there is no such service in `services`');
  }
}

async function createParts(work: Work, body: VehicleBody, code: string): Promise<Row> {
  const made: Row = {};
  let services: readonly Row[] = [];
  for (const part of PARTS) {
    const rows = await createPart(work, part, rowsOf(body, part.name), { code, services });
    if (part.name === 'services') services = rows;
    made[part.name] = isList(part.name) ? rows : (rows[0] ?? null);
  }
  return made;
}

async function createPart(
  work: Work,
  { name, resource, vehicleKey }: Part,
  rows: readonly Row[],
  { code, services }: { code: string; services: readonly Row[] },
): Promise<Row[]> {
  const made: Row[] = [];
  for (const [index, { service_index: service, ...row }] of rows.entries()) {
    const values = { ...row, [vehicleKey]: code };
    if (typeof service === 'number') {
      values['vehicle_maintenance_id'] = services[service]!['vehicle_maintenance_id'];
    }
    const at = isList(name) ? `/${name}/${index}` : `/${name}`;
    made.push(await blame({ at }, () => createRow(work, resource, values)));
  }
  return made;
}
