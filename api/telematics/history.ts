/**
 * What one unit reported: its fixes and its metrics over a span of time. Keyset by time, then by what tells rows of one
 * instant apart (a unit may carry several devices). Times in cursors are the database's own text, to the microsecond.
 */
import { and, asc, desc, eq, gte, lt, sql } from 'drizzle-orm';
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { tenantDeviceMetric, tenantGpsLocation } from '../../db/schema.ts';
import { inTenant, openList, type ApiContext } from '../context.ts';
import { requireEquipment } from '../equipment/require.ts';
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
      const rows = await inTenant(context, request, async (db) => {
        await requireEquipment(db, request.params.id);
        return db
          .select({
            equipment_id: fix.equipment_id,
            equipment_has_iot_device_id: fix.equipment_has_iot_device_id,
            recorded_at: fix.recorded_at,
            received_at: fix.received_at,
            latitude: fix.latitude,
            longitude: fix.longitude,
            altitude_m: fix.altitude_m,
            speed_mps: fix.speed_mps,
            heading_deg: fix.heading_deg,
            accuracy_m: fix.accuracy_m,
            odometer_m: fix.odometer_m,
            satellites: fix.satellites,
            ignition: fix.ignition,
            motion_status: fix.motion_status,
            event: fix.event,
            recorded_text: sql<string>`${fix.recorded_at}::text`,
          })
          .from(fix)
          .where(
            and(
              eq(fix.equipment_id, request.params.id),
              gte(fix.recorded_at, new Date(fromMs)),
              lt(fix.recorded_at, new Date(toMs)),
              after ? (newest ? sql`${key} < ${after}` : sql`${key} > ${after}`) : undefined,
            ),
          )
          .orderBy(direction(fix.recorded_at), direction(fix.equipment_has_iot_device_id))
          .limit(list.rowsMax);
      });
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
      const { order, metric_code } = request.query;
      const list = openList(context, request, 'metrics');
      const { fromMs, toMs } = resolveWindow(request.query, list.after, context.now());
      const newest = order === 'newest';
      const direction = newest ? desc : asc;
      const place = [metric.recorded_at, metric.equipment_has_iot_device_id, metric.metric_code];
      const key = sql`(${place[0]}, ${place[1]}, ${place[2]})`;
      const [, , text, device, code] = list.after ?? [];
      const after = list.after && sql`(${text}::timestamptz, ${device}::bigint, ${code}::text)`;
      const rows = await inTenant(context, request, async (db) => {
        await requireEquipment(db, request.params.id);
        return db
          .select({
            equipment_id: metric.equipment_id,
            equipment_has_iot_device_id: metric.equipment_has_iot_device_id,
            metric_code: metric.metric_code,
            recorded_at: metric.recorded_at,
            received_at: metric.received_at,
            metric_value: metric.metric_value,
            uom_lookup_id: metric.uom_lookup_id,
            recorded_text: sql<string>`${metric.recorded_at}::text`,
          })
          .from(metric)
          .where(
            and(
              eq(metric.equipment_id, request.params.id),
              metric_code === undefined ? undefined : eq(metric.metric_code, metric_code),
              gte(metric.recorded_at, new Date(fromMs)),
              lt(metric.recorded_at, new Date(toMs)),
              after ? (newest ? sql`${key} < ${after}` : sql`${key} > ${after}`) : undefined,
            ),
          )
          .orderBy(...place.map((column) => direction(column)))
          .limit(list.rowsMax);
      });
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
