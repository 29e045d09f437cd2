/** Vehicles in one piece: made, made many at a time, and read. Their tables are resources of their own besides. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ApiContext } from '../context.ts';
import { requireRate, requireRates } from '../guard.ts';
import { fieldProblem } from '../problem.ts';
import { bulkLimits, createEach, type BulkAnswer } from '../resources/bulk.ts';
import type { Row } from '../resources/define.ts';
import { idempotencyHeaders, type Answer } from '../resources/idempotency.ts';
import { answered, headersOf, inWork } from '../resources/routes.ts';
import { closed, guardedProblems, problems } from '../schemas.ts';
import { countParts, createVehicle } from './create.ts';
import {
  BULK_PART_ROWS_MAX,
  HEADER,
  PART_ROWS_SHOWN_MAX,
  VehicleBulkBody,
  VehicleBulkResult,
  VehicleCreate,
  VehicleMade,
  VehicleWhole,
  type VehicleBody,
} from './schemas.ts';
import type { DeviceRoom } from './tracker.ts';
import { getWhole } from './whole.ts';

const tags = ['vehicles'];
// Units and trackers of new vehicles are made by whoever may make vehicles: it is one act.
const write = { permission: 'vehicle:write' } as const;
const read = { permission: 'vehicle:read' } as const;

const ABOUT_TRACKERS =
  'The tracker is registered and mounted on a new unit: its fixes are accepted from then on, by its name alone (see ' +
  '`sign_in_by_name`) unless it gets a token. One that is registered already is taken, with the unit that it is on, ' +
  'unless that is a vehicle; changing how it signs in asks for `iot_device:write` as well. A unit that is there ' +
  'already is named by `equipment_id`.';

/** Adds the routes. Trackers that are tried count as registrations. */
export function addVehicleRoutes(app: FastifyInstance, context: ApiContext): void {
  addCreate(app, context);
  addBulk(app, context);
  addRead(app, context);
}

function addCreate(app: FastifyInstance, context: ApiContext): void {
  const schema = {
    operationId: 'createVehicle',
    tags,
    summary: 'Make a vehicle, with its unit and tracker and all that hangs on it',
    description:
      `All of it or nothing. ${ABOUT_TRACKERS} ` +
      'A request that is repeated under its `Idempotency-Key` is answered without the token: that is told once.',
    headers: idempotencyHeaders,
    body: VehicleCreate,
    response: { 201: VehicleMade, ...guardedProblems, ...problems(409, 413, 415, 422) },
  };
  app.post('/v1/vehicles', { config: write, schema }, async (request, reply) => {
    const room = roomOf(context);
    const tokens = new Map<number, string>();
    const answer = await answered(context, request, async (work) => {
      await requireRate(context.registrations, request);
      const { vehicle, token } = await createVehicle(work, request.body as VehicleBody, room);
      if (token !== null) tokens.set(0, token);
      const headers = headersOf(HEADER, vehicle.header);
      return { status: 201, headers, body: { ...vehicle, token: null } };
    });
    const body = { ...(answer.body as Row), token: tokens.get(0) ?? null };
    return send(reply, { ...answer, body }, tokens);
  });
}

function addBulk(app: FastifyInstance, context: ApiContext): void {
  const schema = {
    operationId: 'bulkCreateVehicles',
    tags,
    summary: 'Make many vehicles',
    description:
      'Each item is made whole or not at all, and is answered for itself; those that are refused do not hold up the ' +
      `others. At most ${BULK_PART_ROWS_MAX} rows may hang on all of them.`,
    headers: idempotencyHeaders,
    body: VehicleBulkBody,
    response: { 200: VehicleBulkResult, ...guardedProblems, ...problems(413, 415, 422) },
  };
  const options = { config: write, schema, ...bulkLimits(app) };
  app.post('/v1/vehicles/bulk', options, async (request, reply) => {
    const { items } = request.body as { items: unknown[] };
    requireFewParts(items);
    const room = roomOf(context);
    const tokens = new Map<number, string>();
    const answer = await answered(context, request, async (work) => {
      await requireRates(context.registrations, request, items.length);
      const body = await createEach(work, request, [VehicleCreate, items], async (item, index) => {
        const made = await createVehicle(work, item as VehicleBody, room);
        if (made.token !== null) tokens.set(index, made.token);
        if (made.isNewTracker && room.left !== null) room.left -= 1;
        return made.vehicle.header[HEADER.key.name] as string;
      });
      return { status: 200, headers: {}, body };
    });
    const { results, ...counts } = answer.body as BulkAnswer;
    const told = results.map((result) => {
      const token = tokens.get(result.index);
      return token === undefined ? result : { ...result, token };
    });
    return send(reply, { ...answer, body: { ...counts, results: told } }, tokens);
  });
}

function addRead(app: FastifyInstance, context: ApiContext): void {
  const schema = {
    operationId: 'getVehicleFull',
    tags,
    summary: 'A vehicle with all that hangs on it',
    description: `Of each list the newest ${PART_ROWS_SHOWN_MAX}, in the order in which they were made.`,
    params: closed({ id: HEADER.keySchema }),
    response: { 200: VehicleWhole, ...guardedProblems, ...problems(404) },
  };
  app.get('/v1/vehicles/:id/full', { config: read, schema }, (request) =>
    inWork(context, request, (work) => getWhole(work, (request.params as { id: string }).id)),
  );
}

function roomOf({ quotas }: ApiContext): DeviceRoom {
  return { perTenantMax: quotas.devicesPerTenantMax, left: null };
}

// Their form is looked at later, item by item: what is no object, or no list, has no rows.
function requireFewParts(items: readonly unknown[]): void {
  const objects = items.filter((item) => typeof item === 'object' && item !== null);
  const count = objects.reduce<number>((sum, item) => sum + countParts(item), 0);
  if (count <= BULK_PART_ROWS_MAX) return;
  const detail = `${count} rows hang on them, and ${BULK_PART_ROWS_MAX} may; send fewer at once`;
  throw fieldProblem('invalid_request', 'body', '/items', detail);
}

function send(
  reply: FastifyReply,
  { status, headers, body }: Answer,
  tokens: ReadonlyMap<number, string>,
): FastifyReply {
  if (tokens.size > 0) reply.header('cache-control', 'no-store');
  return reply.code(status).headers(headers).send(body);
}
