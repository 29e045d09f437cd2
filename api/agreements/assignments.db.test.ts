/** Assignments: quotas and periods under many at once, what a unit must fit, how it comes back, and who had it. */
import t from 'tap';
import { openHouse, refusal, START, type Answer, type Row } from './test-agreements.ts';

const house = await openHouse(t);
const { portal, north, south } = house;
const { owner, seed } = portal;
t.beforeEach(() => house.setNow(START));

const idOf = ({ body }: Answer) => body['equipment_assignment_id'];
const count = (answers: readonly Answer[], status: number) =>
  answers.filter((answer) => answer.status === status).length;
const assigned = async (allocationId: number) =>
  (await house.read('equipment-type-allocations', allocationId))['units_assigned'];
const many = <T>(size: number, make: (n: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: size }, (_, n) => make(n)));

t.test('fifty at once for the last place', async (t) => {
  const { allocationId } = await house.agreement({ units: 3 });
  const place = { equipment_type_allocation_id: allocationId };
  for (let n = 0; n < 2; n++) await house.assign({ ...place, equipment_id: await house.unit() });
  const units = await many(50, () => house.unit());
  const answers = await Promise.all(
    units.map((equipment_id) => house.assign({ ...place, equipment_id })),
  );
  t.same(
    answers.filter(({ status }) => status >= 500).map(({ text }) => text),
    [],
  );
  t.equal(count(answers, 201), 1);
  t.equal(count(answers, 409), 49);
  const refused = answers.find(({ status }) => status === 409)!;
  t.match(refused, refusal(409, '/equipment_type_allocation_id', /3 units are allowed, and 3 are/));
  t.equal(await assigned(allocationId), 3);
  await t.rejects(
    owner.query(
      'update equipment_type_allocation set units_assigned = 4 where equipment_type_allocation_id = $1',
      [allocationId],
    ),
    { code: '23514', constraint: 'equipment_type_allocation_units_assigned_check_block' },
    'the database holds it too',
  );
});

t.test('fifty at once for the same unit', async (t) => {
  const { allocationId } = await house.agreement({ units: 60 });
  const equipment_id = await house.unit();
  const answers = await many(50, (n) =>
    house.assign({
      equipment_id,
      // Some of them wait for the same allocation, and others for none.
      equipment_type_allocation_id: n % 2 === 0 ? allocationId : null,
      assigned_at: new Date(house.nowMs() - n * 60_000).toISOString(),
    }),
  );
  t.equal(count(answers, 201), 1);
  t.equal(count(answers, 409), 49);
  const one = answers.find(({ status }) => status === 201)!;
  const other = answers.find(({ status }) => status === 409)!;
  const words = new RegExp(`assignment ${String(idOf(one))}: account ${north} has the unit`);
  t.match(other, refusal(409, '/assigned_at', words));
  const hasPlace = one.body['equipment_type_allocation_id'] !== null;
  t.equal(await assigned(allocationId), hasPlace ? 1 : 0);
});

t.test('fifty that bring it back at once', async (t) => {
  const { allocationId } = await house.agreement();
  const out = await house.assign({
    equipment_id: await house.unit(),
    equipment_type_allocation_id: allocationId,
    assigned_at: '2026-06-14T10:00:00Z',
  });
  const answers = await many(50, () => house.return(idOf(out)));
  t.equal(count(answers, 200), 1);
  t.equal(count(answers, 409), 49);
  const late = answers.find(({ status }) => status === 409)!;
  t.match(late, refusal(409, '/returned_at', /came back already/));
  t.equal(await assigned(allocationId), 0);
});

t.test('nothing is out on a schedule that has ended, whoever is faster', async (t) => {
  for (let round = 0; round < 10; round++) {
    const { allocationId, scheduleId } = await house.agreement({ units: 5 });
    const units = await many(5, () => house.unit());
    const [ended, ...answers] = await Promise.all([
      house.move('schedule-agreements', scheduleId, {
        status: 'terminated',
        termination_date: '2026-06-15',
      }),
      ...units.map((equipment_id) =>
        house.assign({
          equipment_id,
          equipment_type_allocation_id: allocationId,
          assigned_at: '2026-06-14T10:00:00Z',
        }),
      ),
    ]);
    t.equal(ended.status, 200, ended.text);
    t.equal(count(answers, 201) + count(answers, 409), 5, answers.map(({ text }) => text).join());
    const { rows } = await owner.query(
      'select from equipment_assignment where equipment_type_allocation_id = $1 and returned_at is null',
      [allocationId],
    );
    t.equal(rows.length, 0);
    t.equal(await assigned(allocationId), 0);
  }
  const { allocationId, scheduleId } = await house.agreement();
  await house.move('schedule-agreements', scheduleId, {
    status: 'terminated',
    termination_date: '2026-06-15',
  });
  await t.rejects(
    owner.query(
      `insert into equipment_assignment (customer_id, account_id, equipment_id, equipment_type_allocation_id,
         activation_date, assigned_at) values ($1, $2, $3, $4, '2026-06-15', '2026-06-15T00:00Z')`,
      [seed.mine.customerId, north, await house.unit(), allocationId],
    ),
    { code: '23514', constraint: 'equipment_assignment_equipment_type_allocation_id_check_ended' },
    'nor for those who go past the API',
  );
});

t.test('beyond the quota: warned of, or billed', async (t) => {
  for (const policy of ['warn', 'bill']) {
    const { allocationId } = await house.agreement({ policy });
    const place = { equipment_type_allocation_id: allocationId };
    const within = await house.assign({ ...place, equipment_id: await house.unit() });
    t.match(within, { status: 201, body: { is_over_allocation: false } });
    const unit = await house.unit();
    const beyond = await house.assign({ ...place, equipment_id: unit });
    t.match(beyond, { status: 201, body: { is_over_allocation: true } }, policy);
    t.equal(await assigned(allocationId), 2);
    const feed = await house.call('GET', `/v1/activity-feed?equipment_id=${unit}`);
    t.match(feed.body, {
      data: [{ event_type: 'over_allocated', subject_name: '2 of 1 units', severity: 'warning' }],
    });
    const change = (payload: Row) =>
      house.patch('equipment-type-allocations', allocationId, payload);
    t.match(
      await change({ over_allocation_policy: 'block' }),
      refusal(409, '/over_allocation_policy'),
    );
    t.match(await change({ units_allowed: 0 }), refusal(409, '/units_allowed'));
    t.equal((await change({ units_allowed: 2, over_allocation_policy: 'block' })).status, 200);
    const list = await house.call(
      'GET',
      `/v1/equipment-assignments?filter[is_over_allocation]=true&filter[equipment_type_allocation_id]=${allocationId}`,
    );
    t.match(list.body, { data: [{ equipment_assignment_id: idOf(beyond) }] });
  }
});

t.test('what is reserved counts, and what is returned or deleted does not', async (t) => {
  const { allocationId } = await house.agreement({ units: 1 });
  const place = { equipment_type_allocation_id: allocationId };
  const ahead = await house.assign({
    ...place,
    equipment_id: await house.unit(),
    assigned_at: '2026-07-01T10:00:00Z',
  });
  t.equal(ahead.status, 201, ahead.text);
  t.equal(await assigned(allocationId), 1);
  const another = await house.unit();
  t.equal((await house.assign({ ...place, equipment_id: another })).status, 409);
  t.equal((await house.remove('equipment-assignments', idOf(ahead))).status, 204);
  t.equal(await assigned(allocationId), 0);
  const past = await house.assign({
    ...place,
    equipment_id: another,
    assigned_at: '2026-02-01T10:00:00Z',
    returned_at: '2026-03-01T10:00:00Z',
    return_reason: 'other',
  });
  t.equal(past.status, 201, 'history is entered without a place');
  t.equal(await assigned(allocationId), 0);
  const now = await house.assign({ ...place, equipment_id: another });
  t.equal(now.status, 201, now.text);
  const reopened = await house.patch('equipment-assignments', idOf(past), {
    returned_at: null,
    return_reason: null,
  });
  t.equal(reopened.status, 409, 'it would be out twice, and there is no place');
  const other = await house.agreement({ units: 1 });
  const moved = await house.patch('equipment-assignments', idOf(now), {
    equipment_type_allocation_id: other.allocationId,
  });
  t.equal(moved.status, 200, moved.text);
  t.same([await assigned(allocationId), await assigned(other.allocationId)], [0, 1]);
});

t.test('what a unit must fit', async (t) => {
  const { allocationId, scheduleId } = await house.agreement({
    units: 20,
    schedule: { effective_date: '2026-02-01', termination_date: '2026-08-31' },
  });
  const place = { equipment_type_allocation_id: allocationId };
  const tryIt = async (given: Row) =>
    house.assign({ ...place, equipment_id: await house.unit(), ...given });
  const other = await house.unit({ equipment_type_lookup_id: house.types[1] });
  t.match(await tryIt({ equipment_id: other }), refusal(422, '/equipment_id', /of type/));
  const untyped = await house.unit({ equipment_type_lookup_id: null });
  t.match(await tryIt({ equipment_id: untyped }), refusal(422, '/equipment_id', /no type/));
  const retired = await house.unit({ status: 'retired' });
  t.match(await tryIt({ equipment_id: retired }), refusal(409, '/equipment_id', /retired/));
  t.match(await tryIt({ account_id: south }), { status: 422 });
  // Days of Berlin: the last hour of August there is the one before ten in the evening in UTC.
  const days = [
    ['2026-01-31T22:59:00Z', 422],
    ['2026-01-31T23:00:00Z', 201],
    ['2026-08-31T21:59:00Z', 201],
    ['2026-08-31T22:00:00Z', 422],
  ] as const;
  for (const [assigned_at, status] of days) {
    const answer = await tryIt({ assigned_at });
    t.equal(answer.status, status, `${assigned_at}: ${answer.text}`);
    if (status === 422) t.match(answer, refusal(422, '/assigned_at'));
  }
  const suspended = await house.move('schedule-agreements', scheduleId, { status: 'suspended' });
  t.equal(suspended.status, 200);
  t.match(await tryIt({}), refusal(409, '/equipment_type_allocation_id', /suspended/));
  t.equal(
    (await tryIt({ equipment_type_allocation_id: null })).status,
    201,
    'without an agreement',
  );
});

t.test('what was reserved goes out like anything else', async (t) => {
  const { allocationId, scheduleId } = await house.agreement();
  const reserve = async (given: Row = {}) => {
    const equipment_id = await house.unit();
    const made = await house.assign({
      equipment_id,
      assigned_at: '2026-07-05T08:00:00Z',
      ...given,
    });
    t.equal(made.status, 201, made.text);
    return { equipment_id, id: idOf(made) };
  };
  const move = (id: unknown, assigned_at: string) =>
    house.patch('equipment-assignments', id, { assigned_at });
  const placed = await reserve({ equipment_type_allocation_id: allocationId });
  await house.move('schedule-agreements', scheduleId, { status: 'suspended' });
  t.match(await move(placed.id, START), refusal(409, '/equipment_type_allocation_id', /suspended/));
  t.equal((await move(placed.id, '2026-07-06T08:00:00Z')).status, 200, 'it is still to come');
  await house.move('schedule-agreements', scheduleId, { status: 'active' });
  t.equal((await move(placed.id, START)).status, 200, 'and takes no second place');
  const unfit = await reserve();
  const found = await house.post('dot-inspections', {
    account_id: north,
    equipment_id: unfit.equipment_id,
    inspection_kind: 'roadside',
    inspection_date: '2026-06-15',
    inspection_result: 'out_of_service',
  });
  t.equal(found.status, 201, found.text);
  for (const at of [START, '2026-06-14T10:00:00Z']) {
    t.match(await move(unfit.id, at), refusal(409, '/equipment_id', /out of service/), at);
  }
  t.equal((await move(unfit.id, '2026-07-04T08:00:00Z')).status, 200, 'it may be fit by then');
  const retired = await reserve();
  await owner.query(`update equipment set status = 'retired' where equipment_id = $1`, [
    retired.equipment_id,
  ]);
  t.match(await move(retired.id, START), refusal(409, '/equipment_id', /retired/));
});

t.test('a unit that is out stays in the fleet, and of the type that it went out as', async (t) => {
  const { allocationId } = await house.agreement();
  const equipment_id = await house.unit({ account_id: null });
  const place = { equipment_type_allocation_id: allocationId };
  const out = await house.assign({ ...place, equipment_id });
  t.equal(out.status, 201, out.text);
  const change = (payload: Row, unit = equipment_id, who: 'admin' | 'held' = 'admin') =>
    house.patch('equipment', unit, payload, who);
  const [, other] = house.types;
  for (const type of [other, null]) {
    t.match(
      await change({ equipment_type_lookup_id: type }),
      refusal(409, '/equipment_type_lookup_id', /allocation for units of type/),
    );
  }
  t.match(await change({ status: 'retired' }), refusal(409, '/status', /take it back first/));
  t.equal((await change({ color: 'red' })).status, 200);
  house.setNow('2026-06-15T11:00:00Z');
  await house.return(idOf(out));
  t.equal((await change({ equipment_type_lookup_id: other, status: 'retired' })).status, 200);
  const elsewhere = await house.unit();
  const free = await house.assign({ equipment_id: elsewhere, account_id: south });
  t.equal(free.status, 201, free.text);
  t.equal((await change({ equipment_type_lookup_id: other }, elsewhere)).status, 200, 'on none');
  t.match(
    await change({ status: 'retired' }, elsewhere, 'held'),
    refusal(409, '/status'),
    'also where the caller does not see who has it',
  );
});

t.test('a unit comes back', async (t) => {
  const unit = await house.unit();
  const out = await house.assign({ equipment_id: unit, pickup_odometer_m: 5_000 });
  const id = idOf(out);
  house.setNow('2026-06-20T22:30:00Z');
  t.match(await house.return(id, { return_reason: undefined }), { status: 400 });
  t.match(
    await house.return(id, { returned_at: '2026-06-21T00:00:00Z' }),
    refusal(422, '/returned_at', /ahead/),
  );
  t.match(
    await house.return(id, { returned_at: '2026-06-15T10:00:00Z' }),
    refusal(422, '/returned_at', /after/),
  );
  t.match(
    await house.return(id, { return_odometer_m: 4_999 }),
    refusal(422, '/return_odometer_m', /5000/),
  );
  const back = await house.return(id, { return_odometer_m: 6_000, note: 'scratched' });
  t.match(back, {
    status: 200,
    body: {
      returned_at: '2026-06-20T22:30:00.000Z',
      return_reason: 'early_return',
      return_odometer_m: 6_000,
      // Past midnight in Berlin.
      deactivation_date: '2026-06-21',
      note: 'scratched',
    },
  });
  t.equal((await house.assign({ equipment_id: unit })).status, 201, 'and goes out again');
});

t.test('meters are those that its devices told last', async (t) => {
  const [equipment_id, ,] = seed.mine.equipmentIds;
  const tell = (odometer: number, at: string) =>
    owner.query(
      `insert into telematics (customer_id, account_id, equipment_id, unit_number, equipment_has_iot_device_id, recorded_at,
         received_at, latitude, longitude, odometer_m)
       values ($1, $2, $3, 'told', $4, $5, $5, 50, 10, $6)
       on conflict (equipment_id) do update set odometer_m = excluded.odometer_m, recorded_at = excluded.recorded_at`,
      [seed.mine.customerId, north, equipment_id, seed.mine.deviceIds[0], at, odometer],
    );
  await tell(1_000.7, '2026-06-15T09:00:00Z');
  const out = await house.assign({ equipment_id });
  t.match(out, { status: 201, body: { pickup_odometer_m: 1_000 } }, out.text);
  house.setNow('2026-06-20T10:00:00Z');
  await tell(900, '2026-06-20T09:00:00Z');
  const back = await house.return(idOf(out));
  t.match(back, { status: 200, body: { return_odometer_m: null } }, 'a device that was replaced');
  const again = await house.assign({ equipment_id, pickup_odometer_m: 800 });
  t.match(again, { body: { pickup_odometer_m: 800 } }, 'what is said counts');
  await tell(2_000, '2026-06-21T09:00:00Z');
  house.setNow('2026-06-21T10:00:00Z');
  t.match(await house.return(idOf(again)), { body: { return_odometer_m: 2_000 } });
  house.setNow('2026-06-23T10:00:00Z');
  const stale = await house.assign({ equipment_id });
  t.match(stale, { body: { pickup_odometer_m: null } }, 'a reading of the day before is none');
});

t.test('a substitute stands in for a unit that is out with the same account', async (t) => {
  const own = idOf(await house.assign({ equipment_id: await house.unit() }));
  const others = idOf(await house.assign({ equipment_id: await house.unit(), account_id: south }));
  const stand = async (substitute_for_id: unknown) =>
    house.assign({ equipment_id: await house.unit(), substitute_for_id });
  t.equal((await stand(own)).status, 201);
  t.match(await stand(others), refusal(422, '/substitute_for_id'));
  house.setNow('2026-06-15T11:00:00Z');
  await house.return(own);
  t.match(await stand(own), refusal(422, '/substitute_for_id'));
});

t.test(
  'periods of a unit do not overlap, and who is in the way is told to those who may see it',
  async (t) => {
    const equipment_id = await house.unit({ account_id: null });
    const period = (from: string, to: string | null, account_id = north) =>
      house.assign({
        equipment_id,
        account_id,
        assigned_at: from,
        ...(to !== null && { returned_at: to, return_reason: 'other' }),
      });
    const first = await period('2026-02-01T00:00:00Z', '2026-03-01T00:00:00Z', south);
    t.equal(first.status, 201, first.text);
    const words = new RegExp(`assignment ${String(idOf(first))}: account ${south}`);
    t.match(
      await period('2026-02-28T23:59:59Z', '2026-04-01T00:00:00Z'),
      refusal(409, '/assigned_at', words),
    );
    const held = await house.assign(
      { equipment_id, assigned_at: '2026-02-15T00:00:00Z', returned_at: '2026-02-16T00:00:00Z' },
      'held',
    );
    t.match(held, refusal(409, '/assigned_at'));
    t.notMatch(held.text, words, 'whoever does not see that account learns nothing of it');
    t.equal((await period('2026-03-01T00:00:00Z', '2026-04-01T00:00:00Z')).status, 201);
    t.equal((await period('2026-05-01T00:00:00Z', null)).status, 201);
    t.match(await period('2026-04-30T00:00:00Z', null), refusal(409, '/assigned_at', /is out/));
  },
);

t.test('who had it', async (t) => {
  const unit = await house.unit({ account_id: null });
  const had = async (from: string, to: string | null, account_id: number) =>
    idOf(
      await house.assign({
        equipment_id: unit,
        account_id,
        assigned_at: from,
        ...(to !== null && { returned_at: to, return_reason: 'other' }),
      }),
    );
  // Berlin has summer time from 29 March on: that day begins at 23:00 and ends at 22:00.
  const a = await had('2026-03-28T08:00:00Z', '2026-03-28T23:00:00Z', north);
  const b = await had('2026-03-28T23:00:00Z', '2026-03-29T12:00:00Z', south);
  const c = await had('2026-03-29T12:00:00Z', '2026-03-29T21:59:59Z', north);
  const d = await had('2026-03-29T22:00:00Z', null, north);
  const ask = async (query: string, who: 'admin' | 'held' = 'admin') => {
    const { status, body } = await house.call(
      'GET',
      `/v1/equipment/${unit}/assignment${query}`,
      undefined,
      who,
    );
    t.equal(status, 200, query);
    return (body['data'] as Row[]).map((row) => row['equipment_assignment_id']);
  };
  const table = [
    ['?at=2026-03-28T07:59:59Z', []],
    ['?at=2026-03-28T08:00:00Z', [a]],
    ['?at=2026-03-28T23:00:00Z', [b]],
    ['?at=2026-03-29T21:59:59.500Z', []],
    ['', [d]],
    ['?on=2026-03-27', []],
    ['?on=2026-03-28', [a]],
    ['?on=2026-03-29', [b, c]],
    ['?on=2026-03-30', [d]],
    ['?on=2030-01-01', [d]],
  ] as const;
  for (const [query, ids] of table) t.same(await ask(query), ids, query);
  t.same(await ask('?on=2026-03-29', 'held'), [c], 'not what another account had');
  const bad = ['?at=2026-03-29T00:00:00Z&on=2026-03-29', '?on=2026-02-30', '?at=yesterday'];
  for (const query of bad) {
    t.equal(
      (await house.call('GET', `/v1/equipment/${unit}/assignment${query}`)).status,
      400,
      query,
    );
  }
  await owner.query('update equipment set account_id = $2 where equipment_id = $1', [unit, south]);
  t.same(await ask('', 'held'), [d], 'whoever had it may ask, also when it has moved on');
});
