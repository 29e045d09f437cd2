/** `GET /v1/changes`: what was written, for programs that keep a copy in step. */
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { sendJson, type ApiContext } from '../context.ts';
import { principalOf, requirePermission } from '../guard.ts';
import { fieldProblem } from '../problem.ts';
import type { Resource } from '../resources/resource.ts';
import {
  closed,
  CURSOR_LENGTH_MAX,
  guardedProblems,
  Instant,
  nullable,
  oneOf,
  pageOf,
  pageQuery,
  problems,
} from '../schemas.ts';
import { placeCodec } from './cursor.ts';
import { OPERATIONS, type Feed, type Reading } from './feed.ts';
import { metricsFeed, positionsFeed } from './latest.ts';
import { beginNow, beginWhole, readPage, type ChangesPage, type Told } from './page.ts';
import { startPruning } from './prune.ts';
import { canFollow, recordFeed } from './records.ts';

/** Resources of one request. */
export const CHANGES_RESOURCES_MAX = 20;
const RESOURCES_LENGTH_MAX = 2_000;

const Change = Type.Object(
  {
    resource: Type.String({ description: 'The path of its list.' }),
    id: Type.Unsafe<number | string>({
      type: ['integer', 'string'],
      description: 'The key of the row.',
    }),
    operation: oneOf(OPERATIONS, {
      description: '`deleted`: gone, or no longer the caller’s to see; remove it from the copy.',
    }),
    changed_at: Instant,
    version: nullable(
      Type.Integer({
        description: 'Of the row as it is shown, or as it was last; null where rows have none.',
      }),
    ),
    row: Type.Unsafe<Record<string, unknown> | null>({
      type: ['object', 'null'],
      additionalProperties: true,
      description: 'As its list shows it, as it is now; null where it is deleted.',
    }),
  },
  {
    title: 'Change',
    examples: [
      {
        resource: 'tags',
        id: 12,
        operation: 'updated',
        changed_at: '2026-11-30T08:15:00.000Z',
        version: 2,
        row: { tag_lookup_id: 12, tag_name: 'winter tyres', version: 2 },
      },
    ],
  },
);

const querystring = closed({
  resources: Type.String({
    minLength: 1,
    maxLength: RESOURCES_LENGTH_MAX,
    description: `Paths of lists with commas between them, such as \`workorders,invoices\`, \`latest-positions\`, \`latest-metrics\`; up to ${CHANGES_RESOURCES_MAX}.`,
  }),
  since: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: CURSOR_LENGTH_MAX,
      description: 'The `next_cursor` of the answer before, to the same resources.',
    }),
  ),
  start: Type.Optional(
    oneOf(['whole', 'now'], {
      description:
        'Without `since`: `whole` tells every row first, `now` only what comes from now on. `whole` when left out.',
    }),
  ),
  limit: pageQuery.limit,
});

/** Adds the route, and the rounds that keep the log short for as long as the server is up. */
export function addChangesRoutes(
  app: FastifyInstance,
  context: ApiContext,
  resources: Iterable<Resource>,
): void {
  const records = [...resources].filter(canFollow).map(recordFeed);
  const feeds = new Map([...records, positionsFeed, metricsFeed].map((feed) => [feed.path, feed]));
  addPruning(app, context);
  const schema = {
    operationId: 'listChanges',
    tags: ['changes'],
    summary: 'Rows that were made, changed and deleted, in the order of the commits',
    description:
      'Asks for the right to read each of the resources. `next_cursor` is always given, and is to be sent as `since` the ' +
      'next time, at once while `has_more` is true. Every change is told, some more than once: what has a `version` that ' +
      'is older than that of the copy can be passed over. 410 where what came since is not kept any more.',
    querystring,
    response: { 200: pageOf(Change), ...guardedProblems, ...problems(410) },
  };
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get('/v1/changes', { config: { permission: 'signed_in' }, schema }, async (request, reply) => {
      const { resources: named, since, start, limit } = request.query;
      const principal = principalOf(request);
      const asked = feedsOf(feeds, named);
      for (const { right } of asked) requirePermission(principal, right);
      if (since !== undefined && start !== undefined) {
        throw fieldProblem('invalid_request', 'query', '/start', 'does not go with since');
      }
      const paths = asked.map(({ path }) => path);
      const codec = placeCodec(context.cursors, principal, paths);
      const reading: Reading = { pool: context.pool, reader: principal };
      const nowMs = context.now();
      reply.header('cache-control', 'no-store');
      if (start === 'now') {
        const place = await beginNow(reading, asked, nowMs);
        return sendJson(reply, toJson({ told: [], place, hasMore: false }, codec.encode(place)));
      }
      const place =
        since === undefined ? await beginWhole(reading, asked, nowMs) : codec.decode(since);
      const page = await readPage(reading, asked, place, { limit: limit!, nowMs });
      return sendJson(reply, toJson(page, codec.encode(page.place)));
    });
}

/** In the order of their paths, each once. Throws 400 naming what cannot be followed. */
function feedsOf(feeds: ReadonlyMap<string, Feed>, named: string): Feed[] {
  const paths = [...new Set(named.split(',').map((path) => path.trim()))].sort();
  const refuse = (detail: string) => fieldProblem('invalid_request', 'query', '/resources', detail);
  if (paths.length > CHANGES_RESOURCES_MAX) {
    throw refuse(`names more than ${CHANGES_RESOURCES_MAX} resources`);
  }
  return paths.map((path) => {
    const feed = feeds.get(path);
    if (!feed) throw refuse(`"${path}" is no list whose changes are told`);
    return feed;
  });
}

function toJson({ told, hasMore }: ChangesPage, cursor: string): string {
  const page = { next_cursor: cursor, has_more: hasMore };
  return `{"data":[${told.map(itemJson).join(',')}],"page":${JSON.stringify(page)}}`;
}

function itemJson({ path, id, operation, changedAt, version, row }: Told): string {
  const head = { resource: path, id, operation, changed_at: changedAt, version };
  return `${JSON.stringify(head).slice(0, -1)},"row":${row ?? 'null'}}`;
}

function addPruning(app: FastifyInstance, { runnerPool, now }: ApiContext): void {
  let stop: () => Promise<void> = () => Promise.resolve();
  app.addHook('onReady', (done) => {
    const onError = (error: unknown) =>
      app.log.warn({ err: error }, 'the log of changes could not be shortened; it is tried again');
    stop = startPruning({ pool: runnerPool, now, onError });
    done();
  });
  app.addHook('onClose', () => stop());
}
