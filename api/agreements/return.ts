/** `POST /v1/equipment-assignments/:id/return`: a unit comes back, once. */
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { dayIn } from '../calendar.ts';
import type { ApiContext } from '../context.ts';
import { readZone } from '../customer-day.ts';
import { entityTag } from '../entity-tag.ts';
import { fieldProblem } from '../problem.ts';
import type { Row } from '../resources/define.ts';
import { idempotencyHeaders } from '../resources/idempotency.ts';
import type { Resource } from '../resources/resource.ts';
import { answered } from '../resources/routes.ts';
import { lockRow, patchRow, type Work } from '../resources/store.ts';
import {
  closed,
  described,
  guardedProblems,
  problems,
  versionHeaders,
  withHeaders,
  writeCondition,
} from '../schemas.ts';
import { holdAround } from './assignments.ts';
import { odometerAt } from './meters.ts';

interface ReturnBody {
  readonly returned_at?: string;
  readonly return_reason: string;
  readonly return_odometer_m?: number | null;
  readonly return_facility_lookup_id?: number | null;
  readonly deactivation_date?: string | null;
  readonly note?: string;
}

/** Adds the route. */
export function addReturnRoute(
  app: FastifyInstance,
  context: ApiContext,
  assignments: Resource,
): void {
  const schema = {
    operationId: 'returnAssignment',
    tags: [assignments.tag],
    summary: 'Take a unit back',
    description:
      '`returned_at` is now when left out, and never ahead. `return_odometer_m` is what the devices of the unit told last ' +
      'in the day before, and `deactivation_date` the day of the return, unless they are given. A unit comes back once: ' +
      'the second time is a 409. `If-Match` may be left out.',
    params: closed({ id: assignments.keySchema }),
    headers: Type.Object({ ...writeCondition.properties, ...idempotencyHeaders.properties }),
    body: bodyOf(assignments),
    response: {
      200: withHeaders(assignments.shownSchema, versionHeaders),
      ...guardedProblems,
      ...problems(404, 409, 412, 413, 415, 422),
    },
  };
  app.post(
    '/v1/equipment-assignments/:id/return',
    { config: { permission: assignments.write }, schema },
    async (request, reply) => {
      const { id } = request.params as { id: number };
      const body = request.body as ReturnBody;
      const ifMatch = request.headers['if-match'] ?? '*';
      const answer = await answered(context, request, async (work) => {
        const row = await takeBack(work, assignments, id, { body, ifMatch });
        const headers = { etag: entityTag(row['version'] as number) };
        return { status: 200, headers, body: row };
      });
      reply.headers(answer.headers);
      return answer.body;
    },
  );
}

function bodyOf({ patchSchema }: Resource) {
  const { properties } = patchSchema as unknown as { properties: Record<string, object> };
  const take = (name: string, description: string) =>
    described(Type.Unsafe<unknown>(properties[name]!), description);
  const { return_reason: reason } = properties as { return_reason: { enum: (string | null)[] } };
  return closed(
    {
      return_reason: Type.Unsafe<string>({
        type: 'string',
        enum: reason.enum.filter((word) => word !== null),
        description: 'Why it comes back.',
      }),
      returned_at: Type.Optional(
        Type.Unsafe<string>({
          ...properties['returned_at'],
          type: 'string',
          description: 'When it was back.',
        }),
      ),
      return_odometer_m: Type.Optional(take('return_odometer_m', 'What the meter showed.')),
      return_facility_lookup_id: Type.Optional(
        take('return_facility_lookup_id', 'Where it was brought.'),
      ),
      deactivation_date: Type.Optional(take('deactivation_date', 'The last day that is billed.')),
      note: Type.Optional(take('note', 'In place of the note that it has.')),
    },
    {
      title: 'AssignmentReturn',
      examples: [{ return_reason: 'early_return', return_odometer_m: 201_450_000 }],
    },
  );
}

async function takeBack(
  work: Work,
  assignments: Resource,
  id: number,
  { body, ifMatch }: { body: ReturnBody; ifMatch: string },
): Promise<Row> {
  await holdAround(work.db, id);
  const stored = await lockRow(work, assignments, id, ifMatch);
  const before = stored['returned_at'] as Date | null;
  if (before !== null) {
    const detail = `the unit came back already, at ${before.toISOString()}`;
    throw fieldProblem('conflict', 'body', '/returned_at', detail);
  }
  const atMs = body.returned_at === undefined ? work.nowMs : Date.parse(body.returned_at);
  const defaults = await defaultsOf(work, stored, body, atMs);
  const patch: Row = { ...body, ...defaults, returned_at: new Date(atMs).toISOString() };
  return patchRow(work, assignments, id, [patch, '*']);
}

/** What nobody has said: the last day that is billed, and the meter, unless it would have run backwards. */
async function defaultsOf({ db }: Work, stored: Row, body: ReturnBody, atMs: number): Promise<Row> {
  const day = dayIn(await readZone(db), atMs);
  const first = stored['activation_date'] as string;
  const isBilled = body.deactivation_date !== undefined || stored['deactivation_date'] !== null;
  const odometer =
    body.return_odometer_m === undefined
      ? await odometerAt(db, stored['equipment_id'] as number, atMs)
      : null;
  const pickup = (stored['pickup_odometer_m'] ?? 0) as number;
  return {
    ...(!isBilled && { deactivation_date: day < first ? first : day }),
    ...(odometer !== null && odometer >= pickup && { return_odometer_m: odometer }),
  };
}
