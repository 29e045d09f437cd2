/**
 * Shares the turns of the event loop: whoever works for long asks first, and what does not fit into this turn goes into a
 * later one, in the order of asking. So one flood of messages or requests does not hold up the acks of what is committed
 * meanwhile. Knows time; refuses to know what the work is.
 *
 * A turn is known by its pauses, for to be called at the end of each would cost more than a quiet server's messages do:
 * who asks after a pause asks in a new turn, and so does who asks after `next`, which is called only when a turn was spent.
 */

/** Work that a turn takes before the rest has to wait; the piece that runs over it is finished. */
export const TURN_MS_MAX = 10;
/** When nobody has asked for so long, and nothing was run, the turn is another one. */
const PAUSE_MS_MIN = 1;

export class Turns {
  /** When work began in this turn. */
  private startedMs = -Infinity;
  /** When somebody asked last, or was done. */
  private busyMs = -Infinity;
  private readonly ahead: (() => void)[] = [];
  private waiting: (() => void)[] = [];
  private isScheduled = false;
  private readonly now: () => number;

  /** `now` in milliseconds, for tests. */
  constructor(now: () => number = () => performance.now()) {
    this.now = now;
  }

  /** Whether this turn has had its share. The first to ask begins it. */
  isSpent(): boolean {
    const nowMs = this.now();
    if (nowMs - this.busyMs > PAUSE_MS_MIN) this.startedMs = nowMs;
    this.busyMs = nowMs;
    if (nowMs - this.startedMs <= TURN_MS_MAX) return false;
    this.schedule();
    return true;
  }

  /** Runs the task in a later turn; each such turn runs at least one. It must not throw. */
  later(task: () => void): void {
    this.waiting.push(task);
    this.schedule();
  }

  /**
   * Does the work when there is time: now, while the turn is not spent and nobody waits. Rejects with what it throws.
   * What makes room for others goes ahead of those that wait.
   */
  run<T>(work: () => T | PromiseLike<T>, order: 'in_turn' | 'ahead' = 'in_turn'): Promise<T> {
    return new Promise((resolve) => {
      const attempt = (): void => {
        resolve(new Promise((done) => done(work())));
        this.busyMs = this.now();
      };
      const isSpent = this.isSpent();
      if (order === 'ahead' && isSpent) {
        this.ahead.push(attempt);
        this.schedule();
      } else if (isSpent || (order === 'in_turn' && this.waiting.length > 0)) this.later(attempt);
      else attempt();
    });
  }

  private schedule(): void {
    if (this.isScheduled) return;
    this.isScheduled = true;
    setImmediate(this.next);
  }

  private readonly next = (): void => {
    this.isScheduled = false;
    this.startedMs = this.now();
    let done = 0;
    try {
      do {
        const task = this.ahead.shift() ?? this.waiting[done++];
        if (task === undefined) break;
        this.busyMs = this.startedMs;
        task();
      } while (this.now() - this.startedMs <= TURN_MS_MAX);
    } finally {
      this.waiting = this.waiting.slice(done);
      this.startedMs = this.busyMs = -Infinity;
      if (this.ahead.length + this.waiting.length > 0) this.schedule();
    }
  };
}
