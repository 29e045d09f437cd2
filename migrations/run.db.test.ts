/** The runner: everything once, one starter at a time, and no guessing. */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import t from 'tap';
import { createPool } from '../db/pools.ts';
import { withTenant } from '../db/tenancy.ts';
import { administer, databaseUrl, testServerUrl } from '../db/test-database.ts';
import { seedTenant } from '../db/test-tenant.ts';
import { migrate, MIGRATION_LOCK, migrationsDir } from './run.ts';

type Test = { teardown(work: () => Promise<unknown>): unknown };

async function emptyDatabase(t: Test, options = ''): Promise<string> {
  const name = `empty_${process.pid}_${randomBytes(6).toString('hex')}`;
  await administer(testServerUrl(), `create database ${name} ${options}`);
  t.teardown(() => administer(testServerUrl(), `drop database if exists ${name} with (force)`));
  return databaseUrl(testServerUrl(), name);
}

async function connect(t: Test, connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  client.on('error', () => undefined);
  await client.connect();
  t.teardown(() => client.end());
  return client;
}

/** Files that would follow, `after` places after the last one. */
const lastNumber = (await readdir(migrationsDir)).filter((name) => name.endsWith('.sql')).length;
function numbered(after: number, name: string): string {
  return `${String(lastNumber + after).padStart(4, '0')}_${name}.sql`;
}
const MORE = numbered(1, 'more');

async function copyOfMigrations(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'milepost-migrations-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  await cp(migrationsDir, dir, { recursive: true });
  return dir;
}

t.test('applies every file once, in order, and then nothing', async (t) => {
  const url = await emptyDatabase(t);
  const files = (await readdir(migrationsDir)).filter((name) => name.endsWith('.sql')).sort();
  const messages: string[] = [];
  t.same(await migrate(url, (message) => messages.push(message)), files);
  t.match(
    messages.filter((message) => message.startsWith('applied')),
    files.map((name) => `applied ${name}`),
  );
  t.same(await migrate(url), []);
  const client = await connect(t, url);
  const { rows } = await client.query<{ name: string }>(
    'select name from schema_migration order by version',
  );
  t.same(
    rows.map((row) => row.name),
    files,
  );
});

t.test('two starters take turns', async (t) => {
  const url = await emptyDatabase(t);
  const holder = await connect(t, url);
  await holder.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
  const starters = [migrate(url), migrate(url)];
  const watcher = await connect(t, testServerUrl());
  const waiting = `select from pg_locks l join pg_database d on d.oid = l.database
                   where d.datname = $1 and l.locktype = 'advisory' and not l.granted`;
  // Both are seen waiting before either may begin.
  while ((await watcher.query(waiting, [new URL(url).pathname.slice(1)])).rowCount !== 2);
  await holder.query('select pg_advisory_unlock($1)', [MIGRATION_LOCK]);
  const counts = (await Promise.all(starters)).map((applied) => applied.length).sort();
  t.equal(counts[0], 0);
  t.ok(counts[1]! > 0);
});

t.test('refuses a file that changed after it was applied', async (t) => {
  const url = await emptyDatabase(t);
  const dir = await copyOfMigrations(t);
  await migrate(url, undefined, dir);
  const file = join(dir, '0006_lookups.sql');
  const sql = await readFile(file, 'utf8');
  await writeFile(file, sql.replaceAll('\n', '\r\n'));
  t.same(await migrate(url, undefined, dir), [], 'line endings do not count');
  await writeFile(file, `${sql}-- changed\n`);
  await writeFile(join(dir, MORE), 'create table more (more_id bigint)');
  await t.rejects(migrate(url, undefined, dir), {
    code: 'MIGRATION_CHANGED',
    message: /0006_lookups\.sql/,
  });
  const client = await connect(t, url);
  const { rows } = await client.query(`select to_regclass('more') as more`);
  t.same(rows, [{ more: null }], 'nothing was touched');
});

t.test('refuses a database newer than the code', async (t) => {
  const url = await emptyDatabase(t);
  const dir = await copyOfMigrations(t);
  await writeFile(join(dir, MORE), 'create table more (more_id bigint)');
  await migrate(url, undefined, dir);
  await t.rejects(migrate(url), { code: 'MIGRATION_DATABASE_NEWER', message: new RegExp(MORE) });
});

t.test('a failing file leaves no trace, and those before it stay', async (t) => {
  const url = await emptyDatabase(t);
  const dir = await copyOfMigrations(t);
  const more = join(dir, MORE);
  await writeFile(more, 'create table more (more_id bigint);\n\nselect 1 / 0, nonsense;\n');
  await t.rejects(migrate(url, undefined, dir), {
    code: 'MIGRATION_FAILED',
    message: new RegExp(`^${MORE}:3: .*nonsense`),
    cause: { code: '42703' },
  });
  await writeFile(more, 'create table more (more_id bigint)');
  t.same(await migrate(url, undefined, dir), [MORE]);
});

t.test('refuses gaps and strangers among the files', async (t) => {
  const url = await emptyDatabase(t);
  for (const stranger of [numbered(2, 'gap'), numbered(0, 'twice'), 'notes.sql']) {
    const dir = await copyOfMigrations(t);
    await writeFile(join(dir, stranger), '');
    await t.rejects(migrate(url, undefined, dir), { code: 'MIGRATION_NUMBERING' }, stranger);
  }
});

t.test('works for an owner that is no superuser, who is held by the policies too', async (t) => {
  const owner = `plain_${process.pid}`;
  await administer(
    testServerUrl(),
    `create role ${owner} login password 'plain' nosuperuser nobypassrls;
     grant milepost_api, milepost_ingest, milepost_definer to ${owner}`,
  );
  t.teardown(() => administer(testServerUrl(), `drop role ${owner}`));
  const url = await emptyDatabase(t, `owner ${owner}`);
  const plainUrl = new URL(url);
  plainUrl.username = owner;
  plainUrl.password = 'plain';
  await migrate(plainUrl.href);

  const tenant = await seedTenant(await connect(t, url), 'ours');
  const plain = createPool({
    connectionString: plainUrl.href,
    role: 'owner',
    max: 1,
    applicationName: 'test',
    statementTimeoutMs: 10_000,
  });
  t.teardown(() => plain.end());
  t.equal((await plain.query('select from equipment')).rowCount, 0);
  const { rows: found } = await plain.query('select * from auth_user_by_subject($1)', [
    tenant.subject,
  ]);
  t.match(found, [{ customer_id: tenant.customerId }], 'the tenant is found all the same');

  const [unit] = tenant.equipmentIds;
  const self = { customerId: tenant.customerId, accountIds: null };
  const followed = await withTenant(plain, self, async (_db, client) => {
    await client.query(`update equipment set unit_number = 'new' where equipment_id = $1`, [unit]);
    const sql = 'select unit_number from telematics where equipment_id = $1';
    return (await client.query(sql, [unit])).rows as unknown[];
  });
  t.same(followed, [{ unit_number: 'new' }]);
});

t.test('0007: devices that have a token are told from those that have none', async (t) => {
  const owner = `devices_${process.pid}`;
  await administer(
    testServerUrl(),
    `create role ${owner} login password 'plain' nosuperuser nobypassrls;
     grant milepost_api, milepost_ingest, milepost_definer to ${owner}`,
  );
  t.teardown(() => administer(testServerUrl(), `drop role ${owner}`));
  const url = await emptyDatabase(t, `owner ${owner}`);
  const plainUrl = new URL(url);
  plainUrl.username = owner;
  plainUrl.password = 'plain';
  const dir = await copyOfMigrations(t);
  const later = (await readdir(dir)).filter((name) => /^\d+_/.test(name) && name >= '0007');
  await Promise.all(later.map((name) => rm(join(dir, name))));
  await migrate(plainUrl.href, undefined, dir);

  const client = await connect(t, url);
  await client.query(
    `with tenant as (insert into customer (customer_name) values ('ours') returning customer_id)
     insert into iot_device (customer_id, device_identifier, device_type, token_hash, updated_at)
     select customer_id, name, 'tracker', hash, '2026-01-02' from tenant,
       (values ('with', sha256('a')), ('without', null)) as d (name, hash)`,
  );
  await migrate(plainUrl.href);
  const { rows } = await client.query(
    `select device_identifier as name, token_changed_at = '2026-01-02' as changed,
            updated_at = '2026-01-02' as untouched, token_hash is not null as kept, version
     from iot_device order by 1`,
  );
  t.same(rows, [
    { name: 'with', changed: true, untouched: true, kept: true, version: 1 },
    { name: 'without', changed: null, untouched: true, kept: false, version: 1 },
  ]);
});
