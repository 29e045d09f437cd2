/** Fences: listed, read, made, changed, deleted, as columns or as GeoJSON. The running engine hears of a change by the database's change feed. */
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type, type Static, type TSchema } from 'typebox';
import { inTenant, openList, type ApiContext } from '../context.ts';
import { entityTag, isKnown } from '../entity-tag.ts';
import { principalOf } from '../guard.ts';
import { MERGE_PATCH_CONTENT_TYPE } from '../merge-patch.ts';
import { Problem } from '../problem.ts';
import {
  closed,
  described,
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
import {
  fromFeature,
  GEOJSON_CONTENT_TYPE,
  GeofenceFeature,
  GeofenceFeatureCreate,
  GeofenceFeatures,
  inFeature,
  toFeature,
  wantsGeoJson,
} from './geojson.ts';
import { addHoldingRoute } from './holding.ts';
import {
  Geofence,
  GeofenceCreate,
  GeofencePatch,
  SHAPE_TYPES,
  STATUSES,
  type GeofenceCreateBody,
} from './schemas.ts';
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

const GEOJSON_NOTE = `With \`Accept: ${GEOJSON_CONTENT_TYPE}\``;

/** Adds the routes. */
export async function addGeofenceRoutes(app: FastifyInstance, context: ApiContext): Promise<void> {
  addReading(app, context);
  // In a scope of its own: nothing else takes GeoJSON.
  await app.register((creating) => {
    creating.removeContentTypeParser(MERGE_PATCH_CONTENT_TYPE);
    creating.addContentTypeParser(
      GEOJSON_CONTENT_TYPE,
      { parseAs: 'string' },
      creating.getDefaultJsonParser('error', 'error'),
    );
    addCreating(creating, context);
    return Promise.resolve();
  });
  addChanging(app, context);
  addHoldingRoute(app, context);
}

/** The response of a route that answers in JSON or GeoJSON. */
function either(json: TSchema, geoJson: TSchema) {
  return {
    description: 'Columns, or GeoJSON where that is asked for.',
    content: {
      'application/json': { schema: json },
      [GEOJSON_CONTENT_TYPE]: { schema: geoJson },
    },
  };
}

function addReading(app: FastifyInstance, context: ApiContext): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>();
  const listSchema = {
    operationId: 'listGeofences',
    tags,
    summary: 'Fences, oldest first',
    description: `${GEOJSON_NOTE} a FeatureCollection, with \`page\` beside its features.`,
    querystring: closed({
      ...pageQuery,
      account_id: Type.Optional(described(Id, 'Of this account.')),
      status: Type.Optional(described(oneOf(STATUSES), 'In this status.')),
      shape_type: Type.Optional(described(oneOf(SHAPE_TYPES), 'Of this shape.')),
    }),
    response: { 200: either(pageOf(Geofence), GeofenceFeatures), ...guardedProblems },
  };
  routes.get('/v1/geofences', { config: read, schema: listSchema }, async (request, reply) => {
    const list = openList(context, request, 'geofences');
    const afterId = list.after && (list.after[0] as number);
    const rows = await inTenant(context, request, (db) =>
      listGeofences(db, request.query, afterId, list.rowsMax),
    );
    const { data, page } = list.page(rows, (row) => [row.geofence_id]);
    reply.header('vary', 'accept');
    if (!wantsGeoJson(request.headers.accept)) return { data, page };
    reply.type(GEOJSON_CONTENT_TYPE);
    return { type: 'FeatureCollection', features: data.map(toFeature), page };
  });

  const getSchema = {
    operationId: 'getGeofence',
    tags,
    summary: 'One fence',
    description: `${GEOJSON_NOTE} a Feature.`,
    params: idParams,
    headers: readCondition,
    response: {
      200: either(Geofence, GeofenceFeature),
      304: notModified,
      ...guardedProblems,
      ...problems(404),
    },
  };
  routes.get('/v1/geofences/:id', { config: read, schema: getSchema }, async (request, reply) => {
    const row = await inTenant(context, request, (db) => getGeofence(db, request.params.id));
    reply.header('etag', entityTag(row.version)).header('vary', 'accept');
    if (isKnown(request.headers['if-none-match'], row.version)) return reply.code(304).send();
    if (!wantsGeoJson(request.headers.accept)) return row;
    return reply.type(GEOJSON_CONTENT_TYPE).send(toFeature(row));
  });
}

function addCreating(app: FastifyInstance, context: ApiContext): void {
  const schema = {
    operationId: 'createGeofence',
    tags,
    summary: 'Make a fence',
    description:
      'Of columns or of a GeoJSON Feature. The running engine has it as soon as the change feed has told it.',
    body: {
      content: {
        'application/json': { schema: GeofenceCreate },
        [GEOJSON_CONTENT_TYPE]: { schema: GeofenceFeatureCreate },
      },
    },
    response: { 201: Geofence, ...guardedProblems, ...problems(409, 415, 422) },
  };
  const routes = app.withTypeProvider<TypeBoxTypeProvider>();
  routes.post('/v1/geofences', { config: write, schema }, async (request, reply) => {
    const isFeature = request.mediaType === GEOJSON_CONTENT_TYPE;
    const body = isFeature
      ? fromFeature(request.body as Static<typeof GeofenceFeatureCreate>)
      : (request.body as GeofenceCreateBody | undefined);
    // Without a body there is no content type either, and so no schema that would have refused it.
    if (!body) throw new Problem('invalid_request', 'send a fence');
    const max = context.quotas.geofencesPerTenantMax;
    const row = await inTenant(context, request, (db) =>
      createGeofence(db, principalOf(request), body, max),
    ).catch((error: unknown) => {
      throw isFeature ? inFeature(error) : error;
    });
    reply.header('location', `/v1/geofences/${row.geofence_id}`);
    return reply.code(201).header('etag', entityTag(row.version)).send(row);
  });
}

function addChanging(app: FastifyInstance, context: ApiContext): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>();
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
