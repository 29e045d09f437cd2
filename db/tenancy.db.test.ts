/** Tenants cannot see or touch each other: the catalog says so, and every table is tried. */
import pg from 'pg';
import t from 'tap';
import { createPool, type DatabaseRole } from './pools.ts';
import * as schema from './schema.ts';
import { withTenant, type Tenant, type TenantDb } from './tenancy.ts';
import { createTestDatabase } from './test-database.ts';
import { fillTenants, seedTenant, type TestTenant } from './test-tenant.ts';

type Test = Parameters<typeof createTestDatabase>[0];

// Too hot for row-level security; the API's role reads them through the two views.
const HOT_TABLES = ['equipment_gps_location', 'iot_device_metric'];
// The same for everyone: lists that are shipped, and what the server needs for itself.
const SHARED_TABLES =
  /_(lookup|master)$|^(ingest_leader|schema_migration|column_preference_table_name|identity_sync)$/;
// Neither read nor written by people.
const CLOSED_TABLES = [
  ...HOT_TABLES,
  'engine_state',
  'ingest_leader',
  'schema_migration',
  'tenant_counter',
  'visit_revision',
];
/** Written by the API without leaving an audit trail, and why. */
const WITHOUT_AUDIT: Readonly<Record<string, string>> = {
  attachment_content: 'keys of bytes, noted before there is a record',
  idempotency_key: 'answers that are kept for a day',
};
const VIEWS = ['tenant_device_metric', 'tenant_gps_location'];

const POLICY_VIOLATED = { code: '42501', message: /row-level security/ };

async function openDatabase(t: Test) {
  const { ownerUrl } = await createTestDatabase(t);
  const owner = new pg.Client({ connectionString: ownerUrl });
  await owner.connect();
  t.teardown(() => owner.end());
  const open = (role: DatabaseRole, max = 2) => {
    const pool = createPool({
      connectionString: ownerUrl,
      role,
      max,
      applicationName: 'test',
      statementTimeoutMs: 10_000,
    });
    t.teardown(() => pool.end());
    return pool;
  };
  return { ownerUrl, owner, open };
}

async function names(client: pg.ClientBase, sql: string, values: unknown[] = []) {
  const { rows } = await client.query<{ name: string }>(sql, values);
  return rows.map((row) => row.name);
}

// Of tables, not of partitions or chunks.
const TABLES = `select c.relname as name from pg_class c
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition`;

const ALL_VIEWS = `select c.relname as name from pg_class c
  where c.relnamespace = 'public'::regnamespace and c.relkind = 'v'`;

const hasCustomerId = `exists (select from pg_attribute a
  where a.attrelid = c.oid and a.attname = 'customer_id' and not a.attisdropped)`;

const tenantTables = (client: pg.ClientBase) =>
  names(client, `${TABLES} and ${hasCustomerId} order by 1`);

const all = ({ customerId }: TestTenant): Tenant => ({ customerId, accountIds: null });

t.test('every table is either closed by row-level security or named here', async (t) => {
  const { owner } = await openDatabase(t);
  t.same(
    // Left to PostGIS where the server offers it.
    (await names(owner, `${TABLES} and not ${hasCustomerId} order by 1`)).filter(
      (name) => name !== 'spatial_ref_sys' && !SHARED_TABLES.test(name),
    ),
    HOT_TABLES,
  );
  const closed = await names(
    owner,
    `${TABLES} and ${hasCustomerId} and c.relrowsecurity and c.relforcerowsecurity
     and exists (select from pg_policy p where p.polrelid = c.oid and p.polcmd = '*'
                 and p.polpermissive and p.polqual is not null and p.polwithcheck is not null)
     order by 1`,
  );
  t.same(closed, await tenantTables(owner));
  t.ok(closed.length >= 27, `${closed.length} tables of tenants`);

  const openViews = await names(
    owner,
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'v'
     and not coalesce(reloptions && '{security_barrier=true,security_invoker=true}', false)`,
  );
  t.same(openViews, []);
});

t.test('the roles hold what they need and no more', async (t) => {
  const { owner } = await openDatabase(t);
  const { rows: roles } = await owner.query(
    `select rolname, rolsuper, rolcreaterole, rolcreatedb, rolcanlogin, rolbypassrls
     from pg_roles where rolname like 'milepost\\_%' order by 1`,
  );
  const plain = { rolsuper: false, rolcreaterole: false, rolcreatedb: false, rolcanlogin: false };
  t.same(roles, [
    { rolname: 'milepost_api', ...plain, rolbypassrls: false },
    { rolname: 'milepost_definer', ...plain, rolbypassrls: true },
    { rolname: 'milepost_ingest', ...plain, rolbypassrls: true },
    { rolname: 'milepost_runner', ...plain, rolbypassrls: false },
  ]);
  const owned = await names(
    owner,
    `select relname as name from pg_class where relowner in ('milepost_api'::regrole, 'milepost_ingest'::regrole)
     union all select proname from pg_proc where proowner in ('milepost_api'::regrole, 'milepost_ingest'::regrole)`,
  );
  t.same(owned, []);
  const memberships = await names(
    owner,
    `select roleid::regrole::text as name from pg_auth_members
     where member in ('milepost_api'::regrole, 'milepost_ingest'::regrole)`,
  );
  t.same(memberships, []);

  // Partitions and chunks included: they are tables of their own.
  await owner.query('select ensure_time_partitions(now(), now())');
  const touchable = (role: string, privileges: string) =>
    names(
      owner,
      `select c.oid::regclass::text as name from pg_class c
       where c.relkind in ('r', 'p', 'v', 'm') and c.relnamespace::regnamespace::text !~ '^(pg_|information)'
         and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
         and (has_table_privilege($1, c.oid, $2) or
              case when $2 ~ 'select' then has_any_column_privilege($1, c.oid, 'select') else false end)
       order by 1`,
      [role, privileges],
    );
  const writing = 'insert, update, delete, truncate, references, trigger';
  // What the API writes leaves an audit trail; of customers, invoices and payments it writes single columns.
  const audited = await names(
    owner,
    `select tgrelid::regclass::text as name from pg_trigger where tgname = 'audit'
       and tgrelid <> all ('{customer, invoice, payment}'::regclass[])`,
  );
  t.same(
    await touchable('milepost_api', writing),
    [...audited, ...Object.keys(WITHOUT_AUDIT)].sort(),
  );
  const unwritten = await names(
    owner,
    `select a.attrelid::regclass || '.' || a.attname as name from pg_attribute a
     where a.attrelid = any ('{invoice, payment}'::regclass[]) and a.attnum > 0 and not a.attisdropped
       and a.attgenerated = '' and not (has_column_privilege('milepost_api', a.attrelid, a.attnum, 'insert')
         and has_column_privilege('milepost_api', a.attrelid, a.attnum, 'update')) order by 1`,
  );
  t.same(unwritten, ['invoice.applied_amount', 'payment.applied_amount'], 'the ledger writes them');
  const readable = await touchable('milepost_api', 'select');
  t.same(
    readable,
    (await names(owner, `${TABLES} union ${ALL_VIEWS} order by 1`))
      .filter((name) => !CLOSED_TABLES.includes(name))
      .map((name) => (name === 'user' ? '"user"' : name))
      .sort(),
  );
  const hidden = await names(
    owner,
    `select a.attrelid::regclass || '.' || a.attname as name from pg_attribute a
     where a.attrelid in ('iot_device'::regclass, 'gateway_token'::regclass) and a.attnum > 0
       and not has_column_privilege('milepost_api', a.attrelid, a.attnum, 'select') order by 1`,
  );
  t.same(hidden, [
    'gateway_token.token_hash',
    'iot_device.previous_token_hash',
    'iot_device.token_hash',
  ]);
  t.same(await touchable('milepost_ingest', writing), [
    'activity_feed',
    'engine_state',
    ...HOT_TABLES.slice(0, 1),
    'geofence_visit',
    'ingest_leader',
    'ingest_reject',
    'iot_device_command',
    'iot_device_event',
    ...HOT_TABLES.slice(1),
    'knocking_device',
    'telematics',
    'telemetry_change',
    'visit_revision',
  ]);
});

t.test('a tenant sees its own rows of every table and view, and no others', async (t) => {
  const { owner, open } = await openDatabase(t);
  const ours = await seedTenant(owner, 'ours');
  const theirs = await seedTenant(owner, 'theirs');
  await fillTenants(owner, { ours, theirs });
  const tables = await tenantTables(owner);
  const views = await names(owner, `${ALL_VIEWS} and ${hasCustomerId} order by 1`);
  t.ok(tables.length > 70 && views.length > 2, `${tables.length} tables, ${views.length} views`);
  // So that policies are tried, and not only grants.
  await owner.query('grant all on all tables in schema public to milepost_api');
  const pool = open('milepost_api');
  const tally = (relation: string) => `
    select count(*) filter (where customer_id = ${ours.customerId})::int as ours,
           count(*) filter (where customer_id = ${theirs.customerId})::int as theirs from "${relation}"`;

  for (const relation of [...tables, ...views]) {
    await withTenant(pool, all(ours), async (_db, client) => {
      const { rows } = await client.query<{ ours: number; theirs: number }>(tally(relation));
      t.ok(rows[0]!.ours > 0, `${relation} has rows to be seen`);
      t.equal(rows[0]!.theirs, 0, `${relation} shows no foreign row`);
    });
    const { rows } = await pool.query(tally(relation));
    t.same(rows, [{ ours: 0, theirs: 0 }], `${relation} is empty to one without a tenant`);
  }

  for (const relation of tables) {
    const attempt = (sql: string) =>
      withTenant(pool, all(ours), async (_db, client) => (await client.query(sql)).rowCount);
    const foreign = `where customer_id = ${theirs.customerId}`;
    t.equal(await attempt(`update "${relation}" set customer_id = customer_id ${foreign}`), 0);
    t.equal(await attempt(`delete from "${relation}" ${foreign}`), 0);
    const change = JSON.stringify({ customer_id: theirs.customerId });
    const columns = await names(
      owner,
      `select string_agg(quote_ident(attname), ', ') as name from pg_attribute
       where attrelid = '"${relation}"'::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
    );
    await t.rejects(
      attempt(`insert into "${relation}" (${columns[0]}) select ${columns[0]}
               from (select (jsonb_populate_record(r, '${change}')).* from "${relation}" r
                     where customer_id = ${ours.customerId}) as changed`),
      POLICY_VIOLATED,
      `${relation} takes no row for another tenant`,
    );
    await t.rejects(
      attempt(`update "${relation}" set customer_id = ${theirs.customerId}
               where customer_id = ${ours.customerId}`),
      POLICY_VIOLATED,
      `${relation} gives no row away`,
    );
  }

  // Everyone reads the common alert types, and nobody writes them; migrations/reference-rows.db.test.ts has all such lists.
  await withTenant(pool, all(ours), async (_db, client) => {
    const common = 'from alert_type_lookup where customer_id is null';
    t.ok((await client.query(`select ${common}`)).rowCount! > 0);
  });
  const written = await withTenant(pool, all(ours), (_db, client) =>
    client.query('update alert_type_lookup set event_name = event_name returning customer_id'),
  );
  t.same(written.rows, [{ customer_id: ours.customerId }]);
});

t.test('a condition cannot peek at what a view hides', async (t) => {
  const { owner, open } = await openDatabase(t);
  const ours = await seedTenant(owner, 'ours');
  await seedTenant(owner, 'theirs');
  await owner.query(`create function peek(unit bigint) returns boolean language plpgsql cost 0.0001
    as $$ begin raise notice '%', unit; return true; end $$`);
  const pool = open('milepost_api');
  for (const view of VIEWS) {
    const seen: number[] = [];
    await withTenant(pool, all(ours), async (_db, client) => {
      const onNotice = (notice: { message?: string | undefined }) => {
        seen.push(Number(notice.message));
      };
      client.on('notice', onNotice);
      // Whole tables are read then, and the cheaper condition would come first.
      await client.query('set local enable_indexscan to off; set local enable_bitmapscan to off');
      await client.query(`select from ${view} where peek(equipment_id)`);
      client.off('notice', onNotice);
    });
    t.same(
      seen.sort((a, b) => a - b),
      ours.equipmentIds,
      view,
    );
  }
});

t.test('people of some accounts see those, and what belongs to no account', async (t) => {
  const { owner, open } = await openDatabase(t);
  const ours = await seedTenant(owner, 'ours');
  const pool = open('milepost_api');
  const [first, second, common] = ours.equipmentIds;
  const scoped: [number[] | null, number[]][] = [
    [null, [first, second, common]],
    [[ours.firstAccountId], [first, common]],
    [
      [ours.firstAccountId, ours.secondAccountId],
      [first, second, common],
    ],
    [[], [common]],
  ];
  const relations = [
    'equipment',
    'equipment_has_iot_device',
    'iot_device_event',
    'telematics',
    'activity_feed',
    'geofence_visit',
    ...VIEWS,
  ];
  for (const [accountIds, expected] of scoped) {
    await withTenant(pool, { customerId: ours.customerId, accountIds }, async (_db, client) => {
      for (const relation of relations) {
        const { rows } = await client.query<{ equipment_id: number }>(
          `select equipment_id from ${relation} order by 1`,
        );
        const seen = rows.map((row) => row.equipment_id);
        t.same(seen, expected, `${relation} for ${JSON.stringify(accountIds)}`);
      }
      for (const relation of ['geofence', 'telematic_alert', 'iot_device', 'iot_device_command']) {
        const { rowCount } = await client.query(`select from ${relation}`);
        t.equal(rowCount, expected.length, `${relation} for ${JSON.stringify(accountIds)}`);
      }
      const knocks = await client.query('select from knocking_device');
      t.equal(knocks.rowCount, accountIds === null ? 3 : 0, 'knocks belong to no account');
    });
  }
  const fence = (account_id: number | null) => ({
    customer_id: ours.customerId,
    account_id,
    geofence_name: 'yard',
    shape_type: 'circle' as const,
    center_lat: 1,
    center_lng: 2,
    radius_m: 3,
  });
  const limited: Tenant = { customerId: ours.customerId, accountIds: [ours.firstAccountId] };
  const add = (accountId: number | null) =>
    withTenant(pool, limited, (db) =>
      db.insert(schema.geofence).values(fence(accountId)).returning(),
    );
  t.match(await add(ours.firstAccountId), [{ version: 1, created_at: Date }]);
  await t.rejects(add(ours.secondAccountId), { cause: POLICY_VIOLATED });
});

t.test('withTenant commits, rolls back, and leaves nothing behind', async (t) => {
  const { owner, open } = await openDatabase(t);
  const ours = await seedTenant(owner, 'ours');
  const theirs = await seedTenant(owner, 'theirs');
  const pool = open('milepost_api', 1);
  const rename = (db: TenantDb, name: string) =>
    db.update(schema.geofence).set({ geofence_name: name });
  const fenceNames = async () =>
    new Set(
      await names(owner, 'select geofence_name as name from geofence where customer_id = $1', [
        ours.customerId,
      ]),
    );

  t.equal(await withTenant(pool, all(ours), async (db) => (await rename(db, 'a')).rowCount), 3);
  t.same(await fenceNames(), new Set(['a']));

  const failure = new Error('the work failed');
  await t.rejects(
    withTenant(pool, all(ours), async (db) => {
      await rename(db, 'b');
      throw failure;
    }),
    failure,
  );
  t.same(await fenceNames(), new Set(['a']), 'rolled back');

  await t.rejects(
    withTenant(pool, all(ours), async (db, client) => {
      await rename(db, 'c');
      await client.query('select 1 / 0').catch(() => undefined);
    }),
    { code: 'TENANT_NOT_COMMITTED' },
  );
  t.same(await fenceNames(), new Set(['a']), 'a swallowed error is told');

  let kept: TenantDb | undefined;
  await withTenant(pool, all(theirs), (db) => Promise.resolve((kept = db)));
  await withTenant(pool, all(ours), async () => {
    await t.rejects(kept!.select().from(schema.geofence), { cause: { code: 'TENANT_CLOSED' } });
  });

  const { rows } = await pool.query(
    `select coalesce(current_setting('app.customer_id', true), '') as customer_id,
            coalesce(current_setting('app.account_ids', true), '') as account_ids`,
  );
  t.same(rows, [{ customer_id: '', account_ids: '' }], 'the connection names no tenant');

  for (const customerId of [0, -1, 1.5, NaN, Infinity]) {
    await t.rejects(
      withTenant(pool, { customerId, accountIds: null }, () => Promise.resolve()),
      { code: 'ERR_ASSERTION' },
    );
  }
  await t.rejects(
    withTenant(pool, { customerId: 1, accountIds: [0] }, () => Promise.resolve()),
    {
      code: 'ERR_ASSERTION',
    },
  );
});

t.test('a connection that broke is replaced', async (t) => {
  const { owner, open } = await openDatabase(t);
  const ours = await seedTenant(owner, 'ours');
  const pool = open('milepost_api', 1);
  const backend = async (client: pg.ClientBase) => {
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    return rows[0]!.pid;
  };
  let first = 0;
  await t.rejects(
    withTenant(pool, all(ours), async (_db, client) => {
      first = await backend(client);
      await owner.query('select pg_terminate_backend($1, 5000)', [first]);
      await client.query('select 1');
    }),
  );
  const second = await withTenant(pool, all(ours), (_db, client) => backend(client));
  t.not(second, first);
});

t.test('the latest position follows its unit to another number and account', async (t) => {
  const { owner } = await openDatabase(t);
  const ours = await seedTenant(owner, 'ours');
  const [first, second] = ours.equipmentIds;
  const latest = async (equipmentId: number) => {
    const { rows } = await owner.query(
      'select unit_number, account_id::int from telematics where equipment_id = $1',
      [equipmentId],
    );
    return rows as unknown[];
  };
  const untouched = await latest(second);
  await owner.query(
    `update equipment set unit_number = 'renamed', account_id = null where equipment_id = $1`,
    [first],
  );
  t.same(await latest(first), [{ unit_number: 'renamed', account_id: null }]);
  t.same(await latest(second), untouched);
  await owner.query(
    'delete from equipment_has_iot_device; delete from activity_feed; delete from geofence_visit',
  );
  await owner.query('delete from equipment where equipment_id = $1', [first]);
  t.same(await latest(first), [], 'and goes with it');
});

t.test('a subject is known before its tenant is', async (t) => {
  const { owner, open } = await openDatabase(t);
  const ours = await seedTenant(owner, 'ours');
  await seedTenant(owner, 'theirs');
  const pool = open('milepost_api');
  const find = async (subject: string) =>
    (await pool.query('select * from auth_user_by_subject($1)', [subject])).rows as unknown[];
  const expected = {
    customer_id: ours.customerId,
    email: 'ours@example.com',
    role_name: 'dispatcher',
    role_permission: { equipment: ['read'] },
    assigned_account_ids: [],
  };
  t.match(await find(ours.subject), [expected]);
  t.equal((await find(ours.subject)).length, 1);
  t.same(await find('local|nobody'), []);
  await owner.query(`update customer set status = 'suspended'`);
  t.same(await find(ours.subject), [], 'not of a suspended tenant');
  await owner.query(`update customer set status = 'active'; update "user" set status = 'disabled'`);
  t.same(await find(ours.subject), [], 'not when disabled');
  await t.rejects(open('milepost_ingest').query(`select auth_user_by_subject('x')`), {
    code: '42501',
  });
});

t.test(
  'a device is seen with its unit, on the shelf by all, and so is what belongs to it',
  async (t) => {
    const { owner, open } = await openDatabase(t);
    const ours = await seedTenant(owner, 'ours');
    const pool = open('milepost_api');
    const held: Tenant = { customerId: ours.customerId, accountIds: [ours.firstAccountId] };
    const seen = (relation: string) =>
      withTenant(pool, held, async (_db, client) => {
        const { rows } = await client.query<{ iot_device_id: number }>(
          `select iot_device_id from ${relation} order by 1`,
        );
        return rows.map((row) => row.iot_device_id);
      });
    const { rows } = await owner.query<{ id: string }>(
      `select iot_device_id as id from equipment_has_iot_device h
     where h.customer_id = $1 order by array_position($2::bigint[], h.equipment_id)`,
      [ours.customerId, ours.equipmentIds],
    );
    const [first, second, common] = rows.map((row) => Number(row.id)) as [number, number, number];
    await owner.query(`update iot_device_event set equipment_id = null`);
    for (const relation of ['iot_device', 'iot_device_command', 'iot_device_event']) {
      t.same(await seen(relation), [first, common], relation);
    }
    await owner.query(
      'update equipment_has_iot_device set removed_at = now() where iot_device_id = $1',
      [second],
    );
    for (const relation of ['iot_device', 'iot_device_command', 'iot_device_event']) {
      t.same(await seen(relation), [first, second, common], `${relation}, taken off`);
    }
  },
);

t.test('a token that is set moves the one before aside for as long as is said', async (t) => {
  const { owner, open } = await openDatabase(t);
  const ours = await seedTenant(owner, 'ours');
  const pool = open('milepost_api');
  const set = async (assignments: string) => {
    await withTenant(pool, all(ours), (_db, client) =>
      client.query(`update iot_device set ${assignments} where device_identifier = 'ours-0'`),
    );
    const { rows } = await owner.query<Record<string, unknown>>(
      `select (select n from unnest(array['a', 'b', 'c']) n where token_hash = sha256(n::bytea)) as now,
              (select n from unnest(array['a', 'b', 'c']) n where previous_token_hash = sha256(n::bytea)) as before,
              previous_token_until is not null as until, token_changed_at is not null as changed, version
       from iot_device where device_identifier = 'ours-0'`,
    );
    return rows[0];
  };
  const hash = (name: string) => `token_hash = sha256('${name}')`;
  const soon = `previous_token_until = now() + interval '1 hour'`;
  const none = 'previous_token_until = null';
  const state = (now: string | null, before: string | null, version: number) => ({
    now,
    before,
    until: before !== null,
    changed: now !== null,
    version,
  });
  t.same(await set(`status = 'active'`), state(null, null, 2), 'nothing to do with tokens');
  t.same(await set(`${hash('a')}, ${soon}`), state('a', null, 3), 'the first has none before it');
  t.same(await set(`${hash('b')}, ${soon}`), state('b', 'a', 4), 'both hold');
  t.same(await set(`status = 'active'`), state('b', 'a', 5));
  t.same(await set(`${hash('c')}, ${soon}`), state('c', 'b', 6), 'the first of three is gone');
  t.same(await set(hash('a')), state('a', null, 7), 'what was said before is not said again');
  const past = `previous_token_until = now() - interval '1 second'`;
  t.same(await set(`${hash('b')}, ${past}`), state('b', null, 8), 'the past is at once');
  t.same(await set(`${hash('c')}, ${soon}`), state('c', 'b', 9));
  t.same(await set(`token_hash = null, ${none}`), state(null, null, 10), 'taken away with all');
  await t.rejects(set(`previous_token_hash = sha256('a')`), { code: '42501' });
});
