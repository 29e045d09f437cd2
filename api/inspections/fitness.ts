/**
 * Whether a unit may be used: it is out of service until what an inspection found is repaired, and unfit when its last
 * annual inspection was not passed or counts no longer. What was found on a unit holds whoever has it, so inspections of
 * all accounts are asked.
 */
import { inArray, sql } from 'drizzle-orm';
import { dotInspection as inspection } from '../../db/schema.ts';
import { readToday, type Clock } from '../customer-day.ts';
import { Problem } from '../problem.ts';

/** Reasons that are told of one unit. */
export const UNFIT_REASONS_MAX = 100;

export const UNFIT_REASONS = ['out_of_service', 'annual_failed', 'annual_expired'] as const;

/** One reason why a unit may not be used, and the inspection that it follows from. */
export interface UnfitReason {
  readonly reason: (typeof UNFIT_REASONS)[number];
  /** It and the number are null where the caller does not see the inspection. */
  readonly dot_inspection_id: number | null;
  readonly inspection_kind: string;
  readonly report_number: string | null;
  /** Days; the second is the last on which the inspection counted, where it has run out. */
  readonly inspection_date: string;
  readonly expires_on: string | null;
}

/** Why a unit may not be used today; empty: it may. */
export async function readUnfit(clock: Clock, equipmentId: number): Promise<UnfitReason[]> {
  const today = await readToday(clock);
  const { rows } = await clock.db.execute<UnfitReason & Record<string, unknown>>(
    sql`select * from unit_unfit(${equipmentId}, ${today}::date, ${UNFIT_REASONS_MAX})`,
  );
  if (rows.length === 0) return [];
  const seen = await clock.db
    .select({ id: inspection.dot_inspection_id })
    .from(inspection)
    .where(
      inArray(
        inspection.dot_inspection_id,
        rows.map((row) => Number(row.dot_inspection_id)),
      ),
    );
  const ids = new Set(seen.map(({ id }) => id));
  return rows.map((row) => {
    const dot_inspection_id = Number(row.dot_inspection_id);
    return ids.has(dot_inspection_id)
      ? { ...row, dot_inspection_id }
      : { ...row, dot_inspection_id: null, report_number: null };
  });
}

/** Throws 409 telling each reason why the unit may not be handed out. */
export async function requireFitForService(clock: Clock, equipmentId: number): Promise<void> {
  const reasons = await readUnfit(clock, equipmentId);
  if (reasons.length === 0) return;
  const errors = reasons.map((reason) => ({
    in: 'body' as const,
    pointer: '/equipment_id',
    detail: wordsOf(reason),
  }));
  const detail = errors.map((error) => error.detail).join('; ');
  throw new Problem('conflict', `the unit is not fit for service: ${detail}`, { errors });
}

function wordsOf(reason: UnfitReason): string {
  const { dot_inspection_id, report_number, inspection_kind, inspection_date } = reason;
  const number = report_number === null ? '' : ` (report ${report_number})`;
  const id = dot_inspection_id === null ? '' : ` ${dot_inspection_id}`;
  const what = `${inspection_kind} inspection${id}${number} of ${inspection_date}`;
  switch (reason.reason) {
    case 'out_of_service':
      return `is out of service since ${what}, and its repair is not done`;
    case 'annual_failed':
      return `has not passed its last annual inspection: ${what}`;
    case 'annual_expired':
      return `has an annual inspection that ran out on ${reason.expires_on}: ${what}`;
  }
}
