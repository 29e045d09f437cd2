/** The routes of a resource: list, get, create, bulk create, change, delete. One function for all of them. */
import { setTimeout } from 'node:timers/promises';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { readJsonAsTenant } from '../../db/tenancy.ts';
import { inTenant, openList, sendJson, sendPage, type ApiContext } from '../context.ts';
import { entityTag, isKnown } from '../entity-tag.ts';
import { principalOf, requireRate, requireRates } from '../guard.ts';
import { jsonParser } from '../json-body.ts';
import { MERGE_PATCH_CONTENT_TYPE } from '../merge-patch.ts';
import { notFound, Problem } from '../problem.ts';
import { isDeadlock } from '../problem-mapping.ts';
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
import { findView } from '../views/view.ts';
import { createRows } from './bulk-rows.ts';
import { bulkBodyOf, bulkLimits, bulkResultFor } from './bulk.ts';
import type { Row } from './define.ts';
import { OPERATORS } from './filters.ts';
import { bodyOf, formFor, inForms } from './forms.ts';
import { idempotencyHeaders, onceOnly, type Answer } from './idempotency.ts';
import { listQueryOf, nameOfList, readList, type ListRequest } from './list.ts';
import { selectPage, selectShown, toStatement } from './query.ts';
import type { Representation } from './representation.ts';
import { titleOf, type Resource } from './resource.ts';
import { Secrets } from './secrets.ts';
import { deleteRow, makeRow, patchRow, type Work } from './store.ts';

/** How often a request is begun that the database ends for the sake of another. */
const DEADLOCK_TRIES_MAX = 5;
/** Milliseconds until it is begun again, at most, and once more for each time before. */
const DEADLOCK_PAUSE_MS_MAX = 100;
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
  if (resource.canCreate) addCreates(app, context, resource);
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
    response: {
      200: inForms(resource, pageOf(resource.listedSchema), 'page'),
      ...guardedProblems,
      ...problems(422),
    },
  };
  app.get(
    `/v1/${path}`,
    { config: { permission: resource.read }, schema },
    async (request, reply) => {
      const query = request.query as ListRequest;
      const form = formFor(resource, request, reply);
      const principal = principalOf(request);
      const view = await findView(context.pool, principal, resource, query.view);
      const select = readList(resource, query, { view, needs: form?.needs });
      const list = openList(context, request, nameOfList(resource, query, view));
      const { after, rowsMax } = list;
      const statement = toStatement(selectPage(resource, { ...select, after, rowsMax }));
      const rows = await readJsonAsTenant(context.pool, principal, statement);
      if (!resource.hasCustomer)
        reply.header('cache-control', `private, max-age=${SHIPPED_AGE_S_MAX}`);
      const page = list.page(rows, ({ aside }) => aside);
      if (!form) return sendPage(reply, page);
      const data = page.data.map(({ json }) => JSON.parse(json) as Row);
      return reply.type(form.mediaType).send(form.showPage({ ...page, data }));
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
      200: withHeaders(
        inForms(resource, resource.shownSchema, 'row'),
        resource.isVersioned ? versionHeaders : {},
      ),
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
      const form = formFor(resource, request, reply);
      if (resource.isVersioned) {
        const version = Number(row.aside[0]);
        reply.header('etag', entityTag(version));
        if (isKnown(request.headers['if-none-match'], version)) return reply.code(304).send();
      }
      if (!form) return sendJson(reply, row.json);
      return reply.type(form.mediaType).send(form.show(JSON.parse(row.json) as Row));
    },
  );
}

function addCreates(app: FastifyInstance, context: ApiContext, resource: Resource): void {
  const { representation } = resource;
  if (!representation) {
    addCreate(app, context, resource);
    return;
  }
  // In a scope of its own: nothing else takes this content type, and a body of a third one has no schema here.
  void app.register((scope) => {
    scope.removeContentTypeParser(MERGE_PATCH_CONTENT_TYPE);
    const { mediaType } = representation;
    scope.addContentTypeParser(mediaType, { parseAs: 'string' }, jsonParser(scope));
    addCreate(scope, context, resource);
    return Promise.resolve();
  });
}

function addCreate(app: FastifyInstance, context: ApiContext, resource: Resource): void {
  const { noun, path, tag, representation, notes } = resource;
  const told = { ...versionHeaders, location: 'Its path.' };
  const schema = {
    operationId: operationOf('create', noun),
    tags: [tag],
    summary: `Make ${withArticle(noun)}`,
    ...describedBy(notes.create, secretsText(resource)),
    headers: idempotencyHeaders,
    body: bodyOf(resource),
    response: {
      201: withHeaders(resource.madeSchema, told),
      ...guardedProblems,
      ...problems(409, 413, 415, 422),
    },
  };
  const options = { config: { permission: resource.write }, schema };
  app.post(`/v1/${path}`, options, async (request, reply) => {
    // Without a body there is no content type either, and so no schema that would have refused it.
    if (!request.body) throw new Problem('invalid_request', `send ${withArticle(noun)}`);
    const form = request.mediaType === representation?.mediaType ? representation : undefined;
    const values = form ? form.read(request.body) : (request.body as Row);
    const secrets = new Secrets(resource);
    const making = answered(context, request, async (work) => {
      if (resource.countsAsRegistration) await requireRate(context.registrations, request);
      const { row, secrets: told } = await makeRow(work, resource, values);
      secrets.note(0, told);
      return { status: 201, headers: headersOf(resource, row), body: row };
    });
    const answer = await (form
      ? making.catch((error: unknown) => throwLocated(form, error))
      : making);
    return secrets.sendRow(reply, answer);
  });
}

function throwLocated(form: Representation, error: unknown): never {
  throw form.locate(error);
}

function addBulk(app: FastifyInstance, context: ApiContext, resource: Resource): void {
  const { nouns, path, tag } = resource;
  const schema = {
    operationId: operationOf('bulkCreate', nouns),
    tags: [tag],
    summary: `Make many ${nouns}`,
    ...describedBy(
      'Each item is answered for itself; those that are refused do not hold up the others.',
      secretsText(resource),
    ),
    headers: idempotencyHeaders,
    body: bulkBodyOf(resource.createSchema),
    response: { 200: bulkResultFor(resource), ...guardedProblems, ...problems(413, 415, 422) },
  };
  const options = { config: { permission: resource.write }, schema, ...bulkLimits(app) };
  app.post(`/v1/${path}/bulk`, options, async (request, reply) => {
    const { items } = request.body as { items: unknown[] };
    const secrets = new Secrets(resource);
    const answer = await answered(context, request, async (work) => {
      if (resource.countsAsRegistration)
        await requireRates(context.registrations, request, items.length);
      const body = await createRows(work, resource, request, [items, secrets]);
      return { status: 200, headers: {}, body };
    });
    return secrets.sendResults(reply, answer);
  });
}

function addPatch(app: FastifyInstance, context: ApiContext, resource: Resource): void {
  const { noun, path, tag } = resource;
  const schema = {
    operationId: operationOf('patch', noun),
    tags: [tag],
    summary: `Change ${withArticle(noun)}`,
    ...describedBy(resource.notes.change),
    consumes: [MERGE_PATCH_CONTENT_TYPE, 'application/json'],
    params: closed({ id: resource.keySchema }),
    headers: writeCondition,
    body: resource.patchSchema,
    response: {
      200: withHeaders(resource.shownSchema, versionHeaders),
      ...guardedProblems,
      ...problems(404, 409, 412, 413, 415, 422, 428),
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
      : (resource.notes.remove ?? 'Refused with 409 while something refers to it.'),
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

/**
 * Work in the caller's tenant. It is begun anew where the database has ended it for the sake of another: nothing of it was
 * written then. So `act` leaves no traces but in the database.
 */
export async function inWork<T>(
  context: ApiContext,
  request: FastifyRequest,
  act: (work: Work) => Promise<T>,
): Promise<T> {
  const principal = principalOf(request);
  const { quotas } = context;
  const nowMs = principal.nowMs ?? context.now();
  for (let tries = 1; ; tries++) {
    try {
      const room = new Map<string, number>();
      return await inTenant(context, request, (db, client) =>
        act({ db, client, principal, quotas, nowMs, room }),
      );
    } catch (error) {
      if (tries === DEADLOCK_TRIES_MAX || !isDeadlock(error)) throw error;
      request.log.info({ tries }, 'ended by a deadlock; it is done again');
      await setTimeout(Math.random() * tries * DEADLOCK_PAUSE_MS_MAX);
    }
  }
}

/** Does the work once under the request's `Idempotency-Key`, and gives its answer, which is kept and holds no secret. */
export function answered(
  context: ApiContext,
  request: FastifyRequest,
  act: (work: Work) => Promise<Answer>,
): Promise<Answer> {
  return inWork(context, request, (work) => onceOnly(work, request, () => act(work)));
}

function describedBy(...sentences: (string | undefined)[]): { description?: string } {
  const description = sentences.filter((one) => one !== undefined).join(' ');
  return description === '' ? {} : { description };
}

function secretsText({ secrets }: Resource): string | undefined {
  const names = Object.keys(secrets).map((name) => `\`${name}\``);
  if (names.length === 0) return undefined;
  return (
    `${names.join(', ')} is told this once: a request that is repeated under its \`Idempotency-Key\` is answered ` +
    'without it.'
  );
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
