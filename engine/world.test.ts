import t from 'tap';
import { wrapLonDeg } from './geodesy.ts';
import { partsContain, prepareShape } from './prepare.ts';
import { boxShape, fenceOf, seededRandom, starRing } from './test-data.ts';
import type { Edit, Fence, FenceShape, LonLat } from './types.ts';
import { applyEdits, createWorld, fencesAt } from './world.ts';

function put(fence: Fence): Edit {
  return { type: 'fence_put', fence };
}

t.test('fences are found by tenant, ascending, whatever their account', (t) => {
  const world = createWorld();
  const box = boxShape(0, 0, 1, 1);
  applyEdits(world, [
    put(fenceOf(3, box)),
    put(fenceOf(1, box, { accountId: 5 })),
    put(fenceOf(2, box, { tenantId: 2 })),
  ]);
  const ids = (tenantId: number, lon: number, lat: number): number[] =>
    fencesAt(world, tenantId, lon, lat).map((fence) => fence.fenceId);
  t.same(ids(1, 0.5, 0.5), [1, 3]);
  t.same(ids(2, 0.5, 0.5), [2]);
  t.same(ids(3, 0.5, 0.5), []);
  t.same(ids(1, 360.5, 0.5), [1, 3], 'a turn later');
  t.same(ids(1, NaN, 0.5), []);
  t.same(ids(1, 2, 0.5), []);
  t.end();
});

t.test('edits', (t) => {
  const world = createWorld();
  const here = boxShape(0, 0, 1, 1);
  const there = boxShape(5, 5, 6, 6);
  const at = (lon: number, lat: number, tenantId = 1): string =>
    fencesAt(world, tenantId, lon, lat)
      .map(({ fenceId, name }) => `${fenceId} ${name}`)
      .join();
  applyEdits(world, [
    { type: 'fence_delete', fenceId: 1 },
    { type: 'rule_delete', ruleId: 1 },
    { type: 'device_delete', deviceId: 1 },
  ]);
  applyEdits(world, [put(fenceOf(1, here)), put(fenceOf(1, here, { name: 'again' }))]);
  t.equal(at(0.5, 0.5), '1 again', 'the last word stands');
  applyEdits(world, [put(fenceOf(1, here, { name: 'again' }))]);
  t.equal(at(0.5, 0.5), '1 again', 'the same again is the same');
  applyEdits(world, [put(fenceOf(1, there))]);
  t.equal(at(0.5, 0.5), '', 'moved away');
  t.equal(at(5.5, 5.5), '1 fence 1', 'moved here');
  applyEdits(world, [put(fenceOf(1, there, { tenantId: 2 }))]);
  t.equal(at(5.5, 5.5), '', 'gone from its tenant');
  t.equal(at(5.5, 5.5, 2), '1 fence 1', 'given to another');
  applyEdits(world, [
    { type: 'fence_delete', fenceId: 1 },
    put(fenceOf(1, there, { tenantId: 2 })),
  ]);
  t.equal(at(5.5, 5.5, 2), '1 fence 1', 'deleted and put');
  applyEdits(world, [put(fenceOf(1, here, { tenantId: 2 })), { type: 'fence_delete', fenceId: 1 }]);
  t.equal(at(5.5, 5.5, 2) + at(0.5, 0.5, 2), '', 'put and deleted');
  t.end();
});

t.test('fences that no check has let through are refused whole', (t) => {
  const world = createWorld();
  const sound = put(fenceOf(1, boxShape(0, 0, 1, 1)));
  const bad: Fence[] = [
    fenceOf(2, boxShape(0, 0, NaN, 1)),
    fenceOf(2, { type: 'circle', centerLonDeg: 0, centerLatDeg: 0, radiusM: NaN }),
    fenceOf(2, boxShape(0, 0, 1, 1), { exitBufferM: -1 }),
    fenceOf(2, boxShape(0, 0, 1, 1), { enterFixCount: 0 }),
    fenceOf(2, boxShape(0, 0, 1, 1), { exitFixCount: 0 }),
  ];
  for (const fence of bad)
    t.throws(() => applyEdits(world, [sound, put(fence)]), { code: 'ERR_ASSERTION' });
  t.same(fencesAt(world, 1, 0.5, 0.5), [], 'no fence of a refused list is there');
  t.end();
});

function randomShape(random: () => number, [lon, lat]: LonLat): FenceShape {
  const kind = random();
  if (kind < 0.3)
    return {
      type: 'circle',
      centerLonDeg: lon,
      centerLatDeg: lat,
      radiusM: 10 ** (3 + 3 * random()),
    };
  if (kind < 0.5) {
    const line: LonLat[] = [[lon, lat]];
    for (let i = 0; i < 40; i++)
      line.push([
        line[i]![0] + random() - 0.4,
        Math.max(-89, Math.min(89, line[i]![1] + random() - 0.5)),
      ]);
    return { type: 'corridor', line, widthM: 1000 + 19_000 * random() };
  }
  if (kind < 0.8) return { type: 'polygon', polygons: [[starRing(random, [lon, lat], 5, 12)]] };
  return {
    type: 'polygon',
    polygons: [[starRing(random, [lon, lat], 3, 8)], [starRing(random, [lon + 2, lat], 3, 8)]],
  };
}

t.test('the grid finds what asking every fence finds, through edits of all sizes', (t) => {
  const seed = 81;
  t.comment(`seed ${seed}`);
  const random = seededRandom(seed);
  const world = createWorld();
  const truth = new Map<number, Fence>();
  let hits = 0;
  const wrong: unknown[] = [];
  for (let round = 0; round < 60; round++) {
    const edits: Edit[] = [];
    const size = round % 10 === 0 ? 120 : 1 + Math.floor(random() * 8);
    for (let i = 0; i < size; i++) {
      const fenceId = Math.floor(random() * 300);
      if (random() < 0.3) {
        edits.push({ type: 'fence_delete', fenceId });
        truth.delete(fenceId);
        continue;
      }
      // Near ±180° and the poles as often as elsewhere.
      const lon = random() < 0.3 ? 175 + 10 * random() : random() * 360 - 180;
      const lat = random() * 168 - 84;
      const tenantId = 1 + Math.floor(random() * 3);
      const fence = fenceOf(fenceId, randomShape(random, [lon, lat]), { tenantId, version: round });
      edits.push(put(fence));
      truth.set(fenceId, fence);
    }
    applyEdits(world, edits);
    const prepared = [...truth.values()].map((fence) => ({
      fence,
      parts: prepareShape(fence.shape),
    }));
    for (let i = 0; i < 400; i++) {
      const lon =
        random() < 0.1 ? 180 : random() < 0.3 ? 170 + 20 * random() : random() * 360 - 180;
      const lat = random() * 180 - 90;
      const tenantId = 1 + Math.floor(random() * 3);
      const found = fencesAt(world, tenantId, lon, lat).map((fence) => fence.fenceId);
      const expected = prepared
        .filter(({ fence }) => fence.tenantId === tenantId)
        .filter(({ parts }) => partsContain(parts, wrapLonDeg(lon), lat))
        .map(({ fence }) => fence.fenceId)
        .sort((a, b) => a - b);
      hits += expected.length;
      if (found.join() !== expected.join()) wrong.push({ round, lon, lat, found, expected });
    }
  }
  t.same(wrong, []);
  t.equal(hits > 1000, true, `${hits} hits`);
  t.end();
});
