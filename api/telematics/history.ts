/**
 * What one unit reported: its fixes and its metrics over a span of time. Keyset by time, then by what tells rows of one
 * instant apart (a unit may carry several devices). Times in cursors are the database's own text, to the microsecond.
 */
import { and, asc, desc, eq, gte, lt, sql, type SQL } from 'drizzle-orm';
import type { PgColumn, PgView } from 'drizzle-orm/pg-core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { tenantDeviceMetric, tenantGpsLocation } from '../../db/schema.ts';
import { readJsonAsTenant } from '../../db/tenancy.ts';
import { ASIDE } from '../../db/json-rows.ts';
import { inTenant, openList, sendPage, type ApiContext } from '../context.ts';
import { requireEquipment } from '../equipment/require.ts';
import { principalOf } from '../guard.ts';
import { toStatement } from '../resources/query.ts';
import {
  closed,
  described,
  guardedProblems,
  Id,
  idParams,
  Instant,
  Name,
  nullable,
  pageOf,
  problems,
} from '../schemas.ts';
import { historyQuery, resolveWindow, type HistoryQuery } from './window.ts';

const number = nullable(Type.Number());

const Location = Type.Object({
  equipment_id: Id,
  equipment_has_iot_device_id: Id,
  recorded_at: Instant,
  received_at: Instant,
  latitude: Type.Number(),
  longitude: Type.Number(),
  altitude_m: number,
  speed_mps: number,
  heading_deg: number,
  accuracy_m: number,
  odometer_m: number,
  satellites: nullable(Type.Integer()),
  ignition: nullable(Type.Boolean()),
  motion_status: nullable(Type.String()),
  event: nullable(Type.String()),
});

/** A sensor reading. */
export const Metric = Type.Object({
  equipment_id: Id,
  equipment_has_iot_device_id: Id,
  metric_code: Type.String(),
  recorded_at: Instant,
  received_at: Instant,
  metric_value: Type.Number(),
  uom_lookup_id: nullable(Id),
});

/** Adds the routes. */
export function addHistoryRoutes(app: FastifyInstance, context: ApiContext): void {
  addLocations(app, context);
  addMetrics(app, context);
}

function addLocations(app: FastifyInstance, context: ApiContext): void {
  const fix = tenantGpsLocation;
  app.get(
    '/v1/equipment/:id/locations',
    {
      config: { permission: 'telematics:read' },
      schema: {
        operationId: 'listEquipmentLocations',
        tags: ['telematics'],
        summary: 'Fixes of one unit',
        params: idParams,
        querystring: closed(historyQuery),
        response: { 200: pageOf(Location), ...guardedProblems, ...problems(404) },
      },
    },
    (request, reply) =>
      answerHistory(context, request, reply, {
        name: 'locations',
        view: fix,
        columns: namesOf(Location).map((name) => fix[name]),
        place: [
          { column: fix.recorded_at, type: sql`timestamptz` },
          { column: fix.equipment_has_iot_device_id, type: sql`bigint` },
        ],
        conditions: [eq(fix.equipment_id, idOf(request))],
      }),
  );
}

function addMetrics(app: FastifyInstance, context: ApiContext): void {
  const metric = tenantDeviceMetric;
  app.get(
    '/v1/equipment/:id/metrics',
    {
      config: { permission: 'telematics:read' },
      schema: {
        operationId: 'listEquipmentMetrics',
        tags: ['telematics'],
        summary: 'Sensor readings of one unit',
        params: idParams,
        querystring: closed({
          ...historyQuery,
          metric_code: Type.Optional(described(Name, 'Of this metric.')),
        }),
        response: { 200: pageOf(Metric), ...guardedProblems, ...problems(404) },
      },
    },
    (request, reply) => {
      const { metric_code } = request.query as { metric_code?: string };
      return answerHistory(context, request, reply, {
        name: 'metrics',
        view: metric,
        columns: namesOf(Metric).map((name) => metric[name]),
        place: [
          { column: metric.recorded_at, type: sql`timestamptz` },
          { column: metric.equipment_has_iot_device_id, type: sql`bigint` },
          { column: metric.metric_code, type: sql`text` },
        ],
        conditions: [
          eq(metric.equipment_id, idOf(request)),
          ...(metric_code === undefined ? [] : [eq(metric.metric_code, metric_code)]),
        ],
      });
    },
  );
}

function namesOf<Names extends string>(shown: { properties: Record<Names, unknown> }): Names[] {
  return Object.keys(shown.properties) as Names[];
}

function commas(parts: readonly SQL[]): SQL {
  return sql.join([...parts], sql`, `);
}

function idOf(request: FastifyRequest): number {
  return (request.params as { id: number }).id;
}

interface History {
  /** Of the list, for its cursors. */
  readonly name: string;
  readonly view: PgView;
  readonly columns: readonly PgColumn[];
  /** What tells rows apart, their time first, and the types that a cursor's texts are read as. */
  readonly place: readonly { readonly column: PgColumn; readonly type: SQL }[];
  readonly conditions: readonly SQL[];
}

/**
 * A page of one unit's rows. Whoever sees a row of the unit sees the unit; only where there is none it is looked for. Throws
 * 404 when it is not there or is not the caller's.
 */
async function answerHistory(
  context: ApiContext,
  request: FastifyRequest,
  reply: FastifyReply,
  { name, view, columns, place, conditions }: History,
): Promise<FastifyReply> {
  const query = request.query as HistoryQuery;
  const list = openList(context, request, name);
  const { fromMs, toMs } = resolveWindow(query, list.after, context.now());
  const newest = query.order === 'newest';
  const recordedAt = place[0]!.column;
  const key = commas(place.map(({ column }) => sql`${column}`));
  const [, , ...texts] = list.after ?? [];
  const after = commas(place.map(({ type }, index) => sql`${texts[index]}::${type}`));
  const where = and(
    ...conditions,
    gte(recordedAt, new Date(fromMs)),
    lt(recordedAt, new Date(toMs)),
    list.after ? (newest ? sql`(${key}) < (${after})` : sql`(${key}) > (${after})`) : undefined,
  );
  const order = place.map(({ column }) => (newest ? desc(column) : asc(column)));
  const asides = place.map(
    ({ column }, n) => sql`${column}::text as ${sql.identifier(`${ASIDE}${n}`)}`,
  );
  const shown = columns.map((column) => sql`${column}`);
  const statement = toStatement(sql`select ${commas([...shown, ...asides])} from ${view}
    where ${where} order by ${commas(order)} limit ${list.rowsMax}`);
  const rows = await readJsonAsTenant(context.pool, principalOf(request), statement);
  if (rows.length === 0) {
    await inTenant(context, request, (db) => requireEquipment(db, idOf(request)));
  }
  return sendPage(
    reply,
    list.page(rows, ({ aside }) => [fromMs, toMs, ...aside]),
  );
}
