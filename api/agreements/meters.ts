/** What a unit's odometer showed at an instant, as far as its devices have told. */
import { and, desc, eq, gt, isNotNull, lte } from 'drizzle-orm';
import { telematics, tenantGpsLocation as fix } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';

/** A reading older than this says little of an instant. */
export const ODOMETER_AGE_MS_MAX = 24 * 3_600_000;

/**
 * The last odometer reading up to an instant, in whole metres; null where none came in the day before, or where the unit is
 * not the caller's to see.
 */
export async function odometerAt(
  db: TenantDb,
  equipmentId: number,
  atMs: number,
): Promise<number | null> {
  const from = new Date(atMs - ODOMETER_AGE_MS_MAX);
  const to = new Date(atMs);
  const [latest] = await db
    .select({ odometer_m: telematics.odometer_m })
    .from(telematics)
    .where(
      and(
        eq(telematics.equipment_id, equipmentId),
        gt(telematics.recorded_at, from),
        lte(telematics.recorded_at, to),
        isNotNull(telematics.odometer_m),
      ),
    );
  if (latest) return Math.floor(latest.odometer_m!);
  const [earlier] = await db
    .select({ odometer_m: fix.odometer_m })
    .from(fix)
    .where(
      and(
        eq(fix.equipment_id, equipmentId),
        gt(fix.recorded_at, from),
        lte(fix.recorded_at, to),
        isNotNull(fix.odometer_m),
      ),
    )
    .orderBy(desc(fix.recorded_at))
    .limit(1);
  return earlier ? Math.floor(earlier.odometer_m!) : null;
}
