/** What may be spent without asking: neither another currency nor another account is a way around it. */
import t from 'tap';
import { openService } from './test-service.ts';

const house = await openService(t);
const { post, patch, order, call, approved, get, move, sql, unit, account, portal } = house;
const south = portal.seed.mine.accountIds[1];
const refused = (status: number, name: string, detail?: RegExp) => ({
  status,
  body: { errors: [{ pointer: `/${name}`, ...(detail && { detail }) }] },
});
const writer = await house.person({
  workorder: ['read', 'write'],
  ers: ['read', 'write'],
  service_request: ['read', 'write'],
  equipment: ['read'],
});
await sql(
  `update account set repair_approval_limit = 100, currency_code = 'USD' where account_id = $1`,
  [account],
);
await sql(`update account set currency_code = 'USD' where account_id = $1`, [south]);
const about = { account_id: account, equipment_id: unit, workorder_description: 'Tyre.' };

t.test('another currency than that of the limit takes the right', async (t) => {
  const dear = { ...about, currency_code: 'EUR', part_cost: 5_000 };
  t.match(await post('workorders', dear, writer), refused(403, 'currency_code', /approve/));
  t.match(await post('workorders', dear), {
    status: 201,
    body: { cost_limit: null, approval_status: 'not_required' },
  });
  const same = { ...about, part_cost: 5_000 };
  t.match(await post('workorders', same, writer), {
    status: 201,
    body: { currency_code: 'USD', cost_limit: 100, approval_status: 'pending' },
  });
});

t.test('the limit of the unit’s own account holds whichever is named', async (t) => {
  const elsewhere = { ...about, account_id: south };
  t.match(await post('workorders', elsewhere, writer), { status: 201, body: { cost_limit: 100 } });
  const higher = { ...elsewhere, cost_limit: 200 };
  t.match(await post('workorders', higher, writer), refused(403, 'cost_limit'));
  await sql('update account set repair_approval_limit = 60 where account_id = $1', [south]);
  t.match((await post('workorders', elsewhere, writer)).body, { cost_limit: 60 }, 'the lower one');
  await sql('update account set repair_approval_limit = null where account_id = $1', [south]);
});

t.test('a request that was approved in one currency is not ordered in another', async (t) => {
  const { service_request_id } = await approved({ cost_limit: 700, currency_code: 'EUR' });
  const body = { ...about, service_request_id };
  const usd = { ...body, currency_code: 'USD' };
  t.match(await post('workorders', usd, writer), refused(403, 'currency_code'));
  t.match((await post('workorders', body, writer)).body, { cost_limit: 700, currency_code: 'EUR' });
});

t.test('a request without a limit is bounded by those of its accounts', async (t) => {
  const path = async (more: object = {}) =>
    `service-requests/${String((await approved(more))['service_request_id'])}`;
  const url = await path();
  const limited = (cost_limit: number, currency_code = 'USD') =>
    patch(url, { cost_limit, currency_code }, writer);
  t.match(await limited(90_000), refused(403, 'cost_limit', /service_request:approve/));
  t.match(await limited(90, 'EUR'), refused(403, 'currency_code'));
  t.equal((await limited(90)).status, 200, 'within what is allowed');
  t.match(await limited(95), refused(403, 'cost_limit'));
  const made = await post(`${url}/workorders`, { part_cost: 91 }, writer);
  t.match(made, { status: 201, body: { cost_limit: 90, approval_status: 'pending' } });
  t.match(await patch(await path(), { cost_limit: 90_000, currency_code: 'USD' }), { status: 200 });
  const elsewhere = portal.seed.mine.equipmentIds[1];
  const free = await path({ account_id: south, equipment_id: elsewhere });
  const high = { cost_limit: 90_000, currency_code: 'USD' };
  t.equal((await patch(free, high, writer)).status, 200, 'where no limit holds');
});

t.test('a request is not taken away from the limit of its account', async (t) => {
  const elsewhere = portal.seed.mine.equipmentIds[1];
  const { service_request_id } = await approved({ equipment_id: elsewhere });
  const url = `service-requests/${String(service_request_id)}`;
  t.match(await patch(url, { account_id: south }, writer), refused(403, 'account_id'));
  const body = { ...about, account_id: south, equipment_id: elsewhere, service_request_id };
  t.match((await post('workorders', body, writer)).body, { cost_limit: 100 });
});

t.test('an order that goes to another account gets its limit', async (t) => {
  const elsewhere = { account_id: south, equipment_id: portal.seed.mine.equipmentIds[1] };
  const to = { account_id: account };
  const url = async (more: object) =>
    `workorders/${String((await order({ ...elsewhere, ...more }))['workorder_id'])}`;
  for (const [before, after] of [
    [null, 100],
    [500, 100],
    [40, 40],
  ]) {
    const moved = await patch(await url({ cost_limit: before, part_cost: 300 }), to, writer);
    const approval = { cost_limit: after, approval_status: 'pending' };
    t.match(moved, { status: 200, body: approval }, String(before));
  }
  const path = await url({ part_cost: 300 });
  t.match(await patch(path, { ...to, cost_limit: 300 }, writer), refused(403, 'cost_limit'));
  t.equal((await patch(path, { ...to, cost_limit: 300 })).body['cost_limit'], 300);
  const euros = await url({ currency_code: 'EUR' });
  t.match(await patch(euros, to, writer), refused(403, 'account_id'));
  t.match(await patch(euros, to), { status: 200, body: { cost_limit: null } });
  const yen = { currency_code: 'JPY' };
  t.match(await patch(euros, yen, writer), refused(403, 'currency_code'));
  t.match(
    await patch(euros, { currency_code: 'USD', part_cost: 300 }, writer),
    { status: 200, body: { cost_limit: 100, approval_status: 'pending' } },
    'and one in the currency of its limit again is bounded by it',
  );
});

t.test('the limit of a call goes over to its order, and raises none', async (t) => {
  const limits: [number, number][] = [
    [40, 40],
    [900, 100],
  ];
  for (const [cost_limit, taken] of limits) {
    const { ers_id: id } = await call({ cost_limit, currency_code: 'USD' });
    const made = await post(`ers/${String(id)}/workorders`, {}, writer);
    t.match(made, { status: 201, body: { cost_limit: taken } }, String(cost_limit));
  }
});

t.test('what waits for approval says where the order may go instead', async (t) => {
  const { workorder_id: id } = await order({ part_cost: 500, resolution: 'x' });
  const path = `workorders/${String(id)}`;
  await move(path, { workorder_status: 'in_progress' });
  const waits = { ...refused(409, 'approval_status') };
  const tries = [{}, { tax_cost: 1 }, { part_cost: 100.01 }, { cost_limit: 499.99 }];
  for (const more of tries) {
    const answer = await patch(path, { workorder_status: 'completed', ...more });
    t.match(answer, waits, JSON.stringify(more));
    t.same(answer.body.allowedTransitions, ['on_hold', 'cancelled']);
  }
  await post(`${path}/approve-cost`, {});
  t.equal((await patch(path, { workorder_status: 'completed', part_cost: 499 })).status, 200);
  const cheap = await order({ part_cost: 500, resolution: 'x' });
  const url = `workorders/${String(cheap['workorder_id'])}`;
  await move(url, { workorder_status: 'in_progress' });
  const less = { workorder_status: 'completed', part_cost: 100 };
  t.match(await patch(url, less), { status: 200, body: { approval_status: 'not_required' } });
  t.equal((await get(url)).body['workorder_status'], 'completed');
});
