/** What runs out: which rows are in force, who sees them, how many days are left, and pages of them. */
import fc from 'fast-check';
import type { InjectOptions } from 'fastify';
import t from 'tap';
import { RowMaker, type TestValues } from '../../db/test-rows.ts';
import { rolePermissionOf, type Permission } from '../auth/permissions.ts';
import { CANARY, startTestPortal, type Who } from '../test-portal.ts';
import { EXPIRATION_KINDS } from './kinds.ts';
import { DUE_SOON_DAYS_MAX, statusOf } from './query.ts';

let nowMs = Date.parse('2028-02-20T12:00:00Z');
const many = 10_000_000;
const portal = await startTestPortal(t, {
  now: () => nowMs,
  rateLimits: { perAddressMax: many, perUserMax: many, perTenantMax: many },
});
const { owner, seed } = portal;
const { mine } = seed;
const client = await owner.connect();
t.teardown(() => client.release());
const maker = await RowMaker.open(client);

interface Shown {
  readonly kind: string;
  readonly record: string;
  readonly id: number;
  readonly label: string;
  readonly equipment_id: number | null;
  readonly unit_number: string | null;
  readonly vehicle_id: string | null;
  readonly account_id: number | null;
  readonly attached_to: string | null;
  readonly expires_on: string;
  readonly days_left: number;
  readonly status: string;
}
interface Body {
  readonly data: Shown[];
  readonly page: { next_cursor: string | null };
  readonly errors: { pointer: string }[];
  readonly detail: string;
}

async function ask(query = '', who: Who = 'admin') {
  const answer = await portal.as(who, { url: `/v1/expirations?${query}` });
  return { ...answer, body: answer.body as unknown as Body };
}
const send = (request: InjectOptions) => portal.as('admin', request);
const shown = async (query = '', who: Who = 'admin') => (await ask(query, who)).body.data;

/** A row in the first account, on its unit or vehicle. */
const ours = { customerId: mine.customerId, accountId: mine.accountIds[0], word: 'ours' };
const theirs = {
  customerId: seed.foreign.customerId,
  accountId: seed.foreign.accountIds[0],
  word: CANARY,
};
const make = (table: string, given: TestValues, whose = ours) => maker.make(table, whose, given);

const unit = mine.equipmentIds[0];
const vehicle = String(
  (await make('vehicle_basic_information_hdr', { equipment_id: unit }))['vehicle_id_code_hdr'],
);
const CODE = { vehicle_id_code_hdr: vehicle };

/** One of each kind that runs out on a day, by its kind: table, key and values. */
const ONE: Readonly<Record<string, (day: string) => readonly [string, string, TestValues]>> = {
  dot_inspection: (day) => [
    'dot_inspection',
    'dot_inspection_id',
    {
      equipment_id: unit,
      inspection_kind: 'annual',
      inspection_result: 'pass',
      inspection_date: '2027-01-01',
      expires_on: day,
    },
  ],
  driver_license: (day) => [
    'vehicle_driver_mapping',
    'vehicle_driver_mapping_id',
    { vehicle_id: vehicle, license_expiry_date: day },
  ],
  master_agreement: (day) => [
    'master_agreement',
    'master_agreement_id',
    // A term of one month ends on the day before that day of the next month.
    { status: 'active', contract_effective_date: monthBefore(day), contract_term: 1 },
  ],
  schedule_agreement: (day) => [
    'schedule_agreement',
    'schedule_agreement_id',
    { status: 'active', effective_date: '2020-01-01', termination_date: day },
  ],
  vehicle_document: (day) => [
    'vehicle_documents',
    'document_unique_id',
    {
      vehicle_id_code: vehicle,
      vehicle_maintenance_id: null,
      permit_category: null,
      permit_code: null,
      valid_from: '2020-01-01',
      valid_to: day,
    },
  ],
  vehicle_insurance: (day) => [
    'vehicle_basic_information_itm',
    'vehicle_item_unique_id',
    { ...CODE, policy_expiry_date: day },
  ],
  vehicle_permit: (day) => [
    'vehicle_special_permit',
    'vehicle_permit_unique_id',
    { ...CODE, permit_code: null, permit_expiry_date: day },
  ],
  vehicle_registration: (day) => [
    'vehicle_ownership_details',
    'vehicle_ownership_unique_id',
    { vehicle_id_code: vehicle, registration_number: null, registration_upto: day },
  ],
};

function monthBefore(day: string): string {
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() + 1);
  date.setUTCMonth(date.getUTCMonth() - 1);
  return date.toISOString().slice(0, 10);
}

/** Puts the rows of every table away, but for units, vehicles and whom they belong to. */
async function clear(): Promise<void> {
  await owner.query('truncate equipment_has_attachment, workorder_has_attachment');
  const tables = [
    'vehicle_documents',
    'vehicle_special_permit',
    'vehicle_basic_information_itm',
    'vehicle_ownership_details',
    'vehicle_driver_mapping',
    'equipment_permit',
    'dot_inspection',
  ];
  for (const table of tables) await owner.query(`delete from ${table}`);
  await owner.query(`update attachment set deleted_at = now() where deleted_at is null`);
  await owner.query(`update schedule_agreement set status = 'expired' where status <> 'expired'`);
  await owner.query(`update master_agreement set status = 'expired' where status <> 'expired'`);
}

t.test('each kind is shown with what it is about', async (t) => {
  await clear();
  const expected: Partial<Shown>[] = [];
  for (const [index, [kind, one]] of Object.entries(ONE).entries()) {
    const day = `2028-03-${String(index + 1).padStart(2, '0')}`;
    const [table, key, values] = one(day);
    const row = await make(table, values);
    const id = Number(row[key]);
    const isUnit = kind === 'dot_inspection';
    const isAgreement = kind.endsWith('agreement');
    expected.push({
      kind,
      record: `/v1/${EXPIRATION_KINDS[kind]!.path}/${id}`,
      id,
      equipment_id: isAgreement ? null : unit,
      unit_number: isAgreement ? null : 'acme 0',
      vehicle_id: isUnit || isAgreement ? null : vehicle,
      account_id: mine.accountIds[0],
      attached_to: null,
      expires_on: day,
      days_left: 10 + index,
      status: 'due_soon',
    });
  }
  const papers = await make('equipment_permit', {
    equipment_id: unit,
    license_plate_number: 'P1',
    license_plate_expiration_date: '2028-03-20',
    registration_number: 'R1',
    registration_expiration_date: '2028-03-21',
    permit_number: 'S1',
    permit_expiration_date: '2028-03-22',
  });
  const ofUnit = ['plate', 'registration', 'special_permit'].map((name, index) => ({
    kind: `equipment_${name}`,
    record: `/v1/equipment-permits/${String(papers['equipment_permit_id'])}`,
    label: ['P1', 'R1', 'S1'][index],
    equipment_id: unit,
    days_left: 29 + index,
    status: ['due_soon', 'due_soon', 'ok'][index],
  }));
  const file = await make('attachment', { name: 'policy.pdf', expiration_date: '2028-03-25' });
  const hung = { equipment_id: unit, attachment_id: file['attachment_id'] };
  await make('equipment_has_attachment', hung);
  const rows = await shown();
  t.match(rows, [
    ...expected,
    ...ofUnit,
    {
      kind: 'attachment',
      record: `/v1/attachments/${String(file['attachment_id'])}`,
      label: 'policy.pdf',
      attached_to: `/v1/equipment/${unit}`,
      equipment_id: unit,
      days_left: 34,
      status: 'ok',
    },
  ]);
  t.equal(rows.length, Object.keys(EXPIRATION_KINDS).length, 'every kind that there is');
  for (const { record } of rows) t.equal((await send({ url: record })).status, 200, record);
  t.same(
    new Set((await shown(`equipment_id=${unit}`)).map(({ kind }) => kind)).size,
    rows.length - 2,
  );
  t.same(await shown(`equipment_id=${mine.equipmentIds[1]}`), []);
  t.same(await shown(`account_id=${mine.accountIds[1]}`), []);
  t.equal((await shown(`account_id=${mine.accountIds[0]}`)).length, rows.length);
  const some = await shown('kind=attachment,vehicle_permit');
  t.same(
    some.map(({ kind }) => kind),
    ['vehicle_permit', 'attachment'],
  );
});

t.test('days are those of the customer’s calendar, its last day included', async (t) => {
  await clear();
  const [table, key, values] = ONE['vehicle_insurance']!('2028-02-29');
  const id = (await make(table, values))[key];
  const cases: readonly (readonly [string, string, string, number])[] = [
    // A leap day lies between, or does not.
    ['2028-02-28T12:00:00Z', 'UTC', '2028-03-01', 2],
    ['2027-02-28T12:00:00Z', 'UTC', '2027-03-01', 1],
    ['2028-02-28T12:00:00Z', 'UTC', '2028-02-29', 1],
    ['2028-02-29T12:00:00Z', 'UTC', '2028-02-29', 0],
    ['2028-02-29T12:00:00Z', 'UTC', '2029-02-28', 365],
    ['2028-02-28T12:00:00Z', 'UTC', '2029-02-28', 366],
    // At one instant there are two days, and three around noon in UTC.
    ['2028-02-29T11:00:00Z', 'Pacific/Kiritimati', '2028-02-29', -1],
    ['2028-02-29T11:00:00Z', 'Pacific/Pago_Pago', '2028-02-29', 0],
    ['2028-02-29T10:00:00Z', 'Pacific/Pago_Pago', '2028-02-29', 1],
    ['2028-02-29T10:00:00Z', 'UTC', '2028-02-29', 0],
    // Midnight by the clock of the customer, to the millisecond.
    ['2028-03-01T05:59:59.999Z', 'America/Chicago', '2028-02-29', 0],
    ['2028-03-01T06:00:00.000Z', 'America/Chicago', '2028-02-29', -1],
    // Days of 23 and 25 hours are days.
    ['2028-03-25T23:30:00Z', 'Europe/Berlin', '2028-03-26', 0],
    ['2028-03-25T22:30:00Z', 'Europe/Berlin', '2028-03-26', 1],
    ['2028-03-26T22:30:00Z', 'Europe/Berlin', '2028-03-26', -1],
    ['2028-10-29T22:59:59Z', 'Europe/Berlin', '2028-10-29', 0],
    ['2028-10-29T23:00:00Z', 'Europe/Berlin', '2028-10-29', -1],
    ['2028-11-05T05:30:00Z', 'America/Chicago', '2028-11-06', 1],
    // A place that skipped a day, and a half hour.
    ['2028-12-31T18:29:59Z', 'Asia/Kolkata', '2029-01-01', 1],
    ['2028-12-31T18:30:00Z', 'Asia/Kolkata', '2029-01-01', 0],
  ];
  for (const [at, zone, day, daysLeft] of cases) {
    nowMs = Date.parse(at);
    await owner.query('update customer set time_zone = $2 where customer_id = $1', [
      mine.customerId,
      zone,
    ]);
    await owner.query(`update ${table} set policy_expiry_date = $2 where ${key} = $1`, [id, day]);
    const told = `${at} in ${zone} until ${day}`;
    const [row] = await shown('within_days=400');
    t.match(row, { days_left: daysLeft, status: statusOf(daysLeft) }, told);
    t.equal((await shown(`include_past=false&within_days=400`)).length, daysLeft < 0 ? 0 : 1, told);
    if (daysLeft < 0) continue;
    t.equal((await shown(`within_days=${daysLeft}`)).length, 1, told);
    if (daysLeft > 0) t.equal((await shown(`within_days=${daysLeft - 1}`)).length, 0, told);
  }
  nowMs = Date.parse('2028-02-20T12:00:00Z');
  await owner.query(`update customer set time_zone = 'Europe/Berlin' where customer_id = $1`, [
    mine.customerId,
  ]);
});

t.test('thresholds', (t) => {
  const rows: readonly (readonly [number, string])[] = [
    [-365, 'expired'],
    [-1, 'expired'],
    [0, 'due_soon'],
    [DUE_SOON_DAYS_MAX, 'due_soon'],
    [DUE_SOON_DAYS_MAX + 1, 'ok'],
    [3_650, 'ok'],
  ];
  for (const [daysLeft, status] of rows) t.equal(statusOf(daysLeft), status, String(daysLeft));
  t.end();
});

/** What of a kind is not in force: values of the row itself, or another row that takes its place. */
const APART: readonly (readonly [string, string, TestValues, TestValues?])[] = [
  ['vehicle_document', 'renewed', {}, { valid_to: '2029-01-01' }],
  ['vehicle_document', 'deleted', { deleted_at: new Date() }],
  [
    'vehicle_permit',
    'renewed',
    { permit_category: 'state' },
    { permit_category: 'state', permit_expiry_date: '2030-01-01' },
  ],
  [
    'vehicle_permit',
    'for ever',
    { permit_category: 'x' },
    { permit_category: 'x', permit_expiry_date: null },
  ],
  ['vehicle_permit', 'deleted', { deleted_at: new Date() }],
  ['vehicle_insurance', 'deleted', { deleted_at: new Date() }],
  ['vehicle_registration', 'a former owner', { valid_to: '2028-02-19' }],
  ['vehicle_registration', 'an owner to come', { valid_from: '2028-02-22' }],
  ['vehicle_registration', 'deleted', { deleted_at: new Date() }],
  [
    'driver_license',
    'drives no more',
    { valid_from: new Date('2020-01-01'), valid_to: new Date('2028-02-20T11:59:59Z') },
  ],
  ['driver_license', 'suspended', { status: 'suspended' }],
  [
    'dot_inspection',
    'passed anew',
    {},
    { inspection_date: '2028-01-01', expires_on: '2029-01-01' },
  ],
  [
    'dot_inspection',
    'passed anew for ever',
    {},
    { inspection_date: '2028-01-01', expires_on: null },
  ],
  ['dot_inspection', 'failed', { inspection_result: 'fail' }],
  ['dot_inspection', 'deleted', { deleted_at: new Date() }],
  ['master_agreement', 'a draft', { status: 'draft' }],
  ['master_agreement', 'ended', { status: 'expired' }],
  ['master_agreement', 'deleted', { deleted_at: new Date() }],
  ['schedule_agreement', 'a draft', { status: 'draft' }],
  ['schedule_agreement', 'terminated', { status: 'terminated' }],
];
/** What is in force for all that. */
const STILL: readonly (readonly [string, string, TestValues, TestValues?])[] = [
  [
    'vehicle_document',
    'another cover',
    {},
    { valid_to: '2031-01-01', permit_category: 'national' },
  ],
  [
    'vehicle_document',
    'renewed, and that one deleted',
    {},
    { valid_to: '2029-01-01', deleted_at: new Date() },
  ],
  [
    'vehicle_permit',
    'another category',
    { permit_category: 'a' },
    { permit_category: 'b', permit_expiry_date: '2031-01-01' },
  ],
  [
    'dot_inspection',
    'failed anew',
    {},
    { inspection_date: '2028-01-01', expires_on: null, inspection_result: 'fail' },
  ],
  [
    'dot_inspection',
    'of another kind',
    {},
    { inspection_kind: 'brake', inspection_date: '2028-01-01', expires_on: '2031-01-01' },
  ],
  [
    'vehicle_registration',
    'an owner to come',
    {},
    { valid_from: '2028-02-22', registration_upto: '2033-01-01' },
  ],
  ['master_agreement', 'suspended', { status: 'suspended' }],
];

async function makePair(kind: string, own: TestValues, other?: TestValues): Promise<unknown> {
  await clear();
  const [table, key, values] = ONE[kind]!('2028-03-01');
  const row = await make(table, { ...values, ...own });
  if (other) await make(table, { ...values, ...own, ...other });
  return Number(row[key]);
}

t.test('what has been replaced, is over or is deleted does not nag', async (t) => {
  for (const [kind, why, own, other] of APART) {
    const id = await makePair(kind, own, other);
    const ids = (await shown('within_days=3650')).map((row) => row.id);
    t.notOk(ids.includes(id as number), `${kind}: ${why}`);
  }
  for (const [kind, why, own, other] of STILL) {
    const id = await makePair(kind, own, other);
    const ids = (await shown('within_days=60')).map((row) => row.id);
    t.ok(ids.includes(id as number), `${kind}: ${why}`);
  }
});

t.test('of present owners the one that began last counts', async (t) => {
  await clear();
  const [table, key, values] = ONE['vehicle_registration']!('2028-03-01');
  const began = async (valid_from: string | null, registration_upto: string) =>
    Number((await make(table, { ...values, valid_from, registration_upto }))[key]);
  await began(null, '2028-03-02');
  const last = await began('2028-01-01', '2028-03-03');
  await began('2027-01-01', '2028-03-04');
  t.same(
    (await shown()).map(({ id }) => id),
    [last],
  );
});

t.test(
  'units that are retired, and vehicles that are gone, have nothing that runs out',
  async (t) => {
    await clear();
    const gone = { equipment_id: (await make('equipment', { status: 'retired' }))['equipment_id'] };
    await make('equipment_permit', {
      ...gone,
      license_plate_number: 'OLD',
      license_plate_expiration_date: '2028-03-01',
    });
    await make('dot_inspection', { ...ONE['dot_inspection']!('2028-03-01')[2], ...gone });
    const file = await make('attachment', { expiration_date: '2028-03-01' });
    await make('equipment_has_attachment', { ...gone, attachment_id: file['attachment_id'] });
    for (const more of [{ status: 'sold' }, { status: 'scrapped' }, { deleted_at: new Date() }]) {
      const sold = await make('vehicle_basic_information_hdr', {
        ...more,
        equipment_id: null,
        iot_device_id: null,
      });
      await make('vehicle_basic_information_itm', {
        vehicle_id_code_hdr: sold['vehicle_id_code_hdr'],
        policy_expiry_date: '2028-03-01',
      });
    }
    t.same(await shown(), []);
  },
);

t.test('which row is in force follows what is written through the API', async (t) => {
  await clear();
  const types = await owner.query<{ id: string }>(
    'select document_type_id as id from document_type_master order by 1',
  );
  const post = async (valid_to: string) => {
    const payload = {
      vehicle_id_code: vehicle,
      document_type_id: types.rows[0]!.id,
      valid_from: '2020-01-01',
      valid_to,
      remarks: 'r',
    };
    const made = await send({ method: 'POST', url: '/v1/vehicle-documents', payload });
    return Number((made.body as unknown as Record<string, unknown>)['document_unique_id']);
  };
  const patch = (id: number, payload: object) =>
    send({
      method: 'PATCH',
      url: `/v1/vehicle-documents/${id}`,
      payload,
      headers: { 'if-match': '*' },
    });
  const ids = async () => (await shown('within_days=3650')).map(({ id }) => id);
  const [old, next] = [await post('2028-03-01'), await post('2029-03-01')];
  t.same(await ids(), [next]);
  const read = await send({ url: `/v1/vehicle-documents/${old}` });
  t.equal(read.body.version, 1, 'the old one has not been changed by anybody');
  const trail = await send({
    url: `/v1/audit-trail?entity_type=vehicle_documents&entity_id=${old}`,
  });
  t.equal(trail.body.data.length, 1, 'nor does the trail say so');
  t.notOk('is_superseded' in read.body);
  await patch(next, { document_type_id: types.rows[1]!.id });
  t.same(await ids(), [old, next], 'of two types, both');
  await patch(next, { document_type_id: types.rows[0]!.id });
  t.same(await ids(), [next]);
  await patch(old, { valid_to: '2029-04-01' });
  t.same(await ids(), [old], 'the later one');
  await send({
    method: 'DELETE',
    url: `/v1/vehicle-documents/${old}`,
    headers: { 'if-match': '*' },
  });
  t.same(await ids(), [next], 'and what is left');
  const late = await post('2028-06-01');
  t.same(await ids(), [next], 'one that is entered late is old from the first');
  t.ok(late > next);
});

t.test('of many that are entered at once, one is in force', async (t) => {
  await clear();
  const [, , values] = ONE['vehicle_document']!('2028-03-01');
  const [type] = (
    await owner.query<{ id: string }>(
      'select document_type_id as id from document_type_master limit 1',
    )
  ).rows;
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_none, n) =>
      send({
        method: 'POST',
        url: '/v1/vehicle-documents',
        payload: {
          vehicle_id_code: values['vehicle_id_code'],
          document_type_id: type!.id,
          valid_from: '2020-01-01',
          valid_to: `2028-${String(3 + (n % 10)).padStart(2, '0')}-${String(1 + (n % 28)).padStart(2, '0')}`,
          remarks: 'r',
        },
      }),
    ),
  );
  t.same([...new Set(answers.map(({ status }) => status))], [201]);
  const { rows } = await owner.query<{ last: string }>(
    'select max(valid_to)::text as last from vehicle_documents',
  );
  t.same(
    (await shown('within_days=3650')).map(({ expires_on }) => expires_on),
    [rows[0]!.last],
  );
});

t.test('of many that are changed at once, one is in force', async (t) => {
  for (const kind of ['vehicle_document', 'vehicle_permit']) {
    await clear();
    const [table, key, values] = ONE[kind]!('2028-03-01');
    const [path, day] =
      kind === 'vehicle_permit'
        ? ['vehicle-permits', 'permit_expiry_date']
        : ['vehicle-documents', 'valid_to'];
    const alike = kind === 'vehicle_permit' ? { permit_category: 'National' } : {};
    const rows: Record<string, unknown>[] = [];
    for (let n = 1; n <= 6; n++)
      rows.push(await make(table, { ...values, ...alike, [day]: `2028-03-0${n}` }));
    t.equal((await shown('within_days=3650')).length, 1, 'they are alike');
    const answers = await Promise.all(
      Array.from({ length: 48 }, (_none, n) =>
        send({
          method: 'PATCH',
          url: `/v1/${path}/${String(rows[n % rows.length]![key])}`,
          payload: { [day]: `2028-0${5 + (n % 3)}-${String(1 + (n % 28)).padStart(2, '0')}` },
          headers: { 'if-match': '*' },
        }),
      ),
    );
    t.same([...new Set(answers.map(({ status }) => status))], [200], kind);
    t.equal((await shown('within_days=3650')).length, 1);
  }
});

t.test('one who enters a paper waits for another who does, and then knows of it', async (t) => {
  await clear();
  const { rows: types } = await owner.query<{ id: string }>(
    'select document_type_id as id from document_type_master limit 1',
  );
  const first = await owner.connect();
  const second = await owner.connect();
  t.teardown(() => [first.release(), second.release()]);
  const text = `insert into vehicle_documents (customer_id, vehicle_id_code, document_type_id, valid_from, valid_to, remarks)
    values ($1, $2, $3, '2020-01-01', $4, 'r')`;
  const values = [mine.customerId, vehicle, types[0]!.id];
  await first.query('begin');
  await first.query(text, [...values, '2029-01-01']);
  const entered = second.query(text, [...values, '2028-03-01']);
  let isOver = false;
  void entered.finally(() => (isOver = true));
  for (;;) {
    const { rowCount } = await owner.query(
      `select from pg_stat_activity where wait_event_type = 'Lock' and query like 'insert into vehicle_documents%'`,
    );
    if (rowCount! > 0 || isOver) break;
  }
  await first.query('commit');
  await entered;
  t.same(
    (await shown('within_days=3650')).map(({ expires_on }) => expires_on),
    ['2029-01-01'],
  );
});

t.test('a file is shown to those who may read what it hangs on', async (t) => {
  await clear();
  const order = await make('workorder', { equipment_id: unit, workorder_status: 'open' });
  const file = async (day: string, link: string, to: TestValues) => {
    const made = await make('attachment', { expiration_date: day });
    await make(link, { ...to, attachment_id: made['attachment_id'] });
    return Number(made['attachment_id']);
  };
  const onUnit = await file('2028-03-01', 'equipment_has_attachment', { equipment_id: unit });
  const onOrder = await file('2028-03-02', 'workorder_has_attachment', {
    workorder_id: order['workorder_id'],
  });
  await make('attachment', { expiration_date: '2028-03-03' });
  const all = await shown();
  t.match(all, [
    { id: onUnit, attached_to: `/v1/equipment/${unit}` },
    {
      id: onOrder,
      attached_to: `/v1/workorders/${String(order['workorder_id'])}`,
      equipment_id: unit,
    },
  ]);
  t.equal(all.length, 2, 'what hangs on nothing is not shown');
  t.same(await shown(`equipment_id=${unit}`), all);
  await as(['attachment:read', 'workorder:read'], async () => {
    t.match(await shown('', 'bare'), [{ id: onOrder, unit_number: null }]);
  });
  await as(['attachment:read'], async () => {
    t.same(await shown('', 'bare'), []);
    t.same(await shown(`equipment_id=${unit}`, 'bare'), []);
  });
  await owner.query('update workorder set deleted_at = now() where workorder_id = $1', [
    order['workorder_id'],
  ]);
  t.same(
    (await shown()).map(({ id }) => id),
    [onUnit],
  );
});

/** Does something while `bare` has these rights. */
async function as(rights: Permission[], act: () => Promise<void>): Promise<void> {
  const set = (permission: object) =>
    owner.query(`update user_role set role_permission = $1 where name = 'bare role'`, [permission]);
  await set(rolePermissionOf(rights));
  portal.principals.invalidate();
  await act();
  await set({});
  portal.principals.invalidate();
}

t.test('kinds that one may not read are left out, and refused when named', async (t) => {
  await clear();
  for (const one of Object.values(ONE)) {
    const [table, , values] = one('2028-03-01');
    await make(table, values);
  }
  t.same(await shown('', 'bare'), [], 'no right, no kind');
  const rights = [...new Set(Object.values(EXPIRATION_KINDS).map(({ right }) => right))];
  for (const right of rights) {
    await as([right], async () => {
      const kinds = new Set((await shown('', 'bare')).map(({ kind }) => kind));
      const own = Object.keys(ONE).filter((kind) => EXPIRATION_KINDS[kind]!.right === right);
      t.same([...kinds].sort(), own.sort(), right);
      for (const [kind, one] of Object.entries(EXPIRATION_KINDS)) {
        const { status, body } = await ask(`kind=${kind}`, 'bare');
        t.equal(status, one.right === right ? 200 : 403, `${kind} with ${right}`);
        if (status === 403) t.match(body.detail, one.right);
      }
    });
  }
});

t.test('bad queries', async (t) => {
  for (const [query, pointer] of [
    ['kind=tires', '/kind'],
    ['kind=attachment,', '/kind'],
    ['kind=toString', '/kind'],
    ['within_days=-1', '/within_days'],
    ['within_days=3651', '/within_days'],
    ['within_days=1.5', '/within_days'],
    ['include_past=maybe', '/include_past'],
    ['equipment_id=x', '/equipment_id'],
    ['limit=501', '/limit'],
    ['cursor=made.up', '/cursor'],
    ['sort=label', '/sort'],
  ] as const) {
    t.match(await ask(query), { status: 400, body: { errors: [{ pointer }] } }, query);
  }
});

t.test('neither another customer’s nor another account’s', async (t) => {
  await clear();
  const other = await make('vehicle_basic_information_hdr', {}, theirs);
  await make(
    'vehicle_basic_information_itm',
    { vehicle_id_code_hdr: other['vehicle_id_code_hdr'], policy_expiry_date: '2028-03-01' },
    theirs,
  );
  const south = { ...ours, accountId: mine.accountIds[1], word: 'south' };
  const souths = await make('vehicle_basic_information_hdr', {}, south);
  await make('vehicle_basic_information_itm', {
    vehicle_id_code_hdr: souths['vehicle_id_code_hdr'],
    policy_expiry_date: '2028-03-02',
  });
  const [table, , values] = ONE['vehicle_insurance']!('2028-03-03');
  await make(table, values);
  const days = async (who: Who) => (await shown('', who)).map(({ expires_on }) => expires_on);
  t.same(await days('admin'), ['2028-03-02', '2028-03-03']);
  t.same(await days('held'), ['2028-03-03']);
  t.same(await days('foreign'), ['2028-03-01']);
});

t.test('pages hold all of it, each once, the soonest first', async (t) => {
  await clear();
  const day = fc
    .integer({ min: 0, max: 12 })
    .map((n) => `2028-03-${String(n + 1).padStart(2, '0')}`);
  const kinds = ['driver_license', 'schedule_agreement', 'vehicle_permit'] as const;
  const entries = fc.array(fc.tuple(fc.constantFrom(...kinds), day), {
    minLength: 1,
    maxLength: 25,
  });
  await fc.assert(
    fc.asyncProperty(entries, fc.integer({ min: 1, max: 7 }), async (rows, limit) => {
      await clear();
      for (const [index, [kind, on]] of rows.entries()) {
        const [table, , values] = ONE[kind]!(on);
        await make(
          table,
          kind === 'vehicle_permit' ? { ...values, permit_category: `c${index}` } : values,
        );
      }
      const paged: Shown[] = [];
      let cursor: string | null = null;
      do {
        const { body } = await ask(`limit=${limit}${cursor === null ? '' : `&cursor=${cursor}`}`);
        paged.push(...body.data);
        cursor = body.page.next_cursor;
      } while (cursor !== null);
      const place = ({ expires_on, kind, id }: Shown) =>
        [expires_on, kind, String(id).padStart(9, '0')].join(' ');
      t.same(paged.map(place), paged.map(place).sort());
      t.same(
        paged.map(({ kind, expires_on }) => `${kind} ${expires_on}`).sort(),
        rows.map((row) => row.join(' ')).sort(),
      );
    }),
    { numRuns: 12 },
  );
});
