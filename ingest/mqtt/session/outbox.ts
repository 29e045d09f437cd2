/**
 * What goes out on one connection. Knows the order of writes, how many bytes the client has not taken, and the largest
 * packet it accepts; refuses to know why a packet is sent.
 *
 * Acks are gathered until the running task has ended: a commit settles thousands of publishes in one go, and those of
 * one connection leave in one write. The bound is on what Node holds for the stream; a client that never reads cannot
 * make it grow.
 */
import type { Duplex } from 'node:stream';

/** First bytes of the four-byte packets that acknowledge with success. */
export const PUBACK_BYTE = 0x40;
export const PUBREC_BYTE = 0x50;
export const PUBREL_BYTE = 0x62;
export const PUBCOMP_BYTE = 0x70;

const ACK_BYTES = 4;

/** Flushes, in one go at the end of the running task, every outbox that gathered acks in it. */
export class Flusher {
  #outboxes: Outbox[] = [];

  add(outbox: Outbox): void {
    if (this.#outboxes.push(outbox) === 1) process.nextTick(this.#flush);
  }

  readonly #flush = (): void => {
    const outboxes = this.#outboxes;
    this.#outboxes = [];
    for (const outbox of outboxes) outbox.flush();
  };
}

export class Outbox {
  /** Largest packet the client takes; a larger one is dropped unsent [MQTT-3.1.2-24, -25]. */
  packetBytesMax = Infinity;
  /** Packets given to `packet`, acks not among them. */
  packetCount = 0;

  readonly #stream: Duplex;
  readonly #flusher: Flusher;
  readonly #writeBufferBytesMax: number;
  readonly #owner: { outboxOverflowed(): void };
  /** First byte and packet identifier of each ack that waits. */
  #acks: number[] | null = null;

  /** `outboxOverflowed` is called when more than `writeBufferBytesMax` wait; it should destroy the stream. */
  constructor(
    stream: Duplex,
    flusher: Flusher,
    writeBufferBytesMax: number,
    owner: { outboxOverflowed(): void },
  ) {
    this.#stream = stream;
    this.#flusher = flusher;
    this.#writeBufferBytesMax = writeBufferBytesMax;
    this.#owner = owner;
  }

  /** An ack for success: four bytes in both versions, as 5.0 may leave out reason code 0. */
  ack(firstByte: number, packetId: number): void {
    const ack = (firstByte << 16) | packetId;
    if (this.#acks !== null) {
      this.#acks.push(ack);
      return;
    }
    this.#acks = [ack];
    this.#flusher.add(this);
  }

  /** Any other packet, after the acks that were given before it. False: it is larger than the client takes. */
  packet(bytes: Buffer): boolean {
    this.packetCount++;
    if (bytes.length > this.packetBytesMax) return false;
    this.flush();
    this.#write(bytes);
    return true;
  }

  /** Writes the acks that wait. */
  flush(): void {
    const acks = this.#acks;
    if (acks === null) return;
    this.#acks = null;
    const bytes = Buffer.allocUnsafe(ACK_BYTES * acks.length);
    for (let i = 0, offset = 0; i < acks.length; i++, offset += ACK_BYTES) {
      const ack = acks[i]!;
      bytes[offset] = ack >> 16;
      bytes[offset + 1] = 2;
      bytes[offset + 2] = (ack >> 8) & 0xff;
      bytes[offset + 3] = ack & 0xff;
    }
    this.#write(bytes);
  }

  #write(bytes: Buffer): void {
    if (!this.#stream.writable) return;
    this.#stream.write(bytes);
    if (this.#stream.writableLength > this.#writeBufferBytesMax) this.#owner.outboxOverflowed();
  }
}
