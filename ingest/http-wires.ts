/**
 * The HTTP doors of the formats in `decode/formats.ts`: a route for each, answered after the commit. Knows credentials,
 * bodies and status codes; refuses to know what a format holds, and the portal's users.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { emptyDecoded, refuseMessage, type Decoded } from './decode/decoded.ts';
import { HTTP_FORMATS, type HttpFormat } from './decode/formats.ts';
import type { HttpAnswer, HttpWire, HttpWireMessage } from './decode/wires.ts';
import { countErrors, readBody, takeBodiesAsBytes, type BodyResult } from './http-body.ts';
import { judgeCredential, strangerOf, takeToken } from './http-credential.ts';
import {
  COMMIT_PENDING,
  isAllRefused,
  outcomeBody,
  OutcomeDocument,
  ProblemDocument,
  QUEUE_FULL,
  sendComeAgain,
  sendProblem,
  submitAndWait,
  unknownDevices,
} from './http-submit.ts';
import type { Intake, MessageOutcome, Source } from './intake.ts';
import type { Knock } from './knocking.ts';
import type { IngestMetrics } from './metrics.ts';
import { tenantOf, type Registry, type Sender } from './registry.ts';

/** Bytes of one request's body, compressed or not. */
export const WIRE_BODY_BYTES_MAX = 1024 * 1024;
/** Bytes that a gzip body may unfold to. */
export const WIRE_UNZIPPED_BYTES_MAX = 4 * 1024 * 1024;
/** The same for both, where nothing but a device's name says who is speaking. */
export const UNSIGNED_BODY_BYTES_MAX = 64 * 1024;

export interface WireOptions {
  readonly intake: Pick<Intake, 'submit' | 'isFull'>;
  readonly registry: Registry;
  readonly metrics: Pick<IngestMetrics, 'refused'>;
  /** False while stopping: new requests are told to come again. */
  readonly accepting: () => boolean;
  /** Called for each device that a request speaks for and nobody knows. Must not throw. */
  readonly knock: (knock: Knock) => void;
}

/** All routes as one Fastify plugin; each stands in a scope of its own, because it reads bodies as bytes. */
export function wirePlugins(options: WireOptions): (app: FastifyInstance) => Promise<void> {
  return async (app) => {
    for (const format of HTTP_FORMATS) await app.register(wirePlugin(format, options));
  };
}

function wirePlugin(
  format: HttpFormat,
  options: WireOptions,
): (app: FastifyInstance) => Promise<void> {
  return (app) => {
    const { http } = format;
    const types = http.takesOtherTypes ? [...http.contentTypes, '*'] : http.contentTypes;
    takeBodiesAsBytes(app, types, WIRE_BODY_BYTES_MAX);
    countErrors(app, options.metrics, format.name);
    const door = new Door(format, options);
    for (const method of http.methods) {
      app.route({
        method,
        url: http.path,
        // A HEAD would be stored like a GET, and not be told what became of it.
        exposeHeadRoute: false,
        config: { public: true, rateLimit: false },
        bodyLimit: WIRE_BODY_BYTES_MAX,
        schema: schemaOf(http, method),
        // The decoder is the judge; the schema is for those who read it.
        validatorCompiler: () => () => true,
        onRequest: (request, reply) => door.admit(request, reply),
        handler: (request, reply) => door.handle(request, reply),
      });
    }
    return Promise.resolve();
  };
}

/** A request that is on its way in. */
interface Visitor {
  /** `null`: nobody yet; its body may say who it is. */
  readonly sender: Sender | null;
  /** Without the credential. */
  readonly query: string;
}

/** One format's door. Each request is admitted by its head, and handled once its body is there. */
class Door {
  private readonly format: HttpFormat;
  /** Rejects and metrics name a message's source as the list of formats names it. */
  private readonly source: Source;
  private readonly options: WireOptions;
  private readonly visitors = new WeakMap<FastifyRequest, Visitor>();

  constructor(format: HttpFormat, options: WireOptions) {
    this.format = format;
    this.source = format.name;
    this.options = options;
  }

  /** Turns away whoever bears a wrong credential, or none where one is needed, before the body is read. */
  async admit(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    const { credentials } = this.format.http;
    const { token, rest } = takeToken(queryOf(request));
    const { authorization } = request.headers;
    const verdict = judgeCredential(this.options.registry, credentials, { authorization, token });
    const mayBeUnsigned = verdict === 'none' && credentials.includes('name');
    if (verdict === 'wrong' || (verdict === 'none' && !mayBeUnsigned)) {
      const takesNames = credentials.includes('basic');
      const stranger = takesNames ? strangerOf(this.options.registry, authorization) : null;
      if (stranger !== null) this.knock(stranger, null, request, null);
      return this.refuseToken(reply);
    }
    if (mayBeUnsigned && Number(request.headers['content-length'] ?? 0) > UNSIGNED_BODY_BYTES_MAX) {
      return this.refuseSize(reply);
    }
    this.visitors.set(request, { sender: verdict === 'none' ? null : verdict, query: rest });
    return undefined;
  }

  async handle(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { options } = this;
    const receivedMs = Date.now();
    if (!options.accepting() || options.intake.isFull) {
      options.metrics.refused(this.source, QUEUE_FULL.reason);
      return sendComeAgain(reply, QUEUE_FULL);
    }
    const visitor = this.visitors.get(request)!;
    const bytesMax = visitor.sender === null ? UNSIGNED_BODY_BYTES_MAX : WIRE_UNZIPPED_BYTES_MAX;
    const read = await readBody(request, bytesMax);
    let answered: FastifyReply | Promise<FastifyReply>;
    try {
      answered = this.take(request, reply, read, receivedMs);
    } finally {
      // From here on the intake counts it.
      read.release();
    }
    return answered;
  }

  /** Hands a request that has been read over, or answers it at once. */
  private take(
    request: FastifyRequest,
    reply: FastifyReply,
    read: BodyResult,
    receivedMs: number,
  ): FastifyReply | Promise<FastifyReply> {
    const { options } = this;
    const visitor = this.visitors.get(request)!;
    if (!options.accepting() || options.intake.isFull) {
      // Others were unpacked first.
      options.metrics.refused(this.source, QUEUE_FULL.reason);
      return sendComeAgain(reply, QUEUE_FULL);
    }
    if (visitor.sender === null && read.body.length > UNSIGNED_BODY_BYTES_MAX) {
      return this.refuseSize(reply);
    }
    const signed = this.signedIn(request, visitor, read);
    if (signed === 'wrong') return this.refuseToken(reply);
    const message = this.decode(request, signed, receivedMs);
    const { payload } = signed;
    const sender = signed.sender ?? this.senderByName(message, request, payload);
    if (sender === null) {
      const [first] = message.deviceName === null ? message.decoded.refusals : [];
      return this.refuseUnsigned(reply, first ?? UNKNOWN_DEVICE);
    }
    const { decoded, deviceName } = message;
    for (const name of unknownDevices(options.registry, sender, { decoded, deviceName })) {
      this.knock(name, tenantOf(sender), request, payload);
    }
    const { source } = this;
    const submitted = { source, topic: null, sender, payload, decoded, receivedMs };
    return submitAndWait(options.intake, submitted).then((outcome) => this.answer(reply, outcome));
  }

  /** Takes the credential out of a form, too. What is stored of a request without a body is its query. */
  private signedIn(
    request: FastifyRequest,
    visitor: Visitor,
    read: BodyResult,
  ): SignedIn | 'wrong' {
    const { http } = this.format;
    let { sender } = visitor;
    let result = read;
    const isKeys = contentTypeOf(request) !== 'application/json';
    if (read.ok && isKeys && http.credentials.includes('token_key') && read.body.length > 0) {
      const { token, rest } = takeToken(read.body.toString('latin1'));
      result = { ok: true, body: Buffer.from(rest, 'latin1') };
      if (sender === null && token !== null) {
        sender = this.options.registry.senderOf(token);
        if (sender === null) return 'wrong';
      }
    }
    const isQuery = result.body.length === 0 || (isKeys && visitor.query !== '');
    const payload = isQuery ? Buffer.from(visitor.query) : result.body;
    return { sender, read: result, query: visitor.query, payload };
  }

  private decode(
    request: FastifyRequest,
    { sender, read, query }: SignedIn,
    nowMs: number,
  ): HttpWireMessage {
    if (!read.ok) return { deviceName: null, decoded: refusedWhole(read.reason, read.detail) };
    return this.format.http.decode({
      query,
      contentType: contentTypeOf(request),
      header: (name) => {
        const value = request.headers[name];
        return Array.isArray(value) ? value[0] : value;
      },
      body: read.body,
      mustNameDevice: sender?.kind !== 'device',
      nowMs,
    });
  }

  /** The device that the message names, where it may sign in without a secret. */
  private senderByName(
    { deviceName }: HttpWireMessage,
    request: FastifyRequest,
    payload: Buffer,
  ): Sender | null {
    if (deviceName === null) return null;
    const checked = this.options.registry.checkName(deviceName);
    if (checked.ok) return { kind: 'device', device: checked.device };
    if (checked.reason === 'unknown_device') this.knock(deviceName, null, request, payload);
    return null;
  }

  private knock(
    deviceName: string,
    tenantId: number | null,
    request: FastifyRequest,
    payload: Buffer | null,
  ): void {
    const protocol = this.source;
    this.options.knock({ protocol, deviceName, tenantId, payload, remoteAddress: request.ip });
  }

  private answer(reply: FastifyReply, outcome: MessageOutcome | null): FastifyReply {
    const { answer, status: refusedStatus } = this.format.http;
    if (outcome === null || !outcome.stored) {
      this.options.metrics.refused(this.source, COMMIT_PENDING.reason);
      return sendComeAgain(reply, COMMIT_PENDING);
    }
    const [first] = isAllRefused(outcome) ? outcome.refused : [];
    const status = first === undefined ? 200 : statusFor(first, refusedStatus);
    if (first === undefined || status === 200 || answer === 'counts') {
      return sendAnswer(reply.code(status), answer, outcome);
    }
    return sendProblem(reply, status, first.reason, first.detail);
  }

  private refuseToken(reply: FastifyReply): FastifyReply {
    this.options.metrics.refused(this.source, BAD_TOKEN.reason);
    const usesBasic = this.format.http.credentials.includes('basic');
    reply.header('www-authenticate', usesBasic ? 'Basic realm="Milepost"' : 'Bearer');
    return sendProblem(reply, 401, BAD_TOKEN.reason, BAD_TOKEN.detail);
  }

  private refuseSize(reply: FastifyReply): FastifyReply {
    this.options.metrics.refused(this.source, TOO_LARGE.reason);
    return sendProblem(reply, 413, TOO_LARGE.reason, TOO_LARGE.detail);
  }

  /** Nothing is kept of what nobody vouches for. */
  private refuseUnsigned(
    reply: FastifyReply,
    why: { readonly reason: string; readonly detail: string },
  ): FastifyReply {
    this.options.metrics.refused(this.source, why.reason);
    return sendProblem(reply, 400, why.reason, why.detail);
  }
}

interface SignedIn {
  readonly sender: Sender | null;
  readonly read: BodyResult;
  readonly query: string;
  /** What is kept of the request when it is refused. */
  readonly payload: Buffer;
}

const BAD_TOKEN = {
  reason: 'bad_token',
  detail: 'the token of a device or gateway is required',
};
const TOO_LARGE = {
  reason: 'body_too_large',
  detail: `without a token a body has at most ${UNSIGNED_BODY_BYTES_MAX} bytes`,
};
/** Says the same of a device that needs a token, so that names cannot be tried out. */
const UNKNOWN_DEVICE = {
  reason: 'unknown_device',
  detail: 'no device of this name may speak without a token',
};

function statusFor(
  { reason, index }: { reason: string; index: number },
  status: HttpWire['status'],
): number {
  if (reason === 'unknown_device' || reason === 'device_missing') return status.unknownDevice;
  return index === -1 ? status.malformed : status.refused;
}

function sendAnswer(
  reply: FastifyReply,
  answer: HttpAnswer,
  outcome: MessageOutcome,
): FastifyReply {
  if (answer === 'empty') return reply.send();
  return answer === 'empty_list'
    ? reply.type('application/json').send('[]')
    : reply.send(outcomeBody(outcome));
}

function queryOf(request: FastifyRequest): string {
  const { url = '' } = request.raw;
  const start = url.indexOf('?');
  return start < 0 ? '' : url.slice(start + 1);
}

function contentTypeOf(request: FastifyRequest): string {
  return (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
}

function refusedWhole(reason: string, detail: string): Decoded {
  const decoded = emptyDecoded();
  refuseMessage(decoded, reason, detail);
  return decoded;
}

const ANSWERS: Readonly<Record<HttpAnswer, object>> = {
  empty: { description: 'Committed', type: 'null' },
  empty_list: Type.Array(Type.Unknown(), { description: 'Committed', maxItems: 0 }),
  counts: OutcomeDocument,
};

function schemaOf({ operation, answer, contentTypes }: HttpWire, method: 'GET' | 'POST'): object {
  const { name, summary, description, query } = operation;
  const verb = method.toLowerCase();
  const keys = Object.entries(query ?? {}).map(([key, what]) => [
    key,
    Type.Optional(Type.String({ description: what })),
  ]);
  return {
    operationId: `${verb}${name[0]!.toUpperCase()}${name.slice(1)}`,
    tags: ['telemetry'],
    summary,
    description,
    querystring: Type.Object(Object.fromEntries(keys), { additionalProperties: true }),
    ...(method === 'POST' ? { consumes: contentTypes, body: Type.Unknown() } : {}),
    response: {
      200: ANSWERS[answer],
      ...(answer === 'counts' ? { 422: OutcomeDocument } : {}),
      '4xx': ProblemDocument,
      '5xx': ProblemDocument,
    },
  };
}
