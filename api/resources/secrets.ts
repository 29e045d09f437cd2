/**
 * What is shown in the answer that makes a row and never again. It goes from the maker to the reply past the answer that is
 * kept for its `Idempotency-Key`, so the database has it in no form but that of the row's own hash.
 */
import type { FastifyReply } from 'fastify';
import type { BulkAnswer } from './bulk.ts';
import type { Row } from './define.ts';
import type { Answer } from './idempotency.ts';
import type { Resource } from './resource.ts';

export class Secrets {
  readonly #none: Row;
  /** By the index of the item; 0 for a row that was made alone. */
  readonly #byIndex = new Map<number, Row>();

  constructor({ secrets }: Resource) {
    this.#none = Object.fromEntries(Object.keys(secrets).map((name) => [name, null]));
  }

  note(index: number, secrets: Row | null): void {
    if (secrets !== null) this.#byIndex.set(index, secrets);
  }

  /** Sends one row; in an answer that is given again its secrets are null. */
  sendRow(reply: FastifyReply, answer: Answer): FastifyReply {
    return this.#send(reply, answer, {
      ...(answer.body as Row),
      ...this.#none,
      ...this.#byIndex.get(0),
    });
  }

  /** Sends the results of many; in those that are given again no secret is there. */
  sendResults(reply: FastifyReply, answer: Answer): FastifyReply {
    const { results, ...counts } = answer.body as BulkAnswer;
    const told = results.map((result) => ({ ...result, ...this.#byIndex.get(result.index) }));
    return this.#send(reply, answer, { ...counts, results: told });
  }

  #send(reply: FastifyReply, { status, headers }: Answer, body: unknown): FastifyReply {
    if (this.#byIndex.size > 0) reply.header('cache-control', 'no-store');
    return reply.code(status).headers(headers).send(body);
  }
}
