/**
 * Fixes per second through one engine, against the obvious alternative: rbush to find candidates and turf to decide. Run
 * it compiled: `npx tsc --outDir dist && node dist/engine/engine.bench.js`; `--json` prints one object a line.
 */
import * as turf from '@turf/turf';
import type { Feature, Polygon } from 'geojson';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import RBush from 'rbush';
import { createEngine } from './engine.ts';
import { batchOf, fenceOf, seededRandom, starRing } from './test-data.ts';
import type { Edit, EngineBatch, LonLat } from './types.ts';
import { applyEdits, createWorld } from './world.ts';

export interface BenchParams {
  readonly seed: number;
  readonly fences: number;
  readonly vertices: number;
  readonly devices: number;
  readonly batches: number;
  readonly batchRows: number;
}

export interface BenchResult {
  readonly fixesPerS: number;
  readonly turfFixesPerS: number;
  readonly events: number;
  /** Of all events, so that two runs can be seen to have done the same. */
  readonly hash: string;
}

const DEFAULTS: BenchParams = {
  seed: 1,
  fences: 1000,
  vertices: 24,
  devices: 2000,
  batches: 200,
  batchRows: 5000,
};

/** Side of the square in which everything happens: a large city and its surroundings. */
const AREA_DEG = 1;

/** Drives a fleet along random walks; a fix lies in about one fence on average. */
export function runBench(params: BenchParams): BenchResult {
  const random = seededRandom(params.seed);
  const radiusDeg = (AREA_DEG / Math.sqrt(params.fences)) * 0.8;
  const rings = Array.from({ length: params.fences }, () =>
    starRing(random, [random() * AREA_DEG, random() * AREA_DEG], radiusDeg, params.vertices),
  );
  const batches = makeBatches(random, params);
  const { ms, events, hash } = runEngine(params, rings, batches);
  const fixes = params.batches * params.batchRows;
  const few = batches.slice(0, Math.max(1, Math.floor(params.batches / 20)));
  return {
    fixesPerS: Math.round((fixes / ms) * 1000),
    turfFixesPerS: Math.round(((few.length * params.batchRows) / runTurf(rings, few)) * 1000),
    events,
    hash,
  };
}

function makeBatches(random: () => number, params: BenchParams): EngineBatch[] {
  const at = Array.from({ length: params.devices }, () => ({ x: random(), y: random() }));
  let row = 0;
  return Array.from({ length: params.batches }, () =>
    batchOf(
      Array.from({ length: params.batchRows }, () => {
        const deviceId = row % params.devices;
        const place = at[deviceId]!;
        // A third of the fleet is parked; the others make about 30 m a fix.
        if (deviceId % 3 > 0) {
          place.x = Math.min(1, Math.max(0, place.x + (random() - 0.5) * 0.001));
          place.y = Math.min(1, Math.max(0, place.y + (random() - 0.5) * 0.001));
        }
        const timeMs = 1000 * (1 + Math.floor(row++ / params.devices));
        return { deviceId, timeMs, lonDeg: place.x * AREA_DEG, latDeg: place.y * AREA_DEG };
      }),
    ),
  );
}

function runEngine(
  params: BenchParams,
  rings: readonly LonLat[][],
  batches: readonly EngineBatch[],
): { ms: number; events: number; hash: string } {
  const world = createWorld();
  const edits: Edit[] = rings.map((ring, i) => {
    return { type: 'fence_put', fence: fenceOf(i, { type: 'polygon', polygons: [[ring]] }) };
  });
  for (let deviceId = 0; deviceId < params.devices; deviceId++) {
    edits.push({
      type: 'device_put',
      device: { deviceId, tenantId: 1, accountId: null, equipmentId: deviceId },
    });
  }
  applyEdits(world, edits);
  const digest = createHash('sha256');
  let events = 0;
  let ms = 0;
  // The first pass warms up and makes the hash; the second one is timed.
  for (const timed of [false, true]) {
    const engine = createEngine(world);
    const start = performance.now();
    for (const batch of batches) {
      const evaluation = engine.evaluate(batch);
      engine.commit();
      if (timed) events += evaluation.events.length;
      else {
        for (const e of evaluation.events) {
          digest.update(`${e.deviceId} ${e.timeMs} ${e.type} ${e.fenceId}\n`);
        }
      }
    }
    ms = performance.now() - start;
  }
  return { ms, events, hash: digest.digest('hex').slice(0, 12) };
}

/** Only asks which fences hold each fix; keeps no state, so it is flattered. */
function runTurf(rings: readonly LonLat[][], batches: readonly EngineBatch[]): number {
  const tree = new RBush<{
    minX: number;
    minY: number;
    maxX: number;
    maxY: number;
    polygon: Feature<Polygon>;
  }>();
  tree.load(
    rings.map((ring) => {
      const polygon = turf.polygon([ring.map(([lonDeg, latDeg]) => [lonDeg, latDeg])]);
      const [minX, minY, maxX, maxY] = turf.bbox(polygon) as [number, number, number, number];
      return { minX, minY, maxX, maxY, polygon };
    }),
  );
  let ms = 0;
  let hits = 0;
  for (let pass = 0; pass < 2; pass++) {
    const start = performance.now();
    for (const { fixes } of batches) {
      for (let row = 0; row < fixes.count; row++) {
        const x = fixes.lonDeg[row]!;
        const y = fixes.latDeg[row]!;
        for (const item of tree.search({ minX: x, minY: y, maxX: x, maxY: y })) {
          if (turf.booleanPointInPolygon([x, y], item.polygon)) hits++;
        }
      }
    }
    ms = performance.now() - start;
  }
  if (hits === 0) throw new Error('the bench found no fix in a fence');
  return ms;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const result = runBench(DEFAULTS);
  if (process.argv.includes('--json')) {
    const line = (metric: string, value: number, unit: string): void => {
      console.log(JSON.stringify({ scenario: 'engine', metric, value, unit, params: DEFAULTS }));
    };
    line('fixes_per_s', result.fixesPerS, '1/s');
    line('ratio_to_turf', result.fixesPerS / result.turfFixesPerS, '');
  } else {
    console.log(JSON.stringify(DEFAULTS));
    console.log(JSON.stringify(result));
  }
}
