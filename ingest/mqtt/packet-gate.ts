/**
 * Cuts the bytes of one socket into whole MQTT packets, and stops at the fixed header of a packet that is too large.
 * Knows type byte and remaining length; refuses to know what is in a packet.
 *
 * The codec that comes after it buffers whatever length a header declares (up to 256 MB), so the length is judged here.
 * A packet that lies in one chunk is not copied. One that does not is gathered in a buffer that doubles with the bytes
 * that have come, never with the bytes that were promised: a header alone reserves nothing, and a packet sent byte by
 * byte costs no more than twice its size.
 *
 * States: `between packets` → (push) → `in a chunk` → (next: 'packet') … → (next: 'more') → `between packets` or
 * `gathering`; after 'malformed' or 'too_large' the gate is spent and answers the same for ever.
 */

/** What `next` found. After `packet`, the fields of the gate describe it until the following call. */
export type GateResult = 'packet' | 'more' | 'malformed' | 'too_large';

const FIXED_HEADER_BYTES_MAX = 5;
const GATHER_BYTES_MIN = 512;
const NO_BYTES = Buffer.alloc(0);

export class PacketGate {
  /** Largest packet in bytes, fixed header included. May be raised between packets. */
  packetBytesMax: number;
  /** The buffer the packet lies in; `start` is its first byte, `bodyStart` the first after the fixed header. */
  buffer: Buffer = NO_BYTES;
  start = 0;
  bodyStart = 0;
  end = 0;

  #chunk: Buffer = NO_BYTES;
  #offset = 0;
  #gathered: Buffer = NO_BYTES;
  #gatheredBytes = 0;
  #spent: 'malformed' | 'too_large' | null = null;

  constructor(packetBytesMax: number) {
    this.packetBytesMax = packetBytesMax;
  }

  /** Bytes held that are not yet a packet that was given out. */
  get heldBytes(): number {
    return this.#gatheredBytes + this.#chunk.length - this.#offset;
  }

  /** Gives the gate the next bytes of the socket; they stand behind what it still holds. */
  push(chunk: Buffer): void {
    const unread = this.#chunk.length - this.#offset;
    this.#chunk = unread === 0 ? chunk : Buffer.concat([this.#chunk.subarray(this.#offset), chunk]);
    this.#offset = 0;
  }

  /** Finds the next whole packet. Constant time for a packet inside a chunk; no allocation. */
  next(): GateResult {
    if (this.#spent !== null) return this.#spent;
    if (this.#gatheredBytes > 0) return this.#nextGathered();
    const available = this.#chunk.length - this.#offset;
    const total = packetLength(this.#chunk, this.#offset, this.#chunk.length);
    if (total === 'malformed') return this.#spend('malformed');
    if (declaredAtLeast(total) > this.packetBytesMax) return this.#spend('too_large');
    if (total < 0 || total > available) {
      this.#gather(available);
      // Most connections are silent most of the time, and must not keep their last chunk meanwhile.
      this.buffer = NO_BYTES;
      return 'more';
    }
    this.#found(this.#chunk, this.#offset, total);
    this.#offset += total;
    return 'packet';
  }

  /** Forgets what it holds. */
  clear(): void {
    this.#chunk = this.#gathered = this.buffer = NO_BYTES;
    this.#offset = this.#gatheredBytes = 0;
  }

  #nextGathered(): GateResult {
    for (;;) {
      const total = packetLength(this.#gathered, 0, this.#gatheredBytes);
      if (total === 'malformed') return this.#spend('malformed');
      if (declaredAtLeast(total) > this.packetBytesMax) return this.#spend('too_large');
      if (total === this.#gatheredBytes) {
        this.#found(this.#gathered, 0, total);
        // The packet's payload may be kept by others, so the next packet is gathered elsewhere.
        this.#gathered = NO_BYTES;
        this.#gatheredBytes = 0;
        return 'packet';
      }
      // While the length is unknown, one byte at a time, so that no byte of the next packet is taken.
      const wanted = total < 0 ? 1 : total - this.#gatheredBytes;
      const available = this.#chunk.length - this.#offset;
      if (available === 0) return 'more';
      this.#gather(Math.min(wanted, available));
    }
  }

  #gather(byteCount: number): void {
    const needed = this.#gatheredBytes + byteCount;
    if (needed > this.#gathered.length) {
      const size = Math.max(GATHER_BYTES_MIN, needed, 2 * this.#gatheredBytes);
      const grown = Buffer.allocUnsafeSlow(Math.min(size, Math.max(needed, this.packetBytesMax)));
      this.#gathered.copy(grown, 0, 0, this.#gatheredBytes);
      this.#gathered = grown;
    }
    this.#chunk.copy(this.#gathered, this.#gatheredBytes, this.#offset, this.#offset + byteCount);
    this.#gatheredBytes = needed;
    this.#offset += byteCount;
    if (this.#offset === this.#chunk.length) {
      this.#chunk = NO_BYTES;
      this.#offset = 0;
    }
  }

  #found(buffer: Buffer, start: number, total: number): void {
    let bodyStart = start + 2;
    while (buffer[bodyStart - 1]! >= 0x80) bodyStart++;
    this.buffer = buffer;
    this.start = start;
    this.bodyStart = bodyStart;
    this.end = start + total;
  }

  #spend(result: 'malformed' | 'too_large'): GateResult {
    this.#spent = result;
    this.clear();
    return result;
  }
}

/**
 * True when the packet's length is written in more bytes than it needs, which 5.0 forbids [MQTT-1.5.5-1] and 3.1.1 passes
 * over.
 */
export function hasLongLength(
  buffer: Buffer,
  { start, bodyStart }: { readonly start: number; readonly bodyStart: number },
): boolean {
  return bodyStart - start > 2 && buffer[bodyStart - 1] === 0;
}

/**
 * Bytes of the packet at `start`, header included. Negative when the length is not complete yet: then its absolute
 * value is the least that the packet can have by what is known. Section 2.2.3 of 3.1.1, 1.5.5 of 5.0.
 */
function packetLength(buffer: Buffer, start: number, end: number): number | 'malformed' {
  let value = 0;
  let multiplier = 1;
  for (let i = 1; i < FIXED_HEADER_BYTES_MAX; i++) {
    if (start + i >= end) return -(i + 1 + value);
    const byte = buffer[start + i]!;
    value += (byte & 0x7f) * multiplier;
    if (byte < 0x80) return value + i + 1;
    multiplier *= 128;
  }
  return 'malformed';
}

function declaredAtLeast(total: number): number {
  return total < 0 ? -total : total;
}
