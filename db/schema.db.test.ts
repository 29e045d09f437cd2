/** Holds `schema.ts` against a migrated database, column by column and both ways. */
import { getTableConfig, getViewConfig, PgTable, PgView } from 'drizzle-orm/pg-core';
import pg from 'pg';
import t from 'tap';
import * as schema from './schema.ts';
import { createTestDatabase } from './test-database.ts';

interface Column {
  type: string;
  notNull: boolean;
  /** The database fills it in when an insert leaves it out. */
  filledIn: boolean;
}

type Relations = Record<string, Record<string, Column>>;

// A view's columns carry no NOT NULL in the catalog: they have that of the table column they show.
const VIEW_TABLES: Record<string, string[]> = {
  tenant_gps_location: ['equipment_has_iot_device', 'equipment', 'equipment_gps_location'],
  tenant_device_metric: ['equipment_has_iot_device', 'equipment', 'iot_device_metric'],
};

async function relationsInDatabase(client: pg.Client): Promise<Relations> {
  const { rows } = await client.query<Column & { relation: string; name: string }>(`
    select c.relname as relation, a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
           a.attnotnull as "notNull", a.atthasdef or a.attidentity <> '' as "filledIn"
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
      and not c.relispartition and c.relname <> 'schema_migration'
      and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')`);
  const relations: Relations = {};
  for (const { relation, name, ...column } of rows) (relations[relation] ??= {})[name] = column;
  for (const [view, tables] of Object.entries(VIEW_TABLES)) {
    for (const [name, column] of Object.entries(relations[view] ?? {})) {
      const source = tables.map((table) => relations[table]?.[name]).find((found) => found);
      if (source !== undefined) column.notNull = source.notNull;
    }
  }
  return relations;
}

function relationsInCode(exports: Record<string, unknown>): Relations {
  const relations: Relations = {};
  for (const value of Object.values(exports)) {
    if (value instanceof PgTable) {
      const { name, columns, primaryKeys } = getTableConfig(value);
      const keys = new Set(primaryKeys.flatMap((key) => key.columns.map((column) => column.name)));
      relations[name] = {};
      for (const column of columns) {
        relations[name][column.name] = {
          type: catalogType(column),
          notNull: column.notNull || keys.has(column.name),
          filledIn:
            column.hasDefault ||
            column.generatedIdentity !== undefined ||
            column.generated !== undefined,
        };
      }
    } else if (value instanceof PgView) {
      const { name, selectedFields } = getViewConfig(value as PgView);
      relations[name] = {};
      for (const field of Object.values(selectedFields)) {
        const column = field as { name: string; notNull: boolean; getSQLType(): string };
        const { notNull } = column;
        relations[name][column.name] = { type: catalogType(column), notNull, filledIn: false };
      }
    }
  }
  return relations;
}

/** Drizzle writes numeric(14, 2) and varchar(9), the catalog numeric(14,2) and character varying(9). */
function catalogType(column: { getSQLType(): string }): string {
  return column
    .getSQLType()
    .replace(', ', ',')
    .replace(/^varchar/, 'character varying');
}

function differences(database: Relations, code: Relations): string[] {
  const found: string[] = [];
  for (const relation of new Set([...Object.keys(database), ...Object.keys(code)])) {
    const inDatabase = database[relation] ?? {};
    const inCode = code[relation] ?? {};
    for (const name of new Set([...Object.keys(inDatabase), ...Object.keys(inCode)])) {
      const left = describe(inDatabase[name]);
      const right = describe(inCode[name]);
      if (left !== right) found.push(`${relation}.${name}: database ${left}, code ${right}`);
    }
  }
  return found;
}

function describe(column: Column | undefined): string {
  if (column === undefined) return 'absent';
  const { type, notNull, filledIn } = column;
  return `${type}${notNull ? ' not null' : ''}${filledIn ? ' filled in' : ''}`;
}

t.test('schema.ts and the migrated database agree', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  t.teardown(() => client.end());
  const code = relationsInCode(schema);

  const database = await relationsInDatabase(client);
  // PostGIS, where the server offers it, brings this one itself.
  const offers = `select from pg_available_extensions where name = 'postgis'`;
  if ((await client.query(offers)).rowCount) {
    t.notOk(database['spatial_ref_sys'], 'left to PostGIS');
    database['spatial_ref_sys'] = code['spatial_ref_sys']!;
  }
  t.ok(Object.keys(database).length > 100, 'every table and view was read');
  t.same(differences(database, code), []);

  t.test('and a disagreement of any kind is found', async (t) => {
    await client.query(`
      begin;
      alter table equipment alter column vin set not null;
      alter table equipment drop column specifications;
      alter table geofence alter column radius_m type real;
      alter table account alter column status drop default;
      alter table customer add column fleet_size integer;
      create table surprise (surprise_id bigint);
      create view surprise_view as select 1 as one;`);
    const changed = { ...database, ...(await relationsInDatabase(client)) };
    await client.query('rollback');
    t.same(differences(changed, code).sort(), [
      'account.status: database text not null, code text not null filled in',
      'customer.fleet_size: database integer, code absent',
      'equipment.specifications: database absent, code jsonb not null filled in',
      'equipment.vin: database text not null, code text',
      'geofence.radius_m: database real, code double precision',
      'surprise.surprise_id: database bigint, code absent',
      'surprise_view.one: database integer, code absent',
    ]);
  });
});
