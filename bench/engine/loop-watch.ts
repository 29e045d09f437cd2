/**
 * How long turns of this process's event loop take. It looks at the clock in every turn and keeps the loop turning meanwhile,
 * so a core is busy; what is between two looks is what nothing else could have run in.
 */

export interface LoopWatch {
  /** The longest turn since the watch began, or since the last call. */
  takeMaxMs(): number;
  stop(): void;
}

export function watchLoop(): LoopWatch {
  let maxMs = 0;
  let lastMs = performance.now();
  let isStopped = false;
  const look = (): void => {
    const nowMs = performance.now();
    maxMs = Math.max(maxMs, nowMs - lastMs);
    lastMs = nowMs;
  };
  const turn = (): void => {
    look();
    if (!isStopped) setImmediate(turn);
  };
  setImmediate(turn);
  return {
    takeMaxMs() {
      look();
      const takenMs = maxMs;
      maxMs = 0;
      return takenMs;
    },
    stop() {
      isStopped = true;
    },
  };
}
