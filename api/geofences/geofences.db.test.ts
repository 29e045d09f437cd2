import t from 'tap';
import type { Fence, FenceShape } from '../../engine/types.ts';
import { applyEdits, createWorld, fencesAt } from '../../engine/world.ts';
import { NOW_MS, startTestPortal } from '../test-portal.ts';
import { TEST_HITS_MAX, TESTED_POINTS_MAX } from './holding.ts';

/** What the engine under test has; the tests put fences in as the change feed would. */
const world = createWorld();
let isCrowded = false;
const crowd = Array<Fence>(TEST_HITS_MAX / 2).fill({
  fenceId: 1,
  version: 1,
  accountId: null,
  schedule: null,
} as Fence);

const portal = await startTestPortal(t, {
  fencesAt: (tenantId, lonDeg, latDeg) =>
    isCrowded ? crowd : fencesAt(world, tenantId, lonDeg, latDeg),
});
const { owner } = portal;
const { mine, foreign } = portal.seed;
const [north] = mine.accountIds;

const ring = [
  [10, 50],
  [11, 50],
  [11, 51],
  [10, 51],
  [10, 50],
];
const polygon = { type: 'Polygon', coordinates: [ring] };
const line = { type: 'LineString', coordinates: ring.slice(0, 3) };
const circle = {
  geofence_name: 'Depot',
  shape_type: 'circle',
  center_lat: 51.9,
  center_lng: 4.5,
  radius_m: 300,
};
const hours = [{ days: ['mon', 'tue'], from: '08:00', to: '18:00' }];

type Who = Parameters<typeof portal.as>[0];
const get = (url: string, accept = 'application/json', who: Who = 'admin') =>
  portal.as(who, { url, headers: { accept } });
const post = (
  url: string,
  payload: object,
  { who = 'admin', type = 'application/json' }: { who?: Who; type?: string } = {},
) =>
  portal.as(who, {
    method: 'POST',
    url,
    payload: JSON.stringify(payload),
    headers: { 'content-type': type },
  });
const patch = (url: string, payload: object) =>
  portal.as('admin', {
    method: 'PATCH',
    url,
    payload: JSON.stringify(payload),
    headers: { 'content-type': 'application/merge-patch+json', 'if-match': '*' },
  });
const remove = (url: string) =>
  portal.as('admin', { method: 'DELETE', url, headers: { 'if-match': '*' } });
const refusal = (status: number, pointer: string, detail: RegExp = /\w/) => ({
  status,
  body: { errors: [{ in: 'body', pointer, detail }] },
});

t.test('dwell, crossings and hours of a fence', async (t) => {
  const plain = await post('/v1/geofences', circle);
  t.match(plain, {
    status: 201,
    body: { dwell_s: null, cross_gap_s: 120, active_hours: null, time_zone: null },
  });
  const all = { dwell_s: 600, cross_gap_s: 0, active_hours: hours, time_zone: 'Asia/Tokyo' };
  const made = await post('/v1/geofences', { ...circle, ...all });
  t.match(made, { status: 201, body: all });
  const url = String(made.headers['location']);
  t.match((await get(url)).body, all);

  const night = [{ days: ['sun'], from: '22:00', to: '24:00' }];
  t.match(await patch(url, { active_hours: night, dwell_s: 1 }), {
    status: 200,
    body: { active_hours: night, dwell_s: 1, time_zone: 'Asia/Tokyo', version: 2 },
  });
  t.match(await patch(url, { time_zone: null, dwell_s: null }), {
    body: { active_hours: night, dwell_s: null, time_zone: null },
  });
  t.match(await patch(url, { active_hours: null }), { body: { active_hours: null } });

  const at = '/active_hours';
  const rows: [object, number, string, RegExp?][] = [
    [{ dwell_s: 0 }, 400, '/dwell_s'],
    [{ dwell_s: 2_592_001 }, 400, '/dwell_s'],
    [{ dwell_s: 1.5 }, 400, '/dwell_s'],
    [{ cross_gap_s: -1 }, 400, '/cross_gap_s'],
    [{ cross_gap_s: 3_601 }, 400, '/cross_gap_s'],
    [{ cross_gap_s: null }, 400, '/cross_gap_s'],
    [{ active_hours: [] }, 400, at],
    [{ active_hours: Array(33).fill(hours[0]) }, 400, at],
    [{ active_hours: { days: ['mon'] } }, 400, at],
    [{ active_hours: [{ ...hours[0], until: '9' }] }, 400, `${at}/0/until`, /not a field/],
    [{ active_hours: [{ days: ['mon'], from: '08:00' }] }, 400, `${at}/0/to`, /required/],
    [{ active_hours: [{ ...hours[0], days: [] }] }, 400, `${at}/0/days`],
    [{ active_hours: [{ ...hours[0], days: ['mon', 'Tuesday'] }] }, 422, `${at}/0/days/1`, /tue/],
    [{ active_hours: [{ ...hours[0], days: ['mon', 'mon'] }] }, 422, `${at}/0/days/1`, /twice/],
    [{ active_hours: [hours[0], { ...hours[0], from: '24:00' }] }, 422, `${at}/1/from`],
    [{ active_hours: [{ ...hours[0], to: '6pm' }] }, 422, `${at}/0/to`, /24:00/],
    [{ active_hours: hours, time_zone: 'Mars/Olympus' }, 422, '/time_zone', /not a time zone/],
    [{ time_zone: 'Mars/Olympus' }, 422, '/time_zone', /not a time zone/],
    [{ time_zone: '' }, 400, '/time_zone'],
  ];
  for (const [change, status, pointer, detail] of rows) {
    const what = JSON.stringify(change).slice(0, 80);
    t.match(
      await post('/v1/geofences', { ...circle, ...change }),
      refusal(status, pointer, detail),
      what,
    );
    t.match(await patch(url, change), refusal(status, pointer, detail), `a patch of ${what}`);
  }
  t.match(await get(url), { body: { version: 4 } }, 'nothing of it was stored');

  // As a database does that knows a zone which Node does not: its trigger would refuse this one.
  const move = (zone: string) =>
    owner.query(`begin; set local session_replication_role = replica;
      update customer set time_zone = '${zone}' where customer_id = ${mine.customerId}; commit`);
  await move('Mars/Olympus');
  t.match(
    await patch(url, { active_hours: hours }),
    refusal(422, '/time_zone', /name one: of the customer's own/),
  );
  t.match(await patch(url, { active_hours: hours, time_zone: 'UTC' }), { status: 200 });
  t.match(await patch(url, { time_zone: null }), refusal(422, '/time_zone'), 'hours are there');
  t.match(await patch(url, { description: 'x' }), { status: 200 }, 'other fields do not mind');
  await move('Europe/Berlin');
  for (const one of [plain, made]) {
    await remove(String(one.headers['location']));
  }
});

t.test('GeoJSON out and in', async (t) => {
  const type = 'application/geo+json';
  const shapes = [
    { shape_type: 'polygon', polygon },
    { shape_type: 'rectangle', polygon },
    { shape_type: 'multipolygon', polygon: { type: 'MultiPolygon', coordinates: [[ring]] } },
    { shape_type: 'corridor', polygon: line, width_m: 100 },
    { shape_type: 'circle', center_lat: 5, center_lng: -180, radius_m: 7 },
  ];
  for (const { shape_type, ...shape } of shapes) {
    const more = { dwell_s: 60, active_hours: hours, time_zone: 'UTC', account_id: north };
    const made = await post('/v1/geofences', { geofence_name: 'G', shape_type, ...shape, ...more });
    const url = String(made.headers['location']);
    const shown = await get(url, type);
    const columns: Record<string, unknown> = { ...made.body };
    const { polygon: geometry, center_lat, center_lng } = columns;
    for (const name of ['polygon', 'center_lat', 'center_lng']) delete columns[name];
    t.match(shown.headers, { 'content-type': /^application\/geo\+json/, vary: 'accept' });
    t.equal(shown.headers['etag'], '"1"');
    t.same(
      shown.body,
      {
        type: 'Feature',
        id: made.body.geofence_id,
        geometry: geometry ?? { type: 'Point', coordinates: [center_lng, center_lat] },
        properties: columns,
      },
      shape_type,
    );
    const again = await post('/v1/geofences', shown.body, { type });
    t.equal(again.status, 201, `${shape_type}: what was read can be sent`);
    const same: Record<string, unknown> = { ...again.body };
    for (const name of ['geofence_id', 'created_at', 'updated_at']) delete same[name];
    t.match(made.body, same, `${shape_type}: and makes the same fence`);
    for (const path of [url, String(again.headers['location'])]) {
      t.equal((await remove(path)).status, 204);
    }
  }
  const first = await get('/v1/geofences?limit=2', type);
  t.match(first, {
    status: 200,
    headers: { 'content-type': /^application\/geo\+json/, vary: 'accept' },
    body: { type: 'FeatureCollection', page: { has_more: true } },
  });
  const features = (body: unknown) => (body as { features: { id: number }[] }).features;
  const cursor = encodeURIComponent(first.body.page.next_cursor ?? '');
  const rest = await get(`/v1/geofences?limit=2&cursor=${cursor}`, type);
  t.same(
    [...features(first.body), ...features(rest.body)].map(({ id }) => id),
    mine.geofenceIds,
  );
  const chosen = await get('/v1/geofences?limit=1&fields=geofence_name', type);
  t.match(chosen.body, {
    features: [
      {
        geometry: { type: 'Point', coordinates: [10, 50] },
        properties: { geofence_name: 'acme fence 0' },
      },
    ],
  });
  t.notMatch(
    chosen.text,
    /radius_m|version|~0/,
    'the fields that were asked for, and the geometry',
  );
  t.match(await get(`/v1/geofences/${mine.geofenceIds[0]}`), {
    headers: { vary: 'accept', 'content-type': /^application\/json/ },
    body: { shape_type: 'circle' },
  });
});

t.test('features that are refused, with their own fields', async (t) => {
  const type = 'application/geo+json';
  const geometry = { type: 'Point', coordinates: [4.5, 51.9] };
  const properties = { geofence_name: 'G', radius_m: 300 };
  const feature = { type: 'Feature', geometry, properties };
  const open = { type: 'Polygon', coordinates: [ring.slice(0, 4)] };
  const named = { geofence_name: 'G' };
  const rows: [object, number, string, RegExp?][] = [
    [{ ...feature, type: 'FeatureCollection' }, 400, '/type'],
    [{ ...feature, geometry: null }, 400, '/geometry'],
    [{ type: 'Feature', geometry }, 400, '/properties', /required/],
    [{ ...feature, properties: {} }, 400, '/properties/geofence_name', /required/],
    [{ ...feature, properties: { ...properties, radius: 1 } }, 400, '/properties/radius'],
    [{ ...feature, properties: { ...properties, center_lat: 1 } }, 400, '/properties/center_lat'],
    [{ ...feature, geometry: { type: 'Circle' } }, 422, '/geometry/type', /Point, Polygon/],
    [{ ...feature, geometry: { type: '__proto__' } }, 422, '/geometry/type'],
    [{ ...feature, geometry: { type: 'Point' } }, 422, '/geometry/coordinates'],
    [
      { ...feature, geometry: { ...geometry, coordinates: [181, 0] } },
      422,
      '/geometry/coordinates',
    ],
    [{ ...feature, geometry: { ...geometry, coordinates: [0, 91] } }, 422, '/geometry/coordinates'],
    [{ ...feature, properties: named }, 422, '/properties/radius_m'],
    [
      { ...feature, geometry: polygon, properties: { ...named, shape_type: 'circle' } },
      422,
      '/geometry/type',
    ],
    [{ ...feature, geometry: polygon }, 422, '/properties/radius_m', /nothing for a polygon/],
    [{ ...feature, geometry: line, properties: named }, 422, '/properties/width_m'],
    [{ ...feature, geometry: open, properties: named }, 422, '/geometry/coordinates/0/3'],
    [
      { ...feature, geometry: polygon, properties: { ...named, shape_type: 'corridor' } },
      422,
      '/geometry/type',
    ],
    [
      { ...feature, properties: { ...properties, account_id: foreign.accountIds[0] } },
      422,
      '/properties/account_id',
    ],
    [
      { ...feature, properties: { ...properties, active_hours: [{ ...hours[0], to: '' }] } },
      422,
      '/properties/active_hours/0/to',
    ],
  ];
  for (const [body, status, pointer, detail] of rows) {
    const answer = await post('/v1/geofences', body, { type });
    t.match(answer, refusal(status, pointer, detail), JSON.stringify(body).slice(0, 100));
  }
  for (const [body, how, status] of [
    [circle, 'application/merge-patch+json', 415],
    [circle, 'text/plain', 415],
    [feature, 'application/json', 400],
    [circle, type, 400],
  ] as const) {
    t.equal((await post('/v1/geofences', body, { type: how })).status, status, how);
  }
  t.equal((await portal.as('admin', { method: 'POST', url: '/v1/geofences' })).status, 400);
  const others = await post('/v1/telematic-alerts', feature, { type });
  t.equal(others.status, 415, 'nothing else takes GeoJSON');
});

const TEST = '/v1/geofences/test';

/** Puts what the database has into the engine; `more` is what a fence has that is not in its row. */
async function tellEngine(more: Partial<Fence> = {}): Promise<void> {
  const { rows } = await owner.query<{ id: number; tenant: number; account: number | null }>(
    'select geofence_id as id, customer_id as tenant, account_id as account from geofence',
  );
  const shape: FenceShape = { type: 'circle', centerLonDeg: 10, centerLatDeg: 50, radiusM: 100 };
  applyEdits(
    world,
    rows.map(({ id, tenant, account }) => ({
      type: 'fence_put',
      fence: {
        fenceId: id,
        version: 7,
        tenantId: tenant,
        accountId: account,
        name: 'as the engine calls it',
        shape,
        exitBufferM: 0,
        enterFixCount: 1,
        exitFixCount: 1,
        accuracyMMax: null,
        dwellMs: null,
        crossGapMsMax: 0,
        schedule: null,
        ...more,
      },
    })),
  );
}

interface Held {
  readonly results: {
    readonly equipment_id?: number;
    readonly recorded_at?: string;
    readonly latitude: number;
    readonly geofences: { geofence_id: number; in_force: boolean }[];
  }[];
}
const held = (answer: { body: unknown }) =>
  (answer.body as Held).results.map(({ geofences }) => geofences.map((one) => one.geofence_id));

t.test('which fences hold a point', async (t) => {
  await tellEngine();
  const [ofNorth, ofSouth, ofAll] = mine.geofenceIds;
  const points = [
    { latitude: 50, longitude: 10 },
    { latitude: 51, longitude: 10 },
    { latitude: 50.0001, longitude: 370 - 360 },
  ];
  const answer = await post(TEST, { points });
  t.equal(answer.status, 200);
  t.same((answer.body as unknown as Held).results[0], {
    latitude: 50,
    longitude: 10,
    geofences: [
      { geofence_id: ofNorth, geofence_name: 'acme fence 0', version: 7, in_force: true },
      { geofence_id: ofSouth, geofence_name: 'acme fence 1', version: 7, in_force: true },
      { geofence_id: ofAll, geofence_name: 'acme fence 2', version: 7, in_force: true },
    ],
  });
  const all = [ofNorth, ofSouth, ofAll];
  t.same(held(answer), [all, [], all], 'one result for each, in their order');
  t.same(
    held(await post(TEST, { points }, { who: 'held' })),
    [[ofNorth, ofAll], [], [ofNorth, ofAll]],
    'fences of other accounts are not shown',
  );
  t.same(held(await post(TEST, { points }, { who: 'foreign' }))[0], foreign.geofenceIds);
  t.equal((await post(TEST, { points }, { who: 'bare' })).status, 403);
});

t.test('which fences hold the units', async (t) => {
  await tellEngine();
  const [ofNorth, ofSouth, ofAll] = mine.geofenceIds;
  const [first, second, third] = mine.equipmentIds;
  const ask = async (ids: number[], who: Who = 'admin') => {
    const { status, body } = await post(TEST, { equipment_ids: ids }, { who });
    t.equal(status, 200);
    return (body as unknown as Held).results;
  };
  const shown = (results: Held['results']) =>
    results.map((one) => [one.equipment_id, one.geofences.map((fence) => fence.geofence_id)]);
  t.match(await ask([first]), [
    {
      equipment_id: first,
      latitude: 50,
      longitude: 10,
      recorded_at: new Date(NOW_MS).toISOString(),
    },
  ]);
  t.same(
    shown(await ask([third, first, 987_654, second, foreign.equipmentIds[0]])),
    [
      [third, [ofAll]],
      [first, [ofNorth, ofAll]],
      [second, [ofSouth, ofAll]],
    ],
    'in the order asked for, each with the fences of its account and of the customer',
  );
  t.same(shown(await ask([first, second], 'held')), [[first, [ofNorth, ofAll]]]);

  await owner.query(
    `update user_role set role_permission = '{"geofence": ["read"]}' where name = 'bare role'`,
  );
  portal.principals.invalidate();
  t.match(await post(TEST, { equipment_ids: [first] }, { who: 'bare' }), {
    status: 403,
    body: { detail: /telematics:read/ },
  });
  t.equal(
    (await post(TEST, { points: [{ latitude: 1, longitude: 1 }] }, { who: 'bare' })).status,
    200,
  );
});

t.test('fences outside of their hours are told as such', async (t) => {
  const local = new Date(NOW_MS);
  const minute = local.getUTCHours() * 60 + local.getUTCMinutes();
  const day = ((local.getUTCDay() + 6) % 7) + 1;
  const window = { days: [day], startMin: minute, endMin: minute + 1 };
  const points = [{ latitude: 50, longitude: 10 }];
  for (const [timeZone, expected] of [
    ['UTC', true],
    ['Asia/Tokyo', false],
  ] as const) {
    await tellEngine({ schedule: { timeZone, windows: [window] } });
    const { body } = await post(TEST, { points });
    const [result] = (body as unknown as Held).results;
    t.same(
      result?.geofences.map((one) => one.in_force),
      [expected, expected, expected],
      timeZone,
    );
  }
});

t.test('questions that are refused', async (t) => {
  const point = { latitude: 50, longitude: 10 };
  const rows: [object, number, string][] = [
    [{ points: [] }, 400, '/points'],
    [{ points: Array(TESTED_POINTS_MAX + 1).fill(point) }, 400, '/points'],
    [{ points: [{ latitude: 91, longitude: 0 }] }, 400, '/points/0/latitude'],
    [{ points: [{ latitude: 1, longitude: 181 }] }, 400, '/points/0/longitude'],
    [{ points: [{ latitude: 1 }] }, 400, '/points/0/longitude'],
    [{ points: [{ ...point, accuracy: 1 }] }, 400, '/points/0/accuracy'],
    [{ equipment_ids: [] }, 400, '/equipment_ids'],
    [{ equipment_ids: [1, 1] }, 400, '/equipment_ids'],
    [{ equipment_ids: [0] }, 400, '/equipment_ids/0'],
    [{ fences: [1] }, 400, '/fences'],
  ];
  for (const [body, status, pointer] of rows) {
    t.match(await post(TEST, body), refusal(status, pointer), JSON.stringify(body).slice(0, 60));
  }
  for (const body of [{}, { points: [point], equipment_ids: [1] }]) {
    t.match(await post(TEST, body), { status: 422, body: { detail: /either/ } });
  }
  isCrowded = true;
  t.equal((await post(TEST, { points: [point, point] })).status, 200, 'so many are answered');
  t.match(
    await post(TEST, { points: [point, point, point] }),
    refusal(422, '/points', /first 3 lie in more than 10000/),
  );
  t.match(
    await post(TEST, { equipment_ids: [...mine.equipmentIds] }),
    refusal(422, '/equipment_ids', /first 3/),
  );
  isCrowded = false;
});
