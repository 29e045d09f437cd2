/**
 * Whether a second thread pays: the same reads decoded, evaluated and encoded on the main thread alone, and with some of it
 * done in a worker thread. No sockets and no database: what is measured is the work that could move, and the handing over.
 * Every variant is seen to give the same COPY data and events.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Report } from '../report.ts';
import { runPass, type House, type PassResult, type Variant } from './pass.ts';
import { decodedAtMs, makeReads, type Reads, type ReadsParams } from './reads.ts';
import { createRingMemory, ringBytesOf } from './ring.ts';
import { makeLinks, makeWorld, type StagesParams } from './stages.ts';
import type { WorkerStart } from './worker-messages.ts';

export interface WorkersBenchParams extends ReadsParams, StagesParams {
  /** A multiple of what reads hold; all fixes together are a multiple of it. */
  readonly batchRows: number;
  /** Fixes that may be out at the worker. */
  readonly windowRows: number;
  readonly repeats: number;
}

export const WORKERS_PARAMS: WorkersBenchParams = {
  seed: 1,
  devices: 1_000,
  fences: 10_000,
  vertices: 24,
  fixesPerDevice: 120,
  packetsPerRead: 40,
  linesPerRequest: 500,
  batchRows: 5_000,
  windowRows: 20_000,
  repeats: 3,
};

export const WORKERS_PARAMS_TINY: WorkersBenchParams = {
  ...WORKERS_PARAMS,
  devices: 10,
  fences: 30,
  fixesPerDevice: 80,
  linesPerRequest: 50,
  batchRows: 200,
  windowRows: 400,
  repeats: 1,
};

const ONE_THREAD: Variant = { name: 'one_thread', decodes: 'main', evaluates: 'main' };
const VARIANTS: readonly Variant[] = [
  ONE_THREAD,
  { name: 'decode_by_message', decodes: 'by_message', evaluates: 'main' },
  { name: 'decode_by_ring', decodes: 'by_ring', evaluates: 'main' },
  { name: 'evaluate', decodes: 'main', evaluates: 'worker' },
  { name: 'all_by_ring', decodes: 'by_ring', evaluates: 'worker' },
];

/** Five variants of three kinds of reads, in turns; figures are medians of the repeats. */
export async function benchWorkers(params: WorkersBenchParams, report: Report): Promise<void> {
  const isWhole =
    params.fixesPerDevice % params.packetsPerRead === 0 &&
    params.batchRows % params.packetsPerRead === 0 &&
    params.batchRows % params.linesPerRequest === 0 &&
    (params.devices * params.fixesPerDevice) % params.batchRows === 0;
  assert(isWhole, 'reads, batches and fixes must be multiples of each other');
  const kinds = makeReads(params);
  const worker = await startWorker(params);
  try {
    const house: House = {
      world: makeWorld(params),
      links: makeLinks(params.devices),
      worker,
      ring: createRingMemory(ringBytesMin(params, kinds)),
      nowMs: decodedAtMs(params),
      batchRows: params.batchRows,
      windowRows: params.windowRows,
    };
    const { hash, events } = await warmUp(house, kinds);
    const told = { ...params, hash };
    const results = await repeat(house, kinds, params.repeats);
    for (const [kind, ofKind] of results) {
      const figure = (metric: string, value: number, unit: string): void =>
        report({ scenario: `workers_${kind}`, metric, value, unit, params: told });
      tellVariants(ofKind, events, figure);
    }
  } finally {
    await worker.terminate();
  }
}

type Results = ReadonlyMap<Variant, PassResult[]>;

/** The first pass of each, not timed; its hash is that of every other. */
async function warmUp(
  house: House,
  kinds: ReadonlyMap<string, Reads>,
): Promise<{ hash: string; events: number }> {
  let first: { hash: string; events: number } | null = null;
  for (const [kind, reads] of kinds) {
    for (const variant of VARIANTS) {
      const digest = createHash('sha256');
      const { events } = await runPass(house, variant, reads, digest);
      const hash = digest.digest('hex').slice(0, 12);
      first ??= { hash, events };
      assert.deepEqual({ hash, events }, first, `${variant.name} of ${kind} did something else`);
    }
  }
  return first!;
}

async function repeat(
  house: House,
  kinds: ReadonlyMap<string, Reads>,
  repeats: number,
): Promise<ReadonlyMap<string, Results>> {
  const results = new Map(
    [...kinds.keys()].map((kind) => [kind, new Map(VARIANTS.map((v) => [v, [] as PassResult[]]))]),
  );
  for (let n = 0; n < repeats; n++) {
    const order = n % 2 === 0 ? VARIANTS : VARIANTS.toReversed();
    for (const [kind, reads] of kinds) {
      for (const variant of order) {
        const result = await runPass(house, variant, reads, null);
        results.get(kind)!.get(variant)!.push(result);
      }
    }
  }
  return results;
}

function tellVariants(
  results: Results,
  events: number,
  figure: (metric: string, value: number, unit: string) => void,
): void {
  const base = results.get(ONE_THREAD)!;
  const perFix = (passes: readonly PassResult[], of: (pass: PassResult) => number): number =>
    median(passes.map((pass) => of(pass) / pass.fixes));
  figure(
    'decode_us',
    perFix(base, (p) => p.allUs - p.evaluateUs - p.encodeUs),
    'µs',
  );
  figure(
    'evaluate_us',
    perFix(base, (p) => p.evaluateUs),
    'µs',
  );
  figure(
    'encode_us',
    perFix(base, (p) => p.encodeUs),
    'µs',
  );
  const baseMainUs = perFix(base, (p) => p.mainUs);
  const baseAllUs = perFix(base, (p) => p.allUs);
  const baseWallUs = perFix(base, (p) => p.wallUs);
  for (const [{ name }, passes] of results) {
    for (const pass of passes) assert.equal(pass.events, events, `${name} did something else`);
    const mainUs = perFix(passes, (p) => p.mainUs);
    const allUs = perFix(passes, (p) => p.allUs);
    const wallUs = perFix(passes, (p) => p.wallUs);
    figure(`${name}_main_us_per_fix`, mainUs, 'µs');
    figure(`${name}_all_us_per_fix`, allUs, 'µs');
    figure(`${name}_fixes_per_s`, 1e6 / wallUs, 'fixes/s');
    if (passes === base) continue;
    figure(`${name}_main_ratio`, mainUs / baseMainUs, '×');
    figure(`${name}_all_ratio`, allUs / baseAllUs, '×');
    figure(`${name}_rate_ratio`, baseWallUs / wallUs, '×');
  }
}

async function startWorker(params: WorkersBenchParams): Promise<Worker> {
  const start: WorkerStart = {
    stages: params,
    nowMs: decodedAtMs(params),
    batchRows: params.batchRows,
  };
  const worker = new Worker(join(import.meta.dirname, 'worker.js'), { workerData: start });
  await once(worker, 'message');
  return worker;
}

/** Twice what the window's reads take. */
function ringBytesMin(params: WorkersBenchParams, kinds: ReadonlyMap<string, Reads>): number {
  let bytesMin = 0;
  for (const { ends, fixCount } of kinds.values()) {
    let readBytesMax = 0;
    ends.forEach((end, i) => {
      readBytesMax = Math.max(readBytesMax, end - (i === 0 ? 0 : ends[i - 1]!));
    });
    const reads = params.windowRows / fixCount[0]! + 2;
    bytesMin = Math.max(bytesMin, 2 * reads * ringBytesOf(readBytesMax));
  }
  return bytesMin;
}

/** Of figures that are there. */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
