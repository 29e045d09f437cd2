/** What may be there a second time, what not, and which field says so. */
import t from 'tap';
import { RowMaker } from '../../db/test-rows.ts';
import { startTestPortal } from '../test-portal.ts';

type Row = Record<string, unknown>;

const portal = await startTestPortal(t);
const { mine } = portal.seed;
const account_id = mine.accountIds[0];
const [equipment_id] = mine.equipmentIds;
const client = await portal.owner.connect();
t.teardown(() => client.release());
const maker = await RowMaker.open(client);
const owner = { customerId: mine.customerId, accountId: account_id, word: 'again' };

const post = (path: string, payload: object) =>
  portal.as('admin', { method: 'POST', url: `/v1/${path}`, payload });
const remove = (path: string, id: unknown) =>
  portal.as('admin', {
    method: 'DELETE',
    url: `/v1/${path}/${String(id)}`,
    headers: { 'if-match': '*' },
  });
const patch = (path: string, id: unknown, payload: object) =>
  portal.as('admin', {
    method: 'PATCH',
    url: `/v1/${path}/${String(id)}`,
    payload,
    headers: { 'if-match': '*' },
  });
const refusal = (status: number, pointer: string) => ({
  status,
  body: { errors: [{ in: 'body', pointer }] },
});

t.test('numbers of agreements are free again when they were entered by mistake', async (t) => {
  const master = {
    account_id,
    agreement_number: 'MA-1',
    agreement_name: 'x',
    contract_effective_date: '2026-01-01',
    contract_term: 12,
    contract_billing_method: 'advance',
    currency_code: 'USD',
  };
  const { master_agreement_id } = await maker.make('master_agreement', owner);
  const schedule = {
    account_id,
    master_agreement_id,
    contract_type_lookup_id: 1,
    schedule_number: 'S-1',
    effective_date: '2026-01-01',
    currency_code: 'USD',
  };
  const parent = await maker.make('schedule_agreement', owner, { currency_code: 'USD' });
  const type = await maker.ensure('equipment_type_lookup', owner);
  const line = {
    schedule_agreement_id: parent['schedule_agreement_id'],
    line_number: 7,
    equipment_type_lookup_id: type['equipment_type_lookup_id'],
    number_of_units: 1,
    rate: 1,
    currency_code: 'USD',
  };
  const tries: [string, string, string, object][] = [
    ['master-agreements', 'master_agreement_id', '/agreement_number', master],
    ['schedule-agreements', 'schedule_agreement_id', '/schedule_number', schedule],
    ['schedule-agreement-line-items', 'schedule_agreement_line_item_id', '/line_number', line],
  ];
  for (const [path, key, pointer, body] of tries) {
    const first = await post(path, body);
    t.equal(first.status, 201, first.text);
    const twice = await post(path, body);
    t.equal(twice.status, 409, path);
    const { errors } = twice.body as unknown as { errors: Row[] };
    t.ok(
      errors.some((error) => error['pointer'] === pointer),
      twice.text,
    );
    t.equal((await remove(path, (first.body as unknown as Row)[key])).status, 204);
    t.equal((await post(path, body)).status, 201, `${path}: given again`);
  }
});

t.test('numbers that bills and orders were known by are not', async (t) => {
  const invoice = {
    account_id,
    due_date: '2099-01-01',
    currency_code: 'USD',
    invoice_number: 'R-1',
  };
  const first = await post('invoices', invoice);
  await remove('invoices', (first.body as unknown as Row)['id']);
  t.match(await post('invoices', invoice), refusal(409, '/invoice_number'));
});

t.test('an add-on is taken off and fitted again', async (t) => {
  const { equipment_addon_id } = await maker.make('equipment_addon', owner);
  const fit = (installed_on: string | null, removed_on: string | null = null) =>
    post('equipment-has-addons', { equipment_id, equipment_addon_id, installed_on, removed_on });
  const first = await fit('2025-01-01');
  t.equal(first.status, 201, first.text);
  const taken = refusal(409, '/equipment_addon_id');
  t.match(await fit('2025-06-01'), taken, 'it is on already');
  const id = (first.body as unknown as Row)['equipment_has_addon_id'];
  t.equal((await patch('equipment-has-addons', id, { removed_on: '2025-06-01' })).status, 200);
  t.match(await fit('2025-05-01', '2025-05-02'), taken, 'it was on then');
  t.equal((await fit('2025-06-01')).status, 201, 'on the same day');
  const list = await portal.as('admin', {
    url: `/v1/equipment-has-addons?filter[equipment_addon_id]=${String(equipment_addon_id)}`,
  });
  t.equal(list.body.data.length, 2, 'both are kept');
});

t.test('hours of an engine are hours', async (t) => {
  const { rows } = await portal.owner.query<{ id: number; code: string }>(
    `select uom_lookup_id as id, uom_code as code from uom_lookup where uom_type in ('engine_hours', 'duration')`,
  );
  const idOf = (code: string) => rows.find((row) => row.code === code)!.id;
  const read = (reading_type: string, code: string) =>
    post('equipment-readings', {
      equipment_id,
      reading_type,
      equipment_reading: 1_200,
      uom_lookup_id: idOf(code),
    });
  const good = [
    ['engine_hours', 'h{engine}'],
    ['engine_hours', 'h'],
    ['reefer_hours', 'h{reefer}'],
    ['pto_hours', 'h{pto}'],
  ] as const;
  for (const [type, code] of good) t.equal((await read(type, code)).status, 201, `${type} ${code}`);
  const bad = [
    ['engine_hours', 'h{reefer}'],
    ['odometer', 'h{engine}'],
    ['fuel_level', 'h{engine}'],
  ] as const;
  for (const [type, code] of bad) {
    t.match(await read(type, code), refusal(422, '/uom_lookup_id'), `${type} ${code}`);
  }
});

t.test('a unit has one permit, and says so by the field', async (t) => {
  const permit = { equipment_id, license_plate_number: 'AB 1', license_plate_state: 'TX' };
  t.equal((await post('equipment-permits', permit)).status, 201);
  t.match(
    await post('equipment-permits', { ...permit, license_plate_number: 'AB 2' }),
    refusal(409, '/equipment_id'),
  );
  const { equipment_id: other } = await maker.make('equipment', owner);
  const bulk = await post('equipment-permits/bulk', {
    items: [{ ...permit, equipment_id: other }],
  });
  t.match(bulk.body, {
    results: [{ status: 409, errors: [{ pointer: /^\/items\/0\/license_plate/ }] }],
  });
});

t.test('an audit trail that cannot be written is not the caller’s fault', async (t) => {
  await portal.owner.query(
    `alter table activity_feed add constraint activity_feed_entity_id_check_test check (entity_type <> 'tag_lookup')`,
  );
  t.match(await post('tags', { tag_name: 'untold' }), { status: 500, body: { errors: [] } });
  const bulk = await post('tags/bulk', { items: [{ tag_name: 'untold' }] });
  t.equal(bulk.status, 500, 'nor an item’s');
  const { rows } = await portal.owner.query(`select from tag_lookup where tag_name = 'untold'`);
  t.equal(rows.length, 0, 'nothing is written without it');
  await portal.owner.query(
    'alter table activity_feed drop constraint activity_feed_entity_id_check_test',
  );
});
