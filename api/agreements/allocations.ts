/**
 * Lines of a schedule and the allocations of a line to accounts. The quantity of a line is a ceiling: on no day do its
 * allocations allow more together. What is allowed stays above what is out, and days around it; their own last day ends
 * them in the round of `ends.ts`.
 */
import { eq, sql } from 'drizzle-orm';
import {
  equipmentTypeAllocation as allocation,
  scheduleAgreement as schedule,
} from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import type { Day } from '../calendar.ts';
import { fieldProblem, Problem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import { isWithinAccount } from './accounts.ts';
import { requireNoneOut, requireOutWithin } from './out.ts';
import { isEnded } from './states.ts';

const clash = (pointer: string, detail: string) =>
  fieldProblem('conflict', 'body', pointer, detail);

export const lineRules: ResourceRules = {
  async holding({ db }, key) {
    await holdLine(db, key as number);
  },
  async prepare(context, values, stored) {
    const { db } = context;
    const scheduleId = (values['schedule_agreement_id'] ??
      stored?.['schedule_agreement_id']) as number;
    const [above] = await db
      .select({ status: schedule.status })
      .from(schedule)
      .where(eq(schedule.schedule_agreement_id, scheduleId))
      .for('share');
    requireRunning(above?.status, '/schedule_agreement_id');
    if (!stored) return values;
    const lineId = stored['schedule_agreement_line_item_id'] as number;
    const units = values['number_of_units'] as number | undefined;
    const held = await holdLine(db, lineId);
    if (units !== undefined && held && units < held.unitsPeak) {
      throw clash('/number_of_units', `its allocations allow ${held.unitsPeak} units already`);
    }
    if ('equipment_type_lookup_id' in values) await requireNoneOut(context, { lineId });
    await requireOutWithin(context, { lineId }, values);
    return values;
  },
  removing: (context, stored) =>
    requireNoneOut(context, { lineId: stored['schedule_agreement_line_item_id'] as number }),
};

export const allocationRules: ResourceRules = {
  async holding({ db }, key) {
    const [row] = await db
      .select({ line: allocation.schedule_agreement_line_item_id })
      .from(allocation)
      .where(eq(allocation.equipment_type_allocation_id, key as number));
    if (row) await holdLine(db, row.line);
  },
  async prepare(context, values, stored) {
    const { db } = context;
    const whole: Row = { ...stored, ...values };
    const held = await holdLine(db, whole['schedule_agreement_line_item_id'] as number);
    requireRunning(held?.scheduleStatus, '/schedule_agreement_line_item_id');
    requireOwnSchedule(context, held!);
    const account = whole['account_id'] as number;
    if (!stored && !(await isWithinAccount(db, account, held!.scheduleAccount))) {
      const detail = 'is not the account of the schedule, nor one below it';
      throw fieldProblem('unprocessable', 'body', '/account_id', detail);
    }
    if (!stored) return values;
    requireAboveAssigned(values, stored);
    const allocationId = stored['equipment_type_allocation_id'] as number;
    await requireOutWithin(context, { allocationId }, values);
    return values;
  },
  async written({ db }, row, stored) {
    const held = await holdLine(db, row['schedule_agreement_line_item_id'] as number);
    const isWider = !stored || isWidened(row, stored);
    if (!held || !isWider || held.unitsPeak <= held.numberOfUnits) return;
    const detail = `the line is of ${held.numberOfUnits} units, and its allocations would allow ${held.unitsPeak}`;
    throw clash('/units_allowed', detail);
  },
  async removing(context, stored) {
    const held = await holdLine(context.db, stored['schedule_agreement_line_item_id'] as number);
    if (held) requireOwnSchedule(context, held);
    const units = stored['units_assigned'] as number;
    if (units > 0) throw clash('/units_assigned', `${units} units are out on it`);
  },
};

interface HeldLine {
  readonly scheduleStatus: string;
  readonly scheduleAccount: number | null;
  readonly numberOfUnits: number;
  /** The most that its allocations allow on any day. */
  readonly unitsPeak: number;
}

/** Holds the schedule of a line against ending, and the line against others who allocate of it; null: not there. */
async function holdLine(db: TenantDb, lineId: number): Promise<HeldLine | null> {
  const { rows } = await db.execute<{
    schedule_status: string;
    schedule_account: number | string | null;
    number_of_units: number;
    units_peak: number | string;
  }>(sql`select * from hold_line(${lineId})`);
  const [row] = rows;
  if (!row) return null;
  return {
    scheduleStatus: row.schedule_status,
    scheduleAccount: row.schedule_account === null ? null : Number(row.schedule_account),
    numberOfUnits: row.number_of_units,
    unitsPeak: Number(row.units_peak),
  };
}

/**
 * Throws 403 where the caller is held to accounts, and the schedule is of another one or of the whole customer: units of it
 * are given by those who see who else has some.
 */
function requireOwnSchedule({ principal }: RuleContext, { scheduleAccount }: HeldLine): void {
  const { accountIds } = principal.tenant;
  if (accountIds === null) return;
  if (scheduleAccount !== null && accountIds.includes(scheduleAccount)) return;
  throw new Problem(
    'forbidden',
    'its schedule is not of your accounts alone: its units are given by others',
  );
}

function requireRunning(status: string | undefined, pointer: string): void {
  if (status !== undefined && !isEnded(status)) return;
  throw clash(pointer, `its schedule is ${status ?? 'not there'}, and stays as it is`);
}

/** Throws 409 where less would be allowed than is out. */
function requireAboveAssigned(values: Row, stored: Row): void {
  const assigned = stored['units_assigned'] as number;
  const before = stored['units_allowed'] as number;
  const allowed = (values['units_allowed'] ?? before) as number;
  if (allowed < before && allowed < assigned) throw isBelow('/units_allowed', allowed, assigned);
  if (values['over_allocation_policy'] === 'block' && allowed < assigned) {
    throw isBelow('/over_allocation_policy', allowed, assigned);
  }
}

function isBelow(pointer: string, allowed: number, assigned: number): Problem {
  return clash(pointer, `${assigned} units are assigned, and ${allowed} would be allowed`);
}

function isWidened(row: Row, stored: Row): boolean {
  const lastOf = ({ termination_date }: Row) => (termination_date ?? '9999-12-31') as Day;
  return (
    (row['units_allowed'] as number) > (stored['units_allowed'] as number) ||
    (row['effective_date'] as Day) < (stored['effective_date'] as Day) ||
    lastOf(row) > lastOf(stored)
  );
}
