/** Work orders: what lines come to, what must be approved, meters, what follows when the work is done. */
import fc from 'fast-check';
import t from 'tap';
import type { Row } from '../resources/define.ts';
import { NOW_MS } from '../test-portal.ts';
import { complete, openService } from './test-service.ts';

const house = await openService(t);
const { get, post, patch, remove, make, move, order, sql } = house;

const vmrs = await make('vmrs-codes', {
  vmrs_code: '017-001-001',
  vmrs_description: 'Tyre',
  part_cost: 33.33,
  labor_cost: 12.5,
  currency_code: 'USD',
});
const line = (workorder_id: unknown, more: object = {}) =>
  post('workorder-vmrs', { workorder_id, vmrs_id: vmrs['vmrs_id'], ...more });
const refused = (status: number, name: string) => ({
  status,
  body: { errors: [{ pointer: `/${name}` }] },
});
const costsOf = async (id: unknown) => {
  const { part_cost, labour_cost, total_cost } = (await get(`workorders/${String(id)}`)).body;
  return { part_cost, labour_cost, total_cost };
};

t.test('lines come to the costs of their order, to the smallest unit', async (t) => {
  // Cents are whole numbers, so a slow sum of them is exact.
  const cents = fc.integer({ min: 0, max: 1_000_000 });
  const step = fc.record({
    act: fc.constantFrom('add', 'add', 'change', 'remove'),
    at: fc.nat(9),
    part: cents,
    labour: cents,
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), cents, async (steps, tax) => {
      const { workorder_id: id } = await order({ part_cost: 7, tax_cost: tax / 100 });
      const lines: { id: unknown; part: number; labour: number }[] = [];
      let hadLines = false;
      for (const { act, at, part, labour } of steps) {
        const costs = { workorder_part_cost: part / 100, workorder_labour_cost: labour / 100 };
        const one = lines[at % Math.max(1, lines.length)];
        if (act === 'add' || !one) {
          const made = await line(id, costs);
          lines.push({ id: made.body['workorder_vmrs_id'], part, labour });
          hadLines = true;
        } else if (act === 'change') {
          await patch(`workorder-vmrs/${String(one.id)}`, costs);
          Object.assign(one, { part, labour });
        } else {
          await remove(`workorder-vmrs/${String(one.id)}`);
          lines.splice(lines.indexOf(one), 1);
        }
      }
      const sum = (name: 'part' | 'labour') => lines.reduce((all, one) => all + one[name], 0);
      const part = hadLines ? sum('part') : 700;
      t.same(await costsOf(id), {
        part_cost: part / 100,
        labour_cost: sum('labour') / 100,
        total_cost: (part + sum('labour') + tax) / 100,
      });
    }),
    { numRuns: 12 },
  );
});

t.test('of lines that are written at once none is left out', async (t) => {
  const { workorder_id: id } = await order();
  const answers = await Promise.all(
    Array.from({ length: 50 }, () =>
      line(id, { workorder_part_cost: 0.1, workorder_labour_cost: 0.2 }),
    ),
  );
  t.ok(answers.every(({ status }) => status === 201));
  t.same(await costsOf(id), { part_cost: 5, labour_cost: 10, total_cost: 15 });
});

t.test('a line has the currency of its order, and what its code usually costs', async (t) => {
  const { workorder_id: id } = await order();
  t.match(await line(id, { currency_code: 'EUR' }), refused(422, 'currency_code'));
  const usual = await line(id, { quantity: 1.5 });
  t.match(usual, {
    status: 201,
    body: { currency_code: 'USD', workorder_part_cost: 50, workorder_labour_cost: 18.75 },
  });
  t.match((await line(id, { workorder_part_cost: 0 })).body, {
    workorder_part_cost: 0,
    workorder_labour_cost: 12.5,
  });
  const { workorder_id: yen } = await order({ currency_code: 'JPY' });
  t.match((await line(yen)).body, { currency_code: 'JPY', workorder_part_cost: 0 });
});

t.test('what follows from lines is not set by hand', async (t) => {
  const { workorder_id: id } = await order({ part_cost: 10, labour_cost: 20 });
  const url = `workorders/${String(id)}`;
  t.match(await patch(url, { part_cost: 11 }), { status: 200 }, 'without lines it is stated');
  await line(id, { workorder_part_cost: 1, workorder_labour_cost: 2 });
  t.match(await patch(url, { part_cost: 11 }), refused(422, 'part_cost'));
  t.match(await patch(url, { labour_cost: 11 }), refused(422, 'labour_cost'));
  t.match(await patch(url, { currency_code: 'EUR' }), refused(422, 'currency_code'));
  t.match(await patch(url, { tax_cost: 3 }), { status: 200, body: { total_cost: 6 } });
});

t.test('a line that is too much for its order names its own cost', async (t) => {
  const { workorder_id: id } = await order();
  const most = 100_000_000_000;
  const first = await line(id, { workorder_part_cost: most, workorder_labour_cost: 0 });
  t.equal(first.status, 201);
  const none = { workorder_part_cost: 0, workorder_labour_cost: 0 };
  t.match(await line(id, { ...none, workorder_part_cost: 0.01 }), {
    ...refused(422, 'workorder_part_cost'),
  });
  const other = await line(id, { ...none, workorder_labour_cost: most });
  t.equal(other.status, 201);
  const url = `workorder-vmrs/${String(first.body['workorder_vmrs_id'])}`;
  t.match(await patch(url, { workorder_labour_cost: 1 }), refused(422, 'workorder_labour_cost'));
  t.equal((await patch(url, { workorder_part_cost: most - 1 })).status, 200);
});

t.test('lines come in until an order is closed, and no later', async (t) => {
  const { workorder_id: id } = await order();
  const first = await line(id, { workorder_part_cost: 1 });
  await complete(house, id);
  t.match(await line(id, { workorder_part_cost: 2 }), { status: 201 }, 'while it is completed');
  await move(`workorders/${String(id)}`, { workorder_status: 'closed' });
  const url = `workorder-vmrs/${String(first.body['workorder_vmrs_id'])}`;
  t.match(await line(id), refused(409, 'workorder_id'));
  t.match(await patch(url, { workorder_part_cost: 9 }), refused(409, 'workorder_id'));
  t.match(await remove(url), refused(409, 'workorder_id'));
  t.match(await costsOf(id), { part_cost: 3 });
  await t.rejects(
    sql(`update workorder_vmrs set workorder_part_cost = 9 where workorder_id = $1`, [id]),
    { code: '23514', constraint: 'workorder_vmrs_workorder_id_check_open' },
    'the database holds it too',
  );
});

t.test('a cost beyond its limit waits for somebody who may allow it', async (t) => {
  const writer = await house.person({ workorder: ['read', 'write'], equipment: ['read'] });
  const { workorder_id: id } = await order({ cost_limit: 100, part_cost: 100 });
  const url = `workorders/${String(id)}`;
  const isAt = async (approval_status: string, more: object = {}) =>
    t.match((await get(url)).body, { approval_status, ...more }, approval_status);
  await isAt('not_required');
  t.match(await post(`${url}/approve-cost`, {}), {
    status: 409,
    body: { allowedTransitions: [], errors: [{ pointer: '/approval_status' }] },
  });
  await line(id, { workorder_part_cost: 100.01, workorder_labour_cost: 0 });
  await isAt('pending', { total_cost: 100.01 });
  await move(url, { workorder_status: 'in_progress' });
  const done = { workorder_status: 'completed', resolution: 'Done.' };
  t.match(await post(`${url}/transitions`, done), refused(409, 'approval_status'));
  t.match(
    await post(`${url}/transitions`, { ...done, tax_cost: 1 }),
    refused(409, 'approval_status'),
    'nor with a cost in the same breath',
  );

  const lacking = { status: 403, body: { detail: /workorder:approve/ } };
  t.match(await post(`${url}/approve-cost`, {}, writer), lacking);
  t.match(await post(`${url}/refuse-cost`, { status_reason: 'x' }, writer), lacking);
  t.match(await patch(url, { cost_limit: 1_000 }, writer), {
    ...lacking,
    body: { errors: [{ pointer: '/cost_limit' }] },
  });
  t.match(await patch(url, { cost_limit: null }, writer), lacking);
  t.match(await patch(url, { approval_status: 'approved' }), refused(400, 'approval_status'));

  t.match(await post(`${url}/refuse-cost`, { status_reason: 'Too dear.' }), {
    status: 200,
    body: { approval_status: 'rejected', status_reason: 'Too dear.' },
  });
  t.match(await post(`${url}/transitions`, done), refused(409, 'approval_status'));
  t.match(await post(`${url}/approve-cost`, { cost_limit: 100 }), refused(422, 'cost_limit'));
  const me = (await get('me')).body['user_id'];
  t.match(await post(`${url}/approve-cost`, { cost_limit: 150 }), {
    status: 200,
    body: {
      approval_status: 'approved',
      cost_limit: 150,
      approved_by_user_id: me,
      approved_at: house.nowIso(),
    },
  });
  await line(id, { workorder_part_cost: 49.99, workorder_labour_cost: 0 });
  await isAt('approved', { total_cost: 150 });
  const more = await line(id, { workorder_part_cost: 0.01, workorder_labour_cost: 0 });
  await isAt('pending', { approved_by_user_id: null, approved_at: null });
  await remove(`workorder-vmrs/${String(more.body['workorder_vmrs_id'])}`);
  await isAt('not_required');
  await move(url, done);
  await line(id, { workorder_part_cost: 0.02, workorder_labour_cost: 0 });
  await isAt('pending', { workorder_status: 'completed' });
  t.match(
    await post(`${url}/transitions`, { workorder_status: 'closed' }),
    refused(409, 'approval_status'),
  );
  await post(`${url}/approve-cost`, {});
  await move(url, { workorder_status: 'closed' });
});

t.test('of an order that is over nothing is decided', async (t) => {
  const { workorder_id: id } = await order({ cost_limit: 1, part_cost: 2 });
  const url = `workorders/${String(id)}`;
  await move(url, { workorder_status: 'cancelled', status_reason: 'sold' });
  t.match(await post(`${url}/approve-cost`, {}), refused(409, 'workorder_status'));
});

t.test('of many who decide at once one does', async (t) => {
  const { workorder_id: id } = await order({ cost_limit: 1, part_cost: 2 });
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => post(`workorders/${String(id)}/approve-cost`, {})),
  );
  t.equal(answers.filter(({ status }) => status === 200).length, 1);
  t.equal(answers.filter(({ status }) => status === 409).length, 49);
});

t.test('where a limit comes from, and who may go beyond it', async (t) => {
  const { account, approved } = house;
  await patch(`accounts/${account}`, { repair_approval_limit: 500, currency_code: 'USD' });
  t.teardown(() => patch(`accounts/${account}`, { repair_approval_limit: null }));
  t.match(await order(), { cost_limit: 500 });
  t.match(await order({ currency_code: 'EUR' }), { cost_limit: null }, 'in another currency');
  t.match(await order({ cost_limit: 50 }), { cost_limit: 50 });
  t.match(await order({ cost_limit: 501, part_cost: 501 }), { approval_status: 'not_required' });
  t.match(await order({ part_cost: 500.01 }), { approval_status: 'pending' });
  const writer = await house.person({ workorder: ['read', 'write'] });
  const about = { account_id: account, equipment_id: house.unit, workorder_description: 'x' };
  t.match(await post('workorders', { ...about, cost_limit: 501 }, writer), {
    status: 403,
    body: { errors: [{ pointer: '/cost_limit' }] },
  });
  t.match(await post('workorders', about, writer), {
    status: 201,
    body: { cost_limit: 500, currency_code: 'USD' },
  });
  const asked = await approved({ cost_limit: 650, currency_code: 'USD' });
  const { service_request_id } = asked;
  t.match(await order({ service_request_id }), { cost_limit: 650 }, 'its request’s comes first');
  t.match(
    await patch(`service-requests/${String(service_request_id)}`, { cost_limit: 900 }),
    { status: 200 },
    'who may approve may raise it',
  );
  const asker = await house.person({ service_request: ['read', 'write'] });
  const raise = { cost_limit: 901 };
  t.match(
    await patch(`service-requests/${String(service_request_id)}`, raise, asker),
    { status: 403, body: { errors: [{ pointer: '/cost_limit' }] } },
    'who may not, may not',
  );
});

t.test('to approve a request is a right of its own', async (t) => {
  const asker = await house.person({ service_request: ['read', 'write'], equipment: ['read'] });
  const { service_request_id: id } = await house.request();
  const url = `service-requests/${String(id)}`;
  for (const status of ['approved', 'rejected']) {
    const body = { status, status_reason: 'because' };
    t.match(await post(`${url}/transitions`, body, asker), {
      status: 403,
      body: { detail: /service_request:approve/ },
    });
    t.equal((await patch(url, body, asker)).status, 403);
  }
  t.equal((await post(`${url}/transitions`, { status: 'triaged' }, asker)).status, 200);
  const me = (await get('me')).body['user_id'];
  t.match(await move(url, { status: 'approved' }), { approved_by_user_id: me });
});

t.test('work begins once and ends when it ended last', async (t) => {
  house.clock.minutes = 0;
  const { workorder_id: id } = await order({ vendor_name: 'Prairie Tire' });
  const url = `workorders/${String(id)}`;
  const at = (minutes: number) => new Date(NOW_MS + minutes * 60_000).toISOString();
  const go = (minutes: number, payload: object) => {
    house.clock.minutes = minutes;
    return move(url, payload);
  };
  await go(1, { workorder_status: 'assigned' });
  await go(2, { workorder_status: 'in_progress' });
  const held = await go(3, { workorder_status: 'on_hold', hold_reason: 'parts' });
  t.match(held, { hold_reason: 'parts', started_at: at(2) });
  t.match(await go(4, { workorder_status: 'in_progress' }), {
    hold_reason: null,
    started_at: at(2),
  });
  t.match(await patch(url, { hold_reason: 'parts' }), refused(422, 'hold_reason'));
  await go(5, { workorder_status: 'completed', resolution: 'Done.' });
  t.match(await patch(url, { workorder_description: 'y' }), {
    status: 409,
    body: { allowedTransitions: Array },
  });
  t.match(await patch(url, { vendor_invoice_number: 'I-1' }), { status: 200 });
  t.match(
    await go(6, { workorder_status: 'in_progress', status_reason: 'It leaks again.' }),
    { started_at: at(2), completed_at: null, status_reason: 'It leaks again.' },
    'opened again',
  );
  t.match(await go(7, { workorder_status: 'completed' }), {
    started_at: at(2),
    completed_at: at(7),
    status_reason: '',
  });
  await go(8, { workorder_status: 'closed' });
  t.equal((await patch(url, { vendor_invoice_number: 'I-2' })).status, 409);
});

t.test('an order that goes back to open is nobody’s', async (t) => {
  const { workorder_id: id } = await order({
    vendor_name: 'Prairie Tire',
    workorder_status: 'assigned',
  });
  const url = `workorders/${String(id)}`;
  t.match(await patch(url, { vendor_name: null }), refused(422, 'assigned_user_id'));
  t.match(await move(url, { workorder_status: 'open' }), { vendor_name: null });
});

t.test('meters come from the unit, and never run backwards', async (t) => {
  house.clock.minutes = 0;
  const { unit } = house;
  const uoms = await sql(`select uom_code, uom_lookup_id from uom_lookup`);
  const uomOf = (code: string) => uoms.find((one) => one['uom_code'] === code)!['uom_lookup_id'];
  const read = (reading_type: string, value: number, code: string, minutes: number) =>
    make('equipment-readings', {
      equipment_id: unit,
      reading_type,
      equipment_reading: value,
      uom_lookup_id: uomOf(code),
      reading_at: new Date(NOW_MS + minutes * 60_000).toISOString(),
    });
  await sql('update telematics set odometer_m = 1000 where equipment_id = $1', [unit]);
  await read('odometer', 2, 'km', -10);
  await read('engine_hours', 90, 'min', -20);
  const first = await order();
  const url = `workorders/${String(first['workorder_id'])}`;
  t.match(
    await move(url, { workorder_status: 'in_progress' }),
    { start_odometer_m: 2_000, start_engine_hours_h: 1.5 },
    'the higher of devices and people',
  );
  house.clock.minutes = 61;
  await read('engine_hours', 5, 'h', 60);
  await read('odometer', 2, 'mi', 60);
  const voided = await read('odometer', 9, 'km', 61);
  await patch(`equipment-readings/${String(voided['equipment_reading_id'])}`, {
    is_void: true,
    void_reason: 'mistyped',
  });
  const done = { workorder_status: 'completed', resolution: 'Done.' };
  t.match(
    await post(`${url}/transitions`, { ...done, completion_odometer_m: 999 }),
    refused(422, 'completion_odometer_m'),
  );
  t.match(await move(url, done), {
    completion_odometer_m: 3_218.688,
    completion_engine_hours_h: 5,
  });

  const second = await order({ start_odometer_m: 4_000, start_engine_hours_h: 1 });
  const other = `workorders/${String(second['workorder_id'])}`;
  await move(other, { workorder_status: 'in_progress' });
  t.match(
    await move(other, { ...done, completion_engine_hours_h: 2.5 }),
    { start_odometer_m: 4_000, completion_odometer_m: null, completion_engine_hours_h: 2.5 },
    'what is given stays, and what would run backwards is left out',
  );

  // Engine hours that a device counts are seconds.
  const countedAt = new Date(NOW_MS + 62 * 60_000);
  await sql(`select ensure_time_partitions($1, $1)`, [countedAt]);
  await sql(
    `insert into iot_device_metric
       (equipment_has_iot_device_id, metric_code, recorded_at, received_at, metric_value)
     values ($1, 'engine_hours_s', $2, $2, 36000)`,
    [house.portal.seed.mine.deviceIds[0], countedAt],
  );
  house.clock.minutes = 63;
  const third = await order();
  t.match(
    await move(`workorders/${String(third['workorder_id'])}`, { workorder_status: 'in_progress' }),
    { start_engine_hours_h: 10 },
  );
});

t.test('a request is closed when all its work is over', async (t) => {
  const asked = await house.approved();
  const { service_request_id } = asked;
  const url = `service-requests/${String(service_request_id)}`;
  const statusOf = async () => (await get(url)).body['status'];
  const first = await order({ service_request_id });
  t.equal(await statusOf(), 'converted');
  const second = await order({ service_request_id });
  const third = await order({ service_request_id });
  const call = await house.call({ service_request_id, vendor_name: 'Platte' });
  await complete(house, first['workorder_id']);
  t.equal(await statusOf(), 'converted', 'others are open');
  t.match(
    await post(`${url}/transitions`, { status: 'closed', resolution: 'x' }),
    refused(409, 'status'),
    'nor is it closed by hand',
  );
  await complete(house, second['workorder_id']);
  await move(`ers/${String(call['ers_id'])}`, { ers_status: 'cancelled', status_reason: 'x' });
  t.equal(await statusOf(), 'converted', 'one is open');
  house.clock.minutes += 1;
  const cancelled = { workorder_status: 'cancelled', status_reason: 'not needed' };
  await move(`workorders/${String(third['workorder_id'])}`, cancelled);
  t.match((await get(url)).body, {
    status: 'closed',
    closed_at: house.nowIso(),
    resolution: 'Tyre changed.',
  });
  const opened = { workorder_status: 'in_progress', status_reason: 'again' };
  await move(`workorders/${String(first['workorder_id'])}`, opened);
  t.equal(await statusOf(), 'closed', 'and stays so');
});

t.test('many orders of a request that are completed at once close it once', async (t) => {
  const { service_request_id } = await house.approved();
  const orders: Row[] = [];
  for (let n = 0; n < 12; n++) orders.push(await order({ service_request_id }));
  for (const { workorder_id: id } of orders) {
    await move(`workorders/${String(id)}`, { workorder_status: 'in_progress' });
  }
  const done = { workorder_status: 'completed', resolution: 'Done.' };
  const before = (await get(`service-requests/${String(service_request_id)}`)).body['version'];
  const answers = await Promise.all(
    orders.map(({ workorder_id: id }) => post(`workorders/${String(id)}/transitions`, done)),
  );
  t.ok(answers.every(({ status }) => status === 200));
  t.match((await get(`service-requests/${String(service_request_id)}`)).body, {
    status: 'closed',
    version: (before as number) + 1,
  });
});

t.test('what was begun is not deleted', async (t) => {
  const isDeleted = async (path: string, state: object, table: string, key: string, row: Row) => {
    const [[column, value]] = Object.entries(state) as [[string, unknown]];
    await sql(`update ${table} set ${column} = $1 where ${key} = $2`, [value, row[key]]);
    return (await remove(`${path}/${String(row[key])}`)).status === 204;
  };
  const orders = { open: true, assigned: true, cancelled: true, in_progress: false } as const;
  const all = { ...orders, on_hold: false, completed: false, closed: false };
  for (const [workorder_status, isFree] of Object.entries(all)) {
    const row = await order();
    const state = { workorder_status };
    t.equal(await isDeleted('workorders', state, 'workorder', 'workorder_id', row), isFree);
  }
  const requests = { submitted: true, approved: true, converted: false, closed: false };
  for (const [status, isFree] of Object.entries(requests)) {
    const row = await house.request();
    const key = 'service_request_id';
    t.equal(
      await isDeleted('service-requests', { status }, 'service_request', key, row),
      isFree,
      status,
    );
  }
});

t.test('nor by a way around the state that says so', async (t) => {
  const ways = [
    [
      { workorder_status: 'on_hold', hold_reason: 'parts' },
      { workorder_status: 'assigned', vendor_name: 'Prairie Tire' },
    ],
    [{ workorder_status: 'cancelled', status_reason: 'Not worth it.' }],
    [
      { workorder_status: 'completed', resolution: 'Done.' },
      { workorder_status: 'cancelled', status_reason: 'It was not.' },
    ],
  ];
  for (const steps of ways) {
    const path = `workorders/${String((await order())['workorder_id'])}`;
    await move(path, { workorder_status: 'in_progress' });
    for (const step of steps) await move(path, step);
    t.match(await remove(path), { status: 409, body: { detail: /work was begun/ } });
  }
});
