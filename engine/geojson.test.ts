import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import {
  FENCE_RINGS_MAX,
  shapeFromFeature,
  shapeFromGeoJson,
  shapeToFeature,
  type FenceShapeFields,
} from './geojson.ts';
import { FENCE_VERTICES_MAX } from './shape.ts';
import type { FenceShape, LonLat } from './types.ts';

const none = { polygon: null, center_lat: null, center_lng: null, radius_m: null, width_m: null };
const square = [
  [
    [10, 50],
    [11, 50],
    [11, 51],
    [10, 51],
    [10, 50],
  ],
];

function read(fields: Partial<FenceShapeFields> & { shape_type: string }) {
  return shapeFromGeoJson({ ...none, ...fields });
}

t.test('the shapes that are taken', (t) => {
  const polygon = { type: 'Polygon', coordinates: square };
  const one = { ok: true, shape: { type: 'polygon', polygons: [square] } };
  t.same(read({ shape_type: 'polygon', polygon }), one);
  t.same(read({ shape_type: 'rectangle', polygon }), one);
  t.same(read({ shape_type: 'multipolygon', polygon }), one, 'a Polygon is one part');
  t.same(
    read({
      shape_type: 'multipolygon',
      polygon: { type: 'MultiPolygon', coordinates: [square, square] },
    }),
    { ok: true, shape: { type: 'polygon', polygons: [square, square] } },
  );
  t.same(read({ shape_type: 'circle', center_lat: 50, center_lng: 10, radius_m: 250 }), {
    ok: true,
    shape: { type: 'circle', centerLatDeg: 50, centerLonDeg: 10, radiusM: 250 },
  });
  t.same(
    read({
      shape_type: 'corridor',
      width_m: 80,
      polygon: {
        type: 'LineString',
        coordinates: [
          [10, 50, 400],
          [11, 51],
        ],
      },
    }),
    {
      ok: true,
      shape: {
        type: 'corridor',
        widthM: 80,
        line: [
          [10, 50],
          [11, 51],
        ],
      },
    },
    'altitudes are dropped',
  );
  t.end();
});

t.test('what is refused, with its reason and place', (t) => {
  const ring = (coordinates: unknown) => ({ type: 'Polygon', coordinates });
  const at = '/polygon/coordinates';
  const rows: [string, Partial<FenceShapeFields> & { shape_type: string }, string, string][] = [
    ['unknown shape', { shape_type: 'ellipse' }, 'shape_type', '/shape_type'],
    ['no geometry', { shape_type: 'polygon' }, 'geometry', '/polygon'],
    ['an array', { shape_type: 'polygon', polygon: [] }, 'geometry', '/polygon'],
    [
      'a feature',
      { shape_type: 'polygon', polygon: { type: 'Feature', geometry: ring(square) } },
      'geometry',
      '/polygon/type',
    ],
    [
      'line for polygon',
      { shape_type: 'polygon', polygon: { type: 'LineString' } },
      'geometry',
      '/polygon/type',
    ],
    ['no coordinates', { shape_type: 'polygon', polygon: { type: 'Polygon' } }, 'form', at],
    ['no ring', { shape_type: 'polygon', polygon: ring([]) }, 'empty', at],
    ['ring no array', { shape_type: 'polygon', polygon: ring(['x']) }, 'form', `${at}/0`],
    [
      'open ring',
      { shape_type: 'polygon', polygon: ring([[...square[0]!.slice(0, 4), [9, 9]]]) },
      'not_closed',
      `${at}/0/4`,
    ],
    [
      'three positions',
      { shape_type: 'polygon', polygon: ring([square[0]!.slice(0, 3)]) },
      'too_few_vertices',
      `${at}/0`,
    ],
    [
      'one bad vertex of the second ring',
      {
        shape_type: 'polygon',
        polygon: ring([
          square[0],
          [
            [1, 1],
            [2, null],
            [3, 3],
            [1, 1],
          ],
        ]),
      },
      'form',
      `${at}/1/1`,
    ],
    [
      'latitude 91',
      {
        shape_type: 'polygon',
        polygon: ring([
          [
            [1, 1],
            [2, 91],
            [3, 3],
            [1, 1],
          ],
        ]),
      },
      'lat_range',
      `${at}/0/1/1`,
    ],
    [
      'latitude first, longitude 120',
      {
        shape_type: 'polygon',
        polygon: ring([
          [
            [1, 120],
            [2, 2],
            [3, 3],
            [1, 120],
          ],
        ]),
      },
      'lat_range',
      `${at}/0/0/1`,
    ],
    [
      'four numbers',
      { shape_type: 'polygon', polygon: ring([[[1, 1, 1, 1]]]) },
      'form',
      `${at}/0/0`,
    ],
    [
      'triangle as rectangle',
      {
        shape_type: 'rectangle',
        polygon: ring([
          [
            [1, 1],
            [2, 2],
            [3, 1],
            [1, 1],
          ],
        ]),
      },
      'not_rectangle',
      at,
    ],
    [
      'empty multipolygon',
      { shape_type: 'multipolygon', polygon: { type: 'MultiPolygon', coordinates: [] } },
      'empty',
      at,
    ],
    [
      'bad ring in the second part',
      {
        shape_type: 'multipolygon',
        polygon: { type: 'MultiPolygon', coordinates: [square, [[]]] },
      },
      'too_few_vertices',
      `${at}/1/0`,
    ],
    [
      'corridor without width',
      { shape_type: 'corridor', polygon: { type: 'LineString', coordinates: [] } },
      'missing',
      '/width_m',
    ],
    [
      'line of one',
      {
        shape_type: 'corridor',
        width_m: 5,
        polygon: { type: 'LineString', coordinates: [[1, 1]] },
      },
      'too_few_vertices',
      at,
    ],
    ['circle without centre', { shape_type: 'circle', radius_m: 5 }, 'missing', '/center_lng'],
    ['circle with NaN', { shape_type: 'circle', center_lng: NaN }, 'missing', '/center_lng'],
    [
      'circle with geometry',
      { shape_type: 'circle', center_lat: 1, center_lng: 1, radius_m: 5, polygon: ring(square) },
      'geometry',
      '/polygon',
    ],
  ];
  for (const [name, fields, reason, pointer] of rows) {
    t.match(read(fields), { ok: false, reason, pointer, detail: /\w/ }, name);
  }
  t.end();
});

t.test('limits', (t) => {
  const round = Array.from({ length: FENCE_VERTICES_MAX }, (_, i) => [i / 1e5, 1]);
  round[FENCE_VERTICES_MAX - 1] = round[0]!;
  const full = { type: 'Polygon', coordinates: [round] };
  t.equal(read({ shape_type: 'polygon', polygon: full }).ok, true, 'the limit itself is allowed');
  const over = { type: 'Polygon', coordinates: [round, ...square] };
  t.match(read({ shape_type: 'polygon', polygon: over }), {
    ok: false,
    reason: 'too_many_vertices',
  });
  const fields = {
    ...none,
    shape_type: 'polygon',
    polygon: { type: 'Polygon', coordinates: square },
  };
  t.equal(shapeFromGeoJson(fields, 5).ok, true);
  t.match(shapeFromGeoJson(fields, 4), { ok: false, reason: 'too_many_vertices' }, 'a lower limit');
  const rings = { type: 'Polygon', coordinates: Array(FENCE_RINGS_MAX + 1).fill(square[0]) };
  t.match(read({ shape_type: 'polygon', polygon: rings }), { ok: false, reason: 'too_many_rings' });
  t.end();
});

t.test('features are read, and bare geometries of polygons', (t) => {
  const geometry = { type: 'Polygon', coordinates: square };
  const shape = { type: 'polygon', polygons: [square] };
  const line = {
    type: 'LineString',
    coordinates: [
      [1, 2],
      [3, 4, 5],
    ],
  };
  const taken: [unknown, unknown][] = [
    [geometry, shape],
    [{ type: 'Feature', geometry, properties: null }, shape],
    [{ type: 'Feature', id: 7, geometry, properties: { radius_m: 5 } }, shape],
    [
      { type: 'MultiPolygon', coordinates: [square, square] },
      { type: 'polygon', polygons: [square, square] },
    ],
    [
      { type: 'Feature', geometry: line, properties: { width_m: 50 } },
      {
        type: 'corridor',
        line: [
          [1, 2],
          [3, 4],
        ],
        widthM: 50,
      },
    ],
    [
      {
        type: 'Feature',
        geometry: { type: 'Point', coordinates: [1, 2] },
        properties: { radius_m: 9 },
      },
      { type: 'circle', centerLonDeg: 1, centerLatDeg: 2, radiusM: 9 },
    ],
  ];
  for (const [value, expected] of taken)
    t.same(shapeFromFeature(value), { ok: true, shape: expected });
  const point = (coordinates: unknown) => ({
    type: 'Feature',
    geometry: { type: 'Point', coordinates },
    properties: { radius_m: 9 },
  });
  const refused: [string, unknown, string, string][] = [
    ['nothing', null, 'geometry', ''],
    ['text', 'Polygon', 'geometry', ''],
    ['a collection', { type: 'FeatureCollection', features: [] }, 'geometry', '/type'],
    ['no geometry', { type: 'Feature', geometry: null }, 'geometry', '/geometry'],
    ['a line without width', { type: 'Feature', geometry: line }, 'missing', '/properties/width_m'],
    ['a bare line', line, 'missing', '/properties/width_m'],
    ['a bare point', { type: 'Point', coordinates: [1, 2] }, 'missing', '/properties/radius_m'],
    ['a point of text', point('x'), 'form', '/geometry/coordinates'],
    ['a point off the earth', point([10, 120]), 'lat_range', '/geometry/coordinates/1'],
    [
      'a bad vertex',
      {
        type: 'Feature',
        geometry: {
          type: 'Polygon',
          coordinates: [
            [
              [1, 1],
              [2, 'x'],
            ],
          ],
        },
      },
      'form',
      '/geometry/coordinates/0/1',
    ],
  ];
  for (const [name, value, reason, pointer] of refused) {
    t.match(shapeFromFeature(value), { ok: false, reason, pointer, detail: /\w/ }, name);
  }
  t.match(shapeFromFeature(geometry, 4), { reason: 'too_many_vertices' });
  t.end();
});

t.test('a shape comes back from its feature as it was', (t) => {
  const position = fc.tuple(
    fc.double({ min: -179, max: 179, noNaN: true }),
    fc.double({ min: -90, max: 90, noNaN: true }),
  );
  const ring = fc
    .array(position, { minLength: 3, maxLength: 9 })
    .map((positions): LonLat[] => [...positions, positions[0]!]);
  const rings = fc.array(ring, { minLength: 1, maxLength: 3 });
  const length = fc.double({ min: 1, max: 1e6, noNaN: true });
  const shape: fc.Arbitrary<FenceShape> = fc.oneof(
    fc.record({
      type: fc.constant('polygon' as const),
      polygons: fc.array(rings, { minLength: 1, maxLength: 3 }),
    }),
    fc.record({
      type: fc.constant('corridor' as const),
      line: fc.array(position, { minLength: 2, maxLength: 9 }),
      widthM: length,
    }),
    fc.tuple(position, length).map(([[centerLonDeg, centerLatDeg], radiusM]) => ({
      type: 'circle' as const,
      centerLonDeg,
      centerLatDeg,
      radiusM,
    })),
  );
  const types = new Set<string>();
  fc.assert(
    fc.property(shape, (made) => {
      const feature = shapeToFeature(made, { name: 'Depot', width_m: -1, radius_m: -1 });
      types.add(feature.geometry.type);
      // By way of text, as it travels; JSON knows no −0.
      const read = shapeFromFeature(JSON.parse(JSON.stringify(feature)));
      const plain: unknown = JSON.parse(JSON.stringify(made));
      return (
        feature.properties['name'] === 'Depot' && read.ok && isDeepStrictEqual(read.shape, plain)
      );
    }),
    { seed: 3, numRuns: 500 },
  );
  t.same([...types].sort(), ['LineString', 'MultiPolygon', 'Point', 'Polygon']);
  const over180: FenceShape = {
    type: 'polygon',
    polygons: [
      [
        [
          [170, 0],
          [190, 0],
          [190, 5],
          [170, 0],
        ],
      ],
    ],
  };
  t.same(
    shapeToFeature(over180).geometry.coordinates,
    over180.polygons[0],
    'nothing is cut at 180°',
  );
  t.end();
});
