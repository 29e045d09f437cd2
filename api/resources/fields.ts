/**
 * From a column of the database to a field of the API: its kind, and the schema of its value. Knows no resource; a
 * declaration says what the type of a column leaves open.
 */
import { getTableColumns, sql, type SQL } from 'drizzle-orm';
import { getTableConfig, type PgColumn, type PgTable } from 'drizzle-orm/pg-core';
import { Type, type TSchema } from 'typebox';
import {
  Id,
  Instant,
  LatDeg,
  LonDeg,
  Name,
  oneOf,
  STORABLE,
  storedWord,
  Text,
  TEXT_LENGTH_MAX,
} from '../schemas.ts';

/** What a column holds, as far as filters, exports and schemas care. */
export type FieldKind =
  'text' | 'word' | 'integer' | 'number' | 'boolean' | 'date' | 'instant' | 'list' | 'json';

/** Elements of an array column. */
export const LIST_ITEMS_MAX = 1_000;
/** Members of a JSON object of which nothing more is known, on every level, and its levels. */
export const JSON_MEMBERS_MAX = 100;
export const JSON_DEPTH_MAX = 4;
/** Integers of the database's `integer`. */
const INT4_MAX = 2_147_483_647;

/** A calendar day, `YYYY-MM-DD`. */
export const Day = Type.String({
  format: 'date',
  minLength: 10,
  maxLength: 10,
  pattern: '^(?!0000)',
});
/** An instant with its zone, of the years that PostgreSQL and RFC 3339 share in every zone, and a day before it as well. */
const WrittenInstant = Type.String({
  format: 'date-time',
  maxLength: 40,
  pattern: '^(?!0000|0001-01-0[12]|9999)\\d{4}-.*(Z|[+-](0\\d|1[0-4]):[0-5]\\d)$',
});

export interface Field {
  readonly name: string;
  readonly column: PgColumn;
  /** What is read in its place; the column itself, mostly. */
  readonly value: SQL;
  /** Where words are read in place of those of the column: the rows that show one, by word. */
  readonly words?: Readonly<Record<string, SQL>> | undefined;
  readonly kind: FieldKind;
  readonly isNullable: boolean;
  /** Left out of an insert, the database fills it in. */
  readonly hasDefault: boolean;
  /** Nobody writes it. */
  readonly isGenerated: boolean;
}

/** The fields of a table, in the order of its columns. */
export function fieldsOf(table: PgTable): Field[] {
  const keys = new Set(
    getTableConfig(table).primaryKeys.flatMap((key) => key.columns.map((c) => c.name)),
  );
  return Object.values(getTableColumns(table)).map((column) => ({
    ...fieldOf(column),
    isNullable: !column.notNull && !keys.has(column.name),
  }));
}

/** A column of another table that not every row has a partner in. */
export function joinedField(column: PgColumn): Field {
  return { ...fieldOf(column), isNullable: true, hasDefault: false };
}

function fieldOf(column: PgColumn): Field {
  return {
    name: column.name,
    column,
    value: sql`${column}`,
    kind: kindOf(column),
    isNullable: !column.notNull,
    hasDefault: column.hasDefault,
    isGenerated: column.generated !== undefined,
  };
}

/** The name of the column that is the table's key; tables with a key of several columns give none. */
export function keyNameOf(table: PgTable): string | undefined {
  return Object.values(getTableColumns(table)).find((column) => column.primary)?.name;
}

function kindOf(column: PgColumn): FieldKind {
  if (column.enumValues !== undefined && column.enumValues.length > 0) return 'word';
  const type = column.getSQLType();
  if (type.endsWith('[]')) return 'list';
  if (/^(bigint|integer|smallint)$/.test(type)) return 'integer';
  if (/^(numeric|double precision|real)/.test(type)) return 'number';
  if (type === 'boolean') return 'boolean';
  if (type === 'date') return 'date';
  if (type.startsWith('timestamp')) return 'instant';
  if (type === 'jsonb') return 'json';
  return 'text';
}

/** The schema of a value that callers send. `isLong` is for prose. */
export function writtenSchema(field: Field, isLong: boolean): TSchema {
  const { kind, name, column } = field;
  switch (kind) {
    case 'word':
      return oneOf(column.enumValues!);
    case 'boolean':
      return Type.Boolean();
    case 'date':
      return Day;
    case 'instant':
      return WrittenInstant;
    case 'integer':
      if (/_id$/.test(name)) return Id;
      return Type.Integer({ minimum: -INT4_MAX, maximum: INT4_MAX });
    case 'number':
      return numberSchema(field);
    case 'list':
      return Type.Array(column.getSQLType().startsWith('text') ? Name : Id, {
        maxItems: LIST_ITEMS_MAX,
        uniqueItems: true,
      });
    case 'json':
      return jsonSchema(JSON_DEPTH_MAX);
    case 'text':
      return isLong ? Text : Name;
  }
}

/** The schema of a value that is shown. */
export function shownSchema({ kind, column, name }: Field): TSchema {
  switch (kind) {
    case 'word':
      return storedWord(column.enumValues!);
    case 'boolean':
      return Type.Boolean();
    case 'date':
      return Type.String({ format: 'date' });
    case 'instant':
      return Instant;
    case 'integer':
      return /_id$/.test(name) ? Id : Type.Integer();
    case 'number':
      return Type.Number();
    case 'list':
      return Type.Array(column.getSQLType().startsWith('text') ? Type.String() : Id);
    case 'json':
      return Type.Unknown();
    case 'text':
      return Type.String();
  }
}

function numberSchema({ name, column }: Field): TSchema {
  if (/^(latitude|.*_latitude|.*_lat)$/.test(name)) return LatDeg;
  if (/^(longitude|.*_longitude|.*_lng)$/.test(name)) return LonDeg;
  const [, precision, scale] = /^numeric\((\d+), ?(\d+)\)$/.exec(column.getSQLType()) ?? [];
  if (precision === undefined || scale === undefined) return Type.Number();
  // Largest and finest that the column keeps: what would be rounded away is refused instead.
  const maximum = 10 ** (Number(precision) - Number(scale)) - 1;
  return Type.Number({ minimum: -maximum, maximum, multipleOf: Number(`1e-${scale}`) });
}

/** JSON of any members, bounded in every direction. */
function jsonSchema(depth: number): TSchema {
  const plain = {
    type: ['string', 'number', 'boolean', 'null'],
    maxLength: TEXT_LENGTH_MAX,
    pattern: STORABLE,
  };
  if (depth === 1)
    return Type.Unsafe({
      type: 'object',
      maxProperties: JSON_MEMBERS_MAX,
      additionalProperties: plain,
    });
  const inner = jsonSchema(depth - 1);
  const value = {
    anyOf: [
      plain,
      inner,
      { type: 'array', maxItems: JSON_MEMBERS_MAX, items: { anyOf: [plain, inner] } },
    ],
  };
  return Type.Unsafe({
    type: 'object',
    maxProperties: JSON_MEMBERS_MAX,
    additionalProperties: value,
  });
}
