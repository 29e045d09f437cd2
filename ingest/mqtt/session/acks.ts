/**
 * The publishes of one connection that wait for their ack. Knows the order they came in and gives their outcomes out in
 * that order [MQTT-4.6.0-2, -3], whatever order they are settled in; refuses to know bytes.
 *
 * States of an entry: `waiting` → (settle) `settled` → (it and all before it are settled) given out and forgotten.
 */
import assert from 'node:assert/strict';
import type { PublishOutcome, Receipt } from '../sink.ts';

/** Whom an ack goes back to when its publish is settled. */
export interface AckOwner {
  settled(ack: PendingAck, outcome: PublishOutcome): void;
}

/**
 * One publish that waits: its identifier, and its outcome once there is one. All that is kept of it until then; of a connection
 * that is gone, nothing else.
 */
export class PendingAck implements Receipt {
  readonly packetId: number;
  readonly qos: 1 | 2;
  /** `null`: its connection is gone, and nobody is told. */
  owner: AckOwner | null;
  outcome: PublishOutcome | null = null;
  next: PendingAck | null = null;

  constructor(packetId: number, qos: 1 | 2, owner: AckOwner) {
    this.packetId = packetId;
    this.qos = qos;
    this.owner = owner;
  }

  settled(outcome: PublishOutcome): void {
    this.owner?.settled(this, outcome);
  }
}

export class Acks {
  readonly #give: (ack: PendingAck, outcome: PublishOutcome) => void;
  #first: PendingAck | null = null;
  #last: PendingAck | null = null;
  #count = 0;

  constructor(give: (ack: PendingAck, outcome: PublishOutcome) => void) {
    this.#give = give;
  }

  /** Publishes received and not yet acknowledged, settled ones behind an unsettled one included. */
  get count(): number {
    return this.#count;
  }

  /** Takes a place in the order. An identifier that is still in use takes a second place, and gets a second ack. */
  add(entry: PendingAck): void {
    if (this.#last === null) this.#first = entry;
    else this.#last.next = entry;
    this.#last = entry;
    this.#count++;
  }

  /** Forgets all that wait: their outcomes will go to nobody. */
  abandon(): void {
    for (let entry = this.#first; entry !== null;) {
      const { next } = entry;
      entry.owner = null;
      entry.next = null;
      entry = next;
    }
    this.#first = this.#last = null;
    this.#count = 0;
  }

  /** Notes the outcome, and gives out every outcome that nothing unsettled stands before. Once per entry. */
  settle(entry: PendingAck, outcome: PublishOutcome): void {
    assert.ok(entry.outcome === null, 'a publish was settled twice');
    entry.outcome = outcome;
    while (this.#first !== null && this.#first.outcome !== null) {
      const first = this.#first;
      this.#first = first.next;
      if (this.#first === null) this.#last = null;
      this.#count--;
      this.#give(first, first.outcome!);
    }
  }
}
