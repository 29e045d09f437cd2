/**
 * One connection through the proxy: two sockets, and a queue of bytes each way that the proxy's faults hold up. Knows
 * when bytes may go on; refuses to know when and why a fault begins.
 *
 * States: joining (the server's side is not connected yet) → joined → gone. A close is passed on like bytes are, after
 * them: who has closed behind a silence is not known to have done so on the other side.
 */
import { Socket } from 'node:net';
import { FrameWalker, isCommit, startupBytes, withSettings } from './pg-frames.ts';

/** `up`: from the client to the server behind the proxy. */
export type Direction = 'up' | 'down';

/** What ails a proxy now; shared by its joints, and changed under them. */
export interface Faults {
  silent: ReadonlySet<Direction>;
  slow: Slowness | null;
  cut: CutRule | null;
  /** Settings to replace among the startup options of new connections to PostgreSQL. */
  startup: Readonly<Record<string, string>> | null;
}

/** Each way, all connections together. */
export interface Slowness {
  readonly latencyMs: number;
  readonly bytesPerS: number;
}

/** Asked at every COMMIT: on its way to PostgreSQL (`before`), or done and its answer on the way back (`after`). */
export type CutRule = (moment: 'before' | 'after') => boolean;

const PIECE_BYTES_MAX = 16_384;
/** Bytes held back each way before the sender is no longer read. */
const QUEUE_BYTES_MAX = 262_144;

export interface JointOptions {
  readonly client: Socket;
  readonly targetPort: number;
  readonly protocol: 'postgres' | 'any';
  readonly faults: Faults;
  /** When bytes that are there now have come through. */
  readonly dueMs: (direction: Direction, bytes: number) => number;
  readonly onGone: () => void;
}

export class Joint {
  private frozen = false;
  private readonly options: JointOptions;
  private readonly client: Socket;
  private readonly server = new Socket();
  private readonly up: Pipe;
  private readonly down: Pipe;
  private isJoining = false;
  private startup: Buffer | null;
  private openCount = 2;

  constructor(options: JointOptions) {
    this.options = options;
    const { client, faults, dueMs } = options;
    const { server } = this;
    this.client = client;
    this.startup = options.protocol === 'postgres' ? Buffer.alloc(0) : null;
    const isHeld = (direction: Direction) => (): boolean =>
      this.frozen || !this.isJoining || faults.silent.has(direction);
    this.up = new Pipe(client, server, isHeld('up'), (bytes) => dueMs('up', bytes));
    this.down = new Pipe(server, client, isHeld('down'), (bytes) => dueMs('down', bytes));
    const commit = new FrameWalker(isCommit);
    const committed = new FrameWalker(({ type, text }) => type === 'C' && text === 'COMMIT');
    client.on('data', (chunk) => {
      const rest = this.startup === null ? chunk : this.begin(chunk);
      if (rest.length > 0 && !this.isCut('before', commit, rest)) this.up.take(rest);
    });
    server.on('data', (chunk) => {
      if (!this.isCut('after', committed, chunk)) this.down.take(chunk);
    });
    for (const socket of [client, server]) socket.on('close', () => this.closed());
    client.on('error', () => undefined);
    // Nobody listens behind the proxy, or it was killed.
    server.on('error', () => this.client.resetAndDestroy());
    this.stir();
  }

  get isFrozen(): boolean {
    return this.frozen;
  }

  /** Silent both ways for good, whatever the proxy does. */
  freeze(): void {
    this.frozen = true;
  }

  /** Something has changed about what may go on. */
  stir(): void {
    const { faults, targetPort } = this.options;
    if (!this.isJoining && !faults.silent.has('up')) {
      this.isJoining = true;
      if (this.client.destroyed) this.server.destroy();
      else this.server.connect({ port: targetPort, host: '127.0.0.1', noDelay: true });
    }
    this.up.move();
    this.down.move();
  }

  reset(): void {
    this.client.resetAndDestroy();
    if (this.isJoining) this.server.resetAndDestroy();
    else this.server.destroy();
  }

  private closed(): void {
    this.openCount -= 1;
    if (this.openCount === 0) this.options.onGone();
  }

  /** Passes the startup message on, changed where it is to be changed; gives what comes behind it. */
  private begin(chunk: Buffer): Buffer {
    const bytes = Buffer.concat([this.startup!, chunk]);
    const { startup } = this.options.faults;
    const length = startupBytes(bytes);
    if (length === null) {
      this.startup = bytes;
      return Buffer.alloc(0);
    }
    this.startup = null;
    const message = bytes.subarray(0, length);
    this.up.take(startup === null ? message : withSettings(message, startup));
    return bytes.subarray(length);
  }

  /** Reads along, also while nothing is to be cut: one who begins in the middle does not know where messages end. */
  private isCut(moment: 'before' | 'after', walker: FrameWalker, chunk: Buffer): boolean {
    if (this.options.protocol !== 'postgres') return false;
    const kept = walker.walk(chunk);
    if (kept < 0 || this.options.faults.cut?.(moment) !== true) return false;
    if (moment === 'before') this.up.take(chunk.subarray(0, kept));
    this.up.end();
    this.client.resetAndDestroy();
    return true;
  }
}

interface Piece {
  readonly bytes: Buffer;
  readonly dueMs: number;
}

/** One way. */
class Pipe {
  private readonly from: Socket;
  private readonly to: Socket;
  private readonly isHeld: () => boolean;
  private readonly dueMs: (bytes: number) => number;
  private queue: Piece[] = [];
  private queuedBytes = 0;
  private isOver = false;
  private timer: NodeJS.Timeout | null = null;

  constructor(from: Socket, to: Socket, isHeld: () => boolean, dueMs: (bytes: number) => number) {
    this.from = from;
    this.to = to;
    this.isHeld = isHeld;
    this.dueMs = dueMs;
    from.on('close', () => this.end());
    to.on('drain', () => this.move());
  }

  take(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; at += PIECE_BYTES_MAX) {
      const bytes = chunk.subarray(at, at + PIECE_BYTES_MAX);
      this.queue.push({ bytes, dueMs: this.dueMs(bytes.length) });
    }
    this.queuedBytes += chunk.length;
    if (this.queuedBytes > QUEUE_BYTES_MAX) this.from.pause();
    this.move();
  }

  /** Nothing comes any more: what is here goes on, and then the close. */
  end(): void {
    this.isOver = true;
    this.move();
  }

  /** Passes on what may go on, and the close behind it. */
  move(): void {
    if (this.isHeld()) return;
    for (;;) {
      const piece = this.queue[0];
      if (piece === undefined) break;
      if (this.to.destroyed) {
        this.queue = [];
        break;
      }
      if (this.to.writableNeedDrain) return;
      const waitMs = piece.dueMs - performance.now();
      if (waitMs > 0) {
        this.timer ??= setTimeout(() => {
          this.timer = null;
          this.move();
        }, waitMs);
        return;
      }
      this.queue.shift();
      this.queuedBytes -= piece.bytes.length;
      this.to.write(piece.bytes);
    }
    if (this.queuedBytes <= QUEUE_BYTES_MAX) this.from.resume();
    if (this.isOver) this.to.end();
  }
}
