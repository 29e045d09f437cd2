import fc from 'fast-check';
import t from 'tap';
import { loadFeedEvents } from './feed-events.ts';
import { GEOFENCE_VERTICES_MAX } from './geofences/check.ts';
import { NOW_MS, startTestPortal, type TestRow } from './test-portal.ts';

const portal = await startTestPortal(t, {
  quotas: { geofencesPerTenantMax: 40, alertsPerTenantMax: 40 },
});
const { seed, owner } = portal;
const { mine, foreign } = seed;
const [north, south] = mine.accountIds;

const ring = [
  [10, 50],
  [11, 50],
  [11, 51],
  [10, 51],
  [10, 50],
];
const polygon = { type: 'Polygon', coordinates: [ring] };
const circle = {
  geofence_name: 'Depot',
  shape_type: 'circle',
  center_lat: 51.9,
  center_lng: 4.5,
  radius_m: 300,
};
const rule = {
  alert_name: 'Too fast',
  metric_code: 'speed_mps',
  operator: '>',
  operator_value: 25,
};

type Who = Parameters<typeof portal.as>[0];
const get = (url: string, who: Who = 'admin') => portal.as(who, { url });
const post = (url: string, payload: object, who: Who = 'admin') =>
  portal.as(who, { method: 'POST', url, payload });
const patch = (
  url: string,
  payload: object,
  headers: Record<string, string> = {},
  who: Who = 'admin',
) =>
  portal.as(who, {
    method: 'PATCH',
    url,
    payload: JSON.stringify(payload),
    headers: { 'content-type': 'application/merge-patch+json', 'if-match': '*', ...headers },
  });
const remove = (url: string, headers: Record<string, string> = {}, who: Who = 'admin') =>
  portal.as(who, { method: 'DELETE', url, headers: { 'if-match': '*', ...headers } });
const refusal = (status: number, pointer: string, detail: RegExp = /\w/) => ({
  status,
  body: { status, errors: [{ in: 'body', pointer, detail }] },
});

/** Follows the cursors to the end. */
async function walk(url: string, limit: number, who: Who = 'admin'): Promise<TestRow[]> {
  const rows: TestRow[] = [];
  let cursor: string | null = null;
  do {
    const separator = url.includes('?') ? '&' : '?';
    const next: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const { status, body } = await get(`${url}${separator}limit=${limit}${next}`, who);
    if (status !== 200) throw new Error(JSON.stringify(body));
    if (body.data.length > limit) throw new Error('a page beyond its limit');
    rows.push(...body.data);
    if (body.page.has_more !== (body.page.next_cursor !== null)) throw new Error('odd page');
    cursor = body.page.next_cursor;
  } while (cursor !== null);
  return rows;
}

t.test('equipment', async (t) => {
  const id = mine.equipmentIds[0];
  t.match(await get(`/v1/equipment/${id}`), {
    status: 200,
    body: { equipment_id: id, unit_number: 'acme 0', account_id: north, specifications: {} },
  });
  const filtered = async (query: string) =>
    (await get(`/v1/equipment?${query}`)).body.data.map((row) => row.equipment_id);
  t.same(await filtered(`filter[account_id]=${south}`), [mine.equipmentIds[1]]);
  t.same(await filtered('filter[unit_number]=acme%202'), [mine.equipmentIds[2]]);
  t.same(await filtered('filter[status]=retired'), []);
  t.same(await filtered(`filter[account_id]=${foreign.accountIds[0]}`), []);
  t.equal(
    (await get(`/v1/equipment/${mine.equipmentIds[1]}`, 'held')).status,
    404,
    'not of the account',
  );
});

t.test('latest positions', async (t) => {
  const [, second] = mine.equipmentIds;
  const { body } = await get(`/v1/telematics?equipment_id=${second}`);
  t.equal(body.data.length, 1);
  t.match(body.data[0], {
    equipment_id: second,
    unit_number: 'acme 1',
    recorded_at: new Date(NOW_MS).toISOString(),
    latitude: 50,
    longitude: 10,
    speed: 12.5,
    ignition: null,
  });
  t.same((await get(`/v1/telematics?equipment_id=${second}`, 'held')).body.data, []);
});

t.test('history of one unit', async (t) => {
  const [equipmentId] = mine.equipmentIds;
  const spare = await owner.query<{ id: number }>(
    `with d as (insert into iot_device (customer_id, device_identifier, device_type)
       values ($1, 'second', 'tracker') returning iot_device_id)
     insert into equipment_has_iot_device (customer_id, equipment_id, iot_device_id)
     select $1, $2, iot_device_id from d returning equipment_has_iot_device_id as id`,
    [mine.customerId, equipmentId],
  );
  const devices = [mine.deviceIds[0], spare.rows[0]!.id];
  const before = (ms: number) => new Date(NOW_MS - ms);
  const dayMs = 86_400_000;
  await owner.query('select ensure_time_partitions($1, $2)', [before(3 * dayMs), before(-dayMs)]);
  // Two devices with the same instants, a microsecond apart from the next: ties in every way a cursor could trip over.
  const addFixes = (device: number, first: Date) =>
    owner.query(
      `insert into equipment_gps_location (equipment_has_iot_device_id, recorded_at, received_at, latitude, longitude)
       select $1, $2::timestamptz + i * interval '1 microsecond', now(), 50 + i, 10 from generate_series(0, 9) i`,
      [device, first],
    );
  const addMetrics = (device: number, first: Date) =>
    owner.query(
      `insert into iot_device_metric (equipment_has_iot_device_id, metric_code, recorded_at, received_at, metric_value)
       select $1, code, $2::timestamptz + i * interval '1 microsecond', now(), i
       from generate_series(0, 4) i, unnest(array['temperature_c', 'door_open']) code`,
      [device, first],
    );
  for (const device of devices) {
    await addFixes(device, before(3_600_000));
    await addMetrics(device, before(3_600_000));
  }
  await addFixes(devices[0]!, before(2 * dayMs));
  await addFixes(mine.deviceIds[1], before(3_600_000));
  await addFixes(foreign.deviceIds[0], before(3_600_000));
  await addMetrics(foreign.deviceIds[0], before(3_600_000));

  const fixes = `/v1/equipment/${equipmentId}/locations`;
  const key = (row: TestRow) => `${row.latitude} ${row.equipment_has_iot_device_id}`;
  for (const limit of [1, 3, 7, 500]) {
    const newest = await walk(fixes, limit);
    t.equal(newest.length, 20, `the last 24 hours by ${limit}`);
    t.equal(new Set(newest.map(key)).size, 20, 'each once');
    t.same((await walk(`${fixes}?order=oldest`, limit)).map(key), newest.map(key).reverse());
    t.ok(newest.every((row, i) => i === 0 || row.latitude <= newest[i - 1]!.latitude));
  }
  t.equal((await walk(`${fixes}?from=${before(3 * dayMs).toISOString()}`, 4, 'held')).length, 30);
  t.same(
    await walk(`${fixes}?to=${before(3_600_000).toISOString()}`, 4),
    [],
    'the end is exclusive',
  );
  const from = `from=${before(3_600_000).toISOString()}`;
  t.equal((await walk(`${fixes}?${from}`, 4)).length, 20, 'the beginning is inclusive');

  const metrics = `/v1/equipment/${equipmentId}/metrics`;
  for (const limit of [1, 3, 500]) {
    const rows = await walk(metrics, limit);
    const names = rows.map((row) =>
      [row.metric_value, row.equipment_has_iot_device_id, row.metric_code].join(),
    );
    t.equal(names.length, 20);
    t.equal(new Set(names).size, 20, 'each once');
  }
  const doors = await walk(`${metrics}?metric_code=door_open&order=oldest`, 3);
  t.same(new Set(doors.map((row) => row.metric_code)), new Set(['door_open']));
  t.same(
    doors.map((row) => row.metric_value),
    [0, 0, 1, 1, 2, 2, 3, 3, 4, 4],
  );

  const iso = (ms: number) => before(ms).toISOString();
  const refused: [string, string][] = [
    ['from=yesterday', '/from'],
    ['from=2026-02-01T00:00:00', '/from'],
    ['to=2026-02-30T25:00:00Z', '/to'],
    [`from=${iso(0)}&to=${iso(1)}`, '/from'],
    [`from=${iso(0)}&to=${iso(0)}`, '/from'],
    [`from=${iso(32 * dayMs)}`, '/from'],
    ['order=random', '/order'],
  ];
  for (const [query, pointer] of refused) {
    t.match(
      await get(`${fixes}?${query}`),
      { status: 400, body: { errors: [{ in: 'query', pointer }] } },
      query,
    );
  }
  t.equal((await get(`/v1/equipment/${mine.equipmentIds[1]}/locations`, 'held')).status, 404);
  t.equal((await get('/v1/equipment/987654/metrics')).status, 404);
});

t.test('cursors are good for their own list only', async (t) => {
  const { body } = await get('/v1/equipment?limit=1');
  const cursor = body.page.next_cursor!;
  t.match(
    await get(`/v1/equipment?limit=2&cursor=${cursor}`),
    { status: 200 },
    'the limit may change',
  );
  const [payload, signature] = cursor.split('.');
  const forged = Buffer.from('[0]').toString('base64url');
  const flipped = signature!.startsWith('A')
    ? `B${signature!.slice(1)}`
    : `A${signature!.slice(1)}`;
  const refused: [string, string, Who?][] = [
    ['another list', `/v1/geofences?cursor=${cursor}`],
    ['another filter', `/v1/equipment?filter[status]=active&cursor=${cursor}`],
    ['another tenant', `/v1/equipment?cursor=${cursor}`, 'foreign'],
    ['another payload', `/v1/equipment?cursor=${forged}.${signature}`],
    ['another signature', `/v1/equipment?cursor=${payload}.${flipped}`],
    ['a cut signature', `/v1/equipment?cursor=${payload}.${signature!.slice(0, 4)}`],
    ['no signature', `/v1/equipment?cursor=${payload}`],
    ['surplus', `/v1/equipment?cursor=${cursor}.x`],
    ['a word', '/v1/equipment?cursor=next'],
    [
      'the history of another unit',
      `/v1/equipment/${mine.equipmentIds[0]}/locations?cursor=${cursor}`,
    ],
  ];
  for (const [name, url, who] of refused) {
    const expected = { status: 400, body: { errors: [{ in: 'query', pointer: '/cursor' }] } };
    t.match(await get(url, who), expected, name);
  }
});

t.test('the activity feed', async (t) => {
  const add = (customerId: number, values: object) =>
    owner.query(
      `insert into activity_feed (event_key, customer_id, account_id, equipment_id, event_type, event_time,
         received_at, geofence_id, severity, subject_name)
       select gen_random_uuid(), $1, r.account_id, r.equipment_id, r.event_type, r.event_time, now(), r.geofence_id,
         r.severity, r.subject_name
       from jsonb_to_record($2) as r(account_id bigint, equipment_id bigint, event_type text, event_time timestamptz,
         geofence_id bigint, severity text, subject_name text)`,
      [customerId, JSON.stringify(values)],
    );
  for (let i = 0; i < 23; i++) {
    const own = i % 3;
    await add(mine.customerId, {
      account_id: [north, south, null][own],
      equipment_id: mine.equipmentIds[own],
      event_type: i % 2 ? 'geofence_exit' : 'geofence_enter',
      // Runs of five events share an instant.
      event_time: new Date(NOW_MS - 60_000 * Math.floor(i / 5)).toISOString(),
      geofence_id: mine.geofenceIds[own],
      severity: i % 2 ? 'info' : 'warning',
      subject_name: 'acme fence',
    });
  }
  await add(foreign.customerId, {
    account_id: foreign.accountIds[0],
    equipment_id: foreign.equipmentIds[0],
    event_type: 'geofence_enter',
    event_time: new Date(NOW_MS).toISOString(),
    severity: 'info',
    subject_name: 'canary-9c1f',
  });
  // The audit trail lies in the same table, and is no part of the feed: of a unit, and of something else.
  await owner.query(
    `insert into activity_feed (event_key, customer_id, equipment_id, event_type, event_time, received_at, entity_type,
       entity_id, after)
     select gen_random_uuid(), $1, unit, 'record_updated', $2, now(), 'equipment', '1', '{}'
     from unnest($3::bigint[]) unit`,
    [mine.customerId, new Date(NOW_MS), [mine.equipmentIds[0], null]],
  );
  const tenant = { customerId: mine.customerId, accountIds: null };
  const replayed = await loadFeedEvents(portal.apiPool, tenant, 0, 100);
  t.equal(replayed.length, 23);
  t.ok(replayed.every((event) => typeof event.equipment_id === 'number'));
  for (const limit of [1, 2, 4, 100]) {
    const rows = await walk('/v1/activity-feed', limit);
    const keys = rows.map((row) =>
      [row.event_time, String(row.activity_feed_id).padStart(9, '0')].join(),
    );
    t.same(keys, [...keys].sort().reverse(), `newest first by ${limit}`);
    t.equal(new Set(keys).size, 23, 'each once');
  }
  const count = async (query: string, who: Who = 'admin') =>
    (await walk(`/v1/activity-feed?${query}`, 5, who)).length;
  t.equal(await count('event_type=geofence_exit'), 11);
  t.equal(await count('severity=warning'), 12);
  t.equal(await count(`equipment_id=${mine.equipmentIds[1]}`), 8);
  t.equal(await count(`geofence_id=${mine.geofenceIds[1]}`), 8);
  t.equal(await count(`geofence_id=${mine.geofenceIds[1]}`, 'held'), 0);
  t.equal(await count(`equipment_id=${foreign.equipmentIds[0]}`), 0);
  t.equal(await count('limit=100', 'held').catch(() => 0), 0, 'a repeated limit is refused');
  t.equal((await walk('/v1/activity-feed', 5, 'held')).length, 15);
  const minute = (n: number) => new Date(NOW_MS - 60_000 * n).toISOString();
  t.equal(await count(`from=${minute(1)}&to=${minute(0)}`), 5, 'from inclusive, to exclusive');
  t.match(await get('/v1/activity-feed?to=noon'), {
    status: 400,
    body: { errors: [{ pointer: '/to' }] },
  });
});

t.test('lookups', async (t) => {
  const types = await walk('/v1/alert-types', 15);
  const rowsOf = async (table: string) =>
    Number(
      (await portal.owner.query<{ rows: string }>(`select count(*) as rows from ${table}`)).rows[0]!
        .rows,
    );
  t.equal(types.length, await rowsOf('alert_type_lookup'));
  t.match(types[0], { event_name: 'Speed', metric_code: 'speed_mps' });
  t.same(
    (await walk('/v1/geofence-event-types', 2)).map((row) => row.event_name),
    ['enter', 'exit', 'dwell', 'cross'],
  );
  t.equal((await walk('/v1/units', 70)).length, await rowsOf('uom_lookup'));
});

t.test('a fence from making to deleting', async (t) => {
  const made = await post('/v1/geofences', { ...circle, exit_buffer_m: 25, account_id: north });
  t.match(made, {
    status: 201,
    headers: { etag: '"1"' },
    body: {
      ...circle,
      exit_buffer_m: 25,
      account_id: north,
      status: 'active',
      exit_fix_count: 2,
      polygon: null,
      version: 1,
    },
  });
  const url = String(made.headers['location']);
  t.equal(url, `/v1/geofences/${made.body.geofence_id}`);
  t.same((await get(url)).body, made.body);
  t.match(await portal.as('admin', { url, headers: { 'if-none-match': '"1"' } }), {
    status: 304,
    text: '',
  });

  const same = await patch(url, {});
  t.match(same, { status: 200, body: { version: 1 } }, 'an empty patch changes nothing');
  const renamed = await patch(
    url,
    { geofence_name: 'Depot 2', accuracy_m_max: 50 },
    { 'if-match': '"1"' },
  );
  t.match(renamed, {
    status: 200,
    headers: { etag: '"2"' },
    body: { geofence_name: 'Depot 2', radius_m: 300, version: 2 },
  });
  t.match(
    await patch(url, { accuracy_m_max: null }),
    { body: { accuracy_m_max: null, version: 3 } },
    'null clears',
  );

  const reshaped = await patch(url, { shape_type: 'polygon', polygon });
  t.match(reshaped, {
    status: 200,
    body: { polygon, center_lat: null, center_lng: null, radius_m: null },
  });
  const moved = { type: 'Polygon', coordinates: [ring.map(([lon, lat]) => [lon! + 5, lat!])] };
  t.match(
    await patch(url, { polygon: { coordinates: moved.coordinates } }),
    { status: 200, body: { polygon: moved } },
    'the geometry is merged too',
  );

  const round = Array.from({ length: 500 }, (_, i) => [
    10 + Math.cos((i / 250) * Math.PI),
    50 + Math.sin((i / 250) * Math.PI),
  ]);
  const large = { coordinates: [[...round, round[0]]] };
  t.match(await patch(url, { polygon: large }), { status: 200, body: { polygon: large } });

  for (const tag of ['"1"', '"4", "5"', 'W/"6"']) {
    t.match(
      await patch(url, { description: 'x' }, { 'if-match': tag }),
      { status: 412, headers: { etag: '"6"' } },
      tag,
    );
    t.match(await remove(url, { 'if-match': tag }), {
      status: 412,
      body: { code: 'precondition_failed' },
    });
  }
  t.match(await remove(url, { 'if-match': '6' }), {
    status: 400,
    body: { errors: [{ in: 'header', pointer: '/if-match' }] },
  });
  t.match(await remove(url, { 'if-match': '"6"' }), { status: 204, text: '' });
  t.equal((await get(url)).status, 404);
  t.equal((await remove(url)).status, 404);
});

t.test('of two changes at once with one version, one wins', async (t) => {
  const { body } = await post('/v1/geofences', circle);
  const url = `/v1/geofences/${body.geofence_id}`;
  const change = (name: string) => patch(url, { geofence_name: name }, { 'if-match': '"1"' });
  const answers = await Promise.all([change('a'), change('b'), change('c')]);
  t.same(answers.map(({ status }) => status).sort(), [200, 412, 412]);
  t.equal((await get(url)).body.version, 2);
  await remove(url);
});

t.test('every shape', async (t) => {
  const line = {
    type: 'LineString',
    coordinates: [
      [10, 50],
      [11, 51],
    ],
  };
  const shapes = [
    { shape_type: 'polygon', polygon },
    { shape_type: 'rectangle', polygon },
    { shape_type: 'multipolygon', polygon: { type: 'MultiPolygon', coordinates: [[ring]] } },
    { shape_type: 'corridor', polygon: line, width_m: 100 },
    { shape_type: 'circle', center_lat: 0, center_lng: -180, radius_m: 1 },
  ];
  for (const shape of shapes) {
    const { status, body } = await post('/v1/geofences', {
      geofence_name: shape.shape_type,
      ...shape,
    });
    t.equal(status, 201, shape.shape_type);
    t.match(body, shape);
    await remove(`/v1/geofences/${body.geofence_id}`);
  }
  t.match(await get('/v1/geofences?filter[shape_type]=circle&filter[status]=active'), {
    body: { data: { length: 3 } },
  });
});

t.test('fences that are refused', async (t) => {
  const [a, b, c, d] = ring;
  const bowTie = { type: 'Polygon', coordinates: [[a, c, b, d, a]] };
  const many = Array.from({ length: GEOFENCE_VERTICES_MAX }, (_, i) => [i / 1e4, 1]);
  const far = ring.map(([lon, lat]) => [lon! + 5, lat]);
  const named = { geofence_name: 'x', shape_type: 'polygon' };
  const at = '/polygon/coordinates';
  const rows: [string, object, number, string, RegExp?][] = [
    ['no name', { shape_type: 'polygon', polygon }, 400, '/geofence_name', /required/],
    ['empty name', { ...circle, geofence_name: '' }, 400, '/geofence_name'],
    [
      'NUL in the name',
      { ...circle, geofence_name: 'a\u0000b' },
      400,
      '/geofence_name',
      /not allowed/,
    ],
    ['unknown field', { ...circle, radius: 5 }, 400, '/radius', /not a field/],
    ['field of ours', { ...circle, customer_id: 2 }, 400, '/customer_id', /not a field/],
    ['version', { ...circle, version: 7 }, 400, '/version'],
    ['text for a number', { ...circle, radius_m: '300' }, 400, '/radius_m', /must be number/],
    ['latitude 91', { ...circle, center_lat: 91 }, 400, '/center_lat', /<= 90/],
    ['radius 0', { ...circle, radius_m: 0 }, 400, '/radius_m'],
    ['unknown shape', { ...circle, shape_type: 'ellipse' }, 400, '/shape_type', /"circle"/],
    ['geometry as text', { ...named, polygon: 'POLYGON' }, 400, '/polygon'],
    ['no fix to enter', { ...circle, enter_fix_count: 0 }, 400, '/enter_fix_count'],
    ['circle without radius', { ...circle, radius_m: null }, 422, '/radius_m'],
    ['circle with a width', { ...circle, width_m: 5 }, 422, '/width_m', /nothing for a circle/],
    ['polygon with a radius', { ...named, polygon, radius_m: 5 }, 422, '/radius_m'],
    ['polygon without geometry', named, 422, '/polygon'],
    ['a feature', { ...named, polygon: { type: 'Feature' } }, 422, '/polygon/type', /Polygon/],
    [
      'open ring',
      { ...named, polygon: { type: 'Polygon', coordinates: [ring.slice(0, 4)] } },
      422,
      `${at}/0/3`,
    ],
    [
      'a bad vertex',
      { ...named, polygon: { type: 'Polygon', coordinates: [[a, b, [11], d, a]] } },
      422,
      `${at}/0/2`,
    ],
    ['self-crossing', { ...named, polygon: bowTie }, 422, `${at}/0/0`, /cross/],
    [
      'latitude first',
      { ...named, polygon: { type: 'Polygon', coordinates: [[[1, 99], b, c, [1, 99]]] } },
      422,
      `${at}/0/0/1`,
      /axes seem swapped/,
    ],
    [
      'a hole outside, in a multipolygon',
      {
        ...named,
        shape_type: 'multipolygon',
        polygon: { type: 'MultiPolygon', coordinates: [[ring, far]] },
      },
      422,
      `${at}/0/1/0`,
      /vertex 0 .* outside/,
    ],
    [
      'a rectangle that leans',
      {
        ...named,
        shape_type: 'rectangle',
        polygon: { type: 'Polygon', coordinates: [[a, b, [11.5, 51], d, a]] },
      },
      422,
      `${at}/0/1`,
      /vertex 1 .* angle of/,
    ],
    [
      'too many vertices',
      { ...named, polygon: { type: 'Polygon', coordinates: [[...many, [0, 1]]] } },
      422,
      `${at}/0`,
    ],
    ['circle over everything', { ...circle, radius_m: 50_000_000 }, 422, '/radius_m'],
    [
      'foreign account',
      { ...circle, account_id: foreign.accountIds[0] },
      422,
      '/account_id',
      /no such account/,
    ],
    ['account that is not', { ...circle, account_id: 987_654 }, 422, '/account_id'],
  ];
  for (const [name, body, status, pointer, detail] of rows) {
    t.match(await post('/v1/geofences', body), refusal(status, pointer, detail), name);
  }
  const url = `/v1/geofences/${mine.geofenceIds[0]}`;
  t.match(await patch(url, { geofence_name: null }), refusal(400, '/geofence_name'));
  t.match(await patch(url, { shape_type: 'polygon' }), refusal(422, '/polygon'));
  t.match(await patch(url, { radius_m: null }), refusal(422, '/radius_m'));
  t.match(await patch(url, { polygon }), refusal(422, '/polygon', /nothing for a circle/));
  t.match(await patch(url, { account_id: foreign.accountIds[0] }), refusal(422, '/account_id'));
  t.match(await get(url), { body: { version: 1 } }, 'nothing of it was stored');
});

t.test('whoever is held to accounts writes within them only', async (t) => {
  for (const [list, body, ids] of [
    ['/v1/geofences', circle, mine.geofenceIds],
    ['/v1/telematic-alerts', rule, mine.alertIds],
  ] as const) {
    const made = await post(list, { ...body, account_id: north }, 'held');
    t.equal(made.status, 201);
    const url = String(made.headers['location']);
    t.match(await post(list, body, 'held'), refusal(403, '/account_id', /held to accounts/));
    t.match(await post(list, { ...body, account_id: south }, 'held'), refusal(422, '/account_id'));
    t.match(await patch(url, { account_id: null }, {}, 'held'), refusal(403, '/account_id'));
    t.match(await patch(url, { account_id: south }, {}, 'held'), refusal(422, '/account_id'));
    t.match(await patch(url, { status: 'disabled' }, {}, 'held'), {
      status: 200,
      body: { status: 'disabled' },
    });
    const whole = `${list}/${ids[2]}`;
    t.equal((await get(whole, 'held')).status, 200, 'what is the whole customer’s is seen');
    t.match(
      await patch(whole, { status: 'disabled' }, {}, 'held'),
      { status: 403 },
      'but not changed',
    );
    t.match(await remove(whole, {}, 'held'), { status: 403 });
    t.equal((await remove(`${list}/${ids[1]}`, {}, 'held')).status, 404);
    t.equal((await remove(url, {}, 'held')).status, 204);
  }
});

t.test('an alert rule from making to deleting', async (t) => {
  const [speed] = await walk('/v1/alert-types', 1);
  const made = await post('/v1/telematic-alerts', {
    alert_name: 'Too fast',
    alert_type_lookup_id: speed!.alert_type_lookup_id,
    account_id: south,
    equipment_id: mine.equipmentIds[1],
    operator: '>',
    operator_value: 25,
    clear_value: 23,
  });
  t.match(made, {
    status: 201,
    headers: { etag: '"1"' },
    body: {
      metric_code: 'speed_mps',
      hold_s: 0,
      severity: 'warning',
      status: 'active',
      version: 1,
    },
  });
  const url = String(made.headers['location']);
  t.same((await get(url)).body, made.body);
  t.match(await get(`/v1/telematic-alerts?filter[equipment_id]=${mine.equipmentIds[1]}`), {
    body: { data: { length: 1 } },
  });
  t.match(await patch(url, { operator: 'between', operator_value_high: 30 }), {
    status: 200,
    body: { operator: 'between', operator_value_high: 30, version: 2 },
  });
  t.match(
    await patch(
      url,
      { operator: '<', operator_value_high: null, clear_value: null },
      { 'if-match': '"2"' },
    ),
    {
      status: 200,
      body: { operator: '<', clear_value: null, version: 3 },
    },
  );
  t.equal((await remove(url, { 'if-match': '"2"' })).status, 412);
  t.equal((await remove(url, { 'if-match': '*' })).status, 204);
  t.equal((await get(url)).status, 404);
});

t.test('what was there before resources keeps their rules', async (t) => {
  const device = { device_identifier: 'same-rules' };
  for (const [list, body, change, old] of [
    ['/v1/geofences', circle, { geofence_name: 'x' }, 'shape_type=circle'],
    ['/v1/telematic-alerts', rule, { alert_name: 'x' }, 'status=active'],
    ['/v1/iot-devices', device, { device_type: 'x' }, 'device_identifier=x'],
    ['/v1/gateway-tokens', { name: 'same' }, { name: 'x' }, 'status=active'],
  ] as const) {
    t.match(await get(`${list}?${old}`), { status: 400 }, `${list}: filters of old are refused`);
    const once = () =>
      portal.as('admin', {
        method: 'POST',
        url: list,
        payload: body,
        headers: { 'idempotency-key': list },
      });
    const made = await once();
    t.equal(made.status, 201, made.text);
    const again = await once();
    t.match(again.headers, { 'idempotency-replayed': 'true' });
    const url = String(made.headers['location']);
    t.equal(again.headers['location'], url);
    for (const method of ['PATCH', 'DELETE'] as const) {
      const answer = await portal.as('admin', {
        method,
        url,
        ...(method === 'PATCH' && { payload: change }),
      });
      t.match(
        answer,
        { status: 428, body: { code: 'precondition_required' } },
        `${method} ${list}`,
      );
    }
    t.match(await patch(url, change, { 'if-match': '"1"' }), { headers: { etag: '"2"' } });
    t.match(await patch(url, change), { body: { version: 2 } }, 'what is so already');
    t.equal((await remove(url, { 'if-match': '"1"' })).status, 412);
    t.equal((await remove(url)).status, 204);
  }
});

t.test('what a rule watches is said by its type, or by itself', async (t) => {
  const [type] = await walk('/v1/alert-types?filter[metric_code][isnull]=true', 1);
  const alert_type_lookup_id = type!.alert_type_lookup_id;
  const silent = { ...rule, metric_code: undefined, alert_type_lookup_id };
  t.match(await post('/v1/telematic-alerts', silent), refusal(422, '/metric_code', /names none/));
  const made = await post('/v1/telematic-alerts', { ...silent, metric_code: 'rpm' });
  t.match(made, { status: 201, body: { metric_code: 'rpm' } });
  await remove(String(made.headers['location']));
});

t.test('many rules at once, each answered for itself', async (t) => {
  const items = [rule, { ...rule, operator: 'between' }, { ...rule, hold_s: -1 }, rule];
  const answer = await post('/v1/telematic-alerts/bulk', { items });
  t.match(answer.body, {
    created: 2,
    refused: 2,
    results: [
      { status: 201 },
      { status: 422, errors: [{ pointer: '/items/1/operator_value_high' }] },
      { status: 400, errors: [{ pointer: '/items/2/hold_s' }] },
      { status: 201 },
    ],
  });
  const { results } = answer.body as unknown as { results: { id?: number }[] };
  for (const { id } of results) if (id !== undefined) await remove(`/v1/telematic-alerts/${id}`);
});

t.test('alert rules that are refused', async (t) => {
  const rows: [string, object, number, string, RegExp?][] = [
    ['no operator', { ...rule, operator: undefined }, 400, '/operator', /required/],
    ['unknown operator', { ...rule, operator: '~' }, 400, '/operator', /"between"/],
    ['text for a number', { ...rule, operator_value: '25' }, 400, '/operator_value'],
    ['boolean for a number', { ...rule, operator_value: true }, 400, '/operator_value'],
    ['negative hold', { ...rule, hold_s: -1 }, 400, '/hold_s'],
    ['unknown field', { ...rule, cooldown: 5 }, 400, '/cooldown'],
    ['between without bound', { ...rule, operator: 'between' }, 422, '/operator_value_high'],
    [
      'bounds the wrong way round',
      { ...rule, operator: 'outside', operator_value_high: 1 },
      422,
      '/operator_value_high',
    ],
    ['bound without range', { ...rule, operator_value_high: 30 }, 422, '/operator_value_high'],
    ['clear above', { ...rule, clear_value: 26 }, 422, '/clear_value'],
    ['clear below', { ...rule, operator: '<', clear_value: 24 }, 422, '/clear_value'],
    [
      'clear of between',
      { ...rule, operator: 'between', operator_value_high: 30, clear_value: 26 },
      422,
      '/clear_value',
    ],
    [
      'clear of outside',
      { ...rule, operator: 'outside', operator_value_high: 30, clear_value: 31 },
      422,
      '/clear_value',
    ],
    ['clear of equality', { ...rule, operator: '=', clear_value: 25 }, 422, '/clear_value'],
    ['nothing to watch', { ...rule, metric_code: undefined }, 422, '/metric_code'],
    ['unknown type', { ...rule, alert_type_lookup_id: 987_654 }, 422, '/alert_type_lookup_id'],
    ['foreign unit', { ...rule, equipment_id: foreign.equipmentIds[0] }, 422, '/equipment_id'],
    ['foreign account', { ...rule, account_id: foreign.accountIds[0] }, 422, '/account_id'],
    [
      'unit of another account',
      { ...rule, account_id: north, equipment_id: mine.equipmentIds[1] },
      422,
      '/equipment_id',
    ],
  ];
  for (const [name, body, status, pointer, detail] of rows) {
    t.match(await post('/v1/telematic-alerts', body), refusal(status, pointer, detail), name);
  }
  const url = `/v1/telematic-alerts/${mine.alertIds[0]}`;
  t.match(await patch(url, { operator: 'between' }), refusal(422, '/operator_value_high'));
  t.match(await patch(url, { equipment_id: mine.equipmentIds[1] }), refusal(422, '/equipment_id'));
  t.match(await patch(url, { alert_name: null }), refusal(400, '/alert_name'));
  t.match(await get(url), { body: { version: 1 } }, 'nothing of it was stored');
});

t.test('a tenant may have so many fences and rules', async (t) => {
  for (const [list, body] of [
    ['/v1/geofences', circle],
    ['/v1/telematic-alerts', rule],
  ] as const) {
    const statuses = new Set<number>();
    for (let i = 0; i < 37; i++) statuses.add((await post(list, body)).status);
    t.same([...statuses], [201]);
    t.match(
      await post(list, body),
      { status: 409, body: { code: 'conflict', detail: /40/ } },
      list,
    );
    const ids = (await walk(list, 6)).map((row) => row.geofence_id ?? row.telematic_alert_id);
    t.equal(new Set(ids).size, 40, 'paged to the end, each once');
    await remove(`${list}/${ids.at(-1)}`);
    const many = await post(`${list}/bulk`, { items: [{ ...body, status: 'gone' }, body, body] });
    t.match(
      many.body,
      { created: 1, results: [{ status: 400 }, { status: 201 }, { status: 409, detail: /40/ }] },
      'and so of many at once',
    );
  }
});

t.test('no body makes the server fail', async (t) => {
  const seedNumber = Number(process.env['FC_SEED'] ?? Date.now() % 1e9);
  t.comment(`seed ${seedNumber}`);
  const word = fc.constantFrom(
    'polygon',
    'circle',
    'corridor',
    'multipolygon',
    '>',
    'between',
    '__proto__',
    'x\u0000',
  );
  const value = fc.oneof(
    word,
    fc.double(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.jsonValue(),
  );
  const fields = {
    ...circle,
    ...rule,
    polygon,
    width_m: 5,
    account_id: north,
    equipment_id: 1,
    clear_value: 1,
  };
  const body = fc.oneof(
    fc.record(Object.fromEntries(Object.keys(fields).map((name) => [name, value])), {
      requiredKeys: [],
    }),
    fc
      .constantFrom(...Object.keys(fields))
      .chain((name) => value.map((v) => ({ ...fields, [name]: v }))),
    fc.jsonValue(),
  );
  const failures: unknown[] = [];
  const target = fc.constantFrom<['POST' | 'PATCH', string][]>(
    ['POST', '/v1/geofences'],
    ['POST', '/v1/telematic-alerts'],
    ['PATCH', `/v1/geofences/${mine.geofenceIds[1]}`],
    ['PATCH', `/v1/telematic-alerts/${mine.alertIds[1]}`],
  );
  await fc.assert(
    fc.asyncProperty(target, body, async ([method, url], payload) => {
      const { status } = await portal.as('admin', {
        method,
        url,
        headers: { 'content-type': 'application/json' },
        payload: JSON.stringify(payload),
      });
      if (status >= 500) failures.push({ method, url, payload, status });
    }),
    { seed: seedNumber, numRuns: 300 },
  );
  t.same(failures, []);
});
