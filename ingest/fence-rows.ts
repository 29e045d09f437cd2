/** Reads fences from the database as the engine takes them. Runs under the ingest role and sees every tenant. */
import type { Pool } from 'pg';
import { readActiveHours } from '../engine/active-hours.ts';
import { shapeFromGeoJson } from '../engine/geojson.ts';
import { checkShapeForm } from '../engine/shape.ts';
import type { Fence } from '../engine/types.ts';

/** Tells whether a fence is the one that was read before: its version, and the time zone it takes from its customer. */
export type FenceMark = number | string;

/** What is known of a fence before it is read. */
export interface FenceOutline {
  readonly fenceId: number;
  readonly mark: FenceMark;
  /** As stored, which is compressed where it is long. */
  readonly geometryBytes: number;
}

/** Fences that may have changed: by id, and those of customers whose time zone they are told by. */
export interface FenceChanges {
  readonly fences: ReadonlySet<number>;
  readonly customers: ReadonlySet<number>;
}

interface OutlineRow {
  geofence_id: number;
  version: number;
  customer_zone: string | null;
  geometry_bytes: number;
}

interface FenceRow extends OutlineRow {
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
  dwell_s: number | null;
  cross_gap_s: number;
  active_hours: unknown;
  time_zone: string | null;
}

/** A fence that the engine cannot take: written past the API, or its customer's time zone is none. */
export interface BadFence {
  readonly fenceId: number;
  readonly reason: string;
}

export interface LoadedFence {
  readonly fence: Fence;
  readonly mark: FenceMark;
}

const LEANING = 'f.active_hours is not null and f.time_zone is null';
const FROM_SQL = `from geofence f join customer c on c.customer_id = f.customer_id where f.status = 'active'`;
const OUTLINE_SQL = `f.geofence_id, f.version, case when ${LEANING} then c.time_zone end as customer_zone`;

/** Outlines of all active fences, or of those that may have changed. */
export async function readFenceOutlines(
  pool: Pool,
  changes: FenceChanges | null,
): Promise<FenceOutline[]> {
  const only = changes && [[...changes.fences], [...changes.customers]];
  const { rows } = await pool.query<OutlineRow>(
    `select ${OUTLINE_SQL}, coalesce(pg_column_size(f.polygon), 0) as geometry_bytes ${FROM_SQL} ${
      only ? `and (f.geofence_id = any ($1) or (f.customer_id = any ($2) and ${LEANING}))` : ''
    }`,
    only ?? [],
  );
  return rows.map((row) => ({
    fenceId: row.geofence_id,
    mark: markOf(row),
    geometryBytes: row.geometry_bytes,
  }));
}

/** Rows of active fences, as they come from the database; `loadFences` makes fences of them. */
export async function readFenceRows(pool: Pool, ids: readonly number[]): Promise<FenceRow[]> {
  const { rows } = await pool.query<FenceRow>(
    `select ${OUTLINE_SQL}, f.customer_id, f.account_id, f.geofence_name, f.shape_type, f.polygon, f.center_lat,
            f.center_lng, f.radius_m, f.width_m, f.exit_buffer_m, f.enter_fix_count, f.exit_fix_count, f.accuracy_m_max,
            f.dwell_s, f.cross_gap_s, f.active_hours, coalesce(f.time_zone, c.time_zone) as time_zone
       ${FROM_SQL} and f.geofence_id = any ($1)`,
    [ids],
  );
  return rows;
}

/** Fences of rows, and those that cannot be used with the reason. */
export function loadFences(rows: readonly FenceRow[]): { loaded: LoadedFence[]; bad: BadFence[] } {
  const loaded: LoadedFence[] = [];
  const bad: BadFence[] = [];
  for (const row of rows) {
    const fence = fenceOf(row);
    if (typeof fence === 'string') bad.push({ fenceId: row.geofence_id, reason: fence });
    else loaded.push({ fence, mark: markOf(row) });
  }
  return { loaded, bad };
}

function markOf({ version, customer_zone: zone }: OutlineRow): FenceMark {
  return zone === null ? version : `${version} ${zone}`;
}

/** The fence, or why it is none. */
function fenceOf(row: FenceRow): Fence | string {
  const read = shapeFromGeoJson(row);
  if (!read.ok) return `${read.reason}: ${read.detail}`;
  const checked = checkShapeForm(read.shape);
  if (!checked.ok) return `${checked.reason}: ${checked.detail}`;
  const hours = readActiveHours(row.active_hours, row.time_zone);
  if (!hours.ok) return `${hours.reason}: ${hours.detail}`;
  return {
    fenceId: row.geofence_id,
    version: row.version,
    tenantId: row.customer_id,
    accountId: row.account_id,
    name: row.geofence_name,
    shape: read.shape,
    exitBufferM: row.exit_buffer_m,
    enterFixCount: row.enter_fix_count,
    exitFixCount: row.exit_fix_count,
    accuracyMMax: row.accuracy_m_max,
    dwellMs: row.dwell_s === null ? null : row.dwell_s * 1000,
    crossGapMsMax: row.cross_gap_s * 1000,
    schedule: hours.schedule,
  };
}
