/**
 * `GET /v1/equipment/:id/assignment`: who had a unit at an instant or on a day, for a toll, a fine or damage. A unit can
 * change hands within a day, so a day has all assignments that touch it.
 */
import { and, asc, eq, gt, isNull, lt, lte, or, type SQL } from 'drizzle-orm';
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { equipmentAssignment as assignment } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { addDays, startOfDayMs } from '../calendar.ts';
import { inTenant, type ApiContext } from '../context.ts';
import { readZone } from '../customer-day.ts';
import { requireEquipment } from '../equipment/require.ts';
import { fieldProblem } from '../problem.ts';
import { Day } from '../resources/fields.ts';
import type { Resource } from '../resources/resource.ts';
import { closed, described, guardedProblems, Id, InstantText, problems } from '../schemas.ts';
import { readInstant } from '../telematics/window.ts';

/** Assignments that are shown of one day; a unit changes hands a few times at most. */
export const HOLDERS_OF_DAY_MAX = 500;

/** In some zone these begin or end in a year that an instant is not written with. */
const FIRST_DAY = '0001-01-01';
const LAST_DAY = '9999-12-31';

/** Adds the route. */
export function addHolderRoute(
  app: FastifyInstance,
  context: ApiContext,
  assignments: Resource,
): void {
  const schema = {
    operationId: 'listHoldersOfEquipment',
    tags: [assignments.tag],
    summary: 'Who had a unit at an instant or on a day',
    description:
      '`at` is an instant, now when both are left out; `on` a day in the time zone of the customer, with all assignments ' +
      'that touch it, in their order. Of the instant of a return and what comes after it, it is not that assignment’s any ' +
      'more. Assignments of accounts that the caller does not see are left out.',
    params: closed({ id: described(Id, 'The `equipment_id`.') }),
    querystring: closed({
      at: Type.Optional(described(InstantText, 'At this instant.')),
      on: Type.Optional(described(Day, 'On this day.')),
    }),
    response: {
      200: Type.Object({
        data: Type.Array(assignments.shownSchema, { maxItems: HOLDERS_OF_DAY_MAX }),
      }),
      ...guardedProblems,
      ...problems(404),
    },
  };
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get(
      '/v1/equipment/:id/assignment',
      { config: { permission: assignments.read }, schema },
      async (request) => {
        const { id } = request.params;
        const { at, on } = request.query;
        if (at !== undefined && on !== undefined) {
          throw fieldProblem('invalid_request', 'query', '/on', 'leave out one of `at` and `on`');
        }
        if (on !== undefined && (on <= FIRST_DAY || on >= LAST_DAY)) {
          const detail = `is not after ${FIRST_DAY} and before ${LAST_DAY}`;
          throw fieldProblem('invalid_request', 'query', '/on', detail);
        }
        const atMs = readInstant(at, '/at') ?? context.now();
        return inTenant(context, request, async (db) => {
          await requireKnown(db, id);
          const when = on === undefined ? heldAt(new Date(atMs)) : await heldOn(db, on);
          const data = await db
            .select()
            .from(assignment)
            .where(and(eq(assignment.equipment_id, id), isNull(assignment.deleted_at), when))
            .orderBy(asc(assignment.assigned_at))
            .limit(HOLDERS_OF_DAY_MAX);
          return { data };
        });
      },
    );
}

/** Throws 404 unless the caller sees the unit, or has had it: it may belong to another account by now. */
async function requireKnown(db: TenantDb, id: number): Promise<void> {
  const [had] = await db
    .select({ id: assignment.equipment_assignment_id })
    .from(assignment)
    .where(and(eq(assignment.equipment_id, id), isNull(assignment.deleted_at)))
    .limit(1);
  if (!had) await requireEquipment(db, id);
}

const heldAt = (instant: Date): SQL | undefined =>
  and(
    lte(assignment.assigned_at, instant),
    or(isNull(assignment.returned_at), gt(assignment.returned_at, instant)),
  );

async function heldOn(db: TenantDb, day: string): Promise<SQL | undefined> {
  const zone = await readZone(db);
  const from = new Date(startOfDayMs(zone, day));
  const to = new Date(startOfDayMs(zone, addDays(day, 1)));
  return and(
    lt(assignment.assigned_at, to),
    or(isNull(assignment.returned_at), gt(assignment.returned_at, from)),
  );
}
