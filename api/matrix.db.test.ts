/**
 * Every route × everyone who must not: generated from the server's own table of routes, so that a route that was added
 * is tried, and one of which no foreign row is known fails. In every text of the other tenant stands a canary.
 */
import type pg from 'pg';
import type { RouteOptions } from 'fastify';
import t from 'tap';
import { RowMaker, type TestValues } from '../db/test-rows.ts';
import { CATALOG } from './catalog/catalog.ts';
import { CANARY, issueExpired, startTestPortal } from './test-portal.ts';

/** In every text of what belongs to the account that `held` is not held to. */
const OTHER_ACCOUNT = 'other-account-5d2e';

const portal = await startTestPortal(t);
const { app, seed } = portal;
const client: pg.PoolClient = await portal.owner.connect();
t.teardown(() => client.release());
const maker = await RowMaker.open(client);

const [, south] = seed.mine.accountIds;
const [foreignAccount] = seed.foreign.accountIds;

/** Rows of every resource: of the other tenant, and of the other account of ours. */
const foreignRows = new Map<string, TestValues>();
const southRows = new Map<string, TestValues>();
for (const resource of CATALOG.values()) {
  if (!resource.hasCustomer) continue;
  const foreign = { customerId: seed.foreign.customerId, accountId: foreignAccount, word: CANARY };
  const other = { customerId: seed.mine.customerId, accountId: south, word: OTHER_ACCOUNT };
  foreignRows.set(resource.name, await maker.make(resource.name, foreign));
  southRows.set(resource.name, await maker.make(resource.name, other));
}
foreignRows.set('customer', { customer_id: seed.foreign.customerId });
foreignRows.set('account', { account_id: foreignAccount });
southRows.set('account', { account_id: south });

/** An export of somebody of the other tenant, and of somebody else of ours. */
const exportOf = async (email: string) => {
  const { rows } = await client.query<{ id: number }>(
    `insert into export_job (customer_id, user_id, resource, format, status)
     select customer_id, user_id, 'tags', 'csv', 'cancelled' from "user" where email = $1 returning export_job_id as id`,
    [email],
  );
  return rows[0]!.id;
};
const exportIds = [
  await exportOf('foreign@rival.test'),
  await exportOf('admin@acme.test'),
] as const;

/** Resources whose rows are the whole tenant's, and seen by those who are held to accounts too. */
const WHOLE_TENANT = new Set([
  'customer',
  'user',
  'user_role',
  'identity_task',
  'facility_lookup',
  'tag_lookup',
  'ten_quick_link',
  'equipment_addon',
  'equipment_type_lookup',
  'service_issues_lookup',
  'vmrs_lookup',
  'alert_type_lookup',
  'gateway_token',
]);

type Owned = 'foreign' | 'south';

/** The id to put into a route's path. */
function idFor(url: string, whose: Owned): string | number | undefined {
  const byPath: Record<string, readonly [number, number]> = {
    exports: exportIds,
    geofences: [seed.foreign.geofenceIds[0], seed.mine.geofenceIds[1]],
    'telematic-alerts': [seed.foreign.alertIds[0], seed.mine.alertIds[1]],
    'iot-devices': [seed.foreign.iotDeviceIds[0], seed.mine.iotDeviceIds[1]],
    'gateway-tokens': [seed.foreign.gatewayTokenId, seed.mine.gatewayTokenId],
    attachments: [seed.foreign.attachmentIds[0], seed.mine.attachmentIds[1]],
    equipment: [seed.foreign.equipmentIds[0], seed.mine.equipmentIds[1]],
  };
  const path = /^\/v1\/([^/]+)\/:id/.exec(url)?.[1] ?? '';
  const known = byPath[path];
  if (known) return known[whose === 'foreign' ? 0 : 1];
  const resource = [...CATALOG.values()].find((one) => one.path === path);
  const rows = whose === 'foreign' ? foreignRows : southRows;
  return resource && (rows.get(resource.name)?.[resource.key.name] as string | number | undefined);
}

/** Bodies that a route would take, where an empty one or that of a patch would be refused before the row is looked for. */
const BODIES: Record<string, object> = {
  'PUT /v1/iot-devices/:id/equipment': { equipment_id: null },
  'POST /v1/iot-devices/:id/commands': { payload: 'taken over' },
  'POST /v1/equipment-assignments/:id/return': { return_reason: 'other' },
  'POST /v1/users/:id/reject': { reason: 'taken over' },
  'POST /v1/workorders/:id/refuse-cost': { status_reason: 'taken over' },
  'POST /v1/invoices/:id/dispute': { reason: 'taken over' },
  'POST /v1/invoices/:id/void': { reason: 'taken over' },
  'POST /v1/invoices/:id/items-from-workorder': { workorder_id: 1 },
  'POST /v1/payments/:id/apply': { auto: true },
  'POST /v1/payments/:id/transitions': { status: 'settled' },
  'POST /v1/accounts/:id/apply-credit': { currency_code: 'USD', auto: true },
};

/** The example of a transition, where the route makes one. */
function moveFor(url: string): object | undefined {
  const resource = [...CATALOG.values()].find(({ path }) => url === `/v1/${path}/:id/transitions`);
  return (resource?.moveSchema as { examples?: object[] } | null | undefined)?.examples?.[0];
}

const UPLOAD = {
  headers: { 'content-type': 'multipart/form-data; boundary=edge' },
  payload:
    '--edge\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\ncontent-type: text/plain\r\n\r\n' +
    'taken over\r\n--edge--\r\n',
};

const guarded = app.routeTable.filter(({ config }) => config?.permission !== undefined);
const methodOf = ({ method }: RouteOptions) => String(method) as 'GET';
const nameOf = (route: RouteOptions) => `${methodOf(route)} ${route.url}`;
/** Rows that are shipped are everyone's. */
const isShipped = (url: string) =>
  [...CATALOG.values()].some(
    ({ path, hasCustomer, name }) =>
      url.startsWith(`/v1/${path}/`) && !hasCustomer && !['customer', 'account'].includes(name),
  );
const withIds = guarded.filter(({ url }) => /\/:id(\/|$)/.test(url) && !isShipped(url));

function requestFor(route: RouteOptions, whose: Owned) {
  const id = idFor(route.url, whose);
  if (id === undefined) throw new Error(`no foreign row is known for ${nameOf(route)}`);
  const url = route.url
    .replace(':id', encodeURIComponent(String(id)))
    .replace(':command_id', String(seed.foreign.commandIds[0]));
  const method = methodOf(route);
  if (method === ('POST' as string) && url.endsWith('/attachments'))
    return { method, url, ...UPLOAD };
  const hasBody = ['POST', 'PUT', 'PATCH'].includes(method);
  const payload = hasBody ? (BODIES[nameOf(route)] ?? moveFor(route.url) ?? {}) : undefined;
  return { method, url, headers: { 'if-match': '*' }, ...(payload && { payload }) };
}

t.test('anonymous and expired', async (t) => {
  const expired = { authorization: `Bearer ${await issueExpired('test|admin')}` };
  const wrong: string[] = [];
  for (const route of guarded) {
    const url = route.url.replace(':id', '1').replace(':command_id', '1');
    for (const headers of [{}, expired]) {
      const { statusCode } = await app.inject({ method: methodOf(route), url, headers });
      if (statusCode !== 401) wrong.push(`${nameOf(route)}: ${statusCode}`);
    }
  }
  t.same(wrong, []);
});

t.test('a role without the right', async (t) => {
  const wrong: string[] = [];
  for (const route of guarded) {
    if (route.config!.permission === 'signed_in') continue;
    const url = route.url.replace(':id', '1').replace(':command_id', '1');
    const { status } = await portal.as('bare', { method: methodOf(route), url });
    if (status !== 403) wrong.push(`${nameOf(route)}: ${status}`);
  }
  t.same(wrong, []);
});

t.test('rows of another tenant are not there', async (t) => {
  const wrong: string[] = [];
  for (const route of withIds) {
    for (const who of ['admin', 'held'] as const) {
      const { status, text } = await portal.as(who, requestFor(route, 'foreign'));
      if (status !== 404) wrong.push(`${nameOf(route)} by ${who}: ${status} ${text}`);
    }
  }
  t.same(wrong, []);
  t.ok(withIds.length > 100, `${withIds.length} routes were tried`);
});

t.test('rows of another account are not there', async (t) => {
  const wrong: string[] = [];
  for (const route of withIds) {
    const path = /^\/v1\/([^/]+)/.exec(route.url)![1];
    const resource = [...CATALOG.values()].find((one) => one.path === path);
    if (resource && WHOLE_TENANT.has(resource.name)) continue;
    const { status, text } = await portal.as('held', requestFor(route, 'south'));
    if (status !== 404) wrong.push(`${nameOf(route)}: ${status} ${text}`);
  }
  t.same(wrong, []);
});

/** Devices on the shelf are seen by the whole tenant, and views of a list by their owner alone. */
const LISTS_APART = new Set(['/v1/iot-devices', '/v1/column-preferences']);

t.test('no list and no export shows what is another tenant’s or another account’s', async (t) => {
  const lists = guarded.filter((route) => methodOf(route) === 'GET' && !route.url.includes(':'));
  const wrong: string[] = [];
  let shown = 0;
  for (const { url } of lists) {
    const path = url.replace(/^\/v1\//, '').replace(/\/export$/, '');
    const resource = [...CATALOG.values()].find((one) => one.path === path);
    const query = url.endsWith('/export') ? 'format=csv' : 'limit=500';
    const asked = resource
      ? `${url}?${query}${resource.keepsDeleted ? '&deleted=include' : ''}`
      : url;
    for (const who of ['admin', 'held'] as const) {
      // `as` refuses any answer with the canary in it.
      const { status, text } = await portal.as(who, { url: asked });
      if (status !== 200 && resource) wrong.push(`${asked} by ${who}: ${status} ${text}`);
      const isOthers = text.includes(OTHER_ACCOUNT);
      if (isOthers) shown += 1;
      const isWhole =
        LISTS_APART.has(`/v1/${path}`) || (resource && WHOLE_TENANT.has(resource.name));
      if (who === 'held' && isOthers && !isWhole)
        wrong.push(`${url} shows another account: ${text.slice(0, 300)}`);
      const isEmpty = !text.includes(`"${resource?.key.name}"`) && !text.includes('\r\n');
      if (who === 'admin' && resource?.hasCustomer && !isWhole && isEmpty)
        wrong.push(`${url} shows admin nothing`);
    }
  }
  t.same(wrong, []);
  t.ok(shown > 60, `${shown} lists have rows of the other account`);
});

t.test('no search finds what is another’s', async (t) => {
  for (const who of ['admin', 'held'] as const) {
    const { text } = await portal.as(who, { url: `/v1/search?q=${CANARY}&limit=50` });
    t.same(JSON.parse(text), { data: [] }, who);
  }
  const types = (text: string) =>
    new Set((JSON.parse(text) as { data: { type: string }[] }).data.map(({ type }) => type));
  const own = await portal.as('foreign', {
    url: `/v1/search?q=${CANARY}&limit=50`,
  });
  t.ok(types(own.text).size >= 6, `its owner finds ${[...types(own.text)].join(', ')}`);
  const held = await portal.as('held', { url: `/v1/search?q=${OTHER_ACCOUNT}&limit=50` });
  t.same(
    [...types(held.text)].filter((type) => type !== 'user'),
    [],
    'nor what is of another account',
  );
  const admin = await portal.as('admin', { url: `/v1/search?q=${OTHER_ACCOUNT}&limit=50` });
  t.ok(types(admin.text).size >= 5);
});

t.test('a cursor of another tenant is refused', async (t) => {
  const wrong: string[] = [];
  let tried = 0;
  for (const { path } of CATALOG.values()) {
    const page = await portal.as('foreign', { url: `/v1/${path}?limit=1` });
    const cursor = (page.body.page as { next_cursor: string | null }).next_cursor;
    if (cursor === null) continue;
    tried += 1;
    const { status } = await portal.as('admin', { url: `/v1/${path}?limit=1&cursor=${cursor}` });
    if (status !== 400) wrong.push(`${path}: ${status}`);
  }
  t.same(wrong, []);
  t.ok(tried > 10, `${tried} cursors were tried`);
});

t.test('what is another’s cannot be referred to', async (t) => {
  const wrong: string[] = [];
  let tried = 0;
  for (const resource of CATALOG.values()) {
    if (!resource.canCreate) continue;
    const example = (resource.createSchema as { examples?: TestValues[] }).examples?.[0];
    if (!example) continue;
    for (const reference of resource.references) {
      const table = CATALOG.get(
        [...CATALOG.values()].find((one) => one.table === reference.table)?.name ?? '',
      );
      const row = table && foreignRows.get(table.name);
      if (!row || !resource.writable.has(reference.name)) continue;
      tried += 1;
      const payload = { ...example, [reference.name]: row[reference.key.name] };
      const answer = await portal.as('admin', {
        method: 'POST',
        url: `/v1/${resource.path}`,
        payload,
      });
      const isNamed = answer.text.includes(`/${reference.name}"`);
      if (answer.status !== 422 || !isNamed)
        wrong.push(`${resource.path}.${reference.name}: ${answer.status} ${answer.text}`);
    }
  }
  t.same(wrong, []);
  t.ok(tried > 50, `${tried} references were tried`);
});
