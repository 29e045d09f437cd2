/**
 * The messages of one connection that wait for their commit, and the acknowledgements that go out for them: PUBACK for
 * quality of service 1, PUBREC for 2, in the order in which the messages came [MQTT-4.6.0-2, -3]. Refuses to know what
 * a message holds.
 *
 * Acknowledgements are gathered until the running task has ended, because one commit settles thousands of messages.
 *
 * States of a message: waiting → (settle) settled → (it and all before it are settled) acknowledged and forgotten.
 */
import assert from 'node:assert/strict';

const PUBACK = 0x40;
const PUBREC = 0x50;
const ACK_BYTES = 4;

/** One message that waits. */
export interface WaitingMessage {
  readonly packetId: number;
  readonly qos: 0 | 1 | 2;
  settled: boolean;
  next: WaitingMessage | null;
}

export class Acks {
  readonly #write: (bytes: Buffer) => void;
  readonly #packetIds = new Set<number>();
  #first: WaitingMessage | null = null;
  #last: WaitingMessage | null = null;
  #count = 0;
  #due: WaitingMessage[] = [];
  #onIdle: (() => void) | null = null;

  /** `write` sends bytes to the broker. */
  constructor(write: (bytes: Buffer) => void) {
    this.#write = write;
  }

  /** Messages that are not acknowledged, those behind an unsettled one included. */
  get count(): number {
    return this.#count;
  }

  /**
   * Takes a place in the order. `null` when this packet identifier waits already: then it is the same message, sent
   * again on the same connection (NATS does so every 30 s), and its first copy will be acknowledged.
   */
  add(packetId: number, qos: 0 | 1 | 2): WaitingMessage | null {
    if (qos !== 0) {
      if (this.#packetIds.has(packetId)) return null;
      this.#packetIds.add(packetId);
    }
    const message: WaitingMessage = { packetId, qos, settled: false, next: null };
    if (this.#last === null) this.#first = message;
    else this.#last.next = message;
    this.#last = message;
    this.#count++;
    return message;
  }

  /** Its rows are committed. Once per message. */
  settle(message: WaitingMessage): void {
    assert.ok(!message.settled, 'a message was settled twice');
    message.settled = true;
    while (this.#first?.settled === true) {
      const done = this.#first;
      this.#first = done.next;
      if (this.#first === null) this.#last = null;
      this.#count--;
      if (done.qos === 0) continue;
      this.#packetIds.delete(done.packetId);
      if (this.#due.push(done) === 1) process.nextTick(this.flush);
    }
    if (this.#count === 0) this.#onIdle?.();
  }

  /** Calls back once, when no message waits; at once when none does. */
  onceIdle(idle: () => void): void {
    if (this.#count === 0) idle();
    else this.#onIdle = idle;
  }

  /** Sends the acknowledgements that are due. */
  readonly flush = (): void => {
    const due = this.#due;
    if (due.length === 0) return;
    this.#due = [];
    const bytes = Buffer.allocUnsafe(ACK_BYTES * due.length);
    for (let i = 0, offset = 0; i < due.length; i++, offset += ACK_BYTES) {
      bytes[offset] = due[i]!.qos === 1 ? PUBACK : PUBREC;
      bytes[offset + 1] = 2;
      bytes.writeUInt16BE(due[i]!.packetId, offset + 2);
    }
    this.#write(bytes);
  };
}
