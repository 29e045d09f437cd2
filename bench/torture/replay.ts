/**
 * The feed that must follow from what is stored, worked out by the slow reference of `bench/proof`. Knows in which order
 * the engine saw the rows; refuses to know how it works.
 *
 * The order is in the database itself. All rows of one unit go through one partition, which has one transaction open at
 * a time, also across restarts (the leader's locks see to that). So for one device transactions began to write in the
 * order in which they committed, and `xmin`, the number of the transaction that wrote a row, puts its rows into the
 * batches in which they were evaluated, and these in order. Within a batch the engine takes a device's rows by time,
 * fixes before readings. A row that was there before (a repeat) has the number of the batch that stored it, and had no
 * consequences later, being late; a batch that was divided was evaluated in its parts, each with a number of its own.
 * A fix not newer than the newest before it, and a reading not newer than the newest of its code, is late and does
 * nothing.
 */
import { expectedOf, type Expected, type FenceSpec, type RuleSpec } from '../proof/reference.ts';
import type { Fix } from '../proof/journey.ts';

/** A row of `equipment_gps_location`. */
export interface StoredFix {
  /** The transaction that wrote it. */
  readonly xid: number;
  readonly timeMs: number;
  readonly latDeg: number;
  readonly lonDeg: number;
  readonly speedMps: number;
  readonly headingDeg: number;
  readonly accuracyM: number;
}

/** A row of `iot_device_metric` with the code `temperature_c`. */
export interface StoredReading {
  readonly xid: number;
  readonly timeMs: number;
  readonly value: number;
}

/** What the engine took into account, in its order. */
export interface Evaluated {
  readonly fixes: readonly Fix[];
  /** Each as a fix that stands where the unit was. */
  readonly readings: readonly Fix[];
}

type Step = { readonly fix: StoredFix } | { readonly reading: StoredReading };

export function evaluatedOf(
  fixes: readonly StoredFix[],
  readings: readonly StoredReading[],
): Evaluated {
  const steps: (Step & { readonly xid: number; readonly timeMs: number })[] = [
    ...fixes.map((fix) => ({ fix, xid: fix.xid, timeMs: fix.timeMs })),
    ...readings.map((reading) => ({ reading, xid: reading.xid, timeMs: reading.timeMs })),
  ];
  // Stable, and fixes come first.
  steps.sort((a, b) => a.xid - b.xid || a.timeMs - b.timeMs);
  const taken: Fix[] = [];
  const readingsTaken: Fix[] = [];
  let here: Fix | null = null;
  let readingMs = -Infinity;
  for (const step of steps) {
    if ('fix' in step) {
      if (here !== null && step.timeMs <= here.timeMs) continue;
      // The engine has the single that the table keeps, and not the decimal that stands for it.
      here = { ...step.fix, speedMps: Math.fround(step.fix.speedMps), temperatureC: null };
      taken.push(here);
    } else if (step.timeMs > readingMs) {
      readingMs = step.timeMs;
      const place = here ?? NOWHERE;
      readingsTaken.push({ ...place, timeMs: step.timeMs, temperatureC: step.reading.value });
    }
  }
  return { fixes: taken, readings: readingsTaken };
}

const NOWHERE: Fix = {
  timeMs: NaN,
  latDeg: NaN,
  lonDeg: NaN,
  speedMps: NaN,
  headingDeg: NaN,
  accuracyM: NaN,
  temperatureC: null,
};

/** All that must be in the feed of one unit. */
export function feedOf(
  { fixes, readings }: Evaluated,
  fences: readonly FenceSpec[],
  rules: readonly RuleSpec[],
): Expected[] {
  const watches = (code: RuleSpec['metric_code']): RuleSpec[] =>
    rules.filter((rule) => rule.metric_code === code);
  return [
    ...expectedOf(fixes, fences, watches('speed_mps')),
    ...expectedOf(readings, [], watches('temperature_c')),
  ];
}
