/**
 * Counts what our own code does, in steps and not in time: how often each block of it is run, as the engine's coverage has
 * it. Knows the inspector; refuses to know what is counted. Native code (JSON, regular expressions, copying) is not seen.
 */
import { Session, type Profiler } from 'node:inspector';

const OURS = /\/ingest\/(?!fuzz\/)/;

/** A counter; `stop` when done, as everything runs slower meanwhile. */
export class StepCounter {
  private readonly session = new Session();

  constructor() {
    this.session.connect();
    this.session.post('Profiler.enable');
    this.session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Runs of blocks of our code during `work`, give or take a quarter: code that is optimized meanwhile loses a few. */
  count(work: () => void): number {
    this.taken();
    work();
    let steps = 0;
    for (const { url, functions } of this.taken()) {
      if (!OURS.test(url)) continue;
      for (const { ranges } of functions) for (const { count } of ranges) steps += count;
    }
    return steps;
  }

  stop(): void {
    this.session.disconnect();
  }

  /** What was counted since the last time. */
  private taken(): readonly Profiler.ScriptCoverage[] {
    let result: readonly Profiler.ScriptCoverage[] = [];
    this.session.post('Profiler.takePreciseCoverage', (error, answer) => {
      if (error) throw error;
      result = answer.result;
    });
    return result;
  }
}
