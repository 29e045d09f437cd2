import * as turf from '@turf/turf';
import t from 'tap';
import { DEGREE_M, haversineM, lonReachDeg, lonReachDegMax, wrapLonDeg } from './geodesy.ts';
import type { Part } from './prepare.ts';
import { partsContain, partsMeet, prepareShape } from './prepare.ts';
import { checkShape } from './shape.ts';
import { boxRing, boxShape, seededRandom, starRing } from './test-data.ts';
import * as plain from './test-plain-shapes.ts';
import type { FenceShape, LonLat } from './types.ts';

function holds(shape: FenceShape, [lonDeg, latDeg]: LonLat): boolean {
  const parts = prepareShape(shape);
  const lon = wrapLonDeg(lonDeg);
  const held = partsContain(parts, lon, latDeg);
  // What is held lies in one of the part's boxes, or the grid would never ask.
  for (let part: Part | null = parts; part !== null; part = part.next) {
    if (!part.contains(lon, latDeg)) continue;
    const boxed = part
      .boxes()
      .some(
        (box) => lon >= box.minX && lon <= box.maxX && latDeg >= box.minY && latDeg <= box.maxY,
      );
    if (!boxed) throw new Error(`(${lon}, ${latDeg}) is held but in no box`);
  }
  return held;
}

/** Whether a point that no part holds is within `limitM` metres of one. Longitude as in `Part.contains`. */
function partsNear(first: Part, lonDeg: number, latDeg: number, limitM: number): boolean {
  for (let part: Part | null = first; part !== null; part = part.next) {
    if (part.near(lonDeg, latDeg, limitM)) return true;
  }
  return false;
}

/** As turf wants them. */
function positionsOf(path: readonly LonLat[]): number[][] {
  return path.map(([lonDeg, latDeg]) => [lonDeg, latDeg]);
}

const donut: FenceShape = {
  type: 'polygon',
  polygons: [[boxRing(0, 0, 10, 10), boxRing(4, 4, 6, 6)]],
};
const twoOverlapping: FenceShape = {
  type: 'polygon',
  polygons: [[boxRing(0, 0, 6, 6)], [boxRing(4, 4, 10, 10)]],
};
const slanted: FenceShape = {
  type: 'polygon',
  polygons: [
    [
      [
        [0, 0],
        [8, 2],
        [4, 10],
        [0, 0],
      ],
    ],
  ],
};
const splitAt180: FenceShape = {
  type: 'polygon',
  polygons: [[boxRing(170, 0, 180, 10)], [boxRing(-180, 0, -170, 10)]],
};
const past180 = boxShape(170, 0, 190, 10);
const shortWay = boxShape(170, 0, -170, 10);
const past180West = boxShape(-190, 0, -170, 10);
const arctic: FenceShape = {
  type: 'polygon',
  polygons: [
    [
      [
        [0, 70],
        [90, 75],
        [180, 70],
        [-90, 65],
        [0, 70],
      ],
    ],
  ],
};
const antarctic: FenceShape = {
  type: 'polygon',
  polygons: [
    [
      [
        [0, -70],
        [90, -70],
        [180, -70],
        [-90, -70],
        [0, -70],
      ],
    ],
  ],
};
const arcticBand: FenceShape = {
  type: 'polygon',
  polygons: [
    [
      [
        [0, 70],
        [90, 70],
        [180, 70],
        [-90, 70],
        [0, 70],
      ],
      [
        [45, 80],
        [135, 80],
        [-135, 80],
        [-45, 80],
        [45, 80],
      ],
    ],
  ],
};
const fiji: FenceShape = {
  type: 'circle',
  centerLonDeg: 179.9,
  centerLatDeg: -17,
  radiusM: 50_000,
};
const northPole: FenceShape = {
  type: 'circle',
  centerLonDeg: 30,
  centerLatDeg: 89.9,
  radiusM: 50_000,
};
const ferry: FenceShape = {
  type: 'corridor',
  line: [
    [179.5, 0],
    [-179.5, 0],
  ],
  widthM: 2000,
};
const street: FenceShape = {
  type: 'corridor',
  line: [
    [8, 50],
    [8.01, 50],
    [8.01, 50.01],
  ],
  widthM: 40,
};

const CASES: [string, FenceShape, LonLat, boolean][] = [
  ["middle of a donut's dough", donut, [2, 2], true],
  ['in its hole', donut, [5, 5], false],
  ["on the hole's edge", donut, [4, 5], true],
  ["on the hole's corner", donut, [6, 6], true],
  ['on the outer edge', donut, [10, 5], true],
  ['on the outer top edge', donut, [5, 10], true],
  ['on a corner', donut, [10, 10], true],
  ['a hair outside', donut, [10.000000001, 5], false],
  ['beside a top edge, level with it', donut, [11, 10], false],
  ['left of a vertex, level with it', slanted, [-1, 2], false],
  ['inside, level with a vertex', slanted, [4, 2], true],
  ['on a slanted edge', slanted, [4, 1], true],
  ['the tip', slanted, [4, 10], true],
  ['where two parts overlap', twoOverlapping, [5, 5], true],
  ['first part only', twoOverlapping, [1, 1], true],
  ['neither part', twoOverlapping, [8, 2], false],
  ['NaN longitude', donut, [NaN, 5], false],
  ['NaN latitude', donut, [2, NaN], false],
  ...[splitAt180, past180, shortWay, past180West].flatMap(
    (shape, i): [string, FenceShape, LonLat, boolean][] => {
      const how = ['split', '170…190', '170…-170', '-190…-170'][i]!;
      return [
        [`over 180° (${how}): on +180`, shape, [180, 5], true],
        [`over 180° (${how}): on -180`, shape, [-180, 5], true],
        [`over 180° (${how}): west part`, shape, [175, 5], true],
        [`over 180° (${how}): east part`, shape, [-175, 5], true],
        [`over 180° (${how}): written past 180`, shape, [185, 5], true],
        [`over 180° (${how}): west edge`, shape, [170, 5], true],
        [`over 180° (${how}): east edge`, shape, [-170, 5], true],
        [`over 180° (${how}): outside west`, shape, [169.9, 5], false],
        [`over 180° (${how}): outside east`, shape, [-169.9, 5], false],
        [`over 180° (${how}): the far side of the earth`, shape, [0, 5], false],
      ];
    },
  ),
  ['the world box, anywhere', boxShape(-180, -90, 180, 90), [123, -45], true],
  ['the world box, its seam', boxShape(-180, -90, 180, 90), [180, 0], true],
  ['the northern hemisphere', boxShape(-180, 0, 180, 90), [-180, 45], true],
  ['not the northern hemisphere', boxShape(-180, 0, 180, 90), [10, -1], false],
  ['a fence that ends on 180°', boxShape(170, 0, 180, 10), [-180, 5], true],
  ['a fence that begins on -180°', boxShape(-180, 0, -170, 10), [180, 5], true],
  ['round the north pole: the pole', arctic, [0, 90], true],
  ['round the north pole: seam', arctic, [0, 85], true],
  ['round the north pole: 90° west', arctic, [-90, 66], true],
  ['round the north pole: 90° east', arctic, [90, 74], false],
  ['round the north pole: on 180°', arctic, [180, 70], true],
  ['round the north pole: south of it', arctic, [0, 60], false],
  ['round the south pole: the pole', antarctic, [12, -90], true],
  ['round the south pole: outside', antarctic, [12, -69], false],
  ['a band round the north pole', arcticBand, [170, 75], true],
  ['a band round the north pole: its hole', arcticBand, [20, 85], false],
  ["a band round the north pole: hole's edge", arcticBand, [45, 80], true],
  ['a circle over 180°: this side', fiji, [179.6, -17], true],
  ['a circle over 180°: that side', fiji, [-179.7, -17], true],
  ['a circle over 180°: on 180', fiji, [-180, -17], true],
  ['a circle over 180°: too far', fiji, [-179.5, -17], false],
  ['a circle over the pole: beyond it', northPole, [-150, 89.9], true],
  ['a circle over the pole: the pole', northPole, [0, 90], true],
  ['a circle over the pole: 90° round', northPole, [120, 89.7], true],
  ['a circle over the pole: too far', northPole, [-150, 89.6], false],
  ['a corridor over 180°', ferry, [180, 0.008], true],
  ['a corridor over 180°: its far end', ferry, [-179.5, -0.008], true],
  ['a corridor over 180°: beside it', ferry, [180, 0.0095], false],
  ['on a street', street, [8.005, 50.0001], true],
  ['on a street: round the corner', street, [8.0102, 50.005], true],
  ['off a street', street, [8.005, 50.0003], false],
  ['off a street: inside the bend', street, [8.009, 50.001], false],
  ['off a street: past its end', street, [7.9995, 50], false],
];

t.test('hand cases', (t) => {
  for (const [name, shape, at, expected] of CASES) {
    t.equal(checkShape(shape).ok, true, `${name}: sound shape`);
    t.equal(holds(shape, at), expected, name);
  }
  t.end();
});

t.test('two fences that share an edge never both refuse a point', (t) => {
  const random = seededRandom(11);
  let refused = 0;
  for (let i = 0; i < 2000; i++) {
    const a: LonLat = [random(), random()];
    const b: LonLat = [1 + random(), 1 + random()];
    const east: FenceShape = { type: 'polygon', polygons: [[[a, [3, 0], b, a]]] };
    const west: FenceShape = { type: 'polygon', polygons: [[[b, [0, 3], a, b]]] };
    const share = random();
    const at: LonLat = [a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])];
    if (!holds(east, at) && !holds(west, at)) refused++;
  }
  t.equal(refused, 0);
  t.end();
});

for (const [count, rounds] of [
  [6, 60],
  [24, 60],
  [200, 20],
  [5000, 2],
] as const) {
  t.test(`random polygons of ${count} vertices with a hole against turf`, (t) => {
    const seed = 4000 + count;
    t.comment(`seed ${seed}`);
    const random = seededRandom(seed);
    const wrong: unknown[] = [];
    let inside = 0;
    for (let round = 0; round < rounds; round++) {
      const center: LonLat = [random() * 340 - 170, random() * 160 - 80];
      const outer = starRing(random, center, 2, count);
      const hole = starRing(random, center, 0.5, count);
      const shape: FenceShape = { type: 'polygon', polygons: [[outer, hole]] };
      const parts = prepareShape(shape);
      const reference = turf.polygon([positionsOf(outer), positionsOf(hole)]);
      for (let i = 0; i < 200; i++) {
        const at: LonLat =
          i < 20
            ? outer[Math.floor(random() * count)]!
            : i < 40
              ? [center[0] + 4 * (random() - 0.5), outer[Math.floor(random() * count)]![1]]
              : [center[0] + 4.4 * (random() - 0.5), center[1] + 4.4 * (random() - 0.5)];
        const expected = turf.booleanPointInPolygon([...at], reference);
        if (expected) inside++;
        if (partsContain(parts, wrapLonDeg(at[0]), at[1]) !== expected) wrong.push({ round, at });
      }
    }
    t.same(wrong, []);
    t.equal(inside > rounds * 20 && inside < rounds * 180, true, `${inside} points inside`);
    t.end();
  });
}

t.test('a polygon is the same wherever it lies, over 180° too', (t) => {
  const random = seededRandom(21);
  let wrong = 0;
  for (let round = 0; round < 100; round++) {
    const ring = starRing(random, [0, 10], 2, 30);
    // Binary fractions, so that moving by 180 is exact.
    const exact = ring.map(([lon, lat]): LonLat => [Math.round(lon * 1024) / 1024, lat]);
    const home = prepareShape({ type: 'polygon', polygons: [[exact]] });
    const away = prepareShape({
      type: 'polygon',
      polygons: [[exact.map(([lon, lat]): LonLat => [wrapLonDeg(lon + 180), lat])]],
    });
    for (let i = 0; i < 100; i++) {
      const lon = Math.round((random() - 0.5) * 4 * 1024) / 1024;
      const lat = 10 + (random() - 0.5) * 4;
      if (partsContain(home, lon, lat) !== partsContain(away, wrapLonDeg(lon + 180), lat)) wrong++;
    }
  }
  t.equal(wrong, 0);
  t.end();
});

t.test('random circles against turf distance, anywhere on earth', (t) => {
  const seed = 31;
  t.comment(`seed ${seed}`);
  const random = seededRandom(seed);
  const wrong: unknown[] = [];
  for (let i = 0; i < 5000; i++) {
    const center: LonLat = [random() * 360 - 180, Math.asin(random() * 2 - 1) * (180 / Math.PI)];
    const radiusM = 10 ** (1 + random() * 6);
    const bearing = random() * 360 - 180;
    const distanceM = radiusM * (random() < 0.5 ? 0.2 + 0.799 * random() : 1.001 + random());
    const at = turf.destination([...center], distanceM / 1000, bearing).geometry.coordinates as [
      number,
      number,
    ];
    const d = turf.distance([...center], at, { units: 'meters' });
    if (Math.abs(d - radiusM) < 1e-6 * radiusM) continue;
    const shape: FenceShape = {
      type: 'circle',
      centerLonDeg: center[0],
      centerLatDeg: center[1],
      radiusM,
    };
    if (holds(shape, at) !== d <= radiusM) wrong.push({ center, radiusM, at, d });
    const bufferM = radiusM * 0.5;
    const near = partsNear(prepareShape(shape), wrapLonDeg(at[0]), at[1], bufferM);
    if (Math.abs(d - radiusM - bufferM) > 1e-6 * radiusM && near !== d <= radiusM + bufferM) {
      wrong.push({ center, radiusM, bufferM, at, d });
    }
  }
  t.same(wrong, []);
  t.end();
});

t.test('random corridors and exit buffers against turf pointToLineDistance', (t) => {
  const seed = 41;
  t.comment(`seed ${seed}`);
  const random = seededRandom(seed);
  const wrong: unknown[] = [];
  let inside = 0;
  for (let i = 0; i < 1500; i++) {
    const lon = random() * 360 - 180;
    const lat = random() * 140 - 70;
    // Legs of at most about 1 km: there a straight line on the map and a great circle are one to the millimetre.
    const line: LonLat[] = [[lon, lat]];
    for (let j = 0; j < 40; j++) {
      const [x, y] = line[j]!;
      line.push([x + (random() - 0.3) * 0.01, y + (random() - 0.3) * 0.01]);
    }
    const pick = line[Math.floor(random() * line.length)]!;
    const at: LonLat = [pick[0] + (random() - 0.5) * 0.02, pick[1] + (random() - 0.5) * 0.02];
    const d = turf.pointToLineDistance([...at], turf.lineString(positionsOf(line)), {
      units: 'meters',
    });
    const widthM = 20 + 980 * random();
    const shape: FenceShape = { type: 'corridor', line, widthM };
    if (d < widthM / 2) inside++;
    if (Math.abs(d - widthM / 2) > 0.002 * d + 0.01 && holds(shape, at) !== d < widthM / 2) {
      wrong.push({ i, at, d, widthM });
    }
    const parts = prepareShape(shape);
    if (d > widthM / 2 + 1) {
      const gapM = d - widthM / 2;
      if (!partsNear(parts, wrapLonDeg(at[0]), at[1], gapM * 1.003 + 0.01)) wrong.push({ i, gapM });
      if (partsNear(parts, wrapLonDeg(at[0]), at[1], gapM * 0.99 - 0.5)) wrong.push({ i, gapM });
    }
  }
  t.same(wrong, []);
  t.equal(inside > 300 && inside < 1200, true, `${inside} inside`);
  t.end();
});

t.test('distance to a polygon, from outside and from its hole', (t) => {
  const random = seededRandom(51);
  const wrong: unknown[] = [];
  let tried = 0;
  for (let round = 0; round < 60; round++) {
    const center: LonLat = [wrapLonDeg(random() * 360), random() * 140 - 70];
    const outer = starRing(random, center, 0.02, 60);
    const hole = starRing(random, center, 0.005, 30);
    const parts = prepareShape({ type: 'polygon', polygons: [[outer, hole]] });
    for (let i = 0; i < 20; i++) {
      const at: LonLat = [center[0] + (random() - 0.5) * 0.05, center[1] + (random() - 0.5) * 0.05];
      if (partsContain(parts, wrapLonDeg(at[0]), at[1])) continue;
      const d = Math.min(
        ...[outer, hole].map((ring) =>
          turf.pointToLineDistance([...at], turf.lineString(positionsOf(ring)), {
            units: 'meters',
          }),
        ),
      );
      tried++;
      if (!partsNear(parts, wrapLonDeg(at[0]), at[1], d * 1.003 + 0.01)) wrong.push({ at, d });
      if (partsNear(parts, wrapLonDeg(at[0]), at[1], d * 0.997 - 0.01)) wrong.push({ at, d });
    }
  }
  t.same(wrong, []);
  t.equal(tried > 300, true, `${tried} points outside`);
  t.end();
});

t.test('the flat arithmetic stays within 0.01 % of the sphere up to 10 km below 80°', (t) => {
  const random = seededRandom(61);
  let worst = 0;
  let measured = 0;
  for (let i = 0; i < 3000; i++) {
    const at: LonLat = [random() * 300 - 150, random() * 160 - 80];
    const distance = 10 ** (1 + 3 * random());
    const reach = (distance / DEGREE_M) * 1.3;
    const stretch = reach / Math.cos((at[1] * Math.PI) / 180);
    const a: LonLat = [
      at[0] + (random() * 2 - 1) * stretch,
      Math.min(89, at[1] + random() * reach),
    ];
    const b: LonLat = [
      at[0] + (random() * 2 - 1) * stretch,
      Math.min(89, at[1] + random() * reach),
    ];
    // The slow way: walk along the segment.
    let exact = Infinity;
    for (let step = 0; step <= 4000; step++) {
      const share = step / 4000;
      exact = Math.min(
        exact,
        haversineM(...at, a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])),
      );
    }
    if (exact > 10_000 || exact < 1) continue;
    measured++;
    const parts = prepareShape({ type: 'corridor', line: [a, b], widthM: 1e-6 });
    let low = exact * 0.99;
    let high = exact * 1.05;
    for (let step = 0; step < 30; step++) {
      const middle = (low + high) / 2;
      if (partsNear(parts, wrapLonDeg(at[0]), at[1], middle)) high = middle;
      else low = middle;
    }
    worst = Math.max(worst, high / exact - 1);
  }
  t.comment(`${measured} measured, worst ${(worst * 100).toFixed(4)} %`);
  t.equal(measured > 500, true);
  t.equal(worst < 0.0001, true, `worst relative error ${worst}`);
  t.end();
});

t.test('longitudes and reaches', (t) => {
  t.equal(wrapLonDeg(180), -180);
  t.equal(wrapLonDeg(-180), -180);
  t.equal(wrapLonDeg(190), -170);
  t.equal(wrapLonDeg(-190), 170);
  t.equal(wrapLonDeg(720.5), 0.5);
  t.equal(wrapLonDeg(-180 - 1e-14) < 180, true, 'rounding up to 180 is wrapped, too');
  t.equal(lonReachDeg(90, 1), 180);
  t.equal(lonReachDeg(89.9999, 100), 180);
  t.equal(Math.abs(lonReachDeg(0, DEGREE_M) - 1) < 1e-9, true);
  const latitudes = [0, 30, 60, 80, 89, 89.9, 89.9999, 90, -75];
  const tooShort = latitudes.flatMap((lat) =>
    [0.1, 25, 3_000, 200_000, 3e6]
      .filter((radiusM) => lonReachDegMax(lat, radiusM) < lonReachDeg(lat, radiusM))
      .map((radiusM) => [lat, radiusM]),
  );
  t.same(tooShort, []);
  t.ok(lonReachDegMax(51, 25) < 1.001 * lonReachDeg(51, 25));
  t.end();
});

t.test('ways across rings of any number of edges, over 180° too, beside a plain scan', (t) => {
  const random = seededRandom(17);
  const wrong: unknown[] = [];
  let met = 0;
  let missed = 0;
  for (let n = 0; n < 400; n++) {
    const lon = [7, 179.99, 180.5, -180][n % 4]!;
    const lat = 20 * random();
    const count = [12, 60, 500, 2_300][Math.floor(n / 4) % 4]!;
    const ring = starRing(random, [lon, lat], 0.05, count);
    const shape: FenceShape = { type: 'polygon', polygons: [[ring]] };
    const first = prepareShape(shape);
    const place = (): { lonDeg: number; latDeg: number } => ({
      lonDeg: wrapLonDeg(lon + 0.14 * (random() - 0.5)),
      latDeg: lat + 0.14 * (random() - 0.5),
    });
    for (let i = 0; i < 20; i++) {
      const from = place();
      const to = place();
      if (plain.holds(shape, from) || plain.holds(shape, to)) continue;
      const step = to.lonDeg - from.lonDeg;
      const x0 = from.lonDeg + (step > 180 ? 360 : step < -180 ? -360 : 0);
      const way = {
        ...{ x0, y0: from.latDeg, x1: to.lonDeg, y1: to.latDeg },
        minX: Math.min(x0, to.lonDeg),
        maxX: Math.max(x0, to.lonDeg),
        minY: Math.min(from.latDeg, to.latDeg),
        maxY: Math.max(from.latDeg, to.latDeg),
      };
      const isMet = plain.meets(shape, from, to);
      if (partsMeet(first, way) !== isMet) wrong.push({ n, from, to, isMet });
      if (isMet) met++;
      else missed++;
    }
  }
  t.same(wrong.slice(0, 3), [], `${wrong.length} wrong`);
  t.ok(met > 500 && missed > 500, `${met} met, ${missed} missed`);
  t.end();
});

t.test('a comb of long teeth does not blow the stripes up', (t) => {
  const ring: LonLat[] = [];
  for (let i = 0; i < 20_000; i++) ring.push([i / 1000, i % 2 ? 50 : 0.5]);
  ring.push([20, 0], [0, 0], ring[0]!);
  const shape: FenceShape = { type: 'polygon', polygons: [[ring]] };
  const reference = turf.polygon([positionsOf(ring)]);
  const random = seededRandom(71);
  const parts = prepareShape(shape);
  let wrong = 0;
  for (let i = 0; i < 200; i++) {
    const at: LonLat = [random() * 21, random() * 51];
    if (partsContain(parts, ...at) !== turf.booleanPointInPolygon([...at], reference)) wrong++;
  }
  t.equal(wrong, 0);
  t.end();
});
