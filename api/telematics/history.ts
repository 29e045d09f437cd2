/**
 * What one unit reported: its fixes and its metrics over a span of time. Keyset by time, then by what tells rows of one
 * instant apart (a unit may carry several devices). Times in cursors are the database's own text, to the microsecond.
 */
import { and, asc, desc, eq, gte, lt, sql, type SQL } from 'drizzle-orm';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type, type Static } from 'typebox';
import { tenantDeviceMetric, tenantGpsLocation } from '../../db/schema.ts';
import { readAsTenant } from '../../db/tenancy.ts';
import { inTenant, openList, type ApiContext } from '../context.ts';
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
import { historyQuery, resolveWindow } from './window.ts';

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

const Metric = Type.Object({
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
  app.withTypeProvider<TypeBoxTypeProvider>().get(
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
    async (request) => {
      const list = openList(context, request, 'locations');
      const { fromMs, toMs } = resolveWindow(request.query, list.after, context.now());
      const newest = request.query.order === 'newest';
      const direction = newest ? desc : asc;
      const key = sql`(${fix.recorded_at}, ${fix.equipment_has_iot_device_id})`;
      const after = list.after && sql`(${list.after[2]}::timestamptz, ${list.after[3]}::bigint)`;
      const columns = namesOf(Location).map((name) => sql`${fix[name]}`);
      const where = and(
        eq(fix.equipment_id, request.params.id),
        gte(fix.recorded_at, new Date(fromMs)),
        lt(fix.recorded_at, new Date(toMs)),
        after ? (newest ? sql`${key} < ${after}` : sql`${key} > ${after}`) : undefined,
      );
      const order = [fix.recorded_at, fix.equipment_has_iot_device_id].map((one) => direction(one));
      const rows = await readHistory<Static<typeof Location>>(
        context,
        request,
        sql`select ${commas(columns)}, ${fix.recorded_at}::text as recorded_text from ${fix}
          where ${where} order by ${commas(order)} limit ${list.rowsMax}`,
      );
      return list.page(rows, (row) => [
        fromMs,
        toMs,
        row.recorded_text,
        row.equipment_has_iot_device_id,
      ]);
    },
  );
}

function addMetrics(app: FastifyInstance, context: ApiContext): void {
  const metric = tenantDeviceMetric;
  app.withTypeProvider<TypeBoxTypeProvider>().get(
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
    async (request) => {
      const { metric_code } = request.query;
      const list = openList(context, request, 'metrics');
      const { fromMs, toMs } = resolveWindow(request.query, list.after, context.now());
      const newest = request.query.order === 'newest';
      const direction = newest ? desc : asc;
      const place = [metric.recorded_at, metric.equipment_has_iot_device_id, metric.metric_code];
      const key = sql`(${place[0]}, ${place[1]}, ${place[2]})`;
      const [, , text, device, code] = list.after ?? [];
      const after = list.after && sql`(${text}::timestamptz, ${device}::bigint, ${code}::text)`;
      const columns = namesOf(Metric).map((name) => sql`${metric[name]}`);
      const where = and(
        eq(metric.equipment_id, request.params.id),
        metric_code === undefined ? undefined : eq(metric.metric_code, metric_code),
        gte(metric.recorded_at, new Date(fromMs)),
        lt(metric.recorded_at, new Date(toMs)),
        after ? (newest ? sql`${key} < ${after}` : sql`${key} > ${after}`) : undefined,
      );
      const order = place.map((column) => direction(column));
      const rows = await readHistory<Static<typeof Metric>>(
        context,
        request,
        sql`select ${commas(columns)}, ${metric.recorded_at}::text as recorded_text from ${metric}
          where ${where} order by ${commas(order)} limit ${list.rowsMax}`,
      );
      return list.page(rows, (row) => [
        fromMs,
        toMs,
        row.recorded_text,
        row.equipment_has_iot_device_id,
        row.metric_code,
      ]);
    },
  );
}

function namesOf<Names extends string>(shown: { properties: Record<Names, unknown> }): Names[] {
  return Object.keys(shown.properties) as Names[];
}

function commas(parts: readonly SQL[]): SQL {
  return sql.join([...parts], sql`, `);
}

/**
 * Rows of one unit, and the text of their time. Whoever sees a row of the unit sees the unit; only where there is none it is
 * looked for. Throws 404 when it is not there or is not the caller's.
 */
async function readHistory<Row>(
  context: ApiContext,
  request: FastifyRequest,
  query: SQL,
): Promise<(Row & { recorded_text: string })[]> {
  const { id } = request.params as { id: number };
  type Told = Row & { recorded_text: string };
  const rows = await readAsTenant<Told>(context.pool, principalOf(request), toStatement(query));
  if (rows.length === 0) await inTenant(context, request, (db) => requireEquipment(db, id));
  return rows;
}
