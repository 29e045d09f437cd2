/** Fences in the database. Every function runs inside the caller's tenant transaction. */
import { and, asc, count, eq, gt } from 'drizzle-orm';
import { geofence } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import type { Principal } from '../auth/principal.ts';
import { requireMatch } from '../entity-tag.ts';
import { mergePatch } from '../merge-patch.ts';
import { requireAccount, requireOwnRow } from '../ownership.ts';
import { notFound, Problem } from '../problem.ts';
import { checkedShape } from './check.ts';
import { requireHours } from './hours.ts';
import type { GeofenceCreateBody, GeofencePatchBody, ShapeType } from './schemas.ts';

export type GeofenceRow = typeof geofence.$inferSelect;

export interface GeofenceFilters {
  readonly account_id?: number;
  readonly status?: GeofenceRow['status'];
  readonly shape_type?: ShapeType;
}

/** Fences after the given id, in the order they were made. */
export function listGeofences(
  db: TenantDb,
  filters: GeofenceFilters,
  afterId: number | null,
  rowsMax: number,
): Promise<GeofenceRow[]> {
  const { account_id, status, shape_type } = filters;
  return db
    .select()
    .from(geofence)
    .where(
      and(
        account_id === undefined ? undefined : eq(geofence.account_id, account_id),
        status === undefined ? undefined : eq(geofence.status, status),
        shape_type === undefined ? undefined : eq(geofence.shape_type, shape_type),
        afterId === null ? undefined : gt(geofence.geofence_id, afterId),
      ),
    )
    .orderBy(asc(geofence.geofence_id))
    .limit(rowsMax);
}

/** Throws 404. */
export async function getGeofence(db: TenantDb, id: number): Promise<GeofenceRow> {
  const rows = await db.select().from(geofence).where(eq(geofence.geofence_id, id));
  if (!rows[0]) throw notFound('geofence');
  return rows[0];
}

/** Throws 422 for a shape or hours that cannot be, or a foreign account, 409 when the tenant has its fill of fences. */
export async function createGeofence(
  db: TenantDb,
  principal: Principal,
  body: GeofenceCreateBody,
  perTenantMax: number,
): Promise<GeofenceRow> {
  const shape = checkedShape(null, body);
  await requireHours(db, null, body);
  await requireAccount(db, principal, body.account_id ?? null);
  const [held] = await db.select({ rows: count() }).from(geofence);
  if (held!.rows >= perTenantMax) {
    throw new Problem(
      'conflict',
      `there are ${perTenantMax} geofences already, which is the limit`,
    );
  }
  const row = { ...body, ...shape, customer_id: principal.tenant.customerId };
  const made = await db.insert(geofence).values(row).returning();
  return made[0]!;
}

/** Applies a merge patch to the row as it is at this moment; an empty one changes nothing, not even the version. */
export async function patchGeofence(
  db: TenantDb,
  principal: Principal,
  id: number,
  patch: GeofencePatchBody,
  ifMatch: string | undefined,
): Promise<GeofenceRow> {
  const stored = await lockGeofence(db, principal, id, ifMatch);
  if (Object.keys(patch).length === 0) return stored;
  const sent =
    patch.polygon === undefined
      ? patch
      : { ...patch, polygon: mergePatch(stored.polygon, patch.polygon) };
  const shape = checkedShape(stored, sent);
  await requireHours(db, stored, patch);
  if (patch.account_id !== undefined) await requireAccount(db, principal, patch.account_id);
  const changed = await db
    .update(geofence)
    .set({ ...patch, ...shape })
    .where(eq(geofence.geofence_id, id))
    .returning();
  return changed[0]!;
}

/** Throws 404, 412 or 403. */
export async function deleteGeofence(
  db: TenantDb,
  principal: Principal,
  id: number,
  ifMatch: string | undefined,
): Promise<void> {
  await lockGeofence(db, principal, id, ifMatch);
  await db.delete(geofence).where(eq(geofence.geofence_id, id));
}

async function lockGeofence(
  db: TenantDb,
  principal: Principal,
  id: number,
  ifMatch: string | undefined,
): Promise<GeofenceRow> {
  const rows = await db.select().from(geofence).where(eq(geofence.geofence_id, id)).for('update');
  const stored = rows[0];
  if (!stored) throw notFound('geofence');
  requireOwnRow(principal, stored);
  requireMatch(ifMatch, stored.version);
  return stored;
}
