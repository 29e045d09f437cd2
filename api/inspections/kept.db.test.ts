/** What an inspection has found is not talked away: it stays as it was signed, and its unit is out until it is repaired. */
import t from 'tap';
import { openHouse, refusal, START, type Answer, type Row } from '../agreements/test-agreements.ts';

const house = await openHouse(t);
const { portal, north, south } = house;
const { owner, seed } = portal;
t.beforeEach(() => house.setNow(START));

const I = 'dot-inspections';
const V = 'dot-inspection-violations';

async function must(answer: Promise<Answer>, status = 201): Promise<Row> {
  const { status: got, body, text } = await answer;
  if (got !== status) throw new Error(text);
  return body;
}

const inspect = async (given: Row = {}) => {
  const row = await must(
    house.post(I, {
      account_id: north,
      equipment_id: given['equipment_id'] ?? (await house.unit()),
      inspection_kind: 'roadside',
      inspection_date: '2026-06-10',
      inspection_result: 'fail',
      ...given,
    }),
  );
  return row['dot_inspection_id'] as number;
};
const violation = (dot_inspection_id: number, given: Row = {}) =>
  house.post(V, { dot_inspection_id, violation_code: 'x', severity_level: 'major', ...given });
const fitness = (unit: number, who: 'admin' | 'held' = 'admin') =>
  must(house.call('GET', `/v1/equipment/${unit}/fitness`, undefined, who), 200);
const order = async (equipment_id: number) => {
  const row = await must(
    house.post('workorders', {
      account_id: north,
      equipment_id,
      workorder_description: 'tyres',
      currency_code: 'USD',
    }),
  );
  return row['workorder_id'] as number;
};

t.test('kind, day and result of a signed report are fixed', async (t) => {
  const id = await inspect({ inspection_kind: 'annual', inspection_result: 'pass' });
  await must(house.move(I, id, { status: 'certified' }), 200);
  for (const [name, value] of [
    ['inspection_kind', 'dvir'],
    ['inspection_date', '2020-06-01'],
    ['inspection_result', 'fail'],
  ] as const) {
    t.match(await house.patch(I, id, { [name]: value }), refusal(409, `/${name}`, /certified/));
    await t.rejects(
      owner.query(`update dot_inspection set ${name} = $2 where dot_inspection_id = $1`, [
        id,
        value,
      ]),
      { code: '23514', constraint: `dot_inspection_${name}_check_signed` },
      'the database holds it too',
    );
  }
  t.equal((await house.patch(I, id, { notes: 'x' })).status, 200);
});

t.test('kind and day of a report that found something are fixed at once', async (t) => {
  const annual = { inspection_kind: 'annual' };
  const unit = await house.unit();
  const about = { ...annual, equipment_id: unit };
  await inspect({ ...about, inspection_result: 'pass', inspection_date: '2026-01-01' });
  const failed = await inspect(about);
  const sick = await inspect({ inspection_result: 'out_of_service' });
  const put = await inspect({ ...annual, inspection_result: 'pass' });
  await must(violation(put, { is_out_of_service: true }));
  const changes = [
    ['inspection_kind', 'dvir'],
    ['inspection_date', '2025-12-31'],
  ] as const;
  for (const [name, value] of changes) {
    for (const id of [failed, sick, put]) {
      const answer = await house.patch(I, id, { [name]: value });
      t.match(answer, refusal(409, `/${name}`, /another report/));
    }
  }
  t.match(await fitness(unit), { is_fit: false, reasons: [{ reason: 'annual_failed' }] });
  await inspect({ ...about, inspection_result: 'pass' });
  t.match(await fitness(unit), { is_fit: true }, 'another of the same day');
});

t.test('an annual inspection counts for twelve months and no longer', async (t) => {
  const passed = { inspection_kind: 'annual', inspection_result: 'pass' };
  const id = await inspect(passed);
  const late = refusal(422, '/expires_on', /2027-06-10/);
  for (const [expires_on, status] of [
    ['2027-06-11', 422],
    ['2027-06-10', 200],
    ['2026-12-31', 200],
    ['2099-12-31', 422],
  ] as const) {
    const answer = await house.patch(I, id, { expires_on });
    t.match(answer, status === 200 ? { status, body: { expires_on } } : late, expires_on);
  }
  await t.rejects(inspect({ ...passed, expires_on: '2099-12-31' }), /is after 2027-06-10/);
  const earlier = await house.patch(I, id, { inspection_date: '2025-06-10' });
  t.match(earlier, refusal(422, '/expires_on', /2026-06-10/), 'a day that was given');
  const tank = await inspect({ expires_on: '2099-12-31', inspection_kind: 'tank' });
  t.equal((await house.patch(I, tank, { expires_on: '2098-12-31' })).status, 200, 'others may');
  await must(house.move(I, id, { status: 'closed' }), 200);
});

t.test('how long a report is kept does not become shorter', async (t) => {
  const id = await inspect({ inspection_kind: 'annual', inspection_result: 'pass' });
  const changed = { inspection_kind: 'dvir', inspection_date: '2020-06-01' };
  t.match(await house.patch(I, id, changed), {
    status: 200,
    body: { ...changed, retain_until: '2027-08-10' },
  });
  t.match(await house.remove(I, id), { status: 409, body: { detail: /2027-08-10/ } });
  const longer = await house.patch(I, id, { inspection_kind: 'tank' });
  t.match(longer, { body: { retain_until: '2027-08-10' } });
  t.match(await house.patch(I, id, { inspection_date: '2026-06-10' }), {
    body: { retain_until: '2031-06-10' },
  });
});

t.test('what puts a unit out of service is lifted by its repair alone', async (t) => {
  const unit = await house.unit();
  const id = await inspect({ equipment_id: unit, inspection_date: '2020-06-10' });
  const change = (payload: Row) => house.patch(I, id, payload);
  t.match(await change({ inspection_result: 'pass' }), refusal(409, '/inspection_result', /worse/));
  t.equal((await change({ inspection_result: 'out_of_service' })).status, 200);
  t.match(await change({ inspection_result: 'fail' }), refusal(409, '/inspection_result'));
  await t.rejects(
    owner.query(
      `update dot_inspection set inspection_result = 'pass' where dot_inspection_id = $1`,
      [id],
    ),
    { code: '23514', constraint: 'dot_inspection_inspection_result_check_worse' },
  );
  t.match(await house.remove(I, id), { status: 409, body: { detail: /out of service/ } });
  const found = await must(violation(id, { is_out_of_service: true }));
  const its = found['dot_inspection_violation_id'];
  t.match(
    await house.patch(V, its, { is_out_of_service: false }),
    refusal(409, '/is_out_of_service'),
  );
  await t.rejects(
    owner.query(
      'update dot_inspection_violation set is_out_of_service = false where dot_inspection_violation_id = $1',
      [its],
    ),
    { code: '23514', constraint: 'dot_inspection_violation_is_out_of_service_check_repaired' },
  );
  t.match(await house.remove(V, its), { status: 409, body: { detail: /out of service/ } });
  t.match(await fitness(unit), { is_fit: false });
  await must(house.move(V, its, { status: 'corrected', corrective_action: 'x' }), 200);
  t.match(await fitness(unit), { is_fit: true });
  const { back_in_service_at: back } = await house.read(I, id);
  t.type(back, 'string');
  t.equal((await house.remove(V, its)).status, 204);
  t.match(await fitness(unit), { is_fit: true }, 'what was repaired stays so');
  t.equal((await house.patch(I, id, { notes: 'x' })).body['back_in_service_at'], back);
  await must(violation(id, { is_out_of_service: true }));
  t.match(await fitness(unit), { is_fit: false }, 'until something else is found');
});

t.test('a violation is repaired by an order of the same unit', async (t) => {
  const unit = await house.unit();
  const id = await inspect({ equipment_id: unit });
  const strange = await order(await house.unit());
  t.match(
    await violation(id, { workorder_id: strange }),
    refusal(422, '/workorder_id', /another unit/),
  );
  const found = await must(violation(id, { workorder_id: await order(unit) }));
  const its = found['dot_inspection_violation_id'];
  t.match(await house.patch(V, its, { workorder_id: strange }), refusal(422, '/workorder_id'));
  await t.rejects(
    owner.query(
      'update dot_inspection_violation set workorder_id = $2 where dot_inspection_violation_id = $1',
      [its, strange],
    ),
    { code: '23514', constraint: 'dot_inspection_violation_workorder_id_check_unit' },
  );
});

t.test('an inspection of another account is told without its numbers', async (t) => {
  const unit = await house.unit();
  const id = await inspect({
    equipment_id: unit,
    account_id: south,
    report_number: 'SECRET-1',
    inspection_result: 'out_of_service',
  });
  const refused = await house.assign({ equipment_id: unit }, 'held');
  t.match(refused, refusal(409, '/equipment_id', /out of service since roadside inspection of/));
  t.notMatch(refused.text, /SECRET-1/);
  const reason = { reason: 'out_of_service', inspection_date: '2026-06-10' };
  const hidden = { ...reason, dot_inspection_id: null, report_number: null };
  t.match(await fitness(unit, 'held'), { reasons: [hidden] });
  const shown = { ...reason, dot_inspection_id: id, report_number: 'SECRET-1' };
  t.match(await fitness(unit), { reasons: [shown] });
});

t.test('the feed is told of units and accounts of the tenant alone', async (t) => {
  const { mine, foreign: theirs } = seed;
  const client = await portal.apiPool.connect();
  t.teardown(() => client.release());
  const tell = async (unit: number, account: number) => {
    await client.query('begin');
    try {
      await client.query(`select set_config('app.customer_id', $1, true)`, [mine.customerId]);
      await client.query(`select note_activity('over_allocated', $1, $2, now(), 'x', 'info')`, [
        unit,
        account,
      ]);
    } finally {
      await client.query('rollback');
    }
  };
  const [unit, strangeUnit] = [mine.equipmentIds[0], theirs.equipmentIds[0]];
  await tell(unit, north);
  await t.rejects(tell(strangeUnit, north), { code: '22023' });
  await t.rejects(tell(unit, theirs.accountIds[0]), { code: '22023' });
});

t.test('a repair that is scheduled keeps an order or a day', async (t) => {
  const unit = await house.unit();
  const id = await inspect({ equipment_id: unit });
  const plan = { status: 'repair_scheduled', workorder_id: await order(unit) };
  const its = (await must(violation(id, plan)))['dot_inspection_violation_id'];
  const emptied = { workorder_id: null };
  t.match(await house.patch(V, its, emptied), refusal(422, '/workorder_id', /or due_on/));
  const onDay = { ...emptied, due_on: '2026-07-01' };
  t.equal((await house.patch(V, its, onDay)).status, 200);
  t.match(await house.patch(V, its, { due_on: null }), refusal(422, '/workorder_id'));
});
