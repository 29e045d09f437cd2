import fc from 'fast-check';
import t from 'tap';
import { EdgeTree } from './edge-tree.ts';
import { shapeFromGeoJson } from './geojson.ts';
import { checkRectangle } from './rectangle.ts';
import { unrollLongitudes } from './ring.ts';
import { checkShape, checkShapeForm, FENCE_VERTICES_MAX } from './shape.ts';
import { boxRing, fenceOf, seededRandom, starRing } from './test-data.ts';
import type { FenceShape, LonLat, PolygonRings } from './types.ts';
import { applyEdits, createWorld, fencesAt } from './world.ts';

const none = { polygon: null, center_lat: null, center_lng: null, radius_m: null, width_m: null };
const box = boxRing(0, 0, 9, 9);

/** As a fence comes in: its GeoJSON read, then checked. */
function judge(coordinates: unknown, shape_type = 'polygon'): { said: string; at: string } {
  const type = shape_type === 'rectangle' ? 'Polygon' : 'MultiPolygon';
  const polygon = { type: shape_type === 'polygon' ? 'Polygon' : type, coordinates };
  const read = shapeFromGeoJson({ ...none, shape_type, polygon });
  if (!read.ok) return { said: `${read.reason}: ${read.detail}`, at: read.pointer };
  const checked = checkShape(read.shape);
  if (!checked.ok)
    return { said: `${checked.reason}: ${checked.detail}`, at: checked.at.join('/') };
  if (shape_type !== 'rectangle') return { said: 'ok', at: '' };
  const corners = checkRectangle(read.shape);
  if (corners.ok) return { said: 'ok', at: '' };
  return { said: `${corners.reason}: ${corners.detail}`, at: corners.at.join('/') };
}

/** Which of the points the shape holds, as an engine's world says it. */
function held(shape: FenceShape, points: readonly LonLat[]): string {
  const world = createWorld();
  applyEdits(world, [{ type: 'fence_put', fence: fenceOf(1, shape) }]);
  return points.map(([lon, lat]) => fencesAt(world, 1, lon, lat).length).join('');
}

function polygon(...rings: PolygonRings): FenceShape {
  return { type: 'polygon', polygons: [rings] };
}

const ROWS: readonly [string, unknown, RegExp, string][] = [
  ['sound', [box], /^ok$/, ''],
  ['clockwise', [[...box].reverse()], /^ok$/, ''],
  ['a hole with the winding of its outer ring', [box, boxRing(2, 2, 3, 3)], /^ok$/, ''],
  [
    'open: the last position is not the first',
    [box.slice(0, 4)],
    /^not_closed: .*vertex 3 \(0, 9\) is not vertex 0 \(0, 0\)$/,
    '/polygon/coordinates/0/3',
  ],
  [
    'latitude first',
    [boxRing(50, 100, 51, 101)],
    /^lat_range: .* is 100; the axes seem swapped: a position is \[longitude, latitude\]$/,
    '/polygon/coordinates/0/0/1',
  ],
  [
    'a latitude that would make no longitude beside it a latitude',
    [boxRing(150, 80, 151, 95)],
    /^lat_range: .* is 95$/,
    '/polygon/coordinates/0/2/1',
  ],
  ['NaN', [[[0, 0], [1, NaN], ...box.slice(2)]], /^form: /, '/polygon/coordinates/0/1'],
  [
    'a position of text',
    [[[0, 0], ['1', 1], ...box.slice(2)]],
    /^form: /,
    '/polygon/coordinates/0/1',
  ],
  [
    'the same position three times in a row',
    [[box[0], ...box.slice(0, 2), box[1], ...box.slice(1)]],
    /^ok$/,
    '',
  ],
  [
    'a bow tie',
    [
      [
        [0, 0],
        [2, 2],
        [2, 0],
        [0, 2],
        [0, 0],
      ],
    ],
    /^self_crossing: ring 0: the edge from vertex 0 crosses the edge from vertex 2$/,
    '0/0/0',
  ],
  [
    'a loop of a thousandth of the area, as rounding makes it',
    [
      [
        [0, 0],
        [9, 0],
        [9, 9],
        [5, 9],
        [4.9, 9.3],
        [5.1, 9.3],
        [4.9, 8.8],
        [0, 9],
        [0, 0],
      ],
    ],
    /^ok$/,
    '',
  ],
  [
    'many small loops, together more than a hundredth of the area',
    [zigzag()],
    /^self_crossing: /,
    '0/0/60',
  ],
  [
    'an edge that leads out and back',
    [
      [
        [0, 0],
        [9, 0],
        [9, 9],
        [4, 9],
        [4, 12],
        [4, 9],
        [0, 9],
        [0, 0],
      ],
    ],
    /^ok$/,
    '',
  ],
  [
    'nothing but edges that lead out and back',
    [
      [
        [0, 0],
        [1, 0],
        [1, 1],
        [1, 0],
        [0, 0],
      ],
    ],
    /^ring_without_area: ring 0: /,
    '0/0',
  ],
  [
    'on one slanted line',
    [
      [
        [0, 0],
        [0.1, 0.3],
        [0.2, 0.6],
        [0.7, 2.1],
        [0, 0],
      ],
    ],
    /^ring_without_area: ring 0: /,
    '0/0',
  ],
  [
    'a hole without area',
    [
      box,
      [
        [1, 1],
        [2, 2],
        [1, 1],
        [1, 1],
      ],
    ],
    /^ok$/,
    '',
  ],
  [
    'a hole that touches the outer ring in a corner',
    [
      box,
      [
        [0, 0],
        [2, 1],
        [1, 2],
        [0, 0],
      ],
    ],
    /^ok$/,
    '',
  ],
  ['a hole along an edge of the outer ring', [box, boxRing(0, 2, 2, 4)], /^ok$/, ''],
  [
    'a hole that touches the outer ring with all its corners',
    [
      box,
      [
        [4, 0],
        [9, 4],
        [4, 9],
        [0, 4],
        [4, 0],
      ],
    ],
    /^ok$/,
    '',
  ],
  [
    'a hole outside',
    [box, boxRing(20, 2, 22, 4)],
    /^hole_outside: ring 1 \(a hole\): vertex 0 \(20, 2\) lies outside of the outer ring$/,
    '0/1/0',
  ],
  [
    'a hole outside that touches',
    [box, boxRing(9, 2, 12, 4)],
    /^hole_outside: ring 1 \(a hole\): vertex 1 \(12, 2\) /,
    '0/1/1',
  ],
  [
    'a hole round its outer ring',
    [box, boxRing(-1, -1, 10, 10)],
    /^hole_outside: ring 1 \(a hole\): vertex 0 \(-1, -1\) /,
    '0/1/0',
  ],
  [
    'a hole that sticks out',
    [box, boxRing(5, 2, 12, 4)],
    /^rings_crossing: ring 1 \(a hole\): the edge from vertex 0 crosses the edge from vertex 1 of ring 0$/,
    '0/1/0',
  ],
  [
    'a hole of everything',
    [box, box],
    /^ring_without_area: ring 1 \(a hole\): it leaves nothing/,
    '0/1',
  ],
  [
    'a hole in a hole',
    [box, boxRing(1, 1, 8, 8), boxRing(3, 3, 4, 4)],
    /^hole_in_hole: ring 2 \(a hole\): lies in ring 1, /,
    '0/2',
  ],
  [
    'holes that cross one another',
    [box, boxRing(1, 1, 4, 4), boxRing(3, 3, 6, 6)],
    /^rings_crossing: ring 2 \(a hole\): the edge from vertex \d crosses the edge from vertex \d of ring 1$/,
    '0/2/0',
  ],
  [
    'a hole over 180°, written the other way',
    [boxRing(170, 0, 190, 9), boxRing(-178, 2, -175, 4)],
    /^ok$/,
    '',
  ],
  [
    'a hole beside a fence over 180°',
    [boxRing(170, 0, 190, 9), boxRing(-165, 2, -160, 4)],
    /^hole_outside: /,
    '0/1/0',
  ],
  [
    'a hole over the seam of a band round the earth',
    [boxRing(-180, 0, 180, 9), boxRing(175, 2, 185, 4)],
    /^ok$/,
    '',
  ],
  [
    'a hole round the pole in the northern hemisphere',
    [boxRing(-180, 0, 180, 90), around(70)],
    /^ok$/,
    '',
  ],
  [
    'a hole over the seam of a ring round the pole',
    [around(60), boxRing(-5, 70, 5, 75)],
    /^ok$/,
    '',
  ],
  ['a hole round the pole in a ring round the pole', [around(60), around(70)], /^ok$/, ''],
  [
    'a ring round the pole outside of a nearer one',
    [around(70), around(60)],
    /^hole_outside: /,
    '0/1/0',
  ],
  [
    'a hole south of a ring round the pole',
    [around(60), boxRing(20, 40, 25, 45)],
    /^hole_outside: /,
    '0/1/0',
  ],
  [
    'more longitudes than there are',
    [boxRing(-350, 0, -340, 1).map(([x, y]) => [x - 20, y])],
    /^lon_range: /,
    '0/0/0',
  ],
];

/** Round the earth at a latitude, in steps of 90°. */
function around(latDeg: number): LonLat[] {
  return [0, 90, 180, -90, 0].map((lonDeg): LonLat => [lonDeg, latDeg]);
}

/** A box whose top edge makes twenty loops of about 0.1 % of its area each. */
function zigzag(): LonLat[] {
  const ring: LonLat[] = [
    [0, 0],
    [20, 0],
    [20, 9],
  ];
  for (let x = 19; x >= 0; x--) ring.push([x + 0.4, 9], [x, 9.6], [x + 0.8, 9.6]);
  ring.push([0, 9], [0, 0]);
  return ring;
}

t.test('polygons as they come in', (t) => {
  for (const [name, coordinates, said, at] of ROWS) {
    const judged = judge(coordinates);
    t.match(judged.said, said, name);
    t.equal(judged.at, at, `${name}: the place`);
  }
  t.end();
});

t.test('a part of a multipolygon is named, and may be without area', (t) => {
  const flat = [
    [
      [20, 0],
      [21, 1],
      [20, 0],
      [20, 0],
    ],
  ];
  t.equal(judge([[box], flat], 'multipolygon').said, 'ok');
  t.match(judge([flat, flat], 'multipolygon'), {
    said: /^ring_too_short: polygon 0, ring 0: fewer/,
  });
  const stray = [boxRing(20, 0, 21, 1), boxRing(30, 0, 31, 1)];
  t.match(judge([[box], stray], 'multipolygon'), {
    said: /^hole_outside: polygon 1, ring 1 \(a hole\): vertex 0 \(30, 0\)/,
    at: '1/1/0',
  });
  t.end();
});

t.test('rectangles', (t) => {
  const rows: [string, LonLat[], RegExp][] = [
    ['along meridians and parallels', boxRing(4, 51, 5, 52), /^ok$/],
    ['clockwise', [...boxRing(4, 51, 5, 52)].reverse(), /^ok$/],
    ['as large as a continent', boxRing(-20, 0, 60, 70), /^ok$/],
    ['over 180°', boxRing(170, 0, -170, 10), /^ok$/],
    ['the whole earth', boxRing(-180, -90, 180, 90), /^ok$/],
    ['turned by 30° on the ground', turned(30), /^ok$/],
    [
      'turned by 30° in degrees alone',
      turned(30, 1),
      /^not_rectangle: ring 0: vertex 0 .* angle of \d+°/,
    ],
    [
      'one corner astray',
      [
        [0, 0],
        [9, 0],
        [11, 9],
        [0, 9],
        [0, 0],
      ],
      /^not_rectangle: ring 0: vertex 1 \(9, 0\) has an angle of 102°; such a shape is a polygon$/,
    ],
    [
      'two corners in one',
      [
        [0, 0],
        [9, 0],
        [9, 0],
        [0, 9],
        [0, 0],
      ],
      /^not_rectangle: ring 0: vertex 1 .* beside it/,
    ],
    ['five corners', [...boxRing(0, 0, 9, 9).slice(0, 4), [-1, 5], [0, 0]], /^not_rectangle: /],
  ];
  for (const [name, ring, said] of rows) t.match(judge([ring], 'rectangle').said, said, name);
  t.match(checkRectangle({ type: 'polygon', polygons: [] }), { reason: 'not_rectangle' });
  t.match(judge([box, boxRing(1, 1, 2, 2)], 'rectangle').said, /^not_rectangle: /, 'with a hole');
  t.end();
});

/** A box of 2 km by 1 km at 60° north; with `scale` 1 it leans, for there a degree of longitude is half as long. */
function turned(angleDeg: number, scale = 0.5): LonLat[] {
  const angle = (angleDeg * Math.PI) / 180;
  return boxRing(-0.01, -0.005, 0.01, 0.005).map(([x, y]): LonLat => {
    const east = x * Math.cos(angle) - y * Math.sin(angle);
    return [10 + east / scale, 60 + x * Math.sin(angle) + y * Math.cos(angle)];
  });
}

t.test('180 and −180 are one meridian', (t) => {
  const fiji: [string, LonLat[]][] = [
    [
      'a corner on the wrong side',
      [
        [179, 1],
        [180, 1],
        [-180, 2],
        [180, 3],
        [179, 3],
        [179, 1],
      ],
    ],
    [
      'an edge on the wrong side',
      [
        [179, 1],
        [180, 1],
        [-180, 1],
        [-180, 3],
        [180, 3],
        [179, 3],
        [179, 1],
      ],
    ],
    [
      'beginning on the wrong side',
      [
        [-180, 1],
        [180, 3],
        [179, 3],
        [179, 1],
        [180, 1],
        [-180, 1],
      ],
    ],
  ];
  const points: LonLat[] = [
    [179.5, 2],
    [180, 2],
    [-180, 2.5],
    [0, 2],
    [-179, 2],
    [178.9, 2],
  ];
  for (const [name, ring] of fiji) {
    const read = shapeFromGeoJson({
      ...none,
      shape_type: 'polygon',
      polygon: { type: 'Polygon', coordinates: [ring] },
    });
    t.same(read.ok && checkShape(read.shape), { ok: true }, name);
    t.equal(read.ok && held(read.shape, points), '111000', `${name}: what it holds`);
  }
  const kept: [string, LonLat[], string][] = [
    ['a band', boxRing(-180, 1, 180, 3), '111111'],
    [
      'a band with a dent',
      [
        [-180, 1],
        [180, 1],
        [180, 3],
        [0, 1.5],
        [-180, 3],
        [-180, 1],
      ],
      '111011',
    ],
  ];
  for (const [name, ring, expected] of kept) {
    const polygon = { type: 'Polygon', coordinates: [ring] };
    const read = shapeFromGeoJson({ ...none, shape_type: 'polygon', polygon });
    t.same(read.ok && read.shape, { type: 'polygon', polygons: [[ring]] }, `${name}: as it came`);
    t.equal(read.ok && held(read.shape, points), expected, `${name}: what it holds`);
  }
  const lines: [LonLat[], LonLat[]][] = [
    [
      [
        [179, 0],
        [180, 0],
        [-180, 1],
        [-179, 1],
      ],
      [
        [179, 0],
        [180, 0],
        [180, 1],
        [-179, 1],
      ],
    ],
    [
      [
        [-180, 0],
        [180, 0],
      ],
      [
        [-180, 0],
        [180, 0],
      ],
    ],
  ];
  for (const [line, expected] of lines) {
    const polygon = { type: 'LineString', coordinates: line };
    const read = shapeFromGeoJson({ ...none, shape_type: 'corridor', polygon, width_m: 9 });
    t.same(read.ok && read.shape, { type: 'corridor', line: expected, widthM: 9 });
  }
  t.end();
});

t.test('what is let through changes nothing that a fence holds', (t) => {
  const seed = 17;
  const random = seededRandom(seed);
  let inside = 0;
  for (let round = 0; round < 100; round++) {
    const ring = starRing(random, [10, 50], 1, 12);
    const [x, y] = ring[5]!;
    // Straight away from the middle, where a star has no other edge.
    const tip: LonLat = [x + 0.3 * (x - 10), y + 0.3 * (y - 50)];
    const spiked = [...ring.slice(0, 6), tip, ...ring.slice(5)];
    const doubled = ring.flatMap((position) => [position, position]);
    const points = Array.from({ length: 50 }, (): LonLat => [9 + 2 * random(), 49 + 2 * random()]);
    const plain = held(polygon(ring), points);
    inside += plain.split('1').length - 1;
    const flatHole: LonLat[] = [ring[2]!, ring[3]!, ring[2]!, ring[2]!];
    for (const shape of [spiked, doubled, [...ring].reverse()].map((path) => polygon(path))) {
      t.same(checkShape(shape), { ok: true });
      t.equal(held(shape, points), plain, `seed ${seed}, round ${round}`);
    }
    t.equal(
      held(polygon(ring, flatHole), points),
      plain,
      `seed ${seed}, round ${round}: flat hole`,
    );
  }
  t.ok(inside > 500 && inside < 4500, `${inside} points inside`);
  t.end();
});

t.test('the crossings are those that a slow search finds', (t) => {
  const corner = fc.tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 12 }));
  let crossed = 0;
  fc.assert(
    fc.property(fc.array(corner, { minLength: 3, maxLength: 40 }), (corners) => {
      const ring: LonLat[] = [...corners, corners[0]!];
      const slow: string[] = [];
      for (let a = 0; a + 1 < ring.length; a++) {
        for (let b = a + 1; b + 1 < ring.length; b++) {
          if (edgesCross(ring, a, b)) slow.push(`${a} ${b}`);
        }
      }
      if (slow.length > 0) crossed++;
      const tree = new EdgeTree([unrollLongitudes(ring)]);
      const found = tree
        .crossings()!
        .map(({ firstFrom, secondFrom }) => `${firstFrom} ${secondFrom}`);
      return found.sort().join() === slow.sort().join();
    }),
    { seed: 5, numRuns: 2_000 },
  );
  t.ok(crossed > 500 && crossed < 1_950, `${crossed} crossed`);
  t.end();
});

// Exact where corners are small integers.
function edgesCross(ring: readonly LonLat[], a: number, b: number): boolean {
  const turn = (p: LonLat, q: LonLat, r: LonLat): number =>
    Math.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]));
  const [p, q, r, s] = [ring[a]!, ring[a + 1]!, ring[b]!, ring[b + 1]!];
  return turn(p, q, r) * turn(p, q, s) < 0 && turn(r, s, p) * turn(r, s, q) < 0;
}

t.test('holes at random against the slow search', (t) => {
  const seed = 23;
  const random = seededRandom(seed);
  const seen = new Map<string, number>();
  for (let round = 0; round < 400; round++) {
    const outer = starRing(random, [0, 0], 2, 20);
    const hole = starRing(random, [3 * random() - 1.5, 3 * random() - 1.5], 0.5, 12);
    const checked = checkShape(polygon(outer, hole));
    const word = checked.ok ? 'ok' : checked.reason;
    seen.set(word, (seen.get(word) ?? 0) + 1);
    const crosses = outer
      .slice(1)
      .some((_, a) =>
        hole.slice(1).some((_, b) => edgesCross([...outer, ...hole], a, outer.length + b)),
      );
    const inside = held(polygon(outer), hole.slice(0, 1)) === '1';
    t.equal(word, crosses ? 'rings_crossing' : inside ? 'ok' : 'hole_outside', `seed ${seed}`);
  }
  for (const word of ['ok', 'rings_crossing', 'hole_outside'])
    t.ok((seen.get(word) ?? 0) > 30, word);
  t.end();
});

t.test('the check of stored fences sees to form alone', (t) => {
  const bowTie: LonLat[] = [
    [0, 0],
    [2, 2],
    [2, 0],
    [0, 2],
    [0, 0],
  ];
  t.same(checkShapeForm(polygon(bowTie)), { ok: true });
  t.same(checkShapeForm(polygon(box, boxRing(20, 0, 21, 1))), { ok: true });
  t.match(checkShapeForm(polygon(box.slice(0, 4))), { reason: 'ring_not_closed', at: [0, 0, 3] });
  t.match(
    checkShapeForm(
      polygon([
        [0, 0],
        [1, NaN],
        [1, 1],
        [0, 0],
      ]),
    ),
    { reason: 'not_finite', at: [0, 0, 1] },
  );
  const many = Array.from({ length: FENCE_VERTICES_MAX + 1 }, (): LonLat => [0, 0]);
  t.match(checkShapeForm(polygon(many)), { reason: 'too_many_vertices', at: [] });
  t.match(checkShapeForm({ type: 'circle', centerLonDeg: 50, centerLatDeg: 120, radiusM: 5 }), {
    reason: 'lat_range',
    detail: /^center: .*axes seem swapped/,
    at: [],
  });
  t.match(
    checkShapeForm({
      type: 'corridor',
      line: [
        [50, 120],
        [50, 20],
      ],
      widthM: 5,
    }),
    {
      reason: 'lat_range',
      detail: /^line, vertex 0: .*axes seem swapped/,
      at: [0],
    },
  );
  t.end();
});
