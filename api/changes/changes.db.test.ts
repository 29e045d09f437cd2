/** `GET /v1/changes`: order, what is told once more, what is kept, and which cursors are good for what. */
import t from 'tap';
import { RowMaker } from '../../db/test-rows.ts';
import { withTenant } from '../../db/tenancy.ts';
import { NOW_MS, startTestPortal } from '../test-portal.ts';
import { CHANGE_KEEP_MS } from './log.ts';
import { PRUNE_ROWS_MAX, pruneChanges } from './prune.ts';
import { TestCopy, type ToldPage } from './test-copy.ts';

const DAY_MS = 86_400_000;
const many = 10_000_000;
let nowMs = NOW_MS;
const portal = await startTestPortal(t, {
  now: () => nowMs,
  rateLimits: { perAddressMax: many, perUserMax: many, perTenantMax: many },
});
const { owner, apiPool, seed } = portal;
const { mine } = seed;
const [north, south] = mine.accountIds;
const tenant = { customerId: mine.customerId, accountIds: null };

const get = (query: Record<string, string>, who: 'admin' | 'held' | 'bare' = 'admin') =>
  portal.as(who, { url: '/v1/changes', query });
const send = (method: 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object) =>
  portal.as('admin', { method, url, headers: { 'if-match': '*' }, ...(payload && { payload }) });
async function make(path: string, payload: object): Promise<Record<string, number>> {
  const { status, body, text } = await send('POST', `/v1/${path}`, payload);
  if (status !== 201) throw new Error(`${path}: ${status} ${text}`);
  return body as unknown as Record<string, number>;
}
const brief = ({ data }: ToldPage) =>
  data.map(({ resource, id, operation, version }) => [resource, id, operation, version]);

t.test('a row is made, changed and removed', async (t) => {
  const copy = new TestCopy(portal, 'admin', ['tags', 'workorders']);
  await copy.beginNow();
  t.match(await copy.poll(), { data: [], page: { has_more: false } });
  const tag = await make('tags', { tag_name: 'first' });
  const id = tag['tag_lookup_id']!;
  const one = await copy.poll();
  t.same(brief(one), [['tags', id, 'created', 1]]);
  const list = await portal.as('admin', { url: `/v1/tags/${id}` });
  t.same(one.data[0]!.row, list.body, 'it is shown as everywhere else');
  await send('PATCH', `/v1/tags/${id}`, { color: '#101010' });
  await send('PATCH', `/v1/tags/${id}`, { color: '#202020' });
  t.same(brief(await copy.poll()), [['tags', id, 'updated', 3]], 'told once for both');
  await send('PATCH', `/v1/tags/${id}`, { color: '#202020' });
  t.same(brief(await copy.poll()), [], 'what changes nothing is no change');
  await send('DELETE', `/v1/tags/${id}`);
  const gone = await copy.poll();
  t.same(brief(gone), [['tags', id, 'deleted', 3]]);
  t.equal(gone.data[0]!.row, null);
  t.equal((await get({ resources: 'tags' })).headers['cache-control'], 'no-store');
});

t.test('a whole that is asked for at once, in small pages', async (t) => {
  for (const n of [1, 2, 3]) await make('tags', { tag_name: `whole-${n}` });
  const copy = new TestCopy(portal, 'admin', ['tags', 'equipment', 'users'], 2);
  const told = await copy.catchUp();
  const keys = told.map(({ resource, id }) => `${resource}/${id}`);
  t.same(keys, [...new Set(keys)]);
  t.equal(keys.filter((key) => key.startsWith('tags/')).length, 3);
  t.equal(keys.filter((key) => key.startsWith('equipment/')).length, 3);
  t.ok(told.every(({ operation, row }) => operation === 'created' && row !== null));
});

t.test('what is written while the whole is told is told after it', async (t) => {
  const copy = new TestCopy(portal, 'admin', ['tags'], 2);
  await copy.poll();
  const [first] = copy.told;
  await send('PATCH', `/v1/tags/${first!.id}`, { tag_name: 'renamed meanwhile' });
  await send('DELETE', `/v1/tags/${copy.told[1]!.id}`);
  await copy.catchUp();
  t.equal(copy.rows.get(`tags/${first!.id}`)!['tag_name'], 'renamed meanwhile');
  t.notOk(copy.rows.has(`tags/${copy.told[1]!.id}`));
});

t.test('the order is that of the commits, not of the writes', async (t) => {
  const copy = new TestCopy(portal, 'admin', ['tags']);
  await copy.beginNow();
  const insert = (name: string) =>
    `insert into tag_lookup (customer_id, tag_name) values (${tenant.customerId}, '${name}')`;
  let commitFirst = (): void => undefined;
  let hasWritten = (): void => undefined;
  const mayCommit = new Promise<void>((resolve) => (commitFirst = resolve));
  const written = new Promise<void>((resolve) => (hasWritten = resolve));
  const early = withTenant(apiPool, tenant, async (_db, client) => {
    await client.query(insert('written first'));
    hasWritten();
    await mayCommit;
  });
  await written;
  await withTenant(apiPool, tenant, (_db, client) => client.query(insert('written second')));
  const names = (page: ToldPage) => page.data.map(({ row }) => row!['tag_name']);
  t.same(names(await copy.poll()), ['written second']);
  commitFirst();
  await early;
  t.same(names(await copy.poll()), ['written first'], 'it was not passed over');
  const { rows } = await owner.query<{ order: string[] }>(
    `select array_agg(t.tag_name order by c.record_change_id) as order
     from record_change c join tag_lookup t on t.tag_lookup_id::text = c.entity_id
     where c.entity_type = 'tag_lookup' and t.tag_name like 'written %'`,
  );
  t.same(rows[0]!.order, ['written second', 'written first']);
});

t.test('a transaction that is taken back tells of nothing', async (t) => {
  const copy = new TestCopy(portal, 'admin', ['tags']);
  await copy.beginNow();
  const rolledBack = withTenant(apiPool, tenant, async (_db, client) => {
    await client.query(
      `insert into tag_lookup (customer_id, tag_name) values (${tenant.customerId}, 'never')`,
    );
    throw new Error('no');
  });
  await t.rejects(rolledBack, { message: 'no' });
  t.same((await copy.poll()).data, []);
});

t.test('what the owner of the tables loads leaves no entry', async (t) => {
  const copy = new TestCopy(portal, 'admin', ['tags']);
  await copy.beginNow();
  await owner.query(`insert into tag_lookup (customer_id, tag_name) values ($1, 'loaded')`, [
    mine.customerId,
  ]);
  t.same((await copy.poll()).data, []);
});

t.test('lines are gone with their invoice, also for who follows the lines alone', async (t) => {
  const client = await owner.connect();
  const maker = await RowMaker.open(client);
  const rowOwner = { customerId: mine.customerId, accountId: north, word: 'x' };
  const item = await maker.make('invoice_items', rowOwner);
  client.release();
  const copy = new TestCopy(portal, 'held', ['invoice-items']);
  await copy.catchUp();
  t.ok(copy.rows.has(`invoice-items/${String(item['id'])}`));
  await withTenant(apiPool, tenant, (_db, client) =>
    client.query('update invoice set deleted_at = now() where id = $1', [item['invoice_id']]),
  );
  t.same(brief(await copy.poll()), [['invoice-items', item['id'], 'deleted', 1]]);
});

t.test('who is held to accounts', async (t) => {
  const copy = new TestCopy(portal, 'held', ['equipment', 'equipment-permits', 'iot-devices']);
  await copy.catchUp();
  t.ok(copy.rows.has(`equipment/${mine.equipmentIds[0]}`));
  t.notOk(copy.rows.has(`equipment/${mine.equipmentIds[1]}`));
  t.ok(copy.rows.has(`iot-devices/${mine.iotDeviceIds[0]}`));
  await send('PATCH', `/v1/equipment/${mine.equipmentIds[1]}`, {
    description: 'of the other account',
  });
  await send('PATCH', `/v1/iot-devices/${mine.iotDeviceIds[1]}`, { device_type: 'other' });
  t.same((await copy.poll()).data, [], 'learns nothing of another account, no keys either');

  await send('PATCH', `/v1/equipment/${mine.equipmentIds[0]}`, { account_id: south });
  t.same(
    (await copy.poll()).data.map(({ resource, operation }) => [resource, operation]).sort(),
    [
      ['equipment', 'deleted'],
      ['iot-devices', 'deleted'],
    ],
    'what went to another account is gone, and what is on it as well',
  );
  await send('PATCH', `/v1/equipment/${mine.equipmentIds[0]}`, { account_id: north });
  t.same(
    (await copy.poll()).data.map(({ resource, operation }) => [resource, operation]).sort(),
    [
      ['equipment', 'updated'],
      ['iot-devices', 'updated'],
    ],
    'and comes back',
  );

  const mount = (device: number | undefined, equipment_id: number | null) =>
    portal.as('admin', {
      method: 'PUT',
      url: `/v1/iot-devices/${device}/equipment`,
      payload: { equipment_id },
    });
  t.equal((await mount(mine.iotDeviceIds[0], null)).status, 200);
  const shelved = await copy.poll();
  t.equal(shelved.data.at(-1)!.row!['equipment_id'], null, 'a device on the shelf is everybody’s');
  t.equal((await mount(mine.iotDeviceIds[0], mine.equipmentIds[1])).status, 200);
  t.same(
    brief(await copy.poll()).map(([resource, id, operation]) => [resource, id, operation]),
    [['iot-devices', mine.iotDeviceIds[0], 'deleted']],
  );
});

t.test('a part that is made while its unit moves belongs where the unit is', async (t) => {
  const equipmentId = mine.equipmentIds[1];
  const copy = new TestCopy(portal, 'held', ['equipment', 'equipment-load-details']);
  await copy.catchUp();
  const holder = await owner.connect();
  t.teardown(() => holder.release(true));
  await holder.query(
    `begin; select pg_advisory_xact_lock(hashtextextended('record_change/${mine.customerId}', 0))`,
  );
  const waiting = async (count: number): Promise<void> => {
    for (;;) {
      const { rows } = await holder.query<{ waiting: number }>(
        `select count(*)::int as waiting from pg_locks l join pg_database d on d.oid = l.database
         where d.datname = current_database() and l.locktype = 'advisory' and not l.granted`,
      );
      if (rows[0]!.waiting === count) return;
    }
  };
  const write = (text: string) =>
    withTenant(apiPool, tenant, (_db, client) => client.query(text, [equipmentId]));
  const moved = write(`update equipment set account_id = ${north} where equipment_id = $1`);
  await waiting(1);
  const made =
    write(`insert into equipment_load_detail (customer_id, equipment_id, equipment_load_date, equipment_load_status)
      select customer_id, equipment_id, current_date, 'loaded' from equipment where equipment_id = $1`);
  await waiting(2);
  await holder.query('commit');
  await Promise.all([moved, made]);
  const told = await copy.catchUp();
  t.same(
    told.map(({ resource, operation }) => [resource, operation]),
    [
      ['equipment', 'updated'],
      ['equipment-load-details', 'created'],
    ],
  );
});

t.test('many rows in one transaction', async (t) => {
  const copy = new TestCopy(portal, 'admin', ['tags'], 300);
  await copy.beginNow();
  const items = Array.from({ length: 1_000 }, (_, n) => ({ tag_name: `bulk ${n}` }));
  const { body } = await send('POST', '/v1/tags/bulk', { items });
  t.match(body, { created: 1_000 });
  const pages = [];
  do pages.push((await copy.poll()).data.length);
  while (pages.length < 4);
  t.same(pages, [300, 300, 300, 100]);
  t.equal(copy.rows.size, 1_000);
});

t.test('what cannot be asked for', async (t) => {
  const refused = async (
    query: Record<string, string>,
    status: number,
    words: RegExp,
    who?: 'bare',
  ) => {
    const answer = await get(query, who);
    t.equal(answer.status, status, answer.text);
    t.match(answer.text, words);
  };
  await refused({}, 400, /resources/);
  await refused({ resources: 'tags,nonsense' }, 400, /\\"nonsense\\" is no list/);
  await refused({ resources: 'column-preferences' }, 400, /column-preferences/);
  await refused({ resources: 'countries' }, 400, /countries/);
  await refused(
    { resources: Array.from({ length: 21 }, (_, n) => `r${n}`).join() },
    400,
    /more than 20/,
  );
  await refused({ resources: 'tags', limit: '501' }, 400, /limit/);
  await refused({ resources: 'invoices' }, 403, /invoice:read/, 'bare');
  const { body } = await get({ resources: 'tags', start: 'now' });
  const since = body.page.next_cursor!;
  await refused({ resources: 'tags', since, start: 'now' }, 400, /start/);
  await refused({ resources: 'equipment', since }, 400, /since/);
  await refused({ resources: 'tags', since: `${since}A` }, 400, /since/);
  await refused({ resources: 'tags', since: since.replace(/^./, 'x') }, 400, /since/);
  t.equal((await get({ resources: 'tags', since })).status, 200);
  const foreign = await portal.as('foreign', {
    url: '/v1/changes',
    query: { resources: 'tags', since },
  });
  t.equal(foreign.status, 400, 'of another tenant');
  const list = await portal.as('admin', { url: '/v1/tags', query: { limit: '1' } });
  await refused({ resources: 'tags', since: list.body.page.next_cursor! }, 400, /since/);
  const both = await get({ resources: 'tags, equipment,tags', start: 'now' });
  const turned = await get({ resources: 'equipment,tags', since: both.body.page.next_cursor! });
  t.equal(turned.status, 200, 'the order of the resources does not matter');
});

t.test('a user who sees other accounts begins anew', async (t) => {
  const { body } = await get({ resources: 'equipment', start: 'now' }, 'held');
  const since = body.page.next_cursor!;
  const child = await make('accounts', {
    account_name: 'below',
    account_number: 'below',
    account_type: 'REGIONAL',
    parent_account_id: north,
  });
  portal.principals.invalidate();
  const answer = await get({ resources: 'equipment', since }, 'held');
  t.match(answer, {
    status: 410,
    body: { code: 'gone', errors: [{ in: 'query', pointer: '/since' }] },
  });
  t.match(answer.text, /begin again without it/);
  await send('DELETE', `/v1/accounts/${child['account_id']}`);
  portal.principals.invalidate();
  t.equal((await get({ resources: 'equipment', since }, 'held')).status, 200);
});

t.test('what is kept, and for how long', async (t) => {
  const prune = () =>
    pruneChanges({ pool: portal.runnerPool, now: () => nowMs, onError: () => undefined });
  const copy = new TestCopy(portal, 'admin', ['tags']);
  await copy.beginNow();
  const first = copy.cursor!;
  await make('tags', { tag_name: 'old 1' });
  await copy.poll();
  const second = copy.cursor!;
  await make('tags', { tag_name: 'old 2' });
  await copy.poll();
  const third = copy.cursor!;
  const { rows } = await owner.query<{ count: number }>(
    'select count(*) as count from record_change where customer_id = $1',
    [mine.customerId],
  );
  nowMs = NOW_MS + CHANGE_KEEP_MS - DAY_MS;
  t.equal(await prune(), 0, 'nothing is old yet');
  nowMs = NOW_MS + CHANGE_KEEP_MS + DAY_MS;
  t.equal(await prune(), rows[0]!.count - 1, 'all but the last');
  t.equal(await prune(), 0);
  for (const since of [first, second]) {
    t.match(await get({ resources: 'tags', since }), { status: 410, body: { code: 'gone' } });
  }
  t.match(
    await get({ resources: 'tags', since: third }),
    { status: 200, body: { data: [] } },
    'who stands at the last has missed nothing, however long ago it was',
  );
  await owner.query(
    `insert into record_change (customer_id, entity_type, entity_id, operation, changed_at)
     select $1, 'tag_lookup', n::text, 'updated', now() from generate_series(1, $2) n`,
    [mine.customerId, PRUNE_ROWS_MAX + 10],
  );
  t.equal(await prune(), PRUNE_ROWS_MAX + 10, 'more than one transaction removes');
  nowMs = NOW_MS;
});

t.test('a log that begins', async (t) => {
  await owner.query('delete from record_change');
  const { body } = await get({ resources: 'tags', start: 'now' });
  const since = body.page.next_cursor!;
  nowMs = NOW_MS + CHANGE_KEEP_MS + DAY_MS;
  t.equal((await get({ resources: 'tags', since })).status, 410, 'what came since may be gone');
  nowMs = NOW_MS + 20 * DAY_MS;
  const later = (await get({ resources: 'tags', since })).body.page.next_cursor!;
  nowMs = NOW_MS + CHANGE_KEEP_MS + DAY_MS;
  t.equal((await get({ resources: 'tags', since: later })).status, 200, 'looked in between');
  nowMs = NOW_MS;
  await make('tags', { tag_name: 'the first entry' });
  t.match(await get({ resources: 'tags', since }), { body: { data: [{ operation: 'created' }] } });
});

t.test('a database that was restored from before', async (t) => {
  const copy = new TestCopy(portal, 'admin', ['tags']);
  await copy.beginNow();
  await make('tags', { tag_name: 'lost 1' });
  await copy.poll();
  const since = copy.cursor!;
  await owner.query(
    `delete from record_change where record_change_id = (select max(record_change_id) from record_change)`,
  );
  t.equal((await get({ resources: 'tags', since })).status, 410, 'a number of the future');
  await owner.query(
    `select setval(pg_get_serial_sequence('record_change', 'record_change_id'), (select max(record_change_id) from record_change))`,
  );
  await make('tags', { tag_name: 'another with its number' });
  t.equal((await get({ resources: 'tags', since })).status, 410);
});
