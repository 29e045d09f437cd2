import { createHash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { startTestPortal, type TestRow } from '../test-portal.ts';
import { COMMAND_BYTES_MAX, COMMANDS_KEPT_PER_DEVICE_MAX } from './commands.ts';

const portal = await startTestPortal(t, {
  quotas: { devicesPerTenantMax: 25, gatewayTokensPerTenantMax: 3, openCommandsPerDeviceMax: 4 },
});
const { seed, owner } = portal;
const { mine, foreign } = seed;

type Who = Parameters<typeof portal.as>[0];
type Headers = Record<string, string>;

const get = (url: string, who: Who = 'admin') => portal.as(who, { url });
const send = (method: 'POST' | 'PUT' | 'PATCH' | 'DELETE') => {
  return (url: string, payload?: object, who: Who = 'admin', headers: Headers = {}) =>
    portal.as(who, {
      method,
      url,
      headers: { 'if-match': '*', ...headers },
      ...(payload && { payload }),
    });
};
const [post, put, patch, remove] = [send('POST'), send('PUT'), send('PATCH'), send('DELETE')];
const refusal = (status: number, pointer: string) => ({
  status,
  body: { status, errors: [{ in: 'body', pointer }] },
});

async function hashesOf(
  deviceName: string,
): Promise<{ now: string | null; before: string | null }> {
  const { rows } = await owner.query<{ now: string | null; before: string | null }>(
    `select encode(token_hash, 'hex') as now, encode(previous_token_hash, 'hex') as before
     from iot_device where device_identifier = $1`,
    [deviceName],
  );
  return rows[0]!;
}

const digest = (token: string) => createHash('sha256').update(token).digest('hex');
async function unregister(name: string): Promise<void> {
  await owner.query(
    `delete from equipment_has_iot_device h using iot_device d
     where d.iot_device_id = h.iot_device_id and d.device_identifier like $1`,
    [name],
  );
  await owner.query('delete from iot_device where device_identifier like $1', [name]);
}

t.test('a device from registering to being off its unit', async (t) => {
  const made = await post('/v1/iot-devices', {
    device_identifier: 'imei-1',
    equipment_id: mine.equipmentIds[0],
  });
  t.match(made, {
    status: 201,
    headers: { etag: '"1"' },
    body: {
      device_identifier: 'imei-1',
      device_type: 'tracker',
      status: 'active',
      sign_in_by_name: false,
      equipment_id: mine.equipmentIds[0],
      token_changed_at: null,
      previous_token_until: null,
    },
  });
  const url = String(made.headers['location']);
  t.equal(url, `/v1/iot-devices/${made.body.iot_device_id}`);
  t.same((await get(url)).body, made.body);
  t.match(await portal.as('admin', { url, headers: { 'if-none-match': '"1"' } }), { status: 304 });
  t.match(await get('/v1/iot-devices?filter[device_identifier]=imei-1'), {
    body: { data: [made.body], page: { has_more: false } },
  });
  const onUnit = await get(`/v1/iot-devices?filter[equipment_id]=${mine.equipmentIds[0]}`);
  t.equal(onUnit.body.data.length, 2);

  t.match(await patch(url, {}), { status: 200, body: { version: 1 } }, 'nothing changes nothing');
  const changed = await patch(url, { sign_in_by_name: true, device_type: 'FMB920' }, 'admin', {
    'if-match': '"1"',
  });
  t.match(changed, {
    status: 200,
    headers: { etag: '"2"' },
    body: { sign_in_by_name: true, device_type: 'FMB920', status: 'active' },
  });
  t.match(await patch(url, { status: 'disabled' }, 'admin', { 'if-match': '"1"' }), {
    status: 412,
    headers: { etag: '"2"' },
  });
  t.match(await patch(url, { status: 'disabled' }), { body: { status: 'disabled', version: 3 } });
  t.equal((await get('/v1/iot-devices?filter[status]=disabled')).body.data.length, 1);
  for (const body of [
    { status: 'gone' },
    { token_hash: 'x' },
    { device_identifier: 'other' },
    { customer_id: 1 },
    { device_type: null },
  ]) {
    t.match(await patch(url, body), refusal(400, `/${Object.keys(body)[0]}`));
  }

  const mount = (equipment_id: number | null, headers: Headers = {}) =>
    put(`${url}/equipment`, { equipment_id }, 'admin', headers);
  t.match(await mount(mine.equipmentIds[0]), { status: 200, body: { version: 3 } }, 'it is there');
  t.match(await mount(mine.equipmentIds[1], { 'if-match': '"3"' }), {
    status: 200,
    headers: { etag: '"4"' },
    body: { equipment_id: mine.equipmentIds[1] },
  });
  t.match(await mount(null, { 'if-match': '"3"' }), { status: 412 });
  t.match(await mount(mine.equipmentIds[0]), { body: { equipment_id: mine.equipmentIds[0] } });
  t.match(await mount(null), { body: { equipment_id: null, version: 6 } });
  t.match(await mount(null), { body: { version: 6 } });
  t.match(await mount(foreign.equipmentIds[0]), refusal(422, '/equipment_id'));
  t.match(await mount(987_654), refusal(422, '/equipment_id'));
  const { rows } = await owner.query(
    `select equipment_id, removed_at is null as now from equipment_has_iot_device
     where iot_device_id = $1 order by equipment_id`,
    [made.body.iot_device_id],
  );
  t.same(
    rows,
    mine.equipmentIds.slice(0, 2).map((equipment_id) => ({ equipment_id, now: false })),
    'one mount for each unit it was ever on',
  );
  await unregister('imei-1');
});

t.test('of two changes at once with one version, one wins', async (t) => {
  const { body } = await post('/v1/iot-devices', { device_identifier: 'imei-4' });
  const url = `/v1/iot-devices/${body.iot_device_id}`;
  const headers = { 'if-match': '"1"' };
  const change = (device_type: string) => patch(url, { device_type }, 'admin', headers);
  // Held up until all three are there.
  const holder = await owner.connect();
  await holder.query(`begin; select from iot_device where device_identifier = 'imei-4' for update`);
  const changes = Promise.all([change('a'), change('b'), change('c')]);
  const areThere = async () => {
    const { rowCount } = await owner.query(
      `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
    );
    return rowCount === 3;
  };
  while (!(await areThere()));
  await holder.query('commit');
  holder.release();
  const answers = await changes;
  t.same(answers.map(({ status }) => status).sort(), [200, 412, 412]);
  await unregister('imei-4');
});

t.test('a name is registered once in the world, and it is not told by whom', async (t) => {
  const name = 'imei-taken';
  t.equal((await post('/v1/iot-devices', { device_identifier: name }, 'foreign')).status, 201);
  const own = await post('/v1/iot-devices', { device_identifier: 'acme-acme-0' });
  const other = await post('/v1/iot-devices', { device_identifier: name });
  t.match(own, refusal(409, '/device_identifier'));
  t.equal(
    other.text.replace(/"requestId":"[^"]*"/, ''),
    own.text.replace(/"requestId":"[^"]*"/, ''),
  );
  const claim = (device_identifier: string) =>
    post('/v1/knocking-devices/claim', { protocol: 'mqtt', device_identifier });
  t.match(await claim(name), { status: 409 });
  t.match(await claim('acme-acme-0'), { status: 409 });
  await unregister(name);
});

t.test('registrations that are refused', async (t) => {
  const base = { device_identifier: 'imei-bad' };
  const rows: [object, number, string][] = [
    [{}, 400, '/device_identifier'],
    [{ device_identifier: '' }, 400, '/device_identifier'],
    [{ device_identifier: 'a b' }, 400, '/device_identifier'],
    [{ device_identifier: 'x'.repeat(65) }, 400, '/device_identifier'],
    [{ ...base, customer_id: foreign.customerId }, 400, '/customer_id'],
    [{ ...base, token_hash: 'x' }, 400, '/token_hash'],
    [{ ...base, device_type: '' }, 400, '/device_type'],
    [{ ...base, equipment_id: foreign.equipmentIds[0] }, 422, '/equipment_id'],
    [{ ...base, iot_device_vendor_lookup_id: 999 }, 422, '/iot_device_vendor_lookup_id'],
  ];
  for (const [body, status, pointer] of rows) {
    t.match(await post('/v1/iot-devices', body), refusal(status, pointer), JSON.stringify(body));
  }
  const left = await owner.query(`select from iot_device where device_identifier = 'imei-bad'`);
  t.equal(left.rowCount, 0);
});

t.test('tokens: shown once, kept as hashes, the one before held over', async (t) => {
  const { body: device } = await post('/v1/iot-devices', { device_identifier: 'imei-2' });
  const url = `/v1/iot-devices/${device.iot_device_id}/token`;
  const rotate = async (body: object) => {
    const answer = await post(url, body);
    t.equal(answer.status, 200);
    t.equal(answer.headers['cache-control'], 'no-store');
    t.match(answer.body.token, /^[A-Za-z0-9_-]{43}$/);
    return answer.body as unknown as TestRow & {
      previous_token_until: string | null;
      token_changed_at: string;
    };
  };
  const first = await rotate({});
  t.equal(first.previous_token_until, null, 'there was none before');
  t.ok(first.token_changed_at);
  t.same(await hashesOf('imei-2'), { now: digest(first.token), before: null });
  const second = await rotate({});
  t.not(second.token, first.token);
  t.same(await hashesOf('imei-2'), { now: digest(second.token), before: digest(first.token) });
  const untilMs = Date.parse(second.previous_token_until!);
  t.ok(untilMs > Date.now() + 3_590_000 && untilMs < Date.now() + 3_610_000, 'an hour');
  const third = await rotate({ overlap_s: 0 });
  t.equal(third.previous_token_until, null);
  t.same(await hashesOf('imei-2'), { now: digest(third.token), before: null });
  const shown = await get(`/v1/iot-devices/${device.iot_device_id}`);
  t.notMatch(shown.text, /hash|"token"/);
  for (const overlap_s of [-1, 604_801, 1.5, '1', null]) {
    t.match(await post(url, { overlap_s }), refusal(400, '/overlap_s'));
  }
  await rotate({ overlap_s: 604_800 });
  t.match(await remove(url), { status: 204 });
  t.same(await hashesOf('imei-2'), { now: null, before: null });
  t.match(await get(`/v1/iot-devices/${device.iot_device_id}`), {
    body: { token_changed_at: null, previous_token_until: null },
  });
  await owner.query(
    `update iot_device set token_hash = sha256('a'), previous_token_until = null where device_identifier = 'imei-2'`,
  );
  await owner.query(
    `update iot_device set token_hash = sha256('b'), previous_token_until = now() - interval '1 second'
     where device_identifier = 'imei-2'`,
  );
  t.match(
    await get(`/v1/iot-devices/${device.iot_device_id}`),
    { body: { previous_token_until: null } },
    'what is over is not shown',
  );
  await unregister('imei-2');
});

t.test('whoever is held to accounts keeps to devices of their units', async (t) => {
  const [own, other, common] = mine.iotDeviceIds;
  const { body: shelf } = await post('/v1/iot-devices', { device_identifier: 'on-the-shelf' });
  t.equal((await get(`/v1/iot-devices/${own}`, 'held')).status, 200);
  t.equal((await get(`/v1/iot-devices/${other}`, 'held')).status, 404);
  t.equal((await get(`/v1/iot-devices/${common}`, 'held')).status, 200);
  t.equal((await get(`/v1/iot-devices/${shelf.iot_device_id}`, 'held')).status, 200);
  const ids = (await get('/v1/iot-devices', 'held')).body.data.map((row) => row.iot_device_id);
  t.same(ids, [own, common, shelf.iot_device_id]);
  const writes: [string, (id: number) => ReturnType<typeof get>][] = [
    ['patch', (id) => patch(`/v1/iot-devices/${id}`, { device_type: 'x' }, 'held')],
    ['token', (id) => post(`/v1/iot-devices/${id}/token`, {}, 'held')],
    ['no token', (id) => remove(`/v1/iot-devices/${id}/token`, undefined, 'held')],
    ['command', (id) => post(`/v1/iot-devices/${id}/commands`, { payload: 'x' }, 'held')],
    [
      'mount',
      (id) =>
        put(`/v1/iot-devices/${id}/equipment`, { equipment_id: mine.equipmentIds[0] }, 'held'),
    ],
  ];
  for (const [name, write] of writes) {
    t.ok((await write(own)).status < 300, `${name}: own`);
    t.equal((await write(other)).status, 404, `${name}: of another account`);
    t.equal((await write(common)).status, 403, `${name}: of the whole customer`);
    t.equal((await write(shelf.iot_device_id)).status, 403, `${name}: on the shelf`);
  }
  const mount = (equipment_id: number | null) =>
    put(`/v1/iot-devices/${own}/equipment`, { equipment_id }, 'held');
  t.match(await mount(null), refusal(403, '/equipment_id'));
  t.match(await mount(mine.equipmentIds[1]), refusal(422, '/equipment_id'));
  t.match(await mount(mine.equipmentIds[2]), refusal(403, '/equipment_id'));
  const register = (more: object) =>
    post('/v1/iot-devices', { device_identifier: 'held-1', ...more }, 'held');
  t.match(await register({}), refusal(403, '/equipment_id'));
  t.match(await register({ equipment_id: mine.equipmentIds[2] }), refusal(403, '/equipment_id'));
  t.match(await register({ equipment_id: mine.equipmentIds[0] }), { status: 201 });

  for (const id of [own, common]) {
    t.equal((await get(`/v1/iot-devices/${id}/events`, 'held')).body.data.length, 1);
  }
  t.equal((await get(`/v1/iot-devices/${other}/events`, 'held')).status, 404);
  t.equal((await get(`/v1/iot-devices/${other}/commands`, 'held')).status, 404);
  t.equal((await get('/v1/device-events', 'held')).body.data.length, 2);
  const theirs = `/v1/iot-devices/${other}/commands/${mine.commandIds[1]}`;
  t.equal((await remove(theirs, undefined, 'held')).status, 404);
  t.match(await post('/v1/gateway-tokens', { name: 'held' }, 'held'), { status: 403 });
  const gateway = `/v1/gateway-tokens/${mine.gatewayTokenId}`;
  t.match(await patch(gateway, { status: 'disabled' }, 'held'), { status: 403 });
  t.match(await post(`${gateway}/token`, {}, 'held'), { status: 403 });
  t.match(await get(gateway, 'held'), { status: 200, body: { version: 1 } });
  await unregister('on-the-shelf');
  await unregister('held-1');
});

t.test('commands are queued, listed, cancelled', async (t) => {
  const { body: device } = await post('/v1/iot-devices', { device_identifier: 'imei-3' });
  const url = `/v1/iot-devices/${device.iot_device_id}/commands`;
  const made = await post(url, { payload: 'größer', expires_in_s: 60 });
  t.match(made, { status: 201, body: { payload: 'größer', status: 'queued', sent_at: null } });
  const { rows } = await owner.query<{ s: number }>(
    `select extract(epoch from expires_at - created_at)::int as s from iot_device_command
     where iot_device_command_id = $1 and created_by = (select user_id from "user" where email = 'admin@acme.test')`,
    [made.body.iot_device_command_id],
  );
  t.same(rows, [{ s: 60 }]);
  const rest = [];
  for (const payload of ['b', 'c', 'd']) rest.push((await post(url, { payload })).body);
  t.match(await post(url, { payload: 'one too many' }), { status: 409, body: { detail: /4/ } });
  t.same(
    (await get(`${url}?limit=3`)).body.data.map((row) => row.iot_device_command_id),
    rest.map((row) => row.iot_device_command_id).reverse(),
  );
  const { body: page } = await get(`${url}?limit=3`);
  const next = await get(`${url}?limit=3&cursor=${page.page.next_cursor}`);
  t.match(next.body, { data: [made.body], page: { has_more: false } });

  const one = `${url}/${rest[0]!.iot_device_command_id}`;
  t.equal((await remove(one)).status, 204);
  t.equal((await remove(one)).status, 204, 'again is the same');
  t.match((await get(`${url}?status=cancelled`)).body.data, [{ payload: 'b' }]);
  await owner.query(
    `update iot_device_command set status = 'sent' where iot_device_command_id = $1`,
    [rest[1]!.iot_device_command_id],
  );
  const sent = `${url}/${rest[1]!.iot_device_command_id}`;
  t.match(await remove(sent), { status: 409, body: { detail: 'it is sent already' } });
  const elsewhere = `/v1/iot-devices/${mine.iotDeviceIds[0]}/commands`;
  t.equal((await remove(`${elsewhere}/${rest[2]!.iot_device_command_id}`)).status, 404);
  t.equal((await remove(`${url}/987654`)).status, 404);

  t.match(await post(url, { payload: 'x'.repeat(COMMAND_BYTES_MAX) }), { status: 201 });
  for (const [payload, status] of [
    ['', 400],
    ['x'.repeat(COMMAND_BYTES_MAX + 1), 400],
    ['ü'.repeat(COMMAND_BYTES_MAX / 2 + 1), 422],
    ['a\u0000', 400],
    [1, 400],
  ] as const) {
    t.match(await post(url, { payload }), refusal(status, '/payload'));
  }
  for (const expires_in_s of [0, 2_592_001, 'x']) {
    t.match(await post(url, { payload: 'a', expires_in_s }), refusal(400, '/expires_in_s'));
  }

  await owner.query(
    `update iot_device_command set status = 'delivered' where iot_device_id = $1 or iot_device_command_id = $2`,
    [device.iot_device_id, mine.commandIds[0]],
  );
  await owner.query(
    `insert into iot_device_command (customer_id, iot_device_id, payload, status, expires_at)
     select $1, $2, n::text, 'delivered', now() from generate_series(1, 150) n`,
    [mine.customerId, device.iot_device_id],
  );
  await post(url, { payload: 'newest' });
  const kept = (await get(`${url}?limit=500`)).body.data;
  t.equal(kept.length, COMMANDS_KEPT_PER_DEVICE_MAX + 1, 'old ones make room');
  t.match(kept[0], { payload: 'newest' });
  t.match(kept.at(-1), { payload: '51' });
  t.equal((await get(elsewhere)).body.data.length, 2, 'and those of others stay');
  await unregister('imei-3');
});

t.test('a command that is sent again under its key is queued once', async (t) => {
  const url = `/v1/iot-devices/${mine.iotDeviceIds[0]}/commands`;
  const headers = { 'idempotency-key': 'command' };
  const first = await post(url, { payload: 'once' }, 'admin', headers);
  const again = await post(url, { payload: 'once' }, 'admin', headers);
  t.match(again, { status: 201, headers: { 'idempotency-replayed': 'true' } });
  t.same(again.body, first.body);
  const { rows } = await owner.query(`select from iot_device_command where payload = 'once'`);
  t.equal(rows.length, 1);
  t.match(await post(url, { payload: 'other' }, 'admin', headers), { status: 422 });
  await remove(`${url}/${first.body['iot_device_command_id']}`);
});

t.test('events of devices', async (t) => {
  const [first] = mine.iotDeviceIds;
  const url = `/v1/iot-devices/${first}/events`;
  t.match((await get(url)).body.data, [
    {
      iot_device_id: first,
      equipment_id: mine.equipmentIds[0],
      event_kind: 'region_enter',
      latitude: 50,
      detail: { desc: 'acme' },
    },
  ]);
  await owner.query(
    `insert into iot_device_event (event_key, customer_id, iot_device_id, event_kind, recorded_at, received_at)
     select gen_random_uuid(), $1, $2, 'disconnected', now(), now() from generate_series(1, 5)`,
    [mine.customerId, first],
  );
  const ids: number[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const { body } = await get(`${url}?limit=2${cursor && `&cursor=${cursor}`}`);
    ids.push(...body.data.map((row) => row.iot_device_event_id));
    cursor = body.page.next_cursor;
  }
  t.equal(ids.length, 6);
  t.same(
    ids,
    [...ids].sort((a, b) => b - a),
    'newest first, each once',
  );
  const count = async (query: string) => (await get(`/v1/device-events?${query}`)).body.data.length;
  t.equal(await count('event_kind=disconnected'), 5);
  t.equal(await count(`iot_device_id=${first}`), 6);
  t.equal(await count(`equipment_id=${mine.equipmentIds[1]}`), 1);
  t.equal(await count(`iot_device_id=${foreign.iotDeviceIds[0]}`), 0);
  t.equal((await get(`${url}?event_kind=region_enter`)).body.data.length, 1);
  const { body } = await get(`${url}?limit=1`);
  const other = `/v1/iot-devices/${mine.iotDeviceIds[1]}/events`;
  t.equal((await get(`${other}?cursor=${body.page.next_cursor}`)).status, 400);
});

t.test('gateway tokens', async (t) => {
  const made = await post('/v1/gateway-tokens', {
    name: 'Depot',
    iot_device_ids: [mine.iotDeviceIds[0]],
  });
  t.match(made, {
    status: 201,
    headers: { 'cache-control': 'no-store', etag: '"1"' },
    body: { name: 'Depot', status: 'active', iot_device_ids: [mine.iotDeviceIds[0]] },
  });
  t.match(made.body.token, /^[A-Za-z0-9_-]{43}$/);
  const id = made.body.gateway_token_id;
  const url = `/v1/gateway-tokens/${id}`;
  t.equal(made.headers['location'], url);
  const hash = async () => {
    const { rows } = await owner.query<{ hash: string }>(
      `select encode(token_hash, 'hex') as hash from gateway_token where gateway_token_id = $1`,
      [id],
    );
    return rows[0]!.hash;
  };
  t.equal(await hash(), digest(made.body.token));
  t.notMatch((await get(url)).text + (await get('/v1/gateway-tokens')).text, /hash|"token"/);
  const rotated = await post(`${url}/token`, {});
  t.match(rotated, { status: 200, headers: { etag: '"2"', 'cache-control': 'no-store' } });
  t.not(rotated.body.token, made.body.token);
  t.equal(await hash(), digest(rotated.body.token));
  t.match(await patch(url, { status: 'disabled' }, 'admin', { 'if-match': '"1"' }), {
    status: 412,
  });
  t.match(await patch(url, { status: 'disabled', iot_device_ids: null }), {
    status: 200,
    body: { status: 'disabled', iot_device_ids: null, version: 3 },
  });
  t.equal((await get('/v1/gateway-tokens?filter[status]=disabled')).body.data.length, 1);
  const theirs = [mine.iotDeviceIds[0], foreign.iotDeviceIds[0]];
  t.match(await patch(url, { iot_device_ids: theirs }), refusal(422, '/iot_device_ids/1'));
  t.match(
    await post('/v1/gateway-tokens', { name: 'x', iot_device_ids: theirs }),
    refusal(422, '/iot_device_ids/1'),
  );
  t.match(await post('/v1/gateway-tokens', { name: 'third' }), { status: 201 });
  t.match(await post('/v1/gateway-tokens', { name: 'fourth' }), { status: 409 });
  t.match(await post('/v1/gateway-tokens', { name: 'theirs' }, 'foreign'), { status: 201 });
  t.equal((await portal.as('admin', { method: 'DELETE', url })).status, 428);
  t.equal((await remove(url, undefined, 'held')).status, 403);
  t.equal((await remove(url)).status, 204);
  t.equal((await get(url)).status, 404);
});

t.test('a request for a token that is repeated does not tell it again', async (t) => {
  const keep = { 'idempotency-key': 'gateway-once' };
  const ask = (name: string) => post('/v1/gateway-tokens', { name }, 'admin', keep);
  const first = await ask('Once');
  t.match(first, { status: 201, body: { token: /^[A-Za-z0-9_-]{43}$/ } });
  const second = await ask('Once');
  t.match(second, {
    status: 201,
    headers: { 'idempotency-replayed': 'true', location: first.headers['location'] },
    body: { ...first.body, token: null },
  });
  t.match(await ask('Other'), { status: 422 });
  const url = String(first.headers['location']);
  await remove(url);

  const many = (body: object) =>
    post('/v1/gateway-tokens/bulk', body, 'admin', { 'idempotency-key': 'gateways-once' });
  const body = {
    items: [{ name: 'One' }, { name: 'Two', iot_device_ids: [foreign.iotDeviceIds[0]] }],
  };
  const made = await many(body);
  t.match(made, { status: 200, headers: { 'cache-control': 'no-store' } });
  type Results = { results: { id: number; token?: string }[] };
  const { results } = made.body as unknown as Results;
  t.match(results, [
    { status: 201, token: /^[A-Za-z0-9_-]{43}$/ },
    { status: 422, errors: [{ pointer: '/items/1/iot_device_ids/0' }] },
  ]);
  const repeated = (await many(body)).body as unknown as Results;
  t.equal(repeated.results[0]!.id, results[0]!.id);
  t.notOk('token' in repeated.results[0]!);

  const { rows } = await owner.query<{ kept: string }>(
    `select string_agg(k::text, ' ') as kept from idempotency_key k`,
  );
  const trail = await owner.query<{ kept: string }>(
    `select string_agg(f::text, ' ') as kept from activity_feed f where entity_type = 'gateway_token'`,
  );
  const kept = rows[0]!.kept + trail.rows[0]!.kept;
  t.match(kept, /Once/);
  for (const token of [first.body.token, results[0]!.token!]) {
    t.notOk(kept.includes(token), 'it is nowhere in the database');
    t.notOk(kept.includes(digest(token)), 'nor is its hash where others read it');
  }
  await remove(`/v1/gateway-tokens/${results[0]!.id}`);
});

t.test('a device that was never mounted can be deleted, and no other', async (t) => {
  const { body } = await post('/v1/iot-devices', { device_identifier: 'imei-mistyped' });
  const url = `/v1/iot-devices/${body.iot_device_id}`;
  await post(`${url}/commands`, { payload: 'x' });
  t.equal((await portal.as('admin', { method: 'DELETE', url })).status, 428);
  t.equal((await remove(url, undefined, 'held')).status, 403, 'the shelf is not theirs');
  t.equal((await remove(url)).status, 204);
  t.equal((await get(url)).status, 404);
  const again = await post('/v1/iot-devices', { device_identifier: 'imei-mistyped' }, 'foreign');
  t.equal(again.status, 201, 'its name is free');
  t.match(await remove(`/v1/iot-devices/${mine.iotDeviceIds[0]}`), {
    status: 409,
    body: { detail: /refers to it/ },
  });
  await unregister('imei-mistyped');
});

t.test(
  'a retired device is off its unit and has no token, until it is in service again',
  async (t) => {
    const equipment_id = mine.equipmentIds[0];
    const made = await post('/v1/iot-devices', { device_identifier: 'imei-retired', equipment_id });
    const url = `/v1/iot-devices/${made.body.iot_device_id}`;
    t.equal((await post(`${url}/token`, {})).status, 200);
    const retired = await patch(url, { status: 'retired' });
    t.match(retired, { status: 200, body: { status: 'retired', equipment_id: null } });
    t.match(await hashesOf('imei-retired'), { now: null });
    t.match(await put(`${url}/equipment`, { equipment_id }), {
      status: 409,
      body: { detail: /retired/ },
    });
    t.match(await post(`${url}/token`, {}), { status: 409, body: { detail: /retired/ } });
    const body = { status: 'active', equipment_id: null };
    t.match(await patch(url, { status: 'active' }), { status: 200, body });
    t.match(await hashesOf('imei-retired'), { now: null }, 'its token does not come back');
    t.equal((await put(`${url}/equipment`, { equipment_id })).status, 200);
    await unregister('imei-retired');
    const mounted = { device_identifier: 'imei-retired', status: 'retired', equipment_id };
    t.match(await post('/v1/iot-devices', mounted), refusal(422, '/equipment_id'));
  },
);

t.test('devices by the unit they are on, in their order and alone', async (t) => {
  const [first, second, third] = mine.iotDeviceIds;
  const ids = async (query: string) =>
    (await get(`/v1/iot-devices?${query}`)).body.data.map((row) => row.iot_device_id);
  const { body } = await post('/v1/iot-devices', { device_identifier: 'imei-shelf' });
  const shelf = body.iot_device_id;
  t.same(await ids('sort=-equipment_id'), [shelf, third, second, first]);
  t.same(await ids('filter[equipment_id][isnull]=true'), [shelf]);
  const some = `filter[equipment_id][in]=${mine.equipmentIds.slice(0, 2).join()}`;
  t.same(await ids(`${some}&sort=equipment_id`), [first, second]);
  const pages: unknown[] = [];
  let cursor = '';
  for (let count = 0; count < 4; count++) {
    const page = await get(`/v1/iot-devices?sort=equipment_id&limit=1${cursor}`);
    pages.push(page.body.data[0]!.iot_device_id);
    cursor = `&cursor=${page.body.page.next_cursor}`;
  }
  t.same(pages, [first, second, third, shelf], 'page by page');
  await unregister('imei-shelf');
});

t.test('many devices at once, each answered for itself', async (t) => {
  const items = [
    { device_identifier: 'bulk-1', equipment_id: mine.equipmentIds[0] },
    { device_identifier: 'acme-acme-0' },
    { device_identifier: 'bulk-2', equipment_id: foreign.equipmentIds[0] },
    { device_identifier: 'bulk 3' },
    { device_identifier: 'bulk-4' },
  ];
  const answer = await post('/v1/iot-devices/bulk', { items });
  t.match(answer.body, {
    created: 2,
    results: [
      { status: 201 },
      { status: 409, errors: [{ pointer: '/items/1/device_identifier' }] },
      { status: 422, errors: [{ pointer: '/items/2/equipment_id' }] },
      { status: 400, errors: [{ pointer: '/items/3/device_identifier' }] },
      { status: 201 },
    ],
  });
  const { results } = answer.body as unknown as { results: { id: number }[] };
  t.match((await get(`/v1/iot-devices/${results[0]!.id}`)).body, {
    equipment_id: mine.equipmentIds[0],
    version: 1,
  });
  await unregister('bulk-%');
});

t.test('a tenant may have so many devices', async (t) => {
  const statuses = [];
  for (let n = 0; n < 24; n++) {
    const { status } = await post('/v1/iot-devices', { device_identifier: `many-${n}` });
    statuses.push(status);
  }
  t.same(statuses.filter((status) => status === 201).length, 22);
  t.same(statuses.slice(22), [409, 409]);
  await unregister('many-%');
});

t.test('registering is limited by tenant', async (t) => {
  const own = await startTestPortal(t, { rateLimits: { registrationsPerTenantMax: 2 } });
  const register = (who: Who, device_identifier: string) =>
    own.as(who, { method: 'POST', url: '/v1/iot-devices', payload: { device_identifier } });
  t.equal((await register('admin', 'a')).status, 201);
  t.equal((await register('admin', 'a2')).status, 201);
  t.match(await register('admin', 'b'), { status: 429, headers: { 'retry-after': /\d/ } });
  t.equal((await register('foreign', 'c')).status, 201);
  const repeated = {
    method: 'POST',
    url: '/v1/iot-devices',
    payload: { device_identifier: 'f' },
  } as const;
  const headers = { 'idempotency-key': 'once' };
  t.match(await own.as('foreign', { ...repeated, headers }), { status: 201 });
  t.match(
    await own.as('foreign', { ...repeated, headers }),
    { status: 201 },
    'a repeat counts nothing',
  );
  const items = [{ device_identifier: 'd' }, { device_identifier: 'e' }];
  const url = '/v1/iot-devices/bulk';
  const bulk = await own.as('foreign', { method: 'POST', url, payload: { items } });
  t.equal(bulk.status, 429, 'each of many counts');
});

t.test('no body makes the server fail', async (t) => {
  const seedNumber = Number(process.env['FC_SEED'] ?? Date.now() % 1e9);
  t.comment(`seed ${seedNumber}`);
  const id = mine.iotDeviceIds[1];
  const fields = {
    device_identifier: 'fuzz',
    device_type: 'x',
    status: 'active',
    sign_in_by_name: true,
    equipment_id: mine.equipmentIds[0],
    iot_device_vendor_lookup_id: 1,
    overlap_s: 5,
    payload: 'x',
    expires_in_s: 60,
    name: 'x',
    iot_device_ids: [id],
    protocol: 'mqtt',
  };
  const value = fc.oneof(
    fc.constantFrom('x\u0000', '__proto__', '\ud800', [2 ** 60], [0], { a: 1 }),
    fc.string(),
    fc.double(),
    fc.integer(),
    fc.constant(null),
    fc.jsonValue(),
  );
  const names = Object.keys(fields) as (keyof typeof fields)[];
  const body = fc
    .tuple(fc.subarray(names, { minLength: 1 }), fc.constantFrom(...names), value)
    .map(([kept, name, one]) => ({
      ...Object.fromEntries(kept.map((key) => [key, fields[key]])),
      [name]: one,
    }));
  const target = fc.constantFrom<['POST' | 'PATCH' | 'PUT', string, string[]]>(
    [
      'POST',
      '/v1/iot-devices',
      ['device_identifier', 'device_type', 'sign_in_by_name', 'equipment_id'],
    ],
    ['PATCH', `/v1/iot-devices/${id}`, ['device_type', 'status', 'sign_in_by_name']],
    ['PUT', `/v1/iot-devices/${id}/equipment`, ['equipment_id']],
    ['POST', `/v1/iot-devices/${id}/token`, ['overlap_s']],
    ['POST', `/v1/iot-devices/${id}/commands`, ['payload', 'expires_in_s']],
    ['POST', '/v1/gateway-tokens', ['name', 'iot_device_ids']],
    ['PATCH', `/v1/gateway-tokens/${mine.gatewayTokenId}`, ['name', 'status', 'iot_device_ids']],
    ['POST', '/v1/knocking-devices/claim', ['protocol', 'device_identifier', 'equipment_id']],
  );
  const failures: unknown[] = [];
  await fc.assert(
    fc.asyncProperty(target, body, async ([method, url, known], whole) => {
      const payload = Object.fromEntries(
        Object.entries(whole).filter(([name]) => known.includes(name)),
      );
      const headers = { 'content-type': 'application/json' };
      const answer = await portal.as('admin', {
        method,
        url,
        headers,
        payload: JSON.stringify(payload),
      });
      if (answer.status >= 500) failures.push({ method, url, payload, status: answer.status });
    }),
    { seed: seedNumber, numRuns: 400 },
  );
  t.same(failures, []);
});
