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

t.test('an owner who may not take on the role of 0030 is told which it is', async (t) => {
  const owner = `poor_${process.pid}`;
  const { plainUrl } = await plainlyOwned(t, owner);
  await administer(testServerUrl(), `revoke milepost_runner from ${owner}`);
  await t.rejects(migrate(plainUrl), {
    code: 'MIGRATION_FAILED',
    message: /0030.*milepost_runner/,
  });
  await administer(testServerUrl(), `grant milepost_runner to ${owner}`);
  t.match(await migrate(plainUrl), [/^0030/], 'and goes on from there');
});

t.test('works for an owner that is no superuser, who is held by the policies too', async (t) => {
  const { url, plainUrl } = await plainlyOwned(t, `plain_${process.pid}`);
  await migrate(plainUrl);

  const tenant = await seedTenant(await connect(t, url), 'ours');
  const plain = createPool({
    connectionString: plainUrl,
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
  const { url, plainUrl } = await plainlyOwned(t, `devices_${process.pid}`);
  const dir = await copyOfMigrations(t);
  const later = (await readdir(dir)).filter((name) => /^\d+_/.test(name) && name >= '0007');
  await Promise.all(later.map((name) => rm(join(dir, name))));
  await migrate(plainUrl, undefined, dir);

  const client = await connect(t, url);
  await client.query(
    `with tenant as (insert into customer (customer_name) values ('ours') returning customer_id)
     insert into iot_device (customer_id, device_identifier, device_type, token_hash, updated_at)
     select customer_id, name, 'tracker', hash, '2026-01-02' from tenant,
       (values ('with', sha256('a')), ('without', null)) as d (name, hash)`,
  );
  await migrate(plainUrl);
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

t.test('0009: stays that are under way become visits', async (t) => {
  const { url, plainUrl } = await plainlyOwned(t, `stays_${process.pid}`);
  const dir = await copyOfMigrations(t);
  const later = (await readdir(dir)).filter((name) => /^\d+_/.test(name) && name >= '0009');
  await Promise.all(later.map((name) => rm(join(dir, name))));
  await migrate(plainUrl, undefined, dir);

  const client = await connect(t, url);
  const { customerId, equipmentIds } = await seedOldStays(client);
  await migrate(plainUrl);
  const { rows: states } = await client.query<{ state: unknown }>(
    'select state from engine_state order by equipment_has_iot_device_id',
  );
  const stay = {
    version: 3,
    dwelled: false,
    outCount: 0,
    outMs: null,
    lastInMs: null,
    endMs: null,
  };
  const entering = { fenceId: 9, version: 2, inCount: 2, cause: 'move' };
  t.same(
    states.map(({ state }) => state),
    [
      {
        inside: [
          { ...stay, fenceId: 1, name: 'Yard', enteredMs: OLD_MS, enterMs: OLD_MS, outCount: 1,
            outMs: OLD_MS + 20_000, lastInMs: OLD_MS + 10_000 },
          { ...stay, fenceId: 99, name: '', enteredMs: OLD_MS + 7, enterMs: OLD_MS + 7 },
        ],
        entering: [{ ...entering, firstMs: OLD_MS + 20_000 }],
        ended: [],
        rules: [{ ruleId: 5 }],
      },
      { inside: [], entering: [{ ...entering, firstMs: OLD_MS + 30_000 }], ended: [], rules: [] },
      { inside: [], entering: [], ended: [], rules: [] },
    ],
  ); // prettier-ignore
  const { rows: visits } = await client.query(
    `select customer_id::int, geofence_id::int, geofence_name, geofence_version, equipment_id::int,
            (extract(epoch from opened_at) * 1000)::float8 as ms, entered_at = opened_at and first_fix_at = opened_at as same,
            left_at, entered_cause, revision
     from geofence_visit order by geofence_id`,
  );
  const visit = { customer_id: customerId, equipment_id: equipmentIds[0], geofence_version: 3,
    same: true, left_at: null, revision: 1 }; // prettier-ignore
  t.same(visits, [
    { ...visit, geofence_id: 1, geofence_name: 'Yard', ms: OLD_MS, entered_cause: 'first_fix' },
    { ...visit, geofence_id: 99, geofence_name: '', ms: OLD_MS + 7, entered_cause: 'move' },
  ]);
  const { rows: open } = await client.query(
    `select relname from pg_class where relnamespace = 'public'::regnamespace and relrowsecurity
       and not relforcerowsecurity`,
  );
  t.same(open, [], 'the policies hold the owner again');
});

/** Midnight of a day within what is kept. */
const OLD_MS = Math.floor(Date.now() / 86_400_000 - 2) * 86_400_000;

/** Three devices as version 8 knew them: one inside two fences, one about to enter, one that is nowhere. */
async function seedOldStays(client: pg.Client) {
  const one = async (sql: string, values: unknown[] = []) =>
    (await client.query<{ id: number }>(`${sql}::int as id`, values)).rows[0]!.id;
  const customerId = await one(
    `insert into customer (customer_name) values ('ours') returning customer_id`,
  );
  await client.query(
    `insert into geofence (geofence_id, customer_id, geofence_name, shape_type, center_lat, center_lng, radius_m)
     values (1, $1, 'Yard', 'circle', 52, 13, 100)`,
    [customerId],
  );
  const entering = { fenceId: 9, version: 2, inCount: 2, cause: 'move' };
  const states = [
    {
      inside: [
        { fenceId: 99, version: 3, sinceMs: OLD_MS + 7, outCount: 0 },
        { fenceId: 1, version: 3, sinceMs: OLD_MS, outCount: 1 },
      ],
      entering: [entering],
      rules: [{ ruleId: 5 }],
    },
    { inside: [], entering: [entering], rules: [] },
    { inside: [], entering: [], rules: [] },
  ];
  const units: number[] = [];
  const links: number[] = [];
  for (const [i, state] of states.entries()) {
    const unit = await one(
      'insert into equipment (customer_id, unit_number) values ($1, $2) returning equipment_id',
      [customerId, `U${i}`],
    );
    const device = await one(
      `insert into iot_device (customer_id, device_identifier, device_type) values ($1, $2, 'tracker')
       returning iot_device_id`,
      [customerId, `D${i}`],
    );
    const link = await one(
      `insert into equipment_has_iot_device (customer_id, equipment_id, iot_device_id) values ($1, $2, $3)
       returning equipment_has_iot_device_id`,
      [customerId, unit, device],
    );
    await client.query(
      'insert into engine_state values ($1, $2, $3, to_timestamp($4::float8 / 1000))',
      [link, customerId, state, OLD_MS + 30_000],
    );
    units.push(unit);
    links.push(link);
  }
  await client.query('select ensure_time_partitions($1, $1)', [new Date(OLD_MS)]);
  await client.query(
    `insert into equipment_gps_location (equipment_has_iot_device_id, recorded_at, received_at, latitude, longitude)
     select $1, to_timestamp(($2::float8 + i * 10000) / 1000), now(), 52, 13 from generate_series(0, 2) i`,
    [links[0], OLD_MS],
  );
  await client.query(
    `insert into activity_feed (event_key, customer_id, equipment_id, equipment_has_iot_device_id, event_type,
       event_time, received_at, geofence_id, cause)
     values (gen_random_uuid(), $1, $2, $3, 'geofence_enter', to_timestamp($4::float8 / 1000), now(), 1, 'first_fix')`,
    [customerId, units[0], links[0], OLD_MS],
  );
  return { customerId, equipmentIds: units };
}

/** The address of an empty database whose owner is no superuser, and so held by the policies; and that of the superuser. */
async function plainlyOwned(t: Test, owner: string) {
  await administer(
    testServerUrl(),
    `create role ${owner} login password 'plain' nosuperuser nobypassrls;
     grant milepost_api, milepost_ingest, milepost_definer, milepost_runner to ${owner}`,
  );
  t.teardown(() => administer(testServerUrl(), `drop role ${owner}`));
  const url = await emptyDatabase(t, `owner ${owner}`);
  const plainUrl = new URL(url);
  plainUrl.username = owner;
  plainUrl.password = 'plain';
  return { url, plainUrl: plainUrl.href };
}
