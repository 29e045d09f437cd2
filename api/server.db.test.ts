import { createConnection } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import t from 'tap';
import type { FastifyBaseLogger } from 'fastify';
import { openDiskStore } from './attachments/disk-store.ts';
import { PROBLEM_CONTENT_TYPE } from './problem.ts';
import { CANARY, PASSWORD, startTestPortal, type TestPortal } from './test-portal.ts';

const portal = await startTestPortal(t, {
  plugins: [
    (app) => {
      app.get('/test/fault', { config: { public: true } }, () => {
        throw new Error('the inside of the server');
      });
      app.post('/test/ndjson', { config: { public: true }, bodyLimit: 64 }, () => ({}));
      return Promise.resolve();
    },
  ],
});
const { app, seed } = portal;

t.test('every route declares itself', (t) => {
  const routes = app.routeTable.filter(
    ({ schema, method, url }) =>
      !(schema as { hide?: boolean } | undefined)?.hide &&
      method !== 'HEAD' &&
      !/^\/(docs|test)/.test(url),
  );
  const wrong: string[] = [];
  for (const { schema, config, url, method } of routes) {
    const name = `${String(method)} ${url}`;
    if ((config?.public === true) !== (config?.permission === undefined)) wrong.push(name);
    if (/:/.test(url) && !schema?.params) wrong.push(`${name}: path`);
    if (['POST', 'PATCH', 'PUT'].includes(String(method)) && !schema?.body)
      wrong.push(`${name}: body`);
    // What the caller left out must not be filled in.
    if (method === 'PATCH' && JSON.stringify(schema?.body).includes('"default":'))
      wrong.push(`${name}: default`);
  }
  t.same(wrong, []);
  t.same(
    routes.filter(({ config }) => config?.public).map(({ url }) => url),
    ['/healthz', '/readyz', '/metrics', '/demo/.well-known/jwks.json', '/demo/sign-in'],
    'these and no others are public',
  );
  t.ok(routes.length > 400, `${routes.length} routes`);
  t.end();
});

t.test('a route that declares nothing stops the start', async (t) => {
  const { buildServer } = await import('./server.ts');
  const bad = await buildServer({
    pool: portal.apiPool,
    runnerPool: portal.runnerPool,
    authenticate: () => Promise.reject(new Error('not asked')),
    fencesAt: () => [],
    cursorKey: new Uint8Array(32),
    attachmentStore: await openDiskStore(t.testdir()),
    trustProxy: [],
    log: { level: 'silent' },
    version: '0',
    readiness: () => ({ ready: true, reasons: [] }),
    renderMetrics: () => '',
    plugins: [
      (app) => {
        app.get('/forgotten', () => 'open to all');
        app.get('/both', { config: { public: true, permission: 'lookup:read' } }, () => '');
        return Promise.resolve();
      },
    ],
  });
  await t.rejects(async () => void (await bad.ready()), {
    message: /GET \/forgotten, .*GET \/both/,
  });
  await bad.close();
});

// That it holds for every route is in matrix.db.test.ts.
t.test('a token that is not good opens nothing', async (t) => {
  const { access_token } = await portal.issuer.issue('test|admin');
  const [head, body, signature] = access_token.split('.');
  const none = Buffer.from('{"alg":"none"}').toString('base64url');
  const tokens: [string, string | undefined, number][] = [
    ['none', undefined, 401],
    ['basic', 'Basic YTpi', 401],
    ['empty', 'Bearer ', 401],
    ['garbage', 'Bearer x.y.z', 401],
    ['alg none', `Bearer ${none}.${body}.`, 401],
    ['a changed signature', `Bearer ${head}.${body}.${signature!.slice(4)}AAAA`, 401],
    ['of nobody here', `Bearer ${(await portal.issuer.issue('test|nobody')).access_token}`, 403],
  ];
  for (const [name, authorization, status] of tokens) {
    const headers = authorization === undefined ? {} : { authorization };
    const answer = await app.inject({ url: '/v1/invoices', headers });
    t.equal(answer.statusCode, status, name);
    if (status === 401) t.match(answer.headers, { 'www-authenticate': /^Bearer/ }, name);
  }
});

t.test('a right that is missing is named', async (t) => {
  const answer = await portal.as('bare', { url: '/v1/invoices' });
  t.match(answer, { status: 403, body: { code: 'forbidden', detail: /invoice:read/ } });
  const open = app.routeTable.filter(({ config }) => config?.permission === 'signed_in');
  for (const { url, method } of open) {
    if (method !== 'GET' || url.includes(':') || url.includes('export')) continue;
    // It asks for the rights of what it is asked for.
    if (url === '/v1/changes') continue;
    const query = url === '/v1/search' ? '?q=acme' : '';
    t.equal((await portal.as('bare', { url: url + query })).status, 200, url);
  }
});

t.test('what was refused to another tenant is untouched', async (t) => {
  const [fenceId] = seed.foreign.geofenceIds;
  const [deviceId] = seed.foreign.iotDeviceIds;
  const attempts: [string, object][] = [
    [`/v1/geofences/${fenceId}`, { geofence_name: 'taken over' }],
    [`/v1/iot-devices/${deviceId}`, { device_type: 'taken over' }],
    [`/v1/equipment/${seed.foreign.equipmentIds[0]}`, { description: 'taken over' }],
  ];
  for (const [url, payload] of attempts) {
    const headers = { 'if-match': '*' };
    const answer = await portal.as('admin', { method: 'PATCH', url, payload, headers });
    t.equal(answer.status, 404, url);
    t.match(await portal.as('foreign', { url }), { status: 200, body: { version: 1 } });
  }
  const commands = await portal.as('foreign', { url: `/v1/iot-devices/${deviceId}/commands` });
  t.match(commands.body.data, [{ payload: `${CANARY} report`, status: 'queued' }]);
});

t.test('lists hold rows of the own tenant only, and of the own accounts', async (t) => {
  const { mine } = seed;
  const lists: [
    string,
    'equipment_id' | 'geofence_id' | 'telematic_alert_id' | 'iot_device_id',
    number[],
  ][] = [
    ['/v1/equipment', 'equipment_id', mine.equipmentIds],
    ['/v1/telematics', 'equipment_id', mine.equipmentIds],
    ['/v1/geofences', 'geofence_id', mine.geofenceIds],
    ['/v1/telematic-alerts', 'telematic_alert_id', mine.alertIds],
    ['/v1/iot-devices', 'iot_device_id', mine.iotDeviceIds],
    ['/v1/device-events', 'iot_device_id', mine.iotDeviceIds],
  ];
  for (const [url, field, ids] of lists) {
    const idsOf = async (who: 'admin' | 'held') =>
      (await portal.as(who, { url })).body.data.map((row) => row[field]).sort((a, b) => a - b);
    t.same(await idsOf('admin'), ids, url);
    t.same(await idsOf('held'), [ids[0], ids[2]], `${url}, held to one account`);
  }
  const names = async (who: 'admin' | 'held') =>
    (await portal.as(who, { url: '/v1/knocking-devices' })).body.data.map(
      (row) => row.device_identifier,
    );
  t.same(await names('admin'), ['acme-knock-2', 'acme-knock-1']);
  t.same(await names('held'), [], 'nobody knows whose unit it is');
  const gateways = await portal.as('admin', { url: '/v1/gateway-tokens' });
  t.same(
    gateways.body.data.map((row) => row.gateway_token_id),
    [mine.gatewayTokenId],
  );
  const rejects = async (who: 'admin' | 'held') =>
    (await portal.as(who, { url: '/v1/ingest-rejects' })).body.data;
  t.equal((await rejects('admin')).length, 3);
  t.equal((await rejects('held')).length, 2);
  t.match((await rejects('admin'))[0], { reason: 'lat_range', payload: 'e30=', payload_bytes: 2 });
});

t.test('who am I', async (t) => {
  const admin = await portal.as('admin', { url: '/v1/me' });
  t.match(admin, {
    status: 200,
    headers: { 'cache-control': 'private, no-cache' },
    body: {
      email: 'admin@acme.test',
      role_name: 'admin role',
      account_ids: null,
      customer: { customer_name: 'acme company', time_zone: 'Europe/Berlin' },
      live_url: 'ws://127.0.0.1:4001/live',
    },
  });
  t.ok(admin.body.permissions.includes('geofence:write'));
  const held = await portal.as('held', { url: '/v1/me' });
  t.same(held.body.account_ids, [seed.mine.accountIds[0]]);
});

t.test('a disabled user is out as soon as the change is known', async (t) => {
  const own = await startTestPortal(t);
  const me = () => own.as('admin', { url: '/v1/me' });
  t.equal((await me()).status, 200);
  await own.owner.query(
    `update "user" set status = 'disabled' where auth_0_reference_id = 'test|admin'`,
  );
  t.equal((await me()).status, 200, 'remembered for a while');
  own.principals.invalidate();
  t.match(await me(), { status: 403, body: { code: 'unknown_user' } });
});

t.test('signing in', async (t) => {
  const signIn = (payload: object) => app.inject({ method: 'POST', url: '/demo/sign-in', payload });
  const good = await signIn({ email: 'Admin@acme.test', password: PASSWORD });
  t.match(good.json(), {
    token_type: 'Bearer',
    expires_in: 3600,
    access_token: /^[\w-]+\.[\w-]+\.[\w-]+$/,
  });
  t.equal(good.headers['cache-control'], 'no-store');
  const authorization = `Bearer ${good.json<{ access_token: string }>().access_token}`;
  t.equal((await app.inject({ url: '/v1/me', headers: { authorization } })).statusCode, 200);
  const bad = [
    { email: 'admin@acme.test', password: 'wrong' },
    { email: 'nobody@acme.test', password: PASSWORD },
  ];
  const answers = await Promise.all(bad.map((payload) => signIn(payload)));
  for (const answer of answers)
    t.match(answer.json(), { status: 401, detail: 'email or password is wrong' });
  t.match((await signIn({ email: 'admin@acme.test' })).json(), {
    status: 400,
    errors: [{ in: 'body', pointer: '/password', detail: 'is required' }],
  });
});

t.test('errors are problem details', async (t) => {
  const rows: [string, Parameters<TestPortal['as']>[1], number, object][] = [
    [
      'unknown address',
      { url: '/v1/nothing?x=1' },
      404,
      { code: 'not_found', instance: '/v1/nothing' },
    ],
    ['unknown method', { method: 'PUT', url: '/v1/geofences' }, 404, { code: 'not_found' }],
    ['bad percent-encoding', { url: '/v1/equipment/%ff' }, 400, { code: 'malformed_request' }],
    [
      'malformed JSON',
      {
        method: 'POST',
        url: '/v1/geofences',
        headers: { 'content-type': 'application/json' },
        payload: '{"a":',
      },
      400,
      { code: 'malformed_request' },
    ],
    [
      'prototype poisoning',
      {
        method: 'POST',
        url: '/v1/geofences',
        headers: { 'content-type': 'application/json' },
        payload: '{"__proto__": {"x": 1}}',
      },
      400,
      { code: 'malformed_request' },
    ],
    [
      'empty body',
      { method: 'POST', url: '/v1/geofences', headers: { 'content-type': 'application/json' } },
      400,
      { code: 'malformed_request' },
    ],
    [
      'not JSON',
      {
        method: 'POST',
        url: '/v1/geofences',
        headers: { 'content-type': 'text/plain' },
        payload: 'x',
      },
      415,
      { code: 'unsupported_media_type' },
    ],
    [
      'a content type with a trick in it is validated all the same',
      {
        method: 'POST',
        url: '/v1/geofences',
        headers: { 'content-type': 'application/json\t;x' },
        payload: '{}',
      },
      400,
      { code: 'invalid_request', errors: [{ pointer: '/geofence_name' }] },
    ],
    [
      'too large',
      {
        method: 'POST',
        url: '/v1/geofences',
        headers: { 'content-type': 'application/json' },
        payload: `{"geofence_name":"${'x'.repeat(1_048_576)}"}`,
      },
      413,
      { code: 'payload_too_large' },
    ],
    [
      'id that is none',
      { url: '/v1/equipment/abc' },
      400,
      { errors: [{ in: 'path', pointer: '/id' }] },
    ],
    [
      'id beyond 2^53',
      { url: '/v1/equipment/9007199254740993' },
      400,
      { errors: [{ pointer: '/id' }] },
    ],
    ['long id', { url: `/v1/equipment/${'1'.repeat(200)}` }, 414, { code: 'uri_too_long' }],
    [
      'empty limit',
      { url: '/v1/equipment?limit=' },
      400,
      { errors: [{ in: 'query', pointer: '/limit' }] },
    ],
    ['limit 0', { url: '/v1/equipment?limit=0' }, 400, { errors: [{ detail: 'must be >= 1' }] }],
    ['limit above', { url: '/v1/equipment?limit=501' }, 400, { errors: [{ pointer: '/limit' }] }],
    [
      'limit twice',
      { url: '/v1/equipment?limit=1&limit=2' },
      400,
      { errors: [{ pointer: '/limit' }] },
    ],
    [
      'unknown query field',
      { url: '/v1/equipment?customer_id=2' },
      400,
      { errors: [{ in: 'query', pointer: '/customer_id', detail: /not a field/ }] },
    ],
    [
      'a word that is not on the list',
      { url: '/v1/equipment?filter[status]=gone' },
      400,
      {
        errors: [
          { pointer: '/filter/status/eq', detail: 'must be one of active, in_service, retired' },
        ],
      },
    ],
    [
      'NUL in text',
      { url: '/v1/equipment?filter[unit_number]=%00' },
      400,
      { errors: [{ pointer: '/filter/unit_number/eq' }] },
    ],
    ['fault', { url: '/test/fault' }, 500, { code: 'internal', detail: /request id/ }],
  ];
  for (const [name, request, status, body] of rows) {
    const answer = await portal.as('admin', request);
    t.equal(answer.status, status, name);
    t.equal(answer.headers['content-type'], `${PROBLEM_CONTENT_TYPE}; charset=utf-8`, name);
    t.match(answer.body, { status, type: /^urn:milepost:problem:/, title: /\w/, ...body }, name);
    t.equal(answer.body.requestId, answer.headers['x-request-id'], name);
    t.notMatch(answer.text, /inside of the server|node_modules|select |stack/i, name);
  }
});

t.test('the database away or too slow is 503, and nothing of it is told', async (t) => {
  const own = await startTestPortal(t, {}, 100);
  t.equal((await own.as('admin', { url: '/v1/me' })).status, 200);
  const blocker = await own.owner.connect();
  await blocker.query('begin; lock table geofence');
  const waiting = own.as('admin', { url: '/v1/geofences' });
  t.match(await waiting, {
    status: 503,
    headers: { 'retry-after': /^\d+$/ },
    body: { code: 'unavailable' },
  });
  await blocker.query('rollback');
  blocker.release();
  await own.shutOff();
  const away = await own.as('admin', { url: '/v1/equipment' });
  t.match(away, { status: 503, body: { code: 'unavailable' } });
  t.notMatch(away.text, /postgres|database|127\.0\.0\.1/i);
  t.match(await app.inject('/healthz'), { statusCode: 200 }, 'but the process lives');
});

t.test('liveness, readiness, metrics', async (t) => {
  t.match((await app.inject('/healthz')).json(), { status: 'alive' });
  t.match((await app.inject('/readyz')).json(), { ready: true, reasons: [] });
  const metrics = await app.inject('/metrics');
  t.equal(metrics.body, 'milepost_up 1\n');
  t.match(metrics.headers['content-type'], /^text\/plain; version=0.0.4/);
  const stopping = await startTestPortal(t, {
    readiness: () => Promise.resolve({ ready: false, reasons: ['stopping'] }),
  });
  const answer = await stopping.app.inject('/readyz');
  t.equal(answer.statusCode, 503);
  t.same(answer.json(), { ready: false, reasons: ['stopping'] });
});

t.test('rates are limited by address, user and tenant', async (t) => {
  const limited = async (rateLimits: object, who: ('admin' | 'held' | null)[]) => {
    const own = await startTestPortal(t, { rateLimits });
    const statuses = [];
    for (const one of who) {
      const answer = one
        ? await own.as(one, { url: '/v1/units' })
        : { status: (await own.app.inject('/v1/units')).statusCode, headers: {} as object };
      statuses.push(answer.status);
      if (answer.status === 429) t.match(answer.headers, { 'retry-after': /^\d+$/ });
    }
    t.equal((await own.app.inject('/healthz')).statusCode, 200, 'health is never limited');
    return statuses;
  };
  t.same(await limited({ perAddressMax: 2 }, [null, 'admin', 'admin']), [401, 200, 429]);
  t.same(await limited({ perUserMax: 1 }, ['admin', 'admin', 'held']), [200, 429, 200]);
  t.same(await limited({ perTenantMax: 2 }, ['admin', 'held', 'held']), [200, 200, 429]);
});

t.test('an address is that of the connection, unless a proxy is believed', async (t) => {
  const ask = async (trustProxy: string[], forwarded: string[], remoteAddress = '127.0.0.1') => {
    const own = await startTestPortal(t, { rateLimits: { perAddressMax: 1 }, trustProxy });
    const statuses = [];
    for (const address of forwarded) {
      const headers = { 'x-forwarded-for': address };
      statuses.push((await own.app.inject({ url: '/nothing', headers, remoteAddress })).statusCode);
    }
    return statuses;
  };
  t.same(await ask([], ['1.1.1.1', '2.2.2.2']), [404, 429]);
  t.same(await ask(['127.0.0.1'], ['1.1.1.1', '2.2.2.2']), [404, 404]);
  t.same(await ask(['127.0.0.1'], ['2001:db8::1', '2001:db8::2']), [404, 429], 'one network');
});

t.test('what is not told is logged', async (t) => {
  const lines: { level: string; content: unknown }[] = [];
  const logger = (): FastifyBaseLogger => {
    const at = (level: string) => (content: unknown) => void lines.push({ level, content });
    return {
      level: 'info',
      silent: () => undefined,
      child: logger,
      ...Object.fromEntries(
        ['trace', 'debug', 'info', 'warn', 'error', 'fatal'].map((level) => [level, at(level)]),
      ),
    } as unknown as FastifyBaseLogger;
  };
  const own = await startTestPortal(t, {
    log: logger(),
    plugins: [
      (app) => {
        app.get('/test/fault', { config: { public: true } }, () => {
          throw new Error('the inside of the server');
        });
        return Promise.resolve();
      },
    ],
  });
  const served: unknown[] = lines.filter(({ level }) => level === 'error');
  t.same(served, []);
  t.equal((await own.app.inject('/test/fault')).statusCode, 500);
  const [failure] = lines.filter(({ level }) => level === 'error');
  t.match(failure, {
    content: { err: { message: 'the inside of the server', stack: /server.db.test/ } },
  });
  await own.as('admin', { url: '/v1/me' });
  t.notMatch(JSON.stringify(lines), /eyJ/, 'no token is logged');
});

t.test('headers that protect a browser', async (t) => {
  const { headers } = await app.inject('/healthz');
  t.match(headers, {
    'content-security-policy':
      /default-src 'none';script-src 'self';.*connect-src 'self' ws:\/\/127\.0\.0\.1:4001;/,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'x-frame-options': 'SAMEORIGIN',
    'strict-transport-security': /^max-age=\d{8}; includeSubDomains$/,
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'x-xss-protection': '0',
  });
  for (const url of ['/nothing', '/v1/me']) {
    const refused = await app.inject(url);
    t.match(refused.headers, { 'content-security-policy': /default-src 'none'/ }, url);
  }
  t.notMatch(headers['content-security-policy'], /unsafe|upgrade-insecure/);
  const cross = await app.inject({ url: '/healthz', headers: { origin: 'https://evil.test' } });
  t.equal(cross.headers['access-control-allow-origin'], undefined);
});

t.test('what takes too long is answered 503 and not done, with a body or without', async (t) => {
  const own = await startTestPortal(t, { httpLimits: { handlerMsMax: 200 } });
  const lock = await own.owner.connect();
  await lock.query('begin; lock table tag_lookup in access exclusive mode');
  const headers = { ...own.headersOf('admin'), 'content-type': 'application/json' };
  const body = JSON.stringify({ tag_name: 'late' });
  for (const init of [{ headers }, { headers, method: 'POST', body }]) {
    const answer = await fetch(`${own.url}/v1/tags`, init);
    t.match(
      { status: answer.status, body: await answer.json() },
      { status: 503, body: { code: 'unavailable', detail: 'it took too long' } },
    );
    t.match(answer.headers.get('retry-after'), /^\d+$/);
  }
  await lock.query('commit');
  lock.release();
  while (own.apiPool.idleCount < own.apiPool.totalCount) await new Promise(setImmediate);
  const { rows } = await own.owner.query('select tag_name from tag_lookup');
  t.same(rows, [], 'it was rolled back');
});

t.test('a half-sent request is closed', async (t) => {
  const httpLimits = { headersMsMax: 50, requestMsMax: 100, checkMs: 10 };
  const own = await startTestPortal(t, { httpLimits });
  t.equal(own.app.server.headersTimeout, 50);
  const { port } = own.app.server.address() as AddressInfo;
  t.equal(own.app.server.requestTimeout, 100);
  t.equal(own.app.server.keepAliveTimeout, 10_000);
  t.equal(own.app.server.timeout, 120_000);
  const answerTo = async (text: string) => {
    const socket = createConnection(port, '127.0.0.1').setEncoding('utf8');
    let answer = '';
    socket.on('data', (part: string) => (answer += part));
    socket.write(text);
    await once(socket, 'close');
    return answer;
  };
  const half = 'GET /healthz HTTP/1.1\r\nHost: x\r\n';
  t.match(await answerTo(half), /^HTTP\/1.1 408 .*"code":"request_timeout"/s);
  t.match(await answerTo('GET HTTP\r\n\r\n'), /^HTTP\/1.1 400 .*"code":"malformed_request"/s);
  const long = `${half}X: ${'x'.repeat(20_000)}\r\n\r\n`;
  t.match(await answerTo(long), /^HTTP\/1.1 431 .*"code":"headers_too_large"/s);
});

t.test('the web map', async (t) => {
  const webRoot = t.testdir({
    'index.html': '<!doctype html><title>map</title>',
    assets: { 'map.js': 'export {};' },
  });
  const own = await startTestPortal(t, { webRoot });
  t.match(await own.app.inject('/'), {
    statusCode: 200,
    headers: { 'content-type': /text\/html/ },
  });
  t.match(await own.app.inject('/assets/map.js'), {
    statusCode: 200,
    headers: { 'content-type': /javascript/ },
  });
  for (const url of [
    '/assets/none.js',
    '/../package.json',
    '/%2e%2e/package.json',
    '/assets/..%2f..%2fpackage.json',
  ]) {
    t.equal((await own.app.inject(url)).statusCode, 404, url);
  }
  t.match(await app.inject('/'), { statusCode: 404 }, 'no folder, no map');
});
