/**
 * A broker's bytes as MQTT packets: where each one ends, and what a PUBLISH holds (section 3.3 of 3.1.1 and 5.0). Refuses
 * to know sockets, sessions and topics.
 *
 * A packet over the limit is never gathered. If it is a PUBLISH its first bytes are given out, marked as cut, and the
 * rest is thrown away as it comes: so it can be refused by name and acknowledged, where closing the connection would
 * make the broker send it again for ever. Memory follows the bytes that have come, not those a header promises.
 */

const PUBLISH = 3;
const FIXED_HEADER_BYTES_MIN = 2;
const FIXED_HEADER_BYTES_MAX = 5;
/** Pieces of one packet that wait before they are joined: a packet sent byte by byte must not cost an object each. */
const PIECES_MAX = 1_024;
const NO_BYTES = Buffer.alloc(0);

/** Cuts packets from a stream. States: `gathering` → (next: 'packet') … → `gathering`; 'malformed' is the end of it. */
export class PacketCutter {
  /** After 'packet': the packet's bytes, its body behind `bodyStart`, and its whole length. */
  packet: Buffer = NO_BYTES;
  bodyStart = 0;
  lengthBytes = 0;

  readonly #packetBytesMax: number;
  #head: Buffer = NO_BYTES;
  #offset = 0;
  #pieces: Buffer[] = [];
  #pieceBytes = 0;
  #wantedBytes = FIXED_HEADER_BYTES_MIN;
  #skipBytes = 0;

  /** `packetBytesMax`: most bytes of one packet that are kept, fixed header included; at least 5. */
  constructor(packetBytesMax: number) {
    this.#packetBytesMax = packetBytesMax;
  }

  /** Packet type of `packet`, 1 to 15. */
  get type(): number {
    return this.packet[0]! >> 4;
  }

  /** True when the packet was over the limit and `packet` holds its first bytes alone. */
  get isCut(): boolean {
    return this.lengthBytes > this.packet.length;
  }

  /** The stream's next bytes. */
  push(chunk: Buffer): void {
    const skipped = Math.min(this.#skipBytes, chunk.length);
    this.#skipBytes -= skipped;
    if (skipped === chunk.length) return;
    const bytes = skipped === 0 ? chunk : chunk.subarray(skipped);
    if (this.#head.length === this.#offset && this.#pieces.length === 0) {
      this.#head = bytes;
      this.#offset = 0;
      return;
    }
    this.#pieces.push(bytes);
    this.#pieceBytes += bytes.length;
    if (this.#pieces.length === PIECES_MAX) this.#join();
  }

  /** Finds the next packet; a packet within one chunk is not copied. */
  next(): 'packet' | 'more' | 'malformed' {
    for (;;) {
      const available = this.#head.length - this.#offset + this.#pieceBytes;
      if (available < this.#wantedBytes) return 'more';
      if (this.#head.length - this.#offset < this.#wantedBytes) this.#join();
      const length = this.#readLength();
      if (length === null) return 'malformed';
      if (length === 0) continue;
      const isTooLong = length > this.#packetBytesMax;
      if (isTooLong && this.#head[this.#offset]! >> 4 !== PUBLISH) return 'malformed';
      this.#wantedBytes = Math.min(length, this.#packetBytesMax);
      if (available < this.#wantedBytes) return 'more';
      if (this.#head.length - this.#offset < this.#wantedBytes) this.#join();
      this.#take(length);
      return 'packet';
    }
  }

  /** Bytes of the packet at the front; 0 when more bytes are needed to tell, which `wantedBytes` then asks for. */
  #readLength(): number | null {
    let value = 0;
    let factor = 1;
    for (let i = 1; i < FIXED_HEADER_BYTES_MAX; i++) {
      if (this.#offset + i >= this.#head.length) {
        this.#wantedBytes = i + 1;
        return 0;
      }
      const byte = this.#head[this.#offset + i]!;
      value += (byte & 0x7f) * factor;
      factor *= 128;
      if (byte < 0x80) {
        this.bodyStart = i + 1;
        return value + i + 1;
      }
    }
    return null;
  }

  #take(lengthBytes: number): void {
    const end = this.#offset + this.#wantedBytes;
    this.packet = this.#head.subarray(this.#offset, end);
    this.lengthBytes = lengthBytes;
    this.#offset = end;
    this.#wantedBytes = FIXED_HEADER_BYTES_MIN;
    if (!this.isCut) return;
    // What has come of the rest is in the head and in the pieces.
    this.#join();
    const rest = lengthBytes - this.packet.length;
    const skipped = Math.min(rest, this.#head.length);
    this.#offset = skipped;
    this.#skipBytes = rest - skipped;
  }

  #join(): void {
    this.#head = Buffer.concat([this.#head.subarray(this.#offset), ...this.#pieces]);
    this.#offset = this.#pieceBytes = 0;
    this.#pieces = [];
  }
}

/** One PUBLISH from the broker. */
export interface Publish {
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  /** 0 with quality of service 0. */
  readonly packetId: number;
  /** A view of the bytes that were read. Of a cut packet: the beginning. */
  readonly payload: Buffer;
}

/**
 * Reads a PUBLISH, or the beginning of one that was cut: its properties may be what makes it so long, and it is to be
 * refused by name all the same. `null` when the bytes are none, or when it names its topic by an alias, which nobody
 * allowed the broker to do. Bytes of the topic that are no UTF-8 come out as U+FFFD.
 */
export function readPublish(
  { packet, bodyStart, isCut }: Pick<PacketCutter, 'packet' | 'bodyStart' | 'isCut'>,
  isVersion5: boolean,
): Publish | null {
  const qos = (packet[0]! >> 1) & 3;
  if (qos === 3 || bodyStart + 2 > packet.length) return null;
  const topicEnd = bodyStart + 2 + packet.readUInt16BE(bodyStart);
  let offset = topicEnd + (qos === 0 ? 0 : 2);
  if (topicEnd === bodyStart + 2 || offset > packet.length) return null;
  const packetId = qos === 0 ? 0 : packet.readUInt16BE(topicEnd);
  if (qos !== 0 && packetId === 0) return null;
  if (isVersion5) {
    const payloadStart = afterProperties(packet, offset);
    if (payloadStart === null || (payloadStart > packet.length && !isCut)) return null;
    offset = payloadStart;
  }
  const topic = packet.toString('utf8', bodyStart + 2, topicEnd);
  return { topic, qos: qos as 0 | 1 | 2, packetId, payload: packet.subarray(offset) };
}

/** Where the properties end, which may be behind the packet; `null` when their length has no end. */
function afterProperties(packet: Buffer, start: number): number | null {
  let length = 0;
  let factor = 1;
  for (let i = start; i < Math.min(start + 4, packet.length); i++) {
    const byte = packet[i]!;
    length += (byte & 0x7f) * factor;
    factor *= 128;
    if (byte < 0x80) return i + 1 + length;
  }
  return null;
}
