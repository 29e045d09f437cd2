/**
 * `POST /v1/telemetry`: the native format over HTTP, answered after the commit. Knows bodies, bearer tokens of devices
 * and gateways, and status codes; refuses to know the portal's users.
 */
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { decodeNative, decodeNdjson } from './decode/native.ts';
import { emptyDecoded, refuseMessage, type Decoded } from './decode/decoded.ts';
import type { Intake, MessageOutcome } from './intake.ts';
import type { IngestMetrics } from './metrics.ts';
import type { Registry, Sender } from './registry.ts';

/** Bytes of one request's body, compressed or not. */
export const TELEMETRY_BODY_BYTES_MAX = 1024 * 1024;
/** Bytes that a gzip body may unfold to. */
export const TELEMETRY_UNZIPPED_BYTES_MAX = 8 * 1024 * 1024;
/** How long a request waits for its commit before it is told to come again. */
export const TELEMETRY_WAIT_MS_MAX = 25_000;
const RETRY_AFTER_S = 2;

const unzip = promisify(gunzip);

const Outcome = Type.Object(
  {
    accepted: Type.Integer({ description: 'Fixes and readings stored' }),
    duplicates: Type.Integer({ description: 'Fixes and readings that were stored before' }),
    rejected: Type.Array(
      Type.Object({
        index: Type.Integer({
          description: 'Position of the record in the body; −1: the whole body',
        }),
        reason: Type.String(),
        detail: Type.String(),
      }),
    ),
  },
  { examples: [{ accepted: 2, duplicates: 0, rejected: [] }] },
);

const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    code: Type.String(),
  },
  { additionalProperties: true },
);

interface TelemetryOptions {
  readonly intake: Intake;
  readonly registry: Registry;
  readonly metrics: IngestMetrics;
  /** False while stopping: new requests are told to come again. */
  readonly accepting: () => boolean;
}

/** The route as a Fastify plugin; registered inside its own scope because it reads bodies as bytes. */
export function telemetryPlugin(
  options: TelemetryOptions,
): (app: FastifyInstance) => Promise<void> {
  return async (app) => {
    app.removeAllContentTypeParsers();
    const types = ['application/json', 'application/x-ndjson', 'application/ndjson'];
    app.addContentTypeParser(
      types,
      { parseAs: 'buffer', bodyLimit: TELEMETRY_BODY_BYTES_MAX },
      (_request, body, done) => done(null, body),
    );
    app.addHook('onError', (_request, _reply, error, done) => {
      const tooLarge = error.code === 'FST_ERR_CTP_BODY_TOO_LARGE';
      options.metrics.refused('http', tooLarge ? 'body_too_large' : error.code.toLowerCase());
      done();
    });
    app.post(
      '/v1/telemetry',
      {
        config: { public: true, rateLimit: false },
        bodyLimit: TELEMETRY_BODY_BYTES_MAX,
        schema: {
          operationId: 'postTelemetry',
          tags: ['telemetry'],
          summary: 'Fixes and readings of one device or, with a gateway token, of many',
          description:
            'A JSON object, an array of them or NDJSON, gzip or not; bearer token of a device or gateway. Answered ' +
            'after the records are committed.',
          consumes: types,
          response: { 200: Outcome, 422: Outcome, '4xx': Problem, '5xx': Problem },
        },
      },
      (request, reply) => handle(options, request, reply),
    );
    return Promise.resolve();
  };
}

async function handle(
  options: TelemetryOptions,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { intake, registry, metrics } = options;
  const receivedMs = Date.now();
  const sender = senderOf(registry, request.headers.authorization);
  if (sender === null) {
    metrics.refused('http', 'bad_token');
    reply.header('www-authenticate', 'Bearer');
    return problem(reply, 401, 'bad_token', 'a bearer token of a device or gateway is required');
  }
  if (!options.accepting() || intake.isFull) {
    metrics.refused('http', 'queue_full');
    reply.header('retry-after', RETRY_AFTER_S);
    return problem(reply, 503, 'queue_full', 'the server cannot take more now; nothing was stored');
  }
  const { payload, decoded } = await decodeBody(request, receivedMs);
  const outcome = await submit(intake, { sender, payload, decoded, receivedMs });
  if (outcome === null || !outcome.stored) {
    metrics.refused('http', 'commit_pending');
    reply.header('retry-after', RETRY_AFTER_S);
    return problem(
      reply,
      503,
      'commit_pending',
      'not committed yet; send it again, repeats are no harm',
    );
  }
  const { accepted, duplicates, refused } = outcome;
  const status = refused.length > 0 && accepted + duplicates === 0 ? 422 : 200;
  return reply.code(status).send({ accepted, duplicates, rejected: refused });
}

function senderOf(registry: Registry, authorization: string | undefined): Sender | null {
  const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  return token === undefined ? null : registry.senderOf(token);
}

async function decodeBody(
  request: FastifyRequest,
  nowMs: number,
): Promise<{ payload: Buffer; decoded: Decoded }> {
  let payload = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  const refused = (reason: string, detail: string): { payload: Buffer; decoded: Decoded } => ({
    payload,
    decoded: refusedWhole(reason, detail),
  });
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding === 'gzip') {
    try {
      payload = await unzip(payload, { maxOutputLength: TELEMETRY_UNZIPPED_BYTES_MAX });
    } catch (error) {
      const tooLarge = (error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE';
      if (tooLarge) return refused('body_too_large', 'the unzipped body is too large');
      return refused('gzip_malformed', 'the body is not gzip');
    }
  } else if (encoding !== 'identity') {
    return refused('encoding_unknown', 'content-encoding must be gzip or absent');
  }
  if (payload.length === 0) return refused('body_empty', 'a body is required');
  const isNdjson = /ndjson/i.test(request.headers['content-type'] ?? '');
  const decoded = isNdjson ? decodeNdjson(payload, nowMs) : decodeNative(payload, 'any', nowMs);
  return { payload, decoded };
}

function refusedWhole(reason: string, detail: string): Decoded {
  const decoded = emptyDecoded();
  refuseMessage(decoded, reason, detail);
  return decoded;
}

/** `null` when the commit takes too long; the rows may still be stored later. */
function submit(
  intake: Intake,
  message: { sender: Sender; payload: Buffer; decoded: Decoded; receivedMs: number },
): Promise<MessageOutcome | null> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(null), TELEMETRY_WAIT_MS_MAX);
    intake.submit({ ...message, source: 'http', topic: null }, (outcome) => {
      clearTimeout(timer);
      resolve(outcome);
    });
  });
}

function problem(reply: FastifyReply, status: number, code: string, detail: string): FastifyReply {
  const title = status === 401 ? 'Unauthorized' : 'Service Unavailable';
  return reply
    .code(status)
    .type('application/problem+json')
    .send({ type: 'about:blank', title, status, detail, code });
}
