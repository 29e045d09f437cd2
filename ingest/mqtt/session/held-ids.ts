/**
 * The receiving half of quality of service 2 (section 4.3.3): which packet identifiers a session holds between PUBLISH
 * and PUBREL, over connections. Knows identifiers, outcomes, and a digest of what was published; refuses to know packets.
 *
 * The digest is there for identifiers that come twice. A repeat is to be answered and not stored again; but a client that
 * was restarted and counts its identifiers from the start means a new message by the same one, and some clients (MQTT.js
 * 5.16) do not mark their repeats with DUP. So a repeat is what says so, or what says the same.
 *
 * States of an identifier: absent → (hold) committing, with all who wait for its PUBREC → (settled: stored) recorded
 * → (release) absent. One whose publish was refused to a 5.0 client, or cannot be stored, is absent again at once: a
 * PUBREC of 0x80 or above, or none, ends the exchange.
 */
import type { PublishOutcome } from '../sink.ts';
import type { PendingAck } from './acks.ts';

/** One identifier between PUBLISH and PUBREL. */
export interface Exchange {
  readonly digest: number;
  /** Whether a refusal ends the exchange: it does when one who was to be told speaks 5.0. */
  endsOnReject: boolean;
  /** Who waits for PUBREC; `null`: recorded. */
  waiters: PendingAck[] | null;
}

/** What a PUBREL found. */
export type Release = 'released' | 'unknown' | 'committing';

export class HeldIds {
  readonly #exchanges = new Map<number, Exchange>();

  get size(): number {
    return this.#exchanges.size;
  }

  /** The exchange that a PUBLISH with this identifier repeats, if it is none of its own. */
  repeated(packetId: number, isDup: boolean, digest: number): Exchange | null {
    const exchange = this.#exchanges.get(packetId);
    return exchange !== undefined && (isDup || exchange.digest === digest) ? exchange : null;
  }

  has(packetId: number): boolean {
    return this.#exchanges.has(packetId);
  }

  /** Begins an exchange; one of the same identifier is forgotten. */
  hold(packetId: number, digest: number, waiter: PendingAck, endsOnReject: boolean): Exchange {
    const exchange: Exchange = { digest, endsOnReject, waiters: [waiter] };
    this.#exchanges.set(packetId, exchange);
    return exchange;
  }

  /** One more who waits for the PUBREC of an exchange that is not recorded. Those of connections that are gone are forgotten. */
  join(exchange: Exchange, waiter: PendingAck, endsOnReject: boolean): void {
    const waiting = (exchange.waiters ?? []).filter(({ owner }) => owner !== null);
    exchange.waiters = [...waiting, waiter];
    exchange.endsOnReject ||= endsOnReject;
  }

  /** Notes what became of the publish, and tells all who wait. */
  settle(packetId: number, exchange: Exchange, outcome: PublishOutcome): void {
    const waiters = exchange.waiters ?? [];
    exchange.waiters = null;
    const isOver =
      outcome.kind === 'unavailable' || (outcome.kind === 'rejected' && exchange.endsOnReject);
    if (isOver && this.#exchanges.get(packetId) === exchange) this.#exchanges.delete(packetId);
    for (const waiter of waiters) waiter.settled(outcome);
  }

  /** Ends an exchange that is recorded. */
  release(packetId: number): Release {
    const exchange = this.#exchanges.get(packetId);
    if (exchange === undefined) return 'unknown';
    if (exchange.waiters !== null) return 'committing';
    this.#exchanges.delete(packetId);
    return 'released';
  }
}

/** FNV-1a over topic and payload: enough to tell two messages of one device apart. */
export function digestOf(topic: string, payload: Buffer): number {
  let digest = 0x811c9dc5;
  for (let i = 0; i < topic.length; i++) {
    digest = Math.imul(digest ^ topic.charCodeAt(i), 0x01000193);
  }
  for (let i = 0; i < payload.length; i++) {
    digest = Math.imul(digest ^ payload[i]!, 0x01000193);
  }
  return digest;
}
