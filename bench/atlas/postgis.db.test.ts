/**
 * The engine beside PostGIS, on the TimescaleDB server of the tests; embedded PostgreSQL has no PostGIS. Milepost itself
 * needs none.
 */
import type pg from 'pg';
import t from 'tap';
import { connectTestClient, createTestDatabase } from '../../db/test-database.ts';
import { EARTH_RADIUS_M, haversineM } from '../../engine/geodesy.ts';
import { fenceOf, seededRandom } from '../../engine/test-data.ts';
import type { FenceShape, LonLat } from '../../engine/types.ts';
import { applyEdits, createWorld, fencesAt } from '../../engine/world.ts';
import { judge } from './compare.ts';
import { readAtlas, type Outline } from './outlines.ts';
import { pointSource } from './points.ts';
import { unrolled } from './reference.ts';

const SEED = 11;
const PAIRS = 20_000;
/** Their answers, and what is sent, a few thousand rows at a time. */
const ROWS = 2_000;
/** PostGIS' sphere has the mean radius of its own spheroid, 6,371,008.7714 m: 4.5e-9 less than ours. */
const RADIUS_SHARE = 1e-8;
/** Metres that PostGIS lets through, and rounding. */
const NEAR_M = 1e-5;

const database = await createTestDatabase(t);
const client = await connectTestClient(t, database.ownerUrl);
const available = await client.query<{ name: string }>(
  `select name from pg_available_extensions where name in ('postgis', 'timescaledb')`,
);
const names = available.rows.map(({ name }) => name);
const isThere = names.includes('postgis');
// TimescaleDB's rootfs is made by scripts/timescale.ts, with PostGIS in it: there it has to be found.
const skip =
  isThere || names.includes('timescaledb')
    ? false
    : 'PostGIS is on the TimescaleDB server alone: npm run test:timescale';
if (isThere) await client.query('create extension postgis');

interface Pair {
  readonly outline: number;
  readonly at: LonLat;
}

t.test('outlines: ST_Covers on geometry', { skip }, async (t) => {
  const { outlines } = readAtlas();
  await insertOutlines(client, outlines);
  const pairs = makePairs(outlines);
  const world = createWorld();
  const fences = outlines.map(({ settled }, id) =>
    fenceOf(id, { type: 'polygon', polygons: settled }),
  );
  applyEdits(
    world,
    fences.map((fence) => ({ type: 'fence_put', fence })),
  );
  const theirs = await askCovers(client, pairs);
  const counts = { pairs: pairs.length, held: 0, 'reference rounds': 0, 'engine rounds': 0 };
  const wrong: unknown[] = [];
  for (const [i, { outline, at }] of pairs.entries()) {
    const isHeld = fencesAt(world, 1, ...at).some(({ fenceId }) => fenceId === outline);
    if (isHeld) counts.held++;
    if (isHeld === theirs[i]) continue;
    const { verdict, distanceDeg } = judge(outlines[outline]!, at, isHeld);
    if (verdict === 'wrong') wrong.push({ outline: outlines[outline]!.name, at, distanceDeg });
    else counts[verdict]++;
  }
  t.comment(`seed ${SEED}: ${JSON.stringify(counts)}`);
  t.same(wrong, []);
  t.ok(counts['engine rounds'] < 8, 'a handful, and no rule, is put down to rounding');
  t.ok(counts.held > PAIRS / 5 && counts.held < PAIRS, 'some are held, some are not');
});

t.test('circles: ST_DWithin on geography, on the sphere', { skip }, async (t) => {
  const random = seededRandom(SEED);
  const rows = Array.from({ length: 5_000 }, () => {
    const center: LonLat = [360 * random() - 180, latOnSphere(random)];
    const radiusM = 10 ** (7 * random());
    const off = (random() < 0.5 ? -1 : 1) * 10 ** (-7 * random());
    return { center, radiusM, at: destination(center, radiusM * (1 + off), 360 * random()) };
  });
  const theirs = await ask(
    client,
    `select st_dwithin(st_point(p[1], p[2])::geography, st_point(p[3], p[4])::geography, p[5], false) as held,
            st_distance(st_point(p[1], p[2])::geography, st_point(p[3], p[4])::geography, false) as "distanceM"`,
    rows.map(({ center, radiusM, at }) => [...center, ...at, radiusM]),
  );
  const counts = { circles: rows.length, held: 0, near: 0 };
  const wrong: unknown[] = [];
  for (const [i, { center, radiusM, at }] of rows.entries()) {
    const [centerLonDeg, centerLatDeg] = center;
    const isHeld = holds({ type: 'circle', centerLonDeg, centerLatDeg, radiusM }, at);
    const { held, distanceM } = theirs[i]!;
    if (isHeld) counts.held++;
    if (isHeld === held) continue;
    counts.near++;
    if (Math.abs(distanceM - radiusM) > NEAR_M + RADIUS_SHARE * radiusM)
      wrong.push({ i, at, distanceM });
  }
  t.comment(`seed ${SEED}: ${JSON.stringify(counts)}`);
  t.same(wrong, []);
  t.ok(counts.held > 1_500 && counts.held < 3_500 && counts.near < 50, 'few are disputed');
});

t.test('corridors: ST_DWithin on geography, legs of 100 m to 100 km', { skip }, async (t) => {
  const random = seededRandom(SEED + 1);
  const rows = Array.from({ length: 3_000 }, () => {
    const legM = 10 ** (2 + 3 * random());
    const line: LonLat[] = [[360 * random() - 180, 140 * random() - 70]];
    for (let leg = 0; leg < 4; leg++) {
      line.push(destination(line.at(-1)!, legM * (0.5 + 0.5 * random()), 360 * random()));
    }
    const widthM = Math.min(20_000, legM * 10 ** (-1 - random()));
    const [from, to] = [line[1]!, line[2]!];
    const step = ((to[0] - from[0] + 540) % 360) - 180;
    const east = step * Math.cos((to[1] * Math.PI) / 180);
    const aside = (Math.atan2(east, to[1] - from[1]) * 180) / Math.PI + (random() < 0.5 ? 90 : -90);
    const share = random();
    const middle: LonLat = [from[0] + share * step, from[1] + share * (to[1] - from[1])];
    const awayM = (widthM / 2) * (1 + (random() < 0.5 ? -1 : 1) * 10 ** (-4 * random()));
    return { line, legM, widthM, at: destination(middle, awayM, aside) };
  });
  const theirs = await ask(
    client,
    `select st_dwithin(line, at, p[4], false) as held, st_distance(line, at, false) as "distanceM"
       from (select st_geogfromtext(text) as line, st_point(p[2], p[3])::geography as at) as shapes`,
    rows.map(({ at, widthM }) => [0, ...at, widthM / 2]),
    rows.map(({ line }) => `linestring(${line.map(([x, y]) => `${x} ${y}`).join()})`),
  );
  const counts = { corridors: rows.length, held: 0, disputed: 0, worstShareOfBound: 0 };
  const wrong: unknown[] = [];
  for (const [i, { line, legM, widthM, at }] of rows.entries()) {
    const isHeld = holds({ type: 'corridor', line, widthM }, at);
    const { held, distanceM } = theirs[i]!;
    if (isHeld) counts.held++;
    if (isHeld === held) continue;
    counts.disputed++;
    const share = Math.abs(distanceM - widthM / 2) / differenceM(line, legM, widthM);
    counts.worstShareOfBound = Math.max(counts.worstShareOfBound, share);
    if (share > 1) wrong.push({ i, line, widthM, at, distanceM });
  }
  t.comment(`seed ${SEED + 1}: ${JSON.stringify(counts)}`);
  t.same(wrong, []);
  t.ok(counts.held > 500 && counts.held < 2_500, 'some are held, some are not');
});

/**
 * How far our corridor and theirs may differ. Their legs are great circles, ours straight in longitude and latitude: such
 * a line bends by at most 1.1 tan φ / R, so over a leg of length L it strays by 1.1 L² tan φ / 8R. Our flat distance is off
 * by 0.01 % besides.
 */
function differenceM(line: readonly LonLat[], legM: number, widthM: number): number {
  const latMax = Math.max(...line.map(([, latDeg]) => Math.abs(latDeg)));
  const bend = (1.1 * Math.tan((latMax * Math.PI) / 180)) / EARTH_RADIUS_M;
  return (legM ** 2 * bend) / 8 + 1e-4 * widthM + NEAR_M;
}

async function insertOutlines(client: pg.Client, outlines: readonly Outline[]): Promise<void> {
  await client.query('create table outline (id int primary key, shape geometry not null)');
  for (let first = 0; first < outlines.length; first += 200) {
    const some = outlines.slice(first, first + 200);
    const shapes = some.map(({ polygons }) => {
      const coordinates = polygons.map((rings) => rings.map(unrolled));
      return JSON.stringify({ type: 'MultiPolygon', coordinates });
    });
    await client.query(
      `insert into outline select id, st_geomfromgeojson(shape) from unnest($1::int[], $2::text[]) as sent (id, shape)`,
      [some.map((_, i) => first + i), shapes],
    );
  }
}

/** Points with every outline whose box holds them. */
function makePairs(outlines: readonly Outline[]): Pair[] {
  const boxes = outlines.map(({ polygons }) => {
    const positions = polygons.flat().flatMap(unrolled);
    const [x, y] = [0, 1].map((axis) => positions.map((position) => position[axis]!));
    return [x!, y!].map((values) => [
      values.reduce((a, b) => Math.min(a, b)),
      values.reduce((a, b) => Math.max(a, b)),
    ]);
  });
  const next = pointSource(outlines, seededRandom(SEED));
  const pairs: Pair[] = [];
  while (pairs.length < PAIRS) {
    const { at } = next();
    for (const [outline, [x, y]] of boxes.entries()) {
      const isAcross = [at[0] - 360, at[0], at[0] + 360].some(
        (lon) => lon >= x![0]! && lon <= x![1]!,
      );
      if (isAcross && at[1] >= y![0]! && at[1] <= y![1]!) pairs.push({ outline, at });
    }
  }
  return pairs;
}

async function askCovers(client: pg.Client, pairs: readonly Pair[]): Promise<boolean[]> {
  await client.query('create table pair (id int primary key, outline int, x float8, y float8)');
  for (let first = 0; first < pairs.length; first += ROWS) {
    const some = pairs.slice(first, first + ROWS);
    await client.query(
      'insert into pair select * from unnest($1::int[], $2::int[], $3::float8[], $4::float8[])',
      [
        some.map((_, i) => first + i),
        some.map(({ outline }) => outline),
        some.map(({ at }) => at[0]),
        some.map(({ at }) => at[1]),
      ],
    );
  }
  const { rows } = await client.query<{ held: boolean }>(
    `select bool_or(st_covers(shape, st_point(x + turn_deg, y, 4326))) as held
       from pair join outline on outline.id = pair.outline cross join (values (-360), (0), (360)) as turns (turn_deg)
      group by pair.id order by pair.id`,
  );
  return rows.map(({ held }) => held);
}

interface Distance {
  readonly held: boolean;
  readonly distanceM: number;
}

/** `p` is a row of numbers in the question, `text` the text that goes with it. */
async function ask(
  client: pg.Client,
  question: string,
  rows: readonly (readonly number[])[],
  texts: readonly string[] = [],
): Promise<Distance[]> {
  const answers: Distance[] = [];
  for (let first = 0; first < rows.length; first += ROWS) {
    const sent = rows
      .slice(first, first + ROWS)
      .map((p, i) => ({ p, text: texts[first + i] ?? '' }));
    const { rows: some } = await client.query<Distance>(
      `select answer.*
         from jsonb_array_elements($1::jsonb) with ordinality as sent (row, place)
        cross join lateral (
          select array(select value::float8 from jsonb_array_elements_text(row -> 'p')) as p, row ->> 'text' as text
        ) as given
        cross join lateral (${question}) as answer
        order by place`,
      [JSON.stringify(sent)],
    );
    answers.push(...some);
  }
  return answers;
}

function holds(shape: FenceShape, at: LonLat): boolean {
  const world = createWorld();
  applyEdits(world, [{ type: 'fence_put', fence: fenceOf(1, shape) }]);
  return fencesAt(world, 1, ...at).length === 1;
}

function latOnSphere(random: () => number): number {
  return (Math.asin(2 * random() - 1) * 180) / Math.PI;
}

/** Where one is after `distanceM` along a great circle; longitude within −180…180. */
function destination([lonDeg, latDeg]: LonLat, distanceM: number, bearingDeg: number): LonLat {
  const radians = Math.PI / 180;
  const angle = distanceM / EARTH_RADIUS_M;
  const [lat, bearing] = [latDeg * radians, bearingDeg * radians];
  const sinLat =
    Math.sin(lat) * Math.cos(angle) + Math.cos(lat) * Math.sin(angle) * Math.cos(bearing);
  const east = Math.sin(bearing) * Math.sin(angle) * Math.cos(lat);
  const lon = lonDeg + Math.atan2(east, Math.cos(angle) - Math.sin(lat) * sinLat) / radians;
  const turned = lon > 180 ? lon - 360 : lon < -180 ? lon + 360 : lon;
  return [turned, Math.asin(Math.max(-1, Math.min(1, sinLat))) / radians];
}

t.test('the points lie where they are said to', (t) => {
  const random = seededRandom(SEED);
  let worst = 0;
  for (let i = 0; i < 1_000; i++) {
    const from: LonLat = [360 * random() - 180, latOnSphere(random)];
    const distanceM = 10 ** (7 * random());
    const at = destination(from, distanceM, 360 * random());
    worst = Math.max(worst, Math.abs(haversineM(...from, ...at) - distanceM) / (1 + distanceM));
  }
  t.ok(worst < 1e-6, `off by ${worst} at most`);
  t.end();
});
