/** One thing made of another, once; numbers without gaps, each customer's its own. */
import t from 'tap';
import type { Row } from '../resources/define.ts';
import { openService } from './test-service.ts';

const house = await openService(t);
const { get, post, patch, make, move, approved, request, order, call, sql } = house;
const { mine, foreign } = house.portal.seed;

const pathOf = (row: Row) => `service-requests/${String(row['service_request_id'])}`;
const refused = (status: number, name: string) => ({
  status,
  body: { errors: [{ pointer: `/${name}` }] },
});
const numbersOf = (rows: readonly Row[], name: string) =>
  rows.map((row) => Number(/-0*(\d+)$/.exec(String(row[name]))![1])).sort((a, b) => a - b);

t.test('a work order of a request', async (t) => {
  const facility = await make('facilities', { facility_code: 'S', facility_name: 'Shop' });
  const asked = await approved({
    service_urgency_lookup_id: 1,
    cost_limit: 650,
    currency_code: 'EUR',
    needed_by_at: '2099-03-03T06:00:00.000Z',
    facility_lookup_id: facility['facility_lookup_id'],
  });
  const answer = await post(`${pathOf(asked)}/workorders`, { vendor_name: 'Prairie Tire' });
  t.match(answer, {
    status: 201,
    headers: { etag: '"1"', location: /^\/v1\/workorders\/\d+$/ },
    body: {
      workorder_status: 'open',
      service_request_id: asked['service_request_id'],
      account_id: house.account,
      equipment_id: house.unit,
      workorder_description: 'The left rear tyre is flat.',
      priority: 'urgent',
      cost_limit: 650,
      currency_code: 'EUR',
      due_at: '2099-03-03T06:00:00.000Z',
      facility_lookup_id: facility['facility_lookup_id'],
      vendor_name: 'Prairie Tire',
    },
  });
  t.match((await get(pathOf(asked))).body, { status: 'converted', converted_at: house.nowIso() });
  t.match(await post(`${pathOf(asked)}/workorders`, {}), {
    status: 409,
    body: { allowedTransitions: ['closed', 'cancelled'] },
  });
});

t.test('a roadside call of a request', async (t) => {
  const asked = await approved({
    latitude: 41.2,
    longitude: -96.1,
    street: '2100 Mound Road',
    city: 'Joliet',
    contact_name: 'Dana',
    contact_phone: '+1 815 555 0142',
    tire_position: 'LRO',
  });
  t.match(await make(`${pathOf(asked)}/ers`, { safety_status: 'roadside' }), {
    ers_status: 'reported',
    service_request_id: asked['service_request_id'],
    latitude: 41.2,
    location_source: 'reported',
    location_description: '2100 Mound Road, Joliet',
    driver_name: 'Dana',
    driver_phone: '+1 815 555 0142',
    tire_position: 'LRO',
    safety_status: 'roadside',
  });
  t.equal((await get(pathOf(asked))).body['status'], 'converted');
});

t.test('of fifty at once one converts', async (t) => {
  for (const kind of ['workorders', 'ers']) {
    const asked = await approved();
    const before = (await get(pathOf(asked))).body['version'] as number;
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => post(`${pathOf(asked)}/${kind}`, {})),
    );
    t.equal(answers.filter(({ status }) => status === 201).length, 1, kind);
    const late = answers.filter(({ status }) => status === 409);
    t.equal(late.length, 49);
    for (const { body } of late) t.same(body.allowedTransitions, ['closed', 'cancelled']);
    const id = String(asked['service_request_id']);
    t.equal((await get(`${kind}?filter[service_request_id]=${id}`)).body.data.length, 1);
    t.match((await get(pathOf(asked))).body, { status: 'converted', version: before + 1 });
  }
  const row = await call();
  const url = `ers/${String(row['ers_id'])}/workorders`;
  const answers = await Promise.all(Array.from({ length: 50 }, () => post(url, {})));
  t.equal(answers.filter(({ status }) => status === 201).length, 1, 'of a call');
  t.equal(answers.filter(({ status }) => status === 409).length, 49);
});

t.test('a conversion that is sent twice under its key is done once', async (t) => {
  const asked = await approved();
  const send = () =>
    house.ask('admin', {
      method: 'POST',
      url: `/v1/${pathOf(asked)}/workorders`,
      payload: {},
      headers: { 'idempotency-key': 'convert-1' },
    });
  const [first, second] = [await send(), await send()];
  t.equal(second.status, 201);
  t.equal(second.body['workorder_id'], first.body['workorder_id']);
});

t.test('an order that names a request converts it, or is refused', async (t) => {
  const asked = await approved();
  const { service_request_id } = asked;
  t.match(await order({ service_request_id }), { service_request_id });
  t.equal((await get(pathOf(asked))).body['status'], 'converted');
  t.match(await order({ service_request_id }), { service_request_id }, 'and another one');
  const about = { account_id: house.account, equipment_id: house.unit };
  const [, south] = mine.accountIds;
  const elsewhere = { account_id: south, equipment_id: mine.equipmentIds[1] };
  const open = await request();
  for (const [path, body] of [
    ['workorders', { ...about, workorder_description: 'x' }],
    ['ers', { ...about, issue_description: 'x' }],
  ] as const) {
    t.match(
      await post(path, { ...body, service_request_id: open['service_request_id'] }),
      { status: 409, body: { allowedTransitions: Array } },
      `${path}: it is not approved`,
    );
    t.match(
      await post(path, { ...body, ...elsewhere, service_request_id }),
      refused(422, 'service_request_id'),
      `${path}: it is about another unit`,
    );
  }
  t.match(
    await patch(pathOf(asked), { equipment_id: mine.equipmentIds[1] }),
    refused(409, 'equipment_id'),
  );
  const unconverted = await approved();
  t.match(await post(`${pathOf(unconverted)}/transitions`, { status: 'converted' }), {
    status: 409,
    body: { allowedTransitions: ['cancelled'] },
  });
  await t.rejects(
    sql(
      `insert into workorder (customer_id, equipment_id, service_request_id, workorder_description, currency_code)
       values ($1, $2, $3, 'x', 'USD')`,
      [mine.customerId, mine.equipmentIds[1], service_request_id],
    ),
    { code: '23503' },
    'the database holds it too',
  );
});

t.test('a call becomes an order with what it cost', async (t) => {
  const withCosts = async () => {
    const row = await call({ vendor_name: 'Platte', cost: 180, currency_code: 'USD' });
    for (const [part_quantity, part_cost] of [
      [2, 33.335],
      [1, 40],
    ])
      await make('ers-parts-used', {
        ers_id: row['ers_id'],
        part_name: 'tyre',
        part_number: 'XD',
        part_quantity,
        part_cost,
      });
    return `ers/${String(row['ers_id'])}`;
  };
  const url = await withCosts();
  const stated = await make(`${url}/workorders`, { priority: 'high' });
  t.match(stated, {
    vendor_name: 'Platte',
    priority: 'high',
    currency_code: 'USD',
    part_cost: 106.67,
    labour_cost: 73.33,
    total_cost: 180,
  });
  t.equal((await get(url)).body['workorder_id'], stated['workorder_id']);
  t.equal((await post(`${url}/workorders`, {})).status, 409, 'it has one');

  const code = await make('vmrs-codes', { vmrs_code: '017', vmrs_description: 'Tyres' });
  const other = await withCosts();
  const { vmrs_id } = code;
  t.match(await post(`${other}/workorders`, { vmrs_id, part_cost: 1 }), refused(422, 'part_cost'));
  t.match(
    await post(`${other}/workorders`, { currency_code: 'EUR' }),
    refused(422, 'currency_code'),
  );
  t.match(await post(`${other}/workorders`, { vmrs_id: 999_999 }), refused(422, 'vmrs_id'));
  const lined = await make(`${other}/workorders`, { vmrs_id });
  t.match(lined, { part_cost: 106.67, labour_cost: 73.33, total_cost: 180 });
  const id = String(lined['workorder_id']);
  t.match((await get(`workorder-vmrs?filter[workorder_id]=${id}&sort=workorder_vmrs_id`)).body, {
    data: [
      { quantity: 2, workorder_part_cost: 66.67, part_number: 'XD', correction: 'tyre' },
      { quantity: 1, workorder_part_cost: 40 },
      { quantity: 1, workorder_part_cost: 0, workorder_labour_cost: 73.33 },
    ],
  });
  const over = await call({ cost: 1 });
  await sql(`update ers set ers_status = 'cancelled' where ers_id = $1`, [over['ers_id']]);
  const late = await post(`ers/${String(over['ers_id'])}/workorders`, {});
  t.match(late, refused(409, 'ers_status'));
  t.same(late.body.allowedTransitions, []);
});

t.test('who converts may write what is made, and read or write what it is made of', async (t) => {
  const asked = await approved();
  const row = await call();
  const tries: [string, object, RegExp][] = [
    [`${pathOf(asked)}/workorders`, { service_request: ['read', 'write'] }, /workorder:write/],
    [`${pathOf(asked)}/workorders`, { workorder: ['read', 'write'] }, /service_request:read/],
    [`${pathOf(asked)}/ers`, { service_request: ['read', 'write'] }, /ers:write/],
    [`${pathOf(asked)}/ers`, { ers: ['read', 'write'] }, /service_request:read/],
    [
      `ers/${String(row['ers_id'])}/workorders`,
      { workorder: ['write'], ers: ['read'] },
      /ers:write/,
    ],
  ];
  for (const [path, rights, detail] of tries) {
    const who = await house.person(rights);
    t.match(await post(path, {}, who), { status: 403, body: { detail } }, path);
  }
  t.equal((await get(pathOf(asked))).body['status'], 'approved');
});

t.test('a plain POST that converts asks for the same rights', async (t) => {
  const rights = { workorder: ['read', 'write'], ers: ['read', 'write'], equipment: ['read'] };
  const stranger = await house.person(rights);
  const reader = await house.person({ ...rights, service_request: ['read'] });
  const about = { account_id: house.account, equipment_id: house.unit };
  const made = [
    ['workorders', { ...about, workorder_description: 'Tyre.', currency_code: 'USD' }],
    ['ers', { ...about, issue_description: 'Tyre.' }],
  ] as const;
  for (const [path, body] of made) {
    const asked = await approved();
    const payload = { ...body, service_request_id: asked['service_request_id'] };
    const answer = await post(path, payload, stranger);
    t.match(answer, { status: 403, body: { detail: /service_request:read/ } }, path);
    t.equal((await get(pathOf(asked))).body['status'], 'approved');
    t.equal((await post(path, payload, reader)).status, 201, path);
    t.equal((await post(path, payload, stranger)).status, 403, 'nor is it added to');
    t.equal((await post(path, body, stranger)).status, 201, 'of no request');
  }
  const [called] = await sql(
    'select max(ers_id) as ers_id from ers where service_request_id is not null',
  );
  const order = await post(`ers/${String(called!['ers_id'])}/workorders`, {}, stranger);
  t.equal(order.status, 201, order.text);
  t.type(order.body['service_request_id'], 'number', 'the order of a call goes where that went');
});

t.test('numbers have neither gaps nor doubles, and each customer counts for itself', async (t) => {
  const urgency = 3;
  const about = { mine, foreign };
  const kinds = [
    ['service-requests', 'service_request', 'service_request_number', 'issue_description'],
    ['workorders', 'workorder', 'workorder_number', 'workorder_description'],
    ['ers', 'ers', 'ers_number', 'issue_description'],
  ] as const;
  for (const [path, table, name, description] of kinds) {
    const bodyOf = (whose: 'mine' | 'foreign', more: object = {}) => ({
      account_id: about[whose].accountIds[0],
      equipment_id: about[whose].equipmentIds[0],
      [description]: 'x',
      ...(path === 'service-requests' && { service_urgency_lookup_id: urgency }),
      ...(path === 'workorders' && { currency_code: 'USD' }),
      ...more,
    });
    const lastOf = async (customerId: number) => {
      const rows = await sql(`select ${name} from ${table} where customer_id = $1`, [customerId]);
      return Math.max(0, ...numbersOf(rows, name));
    };
    const before = {
      mine: await lastOf(mine.customerId),
      foreign: await lastOf(foreign.customerId),
    };
    // Every fifth is refused after its number was taken.
    const refusable: Readonly<Record<string, object>> = {
      workorders: { due_at: '1999-01-01T00:00:00Z', scheduled_start_at: '2000-01-01T00:00:00Z' },
      'service-requests': { needed_by_at: '1999-01-01T00:00:00Z' },
    };
    const made = await Promise.all(
      Array.from({ length: 125 }, async (_, n) => {
        const whose = n % 2 === 0 ? 'mine' : 'foreign';
        const who = whose === 'mine' ? 'admin' : 'foreign';
        const more = n % 5 === 0 ? refusable[path] : {};
        return { whose, answer: await post(path, bodyOf(whose, more), who) };
      }),
    );
    for (const whose of ['mine', 'foreign'] as const) {
      const rows = made
        .filter((one) => one.whose === whose && one.answer.status === 201)
        .map(({ answer }) => answer.body);
      t.ok(rows.length >= 50, `${path}: ${rows.length} of ${whose}`);
      t.same(
        numbersOf(rows, name),
        rows.map((_row, index) => before[whose] + index + 1),
        `${path} of ${whose}`,
      );
    }
    const refusals = made.filter(({ answer }) => answer.status === 422).length;
    t.equal(refusals, path === 'ers' ? 0 : 25);
  }
});

t.test('a request moves through its days', async (t) => {
  const draft = await request({ status: 'draft' });
  const me = (await get('me')).body['user_id'];
  t.match(draft, { requested_by_user_id: me, submitted_at: null });
  await move(pathOf(draft), { status: 'submitted' });
  await move(pathOf(draft), { status: 'triaged' });
  await move(pathOf(draft), { status: 'rejected', status_reason: 'Sold yesterday.' });
  t.match(await patch(pathOf(draft), { tire_position: 'RF' }), {
    status: 409,
    body: { allowedTransitions: [] },
  });
});
