/** Roadside calls: where the unit stands, what the log tells, what parts come to, and how a call ends. */
import t from 'tap';
import type { Row } from '../resources/define.ts';
import { NOW_MS } from '../test-portal.ts';
import { openService } from './test-service.ts';

const house = await openService(t);
const { get, post, patch, remove, make, move, call, sql, unit } = house;

const at = (minutes: number) => new Date(NOW_MS + minutes * 60_000).toISOString();
const urlOf = (row: Row) => `ers/${String(row['ers_id'])}`;
const logOf = async (row: Row) =>
  (await get(`communication-logs?filter[ers_id]=${String(row['ers_id'])}&sort=communication_id`))
    .body.data;
const refused = (status: number, name: string) => ({
  status,
  body: { errors: [{ pointer: `/${name}` }] },
});
const part = (row: Row, more: object = {}) =>
  post('ers-parts-used', { ers_id: row['ers_id'], part_name: 'tyre', ...more });

t.test('a call without a position has that of the newest fix', async (t) => {
  await sql('update telematics set accuracy_m = 6 where equipment_id = $1', [unit]);
  const found = await call();
  t.match(found, {
    latitude: 50,
    longitude: 10,
    location_source: 'last_fix',
    location_recorded_at: at(0),
    location_accuracy_m: 6,
  });
  const told = await call({ latitude: 41.2, longitude: -96.1 });
  t.match(told, { latitude: 41.2, location_source: 'reported', location_recorded_at: null });
  t.match(
    await patch(urlOf(found), { latitude: 41.3, longitude: -96.2 }),
    {
      body: { location_source: 'reported', location_recorded_at: null, location_accuracy_m: null },
    },
    'the age of the fix is not that of what was told',
  );
  t.match(await patch(urlOf(found), { latitude: null, longitude: null }), {
    body: { location_source: null },
  });
  t.match(
    await patch(urlOf(found), { location_source: 'last_fix' }),
    refused(400, 'location_source'),
  );
  await sql('delete from telematics where equipment_id = $1', [unit]);
  t.match(await call(), { latitude: null, location_source: null }, 'nothing is known');
});

t.test('the log tells the story', async (t) => {
  house.clock.minutes = 0;
  const row = await call({ driver_name: 'Sam' });
  t.same(await logOf(row), [], 'a call alone is none');
  const go = async (minutes: number, payload: object) => {
    house.clock.minutes = minutes;
    return move(urlOf(row), payload);
  };
  await go(1, { ers_status: 'dispatched', vendor_name: 'Platte' });
  await go(2, { ers_status: 'accepted' });
  await go(3, { ers_status: 'en_route', eta_at: at(30) });
  house.clock.minutes = 4;
  await patch(urlOf(row), { eta_at: at(45) });
  await patch(urlOf(row), { technician_name: 'J. Alvarez' });
  await go(5, { ers_status: 'no_show', status_reason: 'The truck broke down.' });
  const again = await go(6, { ers_status: 'dispatched', vendor_name: 'Omaha Tire' });
  t.match(again, {
    dispatched_at: at(6),
    accepted_at: null,
    en_route_at: null,
    eta_at: null,
    no_show_at: at(5),
  });
  const note = { communication_type: 'note', direction: 'internal', driver_name: 'Sam' };
  t.match(await logOf(row), [
    { ...note, message: 'reported → dispatched', vendor_name: 'Platte', occurred_at: at(1) },
    { ...note, message: 'dispatched → accepted', eta_at: null },
    { ...note, message: `accepted → en_route; expected at ${at(30)}`, eta_at: at(30) },
    { ...note, message: `expected at ${at(45)}`, eta_at: at(45), occurred_at: at(4) },
    { ...note, message: 'en_route → no_show; The truck broke down.', eta_at: null },
    { ...note, message: 'no_show → dispatched', vendor_name: 'Omaha Tire' },
  ]);
  const bad = await post(`${urlOf(row)}/transitions`, { ers_status: 'resolved' });
  t.equal(bad.status, 409);
  t.equal((await logOf(row)).length, 6, 'what is refused is not told');
});

t.test('what is said of a time of arrival is also the call’s', async (t) => {
  const row = await call({ vendor_name: 'Platte' });
  const say = (minutes: number, eta: number | null) =>
    make('communication-logs', {
      ers_id: row['ers_id'],
      communication_type: 'phone',
      direction: 'inbound',
      message: 'On the way.',
      occurred_at: at(minutes),
      eta_at: eta === null ? null : at(eta),
    });
  const eta = async () => (await get(urlOf(row))).body['eta_at'];
  await say(10, 60);
  t.equal(await eta(), at(60));
  await say(9, 50);
  t.equal(await eta(), at(60), 'what was said before is older');
  await say(11, null);
  t.equal(await eta(), at(60));
  await say(12, 70);
  t.equal(await eta(), at(70));
  t.equal((await logOf(row)).length, 4, 'and is told once');
  await sql(`update ers set ers_status = 'on_site' where ers_id = $1`, [row['ers_id']]);
  await say(13, 80);
  t.equal(await eta(), at(70), 'they are there');
});

t.test('parts, and the cost that is never less', async (t) => {
  const row = await call();
  const costs = async () => {
    const { cost, currency_code } = (await get(urlOf(row))).body;
    return [cost, currency_code];
  };
  t.same(await costs(), [null, null]);
  const first = await part(row, { part_quantity: 3, part_cost: 33.3333, currency_code: 'USD' });
  t.same(await costs(), [100, 'USD']);
  t.match(await part(row, { part_cost: 1, currency_code: 'EUR' }), refused(422, 'currency_code'));
  const second = await part(row, { part_cost: 50 });
  t.match(second, { status: 201, body: { currency_code: 'USD' } });
  t.same(await costs(), [150, 'USD'], 'a cost that is that of the parts follows them');
  await remove(`ers-parts-used/${String(second.body['ers_parts_id'])}`);
  t.same(await costs(), [100, 'USD']);
  t.match(await patch(urlOf(row), { cost: 99.99 }), refused(422, 'cost'));
  t.match(await patch(urlOf(row), { cost: null }), refused(422, 'cost'));
  t.match(await patch(urlOf(row), { currency_code: 'EUR' }), refused(422, 'currency_code'));
  t.match(await patch(urlOf(row), { cost: 180 }), { status: 200 });
  await part(row, { part_cost: 70 });
  t.same(await costs(), [180, 'USD'], 'one that was stated includes them');
  await part(row, { part_cost: 20 });
  t.same(await costs(), [190, 'USD'], 'and is never less');
  await patch(`ers-parts-used/${String(first.body['ers_parts_id'])}`, { part_cost: 0 });
  t.same(await costs(), [90, 'USD']);
  await sql(`update ers set ers_status = 'closed' where ers_id = $1`, [row['ers_id']]);
  t.match(await part(row, { part_cost: 1 }), refused(409, 'ers_id'));
  t.match(
    await remove(`ers-parts-used/${String(first.body['ers_parts_id'])}`),
    refused(409, 'ers_id'),
  );
});

t.test('of parts that are written at once none is left out', async (t) => {
  const row = await call();
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => part(row, { part_cost: 0.1, currency_code: 'USD' })),
  );
  t.ok(answers.every(({ status }) => status === 201));
  t.equal((await get(urlOf(row))).body['cost'], 5);
});

t.test('a call that is resolved closes its request, unless the unit was towed', async (t) => {
  const status = async (id: unknown) =>
    (await get(`service-requests/${String(id)}`)).body['status'];
  const resolve = async (outcome: string) => {
    const { service_request_id: id } = await house.approved();
    const row = await call({ service_request_id: id, location_description: 'I-80' });
    await sql(`update ers set ers_status = 'on_site' where ers_id = $1`, [row['ers_id']]);
    const resolution = 'Tyre changed.';
    await move(urlOf(row), { ers_status: 'resolved', outcome, resolution });
    return { id, row };
  };
  const mended = await resolve('roadside');
  t.equal(await status(mended.id), 'closed');
  const towed = await resolve('towed');
  t.equal(await status(towed.id), 'converted', 'it waits for an order');
  const order = await make(`${urlOf(towed.row)}/workorders`, {});
  t.match(order, { service_request_id: towed.id, workorder_description: String });
  await sql(`update workorder set workorder_status = 'in_progress' where workorder_id = $1`, [
    order['workorder_id'],
  ]);
  await move(`workorders/${String(order['workorder_id'])}`, {
    workorder_status: 'completed',
    resolution: 'New axle.',
  });
  t.match((await get(`service-requests/${String(towed.id)}`)).body, { status: 'closed' });
});

t.test('a call on which somebody is stays', async (t) => {
  const states = {
    reported: 204,
    dispatched: 204,
    cancelled: 204,
    accepted: 409,
    en_route: 409,
    on_site: 409,
    repairing: 409,
    resolved: 409,
    closed: 409,
    no_show: 409,
  };
  for (const [state, status] of Object.entries(states)) {
    const row = await call();
    await sql('update ers set ers_status = $1 where ers_id = $2', [state, row['ers_id']]);
    t.equal((await remove(urlOf(row))).status, status, state);
  }
});
