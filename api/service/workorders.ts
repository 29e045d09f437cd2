/**
 * What work orders ask for: somebody who does the work, limits of cost, meters that do not run backwards. That costs are
 * the sum of the lines, and that a cost beyond its limit notYet for approval, the database sees to (migrations/0033).
 */
import { sql } from 'drizzle-orm';
import { workorder } from '../../db/schema.ts';
import type { Permission } from '../auth/permissions.ts';
import { holdUnitOf } from '../equipment/hold.ts';
import { newestMeters, NO_METERS } from '../equipment/meters.ts';
import { fieldProblem, Problem, type FieldError } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import { isBlank, notYet, stays } from '../resources/states.ts';
import { requireAsBilled } from './bills.ts';
import { FOLLOWERS } from './followers.ts';
import {
  accountOf,
  currencyOf,
  guardLimit,
  isHigher,
  limitOfMoved,
  limitsFor,
  lowestIn,
  refused,
} from './limits.ts';
import { closeRequestWhenDone, convertRequest, holdRequest } from './requests.ts';
import { WORKORDER_STATES } from './states.ts';

const OF_UNIT = {
  table: workorder,
  key: workorder.workorder_id,
  unit: workorder.equipment_id,
};
const APPROVE: Permission = 'workorder:approve';
const WHO = ['assigned_user_id', 'vendor_name', 'technician_name'] as const;
const METERS = [
  ['odometer', 'start_odometer_m', 'completion_odometer_m'],
  ['engineHours', 'start_engine_hours_h', 'completion_engine_hours_h'],
] as const;
/** Of an order that is completed: bills still come in. Everything else asks for it to be opened again. */
const YET_CHANGED = new Set([
  'cost_limit',
  'labour_cost',
  'part_cost',
  'payer',
  'purchase_order_number',
  'tax_cost',
  'vendor_invoice_number',
]);
/** What a transition out of it writes. */
const OF_TRANSITION = new Set(['workorder_status', 'status_reason', 'closed_at', 'cancelled_at']);
/** In these an order may yet be deleted, unless work was begun before. */
const DELETABLE = new Set(['open', 'assigned', 'cancelled']);

export const workorderRules: ResourceRules = {
  // What follows on a completion concerns the unit.
  async holding({ db }, id, patch) {
    if (patch !== null && 'workorder_status' in patch) await holdUnitOf(db, OF_UNIT, id);
  },
  async prepare(context, values, stored) {
    const prepared = stored
      ? await prepareChange(context, values, stored)
      : await prepareNew(context, values);
    requireSomebody(prepared, stored);
    requireHold(prepared, stored);
    requireForwards(prepared, stored);
    return prepared;
  },
  async written(context, row, stored) {
    const requestId = row['service_request_id'] as number | null;
    if (!stored) {
      if (requestId !== null) await convertRequest(context, requestId);
      return;
    }
    const from = stored['workorder_status'];
    const to = row['workorder_status'];
    if (from === to) return;
    if (to === 'completed')
      for (const follower of FOLLOWERS) await follower.completed(context, row);
    else if (from === 'completed' && to !== 'closed') {
      for (const follower of FOLLOWERS) await follower.undone?.(context, row, stored);
    }
    if (to === 'cancelled') await closeRequestWhenDone(context, requestId);
  },
  removing(_context, { workorder_status: at, started_at, completed_at }) {
    if (DELETABLE.has(at as string) && started_at === null && completed_at === null) return;
    throw new Problem('conflict', `it is ${String(at)}: work was begun, and its history is kept`);
  },
  removed: (context, { service_request_id: id }) =>
    closeRequestWhenDone(context, id as number | null),
};

async function prepareNew(context: RuleContext, values: Row): Promise<Row> {
  const { db, principal } = context;
  const requestId = (values['service_request_id'] ?? null) as number | null;
  const request =
    requestId === null
      ? null
      : await holdRequest(context, requestId, values['equipment_id'] as number);
  const currency = (values['currency_code'] ??
    request?.currency_code ??
    (await currencyOf(db, await accountOf(db, values)))) as string;
  const mayApprove = principal.permissions.has(APPROVE);
  const limits = await limitsFor(db, values, request);
  // A cost in another currency cannot be held against a limit.
  const isApart = limits.some((one) => one.currency !== currency);
  if (isApart && !mayApprove) throw refused('/currency_code', APPROVE);
  const allowed =
    lowestIn(limits, currency) ??
    (request === null ? null : lowestIn(await limitsFor(db, values, null), currency));
  const limit = (values['cost_limit'] ?? allowed) as number | null;
  if (isHigher(limit, allowed) && !mayApprove) throw refused('/cost_limit', APPROVE);
  return { ...values, currency_code: currency, cost_limit: limit };
}

async function prepareChange(context: RuleContext, values: Row, stored: Row): Promise<Row> {
  const from = stored['workorder_status'] as string;
  const to = values['workorder_status'] as string | undefined;
  guardLimit(context.principal, APPROVE, values, stored);
  const isFree = Object.keys(values).every(
    (name) => YET_CHANGED.has(name) || OF_TRANSITION.has(name),
  );
  if (from === 'completed' && to !== 'in_progress' && !isFree) {
    throw stays(WORKORDER_STATES, from, 'changes nothing else of it but costs and their papers');
  }
  await requireAsBilled(context.db, values, stored);
  const moved = await limitOfMoved(context, APPROVE, values, stored);
  if (to === undefined) return moved;
  const left = from === 'on_hold' ? { hold_reason: null, ...moved } : moved;
  if (to === 'open') return { ...Object.fromEntries(WHO.map((name) => [name, null])), ...left };
  if (to === 'in_progress') return begin(context, left, stored);
  if (to === 'completed') return complete(context, left, stored);
  if (to === 'closed') await requireApproved(context, left, stored);
  return left;
}

/** Work begins, goes on after a hold, or begins again after it was completed. */
async function begin(context: RuleContext, values: Row, stored: Row): Promise<Row> {
  const { started_at: now, ...others } = values;
  const first = stored['started_at'] === null ? { started_at: now } : {};
  if (stored['workorder_status'] === 'completed') {
    if (isBlank({ ...stored, ...values }['status_reason'])) {
      const detail = 'is required to open it again';
      throw fieldProblem('unprocessable', 'body', '/status_reason', detail);
    }
    const ends = METERS.map(([, , end]) => [end, null] as const);
    return { completed_at: null, ...Object.fromEntries<null>(ends), ...others, ...first };
  }
  if (stored['started_at'] !== null) return others;
  return { ...first, ...(await withMeters(context, others, stored, 'start')) };
}

async function complete(context: RuleContext, values: Row, stored: Row): Promise<Row> {
  await requireApproved(context, values, stored);
  return withMeters(context, values, stored, 'completion');
}

/** Fills in meters that nobody has given from the unit's newest readings, as far as these do not run backwards. */
async function withMeters(
  { db, nowMs }: RuleContext,
  values: Row,
  stored: Row,
  when: 'start' | 'completion',
): Promise<Row> {
  const whole = { ...stored, ...values };
  const filled = { ...values };
  const unitId = stored['equipment_id'] as number;
  const newest = (await newestMeters(db, [unitId], nowMs)).get(unitId) ?? NO_METERS;
  for (const [meter, start, end] of METERS) {
    const name = when === 'start' ? start : end;
    const other = whole[when === 'start' ? end : start] as number | null;
    const value = newest[meter]?.value ?? null;
    if (value === null || whole[name] !== null) continue;
    const isForwards = other === null || (when === 'start' ? value <= other : value >= other);
    if (isForwards) filled[name] = value;
  }
  return filled;
}

const COSTS = ['part_cost', 'labour_cost', 'tax_cost', 'cost_limit'];

/** Throws 409 where the cost, as it is to be, is not allowed yet: by the measure of the database (migrations/0033). */
async function requireApproved({ db }: RuleContext, values: Row, stored: Row): Promise<void> {
  const whole = { ...stored, ...values };
  let approval = stored['approval_status'] as string;
  if (COSTS.some((name) => name in values)) {
    const amount = (name: string) => sql`${whole[name] ?? null}::numeric`;
    const { rows } = await db.execute<{ is_over: boolean | null; is_more: boolean }>(sql`
      select total > ${amount('cost_limit')} as is_over, total > ${stored['total_cost']}::numeric as is_more
      from (select ${amount('part_cost')} + ${amount('labour_cost')} + ${amount('tax_cost')} as total) t`);
    const { is_over, is_more } = rows[0]!;
    const isAllowed = approval === 'approved' && !is_more && !('cost_limit' in values);
    approval = is_over === true && !isAllowed ? 'pending' : 'not_required';
  }
  if (approval !== 'pending' && approval !== 'rejected') return;
  const [from, to] = [stored['workorder_status'], whole['workorder_status']] as [string, string];
  const why = `approval_status is ${approval}, for the cost is beyond the limit`;
  throw notYet(WORKORDER_STATES, { from, to, pointer: '/approval_status' }, why);
}

function requireSomebody(values: Row, stored: Row | null): void {
  const whole = { ...stored, ...values };
  const isTouched = ['workorder_status', ...WHO].some((name) => name in values);
  if (!isTouched || whole['workorder_status'] !== 'assigned') return;
  if (WHO.some((name) => !isBlank(whole[name]))) return;
  const errors: FieldError[] = WHO.map((name) => ({
    in: 'body',
    pointer: `/${name}`,
    detail: 'is required to be assigned, or one of the others',
  }));
  throw new Problem('unprocessable', `${WHO.join(', ')}: one is required to be assigned`, {
    errors,
  });
}

function requireHold(values: Row, stored: Row | null): void {
  const whole = { ...stored, ...values };
  if (!['workorder_status', 'hold_reason', 'status_reason'].some((name) => name in values)) return;
  const reason = (whole['hold_reason'] ?? null) as string | null;
  const isHeld = whole['workorder_status'] === 'on_hold';
  const refuse = (name: string, detail: string) =>
    fieldProblem('unprocessable', 'body', `/${name}`, detail);
  if (!isHeld) {
    if ((values['hold_reason'] ?? null) === null) return;
    throw refuse('hold_reason', 'belongs to an order that is on_hold');
  }
  if (reason === null) throw refuse('hold_reason', 'is required to be on_hold');
  if (reason === 'other' && isBlank(whole['status_reason'])) {
    throw refuse('status_reason', 'is required where the hold reason is other');
  }
}

function requireForwards(values: Row, stored: Row | null): void {
  const whole = { ...stored, ...values };
  for (const [, start, end] of METERS) {
    if (!(start in values) && !(end in values)) continue;
    const [from, to] = [whole[start], whole[end]] as (number | null | undefined)[];
    if ((from ?? null) === null || (to ?? null) === null || to! >= from!) continue;
    const [name, words] =
      end in values ? [end, `runs backwards: ${start} is ${from}`] : [start, `lies behind ${end}`];
    throw fieldProblem('unprocessable', 'body', `/${name}`, words);
  }
}
