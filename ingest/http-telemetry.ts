/**
 * `POST /v1/telemetry`: the native format over HTTP, answered after the commit. Knows bodies, bearer tokens of devices
 * and gateways, and status codes; refuses to know the portal's users.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { decodeNative } from './decode/native.ts';
import { scanNdjson } from './decode/native-lines.ts';
import { FixScan } from './decode/native-scan.ts';
import { emptyDecoded, refuseMessage, type Decoded } from './decode/decoded.ts';
import { countErrors, readBody, takeBodiesAsBytes, type BodyResult } from './http-body.ts';
import {
  bearerOf,
  COMMIT_PENDING,
  isAllRefused,
  outcomeBody,
  OutcomeDocument,
  ProblemDocument,
  QUEUE_FULL,
  sendComeAgain,
  sendProblem,
  submitAndWait,
} from './http-submit.ts';
import type { Intake, MessageOutcome } from './intake.ts';
import type { Knock } from './knocking.ts';
import type { IngestMetrics } from './metrics.ts';
import { tenantOf, type Registry, type Sender } from './registry.ts';
import type { Turns } from './turns.ts';

/** Bytes of one request's body, compressed or not. */
export const TELEMETRY_BODY_BYTES_MAX = 1024 * 1024;
/** Bytes that a gzip body may unfold to. */
export const TELEMETRY_UNZIPPED_BYTES_MAX = 4 * 1024 * 1024;

interface TelemetryOptions {
  readonly intake: Intake;
  readonly registry: Registry;
  readonly turns: Turns;
  readonly metrics: IngestMetrics;
  /** False while stopping: new requests are told to come again. */
  readonly accepting: () => boolean;
  /** Called for each device that a gateway speaks for and nobody knows. Must not throw. */
  readonly knock: (knock: Knock) => void;
}

/** The route as a Fastify plugin; registered inside its own scope because it reads bodies as bytes. */
export function telemetryPlugin(
  options: TelemetryOptions,
): (app: FastifyInstance) => Promise<void> {
  return async (app) => {
    const types = ['application/json', 'application/x-ndjson', 'application/ndjson'];
    takeBodiesAsBytes(app, types, TELEMETRY_BODY_BYTES_MAX);
    countErrors(app, options.metrics, 'http');
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
          response: {
            200: OutcomeDocument,
            422: OutcomeDocument,
            '4xx': ProblemDocument,
            '5xx': ProblemDocument,
          },
        },
        // Before the body is read: whoever has no token makes the server hold nothing.
        onRequest(request, reply, done) {
          const sender = bearerOf(options.registry, request.headers.authorization);
          if (sender === null) refuseToken(options, reply);
          else done();
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
  const { intake, registry, turns, metrics } = options;
  const receivedMs = Date.now();
  const sender = bearerOf(registry, request.headers.authorization);
  if (sender === null) return refuseToken(options, reply);
  if (!options.accepting() || intake.isFull) {
    metrics.refused('http', QUEUE_FULL.reason);
    return sendComeAgain(reply, QUEUE_FULL);
  }
  const body = await readBody(request, TELEMETRY_UNZIPPED_BYTES_MAX);
  const outcome = await turns.run<MessageOutcome | null | 'full'>(() => {
    try {
      // Others were unpacked and had their turn first.
      if (!options.accepting() || intake.isFull) return 'full';
      const decoded = decodeBody(body, request.headers['content-type'] ?? '', receivedMs);
      const payload = body.body;
      // The scan is read before anything else happens: the next request fills it anew.
      const message = { topic: null, sender, payload, decoded, scan, receivedMs };
      return submitAndWait(intake, { source: 'http', ...message });
    } finally {
      // From here on the intake counts it.
      body.release();
    }
  });
  if (outcome === 'full') {
    metrics.refused('http', QUEUE_FULL.reason);
    return sendComeAgain(reply, QUEUE_FULL);
  }
  if (outcome === null || !outcome.stored) {
    metrics.refused('http', COMMIT_PENDING.reason);
    return sendComeAgain(reply, COMMIT_PENDING);
  }
  for (const deviceName of unknownDevices(sender, outcome)) {
    const { ip: remoteAddress } = request;
    const tenantId = tenantOf(sender);
    options.knock({ protocol: 'http', deviceName, tenantId, payload: body.body, remoteAddress });
  }
  return reply.code(isAllRefused(outcome) ? 422 : 200).send(outcomeBody(outcome));
}

function refuseToken({ metrics }: TelemetryOptions, reply: FastifyReply): FastifyReply {
  metrics.refused('http', 'bad_token');
  reply.header('www-authenticate', 'Bearer');
  const detail = 'a bearer token of a device or gateway is required';
  return sendProblem(reply, 401, 'bad_token', detail);
}

/** The names that a gateway's message was refused for, each once. Nobody knocks through a device. */
function unknownDevices(sender: Sender, { refused }: MessageOutcome): Iterable<string> {
  if (sender.kind === 'device') return [];
  return new Set(refused.flatMap(({ unknownDevice = [] }) => unknownDevice));
}

/** Usual fixes of the request at hand. */
const scan = new FixScan();

/** Fills `scan` with the usual fixes of a body, and gives the rest of it. */
function decodeBody(read: BodyResult, contentType: string, nowMs: number): Decoded {
  scan.count = 0;
  if (!read.ok) return refusedWhole(read.reason, read.detail);
  const { body } = read;
  if (body.length === 0) return refusedWhole('body_empty', 'a body is required');
  if (/ndjson/i.test(contentType)) return scanNdjson(scan, body, nowMs);
  if (scan.readMessage(body, 0, body.length, nowMs)) return emptyDecoded();
  return decodeNative(body, 'any', nowMs);
}

function refusedWhole(reason: string, detail: string): Decoded {
  const decoded = emptyDecoded();
  refuseMessage(decoded, reason, detail);
  return decoded;
}
