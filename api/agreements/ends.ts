/**
 * Ends agreements whose last day has passed, by each customer's own days: one that renews itself goes on, one that was to
 * be terminated is, and all others expire; what is out on them is taken back, and so is what is out on allocations whose
 * own last day has passed, or that of their line. Whatever it finds it looks at again under a lock, so that nobody is
 * overtaken, and two processes that go round at once do nothing twice.
 */
import { eq } from 'drizzle-orm';
import type pg from 'pg';
import {
  equipmentTypeAllocation as allocation,
  masterAgreement as master,
  scheduleAgreement as schedule,
  scheduleAgreementLineItem as line,
} from '../../db/schema.ts';
import { withTenant } from '../../db/tenancy.ts';
import type { Day } from '../calendar.ts';
import { readToday, type Clock } from '../customer-day.ts';
import { startRounds } from '../rounds.ts';
import { endSchedule, endSchedulesOf, releaseAllocations } from './release.ts';
import { renewedTerm } from './terms.ts';

/** Between two rounds: a day that has passed is seen soon after midnight, wherever that is. */
export const ENDS_ROUND_MS = 60_000;
/** Agreements that are asked for at once. */
export const ENDS_ROWS_MAX = 500;

export interface EndsOptions {
  /** Connections of the role `milepost_runner`. */
  readonly pool: pg.Pool;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
}

interface Due {
  readonly customer_id: number;
  readonly kind: 'allocation' | 'master' | 'schedule';
  readonly id: number;
}

/**
 * One round; gives the number of agreements that ended or were renewed. One that cannot be ended is told to `onError`, holds
 * up none of the others, and is tried again in the next round.
 */
export async function endAgreements({ pool, now, onError }: EndsOptions): Promise<number> {
  const nowMs = now();
  let ended = 0;
  let after: Pick<Due, 'kind' | 'id'> | null = null;
  for (;;) {
    const due: Due[] = await readDue(pool, nowMs, after);
    for (const one of due) {
      try {
        if (await endOne(pool, one, nowMs)) ended += 1;
      } catch (error) {
        onError(error);
      }
    }
    if (due.length < ENDS_ROWS_MAX) return ended;
    after = due.at(-1)!;
  }
}

/** Goes round until the function that it gives is called. */
export function startEnding(options: EndsOptions): () => Promise<void> {
  return startRounds(ENDS_ROUND_MS, () => endAgreements(options), options.onError);
}

async function readDue(
  pool: pg.Pool,
  nowMs: number,
  after: Pick<Due, 'kind' | 'id'> | null,
): Promise<Due[]> {
  const { rows } = await pool.query<Due>('select * from agreements_ended($1, $2, $3, $4)', [
    new Date(nowMs),
    after?.kind ?? '',
    after?.id ?? 0,
    ENDS_ROWS_MAX,
  ]);
  return rows;
}

function endOne(pool: pg.Pool, { customer_id, kind, id }: Due, nowMs: number): Promise<boolean> {
  return withTenant(pool, { customerId: customer_id, accountIds: null }, (db) => {
    const clock = { db, nowMs };
    return END[kind](clock, id);
  });
}

const END = { allocation: endAllocation, master: endMaster, schedule: endOverdueSchedule } as const;

async function endMaster(clock: Clock, id: number): Promise<boolean> {
  const { db } = clock;
  const [row] = await db
    .select()
    .from(master)
    .where(eq(master.master_agreement_id, id))
    .for('no key update');
  if (!row || row.deleted_at !== null) return false;
  const today = await readToday(clock);
  const set = endOfMaster(row, today);
  if (set === null) return false;
  await db.update(master).set(set).where(eq(master.master_agreement_id, id));
  if (set.status === undefined) return true;
  const lastDay = set.status === 'terminated' ? row.terminated_on! : row.contract_end_date;
  await endSchedulesOf(clock, id, { status: set.status, lastDay });
  return true;
}

/** What a master becomes of itself on a day; null: it stays as it is. */
export function endOfMaster(
  row: Pick<
    typeof master.$inferSelect,
    | 'status'
    | 'terminated_on'
    | 'contract_effective_date'
    | 'contract_end_date'
    | 'contract_term'
    | 'auto_renews'
    | 'renewal_term'
  >,
  today: Day,
): { status?: 'expired' | 'terminated'; contract_term?: number } | null {
  const { status, terminated_on, contract_end_date, renewal_term } = row;
  const isOpen = ['draft', 'active', 'suspended'].includes(status);
  if (isOpen && terminated_on !== null && terminated_on < today) return { status: 'terminated' };
  const isInForce = status === 'active' || status === 'suspended';
  if (!isInForce || contract_end_date >= today) return null;
  if (!row.auto_renews || renewal_term === null) return { status: 'expired' };
  const contract = { effective: row.contract_effective_date, months: row.contract_term };
  const contract_term = renewedTerm(contract, renewal_term, today);
  return contract_term === null ? { status: 'expired' } : { contract_term };
}

async function endOverdueSchedule(clock: Clock, id: number): Promise<boolean> {
  const { db } = clock;
  const [found] = await db
    .select({ masterId: schedule.master_agreement_id })
    .from(schedule)
    .where(eq(schedule.schedule_agreement_id, id));
  if (!found) return false;
  await db
    .select({ id: master.master_agreement_id })
    .from(master)
    .where(eq(master.master_agreement_id, found.masterId))
    .for('share');
  const [row] = await db
    .select()
    .from(schedule)
    .where(eq(schedule.schedule_agreement_id, id))
    .for('no key update');
  const today = await readToday(clock);
  if (!row || row.deleted_at !== null || row.termination_date === null) return false;
  if (row.termination_date >= today) return false;
  const isInForce = row.status === 'active' || row.status === 'suspended';
  const isTerminated = row.termination_requested_at !== null;
  if (!isInForce && !(row.status === 'draft' && isTerminated)) return false;
  const status = isTerminated ? 'terminated' : 'expired';
  await endSchedule(clock, id, { status, lastDay: row.termination_date });
  return true;
}

/** Releases what is out on an allocation whose last day, or that of its line, has passed. */
async function endAllocation(clock: Clock, id: number): Promise<boolean> {
  const { db } = clock;
  const [found] = await db
    .select({
      lineId: line.schedule_agreement_line_item_id,
      scheduleId: line.schedule_agreement_id,
    })
    .from(allocation)
    .innerJoin(
      line,
      eq(line.schedule_agreement_line_item_id, allocation.schedule_agreement_line_item_id),
    )
    .where(eq(allocation.equipment_type_allocation_id, id));
  if (!found) return false;
  await db
    .select({ id: schedule.schedule_agreement_id })
    .from(schedule)
    .where(eq(schedule.schedule_agreement_id, found.scheduleId))
    .for('share');
  const [above] = await db
    .select({ last: line.termination_date })
    .from(line)
    .where(eq(line.schedule_agreement_line_item_id, found.lineId))
    .for('share');
  const [row] = await db
    .select()
    .from(allocation)
    .where(eq(allocation.equipment_type_allocation_id, id))
    .for('no key update');
  if (!row || row.deleted_at !== null || row.units_assigned === 0) return false;
  const days = [row.termination_date, above?.last ?? null].filter((day) => day !== null);
  const [lastDay] = days.sort();
  if (lastDay === undefined || lastDay >= (await readToday(clock))) return false;
  await releaseAllocations(clock, [id], lastDay);
  return true;
}
