/** Tokens of gateways, which speak for many devices: listed, read, made, changed, rotated. */
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { inTenant, openList, type ApiContext } from '../context.ts';
import { entityTag, isKnown } from '../entity-tag.ts';
import { principalOf } from '../guard.ts';
import { MERGE_PATCH_CONTENT_TYPE } from '../merge-patch.ts';
import {
  closed,
  described,
  guardedProblems,
  idParams,
  notModified,
  oneOf,
  pageOf,
  pageQuery,
  problems,
  readCondition,
  writeCondition,
} from '../schemas.ts';
import {
  GATEWAY_STATUSES,
  GatewayToken,
  GatewayTokenCreate,
  GatewayTokenPatch,
  GatewayTokenShown,
} from './schemas.ts';
import {
  createGatewayToken,
  getGatewayToken,
  listGatewayTokens,
  patchGatewayToken,
  rotateGatewayToken,
} from './store.ts';

const tags = ['gateway_token'];
const read = { permission: 'gateway_token:read' } as const;
const write = { permission: 'gateway_token:write' } as const;

/** Adds the routes. */
export function addGatewayTokenRoutes(app: FastifyInstance, context: ApiContext): void {
  addReading(app, context);
  addMaking(app, context);
  addChanging(app, context);
}

function addReading(app: FastifyInstance, context: ApiContext): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>();
  const listSchema = {
    operationId: 'listGatewayTokens',
    tags,
    summary: 'Gateway tokens, oldest first',
    querystring: closed({
      ...pageQuery,
      status: Type.Optional(described(oneOf(GATEWAY_STATUSES), 'In this status.')),
    }),
    response: { 200: pageOf(GatewayToken), ...guardedProblems },
  };
  routes.get('/v1/gateway-tokens', { config: read, schema: listSchema }, async (request) => {
    const list = openList(context, request, 'gateway tokens');
    const afterId = list.after && (list.after[0] as number);
    const rows = await inTenant(context, request, (db) =>
      listGatewayTokens(db, request.query, afterId, list.rowsMax),
    );
    return list.page(rows, (row) => [row.gateway_token_id]);
  });

  const getSchema = {
    operationId: 'getGatewayToken',
    tags,
    summary: 'One gateway token',
    params: idParams,
    headers: readCondition,
    response: { 200: GatewayToken, 304: notModified, ...guardedProblems, ...problems(404) },
  };
  routes.get(
    '/v1/gateway-tokens/:id',
    { config: read, schema: getSchema },
    async (request, reply) => {
      const row = await inTenant(context, request, (db) => getGatewayToken(db, request.params.id));
      reply.header('etag', entityTag(row.version));
      if (isKnown(request.headers['if-none-match'], row.version)) return reply.code(304).send();
      return row;
    },
  );
}

function addMaking(app: FastifyInstance, context: ApiContext): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>();
  const createSchema = {
    operationId: 'createGatewayToken',
    tags,
    summary: 'Make a gateway token',
    body: GatewayTokenCreate,
    response: { 201: GatewayTokenShown, ...guardedProblems, ...problems(409, 415, 422) },
  };
  routes.post(
    '/v1/gateway-tokens',
    { config: write, schema: createSchema },
    async (request, reply) => {
      const max = context.quotas.gatewayTokensPerTenantMax;
      const row = await inTenant(context, request, (db) =>
        createGatewayToken(db, principalOf(request), request.body, max),
      );
      reply.header('location', `/v1/gateway-tokens/${row.gateway_token_id}`);
      reply.header('cache-control', 'no-store');
      return reply.code(201).header('etag', entityTag(row.version)).send(row);
    },
  );

  const rotateSchema = {
    operationId: 'rotateGatewayToken',
    tags,
    summary: 'Give a gateway a new token',
    description:
      'The one before is refused from then on. To change without a gap, make a second token, and disable the first.',
    params: idParams,
    body: closed({}, { examples: [{}] }),
    response: { 200: GatewayTokenShown, ...guardedProblems, ...problems(404, 415) },
  };
  routes.post(
    '/v1/gateway-tokens/:id/token',
    { config: write, schema: rotateSchema },
    async (request, reply) => {
      const row = await inTenant(context, request, (db) =>
        rotateGatewayToken(db, principalOf(request), request.params.id),
      );
      reply.header('cache-control', 'no-store').header('etag', entityTag(row.version));
      return row;
    },
  );
}

function addChanging(app: FastifyInstance, context: ApiContext): void {
  const schema = {
    operationId: 'patchGatewayToken',
    tags,
    summary: 'Change or disable a gateway token',
    consumes: [MERGE_PATCH_CONTENT_TYPE, 'application/json'],
    params: idParams,
    headers: writeCondition,
    body: GatewayTokenPatch,
    response: { 200: GatewayToken, ...guardedProblems, ...problems(404, 412, 415, 422) },
  };
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .patch('/v1/gateway-tokens/:id', { config: write, schema }, async (request, reply) => {
      const ifMatch = request.headers['if-match'];
      const row = await inTenant(context, request, (db) =>
        patchGatewayToken(db, principalOf(request), request.params.id, request.body, ifMatch),
      );
      reply.header('etag', entityTag(row.version));
      return row;
    });
}
