import t from 'tap';
import {
  CIRCLE_RADIUS_M_MAX,
  CORRIDOR_WIDTH_M_MAX,
  FENCE_VERTICES_MAX,
  checkShape,
} from './shape.ts';
import { boxRing, boxShape, seededRandom } from './test-data.ts';
import type { FenceShape, LonLat, PolygonRings } from './types.ts';

function polygon(...rings: PolygonRings): FenceShape {
  return { type: 'polygon', polygons: [rings] };
}

function circle(centerLonDeg: number, centerLatDeg: number, radiusM: number): FenceShape {
  return { type: 'circle', centerLonDeg, centerLatDeg, radiusM };
}

function corridor(line: LonLat[], widthM = 50): FenceShape {
  return { type: 'corridor', line, widthM };
}

t.test('shapes that can be fences', (t) => {
  const good: [string, FenceShape][] = [
    ['a box', boxShape(0, 0, 1, 1)],
    ['a box with a hole', polygon(boxRing(0, 0, 9, 9), boxRing(2, 2, 3, 3))],
    ['a box over 180° written 170…190', boxShape(170, 0, 190, 1)],
    ['a box over 180° written 170…-170', boxShape(170, 0, -170, 1)],
    ['the whole earth', boxShape(-180, -90, 180, 90)],
    [
      'a ring round the pole',
      polygon([
        [0, 70],
        [90, 70],
        [180, 70],
        [-90, 70],
        [0, 70],
      ]),
    ],
    [
      'a position twice in a row',
      polygon([
        [0, 0],
        [1, 0],
        [1, 0],
        [1, 1],
        [0, 0],
      ]),
    ],
    [
      'a ring that touches itself in a point',
      polygon([
        [0, 0],
        [2, 0],
        [1, 1],
        [2, 2],
        [0, 2],
        [1, 1],
        [0, 0],
      ]),
    ],
    [
      'a hole tied in by an edge used twice',
      polygon([
        [0, 0],
        [4, 0],
        [4, 4],
        [2, 4],
        [2, 2],
        [2, 4],
        [0, 4],
        [0, 0],
      ]),
    ],
    ['a small circle', circle(180, -90, 0.1)],
    ['the widest circle', circle(0, 0, CIRCLE_RADIUS_M_MAX)],
    [
      'a corridor of one segment',
      corridor([
        [0, 0],
        [0, 1],
      ]),
    ],
    [
      'a corridor over 180°',
      corridor(
        [
          [179, 0],
          [-179, 0],
        ],
        CORRIDOR_WIDTH_M_MAX,
      ),
    ],
  ];
  for (const [name, shape] of good) t.same(checkShape(shape), { ok: true }, name);
  t.end();
});

t.test('shapes that cannot, with the place named', (t) => {
  const box = boxRing(0, 0, 9, 9);
  const bad: [string, FenceShape, string, RegExp][] = [
    ['no polygon', { type: 'polygon', polygons: [] }, 'empty', /no polygon/],
    ['no ring', polygon(), 'empty', /no ring/],
    [
      'latitude 91',
      polygon([
        [0, 0],
        [1, 91],
        [1, 1],
        [0, 0],
      ]),
      'lat_range',
      /^ring 0, vertex 1: latitude 91 /,
    ],
    [
      'longitude 361',
      polygon([
        [0, 0],
        [1, 1],
        [361, 1],
        [0, 0],
      ]),
      'lon_range',
      /^ring 0, vertex 2: /,
    ],
    [
      'NaN',
      polygon([
        [0, 0],
        [1, NaN],
        [1, 1],
        [0, 0],
      ]),
      'not_finite',
      /^ring 0, vertex 1: .*NaN/,
    ],
    [
      'open ring',
      polygon([
        [0, 0],
        [1, 0],
        [1, 1],
        [0, 1],
      ]),
      'ring_not_closed',
      /^ring 0: .*vertex 3 \(0, 1\)/,
    ],
    [
      'three positions',
      polygon([
        [0, 0],
        [1, 0],
        [0, 0],
      ]),
      'ring_too_short',
      /^ring 0: 3 positions/,
    ],
    ['an empty hole', polygon(box, []), 'ring_too_short', /^ring 1 \(a hole\): 0 positions/],
    [
      'two places',
      polygon([
        [0, 0],
        [1, 0],
        [0, 0],
        [0, 0],
      ]),
      'ring_too_short',
      /fewer than 3 different/,
    ],
    [
      'a flat ring',
      polygon([
        [0, 0],
        [1, 1],
        [2, 2],
        [0, 0],
      ]),
      'ring_without_area',
      /no area/,
    ],
    [
      'more than a turn',
      polygon([
        [-200, 0],
        [-50, 0],
        [100, 0],
        [200, 0],
        [200, 9],
        [50, 9],
        [-100, 9],
        [-200, 9],
        [-200, 0],
      ]),
      'ring_too_wide',
      /400°/,
    ],
    [
      'a bow tie',
      polygon([
        [0, 0],
        [2, 2],
        [2, 0],
        [0, 2],
        [0, 0],
      ]),
      'self_crossing',
      /^ring 0: the edge from vertex 0 crosses the edge from vertex 2$/,
    ],
    [
      "a bow tie in the second polygon's hole",
      {
        type: 'polygon',
        polygons: [
          [box],
          [
            box,
            [
              [0, 0],
              [2, 2],
              [2, 0],
              [0, 2],
              [0, 0],
            ],
          ],
        ],
      },
      'self_crossing',
      /^polygon 1, ring 1 \(a hole\): /,
    ],
    ['radius 0', circle(0, 0, 0), 'radius', /^a radius of 0 m/],
    ['radius NaN', circle(0, 0, NaN), 'radius', /NaN/],
    ['radius beyond the earth', circle(0, 0, 3e7), 'radius', /30000000/],
    ['a center at 181°', circle(181, 0, 1), 'lon_range', /^center/],
    ['a center at 91° north', circle(0, 91, 1), 'lat_range', /^center/],
    ['a line of one position', corridor([[0, 0]]), 'line_too_short', /^line/],
    [
      'a line on the spot',
      corridor([
        [0, 0],
        [0, 0],
      ]),
      'line_too_short',
      /^line/,
    ],
    ['a line without positions', corridor([]), 'line_too_short', /^line/],
    [
      'width 0',
      corridor(
        [
          [0, 0],
          [0, 1],
        ],
        0,
      ),
      'width',
      /^a width of 0 m/,
    ],
    [
      'infinite latitude',
      corridor([
        [0, 0],
        [0, Infinity],
      ]),
      'not_finite',
      /^line, vertex 1/,
    ],
  ];
  for (const [name, shape, reason, detail] of bad) {
    const checked = checkShape(shape);
    t.match(checked, { ok: false, reason, detail }, name);
  }
  t.end();
});

t.test('as many vertices as a fence may have, and one more', (t) => {
  const random = seededRandom(7);
  const ring: LonLat[] = [];
  for (let i = 0; i < FENCE_VERTICES_MAX - 1; i++) {
    const angle = (i / (FENCE_VERTICES_MAX - 1)) * 2 * Math.PI;
    const radius = 2 + 0.3 * Math.sin(50 * angle) + 0.00001 * random();
    ring.push([10 + radius * Math.cos(angle), 50 + radius * Math.sin(angle)]);
  }
  ring.push(ring[0]!);
  t.equal(ring.length, FENCE_VERTICES_MAX);
  t.same(checkShape(polygon(ring)), { ok: true });
  t.match(checkShape(polygon([...ring, ring[0]!])), {
    reason: 'too_many_vertices',
    detail: /100001/,
  });
  const line: LonLat[] = Array.from({ length: FENCE_VERTICES_MAX + 1 }, (_, i) => [0, i / 1e4]);
  t.match(checkShape(corridor(line)), { reason: 'too_many_vertices' });
  t.end();
});

t.test('edges that all lie across one another are refused, not waited for', (t) => {
  // A fan of nearly parallel diagonals: every box overlaps every other, no two edges cross properly.
  const ring: LonLat[] = [];
  for (let i = 0; i < 10_000; i++)
    ring.push(i % 2 ? [50 + i / 1e6, 50 - i / 1e6] : [i / 1e6, -i / 1e6]);
  ring.push([51, -1], [-1, -1], ring[0]!);
  t.match(checkShape(polygon(ring)), { reason: 'too_complex' });
  t.end();
});
