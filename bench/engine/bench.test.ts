import t from 'tap';
import { checkShape } from '../../engine/shape.ts';
import { applyEdits, createWorld, fencesAt } from '../../engine/world.ts';
import type { Figure, Report } from '../report.ts';
import { areaOf } from './area.ts';
import { benchEngine, ENGINE_PARAMS, ENGINE_PARAMS_TINY, scenariosOf } from './bench.ts';
import { FIX_EVERY_MS, MOTIONS, takeBatches } from './drive.ts';
import { fenceEdits, spreadPlaces, TENANT_ID } from './rates.ts';
import { makeFences, SHAPES, type ShapeName } from './shapes.ts';
import { median, percentile } from './statistics.ts';
import { linearHolders, rbushHolders, turfFenceOf } from './turf-index.ts';

/** turf measures a corridor by great circles, the engine by straight lines in degrees: over short segments this far apart. */
const LINE_MARGIN_M = 0.5;
const CIRCLE_MARGIN_M = 1e-3;

async function figuresOf(run: (report: Report) => unknown): Promise<Figure[]> {
  const figures: Figure[] = [];
  await run((figure) => figures.push(figure));
  return figures;
}

const valueOf = (figures: readonly Figure[], metric: string): number =>
  figures.find((figure) => figure.metric === metric)?.value ?? NaN;

function picked(shape: ShapeName, motion: (typeof MOTIONS)[number], seed = 1) {
  return figuresOf((report) => benchEngine({ ...ENGINE_PARAMS_TINY, shape, motion, seed }, report));
}

t.test('the same seed does the same, another one something else', async (t) => {
  for (const shape of SHAPES) {
    for (const motion of MOTIONS) {
      const first = await picked(shape, motion);
      const again = await picked(shape, motion);
      const other = await picked(shape, motion, 2);
      const hash = first[0]!.params['hash'];
      t.match(hash, /^[0-9a-f]{12}$/);
      t.equal(again[0]!.params['hash'], hash, `${shape} ${motion}`);
      t.not(other[0]!.params['hash'], hash);
      t.ok(valueOf(first, 'events') > 0, `${shape} ${motion}: events`);
      t.ok(valueOf(first, 'fixes_per_s') > 0);
      t.ok(valueOf(first, 'rbush_turf_fixes_per_s') > 0);
      const asked = { fences: 30, vertices: shape === 'circle' ? 0 : 12, shape, motion };
      t.match(first[0]!.params, { ...asked, vehicles: 20 });
    }
  }
});

t.test('without a pick there is every shape in both motions', (t) => {
  const scenarios = scenariosOf(ENGINE_PARAMS).map(
    ({ shape, fences, vertices, motion }) => `${shape} ${fences} ${vertices} ${motion}`,
  );
  t.equal(scenarios.length, 14);
  t.ok(scenarios.includes('polygon 1000 10000 random'));
  t.same(
    scenariosOf({ ...ENGINE_PARAMS, fences: 7, shape: 'circle' }).map(
      ({ fences, vertices, motion }) => [fences, vertices, motion],
    ),
    [
      [7, 0, 'realistic'],
      [7, 0, 'random'],
    ],
  );
  t.end();
});

t.test('fences are valid, and a place lies in as many as was asked for', (t) => {
  const area = areaOf(1);
  for (const shape of SHAPES) {
    for (const vertices of [3, 24, 2_000]) {
      const params = { seed: 3, fences: 200, vertices, shape, fencesPerFixPercent: 100 };
      const bad = makeFences(area, params).filter((fence) => !checkShape(fence.shape).ok);
      t.same(bad, [], `${shape} of ${vertices}`);
    }
  }
  for (const fencesPerFixPercent of [50, 200]) {
    const params = { seed: 4, fences: 2_000, vertices: 24, fencesPerFixPercent };
    for (const shape of ['polygon', 'circle'] as const) {
      const world = createWorld();
      applyEdits(world, fenceEdits(makeFences(area, { ...params, shape })));
      const mean = meanFences(area, world);
      const share = (100 * mean) / fencesPerFixPercent;
      t.ok(share > 0.85 && share < 1.1, `${shape}: ${mean} of ${fencesPerFixPercent} %`);
    }
  }
  t.end();
});

function meanFences(area: ReturnType<typeof areaOf>, world: ReturnType<typeof createWorld>) {
  const drive = { seed: 5, vehicles: 100, motion: 'random', batchRows: 5_000 } as const;
  const places = [...spreadPlaces(takeBatches(area, drive, 5_000))];
  const held = places.map(([lon, lat]) => fencesAt(world, TENANT_ID, lon, lat).length);
  return held.reduce((sum, count) => sum + count, 0) / places.length;
}

t.test('the engine, rbush with turf and a scan agree on which fences hold a fix', (t) => {
  const area = areaOf(1);
  for (const shape of SHAPES) {
    // Corridors are short, so that turf has few to look at.
    const fencesPerFixPercent = shape === 'corridor' ? 20 : 100;
    const params = { seed: 6, fences: 300, vertices: 24, shape, fencesPerFixPercent };
    const fences = makeFences(area, params);
    const world = createWorld();
    applyEdits(world, fenceEdits(fences));
    const turfFences = fences.map(turfFenceOf);
    const rbush = rbushHolders(turfFences);
    const linear = linearHolders(turfFences);
    let held = 0;
    const different: unknown[] = [];
    for (const place of placesFor(area, turfFences.length)) {
      const [lon, lat] = place;
      const byScan = linear(lon, lat).sort((a, b) => a - b);
      const byTree = rbush(lon, lat).sort((a, b) => a - b);
      const ours = fencesAt(world, TENANT_ID, lon, lat).map((fence) => fence.fenceId);
      held += ours.length;
      const isAtEdge = (id: number): boolean => marginOf(shape, turfFences[id]!.marginM(place));
      const odd = [
        ...ours.filter((id) => !byScan.includes(id)),
        ...byScan.filter((id) => !ours.includes(id)),
      ].filter((id) => !isAtEdge(id));
      if (odd.length > 0 || byScan.join() !== byTree.join()) {
        different.push({ place, ours, byScan, byTree });
      }
    }
    t.same(different, [], shape);
    t.ok(held > 30, `${shape}: ${held} times a place in a fence`);
  }
  t.end();
});

function placesFor(area: ReturnType<typeof areaOf>, vehicles: number): [number, number][] {
  return MOTIONS.flatMap((motion) => {
    const drive = { seed: 7, vehicles, motion, batchRows: 300 };
    return [...spreadPlaces(takeBatches(area, drive, 300))];
  });
}

/** Whether a place is so near the edge that the two may differ. */
function marginOf(shape: ShapeName, marginM: number): boolean {
  if (shape === 'polygon') return false;
  return Math.abs(marginM) < (shape === 'circle' ? CIRCLE_MARGIN_M : LINE_MARGIN_M);
}

t.test(
  'a realistic fleet is half parked, drives at road speeds and sends every ten seconds',
  (t) => {
    const area = areaOf(4);
    const drive = { seed: 8, vehicles: 500, motion: 'realistic', batchRows: 500 } as const;
    const batches = takeBatches(area, drive, 500 * 200);
    let parked = 0;
    let offTime = 0;
    let fastestMps = 0;
    let furthestParkedDeg = 0;
    for (const [n, { fixes, nowMs }] of batches.entries()) {
      if (!(nowMs > fixes.timeMs[499]!)) offTime++;
      if (n === 0) continue;
      const before = batches[n - 1]!.fixes;
      for (let i = 0; i < 500; i++) {
        parked += 1 - fixes.ignition[i]!;
        fastestMps = Math.max(fastestMps, fixes.speedMps[i]!);
        if (fixes.timeMs[i]! - before.timeMs[i]! !== FIX_EVERY_MS) offTime++;
        if (fixes.ignition[i] === 1 || before.ignition[i] === 1) continue;
        const movedDeg = Math.abs(fixes.latDeg[i]! - before.latDeg[i]!);
        furthestParkedDeg = Math.max(furthestParkedDeg, movedDeg);
      }
    }
    t.equal(offTime, 0);
    const share = parked / (500 * 199);
    t.ok(share > 0.4 && share < 0.6, `${share} parked`);
    t.ok(fastestMps > 25 && fastestMps <= 30, `${fastestMps} m/s`);
    t.ok(furthestParkedDeg > 0 && furthestParkedDeg < 0.001, 'parked vehicles jitter');
    t.end();
  },
);

t.test('percentiles and the median', (t) => {
  t.equal(percentile([3, 1, 2], 50), 2);
  t.equal(percentile([3, 1, 2], 99), 3);
  t.equal(percentile([5], 50), 5);
  t.equal(median([4, 1, 2, 3]), 2.5);
  t.equal(median([9, 1, 2]), 2);
  t.end();
});
