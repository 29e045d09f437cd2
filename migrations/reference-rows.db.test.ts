/**
 * The rows that lookup tables are shipped with; and that every column of the database that holds one of a closed set has
 * the same set as its CHECK, as its words in simple_field_lookup, and as the enum in `db/schema.ts`.
 */
import { getTableConfig, PgArray, PgTable } from 'drizzle-orm/pg-core';
import type pg from 'pg';
import t from 'tap';
import { createPool } from '../db/pools.ts';
import * as schema from '../db/schema.ts';
import { withTenant } from '../db/tenancy.ts';
import { connectTestClient, createTestDatabase } from '../db/test-database.ts';
import { seedTenant } from '../db/test-tenant.ts';

/** Codes by table.column. */
type Sets = Record<string, string[]>;

const { ownerUrl } = await createTestDatabase(t);
const owner = await connectTestClient(t, ownerUrl);

async function one(sql: string): Promise<Record<string, unknown> | undefined> {
  const { rows } = await owner.query<Record<string, unknown>>(sql);
  return rows[0];
}

/** `(status = ANY (ARRAY['a'::text, 'b'::text]))`, or `(status = 'a'::text)` of a set of one. */
const CLOSED = /^CHECK \(\((\w+|"\w+") = (?:ANY \(ARRAY\[(.+)\]\)|('(?:[^']|'')+'::text))\)\)$/;
/** Of an array, each of whose elements is one of a set. */
const CLOSED_LIST = /\w+ <@ ARRAY\[([^\]]+)\]/;
const CODE = /'((?:[^']|'')*)'::text/g;

/** The codes of a CHECK over one column; `null` where it holds no closed set. Throws for a set in another form. */
function codesOf(definition: string): string[] | null {
  const closed = CLOSED.exec(definition);
  const text = closed ? (closed[2] ?? closed[3]!) : CLOSED_LIST.exec(definition)?.[1];
  if (text !== undefined) {
    return [...text.matchAll(CODE)].map(([, code]) => code!.replaceAll("''", "'"));
  }
  if (/ = ANY \(|<> ALL \(/.test(definition)) throw new Error(`cannot read ${definition}`);
  return null;
}

async function setsOfChecks(client: pg.ClientBase): Promise<Sets> {
  const { rows } = await client.query<{ field: string; definition: string }>(`
    select r.relname || '.' || a.attname as field, pg_get_constraintdef(c.oid) as definition
    from pg_constraint c
    join pg_class r on r.oid = c.conrelid
    join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
    where c.contype = 'c' and cardinality(c.conkey) = 1 and r.relnamespace = 'public'::regnamespace
      and not r.relispartition and not exists (select from pg_depend d where d.objid = r.oid and d.deptype = 'e')
    order by 1`);
  const sets: Sets = {};
  for (const { field, definition } of rows) {
    const codes = codesOf(definition);
    if (codes !== null) sets[field] = codes.sort();
  }
  return sets;
}

async function setsOfWords(client: pg.ClientBase): Promise<Sets> {
  const { rows } = await client.query<{ field: string; codes: string[] }>(`
    select field_name as field, array_agg(field_code) as codes from simple_field_lookup group by 1 order by 1`);
  return Object.fromEntries(rows.map(({ field, codes }) => [field, codes.sort()]));
}

function setsOfEnums(): Sets {
  const sets: Sets = {};
  for (const table of Object.values<unknown>(schema)) {
    if (!(table instanceof PgTable)) continue;
    const { name, columns } = getTableConfig(table);
    for (const column of columns) {
      const { enumValues } = column instanceof PgArray ? column.baseColumn : column;
      if (enumValues?.length) sets[`${name}.${column.name}`] = [...enumValues].sort();
    }
  }
  return sets;
}

/** What one has and the other has not, in words. */
function differences(left: Sets, right: Sets, [leftName, rightName]: [string, string]): string[] {
  const fields = [...new Set([...Object.keys(left), ...Object.keys(right)])].sort();
  return fields.flatMap((field) => {
    const [ours, theirs] = [left[field]?.join() ?? 'none', right[field]?.join() ?? 'none'];
    return ours === theirs ? [] : [`${field}: ${leftName} ${ours}, ${rightName} ${theirs}`];
  });
}

t.test('closed sets: CHECK, words and enum are the same', async (t) => {
  const checks = await setsOfChecks(owner);
  const words = await setsOfWords(owner);
  t.ok(Object.keys(checks).length > 35, `${Object.keys(checks).length} columns were read`);
  t.same(checks['telematic_alert.operator']?.length, 8);
  t.same(differences(checks, words, ['CHECK', 'words']), []);
  t.same(differences(checks, setsOfEnums(), ['CHECK', 'enum']), []);

  t.test('and a disagreement is found', async (t) => {
    await owner.query(`
      begin;
      delete from simple_field_lookup where field_name = 'user.status' and field_code = 'disabled';
      insert into simple_field_lookup (field_name, field_code, short_description) values ('no.such', 'x', 'X');
      alter table account drop constraint account_account_type_check;
      alter table tag_lookup add column shade text check (shade in ('light'));
      alter table facility_lookup drop constraint facility_lookup_facility_type_check,
        add check (facility_type in ('yard', 'it''s'));`);
    const [changed, said] = [await setsOfChecks(owner), await setsOfWords(owner)];
    await owner.query('rollback');
    t.same(differences(changed, said, ['CHECK', 'words']), [
      'account.account_type: CHECK none, words NATIONAL,REGIONAL',
      "facility_lookup.facility_type: CHECK it's,yard, words office,shop,terminal,vendor,yard",
      'no.such: CHECK none, words x',
      'tag_lookup.shade: CHECK light, words none',
      'user.status: CHECK active,disabled,pending_approval,rejected, words active,pending_approval,rejected',
    ]);
    t.same(differences(changed, setsOfEnums(), ['CHECK', 'enum']), [
      'account.account_type: CHECK none, enum NATIONAL,REGIONAL',
      "facility_lookup.facility_type: CHECK it's,yard, enum office,shop,terminal,vendor,yard",
      'tag_lookup.shade: CHECK light, enum none',
    ]);
    t.throws(() => codesOf("CHECK (((a IS NULL) OR (a = ANY (ARRAY['b'::text]))))"), /cannot read/);
    t.equal(codesOf('CHECK ((labor_cost >= (0)::numeric))'), null);
  });
});

t.test('every word says something', async (t) => {
  const { rows } = await owner.query(`
    select field_name, field_code from simple_field_lookup
    where long_description = '' or long_description = short_description or sort_order < 1`);
  t.same(rows, []);
  const twice = await owner.query(
    'select field_name, sort_order from simple_field_lookup group by 1, 2 having count(*) > 1',
  );
  t.same(twice.rows, [], 'each has a place of its own');
});

t.test('countries of ISO 3166-1', async (t) => {
  t.same(await one('select count(*)::integer as rows from country_lookup'), { rows: 249 });
  const { rows } = await owner.query(`
    select country_code, country_code_alpha3, country_code_numeric, country_name from country_lookup
    where country_code in ('AX', 'DE', 'GB', 'MX', 'TR', 'US', 'XK', 'ZW') order by 1`);
  t.same(
    rows.map((row) => Object.values(row as object).join()),
    [
      'AX,ALA,248,Åland Islands',
      'DE,DEU,276,Germany',
      'GB,GBR,826,United Kingdom',
      'MX,MEX,484,Mexico',
      'TR,TUR,792,Türkiye',
      'US,USA,840,United States',
      'ZW,ZWE,716,Zimbabwe',
    ],
    'XK is no code of the standard',
  );
});

t.test('currencies of ISO 4217', async (t) => {
  t.same(
    await one(`select count(*)::integer as rows, count(*) filter (where status = 'active')::integer as active
      from currency_lookup`),
    { rows: 178, active: 165 },
  );
  const digits = async (count: number) =>
    (await one(`select string_agg(currency_code, ' ' order by currency_code) as codes from currency_lookup
      where status = 'active' and minor_unit_digits = ${count}`))!['codes'];
  t.equal(await digits(0), 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF');
  t.equal(await digits(1), null);
  t.equal(await digits(3), 'BHD IQD JOD KWD LYD OMR TND');
  t.equal(await digits(4), 'CLF UYW');
  t.match(await one(`select * from currency_lookup where currency_code = 'USD'`), {
    currencytype: 'US Dollar',
    currency_code_numeric: '840',
    minor_unit_digits: 2,
  });
  const { rows } = await owner.query(`
    select currency_code from currency_lookup
    where currency_code in ('ANG', 'BGN', 'HRK', 'XCG', 'ZWL', 'ZWG') order by 1`);
  t.same(rows, [{ currency_code: 'XCG' }, { currency_code: 'ZWG' }], 'no withdrawn ones');
  t.match(await one(`select status from currency_lookup where currency_code = 'XAU'`), {
    status: 'disabled',
  });
});

t.test('the other lists', async (t) => {
  const least: Record<string, number> = {
    uom_lookup: 90,
    equipment_type_lookup: 70,
    tire_size_lookup: 50,
    service_urgency_lookup: 6,
    service_urgency_type_lookup: 15,
    service_issues_lookup: 55,
    contract_type_lookup: 20,
    oem_lookup: 80,
    oem_make_model_lookup: 150,
    delivery_method_lookup: 5,
    vmrs_lookup: 45,
    alert_category_lookup: 9,
    alert_type_lookup: 40,
    geofence_event_type_lookup: 4,
    iot_device_vendor_lookup: 35,
  };
  for (const [table, rows] of Object.entries(least)) {
    const found = (await one(`select count(*)::integer as rows from ${table}`))!['rows'];
    t.ok((found as number) >= rows, `${table}: ${String(found)}`);
  }
  t.same(
    (
      await owner.query(`select vmrs_code, vmrs_level from vmrs_lookup
      where vmrs_code in ('013', '043-001', '043-001-053') order by 1`)
    ).rows,
    [
      { vmrs_code: '013', vmrs_level: 'system' },
      { vmrs_code: '043-001', vmrs_level: 'assembly' },
      { vmrs_code: '043-001-053', vmrs_level: 'component' },
    ],
  );
  const orphans = await owner.query(`
    select v.vmrs_code from vmrs_lookup v where v.vmrs_level <> 'system'
      and not exists (select from vmrs_lookup p where p.vmrs_code = left(v.vmrs_code, -4))`);
  t.same(orphans.rows, [], 'every VMRS code has the one above it');
  const unknown = await owner.query(`
    select user_metric_code from user_metric_lookup m where user_metric_type not in ('date_format', 'time_format')
      and not exists (select from uom_lookup u where u.uom_code = m.user_metric_code)`);
  t.same(unknown.rows, [], 'every unit to choose is a unit');
  const choices = await one(`select count(distinct user_metric_type)::integer as types,
      count(*) filter (where is_default)::integer as defaults from user_metric_lookup`);
  t.same(choices, { types: 8, defaults: 8 }, 'one default each');
});

t.test('what belongs to everyone is read by a tenant, and changed by none', async (t) => {
  const ours = await seedTenant(owner, 'ours');
  const theirs = await seedTenant(owner, 'theirs');
  const pool = createPool({
    connectionString: ownerUrl,
    role: 'milepost_api',
    max: 1,
    applicationName: 'test',
    statementTimeoutMs: 10_000,
  });
  t.teardown(() => pool.end());
  const run = (customerId: number, sql: string) =>
    withTenant(pool, { customerId, accountIds: null }, (_db, client) => client.query(sql));
  const lists: [string, string, string][] = [
    [
      'equipment_type_lookup',
      'equipment_name',
      `equipment_type, equipment_name, equipment_class)
      values (CUSTOMER, 'dry_van_53', 'Ours', 'trailer'`,
    ],
    ['service_issues_lookup', 'type_name', `type_name) values (CUSTOMER, 'Ours'`],
    [
      'vmrs_lookup',
      'vmrs_description',
      `vmrs_code, vmrs_description) values (CUSTOMER, '017', 'Ours'`,
    ],
    [
      'alert_type_lookup',
      'event_name',
      `alert_category_lookup_id, event_name, event_type, operation_type)
      values (CUSTOMER, 1, 'Ours', 'metric', 'number'`,
    ],
  ];
  for (const [table, name, values] of lists) {
    const shared = (await one(
      `select count(*)::integer as rows from ${table} where customer_id is null`,
    ))!['rows'];
    const insert = `insert into ${table} (customer_id, ${values.replace('CUSTOMER', String(ours.customerId))})`;
    await run(ours.customerId, insert);
    await t.rejects(
      run(theirs.customerId, insert),
      /row-level security/,
      `${table}: not in our name`,
    );
    await t.rejects(
      run(ours.customerId, insert.replace(`(${ours.customerId},`, '(null,')),
      /row-level security/,
      `${table}: not for everyone`,
    );
    const seen = await run(ours.customerId, `select from ${table} where customer_id is null`);
    t.equal(seen.rowCount, shared, `${table}: all are read`);
    for (const change of [
      `update ${table} set ${name} = 'stolen' where customer_id is null`,
      `update ${table} set customer_id = ${ours.customerId}, ${name} = ${name} || '!' where customer_id is null`,
      `delete from ${table} where customer_id is null`,
      `delete from ${table} where customer_id = ${theirs.customerId}`,
    ]) {
      t.equal((await run(ours.customerId, change)).rowCount, 0, change);
    }
    const change = `update ${table} set ${name} = 'Ours, changed' where ${name} = 'Ours'`;
    t.equal((await run(ours.customerId, change)).rowCount, 1, `${table}: its own are changed`);
    t.equal(
      (await run(theirs.customerId, `select from ${table} where ${name} like 'Ours%'`)).rowCount,
      0,
    );
    t.equal(
      (await run(ours.customerId, `delete from ${table} where ${name} = 'Ours, changed'`)).rowCount,
      1,
    );
  }
  for (const table of ['country_lookup', 'currency_lookup', 'simple_field_lookup', 'oem_lookup']) {
    t.ok((await run(ours.customerId, `select from ${table}`)).rowCount, table);
    await t.rejects(run(ours.customerId, `delete from ${table}`), /permission denied/);
  }

  const { rows } = await owner.query<{ id: string }>(
    `select alert_type_lookup_id as id from alert_type_lookup where customer_id = ${theirs.customerId}`,
  );
  await t.rejects(
    run(ours.customerId, `update telematic_alert set alert_type_lookup_id = ${rows[0]!.id}`),
    { cause: undefined, code: '23503' },
    'a rule refers to no alert type of another tenant',
  );
});

t.test('coordinate systems, unless PostGIS brings its own', async (t) => {
  const postgis = await one(`select from pg_available_extensions where name = 'postgis'`);
  const table = await one(`select to_regclass('public.spatial_ref_sys') is not null as made`);
  t.same(table, { made: postgis === undefined });
  if (postgis) return;
  const { rows } =
    await owner.query(`select srid, auth_name, auth_srid, left(srtext, 16) as srtext, proj4text,
      right(srtext, 22) as authority, has_table_privilege('milepost_api', 'spatial_ref_sys', 'select') as is_read
    from spatial_ref_sys order by srid`);
  t.match(rows, [
    {
      srid: 3857,
      auth_srid: 3857,
      srtext: 'PROJCS["WGS 84 /',
      authority: 'AUTHORITY["EPSG","3857"]]'.slice(-22),
      proj4text: /^\+proj=merc \+a=6378137 .* \+units=m \+nadgrids=@null \+wktext \+no_defs$/,
      is_read: true,
    },
    {
      srid: 4326,
      auth_srid: 4326,
      srtext: 'GEOGCS["WGS 84",',
      authority: 'AUTHORITY["EPSG","4326"]]'.slice(-22),
      proj4text: '+proj=longlat +datum=WGS84 +no_defs',
      is_read: true,
    },
  ]);
});
