/** `POST /v1/geofences/test`: which fences hold these points, or these units now. Asks the running engine. */
import { inArray, sql } from 'drizzle-orm';
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { geofence, telematics } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { isInForce } from '../../engine/schedule.ts';
import type { FenceSettings } from '../../engine/types.ts';
import { inTenant, type ApiContext } from '../context.ts';
import { principalOf, requirePermission } from '../guard.ts';
import { fieldProblem, Problem } from '../problem.ts';
import { closed, guardedProblems, Id, Instant, LatDeg, LonDeg, problems } from '../schemas.ts';

/** Points or units of one request. */
export const TESTED_POINTS_MAX = 1_000;
/** Fences that all points of one request may lie in, each counted once for every point. */
export const TEST_HITS_MAX = 10_000;

const Body = closed(
  {
    points: Type.Optional(
      Type.Array(closed({ latitude: LatDeg, longitude: LonDeg }), {
        minItems: 1,
        maxItems: TESTED_POINTS_MAX,
      }),
    ),
    equipment_ids: Type.Optional(
      Type.Array(Id, {
        minItems: 1,
        maxItems: TESTED_POINTS_MAX,
        uniqueItems: true,
        description: 'Units, at their newest positions; asks for the right `telematics:read` too.',
      }),
    ),
  },
  {
    examples: [{ points: [{ latitude: 51.9225, longitude: 4.47917 }] }, { equipment_ids: [1, 2] }],
  },
);

const Result = Type.Object({
  latitude: Type.Number(),
  longitude: Type.Number(),
  equipment_id: Type.Optional(Id),
  recorded_at: Type.Optional(Instant),
  geofences: Type.Array(
    Type.Object({
      geofence_id: Id,
      geofence_name: Type.String(),
      version: Type.Integer({ description: 'The version that was asked.' }),
      in_force: Type.Boolean({ description: 'False outside of its active hours, as of now.' }),
    }),
  ),
});

interface Place {
  readonly latitude: number;
  readonly longitude: number;
  /** The unit there, with the account that fences must be of to speak of it. */
  readonly unit?: { equipment_id: number; account_id: number | null; recorded_at: Date };
}

/** Adds the route. */
export function addHoldingRoute(app: FastifyInstance, context: ApiContext): void {
  const schema = {
    operationId: 'testGeofences',
    tags: ['geofence'],
    summary: 'Which fences hold these points, or these units now',
    description:
      'Send either `points` or `equipment_ids`. The running engine is asked: a fence that was made or changed is seen as ' +
      'soon as the engine has it, within the delay of the change feed, mostly some milliseconds; a disabled one is not. ' +
      'The bare geometry counts, neither confirmation counts nor exit buffers. There is one result for each point, in ' +
      'their order, and one for each unit that has a position and is the caller’s, with the fences that speak of it: ' +
      'those of its account and of the whole customer.',
    body: Body,
    response: {
      200: Type.Object({ results: Type.Array(Result) }),
      ...guardedProblems,
      ...problems(413, 415, 422),
    },
  };
  const config = { permission: 'geofence:read' } as const;
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .post('/v1/geofences/test', { config, schema }, async (request) => {
      const { points, equipment_ids: ids } = request.body;
      const principal = principalOf(request);
      if (ids !== undefined) requirePermission(principal, 'telematics:read');
      if ((points === undefined) === (ids === undefined)) {
        throw new Problem('unprocessable', 'send either points or equipment_ids');
      }
      return inTenant(context, request, async (db) => {
        const places = points ?? (await readPlaces(db, ids ?? []));
        const { customerId } = principal.tenant;
        const held = findHolding(context, customerId, places);
        const names = await readNames(db, [...new Set(held.flat().map((one) => one.fenceId))]);
        const nowMs = context.now();
        return { results: places.map((place, i) => toResult(place, held[i] ?? [], names, nowMs)) };
      });
    });
}

function findHolding(
  context: ApiContext,
  customerId: number,
  places: readonly Place[],
): (readonly FenceSettings[])[] {
  let hits = 0;
  return places.map(({ latitude, longitude, unit }, i) => {
    const fences = context.fencesAt(customerId, longitude, latitude);
    hits += fences.length;
    if (hits > TEST_HITS_MAX) {
      const pointer = unit ? '/equipment_ids' : '/points';
      const detail = `the first ${i + 1} lie in more than ${TEST_HITS_MAX} fences; send fewer`;
      throw fieldProblem('unprocessable', 'body', pointer, detail);
    }
    if (unit === undefined) return fences;
    return fences.filter(({ accountId }) => accountId === null || accountId === unit.account_id);
  });
}

function toResult(
  { latitude, longitude, unit }: Place,
  fences: readonly FenceSettings[],
  names: ReadonlyMap<number, string>,
  nowMs: number,
) {
  const geofences = fences.flatMap(({ fenceId, version, schedule }) => {
    const geofence_name = names.get(fenceId);
    if (geofence_name === undefined) return [];
    const in_force = schedule === null || isInForce(schedule, nowMs);
    return [{ geofence_id: fenceId, geofence_name, version, in_force }];
  });
  if (unit === undefined) return { latitude, longitude, geofences };
  const { equipment_id, recorded_at } = unit;
  return { latitude, longitude, equipment_id, recorded_at, geofences };
}

/** Where the caller's units are, in the order in which they were asked for. */
async function readPlaces(db: TenantDb, ids: readonly number[]): Promise<Place[]> {
  const { equipment_id, account_id, recorded_at, latitude, longitude } = telematics;
  const rows = await db
    .select({ unit: { equipment_id, account_id, recorded_at }, latitude, longitude })
    .from(telematics)
    .where(inArray(equipment_id, [...ids]));
  const placeOf = new Map(rows.map((row) => [row.unit.equipment_id, row]));
  return ids.flatMap((id) => placeOf.get(id) ?? []);
}

/** Names of those fences that the caller may see. */
async function readNames(db: TenantDb, ids: number[]): Promise<Map<number, string>> {
  if (ids.length === 0) return new Map();
  const { geofence_id, geofence_name } = geofence;
  const rows = await db
    .select({ geofence_id, geofence_name })
    .from(geofence)
    .where(sql`${geofence_id} = any(${sql.param(ids)}::bigint[])`);
  return new Map(rows.map((row) => [row.geofence_id, row.geofence_name]));
}
