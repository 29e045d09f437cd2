/**
 * A TCP proxy on this machine that fails on demand: refuses, goes silent in one direction or both, becomes slow, and
 * between a server and PostgreSQL loses the answer to COMMIT or the COMMIT itself. Knows which fault is on; the bytes are
 * its joints' matter (`joint.ts`).
 *
 * States: listening ⇄ refusing (no port, every connection reset). Silence, slowness and cuts may come and go in both.
 */
import { createServer, type Server } from 'node:net';
import { Joint, type CutRule, type Direction, type Faults, type Slowness } from './joint.ts';

export class Proxy {
  readonly port: number;
  /** COMMITs that were lost, and COMMITs whose answer was. */
  readonly cuts = { before: 0, after: 0 };
  private readonly server: Server;
  private readonly joints = new Set<Joint>();
  private readonly faults: Faults = { silent: new Set(), slow: null, cut: null, startup: null };
  private readonly freeMs = { up: 0, down: 0 };

  /** Cuts of commits, and startup options, need a proxy that knows that it is PostgreSQL which is behind it. */
  constructor(port: number, targetPort: number, protocol: 'postgres' | 'any') {
    this.port = port;
    this.server = createServer({ noDelay: true }, (client) => {
      const joint: Joint = new Joint({
        client,
        targetPort,
        protocol,
        faults: this.faults,
        dueMs: (direction, bytes) => this.dueMs(direction, bytes),
        onGone: () => this.joints.delete(joint),
      });
      this.joints.add(joint);
    });
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.port, '127.0.0.1', () => {
        this.server.off('error', reject);
        resolve();
      });
    });
  }

  /** No port any more, and every connection is reset. */
  async refuse(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.reset();
    await closed;
  }

  /** Resets every connection; new ones are taken. */
  reset(): void {
    for (const joint of this.joints) joint.reset();
  }

  /** Nothing comes through in these directions any more, new connections included, and nobody is told. */
  silence(...directions: Direction[]): void {
    this.faults.silent = new Set(directions);
    this.stir();
  }

  /** So many of the connections that there are now go silent for good; all others pass. */
  freeze(count: number): void {
    const open = [...this.joints].filter((joint) => !joint.isFrozen);
    for (const joint of open.slice(0, count)) joint.freeze();
  }

  /** Everything comes through again, what was held back first. A port that was closed is opened. */
  async heal(): Promise<void> {
    this.faults.silent = new Set();
    this.stir();
    if (!this.server.listening) await this.listen();
  }

  slow(slowness: Slowness | null): void {
    this.faults.slow = slowness;
  }

  /** The rule is asked at every COMMIT from now on. */
  cutCommits(rule: CutRule | null): void {
    this.faults.cut =
      rule === null
        ? null
        : (moment) => {
            const isCut = rule(moment);
            if (isCut) this.cuts[moment] += 1;
            return isCut;
          };
  }

  /** Replaces these among the startup options of connections to PostgreSQL that are made from now on. */
  rewriteStartup(settings: Readonly<Record<string, string>> | null): void {
    this.faults.startup = settings;
  }

  async close(): Promise<void> {
    if (this.server.listening) await this.refuse();
    this.reset();
  }

  private stir(): void {
    for (const joint of this.joints) joint.stir();
  }

  /** When bytes that come now have come through: a line of this width, and its length. */
  private dueMs(direction: Direction, bytes: number): number {
    const { slow } = this.faults;
    const nowMs = performance.now();
    if (slow === null) return nowMs;
    const startMs = Math.max(nowMs, this.freeMs[direction]);
    this.freeMs[direction] = startMs + (bytes / slow.bytesPerS) * 1_000;
    return this.freeMs[direction] + slow.latencyMs;
  }
}
