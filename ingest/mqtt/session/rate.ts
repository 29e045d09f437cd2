/**
 * How many publishes a second a device, or all devices of a tenant, may bring. A token bucket of one second's worth:
 * whoever brings more is not read until there are tokens again, so nothing is dropped and the sender's TCP stalls. Knows
 * counts and a clock; refuses to know sockets and packets.
 *
 * It is asked once before a connection is read, and told once afterwards, so that a single publish costs no look at the
 * clock. A publish that was read is taken even without a token left, so the count may go below zero by one for each
 * connection that shares the bucket; time pays it back before anyone is read again.
 *
 * States: `open` → (no token is left, someone waits) `waiting`, with one timer → (tokens are back) woken in the order in
 * which they came, as far as the tokens reach → `open`.
 */

/** A connection that can be let go on. */
export interface Throttled {
  rateAllows(): void;
}

/** The shortest wait: waking for every single token would cost more than the publish. */
const WAIT_MS_MIN = 50;

export class Rate {
  readonly #perS: number;
  #tokens: number;
  #refilledMs = 0;
  #waiting: Set<Throttled> | null = null;
  #timer: NodeJS.Timeout | null = null;

  /** `perS` publishes a second, ≥ 1. */
  constructor(perS: number) {
    this.#perS = perS;
    this.#tokens = perS;
  }

  /** How many publishes may be read at `nowMs`: whole tokens. */
  available(nowMs: number): number {
    if (nowMs !== this.#refilledMs) this.#refill(nowMs);
    return this.#tokens < 1 ? 0 : Math.floor(this.#tokens);
  }

  /** True when nothing is left of what was spent: a new bucket would allow no more. */
  isWhole(nowMs: number): boolean {
    return this.available(nowMs) === this.#perS;
  }

  /** Counts publishes that were read. */
  spend(publishCount: number): void {
    this.#tokens -= publishCount;
  }

  /** True when more was spent than there was. */
  get isSpent(): boolean {
    return this.#tokens < 0;
  }

  /** Calls `rateAllows` once, when there are tokens again. */
  wait(throttled: Throttled): void {
    this.#waiting ??= new Set();
    this.#waiting.add(throttled);
    this.#timer ??= this.#arm();
  }

  /** Forgets one that waits. */
  forget(throttled: Throttled): void {
    this.#waiting?.delete(throttled);
    if (this.#timer === null || this.#waiting?.size !== 0) return;
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** A clock that was set back starts a new second. */
  #refill(nowMs: number): void {
    const passedMs = Math.max(0, nowMs - this.#refilledMs);
    this.#refilledMs = nowMs;
    this.#tokens = Math.min(this.#perS, this.#tokens + (passedMs * this.#perS) / 1_000);
  }

  #arm(): NodeJS.Timeout {
    const untilTokenMs = ((1 - this.#tokens) * 1_000) / this.#perS;
    return setTimeout(() => this.#wake(), Math.ceil(Math.max(WAIT_MS_MIN, untilTokenMs)));
  }

  #wake(): void {
    this.#timer = null;
    this.#refill(Date.now());
    // Whoever is out of tokens at once again stands last.
    for (const throttled of [...this.#waiting!]) {
      if (this.#tokens < 1) break;
      this.#waiting!.delete(throttled);
      throttled.rateAllows();
    }
    if (this.#waiting!.size > 0) this.#timer ??= this.#arm();
  }
}
