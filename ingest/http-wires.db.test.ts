/** The HTTP doors of the formats over real sockets, with a real database behind them. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import t, { type Test } from 'tap';
import { UNSIGNED_BODY_BYTES_MAX, wirePlugins, type WireOptions } from './http-wires.ts';
import type { Knock } from './knocking.ts';
import { startPipeline, type TestPipeline } from './test-pipeline.ts';

interface Doors extends TestPipeline {
  readonly app: FastifyInstance;
  readonly port: number;
  readonly knocks: Knock[];
  readonly refused: string[];
}

/** `dev-1` needs its token; `dev-2` may sign in by its name. */
async function openDoors(t: Test, more: Partial<WireOptions> = {}): Promise<Doors> {
  const pipeline = await startPipeline(t);
  const { registry } = pipeline;
  registry.put({ ...registry.deviceNamed('dev-2')!, signInByName: true });
  const knocks: Knock[] = [];
  const refused: string[] = [];
  const app = Fastify({ bodyLimit: 1024, forceCloseConnections: true });
  // As the API answers.
  app.setErrorHandler((error: FastifyError, _request, reply) => {
    const { statusCode: status = 500, name: title, message: detail, code } = error;
    return reply
      .code(status)
      .type('application/problem+json')
      .send({ type: 'about:blank', title, status, detail, code });
  });
  await app.register(
    wirePlugins({
      intake: pipeline.intake,
      registry,
      metrics: { refused: (source, reason) => refused.push(`${source} ${reason}`) },
      accepting: () => true,
      knock: (knock) => knocks.push(knock),
      ...more,
    }),
  );
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  return { ...pipeline, app, port, knocks, refused };
}

interface Told {
  status: number;
  body: string;
  code: string | undefined;
  headers: Headers;
}

async function ask(
  { port }: Doors,
  path: string,
  init: RequestInit & { headers?: Record<string, string> } = {},
): Promise<Told> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
  const body = await response.text();
  const isProblem = response.headers.get('content-type')?.startsWith('application/problem+json');
  const code = isProblem === true ? (JSON.parse(body) as { code: string }).code : undefined;
  return { status: response.status, body, code, headers: response.headers };
}

/** Bytes as they are over a socket of its own; gives the status line and the body of the answer. */
async function send({ port }: Doors, text: string): Promise<{ status: string; body: string }> {
  const socket = connect(port, '127.0.0.1');
  let received = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (received += chunk));
  socket.write(text.replaceAll('\n', '\r\n'));
  await once(socket, 'end');
  const [head = '', body = ''] = received.split('\r\n\r\n');
  return { status: head.split('\r\n')[0]!, body };
}

const START_MS = Math.floor(Date.now() / 1000) * 1000 - 3_600_000;
const at = (second: number): number => START_MS / 1000 + second;
const JSON_TYPE = { 'content-type': 'application/json' };
const FORM_TYPE = { 'content-type': 'application/x-www-form-urlencoded' };
const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
const basic = (user: string, password: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});

async function fixesOf(doors: Doors, deviceName: string): Promise<object[]> {
  const { rows } = await doors.pool.query<object>(
    `select extract(epoch from recorded_at)::float8 - $2 as s, latitude, longitude, speed_mps::float8 as speed
       from equipment_gps_location join equipment_has_iot_device using (equipment_has_iot_device_id)
       join iot_device using (iot_device_id) where device_identifier = $1 order by recorded_at`,
    [deviceName, at(0)],
  );
  return rows;
}

async function rejectsOf(
  doors: Doors,
): Promise<{ reason: string; source: string; text: string }[]> {
  const { rows } = await doors.pool.query<{ reason: string; source: string; text: string }>(
    `select reason, source, convert_from(payload, 'UTF8') as text from ingest_reject order by ingest_reject_id`,
  );
  return rows;
}

t.test('OsmAnd: three generations, each stored when it is answered', async (t) => {
  const doors = await openDoors(t);
  const place = (second: number) => `timestamp=${at(second)}&lat=1.5&lon=-2.5&speed=10`;
  const query = await ask(doors, `/osmand?id=dev-1&token=token-1&${place(0)}`);
  t.same([query.status, query.body], [200, '']);
  const posted = await ask(doors, `/osmand?id=dev-1&token=token-1&${place(1)}`, { method: 'POST' });
  t.equal(posted.status, 200, 'POST without a body or a type');
  const form = { method: 'POST', headers: FORM_TYPE, body: `id=dev-1&${place(2)}` };
  t.equal((await ask(doors, '/osmand?token=token-1', form)).status, 200, 'the token is no query');
  const signed = { ...form, body: `token=token-1&id=dev-1&${place(3)}` };
  t.equal((await ask(doors, '/osmand', signed)).status, 200, 'the token in the form');
  const location = (second: number) => ({
    timestamp: new Date(at(second) * 1000).toISOString(),
    coords: { latitude: 1.5, longitude: -2.5, speed: 5 },
    battery: { level: 0.5, is_charging: false },
  });
  const json = (location: unknown, headers: Record<string, string>) =>
    ask(doors, '/osmand', {
      method: 'POST',
      headers: { ...JSON_TYPE, ...headers },
      body: JSON.stringify({ device_id: 'dev-1', location }),
    });
  t.equal((await json(location(4), bearer('token-1'))).status, 200);
  const list = await json([location(5), location(6)], basic('dev-1', 'token-1'));
  t.equal(list.status, 200);
  const knots = Math.fround((10 * 1852) / 3600);
  const fixes = await fixesOf(doors, 'dev-1');
  t.equal(fixes.length, 7);
  t.match(fixes[0], { s: 0, latitude: 1.5, longitude: -2.5, speed: knots });
  t.match(fixes[5], { s: 5, speed: 5 });
  t.equal(await doors.count('iot_device_metric'), 6);
  const again = await json([location(5), { ...location(7), coords: {} }], bearer('token-1'));
  t.equal(
    again.status,
    200,
    'repeats are no harm, and a wrong one does not hold up those beside it',
  );
  t.equal((await fixesOf(doors, 'dev-1')).length, 7);
});

t.test('OsmAnd: who may speak', async (t) => {
  const doors = await openDoors(t);
  const get = (query: string, headers = {}) => ask(doors, `/osmand?${query}`, { headers });
  const place = `timestamp=${at(0)}&lat=1&lon=2`;
  t.equal((await get(`id=dev-2&${place}`)).status, 200, 'marked for sign-in by name');
  const secret = await get(`id=dev-1&${place}`);
  const unknown = await get(`id=ghost&${place}`);
  t.same([secret.status, secret.code], [400, 'unknown_device'], 'not marked');
  t.same([unknown.status, unknown.body], [400, secret.body], 'and nobody can tell the two apart');
  t.match(doors.knocks, [{ protocol: 'osmand', deviceName: 'ghost', tenantId: null }]);
  t.equal(doors.knocks.length, 1, 'a device that needs its token does not knock');
  t.equal(doors.knocks[0]!.payload?.toString(), `id=ghost&${place}`);
  t.equal(doors.knocks[0]!.remoteAddress, '127.0.0.1');
  for (const headers of [bearer('wrong'), basic('dev-2', 'wrong'), { authorization: 'Digest x' }]) {
    const wrong = await get(`id=dev-2&${place}`, headers);
    t.same([wrong.status, wrong.code], [401, 'bad_token'], 'a wrong credential does not fall back');
    t.ok(wrong.headers.get('www-authenticate'));
  }
  t.equal((await get(`id=dev-2&token=wrong&${place}`)).status, 401);
  const nobody = await get(`${place}&lat=1`);
  t.same([nobody.status, nobody.code], [400, 'device_missing']);
  const foreign = await get(`id=dev-3&${place}`, bearer('token-1'));
  t.same([foreign.status, foreign.code], [400, 'foreign_device']);
  const gateway = bearer(doors.fleet.gatewayToken);
  t.equal((await get(`id=dev-3&${place}`, gateway)).status, 200, 'a gateway for each of its own');
  t.equal((await get(`id=dev-1&token=${doors.fleet.gatewayToken}&${place}`)).status, 200);
  const vouched = await get(`id=ghost&${place}`, gateway);
  t.same([vouched.status, vouched.code], [400, 'unknown_device']);
  t.match(doors.knocks[1], { deviceName: 'ghost', tenantId: doors.fleet.customerId });
  t.equal((await fixesOf(doors, 'dev-1')).length, 1);
  t.ok(
    doors.refused.includes('osmand bad_token') && doors.refused.includes('osmand unknown_device'),
  );
});

t.test('OsmAnd: a bad value is told, and kept without the token', async (t) => {
  const doors = await openDoors(t);
  const bad = await ask(doors, `/osmand?id=dev-1&token=token-1&lat=91&lon=0`);
  t.same([bad.status, bad.code], [400, 'lat_range']);
  const inForm = { method: 'POST', headers: FORM_TYPE, body: `id=dev-1&lat=1&%74oken=token-1` };
  t.equal((await ask(doors, '/osmand', inForm)).code, 'lon_missing');
  const unread = { method: 'POST', headers: { ...JSON_TYPE, ...bearer('token-1') }, body: '{' };
  t.equal((await ask(doors, '/osmand', unread)).code, 'json_malformed');
  t.same(await rejectsOf(doors), [
    { reason: 'lat_range', source: 'osmand', text: 'id=dev-1&lat=91&lon=0' },
    { reason: 'lon_missing', source: 'osmand', text: 'id=dev-1&lat=1' },
    { reason: 'json_malformed', source: 'osmand', text: '{' },
  ]);
  const unsigned = await ask(doors, '/osmand?id=ghost&lat=91&lon=0');
  t.equal(unsigned.code, 'unknown_device');
  t.equal(await doors.count('ingest_reject'), 3, 'nothing is kept of what nobody vouches for');
  const head = await ask(doors, `/osmand?id=dev-2&lat=1&lon=2`, { method: 'HEAD' });
  t.equal(head.status, 404, 'HEAD is not a GET without an answer');
});

t.test('bodies: chunked, packed, too large', async (t) => {
  const doors = await openDoors(t);
  const body = `id=dev-2&timestamp=${at(0)}&lat=1&lon=2`;
  const half = Math.floor(body.length / 2);
  const chunk = (text: string) => `${text.length.toString(16)}\n${text}\n`;
  const head = 'POST /osmand HTTP/1.1\nHost: x\nConnection: close\nTransfer-Encoding: chunked\n';
  for (const type of ['Content-Type: application/x-www-form-urlencoded\n', '']) {
    const text = `${head}${type}\n${chunk(body.slice(0, half))}${chunk(body.slice(half))}0\n\n`;
    t.match(await send(doors, text), { status: 'HTTP/1.1 200 OK' }, type || 'without a type');
  }
  const place = { 'position.latitude': 1, 'position.longitude': 2 };
  const messages = JSON.stringify([{ ident: 'dev-1', timestamp: at(1), ...place }]);
  const flespi = `POST /flespi HTTP/1.1\nHost: x\nConnection: close\nTransfer-Encoding: chunked\n`;
  const auth = `Authorization: Bearer ${doors.fleet.gatewayToken}\nContent-Type: application/json\n`;
  const chunked = await send(doors, `${flespi}${auth}\n${chunk(messages)}0\n\n`);
  t.match(chunked, { status: 'HTTP/1.1 200 OK', body: /"accepted":1/ });
  const zipped = (headers: Record<string, string>, payload: Buffer) =>
    ask(doors, '/flespi', {
      method: 'POST',
      headers: { ...JSON_TYPE, ...bearer(doors.fleet.gatewayToken), ...headers },
      body: new Uint8Array(payload),
    });
  const gzip = { 'content-encoding': 'gzip' };
  const packed = await zipped(gzip, gzipSync(messages));
  t.match(packed, { status: 200, body: /"duplicates":1/ });
  t.match(await zipped(gzip, Buffer.from('x')), { status: 422, body: /gzip_malformed/ });
  const bomb = await zipped(gzip, gzipSync(Buffer.alloc(9_000_000)));
  t.match(bomb, { status: 422, body: /body_too_large/ });
  t.match(await zipped({ 'content-encoding': 'br' }, Buffer.from('x')), {
    body: /encoding_unknown/,
  });
  t.equal((await zipped({}, Buffer.alloc(1_100_000))).status, 413);
  const other = { method: 'POST', headers: { 'content-type': 'text/plain', ...bearer('token-1') } };
  t.equal((await ask(doors, '/flespi', { ...other, body: '[]' })).status, 415);
  const large = 'x'.repeat(UNSIGNED_BODY_BYTES_MAX + 1);
  const unsigned = { method: 'POST', headers: JSON_TYPE, body: large };
  t.same((await ask(doors, '/osmand', unsigned)).code, 'body_too_large', 'told by its length');
  const text = `${head}Content-Type: application/json\n\n${chunk(large)}0\n\n`;
  t.match(await send(doors, text), { status: 'HTTP/1.1 413 Payload Too Large' }, 'or by itself');
});

t.test('OwnTracks: locations, events, and what is passed over', async (t) => {
  const doors = await openDoors(t);
  const post = (message: unknown, headers: Record<string, string>, path = '/owntracks') =>
    ask(doors, path, {
      method: 'POST',
      headers: { ...JSON_TYPE, ...headers },
      body: typeof message === 'string' ? message : JSON.stringify(message),
    });
  const own = basic('dev-1', 'token-1');
  const fix = (second: number) => ({ _type: 'location', lat: 1, lon: 2, vel: 36, tst: at(second) });
  const location = await post({ ...fix(0), topic: 'owntracks/u/other', tid: 'zz' }, own);
  t.same([location.status, location.body], [200, '[]']);
  t.match(location.headers.get('content-type'), 'application/json');
  t.match(await fixesOf(doors, 'dev-1'), [{ s: 0, speed: 10 }], 'of the credential, always');
  const enter = { _type: 'transition', event: 'enter', desc: 'home', tst: at(1), lat: 1, lon: 2 };
  t.equal((await post(enter, own)).body, '[]');
  t.equal((await post('', own)).body, '[]', 'no bytes, no message');
  t.equal((await post('', {})).status, 401, 'though nobody is let in without a token');
  t.equal((await post(fix(1), basic('dev-1', 'wrong'))).status, 401);
  t.equal((await post(fix(1), basic('dev-2', 'token-1'))).status, 401, 'the token of another');
  t.same(doors.knocks, [], 'a wrong token is no knock');
  t.equal((await post(fix(2), basic('anyone', 'wrong'))).status, 401);
  t.match(doors.knocks, [{ protocol: 'owntracks', deviceName: 'anyone', tenantId: null, payload: null }]); // prettier-ignore
  const { rows } = await doors.pool.query('select event_kind, detail from iot_device_event');
  t.match(rows, [{ event_kind: 'region_enter', detail: { desc: 'home' } }]);
  const gateway = basic('anyone', doors.fleet.gatewayToken);
  t.equal((await post(fix(3), { ...gateway, 'x-limit-d': 'dev-3' })).status, 200);
  t.equal((await post(fix(4), gateway, '/owntracks?u=x&d=dev-3')).status, 200);
  t.equal((await post({ ...fix(5), topic: 'owntracks/u/dev-3' }, gateway)).status, 200);
  t.equal((await fixesOf(doors, 'dev-3')).length, 3);
});

t.test(
  'OwnTracks: what is refused and kept is taken, or the app would wait for ever',
  async (t) => {
    const doors = await openDoors(t);
    const post = (message: object | string, headers: Record<string, string>) =>
      ask(doors, '/owntracks', {
        method: 'POST',
        headers: { ...JSON_TYPE, ...headers },
        body: typeof message === 'string' ? message : JSON.stringify(message),
      });
    const own = basic('dev-1', 'token-1');
    for (const message of [
      { _type: 'encrypted', data: 'x' },
      { _type: 'location', lat: 91, lon: 0, tst: at(0) },
      { _type: 'location', lat: 1, lon: 0, tst: 1 },
      '{',
    ]) {
      const answer = await post(message, own);
      t.same([answer.status, answer.body], [200, '[]']);
    }
    const rejects = await rejectsOf(doors);
    t.same(
      rejects.map(({ reason }) => reason),
      ['encrypted', 'lat_range', 'time_range', 'json_malformed'],
    );
    t.match(rejects[0], { source: 'owntracks', text: '{"_type":"encrypted","data":"x"}' });
    const gateway = basic('anyone', doors.fleet.gatewayToken);
    const fix = { _type: 'location', lat: 1, lon: 2, tst: at(0) };
    const unknown = await post({ ...fix, tid: 'gh' }, gateway);
    t.same([unknown.status, unknown.code], [400, 'unknown_device'], 'it may be known tomorrow');
    t.match(doors.knocks, [{ protocol: 'owntracks', deviceName: 'gh' }]);
    t.equal((await post(fix, gateway)).code, 'device_missing');
  },
);

t.test('Flespi: a stream of many devices', async (t) => {
  const doors = await openDoors(t);
  const message = (ident: string, second: number, more: object = {}) => ({
    ident,
    timestamp: at(second),
    'position.latitude': 1,
    'position.longitude': 2,
    ...more,
  });
  const post = async (messages: unknown, headers = bearer(doors.fleet.gatewayToken)) => {
    const init = { method: 'POST', headers: { ...JSON_TYPE, ...headers } };
    const answer = await ask(doors, '/flespi', { ...init, body: JSON.stringify(messages) });
    const parsed = JSON.parse(answer.body) as { rejected?: { index: number; reason: string }[] };
    const rejected = (parsed.rejected ?? []).map(({ index, reason }) => [index, reason]);
    return { ...answer, parsed, rejected };
  };
  const stored = await post([
    message('dev-1', 0, { 'battery.voltage': 4 }),
    message('dev-2', 0),
    message('ghost', 0, { 'battery.voltage': 4 }),
    message('dev-3', 0, { 'position.latitude': 91 }),
  ]);
  t.equal(stored.status, 200);
  t.match(stored.parsed, { accepted: 3, duplicates: 0 });
  t.same(stored.rejected, [[2, 'unknown_device'], [3, 'lat_range']]); // prettier-ignore
  t.equal(doors.knocks.length, 1, 'one knock for a device, not for each of its rows');
  t.match(doors.knocks[0], { protocol: 'flespi', deviceName: 'ghost' });
  const refused = await post([message('ghost', 1), message('dev-1', 1, { timestamp: 5 })]);
  t.equal(refused.status, 200, 'a message that is never right does not hold up the stream');
  t.equal(refused.rejected.length, 2);
  const many = await post(Array.from({ length: 10_001 }, () => 0));
  t.same([many.status, many.rejected], [422, [[-1, 'records_max']]]);
  const foreign = await post([message('dev-2', 2)], bearer('token-1'));
  t.same(foreign.rejected, [[0, 'foreign_device']]);
  t.match((await post([message('dev-1', 3)], bearer('token-1'))).parsed, { accepted: 1 });
  t.equal((await post([], bearer('wrong'))).status, 401);
  t.equal((await post([], {})).status, 401);
  const byKey = { method: 'POST', headers: JSON_TYPE, body: '[]' };
  t.equal((await ask(doors, '/flespi?token=token-1', byKey)).status, 200);
});

t.test('503 while nothing can be promised', async (t) => {
  let full = true;
  const never = { isFull: false, submit: () => undefined };
  const doors = await openDoors(t, { accepting: () => !full });
  const path = `/osmand?id=dev-2&timestamp=${at(0)}&lat=1&lon=2`;
  const stopped = await ask(doors, path);
  t.same([stopped.status, stopped.code], [503, 'queue_full']);
  t.equal(stopped.headers.get('retry-after'), '2');
  full = false;
  t.equal((await ask(doors, path)).status, 200);
  const crowded = await openDoors(t, { intake: { ...never, isFull: true } });
  t.equal((await ask(crowded, path)).code, 'queue_full');
  const lost = await openDoors(t, {
    intake: {
      isFull: false,
      submit: (_message, done) => done({ stored: false, accepted: 0, duplicates: 0, refused: [] }),
    },
  });
  const pending = await ask(lost, path);
  t.same([pending.status, pending.code], [503, 'commit_pending']);
  t.equal(pending.headers.get('retry-after'), '2');
});

t.test('nothing is answered before the commit', async (t) => {
  let commit: (() => void) | undefined;
  const submitted = new Promise<void>((resolve) => {
    commit = resolve;
  });
  let settle: (() => void) | undefined;
  const doors = await openDoors(t, {
    intake: {
      isFull: false,
      submit(_message, done) {
        settle = () => done({ stored: true, accepted: 1, duplicates: 0, refused: [] });
        commit!();
      },
    },
  });
  let isAnswered = false;
  const path = `/osmand?id=dev-2&timestamp=${at(0)}&lat=1&lon=2`;
  const answer = ask(doors, path).finally(() => (isAnswered = true));
  await submitted;
  // Another request goes all the way there and back: an early answer would be here by now.
  t.equal((await ask(doors, '/osmand')).status, 400);
  t.equal(isAnswered, false);
  settle!();
  t.equal((await answer).status, 200);
});
