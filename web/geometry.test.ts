import t from 'tap';
import {
  boundsOf,
  clampCamera,
  fitted,
  panned,
  toScreenX,
  toScreenY,
  toWorld,
  viewportOf,
  zoomedAt,
  type Camera,
} from './camera.ts';
import { circleRing, corridorRing, pictureOf, type FenceRow } from './fence-geometry.ts';
import { gridStepDeg, scaleBar } from './graticule.ts';
import {
  destination,
  distanceM,
  latOfY,
  LAT_DEG_MAX,
  lonOfX,
  unwrapX,
  worldPerMetre,
  xOfLon,
  yOfLat,
  type WorldPoint,
} from './projection.ts';

const SEED = 20_260_101;

// mulberry32
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const near = (
  t: { ok(value: unknown, name: string): unknown },
  a: number,
  b: number,
  by: number,
  name: string,
) => t.ok(Math.abs(a - b) <= by, `${name}: ${a} and ${b}`);

const camera = (more: Partial<Camera> = {}): Camera =>
  clampCamera({ x: 0.5, y: 0.5, scale: 4096, width: 800, height: 600, ...more });

t.test('the projection has its known points and goes there and back', (t) => {
  t.equal(xOfLon(-180), 0);
  t.equal(xOfLon(0), 0.5);
  t.equal(xOfLon(180), 1);
  t.equal(yOfLat(0), 0.5);
  near(t, yOfLat(LAT_DEG_MAX), 0, 1e-12, 'north edge');
  near(t, yOfLat(-90), 1, 1e-12, 'the pole lies on the south edge');
  // A tile server's arithmetic: at zoom 12 Chicago lies in tile 1050 / 1522.
  t.equal(Math.floor(xOfLon(-87.65) * 4096), 1050);
  t.equal(Math.floor(yOfLat(41.88) * 4096), 1522);
  for (let lat = -85; lat <= 85; lat += 5) near(t, latOfY(yOfLat(lat)), lat, 1e-9, 'latitude');
  for (let lon = -179; lon < 180; lon += 20)
    near(t, lonOfX(xOfLon(lon) + 3), lon, 1e-9, 'longitude');
  t.end();
});

t.test('distances and destinations agree', (t) => {
  near(t, distanceM(0, 0, 1, 0), 111_195.08, 0.1, 'one degree');
  near(t, distanceM(179.5, 0, -179.5, 0), 111_195.08, 0.1, 'over the antimeridian');
  for (const [lon, lat] of [
    [0, 0],
    [179.99, 10],
    [20, 80],
    [-87, 41.9],
  ] as const) {
    for (const bearing of [0, 45, 90, 200, 359]) {
      const [lon2, lat2] = destination(lon, lat, bearing, 5_000);
      near(t, distanceM(lon, lat, lon2, lat2), 5_000, 1e-3, `${lon} ${lat} ${bearing}`);
    }
  }
  t.end();
});

t.test('the nearest copy of a longitude', (t) => {
  near(t, unwrapX(0.01, 0.99), 1.01, 1e-12, 'east');
  near(t, unwrapX(0.99, 0.01), -0.01, 1e-12, 'west');
  near(t, unwrapX(0.4, 0.6), 0.4, 1e-12, 'here');
  t.end();
});

t.test(
  'the camera: screen and world are inverse, zoom holds its anchor, pan moves the ground',
  (t) => {
    const view = camera({ x: 0.26, y: 0.37, scale: 50_000 });
    const at = toWorld(view, 123, 456);
    near(t, toScreenX(view, at.x), 123, 1e-6, 'x');
    near(t, toScreenY(view, at.y), 456, 1e-6, 'y');
    const nearer = zoomedAt(view, 3, 123, 456);
    near(t, nearer.scale, 150_000, 1e-6, 'scale');
    near(t, toScreenX(nearer, at.x), 123, 1e-6, 'anchor x');
    near(t, toScreenY(nearer, at.y), 456, 1e-6, 'anchor y');
    near(t, toScreenX(panned(view, 10, -20), at.x), 133, 1e-6, 'panned x');
    near(t, toScreenY(panned(view, 10, -20), at.y), 436, 1e-6, 'panned y');
    const far = zoomedAt(view, 1e-9, 400, 300);
    t.equal(far.scale, 800, 'no further than the world fills the screen');
    t.ok(zoomedAt(view, 1e12, 400, 300).scale <= 256 * 2 ** 20, 'no nearer than it makes sense');
    const wrapped = camera({ x: 0.999 });
    near(t, toScreenX(wrapped, 0.001), 400 + 0.002 * 4096, 1e-6, 'over the antimeridian');
    t.end();
  },
);

t.test('the viewport: degrees of the edges, wrapping at ±180', (t) => {
  const plain = viewportOf(camera({ x: 0.5, y: 0.5, scale: 3600 }), 0);
  near(t, plain.west, -40, 1e-9, 'west');
  near(t, plain.east, 40, 1e-9, 'east');
  near(t, plain.north, -plain.south, 1e-9, 'north and south');
  const wrapped = viewportOf(camera({ x: 0, scale: 3600 }), 0);
  near(t, wrapped.west, 140, 1e-9, 'west of the antimeridian');
  near(t, wrapped.east, -140, 1e-9, 'east of it');
  t.same(viewportOf(camera({ scale: 800 }), 0.25).west, -180, 'the whole world');
  t.same(viewportOf(camera({ scale: 800 }), 0.25).east, 180);
  for (const { south, north } of [viewportOf(camera({ scale: 800, y: 0 }), 1)]) {
    t.ok(south >= -90 && north <= 90, 'never beyond the poles');
  }
  t.end();
});

t.test('the box of a fleet, and the camera that shows it', (t) => {
  t.equal(boundsOf([]), null);
  t.same(boundsOf([[5, 6]]), { west: 5, south: 6, east: 5, north: 6 });
  t.same(
    boundsOf([
      [-10, 1],
      [20, -3],
    ]),
    { west: -10, south: -3, east: 20, north: 1 },
  );
  const over = boundsOf([
    [178, 0],
    [-179, 2],
    [175, 1],
  ])!;
  t.same(over, { west: 175, south: 0, east: -179, north: 2 }, 'over the antimeridian');
  for (const box of [over, { west: -105, south: 32, east: -84, north: 42 }]) {
    const view = fitted(camera(), box, 50, 1e9);
    for (const lon of [box.west, box.east]) {
      const x = toScreenX(view, xOfLon(lon));
      t.ok(x >= 49.9 && x <= 750.1, `${lon} at ${x}`);
    }
    for (const lat of [box.south, box.north]) {
      const y = toScreenY(view, yOfLat(lat));
      t.ok(y >= 49.9 && y <= 550.1, `${lat} at ${y}`);
    }
  }
  t.equal(
    fitted(camera(), { west: 5, south: 6, east: 5, north: 6 }, 50, 1e6).scale,
    1e6,
    'a single point',
  );
  t.end();
});

t.test('grid steps and scale bars are round and fit', (t) => {
  for (let scale = 300; scale < 256 * 2 ** 20; scale *= 1.7) {
    const step = gridStepDeg(scale);
    t.ok(step === 30 || (step * scale) / 360 >= 110, `step ${step} at ${Math.round(scale)}`);
  }
  for (const metresPerPx of [0.013, 0.7, 1, 3.3, 150, 40_000]) {
    const [metres, px] = scaleBar(metresPerPx, 140);
    t.ok(px <= 140.001 && px > 50, `${metres} m is ${px} px`);
    t.match(String(metres), /^(0\.0*)?[125]0*$/);
  }
  t.end();
});

const row = (more: Partial<FenceRow>): FenceRow => ({
  geofence_id: 1,
  geofence_name: 'Fence',
  shape_type: 'polygon',
  polygon: null,
  center_lat: null,
  center_lng: null,
  radius_m: null,
  width_m: null,
  status: 'active',
  ...more,
});

t.test('a circle is a circle on the ground, also over the antimeridian', (t) => {
  for (const [lon, lat] of [
    [-87, 41],
    [179.999, -17],
    [10, 70],
  ] as const) {
    const ring = circleRing(lon, lat, 8_000);
    for (const { x, y } of ring) {
      near(t, distanceM(lon, lat, lonOfX(x), latOfY(y)), 8_000, 0.01, 'radius');
    }
    const xs = ring.map(({ x }) => x);
    t.ok(Math.max(...xs) - Math.min(...xs) < 0.01, 'in one piece');
  }
  t.end();
});

// Metres from a point to a line, by looking at many of its points.
function distanceToLineM(point: WorldPoint, line: readonly WorldPoint[]): number {
  let best = Infinity;
  for (let i = 1; i < line.length; i += 1) {
    const [a, b] = [line[i - 1]!, line[i]!];
    const lengthSq = (b.x - a.x) ** 2 + (b.y - a.y) ** 2;
    const along = ((point.x - a.x) * (b.x - a.x) + (point.y - a.y) * (b.y - a.y)) / lengthSq;
    const part = Math.max(0, Math.min(1, along));
    const away = Math.hypot(point.x - a.x - part * (b.x - a.x), point.y - a.y - part * (b.y - a.y));
    best = Math.min(best, away / worldPerMetre(latOfY(point.y)));
  }
  return best;
}

t.test(`the outline of a corridor runs at half its width from its line (seed ${SEED})`, (t) => {
  const next = random(SEED);
  let worstM = 0;
  for (let round = 0; round < 200; round += 1) {
    // Legs far longer than the width, turns of up to 120°.
    let heading = next() * 360;
    let [lon, lat]: [number, number] = [next() * 360 - 180, next() * 120 - 60];
    const line: WorldPoint[] = [];
    for (let i = 0; i < 6; i += 1) {
      const x = xOfLon(lon);
      line.push({ x: line[0] === undefined ? x : unwrapX(x, line[0].x), y: yOfLat(lat) });
      heading += (next() - 0.5) * 240;
      [lon, lat] = destination(lon, lat, heading, 3_000 + next() * 2_000);
    }
    const ring = corridorRing(line, 400);
    t.ok(ring.length >= 2 * line.length, 'a point for each bend on each side');
    for (const point of ring) {
      // Another leg may pass nearer than this one: then the outline lies inside, which the fill hides.
      const awayM = distanceToLineM(point, line);
      if (awayM > 200) worstM = Math.max(worstM, awayM - 200);
    }
  }
  t.ok(worstM < 1, `never outside by more than a metre: ${worstM}`);

  const straight = [-87, -86.9].map((lon) => ({ x: xOfLon(lon), y: yOfLat(41) }));
  for (const point of corridorRing(straight, 400))
    near(t, distanceToLineM(point, straight), 200, 0.1, 'straight');
  const bent = [
    [-87, 41],
    [-86.9, 41],
    [-86.9, 41.1],
  ].map(([lon, lat]) => ({ x: xOfLon(lon!), y: yOfLat(lat!) }));
  for (const point of corridorRing(bent, 400))
    near(t, distanceToLineM(point, bent), 200, 0.5, 'bent');
  const back = [
    [-87, 41],
    [-86.9, 41],
    [-87, 41],
  ].map(([lon, lat]) => ({ x: xOfLon(lon!), y: yOfLat(lat!) }));
  t.ok(
    corridorRing(back, 400).every(({ x, y }) => Number.isFinite(x + y)),
    'there and back again',
  );
  const point = { x: 0.5, y: 0.5 };
  t.ok(corridorRing([point, point], 400).length > 8, 'a line of no length is a disc');
  t.end();
});

t.test('pictures of fences: every shape, and nothing from what is broken', (t) => {
  const square = [
    [0, 0],
    [1, 0],
    [1, 1],
    [0, 1],
    [0, 0],
  ];
  const hole = [
    [0.2, 0.2],
    [0.4, 0.2],
    [0.4, 0.4],
    [0.2, 0.2],
  ];
  const polygon = pictureOf(row({ polygon: { type: 'Polygon', coordinates: [square, hole] } }))!;
  t.equal(polygon.rings.length, 2);
  t.equal(polygon.fillRule, 'evenodd');
  const multi = {
    type: 'MultiPolygon',
    coordinates: [
      [
        [
          [179, 0],
          [180, 0],
          [180, 1],
          [179, 0],
        ],
      ],
      [
        [
          [-180, 0],
          [-179, 0],
          [-180, 1],
          [-180, 0],
        ],
      ],
    ],
  };
  const split = pictureOf(row({ shape_type: 'multipolygon', polygon: multi }))!;
  t.ok(split.maxX - split.minX < 0.01, 'a fence split at the antimeridian is drawn in one place');
  const corridor = pictureOf(
    row({
      shape_type: 'corridor',
      width_m: 100,
      polygon: {
        type: 'LineString',
        coordinates: [
          [0, 0],
          [1, 1],
        ],
      },
    }),
  )!;
  t.equal(corridor.line.length, 2);
  t.equal(
    pictureOf(row({ shape_type: 'circle', center_lat: 1, center_lng: 2, radius_m: 3 }))!.rings
      .length,
    1,
  );
  for (const broken of [
    row({}),
    row({ shape_type: 'circle' }),
    row({ polygon: { type: 'Point', coordinates: [0, 0] } }),
    row({ polygon: { type: 'Polygon', coordinates: 'none' } }),
    row({ polygon: { type: 'Polygon', coordinates: [[['a', 'b']]] } }),
    row({ polygon: { type: 'Polygon', coordinates: [[null]] } }),
    row({ polygon: { type: 'Polygon', coordinates: [] } }),
    row({
      shape_type: 'corridor',
      width_m: 5,
      polygon: { type: 'LineString', coordinates: [[0, 0]] },
    }),
  ]) {
    t.equal(pictureOf(broken), null);
  }
  t.end();
});
