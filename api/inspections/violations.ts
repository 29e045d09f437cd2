/**
 * What an inspection found: who sees to it and by when, and that the unit is back in service when the last of what put it
 * out is repaired. A violation lives as long as its inspection.
 */
import { eq } from 'drizzle-orm';
import {
  dotInspection as inspection,
  dotInspectionViolation as violation,
  workorder,
} from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { fieldProblem } from '../problem.ts';
import type { ResourceRules, Row } from '../resources/define.ts';
import { holdUnit, keepsOut, requirePastRetention } from './inspections.ts';
import { countViolations, settleService } from './service.ts';
import { UNREPAIRED } from './states.ts';

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
    if (stored?.['is_out_of_service'] === true && values['is_out_of_service'] === false) {
      const detail =
        'put the unit out of service, and is lifted by its repair: take it to corrected';
      throw fieldProblem('conflict', 'body', '/is_out_of_service', detail);
    }
    await requireSameUnit(context.db, values, above!.equipment_id);
    requirePlan(values, whole);
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
    const isUnrepaired = UNREPAIRED.some((status) => status === stored['status']);
    if (stored['is_out_of_service'] === true && isUnrepaired) throw keepsOut();
    const own = stored['dot_inspection_violation_id'] as number;
    const counts = await countViolations(context, id, own);
    await settleService(context, id, counts, counts.outOfService + countOf(stored));
  },
};

const PLAN = ['workorder_id', 'due_on'];

/** Throws 422 for a repair that is scheduled, and neither by an order nor for a day; rows from before are not asked. */
function requirePlan(values: Row, whole: Row): void {
  if (whole['status'] !== 'repair_scheduled') return;
  if (!['status', ...PLAN].some((name) => name in values)) return;
  if (PLAN.some((name) => (whole[name] ?? null) !== null)) return;
  const detail = 'is required to be repair_scheduled, or due_on';
  throw fieldProblem('unprocessable', 'body', '/workorder_id', detail);
}

/** Throws 422 for a work order of another unit: what it repairs is not what was found. */
async function requireSameUnit(db: TenantDb, values: Row, unitId: number): Promise<void> {
  const id = (values['workorder_id'] ?? null) as number | null;
  if (id === null) return;
  const [order] = await db
    .select({ unitId: workorder.equipment_id })
    .from(workorder)
    .where(eq(workorder.workorder_id, id));
  if (order?.unitId === unitId) return;
  throw fieldProblem('unprocessable', 'body', '/workorder_id', 'is of another unit');
}

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
