/**
 * `Idempotency-Key`: the same request, sent again under the same key, gets the answer of the first time and is not done
 * again. Key and work commit together, so there is no moment at which one is known without the other. Two at once take
 * turns: the second waits for the first to commit. An answer that was an error is not kept, for nothing was done.
 */
import { createHash } from 'node:crypto';
import { sql } from 'drizzle-orm';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { fieldProblem } from '../problem.ts';
import { run, type Work } from './store.ts';

/** Hours that an answer is kept. */
export const IDEMPOTENCY_AGE_H_MAX = 24;
/** Characters of a key. */
export const IDEMPOTENCY_KEY_LENGTH_MAX = 255;
/** Keys of the tenant that are past their time and forgotten with each new one. */
const FORGOTTEN_AT_ONCE_MAX = 100;
/** The header of an answer that was kept. */
const REPLAYED = 'idempotency-replayed';

/** The header, for schemas. Other headers are let through. */
export const idempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: IDEMPOTENCY_KEY_LENGTH_MAX,
      pattern: '^[\\x21-\\x7e]+$',
      description: `Chosen by the caller, such as a UUID. For ${IDEMPOTENCY_AGE_H_MAX} h the same request under the same key is answered as the first time.`,
    }),
  ),
});

/** What is sent. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** Whether an answer is that of an earlier request. */
export function isReplayed({ headers }: Answer): boolean {
  return headers[REPLAYED] !== undefined;
}

/**
 * Does the work, unless it was done under the request's key already. Throws 422 for a key of another request. `said` is
 * what the request asks for beside its address: JSON.
 */
export async function onceOnly(
  work: Work,
  request: FastifyRequest,
  act: () => Promise<Answer>,
  said: unknown = request.body,
): Promise<Answer> {
  const key = request.headers['idempotency-key'] as string | undefined;
  if (key === undefined) return act();
  const hash = hashOf(request, said);
  const { customerId } = work.principal.tenant;
  const mine = sql`customer_id = ${customerId} and user_id = ${work.principal.userId} and idempotency_key = ${key}`;
  const old = sql`created_at < now() - make_interval(hours => ${IDEMPOTENCY_AGE_H_MAX}::int)`;
  await run(work.client, sql`delete from idempotency_key where ${mine} and ${old}`);
  const [made] = await run(
    work.client,
    sql`insert into idempotency_key (customer_id, user_id, idempotency_key, request_hash, response_status)
      values (${customerId}, ${work.principal.userId}, ${key}, ${hash}, 200) on conflict do nothing returning true`,
  );
  if (!made) return replay(work, mine, hash);
  const answer = await act();
  await run(
    work.client,
    sql`update idempotency_key set response_status = ${answer.status},
      response_headers = ${JSON.stringify(answer.headers)}::jsonb, response_body = ${JSON.stringify(answer.body)}::jsonb
      where ${mine}`,
  );
  await run(
    work.client,
    sql`delete from idempotency_key where ctid in (
      select ctid from idempotency_key where customer_id = ${customerId} and ${old} limit ${FORGOTTEN_AT_ONCE_MAX})`,
  );
  return answer;
}

async function replay(work: Work, mine: ReturnType<typeof sql>, hash: Buffer): Promise<Answer> {
  const [kept] = await run(
    work.client,
    sql`select request_hash, response_status, response_headers, response_body from idempotency_key where ${mine}`,
  );
  if (!kept || !hash.equals(kept['request_hash'] as Buffer)) {
    throw fieldProblem(
      'unprocessable',
      'header',
      '/idempotency-key',
      'was used for another request; take a new one',
    );
  }
  return {
    status: kept['response_status'] as number,
    headers: {
      ...(kept['response_headers'] as Record<string, string>),
      [REPLAYED]: 'true',
    },
    body: kept['response_body'],
  };
}

function hashOf({ method, routeOptions, params }: FastifyRequest, said: unknown): Buffer {
  const whole = JSON.stringify([method, routeOptions.url, params, said]);
  return createHash('sha256').update(whole).digest();
}
