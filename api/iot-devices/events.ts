/** What devices said of themselves that is neither fix nor reading: of one device, and of all that the caller sees. */
import { and, desc, eq, lt } from 'drizzle-orm';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { iotDeviceEvent } from '../../db/schema.ts';
import { inTenant, openList, type ApiContext } from '../context.ts';
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
  pageQuery,
  problems,
} from '../schemas.ts';
import { getDevice } from './store.ts';

const event = iotDeviceEvent;
const config = { permission: 'iot_device_event:read' } as const;
const tags = ['iot_device'];

const DeviceEvent = Type.Object({
  iot_device_event_id: Id,
  event_key: Type.String({ format: 'uuid' }),
  customer_id: Id,
  iot_device_id: Id,
  equipment_id: nullable(Id),
  event_kind: Type.String({
    description:
      '`disconnected`, `last_will`, `region_enter`, `region_leave`, `waypoint`, `status` and others.',
  }),
  recorded_at: Instant,
  received_at: Instant,
  latitude: nullable(Type.Number()),
  longitude: nullable(Type.Number()),
  detail: Type.Record(Type.String(), Type.Unknown(), {
    description: 'The fields of the message, as they came.',
  }),
});

const filters = { ...pageQuery, event_kind: Type.Optional(described(Name, 'Of this kind.')) };

interface EventFilters {
  readonly event_kind?: string;
  readonly iot_device_id?: number;
  readonly equipment_id?: number;
}

/** Adds the routes. */
export function addDeviceEventRoutes(app: FastifyInstance, context: ApiContext): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>();
  const ofDeviceSchema = {
    operationId: 'listEventsOfDevice',
    tags,
    summary: 'What a device said of itself, newest first',
    params: idParams,
    querystring: closed(filters),
    response: { 200: pageOf(DeviceEvent), ...guardedProblems, ...problems(404) },
  };
  routes.get('/v1/iot-devices/:id/events', { config, schema: ofDeviceSchema }, async (request) => {
    const { id } = request.params;
    await inTenant(context, request, (db) => getDevice(db, id));
    return listEvents(context, request, { ...request.query, iot_device_id: id });
  });

  const listSchema = {
    operationId: 'listDeviceEvents',
    tags,
    summary: 'What devices said of themselves, newest first',
    querystring: closed({
      ...filters,
      iot_device_id: Type.Optional(described(Id, 'Of this device.')),
      equipment_id: Type.Optional(described(Id, 'Of devices on this unit at the time.')),
    }),
    response: { 200: pageOf(DeviceEvent), ...guardedProblems },
  };
  routes.get('/v1/device-events', { config, schema: listSchema }, (request) =>
    listEvents(context, request, request.query),
  );
}

async function listEvents(context: ApiContext, request: FastifyRequest, filters: EventFilters) {
  const { event_kind, iot_device_id, equipment_id } = filters;
  const list = openList(context, request, 'device events');
  const rows = await inTenant(context, request, (db) =>
    db
      .select()
      .from(event)
      .where(
        and(
          event_kind === undefined ? undefined : eq(event.event_kind, event_kind),
          iot_device_id === undefined ? undefined : eq(event.iot_device_id, iot_device_id),
          equipment_id === undefined ? undefined : eq(event.equipment_id, equipment_id),
          list.after ? lt(event.iot_device_event_id, list.after[0] as number) : undefined,
        ),
      )
      .orderBy(desc(event.iot_device_event_id))
      .limit(list.rowsMax),
  );
  return list.page(rows, (row) => [row.iot_device_event_id]);
}
