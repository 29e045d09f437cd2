/**
 * What service requests ask for: who may approve, what of a request stays once work was ordered, and when it may be closed.
 * How a request becomes work, and what closes it by itself, is here too; routes are elsewhere.
 */
import { and, eq, isNull, sql } from 'drizzle-orm';
import { serviceRequest } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { requirePermission } from '../guard.ts';
import { fieldProblem, Problem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import { stays } from '../resources/states.ts';
import { accountOf, currencyOf, guardLimit } from './limits.ts';
import { fillPlace } from './places.ts';
import { REQUEST_STATES } from './states.ts';

/** A request that is held until the transaction ends. */
export type HeldRequest = typeof serviceRequest.$inferSelect;

export const requestRules: ResourceRules = {
  async prepare(context, values, stored) {
    const { principal } = context;
    const to = values['status'];
    if (to === 'approved' || to === 'rejected') {
      requirePermission(principal, 'service_request:approve');
    }
    if (stored) await guardChange(context, values, stored);
    const placed = await fillPlace(context, values, stored);
    if (stored) return placed;
    return { requested_by_user_id: principal.userId, ...(await withCurrency(context, placed)) };
  },
  removing(_context, { status }) {
    if (status !== 'converted' && status !== 'closed') return;
    throw new Problem('conflict', `it is ${status}: work was ordered, and its history is kept`);
  },
};

async function withCurrency(context: RuleContext, values: Row): Promise<Row> {
  if ((values['cost_limit'] ?? null) === null || (values['currency_code'] ?? null) !== null) {
    return values;
  }
  const { db } = context;
  return { ...values, currency_code: await currencyOf(db, await accountOf(db, values)) };
}

async function guardChange(context: RuleContext, values: Row, stored: Row): Promise<void> {
  const { db } = context;
  const from = stored['status'] as string;
  const id = stored['service_request_id'] as number;
  if (from === 'converted' && 'equipment_id' in values) {
    const detail = 'stays, for work on the unit was ordered';
    throw fieldProblem('conflict', 'body', '/equipment_id', detail);
  }
  if (from === 'approved' || from === 'converted') {
    guardLimit(context.principal, 'service_request:approve', values, stored);
  }
  const to = values['status'];
  if (to === 'converted' && !(await workOf(db, id)).isThere) {
    throw stays(
      REQUEST_STATES,
      from,
      'but is converted by making a work order or roadside call of it',
    );
  }
  if (from === 'converted' && to !== undefined && (await workOf(db, id)).isOpen) {
    throw fieldProblem('conflict', 'body', '/status', 'stays while work on it is open');
  }
}

interface Work {
  readonly isThere: boolean;
  /** Something is neither done nor cancelled. */
  readonly isOpen: boolean;
  /** A unit was towed, and there is no order for what comes after. */
  readonly isTowed: boolean;
  /** Of what was done last; null where nothing was. */
  readonly resolution: string | null;
}

/** What came of a request, as far as the caller sees it. */
async function workOf(db: TenantDb, requestId: number): Promise<Work> {
  const { rows } = await db.execute<Record<string, unknown>>(sql`
    with work as (
      select workorder_status not in ('completed', 'closed', 'cancelled') as is_open,
        workorder_status in ('completed', 'closed') as is_done, false as is_towed, resolution, completed_at as done_at
      from workorder where service_request_id = ${requestId} and deleted_at is null
      union all
      select ers_status not in ('resolved', 'closed', 'cancelled'), ers_status in ('resolved', 'closed'),
        ers_status in ('resolved', 'closed') and outcome = 'towed' and workorder_id is null, resolution, resolved_at
      from ers where service_request_id = ${requestId} and deleted_at is null
    )
    select count(*) > 0 as is_there, coalesce(bool_or(is_open), false) as is_open,
      coalesce(bool_or(is_towed), false) as is_towed,
      (select resolution from work where is_done order by done_at desc nulls last limit 1) as resolution
    from work`);
  const { is_there, is_open, is_towed, resolution } = rows[0]!;
  return {
    isThere: is_there as boolean,
    isOpen: is_open as boolean,
    isTowed: is_towed as boolean,
    resolution: resolution as string | null,
  };
}

/**
 * Holds a request that work is to be made of. Throws 422 where the work is of another unit, and 409 with the states that
 * are allowed where it is neither approved nor converted already.
 */
export async function holdRequest(
  { db }: RuleContext,
  requestId: number,
  equipmentId: number,
): Promise<HeldRequest> {
  const [request] = await db
    .select()
    .from(serviceRequest)
    .where(and(eq(serviceRequest.service_request_id, requestId), isNull(serviceRequest.deleted_at)))
    .for('update');
  const at = '/service_request_id';
  if (!request) throw fieldProblem('unprocessable', 'body', at, 'refers to nothing that exists');
  if (request.equipment_id !== equipmentId) {
    throw fieldProblem('unprocessable', 'body', at, 'is about another unit');
  }
  if (request.status !== 'approved' && request.status !== 'converted') {
    throw stays(REQUEST_STATES, request.status, 'and no work is made of it');
  }
  return request;
}

/** Notes that work was made of a request that is held. */
export async function convertRequest({ db, nowMs }: RuleContext, requestId: number): Promise<void> {
  const { service_request_id, status } = serviceRequest;
  await db
    .update(serviceRequest)
    .set({ status: 'converted', status_reason: '', converted_at: new Date(nowMs) })
    .where(and(eq(service_request_id, requestId), eq(status, 'approved')));
}

/**
 * Closes a request whose work is over: some of it was done, none is open, and no towed unit waits for an order. It takes
 * over the resolution of what was done last, unless it has one. Requests in other states stay as they are.
 */
export async function closeRequestWhenDone(
  { db, nowMs, principal }: RuleContext,
  requestId: number | null,
): Promise<void> {
  if (requestId === null) return;
  const [request] = await db
    .select()
    .from(serviceRequest)
    .where(and(eq(serviceRequest.service_request_id, requestId), isNull(serviceRequest.deleted_at)))
    .for('update');
  if (request?.status !== 'converted') return;
  // Of the whole customer, and not theirs to change.
  if (request.account_id === null && principal.tenant.accountIds !== null) return;
  const work = await workOf(db, requestId);
  if (work.isOpen || work.isTowed || work.resolution === null) return;
  await db
    .update(serviceRequest)
    .set({
      status: 'closed',
      status_reason: '',
      closed_at: new Date(nowMs),
      resolution: request.resolution === '' ? work.resolution : request.resolution,
    })
    .where(eq(serviceRequest.service_request_id, requestId));
}
