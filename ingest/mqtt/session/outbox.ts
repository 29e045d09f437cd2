/**
 * What goes out on one socket. Knows the order of writes, how many bytes the client has not taken, and the largest
 * packet it accepts; refuses to know why a packet is sent.
 *
 * Acks are gathered until the running task has ended: a commit settles thousands of publishes in one go, and they leave
 * in one write. The bound is on what Node holds for the socket; a client that never reads cannot make it grow.
 */
import type { Socket } from 'node:net';

const PUBACK = 0x40;
const PUBACK_BYTES = 4;

export class Outbox {
  /** Largest packet the client takes; a larger one is dropped unsent [MQTT-3.1.2-24, -25]. */
  packetBytesMax = Infinity;

  readonly #socket: Socket;
  readonly #writeBufferBytesMax: number;
  readonly #onOverflow: () => void;
  #packetIds: number[] = [];

  /** `onOverflow` is called when more than `writeBufferBytesMax` wait; it should destroy the socket. */
  constructor(socket: Socket, writeBufferBytesMax: number, onOverflow: () => void) {
    this.#socket = socket;
    this.#writeBufferBytesMax = writeBufferBytesMax;
    this.#onOverflow = onOverflow;
  }

  /** A PUBACK for success: four bytes in both versions, as 5.0 may leave out reason code 0. */
  puback(packetId: number): void {
    if (this.#packetIds.push(packetId) === 1) process.nextTick(this.flush);
  }

  /** Any other packet, after the acks that were given before it. */
  packet(bytes: Buffer): void {
    this.flush();
    if (bytes.length <= this.packetBytesMax) this.#write(bytes);
  }

  /** Writes the acks that wait. */
  readonly flush = (): void => {
    const packetIds = this.#packetIds;
    if (packetIds.length === 0) return;
    this.#packetIds = [];
    const bytes = Buffer.allocUnsafe(PUBACK_BYTES * packetIds.length);
    for (let i = 0, offset = 0; i < packetIds.length; i++, offset += PUBACK_BYTES) {
      bytes[offset] = PUBACK;
      bytes[offset + 1] = 2;
      bytes.writeUInt16BE(packetIds[i]!, offset + 2);
    }
    this.#write(bytes);
  };

  #write(bytes: Buffer): void {
    if (!this.#socket.writable) return;
    this.#socket.write(bytes);
    if (this.#socket.writableLength > this.#writeBufferBytesMax) this.#onOverflow();
  }
}
