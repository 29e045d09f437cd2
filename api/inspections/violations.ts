/**
 * What an inspection found: who sees to it and by when, and that the unit is back in service when the last of what put it
 * out is repaired. A violation lives as long as its inspection.
 */
import { eq } from 'drizzle-orm';
import {
  dotInspection as inspection,
  dotInspectionViolation as violation,
} from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { fieldProblem } from '../problem.ts';
import type { ResourceRules, Row } from '../resources/define.ts';
import { holdUnit, requirePastRetention } from './inspections.ts';
import { countViolations, settleService } from './service.ts';

export const violationRules: ResourceRules = {
  async holding({ db }, key) {
    const [row] = await db
      .select({ id: violation.dot_inspection_id })
      .from(violation)
      .where(eq(violation.dot_inspection_violation_id, key as number));
    if (row) await holdInspection(db, row.id);
  },
  async prepare(context, values, stored) {
    const whole: Row = { ...stored, ...values };
    const above = await holdInspection(context.db, whole['dot_inspection_id'] as number);
    if (!stored && above!.status !== 'open') {
      const detail = `is ${above!.status}, and nothing more is found by it`;
      throw fieldProblem('conflict', 'body', '/dot_inspection_id', detail);
    }
    const isPlanned = (whole['workorder_id'] ?? whole['due_on'] ?? null) !== null;
    if (values['status'] === 'repair_scheduled' && !isPlanned) {
      const detail = 'is required to be repair_scheduled, or due_on';
      throw fieldProblem('unprocessable', 'body', '/workorder_id', detail);
    }
    if (stored || values['due_on'] !== undefined) return values;
    return { ...values, due_on: above!.return_due_on };
  },
  async written(context, row, stored) {
    const id = row['dot_inspection_id'] as number;
    const counts = await countViolations(context, id);
    const more = countOf(row) - countOf(stored);
    await settleService(context, id, counts, counts.outOfService - more);
  },
  async removing(context, stored) {
    const id = stored['dot_inspection_id'] as number;
    const above = await holdInspection(context.db, id);
    await requirePastRetention(context, above!.retain_until);
    const own = stored['dot_inspection_violation_id'] as number;
    const counts = await countViolations(context, id, own);
    await settleService(context, id, counts, counts.outOfService + countOf(stored));
  },
};

const countOf = (row: Row | null): number => (row?.['is_out_of_service'] === true ? 1 : 0);

/** Holds the unit of an inspection and the inspection, in this order. Undefined where the caller does not see it. */
export async function holdInspection(
  db: TenantDb,
  id: number,
): Promise<typeof inspection.$inferSelect | undefined> {
  const [found] = await db
    .select({ unitId: inspection.equipment_id })
    .from(inspection)
    .where(eq(inspection.dot_inspection_id, id));
  if (!found) return undefined;
  await holdUnit(db, found.unitId);
  const [row] = await db
    .select()
    .from(inspection)
    .where(eq(inspection.dot_inspection_id, id))
    .for('no key update');
  return row;
}
