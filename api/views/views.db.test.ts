/** Views from end to end: somebody arranges a list, and sees it so, page by page and in files. */
import type { InjectOptions } from 'fastify';
import t from 'tap';
import { readXlsx } from '../export/test-xlsx.ts';
import { startTestPortal, type Who } from '../test-portal.ts';
import { VIEWS_PER_LIST_MAX } from './rules.ts';

const many = 10_000_000;
const portal = await startTestPortal(t, {
  rateLimits: { perAddressMax: many, perUserMax: many, perTenantMax: many },
});
const { owner, seed } = portal;
const { mine } = seed;

const PRIORITIES = ['low', 'medium', 'high', 'urgent'];
await owner.query(
  `insert into workorder (customer_id, account_id, equipment_id, workorder_description, priority, currency_code)
   select $1, $2, $3, 'job ' || lpad(n::text, 2, '0'), ($4::text[])[1 + n % 4], 'USD' from generate_series(1, 40) n`,
  [mine.customerId, mine.accountIds[0], mine.equipmentIds[0], PRIORITIES],
);

type Body = Record<string, unknown> & {
  data: Record<string, unknown>[];
  page: { next_cursor: string | null };
  errors: { in: string; pointer: string; detail: string }[];
};

async function ask(request: InjectOptions, who: Who = 'admin') {
  const answer = await portal.as(who, request);
  return { ...answer, body: answer.body as unknown as Body };
}
const get = (url: string, who: Who = 'admin') => ask({ url }, who);

const listIds = new Map(
  (
    await owner.query<{ name: string; id: number }>(
      'select table_name as name, column_preference_table_name_id as id from column_preference_table_name',
    )
  ).rows.map(({ name, id }) => [name, id]),
);
const viewOf = (list: string, more: object) => ({
  column_preference_table_name_id: listIds.get(list),
  ...more,
});
const make = (payload: object, who: Who = 'admin') =>
  ask({ method: 'POST', url: '/v1/column-preferences', payload }, who);
const change = (id: unknown, payload: object) =>
  ask({
    method: 'PATCH',
    url: `/v1/column-preferences/${String(id)}`,
    payload,
    headers: { 'if-match': '*' },
  });

async function keep(list: string, more: object, who: Who = 'admin'): Promise<number> {
  const made = await make(viewOf(list, more), who);
  if (made.status !== 201) throw new Error(made.text);
  return made.body['column_preferences_id'] as number;
}

const urgent = await keep('workorder', {
  view_name: 'Urgent first',
  selected_columns: ['workorder_description', 'priority', 'workorder_id', 'workorder_status'],
  sort: '-workorder_description',
  filters: { priority: { in: 'high,urgent' } },
});
const HEADER = ['Workorder description', 'Priority', 'Workorder ID', 'Workorder status'];
/** What the view shows, newest description first. */
const SHOWN = Array.from({ length: 40 }, (_none, index) => 40 - index)
  .filter((n) => n % 4 >= 2)
  .map((n) => `job ${String(n).padStart(2, '0')}`);

async function pagesOf(query: string): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = [];
  let cursor: string | null = null;
  do {
    const { body, text } = await get(`/v1/workorders?${query}${cursor ? `&cursor=${cursor}` : ''}`);
    if (!body.data) throw new Error(text);
    rows.push(...body.data);
    cursor = body.page.next_cursor;
  } while (cursor !== null);
  return rows;
}

const described = (rows: Record<string, unknown>[]) =>
  rows.map((row) => row['workorder_description']);

t.test(
  'a list shows the columns of a view in their order, its order and its filters',
  async (t) => {
    const rows = await pagesOf(`view=${urgent}&limit=7`);
    t.same(described(rows), SHOWN);
    const { text } = await get(`/v1/workorders?view=${urgent}&limit=1`);
    t.match(
      text,
      /^\{"data":\[\{"workorder_description":"job 39","priority":"urgent","workorder_id":\d+,"workorder_status":"open"\}\]/,
    );
  },
);

t.test('the order of `fields` is that of the row', async (t) => {
  const { text } = await get('/v1/workorders?fields=priority,account_id&limit=1');
  t.match(text, /^\{"data":\[\{"workorder_id":\d+,"priority":"medium","account_id":\d+\}\]/);
  const file = await get(
    '/v1/workorders/export?format=csv&fields=priority,workorder_id,account_id',
  );
  t.equal(file.text.slice(1).split('\r\n')[0], 'Priority,Workorder ID,Account ID');
});

t.test('what a request says beside a view', async (t) => {
  const sorted = await pagesOf(`view=${urgent}&sort=workorder_description`);
  t.same(described(sorted), [...SHOWN].reverse(), 'its order takes the place');
  const narrowed = await pagesOf(`view=${urgent}&filter[priority]=urgent`);
  t.equal(narrowed.length, 10, 'its filters are added');
  t.same(await pagesOf(`view=${urgent}&filter[priority]=low`), [], 'and cannot widen');
  const chosen = await get(`/v1/workorders?view=${urgent}&fields=payer&limit=1`);
  t.same(Object.keys(chosen.body.data[0]!), ['workorder_id', 'payer'], 'its fields take the place');
});

t.test('files have the columns of a view and no others', async (t) => {
  const narrow = await keep('workorder', {
    view_name: 'Narrow',
    selected_columns: ['priority', 'workorder_description'],
    sort: 'workorder_description',
    filters: { priority: { eq: 'low' } },
  });
  const csv = await get(`/v1/workorders/export?format=csv&view=${narrow}`);
  t.same(csv.text.slice(1).split('\r\n'), [
    'Priority,Workorder description',
    ...Array.from({ length: 10 }, (_none, n) => `low,job ${String(4 * (n + 1)).padStart(2, '0')}`),
    '',
  ]);
  const url = `/v1/workorders/export?format=xlsx&view=${urgent}`;
  const file = await portal.app.inject({ url, headers: portal.headersOf('admin') });
  const [sheet] = readXlsx(file.rawPayload);
  const cells = sheet!.rows.map((row) => row.map((cell) => cell?.value));
  t.same(cells[0], HEADER);
  t.same(
    cells.slice(1).map(([name]) => name),
    SHOWN,
  );
  const wide = await get(`/v1/workorders/export?format=csv&view=${narrow}&fields=payer`);
  t.equal(wide.text.slice(1).split('\r\n')[0], 'Workorder ID,Payer');
});

async function settled(id: unknown): Promise<Body> {
  for (;;) {
    const { body } = await get(`/v1/exports/${String(id)}`);
    if (!['queued', 'running'].includes(body['status'] as string)) return body;
    await new Promise(setImmediate);
  }
}

const order = (query: object, headers: Record<string, string> = {}) =>
  ask({
    method: 'POST',
    url: '/v1/exports',
    payload: { resource: 'workorders', format: 'csv', query },
    headers,
  });

t.test('a job writes the view as it was when it was asked for', async (t) => {
  const id = await keep('workorder', {
    view_name: 'For a job',
    selected_columns: ['workorder_description', 'priority'],
    sort: '-workorder_description',
    filters: { priority: { eq: 'urgent' } },
  });
  const job = await order({
    view: String(id),
    filter: { workorder_description: { ne: 'job 39' } },
  });
  t.match(job, {
    status: 202,
    body: {
      rows_total_estimate: 9,
      query: { view: { view_name: 'For a job', column_preferences_id: id } },
    },
  });
  await change(id, { selected_columns: ['payer'], filters: { priority: null } });
  t.match(await settled(job.body['export_job_id']), { status: 'ready', rows_done: 9 });
  const { text } = await get(`/v1/exports/${String(job.body['export_job_id'])}/content`);
  const [header, first, ...rest] = text.slice(1).split('\r\n');
  t.equal(header, 'Workorder description,Priority');
  t.equal(first, 'job 35,urgent');
  t.equal(rest.length, 9);

  const key = { 'idempotency-key': 'view-job' };
  const once = await order({ view: String(id) }, key);
  await ask({
    method: 'DELETE',
    url: `/v1/column-preferences/${id}`,
    headers: { 'if-match': '*' },
  });
  const again = await order({ view: String(id) }, key);
  t.same(again.body['export_job_id'], once.body['export_job_id'], 'though the view is gone');
  t.match(await order({ view: String(id) }), {
    status: 422,
    body: { errors: [{ in: 'body', pointer: '/query/view' }] },
  });
  t.match(await order({ view: 'mine' }), {
    status: 400,
    body: { errors: [{ pointer: '/query/view' }] },
  });
});

t.test('a view is its owner’s, and of its list', async (t) => {
  const no = { status: 422, body: { errors: [{ in: 'query', pointer: '/view' }] } };
  for (const path of ['/v1/workorders?', '/v1/workorders/export?format=csv&']) {
    t.match(await get(`${path}view=${urgent}`, 'held'), no, 'another user');
    t.match(await get(`${path}view=${urgent}`, 'foreign'), no, 'another customer');
    t.match(await get(`${path}view=999999999`), no, 'nobody');
    t.match(await get(`${path}view=9007199254740993`), no, 'nobody, far away');
  }
  t.match(await get(`/v1/equipment?view=${urgent}`), no, 'another list');
  const payload = { resource: 'workorders', format: 'csv', query: { view: String(urgent) } };
  const job = await ask({ method: 'POST', url: '/v1/exports', payload }, 'held');
  t.match(job, { status: 422, body: { errors: [{ in: 'body', pointer: '/query/view' }] } });
  for (const view of ['', '0', '-1', '1.5', 'Default', '1,2', "1'", '99999999999999999']) {
    const answer = await get(`/v1/workorders?view=${encodeURIComponent(view)}`);
    t.match(answer, { status: 400, body: { errors: [{ pointer: '/view' }] } }, view);
  }
});

t.test('the default', async (t) => {
  const bare = await get('/v1/workorders?limit=1');
  t.same(
    await get('/v1/workorders?limit=1&view=default').then(({ body }) => body.data),
    bare.body.data,
  );
  const id = await keep('workorder', {
    view_name: 'Mine',
    selected_columns: ['priority'],
    is_default: true,
  });
  const shown = await get('/v1/workorders?limit=1&view=default');
  t.same(Object.keys(shown.body.data[0]!), ['workorder_id', 'priority']);
  const plain = await get('/v1/workorders?limit=1');
  t.same(plain.body.data, bare.body.data, 'nobody who does not ask for it');
  const other = await get('/v1/workorders?limit=1&view=default', 'held');
  t.ok(Object.keys(other.body.data[0]!).length > 2, 'nor anybody else');
  await keep('workorder', { view_name: 'Other', selected_columns: ['payer'], is_default: true });
  const next = await get('/v1/workorders?limit=1&view=default');
  t.same(Object.keys(next.body.data[0]!), ['workorder_id', 'payer'], 'a new one takes its place');
  t.match((await get(`/v1/column-preferences/${id}`)).body, { is_default: false });
});

t.test('of many who become the default at once one is', async (t) => {
  const made = await Promise.all(
    Array.from({ length: 20 }, (_none, n) =>
      make(
        viewOf('tag_lookup', { view_name: `d${n}`, selected_columns: ['color'], is_default: true }),
      ),
    ),
  );
  t.same([...new Set(made.map(({ status }) => status))], [201]);
  const ids = made.map(({ body }) => body['column_preferences_id']);
  const changed = await Promise.all(ids.map((id) => change(id, { is_default: true })));
  t.same([...new Set(changed.map(({ status }) => status))], [200]);
  const list = listIds.get('tag_lookup');
  const found = await get(
    `/v1/column-preferences?filter[column_preference_table_name_id]=${list}&filter[is_default]=true`,
  );
  t.equal(found.body.data.length, 1);
});

t.test('views of one list are bounded', async (t) => {
  const made = await Promise.all(
    Array.from({ length: VIEWS_PER_LIST_MAX + 10 }, (_none, n) =>
      make(viewOf('invoice', { view_name: `v${n}`, selected_columns: ['status'] }), 'held'),
    ),
  );
  const statuses = made.map(({ status }) => status);
  t.equal(statuses.filter((status) => status === 201).length, VIEWS_PER_LIST_MAX);
  t.equal(statuses.filter((status) => status === 409).length, 10);
});

t.test('a cursor holds for the order and the filters that the view had', async (t) => {
  const id = await keep('workorder', {
    view_name: 'Paged',
    selected_columns: ['workorder_description'],
    sort: 'workorder_description',
    filters: { priority: { eq: 'low' } },
  });
  const first = await get(`/v1/workorders?view=${id}&limit=3`);
  const next = () => get(`/v1/workorders?view=${id}&limit=3&cursor=${first.body.page.next_cursor}`);
  t.same(described((await next()).body.data), ['job 16', 'job 20', 'job 24']);
  await change(id, { selected_columns: ['priority'], view_name: 'Paged on' });
  t.same(
    (await next()).body.data.map((row) => row['priority']),
    ['low', 'low', 'low'],
    'columns may change',
  );
  const refused = {
    status: 400,
    body: { errors: [{ pointer: '/cursor', detail: /begin again/ }] },
  };
  await change(id, { filters: { priority: { eq: 'high' } } });
  t.match(await next(), refused, 'other rows');
  await change(id, { filters: { priority: { eq: 'low' } } });
  t.equal((await next()).status, 200, 'as it was');
  await change(id, { sort: '-workorder_description' });
  t.match(await next(), refused, 'another order');
  const without = await get(`/v1/workorders?limit=3&cursor=${first.body.page.next_cursor}`);
  t.match(without, refused, 'without the view');
});

t.test('what a view names that is no more is left out', async (t) => {
  const id = await keep('workorder', { view_name: 'Old', selected_columns: ['priority'] });
  await owner.query(
    `update column_preferences set selected_columns = '["gone", "priority", "payer"]', sort = 'gone,-priority,specifications',
       filters = '{"gone": {"eq": "1"}, "priority": {"eq": "low", "like": "x", "in": "no word"}, "payer": "x",
         "created_at": {"gt": "soon"}, "workorder_id": {"gt": 5}}'
     where column_preferences_id = $1`,
    [id],
  );
  const shown = await get(`/v1/workorders?view=${id}&limit=100`);
  t.same(Object.keys(shown.body.data[0]!), ['workorder_id', 'priority', 'payer']);
  t.equal(shown.body.data.length, 10, 'the condition that makes sense holds');
  const csv = await get(`/v1/workorders/export?format=csv&view=${id}`);
  t.equal(csv.text.slice(1).split('\r\n')[0], 'Priority,Payer');
  await owner.query(
    `update column_preferences set selected_columns = '["gone"]', sort = 'gone' where column_preferences_id = $1`,
    [id],
  );
  const whole = await get(`/v1/workorders?view=${id}&limit=1`);
  t.ok(Object.keys(whole.body.data[0]!).length > 20, 'without any column it shows all');
});

t.test('a view of nonsense is not kept', async (t) => {
  const rows: readonly (readonly [object, ...string[]])[] = [
    [{ selected_columns: ['priority', 'gone'] }, '/selected_columns/1'],
    [{ sort: 'gone' }, '/sort'],
    [{ sort: 'priority,priority' }, '/sort'],
    [{ sort: 'priority,payer,account_id,created_at' }, '/sort'],
    [{ filters: { gone: { eq: '1' } } }, '/filters/gone'],
    [{ filters: { 'a/b~': { eq: '1' } } }, '/filters/a~1b~0'],
    [{ filters: { priority: 'low' } }, '/filters/priority'],
    [{ filters: { priority: { gt: 'low' } } }, '/filters/priority/gt'],
    [{ filters: { priority: { eq: 'lowest' } } }, '/filters/priority/eq'],
    [{ filters: { account_id: { eq: 7 } } }, '/filters/account_id/eq'],
    [{ filters: { account_id: { eq: 'x' } } }, '/filters/account_id/eq'],
    [{ filters: { created_at: { gte: 'yesterday' } } }, '/filters/created_at/gte'],
    [
      { sort: 'gone', filters: { gone: { eq: '1' }, priority: { in: 'x' } } },
      '/sort',
      '/filters/gone',
      '/filters/priority/in',
    ],
  ];
  const id = await keep('workorder', { view_name: 'Sound', selected_columns: ['priority'] });
  for (const [more, ...pointers] of rows) {
    const payload = viewOf('workorder', { view_name: 'No', selected_columns: ['payer'], ...more });
    for (const answer of [await make(payload), await change(id, more)]) {
      t.equal(answer.status, 422, JSON.stringify(more));
      t.same(
        answer.body.errors.map(({ pointer }) => pointer),
        pointers,
        JSON.stringify(more),
      );
    }
  }
  const fields = ['priority', 'payer', 'account_id', 'equipment_id', 'currency_code', 'created_at'];
  const every = Object.fromEntries(
    fields.map((name) => [name, { isnull: 'false', ne: 'x', eq: 'x', in: 'x' }]),
  );
  t.equal((await change(id, { filters: every })).status, 422);
  const bounded = Object.fromEntries(
    ['account_id', 'equipment_id', 'workorder_id', 'version'].map((name) => [
      name,
      { gt: '1', gte: '1', lt: '9', lte: '9', ne: '3', isnull: 'false' },
    ]),
  );
  t.match(await change(id, { filters: bounded }), {
    status: 422,
    body: { errors: [{ pointer: '/filters', detail: /more than 20/ }] },
  });
});

t.test('exports of lists with routes of their own go by views too', async (t) => {
  const rows: readonly (readonly [string, string, string[], string])[] = [
    ['telematics', 'telematics', ['unit_number', 'speed'], 'Unit number,Speed'],
    [
      'iot_device_event',
      'device-events',
      ['event_kind', 'recorded_at'],
      'Event kind,Recorded at (UTC)',
    ],
    ['geofence_visit', 'geofence-visits', ['geofence_name'], 'Geofence name'],
  ];
  for (const [list, path, selected_columns, header] of rows) {
    const id = await keep(list, { view_name: 'v', selected_columns, is_default: true });
    for (const view of [id, 'default']) {
      const { text } = await get(`/v1/${path}/export?format=csv&view=${view}`);
      t.equal(text.slice(1).split('\r\n')[0], header, path);
    }
  }
  const speedy = await keep('telematics', {
    view_name: 'fast',
    selected_columns: ['unit_number'],
    filters: { speed: { gt: '20' } },
  });
  const { text } = await get(`/v1/telematics/export?format=csv&view=${speedy}`);
  t.same(text.slice(1).split('\r\n'), ['Unit number', '']);
});

t.test('features of GeoJSON have the properties of a view', async (t) => {
  const id = await keep('geofence', { view_name: 'map', selected_columns: ['geofence_name'] });
  const url = `/v1/geofences?view=${id}&limit=1`;
  const { body } = await ask({ url, headers: { accept: 'application/geo+json' } });
  const [feature] = (body as unknown as { features: { properties: object; geometry: object }[] })
    .features;
  t.same(Object.keys(feature!.properties).sort(), ['geofence_id', 'geofence_name', 'shape_type']);
  t.match(feature!.geometry, { type: 'Point' });
});
