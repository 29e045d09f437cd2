/** Bodies that are JSON and cannot be worked with: a clear refusal, and nothing is written. */
import t from 'tap';
import { BODY_DEPTH_MAX } from './json-body.ts';
import { startTestPortal } from './test-portal.ts';

const portal = await startTestPortal(t);
const { owner } = portal;

const POLYGON = `"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]`;
const fence = (more: string): string =>
  `{"geofence_name":"deep","shape_type":"polygon","polygon":{${POLYGON},"more":${more}}}`;
const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

function post(url: string, payload: string, headers: Record<string, string> = {}) {
  const type = { 'content-type': 'application/json' };
  return portal.as('admin', { method: 'POST', url, payload, headers: { ...type, ...headers } });
}

async function rows(): Promise<unknown> {
  const { rows } = await owner.query(
    `select (select count(*) from geofence) as fences, (select count(*) from tag_lookup) as tags,
       (select count(*) from idempotency_key) as keys`,
  );
  return rows[0];
}

t.test('what is nested too deep is refused, wherever it is', async (t) => {
  const before = await rows();
  for (const levels of [BODY_DEPTH_MAX + 1, 3_000, 5_000, 100_000]) {
    const deep = nested(levels);
    const bodies: [string, string, Record<string, string>][] = [
      ['/v1/tags', `{"tag_name":${deep}}`, {}],
      ['/v1/tags/bulk', `{"items":[${deep}]}`, { 'idempotency-key': 'deep' }],
      ['/v1/tags/bulk', `{"items":[{"tag_name":"good"},${deep}]}`, {}],
      ['/v1/geofences', fence(deep), {}],
      ['/v1/geofences/bulk', `{"items":[${fence(deep)}]}`, {}],
      [
        '/v1/geofences',
        `{"type":"Feature","geometry":null,"x":${deep}}`,
        { 'content-type': 'application/geo+json', 'idempotency-key': 'deep' },
      ],
    ];
    for (const [url, payload, headers] of bodies) {
      const { status, body } = await post(url, payload, headers);
      t.equal(status, 400, `${url} with ${levels} levels`);
      t.match(body, { errors: [{ in: 'body', detail: /deeper than 64 levels/ }] });
    }
  }
  t.same(await rows(), before);
});

t.test('a fence keeps nothing that its geometry has no use for', async (t) => {
  const made = await post('/v1/geofences', fence(nested(20)));
  t.equal(made.status, 201);
  const { rows } = await owner.query(`select polygon from geofence where geofence_name = 'deep'`);
  t.same(rows, [{ polygon: JSON.parse(`{${POLYGON}}`) as object }]);
  const changed = await portal.as('admin', {
    method: 'PATCH',
    url: `/v1/geofences/${made.body['geofence_id']}`,
    payload: JSON.parse(`{"polygon":{${POLYGON}}}`) as object,
    headers: { 'if-match': '*' },
  });
  t.equal(changed.status, 200);
});

t.test('names that cannot be kept are refused', async (t) => {
  const before = await rows();
  for (const name of ['a\\u0000b', '\\ud800', '\\udc00x']) {
    const bodies: [string, string][] = [
      ['/v1/tags/bulk', `{"items":[{"tag_name":"good"},{"tag_name":"x","${name}":1}]}`],
      ['/v1/equipment', `{"unit_number":"u","specifications":{"${name}":1}}`],
    ];
    for (const [url, payload] of bodies) {
      const { status, body } = await post(url, payload, { 'idempotency-key': 'names' });
      t.equal(status, 400, `${url} with ${name}`);
      t.match(body, { errors: [{ in: 'body', detail: /name holds/ }] });
    }
  }
  t.same(await rows(), before);
  const emoji = `{"unit_number":"u-1","specifications":{"🚚":1}}`;
  t.equal((await post('/v1/equipment', emoji)).status, 201, 'whole characters are names');
});
