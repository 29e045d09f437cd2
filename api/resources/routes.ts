/** The routes of a resource: list, get, create, bulk create, change, delete. One function for all of them. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { readJsonAsTenant } from '../../db/tenancy.ts';
import { inTenant, openList, sendJson, sendPage, type ApiContext } from '../context.ts';
import { entityTag, isKnown } from '../entity-tag.ts';
import { principalOf } from '../guard.ts';
import { MERGE_PATCH_CONTENT_TYPE } from '../merge-patch.ts';
import { notFound } from '../problem.ts';
import {
  closed,
  guardedProblems,
  noContent,
  notModified,
  pageOf,
  pageQuery,
  problems,
  readCondition,
  versionHeaders,
  withHeaders,
  writeCondition,
} from '../schemas.ts';
import { createRows } from './bulk-rows.ts';
import { bulkBodyOf, bulkLimits, BulkResult } from './bulk.ts';
import type { Row } from './define.ts';
import { OPERATORS } from './filters.ts';
import { idempotencyHeaders, onceOnly, type Answer } from './idempotency.ts';
import { listQueryOf, readList, type ListRequest } from './list.ts';
import { selectPage, selectShown, toStatement } from './query.ts';
import { titleOf, type Resource } from './resource.ts';
import { createRow, deleteRow, patchRow, type Work } from './store.ts';

/** Seconds that a client may keep a list that is shipped with the software. */
const SHIPPED_AGE_S_MAX = 300;

/** Adds the routes of one resource. */
export function addResourceRoutes(
  app: FastifyInstance,
  context: ApiContext,
  resource: Resource,
): void {
  addList(app, context, resource);
  addGet(app, context, resource);
  if (resource.canCreate) addCreate(app, context, resource);
  if (resource.canCreate) addBulk(app, context, resource);
  if (resource.canChange) addPatch(app, context, resource);
  if (resource.canDelete) addDelete(app, context, resource);
}

function addList(app: FastifyInstance, context: ApiContext, resource: Resource): void {
  const { nouns, path, tag } = resource;
  const schema = {
    operationId: operationOf('list', nouns),
    tags: [tag],
    summary: `List ${nouns}`,
    description: `Operators: ${operatorsText(resource)}.`,
    querystring: closed({ ...pageQuery, ...listQueryOf(resource) }),
    response: { 200: pageOf(resource.listedSchema), ...guardedProblems },
  };
  app.get(
    `/v1/${path}`,
    { config: { permission: resource.read }, schema },
    async (request, reply) => {
      const query = request.query as ListRequest;
      const select = readList(resource, query);
      const list = openList(context, request, resource.name);
      const { after, rowsMax } = list;
      const statement = toStatement(selectPage(resource, { ...select, after, rowsMax }));
      const rows = await readJsonAsTenant(context.pool, principalOf(request), statement);
      if (!resource.hasCustomer)
        reply.header('cache-control', `private, max-age=${SHIPPED_AGE_S_MAX}`);
      return sendPage(
        reply,
        list.page(rows, ({ aside }) => aside),
      );
    },
  );
}

function addGet(app: FastifyInstance, context: ApiContext, resource: Resource): void {
  const { noun, path, tag } = resource;
  const schema = {
    operationId: operationOf('get', noun),
    tags: [tag],
    summary: `Read one ${noun}`,
    params: closed({ id: resource.keySchema }),
    headers: readCondition,
    response: {
      200: resource.isVersioned
        ? withHeaders(resource.shownSchema, versionHeaders)
        : resource.shownSchema,
      304: notModified,
      ...guardedProblems,
      ...problems(404),
    },
  };
  app.get(
    `/v1/${path}/:id`,
    { config: { permission: resource.read }, schema },
    async (request, reply) => {
      const statement = toStatement(selectShown(resource, keyOf(request)));
      const [row] = await readJsonAsTenant(context.pool, principalOf(request), statement);
      if (!row) throw notFound(resource.noun);
      if (resource.isVersioned) {
        const version = Number(row.aside[0]);
        reply.header('etag', entityTag(version));
        if (isKnown(request.headers['if-none-match'], version)) return reply.code(304).send();
      }
      return sendJson(reply, row.json);
    },
  );
}

function addCreate(app: FastifyInstance, context: ApiContext, resource: Resource): void {
  const { noun, path, tag } = resource;
  const schema = {
    operationId: operationOf('create', noun),
    tags: [tag],
    summary: `Make ${withArticle(noun)}`,
    headers: idempotencyHeaders,
    body: resource.createSchema,
    response: {
      201: withHeaders(resource.shownSchema, { ...versionHeaders, location: 'Its path.' }),
      ...guardedProblems,
      ...problems(409, 415, 422),
    },
  };
  app.post(`/v1/${path}`, { config: { permission: resource.write }, schema }, (request, reply) =>
    answerOnce(context, request, reply, async (work) => {
      const row = await createRow(work, resource, request.body as Row);
      return { status: 201, headers: headersOf(resource, row), body: row };
    }),
  );
}

function addBulk(app: FastifyInstance, context: ApiContext, resource: Resource): void {
  const { nouns, path, tag } = resource;
  const schema = {
    operationId: operationOf('bulkCreate', nouns),
    tags: [tag],
    summary: `Make many ${nouns}`,
    description:
      'Each item is answered for itself; those that are refused do not hold up the others.',
    headers: idempotencyHeaders,
    body: bulkBodyOf(resource.createSchema),
    response: { 200: BulkResult, ...guardedProblems, ...problems(413, 415, 422) },
  };
  const options = { config: { permission: resource.write }, schema, ...bulkLimits(app) };
  app.post(`/v1/${path}/bulk`, options, (request, reply) =>
    answerOnce(context, request, reply, async (work) => {
      const { items } = request.body as { items: unknown[] };
      return { status: 200, headers: {}, body: await createRows(work, resource, request, items) };
    }),
  );
}

function addPatch(app: FastifyInstance, context: ApiContext, resource: Resource): void {
  const { noun, path, tag } = resource;
  const schema = {
    operationId: operationOf('patch', noun),
    tags: [tag],
    summary: `Change ${withArticle(noun)}`,
    consumes: [MERGE_PATCH_CONTENT_TYPE, 'application/json'],
    params: closed({ id: resource.keySchema }),
    headers: writeCondition,
    body: resource.patchSchema,
    response: {
      200: withHeaders(resource.shownSchema, versionHeaders),
      ...guardedProblems,
      ...problems(404, 409, 412, 415, 422, 428),
    },
  };
  app.patch(
    `/v1/${path}/:id`,
    { config: { permission: resource.write }, schema },
    async (request, reply) => {
      const ifMatch = request.headers['if-match'];
      const row = await inWork(context, request, (work) =>
        patchRow(work, resource, keyOf(request), [request.body as Row, ifMatch]),
      );
      reply.header('etag', entityTag(row['version'] as number));
      return row;
    },
  );
}

function addDelete(app: FastifyInstance, context: ApiContext, resource: Resource): void {
  const { noun, path, tag } = resource;
  const schema = {
    operationId: operationOf('delete', noun),
    tags: [tag],
    summary: `Delete ${withArticle(noun)}`,
    description: resource.isEvidence
      ? 'It is marked as deleted and kept; `deleted=include` lists it.'
      : 'Refused with 409 while something refers to it.',
    params: closed({ id: resource.keySchema }),
    headers: writeCondition,
    response: { 204: noContent, ...guardedProblems, ...problems(404, 409, 412, 428) },
  };
  app.delete(
    `/v1/${path}/:id`,
    { config: { permission: resource.write }, schema },
    async (request, reply) => {
      await inWork(context, request, (work) =>
        deleteRow(work, resource, keyOf(request), request.headers['if-match']),
      );
      return reply.code(204).send();
    },
  );
}

/** Work in the caller's tenant. */
export function inWork<T>(
  context: ApiContext,
  request: FastifyRequest,
  act: (work: Work) => Promise<T>,
): Promise<T> {
  const principal = principalOf(request);
  return inTenant(context, request, (db, client) => act({ db, client, principal }));
}

/** Does the work once under the request's `Idempotency-Key`, and sends its answer. */
export async function answerOnce(
  context: ApiContext,
  request: FastifyRequest,
  reply: FastifyReply,
  act: (work: Work) => Promise<Answer>,
): Promise<FastifyReply> {
  const { status, headers, body } = await inWork(context, request, (work) =>
    onceOnly(work, request, () => act(work)),
  );
  return reply.code(status).headers(headers).send(body);
}

/** Where a row that was made is found, and its version. */
export function headersOf(resource: Resource, row: Row): Record<string, string> {
  const location = `/v1/${resource.path}/${encodeURIComponent(String(row[resource.key.name]))}`;
  return { location, etag: entityTag(row['version'] as number) };
}

function keyOf(request: FastifyRequest): string | number {
  return (request.params as { id: string | number }).id;
}

/** An English article: `unit` and `user` begin with a consonant to the ear. */
function withArticle(noun: string): string {
  return `${/^[aeio]/i.test(noun) ? 'an' : 'a'} ${noun}`;
}

function operationOf(verb: string, words: string): string {
  return verb + titleOf(words);
}

function operatorsText(resource: Resource): string {
  const kinds = new Set([...resource.fields.values()].map(({ kind }) => kind));
  return [...kinds]
    .map((kind) => `${kind} ${OPERATORS[kind].map((name) => `\`${name}\``).join(' ')}`)
    .join('; ');
}
