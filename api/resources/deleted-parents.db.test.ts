/** What is part of something deleted is gone with it, in every resource; what stands by itself stays, and is not changed. */
import { getTableName } from 'drizzle-orm';
import t from 'tap';
import { RowMaker } from '../../db/test-rows.ts';
import { CATALOG } from '../catalog/catalog.ts';
import { startTestPortal } from '../test-portal.ts';
import type { Row } from './define.ts';
import type { Reference, Resource } from './resource.ts';

const portal = await startTestPortal(t, {
  rateLimits: { perUserMax: 1e6, perTenantMax: 1e6, perAddressMax: 1e6 },
});
const client = await portal.owner.connect();
t.teardown(() => client.release());
const maker = await RowMaker.open(client);
const { mine } = portal.seed;
const owner = { customerId: mine.customerId, accountId: mine.accountIds[0], word: 'part' };
const anyVersion = { 'if-match': '*' };

const urlOf = (resource: Resource, row: Row) =>
  `/v1/${resource.path}/${encodeURIComponent(String(row[resource.key.name]))}`;
const remove = (url: string) => portal.as('admin', { method: 'DELETE', url, headers: anyVersion });
const patch = (url: string, payload: object) =>
  portal.as('admin', { method: 'PATCH', url, payload, headers: anyVersion });
const resourceOf = ({ table }: Reference) => CATALOG.get(getTableName(table))!;
const requiredOf = ({ references }: Resource) =>
  references.filter(({ isEvidence, isRequired }) => isEvidence && isRequired);

async function keysListed(resource: Resource, query = ''): Promise<unknown[]> {
  const answer = await portal.as('admin', { url: `/v1/${resource.path}?limit=500${query}` });
  return (answer.body.data as unknown as Row[]).map((row) => row[resource.key.name]);
}

/** A row whose parents are new as well, so that none of them is deleted already. */
async function makeNew(resource: Resource, given: Row = {}): Promise<Row> {
  const values = { ...given };
  for (const parent of requiredOf(resource)) {
    if (parent.name in values) continue;
    Object.assign(values, referTo(resource, parent, await makeNew(resourceOf(parent))));
  }
  // A service of the same vehicle, or none.
  if (resource.name === 'vehicle_documents') values['vehicle_maintenance_id'] = null;
  // An open one would be cancelled with its schedule.
  if (resource.name === 'preventive_maintenance_event') {
    Object.assign(values, { status: 'completed', performed_date: '2026-01-15' });
  }
  // A master with a schedule in force is not deleted.
  if (resource.name === 'schedule_agreement') values['status'] = 'draft';
  return maker.make(resource.name, owner, values);
}

/** Keys between evidence carry its currency, its account or its unit. */
function referTo(resource: Resource, parent: Reference, above: Row): Row {
  const carried = ['currency_code', 'account_id', 'equipment_id'].filter(
    (name) => resource.fields.has(name) && (above[name] ?? null) !== null,
  );
  return {
    [parent.name]: above[parent.key.name],
    ...Object.fromEntries(carried.map((name) => [name, above[name]])),
  };
}

async function makePair(resource: Resource, parent: Reference) {
  const above = await makeNew(resourceOf(parent));
  return { above, row: await makeNew(resource, referTo(resource, parent, above)) };
}

const parts = [...CATALOG.values()].filter(({ parents }) => parents.length > 0);

t.test('parts', async (t) => {
  t.match(
    parts.map(({ name }) => name),
    new Set(['invoice_items', 'workorder_vmrs', 'vehicle_special_permit', 'pm_parts_used']),
  );
  for (const resource of parts) {
    for (const parent of resource.parents) {
      const what = `${resource.name} of ${getTableName(parent.table)}`;
      const { above, row } = await makePair(resource, parent);
      const url = urlOf(resource, row);
      const key = row[resource.key.name];
      t.equal((await portal.as('admin', { url })).status, 200, what);
      t.equal((await remove(urlOf(resourceOf(parent), above))).status, 204);
      t.equal((await portal.as('admin', { url })).status, 404, `${what} is not read`);
      t.notOk((await keysListed(resource)).includes(key), `${what} is not listed`);
      const all = await keysListed(resource, '&deleted=include');
      t.ok(all.includes(key), `${what} is kept`);
      if (resource.canChange) {
        t.equal((await patch(url, patchOf(resource))).status, 404, `${what} is not changed`);
      }
      if (resource.canDelete) t.equal((await remove(url)).status, 404, `${what} is not deleted`);
    }
  }
});

/** Rows whose own rules keep what they refer to. */
const KEEPING = new Set(['payment_invoice']);

t.test('what was paid, and what it was paid with, is kept', async (t) => {
  const row = await maker.make('payment_invoice', owner);
  t.equal((await remove(`/v1/invoices/${String(row['invoice_id'])}`)).status, 409);
  t.equal((await remove(`/v1/payments/${String(row['payment_id'])}`)).status, 409);
});

t.test('what has an account of its own', async (t) => {
  const others = [...CATALOG.values()].flatMap((resource) =>
    resource.parents.length > 0 || !resource.canChange || KEEPING.has(resource.name)
      ? []
      : requiredOf(resource).map((parent) => ({ resource, parent })),
  );
  t.ok(others.length >= 2, others.map(({ resource }) => resource.name).join());
  for (const { resource, parent } of others) {
    const what = `${resource.name} of ${getTableName(parent.table)}`;
    const { above, row } = await makePair(resource, parent);
    const url = urlOf(resource, row);
    t.equal((await remove(urlOf(resourceOf(parent), above))).status, 204);
    t.equal((await portal.as('admin', { url })).status, 200, `${what} is read`);
    t.match(
      await patch(url, patchOf(resource)),
      { status: 409, body: { errors: [{ pointer: `/${parent.name}`, detail: /deleted/ }] } },
      `${what} is not changed`,
    );
    if (resource.canDelete) t.equal((await remove(url)).status, 204, `${what} is deleted`);
  }
});

/** A patch that is well-formed: of prose where there is any, or of what may be empty. */
function patchOf({ patchSchema, fields }: Resource): Row {
  const { properties } = patchSchema as unknown as { properties: Row };
  const names = Object.keys(properties);
  const prose = names.find((name) =>
    /(^|_)(reason|notes?|description|remarks?|correction)$/.test(name),
  );
  if (prose !== undefined) return { [prose]: 'otherwise' };
  return { [names.find((name) => fields.get(name)?.isNullable) ?? 'none']: null };
}

t.test('nothing is made under it, not even two levels below', async (t) => {
  const schedule = await maker.make('schedule_agreement', owner, { currency_code: 'EUR' });
  const line = await maker.make('schedule_agreement_line_item', owner, {
    schedule_agreement_id: schedule['schedule_agreement_id'],
    currency_code: 'EUR',
  });
  await remove(`/v1/schedule-agreements/${String(schedule['schedule_agreement_id'])}`);
  const answer = await portal.as('admin', {
    method: 'POST',
    url: '/v1/equipment-type-allocations',
    payload: {
      account_id: owner.accountId,
      schedule_agreement_line_item_id: line['schedule_agreement_line_item_id'],
      units_allowed: 1,
      effective_date: '2026-01-01',
    },
  });
  t.match(answer, {
    status: 422,
    body: { errors: [{ pointer: '/schedule_agreement_line_item_id' }] },
  });
});
