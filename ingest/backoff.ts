/** Pauses between tries: doubling from a first to a longest, with jitter, ended early by an AbortSignal. */
import { setTimeout as wait } from 'node:timers/promises';

export const BACKOFF_MS_FIRST = 50;
/** Short enough that everything goes in within seconds of the database's return. */
export const BACKOFF_MS_MAX = 1_000;

export class Backoff {
  private nextMs = BACKOFF_MS_FIRST;

  reset(): void {
    this.nextMs = BACKOFF_MS_FIRST;
  }

  /** Waits between half and all of the next pause; returns at once, without throwing, when aborted. */
  async pause(signal: AbortSignal): Promise<void> {
    const ms = this.nextMs * (0.5 + Math.random() / 2);
    this.nextMs = Math.min(this.nextMs * 2, BACKOFF_MS_MAX);
    await wait(ms, undefined, { signal }).catch(() => undefined);
  }
}
