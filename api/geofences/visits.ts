/** Visits: the stays in one fence, and those of one unit, newest first. Whoever is inside now is among them. */
import {
  and,
  desc,
  eq,
  getTableColumns,
  gt,
  isNull,
  isNotNull,
  lt,
  or,
  sql,
  type SQL,
} from 'drizzle-orm';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { geofenceVisit } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { inTenant, openList, type ApiContext } from '../context.ts';
import { requireEquipment } from '../equipment/require.ts';
import { fieldProblem } from '../problem.ts';
import {
  closed,
  described,
  guardedProblems,
  Id,
  idParams,
  Instant,
  InstantText,
  nullable,
  pageOf,
  pageQuery,
  problems,
} from '../schemas.ts';
import { readInstant } from '../telematics/window.ts';
import { requireGeofence } from './require.ts';

const visit = geofenceVisit;
const config = { permission: 'geofence:read' } as const;
const tags = ['geofence'];

const Visit = Type.Object({
  geofence_visit_id: Id,
  customer_id: Id,
  account_id: nullable(Id),
  geofence_id: Id,
  geofence_name: Type.String({ description: 'When the visit was opened.' }),
  geofence_version: Type.Integer(),
  equipment_id: Id,
  equipment_has_iot_device_id: Id,
  opened_at: Instant,
  entered_at: Instant,
  left_at: nullable(Instant),
  duration_s: nullable(Type.Number()),
  first_fix_at: Instant,
  last_fix_at: nullable(Instant),
  entered_cause: Type.String({
    description: 'That of the `geofence_enter`; `late_data` for a visit that late fixes brought.',
  }),
  left_cause: nullable(Type.String({ description: 'How it was closed; null while it is open.' })),
  dwelled_at: nullable(Instant),
  revision: Type.Integer({ description: 'Grows with each change that late fixes make.' }),
  retracted: Type.Boolean({ description: 'Late fixes showed that there was no such visit.' }),
  updated_at: Instant,
});

const query = closed({
  ...pageQuery,
  from: Type.Optional(
    Type.Unsafe<string>({ ...InstantText, description: 'Visits that ended after it, or go on.' }),
  ),
  to: Type.Optional(
    Type.Unsafe<string>({ ...InstantText, description: 'Visits that began before it.' }),
  ),
  open: Type.Optional(
    Type.Boolean({ description: 'True: those that go on; false: those that have ended.' }),
  ),
  include_retracted: Type.Optional(
    described(
      Type.Boolean({ default: false }),
      'Whether visits are shown that late fixes took back.',
    ),
  ),
});

interface VisitFilters {
  readonly from?: string;
  readonly to?: string;
  readonly open?: boolean;
  readonly include_retracted?: boolean;
}

/** Adds the routes. */
export function addVisitRoutes(app: FastifyInstance, context: ApiContext): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>();
  const response = { 200: pageOf(Visit), ...guardedProblems, ...problems(404) };
  const ofFenceSchema = {
    operationId: 'listVisitsOfGeofence',
    tags,
    summary: 'Stays of units in a fence, newest first',
    description:
      'Also of a fence that is no more, as long as there are visits that the caller may see.',
    params: idParams,
    querystring: query,
    response,
  };
  routes.get('/v1/geofences/:id/visits', { config, schema: ofFenceSchema }, (request) => {
    const { id } = request.params;
    const known = (db: TenantDb): Promise<void> => requireFence(db, id);
    return listVisits(context, request, known, eq(visit.geofence_id, id));
  });

  const ofUnitSchema = {
    operationId: 'listVisitsOfEquipment',
    tags,
    summary: 'Stays of a unit in fences, newest first',
    params: idParams,
    querystring: query,
    response,
  };
  routes.get('/v1/equipment/:id/visits', { config, schema: ofUnitSchema }, (request) => {
    const { id } = request.params;
    const known = (db: TenantDb): Promise<void> => requireEquipment(db, id);
    return listVisits(context, request, known, eq(visit.equipment_id, id));
  });
}

/** Throws 404 when there is neither the fence nor a visit of it that the caller may see. */
async function requireFence(db: TenantDb, id: number): Promise<void> {
  const rows = await db
    .select({ id: visit.geofence_visit_id })
    .from(visit)
    .where(eq(visit.geofence_id, id))
    .limit(1);
  if (rows[0] === undefined) await requireGeofence(db, id);
}

async function listVisits(
  context: ApiContext,
  request: FastifyRequest,
  requireKnown: (db: TenantDb) => Promise<void>,
  ofWhom: SQL,
) {
  const filters = request.query as VisitFilters;
  const overlap = overlapOf(filters);
  const list = openList(context, request, 'visits');
  const key = sql`(${visit.entered_at}, ${visit.geofence_visit_id})`;
  const rows = await inTenant(context, request, async (db) => {
    await requireKnown(db);
    return db
      .select({ ...getTableColumns(visit), entered_text: sql<string>`${visit.entered_at}::text` })
      .from(visit)
      .where(
        and(
          ofWhom,
          overlap,
          openness(filters.open),
          filters.include_retracted === true ? undefined : eq(visit.retracted, false),
          list.after
            ? sql`${key} < (${list.after[0]}::timestamptz, ${list.after[1]}::bigint)`
            : undefined,
        ),
      )
      .orderBy(desc(visit.entered_at), desc(visit.geofence_visit_id))
      .limit(list.rowsMax);
  });
  return list.page(rows, (row) => [row.entered_text, row.geofence_visit_id]);
}

/** Throws 400 for an instant that does not exist, and for a window that ends before it begins. */
function overlapOf({ from, to }: VisitFilters): SQL | undefined {
  const fromMs = readInstant(from, '/from');
  const toMs = readInstant(to, '/to');
  if (fromMs !== undefined && toMs !== undefined && fromMs >= toMs) {
    throw fieldProblem('invalid_request', 'query', '/from', 'must be before `to`');
  }
  return and(
    toMs === undefined ? undefined : lt(visit.entered_at, new Date(toMs)),
    fromMs === undefined
      ? undefined
      : or(isNull(visit.left_at), gt(visit.left_at, new Date(fromMs))),
  );
}

function openness(open: boolean | undefined): SQL | undefined {
  if (open === undefined) return undefined;
  return open ? isNull(visit.left_at) : isNotNull(visit.left_at);
}
