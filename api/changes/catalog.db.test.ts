/** Every resource of the catalog: its changes are told, to those who may know of them and to nobody else. */
import t from 'tap';
import type pg from 'pg';
import { RowMaker, type TestValues } from '../../db/test-rows.ts';
import { CATALOG } from '../catalog/catalog.ts';
import type { Resource } from '../resources/resource.ts';
import { startTestPortal } from '../test-portal.ts';
import { canFollow } from './records.ts';
import { CHANGES_RESOURCES_MAX } from './routes.ts';
import { differences, readLists, TestCopy } from './test-copy.ts';

const portal = await startTestPortal(t);
const { mine } = portal.seed;
const client: pg.PoolClient = await portal.owner.connect();
t.teardown(() => client.release());
const maker = await RowMaker.open(client);
const followed = [...CATALOG.values()].filter(canFollow);
const lists = followed.map(({ path, key }) => ({ path, key: key.name }));

/** Writes as the portal does: as the tenant. */
async function asTenant<T>(work: () => Promise<T>): Promise<T> {
  await client.query('begin');
  await client.query(`select set_config('app.customer_id', $1, true)`, [mine.customerId]);
  try {
    const result = await work();
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

/** As many copies as it takes for all resources. */
function copiesOf(who: 'admin' | 'held'): TestCopy[] {
  const copies: TestCopy[] = [];
  for (let from = 0; from < lists.length; from += CHANGES_RESOURCES_MAX) {
    const paths = lists.slice(from, from + CHANGES_RESOURCES_MAX).map(({ path }) => path);
    copies.push(new TestCopy(portal, who, paths, 500));
  }
  return copies;
}

async function wrongIn(copies: readonly TestCopy[], who: 'admin' | 'held'): Promise<string[]> {
  for (const copy of copies) await copy.catchUp();
  const rows = new Map(copies.flatMap((copy) => [...copy.rows]));
  return differences(rows, await readLists(portal, who, lists)).map((one) => `${who}: ${one}`);
}

/** One row of each table in either account. */
const rowsOf = new Map<'north' | 'south', Map<string, TestValues>>();
const [north, south] = mine.accountIds;

t.test('every resource that is kept by the tenant has its triggers', async (t) => {
  const { rows } = await client.query<{ name: string; trigger: string; words: string[] }>(`
    select tgrelid::regclass::text as name, tgname as trigger,
      array_remove(string_to_array(encode(tgargs, 'escape'), '\\000'), '') as words
    from pg_trigger where tgname in ('log_write', 'log_update') and tgdeferrable and tginitdeferred and tgenabled = 'O'`);
  const wrong: string[] = [];
  for (const { name, key, hasCustomer, isVersioned, fields, parents, read } of CATALOG.values()) {
    const triggers = rows.filter((row) => row.name.replaceAll('"', '') === name);
    if (read === 'signed_in' || !hasCustomer || !isVersioned) {
      const isTold = followed.some((one) => one.name === name);
      if (isTold && name !== 'customer') wrong.push(`${name} is told, and is nobody's`);
      continue;
    }
    if (triggers.length !== 2) wrong.push(`${name} tells of no changes: call log_changes`);
    for (const { words } of triggers) {
      if (words[0] !== key.name) wrong.push(`${name}: ${words[0]} is not its key`);
      for (const parent of parents)
        if (words[2] !== parent.name) wrong.push(`${name}: goes not with its ${parent.name}`);
    }
    if (!fields.has('updated_at') || !fields.has('version')) wrong.push(`${name}: no version`);
  }
  t.same(wrong, []);
  t.ok(followed.length > 50, `${followed.length} resources`);
});

t.test('nothing is waited for once the lock of the log is held', async (t) => {
  // It is taken by triggers at COMMIT; another one that is deferred may come after them.
  const { rows } = await client.query<{ name: string; source: string }>(`
    select g.tgrelid::regclass || '.' || g.tgname as name, p.prosrc as source
    from pg_trigger g join pg_proc p on p.oid = g.tgfoid
    where g.tginitdeferred and not g.tgname like 'log\\_%'`);
  const waiting =
    /\b(for (no key )?update|for (key )?share|insert|delete|lock|perform|update \w+ set)\b/i;
  t.same(
    rows.filter(({ source }) => waiting.test(source)).map(({ name }) => name),
    [],
  );
});

t.test('rows that are made are told as their lists show them', async (t) => {
  const admin = copiesOf('admin');
  const held = copiesOf('held');
  for (const copy of [...admin, ...held]) await copy.catchUp();
  for (const side of ['north', 'south'] as const) {
    const accountId = side === 'north' ? north : south;
    const made = new Map<string, TestValues>();
    rowsOf.set(side, made);
    for (const { name } of followed) {
      if (name === 'customer') continue;
      const owner = { customerId: mine.customerId, accountId, word: `${side}-word` };
      // An account below another would be one more for who is held to that, and end their cursors.
      const above = name === 'account' ? { parent_account_id: null } : {};
      made.set(name, await asTenant(() => maker.make(name, owner, above)));
    }
  }
  t.same([...(await wrongIn(admin, 'admin')), ...(await wrongIn(held, 'held'))], []);
  const told = held.flatMap((copy) => copy.told);
  t.same(
    told.filter(({ row }) => row === null).map(({ resource, id }) => `${resource}/${id}`),
    [],
    'nobody learns the keys of another account',
  );
  const missing = followed.filter(
    ({ name, path, key }) =>
      name !== 'customer' &&
      !admin.some((copy) =>
        copy.rows.has(`${path}/${String(rowsOf.get('north')!.get(name)![key.name])}`),
      ),
  );
  t.same(
    missing.map(({ name }) => name),
    [],
    'all of them were told',
  );
});

const columnsOf = async (name: string): Promise<Set<string>> => {
  const { rows } = await client.query<{ name: string }>(
    `select attname as name from pg_attribute where attrelid = quote_ident($1)::regclass and attnum > 0 and not attisdropped`,
    [name],
  );
  return new Set(rows.map((row) => row.name));
};

async function write(resource: Resource, side: 'north' | 'south', set: string): Promise<boolean> {
  const key = rowsOf.get(side)!.get(resource.name)![resource.key.name];
  try {
    await asTenant(() =>
      client.query(`update "${resource.name}" set ${set} where "${resource.key.name}" = $1`, [key]),
    );
    return true;
  } catch (error) {
    // The rules of the table do not allow it.
    if (/^(23|P0)/.test((error as { code?: string }).code ?? '')) return false;
    throw error;
  }
}

for (const [what, set, isMeant] of [
  ['changed', 'customer_id = customer_id', () => true],
  ['moved to another account', `account_id = ${south}`, (c) => c.has('account_id')],
  ['moved back', `account_id = ${north}`, (c) => c.has('account_id')],
  ['given to the whole customer', 'account_id = null', (c) => c.has('account_id')],
  ['moved to another account from there', `account_id = ${south}`, (c) => c.has('account_id')],
  ['marked as deleted', 'deleted_at = now()', (c) => c.has('deleted_at')],
] satisfies [string, string, (columns: Set<string>) => boolean][]) {
  t.test(`rows that are ${what}: tombstones for those who see them no more`, async (t) => {
    const admin = copiesOf('admin');
    const held = copiesOf('held');
    for (const copy of [...admin, ...held]) await copy.catchUp();
    let written = 0;
    for (const resource of followed) {
      if (['customer', 'account'].includes(resource.name)) continue;
      const columns = await columnsOf(resource.name);
      if (!isMeant(columns)) continue;
      if (await write(resource, 'north', set)) written += 1;
    }
    t.ok(written > 10, `${written} rows`);
    t.same([...(await wrongIn(admin, 'admin')), ...(await wrongIn(held, 'held'))], []);
  });
}

t.test('rows that are removed', async (t) => {
  const admin = copiesOf('admin');
  const held = copiesOf('held');
  for (const copy of [...admin, ...held]) await copy.catchUp();
  let removed = 0;
  for (const { name, key } of [...followed].reverse()) {
    for (const side of ['north', 'south'] as const) {
      const row = rowsOf.get(side)!.get(name);
      if (!row) continue;
      try {
        await asTenant(() =>
          client.query(`delete from "${name}" where "${key.name}" = $1`, [row[key.name]]),
        );
        removed += 1;
      } catch (error) {
        if (!/^(23|P0)/.test((error as { code?: string }).code ?? '')) throw error;
      }
    }
  }
  t.ok(removed > 40, `${removed} rows`);
  t.same([...(await wrongIn(admin, 'admin')), ...(await wrongIn(held, 'held'))], []);
  const strange = held
    .flatMap((copy) => copy.told)
    .filter(({ row }) => row !== null && JSON.stringify(row).includes('south-word'));
  t.ok(strange.every(({ row }) => row!['account_id'] === undefined || row!['account_id'] === null));
});
