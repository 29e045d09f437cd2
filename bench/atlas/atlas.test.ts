import t from 'tap';
import type { LonLat, PolygonRings } from '../../engine/types.ts';
import { compare } from './compare.ts';
import { boundaryDistanceDeg, exactlyHolds, exactOf } from './exact.ts';
import { readAtlas } from './outlines.ts';
import { POINT_CLASSES } from './points.ts';
import { createReference, unrolled } from './reference.ts';

const POINTS = 8_000;
const SEED = 4;

t.test('counties, states and countries against turf', (t) => {
  const { outlines, refused, polygonCount, holeCount, vertexCount } = readAtlas();
  t.comment(`seed ${SEED}; ${outlines.length} outlines, ${vertexCount} vertices`);
  t.ok(outlines.length > 3_700 && polygonCount > 9_000 && holeCount >= 50 && vertexCount > 700_000);

  const reasons = refused.map((line) => /: (\w+): /.exec(line)![1]!);
  for (const line of refused) t.comment(`no fence: ${line}`);
  t.ok(refused.length <= 11, `${refused.length} cannot be fences`);
  t.same(
    [...new Set(reasons)].sort(),
    ['hole_outside', 'not_closed', 'ring_too_short', 'self_crossing'],
    'and these are the reasons',
  );

  const { classes, vertexRounded, wrong } = compare(outlines, { pointCount: POINTS, seed: SEED });
  t.same(wrong, []);
  for (const kind of POINT_CLASSES) {
    const { points, held, disputed } = classes[kind];
    t.comment(`${kind}: ${points} points, ${held} held, ${JSON.stringify(disputed)}`);
    t.ok(points >= POINTS / 200 && held > 0, `${kind}: something was compared`);
  }
  t.ok(classes.vertex.held >= classes.vertex.points, 'whoever owns a vertex holds it');
  // Longitudes that are moved by a turn lose their last bits; no others do.
  const over180 = outlines
    .filter(({ polygons }) => polygons.flat().some((ring) => isUnrolled(ring)))
    .map(({ name }) => name);
  t.same(
    vertexRounded.filter((name) => !over180.includes(name)),
    [],
  );
  t.end();
});

function isUnrolled(ring: readonly LonLat[]): boolean {
  return unrolled(ring).some(([x], i) => ring[i] !== undefined && x !== ring[i][0]);
}

t.test('exact arithmetic', (t) => {
  const values: [number, bigint][] = [
    [0, 0n],
    [5e-324, 1n],
    [-5e-324, -1n],
    [2 ** -1022, 1n << 52n],
    [1, 1n << 1074n],
    [-360, -360n << 1074n],
    [0.1, 3602879701896397n << 1019n],
  ];
  for (const [value, expected] of values) t.equal(exactOf(value), expected, `${value}`);
  // The last bit of a coordinate to either side of a slanted edge.
  const triangle: PolygonRings[] = [
    [
      [
        [0, 0],
        [3, 0],
        [1, 1],
        [0, 0],
      ],
    ],
  ];
  t.equal(exactlyHolds(triangle, [0.5, 0.5]), true, 'on an edge');
  t.equal(exactlyHolds(triangle, [0.5, 0.5 + 2 ** -53]), false, 'a bit above it');
  t.equal(exactlyHolds(triangle, [0.5, 0.5 - 2 ** -54]), true, 'a bit below it');
  t.equal(boundaryDistanceDeg(triangle, [1.5, -0.25]), 0.25);
  t.equal(boundaryDistanceDeg(triangle, [363, 0]), 0, 'in another turn');
  t.end();
});

t.test('the reference knows the antimeridian and the poles', (t) => {
  const hand: [string, PolygonRings, LonLat, boolean][] = [];
  const over: PolygonRings = [
    [
      [170, 0],
      [-170, 0],
      [-170, 10],
      [170, 10],
      [170, 0],
    ],
    [
      [-178, 4],
      [-174, 4],
      [-174, 6],
      [-178, 6],
      [-178, 4],
    ],
  ];
  hand.push(['west of it', over, [175, 5], true], ['on it', over, [-180, 5], true]);
  hand.push(['east of it', over, [-171, 5], true], ['in its hole', over, [-176, 5], false]);
  hand.push(["on its hole's edge", over, [-176, 4], true], ['far off', over, [0, 5], false]);
  const polar: PolygonRings = [
    [
      [0, 70],
      [90, 70],
      [180, 70],
      [-90, 70],
      [0, 70],
    ],
  ];
  hand.push(['the pole', polar, [33, 90], true], ['north', polar, [-179, 71], true]);
  hand.push(['south', polar, [-179, 69], false], ['on 180', polar, [180, 70], true]);
  for (const [name, rings, at, expected] of hand) {
    t.same(createReference([[rings]])(at), expected ? [0] : [], name);
    t.equal(exactlyHolds([rings], at), expected, `${name}, exactly`);
  }
  t.end();
});
