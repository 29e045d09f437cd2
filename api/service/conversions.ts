/**
 * One thing made of another: a work order or a roadside call of an approved request, a work order of a call. What is made
 * takes over what is known; the body says what is to be otherwise. Both are written in one transaction, so of many that
 * convert the same at once one does.
 */
import { and, eq, isNull, sql } from 'drizzle-orm';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { Type, type TObject, type TSchema } from 'typebox';
import { ers, serviceRequest, serviceUrgencyLookup, vmrsLookup } from '../../db/schema.ts';
import type { Permission } from '../auth/permissions.ts';
import type { ApiContext } from '../context.ts';
import { requirePermission } from '../guard.ts';
import { fieldProblem } from '../problem.ts';
import type { Row } from '../resources/define.ts';
import { idempotencyHeaders, type Answer } from '../resources/idempotency.ts';
import type { Resource } from '../resources/resource.ts';
import { answered, headersOf } from '../resources/routes.ts';
import { stays } from '../resources/states.ts';
import { createRow, getRow, lockRow, run, type Work } from '../resources/store.ts';
import {
  closed,
  described,
  guardedProblems,
  Id,
  problems,
  versionHeaders,
  withHeaders,
} from '../schemas.ts';
import { isHigher, limitsFor, lowestIn } from './limits.ts';
import { READ_REQUESTS } from './requests.ts';
import { CALL_STATES, REQUEST_STATES } from './states.ts';

export interface ServiceResources {
  readonly requests: Resource;
  readonly workorders: Resource;
  readonly calls: Resource;
}

interface Conversion {
  readonly from: Resource;
  readonly to: Resource;
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  /** Beside the right to write what is made. */
  readonly right: Permission;
  /** Fields of the body beside those of what is made. */
  readonly more: Readonly<Record<string, TSchema>>;
  readonly example: Row;
  /** Makes it of what is held. Throws 409 where nothing can be made of it. */
  make(work: Work, of: Row, given: Row): Promise<Row>;
}

/** What is made says nothing else of these than what it is made of. */
const TAKEN_OVER = new Set(['account_id', 'equipment_id', 'service_request_id', 'workorder_id']);

/** Adds the routes. */
export function addConversionRoutes(
  app: FastifyInstance,
  context: ApiContext,
  resources: ServiceResources,
): void {
  for (const conversion of conversionsOf(resources)) addConversion(app, context, conversion);
}

function conversionsOf({ requests, workorders, calls }: ServiceResources): Conversion[] {
  return [
    {
      from: requests,
      to: workorders,
      operationId: 'makeWorkOrderOfServiceRequest',
      summary: 'Make a work order of an approved service request',
      description:
        'Account, unit, description, urgency, facility, time, limit and currency are taken over; the body says what is ' +
        'to be otherwise. The request is converted in the same transaction; one that is not approved is a 409.',
      right: READ_REQUESTS,
      more: {},
      example: { vendor_name: 'Prairie Tire & Service', workorder_status: 'assigned' },
      make: (work, of, given) => orderOfRequest(work, workorders, of, given),
    },
    {
      from: requests,
      to: calls,
      operationId: 'makeRoadsideCallOfServiceRequest',
      summary: 'Make a roadside call of an approved service request',
      description:
        'Account, unit, issue, tyre, position, contact, limit and currency are taken over; the body says what is to be ' +
        'otherwise. The request is converted in the same transaction; one that is not approved is a 409.',
      right: READ_REQUESTS,
      more: {},
      example: { safety_status: 'roadside', driver_name: 'Sam Whitfield' },
      make: (work, of, given) => callOfRequest(work, calls, of, given),
    },
    {
      from: calls,
      to: workorders,
      operationId: 'makeWorkOrderOfRoadsideCall',
      summary: 'Make a work order of a roadside call',
      description:
        'Account, unit, request, description, vendor, limit, currency and cost are taken over; the body says what is to ' +
        'be otherwise. Parts are the part cost, and what the call cost beyond them is labour; with `vmrs_id` they become ' +
        'lines under that code. A call that has an order already, or is closed or cancelled, is a 409.',
      right: 'ers:write',
      more: {
        vmrs_id: described(Id, 'The code of the lines that parts and labour of the call become.'),
      },
      example: { priority: 'high', vmrs_id: 1 },
      make: (work, of, given) => orderOfCall(work, workorders, of, given),
    },
  ];
}

function addConversion(app: FastifyInstance, context: ApiContext, conversion: Conversion): void {
  const { from, to, operationId, summary, description, more, example } = conversion;
  const fields = Object.entries((to.createSchema as TObject).properties).filter(
    ([name]) => !TAKEN_OVER.has(name),
  );
  const given = { ...Object.fromEntries(fields), ...more } as Record<string, TSchema>;
  const title = operationId[0]!.toUpperCase() + operationId.slice(1);
  const body = closed(Type.Partial(Type.Object(given)).properties, { title, examples: [example] });
  const schema = {
    operationId,
    tags: [from.tag],
    summary,
    description,
    params: closed({ id: from.keySchema }),
    headers: idempotencyHeaders,
    body,
    response: {
      201: withHeaders(to.shownSchema, { ...versionHeaders, location: 'Its path.' }),
      ...guardedProblems,
      ...problems(404, 409, 413, 415, 422),
    },
  };
  const options = { config: { permission: to.write }, schema };
  app.post(`/v1/${from.path}/:id/${to.path}`, options, async (request, reply) => {
    const { id } = request.params as { id: number };
    const answer = await answered(context, request, async (work) => {
      requirePermission(work.principal, conversion.right);
      const of = await lockRow(work, from, id, '*');
      const row = await conversion.make(work, of, request.body as Row);
      return { status: 201, headers: headersOf(to, row), body: row };
    });
    return send(reply, answer);
  });
}

function send(reply: FastifyReply, { status, headers, body }: Answer): FastifyReply {
  return reply.code(status).headers(headers).send(body);
}

function requireApproved({ status }: Row): void {
  if (status !== 'approved') throw stays(REQUEST_STATES, status as string, 'and not converted');
}

/** What is known, without what is empty. */
function known(values: Row): Row {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => (value ?? null) !== null));
}

/** By the urgency of a request; one that is by appointment is done in its turn. */
const PRIORITIES: Readonly<Record<string, string>> = {
  emergency: 'urgent',
  critical: 'urgent',
  high: 'high',
  low: 'low',
};

async function orderOfRequest(work: Work, orders: Resource, of: Row, given: Row): Promise<Row> {
  requireApproved(of);
  const [urgency] = await work.db
    .select({ code: serviceUrgencyLookup.urgency_code })
    .from(serviceUrgencyLookup)
    .where(
      eq(serviceUrgencyLookup.service_urgency_lookup_id, of['service_urgency_lookup_id'] as number),
    );
  const taken = known({
    account_id: of['account_id'],
    service_request_id: of['service_request_id'],
    equipment_id: of['equipment_id'],
    workorder_description: of['issue_description'],
    priority: PRIORITIES[urgency?.code ?? ''] ?? 'medium',
    facility_lookup_id: of['facility_lookup_id'],
    due_at: of['needed_by_at'],
  });
  // Its limit and currency are taken over wherever an order names a request.
  return createRow(work, orders, { ...taken, ...given });
}

async function callOfRequest(work: Work, calls: Resource, of: Row, given: Row): Promise<Row> {
  requireApproved(of);
  const address = ['street', 'city', 'state_code', 'postal_code', 'country_code']
    .map((name) => of[name])
    .filter((part) => (part ?? '') !== '');
  const taken = known({
    account_id: of['account_id'],
    service_request_id: of['service_request_id'],
    equipment_id: of['equipment_id'],
    service_issues_lookup_id: of['service_issues_lookup_id'],
    issue_description: of['issue_description'],
    tire_size_lookup_id: of['tire_size_lookup_id'],
    tire_position: of['tire_position'],
    driver_name: of['contact_name'],
    driver_phone: of['contact_phone'],
    latitude: of['latitude'],
    longitude: of['longitude'],
    location_description: address.join(', '),
    assigned_to_user_id: of['assigned_to_user_id'],
    cost_limit: of['cost_limit'],
    currency_code: of['currency_code'],
    reported_at: of['reported_at'],
  });
  return createRow(work, calls, { ...taken, ...given });
}

async function orderOfCall(work: Work, orders: Resource, of: Row, given: Row): Promise<Row> {
  const at = of['ers_status'] as string;
  if (at === 'closed' || at === 'cancelled') {
    throw stays(CALL_STATES, at, 'and no order is made of it');
  }
  if (of['workorder_id'] !== null) {
    throw fieldProblem('conflict', 'body', '/workorder_id', 'is set: it has a work order already');
  }
  const callId = of['ers_id'] as number;
  const { vmrs_id: code, ...asked } = given;
  if (code !== undefined) await requireCode(work, code as number);
  const costs = await costsOf(work, callId);
  if (costs) requireCarried(costs, given);
  const request = await openRequestOf(work, of);
  const taken = known({
    account_id: of['account_id'],
    service_request_id: request?.service_request_id,
    equipment_id: of['equipment_id'],
    workorder_description: of['issue_description'],
    priority: 'urgent',
    facility_lookup_id: of['towed_to_facility_lookup_id'],
    vendor_name: of['vendor_name'],
    technician_name: of['technician_name'],
    currency_code: of['currency_code'],
    ...(given['currency_code'] === undefined && { cost_limit: await limitOf(work, of, request) }),
    ...(code === undefined && { part_cost: costs?.part, labour_cost: costs?.labour }),
  });
  const order = await createRow(asReader(work), orders, { ...taken, ...asked });
  const id = order['workorder_id'] as number;
  await work.db.update(ers).set({ workorder_id: id }).where(eq(ers.ers_id, callId));
  if (!costs || code === undefined) return order;
  await addLines(work, { callId, id, code });
  return getRow(work, orders, id);
}

/** The order goes to the request of its call, which is made into work already: that takes no right to requests. */
function asReader(work: Work): Work {
  const { principal } = work;
  const permissions = new Set([...principal.permissions, READ_REQUESTS]);
  return { ...work, principal: { ...principal, permissions } };
}

interface Costs {
  readonly currency: string;
  readonly part: string;
  /** What the call cost beyond its parts. */
  readonly labour: string;
}

/** What a call cost, in digits; null where that is not known yet. */
async function costsOf({ client }: Work, callId: number): Promise<Costs | null> {
  const [found] = await run(
    client,
    sql`select e.currency_code as currency, p.total::text as part, greatest(e.cost - p.total, 0)::text as labour
      from ers e, sum_ers_parts(e.customer_id, e.ers_id, e.currency_code) p
      where e.ers_id = ${callId} and e.cost is not null`,
  );
  return (found as Costs | undefined) ?? null;
}

/** Throws 422 where the body would have the costs of the call otherwise than they are. */
function requireCarried({ currency }: Costs, given: Row): void {
  const asked = (given['currency_code'] ?? currency) as string;
  if (asked !== currency) {
    const detail = `is another one than that of the call, which cost ${currency}`;
    throw fieldProblem('unprocessable', 'body', '/currency_code', detail);
  }
  if (given['vmrs_id'] === undefined) return;
  const stated = ['part_cost', 'labour_cost'].find((name) => name in given);
  if (stated === undefined) return;
  const detail = 'follows from the lines that vmrs_id asks for';
  throw fieldProblem('unprocessable', 'body', `/${stated}`, detail);
}

type Request = typeof serviceRequest.$inferSelect;

/** The request of a call, while work may be made of it. */
async function openRequestOf({ db }: Work, of: Row): Promise<Request | null> {
  const id = of['service_request_id'] as number | null;
  if (id === null) return null;
  const [request] = await db
    .select()
    .from(serviceRequest)
    .where(and(eq(serviceRequest.service_request_id, id), isNull(serviceRequest.deleted_at)));
  return request?.status === 'approved' || request?.status === 'converted' ? request : null;
}

/** The limit of a call, where it is not above the one that its order has without it: to say it took no right. */
async function limitOf(
  { db }: Work,
  of: Row,
  request: Request | null,
): Promise<number | undefined> {
  const limit = of['cost_limit'] as number | null;
  if (limit === null) return undefined;
  const allowed = lowestIn(await limitsFor(db, of, request), of['currency_code'] as string);
  return isHigher(limit, allowed) ? undefined : limit;
}

async function requireCode({ db }: Work, code: number): Promise<void> {
  const found = await db.select().from(vmrsLookup).where(eq(vmrsLookup.vmrs_id, code));
  if (found.length > 0) return;
  throw fieldProblem('unprocessable', 'body', '/vmrs_id', 'refers to nothing that exists');
}

/** Each part becomes a line, and what is left of the cost one more. */
async function addLines(
  { client }: Work,
  { callId, id, code }: { callId: number; id: number; code: unknown },
): Promise<void> {
  await run(
    client,
    sql`insert into workorder_vmrs
        (customer_id, workorder_id, vmrs_id, currency_code, quantity, workorder_part_cost, part_number, correction)
      select customer_id, ${id}, ${code}, currency_code, part_quantity, total_cost, part_number, part_name
      from ers_parts_used where ers_id = ${callId} and deleted_at is null order by ers_parts_id`,
  );
  await run(
    client,
    sql`insert into workorder_vmrs (customer_id, workorder_id, vmrs_id, currency_code, workorder_labour_cost)
      select e.customer_id, ${id}, ${code}, e.currency_code, e.cost - p.total
      from ers e, sum_ers_parts(e.customer_id, e.ers_id, e.currency_code) p
      where e.ers_id = ${callId} and e.cost > p.total`,
  );
}
