/**
 * Fixes per second through one engine on one thread: evaluate, every event read, commit; and the same with every changed state
 * made into the plain data that is stored of it. Encoding and storing are not in it. Beside it, on a part of the same fixes,
 * what turf needs to say which fences hold them.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createEngine } from '../../engine/engine.ts';
import type { Edit, EngineBatch, EngineEvent, Evaluation, Fence } from '../../engine/types.ts';
import { applyEdits, createWorld, fencesAt, type World } from '../../engine/world.ts';
import { areaOf } from './area.ts';
import { takeBatches, type DriveParams } from './drive.ts';
import { collectGarbage } from './held-bytes.ts';
import { makeFences, type FencesParams } from './shapes.ts';
import { linearHolders, rbushHolders, turfFenceOf, type Holders } from './turf-index.ts';

export interface RatesParams extends FencesParams, DriveParams {
  /** Fixes of one pass that are timed; each vehicle's first one comes before. */
  readonly fixes: number;
  /** Timed passes of either kind, each by an engine that starts anew. */
  readonly passes: number;
  readonly sizeDeg: number;
  /** How long each alternative is timed. */
  readonly turfMs: number;
  /** 1: a scan of all boxes is timed, too. */
  readonly linear: number;
}

export interface Rates {
  /** Of each timed pass. */
  readonly fixesPerS: readonly number[];
  /** With changed states as plain data. */
  readonly storableFixesPerS: readonly number[];
  readonly rbushTurfFixesPerS: number;
  /** NaN when it was not asked for. */
  readonly linearTurfFixesPerS: number;
  /** What one pass gave; the hash is of every event. */
  readonly events: number;
  readonly hash: string;
  /** Fences that hold a fix, on average. */
  readonly fencesPerFix: number;
  /** What it took to load the fences. */
  readonly loadUsPerFence: number;
}

/** The one tenant of the bench. */
export const TENANT_ID = 1;
/** Fixes on which the mean of fences is taken. */
const SAMPLE_FIXES_MAX = 10_000;
/** Fixes between two looks at the clock, and a prime to spread them over all batches with. */
const SPREAD = 1_000_003;
/** Of the time for an alternative this share warms it up. */
const WARM_UP_SHARE = 0.3;

/** One scenario: makes everything, warms up with a pass that makes the hash, then times. */
export function measureRates(params: RatesParams): Rates {
  assert(params.passes >= 1, '--passes: 1 or more');
  const area = areaOf(params.sizeDeg);
  const fences = makeFences(area, params);
  const world = createWorld();
  applyEdits(world, deviceEdits(params.vehicles));
  const startedMs = performance.now();
  applyEdits(world, fenceEdits(fences));
  const loadUsPerFence = ((performance.now() - startedMs) * 1_000) / fences.length;
  const batches = takeBatches(area, params, params.vehicles + params.fixes);
  const digest = createHash('sha256');
  const { events } = runPass(world, params, batches, (evaluation) => {
    digest.update(told(evaluation.events));
    return 0;
  });
  const timedPasses = (read: (evaluation: Evaluation) => number): number[] =>
    Array.from({ length: params.passes }, () => {
      collectGarbage();
      const timed = runPass(world, params, batches, read);
      assert.equal(timed.events, events, 'every pass gives the same');
      return timed.fixesPerS;
    });
  return {
    fixesPerS: timedPasses(readEvents),
    storableFixesPerS: timedPasses(readAll),
    ...measureTurf(fences, batches, params),
    events,
    hash: digest.digest('hex').slice(0, 12),
    fencesPerFix: fencesPerFix(world, batches),
    loadUsPerFence,
  };
}

export function deviceEdits(vehicles: number): Edit[] {
  return Array.from({ length: vehicles }, (_, deviceId) => ({
    type: 'device_put',
    device: { deviceId, tenantId: TENANT_ID, accountId: null, equipmentId: deviceId },
  }));
}

export function fenceEdits(fences: readonly Fence[]): Edit[] {
  return fences.map((fence) => ({ type: 'fence_put', fence }));
}

/** Sends all batches through a new engine. Timed from the batch on that follows each vehicle's first fix. */
function runPass(
  world: World,
  { vehicles, batchRows }: RatesParams,
  batches: readonly EngineBatch[],
  read: (evaluation: Evaluation) => number,
): { events: number; fixesPerS: number } {
  const leadBatches = Math.min(Math.ceil(vehicles / batchRows), batches.length - 1);
  const engine = createEngine(world);
  let events = 0;
  let sum = 0;
  let startedMs = 0;
  for (const [i, batch] of batches.entries()) {
    if (i === leadBatches) startedMs = performance.now();
    const evaluation = engine.evaluate(batch);
    sum += read(evaluation);
    events += evaluation.events.length;
    engine.commit();
  }
  const seconds = (performance.now() - startedMs) / 1_000;
  assert(Number.isFinite(sum), 'what was read is used');
  return { events, fixesPerS: ((batches.length - leadBatches) * batchRows) / seconds };
}

/** Looks at every event, and adds up what it sees so that nothing can be left out. */
function readEvents({ events, latestFixRows }: Evaluation): number {
  let sum = latestFixRows.length;
  for (const event of events) sum += event.timeMs + event.deviceId + (event.fenceId ?? 0);
  return sum;
}

/** The same, and everything else that ingestion stores of a batch. */
function readAll(evaluation: Evaluation): number {
  let sum = readEvents(evaluation);
  for (const { deviceId, state } of evaluation.changed) {
    sum += deviceId + state.inside.length + state.entering.length + state.rules.length;
  }
  return sum;
}

/** Events as text, a line each. */
export function told(events: readonly EngineEvent[]): string {
  let lines = '';
  for (const { deviceId, timeMs, type, fenceId, cause, lonDeg, latDeg } of events) {
    lines += `${deviceId} ${timeMs} ${type} ${fenceId} ${cause} ${lonDeg} ${latDeg}\n`;
  }
  return lines;
}

function fencesPerFix(world: World, batches: readonly EngineBatch[]): number {
  let held = 0;
  let asked = 0;
  for (const [lonDeg, latDeg] of spreadPlaces(batches)) {
    held += fencesAt(world, TENANT_ID, lonDeg, latDeg).length;
    if (++asked === SAMPLE_FIXES_MAX) break;
  }
  return held / asked;
}

function measureTurf(
  fences: readonly Fence[],
  batches: readonly EngineBatch[],
  { turfMs, linear }: RatesParams,
): { rbushTurfFixesPerS: number; linearTurfFixesPerS: number } {
  const turfFences = fences.map(turfFenceOf);
  const rate = (holders: Holders): number => {
    ratePerS(holders, batches, turfMs * WARM_UP_SHARE);
    return ratePerS(holders, batches, turfMs);
  };
  return {
    rbushTurfFixesPerS: rate(rbushHolders(turfFences)),
    linearTurfFixesPerS: linear === 0 ? NaN : rate(linearHolders(turfFences)),
  };
}

/** Asks about places from all over the batches until the time is over; about one at least. */
function ratePerS(holders: Holders, batches: readonly EngineBatch[], budgetMs: number): number {
  const startedMs = performance.now();
  let asked = 0;
  let found = 0;
  for (;;) {
    for (const [lonDeg, latDeg] of spreadPlaces(batches)) {
      found += holders(lonDeg, latDeg).length;
      asked++;
      const tookMs = performance.now() - startedMs;
      if (tookMs < budgetMs) continue;
      assert(found >= 0, 'what was found is used');
      return (asked / tookMs) * 1_000;
    }
  }
}

/** The place of every fix once, those of neighbouring rows far from each other. */
export function* spreadPlaces(batches: readonly EngineBatch[]): Generator<[number, number]> {
  const rows = batches[0]?.fixes.count ?? 0;
  const total = rows * batches.length;
  for (let n = 0; n < total; n++) {
    const at = (n * SPREAD) % total;
    const fixes = batches[Math.floor(at / rows)]!.fixes;
    yield [fixes.lonDeg[at % rows]!, fixes.latDeg[at % rows]!];
  }
}
