/** What stands between an agreement and those who change it at once: locks in one order, and what is in use is kept. */
import t from 'tap';
import type pg from 'pg';
import { openHouse, refusal, START, type Answer, type Row } from './test-agreements.ts';

const house = await openHouse(t);
const { portal, north } = house;
const { owner, seed } = portal;
t.beforeEach(() => house.setNow(START));

const idOf = ({ body }: Answer) => body['equipment_assignment_id'];
const ENDED = { status: 'terminated', termination_date: '2026-06-15' };

/** A transaction of somebody else, which is over when the test is. */
async function begin(t: { teardown(work: () => unknown): unknown }): Promise<pg.PoolClient> {
  const client = await owner.connect();
  t.teardown(() => client.release());
  await client.query('begin');
  return client;
}

/** Until the request waits for a lock, or is answered. */
async function untilWaiting(answer: Promise<unknown>): Promise<void> {
  let isAnswered = false;
  void answer.then(() => (isAnswered = true));
  for (let waiting = 0; waiting === 0 && !isAnswered;) {
    const { rows } = await owner.query<{ count: number }>(
      `select count(*)::integer as count from pg_stat_activity
       where wait_event_type = 'Lock' and datname = current_database()`,
    );
    waiting = rows[0]!.count;
  }
}

const insertOut = (unit: number, allocationId: number): [string, unknown[]] => [
  `insert into equipment_assignment (customer_id, account_id, equipment_id, equipment_type_allocation_id,
     activation_date, assigned_at) values ($1, $2, $3, $4, '2026-06-01', '2026-06-01T08:00Z')`,
  [seed.mine.customerId, north, unit, allocationId],
];

t.test('an allocation is counted once a statement, however many units it moves', async (t) => {
  const one = await house.agreement({ units: 50 });
  const other = await house.agreement({ units: 50 });
  const units = await Promise.all(Array.from({ length: 20 }, () => house.unit()));
  const place = { equipment_type_allocation_id: one.allocationId };
  for (const equipment_id of units) await house.assign({ ...place, equipment_id });
  const read = async ({ allocationId }: typeof one) => {
    const row = await house.read('equipment-type-allocations', allocationId);
    return [row['units_assigned'], row['version']] as [number, number];
  };
  const [[, version], [, otherVersion]] = [await read(one), await read(other)];
  const change = (set: string, where: string) =>
    owner.query(
      `update equipment_assignment set ${set} where equipment_type_allocation_id = $1 and ${where}`,
      [one.allocationId],
    );
  await change(
    `equipment_type_allocation_id = ${other.allocationId}`,
    `equipment_id = any('{${units.slice(0, 8).join()}}')`,
  );
  t.same(await read(one), [12, version + 1]);
  t.same(await read(other), [8, otherVersion + 1]);
  await change(`note = 'x'`, 'true');
  t.same(await read(one), [12, version + 1], 'what does not move it does not count');
  await change(`returned_at = '2026-06-16'`, 'true');
  t.same(await read(one), [0, version + 2]);
  await owner.query('delete from equipment_assignment where equipment_type_allocation_id = $1', [
    other.allocationId,
  ]);
  t.same(await read(other), [0, otherVersion + 2]);
  const { rows } = await owner.query(
    `select tgname from pg_trigger
     where tgfoid = 'count_assigned_units()'::regprocedure and tgtype::integer & 1 = 1`,
  );
  t.same(rows, [], 'nor is it asked once for each of them');
});

t.test('a unit that is moved holds both schedules by their ids', async (t) => {
  const first = await house.schedule();
  const second = await house.schedule();
  const under = async ({ schedule_agreement_id }: Row) => {
    const line = await house.line({ schedule_agreement_id });
    const { schedule_agreement_line_item_id } = line;
    const made = await house.allocation({ schedule_agreement_line_item_id });
    return made['equipment_type_allocation_id'] as number;
  };
  // The other way round than their schedules.
  const from = await under(second);
  const to = await under(first);
  const out = await house.assign({
    equipment_id: await house.unit(),
    equipment_type_allocation_id: from,
  });
  const lock = (schedule: Row, words: string) =>
    [
      `select from schedule_agreement where schedule_agreement_id = $1 for no key update ${words}`,
      [schedule['schedule_agreement_id']],
    ] as [string, unknown[]];
  const ending = await begin(t);
  await ending.query(...lock(first, ''));
  const moved = house.patch('equipment-assignments', idOf(out), {
    equipment_type_allocation_id: to,
  });
  await untilWaiting(moved);
  await ending.query(...lock(second, 'nowait'));
  await ending.query('commit');
  t.equal((await moved).status, 200);
});

t.test('what a unit goes out on in the same moment is not deleted', async (t) => {
  const made = await house.agreement();
  const unit = await house.unit();
  const handing = await begin(t);
  await handing.query(...insertOut(unit, made.allocationId));
  const removed = house.remove('schedule-agreement-line-items', made.lineId);
  await untilWaiting(removed);
  await handing.query('commit');
  t.match(await removed, { status: 409, body: { detail: /1 units are out/ } });
  const tables = [
    ['schedule_agreement_line_item', made.lineId],
    ['schedule_agreement', made.scheduleId],
    ['master_agreement', made.masterId],
  ] as const;
  for (const [table, id] of tables) {
    await t.rejects(
      owner.query(`update ${table} set deleted_at = now() where ${table}_id = $1`, [id]),
      { code: '23514', constraint: `${table}_deleted_at_check_released` },
      'the database holds it too',
    );
  }
});

t.test('a master with a schedule in force is not deleted', async (t) => {
  const { masterId, scheduleId } = await house.agreement();
  t.match(await house.remove('master-agreements', masterId), {
    status: 409,
    body: { detail: /schedule S-\d+ is in force/ },
  });
  await t.rejects(
    owner.query('update master_agreement set deleted_at = now() where master_agreement_id = $1', [
      masterId,
    ]),
    { code: '23514', constraint: 'master_agreement_deleted_at_check_schedules' },
  );
  const draft = await house.schedule({ master_agreement_id: masterId, status: 'draft' });
  await house.move('schedule-agreements', scheduleId, ENDED);
  t.equal((await house.remove('master-agreements', masterId)).status, 204);
  await t.rejects(
    owner.query(
      `update schedule_agreement set status = 'active' where schedule_agreement_id = $1`,
      [draft['schedule_agreement_id']],
    ),
    { code: '23514', constraint: 'schedule_agreement_master_agreement_id_check_deleted' },
  );
});

t.test('what is in force stays within its days', async (t) => {
  const { masterId, scheduleId } = await house.agreement();
  const change = (payload: Row) => house.patch('schedule-agreements', scheduleId, payload);
  t.match(await change({ effective_date: '2026-06-16' }), refusal(422, '/effective_date'));
  t.equal((await change({ effective_date: '2026-02-01' })).status, 200);
  t.equal(
    (await house.move('schedule-agreements', scheduleId, { status: 'suspended' })).status,
    200,
  );
  t.match(await change({ effective_date: '2030-01-01' }), refusal(422, '/effective_date'));
  const changeMaster = (payload: Row) => house.patch('master-agreements', masterId, payload);
  t.match(
    await changeMaster({ contract_effective_date: '2026-02-02' }),
    refusal(409, '/contract_effective_date', /schedule S-\d+ begins before/),
  );
  t.equal((await changeMaster({ contract_effective_date: '2026-02-01' })).status, 200);
  const late = await house.post('master-agreements', {
    agreement_number: 'late',
    agreement_name: 'x',
    contract_effective_date: '9999-01-02',
    contract_term: 12,
    contract_billing_method: 'usage',
    currency_code: 'USD',
  });
  t.match(late, refusal(422, '/contract_term', /9999/));
});

t.test('a schedule is not active yet: told with where it may go instead', async (t) => {
  const { master_agreement_id } = await house.master({ status: 'draft' });
  const schedule = await house.schedule({ master_agreement_id, status: 'draft' });
  const answer = await house.move('schedule-agreements', schedule['schedule_agreement_id'], {
    status: 'active',
  });
  t.match(answer, {
    status: 409,
    body: { errors: [{ pointer: '/master_agreement_id' }], allowedTransitions: ['terminated'] },
  });
});

t.test('who is held to accounts gives away units of their own schedules alone', async (t) => {
  const allocate = (line: Row, who: 'held' | 'admin') =>
    house.post(
      'equipment-type-allocations',
      {
        account_id: north,
        schedule_agreement_line_item_id: line['schedule_agreement_line_item_id'],
        units_allowed: 1,
        effective_date: '2026-01-01',
      },
      who,
    );
  const master = await house.master({ account_id: null });
  const { master_agreement_id } = master;
  const whole = await house.schedule({ master_agreement_id, account_id: null });
  const { schedule_agreement_id } = whole;
  const line = await house.line({ schedule_agreement_id });
  t.match(await allocate(line, 'held'), { status: 403 });
  const given = await allocate(line, 'admin');
  t.equal(given.status, 201, given.text);
  const id = given.body['equipment_type_allocation_id'];
  const more = await house.patch('equipment-type-allocations', id, { units_allowed: 2 }, 'held');
  t.equal(more.status, 403);
  const remove = (path: string, key: unknown) =>
    house.call('DELETE', `/v1/${path}/${String(key)}`, undefined, 'held');
  t.match(await remove('equipment-type-allocations', id), { status: 403 }, 'nor takes them away');
  const lineId = line['schedule_agreement_line_item_id'];
  t.match(await remove('schedule-agreement-line-items', lineId), { status: 403 });
  t.match(await remove('schedule-agreements', schedule_agreement_id), { status: 403 });
  t.match(await remove('master-agreements', master_agreement_id), { status: 403 });
  const own = await allocate(await house.line(), 'held');
  t.equal(own.status, 201, own.text);
  const ownId = own.body['equipment_type_allocation_id'];
  t.equal((await remove('equipment-type-allocations', ownId)).status, 204);
});

t.test('days at the ends of the calendar', async (t) => {
  const unit = await house.unit();
  for (const day of ['0001-01-01', '9999-12-31']) {
    const answer = await house.call('GET', `/v1/equipment/${unit}/assignment?on=${day}`);
    t.match(answer, refusal(400, '/on'), day);
  }
  const { status } = await house.call('GET', `/v1/equipment/${unit}/assignment?on=0001-01-02`);
  t.equal(status, 200);
});
