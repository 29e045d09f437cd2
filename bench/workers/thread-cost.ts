/** CPU time of the calling thread and of all threads, as the system counts it. */
import { readFileSync } from 'node:fs';

export interface ThreadCost {
  /** Of the thread that asks; NaN where there is no `/proc`. */
  readonly ownUs: number;
  /** Of all threads of the process, the collector's among them. */
  readonly allUs: number;
}

/** What has been spent so far. A system call or three. */
export function threadCost(): ThreadCost {
  return { ownUs: ownUs(), allUs: allUs() };
}

/** CPU time of all threads. */
export function allUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function ownUs(): number {
  try {
    // Nanoseconds on a processor come first.
    return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1_000;
  } catch {
    return NaN;
  }
}
