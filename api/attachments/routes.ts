/** Files that hang on the fleet's records: uploaded to a record, listed there, downloaded, deleted. */
import fastifyMultipart from '@fastify/multipart';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type, type Static } from 'typebox';
import { inTenant, openList, type ApiContext } from '../context.ts';
import { entityTag, isKnown } from '../entity-tag.ts';
import { allowSlowRequest } from '../errors.ts';
import { principalOf } from '../guard.ts';
import { WITHIN_DAYS_MAX } from '../expirations/query.ts';
import { fieldProblem, Problem } from '../problem.ts';
import { idempotencyHeaders, isReplayed, onceOnly, type Answer } from '../resources/idempotency.ts';
import { inWork } from '../resources/routes.ts';
import type { Work } from '../resources/store.ts';
import {
  closed,
  described,
  guardedProblems,
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
import { sendContent } from './content.ts';
import type { AttachmentLimits } from './limits.ts';
import { ATTACHMENT_PARENTS, rightTo, type AttachmentParent } from './parents.ts';
import { receiveUpload, type Received } from './receive.ts';
import {
  createAttachments,
  deleteAttachment,
  forgetContent,
  getAttachment,
  isPast,
  listAttachments,
  lockUnclaimed,
  noteContent,
  requireParent,
} from './records.ts';
import { Attachment, AttachmentWithParents, CATEGORIES, Uploaded, UploadForm } from './schemas.ts';
import { createUploadSlots, type UploadSlots } from './slots.ts';
import type { AttachmentStore } from './store.ts';
import { startSweeping } from './sweeper.ts';

export interface AttachmentOptions {
  readonly store: AttachmentStore;
  readonly limits: AttachmentLimits;
}

const tags = ['attachment'];
const read = { permission: 'attachment:read' } as const;
const write = { permission: 'attachment:write' } as const;
const FORM_CONTENT_TYPE = 'multipart/form-data';
/** Milliseconds beyond the time for receiving, for what comes after it. */
const HANDLER_SLACK_MS = 30_000;

/** Adds the routes, and sweeps while the server is up. */
export async function addAttachmentRoutes(
  app: FastifyInstance,
  context: ApiContext,
  options: AttachmentOptions,
): Promise<void> {
  for (const parent of ATTACHMENT_PARENTS) addListing(app, context, parent);
  addReading(app, context);
  addDownloading(app, context, options);
  addDeleting(app, context);
  const slots = createUploadSlots(options.limits);
  // In a scope of its own: nothing else takes forms, and these routes take nothing else.
  await app.register(async (uploading) => {
    uploading.removeAllContentTypeParsers();
    uploading.addHook('onRequest', (request, _reply, done) =>
      done(refusalOf(request, options.limits)),
    );
    await uploading.register(fastifyMultipart);
    uploading.addHook('preValidation', (request, _reply, done) => {
      // The form is read by the handler; to the schema it is as it should be.
      request.body = { file: ['stream'] };
      done();
    });
    for (const parent of ATTACHMENT_PARENTS) {
      addUploading(uploading, context, { ...options, parent, slots });
    }
  });
  let stopSweeping = () => Promise.resolve();
  app.addHook('onReady', (done) => {
    const onError = (error: unknown) =>
      app.log.warn({ err: error }, 'attachments could not be swept; it is tried again');
    stopSweeping = startSweeping({ pool: context.runnerPool, ...options, onError });
    done();
  });
  app.addHook('onClose', () => stopSweeping());
}

function addListing(app: FastifyInstance, context: ApiContext, parent: AttachmentParent): void {
  const { path, operation, noun } = parent;
  const schema = {
    operationId: `list${operation}Attachments`,
    tags,
    summary: `Files of ${noun}, oldest first`,
    description: 'Those that have expired are listed too.',
    params: idParams,
    querystring: closed({
      ...pageQuery,
      document_category_type: Type.Optional(described(oneOf(CATEGORIES), 'Of this category.')),
      expires_within_days: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: WITHIN_DAYS_MAX,
          description: 'Those that expire by this many days from today, and have not yet.',
        }),
      ),
    }),
    response: { 200: pageOf(Attachment), ...guardedProblems, ...problems(404) },
  };
  const config = { permission: rightTo(parent, 'read') };
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get(`/v1/${path}/:id/attachments`, { config, schema }, async (request) => {
      const list = openList(context, request, 'attachments');
      const afterId = list.after && (list.after[0] as number);
      const { id } = request.params;
      const filters = {
        category: request.query.document_category_type,
        withinDays: request.query.expires_within_days,
      };
      const rows = await inTenant(context, request, async (db) => {
        await requireParent(db, principalOf(request), parent, id, 'read');
        const of = { parent, id, nowMs: context.now() };
        return listAttachments(db, of, filters, afterId, list.rowsMax);
      });
      return list.page(rows, (row) => [row.attachment_id]);
    });
}

function addReading(app: FastifyInstance, context: ApiContext): void {
  const schema = {
    operationId: 'getAttachment',
    tags,
    summary: 'What is known of a file',
    description: 'Asks for the right to read something that it is linked to, too.',
    params: idParams,
    headers: readCondition,
    response: {
      200: AttachmentWithParents,
      304: notModified,
      ...guardedProblems,
      ...problems(404),
    },
  };
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get('/v1/attachments/:id', { config: read, schema }, async (request, reply) => {
      const row = await inTenant(context, request, (db) =>
        getAttachment(db, principalOf(request), request.params.id, context.now()),
      );
      reply.header('etag', entityTag(row.version));
      if (isKnown(request.headers['if-none-match'], row.version)) return reply.code(304).send();
      return row;
    });
}

const contentHeaders = Type.Object({
  'if-none-match': Type.Optional(
    Type.String({ description: 'Entity tags that are there already.' }),
  ),
  'if-range': Type.Optional(
    Type.String({ description: 'The range holds for this entity tag alone.' }),
  ),
  range: Type.Optional(Type.String({ description: 'One range of bytes, such as bytes=0-1023.' })),
});

function binary(description: string) {
  return {
    description,
    content: {
      'application/octet-stream': { schema: Type.String({ format: 'binary' }) },
    },
  };
}

function addDownloading(
  app: FastifyInstance,
  context: ApiContext,
  { store, limits }: AttachmentOptions,
): void {
  const schema = {
    operationId: 'downloadAttachment',
    tags,
    summary: 'The file itself',
    description:
      'For those who see something that it is linked to, and have the right to read that. The type is that of `mime_type`.',
    params: idParams,
    headers: contentHeaders,
    response: {
      200: binary('The file.'),
      206: binary('The range that was asked for.'),
      304: notModified,
      ...guardedProblems,
      ...problems(404, 410, 416),
    },
  };
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get(
      '/v1/attachments/:id/content',
      { config: { ...read, handlerMsMax: limits.downloadMsMax }, schema },
      async (request, reply) => {
        const row = await inTenant(context, request, (db) =>
          getAttachment(db, principalOf(request), request.params.id, context.now()),
        );
        if (row.is_expired) {
          throw new Problem('gone', `it expired after ${row.expiration_date ?? 'its last day'}`);
        }
        return sendContent(request, reply, store, row);
      },
    );
}

function addDeleting(app: FastifyInstance, context: ApiContext): void {
  const schema = {
    operationId: 'deleteAttachment',
    tags,
    summary: 'Delete a file',
    description:
      'Asks for the right to write everything that it is linked to, too. The bytes are removed after a while; what was known of it stays in the audit trail.',
    params: idParams,
    headers: writeCondition,
    response: { 204: noContent, ...guardedProblems, ...problems(404, 412) },
  };
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .delete('/v1/attachments/:id', { config: write, schema }, async (request, reply) => {
      const { id } = request.params;
      const ifMatch = request.headers['if-match'];
      await inTenant(context, request, (db) =>
        deleteAttachment(db, principalOf(request), id, context.now(), ifMatch),
      );
      return reply.code(204).send();
    });
}

// Before anything of the body is read.
function refusalOf({ headers }: FastifyRequest, limits: AttachmentLimits): Problem | undefined {
  const type = headers['content-type']?.split(';', 1)[0]!.trim().toLowerCase();
  if (type !== FORM_CONTENT_TYPE) {
    return new Problem('unsupported_media_type', `send ${FORM_CONTENT_TYPE}`);
  }
  const partBytesMax = limits.fileBytesMax + limits.fieldBytesMax;
  const bytesMax = partBytesMax * (limits.filesMax + limits.fieldsMax);
  if (Number(headers['content-length'] ?? 0) <= bytesMax) return undefined;
  return new Problem('payload_too_large', `an upload has at most ${limits.filesMax} files`);
}

interface Uploading extends AttachmentOptions {
  readonly parent: AttachmentParent;
  readonly slots: UploadSlots;
}

function addUploading(app: FastifyInstance, context: ApiContext, uploading: Uploading): void {
  const { parent, limits, slots } = uploading;
  const schema = {
    operationId: `upload${parent.operation}Attachments`,
    tags,
    summary: `Add files to ${parent.noun}`,
    description: `All of the files or none. Each has at most ${limits.fileBytesMax} bytes; what kind it is is told by its bytes.`,
    consumes: [FORM_CONTENT_TYPE],
    params: idParams,
    headers: idempotencyHeaders,
    body: { content: { [FORM_CONTENT_TYPE]: { schema: UploadForm } } },
    response: {
      201: Uploaded,
      ...guardedProblems,
      ...problems(404, 408, 409, 413, 415, 422),
    },
  };
  app.withTypeProvider<TypeBoxTypeProvider>().post(
    `/v1/${parent.path}/:id/attachments`,
    {
      config: {
        permission: rightTo(parent, 'write'),
        handlerMsMax: limits.uploadMsMax + HANDLER_SLACK_MS,
      },
      schema,
    },
    async (request, reply) => {
      const free = slots.take(principalOf(request).tenant.customerId);
      const endSlow = allowSlowRequest(request.raw.socket);
      try {
        const { headers, body } = await upload(context, request, request.params.id, uploading);
        return await reply
          .code(201)
          .headers(headers)
          .send(body as Static<typeof Uploaded>);
      } finally {
        free();
        drain(request, limits.drainMsMax, endSlow);
      }
    },
  );
}

async function upload(
  context: ApiContext,
  request: FastifyRequest,
  id: number,
  { parent, store, limits }: Uploading,
): Promise<Answer> {
  const principal = principalOf(request);
  await inTenant(context, request, (db) => requireParent(db, principal, parent, id, 'write'));
  const keys: string[] = [];
  const receiving = {
    store,
    limits,
    customerId: principal.tenant.customerId,
    note: (key: string) => inTenant(context, request, (db) => noteContent(db, principal, key)),
  };
  try {
    const received = await receiveUpload(request, receiving, keys);
    const answer = await keep(context, request, received, { parent, id, limits });
    if (isReplayed(answer)) await discard(context, request, store, keys);
    return answer;
  } catch (error) {
    await discard(context, request, store, keys);
    throw error;
  }
}

/** What was sent is known once it has arrived: of two at once under one `Idempotency-Key`, both are received, and one is kept. */
function keep(
  context: ApiContext,
  request: FastifyRequest,
  { fields, files }: Received,
  { parent, id, limits }: { parent: AttachmentParent; id: number; limits: AttachmentLimits },
): Promise<Answer> {
  const nowMs = context.now();
  const act = async ({ db, principal }: Work): Promise<Answer> => {
    const { expiration_date } = fields;
    if (expiration_date !== undefined && (await isPast(db, expiration_date, nowMs))) {
      throw fieldProblem('unprocessable', 'body', '/expiration_date', 'is past already');
    }
    const data = await createAttachments(db, principal, { parent, id, nowMs }, files, {
      fields,
      perParentMax: context.quotas.attachmentsPerParentMax,
      ageMsMax: limits.uploadAgeMsMax,
    });
    return { status: 201, headers: {}, body: { data } };
  };
  return inWork(context, request, (work) =>
    onceOnly(work, request, () => act(work), fingerprintOf(fields, files)),
  );
}

/** The order of the fields says nothing, and that of the files is the order of their rows. */
function fingerprintOf(fields: Received['fields'], files: Received['files']): unknown {
  const words = Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    words,
    files.map(({ name, kind, sha256 }) => [name, kind.mimeType, sha256.toString('hex')]),
  ];
}

/** Removes what an upload that was not kept has left. What cannot be removed now is left to the sweeper. */
async function discard(
  context: ApiContext,
  request: FastifyRequest,
  store: AttachmentStore,
  keys: readonly string[],
): Promise<void> {
  for (const key of keys) {
    try {
      await inTenant(context, request, async (db) => {
        // A commit whose answer got lost may have happened all the same.
        if (!(await lockUnclaimed(db, key))) return;
        await store.remove(key);
        await forgetContent(db, key);
      });
    } catch (error) {
      request.log.warn({ err: error }, 'what an upload has left is removed later');
    }
  }
}

/** Lets the sender of a refused upload hear why: its rest is taken in and thrown away, for a short time. */
function drain({ raw }: FastifyRequest, msMax: number, endSlow: () => void): void {
  if (raw.complete || raw.destroyed) return endSlow();
  const timer = setTimeout(() => raw.destroy(), msMax).unref();
  raw.once('close', () => {
    clearTimeout(timer);
    endSlow();
  });
  raw.unpipe();
  raw.resume();
}
