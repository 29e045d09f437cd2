/** Holds the migrated database against the list of relations that was specified, and against the rules of tenancy. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import t from 'tap';
import { describeDatabase, type Relation } from './describe.ts';
import { projectDir } from './project-dir.ts';
import { createTestDatabase } from './test-database.ts';

interface Specified {
  readonly table: string;
  readonly columns: readonly { name: string; flags?: readonly string[] }[];
}

const LIST = join(projectDir, '../shared/spec/tables.json');
const VIEWS = new Set(['global_search_view']);

/** Columns that are keys in the specification and have none here: one costs 4.6 µs a row where every fix goes in. */
const WITHOUT_KEY = new Set([
  'equipment_gps_location.equipment_has_iot_device_id',
  'iot_device_metric.equipment_has_iot_device_id',
  // The feed outlives what it tells of.
  'activity_feed.equipment_id',
  'activity_feed.account_id',
]);
/** Keys of another name or form than specified: time-series tables are keyed by device and instant. */
const OTHER_KEY = new Set(['equipment_gps_location', 'iot_device_metric']);
/** Tables between which no key can stand: they take rows at the pace of the fleet, or before the tenant is known. */
const WITHOUT_TENANT_KEY = new Set([
  'activity_feed',
  'iot_device_event',
  'ingest_reject',
  'knocking_device',
  // Its rows come at COMMIT, and wait for nothing that others hold.
  'record_change',
  'telemetry_change',
  'visit_revision',
]);
/** Keys to rows that are removed once in a while, from tables into which ingestion writes all the time. */
const WITHOUT_INDEX = ['geofence_visit (customer_id, account_id)'];
/** Written by ingestion alone, kept for a day, or of the store's own: nobody's acts. */
const WITHOUT_AUDIT = new Set([
  'activity_feed',
  'attachment_content',
  'telematics',
  'ingest_reject',
  'engine_state',
  'geofence_visit',
  'visit_revision',
  'iot_device_event',
  'knocking_device',
  'alert_type_lookup',
  'idempotency_key',
  'tenant_counter',
  'export_job',
]);

const { ownerUrl } = await createTestDatabase(t);
const client = new pg.Client({ connectionString: ownerUrl });
await client.connect();
t.teardown(() => client.end());
const relations = new Map((await describeDatabase(client)).map((one) => [one.table, one]));
const offersPostgis = await client.query(
  `select from pg_available_extensions where name = 'postgis'`,
);
const has = (relation: Relation, name: string) =>
  relation.columns.some((column) => column.name === name);
const tenantTables = [...relations.values()].filter(
  (relation) => relation.kind.endsWith('table') && has(relation, 'customer_id'),
);

const isHere = existsSync(LIST);
t.test(
  'every relation is there, with its columns and keys',
  { skip: isHere ? false : `${LIST} is not here` },
  (t) => {
    const list = JSON.parse(readFileSync(LIST, 'utf8')) as Specified[];
    const wrong = list.flatMap((one) => {
      const relation = relations.get(one.table);
      // Left to PostGIS where the server offers it.
      if (one.table === 'spatial_ref_sys' && offersPostgis.rowCount! > 0) return [];
      return relation
        ? one.columns.flatMap((column) => lacking(relation, column))
        : [`${one.table} is missing`];
    });
    t.same(wrong, []);
    t.equal(list.length, 89);
    t.end();
  },
);

function lacking(relation: Relation, { name, flags = [] }: Specified['columns'][number]): string[] {
  const full = `${relation.table}.${name}`;
  const column = relation.columns.find((one) => one.name === name);
  if (!column) return [`${full} is missing`];
  if (VIEWS.has(relation.table)) return [];
  const wrong: string[] = [];
  const isIn = (keys: readonly (readonly string[])[]) => keys.some((key) => key.includes(name));
  if (flags.includes('PK') && !isIn([relation.primary_key]) && !OTHER_KEY.has(relation.table)) {
    wrong.push(`${full} is not in the primary key`);
  }
  if (flags.includes('unique') && !isIn([...relation.unique, ...relation.partial_unique]))
    wrong.push(`${full} is not unique`);
  if (flags.includes('not_null') && column.nullable) wrong.push(`${full} may be null`);
  const refers = relation.foreign_keys.some((key) => key.columns.includes(name));
  if (flags.includes('FK') && !refers && !WITHOUT_KEY.has(full))
    wrong.push(`${full} refers to nothing`);
  return wrong;
}

t.test('no table of tenants stands open', (t) => {
  const wrong: string[] = [];
  for (const { table, rls, policies, columns } of tenantTables) {
    if (!rls) wrong.push(`${table}: row-level security is not in force`);
    const tenant = policies.find(({ name }) => name === 'tenant');
    if (!tenant?.using?.includes('app_customer_id') || !tenant.check?.includes('app_customer_id')) {
      wrong.push(`${table}: no policy of tenants for reading and writing`);
    }
    const hasAccount = columns.some(({ name }) => name === 'account_id');
    const isHeld = policies.some(
      ({ permissive, using }) => !permissive && using?.includes('app_account_ids'),
    );
    if (hasAccount && !isHeld) wrong.push(`${table}: no policy of accounts`);
  }
  t.same(wrong, []);
  t.ok(tenantTables.length > 60, `${tenantTables.length} tables were looked at`);
  t.end();
});

t.test('keys between tables of tenants carry the tenant', (t) => {
  const wrong: string[] = [];
  let looked = 0;
  for (const relation of tenantTables) {
    const own = relation.columns.find(({ name }) => name === 'customer_id')!;
    for (const key of relation.foreign_keys) {
      const target = relations.get(key.references.table)!;
      const theirs = target.columns.find(({ name }) => name === 'customer_id');
      if (!theirs || theirs.nullable || target.table === 'customer') continue;
      looked += 1;
      if (!key.columns.includes('customer_id'))
        wrong.push(`${relation.table} (${key.columns.join(', ')})`);
    }
    const refers = relation.foreign_keys.some(
      (key) => key.references.table === 'customer' || key.columns.includes('customer_id'),
    );
    if (
      !refers &&
      !own.nullable &&
      relation.table !== 'customer' &&
      !WITHOUT_TENANT_KEY.has(relation.table)
    ) {
      wrong.push(`${relation.table}: customer_id refers to nothing`);
    }
  }
  t.same(wrong, []);
  t.ok(looked > 100, `${looked} keys were looked at`);
  t.end();
});

t.test('what refers to rows that can be removed is found by an index', async (t) => {
  const { rows } = await client.query<{ key: string; isServed: boolean }>(`
    with key as (
      select c.conrelid, c.confrelid, array_agg(a.attname::text order by k.place) as columns
      from pg_constraint c
      cross join unnest(c.conkey) with ordinality k (number, place)
      join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.number
      where c.contype = 'f' and c.conparentid = 0 and c.connamespace = 'public'::regnamespace
        and (has_table_privilege('milepost_api', c.confrelid, 'delete')
             or has_table_privilege('milepost_ingest', c.confrelid, 'delete'))
      group by c.oid
    ), served as (
      select i.indrelid, pg_get_expr(i.indpred, i.indrelid) as predicate,
        array(select coalesce(a.attname::text, '') from unnest(i.indkey::smallint[]) with ordinality k (number, place)
              left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number order by k.place) as columns
      from pg_index i
      join pg_class c on c.oid = i.indexrelid
      join pg_am m on m.oid = c.relam and m.amname in ('btree', 'gist')
    )
    select format('%s (%s)', key.conrelid::regclass, array_to_string(key.columns, ', ')) as key,
      exists (
        select from served s
        where s.indrelid = key.conrelid and (s.predicate is null or s.predicate ~ '^\\(\\w+ IS NOT NULL\\)$')
          and s.columns[1] = any (key.columns)
          -- The tenant alone tells nothing.
          and (s.columns[1] <> 'customer_id' or cardinality(key.columns) = 1 or s.columns[2] = any (key.columns))
      ) as "isServed"
    from key order by 1`);
  t.ok(rows.length > 60, `${rows.length} keys were looked at`);
  t.same(
    rows.filter(({ isServed }) => !isServed).map(({ key }) => key),
    [...WITHOUT_INDEX],
  );
});

t.test('whatever the API writes leaves a trail', async (t) => {
  const { rows } = await client.query<{ name: string }>(`
    select c.relname as name from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
      and (has_any_column_privilege('milepost_api', c.oid, 'insert') or has_any_column_privilege('milepost_api', c.oid, 'update'))
      and not exists (select from pg_trigger g where g.tgrelid = c.oid and g.tgname = 'audit') order by 1`);
  t.same(
    rows.map(({ name }) => name).filter((name) => !WITHOUT_AUDIT.has(name)),
    [],
  );
});
