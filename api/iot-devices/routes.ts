/** Devices: listed, read, registered, changed, mounted. Running ingestion hears of a change by the database's change feed. */
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { inTenant, openList, type ApiContext } from '../context.ts';
import { entityTag, isKnown } from '../entity-tag.ts';
import { principalOf, requireRate } from '../guard.ts';
import { MERGE_PATCH_CONTENT_TYPE } from '../merge-patch.ts';
import {
  closed,
  described,
  guardedProblems,
  Id,
  idParams,
  Name,
  notModified,
  nullable,
  oneOf,
  pageOf,
  pageQuery,
  problems,
  readCondition,
  writeCondition,
} from '../schemas.ts';
import { addCommandRoutes } from './commands.ts';
import { addDeviceEventRoutes } from './events.ts';
import { Device, DEVICE_STATUSES, DeviceCreate, DevicePatch } from './schemas.ts';
import { createDevice, getDevice, listDevices, mountDevice, patchDevice } from './store.ts';
import { addTokenRoutes } from './tokens.ts';

const tags = ['iot_device'];
const read = { permission: 'iot_device:read' } as const;
const write = { permission: 'iot_device:write' } as const;

/** Adds the routes of devices, and of their tokens, commands and events. */
export function addDeviceRoutes(app: FastifyInstance, context: ApiContext): void {
  addReading(app, context);
  addRegistering(app, context);
  addChanging(app, context);
  addTokenRoutes(app, context);
  addCommandRoutes(app, context);
  addDeviceEventRoutes(app, context);
}

function addReading(app: FastifyInstance, context: ApiContext): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>();
  const listSchema = {
    operationId: 'listDevices',
    tags,
    summary: 'Devices, oldest first',
    querystring: closed({
      ...pageQuery,
      status: Type.Optional(described(oneOf(DEVICE_STATUSES), 'In this status.')),
      equipment_id: Type.Optional(described(Id, 'On this unit.')),
      device_identifier: Type.Optional(described(Name, 'By this name.')),
    }),
    response: { 200: pageOf(Device), ...guardedProblems },
  };
  routes.get('/v1/iot-devices', { config: read, schema: listSchema }, async (request) => {
    const list = openList(context, request, 'devices');
    const afterId = list.after && (list.after[0] as number);
    const rows = await inTenant(context, request, (db) =>
      listDevices(db, request.query, afterId, list.rowsMax),
    );
    return list.page(rows, (row) => [row.iot_device_id]);
  });

  const getSchema = {
    operationId: 'getDevice',
    tags,
    summary: 'One device',
    params: idParams,
    headers: readCondition,
    response: { 200: Device, 304: notModified, ...guardedProblems, ...problems(404) },
  };
  routes.get('/v1/iot-devices/:id', { config: read, schema: getSchema }, async (request, reply) => {
    const row = await inTenant(context, request, (db) => getDevice(db, request.params.id));
    reply.header('etag', entityTag(row.version));
    if (isKnown(request.headers['if-none-match'], row.version)) return reply.code(304).send();
    return row;
  });
}

function addRegistering(app: FastifyInstance, context: ApiContext): void {
  const schema = {
    operationId: 'createDevice',
    tags,
    summary: 'Register a device',
    description:
      'Its name is one world-wide: 409 when it is registered already, by this customer or another. It has no token yet.',
    body: DeviceCreate,
    response: { 201: Device, ...guardedProblems, ...problems(409, 415, 422) },
  };
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .post('/v1/iot-devices', { config: write, schema }, async (request, reply) => {
      await requireRate(context.registrations, request);
      const max = context.quotas.devicesPerTenantMax;
      const row = await inTenant(context, request, (db) =>
        createDevice(db, principalOf(request), request.body, max),
      );
      reply.header('location', `/v1/iot-devices/${row.iot_device_id}`);
      return reply.code(201).header('etag', entityTag(row.version)).send(row);
    });
}

function addChanging(app: FastifyInstance, context: ApiContext): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>();
  const patchSchema = {
    operationId: 'patchDevice',
    tags,
    summary: 'Change a device',
    description:
      'A device that is no longer active, or may no longer sign in by name, loses its open connections.',
    consumes: [MERGE_PATCH_CONTENT_TYPE, 'application/json'],
    params: idParams,
    headers: writeCondition,
    body: DevicePatch,
    response: { 200: Device, ...guardedProblems, ...problems(404, 412, 415, 422) },
  };
  routes.patch(
    '/v1/iot-devices/:id',
    { config: write, schema: patchSchema },
    async (request, reply) => {
      const ifMatch = request.headers['if-match'];
      const row = await inTenant(context, request, (db) =>
        patchDevice(db, principalOf(request), request.params.id, request.body, ifMatch),
      );
      reply.header('etag', entityTag(row.version));
      return row;
    },
  );

  const mountSchema = {
    operationId: 'mountDevice',
    tags,
    summary: 'Put a device on a unit, or take it off',
    params: idParams,
    headers: writeCondition,
    body: closed(
      { equipment_id: nullable(Id) },
      { examples: [{ equipment_id: 17 }, { equipment_id: null }] },
    ),
    response: { 200: Device, ...guardedProblems, ...problems(404, 412, 415, 422) },
  };
  routes.put(
    '/v1/iot-devices/:id/equipment',
    { config: write, schema: mountSchema },
    async (request, reply) => {
      const ifMatch = request.headers['if-match'];
      const { equipment_id } = request.body;
      const row = await inTenant(context, request, (db) =>
        mountDevice(db, principalOf(request), request.params.id, equipment_id, ifMatch),
      );
      reply.header('etag', entityTag(row.version));
      return row;
    },
  );
}
