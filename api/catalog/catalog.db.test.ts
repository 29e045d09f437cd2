/**
 * Every resource, by its own declaration: its example makes a row, and the row is read, listed by each of its fields,
 * changed, exported and deleted, each answer in the form that the documentation says.
 */
import { getTableName } from 'drizzle-orm';
import type pg from 'pg';
import t from 'tap';
import { describeDatabase } from '../../db/describe.ts';
import { RowMaker, type TestValues } from '../../db/test-rows.ts';
import { headerText } from '../export/columns.ts';
import type { Row } from '../resources/define.ts';
import { exportColumns } from '../resources/export.ts';
import { FILTERS_MAX, SORT_FIELDS_MAX } from '../resources/filters.ts';
import type { Resource } from '../resources/resource.ts';
import { operationsOf, readDocument, validatorOf } from '../test-openapi.ts';
import { startTestPortal, type TestAnswer } from '../test-portal.ts';
import { PARTS, VehicleCreate } from '../vehicles/schemas.ts';
import { CATALOG, EXPORTED } from './catalog.ts';

const portal = await startTestPortal(t, {
  rateLimits: { perUserMax: 1e6, perTenantMax: 1e6, perAddressMax: 1e6 },
});
const client: pg.PoolClient = await portal.owner.connect();
t.teardown(() => client.release());
const maker = await RowMaker.open(client);
const document = await readDocument(portal.app);
const operations = new Map(operationsOf(document).map((one) => [one.name, one.operation]));
const validate = validatorOf(document);

const { mine } = portal.seed;
// Units of the type that lines of agreements are for.
await client.query('update equipment set equipment_type_lookup_id = 1');
const owner = { customerId: mine.customerId, accountId: mine.accountIds[0], word: 'said' };
const exampleOf = (schema: object) => (schema as { examples?: Row[] }).examples?.[0];

/** Operations that were called and answered well. */
const tried = new Set<string>();

/** Calls an operation of a resource, and holds the answer against what is documented. */
async function call(
  [method, path]: readonly [string, string],
  { id, query = '', payload, headers = {} }: CallOptions = {},
): Promise<TestAnswer> {
  const url = path.replace('{id}', encodeURIComponent(String(id))) + query;
  const request = { method: method as 'GET', url, headers };
  const answer = await portal.as('admin', payload ? { ...request, payload } : request);
  const name = `${method} ${path}`;
  const response = operations.get(name)?.responses[answer.status];
  if (!response) throw new Error(`${name} answers ${answer.status}: ${answer.text}`);
  const schema = response.content?.['application/json']?.schema;
  const errors = schema ? validate(schema, answer.body) : [];
  if (errors.length > 0) throw new Error(`${name}: ${errors.join('; ')}`);
  if (answer.status < 300) tried.add(name);
  return answer;
}

interface CallOptions {
  readonly id?: unknown;
  readonly query?: string;
  readonly payload?: object;
  readonly headers?: Record<string, string>;
}

// What is paid is issued, where lines ask for a draft.
await maker.make('invoice', owner, {
  currency_code: 'USD',
  subtotal_amount: 9_000,
  issued_at: new Date('2026-01-15T08:00:00Z'),
});

/** Where the example asks for a row of a certain kind. */
const CHOSEN: Readonly<Record<string, string>> = {
  'column_preferences.column_preference_table_name_id': `select * from column_preference_table_name where table_name = 'equipment'`,
  'payment_invoice.invoice_id':
    'select * from invoice where issued_at is not null order by id limit 1',
  'equipment_reading.uom_lookup_id': `select * from uom_lookup where uom_code = 'km'`,
};

/** Of the rows that examples refer to: what an example must agree with. */
const GIVEN: Readonly<Record<string, TestValues>> = {
  schedule_agreement: { currency_code: 'USD' },
  invoice: { currency_code: 'USD', subtotal_amount: 9_000, total_amount: 9_000 },
  payment: { currency_code: 'USD', payment_amount: 9_000, status: 'settled' },
  service_request: { status: 'approved' },
  workorder: { currency_code: 'USD' },
  // A schedule with an open event takes no other, and one that comes due has one.
  preventive_maintenance_schedule: { frequency_interval: 50, frequency_type: 'years' },
  preventive_maintenance_event: { status: 'completed', performed_date: '2026-01-15' },
};

/** Keys that every table may have: of the tenant and the account, of who wrote it, and codes of shipped lists. */
const PLAIN_KEYS =
  /^(customer_id|account_id|created_by|deleted_by|(\w+_)?(currency|country)_code)$/;

/** By a number that is no primary key: the database alone holds it, and names it when it is wrong. */
const BY_NUMBER = new Set(['vehicle_documents.vehicle_maintenance_id']);

/** Operations with tests of their own. */
const TRIED_ELSEWHERE = new Set(['POST /v1/vehicles/bulk']);

/** Relations without a resource of the catalog, and why. */
const NO_RESOURCE: Readonly<Record<string, string>> = {
  activity_feed: '/v1/activity-feed and /v1/audit-trail',
  attachment: '/v1/attachments',
  attachment_content: 'keys of bytes that wait to be removed',
  engine_state: 'memory of the engine',
  equipment_gps_location: '/v1/equipment/{id}/locations',
  equipment_has_attachment: '/v1/equipment/{id}/attachments',
  ers_has_attachment: '/v1/ers/{id}/attachments',
  export_job: '/v1/exports',
  geofence_visit: '/v1/geofences/{id}/visits',
  global_search_view: '/v1/search',
  identity_sync: 'whether an identity provider is told',
  idempotency_key: 'answers that are kept for a day',
  ingest_leader: 'which process leads',
  ingest_reject: '/v1/ingest-rejects',
  iot_device_command: '/v1/iot-devices/{id}/commands',
  iot_device_event: '/v1/device-events',
  iot_device_metric: '/v1/equipment/{id}/metrics',
  knocking_device: '/v1/knocking-devices',
  master_agreement_has_attachment: '/v1/master-agreements/{id}/attachments',
  record_change: '/v1/changes',
  schedule_agreement_has_attachment: '/v1/schedule-agreements/{id}/attachments',
  spatial_ref_sys: 'of PostGIS',
  telematics: '/v1/telematics',
  telemetry_change: '/v1/changes',
  tenant_counter: 'the next number of each kind',
  tenant_device_metric: '/v1/equipment/{id}/metrics',
  tenant_gps_location: '/v1/equipment/{id}/locations',
  visit_revision: 'what the reviser has to do',
  workorder_has_attachment: '/v1/workorders/{id}/attachments',
};

/** Rows that examples refer to, by table: one of each, so that what hangs together does. */
const referred = new Map<string, TestValues>();

async function referTo(resource: Resource): Promise<Row> {
  const example = { ...exampleOf(resource.createSchema) };
  for (const { name, key, table } of resource.references) {
    if (example[name] === undefined || example[name] === null) continue;
    const select = CHOSEN[`${resource.name}.${name}`];
    example[name] = (await rowOf(getTableName(table), select))[key.name];
  }
  return 'account_id' in example ? { ...example, account_id: owner.accountId } : example;
}

/** One row of a table: of the tenant where it has one, of the shipped ones otherwise. */
async function rowOf(table: string, select?: string): Promise<TestValues> {
  const known = select === undefined ? referred.get(table) : undefined;
  if (known) return known;
  const isShipped = CATALOG.has(table) && !CATALOG.get(table)!.hasCustomer;
  const { rows } = await client.query<TestValues>(select ?? `select * from "${table}" limit 1`);
  const isFound = isShipped || select !== undefined || table === 'account';
  const given = GIVEN[table];
  const made = () => (given ? maker.make(table, owner, given) : maker.ensure(table, owner));
  const row = isFound ? rows[0]! : await made();
  if (select === undefined) referred.set(table, row);
  return row;
}

/** A row to try things on: made of the example, or one that is there. */
async function subjectOf(resource: Resource): Promise<Row> {
  const path = `/v1/${resource.path}`;
  if (!resource.canCreate) {
    if (resource.name === 'vehicle_basic_information_hdr') return makeVehicle();
    if (resource.hasCustomer) await rowOf(resource.name);
    const list = await call(['GET', path], { query: '?limit=1' });
    return list.body.data[0] as unknown as Row;
  }
  const made = await call(['POST', path], { payload: await referTo(resource) });
  if (made.status !== 201) throw new Error(`${path}: ${made.text}`);
  const row: Row = { ...made.body };
  for (const name of Object.keys(resource.secrets)) {
    if (typeof row[name] !== 'string') throw new Error(`${path}: ${name} is not told`);
    delete row[name];
  }
  return row;
}

async function makeVehicle(): Promise<Row> {
  const names = PARTS.map(({ name }) => name as string);
  // What hangs on it is tried by itself, and would be taken.
  const header = Object.entries(exampleOf(VehicleCreate)!).filter(
    ([name]) => !names.includes(name),
  );
  const payload = { ...Object.fromEntries<unknown>(header), account_id: owner.accountId };
  const made = await call(['POST', '/v1/vehicles'], { payload });
  if (made.status !== 201) throw new Error(`/v1/vehicles: ${made.text}`);
  return (made.body as unknown as { header: Row }).header;
}

/** Conditions that the row meets, one for each field. */
function conditionsOf(resource: Resource, row: Row): string[] {
  return [...resource.fields.values()].map(({ name, kind }) => {
    const value = row[name];
    const say = (operator: string, text: unknown) =>
      `filter[${name}][${operator}]=${encodeURIComponent(String(text))}`;
    if (value === null) return say('isnull', true);
    if (kind === 'json') return say('isnull', false);
    if (kind === 'list') {
      const [first] = value as unknown[];
      return first === undefined ? say('isnull', false) : say('has', first);
    }
    // The database keeps microseconds, and shows milliseconds.
    if (kind === 'instant') {
      const ms = Date.parse(value as string);
      return say('between', [ms, ms + 1].map((one) => new Date(one).toISOString()).join());
    }
    return say('eq', value);
  });
}

function* chunks<T>(all: readonly T[], size: number): Generator<readonly T[]> {
  for (let from = 0; from < all.length; from += size) yield all.slice(from, from + size);
}

async function tryList(t: Tap, resource: Resource, row: Row): Promise<void> {
  const list = ['GET', `/v1/${resource.path}`] as const;
  const key = resource.key.name;
  for (const some of chunks(conditionsOf(resource, row), FILTERS_MAX)) {
    const { status, body, text } = await call(list, { query: `?limit=500&${some.join('&')}` });
    const keys = status === 200 ? (body.data as unknown as Row[]).map((one) => one[key]) : text;
    t.ok(keys.includes(row[key] as never), `${resource.path} by ${some.join(' ')}: ${text}`);
  }
  const sortable = [...resource.fields.values()].filter(
    ({ kind }) => kind !== 'list' && kind !== 'json',
  );
  for (const some of chunks(sortable, SORT_FIELDS_MAX)) {
    for (const sign of ['', '-']) {
      const sort = some.map(({ name }) => sign + name).join();
      const { status, body, text } = await call(list, { query: `?limit=3&sort=${sort}` });
      t.ok(status === 200 && body.data.length > 0, `${resource.path} by ${sort}: ${text}`);
    }
  }
  const { body } = await call(list, { query: `?limit=1&fields=${key}` });
  t.same(Object.keys(body.data[0]!), [key], `${resource.path}: fields`);
  const file = await call(['GET', `${list[1]}/export`], { query: '?format=csv' });
  const header = exportColumns([...resource.fields.values()]).map(headerText);
  t.ok(file.status === 200, `${resource.path}: export`);
  t.equal(file.text.slice(1).split('\r\n')[0], header.join(), `${resource.path}: header`);
}

async function tryChanges(t: Tap, resource: Resource, row: Row): Promise<void> {
  const one = `/v1/${resource.path}/{id}`;
  const id = row[resource.key.name];
  const read = await call(['GET', one], { id });
  t.same(read.body, row, `${resource.path} is read as it was made`);
  const etag = String(read.headers['etag']);
  if (resource.isVersioned) {
    const again = await call(['GET', one], { id, headers: { 'if-none-match': etag } });
    t.equal(again.status, 304, `${resource.path}: 304`);
  }
  if (resource.canChange) {
    const patch = exampleOf(resource.patchSchema)!;
    const payload = Object.fromEntries(
      Object.entries(patch).map(([name]) => [name, row[name] ?? patch[name]]),
    );
    const headers = { 'if-match': etag, 'content-type': 'application/merge-patch+json' };
    const changed = await call(['PATCH', one], { id, payload, headers });
    t.equal(changed.status, 200, `${resource.path}: patch ${changed.text}`);
  }
  if (resource.canDelete) {
    const gone = await call(['DELETE', one], { id, headers: { 'if-match': '*' } });
    t.equal(gone.status, 204, `${resource.path}: delete ${gone.text}`);
    t.equal((await call(['GET', one], { id })).status, 404, `${resource.path}: gone`);
  }
}

type Tap = Pick<typeof t, 'ok' | 'equal' | 'same' | 'match'>;

// Before all others, so that none is one that a test deletes.
for (const resource of CATALOG.values()) if (resource.canCreate) await referTo(resource);

for (const resource of CATALOG.values()) {
  t.test(resource.path, async (t) => {
    const row = await subjectOf(resource);
    await tryList(t, resource, row);
    if (resource.canCreate) {
      const body = exampleOf(resource.createSchema);
      const many = await call(['POST', `/v1/${resource.path}/bulk`], {
        payload: { items: [{ ...body, unheard_of: 1 }] },
      });
      t.match(many.body, { created: 0, refused: 1 }, `${resource.path}: bulk`);
    }
    await tryChanges(t, resource, row);
  });
}

t.test('every operation of a resource was tried, and answered well', (t) => {
  const own = [...operations.keys()].filter((name) =>
    [...CATALOG.values()].some(({ path }) =>
      new RegExp(`^[A-Z]+ /v1/${path}(/\\{id\\}|/bulk|/export)?$`).test(name),
    ),
  );
  t.same(
    own.filter((name) => !tried.has(name) && !TRIED_ELSEWHERE.has(name)),
    [],
  );
  t.ok(own.length > 400, `${own.length} operations`);
  t.end();
});

t.test('what refers to something says so', async (t) => {
  const relations = new Map((await describeDatabase(client)).map((one) => [one.table, one]));
  const wrong: string[] = [];
  let count = 0;
  for (const resource of CATALOG.values()) {
    const declared = new Map(
      resource.references.map(({ name, table }) => [name, getTableName(table)]),
    );
    for (const key of relations.get(resource.name)!.foreign_keys) {
      const names = key.columns.filter((name) => !PLAIN_KEYS.test(name));
      for (const name of names) {
        count += 1;
        const isSame = declared.get(name) === key.references.table;
        const isOther = resource.references.some((one) => one.name === name);
        const isOwnKey = name === resource.key.name || !resource.fields.has(name);
        if (!isSame && !isOwnKey && !isOther && !BY_NUMBER.has(`${resource.name}.${name}`))
          wrong.push(`${resource.name}.${name} → ${key.references.table}`);
      }
    }
  }
  t.same(wrong, []);
  t.ok(count > 80, `${count} keys`);
});

t.test('every relation of the database is a resource, or has a reason not to be', async (t) => {
  const found = new Set((await describeDatabase(client)).map(({ table }) => table));
  // Left to PostGIS where the server offers it.
  found.add('spatial_ref_sys');
  const without = [...found].filter((name) => !CATALOG.has(name));
  t.same(without.sort(), Object.keys(NO_RESOURCE).sort());
});

t.test('every resource has a choice of columns', async (t) => {
  const { rows } = await client.query<{ table_name: string }>(
    'select table_name from column_preference_table_name order by 1',
  );
  t.same(rows.map((row) => row.table_name).sort(), [...CATALOG.keys(), ...EXPORTED.keys()].sort());
});
