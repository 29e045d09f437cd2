/**
 * The events of a schedule: opened when it comes due, by somebody before that, or recorded when it was done already. Those
 * that are completed or skipped move their schedule on; those that are cancelled or deleted have it looked at anew.
 */
import { sql } from 'drizzle-orm';
import { preventiveMaintenanceEvent } from '../../db/schema.ts';
import { holdUnitOf, holdUnits } from '../equipment/hold.ts';
import { fieldProblem, Problem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import type { StateMachine } from '../resources/states.ts';
import { completionOf } from './completion.ts';
import { evaluateSchedules, lockSchedules } from './evaluate.ts';

export const eventStates: StateMachine = {
  column: 'status',
  first: ['open', 'in_progress', 'completed'],
  next: {
    open: ['in_progress', 'completed', 'skipped', 'cancelled'],
    in_progress: ['completed', 'open', 'skipped', 'cancelled'],
    completed: [],
    skipped: [],
    cancelled: [],
  },
  enter: { skipped: { needs: ['status_reason'] }, cancelled: { needs: ['status_reason'] } },
  reason: 'status_reason',
  settled: ['skipped', 'cancelled'],
};

const OF_UNIT = {
  table: preventiveMaintenanceEvent,
  key: preventiveMaintenanceEvent.pm_event_id,
  unit: preventiveMaintenanceEvent.equipment_id,
};
/** What may still be told of a maintenance that is done: what it cost, and what was found. */
const TOLD_AFTERWARDS = new Set(['cost', 'currency_code', 'work_performed', 'performed_by']);

export const eventRules: ResourceRules = {
  async holding({ db }, id) {
    await holdUnitOf(db, OF_UNIT, id);
  },
  async prepare(context, values, stored) {
    if (stored?.['status'] === 'completed') requireAfterwards(values);
    const whole: Row = { status: 'open', ...stored, ...values };
    if (!stored) await holdUnits(context.db, [whole['equipment_id'] as number]);
    await requireOwnWorkorder(context, values, stored, whole);
    await requireCurrency(context, values, stored);
    const scheduleId = whole['pm_schedule_id'] as number;
    // A schedule of another unit is refused by the key that holds both.
    const [held] = await lockSchedules(context.db, [scheduleId]);
    const owner = held === undefined ? {} : await ownerOf(context, values, stored, scheduleId);
    const opening = stored || held === undefined ? {} : await openingOf(context, scheduleId);
    const isDone = whole['status'] === 'completed' && stored?.['status'] !== 'completed';
    const done = isDone && (stored || held !== undefined) ? await completionOf(context, whole) : {};
    return { ...values, ...owner, ...opening, ...done };
  },
  async written(context, row, stored) {
    const status = row['status'] as string;
    if (stored?.['status'] === status) return;
    const scheduleId = row['pm_schedule_id'] as number;
    if (status === 'completed') await keepBrought(context, row);
    if (isSettled(status)) await evaluateSchedules(context.db, context.nowMs, [scheduleId]);
  },
  async removed({ db, nowMs }, row) {
    await evaluateSchedules(db, nowMs, [row['pm_schedule_id'] as number]);
  },
};

function isSettled(status: string): boolean {
  return ['completed', 'skipped', 'cancelled'].includes(status);
}

/** Throws 409 for anything else of what is done. */
function requireAfterwards(values: Row): void {
  const names = Object.keys(values).filter((name) => !TOLD_AFTERWARDS.has(name));
  if (names.length === 0) return;
  const detail = `is completed, and changes in nothing but ${[...TOLD_AFTERWARDS].join(', ')}`;
  const errors = names.map((name) => ({ in: 'body' as const, pointer: `/${name}`, detail }));
  throw new Problem('conflict', `the event ${detail}`, { errors, allowedTransitions: [] });
}

/**
 * An event is of the account of its schedule, so that whoever sees one sees the other; of a schedule of the whole customer,
 * which everybody sees, of any. Throws 422 for another one.
 */
async function ownerOf(
  { db }: RuleContext,
  values: Row,
  stored: Row | null,
  scheduleId: number,
): Promise<Row> {
  if (stored && !('account_id' in values)) return {};
  const { rows } = await db.execute<{ account_id: number | null }>(sql`
    select account_id::float8 as account_id from preventive_maintenance_schedule where pm_schedule_id = ${scheduleId}`);
  const { account_id } = rows[0]!;
  const given = (values['account_id'] ?? null) as number | null;
  if (account_id === null || given === account_id) return {};
  if (given === null && !stored) return { account_id };
  throw fieldProblem('unprocessable', 'body', '/account_id', 'is not that of its schedule');
}

/** What a new event takes from its schedule. Throws 409 where one is open already. */
async function openingOf({ db }: RuleContext, scheduleId: number): Promise<Row> {
  const { rows } = await db.execute<{ due: Row; open_id: number | null }>(sql`
    select json_build_object('due_on', s.next_due_on, 'due_odometer_m', s.next_due_odometer_m,
        'due_engine_hours_h', s.next_due_engine_hours_h) as due,
      (select e.pm_event_id::float8 from preventive_maintenance_event e
       where e.customer_id = s.customer_id and e.pm_schedule_id = s.pm_schedule_id
         and e.status in ('open', 'in_progress') and e.deleted_at is null) as open_id
    from preventive_maintenance_schedule s where s.pm_schedule_id = ${scheduleId}`);
  const { due, open_id } = rows[0]!;
  if (open_id === null) return due;
  const detail = `has an open event, ${open_id}: go on with that`;
  throw fieldProblem('conflict', 'body', '/pm_schedule_id', detail);
}

/** Throws 422 for a work order on another unit, and 409 for one that is done already and would leave the event open. */
async function requireOwnWorkorder(
  { db }: RuleContext,
  values: Row,
  stored: Row | null,
  whole: Row,
): Promise<void> {
  const id = values['workorder_id'] ?? null;
  if (id === null) return;
  const { rows } = await db.execute<{ unit: number; status: string }>(sql`
    select equipment_id::float8 as unit, workorder_status as status from workorder
    where workorder_id = ${id} for key share`);
  const [order] = rows;
  if (order?.unit !== whole['equipment_id']) {
    throw fieldProblem('unprocessable', 'body', '/workorder_id', 'is a work order of another unit');
  }
  const isOpen = ['open', 'in_progress'].includes(whole['status'] as string);
  const isDone = order !== undefined && ['completed', 'closed'].includes(order.status);
  if (!isDone || !isOpen || id === stored?.['workorder_id']) return;
  const detail = `is ${order.status} already: complete the event itself in the same request`;
  throw fieldProblem('conflict', 'body', '/workorder_id', detail);
}

/** Throws 422 for a currency that its parts are not in. */
async function requireCurrency(
  { db }: RuleContext,
  values: Row,
  stored: Row | null,
): Promise<void> {
  const code = values['currency_code'] ?? null;
  if (stored === null || code === null) return;
  const { rowCount } = await db.execute(sql`
    select from pm_parts_used where customer_id = app_customer_id() and pm_event_id = ${stored['pm_event_id']}
      and currency_code <> ${code} and deleted_at is null limit 1`);
  if (rowCount === 0) return;
  throw fieldProblem('unprocessable', 'body', '/currency_code', 'is not that of its parts');
}

/**
 * Notes what the schedule knew of the last time before the first that is recorded here, for when all of those are undone
 * again.
 */
export async function keepBrought(
  { db }: RuleContext,
  { pm_schedule_id, pm_event_id }: Row,
): Promise<void> {
  await db.execute(sql`
    update preventive_maintenance_schedule
    set brought_on = last_done_on, brought_odometer_m = last_done_odometer_m,
      brought_engine_hours_h = last_done_engine_hours_h
    where pm_schedule_id = ${pm_schedule_id} and last_done_on is not null and not exists (
      select from preventive_maintenance_event e
      where e.customer_id = app_customer_id() and e.pm_schedule_id = ${pm_schedule_id}
        and e.status = 'completed' and e.pm_event_id <> ${pm_event_id})`);
}

/** Parts are used by maintenance that is not called off, and cost in its currency. */
export const partRules: ResourceRules = {
  async prepare(context, values, stored) {
    const eventId = (stored ?? values)['pm_event_id'] as number;
    await requirePartOf(context, eventId, { ...stored, ...values });
    return values;
  },
};

async function requirePartOf({ db }: RuleContext, eventId: number, part: Row): Promise<void> {
  const { rows } = await db.execute<{ status: string; currency_code: string | null }>(sql`
    select status, currency_code from preventive_maintenance_event where pm_event_id = ${eventId}
    for no key update`);
  const [event] = rows;
  if (event?.status === 'cancelled') {
    throw fieldProblem('conflict', 'body', '/pm_event_id', 'is an event that was cancelled');
  }
  const others = await db.execute<{ code: string }>(sql`
    select currency_code as code from pm_parts_used
    where customer_id = app_customer_id() and pm_event_id = ${eventId} and deleted_at is null
      and pm_parts_id is distinct from ${part['pm_parts_id'] ?? null}::bigint limit 1`);
  const code = event?.currency_code ?? others.rows[0]?.code ?? part['currency_code'];
  if (code === part['currency_code']) return;
  const detail = `is not the currency of the maintenance, ${String(code)}`;
  throw fieldProblem('unprocessable', 'body', '/currency_code', detail);
}
