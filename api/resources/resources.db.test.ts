/** What all resources do alike, tried on a few of them over a real database. */
import fc from 'fast-check';
import t from 'tap';
import type { InjectOptions } from 'fastify';
import { startTestPortal } from '../test-portal.ts';
import { BULK_ITEMS_MAX } from './bulk.ts';
import type { Row } from './define.ts';
import { FILTER_VALUES_MAX, FILTERS_MAX } from './filters.ts';

const portal = await startTestPortal(t);
const { owner, seed } = portal;

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | undefined>;
  readonly body: Record<string, unknown> & {
    data: Record<string, unknown>[];
    page: { next_cursor: string | null; has_more: boolean };
    errors: { pointer: string; detail: string }[];
    results: { index: number; status: number; id?: number; errors?: { pointer: string }[] }[];
  };
}

const ask = async (request: InjectOptions, who: 'admin' | 'held' | 'foreign' = 'admin') =>
  (await portal.as(who, request)) as unknown as Answer;
const get = (url: string, who: 'admin' | 'held' | 'foreign' = 'admin') => ask({ url }, who);
const post = (url: string, payload: object, headers: Record<string, string> = {}) =>
  ask({ method: 'POST', url, payload, headers });
const facility = (code: string, more: object = {}) => ({
  facility_code: code,
  facility_name: `Yard ${code}`,
  ...more,
});

t.test('a row is made, read, changed and deleted', async (t) => {
  const made = await post('/v1/facilities', facility('ONE', { latitude: 41.5, longitude: -88.1 }));
  t.match(made, {
    status: 201,
    headers: { etag: '"1"' },
    body: { facility_type: 'yard', version: 1 },
  });
  const url = made.headers['location']!;
  t.match(url, /^\/v1\/facilities\/\d+$/);
  t.match(await get(url), { status: 200, headers: { etag: '"1"' }, body: made.body });
  const known = await ask({ url, headers: { 'if-none-match': '"1"' } });
  t.equal(known.status, 304);

  const patch = (payload: object, ifMatch?: string) =>
    ask({
      method: 'PATCH',
      url,
      payload,
      headers: ifMatch === undefined ? {} : { 'if-match': ifMatch },
    });
  t.match(await patch({ city: 'Joliet' }), {
    status: 428,
    body: { code: 'precondition_required' },
  });
  t.match(await patch({ city: 'Joliet' }, '"1"'), {
    status: 200,
    headers: { etag: '"2"' },
    body: { city: 'Joliet' },
  });
  t.match(await patch({ city: 'Elwood' }, '"1"'), { status: 412, headers: { etag: '"2"' } });
  t.match(
    await patch({ city: 'Joliet' }, '"2"'),
    { status: 200, body: { version: 2 } },
    'no change, no version',
  );
  t.match(await patch({ city: null }, '*'), { status: 200, body: { city: null, version: 3 } });
  t.match(await patch({ facility_name: null }, '*'), {
    status: 400,
    body: { errors: [{ pointer: '/facility_name' }] },
  });
  const kept = [
    { customer_id: 1 },
    { version: 9 },
    { created_by: 1 },
    { facility_lookup_id: 1 },
    { created_at: 'x' },
  ];
  for (const payload of kept) {
    const [name] = Object.keys(payload);
    t.match(await patch(payload, '*'), {
      status: 400,
      body: { errors: [{ pointer: `/${name}` }] },
    });
  }
  t.equal((await ask({ method: 'DELETE', url })).status, 428);
  t.equal((await ask({ method: 'DELETE', url, headers: { 'if-match': '"3"' } })).status, 204);
  t.equal((await get(url)).status, 404);
});

t.test('every write leaves a trail', async (t) => {
  const made = await post('/v1/tags', { tag_name: 'trailed' });
  const id = String(made.body['tag_lookup_id']);
  const url = `/v1/tags/${id}`;
  await ask({ method: 'PATCH', url, payload: { color: '#336699' }, headers: { 'if-match': '*' } });
  await ask({ method: 'DELETE', url, headers: { 'if-match': '*' } });
  const trail = await get(`/v1/audit-trail?entity_type=tag_lookup&entity_id=${id}`);
  const me = (await get('/v1/me')).body['user_id'];
  t.match(trail.body.data, [
    {
      event_type: 'record_deleted',
      actor_user_id: me,
      before: { tag_name: 'trailed' },
      after: null,
    },
    { event_type: 'record_updated', before: { color: null }, after: { color: '#336699' } },
    {
      event_type: 'record_created',
      cause: 'user',
      before: null,
      after: { tag_name: 'trailed' },
      request_id: /^[\w-]{36}$/,
    },
  ]);
  t.same(trail.body.data[1]!['after'], { color: '#336699' }, 'what changed, and nothing else');
  t.same((await get('/v1/activity-feed')).body.data, [], 'the feed of the fleet is apart');
  const refused = await post('/v1/tags', { tag_name: '' });
  t.equal(refused.status, 400);
});

t.test('evidence is marked as deleted and kept', async (t) => {
  const equipment_id = seed.mine.equipmentIds[0];
  const urgency = (await get('/v1/service-urgencies')).body.data[0]!['service_urgency_lookup_id'];
  const made = await post('/v1/service-requests', {
    account_id: seed.mine.accountIds[0],
    equipment_id,
    service_urgency_lookup_id: urgency,
    issue_description: 'A tyre is flat.',
  });
  t.match(made, {
    status: 201,
    body: { service_request_number: /^SR-\d{6}$/, status: 'draft', deleted_at: null },
  });
  const url = made.headers['location']!;
  t.equal((await ask({ method: 'DELETE', url, headers: { 'if-match': '*' } })).status, 204);
  t.equal((await get(url)).status, 404);
  t.equal(
    (
      await ask({
        method: 'PATCH',
        url,
        payload: { status: 'submitted' },
        headers: { 'if-match': '*' },
      })
    ).status,
    404,
  );
  t.same((await get('/v1/service-requests')).body.data, []);
  t.match((await get('/v1/service-requests?deleted=include')).body.data, [{ deleted_at: String }]);
  const order = await post('/v1/workorders', {
    account_id: seed.mine.accountIds[0],
    equipment_id,
    service_request_id: made.body['service_request_id'],
    workorder_description: 'Change it',
    currency_code: 'USD',
  });
  t.match(
    order,
    { status: 422, body: { errors: [{ pointer: '/service_request_id' }] } },
    'nothing refers to it any more',
  );
});

t.test('lists: filters, orders, fields, pages', async (t) => {
  const names = ['alpha', 'beta', 'gamma', 'delta_1', 'delta%2', 'epsilon'];
  for (const [index, name] of names.entries()) {
    const city = index % 2 === 0 ? 'Joliet' : null;
    const made = await post(
      '/v1/facilities',
      facility(`L${index}`, { facility_name: name, city, latitude: index, longitude: 0 }),
    );
    t.equal(made.status, 201);
  }
  const namesOf = async (query: string) => {
    const answer = await get(`/v1/facilities?${query}`);
    t.equal(answer.status, 200, `${query}: ${JSON.stringify(answer.body)}`);
    return answer.body.data.map((row) => row['facility_name']);
  };
  const rows: [string, string[]][] = [
    ['filter[facility_name]=beta', ['beta']],
    ['filter[facility_name][ne]=beta', ['alpha', 'gamma', 'delta_1', 'delta%2', 'epsilon']],
    ['filter[facility_name][in]=alpha,gamma', ['alpha', 'gamma']],
    ['filter[facility_name][contains]=ELTA', ['delta_1', 'delta%2']],
    ['filter[facility_name][contains]=%25', ['delta%2']],
    ['filter[facility_name][contains]=_', ['delta_1']],
    ['filter[facility_name][starts]=de&filter[city][isnull]=false', ['delta%2']],
    ['filter[city][isnull]=true', ['beta', 'delta_1', 'epsilon']],
    ['filter[latitude][gte]=2&filter[latitude][lt]=4', ['gamma', 'delta_1']],
    ['filter[latitude][between]=1,2', ['beta', 'gamma']],
    ['filter[facility_type][in]=yard,shop&filter[latitude][gt]=4', ['epsilon']],
    ['filter[created_at][gt]=2020-01-01T00:00:00Z&filter[latitude][lte]=0', ['alpha']],
    ['sort=-facility_name', ['gamma', 'epsilon', 'delta_1', 'delta%2', 'beta', 'alpha']],
    ['sort=city,-facility_name', ['gamma', 'delta%2', 'alpha', 'epsilon', 'delta_1', 'beta']],
    ["filter[facility_name]=x'; drop table facility_lookup; --", []],
  ];
  for (const [query, expected] of rows) t.same(await namesOf(query), expected, query);
  const some = await get('/v1/facilities?fields=facility_name,city&limit=1');
  t.same(Object.keys(some.body.data[0]!).sort(), ['city', 'facility_lookup_id', 'facility_name']);

  const orders = [
    '',
    '&sort=city',
    '&sort=-city',
    '&sort=-city,facility_name',
    '&sort=facility_type,-latitude',
    '&sort=-created_at',
  ];
  for (const order of orders) {
    const whole = (await get(`/v1/facilities?limit=100${order}`)).body.data.map(
      (row) => row['facility_name'],
    );
    const seen: unknown[] = [];
    let cursor = '';
    do {
      const page = await get(`/v1/facilities?limit=2${order}${cursor}`);
      seen.push(...page.body.data.map((row) => row['facility_name']));
      cursor = page.body.page.next_cursor === null ? '' : `&cursor=${page.body.page.next_cursor}`;
    } while (cursor !== '');
    t.same(seen, whole, `pages of ${order || 'the plain list'}`);
  }
});

t.test('random filters find what a slow reference finds', async (t) => {
  const { rows } = await owner.query<{
    tire_size_lookup_id: number;
    size_code: string;
    is_active: boolean;
  }>('select * from tire_size_lookup order by 1');
  const ids = rows.map((row) => row.tire_size_lookup_id);
  const id = fc.integer({ min: Math.min(...ids) - 1, max: Math.max(...ids) + 1 });
  const operator = fc.constantFrom('eq', 'ne', 'gt', 'gte', 'lt', 'lte');
  const holds: Record<string, (a: number, b: number) => boolean> = {
    eq: (a, b) => a === b,
    ne: (a, b) => a !== b,
    gt: (a, b) => a > b,
    gte: (a, b) => a >= b,
    lt: (a, b) => a < b,
    lte: (a, b) => a <= b,
  };
  await fc.assert(
    fc.asyncProperty(
      operator,
      id,
      fc.constantFrom('', '2', 'R22', '/'),
      fc.boolean(),
      async (op, value, part, turned) => {
        const order = turned ? '-tire_size_lookup_id' : 'tire_size_lookup_id';
        const filter = `filter[tire_size_lookup_id][${op}]=${value}${part && `&filter[size_code][contains]=${encodeURIComponent(part)}`}`;
        const answer = await get(`/v1/tire-sizes?limit=500&sort=${order}&${filter}`);
        const expected = rows
          .filter(
            (row) => holds[op]!(row.tire_size_lookup_id, value) && row.size_code.includes(part),
          )
          .map((row) => row.tire_size_lookup_id);
        if (turned) expected.reverse();
        const found = answer.body.data.map((row) => row['tire_size_lookup_id']);
        return JSON.stringify(found) === JSON.stringify(expected);
      },
    ),
    { numRuns: 60 },
  );
  t.pass('60 filters');
});

t.test('bad input is a clear 4xx, and nothing is written', async (t) => {
  const before = await owner.query('select count(*)::int as rows from facility_lookup');
  const many = Array.from({ length: FILTER_VALUES_MAX + 1 }, (_, n) => n).join(',');
  const conditions = Array.from({ length: FILTERS_MAX + 1 }, (_, n) => n);
  const columns = ['facility_lookup_id', 'latitude', 'longitude', 'version'];
  const tooMany = conditions
    .map(
      (n) =>
        `filter[${columns[n % 4]}][${['eq', 'ne', 'gt', 'gte', 'lt', 'lte'][Math.floor(n / 4)]}]=${n}`,
    )
    .join('&');
  const queries: [string, string][] = [
    ['filter[nothing]=1', '/filter/nothing'],
    ['filter[facility_name][like]=1', '/filter/facility_name/like'],
    ['filter[latitude][eq]=abc', '/filter/latitude/eq'],
    ['filter[latitude][between]=1', '/filter/latitude/between'],
    ['filter[created_at][gt]=yesterday', '/filter/created_at/gt'],
    ['filter[created_at][gt]=2026-02-30T00:00:00Z', '/filter/created_at/gt'],
    ['filter[facility_lookup_id]=1;drop', '/filter/facility_lookup_id/eq'],
    ['filter[facility_lookup_id]=99999999999999999999', '/filter/facility_lookup_id/eq'],
    [`filter[facility_lookup_id][in]=${many}`, '/filter/facility_lookup_id/in'],
    ['filter[facility_type]=castle', '/filter/facility_type/eq'],
    ['filter[facility_name]=a&filter[facility_name]=b', '/filter/facility_name/eq'],
    ['filter[__proto__][eq]=1', '/filter/__proto__'],
    ['filter[constructor]=1', '/filter/constructor'],
    ['filter=1', '/filter'],
    ['filter[facility_name][eq][deep]=1', '/filter[facility_name][eq][deep]'],
    [tooMany, '/filter'],
    ['sort=nothing', '/sort'],
    ['sort=facility_name;drop table account', '/sort'],
    ['sort=facility_name desc', '/sort'],
    ['sort=facility_name,facility_name', '/sort'],
    ['sort=city,latitude,longitude,phone', '/sort'],
    ['fields=facility_name,token_hash', '/fields'],
    ['limit=0', '/limit'],
    ['limit=501', '/limit'],
    ['limit=ten', '/limit'],
    ['cursor=nonsense', '/cursor'],
    ['cursor=', '/cursor'],
    ['unknown=1', '/unknown'],
    ['filter[facility_name]=%00', '/filter/facility_name/eq'],
    [`filter[facility_name]=${'x'.repeat(201)}`, '/filter/facility_name/eq'],
  ];
  for (const [query, pointer] of queries) {
    const answer = await get(`/v1/facilities?${query}`);
    t.equal(answer.status, 400, `${query.slice(0, 80)}: ${JSON.stringify(answer.body)}`);
    t.equal(answer.body.errors?.[0]?.pointer, pointer, query.slice(0, 80));
  }
  const bodies: [object | string, number, string | null][] = [
    [{}, 400, '/facility_code'],
    [facility('X', { nothing: 1 }), 400, '/nothing'],
    [facility('X', { customer_id: seed.foreign.customerId }), 400, '/customer_id'],
    [facility('X', { latitude: '1' }), 400, '/latitude'],
    [facility('X', { latitude: 91, longitude: 0 }), 400, '/latitude'],
    [facility('X', { latitude: 1 }), 422, '/longitude'],
    [facility('X', { facility_type: 'castle' }), 400, '/facility_type'],
    [facility('X', { country_code: 'ZZ' }), 422, '/country_code'],
    [facility('x'.repeat(201)), 400, '/facility_code'],
    [facility('X', { city: 'a\u0000b' }), 400, '/city'],
    [facility('L0'), 409, '/facility_code'],
    ['{"facility_code": "X", "__proto__": {"x": 1}}', 400, null],
    ['{"facility_code": "X", "constructor": {"prototype": {"x": 1}}}', 400, null],
    [`{"facility_code": ${'['.repeat(50_000)}${']'.repeat(50_000)}}`, 400, null],
    ['[]', 400, ''],
    ['null', 400, ''],
    ['"text"', 400, ''],
  ];
  for (const [payload, status, pointer] of bodies) {
    const answer = await ask({
      method: 'POST',
      url: '/v1/facilities',
      payload,
      headers: { 'content-type': 'application/json' },
    });
    const what = JSON.stringify(payload).slice(0, 100);
    t.equal(answer.status, status, `${what}: ${JSON.stringify(answer.body)}`);
    if (pointer !== null) t.equal(answer.body.errors[0]?.pointer, pointer, what);
  }
  for (const id of ['0', '-1', 'x', '1.5', '99999999999999999999', '%27', '1%00']) {
    t.equal((await get(`/v1/facilities/${id}`)).status, 400, id);
  }
  t.same(
    (await owner.query('select count(*)::int as rows from facility_lookup')).rows,
    before.rows,
  );
});

t.test('many at once, each answered for itself', async (t) => {
  const items = [
    { tag_name: 'bulk one' },
    { tag_name: 'bulk one' },
    { tag_name: 7 },
    { tag_name: 'bulk two', color: 'red' },
    { tag_name: 'bulk three', nothing: 1 },
    { tag_name: 'bulk four' },
  ];
  const answer = await post('/v1/tags/bulk', { items });
  t.match(answer, {
    status: 200,
    body: {
      created: 2,
      refused: 4,
      results: [
        { index: 0, status: 201, id: Number },
        { index: 1, status: 409, code: 'conflict', errors: [{ pointer: '/items/1/tag_name' }] },
        { index: 2, status: 400, errors: [{ pointer: '/items/2/tag_name' }] },
        { index: 3, status: 400, errors: [{ pointer: '/items/3/color' }] },
        { index: 4, status: 400, errors: [{ pointer: '/items/4/nothing' }] },
        { index: 5, status: 201, id: Number },
      ],
    },
  });
  const { rows } = await owner.query(
    `select tag_name from tag_lookup where tag_name like 'bulk%' order by 1`,
  );
  t.same(rows, [{ tag_name: 'bulk four' }, { tag_name: 'bulk one' }]);
  const odd = [null, 'text', 7, [], { tag_name: 'bulk odd' }, true];
  const refused = (index: number) => ({
    index,
    status: 400,
    code: 'invalid_request',
    errors: [{ in: 'body', pointer: `/items/${index}` }],
  });
  t.match(await post('/v1/tags/bulk', { items: odd }), {
    status: 200,
    body: {
      created: 1,
      refused: 5,
      results: [0, 1, 2, 3]
        .map<object>(refused)
        .concat({ index: 4, status: 201, id: Number }, refused(5)),
    },
  });
  for (const body of [{}, { items: {} }, { items: 'x' }, [], { items: [{}], more: 1 }]) {
    t.equal((await post('/v1/tags/bulk', body)).status, 400, JSON.stringify(body));
  }
  const tooMany = Array.from({ length: 10_000 }, (_, n) => ({ tag_name: `many ${n}` }));
  t.match(await post('/v1/tags/bulk', { items: tooMany }), {
    status: 400,
    body: { errors: [{ pointer: '/items' }] },
  });
  t.match(await post('/v1/tags/bulk', { items: [] }), { status: 400 });
  t.ok(tooMany.length > BULK_ITEMS_MAX);
});

t.test('many plain rows go together, and each has its own answer and its own key', async (t) => {
  const odd: Record<number, [Row, number, string]> = {
    41: [{ tag_name: 'plain 5' }, 409, '/tag_name'],
    60: [{ status: 'lost' }, 400, '/status'],
    77: [{ tag_name: 'plain 76' }, 409, '/tag_name'],
  };
  const items = Array.from({ length: 90 }, (_, n) => ({
    tag_name: `plain ${n}`,
    ...(n % 20 === 3 && { color: '#00ff00' }),
    ...odd[n]?.[0],
  }));
  const { status, body } = await post('/v1/tags/bulk', { items });
  t.equal(status, 200);
  const results = body['results'] as unknown as (Row & { index: number; id: number })[];
  for (const [n, result] of results.entries()) {
    const [, refusal = 201, pointer] = odd[n] ?? [];
    t.match(result, { index: n, status: refusal }, JSON.stringify(result));
    if (pointer !== undefined)
      t.match(result, { errors: [{ pointer: `/items/${n}${pointer}` }] }, JSON.stringify(result));
  }
  const made = results.filter((result) => result['status'] === 201);
  const { rows } = await owner.query<{ id: number; tag_name: string }>(
    'select tag_lookup_id as id, tag_name from tag_lookup where tag_lookup_id = any ($1) order by 1',
    [made.map(({ id }) => id)],
  );
  t.same(
    rows,
    made.map(({ id, index }) => ({ id, tag_name: `plain ${index}` })),
    'the key in an answer is that of the row',
  );
});

t.test(
  'many at once with rules of their own: each row has its own answer, and its own key',
  async (t) => {
    const [north, south] = portal.seed.mine.accountIds;
    const count = 90;
    const odd: Record<number, [Row, number, string]> = {
      41: [{ invoice_number: 'bulk 5' }, 409, '/invoice_number'],
      50: [{ account_id: portal.seed.foreign.accountIds[0] }, 422, '/account_id'],
      51: [{ schedule_agreement_id: 4_000_000 }, 422, '/schedule_agreement_id'],
      70: [{ total_amount: 11 }, 422, '/total_amount'],
      71: [{ total_amount: -1 }, 400, '/total_amount'],
      88: [{ currency_code: 'ZZZ' }, 422, '/currency_code'],
    };
    const invoice = (n: number): Row => ({
      account_id: north,
      date: '2025-03-01',
      due_date: '2025-03-31',
      currency_code: 'USD',
      subtotal_amount: 10,
      total_amount: 10,
      notes: `bulk ${n}`,
      ...(n < 10 && { invoice_number: `bulk ${n}` }),
      ...(n % 20 === 3 && { purchase_order_number: `PO ${n}` }),
      ...odd[n]?.[0],
    });
    const items = Array.from({ length: count }, (_, n) => invoice(n));
    const { status, body } = await post('/v1/invoices/bulk', { items });
    t.equal(status, 200);
    const results = body['results'] as unknown as (Row & { index: number; id: number })[];
    t.same(
      results.map(({ index }) => index),
      items.map((_, n) => n),
    );
    for (const [n, result] of results.entries()) {
      const [, refusal, pointer] = odd[n] ?? [];
      if (refusal === undefined) t.equal(result['status'], 201, `${n}: ${JSON.stringify(result)}`);
      else {
        t.match(
          result,
          { status: refusal, errors: [{ pointer: `/items/${n}${pointer!}` }] },
          JSON.stringify(result),
        );
      }
    }
    const made = results.filter((result) => result['status'] === 201);
    const { rows } = await owner.query<{ id: number; notes: string; invoice_number: string }>(
      'select id, notes, invoice_number from invoice where id = any ($1) order by id',
      [made.map(({ id }) => id)],
    );
    t.same(
      rows.map(({ id, notes }) => ({ id, notes })),
      made.map(({ id, index }) => ({ id, notes: `bulk ${index}` })),
      'the key in an answer is that of the row',
    );
    t.equal(new Set(rows.map(({ invoice_number }) => invoice_number)).size, rows.length);
    t.match(body, { created: count - Object.keys(odd).length, refused: Object.keys(odd).length });

    const held = await portal.as('held', {
      method: 'POST',
      url: '/v1/invoices/bulk',
      payload: { items: [invoice(60), { ...invoice(61), account_id: south }, invoice(62)] },
    });
    t.match((held.body as unknown as { results: Row[] }).results, [
      { status: 201 },
      { status: 422, errors: [{ pointer: '/items/1/account_id' }] },
      { status: 201 },
    ]);
  },
);

t.test('the same request under one key is done once', async (t) => {
  const key = { 'idempotency-key': 'b7c1-once' };
  const first = await post('/v1/tags', { tag_name: 'once' }, key);
  const again = await post('/v1/tags', { tag_name: 'once' }, key);
  t.equal(first.status, 201);
  t.match(again, { status: 201, headers: { 'idempotency-replayed': 'true', etag: '"1"' } });
  t.same(again.body, first.body);
  t.equal(again.headers['location'], first.headers['location']);
  t.match(await post('/v1/tags', { tag_name: 'other' }, key), {
    status: 422,
    body: { errors: [{ pointer: '/idempotency-key' }] },
  });
  t.match(await post('/v1/tags', { tag_name: 'once' }, { 'idempotency-key': 'another' }), {
    status: 409,
  });

  const refused = { 'idempotency-key': 'after-a-refusal' };
  t.equal((await post('/v1/tags', { tag_name: 'once' }, refused)).status, 409);
  t.equal(
    (await post('/v1/tags', { tag_name: 'now it may' }, refused)).status,
    201,
    'a refusal is not kept',
  );

  const together = { 'idempotency-key': 'together' };
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => post('/v1/tags', { tag_name: 'together' }, together)),
  );
  t.same(new Set(answers.map(({ status }) => status)), new Set([201]));
  t.equal(new Set(answers.map(({ body }) => body['tag_lookup_id'])).size, 1);
  const theirs = await portal.as('foreign', {
    method: 'POST',
    url: '/v1/tags',
    payload: { tag_name: 'theirs' },
    headers: key,
  });
  t.equal(theirs.status, 201, 'a key is of one user');
  await owner.query(
    `update idempotency_key set created_at = now() - interval '25 hours' where idempotency_key = 'b7c1-once'`,
  );
  t.equal((await post('/v1/tags', { tag_name: 'a day later' }, key)).status, 201);
});

t.test('what is shipped is read by all and written by nobody', async (t) => {
  const countries = await get('/v1/countries?filter[country_code][in]=DE,IN&fields=country_name');
  t.same(
    countries.body.data.map((row) => row['country_name']),
    ['Germany', 'India'],
  );
  t.match(countries.headers, { 'cache-control': 'private, max-age=300' });
  t.equal((await post('/v1/countries', { country_code: 'XX' })).status, 404);
  const shipped = (await get('/v1/equipment-types?filter[customer_id][isnull]=true&limit=1')).body
    .data[0]!;
  const url = `/v1/equipment-types/${String(shipped['equipment_type_lookup_id'])}`;
  for (const method of ['PATCH', 'DELETE'] as const) {
    const answer = await ask({
      method,
      url,
      headers: { 'if-match': '*' },
      ...(method === 'PATCH' && { payload: { status: 'disabled' } }),
    });
    t.equal(answer.status, 403, method);
  }
  const own = await post('/v1/equipment-types', {
    equipment_type: 'sled',
    equipment_name: 'Sled',
    equipment_class: 'other',
  });
  t.equal(own.status, 201);
  t.equal((await get(own.headers['location']!, 'foreign')).status, 404);
});

t.test('the rates of a caller are told', async (t) => {
  const { headers } = await get('/v1/tags');
  t.match(headers, {
    'ratelimit-policy': '"user";q=3000;w=60, "tenant";q=12000;w=60',
    ratelimit: /^"user";r=\d+;t=\d+, "tenant";r=\d+;t=\d+$/,
  });
});
