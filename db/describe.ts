/** What a migrated database holds, read from its catalog: tables, views, columns, keys, and what row-level security says. */
import type pg from 'pg';

export interface ForeignKey {
  readonly columns: readonly string[];
  readonly references: { readonly table: string; readonly columns: readonly string[] };
}

export interface Policy {
  readonly name: string;
  readonly permissive: boolean;
  readonly using: string | null;
  readonly check: string | null;
}

export interface Relation {
  readonly table: string;
  readonly kind: 'table' | 'partitioned table' | 'view' | 'materialized view';
  readonly columns: readonly { name: string; type: string; nullable: boolean }[];
  readonly primary_key: readonly string[];
  /** Columns of each unique key, the primary one too. Keys over a part of the rows are in `partial_unique`. */
  readonly unique: readonly (readonly string[])[];
  readonly partial_unique: readonly (readonly string[])[];
  readonly foreign_keys: readonly ForeignKey[];
  /** Row-level security is in force, for the owner as well. */
  readonly rls: boolean;
  readonly policies: readonly Policy[];
}

const RELATIONS = `
  select c.relname as "table",
    case c.relkind when 'r' then 'table' when 'p' then 'partitioned table' when 'v' then 'view' else 'materialized view' end as kind,
    (select json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
        'nullable', not a.attnotnull) order by a.attnum)
      from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
    coalesce((select column_names(i.indrelid, i.indkey) from pg_index i where i.indrelid = c.oid and i.indisprimary), '[]') as primary_key,
    coalesce((select json_agg(column_names(i.indrelid, i.indkey) order by i.indexrelid) from pg_index i
      where i.indrelid = c.oid and i.indisunique and i.indpred is null and i.indexprs is null), '[]') as "unique",
    coalesce((select json_agg(column_names(i.indrelid, i.indkey) order by i.indexrelid) from pg_index i
      where i.indrelid = c.oid and i.indisunique and i.indpred is not null and i.indexprs is null), '[]') as partial_unique,
    coalesce((select json_agg(json_build_object('columns', column_names(f.conrelid, f.conkey), 'references',
        json_build_object('table', (select relname from pg_class where oid = f.confrelid),
          'columns', column_names(f.confrelid, f.confkey))) order by f.conname)
      from pg_constraint f where f.conrelid = c.oid and f.contype = 'f'), '[]') as foreign_keys,
    c.relrowsecurity and c.relforcerowsecurity as rls,
    coalesce((select json_agg(json_build_object('name', p.polname, 'permissive', p.polpermissive,
        'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid)) order by p.polname)
      from pg_policy p where p.polrelid = c.oid), '[]') as policies
  from pg_class c
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
    and c.relname <> 'schema_migration'
    and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
  order by c.relname`;

// Of this session alone. Columns of an index or a key by name, in its order.
const COLUMN_NAMES = `
  create function pg_temp.column_names(relation oid, numbers smallint[]) returns json language sql stable as $$
    select coalesce(json_agg(a.attname order by k.place), '[]') from unnest(numbers) with ordinality k (number, place)
    join pg_attribute a on a.attrelid = relation and a.attnum = k.number $$`;

/** Reads the catalog of a database, all of our relations by name. The connection must not be in a transaction. */
export async function describeDatabase(client: pg.ClientBase): Promise<Relation[]> {
  await client.query('begin');
  try {
    await client.query(COLUMN_NAMES);
    const text = RELATIONS.replaceAll(
      /column_names\((\w+\.\w+), (\w+\.\w+)\)/g,
      'pg_temp.column_names($1, $2::smallint[])',
    );
    const { rows } = await client.query<Relation>(text);
    return rows;
  } finally {
    await client.query('rollback');
  }
}
