/**
 * Whether what an inspection put out of service is repaired: when its last violation that did so is corrected, or, where
 * none is listed, when the inspection is certified. The instant is kept with the inspection, and the feed is told.
 */
import { and, eq, inArray, isNull, ne, sql } from 'drizzle-orm';
import {
  dotInspection as inspection,
  dotInspectionViolation as violation,
} from '../../db/schema.ts';
import type { Clock } from '../customer-day.ts';
import type { Row } from '../resources/define.ts';
import { UNREPAIRED } from './states.ts';

/** Of an inspection, as far as it matters here. */
export type InspectionPart = Pick<
  typeof inspection.$inferSelect,
  'inspection_result' | 'status' | 'back_in_service_at'
>;

/** Of an inspection that is held. */
export interface Counts {
  /** Violations that put the unit out of service, and those of them that are not repaired. */
  readonly outOfService: number;
  readonly unrepaired: number;
}

/**
 * What `back_in_service_at` is to be: null while the unit is out of service and where it never was, else when it was
 * repaired first.
 */
export function backInServiceAt(
  part: InspectionPart,
  { outOfService, unrepaired }: Counts,
  nowMs: number,
): Date | null {
  const isOut = part.inspection_result === 'out_of_service' || outOfService > 0;
  if (!isOut) return null;
  // Where the last of what was repaired is deleted later, the unit stays in service.
  const wasDone = part.status !== 'open' || part.back_in_service_at !== null;
  const isDone = outOfService > 0 ? unrepaired === 0 : wasDone;
  return isDone ? (part.back_in_service_at ?? new Date(nowMs)) : null;
}

/** Whether an inspection keeps its unit out of service. */
export function isOutOfService(part: InspectionPart, { outOfService }: Counts): boolean {
  const isOut = part.inspection_result === 'out_of_service' || outOfService > 0;
  return isOut && part.back_in_service_at === null;
}

/** Of an inspection that is held; `exceptId` is a violation that is about to be deleted. */
export async function countViolations(
  { db }: Clock,
  inspectionId: number,
  exceptId = 0,
): Promise<Counts> {
  const [row] = await db
    .select({
      outOfService: sql<number>`count(*)::integer`,
      unrepaired: sql<number>`count(*) filter (where ${inArray(violation.status, [...UNREPAIRED])})::integer`,
    })
    .from(violation)
    .where(
      and(
        eq(violation.dot_inspection_id, inspectionId),
        eq(violation.is_out_of_service, true),
        isNull(violation.deleted_at),
        ne(violation.dot_inspection_violation_id, exceptId),
      ),
    );
  return row!;
}

/**
 * Brings an inspection, which is held, up to its violations. `outBefore` is how many of them put the unit out of service
 * before, where that has changed.
 */
export async function settleService(
  clock: Clock,
  inspectionId: number,
  counts: Counts,
  outBefore = counts.outOfService,
): Promise<void> {
  const { db, nowMs } = clock;
  const [row] = await db
    .select()
    .from(inspection)
    .where(eq(inspection.dot_inspection_id, inspectionId));
  if (!row) return;
  const back_in_service_at = backInServiceAt(row, counts, nowMs);
  if (back_in_service_at?.getTime() !== row.back_in_service_at?.getTime()) {
    await db
      .update(inspection)
      .set({ back_in_service_at })
      .where(eq(inspection.dot_inspection_id, inspectionId));
  }
  const wasOut = isOutOfService(row, { ...counts, outOfService: outBefore });
  await tell(clock, row, { wasOut, isOut: isOutOfService({ ...row, back_in_service_at }, counts) });
}

/** Tells the feed when an inspection puts its unit out of service, and when that is over. */
export async function tell(
  { db, nowMs }: Clock,
  row: Row,
  { wasOut, isOut }: { wasOut: boolean; isOut: boolean },
): Promise<void> {
  if (wasOut === isOut) return;
  const number = (row['report_number'] ?? row['dot_inspection_id']) as string | number;
  const [event, severity] = isOut
    ? ['unit_out_of_service', 'critical']
    : ['unit_back_in_service', 'info'];
  await db.execute(
    sql`select note_activity(${event}, ${row['equipment_id']}, ${row['account_id']},
      ${new Date(nowMs).toISOString()}::timestamptz, ${`inspection ${number}`}, ${severity})`,
  );
}
