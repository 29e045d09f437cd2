/** Whatever the database can refuse of a row names a field: every check, key and index of the migrated schema is tried. */
import pg from 'pg';
import t from 'tap';
import { createTestDatabase } from '../db/test-database.ts';
import { toProblem } from './problem-mapping.ts';

interface Rule {
  readonly table: string;
  readonly name: string;
  readonly type: 'c' | 'u' | 'f' | 'x';
  readonly columns: readonly string[];
  readonly key: readonly string[];
  /** Of the table. */
  readonly all: readonly string[];
}

const CODES = { c: '23514', u: '23505', f: '23503', x: '23P01' } as const;

/** The audit trail: what it refuses is answered with 500. */
const TRAIL = 'activity_feed';

/** Whose it is and its own id are not the caller's to write, so no refusal follows from them alone. */
function isGiven({ columns, key, type }: Rule): boolean {
  const others = columns.filter((name) => name !== 'customer_id');
  return others.length === 0 || (type === 'u' && key.every((name) => columns.includes(name)));
}

t.test('every rule of the database is told by a column of its table', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  t.teardown(() => client.end());
  const { rows } = await client.query<Rule>(
    `
    with rule as (
      select conrelid as relation, conname as name, contype::text as type, conkey::smallint[] as numbers
      from pg_constraint where contype in ('c', 'f', 'x')
      union all
      select indrelid, indexrelid::regclass::text, 'u', indkey::smallint[]
      from pg_index where indisunique and not indisprimary and not indisexclusion
    )
    select c.relname as table, rule.name, rule.type,
      array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum = any (rule.numbers)) as columns,
      array(select a.attname::text from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
            where i.indrelid = c.oid and i.indisprimary) as key,
      array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0) as all
    from rule join pg_class c on c.oid = rule.relation
    where c.relnamespace = 'public'::regnamespace and not c.relispartition and c.relname not in ($1, 'schema_migration')
      and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
    order by 1, 2`,
    [TRAIL],
  );
  const wrong = rows
    .filter((rule) => !isGiven(rule))
    .flatMap(({ table, name, type, columns, all }) => {
      const error = Object.assign(new Error('refused'), {
        code: CODES[type],
        table,
        constraint: name,
      });
      const named = toProblem(error).errors.map(({ pointer }) => pointer.slice(1));
      const isTold = named.length > 0 && named.every((column) => all.includes(column));
      return isTold ? [] : [`${name} of ${table} (${columns.join(', ')}): ${named.join(', ')}`];
    });
  t.same(wrong, []);
  t.ok(rows.length > 700, `${rows.length} rules were tried`);
});
