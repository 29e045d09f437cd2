/** Shapes at random beside slow answers that share nothing with the engine: vectors for the sphere, turf for the plane. */
import { booleanPointInPolygon, multiPolygon } from '@turf/turf';
import fc from 'fast-check';
import t from 'tap';
import { EARTH_RADIUS_M } from './geodesy.ts';
import { boxRing, fenceOf, seededRandom, starRing } from './test-data.ts';
import type { FenceShape, LonLat } from './types.ts';
import { applyEdits, createWorld, fencesAt } from './world.ts';

const SEED = 29;
const RADIANS = Math.PI / 180;

type Vector = readonly [number, number, number];

function vectorOf([lonDeg, latDeg]: LonLat): Vector {
  const flat = Math.cos(latDeg * RADIANS);
  const lon = lonDeg * RADIANS;
  return [flat * Math.cos(lon), flat * Math.sin(lon), Math.sin(latDeg * RADIANS)];
}

/** By the angle between two vectors: right from millimetres to the antipode. */
function distanceM(a: LonLat, b: LonLat): number {
  const [p, q] = [vectorOf(a), vectorOf(b)];
  const apart = Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]);
  const together = Math.hypot(p[0] + q[0], p[1] + q[1], p[2] + q[2]);
  return 2 * Math.atan2(apart, together) * EARTH_RADIUS_M;
}

/** The point at a distance from another, towards a bearing, by vectors. */
function pointAt(from: LonLat, awayM: number, bearing: number): LonLat {
  const up = vectorOf(from);
  const lon = from[0] * RADIANS;
  const east: Vector = [-Math.sin(lon), Math.cos(lon), 0];
  const lat = from[1] * RADIANS;
  const north: Vector = [
    -Math.sin(lat) * Math.cos(lon),
    -Math.sin(lat) * Math.sin(lon),
    Math.cos(lat),
  ];
  const angle = awayM / EARTH_RADIUS_M;
  const [x, y, z] = [0, 1, 2].map(
    (axis) =>
      Math.cos(angle) * up[axis]! +
      Math.sin(angle) * (Math.cos(bearing) * north[axis]! + Math.sin(bearing) * east[axis]!),
  ) as [number, number, number];
  return [Math.atan2(y, x) / RADIANS, Math.atan2(z, Math.hypot(x, y)) / RADIANS];
}

function holds(shape: FenceShape, [lonDeg, latDeg]: LonLat): boolean {
  const world = createWorld();
  applyEdits(world, [{ type: 'fence_put', fence: fenceOf(1, shape) }]);
  return fencesAt(world, 1, lonDeg, latDeg).length === 1;
}

/** Evenly between two numbers; `fc.double` gives as many numbers below 1e-9 as above. */
const between = (min: number, max: number): fc.Arbitrary<number> =>
  fc.nat(2 ** 30).map((part) => min + ((max - min) * part) / 2 ** 30);
const unit = between(0, 1);
/** Anywhere; the antimeridian, the poles and their neighbourhood as often as all else. */
const anywhere = fc.tuple(
  fc.oneof(between(-180, 180), fc.constantFrom(180, -180, 179.9999, -179.9999, 0)),
  fc.oneof(between(-90, 90), fc.constantFrom(90, -90, 89.9999, -89.9999, 0)),
);
const sign = fc.constantFrom(-1, 1);

t.test('circles of 1 m to 20,000 km, over 180° and the poles', (t) => {
  let held = 0;
  let tried = 0;
  fc.assert(
    fc.property(anywhere, unit, unit, unit, sign, (center, size, off, turn, side) => {
      const radiusM = 10 ** (7.3 * size);
      const at = pointAt(center, radiusM * (1 + side * 10 ** (-6 * off)), 2 * Math.PI * turn);
      const away = distanceM(center, at);
      // Nearer to the edge than this, 10 nm and a few units of rounding, either answer is right.
      if (Math.abs(away - radiusM) < 1e-8 + 1e-9 * radiusM) return true;
      const [centerLonDeg, centerLatDeg] = center;
      const isHeld = holds({ type: 'circle', centerLonDeg, centerLatDeg, radiusM }, at);
      tried++;
      if (isHeld) held++;
      return isHeld === away < radiusM;
    }),
    { seed: SEED, numRuns: 5_000 },
  );
  t.ok(tried > 4_000 && held > tried / 4 && held < (3 * tried) / 4, `${held} of ${tried} held`);
  t.end();
});

t.test('corridors anywhere below 80°, over 180° as well', (t) => {
  let held = 0;
  let tried = 0;
  const start = fc.tuple(
    fc.oneof(between(-180, 180), fc.constantFrom(180, -180, 179.99)),
    between(-79, 79),
  );
  const legs = fc.array(fc.tuple(unit, unit), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(start, legs, unit, unit, unit, (from, steps, width, where, turn) => {
      const reach = 0.02 / Math.cos(from[1] * RADIANS);
      const path: LonLat[] = [from];
      for (const [east, north] of steps) {
        const [lonDeg, latDeg] = path.at(-1)!;
        path.push([lonDeg + (east - 0.4) * reach, latDeg + (north - 0.5) * 0.02]);
      }
      // Written as a device would: within −180…180.
      const line = path.map(([lonDeg, latDeg]): LonLat => [wrapped(lonDeg), latDeg]);
      const widthM = 10 ** (1 + 2.5 * width);
      const near = path[Math.floor(where * (path.length - 1))]!;
      const at = pointAt(near, widthM * (0.2 + turn), 40 * turn);
      const away = lineDistanceM(path, at);
      // The flat arithmetic is off by 0.01 % at most; the walk along the line by a step's square.
      if (Math.abs(away - widthM / 2) < 2e-4 * widthM + 0.01) return true;
      const isHeld = holds({ type: 'corridor', line, widthM }, at);
      tried++;
      if (isHeld) held++;
      return isHeld === away < widthM / 2;
    }),
    { seed: SEED, numRuns: 1_500 },
  );
  t.ok(tried > 1_000 && held > tried / 5 && held < (4 * tried) / 5, `${held} of ${tried} held`);
  t.end();
});

function wrapped(lonDeg: number): number {
  return lonDeg > 180 ? lonDeg - 360 : lonDeg < -180 ? lonDeg + 360 : lonDeg;
}

/** Walks along the line: coarsely, then finely round the nearest step. */
function lineDistanceM(path: readonly LonLat[], at: LonLat): number {
  let least = Infinity;
  for (let i = 1; i < path.length; i++) {
    const [a, b] = [path[i - 1]!, path[i]!];
    const awayAt = (share: number): number =>
      distanceM(at, [a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])]);
    let best = 0;
    for (let step = 0; step <= 20; step++) if (awayAt(step / 20) < awayAt(best)) best = step / 20;
    let [low, high] = [Math.max(0, best - 0.05), Math.min(1, best + 0.05)];
    for (let round = 0; round < 30; round++) {
      const [left, right] = [low + (high - low) / 3, high - (high - low) / 3];
      if (awayAt(left) < awayAt(right)) high = right;
      else low = left;
    }
    least = Math.min(least, awayAt((low + high) / 2), awayAt(0), awayAt(1));
  }
  return least;
}

t.test('multipolygons whose parts overlap, with holes, over 180°, against turf', (t) => {
  let held = 0;
  let tried = 0;
  const middle = fc.tuple(fc.constantFrom(180, 179, -178.5, 20), fc.integer({ min: -60, max: 60 }));
  fc.assert(
    fc.property(middle, fc.nat(), fc.integer({ min: 1, max: 4 }), (center, seed, parts) => {
      const random = seededRandom(seed);
      const polygons = Array.from({ length: parts }, () => {
        const at: LonLat = [center[0] + 2 * random(), center[1] + 2 * random()];
        const isBox = random() < 0.3;
        const [x, y] = at;
        const outer = isBox ? boxRing(x - 1, y - 1, x + 1, y + 1) : starRing(random, at, 2, 16);
        return [outer, starRing(random, at, 0.5, 9)];
      });
      const written = polygons.map((rings) =>
        rings.map((ring) => ring.map(([lon, lat]): LonLat => [wrapped(lon), lat])),
      );
      const plain = polygons.map((rings) => rings.map((ring) => ring.map(([x, y]) => [x, y])));
      const reference = multiPolygon(plain);
      for (let i = 0; i < 20; i++) {
        const at: LonLat = [center[0] - 2 + 6 * random(), center[1] - 2 + 6 * random()];
        const expected = booleanPointInPolygon([...at], reference);
        const isHeld = holds({ type: 'polygon', polygons: written }, [wrapped(at[0]), at[1]]);
        tried++;
        if (isHeld) held++;
        if (isHeld !== expected) return false;
      }
      return true;
    }),
    { seed: SEED, numRuns: 300 },
  );
  t.ok(held > tried / 10 && held < (9 * tried) / 10, `${held} of ${tried} held`);
  t.end();
});

t.test('rectangles hold what lies between their sides, over 180° as well', (t) => {
  let held = 0;
  const whole = fc.integer({ min: -179, max: 179 });
  const size = fc.integer({ min: 1, max: 179 });
  const offset = fc.integer({ min: -5, max: 5 });
  fc.assert(
    fc.property(
      whole,
      fc.integer({ min: -85, max: 80 }),
      size,
      unit,
      offset,
      (west, south, width, tall, off) => {
        const north = Math.min(90, south + 1 + Math.round(tall * 20));
        const east = west + width;
        const shape: FenceShape = {
          type: 'polygon',
          polygons: [[boxRing(west, south, wrapped(east), north)]],
        };
        const corners: [number, boolean][] = [
          [west, true],
          [east, true],
          [west + width / 2, true],
          [west - 0.25, false],
          [east + 0.25, false],
          [east + Math.abs(off) + 0.5, false],
        ];
        return corners.every(([lonDeg, isWithin]) =>
          [south, north, (south + north) / 2].every((latDeg) => {
            const isHeld = holds(shape, [wrapped(lonDeg), latDeg]);
            if (isHeld) held++;
            return isHeld === isWithin;
          }),
        );
      },
    ),
    { seed: SEED, numRuns: 1_000 },
  );
  t.ok(held > 5_000, `${held} held`);
  t.end();
});
