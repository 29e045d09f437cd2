/** Tags from end to end: made, given to fences and units, found by, and kept while they are on something. */
import type { InjectOptions } from 'fastify';
import t from 'tap';
import { startTestPortal, type Who } from '../test-portal.ts';
import { TAGS_MAX } from './rules.ts';

const many = 10_000_000;
const portal = await startTestPortal(t, {
  rateLimits: { perAddressMax: many, perUserMax: many, perTenantMax: many },
});
const { owner, seed } = portal;
const { mine, foreign } = seed;

type Body = Record<string, unknown> & {
  data: Record<string, unknown>[];
  errors: { pointer: string; detail: string }[];
  tag_lookup_id: number;
  tag_lookup_ids: number[];
};

async function ask(request: InjectOptions, who: Who = 'admin') {
  const answer = await portal.as(who, request);
  return { ...answer, body: answer.body as unknown as Body };
}
const get = (url: string) => ask({ url });
const post = (url: string, payload: object, headers: Record<string, string> = {}) =>
  ask({ method: 'POST', url, payload, headers });
const patch = (url: string, payload: object, who: Who = 'admin') =>
  ask({ method: 'PATCH', url, payload, headers: { 'if-match': '*' } }, who);
const remove = (url: string, who: Who = 'admin') =>
  ask({ method: 'DELETE', url, headers: { 'if-match': '*' } }, who);

let serial = 0;
async function makeTag(more: object = {}, who: Who = 'admin'): Promise<number> {
  serial += 1;
  const payload = { tag_name: `tag ${serial}`, ...more };
  const made = await ask({ method: 'POST', url: '/v1/tags', payload }, who);
  if (made.status !== 201) throw new Error(made.text);
  return made.body.tag_lookup_id;
}

const FENCE = { shape_type: 'circle', center_lat: 50, center_lng: 10, radius_m: 50 };
/** What bears tags: its path, the columns that a new one needs, and one that is there. */
const BEARERS = [
  {
    path: 'geofences',
    noun: 'geofence',
    key: 'geofence_id',
    body: (n: number) => ({ geofence_name: `fence ${n}`, ...FENCE }),
    id: mine.geofenceIds[0],
  },
  {
    path: 'equipment',
    noun: 'unit',
    key: 'equipment_id',
    body: (n: number) => ({ unit_number: `T-${n}` }),
    id: mine.equipmentIds[0],
  },
] as const;

for (const { path, noun, key, body, id } of BEARERS) {
  const list = `/v1/${path}`;
  const one = `${list}/${id}`;

  t.test(`${path}: given, read, found by, exported, taken off`, async (t) => {
    const [a, b, c] = [await makeTag(), await makeTag(), await makeTag()];
    t.same((await get(one)).body.tag_lookup_ids, [], 'none at first');
    const made = await post(list, { ...body(1), tag_lookup_ids: [b, a] });
    t.match(made, { status: 201, body: { tag_lookup_ids: [b, a] } });
    t.match(await patch(one, { tag_lookup_ids: [a] }), {
      status: 200,
      body: { tag_lookup_ids: [a] },
    });
    const found = async (query: string) =>
      (await get(`${list}?${query}`)).body.data.map((row) => row[key]);
    t.same(await found(`filter[tag_lookup_ids][has]=${a}`), [id, made.body[key]]);
    t.same(await found(`filter[tag_lookup_ids][has]=${b}`), [made.body[key]]);
    t.same(await found(`filter[tag_lookup_ids][any]=${b},${c}`), [made.body[key]]);
    t.same(await found(`filter[tag_lookup_ids][any]=${c}`), []);
    for (const text of ['x', '1,x', '', Array(101).fill(1).join()]) {
      const answer = await get(`${list}?filter[tag_lookup_ids][any]=${text}`);
      t.match(answer, {
        status: 400,
        body: { errors: [{ pointer: '/filter/tag_lookup_ids/any' }] },
      });
    }
    const url = `${list}/export?format=csv&fields=tag_lookup_ids&filter[tag_lookup_ids][has]=${b}`;
    t.match((await get(url)).text, new RegExp(`\r\n\\d+,"\\[${b},${a}\\]"\r\n$`));
    t.same((await patch(one, { tag_lookup_ids: [] })).body.tag_lookup_ids, []);
    const trail = await get(`/v1/audit-trail?entity_id=${id}&limit=1`);
    t.match(trail.body.data[0], { before: { tag_lookup_ids: [a] }, after: { tag_lookup_ids: [] } });
  });

  t.test(`${path}: what is no tag of this customer's is refused by its place`, async (t) => {
    const a = await makeTag();
    const off = await makeTag({ status: 'disabled' });
    const { rows } = await owner.query<{ id: number }>(
      `insert into tag_lookup (customer_id, tag_name) values ($1, $2) returning tag_lookup_id as id`,
      [foreign.customerId, `theirs ${path}`],
    );
    const theirs = rows[0]!.id;
    const cases: readonly (readonly [number[], number, ...string[]])[] = [
      [[a, theirs], 422, '/tag_lookup_ids/1'],
      [[999_999_999, a, theirs], 422, '/tag_lookup_ids/0', '/tag_lookup_ids/2'],
      [[a, a], 400, '/tag_lookup_ids'],
      [[0], 400, '/tag_lookup_ids/0'],
      [[off], 422, '/tag_lookup_ids/0'],
      [Array.from({ length: TAGS_MAX + 1 }, (_none, n) => n + 1), 400, '/tag_lookup_ids'],
    ];
    for (const [tag_lookup_ids, status, ...pointers] of cases) {
      for (const answer of [
        await post(list, { ...body(9_000), tag_lookup_ids }),
        await patch(one, { tag_lookup_ids }),
      ]) {
        t.equal(answer.status, status, `${tag_lookup_ids.join()}: ${answer.text}`);
        t.same(
          answer.body.errors.map(({ pointer }) => pointer),
          pointers,
        );
      }
    }
    const bulk = await post(`${list}/bulk`, {
      items: [{ ...body(2), tag_lookup_ids: [theirs] }, body(3)],
    });
    t.match(bulk.body, { created: 1, refused: 1 });
    const set = owner.query(
      `update ${path.replace('geofences', 'geofence')} set tag_lookup_ids = $1 where ${key} = $2`,
      [[theirs], id],
    );
    await t.rejects(set, { code: '23503' }, 'nor past the API');
  });

  t.test(`${path}: a disabled tag stays where it is`, async (t) => {
    const [kept, more] = [await makeTag(), await makeTag()];
    await patch(one, { tag_lookup_ids: [kept] });
    await patch(`/v1/tags/${kept}`, { status: 'disabled' });
    t.equal((await patch(one, { tag_lookup_ids: [more, kept] })).status, 200, 'beside a new one');
    t.equal((await patch(one, { tag_lookup_ids: [more] })).status, 200, 'and is taken off');
    const again = await patch(one, { tag_lookup_ids: [more, kept] });
    t.match(again, {
      status: 422,
      body: { errors: [{ pointer: '/tag_lookup_ids/1', detail: 'is disabled' }] },
    });
    await patch(one, { tag_lookup_ids: [] });
  });

  t.test(`${path}: a tag in use is not deleted`, async (t) => {
    const tag = await makeTag();
    await patch(one, { tag_lookup_ids: [tag] });
    const refused = await remove(`/v1/tags/${tag}`);
    t.match(refused, {
      status: 409,
      body: { code: 'conflict', detail: new RegExp(`on 1 ${noun};`) },
    });
    await patch(`/v1/tags/${tag}`, { tag_name: `renamed ${path}`, color: '#00ff00' });
    t.same((await get(one)).body.tag_lookup_ids, [tag], 'whatever it is called');
    await patch(one, { tag_lookup_ids: [] });
    t.equal((await remove(`/v1/tags/${tag}`)).status, 204);
    t.match(await patch(one, { tag_lookup_ids: [tag] }), { status: 422 });
  });

  t.test(`${path}: given and deleted at once, either is refused`, async (t) => {
    for (let round = 0; round < 12; round++) {
      const tag = await makeTag();
      const [deleted, ...answers] = await Promise.all([
        remove(`/v1/tags/${tag}`),
        ...Array.from({ length: 4 }, (_none, n) =>
          post(list, { ...body(10_000 + round * 10 + n), tag_lookup_ids: [tag] }),
        ),
      ]);
      const made = answers.filter(({ status }) => status === 201).length;
      for (const { status } of answers) t.ok([201, 422].includes(status));
      if (made > 0) t.equal(deleted.status, 409, `round ${round}: it is on ${made}`);
      else t.equal(deleted.status, 204, `round ${round}`);
      const there = await get(`/v1/tags/${tag}`);
      t.equal(there.status, made > 0 ? 200 : 404);
    }
  });
}

t.test('the database keeps a tag that is used, whoever deletes it', async (t) => {
  const tag = await makeTag();
  await patch(`/v1/geofences/${mine.geofenceIds[0]}`, { tag_lookup_ids: [tag] });
  await t.rejects(owner.query('delete from tag_lookup where tag_lookup_id = $1', [tag]), {
    code: '23503',
    detail: /still referenced/,
  });
});

t.test('one who gives a tag holds it against one who deletes it', async (t) => {
  const tag = await makeTag();
  const giving = await owner.connect();
  const deleting = await owner.connect();
  t.teardown(() => [giving.release(), deleting.release()]);
  await giving.query('begin');
  await giving.query('update equipment set tag_lookup_ids = $1 where equipment_id = $2', [
    [tag],
    mine.equipmentIds[1],
  ]);
  const gone = deleting.query('delete from tag_lookup where tag_lookup_id = $1', [tag]);
  const refused = t.rejects(gone, { code: '23503' });
  for (;;) {
    const { rows } = await owner.query(
      `select from pg_stat_activity where wait_event_type = 'Lock' and query like 'delete from tag_lookup%'`,
    );
    if (rows.length > 0) break;
  }
  await giving.query('commit');
  await refused;
});

t.test('a tag of many is counted so far and no further', async (t) => {
  const tag = await makeTag();
  await owner.query(
    `insert into equipment (customer_id, unit_number, tag_lookup_ids)
     select $1, 'many ' || n, array[$2::bigint] from generate_series(1, 1001) n`,
    [mine.customerId, tag],
  );
  await patch(`/v1/geofences/${mine.geofenceIds[1]}`, { tag_lookup_ids: [tag] });
  t.match(await remove(`/v1/tags/${tag}`), {
    status: 409,
    body: { detail: /on more than 1000 units and 1 geofence;/ },
  });
});

t.test('features carry the tags of their fence', async (t) => {
  const tag = await makeTag();
  const feature = (tag_lookup_ids: number[]) => ({
    type: 'Feature',
    geometry: { type: 'Point', coordinates: [10, 50] },
    properties: { geofence_name: 'Tagged', radius_m: 50, tag_lookup_ids },
  });
  const headers = { 'content-type': 'application/geo+json' };
  const made = await post('/v1/geofences', feature([tag]), headers);
  t.match(made, { status: 201, body: { tag_lookup_ids: [tag] } });
  const url = `/v1/geofences/${String(made.body['geofence_id'])}`;
  const shown = await ask({ url, headers: { accept: 'application/geo+json' } });
  t.match(shown.body, { properties: { tag_lookup_ids: [tag] } });
  t.match(await post('/v1/geofences', feature([tag, 999_999_999]), headers), {
    status: 422,
    body: { errors: [{ pointer: '/properties/tag_lookup_ids/1' }] },
  });
});

t.test('who is held to accounts tags what is theirs, and makes no tags', async (t) => {
  const tag = await makeTag();
  const own = `/v1/equipment/${mine.equipmentIds[0]}`;
  t.equal((await patch(own, { tag_lookup_ids: [tag] }, 'held')).status, 200);
  t.equal((await remove(`/v1/tags/${tag}`, 'held')).status, 403);
  await patch(own, { tag_lookup_ids: [] });
});
