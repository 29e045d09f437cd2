import fc from 'fast-check';
import t, { type Test } from 'tap';
import { startTestPortal, type TestPortal } from '../test-portal.ts';
import {
  BULK_PART_ROWS_MAX,
  BULK_VEHICLES_MAX,
  PART_ROWS_MAX,
  PARTS,
  VehicleCreate,
} from './schemas.ts';

type Row = Record<string, unknown>;
type Who = Parameters<TestPortal['as']>[0];

interface Whole {
  readonly header: Row;
  readonly equipment_id: number;
  readonly iot_device_id: number;
  readonly ownerships: Row[];
  readonly insurance: Row | null;
  readonly permits: Row[];
  readonly services: Row[];
  readonly service_frequencies: Row[];
  readonly documents: Row[];
  readonly token: string | null;
}

const portal = await startTestPortal(t);
const { owner, seed } = portal;
const { mine, foreign } = seed;
const [north, south] = mine.accountIds;
const EXAMPLE = (VehicleCreate as unknown as { examples: Row[] }).examples[0]!;

const post = (url: string, payload: object, who: Who = 'admin', headers: Row = {}) =>
  portal.as(who, { method: 'POST', url, payload, headers: headers as Record<string, string> });
const create = (body: object, who: Who = 'admin', headers: Row = {}) =>
  post('/v1/vehicles', body, who, headers);
const get = (url: string, who: Who = 'admin') => portal.as(who, { url });
const wholeOf = (answer: { body: unknown }) => answer.body as Whole;
const refusal = (status: number, pointer: string, detail: RegExp = /\w/) => ({
  status,
  body: { status, errors: [{ in: 'body', pointer, detail }] },
});
const TAKEN = /^is (registered|taken) already$/;

let serial = 0;
/** A vehicle that clashes with no other. */
function vehicle(more: Row = {}): Row {
  serial += 1;
  return {
    vin_chassis_no: `CHASSIS${String(serial).padStart(6, '0')}`,
    engine_number: `E${serial}`,
    gps_tracker_imei_number: String(350_000_000_000_000 + serial),
    ...more,
  };
}

/** A vehicle with two rows of everything. */
function full(more: Row = {}): Row {
  const bare = vehicle();
  const twice = (name: string, changes: Row[] = [{}, {}]) => {
    const [row] = EXAMPLE[name] as Row[];
    return changes.map((change) => ({ ...row, ...change }));
  };
  return {
    ...EXAMPLE,
    ...bare,
    tracker: {},
    ownerships: twice('ownerships', [
      { registration_number: `OLD${serial}`, valid_to: '2024-05-31' },
      { registration_number: `NEW${serial}`, valid_from: '2024-06-01' },
    ]),
    permits: twice('permits', [{ permit_number: `A${serial}` }, { permit_number: `B${serial}` }]),
    services: twice('services'),
    service_frequencies: twice('service_frequencies'),
    documents: twice('documents', [{ service_index: 1 }, {}]),
    ...more,
  };
}

/** The number of rows of every table that a vehicle is written to. */
async function counts(): Promise<Row> {
  const tables = [
    ...['vehicle_basic_information_hdr', 'equipment', 'iot_device', 'equipment_has_iot_device'],
    ...PARTS.map(({ resource }) => resource.name),
    ...['activity_feed', 'idempotency_key', 'knocking_device'],
  ];
  const parts = tables.map((table) => `(select count(*)::int from ${table}) as ${table}`);
  const { rows } = await owner.query<Row>(`select ${parts.join(', ')}`);
  return rows[0]!;
}

/** Does something, and tests that no row came or went. */
async function writesNothing(t: Test, name: string, act: () => Promise<unknown>): Promise<void> {
  const before = await counts();
  await act();
  t.same(await counts(), before, `${name}: nothing was written`);
}

async function deviceOf(imei: unknown): Promise<Row | undefined> {
  const { rows } = await owner.query<Row>(
    `select d.*, h.equipment_id from iot_device d
     left join equipment_has_iot_device h on h.iot_device_id = d.iot_device_id and h.removed_at is null
     where d.device_identifier = $1`,
    [imei],
  );
  return rows[0];
}

async function unitOf(id: number): Promise<Row> {
  const { rows } = await owner.query<Row>('select * from equipment where equipment_id = $1', [id]);
  return rows[0]!;
}

t.test('a vehicle with everything', async (t) => {
  const body = full({ account_id: north });
  const made = await create(body);
  t.match(made, { status: 201, headers: { etag: '"1"', 'cache-control': /no-cache/ } });
  const whole = wholeOf(made);
  const code = whole.header['vehicle_id_code_hdr'] as string;
  t.match(code, /^VEH[0-9]{4}$/);
  t.equal(made.headers['location'], `/v1/vehicles/${code}`);
  t.match(whole.header, {
    vin_chassis_no: body['vin_chassis_no'],
    account_id: north,
    unloading_weight: 2980,
    equipment_id: whole.equipment_id,
    iot_device_id: whole.iot_device_id,
  });
  t.match(whole.ownerships, [
    { vehicle_ownership_id: /^OWN[0-9]{4}$/, vehicle_id_code: code, registration_number: /^OLD/ },
    { vehicle_ownership_id: /^OWN[0-9]{4}$/, registration_number: /^NEW/, sale_amount: 1475000 },
  ]);
  t.match(whole.insurance, { vehicle_id_code_itm: `${code}-INS`, premium_amount: 41250.5 });
  t.match(whole.permits, [{ vehicle_permit_id: /^PRM[0-9]{4}$/ }, { vehicle_id_code_hdr: code }]);
  t.match(whole.services, [{ vehicle_maintenance_id: /^MNT[0-9]{4}$/ }, { odometer_m: 48210000 }]);
  t.match(whole.service_frequencies, [{ sequence_number: 1 }, { sequence_number: 2 }]);
  t.match(whole.documents, [
    {
      document_id: /^DOC[0-9]{4}$/,
      vehicle_maintenance_id: whole.services[1]!['vehicle_maintenance_id'],
    },
    { vehicle_maintenance_id: null },
  ]);
  t.equal(whole.token, null);
  t.match(await unitOf(whole.equipment_id), {
    unit_number: whole.ownerships[1]!['registration_number'],
    vin: body['vin_chassis_no'],
    account_id: north,
    description: 'TATA LPT 407',
  });
  t.match(await deviceOf(body['gps_tracker_imei_number']), {
    iot_device_id: whole.iot_device_id,
    equipment_id: whole.equipment_id,
    device_type: 'vehicle tracker',
    sign_in_by_name: true,
    token_hash: null,
  });
  const { token, ...shown } = whole;
  t.equal(token, null);
  t.same((await get(`/v1/vehicles/${code}/full`)).body, shown);
  t.same((await get(`/v1/vehicles/${code}`)).body, whole.header);
  const url = `/v1/vehicle-documents?filter[vehicle_id_code]=${code}`;
  t.same((await get(url)).body.data, whole.documents);
});

t.test('who wrote it is in the audit trail, table by table', async (t) => {
  const made = await create(full());
  const { rows } = await owner.query<{ entity_type: string; count: number; actor: string }>(
    `select entity_type, count(*)::int as count, min(u.email) as actor from activity_feed f
     left join "user" u on u.user_id = f.actor_user_id
     where request_id = $1 and event_type = 'record_created' group by 1 order by 1`,
    [made.headers['x-request-id']],
  );
  t.same(
    rows.map((row) => `${row.entity_type} ${row.count} ${row.actor}`),
    [
      'equipment 1',
      'equipment_has_iot_device 1',
      'iot_device 1',
      'service_frequency_master 2',
      'vehicle_basic_information_hdr 1',
      'vehicle_basic_information_itm 1',
      'vehicle_documents 2',
      'vehicle_maintenance_service_history 2',
      'vehicle_ownership_details 2',
      'vehicle_special_permit 2',
    ].map((line) => `${line} admin@acme.test`),
  );
});

t.test('a vehicle with nothing but itself, and with empty lists', async (t) => {
  const bare = await create(vehicle());
  const whole = wholeOf(bare);
  t.match(bare, { status: 201, body: { ownerships: [], insurance: null, documents: [] } });
  const unit = await unitOf(whole.equipment_id);
  t.equal(unit['unit_number'], whole.header['vehicle_id_code_hdr'], 'called as the vehicle is');
  const lists = { ownerships: [], permits: [], services: [], service_frequencies: [] };
  const empty = await create(
    vehicle({ ...lists, documents: [], insurance: null, unit_number: 'U 1' }),
  );
  t.equal(empty.status, 201);
  t.equal((await unitOf(wholeOf(empty).equipment_id))['unit_number'], 'U 1');
  t.equal((await get('/v1/vehicles/VEH9999/full')).status, 404);
  const code = String(whole.header['vehicle_id_code_hdr']);
  t.equal((await get(`/v1/vehicles/${code}/full`, 'foreign')).status, 404);
  t.equal((await get(`/v1/vehicles/${code}/full`, 'bare')).status, 403);
  t.equal((await create(vehicle(), 'bare')).status, 403);
});

t.test('how the tracker signs in', async (t) => {
  const rows: [Row, { sign_in_by_name: boolean }, boolean][] = [
    [{}, { sign_in_by_name: true }, false],
    [{ issue_token: false }, { sign_in_by_name: true }, false],
    [{ sign_in_by_name: false }, { sign_in_by_name: false }, false],
    [{ issue_token: true }, { sign_in_by_name: false }, true],
    [{ issue_token: true, sign_in_by_name: true }, { sign_in_by_name: true }, true],
  ];
  for (const [tracker, device, hasToken] of rows) {
    const body = vehicle({ tracker: { ...tracker, device_type: 'FMB920' } });
    const made = await create(body);
    const name = JSON.stringify(tracker);
    t.equal(made.status, 201, name);
    t.equal(wholeOf(made).token !== null, hasToken, name);
    t.equal(made.headers['cache-control'] === 'no-store', hasToken, name);
    const stored = await deviceOf(body['gps_tracker_imei_number']);
    t.match(stored, { ...device, device_type: 'FMB920' }, name);
    t.equal(stored?.['token_hash'] !== null, hasToken, name);
  }
});

t.test('the same request again', async (t) => {
  const body = full({ tracker: { issue_token: true } });
  const key = { 'idempotency-key': 'once' };
  const first = await create(body, 'admin', key);
  t.match(first, { status: 201, body: { token: /^[\w-]{43}$/ } });
  await writesNothing(t, 'again', async () => {
    const again = await create(body, 'admin', key);
    t.match(again, {
      status: 201,
      headers: { 'idempotency-replayed': 'true', location: first.headers['location'] },
    });
    t.same(again.body, { ...first.body, token: null }, 'the token is told once');
    t.match(await create(vehicle(), 'admin', key), { status: 422 });
  });
  const { rows } = await owner.query<Row>(
    `select response_body::text as kept from idempotency_key`,
  );
  t.notMatch(rows, new RegExp(wholeOf(first).token!), 'and kept nowhere');
  const two = full();
  const both = await Promise.all(
    [1, 2].map(() => create(two, 'admin', { 'idempotency-key': 'x' })),
  );
  t.same(
    both.map(({ status }) => status),
    [201, 201],
  );
  t.same(both[0]!.body, both[1]!.body);
});

t.test('what is somebody’s already, here and elsewhere', async (t) => {
  const rows: [string, (taken: Row) => Row, string][] = [
    ['chassis', ({ vin_chassis_no }) => ({ vin_chassis_no }), '/vin_chassis_no'],
    [
      'tracker',
      ({ gps_tracker_imei_number }) => ({ gps_tracker_imei_number }),
      '/gps_tracker_imei_number',
    ],
    [
      'plate',
      ({ ownerships }) => {
        const [first, second] = full()['ownerships'] as Row[];
        const plate = (ownerships as Row[])[0]!['registration_number'];
        return {
          ownerships: [first, { ...second, registration_number: plate }],
          unit_number: `p${serial}`,
        };
      },
      '/ownerships/1/registration_number',
    ],
    [
      'permit',
      ({ permits }) => ({ permits: [(full()['permits'] as Row[])[0], (permits as Row[])[1]] }),
      '/permits/1/permit_number',
    ],
  ];
  for (const who of ['admin', 'foreign'] as const) {
    const taken = full();
    t.equal((await create(taken, who)).status, 201);
    for (const [name, clash, pointer] of rows) {
      const body = full(clash(taken));
      await writesNothing(t, `${name} of ${who}`, async () => {
        t.match(await create(body), refusal(409, pointer, TAKEN), `${name} of ${who}`);
      });
    }
  }
  const [one, other] = [vehicle({ unit_number: 'U 2' }), vehicle({ unit_number: 'U 2' })];
  t.equal((await create(one)).status, 201);
  await writesNothing(t, 'unit number', async () => {
    t.match(await create(other), refusal(409, '/unit_number', TAKEN));
  });
  t.equal((await create(vehicle({ unit_number: 'U 2' }), 'foreign')).status, 201);
  const permits = (full()['permits'] as Row[]).map((row) => ({ ...row, permit_number: 'same' }));
  await writesNothing(t, 'twice in one request', async () => {
    t.match(await create(full({ permits })), refusal(409, '/permits/1/permit_number', TAKEN));
  });
});

t.test('one answer for a tracker, whoever has it', async (t) => {
  const answers = [];
  for (const [who, register] of [
    ['admin', create],
    ['foreign', create],
    [
      'foreign',
      (body: Row, who: Who) =>
        post('/v1/iot-devices', { device_identifier: body['gps_tracker_imei_number'] }, who),
    ],
  ] as const) {
    const body = vehicle();
    t.equal((await register(body, who)).status, 201);
    const { gps_tracker_imei_number } = body;
    const { body: problem } = await create(vehicle({ gps_tracker_imei_number }));
    const { requestId, ...rest } = problem as unknown as Row;
    t.ok(requestId);
    answers.push(rest);
  }
  t.match(answers[0], { status: 409, errors: [{ pointer: '/gps_tracker_imei_number' }] });
  t.same(answers[1], answers[0]);
  t.same(answers[2], answers[0]);
});

t.test('what makes no sense', async (t) => {
  const rows: [string, Row, number, string, RegExp?][] = [
    ['no chassis', { vin_chassis_no: undefined }, 400, '/vin_chassis_no', /required/],
    ['an IMEI of 14', { gps_tracker_imei_number: '12345678901234' }, 400, '/gps_tracker_imei_number'],
    ['its number', { vehicle_id_code_hdr: 'VEH0001' }, 400, '/vehicle_id_code_hdr', /not a field/],
    ['its device', { iot_device_id: 1 }, 400, '/iot_device_id', /not a field/],
    ['a vehicle in a part', { permits: [{ ...(EXAMPLE['permits'] as Row[])[0], vehicle_id_code_hdr: 'VEH0001' }] }, 400, '/permits/0/vehicle_id_code_hdr'],
    ['a service of another', { documents: [{ ...doc(), vehicle_maintenance_id: 'MNT0001' }] }, 400, '/documents/0/vehicle_maintenance_id'],
    ['an unknown field', { tracker: { token: 'x' } }, 400, '/tracker/token', /not a field/],
    ['one owner, no list', { ownerships: {} }, 400, '/ownerships', /must be array/],
    ['too many', { documents: Array(PART_ROWS_MAX + 1).fill(doc()) }, 400, '/documents', /more than 50/],
    ['an unknown kind', { vehicle_type_id: 'VT999' }, 422, '/vehicle_type_id', /nothing that exists/],
    ['an unknown cover', { insurance: { ...(EXAMPLE['insurance'] as Row), coverage_type: 'X' } }, 422, '/insurance/coverage_type'],
    ['an unknown document', { documents: [doc(), { ...doc(), document_type_id: 'X' }] }, 422, '/documents/1/document_type_id'],
    ['no such service', { services: [], documents: [{ ...doc(), service_index: 0 }] }, 422, '/documents/0/service_index'],
    ['an end before its start', { documents: [{ ...doc(), valid_to: '2001-01-01' }] }, 422, '/documents/0/valid_to'],
    ['money of no currency', { documents: [], services: [{ ...(EXAMPLE['services'] as Row[])[0], currency_code: null }] }, 422, '/services/0/currency_code'],
    ['neither time nor way', { service_frequencies: [{ status: 'paused' }] }, 422, '/service_frequencies/0/time_period'],
    ['heavier empty than full', { unloading_weight: 9_000 }, 422, '/unloading_weight'],
    ['an account of others', { account_id: foreign.accountIds[0] }, 422, '/account_id'],
    ['a unit of others', { equipment_id: foreign.equipmentIds[0] }, 422, '/equipment_id'],
  ]; // prettier-ignore
  for (const [name, more, status, pointer, detail] of rows) {
    await writesNothing(t, name, async () => {
      t.match(await create(full(more)), refusal(status, pointer, detail), name);
    });
  }
});

function doc(): Row {
  return { ...(EXAMPLE['documents'] as Row[])[0] };
}

t.test('whatever fails on the way, nothing stays', async (t) => {
  await owner.query(`create function fault() returns trigger language plpgsql as
    $$ begin raise exception 'fault' using errcode = 'XX000'; end $$`);
  const tables = [
    ...['equipment', 'iot_device', 'equipment_has_iot_device', 'vehicle_basic_information_hdr'],
    ...PARTS.map(({ resource }) => resource.name),
  ];
  for (const table of tables) {
    // Once as the row is written, and once when all is written and about to be committed.
    await owner.query(`create constraint trigger fault after insert on ${table}
      initially deferred for each row execute function fault()`);
    await owner.query(`create trigger fault_now after insert on ${table}
      for each statement execute function fault()`);
    await writesNothing(t, table, async () => {
      t.match(await create(full()), { status: 500, body: { errors: [] } }, table);
    });
    await owner.query(`drop trigger fault_now on ${table}`);
    await writesNothing(t, `${table}, at the commit`, async () => {
      t.match(await create(full()), { status: 500 }, `${table}, at the commit`);
    });
    await owner.query(`drop trigger fault on ${table}`);
  }
  t.equal((await create(full())).status, 201, 'and then it goes');
});

t.test('many at once', async (t) => {
  const answers = await Promise.all(Array.from({ length: 20 }, () => create(full())));
  t.same([...new Set(answers.map(({ status }) => status))], [201]);
  const all = answers.map(wholeOf);
  for (const ids of [
    all.map(({ header }) => header['vehicle_id_code_hdr']),
    all.flatMap(({ ownerships }) => ownerships.map((row) => row['vehicle_ownership_id'])),
    all.flatMap(({ documents }) => documents.map((row) => row['document_id'])),
    all.map(({ iot_device_id }) => iot_device_id),
    all.map(({ equipment_id }) => equipment_id),
  ]) {
    t.equal(new Set(ids).size, ids.length);
  }
  const gps_tracker_imei_number = '359999999999999';
  const before = (await counts())['vehicle_basic_information_hdr'] as number;
  const race = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      create(full({ gps_tracker_imei_number }), i % 4 === 0 ? 'foreign' : 'admin'),
    ),
  );
  const lost = race.filter(({ status }) => status !== 201);
  t.equal(lost.length, 19, 'one tracker, one vehicle');
  for (const one of lost) t.match(one, refusal(409, '/gps_tracker_imei_number', TAKEN));
  t.equal((await counts())['vehicle_basic_information_hdr'], before + 1);
});

/** Registers a tracker on a unit that is no vehicle. */
async function mounted(
  more: Row = {},
): Promise<{ imei: string; unitId: number; deviceId: number }> {
  serial += 1;
  const imei = String(360_000_000_000_000 + serial);
  const { rows } = await owner.query<{ id: number }>(
    `insert into equipment (customer_id, account_id, unit_number, vin) values ($1, $2, $3, $4)
     returning equipment_id as id`,
    [mine.customerId, more['account_id'] ?? null, `unit ${serial}`, more['vin'] ?? null],
  );
  const unitId = rows[0]!.id;
  const made = await post('/v1/iot-devices', { device_identifier: imei, equipment_id: unitId });
  return { imei, unitId, deviceId: made.body.iot_device_id };
}

t.test('a tracker and a unit that are there already', async (t) => {
  const { imei: gps_tracker_imei_number, unitId, deviceId } = await mounted({ account_id: north });
  const body = vehicle({ gps_tracker_imei_number });
  const made = await create(body);
  t.match(made, {
    status: 201,
    body: { equipment_id: unitId, iot_device_id: deviceId, header: { account_id: north } },
  });
  t.equal((await unitOf(unitId))['vin'], body['vin_chassis_no']);
  t.match(await deviceOf(gps_tracker_imei_number), {
    sign_in_by_name: false,
    device_type: 'tracker',
  });
  await writesNothing(t, 'a second vehicle', async () => {
    const again = vehicle({ gps_tracker_imei_number });
    t.match(await create(again), refusal(409, '/gps_tracker_imei_number', TAKEN));
    const ofUnit = vehicle({ equipment_id: unitId });
    t.match(await create(ofUnit), refusal(409, '/equipment_id', /of a vehicle already/));
  });

  const one = await mounted({ account_id: north, vin: 'OTHERVIN1' });
  const rows: [Row, string][] = [
    [{ vin_chassis_no: 'ANOTHER01' }, '/vin_chassis_no'],
    [{ account_id: south }, '/account_id'],
    [{ account_id: null }, '/account_id'],
    [{ unit_number: 'other' }, '/unit_number'],
    [{ equipment_id: mine.equipmentIds[0] }, '/equipment_id'],
  ];
  for (const [more, pointer] of rows) {
    await writesNothing(t, pointer, async () => {
      const unlike = vehicle({
        vin_chassis_no: 'OTHERVIN1',
        gps_tracker_imei_number: one.imei,
        ...more,
      });
      t.match(await create(unlike), refusal(409, pointer), pointer);
    });
  }
  const tracker = { sign_in_by_name: true, issue_token: true, device_type: 'FMB920' };
  const alike = { vin_chassis_no: 'OTHERVIN1', account_id: north, equipment_id: one.unitId };
  const like = vehicle({ ...alike, gps_tracker_imei_number: one.imei, tracker });
  t.match(await create(like), {
    status: 201,
    body: { token: /^[\w-]{43}$/, iot_device_id: one.deviceId },
  });
  t.match(await deviceOf(one.imei), { sign_in_by_name: true, device_type: 'FMB920' });
});

t.test('a tracker on the shelf, one that is off, and a unit without a tracker', async (t) => {
  const shelf = vehicle();
  const imei = shelf['gps_tracker_imei_number'];
  const { body } = await post('/v1/iot-devices', { device_identifier: imei });
  const made = await create(shelf);
  t.match(made, { status: 201, body: { iot_device_id: body.iot_device_id } });
  t.equal((await deviceOf(imei))?.['equipment_id'], wholeOf(made).equipment_id);

  const off = vehicle();
  await post('/v1/iot-devices', { device_identifier: off['gps_tracker_imei_number'] });
  await owner.query(`update iot_device set status = 'disabled' where device_identifier = $1`, [
    off['gps_tracker_imei_number'],
  ]);
  await writesNothing(t, 'disabled', async () => {
    t.match(await create(off), refusal(409, '/gps_tracker_imei_number', /disabled/));
  });

  const { unitId } = await mounted();
  const ofUnit = await create(vehicle({ equipment_id: unitId }));
  t.match(ofUnit, { status: 201, body: { equipment_id: unitId } });
  const twin = await mounted();
  const race = await Promise.all(
    [1, 2, 3].map(() => create(vehicle({ equipment_id: twin.unitId }))),
  );
  t.same(race.map(({ status }) => status).sort(), [201, 409, 409], 'one unit, one vehicle');
  const gone = wholeOf(ofUnit).header['vehicle_id_code_hdr'] as string;
  await portal.as('admin', {
    method: 'DELETE',
    url: `/v1/vehicles/${gone}`,
    headers: { 'if-match': '*' },
  });
  const { vin_chassis_no, gps_tracker_imei_number } = wholeOf(ofUnit).header;
  t.match(
    await create(vehicle({ vin_chassis_no, gps_tracker_imei_number })),
    { status: 201, body: { equipment_id: unitId } },
    'entered by mistake, deleted, and entered anew',
  );
});

t.test('a vehicle that is deleted lets go of its tracker', async (t) => {
  const remove = (code: unknown) =>
    portal.as('admin', {
      method: 'DELETE',
      url: `/v1/vehicles/${String(code)}`,
      headers: { 'if-match': '*' },
    });
  const stateOf = async (deviceId: number) => {
    const { rows } = await owner.query<Row>(
      `select d.status, d.token_hash is null as is_mute, count(h) filter (where h.removed_at is null) as mounts,
         count(h) as history
       from iot_device d left join equipment_has_iot_device h using (iot_device_id)
       where iot_device_id = $1 group by d.iot_device_id`,
      [deviceId],
    );
    return rows[0];
  };
  const body = full({ tracker: { issue_token: true } });
  const first = wholeOf(await create(body));
  const code = first.header['vehicle_id_code_hdr'];
  const alive = { status: 'active', is_mute: false, mounts: 1, history: 1 };
  const byHand = await portal.as('admin', {
    method: 'PATCH',
    url: `/v1/iot-devices/${first.iot_device_id}`,
    payload: { status: 'retired' },
    headers: { 'if-match': '*' },
  });
  t.match(byHand, refusal(409, '/status', new RegExp(`tracker of vehicle ${String(code)}`)));
  t.same(await stateOf(first.iot_device_id), alive);
  t.equal((await remove(code)).status, 204);
  const retired = { status: 'retired', is_mute: true, mounts: 0, history: 1 };
  t.same(await stateOf(first.iot_device_id), retired, 'what it has sent stays told by its mount');
  t.equal((await get(`/v1/iot-devices/${first.iot_device_id}`)).body.status, 'retired');

  const { gps_tracker_imei_number } = body;
  const second = await create(vehicle({ gps_tracker_imei_number }));
  t.match(second, { status: 201 }, 'the next vehicle has a tracker of this number');
  t.not(wholeOf(second).iot_device_id, first.iot_device_id);
  t.not(wholeOf(second).equipment_id, first.equipment_id);
  const back = await portal.as('admin', {
    method: 'PATCH',
    url: `/v1/iot-devices/${first.iot_device_id}`,
    payload: { status: 'active' },
    headers: { 'if-match': '*' },
  });
  t.match(back, refusal(409, '/device_identifier', TAKEN), 'and the old one cannot come back');
  await remove(wholeOf(second).header['vehicle_id_code_hdr']);
  const sold = await create(vehicle({ gps_tracker_imei_number }), 'foreign');
  t.match(sold, { status: 201 }, 'nor does it hold up who bought the vehicle');
  t.match(
    await create(vehicle({ gps_tracker_imei_number })),
    refusal(409, '/gps_tracker_imei_number', TAKEN),
  );

  const moved = wholeOf(await create(vehicle()));
  const { unitId } = await mounted();
  await portal.as('admin', {
    method: 'PUT',
    url: `/v1/iot-devices/${moved.iot_device_id}/equipment`,
    payload: { equipment_id: unitId },
    headers: { 'if-match': '*' },
  });
  await remove(moved.header['vehicle_id_code_hdr']);
  const elsewhere = { status: 'active', mounts: 1, history: 2 };
  t.match(await stateOf(moved.iot_device_id), elsewhere, 'a tracker on another unit stays there');
});

t.test('whoever is held to accounts', async (t) => {
  const held = (more: Row) => create(vehicle(more), 'held');
  const made = await held({ account_id: north });
  t.match(made, { status: 201, body: { header: { account_id: north } } });
  t.equal((await unitOf(wholeOf(made).equipment_id))['account_id'], north);
  const code = String(wholeOf(made).header['vehicle_id_code_hdr']);
  t.equal((await get(`/v1/vehicles/${code}/full`, 'held')).status, 200);
  const ofSouth = await create(full({ account_id: south }));
  const other = String(wholeOf(ofSouth).header['vehicle_id_code_hdr']);
  t.equal((await get(`/v1/vehicles/${other}/full`, 'held')).status, 404);
  const inNorth = await mounted({ account_id: north });
  const inSouth = await mounted({ account_id: south });
  const ofAll = await mounted();
  const shelf = vehicle();
  await post('/v1/iot-devices', { device_identifier: shelf['gps_tracker_imei_number'] });
  const { gps_tracker_imei_number: onShelf } = shelf;
  const IMEI = '/gps_tracker_imei_number';
  const rows: [string, Row, number, string][] = [
    ['no account', {}, 403, '/account_id'],
    ['the whole customer', { account_id: null }, 403, '/account_id'],
    ['another account', { account_id: south }, 422, '/account_id'],
    ['no account, a unit of theirs', { gps_tracker_imei_number: inNorth.imei }, 403, '/account_id'],
    [
      'a tracker of another',
      { account_id: north, gps_tracker_imei_number: inSouth.imei },
      409,
      IMEI,
    ],
    ['a tracker of all', { account_id: north, gps_tracker_imei_number: ofAll.imei }, 403, IMEI],
    ['a tracker on the shelf', { account_id: north, gps_tracker_imei_number: onShelf }, 403, IMEI],
    [
      'a unit of another',
      { account_id: north, equipment_id: inSouth.unitId },
      422,
      '/equipment_id',
    ],
    ['a unit of all', { account_id: north, equipment_id: ofAll.unitId }, 403, '/equipment_id'],
  ];
  for (const [name, more, status, pointer] of rows) {
    await writesNothing(t, name, async () => {
      t.match(await held(more), refusal(status, pointer), name);
    });
  }
  const own = { account_id: north, gps_tracker_imei_number: inNorth.imei };
  t.match(await held(own), { status: 201, body: { equipment_id: inNorth.unitId } });
});

t.test('the right to write vehicles is enough, but not to change devices', async (t) => {
  const { imei: gps_tracker_imei_number } = await mounted();
  const grant = async (role: object) => {
    await owner.query(`update user_role set role_permission = $1 where name = 'bare role'`, [
      JSON.stringify(role),
    ]);
    portal.principals.invalidate();
  };
  await grant({ vehicle: ['write'] });
  t.match(await create(full({ tracker: { issue_token: true } }), 'bare'), { status: 201 });
  for (const tracker of [{ issue_token: true }, { sign_in_by_name: true }, { device_type: 'x' }]) {
    await writesNothing(t, JSON.stringify(tracker), async () => {
      const answer = await create(vehicle({ gps_tracker_imei_number, tracker }), 'bare');
      t.match(answer, { status: 403, body: { detail: /iot_device:write/ } });
    });
  }
  t.equal((await create(vehicle({ gps_tracker_imei_number }), 'bare')).status, 201);
  await grant({});
});

t.test('frequencies of many vehicles in one request hold these in their order', async (t) => {
  const codes: string[] = [];
  for (let n = 0; n < 2; n++)
    codes.push(wholeOf(await create(vehicle())).header['vehicle_id_code_hdr'] as string);
  const [first, last] = codes.sort();
  const other = await owner.connect();
  t.teardown(() => other.release());
  await other.query('begin');
  const hold = (code: string) =>
    other.query(
      `select from vehicle_basic_information_hdr where vehicle_id_code_hdr = $1 for no key update nowait`,
      [code],
    );
  await hold(first!);
  const items = [last, first].map((vehicle_id) => ({
    ...{ vehicle_id, type_of_service: 'Oil change', time_period: '6 months' },
  }));
  const made = post('/v1/vehicle-service-frequencies/bulk', { items });
  for (;;) {
    const { rows } = await owner.query(
      `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
    );
    if (rows.length > 0) break;
  }
  await hold(last!);
  await other.query('commit');
  t.match(await made, { status: 200, body: { created: 2 } });
});

t.test('many in one request', async (t) => {
  const taken = vehicle();
  await create(taken);
  const { gps_tracker_imei_number } = taken;
  const good = full({ tracker: { issue_token: true } });
  const items = [
    good,
    full({ gps_tracker_imei_number }),
    vehicle({ colour: 'red' }),
    full({ permits: [{ ...(EXAMPLE['permits'] as Row[])[0], permit_number: 'P 1' }] }),
    full({ permits: [{ ...(EXAMPLE['permits'] as Row[])[0], permit_number: 'P 1' }] }),
    full(),
    null,
  ];
  const key = { 'idempotency-key': 'bulk' };
  const before = await counts();
  const answer = await post('/v1/vehicles/bulk', { items }, 'admin', key);
  const token = /^[\w-]{43}$/;
  t.match(answer, {
    status: 200,
    headers: { 'cache-control': 'no-store' },
    body: {
      created: 3,
      refused: 4,
      results: [
        { index: 0, status: 201, id: /^VEH/, token },
        { status: 409, errors: [{ pointer: '/items/1/gps_tracker_imei_number' }] },
        { status: 400, errors: [{ pointer: '/items/2/colour' }] },
        { status: 201 },
        { index: 4, status: 409, errors: [{ pointer: '/items/4/permits/0/permit_number' }] },
        { index: 5, status: 201, id: /^VEH/ },
        { index: 6, status: 400, errors: [{ pointer: '/items/6' }] },
      ],
    },
  });
  const after = await counts();
  for (const table of ['vehicle_basic_information_hdr', 'equipment', 'iot_device']) {
    t.equal(after[table], (before[table] as number) + 3, `${table}: of the refused nothing stays`);
  }
  const again = await post('/v1/vehicles/bulk', { items }, 'admin', key);
  t.match(again, { headers: { 'idempotency-replayed': 'true' }, body: { created: 3 } });
  t.notMatch(again.text, /"token"/, 'the token is told once');
  const many = Array(BULK_VEHICLES_MAX + 1).fill(vehicle());
  t.match(await post('/v1/vehicles/bulk', { items: many }), refusal(400, '/items'));
  const documents = Array(PART_ROWS_MAX).fill(doc());
  const heavy = Array(BULK_PART_ROWS_MAX / PART_ROWS_MAX + 1).fill(vehicle({ documents }));
  t.match(await post('/v1/vehicles/bulk', { items: heavy }), refusal(400, '/items', /2000/));
});

t.test('so many devices, and so many tries', async (t) => {
  const small = await startTestPortal(t, {
    quotas: { devicesPerTenantMax: 5 },
    rateLimits: { registrationsPerTenantMax: 10 },
  });
  const tryOne = (url: string, payload: object) =>
    small.as('admin', { method: 'POST', url, payload });
  const shelf = vehicle();
  const device_identifier = shelf['gps_tracker_imei_number'];
  t.equal((await tryOne('/v1/iot-devices', { device_identifier })).status, 201);
  const bulk = { items: [vehicle(), vehicle()] };
  t.match(await tryOne('/v1/vehicles/bulk', bulk), {
    body: { created: 1, results: [{ status: 201 }, { status: 409, detail: /5 devices already/ }] },
  });
  t.match(await tryOne('/v1/vehicles', vehicle()), { status: 409, body: { detail: /5 devices/ } });
  t.equal(
    (await tryOne('/v1/vehicles', shelf)).status,
    201,
    'one that is registered needs no room',
  );
  const statuses = [];
  for (let i = 0; i < 6; i++) statuses.push((await tryOne('/v1/vehicles', vehicle())).status);
  t.same(statuses, [409, 409, 409, 409, 409, 429]);
  t.equal((await tryOne('/v1/iot-devices', { device_identifier: 'x' })).status, 429, 'one count');
});

/** Values that no field takes, by what the field holds. */
function unfit(schema: Row): fc.Arbitrary<unknown> {
  const types = [schema['type']].flat() as string[];
  const wrong: unknown[] = [{ a: 1 }, ['x'], '\u0000', 'x'.repeat(2_001), 1e300, -1.0000001];
  if (!types.includes('null')) wrong.push(null);
  if (!types.includes('boolean')) wrong.push(true);
  const fits = (value: unknown) => types.includes('object') && typeof value === 'object' && !Array.isArray(value); // prettier-ignore
  const list = (value: unknown) => types.includes('array') && Array.isArray(value);
  return fc.constantFrom(...wrong.filter((value) => !fits(value) && !list(value)));
}

/** Every field of the body by its path. */
function fieldsOf(schema: Row, path: (string | number)[] = []): [(string | number)[], Row][] {
  const found: [(string | number)[], Row][] = path.length === 0 ? [] : [[path, schema]];
  const inner = (schema['properties'] ?? {}) as Record<string, Row>;
  for (const [name, one] of Object.entries(inner)) found.push(...fieldsOf(one, [...path, name]));
  if (schema['items']) found.push(...fieldsOf(schema['items'] as Row, [...path, 1]));
  return found;
}

function withValue(target: unknown, [step, ...rest]: (string | number)[], value: unknown): unknown {
  if (step === undefined) return value;
  if (typeof step === 'number') {
    const list = [...((target ?? []) as unknown[])];
    list[step] = withValue(list[step], rest, value);
    return list;
  }
  const row = (target ?? {}) as Row;
  return { ...row, [step]: withValue(row[step], rest, value) };
}

t.test('one unfit field, and nothing is written', async (t) => {
  const seedNumber = Number(process.env['FC_SEED'] ?? Date.now() % 1e9);
  t.comment(`seed ${seedNumber}`);
  const fields = fieldsOf(VehicleCreate as unknown as Row);
  t.ok(fields.length > 80, `${fields.length} fields`);
  const taken = full();
  t.equal((await create(taken)).status, 201);
  const plates = taken['ownerships'] as Row[];
  const permits = taken['permits'] as Row[];
  // What only the database knows to be wrong.
  const senseless: [(string | number)[], unknown][] = [
    [['vin_chassis_no'], taken['vin_chassis_no']],
    [['gps_tracker_imei_number'], taken['gps_tracker_imei_number']],
    [['vehicle_type_id'], 'X'],
    [['account_id'], foreign.accountIds[0]],
    [['equipment_id'], foreign.equipmentIds[1]],
    [['unloading_weight'], 9_000],
    [['ownerships', 1, 'registration_number'], plates[0]!['registration_number']],
    [['ownerships', 1, 'currency_code'], 'ZZZ'],
    [['ownerships', 1, 'registration_upto'], '1999-12-31'],
    [['insurance', 'coverage_type'], 'X'],
    [['insurance', 'policy_expiry_date'], '1999-12-31'],
    [['permits', 1, 'permit_number'], permits[0]!['permit_number']],
    [['services', 1, 'service_date'], '2099-01-01'],
    [['documents', 1, 'document_type_id'], 'X'],
    [['documents', 1, 'coverage_type_id'], 'X'],
    [['documents', 1, 'attachment_id'], 987_654],
    [['documents', 1, 'valid_to'], '1999-12-31'],
    [['documents', 1, 'service_index'], 2],
  ];
  const spoilt = fc.oneof(
    fc
      .constantFrom(...fields)
      .chain(([path, schema]) => unfit(schema).map((value) => ({ path, value }))),
    fc.constantFrom(...senseless).map(([path, value]) => ({ path, value })),
  );
  const failures: unknown[] = [];
  const before = await counts();
  await fc.assert(
    fc.asyncProperty(spoilt, async ({ path, value }) => {
      const payload = withValue(full(), path, value) as object;
      const { status, body } = await create(payload);
      const { errors = [] } = body as unknown as { errors?: { pointer: string }[] };
      const named = errors.some(({ pointer }) => pointer.startsWith(`/${path.join('/')}`));
      if (status < 400 || status >= 500 || !named) failures.push({ path, value, status, errors });
    }),
    { seed: seedNumber, numRuns: 300 },
  );
  t.same(failures, []);
  t.same(await counts(), before);
});
