/**
 * Master agreements: how long they run, and how they end. One that ends takes its schedules with it. A day on which it is
 * to be terminated may be named ahead: it holds until then, and the round of `ends.ts` does the rest.
 */
import { and, asc, eq, inArray, isNull, lt, ne, notInArray, sql, type SQL } from 'drizzle-orm';
import { scheduleAgreement as schedule } from '../../db/schema.ts';
import type { Day } from '../calendar.ts';
import { readToday } from '../customer-day.ts';
import { fieldProblem, Problem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import { notYet } from '../resources/states.ts';
import { requireNoneOut } from './out.ts';
import { endSchedulesOf } from './release.ts';
import { isEnded, masterStates } from './states.ts';
import { contractEnd, endsInTime } from './terms.ts';

export const masterRules: ResourceRules = {
  async prepare(context, values, stored) {
    const today = await readToday(context);
    const written = atItsEnd(values, stored, today);
    requireTerm(written, stored, today);
    if (stored && 'contract_effective_date' in values) await requireBefore(context, values, stored);
    if (stored && 'account_id' in values) await requireAround(context, values, stored);
    return written;
  },
  async written(context, row, stored) {
    const { status } = row;
    if (!isEnded(status) || status === stored?.['status']) return;
    const lastDay = row[status === 'terminated' ? 'terminated_on' : 'contract_end_date'] as Day;
    const ending = { status: status as 'expired' | 'terminated', lastDay };
    await endSchedulesOf(context, row['master_agreement_id'] as number, ending);
  },
  async removing(context, stored) {
    await requireNoneOut(context, { masterId: stored['master_agreement_id'] as number });
    const inForce = inArray(schedule.status, ['active', 'suspended']);
    const number = await findSchedule(context, stored, inForce);
    if (number === null) return;
    throw new Problem('conflict', `schedule ${number} is in force under it: end it first`);
  },
};

const refuse = (pointer: string, detail: string) =>
  fieldProblem('unprocessable', 'body', pointer, detail);

/** What is written where it ends, or is to end. Throws 422 where that cannot be said so. */
function atItsEnd(values: Row, stored: Row | null, today: Day): Row {
  const day = (values['terminated_on'] ?? stored?.['terminated_on'] ?? null) as Day | null;
  if (values['status'] === 'terminated') {
    if (day! <= today) return values;
    if (values['terminated_on'] === undefined) {
      throw refuse('/terminated_on', `lies ahead (${day}): name the day on which it ends instead`);
    }
    // It holds until then.
    return withoutStatus(values);
  }
  const named = values['terminated_on'] as Day | null | undefined;
  if (named === undefined || named === null) return values;
  if (named <= today) {
    throw refuse('/terminated_on', 'has come: take it to terminated, with this day');
  }
  const reason = (values['termination_reason'] ?? stored?.['termination_reason'] ?? '') as string;
  if (reason === '') throw refuse('/termination_reason', 'is required to be terminated');
  return values;
}

function withoutStatus(values: Row): Row {
  return Object.fromEntries(Object.entries(values).filter(([name]) => name !== 'status'));
}

/** Throws 422 for one that is in force beyond its last day, and 409 for one that is to run out before it. */
function requireTerm(values: Row, stored: Row | null, today: Day): void {
  const whole: Row = { ...stored, ...values };
  const effective = whole['contract_effective_date'] as Day;
  const months = whole['contract_term'] as number;
  if (!endsInTime(effective, months)) {
    throw refuse('/contract_term', 'would have it end after the year 9999');
  }
  const end = contractEnd(effective, months);
  const status = (whole['status'] ?? 'draft') as string;
  const isTermNew = ['status', 'contract_effective_date', 'contract_term'].some(
    (name) => name in values,
  );
  if (!isTermNew) return;
  if (values['status'] === 'expired' && end >= today) {
    const from = stored!['status'] as string;
    const why = `it runs until ${end}, and expires after that day`;
    throw notYet(masterStates, { from, to: 'expired' }, why);
  }
  if ((status === 'active' || status === 'suspended') && end < today) {
    throw refuse(
      '/contract_term',
      `would have ended on ${end}: it takes a longer one to be in force`,
    );
  }
}

/** Throws 409 where a schedule that has not ended would begin before it. */
async function requireBefore(context: RuleContext, values: Row, stored: Row): Promise<void> {
  const first = values['contract_effective_date'] as Day;
  const isEarlier = and(
    notInArray(schedule.status, ['expired', 'terminated']),
    lt(schedule.effective_date, first),
  );
  const number = await findSchedule(context, stored, isEarlier);
  if (number === null) return;
  const detail = `schedule ${number} begins before that day`;
  throw fieldProblem('conflict', 'body', '/contract_effective_date', detail);
}

/** Throws 409 while a schedule belongs to an account that is not within the new one. */
async function requireAround(context: RuleContext, values: Row, stored: Row): Promise<void> {
  const account = values['account_id'] as number | null;
  if (account === null) return;
  const isOutside = and(
    ne(schedule.status, 'terminated'),
    sql`not coalesce(account_is_within(${schedule.account_id}, ${account}), false)`,
  );
  const number = await findSchedule(context, stored, isOutside);
  if (number === null) return;
  throw fieldProblem('conflict', 'body', '/account_id', `schedule ${number} is of another account`);
}

/** The number of a schedule under it for which that holds; null: there is none. */
async function findSchedule(
  { db }: RuleContext,
  stored: Row,
  where: SQL | undefined,
): Promise<string | null> {
  const [found] = await db
    .select({ number: schedule.schedule_number })
    .from(schedule)
    .where(
      and(
        eq(schedule.master_agreement_id, stored['master_agreement_id'] as number),
        isNull(schedule.deleted_at),
        where,
      ),
    )
    .orderBy(asc(schedule.schedule_agreement_id))
    .limit(1);
  return found?.number ?? null;
}
