/** Fences: listed, read, made, changed, deleted. The running engine hears of a change by the database's change feed. */
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { inTenant, openList, type ApiContext } from '../context.ts';
import { entityTag, isKnown } from '../entity-tag.ts';
import { principalOf } from '../guard.ts';
import { MERGE_PATCH_CONTENT_TYPE } from '../merge-patch.ts';
import {
  closed,
  guardedProblems,
  Id,
  idParams,
  noContent,
  notModified,
  oneOf,
  pageOf,
  pageQuery,
  problems,
  readCondition,
  writeCondition,
} from '../schemas.ts';
import { Geofence, GeofenceCreate, GeofencePatch, SHAPE_TYPES, STATUSES } from './schemas.ts';
import {
  createGeofence,
  deleteGeofence,
  getGeofence,
  listGeofences,
  patchGeofence,
} from './store.ts';

const tags = ['geofence'];
const read = { permission: 'geofence:read' } as const;
const write = { permission: 'geofence:write' } as const;

/** Adds the routes. */
export function addGeofenceRoutes(app: FastifyInstance, context: ApiContext): void {
  addReading(app, context);
  addWriting(app, context);
}

function addReading(app: FastifyInstance, context: ApiContext): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>();
  const listSchema = {
    operationId: 'listGeofences',
    tags,
    summary: 'Fences, oldest first',
    querystring: closed({
      ...pageQuery,
      account_id: Type.Optional(Id),
      status: Type.Optional(oneOf(STATUSES)),
      shape_type: Type.Optional(oneOf(SHAPE_TYPES)),
    }),
    response: { 200: pageOf(Geofence), ...guardedProblems },
  };
  routes.get('/v1/geofences', { config: read, schema: listSchema }, async (request) => {
    const list = openList(context, request, 'geofences');
    const afterId = list.after && (list.after[0] as number);
    const rows = await inTenant(context, request, (db) =>
      listGeofences(db, request.query, afterId, list.rowsMax),
    );
    return list.page(rows, (row) => [row.geofence_id]);
  });

  const getSchema = {
    operationId: 'getGeofence',
    tags,
    summary: 'One fence',
    params: idParams,
    headers: readCondition,
    response: { 200: Geofence, 304: notModified, ...guardedProblems, ...problems(404) },
  };
  routes.get('/v1/geofences/:id', { config: read, schema: getSchema }, async (request, reply) => {
    const row = await inTenant(context, request, (db) => getGeofence(db, request.params.id));
    reply.header('etag', entityTag(row.version));
    if (isKnown(request.headers['if-none-match'], row.version)) return reply.code(304).send();
    return row;
  });
}

function addWriting(app: FastifyInstance, context: ApiContext): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>();
  const createSchema = {
    operationId: 'createGeofence',
    tags,
    summary: 'Make a fence',
    body: GeofenceCreate,
    response: { 201: Geofence, ...guardedProblems, ...problems(409, 415, 422) },
  };
  routes.post('/v1/geofences', { config: write, schema: createSchema }, async (request, reply) => {
    const max = context.quotas.geofencesPerTenantMax;
    const row = await inTenant(context, request, (db) =>
      createGeofence(db, principalOf(request), request.body, max),
    );
    reply.header('location', `/v1/geofences/${row.geofence_id}`);
    return reply.code(201).header('etag', entityTag(row.version)).send(row);
  });

  const patchSchema = {
    operationId: 'patchGeofence',
    tags,
    summary: 'Change a fence',
    description: 'Fields that a changed `shape_type` has no use for are cleared by themselves.',
    consumes: [MERGE_PATCH_CONTENT_TYPE, 'application/json'],
    params: idParams,
    headers: writeCondition,
    body: GeofencePatch,
    response: { 200: Geofence, ...guardedProblems, ...problems(404, 412, 415, 422) },
  };
  routes.patch(
    '/v1/geofences/:id',
    { config: write, schema: patchSchema },
    async (request, reply) => {
      const ifMatch = request.headers['if-match'];
      const row = await inTenant(context, request, (db) =>
        patchGeofence(db, principalOf(request), request.params.id, request.body, ifMatch),
      );
      reply.header('etag', entityTag(row.version));
      return row;
    },
  );

  const deleteSchema = {
    operationId: 'deleteGeofence',
    tags,
    summary: 'Delete a fence',
    description: 'Its events stay in the activity feed.',
    params: idParams,
    headers: writeCondition,
    response: { 204: noContent, ...guardedProblems, ...problems(404, 412) },
  };
  routes.delete(
    '/v1/geofences/:id',
    { config: write, schema: deleteSchema },
    async (request, reply) => {
      const ifMatch = request.headers['if-match'];
      await inTenant(context, request, (db) =>
        deleteGeofence(db, principalOf(request), request.params.id, ifMatch),
      );
      return reply.code(204).send();
    },
  );
}
