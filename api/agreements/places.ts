/** An allocation as the place of a unit that goes out: held until the transaction ends, and what the unit has to fit. */
import { sql } from 'drizzle-orm';
import type { TenantDb } from '../../db/tenancy.ts';
import type { Day } from '../calendar.ts';
import { fieldProblem } from '../problem.ts';

const POINTER = '/equipment_type_allocation_id';

export interface Place {
  readonly scheduleStatus: string;
  readonly masterStatus: string;
  readonly typeId: number;
  readonly unitsAllowed: number;
  readonly unitsAssigned: number;
  readonly policy: 'block' | 'warn' | 'bill';
  /** It, or what it is a part of, is marked as deleted. */
  readonly isGone: boolean;
  /** What a day has to lie within: name, first and last day, null without an end. */
  readonly spans: readonly (readonly [string, Day | null, Day | null])[];
}

interface HeldRow extends Record<string, unknown> {
  schedule_status: string;
  schedule_from: Day;
  schedule_to: Day | null;
  master_status: string;
  master_to: Day | null;
  line_from: Day | null;
  line_to: Day | null;
  line_type: number | string;
  own_from: Day;
  own_to: Day | null;
  units_allowed: number;
  units_assigned: number;
  over_allocation_policy: Place['policy'];
  is_gone: boolean;
}

/** Holds a schedule against ending, and the allocation of it against others; null where there is none. */
export async function holdAllocation(db: TenantDb, id: number): Promise<Place | null> {
  const { rows } = await db.execute<HeldRow>(sql`select * from hold_allocation(${id})`);
  const [row] = rows;
  if (!row) return null;
  return {
    isGone: row.is_gone,
    scheduleStatus: row.schedule_status,
    masterStatus: row.master_status,
    typeId: Number(row.line_type),
    unitsAllowed: row.units_allowed,
    unitsAssigned: row.units_assigned,
    policy: row.over_allocation_policy,
    spans: [
      ['the allocation', row.own_from, row.own_to],
      ['its line', row.line_from, row.line_to],
      ['its schedule', row.schedule_from, row.schedule_to],
      ['its master agreement', null, row.master_to],
    ],
  };
}

/** Throws 422 for what is deleted, and 409 unless units go out under it for now. */
export function requireRunning({ scheduleStatus, masterStatus, isGone }: Place): void {
  if (isGone) throw fieldProblem('unprocessable', 'body', POINTER, 'refers to what is deleted');
  if (scheduleStatus !== 'active') {
    throw clash(`its schedule is ${scheduleStatus}: units go out on an active one`);
  }
  if (masterStatus !== 'active' && masterStatus !== 'suspended') {
    throw clash(`its master agreement is ${masterStatus}`);
  }
}

/** Throws 422 for a unit that goes out on a day before one of them begins, or after it ends. */
export function requireDay({ spans }: Place, day: Day): void {
  for (const [name, from, to] of spans) {
    if (from !== null && day < from) throw isOutside(`${name} begins on ${from}`, day);
    if (to !== null && day > to) throw isOutside(`${name} ends on ${to}`, day);
  }
}

/** Throws 409 where one more is more than allowed, and the policy is to block it. */
export function requireRoom({ policy, unitsAllowed, unitsAssigned }: Place): void {
  if (policy !== 'block' || unitsAssigned < unitsAllowed) return;
  throw clash(`${unitsAllowed} units are allowed, and ${unitsAssigned} are assigned`);
}

const clash = (detail: string) => fieldProblem('conflict', 'body', POINTER, detail);

function isOutside(why: string, day: Day) {
  return fieldProblem('unprocessable', 'body', '/assigned_at', `is ${day}, and ${why}`);
}
