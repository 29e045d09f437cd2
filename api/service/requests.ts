/**
 * What service requests ask for: who may approve, what of a request stays once work was ordered, and when it may be closed.
 * How a request becomes work, and what closes it by itself, is here too; routes are elsewhere.
 */
import { and, eq, isNull, sql } from 'drizzle-orm';
import { serviceRequest } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import type { Permission } from '../auth/permissions.ts';
import { requirePermission } from '../guard.ts';
import { requireOwnRow } from '../ownership.ts';
import { fieldProblem, Problem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import { stays, notYet } from '../resources/states.ts';
import { accountOf, currencyOf, guardBounds } from './limits.ts';
import { fillPlace } from './places.ts';
import { REQUEST_STATES } from './states.ts';

/** Beside the right to write what is made: asked for by whoever makes work of a request. */
export const READ_REQUESTS: Permission = 'service_request:read';

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
  if (from === 'approved' && 'equipment_id' in values) {
    // What was approved is work on that unit.
    requirePermission(context.principal, 'service_request:approve');
  }
  if (from === 'approved' || from === 'converted') {
    await guardBounds(context, 'service_request:approve', values, stored);
  }
  const to = values['status'] as string | undefined;
  if (from === 'converted' && to !== undefined && (await isWorkOpen(db, id))) {
    throw notYet(REQUEST_STATES, { from, to }, 'work on it is open');
  }
}

/** Something that came of it is neither done nor cancelled, whoever may see it. */
async function isWorkOpen(db: TenantDb, requestId: number): Promise<boolean> {
  const { rows } = await db.execute<{ is_open: boolean }>(
    sql`select is_open from work_of_request(${requestId})`,
  );
  return rows[0]!.is_open;
}

/**
 * Holds a request that work is to be made of. Throws 403 where the right to read requests is missing, or the request belongs
 * to the whole customer and the caller is held to accounts, 422 where the work is of another unit, and 409 with the states
 * that are allowed where it is neither approved nor converted already.
 */
export async function holdRequest(
  { db, principal }: RuleContext,
  requestId: number,
  equipmentId: number,
): Promise<HeldRequest> {
  requirePermission(principal, READ_REQUESTS);
  const [request] = await db
    .select()
    .from(serviceRequest)
    .where(and(eq(serviceRequest.service_request_id, requestId), isNull(serviceRequest.deleted_at)))
    .for('no key update');
  const at = '/service_request_id';
  if (!request) throw fieldProblem('unprocessable', 'body', at, 'refers to nothing that exists');
  if (request.equipment_id !== equipmentId) {
    throw fieldProblem('unprocessable', 'body', at, 'is about another unit');
  }
  requireOwnRow(principal, request);
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
 * Closes a request whose work is over: some of it was done, none is open, and no towed unit notYet for an order. It takes
 * over the resolution of what was done last, unless it has one. Requests in other states stay as they are. What is looked
 * at, and closed, is so for all accounts: work may be of another one than its request (migrations/0033).
 */
export async function closeRequestWhenDone(
  { db, nowMs }: RuleContext,
  requestId: number | null,
): Promise<void> {
  if (requestId === null) return;
  const at = new Date(nowMs).toISOString();
  await db.execute(sql`select close_request_when_done(${requestId}, ${at}::timestamptz)`);
}
