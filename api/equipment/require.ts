/** Whether a unit is there, for routes of other domains that hang on one. */
import { eq } from 'drizzle-orm';
import { equipment } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { notFound } from '../problem.ts';

/** Throws 404 when the unit is not there or is not the caller's. */
export async function requireEquipment(db: TenantDb, equipmentId: number): Promise<void> {
  const rows = await db
    .select({ equipment_id: equipment.equipment_id })
    .from(equipment)
    .where(eq(equipment.equipment_id, equipmentId));
  if (!rows[0]) throw notFound('equipment');
}
