/** What a unit's odometer showed when it was handed over or came back. */
import type { TenantDb } from '../../db/tenancy.ts';
import { metersAt } from '../equipment/meters.ts';

/** A reading older than this says little of an instant. */
export const ODOMETER_AGE_MS_MAX = 24 * 3_600_000;

/**
 * What it showed at an instant, in whole metres; null where nothing was read in the day before, or where the unit is not
 * the caller's to see.
 */
export async function odometerAt(
  db: TenantDb,
  equipmentId: number,
  atMs: number,
): Promise<number | null> {
  const { odometer } = await metersAt(db, equipmentId, atMs + 1);
  if (odometer === null || atMs - odometer.atMs > ODOMETER_AGE_MS_MAX) return null;
  return Math.floor(odometer.value);
}
