/** Agreements: every state against every other, days and accounts that an agreement covers, quantities, and endings. */
import t from 'tap';
import { endAgreements } from './ends.ts';
import { openHouse, refusal, START, type Row } from './test-agreements.ts';

const house = await openHouse(t);
const { portal, north, south } = house;
const { owner } = portal;
t.beforeEach(() => house.setNow(START));

const endAll = () => {
  const errors: unknown[] = [];
  const onError = (error: unknown) => void errors.push(error);
  return endAgreements({ pool: portal.runnerPool, now: () => house.nowMs(), onError }).then(
    (ended) => {
      if (errors.length > 0) throw errors[0];
      return ended;
    },
  );
};

const STATES = ['draft', 'active', 'suspended', 'expired', 'terminated'] as const;
/** By hand: from where to where. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  draft: ['active', 'terminated'],
  active: ['suspended', 'expired', 'terminated'],
  suspended: ['active', 'expired', 'terminated'],
  expired: ['active'],
  terminated: [],
};
const FROM = { active: '2026-01-01', expired: '2020-01-01' } as Record<string, string>;

t.test('a master agreement: every state against every other', async (t) => {
  for (const from of STATES) {
    for (const to of STATES) {
      const { master_agreement_id: id } = await house.master({ status: 'draft' });
      // Where it is to expire its term is over.
      await owner.query(
        `update master_agreement set status = $2, contract_effective_date = $3,
           terminated_on = case when $2 = 'terminated' then date '2026-06-01' end where master_agreement_id = $1`,
        [id, from, FROM[to] ?? '2026-01-01'],
      );
      const ending = { termination_reason: 'unpaid', terminated_on: '2026-06-15' };
      const answer = await house.move('master-agreements', id, {
        status: to,
        ...(to === 'terminated' && ending),
      });
      const isAllowed = ALLOWED[from]!.includes(to);
      t.match(
        answer,
        isAllowed
          ? { status: 200, body: { status: to } }
          : { status: 409, body: { allowedTransitions: ALLOWED[from]! } },
        `${from} to ${to}: ${answer.text}`,
      );
      const url = `/v1/master-agreements/${String(id)}/transitions`;
      const { body } = await house.call('GET', url);
      t.same(body, {
        state: isAllowed ? to : from,
        allowed_transitions: ALLOWED[isAllowed ? to : from],
      });
    }
  }
});

t.test('a schedule: every state against every other', async (t) => {
  const { master_agreement_id } = await house.master();
  for (const from of STATES) {
    for (const to of STATES) {
      const schedule = await house.schedule({ master_agreement_id, status: 'draft' });
      const id = schedule['schedule_agreement_id'];
      const last = to === 'expired' || from === 'terminated' ? '2026-06-14' : '2026-12-31';
      await owner.query(
        `update schedule_agreement set status = $2, termination_date = $3 where schedule_agreement_id = $1`,
        [id, from, last],
      );
      const answer = await house.move('schedule-agreements', id, {
        status: to,
        ...(to === 'terminated' && { termination_date: '2026-06-15' }),
      });
      t.match(
        answer,
        ALLOWED[from]!.includes(to)
          ? { status: 200, body: { status: to } }
          : { status: 409, body: { allowedTransitions: ALLOWED[from]! } },
        `${from} to ${to}: ${answer.text}`,
      );
    }
  }
});

t.test('what a state asks for', async (t) => {
  const { master_agreement_id: id } = await house.master();
  const move = (payload: Row) => house.move('master-agreements', id, payload);
  t.match(await move({ status: 'terminated' }), refusal(422, '/termination_reason'));
  t.match(
    await move({ status: 'terminated', termination_reason: 'x' }),
    refusal(422, '/terminated_on'),
  );
  t.match(await move({ status: 'expired' }), {
    status: 409,
    body: {
      errors: [{ pointer: '/status', detail: /2026-12-31/ }],
      allowedTransitions: ['suspended', 'terminated'],
    },
  });
  t.match(
    await house.patch('master-agreements', id, { contract_term: 2 }),
    refusal(422, '/contract_term', /2026-02-28/),
  );
  for (const status of ['suspended', 'expired', 'terminated']) {
    const answer = await house.post('master-agreements', {
      agreement_number: `first ${status}`,
      agreement_name: 'x',
      contract_effective_date: '2026-01-01',
      contract_term: 12,
      contract_billing_method: 'usage',
      currency_code: 'USD',
      status,
    });
    t.match(answer, refusal(422, '/status'), status);
  }
  const schedule = await house.schedule({ master_agreement_id: id });
  const moveSchedule = (payload: Row) =>
    house.move('schedule-agreements', schedule['schedule_agreement_id'], payload);
  t.match(await moveSchedule({ status: 'terminated' }), refusal(422, '/termination_date'));
  t.match(await moveSchedule({ status: 'expired' }), {
    status: 409,
    body: {
      errors: [{ pointer: '/termination_date', detail: /no last day/ }],
      allowedTransitions: ['suspended', 'terminated'],
    },
  });
  t.match(
    await moveSchedule({ status: 'terminated', termination_date: '2025-01-01' }),
    refusal(422, '/termination_date'),
    'not before it began',
  );
  t.match(
    await house.patch('schedule-agreements', schedule['schedule_agreement_id'], {
      termination_date: '2026-06-14',
    }),
    refusal(422, '/termination_date', /terminated/),
  );
});

t.test('a schedule is active under an active master and within its days', async (t) => {
  const make = (given: Row) =>
    house
      .schedule(given)
      .then((body) => ({ status: 201, body }))
      .catch((error: Error) => ({ status: 0, text: error.message }));
  const draft = await house.master({ status: 'draft' });
  const under = { master_agreement_id: draft['master_agreement_id'] };
  t.match(await make(under), { text: /409.*master_agreement_id.*draft/ });
  t.match(await make({ ...under, status: 'draft' }), { status: 201 });
  const { master_agreement_id } = await house.master();
  const table = [
    [{ effective_date: '2026-06-15', termination_date: '2026-06-15' }, null],
    [{ effective_date: '2026-06-16' }, 'effective_date'],
    [{ termination_date: '2026-06-14' }, 'termination_date'],
    [{ effective_date: '2025-12-31' }, 'effective_date'],
    [{ account_id: south }, 'account_id'],
    [{ account_id: null }, 'account_id'],
  ] as const;
  for (const [given, field] of table) {
    const answer = await make({ master_agreement_id, ...given });
    if (field === null) t.match(answer, { status: 201 }, JSON.stringify(given));
    else t.match(answer, { text: new RegExp(`422.*"/${field}"`) }, JSON.stringify(given));
  }
  // Tomorrow has come in Berlin, and in UTC it has not.
  house.setNow('2026-06-15T22:30:00Z');
  t.match(await make({ master_agreement_id, effective_date: '2026-06-16' }), { status: 201 });
  house.setNow(START);
  for (const status of ['suspended', 'expired', 'terminated']) {
    const master = await house.master();
    const id = master['master_agreement_id'];
    await owner.query(
      `update master_agreement set status = $2, terminated_on = case when $2 = 'terminated' then date '2026-06-01' end
       where master_agreement_id = $1`,
      [id, status],
    );
    const answer = await make({ master_agreement_id: id, status: 'draft' });
    t.match(answer, { text: /409.*"\/master_agreement_id"/ }, `no new one under ${status}`);
  }
  const gone = await house.master();
  t.equal((await house.remove('master-agreements', gone['master_agreement_id'])).status, 204);
  t.match(await make({ master_agreement_id: gone['master_agreement_id'] }), {
    text: /422.*"\/master_agreement_id"/,
  });
});

t.test('an account below that of the agreement is covered', async (t) => {
  const below = await house.post('accounts', {
    account_name: 'below',
    account_number: 'below',
    account_type: 'REGIONAL',
    parent_account_id: north,
  });
  const { account_id } = below.body;
  const schedule = await house.schedule({ account_id });
  const line = await house.line({ schedule_agreement_id: schedule['schedule_agreement_id'] });
  const payload = {
    schedule_agreement_line_item_id: line['schedule_agreement_line_item_id'],
    units_allowed: 1,
    effective_date: '2026-01-01',
  };
  const allocate = (account: unknown) =>
    house.post('equipment-type-allocations', { ...payload, account_id: account });
  t.equal((await allocate(account_id)).status, 201);
  t.match(await allocate(north), refusal(422, '/account_id'), 'nor is the one above');
  t.match(
    await house.patch('schedule-agreements', schedule['schedule_agreement_id'], {
      account_id: north,
    }),
    { status: 200 },
  );
  t.match(
    await house.patch('master-agreements', schedule['master_agreement_id'], { account_id: south }),
    refusal(409, '/account_id'),
  );
});

t.test('an account is not moved from under an agreement that covers it', async (t) => {
  const account = async (name: string, parent_account_id: unknown) => {
    const { body, text } = await house.post('accounts', {
      account_name: name,
      account_number: name,
      account_type: 'REGIONAL',
      parent_account_id,
    });
    t.type(body['account_id'], 'number', text);
    return body['account_id'] as number;
  };
  const middle = await account('moved middle', north);
  const low = await account('moved low', middle);
  const move = (id: number, parent_account_id: number | null) =>
    house.patch('accounts', id, { parent_account_id });
  t.equal((await move(middle, south)).status, 200, 'nothing is agreed on');
  t.equal((await move(middle, north)).status, 200);
  const line = await house.line();
  const { schedule_agreement_line_item_id, schedule_agreement_id } = line;
  const made = await house.allocation({ account_id: low, schedule_agreement_line_item_id });
  const words = new RegExp(
    `allocation ${String(made['equipment_type_allocation_id'])} of schedule`,
  );
  for (const id of [middle, low]) {
    for (const parent of [south, null]) {
      t.match(await move(id, parent), refusal(409, '/parent_account_id', words));
    }
  }
  t.equal((await move(low, north)).status, 200, 'it stays below the account of the schedule');
  const ended = await house.move('schedule-agreements', schedule_agreement_id, {
    status: 'terminated',
    termination_date: '2026-06-15',
  });
  t.equal(ended.status, 200, ended.text);
  t.equal((await move(low, south)).status, 200, 'it has ended');
  const { master_agreement_id } = await house.master();
  await house.schedule({ master_agreement_id, account_id: middle });
  t.match(
    await move(middle, null),
    refusal(409, '/parent_account_id', /schedule S-\d+ from under/),
  );
});

t.test(
  'an account that was moved meanwhile is not covered when a schedule is renewed',
  async (t) => {
    const moved = async (name: string) =>
      (
        await house.post('accounts', {
          account_name: name,
          account_number: name,
          account_type: 'REGIONAL',
          parent_account_id: north,
        })
      ).body['account_id'] as number;
    const away = { parent_account_id: null };
    const expire = (schedule: Row) =>
      owner.query(
        `update schedule_agreement set status = 'expired', termination_date = '2026-06-01'
       where schedule_agreement_id = $1`,
        [schedule['schedule_agreement_id']],
      );
    const renew = (schedule: Row) =>
      house.move('schedule-agreements', schedule['schedule_agreement_id'], {
        status: 'active',
        termination_date: '2027-06-01',
      });
    const { master_agreement_id } = await house.master({ account_id: north });
    const own = await moved('renewed own');
    const schedule = await house.schedule({ master_agreement_id, account_id: own });
    await expire(schedule);
    t.equal((await house.patch('accounts', own, away)).status, 200);
    t.match(await renew(schedule), refusal(422, '/account_id', /nor one below it/));
    t.equal((await house.patch('accounts', own, { parent_account_id: north })).status, 200);
    t.equal((await renew(schedule)).status, 200);

    const low = await moved('renewed low');
    const line = await house.line();
    const key = 'schedule_agreement_line_item_id';
    await house.allocation({ account_id: low, [key]: line[key] });
    await expire(line);
    t.equal((await house.patch('accounts', low, away)).status, 200);
    t.match(await renew(line), refusal(422, '/account_id', /does not cover that of allocation/));
  },
);

t.test('an account is not moved while a schedule of it is being made', async (t) => {
  const { master_agreement_id } = await house.master({ account_id: north });
  const { body } = await house.post('accounts', {
    account_name: 'both at once',
    account_number: 'both at once',
    account_type: 'REGIONAL',
    parent_account_id: north,
  });
  const account_id = body['account_id'] as number;
  const waiting = async (more: number) => {
    for (let found = -1; found < more;) {
      const { rows } = await owner.query<{ count: number }>(
        `select count(*)::int from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'`,
      );
      found = rows[0]!.count;
    }
  };
  const other = await owner.connect();
  await other.query('begin; lock table schedule_agreement in share mode');
  const makes = house.schedule({ master_agreement_id, account_id });
  await waiting(1);
  const moves = house.patch('accounts', account_id, { parent_account_id: null });
  await Promise.race([moves, waiting(2)]);
  await other.query('rollback');
  other.release();
  t.match(await makes, { account_id }, 'it had been asked already');
  t.match(await moves, refusal(409, '/parent_account_id'));
});

t.test('the quantity of a line is the ceiling of its allocations, day by day', async (t) => {
  const line = await house.line({ number_of_units: 10 });
  const key = 'schedule_agreement_line_item_id';
  const id = line[key];
  const allocate = (units_allowed: number, effective_date: string, termination_date?: string) =>
    house.post('equipment-type-allocations', {
      account_id: north,
      [key]: id,
      units_allowed,
      effective_date,
      ...(termination_date !== undefined && { termination_date }),
    });
  const first = await allocate(6, '2026-01-01', '2026-03-31');
  t.equal(first.status, 201, first.text);
  t.match(await allocate(5, '2026-03-31'), refusal(409, '/units_allowed', /10 units.*11/));
  t.equal((await allocate(6, '2026-04-01')).status, 201, 'after it has ended');
  t.equal((await allocate(4, '2026-01-01')).status, 201, 'beside both');
  t.match(await allocate(1, '2026-05-01', '2026-05-01'), refusal(409, '/units_allowed'));
  const firstId = first.body['equipment_type_allocation_id'];
  const change = (payload: Row) => house.patch('equipment-type-allocations', firstId, payload);
  t.match(await change({ units_allowed: 7 }), refusal(409, '/units_allowed'));
  t.match(await change({ termination_date: '2026-04-01' }), refusal(409, '/units_allowed'));
  t.equal((await change({ units_allowed: 5 })).status, 200);
  const lineUrl = 'schedule-agreement-line-items';
  t.match(await house.patch(lineUrl, id, { number_of_units: 9 }), refusal(409, '/number_of_units'));
  t.equal((await house.patch(lineUrl, id, { number_of_units: 11 })).status, 200);
  await t.rejects(
    owner.query(
      'update schedule_agreement_line_item set number_of_units = 9 where ' + key + ' = $1',
      [id],
    ),
    {
      code: '23514',
      constraint: 'schedule_agreement_line_item_number_of_units_check_allocations',
    },
    'the database holds it too',
  );
});

t.test('of many allocations at once no more are made than fit', async (t) => {
  const line = await house.line({ number_of_units: 7 });
  const key = 'schedule_agreement_line_item_id';
  const answers = await Promise.all(
    Array.from({ length: 50 }, () =>
      house.post('equipment-type-allocations', {
        account_id: north,
        [key]: line[key],
        units_allowed: 2,
        effective_date: '2026-01-01',
      }),
    ),
  );
  t.equal(answers.filter(({ status }) => status === 201).length, 3);
  t.equal(answers.filter(({ status }) => status === 409).length, 47);
});

t.test('an ended schedule takes no lines and no allocations', async (t) => {
  const { scheduleId, lineId, allocationId } = await house.agreement();
  const ended = await house.move('schedule-agreements', scheduleId, {
    status: 'terminated',
    termination_date: '2026-06-15',
  });
  t.equal(ended.status, 200, ended.text);
  const line = await house.post('schedule-agreement-line-items', {
    schedule_agreement_id: scheduleId,
    line_number: 9_999,
    equipment_type_lookup_id: house.types[0],
    number_of_units: 1,
    rate: 1,
    currency_code: 'USD',
  });
  t.match(line, refusal(409, '/schedule_agreement_id'));
  const changed = await house.patch('schedule-agreement-line-items', lineId, { rate: 2 });
  t.match(changed, refusal(409, '/schedule_agreement_id'));
  const allocation = await house.post('equipment-type-allocations', {
    account_id: north,
    schedule_agreement_line_item_id: lineId,
    units_allowed: 1,
    effective_date: '2026-01-01',
  });
  t.match(allocation, refusal(409, '/schedule_agreement_line_item_id'));
  const widened = await house.patch('equipment-type-allocations', allocationId, {
    units_allowed: 2,
  });
  t.match(widened, refusal(409, '/schedule_agreement_line_item_id'));
});

t.test('the end of a schedule releases what is out on it', async (t) => {
  const made = await house.agreement({ units: 3 });
  const [unit, late, ahead] = [await house.unit(), await house.unit(), await house.unit()];
  const place = { equipment_type_allocation_id: made.allocationId };
  const out = async (given: Row) => {
    const { status, body, text } = await house.assign({ ...place, ...given });
    t.equal(status, 201, text);
    return body['equipment_assignment_id'];
  };
  const first = await out({ equipment_id: unit, assigned_at: '2026-03-01T08:00:00Z' });
  const second = await out({ equipment_id: late, assigned_at: '2026-06-14T08:00:00Z' });
  const reserved = await out({ equipment_id: ahead, assigned_at: '2026-07-01T08:00:00Z' });
  const allocation = () => house.read('equipment-type-allocations', made.allocationId);
  t.match(await allocation(), { units_assigned: 3 });
  t.match(await house.remove('schedule-agreements', made.scheduleId), { status: 409 });
  t.match(await house.remove('master-agreements', made.masterId), { status: 409 });
  t.match(await house.remove('schedule-agreement-line-items', made.lineId), { status: 409 });
  t.match(
    await house.remove('equipment-type-allocations', made.allocationId),
    refusal(409, '/units_assigned'),
  );
  // The day has passed: the end of it in Berlin.
  const ended = await house.move('schedule-agreements', made.scheduleId, {
    status: 'terminated',
    termination_date: '2026-06-10',
  });
  t.equal(ended.status, 200, ended.text);
  t.match(await allocation(), { units_assigned: 0, termination_date: '2026-06-10' });
  const path = 'equipment-assignments';
  t.match(await house.read(path, first), {
    returned_at: '2026-06-10T22:00:00.000Z',
    return_reason: 'agreement_ended',
    deactivation_date: '2026-06-15',
  });
  t.match(await house.read(path, second), { returned_at: new Date(START).toISOString() });
  t.equal((await house.call('GET', `/v1/${path}/${String(reserved)}`)).status, 404, 'let go');
  t.equal((await house.remove('schedule-agreements', made.scheduleId)).status, 204);
});

t.test('a master that ends takes its schedules with it', async (t) => {
  const made = await house.agreement();
  const unit = await house.unit();
  await house.assign({ equipment_id: unit, equipment_type_allocation_id: made.allocationId });
  const draft = await house.schedule({
    master_agreement_id: made.masterId,
    status: 'draft',
    effective_date: '2026-08-01',
  });
  house.setNow('2026-06-15T11:00:00Z');
  const ended = await house.move('master-agreements', made.masterId, {
    status: 'terminated',
    termination_reason: 'unpaid',
    terminated_on: '2026-06-15',
  });
  t.equal(ended.status, 200, ended.text);
  t.match(await house.read('schedule-agreements', made.scheduleId), {
    status: 'terminated',
    termination_date: '2026-06-15',
  });
  t.match(await house.read('schedule-agreements', draft['schedule_agreement_id']), {
    status: 'terminated',
    termination_date: '2026-08-01',
  });
  t.match(await house.read('equipment-type-allocations', made.allocationId), { units_assigned: 0 });
  const { rows } = await owner.query<Row>(
    'select returned_at, return_reason from equipment_assignment where equipment_id = $1',
    [unit],
  );
  t.match(rows, [{ returned_at: new Date(house.nowMs()), return_reason: 'agreement_ended' }]);
  t.match(await house.patch('master-agreements', made.masterId, { description: 'x' }), {
    status: 409,
    body: { allowedTransitions: [] },
  });
});

t.test('a termination ahead takes effect when its day has passed', async (t) => {
  const made = await house.agreement();
  const unit = await house.unit();
  const out = await house.assign({
    equipment_id: unit,
    equipment_type_allocation_id: made.allocationId,
  });
  const id = out.body['equipment_assignment_id'];
  const noticed = await house.move('schedule-agreements', made.scheduleId, {
    status: 'terminated',
    termination_date: '2026-06-30',
  });
  t.match(noticed, {
    status: 200,
    body: {
      status: 'active',
      termination_date: '2026-06-30',
      termination_requested_at: /^2026-06-15/,
    },
  });
  t.match(
    await house.move('schedule-agreements', made.scheduleId, { status: 'terminated' }),
    refusal(422, '/termination_date', /2026-06-30/),
  );
  // The last minute of that day in Berlin, and the first of the next.
  house.setNow('2026-06-30T21:59:00Z');
  await endAll();
  t.match(await house.read('schedule-agreements', made.scheduleId), { status: 'active' });
  house.setNow('2026-06-30T22:01:00Z');
  t.ok((await endAll()) > 0);
  t.match(await house.read('schedule-agreements', made.scheduleId), { status: 'terminated' });
  t.match(await house.read('equipment-assignments', id), {
    returned_at: '2026-06-30T22:00:00.000Z',
    return_reason: 'agreement_ended',
    deactivation_date: '2026-06-30',
  });
  t.equal(await endAll(), 0, 'and once');
});

const PARTS = {
  'schedule-agreement-line-items': 'lineId',
  'equipment-type-allocations': 'allocationId',
} as const;

t.test('a line and an allocation release what is out on them after their last day', async (t) => {
  for (const [path, key] of Object.entries(PARTS)) {
    house.setNow(START);
    const made = await house.agreement({ units: 3 });
    const place = { equipment_type_allocation_id: made.allocationId };
    const out = async (assigned_at: string) => {
      const answer = await house.assign({
        ...place,
        equipment_id: await house.unit(),
        assigned_at,
      });
      t.equal(answer.status, 201, answer.text);
      return answer.body['equipment_assignment_id'];
    };
    const had = await out('2026-03-01T08:00:00Z');
    const reserved = await out('2026-07-01T08:00:00Z');
    const planned = await house.patch(path, made[key], { termination_date: '2026-06-20' });
    t.equal(planned.status, 200, planned.text);
    // The last minute of that day in Berlin, and long after it, as after a night without the server.
    house.setNow('2026-06-20T21:59:00Z');
    await endAll();
    t.match(await house.read('equipment-assignments', had), { returned_at: null }, path);
    house.setNow('2026-06-21T08:00:00Z');
    t.equal(await endAll(), 1, path);
    t.match(await house.read('equipment-assignments', had), {
      returned_at: '2026-06-20T22:00:00.000Z',
      return_reason: 'agreement_ended',
      deactivation_date: '2026-06-20',
    });
    const gone = await house.call('GET', `/v1/equipment-assignments/${String(reserved)}`);
    t.equal(gone.status, 404, 'let go');
    const allocation = await house.read('equipment-type-allocations', made.allocationId);
    t.match(allocation, { units_assigned: 0 });
    t.match(await house.read('schedule-agreements', made.scheduleId), { status: 'active' });
    t.equal(await endAll(), 0, 'and once');
  }
});

t.test('of the last days of a line and its allocation the first counts', async (t) => {
  const { lineId, allocationId } = await house.agreement();
  const out = await house.assign({
    equipment_id: await house.unit(),
    equipment_type_allocation_id: allocationId,
  });
  const end = (path: string, id: number, termination_date: string) =>
    house.patch(path, id, { termination_date });
  await end('schedule-agreement-line-items', lineId, '2026-06-18');
  await end('equipment-type-allocations', allocationId, '2026-06-20');
  house.setNow('2026-06-25T08:00:00Z');
  await endAll();
  t.match(await house.read('equipment-assignments', out.body['equipment_assignment_id']), {
    returned_at: '2026-06-18T22:00:00.000Z',
  });
});

t.test('days of a line and an allocation stay around what is out on them', async (t) => {
  for (const [path, key] of Object.entries(PARTS)) {
    const made = await house.agreement({ units: 2 });
    const change = (payload: Row) => house.patch(path, made[key], payload);
    t.equal((await change({ effective_date: '2026-07-01' })).status, 200, 'nothing is out');
    t.equal((await change({ effective_date: '2026-01-01' })).status, 200);
    const out = await house.assign({
      equipment_id: await house.unit(),
      equipment_type_allocation_id: made.allocationId,
      // The second day of June in Berlin.
      assigned_at: '2026-06-01T22:30:00Z',
    });
    t.equal(out.status, 201, out.text);
    t.match(await change({ termination_date: '2026-06-14' }), refusal(409, '/termination_date'));
    for (const day of ['2026-06-03', '2027-01-01']) {
      t.match(
        await change({ effective_date: day }),
        refusal(409, '/effective_date', /since 2026-06-02/),
        `${path} ${day}`,
      );
    }
    t.equal((await change({ effective_date: '2026-06-02' })).status, 200);
    t.equal((await change({ termination_date: '2026-06-15' })).status, 200, 'today has an end yet');
    await house.return(out.body['equipment_assignment_id']);
    t.equal((await change({ termination_date: '2026-06-14' })).status, 200, 'nothing is out');
  }
  const { scheduleId, allocationId } = await house.agreement();
  await house.assign({
    equipment_id: await house.unit(),
    equipment_type_allocation_id: allocationId,
    assigned_at: '2026-06-01T22:30:00Z',
  });
  const change = (payload: Row) => house.patch('schedule-agreements', scheduleId, payload);
  t.match(await change({ effective_date: '2026-06-03' }), refusal(409, '/effective_date'));
  t.equal((await change({ effective_date: '2026-06-02' })).status, 200);
});

t.test('a unit that goes out in the instant of the end has been out', async (t) => {
  const { scheduleId, allocationId } = await house.agreement();
  const out = await house.assign({
    equipment_id: await house.unit(),
    equipment_type_allocation_id: allocationId,
  });
  const ended = await house.move('schedule-agreements', scheduleId, {
    status: 'terminated',
    termination_date: '2026-06-15',
  });
  t.equal(ended.status, 200, ended.text);
  t.match(await house.read('equipment-assignments', out.body['equipment_assignment_id']), {
    assigned_at: '2026-06-15T10:00:00.000Z',
    returned_at: '2026-06-15T10:00:00.001Z',
    return_reason: 'agreement_ended',
  });
});

t.test('a plan that is changed takes the termination back', async (t) => {
  const schedule = await house.schedule();
  const id = schedule['schedule_agreement_id'];
  await house.move('schedule-agreements', id, {
    status: 'terminated',
    termination_date: '2026-06-20',
  });
  const planned = await house.patch('schedule-agreements', id, { termination_date: '2026-06-25' });
  t.match(planned, { status: 200, body: { termination_requested_at: null } });
  house.setNow('2026-06-26T10:00:00Z');
  await endAll();
  t.match(await house.read('schedule-agreements', id), { status: 'expired' });
  const renew = (payload: Row) =>
    house.move('schedule-agreements', id, { status: 'active', ...payload });
  t.match(await renew({}), refusal(422, '/termination_date'));
  t.match(await renew({ termination_date: '2026-12-31' }), { status: 200 }, 'renewed');
});

t.test('notice of a master, and its end by itself', async (t) => {
  const make = async (given: Row = {}) => {
    const master = await house.master(given);
    const { master_agreement_id } = master;
    const schedule = await house.schedule({ master_agreement_id });
    return [master_agreement_id, schedule['schedule_agreement_id']] as const;
  };
  const [noticed, under] = await make({ auto_renews: true, renewal_term: 12 });
  const notice = (payload: Row) => house.patch('master-agreements', noticed, payload);
  t.match(await notice({ terminated_on: '2026-08-31' }), refusal(422, '/termination_reason'));
  t.match(await notice({ terminated_on: '2026-06-15' }), refusal(422, '/terminated_on'));
  t.match(await notice({ terminated_on: '2026-08-31', termination_reason: 'notice' }), {
    status: 200,
    body: { status: 'active', terminated_on: '2026-08-31' },
  });
  const [runsOut, itsSchedule] = await make();
  const [renews, stays] = await make({ auto_renews: true, renewal_term: 6 });
  house.setNow('2026-09-01T10:00:00Z');
  await endAll();
  t.match(await house.read('master-agreements', noticed), { status: 'terminated' });
  t.match(await house.read('schedule-agreements', under), {
    status: 'terminated',
    termination_date: '2026-08-31',
  });
  t.match(await house.read('master-agreements', runsOut), { status: 'active' });
  house.setNow('2027-01-01T10:00:00Z');
  await endAll();
  t.match(await house.read('master-agreements', runsOut), { status: 'expired' });
  t.match(await house.read('schedule-agreements', itsSchedule), {
    status: 'expired',
    termination_date: '2026-12-31',
  });
  t.match(await house.read('master-agreements', renews), {
    status: 'active',
    contract_term: 18,
    contract_end_date: '2027-06-30',
  });
  t.match(await house.read('schedule-agreements', stays), { status: 'active' });
  const renew = (payload: Row) =>
    house.move('master-agreements', runsOut, { status: 'active', ...payload });
  t.match(await renew({}), refusal(422, '/contract_term', /2026-12-31/));
  t.match(await renew({ contract_term: 24 }), { status: 200, body: { status: 'active' } });
});

t.test('of two that end a schedule at once one is told that it has ended', async (t) => {
  const { scheduleId } = await house.agreement();
  const answers = await Promise.all(
    Array.from({ length: 2 }, () =>
      house.move('schedule-agreements', scheduleId, {
        status: 'terminated',
        termination_date: '2026-06-15',
      }),
    ),
  );
  t.same(answers.map(({ status }) => status).sort(), [200, 409]);
});

t.test('contract ends are reckoned alike here and in the database', async (t) => {
  const { contractEnd } = await import('./terms.ts');
  const { rows } = await owner.query<{ day: string; months: number; last: string }>(
    `select d::date as day, n as months, (d + make_interval(months => n) - interval '1 day')::date as last
     from generate_series(date '2023-12-25', date '2024-12-31', interval '1 day') d,
       unnest(array[1, 2, 3, 11, 12, 13, 24, 48, 600]) n`,
  );
  t.ok(rows.length > 3_000);
  t.same(
    rows.filter(({ day, months, last }) => contractEnd(day, months) !== last),
    [],
  );
});
