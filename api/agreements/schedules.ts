/**
 * Schedules under a master agreement: one is in force under a master in force and within its own days, and takes back what
 * is out on it when it ends. Its last day may be named ahead, as a plan or as a termination: it holds until then.
 */
import { and, eq, isNull, sql } from 'drizzle-orm';
import {
  equipmentTypeAllocation as allocation,
  masterAgreement as master,
  scheduleAgreement as schedule,
  scheduleAgreementLineItem as line,
} from '../../db/schema.ts';
import type { Day } from '../calendar.ts';
import { readToday } from '../customer-day.ts';
import { fieldProblem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import { notYet } from '../resources/states.ts';
import { requireNoneOut, requireOutWithin } from './out.ts';
import { releaseSchedule } from './release.ts';
import { isEnded, scheduleStates } from './states.ts';
import { isWithinAccount, requireAllocationsCovered } from './accounts.ts';

export const scheduleRules: ResourceRules = {
  async holding({ db }, key) {
    await db
      .select({ id: master.master_agreement_id })
      .from(master)
      .innerJoin(schedule, eq(schedule.master_agreement_id, master.master_agreement_id))
      .where(eq(schedule.schedule_agreement_id, key as number))
      .for('share', { of: master });
  },
  async prepare(context, values, stored) {
    const whole: Row = { ...stored, ...values };
    const above = await holdMaster(context, whole['master_agreement_id'] as number);
    const today = await readToday(context);
    if (!stored) requireOpen(above, today);
    await requireWithin(context, above, values, whole);
    if (stored && 'account_id' in values) await requireAround(context, values, stored);
    if (values['status'] === 'active') requireMasterInForce(above, stored);
    requireDays(values, stored, whole, today);
    if (stored) {
      const scheduleId = stored['schedule_agreement_id'] as number;
      // Its last day has rules of its own.
      await requireOutWithin(context, { scheduleId }, { effective_date: values['effective_date'] });
    }
    return atItsEnd(context, values, stored, today);
  },
  async written(context, row, stored) {
    const { status } = row;
    if (!isEnded(status) || status === stored?.['status']) return;
    const id = row['schedule_agreement_id'] as number;
    await releaseSchedule(context, id, row['termination_date'] as Day);
  },
  removing: (context, stored) =>
    requireNoneOut(context, { scheduleId: stored['schedule_agreement_id'] as number }),
};

type Master = Pick<
  typeof master.$inferSelect,
  | 'account_id'
  | 'status'
  | 'auto_renews'
  | 'contract_effective_date'
  | 'contract_end_date'
  | 'terminated_on'
>;

const refuse = (pointer: string, detail: string) =>
  fieldProblem('unprocessable', 'body', pointer, detail);
const clash = (pointer: string, detail: string) =>
  fieldProblem('conflict', 'body', pointer, detail);

/** Undefined where the caller does not see it, and where it is deleted by now. */
async function holdMaster({ db }: RuleContext, id: number): Promise<Master | undefined> {
  const [row] = await db
    .select({
      account_id: master.account_id,
      status: master.status,
      auto_renews: master.auto_renews,
      contract_effective_date: master.contract_effective_date,
      contract_end_date: master.contract_end_date,
      terminated_on: master.terminated_on,
    })
    .from(master)
    .where(and(eq(master.master_agreement_id, id), isNull(master.deleted_at)))
    .for('share');
  return row;
}

/** Throws 409 for a new schedule under a master that has ended, or takes none for now. */
function requireOpen(above: Master | undefined, today: Day): void {
  const hasPassed = above !== undefined && !above.auto_renews && above.contract_end_date < today;
  if (above && above.status !== 'suspended' && !isEnded(above.status) && !hasPassed) return;
  const is = hasPassed
    ? `ended on ${above.contract_end_date}`
    : `is ${above?.status ?? 'not there'}`;
  throw clash('/master_agreement_id', `${is}, and takes no new schedules`);
}

/** Throws 422 for a schedule that its master does not cover: of another account, or begun before it. */
async function requireWithin(
  { db }: RuleContext,
  above: Master | undefined,
  values: Row,
  whole: Row,
): Promise<void> {
  if (!above) return;
  const account = (whole['account_id'] ?? null) as number | null;
  // The accounts may have been moved while it was not in force.
  const isNew =
    'account_id' in values ||
    values['master_agreement_id'] !== undefined ||
    values['status'] === 'active';
  if (isNew && !(await isWithinAccount(db, account, above.account_id))) {
    throw refuse('/account_id', 'is not the account of the master agreement, nor one below it');
  }
  if (values['status'] === 'active' && account !== null) {
    const id = (whole['schedule_agreement_id'] ?? null) as number | null;
    if (id !== null) await requireAllocationsCovered(db, id, account);
  }
  const from = values['effective_date'] as Day | undefined;
  if (from !== undefined && from < above.contract_effective_date) {
    const detail = `is before the master agreement, which begins on ${above.contract_effective_date}`;
    throw refuse('/effective_date', detail);
  }
}

/** Throws 409 for one that is to be active under a master that is not. */
function requireMasterInForce(above: Master | undefined, stored: Row | null): void {
  if (above?.status === 'active') return;
  const from = (stored?.['status'] ?? null) as string | null;
  const why = `its master agreement is ${above?.status ?? 'not there'}, and it is active under an active one alone`;
  const pointer = '/master_agreement_id';
  throw notYet(scheduleStates, { from, to: 'active', pointer }, why);
}

/** Throws 422 for one that comes into force, or stays in force, on a day that is not one of its own. */
function requireDays(values: Row, stored: Row | null, whole: Row, today: Day): void {
  const status = (whole['status'] ?? 'draft') as string;
  if (status !== 'active' && status !== 'suspended') return;
  const isNew = !stored || values['status'] === 'active' || 'effective_date' in values;
  if (isNew && (whole['effective_date'] as Day) > today) {
    throw refuse('/effective_date', `lies ahead: until then it is a draft`);
  }
  const last = (whole['termination_date'] ?? null) as Day | null;
  // What is in force already is ended by taking it to terminated.
  if (values['status'] === 'active' && last !== null && last < today) {
    throw refuse('/termination_date', 'has passed: it takes a later one to be active');
  }
}

/** What is written where it ends, or is to end. Throws 422 where that cannot be said so, and 409 where it is too early. */
function atItsEnd({ nowMs }: RuleContext, values: Row, stored: Row | null, today: Day): Row {
  const day = (values['termination_date'] ?? stored?.['termination_date'] ?? null) as Day | null;
  const status = values['status'];
  if (status === 'terminated') {
    if (day! <= today) return { ...values, termination_requested_at: null };
    if (values['termination_date'] === undefined) {
      throw refuse(
        '/termination_date',
        `lies ahead (${day}): name the day on which it ends instead`,
      );
    }
    // It holds until then.
    const others = Object.entries(values).filter(([name]) => name !== 'status');
    return { ...Object.fromEntries(others), termination_requested_at: new Date(nowMs) };
  }
  if (status === 'expired' && (day === null || day >= today)) {
    const from = stored!['status'] as string;
    const why = day === null ? 'it has no last day' : `it runs until ${day}`;
    const move = { from, to: 'expired', pointer: '/termination_date' };
    throw notYet(scheduleStates, move, `${why}, and expires after that day`);
  }
  if (!stored || !('termination_date' in values)) return values;
  const isRunning = ['active', 'suspended'].includes(stored['status'] as string);
  const named = values['termination_date'] as Day | null;
  if (isRunning && status !== 'expired' && named !== null && named < today) {
    throw refuse('/termination_date', 'has passed: take it to terminated, with this day');
  }
  // Another plan: whoever asked for its termination before has thought better of it.
  return { ...values, termination_requested_at: null };
}

/** Throws 409 while an allocation belongs to an account that is not within the new one. */
async function requireAround({ db }: RuleContext, values: Row, stored: Row): Promise<void> {
  const account = values['account_id'] as number | null;
  if (account === null) return;
  const [outside] = await db
    .select({ id: allocation.equipment_type_allocation_id })
    .from(allocation)
    .innerJoin(
      line,
      eq(line.schedule_agreement_line_item_id, allocation.schedule_agreement_line_item_id),
    )
    .where(
      and(
        eq(line.schedule_agreement_id, stored['schedule_agreement_id'] as number),
        isNull(allocation.deleted_at),
        sql`not account_is_within(${allocation.account_id}, ${account})`,
      ),
    )
    .limit(1);
  if (outside) throw clash('/account_id', `allocation ${outside.id} is of another account`);
}
