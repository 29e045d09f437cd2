/**
 * What the end of a work order means for inspections: the violations that it was made for are corrected, until it turns
 * out that they are not.
 */
import { and, asc, eq, inArray, isNull, sql, type SQL } from 'drizzle-orm';
import {
  dotInspection as inspection,
  dotInspectionViolation as violation,
} from '../../db/schema.ts';
import type { Row, RuleContext } from '../resources/define.ts';
import { notYet } from '../resources/states.ts';
import { WORKORDER_STATES } from '../service/states.ts';
import { countViolations, settleService } from './service.ts';
import { UNREPAIRED } from './states.ts';
import { holdInspection } from './violations.ts';

/**
 * To be called in the transaction that completes a work order. Its violations that are not repaired become corrected; where
 * nobody has written what was done, it is what the order says of its `resolution`, or its number. Units that they put out
 * of service are back in service with the last of them. Asks for nothing and refuses nothing; violations of accounts that
 * the caller does not see stay as they are.
 */
export async function correctViolationsOfWorkorder(
  context: RuleContext,
  workorder: Row,
): Promise<void> {
  const { db, nowMs } = context;
  const ofOrder = and(
    eq(violation.workorder_id, workorder['workorder_id'] as number),
    inArray(violation.status, [...UNREPAIRED]),
    isNull(violation.deleted_at),
  );
  for (const id of await inspectionsOf(context, workorder, ofOrder)) {
    if (!(await holdInspection(db, id))) continue;
    await db
      .update(violation)
      .set({
        status: 'corrected',
        corrected_at: new Date(nowMs),
        corrective_action: sql`coalesce(nullif(${violation.corrective_action}, ''), ${actionOf(workorder)})`,
      })
      .where(and(ofOrder, eq(violation.dot_inspection_id, id)));
    await settleService(context, id, await countViolations(context, id));
  }
}

/**
 * To be called in the transaction that takes a work order out of `completed` again, with the order as it is and as it was.
 * Violations that its completion has corrected are open again, and so their units may be out of service; those that were
 * corrected otherwise, or are certified, stay as they are. Throws 409 where the caller does not see all of them.
 */
export async function reopenViolationsOfWorkorder(
  context: RuleContext,
  { workorder_status: to }: Row,
  workorder: Row,
): Promise<void> {
  const { db } = context;
  const completedAt = workorder['completed_at'] as Date | null;
  if (completedAt === null) return;
  await requireAllSeen(context, workorder['workorder_id'] as number, completedAt, to as string);
  const ofOrder = and(
    eq(violation.workorder_id, workorder['workorder_id'] as number),
    eq(violation.status, 'corrected'),
    // Both were written by the completion.
    eq(violation.corrected_at, completedAt),
    isNull(violation.deleted_at),
  );
  for (const id of await inspectionsOf(context, workorder, ofOrder)) {
    if (!(await holdInspection(db, id))) continue;
    await db
      .update(violation)
      .set({
        status: 'open',
        corrected_at: null,
        corrective_action: sql`case ${violation.corrective_action} when ${actionOf(workorder)} then ''
          else ${violation.corrective_action} end`,
      })
      .where(and(ofOrder, eq(violation.dot_inspection_id, id)));
    await settleService(context, id, await countViolations(context, id));
  }
}

/** Throws 409 where what the completion of an order has corrected would stay so, as the caller does not see it. */
async function requireAllSeen({ db }: RuleContext, id: number, at: Date, to: string) {
  const { rows } = await db.execute<{ is_unseen: boolean }>(
    sql`select corrected_unseen(${id}, ${at.toISOString()}::timestamptz) as is_unseen`,
  );
  if (!rows[0]!.is_unseen) return;
  const why = 'its completion has corrected violations that you do not see';
  throw notYet(WORKORDER_STATES, { from: 'completed', to }, why);
}

/** Inspections of the unit of an order whose violations are asked for, in the order in which they are held. */
async function inspectionsOf({ db }: RuleContext, workorder: Row, ofOrder: SQL | undefined) {
  const found = await db
    .selectDistinct({ id: violation.dot_inspection_id })
    .from(violation)
    .innerJoin(inspection, eq(inspection.dot_inspection_id, violation.dot_inspection_id))
    // Rows from before this was asked for may name an order of another unit, which repairs nothing of this one.
    .where(and(ofOrder, eq(inspection.equipment_id, workorder['equipment_id'] as number)))
    .orderBy(asc(violation.dot_inspection_id));
  return found.map(({ id }) => id);
}

function actionOf(workorder: Row): string {
  const resolution = (workorder['resolution'] ?? '') as string;
  return resolution === ''
    ? `Work order ${String(workorder['workorder_number'])} is completed.`
    : resolution;
}
