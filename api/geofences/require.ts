/** Whether a fence is there, for routes that hang on one. */
import { eq } from 'drizzle-orm';
import { geofence } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { notFound } from '../problem.ts';

/** Throws 404 when the fence is not there or is not the caller's. */
export async function requireGeofence(db: TenantDb, geofenceId: number): Promise<void> {
  const rows = await db
    .select({ geofence_id: geofence.geofence_id })
    .from(geofence)
    .where(eq(geofence.geofence_id, geofenceId));
  if (!rows[0]) throw notFound('geofence');
}
