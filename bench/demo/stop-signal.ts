/**
 * When somebody wants the demo to end: Ctrl-C, a closed terminal, or `kill`. The first signal asks for an orderly end, a
 * second one later ends at once. Knows signals and nothing of what is stopped.
 */
import type { EventEmitter } from 'node:events';

/**
 * One Ctrl-C can come twice: the terminal tells every process in the foreground, and npm, being one of them, tells its
 * child again. Signals closer together than this are one.
 */
export const ONE_PRESS_MS = 700;

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Where signals come from, and what a second one does. */
export interface StopSignalOptions {
  /** `process`. */
  readonly source: Pick<EventEmitter, 'on'>;
  /** Milliseconds of a clock that only goes forward. */
  readonly nowMs: () => number;
  /** Called for the second signal. */
  readonly onSecond: () => void;
}

/** A signal that is aborted when the first stop signal comes. */
export function watchStopSignals(options: StopSignalOptions): AbortSignal {
  const { source, nowMs, onSecond } = options;
  const stop = new AbortController();
  let firstMs = 0;
  for (const name of STOP_SIGNALS) {
    source.on(name, () => {
      if (!stop.signal.aborted) {
        firstMs = nowMs();
        stop.abort();
      } else if (nowMs() - firstMs > ONE_PRESS_MS) {
        onSecond();
      }
    });
  }
  return stop.signal;
}
