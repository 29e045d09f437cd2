/**
 * Watches one connection for silence (section 3.1.2.10): calls out after one and a half times the keep-alive without a
 * packet. Knows the monotonic clock; refuses to know sockets.
 *
 * While the listener itself does not read, silence proves nothing, so the period starts anew when reading does. The
 * timer is not moved with every packet; it looks when it fires how long ago the last one was.
 *
 * States: `off` (keep-alive 0, or stopped) · `watching` → (silence) calls `onSilent` once → `off`.
 */
export class KeepAlive {
  readonly #onSilent: () => void;
  readonly #isReading: () => boolean;
  #allowedMs = 0;
  #heardMs = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(isReading: () => boolean, onSilent: () => void) {
    this.#isReading = isReading;
    this.#onSilent = onSilent;
  }

  /** Begins to watch; `keepAliveS` in seconds, 0 for never. */
  start(keepAliveS: number): void {
    this.stop();
    if (keepAliveS === 0) return;
    this.#allowedMs = keepAliveS * 1_500;
    this.heard();
    this.#arm(this.#allowedMs);
  }

  /** Bytes came, or reading began again. */
  heard(): void {
    this.#heardMs = performance.now();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #arm(delayMs: number): void {
    this.#timer = setTimeout(() => {
      if (!this.#isReading()) this.heard();
      const remainingMs = this.#heardMs + this.#allowedMs - performance.now();
      if (remainingMs > 0) {
        this.#arm(remainingMs);
        return;
      }
      this.#timer = null;
      this.#onSilent();
    }, Math.ceil(delayMs));
  }
}
