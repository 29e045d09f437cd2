/**
 * `/v1/exports`: exports that are written in the background. Who asks for one needs the right to read the list, then and
 * when the file is fetched; the file holds what they may see, and nobody else is shown it.
 */
import { and, count, desc, eq, inArray, lt, sql } from 'drizzle-orm';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { exportJob } from '../../db/schema.ts';
import type { AttachmentStore } from '../attachments/store.ts';
import { inTenant, openList, type ApiContext } from '../context.ts';
import { principalOf, requirePermission } from '../guard.ts';
import { notFound, Problem } from '../problem.ts';
import { EXPORT_FORMATS, EXPORT_TYPES, type Format } from '../resources/export.ts';
import { idempotencyHeaders, onceOnly } from '../resources/idempotency.ts';
import type { ListRequest, ListSelect } from '../resources/list.ts';
import { countPage } from '../resources/query.ts';
import type { Resource } from '../resources/resource.ts';
import { inWork } from '../resources/routes.ts';
import { run, type Work } from '../resources/store.ts';
import {
  closed,
  guardedProblems,
  Id,
  idParams,
  Instant,
  noContent,
  nullable,
  oneOf,
  pageOf,
  pageQuery,
  problems,
} from '../schemas.ts';
import { keptQuery, readJobQuery, requireQuery, type JobQuery } from './job-query.ts';
import { cancelExportJob } from './job-rows.ts';
import { createExportRunner } from './jobs.ts';
import { openSource } from './source.ts';

/** Jobs of one user that wait or run. */
export const EXPORT_JOBS_OPEN_MAX = 20;
/** Jobs that this process writes at once, and of one tenant all processes. */
export const EXPORT_JOBS_AT_ONCE_MAX = 2;
export const EXPORT_JOBS_PER_TENANT_MAX = 1;
/** How long a file is kept. */
export const EXPORT_FILE_AGE_MS_MAX = 86_400_000;

const tags = ['export'];
const config = { permission: 'signed_in' } as const;

const Job = Type.Object({
  export_job_id: Id,
  resource: Type.String({ description: 'The path of the list.' }),
  format: Type.String(),
  query: Type.Unsafe<unknown>({ type: 'object', additionalProperties: true }),
  status: Type.String({
    description: '`queued`, `running`, `ready`, `failed`, `expired`, `cancelled`.',
  }),
  rows_done: Type.Integer(),
  rows_total_estimate: nullable(Type.Integer()),
  size_bytes: nullable(Type.Integer()),
  error_code: nullable(Type.String()),
  requested_at: Instant,
  started_at: nullable(Instant),
  finished_at: nullable(Instant),
  expires_at: nullable(Instant),
});

const jobColumns = {
  export_job_id: exportJob.export_job_id,
  resource: exportJob.resource,
  format: exportJob.format,
  query: exportJob.query,
  status: exportJob.status,
  rows_done: exportJob.rows_done,
  rows_total_estimate: exportJob.rows_total_estimate,
  size_bytes: exportJob.size_bytes,
  error_code: exportJob.error_code,
  requested_at: exportJob.requested_at,
  started_at: exportJob.started_at,
  finished_at: exportJob.finished_at,
  expires_at: exportJob.expires_at,
};

export interface ExportJobOptions {
  readonly context: ApiContext;
  readonly store: AttachmentStore;
  /** By path. */
  readonly resources: ReadonlyMap<string, Resource>;
}

/** Adds the routes, and the runner that writes the files for as long as the server is up. */
export function addExportJobRoutes(app: FastifyInstance, options: ExportJobOptions): void {
  const { context, store, resources } = options;
  const runner = createExportRunner({
    pool: context.runnerPool,
    store,
    runQuery: (job) => openSource(context, resources, job),
    concurrencyMax: EXPORT_JOBS_AT_ONCE_MAX,
    perTenantMax: EXPORT_JOBS_PER_TENANT_MAX,
    ageMsMax: EXPORT_FILE_AGE_MS_MAX,
    onError: (error, job) =>
      app.log.warn({ err: error, export_job_id: job?.exportJobId }, 'an export failed'),
  });
  const stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();
  app.addHook('onReady', (done) => {
    running = runner.run(stopping.signal);
    done();
  });
  app.addHook('onClose', async () => {
    stopping.abort();
    await running;
  });
  addAsking(app, options, () => runner.wake());
  addReading(app, context);
  addContent(app, context, store, resources);
  addCancelling(app, context, () => runner.wake());
}

function addAsking(
  app: FastifyInstance,
  { context, resources }: ExportJobOptions,
  wake: () => void,
): void {
  const schema = {
    operationId: 'createExport',
    tags,
    summary: 'Ask for an export',
    description:
      'Answered at once; the file is written in the background. Asks for the right to read the list.',
    headers: idempotencyHeaders,
    body: closed(
      {
        resource: oneOf([...resources.keys()], { description: 'The path of the list.' }),
        format: oneOf(EXPORT_FORMATS),
        query: Type.Optional(
          Type.Unsafe<ListRequest>({
            type: 'object',
            description:
              '`filter`, `sort`, `fields`, `view`, as the list takes them. The answer has the view itself, as it is just ' +
              'then: what becomes of it does not change the file.',
          }),
        ),
      },
      {
        examples: [
          {
            resource: 'invoices',
            format: 'xlsx',
            query: {
              filter: { status: { eq: 'open' } },
              sort: '-date',
              fields: 'invoice_number,date,total_amount',
            },
          },
        ],
      },
    ),
    response: { 202: Job, ...guardedProblems, ...problems(409, 413, 415, 422) },
  };
  app.post('/v1/exports', { config, schema }, async (request, reply) => {
    const body = request.body as { resource: string; format: Format; query?: ListRequest };
    const resource = resources.get(body.resource)!;
    const principal = principalOf(request);
    requirePermission(principal, resource.read);
    const query = body.query ?? {};
    await requireQuery(request, resource, query);
    const answer = await inWork(context, request, (work) =>
      onceOnly(work, request, async () => {
        const kept = await keptQuery(work, resource, query);
        const job = await makeJob(work, resource, body.format, kept);
        const location = `/v1/exports/${job.export_job_id}`;
        return { status: 202, headers: { location }, body: job };
      }),
    );
    wake();
    return reply.code(202).headers(answer.headers).send(answer.body);
  });
}

async function makeJob(work: Work, resource: Resource, format: Format, query: JobQuery) {
  const { userId, tenant } = work.principal;
  // Before the place is asked for: who asks beside this one does not wait while rows are counted.
  const total = await countRows(work, resource, readJobQuery(resource, query));
  await requireRoom(work);
  const [made] = await work.db
    .insert(exportJob)
    .values({
      customer_id: tenant.customerId,
      user_id: userId,
      account_ids: tenant.accountIds === null ? null : [...tenant.accountIds],
      resource: resource.path,
      format,
      query: query as Record<string, unknown>,
      rows_total_estimate: total,
    })
    .returning(jobColumns);
  return made!;
}

// One of the user's requests after the other, until each has committed: two at once could both see the last place free.
async function requireRoom({ db, principal: { userId } }: Work): Promise<void> {
  const lock = `export_job/${userId}`;
  await db.execute(sql`select pg_advisory_xact_lock(hashtextextended(${lock}, 0))`);
  const [open] = await db
    .select({ jobs: count() })
    .from(exportJob)
    .where(and(eq(exportJob.user_id, userId), inArray(exportJob.status, ['queued', 'running'])));
  if (open!.jobs < EXPORT_JOBS_OPEN_MAX) return;
  throw new Problem(
    'conflict',
    `you have ${EXPORT_JOBS_OPEN_MAX} exports waiting already; cancel one, or wait`,
  );
}

/** Rows that are counted before a job is begun; where there are more, their number is not told. */
export const EXPORT_COUNT_ROWS_MAX = 1_000_000;

/** Counted, for a bar of progress. What the planner thinks would be quicker, and tells of the rows of other tenants. */
async function countRows(
  { client }: Work,
  resource: Resource,
  { conditions, withDeleted }: ListSelect,
): Promise<number | null> {
  const counted = countPage(resource, {
    conditions,
    withDeleted,
    rowsMax: EXPORT_COUNT_ROWS_MAX + 1,
  });
  const [row] = (await run(client, counted)) as [{ rows: number }];
  return row.rows > EXPORT_COUNT_ROWS_MAX ? null : row.rows;
}

function addReading(app: FastifyInstance, context: ApiContext): void {
  const listSchema = {
    operationId: 'listExports',
    tags,
    summary: 'Your exports, newest first',
    querystring: closed(pageQuery),
    response: { 200: pageOf(Job), ...guardedProblems },
  };
  app.get('/v1/exports', { config, schema: listSchema }, async (request) => {
    const list = openList(context, request, 'exports');
    const rows = await inTenant(context, request, (db) =>
      db
        .select(jobColumns)
        .from(exportJob)
        .where(list.after ? lt(exportJob.export_job_id, list.after[0] as number) : undefined)
        .orderBy(desc(exportJob.export_job_id))
        .limit(list.rowsMax),
    );
    return list.page(rows, (row) => [row.export_job_id]);
  });

  const getSchema = {
    operationId: 'getExport',
    tags,
    summary: 'How far an export is',
    params: idParams,
    response: { 200: Job, ...guardedProblems, ...problems(404) },
  };
  app.get('/v1/exports/:id', { config, schema: getSchema }, async (request) => {
    const { storage_key, ...job } = await readJob(context, request);
    void storage_key;
    return job;
  });
}

function addContent(
  app: FastifyInstance,
  context: ApiContext,
  store: AttachmentStore,
  resources: ReadonlyMap<string, Resource>,
): void {
  const schema = {
    operationId: 'getExportContent',
    tags,
    summary: 'The file of an export',
    params: idParams,
    response: {
      200: {
        description: 'The file.',
        content: Object.fromEntries(
          Object.values(EXPORT_TYPES).map((type) => [
            type.split(';')[0]!,
            { schema: Type.String() },
          ]),
        ),
      },
      ...guardedProblems,
      ...problems(404, 409, 410),
    },
  };
  app.get('/v1/exports/:id/content', { config, schema }, async (request, reply) => {
    const job = await readJob(context, request);
    requirePermission(principalOf(request), resources.get(job.resource)?.read);
    if (job.status === 'expired')
      throw new Problem('gone', 'the file was kept for a day; ask for it anew');
    const stream = job.status === 'ready' ? await store.open(job.storage_key!) : null;
    if (!stream) throw new Problem('conflict', `the export is ${job.status}, and has no file`);
    const day = job.requested_at.toISOString().slice(0, 10);
    return reply
      .type(EXPORT_TYPES[job.format])
      .header('content-length', job.size_bytes)
      .header('content-disposition', `attachment; filename="${job.resource}-${day}.${job.format}"`)
      .header('cache-control', 'private, no-store')
      .send(stream);
  });
}

function addCancelling(app: FastifyInstance, context: ApiContext, wake: () => void): void {
  const schema = {
    operationId: 'cancelExport',
    tags,
    summary: 'Cancel an export that is not ready',
    params: idParams,
    response: { 204: noContent, ...guardedProblems, ...problems(404, 409) },
  };
  app.delete('/v1/exports/:id', { config, schema }, async (request, reply) => {
    const job = await readJob(context, request);
    const isCancelled = await inTenant(context, request, (db) =>
      cancelExportJob(db, job.export_job_id),
    );
    if (!isCancelled) throw new Problem('conflict', `the export is ${job.status} already`);
    wake();
    return reply.code(204).send();
  });
}

async function readJob(context: ApiContext, request: FastifyRequest) {
  const { id } = request.params as { id: number };
  const [job] = await inTenant(context, request, (db) =>
    db
      .select({ ...jobColumns, storage_key: exportJob.storage_key })
      .from(exportJob)
      .where(eq(exportJob.export_job_id, id)),
  );
  if (!job) throw notFound('export');
  return job;
}
