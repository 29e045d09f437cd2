import { createHash } from 'node:crypto';
import t from 'tap';
import { CANARY, startTestPortal } from '../test-portal.ts';

const portal = await startTestPortal(t, { rateLimits: { knockNamesPerTenantMax: 1_000 } });
const { owner } = portal;
const { mine, foreign } = portal.seed;

type Who = Parameters<typeof portal.as>[0];

const list = (who: Who = 'admin', query = '') =>
  portal.as(who, { url: `/v1/knocking-devices${query}` });
const lookUp = (protocol: string, name: string, who: Who = 'admin') =>
  portal.as(who, {
    url: '/v1/knocking-devices/lookup',
    query: { protocol, device_identifier: name },
  });
const claim = (payload: object, who: Who = 'admin') =>
  portal.as(who, { method: 'POST', url: '/v1/knocking-devices/claim', payload });

async function knock(name: string, protocol = 'mqtt', customerId: number | null = null) {
  await owner.query(
    `insert into knocking_device (customer_id, protocol, device_identifier, first_seen_at, last_seen_at, knock_count,
       last_payload, last_payload_bytes, remote_address)
     values ($1, $2, $3, '2026-01-02T03:04:05Z', '2026-01-02T03:05:00Z', 7, $4, 5000, '192.0.2.44')`,
    [customerId, protocol, name, Buffer.from('position')],
  );
}

const knocks = async (name: string): Promise<number> =>
  (await owner.query('select from knocking_device where device_identifier = $1', [name])).rowCount!;

t.test('the tenant sees what its own gateways vouch for, whole', async (t) => {
  await knock('mine-1', 'http', mine.customerId);
  await knock(`${CANARY}-1`, 'http', foreign.customerId);
  await knock('nobody-1', 'http');
  const { body } = await list();
  t.match(body.data[0], {
    device_identifier: 'mine-1',
    protocol: 'http',
    knock_count: 7,
    last_payload: Buffer.from('position').toString('base64'),
    last_payload_bytes: 5000,
    remote_address: '192.0.2.44',
    first_seen_at: '2026-01-02T03:04:05.000Z',
    last_seen_at: '2026-01-02T03:05:00.000Z',
  });
  t.same(
    body.data.map((row) => row.device_identifier),
    ['mine-1', 'acme-knock-2', 'acme-knock-1'],
  );
  t.equal((await list('foreign')).body.data.length, 3);
  t.same((await list('held')).body.data, []);
  t.same((await list('admin', '?protocol=mqtt')).body.data, []);
  const first = await list('admin', '?limit=2');
  const second = await list('admin', `?limit=2&cursor=${first.body.page.next_cursor}`);
  t.match(second.body, {
    data: [{ device_identifier: 'acme-knock-1' }],
    page: { has_more: false },
  });
});

t.test('what nobody vouches for is told to who names it, and not what it said', async (t) => {
  await knock('nobody-2', 'teltonika');
  const found = await lookUp('teltonika', 'nobody-2');
  t.equal(found.status, 200);
  t.same(found.body, {
    protocol: 'teltonika',
    device_identifier: 'nobody-2',
    knock_count: 7,
    first_seen_at: '2026-01-02T03:04:05.000Z',
    last_seen_at: '2026-01-02T03:05:00.000Z',
    vouched: false,
  });
  t.equal((await lookUp('teltonika', 'nobody-2', 'foreign')).status, 200);
  for (const [protocol, name] of [
    ['mqtt', 'nobody-2'],
    ['teltonika', 'nobody'],
    ['teltonika', 'nobody-_'],
    ['teltonika', '%'],
  ] as const) {
    t.equal((await lookUp(protocol, name)).status, 404, `${protocol} ${name}`);
  }
  t.match(await lookUp('http', 'acme-knock-1'), { status: 200, body: { vouched: true } });
  t.notMatch((await lookUp('http', 'acme-knock-1')).text, /payload|address/);
  t.equal((await lookUp('http', 'acme-knock-1', 'foreign')).status, 404, 'vouched for by others');
  t.equal((await lookUp('http', `${CANARY}-knock-1`)).status, 404);
});

t.test('a claim makes the device, its mount and its token, and forgets the knock', async (t) => {
  await knock('claim-1', 'mqtt');
  await knock('claim-1', 'http', foreign.customerId);
  const claimed = await claim({
    protocol: 'mqtt',
    device_identifier: 'claim-1',
    device_type: 'reefer',
    equipment_id: mine.equipmentIds[1],
  });
  t.match(claimed, {
    status: 201,
    headers: { 'cache-control': 'no-store', etag: '"1"' },
    body: {
      device_identifier: 'claim-1',
      device_type: 'reefer',
      equipment_id: mine.equipmentIds[1],
      sign_in_by_name: false,
      status: 'active',
    },
  });
  const { rows } = await owner.query(
    `select token_hash, customer_id from iot_device where device_identifier = 'claim-1'`,
  );
  const hash = createHash('sha256').update(claimed.body.token).digest();
  t.same(rows, [{ token_hash: hash, customer_id: mine.customerId }]);
  t.equal(await knocks('claim-1'), 0, 'whoever vouched');
  t.equal((await portal.as('admin', { url: String(claimed.headers['location']) })).status, 200);
  t.match(await claim({ protocol: 'mqtt', device_identifier: 'claim-1' }, 'foreign'), {
    status: 409,
    body: { code: 'conflict' },
  });
});

t.test('who has no secret signs in by name, and gets no token', async (t) => {
  const rows: [string, object, boolean, boolean][] = [
    ['teltonika', {}, true, false],
    ['teltonika', { sign_in_by_name: true }, true, false],
    ['osmand', {}, true, false],
    ['osmand', { sign_in_by_name: false }, false, true],
    ['http', {}, false, true],
    ['owntracks', {}, false, true],
    ['broker', {}, false, true],
    ['mqtt', { sign_in_by_name: true }, true, true],
  ];
  for (const [i, [protocol, more, byName, hasToken]] of rows.entries()) {
    const name = `way-${i}`;
    await knock(name, protocol);
    const answer = await claim({ protocol, device_identifier: name, ...more });
    t.match(answer, { status: 201, body: { sign_in_by_name: byName } }, protocol);
    t.equal(answer.body.token !== null, hasToken, `${protocol} ${JSON.stringify(more)}`);
  }
  await knock('way-x', 'teltonika');
  const refused = { protocol: 'teltonika', device_identifier: 'way-x', sign_in_by_name: false };
  t.match(await claim(refused), {
    status: 422,
    body: { errors: [{ pointer: '/sign_in_by_name' }] },
  });
  t.equal(await knocks('way-x'), 1);
});

t.test('what does not knock, or knocks elsewhere, cannot be claimed', async (t) => {
  const registered = async (name: string) =>
    (await owner.query('select from iot_device where device_identifier = $1', [name])).rowCount;
  const missing = await claim({ protocol: 'mqtt', device_identifier: 'nowhere' });
  t.match(missing, { status: 404, body: { code: 'not_found' } });
  t.equal(await registered('nowhere'), 0, 'and nothing is left of the attempt');
  const theirs = `${CANARY}-knock-1`;
  t.equal((await claim({ protocol: 'http', device_identifier: theirs })).status, 404);
  t.equal(await knocks(theirs), 1);
  await knock('other wire', 'http');
  t.equal((await claim({ protocol: 'http', device_identifier: 'other wire' })).status, 400);
  const equipment_id = foreign.equipmentIds[0];
  await knock('claim-2');
  t.match(await claim({ protocol: 'mqtt', device_identifier: 'claim-2', equipment_id }), {
    status: 422,
    body: { errors: [{ pointer: '/equipment_id' }] },
  });
  t.equal(await knocks('claim-2'), 1, 'the knock stays');
});

t.test('whoever is held to accounts claims for a unit of theirs', async (t) => {
  await knock('claim-3');
  const body = { protocol: 'mqtt', device_identifier: 'claim-3' };
  t.equal((await claim(body, 'held')).status, 403);
  t.equal((await claim({ ...body, equipment_id: mine.equipmentIds[1] }, 'held')).status, 422);
  t.equal((await claim({ ...body, equipment_id: mine.equipmentIds[0] }, 'held')).status, 201);
});

t.test('of many claims at once one wins', async (t) => {
  await knock('claim-4');
  const body = { protocol: 'mqtt', device_identifier: 'claim-4' };
  const answers = await Promise.all(
    (['admin', 'foreign', 'admin', 'foreign'] as const).map((who) => claim(body, who)),
  );
  t.same(answers.map(({ status }) => status).sort(), [201, 409, 409, 409]);
});

t.test('a claim that is sent again under its key does not tell the token again', async (t) => {
  await knock('claim-5');
  const again = () =>
    portal.as('admin', {
      method: 'POST',
      url: '/v1/knocking-devices/claim',
      payload: { protocol: 'mqtt', device_identifier: 'claim-5' },
      headers: { 'idempotency-key': 'claim' },
    });
  const first = await again();
  t.match(first, { status: 201, headers: { etag: '"1"' }, body: { token: String } });
  t.match(await again(), {
    status: 201,
    headers: { 'idempotency-replayed': 'true', location: first.headers['location'] },
    body: { ...first.body, token: null },
  });
  const { rows } = await owner.query(
    `select from idempotency_key where response_body::text like '%' || $1 || '%'`,
    [first.body['token']],
  );
  t.same(rows, [], 'nor is it kept');
});

t.test('trying names is limited by tenant; what is vouched for is not', async (t) => {
  const own = await startTestPortal(t, { rateLimits: { knockNamesPerTenantMax: 2 } });
  const ask = (who: Who, name: string) =>
    own.as(who, {
      url: '/v1/knocking-devices/lookup',
      query: { protocol: 'http', device_identifier: name },
    });
  const take = (who: Who, device_identifier: string) =>
    own.as(who, {
      method: 'POST',
      url: '/v1/knocking-devices/claim',
      payload: { protocol: 'http', device_identifier },
    });
  t.equal((await ask('admin', 'a')).status, 404);
  t.equal((await take('admin', 'a')).status, 404);
  t.match(await ask('admin', 'b'), { status: 429, headers: { 'retry-after': /\d/ } });
  t.equal((await take('admin', 'b')).status, 429);
  t.equal((await ask('held', 'b')).status, 429, 'the whole tenant');
  t.equal((await ask('foreign', 'b')).status, 404);
  t.equal((await take('admin', 'acme-knock-1')).status, 201);
});
