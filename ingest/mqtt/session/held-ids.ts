/**
 * The receiving half of quality of service 2 (section 4.3.3): which packet identifiers a session holds between PUBLISH
 * and PUBREL, over connections. Knows identifiers and outcomes; refuses to know packets and what was published.
 *
 * States of an identifier: absent → (hold) `committing`, with all who wait for its PUBREC → (settled: stored) `recorded`
 * → (release) absent. One whose publish was refused to a 5.0 client, or cannot be stored, is absent again at once: a
 * PUBREC of 0x80 or above, or none, ends the exchange.
 */
import type { PublishOutcome } from '../sink.ts';

/** A PUBLISH that waits for its PUBREC. */
export interface Waiter {
  /** Whether a refusal ends the exchange for it: it does in 5.0. */
  readonly endsOnReject: boolean;
  settled(outcome: PublishOutcome): void;
}

/** What a PUBREL found. */
export type Release = 'released' | 'unknown' | 'committing';

export class HeldIds {
  /** `null`: recorded. */
  readonly #ids = new Map<number, Waiter[] | null>();

  get size(): number {
    return this.#ids.size;
  }

  /** Where the identifier is in its exchange. */
  stateOf(packetId: number): 'absent' | 'committing' | 'recorded' {
    const waiters = this.#ids.get(packetId);
    if (waiters === undefined) return 'absent';
    return waiters === null ? 'recorded' : 'committing';
  }

  /** Begins an exchange. */
  hold(packetId: number, waiter: Waiter): void {
    this.#ids.set(packetId, [waiter]);
  }

  /** Adds a repeated PUBLISH to one that is committing. */
  wait(packetId: number, waiter: Waiter): void {
    this.#ids.get(packetId)?.push(waiter);
  }

  /** Notes what became of the publish, and tells all who wait. */
  settle(packetId: number, outcome: PublishOutcome): void {
    const waiters = this.#ids.get(packetId) ?? [];
    const isOver =
      outcome.kind === 'unavailable' ||
      (outcome.kind === 'rejected' && waiters.some((waiter) => waiter.endsOnReject));
    if (isOver) this.#ids.delete(packetId);
    else if (waiters.length > 0) this.#ids.set(packetId, null);
    for (const waiter of waiters) waiter.settled(outcome);
  }

  /** Ends an exchange that is recorded. */
  release(packetId: number): Release {
    const state = this.stateOf(packetId);
    if (state === 'absent') return 'unknown';
    if (state === 'committing') return state;
    this.#ids.delete(packetId);
    return 'released';
  }
}
