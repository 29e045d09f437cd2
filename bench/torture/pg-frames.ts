/**
 * Cuts PostgreSQL's protocol into messages, as far as a proxy must understand it to fail at the worst moment. Knows type
 * bytes and lengths (PostgreSQL manual, "Message Formats"); refuses to know sockets. Holds at most the head and the body
 * of one short message.
 */

export interface Frame {
  /** The type byte as a letter. */
  readonly type: string;
  /** The body, its zeros as spaces and none at its ends. */
  readonly text: string;
}

/** Whether a client asks for COMMIT: it binds the prepared statement of that name (`ingest/commit.ts`). */
export function isCommit({ type, text }: Frame): boolean {
  return type === 'B' && /^commit(?!\w)/.test(text);
}

/** Bytes of a body that are read as text; longer ones are passed over. */
const TEXT_BYTES_MAX = 64;
const HEAD_BYTES = 5;

/** Walks along a stream of messages, which begins with one, and tells of those that are wanted. */
export class FrameWalker {
  private readonly isWanted: (frame: Frame) => boolean;
  private held = Buffer.alloc(0);
  /** Bytes of a long body that are still to come. */
  private skip = 0;

  constructor(isWanted: (frame: Frame) => boolean) {
    this.isWanted = isWanted;
  }

  /**
   * Takes the next bytes. Gives how many of them come before the first message that is wanted, or −1 when there is none.
   * A message is judged when it is whole, so its first bytes may have come with an earlier call.
   */
  walk(chunk: Buffer): number {
    const heldBytes = this.held.length;
    const bytes = heldBytes === 0 ? chunk : Buffer.concat([this.held, chunk]);
    let at = Math.min(this.skip, bytes.length);
    this.skip -= at;
    let found = -1;
    while (bytes.length - at >= HEAD_BYTES) {
      const total = 1 + bytes.readUInt32BE(at + 1);
      const have = Math.min(total, bytes.length - at);
      if (total > HEAD_BYTES + TEXT_BYTES_MAX) {
        this.skip = total - have;
      } else {
        if (have < total) break;
        const type = String.fromCharCode(bytes[at]!);
        const body = bytes.toString('latin1', at + HEAD_BYTES, at + total);
        const text = body.replaceAll('\0', ' ').trim();
        if (found < 0 && this.isWanted({ type, text })) found = Math.max(0, at - heldBytes);
      }
      at += have;
    }
    this.held = Buffer.from(bytes.subarray(at));
    return found;
  }
}

/** Bytes of the untyped message that begins what a client sends; null while it is not whole. */
export function startupBytes(bytes: Buffer): number | null {
  if (bytes.length < 4) return null;
  const total = bytes.readUInt32BE(0);
  return bytes.length < total ? null : total;
}

/** The startup message with other values for those of its options that are named here. */
export function withSettings(startup: Buffer, settings: Readonly<Record<string, string>>): Buffer {
  let text = startup.toString('latin1', 4);
  for (const [name, value] of Object.entries(settings)) {
    text = text.replaceAll(new RegExp(`-c ${name}=[^ \\0]*`, 'g'), `-c ${name}=${value}`);
  }
  const body = Buffer.from(text, 'latin1');
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length + 4);
  return Buffer.concat([head, body]);
}
