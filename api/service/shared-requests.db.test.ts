/** Requests whose work is of several accounts, some of which the caller does not see. */
import t from 'tap';
import type { Row } from '../resources/define.ts';
import { openService } from './test-service.ts';

const house = await openService(t);
const { post, patch, remove, order, call, approved, get, move, portal } = house;
const [north, south] = portal.seed.mine.accountIds;
const whole = portal.seed.mine.equipmentIds[2];
const pathOf = (row: Row) => `service-requests/${String(row['service_request_id'])}`;
const statusOf = async (row: Row) => (await get(pathOf(row))).body['status'];
const done = { workorder_status: 'completed', resolution: 'Tyre changed.' };

/** An order of a request, at work. */
async function begun(asked: Row, more: object = {}): Promise<string> {
  const { service_request_id } = asked;
  const made = await order({ service_request_id, equipment_id: asked['equipment_id'], ...more });
  const path = `workorders/${String(made['workorder_id'])}`;
  await move(path, { workorder_status: 'in_progress' });
  return path;
}

t.test('it stays while an order of another account is open, and closes with that', async (t) => {
  const asked = await approved();
  const [mine, other] = [await begun(asked), await begun(asked, { account_id: south })];
  t.equal((await patch(mine, done, 'held')).status, 200);
  t.equal(await statusOf(asked), 'converted');
  const byHand = { status: 'closed', resolution: 'x' };
  t.match(await patch(pathOf(asked), byHand, 'held'), {
    status: 409,
    body: { errors: [{ pointer: '/status' }], allowedTransitions: ['cancelled'] },
  });
  await patch(other, done);
  t.match((await get(pathOf(asked))).body, { status: 'closed', closed_at: house.nowIso() });
});

t.test('the last work that is deleted closes it, where some was done', async (t) => {
  const asked = await approved();
  const { service_request_id } = asked;
  const open = await order({ service_request_id });
  await patch(await begun(asked), done);
  t.equal(await statusOf(asked), 'converted');
  await remove(`workorders/${String(open['workorder_id'])}`);
  t.equal(await statusOf(asked), 'closed');
  const other = await approved();
  const reported = await call({ service_request_id: other['service_request_id'] });
  await patch(await begun(other), done);
  await remove(`ers/${String(reported['ers_id'])}`);
  t.equal(await statusOf(other), 'closed');
});

t.test(
  'who is held to accounts ends a request of the whole customer, and begins none',
  async (t) => {
    const about = { account_id: null, equipment_id: whole };
    const asked = await approved(about);
    const { service_request_id } = asked;
    const work = { account_id: north, equipment_id: whole, service_request_id };
    const tries: [string, object][] = [
      ['workorders', { ...work, workorder_description: 'x' }],
      ['ers', { ...work, issue_description: 'x' }],
    ];
    for (const [path, body] of tries) t.equal((await post(path, body, 'held')).status, 403, path);
    t.equal(await statusOf(asked), 'approved');
    const path = await begun(asked);
    t.equal((await patch(path, done, 'held')).status, 200);
    t.equal(await statusOf(asked), 'closed');
  },
);

t.test('to convert is neither listed nor done by hand', async (t) => {
  const asked = await approved();
  const { body } = await get(`${pathOf(asked)}/transitions`);
  t.same(body['allowed_transitions'], ['cancelled']);
  t.equal((await patch(pathOf(asked), { status: 'converted' })).status, 409);
});

t.test('the unit of an approved request takes the right to approve', async (t) => {
  const asked = await approved();
  const writer = await house.person({ service_request: ['read', 'write'], equipment: ['read'] });
  const other = { equipment_id: whole };
  t.equal((await patch(pathOf(asked), other, writer)).status, 403);
  t.equal((await patch(pathOf(asked), other)).status, 200);
});

t.test('a call has one order, and the code of its lines is looked up', async (t) => {
  const { ers_id: id } = await call();
  const path = `ers/${String(id)}`;
  t.match(await post(`${path}/workorders`, { vmrs_id: 999_999 }), {
    status: 422,
    body: { errors: [{ pointer: '/vmrs_id' }] },
  });
  const made = await post(`${path}/workorders`, {});
  const kept = { status: 409, body: { errors: [{ pointer: '/workorder_id' }] } };
  t.match(await patch(path, { workorder_id: null }), kept);
  const other = await order();
  t.match(await patch(path, { workorder_id: other['workorder_id'] }), kept);
  t.match(await post(`${path}/workorders`, {}), kept);
  await remove(`workorders/${String(made.body['workorder_id'])}`);
  t.equal((await patch(path, { workorder_id: null })).status, 200, 'the order is gone');
});

t.test('what a call asked for is not emptied, and its cost has a currency', async (t) => {
  const { ers_id: id } = await call();
  const path = `ers/${String(id)}`;
  const missing = (name: string) => ({ status: 422, body: { errors: [{ pointer: `/${name}` }] } });
  const eta_at = '2030-01-01T00:00:00Z';
  const steps: [object, string, object][] = [
    [{ ers_status: 'dispatched', vendor_name: 'Platte' }, 'vendor_name', { vendor_name: null }],
    [{ ers_status: 'accepted' }, 'vendor_name', { vendor_name: null }],
    [{ ers_status: 'en_route', eta_at }, 'eta_at', { eta_at: null }],
    [{ ers_status: 'on_site' }, 'vendor_name', { vendor_name: null }],
    [
      { ers_status: 'resolved', outcome: 'roadside', resolution: 'x' },
      'resolution',
      { resolution: '' },
    ],
  ];
  for (const [step, name, emptied] of steps) {
    await move(path, step);
    t.match(await patch(path, emptied), missing(name), JSON.stringify(step));
  }
  const closed = await post(`${path}/transitions`, { ers_status: 'closed', cost: 0 });
  t.match(closed, { status: 200, body: { cost: 0, currency_code: 'USD' } });
});

t.test('what will be said of a call has not been said', async (t) => {
  const { ers_id } = await call();
  const said = (minutes: number) => ({
    ers_id,
    communication_type: 'phone',
    direction: 'inbound',
    message: 'soon',
    occurred_at: new Date(Date.parse(house.nowIso()) + minutes * 60_000).toISOString(),
  });
  t.match(await post('communication-logs', said(11)), {
    status: 422,
    body: { errors: [{ pointer: '/occurred_at' }] },
  });
  t.equal((await post('communication-logs', said(9))).status, 201);
});
