/**
 * Cuts the bytes of one socket into the login and the frames behind it, and stops at the first bytes that can be
 * neither. Knows lengths; refuses to know what is in a frame, its CRC included.
 *
 * A frame that lies in one chunk is not copied. Others are gathered in a buffer that doubles with the bytes that have
 * come, never with the bytes that were promised: a length alone reserves nothing.
 *
 * States: `login` → (next: 'login') → `frames`; after a fault the gate is spent and answers the same for ever.
 */
import {
  FRAME_DATA_BYTES_MIN,
  FRAME_HEAD_BYTES,
  FRAME_OVERHEAD_BYTES,
} from '../decode/teltonika.ts';

/** Why the bytes cannot be cut: a stable code, and a sentence for people. */
export interface GateFault {
  readonly reason: string;
  readonly detail: string;
}

/** What `next` found. After 'login' and 'frame' the gate's `bytes` are it, until the following call. */
export type GateResult = 'login' | 'frame' | 'more' | GateFault;

/** What a device sends to keep its connection, between frames; it stands for nothing. */
const PING = 0xff;
const GATHER_BYTES_MIN = 256;
const NO_BYTES = Buffer.alloc(0);

export class FrameGate {
  /** The login's name, or the whole frame; a view of the read buffer. */
  bytes: Buffer = NO_BYTES;

  readonly #loginBytesMax: number;
  readonly #frameBytesMax: number;
  #buffer: Buffer = NO_BYTES;
  #start = 0;
  #end = 0;
  #signedIn = false;
  #fault: GateFault | null = null;

  constructor(limits: { readonly loginBytesMax: number; readonly frameBytesMax: number }) {
    this.#loginBytesMax = limits.loginBytesMax;
    this.#frameBytesMax = limits.frameBytesMax;
  }

  /** Bytes held that were not given out: the beginning of a login or frame, or whole ones behind it. */
  get heldBytes(): number {
    return this.#end - this.#start;
  }

  /** The first bytes that are held, at most so many; for those who keep what was refused. */
  held(bytesMax: number): Buffer {
    return this.#buffer.subarray(this.#start, Math.min(this.#end, this.#start + bytesMax));
  }

  /** Gives the gate the next bytes of the socket; they stand behind what it still holds. */
  push(chunk: Buffer): void {
    const held = this.heldBytes;
    if (held === 0) {
      this.#buffer = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      return;
    }
    // Only what lies behind the end is written to: what was given out stays as it is.
    if (this.#end + chunk.length > this.#buffer.length) {
      const size = Math.max(GATHER_BYTES_MIN, held + chunk.length, 2 * held);
      const grown = Buffer.allocUnsafeSlow(size);
      this.#buffer.copy(grown, 0, this.#start, this.#end);
      this.#buffer = grown;
      this.#start = 0;
      this.#end = held;
    }
    chunk.copy(this.#buffer, this.#end);
    this.#end += chunk.length;
  }

  /** Finds the login, and then frame after frame. Pings are passed over. */
  next(): GateResult {
    if (this.#fault !== null) return this.#fault;
    while (this.#start < this.#end && this.#buffer[this.#start] === PING) this.#start++;
    const found = this.#signedIn ? this.#frame() : this.#login();
    if (typeof found !== 'string') this.#fault = found;
    return found;
  }

  #login(): GateResult {
    if (this.heldBytes < 2) return 'more';
    const byteCount = this.#buffer.readUInt16BE(this.#start);
    if (byteCount === 0 || byteCount + 2 > this.#loginBytesMax) {
      const detail = `a login of ${byteCount} bytes; 1 to ${this.#loginBytesMax - 2} can be one`;
      return { reason: 'login_malformed', detail };
    }
    if (this.heldBytes < byteCount + 2) return 'more';
    const name = this.#buffer.subarray(this.#start + 2, this.#start + 2 + byteCount);
    if (!name.every((byte) => byte > 0x20 && byte < 0x7f)) {
      return { reason: 'login_malformed', detail: 'the login is not printable ASCII' };
    }
    this.bytes = name;
    this.#start += byteCount + 2;
    this.#signedIn = true;
    return 'login';
  }

  #frame(): GateResult {
    for (let i = 0; i < 4 && i < this.heldBytes; i++) {
      if (this.#buffer[this.#start + i] !== 0) {
        return { reason: 'frame_preamble', detail: 'a frame begins with four zero bytes' };
      }
    }
    if (this.heldBytes < FRAME_HEAD_BYTES) return 'more';
    const dataBytes = this.#buffer.readUInt32BE(this.#start + 4);
    if (dataBytes < FRAME_DATA_BYTES_MIN) {
      return { reason: 'frame_length', detail: `a frame with ${dataBytes} bytes of data` };
    }
    const frameBytes = dataBytes + FRAME_OVERHEAD_BYTES;
    if (frameBytes > this.#frameBytesMax) {
      const detail = `a frame of ${frameBytes} bytes; the limit is ${this.#frameBytesMax}`;
      return { reason: 'frame_too_large', detail };
    }
    if (this.heldBytes < frameBytes) return 'more';
    this.bytes = this.#buffer.subarray(this.#start, this.#start + frameBytes);
    this.#start += frameBytes;
    return 'frame';
  }
}
