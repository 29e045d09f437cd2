import t from 'tap';
import { ALL_EDGES, MIXED } from './cell-grid.ts';
import { cutAll } from './clear-box.ts';
import type { Space } from './space.ts';
import { boxRing, fenceOf, seededRandom, starRing } from './test-data.ts';
import type { Edit, FenceShape, LonLat } from './types.ts';
import { applyEdits, createWorld, fencesAt, tenantOf } from './world.ts';

const WORLDS = 300;
const FENCES = 5;
const PLACES = 40;
const SAMPLES = 30;
const TENANT_ID = 1;

type Random = () => number;

function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)]!;
}

/** One of any kind: with few edges and many, with a hole, a rectangle, a circle, a corridor. */
function shapeAt(random: Random, at: LonLat, sizeDeg: number): FenceShape {
  const [lonDeg, latDeg] = at;
  const ring = (share: number, count: number): LonLat[] =>
    starRing(random, at, share * sizeDeg, count);
  switch (Math.floor(random() * 6)) {
    case 0:
      return { type: 'polygon', polygons: [[ring(1, pick(random, [3, 12, 24, 31]))]] };
    case 1:
      return { type: 'polygon', polygons: [[ring(1, pick(random, [60, 400, 3_000]))]] };
    case 2:
      return { type: 'polygon', polygons: [[ring(1, 24), ring(0.2, 8)]] };
    case 3: {
      const box = boxRing(
        lonDeg - sizeDeg,
        latDeg - sizeDeg,
        lonDeg + sizeDeg,
        latDeg + sizeDeg / 2,
      );
      return { type: 'polygon', polygons: [[box]] };
    }
    case 4:
      return {
        type: 'circle',
        centerLonDeg: lonDeg,
        centerLatDeg: latDeg,
        radiusM: sizeDeg * 80_000,
      };
    default: {
      const line: LonLat[] = [at];
      for (let i = 0; i < 12; i++) {
        const [x, y] = line.at(-1)!;
        line.push([x + (random() - 0.3) * sizeDeg, y + (random() - 0.5) * sizeDeg]);
      }
      return { type: 'corridor', line, widthM: sizeDeg * 15_000 };
    }
  }
}

function worldAt(random: Random, [lonDeg, latDeg]: LonLat, sizeDeg: number) {
  const world = createWorld();
  const edits = Array.from({ length: FENCES }, (_, fenceId): Edit => {
    const at: LonLat = [
      lonDeg + (random() - 0.5) * 4 * sizeDeg,
      latDeg + (random() - 0.5) * 4 * sizeDeg,
    ];
    return { type: 'fence_put', fence: fenceOf(fenceId, shapeAt(random, at, sizeDeg)) };
  });
  applyEdits(world, edits);
  return world;
}

/** Where worlds lie: at home, at both sides of the antimeridian, far north. */
const CENTERS: readonly LonLat[] = [
  [7, 51],
  [-60, 0],
  [179.99, 20],
  [-180, -35],
  [20, 78],
];

t.test('pictures and bits of edges say what the shape says', (t) => {
  const random = seededRandom(31);
  const wrong: unknown[] = [];
  const counts = { inside: 0, outside: 0, mixed: 0, bits: 0 };
  for (let n = 0; n < WORLDS; n++) {
    const [lonDeg, latDeg] = pick(random, CENTERS);
    const sizeDeg = 10 ** (-3 + 3 * random());
    const { grid, parts } = tenantOf(worldAt(random, [lonDeg, latDeg], sizeDeg), TENANT_ID);
    for (let place = 0; place < PLACES; place++) {
      const x = lonDeg + (random() - 0.5) * 5 * sizeDeg;
      const y = latDeg + (random() - 0.5) * 5 * sizeDeg;
      if (x < -180 || x >= 180) continue;
      for (const [item, part] of parts.entries()) {
        if (!part || !grid.holds(item, x, y)) continue;
        const isHeld = part.contains(x, y);
        const side = grid.pictureAt(item, x, y);
        const edges = grid.edgesAt(item, y);
        if (side === MIXED) counts.mixed++;
        else {
          if ((side === 1) !== isHeld) wrong.push({ x, y, side });
          counts[isHeld ? 'inside' : 'outside']++;
        }
        if (edges !== ALL_EDGES) counts.bits++;
        if (part.holds(x, y, edges) !== isHeld) wrong.push({ x, y, edges });
      }
    }
  }
  t.same(wrong.slice(0, 3), [], `${wrong.length} wrong`);
  for (const [name, count] of Object.entries(counts)) t.ok(count > 200, `${name}: ${count}`);
  t.end();
});

t.test('all of a space from which boundaries were cut is in the same fences', (t) => {
  const random = seededRandom(32);
  const wrong: unknown[] = [];
  const counts = { cut: 0, whole: 0, large: 0, held: 0, none: 0 };
  for (let n = 0; n < WORLDS; n++) {
    const [lonDeg, latDeg] = pick(random, CENTERS);
    const sizeDeg = 10 ** (-2 + 2 * random());
    const world = worldAt(random, [lonDeg, latDeg], sizeDeg);
    const tenant = tenantOf(world, TENANT_ID);
    const idsAt = (x: number, y: number): string =>
      fencesAt(world, TENANT_ID, x, y)
        .map(({ fenceId }) => fenceId)
        .join();
    for (let place = 0; place < PLACES; place++) {
      const x = lonDeg + (random() - 0.5) * 5 * sizeDeg;
      const y = latDeg + (random() - 0.5) * 5 * sizeDeg;
      const reach = sizeDeg * 10 ** (-1.5 + 1.8 * random());
      const space: Space = {
        x,
        y,
        minX: x - reach * random(),
        minY: y - reach * random(),
        maxX: x + reach * random(),
        maxY: y + reach * random(),
      };
      if (space.minX <= -180 || space.maxX >= 180) continue;
      const before = { ...space };
      if (!cutAll(tenant, tenant.grid.searchArea(space), space)) {
        counts.none++;
        continue;
      }
      const share = (space.maxX - space.minX) / (before.maxX - before.minX);
      const isWhole = share === 1 && space.minY === before.minY && space.maxY === before.maxY;
      counts[isWhole ? 'whole' : 'cut']++;
      if (!isWhole && share > 0.5) counts.large++;
      const ids = idsAt(x, y);
      if (ids !== '') counts.held++;
      for (let i = 0; i < SAMPLES; i++) {
        const u = space.minX + random() * (space.maxX - space.minX);
        const v = space.minY + random() * (space.maxY - space.minY);
        if (idsAt(u, v) !== ids) wrong.push({ x, y, u, v, space, before, ids, there: idsAt(u, v) });
      }
    }
  }
  t.same(wrong.slice(0, 3), [], `${wrong.length} wrong`);
  for (const [name, count] of Object.entries(counts)) t.ok(count > 200, `${name}: ${count}`);
  t.end();
});
