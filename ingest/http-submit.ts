/**
 * From an HTTP request to the commit and back: who bears which token, how long a request waits for its commit, and the
 * problem documents it may be answered with. Knows no format and no body.
 */
import { STATUS_CODES } from 'node:http';
import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import type { Decoded } from './decode/decoded.ts';
import type { Intake, IntakeMessage, MessageOutcome } from './intake.ts';
import type { Registry, Sender } from './registry.ts';

/** How long a request waits for its commit before it is told to come again. */
export const COMMIT_WAIT_MS_MAX = 25_000;
/** How soon a request that could not be taken may come again, in seconds. */
export const RETRY_AFTER_S = 2;

/** Why a request is told to come again; nothing of it has been promised. */
export interface ComeAgain {
  readonly reason: string;
  readonly detail: string;
}

export const QUEUE_FULL: ComeAgain = {
  reason: 'queue_full',
  detail: 'the server cannot take more now; nothing was stored',
};

export const COMMIT_PENDING: ComeAgain = {
  reason: 'commit_pending',
  detail: 'not committed yet; send it again, repeats are no harm',
};

/** RFC 9457, for the descriptions of routes. */
export const ProblemDocument = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    code: Type.String(),
  },
  { additionalProperties: true },
);

/** What became of a message's records, for the descriptions of routes. */
export const OutcomeDocument = Type.Object(
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

/** The owner of the bearer token in an `Authorization` header; `null` where there is none, or it is nobody's. */
export function bearerOf(registry: Registry, authorization: string | undefined): Sender | null {
  const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  return token === undefined ? null : registry.senderOf(token);
}

/**
 * Hands the message over and waits for its commit; `null` when it did not come in time: the rows may still be stored
 * later, and nothing may be promised.
 */
export function submitAndWait(
  intake: Pick<Intake, 'submit'>,
  message: IntakeMessage,
): Promise<MessageOutcome | null> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(null), COMMIT_WAIT_MS_MAX);
    intake.submit(message, (outcome) => {
      clearTimeout(timer);
      resolve(outcome);
    });
  });
}

/**
 * Names that a gateway's message speaks for and that are not registered for its token, each once: those that knock. A
 * device speaks for itself only, and nobody knocks through it. Costs a look at every row.
 */
export function unknownDevices(
  registry: Pick<Registry, 'resolveDevice'>,
  sender: Sender,
  { decoded, deviceName = null }: { decoded: Decoded; deviceName?: string | null },
): string[] {
  if (sender.kind === 'device') return [];
  const names = new Set([deviceName]);
  const { fixes, readings, events } = decoded;
  for (const rows of [fixes, readings, events]) for (const { device } of rows) names.add(device);
  return [...names].filter((name): name is string => {
    if (name === null) return false;
    const found = registry.resolveDevice(sender, name);
    return !found.ok && found.reason === 'unknown_device';
  });
}

/** What became of a message, as {@link OutcomeDocument}. */
export function outcomeBody({ accepted, duplicates, refused }: MessageOutcome): object {
  return { accepted, duplicates, rejected: refused };
}

/** Whether everything that a message held was refused, and something was. */
export function isAllRefused({ accepted, duplicates, refused }: MessageOutcome): boolean {
  return refused.length > 0 && accepted + duplicates === 0;
}

/** Answers 503 with `Retry-After`. */
export function sendComeAgain(reply: FastifyReply, why: ComeAgain): FastifyReply {
  reply.header('retry-after', RETRY_AFTER_S);
  return sendProblem(reply, 503, why.reason, why.detail);
}

/** Answers with a problem document; its title is the status in words. */
export function sendProblem(
  reply: FastifyReply,
  status: number,
  code: string,
  detail: string,
): FastifyReply {
  const title = STATUS_CODES[status] ?? 'Error';
  return reply
    .code(status)
    .type('application/problem+json')
    .send({ type: 'about:blank', title, status, detail, code });
}
