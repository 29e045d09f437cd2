/**
 * What the reviser reads and writes: devices that ask for a revision, their visits, stored fixes, fences, and the changes.
 * Knows SQL; refuses to know what late fixes mean.
 */
import type { ClientBase, Pool } from 'pg';
import type { Device, DeviceState, Fence } from '../engine/types.ts';
import type { StoredVisit, VisitChange, VisitFix } from '../engine/visits.ts';
import { loadFences, readFenceRows } from './fence-rows.ts';
import { EMPTY_STATE } from '../engine/state.ts';

/** A device that asks; `mark` is another one whenever something was asked meanwhile. */
export interface RevisionRequest {
  readonly deviceId: number;
  readonly fromMs: number;
  readonly toMs: number;
  readonly mark: string;
}

/** What the live transactions had made of a device when it was read. */
export interface DeviceSnapshot {
  readonly device: Device;
  readonly live: DeviceState;
  /** Another one whenever the state was written meanwhile; null while there is none. */
  readonly stateMark: string | null;
}

const ms = (column: string): string => `(extract(epoch from ${column}) * 1000)::double precision`;

/** The longest waiting devices that ask, those left out that wait for fixes to come. */
export async function readRequests(pool: Pool, max: number): Promise<RevisionRequest[]> {
  const { rows } = await pool.query<RevisionRequest>(
    `select equipment_has_iot_device_id as "deviceId", ${ms('from_at')} as "fromMs", ${ms('to_at')} as "toMs",
            xmin::text as mark
       from visit_revision where not is_waiting order by requested_at, equipment_has_iot_device_id limit $1`,
    [max],
  );
  return rows;
}

/** Devices that waited for fixes to come ask again; all of them, or those named. Gives how many. */
export async function stopWaiting(pool: Pool, ids: readonly number[] | null): Promise<number> {
  const { rowCount } = await pool.query(
    // In the order in which all lock them.
    `update visit_revision set is_waiting = false where equipment_has_iot_device_id in (
       select equipment_has_iot_device_id from visit_revision
        where is_waiting and ($1::bigint[] is null or equipment_has_iot_device_id = any ($1))
        order by equipment_has_iot_device_id for update)`,
    [ids],
  );
  return rowCount ?? 0;
}

/** The device waits for fixes to come. */
export async function postponeRequest(pool: Pool, deviceId: number): Promise<void> {
  await pool.query(
    'update visit_revision set is_waiting = true where equipment_has_iot_device_id = $1',
    [deviceId],
  );
}

/** `null` for a device that is no more. */
export async function readDeviceSnapshot(
  client: ClientBase,
  deviceId: number,
): Promise<DeviceSnapshot | null> {
  const { rows } = await client.query<{
    tenant: number;
    account: number | null;
    unit: number;
    state: DeviceState | null;
    mark: string | null;
  }>(
    `select h.customer_id as tenant, e.account_id as account, e.equipment_id as unit, s.state, s.xmin::text as mark
       from equipment_has_iot_device h join equipment e using (equipment_id)
       left join engine_state s using (equipment_has_iot_device_id)
      where h.equipment_has_iot_device_id = $1`,
    [deviceId],
  );
  const row = rows[0];
  if (row === undefined) return null;
  return {
    device: {
      deviceId,
      tenantId: row.tenant,
      accountId: row.account,
      equipmentId: row.unit,
    },
    live: row.state ?? EMPTY_STATE,
    stateMark: row.mark,
  };
}

interface VisitRow extends Omit<StoredVisit, 'leftMs' | 'lastFixMs' | 'dwelledMs'> {
  readonly leftMs: number | null;
  readonly lastFixMs: number | null;
  readonly dwelledMs: number | null;
}

/** A stored visit with the revision that a change must find. */
export interface VisitRecord extends StoredVisit {
  readonly revision: number;
}

/** Visits of a device that had not ended by a time, and those whose names are of that time or later. */
export async function readVisits(
  client: ClientBase,
  deviceId: number,
  fromMs: number,
): Promise<VisitRecord[]> {
  const { rows } = await client.query<VisitRow & { revision: number }>(
    `select geofence_id as "fenceId", ${ms('opened_at')} as "openedMs", ${ms('entered_at')} as "enteredMs",
            ${ms('left_at')} as "leftMs", ${ms('last_fix_at')} as "lastFixMs", ${ms('dwelled_at')} as "dwelledMs",
            left_cause as "leftCause", retracted as "isRetracted", revision
       from geofence_visit
      where equipment_has_iot_device_id = $1
        and (left_at is null or left_at >= to_timestamp($2::float8 / 1000)
             or opened_at >= to_timestamp($2::float8 / 1000))`,
    [deviceId, fromMs],
  );
  return rows.map((row) => ({
    ...row,
    leftMs: row.leftMs ?? NaN,
    lastFixMs: row.lastFixMs ?? NaN,
    dwelledMs: row.dwelledMs ?? NaN,
  }));
}

/** When the device, or its assignment, last ended all stays at or before a time; −Infinity: never. */
export async function readBarrierMs(
  client: ClientBase,
  deviceId: number,
  untilMs: number,
): Promise<number> {
  const { rows } = await client.query<{ at: number | null }>(
    `select ${ms('max(left_at)')} as at from geofence_visit
      where equipment_has_iot_device_id = $1 and left_at <= to_timestamp($2::float8 / 1000)
        and left_cause in ('device_removed', 'assignment_changed') and not retracted`,
    [deviceId, untilMs],
  );
  return rows[0]?.at ?? -Infinity;
}

const FIX = `${ms('recorded_at')} as "timeMs", longitude as "lonDeg", latitude as "latDeg",
  coalesce(accuracy_m, 'NaN')::double precision as "accuracyM"`;

/** Stored fixes after a time, the earliest first. */
export async function readFixesAfter(
  client: ClientBase,
  deviceId: number,
  afterMs: number,
  max: number,
): Promise<VisitFix[]> {
  const { rows } = await client.query<VisitFix>(
    `select ${FIX} from equipment_gps_location
      where equipment_has_iot_device_id = $1 and recorded_at > to_timestamp($2::float8 / 1000)
      order by recorded_at limit $3`,
    [deviceId, Number.isFinite(afterMs) ? afterMs : 0, max],
  );
  return rows;
}

/** Stored fixes before a time, the latest first. */
export async function readFixesBefore(
  client: ClientBase,
  deviceId: number,
  beforeMs: number,
  max: number,
): Promise<VisitFix[]> {
  const { rows } = await client.query<VisitFix>(
    `select ${FIX} from equipment_gps_location
      where equipment_has_iot_device_id = $1 and recorded_at < to_timestamp($2::float8 / 1000)
      order by recorded_at desc limit $3`,
    [deviceId, beforeMs, max],
  );
  return rows;
}

/** Of these fences the active ones that have been as they are since a time. */
export async function readFencesSince(
  pool: Pool,
  ids: readonly number[],
  sinceMs: number,
): Promise<Fence[]> {
  const { rows } = await pool.query<{ id: number; version: number }>(
    `select geofence_id as id, version from geofence
      where geofence_id = any ($1::bigint[]) and status = 'active' and updated_at <= to_timestamp($2::float8 / 1000)`,
    [ids, sinceMs],
  );
  const ofIds = await readFenceRows(
    pool,
    rows.map((row) => row.id),
  );
  const fences = loadFences(ofIds).loaded.map(({ fence }) => fence);
  // One may have been edited between the two.
  return fences.filter((fence) =>
    rows.some((row) => row.id === fence.fenceId && row.version === fence.version),
  );
}

/** What a pass has found. */
export interface RevisionResult {
  readonly request: RevisionRequest;
  readonly snapshot: DeviceSnapshot;
  readonly changes: readonly VisitChange[];
  readonly stored: readonly VisitRecord[];
  readonly fences: readonly Fence[];
  /** Where there is more to be done: from when on. */
  readonly restFromMs: number | null;
  readonly isWaiting: boolean;
}

const REVISE_SQL = `
  update geofence_visit v set entered_at = to_timestamp(x.entered_ms / 1000), first_fix_at = to_timestamp(x.entered_ms / 1000),
    left_at = to_timestamp(x.left_ms / 1000), last_fix_at = to_timestamp(x.last_fix_ms / 1000), left_cause = x.left_cause,
    dwelled_at = to_timestamp(x.dwelled_ms / 1000), retracted = x.retracted, revision = v.revision + 1
  from unnest($2::bigint[], $3::float8[], $4::integer[], $5::float8[], $6::float8[], $7::float8[], $8::float8[], $9::text[],
    $10::boolean[])
    as x (fence_id, opened_ms, revision, entered_ms, left_ms, last_fix_ms, dwelled_ms, left_cause, retracted)
  where v.equipment_has_iot_device_id = $1 and v.geofence_id = x.fence_id
    and v.opened_at = to_timestamp(x.opened_ms / 1000) and v.revision = x.revision`;

const INSERT_SQL = `
  insert into geofence_visit (customer_id, account_id, geofence_id, geofence_name, geofence_version, equipment_id,
    equipment_has_iot_device_id, opened_at, entered_at, first_fix_at, left_at, last_fix_at, dwelled_at, left_cause, entered_cause)
  select $2, $3, x.fence_id, x.name, x.version, $4, $1, to_timestamp(x.opened_ms / 1000), to_timestamp(x.entered_ms / 1000),
    to_timestamp(x.entered_ms / 1000), to_timestamp(x.left_ms / 1000), to_timestamp(x.last_fix_ms / 1000),
    to_timestamp(x.dwelled_ms / 1000), x.left_cause, 'late_data'
  from unnest($5::bigint[], $6::text[], $7::integer[], $8::float8[], $9::float8[], $10::float8[], $11::float8[],
    $12::float8[], $13::text[])
    as x (fence_id, name, version, opened_ms, entered_ms, left_ms, last_fix_ms, dwelled_ms, left_cause)
  on conflict do nothing`;

/**
 * Writes what a pass has found, in one transaction. False, and nothing is written: the live engine has written the
 * device's state, or late fixes have come, since it was read.
 */
export async function writeRevision(client: ClientBase, result: RevisionResult): Promise<boolean> {
  await client.query('begin');
  try {
    const isDone = await tryWrite(client, result);
    await client.query(isDone ? 'commit' : 'rollback');
    return isDone;
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

async function tryWrite(client: ClientBase, result: RevisionResult): Promise<boolean> {
  const { deviceId, mark } = result.request;
  const asked = await client.query<{ mark: string }>(
    `select xmin::text as mark from visit_revision where equipment_has_iot_device_id = $1 for update`,
    [deviceId],
  );
  const state = await client.query<{ mark: string }>(
    `select xmin::text as mark from engine_state where equipment_has_iot_device_id = $1 for update`,
    [deviceId],
  );
  if (asked.rows[0]?.mark !== mark) return false;
  if ((state.rows[0]?.mark ?? null) !== result.snapshot.stateMark) return false;
  const written = (await revise(client, result)) && (await insert(client, result));
  if (!written) return false;
  if (result.restFromMs === null && !result.isWaiting) {
    await client.query('delete from visit_revision where equipment_has_iot_device_id = $1', [
      deviceId,
    ]);
    return true;
  }
  const fromMs = result.restFromMs ?? result.request.fromMs;
  await client.query(
    `update visit_revision set from_at = to_timestamp($2::float8 / 1000),
       to_at = greatest(to_at, to_timestamp($2::float8 / 1000)), is_waiting = $3
      where equipment_has_iot_device_id = $1`,
    [deviceId, fromMs, result.isWaiting],
  );
  return true;
}

async function revise(client: ClientBase, result: RevisionResult): Promise<boolean> {
  const visits = result.changes.filter(({ type }) => type !== 'insert').map(({ visit }) => visit);
  if (visits.length === 0) return true;
  const revisionOf = new Map(result.stored.map((one) => [nameOf(one), one.revision]));
  const { rowCount } = await client.query(REVISE_SQL, [
    result.request.deviceId,
    visits.map((visit) => visit.fenceId),
    visits.map((visit) => visit.openedMs),
    visits.map((visit) => revisionOf.get(nameOf(visit)) ?? null),
    visits.map((visit) => visit.enteredMs),
    visits.map((visit) => known(visit.leftMs)),
    visits.map((visit) => known(visit.lastFixMs)),
    visits.map((visit) => known(visit.dwelledMs)),
    visits.map((visit) => visit.leftCause),
    visits.map((visit) => visit.isRetracted),
  ]);
  return rowCount === visits.length;
}

async function insert(client: ClientBase, result: RevisionResult): Promise<boolean> {
  const visits = result.changes.filter(({ type }) => type === 'insert').map(({ visit }) => visit);
  if (visits.length === 0) return true;
  const fenceOf = new Map(result.fences.map((fence) => [fence.fenceId, fence]));
  const { deviceId, tenantId, accountId, equipmentId } = result.snapshot.device;
  const { rowCount } = await client.query(INSERT_SQL, [
    deviceId,
    tenantId,
    accountId,
    equipmentId,
    visits.map((visit) => visit.fenceId),
    visits.map((visit) => fenceOf.get(visit.fenceId)?.name ?? ''),
    visits.map((visit) => fenceOf.get(visit.fenceId)?.version ?? 0),
    visits.map((visit) => visit.openedMs),
    visits.map((visit) => visit.enteredMs),
    visits.map((visit) => known(visit.leftMs)),
    visits.map((visit) => known(visit.lastFixMs)),
    visits.map((visit) => known(visit.dwelledMs)),
    visits.map((visit) => visit.leftCause),
  ]);
  return rowCount === visits.length;
}

/** Forgets what is asked of a device that is no more. */
export async function dropRequest(pool: Pool, deviceId: number): Promise<void> {
  await pool.query('delete from visit_revision where equipment_has_iot_device_id = $1', [deviceId]);
}

function nameOf({ fenceId, openedMs }: StoredVisit): string {
  return `${fenceId} ${openedMs}`;
}

function known(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
