/** What those who are held to accounts must not do, and what a review once found that they could. */
import t from 'tap';
import { RowMaker } from '../../db/test-rows.ts';
import { startTestPortal } from '../test-portal.ts';

const portal = await startTestPortal(t);
const { owner, seed } = portal;
const { mine } = seed;
const [north, south] = mine.accountIds;
const client = await owner.connect();
t.teardown(() => client.release());
const maker = await RowMaker.open(client);
const whole = { customerId: mine.customerId, accountId: null, word: 'whole' };

const patch = (who: 'admin' | 'held', url: string, payload: object) =>
  portal.as(who, { method: 'PATCH', url, payload, headers: { 'if-match': '*' } });
const post = (who: 'admin' | 'held', url: string, payload: object) =>
  portal.as(who, { method: 'POST', url, payload });
const idOf = async (text: string, values: unknown[] = []) =>
  (await owner.query<{ id: number }>(text, values)).rows[0]!.id;

t.test('roles, accounts and the customer are not theirs to change', async (t) => {
  const bareRole = await idOf(`select user_role_id as id from user_role where name = 'bare role'`);
  const tries: [string, object][] = [
    [`/v1/user-roles/${bareRole}`, { role_permission: { invoice: ['read'] } }],
    [`/v1/accounts/${north}`, { status: 'closed' }],
    [`/v1/customers/${mine.customerId}`, { time_zone: 'UTC' }],
  ];
  for (const [url, payload] of tries) {
    t.equal((await patch('held', url, payload)).status, 403, url);
    t.equal((await patch('admin', url, payload)).status, 200, `${url} by one who is not held`);
  }
  t.equal(
    (await post('held', '/v1/user-roles', { name: 'mine', role_permission: {} })).status,
    403,
  );
});

t.test('nor what hangs on what is the whole customer’s', async (t) => {
  const reading = await maker.make('equipment_reading', whole);
  const url = `/v1/equipment-readings/${String(reading['equipment_reading_id'])}`;
  const own = await maker.make('equipment_reading', { ...whole, accountId: north });
  t.equal((await portal.as('held', { url })).status, 200, 'they see it');
  t.equal((await patch('held', url, { note: 'x' })).status, 403);
  t.equal(
    (await portal.as('held', { method: 'DELETE', url, headers: { 'if-match': '*' } })).status,
    403,
  );
  t.equal(
    (
      await patch('held', `/v1/equipment-readings/${String(own['equipment_reading_id'])}`, {
        note: 'x',
      })
    ).status,
    200,
  );
  t.equal(
    (await post('held', '/v1/facilities', { facility_code: 'H', facility_name: 'H' })).status,
    403,
  );
});

t.test('nobody shuts themselves out of mending roles', async (t) => {
  const adminRole = await idOf(
    `select user_role_id as id from user_role where name = 'admin role'`,
  );
  const answer = await patch('admin', `/v1/user-roles/${adminRole}`, {
    role_permission: { user: [], user_role: [] },
  });
  t.match(answer, { status: 403, body: { errors: [{ pointer: '/role_permission' }] } });
});

t.test('a right is taken from a role by null', async (t) => {
  const made = await post('admin', '/v1/user-roles', {
    name: 'two rights',
    role_permission: { equipment: ['read'], invoice: ['read'] },
  });
  const url = made.headers['location'] as string;
  const answer = await patch('admin', url, { role_permission: { invoice: null } });
  t.equal(answer.status, 200, answer.text);
  t.same((answer.body as unknown as { role_permission: object }).role_permission, {
    equipment: ['read'],
  });
});

t.test('an object does not grow patch by patch', async (t) => {
  const url = `/v1/equipment/${mine.equipmentIds[0]}`;
  const members = (from: number) =>
    Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`m${from + n}`, 1]));
  t.equal((await patch('admin', url, { specifications: members(0) })).status, 200);
  t.match(await patch('admin', url, { specifications: members(60) }), {
    status: 422,
    body: { errors: [{ pointer: '/specifications' }] },
  });
});

t.test('what a row was in another account is not told', async (t) => {
  const row = await maker.make('workorder', { ...whole, accountId: south, word: 'secret-south' });
  const url = `/v1/workorders/${String(row['workorder_id'])}`;
  const moved = await patch('admin', url, {
    account_id: north,
    workorder_description: 'moved',
  });
  t.equal(moved.status, 200, moved.text);
  const trail = await portal.as('held', { url: '/v1/audit-trail?limit=500' });
  t.notMatch(trail.text, /secret-south/);
  const all = await portal.as('admin', { url: '/v1/audit-trail?limit=500' });
  t.match(all.text, /secret-south/);
});

t.test('a vehicle and its unit stay in one account', async (t) => {
  const made = await post('admin', '/v1/vehicles', {
    account_id: north,
    vin_chassis_no: 'MOVES12345',
    engine_number: 'E1',
    gps_tracker_imei_number: '356307042441013',
    unit_number: 'moves',
  });
  t.equal(made.status, 201, made.text);
  const { vehicle_id_code_hdr: code, equipment_id: unit } = (
    made.body as unknown as { header: Record<string, string> }
  ).header;
  const accounts = async () => {
    const { rows } = await owner.query<{ header: number; unit: number }>(
      `select h.account_id as header, e.account_id as unit from vehicle_basic_information_hdr h
       join equipment e using (equipment_id) where vehicle_id_code_hdr = $1`,
      [code],
    );
    return rows[0];
  };
  t.equal((await patch('admin', `/v1/vehicles/${code}`, { account_id: south })).status, 200);
  t.same(await accounts(), { header: south, unit: south });
  t.equal((await patch('admin', `/v1/equipment/${unit}`, { account_id: north })).status, 200);
  t.same(await accounts(), { header: north, unit: north });
});

t.test('the exact one is found among a thousand that are alike', async (t) => {
  await owner.query(
    `insert into equipment (customer_id, unit_number)
     select $1::bigint, 'TRK42-' || lpad(n::text, 5, '0') from generate_series(1, 1000) n union all select $1::bigint, 'TRK42'`,
    [mine.customerId],
  );
  const answer = await portal.as('admin', { url: '/v1/search?q=trk42&types=equipment&limit=3' });
  const [first] = answer.body.data as unknown as { title: string }[];
  t.equal(first?.title, 'TRK42');
});
