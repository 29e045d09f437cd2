/** Inspections: every state against every other, what is out of service and for how long, what is due, what is kept. */
import t from 'tap';
import { withTenant } from '../../db/tenancy.ts';
import { openHouse, refusal, START, type Answer, type Row } from '../agreements/test-agreements.ts';
import { QUOTAS } from '../context.ts';
import { correctViolationsOfWorkorder } from './workorder-done.ts';

const house = await openHouse(t);
const { portal, north } = house;
const { owner, seed } = portal;
t.beforeEach(() => house.setNow(START));

const I = 'dot-inspections';
const V = 'dot-inspection-violations';
const idOf = (row: Row) =>
  (row['dot_inspection_violation_id'] ?? row['dot_inspection_id']) as number;

async function must(answer: Promise<Answer>, status = 201): Promise<Row> {
  const { status: got, body, text } = await answer;
  if (got !== status) throw new Error(text);
  return body;
}

const inspect = async (given: Row = {}) =>
  must(
    house.post(I, {
      account_id: north,
      equipment_id: given['equipment_id'] ?? (await house.unit()),
      inspection_kind: 'roadside',
      inspection_date: '2026-06-10',
      inspection_result: 'fail',
      ...given,
    }),
  );
const find = (inspectionId: unknown, given: Row = {}) =>
  must(
    house.post(V, {
      dot_inspection_id: inspectionId,
      violation_code: '393.75(a)',
      severity_level: 'major',
      ...given,
    }),
  );
const correct = (violation: Row) =>
  house.move(V, idOf(violation), { status: 'corrected', corrective_action: 'new tyre' });
const fitness = async (unit: unknown) =>
  must(house.call('GET', `/v1/equipment/${String(unit)}/fitness`), 200);

const INSPECTION_STATES = [
  'open',
  'certified',
  'returned',
  'no_return_required',
  'closed',
] as const;
/** By hand; an open one without violations that was passed may be closed as well. */
const INSPECTION_ALLOWED: Readonly<Record<string, readonly string[]>> = {
  open: ['certified', 'closed'],
  certified: ['returned', 'no_return_required'],
  returned: ['closed'],
  no_return_required: ['closed'],
  closed: [],
};

t.test('an inspection: every state against every other', async (t) => {
  for (const from of INSPECTION_STATES) {
    for (const to of INSPECTION_STATES) {
      const id = idOf(await inspect({ inspection_result: 'pass' }));
      await owner.query('update dot_inspection set status = $2 where dot_inspection_id = $1', [
        id,
        from,
      ]);
      const isAllowed = INSPECTION_ALLOWED[from]!.includes(to);
      const answer = await house.move(I, id, { status: to });
      t.match(
        answer,
        isAllowed
          ? { status: 200, body: { status: to } }
          : { status: 409, body: { allowedTransitions: INSPECTION_ALLOWED[from]! } },
        `${from} to ${to}: ${answer.text}`,
      );
      if (!isAllowed) continue;
      const stamp = `${to}_at`;
      if (stamp in answer.body) t.equal(answer.body[stamp], new Date(START).toISOString(), stamp);
      if (to === 'certified') t.ok(answer.body['certified_by_user_id'], 'who signed it');
    }
  }
});

const VIOLATION_ALLOWED: Readonly<Record<string, readonly string[]>> = {
  open: ['repair_scheduled', 'corrected'],
  repair_scheduled: ['corrected'],
  corrected: ['certified'],
  certified: ['returned', 'no_return_required'],
  returned: ['closed'],
  no_return_required: ['closed'],
  closed: [],
};

t.test('a violation: every state against every other', async (t) => {
  const inspectionId = idOf(await inspect());
  const states = Object.keys(VIOLATION_ALLOWED);
  for (const from of states) {
    for (const to of states) {
      const id = idOf(await find(inspectionId));
      await owner.query(
        'update dot_inspection_violation set status = $2 where dot_inspection_violation_id = $1',
        [id, from],
      );
      const answer = await house.move(V, id, {
        status: to,
        ...(to === 'corrected' && { corrective_action: 'new tyre' }),
        ...(to === 'repair_scheduled' && { due_on: '2026-06-20' }),
      });
      t.match(
        answer,
        VIOLATION_ALLOWED[from]!.includes(to)
          ? { status: 200, body: { status: to } }
          : { status: 409, body: { allowedTransitions: VIOLATION_ALLOWED[from]! } },
        `${from} to ${to}: ${answer.text}`,
      );
    }
  }
});

t.test('what a state asks for', async (t) => {
  const inspection = await inspect({ is_return_required: true });
  t.match(inspection, { status: 'open', return_due_on: '2026-06-25', retain_until: '2027-06-10' });
  const violation = await find(idOf(inspection));
  t.match(violation, { status: 'open', due_on: '2026-06-25' });
  const plain = await inspect();
  const unplanned = await find(idOf(plain));
  t.match(
    await house.move(V, idOf(unplanned), { status: 'repair_scheduled' }),
    refusal(422, '/workorder_id'),
  );
  t.match(
    await house.move(V, idOf(violation), { status: 'corrected' }),
    refusal(422, '/corrective_action'),
  );
  t.match(await house.move(I, idOf(inspection), { status: 'certified' }), {
    status: 409,
    body: {
      allowedTransitions: ['closed'],
      errors: [{ detail: new RegExp(`${idOf(violation)}`) }],
    },
  });
  t.match(await house.move(I, idOf(inspection), { status: 'closed' }), {
    status: 409,
    body: { allowedTransitions: ['certified'] },
  });
  t.match(await correct(violation), {
    status: 200,
    body: { status: 'corrected', corrected_at: new Date(START).toISOString() },
  });
  await must(house.move(I, idOf(inspection), { status: 'certified' }), 200);
  t.match(await house.read(V, idOf(violation)), {
    status: 'certified',
    certified_at: new Date(START).toISOString(),
  });
  t.match(
    await house.post(V, {
      dot_inspection_id: idOf(inspection),
      violation_code: 'x',
      severity_level: 'minor',
    }),
    refusal(409, '/dot_inspection_id', /certified/),
  );
  t.match(await house.move(I, idOf(inspection), { status: 'no_return_required' }), {
    status: 409,
    body: { allowedTransitions: ['returned'] },
  });
  await must(house.move(I, idOf(inspection), { status: 'returned' }), 200);
  await must(house.move(I, idOf(inspection), { status: 'closed' }), 200);
  t.match(await house.read(V, idOf(violation)), {
    status: 'closed',
    returned_at: new Date(START).toISOString(),
    closed_at: new Date(START).toISOString(),
  });
  t.match(await house.patch(I, idOf(inspection), { notes: 'x' }), { status: 409 });
  t.match(await house.patch(V, idOf(violation), { corrective_action: 'x' }), { status: 409 });
});

t.test('days that follow, and days that cannot be', async (t) => {
  const annual = { inspection_kind: 'annual', inspection_result: 'pass' };
  t.match(await inspect({ ...annual, inspection_date: '2024-02-29' }), {
    expires_on: '2025-02-28',
    retain_until: '2025-04-29',
  });
  t.match(await inspect({ ...annual, inspection_result: 'fail' }), { expires_on: null });
  t.match(await inspect({ ...annual, expires_on: '2026-12-31' }), { expires_on: '2026-12-31' });
  const unit = await house.unit();
  const wrong = (given: Row) =>
    house.post(I, {
      account_id: north,
      equipment_id: unit,
      inspection_date: '2026-06-10',
      ...annual,
      ...given,
    });
  t.match(
    await wrong({ inspection_result: 'fail', expires_on: '2027-06-10' }),
    refusal(422, '/expires_on'),
  );
  t.match(await wrong({ inspection_date: '2026-06-17' }), refusal(422, '/inspection_date'));
  t.match(await wrong({ status: 'certified' }), refusal(422, '/status'));
  t.match(await wrong({ status: 'closed' }), { status: 201, body: { closed_at: /^2026-06-15/ } });
  t.match(await wrong({ status: 'closed', inspection_result: 'fail' }), { status: 409 });
  t.match(await wrong({ back_in_service_at: START }), refusal(400, '/back_in_service_at'));
});

t.test('a unit is out of service until the last of what put it out is repaired', async (t) => {
  const unit = await house.unit();
  t.same(await fitness(unit), { is_fit: true, reasons: [] }, 'never inspected');
  const inspection = await inspect({ equipment_id: unit, report_number: 'NE-1' });
  const [one, two, harmless] = [
    await find(idOf(inspection), { is_out_of_service: true }),
    await find(idOf(inspection), { is_out_of_service: true }),
    await find(idOf(inspection)),
  ];
  const why = {
    reason: 'out_of_service',
    dot_inspection_id: idOf(inspection),
    report_number: 'NE-1',
  };
  t.match(await fitness(unit), { is_fit: false, reasons: [why] });
  const refused = await house.assign({ equipment_id: unit });
  t.match(refused, refusal(409, '/equipment_id', /out of service.*NE-1.*2026-06-10/));
  await correct(one);
  t.match(await fitness(unit), { is_fit: false });
  house.setNow('2026-06-16T10:00:00Z');
  await correct(two);
  t.match(await fitness(unit), { is_fit: true }, 'what is left put nothing out');
  t.match(await house.read(I, idOf(inspection)), {
    status: 'open',
    back_in_service_at: '2026-06-16T10:00:00.000Z',
  });
  t.equal((await house.assign({ equipment_id: unit })).status, 201);
  await house.patch(V, idOf(harmless), { is_out_of_service: true });
  t.match(await fitness(unit), { is_fit: false }, 'and out again');
  t.match(await house.read(I, idOf(inspection)), { back_in_service_at: null });
  const { body } = await house.call('GET', `/v1/activity-feed?equipment_id=${unit}`);
  t.same((body['data'] as Row[]).map((row) => row['event_type']).sort(), [
    'unit_back_in_service',
    'unit_out_of_service',
    'unit_out_of_service',
  ]);
  const list = await house.call('GET', `/v1/equipment/${unit}/assignment`);
  t.equal((list.body['data'] as Row[]).length, 1, 'who has it keeps it');
});

t.test('where no violation is listed, the signature puts it back', async (t) => {
  const unit = await house.unit();
  const inspection = await inspect({ equipment_id: unit, inspection_result: 'out_of_service' });
  await find(idOf(inspection), { status: 'corrected', corrective_action: 'bulb' });
  t.match(await fitness(unit), { is_fit: false });
  t.equal((await house.assign({ equipment_id: unit })).status, 409);
  const certified = await house.move(I, idOf(inspection), { status: 'certified' });
  t.match(certified, { status: 200, body: { back_in_service_at: new Date(START).toISOString() } });
  t.match(await fitness(unit), { is_fit: true });
});

t.test(
  'a unit that was not passed, or whose inspection has run out, is not handed out',
  async (t) => {
    const annual = { inspection_kind: 'annual', inspection_result: 'pass' };
    const table = [
      // Results of annual inspections with their days, and why it is unfit.
      [[['pass', '2025-06-15']], []],
      [[['pass', '2025-06-14']], ['annual_expired']],
      [[['fail', '2026-06-01']], ['annual_failed']],
      [
        [
          ['pass', '2026-05-01'],
          ['fail', '2026-06-01'],
        ],
        ['annual_failed'],
      ],
      [
        [
          ['pass', '2025-05-01'],
          ['fail', '2026-06-01'],
        ],
        ['annual_failed', 'annual_expired'],
      ],
      [
        [
          ['fail', '2026-05-01'],
          ['pass', '2026-06-01'],
        ],
        [],
      ],
      [
        [
          ['pass', '2024-05-01'],
          ['pass', '2026-06-01'],
        ],
        [],
      ],
      [
        [
          ['fail', '2026-06-01'],
          ['pass', '2026-06-01'],
        ],
        [],
      ],
    ] as const;
    for (const [results, reasons] of table) {
      const equipment_id = await house.unit();
      for (const [inspection_result, inspection_date] of results) {
        await inspect({ ...annual, equipment_id, inspection_result, inspection_date });
      }
      const said = await fitness(equipment_id);
      const name = JSON.stringify(results);
      t.same(
        (said['reasons'] as Row[]).map(({ reason }) => reason),
        reasons,
        name,
      );
      const answer = await house.assign({ equipment_id });
      t.equal(answer.status, reasons.length === 0 ? 201 : 409, `${name} ${answer.text}`);
    }
    // Its last day is over in Berlin, and not in UTC.
    const equipment_id = await house.unit();
    await inspect({ ...annual, equipment_id, inspection_date: '2025-06-15' });
    house.setNow('2026-06-15T21:59:59Z');
    t.match(await fitness(equipment_id), { is_fit: true });
    house.setNow('2026-06-15T22:00:00Z');
    t.match(await fitness(equipment_id), {
      is_fit: false,
      reasons: [{ expires_on: '2026-06-15' }],
    });
  },
);

t.test('an unfit unit is not handed out again by a change either', async (t) => {
  const equipment_id = await house.unit();
  const out = await house.assign({ equipment_id, assigned_at: '2026-06-14T10:00:00Z' });
  const id = out.body['equipment_assignment_id'];
  await house.return(id);
  await inspect({ equipment_id, inspection_result: 'out_of_service' });
  const reopened = await house.patch('equipment-assignments', id, {
    returned_at: null,
    return_reason: null,
  });
  t.match(reopened, refusal(409, '/equipment_id'));
  const noted = await house.patch('equipment-assignments', id, { note: 'x' });
  t.equal(noted.status, 200, noted.text);
});

t.test('who hands a unit out waits for whoever finds something wrong with it', async (t) => {
  const equipment_id = await house.unit();
  const finder = await owner.connect();
  t.teardown(() => finder.release());
  await finder.query('begin');
  await finder.query('select from equipment where equipment_id = $1 for no key update', [
    equipment_id,
  ]);
  const handing = house.assign({ equipment_id });
  // Until it waits for the finder; it cannot be done before.
  for (let waiting = 0; waiting === 0;) {
    const { rows } = await owner.query<{ count: number }>(
      `select count(*)::integer as count from pg_stat_activity
       where wait_event_type = 'Lock' and datname = current_database() and query like '%hold_unit%'`,
    );
    waiting = rows[0]!.count;
  }
  await finder.query(
    `insert into dot_inspection (customer_id, equipment_id, inspection_kind, inspection_date, inspection_result)
     values ($1, $2, 'roadside', '2026-06-15', 'out_of_service')`,
    [seed.mine.customerId, equipment_id],
  );
  await finder.query('commit');
  t.match(await handing, refusal(409, '/equipment_id', /out of service/));
});

t.test('a work order that is done corrects what it was made for', async (t) => {
  const { customerId } = seed.mine;
  const equipment_id = await house.unit();
  const order = await must(
    house.post('workorders', {
      account_id: north,
      equipment_id,
      workorder_description: 'tyres',
      currency_code: 'USD',
    }),
  );
  const workorder_id = order['workorder_id'];
  const inspection = await inspect({ equipment_id, inspection_result: 'out_of_service' });
  const scheduled = await find(idOf(inspection), {
    is_out_of_service: true,
    status: 'repair_scheduled',
    workorder_id,
  });
  const open = await find(idOf(inspection), { workorder_id, corrective_action: 'said before' });
  const other = await find(idOf(inspection));
  const done = await find(idOf(inspection), {
    workorder_id,
    status: 'corrected',
    corrective_action: 'earlier',
  });
  house.setNow('2026-06-18T10:00:00Z');
  const principal = {
    subject: 'x',
    userId: 1,
    email: '',
    roleName: '',
    tenant: { customerId, accountIds: null },
    permissions: new Set<never>(),
  };
  await withTenant(portal.apiPool, principal.tenant, (db) =>
    correctViolationsOfWorkorder(
      { db, principal, quotas: QUOTAS, nowMs: house.nowMs() },
      { ...order, resolution: 'new tyre' },
    ),
  );
  const now = '2026-06-18T10:00:00.000Z';
  t.match(await house.read(V, idOf(scheduled)), {
    status: 'corrected',
    corrective_action: 'new tyre',
    corrected_at: now,
  });
  t.match(await house.read(V, idOf(open)), {
    status: 'corrected',
    corrective_action: 'said before',
  });
  t.match(await house.read(V, idOf(other)), { status: 'open' });
  t.match(await house.read(V, idOf(done)), { corrected_at: new Date(START).toISOString() });
  t.match(await house.read(I, idOf(inspection)), { status: 'open', back_in_service_at: now });
  t.match(await fitness(equipment_id), { is_fit: true });
});

t.test('a work order that was not done after all has corrected nothing', async (t) => {
  const ends = [
    { workorder_status: 'in_progress', status_reason: 'not repaired at all' },
    { workorder_status: 'cancelled', status_reason: 'somebody else did it' },
  ];
  for (const end of ends) {
    house.setNow(START);
    const equipment_id = await house.unit();
    const about = { account_id: north, equipment_id, currency_code: 'USD' };
    const order = await must(house.post('workorders', { ...about, workorder_description: 'x' }));
    const id = order['workorder_id'] as number;
    const move = (payload: Row) => must(house.move('workorders', id, payload), 200);
    const [inspection, signed] = [await inspect({ equipment_id }), await inspect({ equipment_id })];
    const of = { workorder_id: id, is_out_of_service: true };
    const own = await find(idOf(inspection), of);
    const told = await find(idOf(inspection), { ...of, corrective_action: 'said before' });
    const before = await find(idOf(inspection), of);
    const certified = await find(idOf(signed), of);
    await correct(before);
    await move({ workorder_status: 'in_progress' });
    house.setNow('2026-06-18T10:00:00Z');
    await move({ workorder_status: 'completed', resolution: 'new tyre' });
    await must(house.move(I, idOf(signed), { status: 'certified' }), 200);
    t.match(await fitness(equipment_id), { is_fit: true });
    house.setNow('2026-06-19T10:00:00Z');
    await move(end);
    const open = { status: 'open', corrected_at: null, workorder_id: id };
    t.match(await house.read(V, idOf(own)), { ...open, corrective_action: '' });
    t.match(await house.read(V, idOf(told)), { ...open, corrective_action: 'said before' });
    t.match(await house.read(V, idOf(before)), { status: 'corrected' });
    t.match(await house.read(V, idOf(certified)), { status: 'certified' });
    t.match(await house.read(I, idOf(inspection)), { back_in_service_at: null });
    const reasons = [{ reason: 'out_of_service', dot_inspection_id: idOf(inspection) }];
    t.match(await fitness(equipment_id), { is_fit: false, reasons });
    t.equal((await house.assign({ equipment_id })).status, 409);
    if (end.workorder_status === 'cancelled') continue;
    await move({ workorder_status: 'completed', resolution: 'two new tyres' });
    t.match(await house.read(V, idOf(own)), { corrective_action: 'two new tyres' });
    t.match(await fitness(equipment_id), { is_fit: true });
  }
});

t.test('what a work order has corrected is not left so by those who do not see it', async (t) => {
  const ends = [
    { workorder_status: 'in_progress', status_reason: 'not repaired at all' },
    { workorder_status: 'cancelled', status_reason: 'somebody else did it' },
  ];
  for (const end of ends) {
    house.setNow(START);
    const equipment_id = await house.unit();
    const about = { account_id: north, equipment_id, currency_code: 'USD' };
    const order = await must(house.post('workorders', { ...about, workorder_description: 'x' }));
    const id = order['workorder_id'] as number;
    const move = (payload: Row, who?: 'held') =>
      must(house.move('workorders', id, payload, who), 200);
    const hidden = { equipment_id, account_id: house.south, report_number: 'SECRET-2' };
    const [seen, other] = [await inspect({ equipment_id }), await inspect(hidden)];
    const of = { workorder_id: id, is_out_of_service: true };
    const own = await find(idOf(seen), of);
    await correct(await find(idOf(other), of));
    const complete = { workorder_status: 'completed', resolution: 'new tyre' };
    await move({ workorder_status: 'in_progress' });
    house.setNow('2026-06-17T10:00:00Z');
    await move(complete);
    await move({ workorder_status: 'in_progress', status_reason: 'by mistake' }, 'held');
    t.match(await house.read(V, idOf(own)), { status: 'open' }, 'the other was corrected by hand');
    const theirs = await find(idOf(other), of);
    house.setNow('2026-06-18T10:00:00Z');
    await move(complete);
    t.match(await fitness(equipment_id), { is_fit: true });
    const refused = await house.move('workorders', id, end, 'held');
    t.match(refused, refusal(409, '/workorder_status', /do not see/), refused.text);
    t.notMatch(refused.text, /SECRET-2/);
    t.match(await house.read('workorders', id), { workorder_status: 'completed' });
    t.match(await house.read(V, idOf(own)), { status: 'corrected' });
    t.match(await house.read(V, idOf(theirs)), { status: 'corrected' });
    t.match(await fitness(equipment_id), { is_fit: true });
    await move(end);
    t.match(await house.read(V, idOf(theirs)), { status: 'open' });
    t.match(await fitness(equipment_id), { is_fit: false });
  }
});

t.test('what is due', async (t) => {
  const annual = { inspection_kind: 'annual', inspection_result: 'pass' };
  await owner.query(`update equipment set status = 'retired'`);
  const make = async (inspection_date: string | null, given: Row = {}) => {
    const equipment_id = await house.unit(given);
    if (inspection_date !== null) await inspect({ ...annual, equipment_id, inspection_date });
    return equipment_id;
  };
  const soon = await make('2025-07-01');
  const today = await make('2025-06-15');
  const overdue = await make('2025-06-14');
  const never = await make(null);
  const later = await make('2025-08-14');
  const tooFar = await make('2025-08-15');
  const southern = await make('2025-06-20', { account_id: house.south });
  await make(null, { status: 'retired' });
  // The last pass counts, and what came after it does not make it longer.
  await inspect({
    ...annual,
    equipment_id: soon,
    inspection_result: 'fail',
    inspection_date: '2026-06-01',
  });
  const list = async (query = '', who: 'admin' | 'held' = 'admin') => {
    const rows: Row[] = [];
    for (let cursor = ''; ;) {
      const url = `/v1/inspections-due?limit=2${query}${cursor}`;
      const { status, body, text } = await house.call('GET', url, undefined, who);
      t.equal(status, 200, text);
      rows.push(...(body['data'] as Row[]));
      const { next_cursor } = body['page'] as { next_cursor: string | null };
      if (next_cursor === null) return rows;
      cursor = `&cursor=${next_cursor}`;
    }
  };
  const short = (rows: Row[]) =>
    rows.map((row) => [row['equipment_id'], row['days_left'], row['status']]);
  t.same(short(await list()), [
    [never, null, 'none'],
    [overdue, -1, 'overdue'],
    [today, 0, 'due'],
    [southern, 5, 'due'],
    [soon, 16, 'due_soon'],
    [later, 60, 'ok'],
  ]);
  t.same(short(await list('&within_days=0')), [
    [never, null, 'none'],
    [overdue, -1, 'overdue'],
    [today, 0, 'due'],
  ]);
  t.ok(short(await list('&within_days=61')).some(([unit]) => unit === tooFar));
  t.same(short(await list(`&account_id=${house.south}`)), [[southern, 5, 'due']]);
  t.notOk(short(await list('', 'held')).some(([unit]) => unit === southern));
  // In Berlin a day later.
  house.setNow('2026-06-15T22:00:00Z');
  t.match(
    (await list()).find((row) => row['equipment_id'] === today),
    { days_left: -1, status: 'overdue' },
  );
});

t.test('a report is kept as long as the law wants it', async (t) => {
  const table = [
    ['annual', '2026-01-31', '2027-03-31'],
    ['annual', '2024-12-31', '2026-02-28'],
    ['state', '2026-01-31', '2027-03-31'],
    ['roadside', '2024-02-29', '2025-02-28'],
    ['brake', '2026-03-01', '2027-03-01'],
    ['dvir', '2025-11-30', '2026-02-28'],
    ['dvir', '2026-03-31', '2026-06-30'],
    ['tank', '2024-02-29', '2029-02-28'],
  ] as const;
  for (const [inspection_kind, inspection_date, until] of table) {
    house.setNow(START);
    const inspection = await inspect({
      inspection_kind,
      inspection_date,
      inspection_result: 'pass',
    });
    const id = idOf(inspection);
    const violation = idOf(await find(id));
    t.equal(inspection['retain_until'], until, `${inspection_kind} of ${inspection_date}`);
    house.setNow(`${until}T21:00:00Z`);
    t.match(await house.remove(I, id), { status: 409, body: { detail: new RegExp(until) } });
    t.match(await house.remove(V, violation), { status: 409 });
    house.setNow(new Date(Date.parse(`${until}T22:00:00Z`) + 3_600_000).toISOString());
    t.equal((await house.remove(V, violation)).status, 204);
    t.equal((await house.remove(I, id)).status, 204);
  }
  const list = await house.call('GET', `/v1/${I}?filter[retain_until][lt]=2026-06-15&limit=1`);
  t.equal(list.status, 200);
});
