/**
 * The SELECT of a resource: what is shown, in which order, from where on. Composed of columns that the code names and of
 * parameters, and of nothing else.
 */
import { and, sql, type SQL } from 'drizzle-orm';
import { PgDialect, type PgTable } from 'drizzle-orm/pg-core';
import { ASIDE } from '../../db/json-rows.ts';
import type { Position } from '../pagination.ts';
import type { Field } from './fields.ts';
import type { SortKey } from './filters.ts';
import type { Reference, Resource } from './resource.ts';

const dialect = new PgDialect();

/** A statement as `pg` takes it. */
export interface Statement {
  readonly text: string;
  readonly values: unknown[];
}

export function toStatement(query: SQL): Statement {
  const { sql: text, params } = dialect.sqlToQuery(query);
  return { text, values: params };
}

/** The columns of a row: numbers of PostgreSQL's `numeric` come as numbers, for they are at most 15 digits long. */
export function projection(fields: Iterable<Field>): SQL {
  return sql.raw(Array.from(fields, shownText).join(', '));
}

/** Written once: a list has dozens of columns, and to write them anew took as long as to check a token. */
const shownTexts = new WeakMap<Field, string>();

function shownText(field: Field): string {
  const known = shownTexts.get(field);
  if (known !== undefined) return known;
  const { column, value, name } = field;
  const isNumeric = column.getSQLType().startsWith('numeric');
  const shown = sql`${isNumeric ? sql`${value}::float8` : value} as ${sql.identifier(name)}`;
  const { text } = toStatement(shown);
  shownTexts.set(field, text);
  return text;
}

export interface ListQuery {
  readonly fields: readonly Field[];
  readonly conditions: readonly SQL[];
  readonly sort: readonly SortKey[];
  /** Where the page before ended. */
  readonly after: Position | null;
  readonly rowsMax: number;
  /** Rows that are marked as deleted are shown as well. */
  readonly withDeleted: boolean;
}

/** The name under which the n-th part of a row's position is read. */
export function positionName(index: number): string {
  return `${ASIDE}${index}`;
}

/** One page of a list. */
export function selectPage(resource: Resource, list: ListQuery): SQL {
  const position = list.sort.map(
    ({ field }, index) => sql`${field.value}::text as ${sql.identifier(positionName(index))}`,
  );
  const where = and(
    ...list.conditions,
    hidesDeleted(resource, list.withDeleted),
    list.after ? isAfter(list.sort, list.after) : undefined,
  );
  const order = list.sort.map(({ field, isDescending }) =>
    isDescending ? sql`${field.value} desc` : field.value,
  );
  return sql`select ${projection(list.fields)}, ${sql.join(position, sql`, `)} from ${sourceOf(resource)}
    where ${where ?? sql`true`} order by ${sql.join(order, sql`, `)} limit ${list.rowsMax}`;
}

/** How many rows a list has, up to `rowsMax`. */
export function countPage(
  resource: Resource,
  { conditions, withDeleted, rowsMax }: Pick<ListQuery, 'conditions' | 'withDeleted' | 'rowsMax'>,
): SQL {
  const where = and(...conditions, hidesDeleted(resource, withDeleted)) ?? sql`true`;
  return sql`select count(*) as rows from (select from ${sourceOf(resource)} where ${where} limit ${rowsMax}) found`;
}

/** One row by its key, as it is shown; where rows have versions, that is beside it. */
export function selectShown(resource: Resource, key: string | number): SQL {
  const version = resource.fields.get('version');
  const aside = version && sql`, ${version.column}::text as ${sql.identifier(positionName(0))}`;
  const where = and(sql`${resource.key.column} = ${key}`, hidesDeleted(resource, false));
  return sql`select ${projection(resource.fields.values())}${aside} from ${sourceOf(resource)} where ${where}`;
}

/** How a row is held: for good, or for changes that leave its key alone, which do not hold up what refers to it. */
export type RowLock = 'update' | 'no key update';

/** One row by its key. */
export function selectRow(
  resource: Resource,
  key: string | number,
  options: { lock: RowLock | false },
): SQL {
  const lock =
    options.lock === false ? sql`` : sql`for ${sql.raw(options.lock)} of ${resource.table}`;
  const where = and(sql`${resource.key.column} = ${key}`, hidesDeleted(resource, false));
  return sql`select ${projection(resource.fields.values())} from ${sourceOf(resource)} where ${where} ${lock}`;
}

/** What rows are read from. */
function sourceOf({ table, joined }: Resource): SQL {
  return joined ? sql`${table} left join ${joined.table} on ${joined.on}` : sql`${table}`;
}

function hidesDeleted(resource: Resource, withDeleted: boolean): SQL | undefined {
  if (withDeleted) return undefined;
  const { table, isEvidence, parents } = resource;
  return and(isEvidence ? sql`${table}.deleted_at is null` : undefined, areThere(table, parents));
}

/** What a row is a part of is there, and so on upwards. */
function areThere(table: PgTable, parents: readonly Reference[]): SQL | undefined {
  return and(
    ...parents.map((parent) => isThere(parent, sql`${table}.${sql.identifier(parent.name)}`)),
  );
}

/** The row that is referred to is there, and neither it nor what it is a part of is marked as deleted. */
export function isThere(reference: Reference, value: unknown): SQL {
  const { table, key } = reference;
  return sql`exists (select from ${table} where ${and(sql`${key.column} = ${value}`, isLiving(reference))})`;
}

/** Of many keys those whose rows are there, by the same measure. */
export function selectThere(reference: Reference, keys: readonly unknown[]): SQL {
  const { table, key } = reference;
  const where = and(sql`${key.column} in ${keys}`, isLiving(reference));
  return sql`select ${key.column} as key from ${table} where ${where}`;
}

function isLiving({ table, isEvidence, parents }: Reference): SQL | undefined {
  return and(isEvidence ? sql`${table}.deleted_at is null` : undefined, areThere(table, parents));
}

/**
 * Rows that come after a position. Where all columns run one way and none is ever null it is one comparison of rows,
 * which an index serves; otherwise a ladder of comparisons, in which null is the greatest, as PostgreSQL sorts it.
 */
function isAfter(sort: readonly SortKey[], after: Position): SQL {
  const values = after.map((value, index) => cast(sort[index]!.field, value));
  const isUniform = sort.every(
    ({ field, isDescending }) => !field.isNullable && isDescending === sort[0]!.isDescending,
  );
  if (isUniform) {
    const columns = sql.join(
      sort.map(({ field }) => field.value),
      sql`, `,
    );
    const given = sql.join(values, sql`, `);
    return sort[0]!.isDescending ? sql`(${columns}) < (${given})` : sql`(${columns}) > (${given})`;
  }
  return ladder(sort, after, values, 0);
}

function ladder(
  sort: readonly SortKey[],
  after: Position,
  values: readonly SQL[],
  index: number,
): SQL {
  const { field, isDescending } = sort[index]!;
  const column = field.value;
  const value = values[index]!;
  const isNull = after[index] === null;
  const beyond = isNull
    ? isDescending
      ? sql`${column} is not null`
      : sql`false`
    : isDescending
      ? sql`${column} < ${value}`
      : field.isNullable
        ? sql`(${column} > ${value} or ${column} is null)`
        : sql`${column} > ${value}`;
  if (index === sort.length - 1) return beyond;
  const same = isNull ? sql`${column} is null` : sql`${column} = ${value}`;
  return sql`(${beyond} or (${same} and ${ladder(sort, after, values, index + 1)}))`;
}

const CASTS: Readonly<Record<string, SQL>> = {
  integer: sql`::bigint`,
  boolean: sql`::boolean`,
  date: sql`::date`,
  instant: sql`::timestamptz`,
};

function cast(field: Field, value: string | number | null): SQL {
  if (field.kind !== 'number') return sql`${value}${CASTS[field.kind] ?? sql`::text`}`;
  return field.column.getSQLType().startsWith('numeric')
    ? sql`${value}::numeric`
    : sql`${value}::float8`;
}
