/** The hub's time: two clocks and one timer, so that tests can hold them still. */
import { performance } from 'node:perf_hooks';

export interface LiveClock {
  /** Epoch milliseconds, for the expiry of tokens. */
  wallMs(): number;
  /** Milliseconds that never step back, for everything else. */
  steadyMs(): number;
  /** Calls `work` every `intervalMs` until the returned function is called. Does not keep the process alive. */
  every(intervalMs: number, work: () => void): () => void;
}

/** The machine's own clocks. */
export const systemClock: LiveClock = {
  wallMs: () => Date.now(),
  steadyMs: () => performance.now(),
  every(intervalMs, work) {
    const timer = setInterval(work, intervalMs).unref();
    return () => clearInterval(timer);
  },
};
