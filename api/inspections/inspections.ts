/**
 * Inspections: the days that follow from them, who signs what and when, and how long a report is kept. Its violations go
 * with an inspection from the signature on. Locks are taken from above: the unit, the inspection, its violations.
 */
import { and, asc, eq, inArray, isNull, sql } from 'drizzle-orm';
import {
  dotInspection as inspection,
  dotInspectionViolation as violation,
} from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { addDays, type Day } from '../calendar.ts';
import { readToday } from '../customer-day.ts';
import { fieldProblem, Problem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import { notYet } from '../resources/states.ts';
import { annualExpiry, defaultDays } from './days.ts';
import {
  backInServiceAt,
  countViolations,
  isOutOfService,
  tell,
  type Counts,
  type InspectionPart,
} from './service.ts';
import { inspectionStates, UNREPAIRED } from './states.ts';

export const inspectionRules: ResourceRules = {
  async holding({ db }, key) {
    const [row] = await db
      .select({ unitId: inspection.equipment_id })
      .from(inspection)
      .where(eq(inspection.dot_inspection_id, key as number));
    if (row) await holdUnit(db, row.unitId);
  },
  async prepare(context, values, stored) {
    const { db, nowMs } = context;
    const whole: Row = { ...stored, ...values };
    if (!stored) await holdUnit(db, whole['equipment_id'] as number);
    const counts = await countsOf(context, stored);
    if (stored) requireSame(values, stored, counts);
    await requireDays(context, values, whole);
    await requireMove(context, values, stored, whole);
    const written = { ...values, ...defaultDays(values, stored) };
    requireTwelveMonths(values, { ...stored, ...written });
    const part = { ...DEFAULTS, ...stored, ...written } as InspectionPart;
    const back = backInServiceAt(part, counts, nowMs);
    const isSame = (part.back_in_service_at?.getTime() ?? null) === (back?.getTime() ?? null);
    return isSame ? written : { ...written, back_in_service_at: back };
  },
  async written(context, row, stored) {
    const status = row['status'] as string;
    if (stored && stored['status'] !== status) await moveViolations(context, row);
    const counts = await countsOf(context, stored);
    const wasOut = stored !== null && isOutOfService(stored as InspectionPart, counts);
    await tell(context, row, { wasOut, isOut: isOutOfService(row as InspectionPart, counts) });
  },
  async removing(context, stored) {
    await requirePastRetention(context, stored['retain_until'] as Day);
    const counts = await countsOf(context, stored);
    if (isOutOfService(stored as InspectionPart, counts)) throw keepsOut();
  },
};

const DEFAULTS = { status: 'open', back_in_service_at: null };
const NONE = { outOfService: 0, unrepaired: 0 };

function countsOf(context: RuleContext, stored: Row | null) {
  return stored === null ? NONE : countViolations(context, stored['dot_inspection_id'] as number);
}

/** Who hands a unit out and who finds something wrong with it take turns. */
export async function holdUnit(db: TenantDb, unitId: number): Promise<void> {
  await db.execute(sql`select hold_unit(${unitId})`);
}

/** 409 for what is not deleted while its unit is out of service. */
export function keepsOut(): Problem {
  return new Problem('conflict', 'it keeps its unit out of service until that is repaired');
}

/** Results from the best on. */
const RESULTS = ['pass', 'fail', 'out_of_service'];

const WHAT_AND_WHEN = ['inspection_kind', 'inspection_date'];

/**
 * Throws 409 for a report that would not stay as it was signed, for a result that would be better than it was, and for
 * another kind or day of one that found something: what was found is lifted by its repair, and a mistake is put right by
 * another report.
 */
function requireSame(values: Row, stored: Row, { outOfService }: Counts): void {
  const clash = (name: string, detail: string) =>
    fieldProblem('conflict', 'body', `/${name}`, detail);
  const result = values['inspection_result'];
  const before = stored['inspection_result'] as string;
  if (result !== undefined && RESULTS.indexOf(result as string) < RESULTS.indexOf(before)) {
    throw clash('inspection_result', `is ${before}, and only gets worse: make another report`);
  }
  if (before !== 'pass' || outOfService > 0) {
    const found = before === 'pass' ? 'the unit was put out of service' : `the result is ${before}`;
    const name = WHAT_AND_WHEN.find((one) => one in values);
    if (name !== undefined) throw clash(name, `is fixed, for ${found}: make another report`);
  }
  if (stored['status'] === 'open') return;
  for (const name of [...WHAT_AND_WHEN, 'inspection_result']) {
    if (name in values) throw clash(name, `is fixed: the report is ${String(stored['status'])}`);
  }
}

/** Throws 409 naming the day until when a report is kept, which is its last. */
export async function requirePastRetention(context: RuleContext, until: Day): Promise<void> {
  if ((await readToday(context)) > until) return;
  throw new Problem(
    'conflict',
    `the law wants it kept until ${until}, and it can be deleted after that day`,
  );
}

const refuse = (pointer: string, detail: string) =>
  fieldProblem('unprocessable', 'body', pointer, detail);

/** Throws 422 for an inspection that is yet to come, and for one that counts though it was not passed. */
async function requireDays(context: RuleContext, values: Row, whole: Row): Promise<void> {
  const on = values['inspection_date'] as Day | undefined;
  // Where it was made it may be tomorrow already.
  if (on !== undefined && on > addDays(await readToday(context), 1)) {
    throw refuse('/inspection_date', 'lies ahead');
  }
  const isFailed = whole['inspection_kind'] === 'annual' && whole['inspection_result'] !== 'pass';
  if (isFailed && (values['expires_on'] ?? null) !== null) {
    throw refuse(
      '/expires_on',
      'is of an annual inspection that was not passed, and counts for no time',
    );
  }
}

/** Throws 422 for an annual inspection that would count for longer than the law lets it. */
function requireTwelveMonths(values: Row, whole: Row): void {
  if (![...WHAT_AND_WHEN, 'expires_on'].some((name) => name in values)) return;
  const expiresOn = (whole['expires_on'] ?? null) as Day | null;
  if (whole['inspection_kind'] !== 'annual' || expiresOn === null) return;
  const last = annualExpiry(whole['inspection_date'] as Day);
  if (expiresOn <= last) return;
  throw refuse('/expires_on', `is after ${last}: an annual inspection counts for twelve months`);
}

/** Throws 409 for a state that its violations, or the authority, do not allow yet. */
async function requireMove(
  context: RuleContext,
  values: Row,
  stored: Row | null,
  whole: Row,
): Promise<void> {
  const to = values['status'];
  const from = (stored?.['status'] ?? null) as string | null;
  const refused = (why: string) => notYet(inspectionStates, { from, to: to as string }, why);
  if (to === 'closed' && (from === null || from === 'open')) {
    const found = stored ? await readViolations(context, stored) : [];
    if (whole['inspection_result'] === 'pass' && found.length === 0) return;
    throw refused('it is closed at once where it was passed and nothing was found');
  }
  if (to === 'certified') {
    const open = (await readViolations(context, stored!)).filter(({ status }) =>
      UNREPAIRED.some((one) => one === status),
    );
    if (open.length === 0) return;
    const ids = open.map(({ id }) => id).join(', ');
    throw refused(`violations are not corrected yet: ${ids}`);
  }
  if (to === 'no_return_required' && whole['is_return_required'] === true) {
    throw refused('is_return_required says that the authority wants it back');
  }
}

/** Held, for they decide. */
async function readViolations({ db }: RuleContext, stored: Row) {
  return db
    .select({ id: violation.dot_inspection_violation_id, status: violation.status })
    .from(violation)
    .where(
      and(
        eq(violation.dot_inspection_id, stored['dot_inspection_id'] as number),
        isNull(violation.deleted_at),
      ),
    )
    .orderBy(asc(violation.dot_inspection_violation_id))
    .for('no key update');
}

type ViolationStatus = (typeof violation.$inferSelect)['status'];

/** Where violations are that go along with an inspection, and what is noted of them. */
const FOLLOWED: Readonly<
  Record<
    string,
    { from: readonly ViolationStatus[]; stamp?: 'certified_at' | 'returned_at' | 'closed_at' }
  >
> = {
  certified: { from: ['corrected'], stamp: 'certified_at' },
  returned: { from: ['certified'], stamp: 'returned_at' },
  no_return_required: { from: ['certified'] },
  closed: { from: ['certified', 'returned', 'no_return_required'], stamp: 'closed_at' },
};

async function moveViolations({ db, nowMs }: RuleContext, row: Row): Promise<void> {
  const status = row['status'] as ViolationStatus;
  const step = FOLLOWED[status];
  if (!step) return;
  await db
    .update(violation)
    .set({ status, ...(step.stamp && { [step.stamp]: new Date(nowMs) }) })
    .where(
      and(
        eq(violation.dot_inspection_id, row['dot_inspection_id'] as number),
        inArray(violation.status, [...step.from]),
        isNull(violation.deleted_at),
      ),
    );
}
