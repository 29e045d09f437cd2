/**
 * `filter[field][op]=value` and `sort=-field,field`: from the text of a query to conditions. Fields come from the
 * resource, operators from the kind of the field, and values only ever as parameters.
 */
import { sql, type SQL } from 'drizzle-orm';
import { Type, type TSchema } from 'typebox';
import { instantMs } from '../instants.ts';
import { fieldProblem, type Problem } from '../problem.ts';
import { NAME_LENGTH_MAX } from '../schemas.ts';
import type { Field, FieldKind } from './fields.ts';
import type { Resource } from './resource.ts';

/** Values of `in`. */
export const FILTER_VALUES_MAX = 100;
/** Conditions of one request. */
export const FILTERS_MAX = 20;
/** Columns of one order, besides the key. */
export const SORT_FIELDS_MAX = 3;
/** Characters of one condition's text. */
export const FILTER_LENGTH_MAX = 2_000;

const RANGE = ['eq', 'ne', 'in', 'gt', 'gte', 'lt', 'lte', 'between', 'isnull'] as const;

/** Operators by the kind of a field. */
export const OPERATORS: Readonly<Record<FieldKind, readonly string[]>> = {
  text: ['eq', 'ne', 'in', 'contains', 'starts', 'isnull'],
  word: ['eq', 'ne', 'in', 'isnull'],
  integer: RANGE,
  number: RANGE,
  date: RANGE,
  instant: RANGE,
  boolean: ['eq', 'isnull'],
  list: ['has', 'any', 'isnull'],
  json: ['isnull'],
};

/** Kinds that an order can be by. */
const SORTABLE: ReadonlySet<FieldKind> = new Set([
  'text',
  'word',
  'integer',
  'number',
  'date',
  'instant',
  'boolean',
]);

const Condition = Type.String({ maxLength: FILTER_LENGTH_MAX });

/** Schemas of a field's conditions by its kind; registered with the server under their ids. */
export const FILTER_SCHEMAS: readonly TSchema[] = Object.entries(OPERATORS).map(
  ([kind, operators]) =>
    Type.Object(Object.fromEntries(operators.map((name) => [name, Type.Optional(Condition)])), {
      $id: filterId(kind as FieldKind),
      additionalProperties: false,
    }),
);

export function filterId(kind: FieldKind): string {
  return `${kind[0]!.toUpperCase()}${kind.slice(1)}Filter`;
}

/** A query's `filter`, as it has been validated: field → operator → text. */
export type FilterQuery = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** The conditions of a query. Throws 400 naming the condition whose text makes no value. */
export function readFilters(resource: Resource, query: FilterQuery | undefined): SQL[] {
  const conditions: SQL[] = [];
  for (const [name, operators] of Object.entries(query ?? {})) {
    const field = resource.fields.get(name)!;
    for (const [operator, text] of Object.entries(operators)) {
      conditions.push(conditionOf(field, operator, text, `/filter/${name}/${operator}`));
    }
  }
  if (conditions.length > FILTERS_MAX)
    throw refuse('/filter', `has more than ${FILTERS_MAX} conditions`);
  return conditions;
}

/** One condition. Throws 400 naming `pointer` where the text makes no value of the field. */
export function conditionOf(field: Field, operator: string, text: string, pointer: string): SQL {
  const { value } = field;
  const one = () => readValue(field, text, pointer);
  switch (operator) {
    case 'eq':
      return field.words ? showsWord(field, text, pointer) : sql`${value} = ${one()}`;
    case 'ne':
      return sql`${value} is distinct from ${one()}`;
    case 'gt':
      return sql`${value} > ${one()}`;
    case 'gte':
      return sql`${value} >= ${one()}`;
    case 'lt':
      return sql`${value} < ${one()}`;
    case 'lte':
      return sql`${value} <= ${one()}`;
    case 'contains':
      return sql`${value} ilike ${`%${escapeLike(readText(text, pointer))}%`}`;
    case 'starts':
      return sql`${value} ilike ${`${escapeLike(readText(text, pointer))}%`}`;
    case 'has':
      return sql`${value} @> array[${readElement(field, text, pointer)}]`;
    case 'any':
      return sql`${value} && array[${sql.join(readElements(field, text, pointer), sql`, `)}]`;
    case 'isnull':
      return readTruth(text, pointer) ? sql`${value} is null` : sql`${value} is not null`;
    case 'in':
      if (field.words) {
        const shown = wordsIn(text, pointer).map((word) => showsWord(field, word, pointer));
        return sql`(${sql.join(shown, sql` or `)})`;
      }
      return sql`${value} in ${readList(field, text, pointer)}`;
    default:
      return betweenOf(field, text, pointer);
  }
}

function betweenOf(field: Field, text: string, pointer: string): SQL {
  const [low, high, ...more] = text.split(',');
  if (low === undefined || high === undefined || more.length > 0) {
    throw refuse(pointer, 'must be two values with a comma between them');
  }
  const from = readValue(field, low, pointer);
  return sql`${field.value} between ${from} and ${readValue(field, high, pointer)}`;
}

function readList(field: Field, text: string, pointer: string): SQL[] {
  return wordsIn(text, pointer).map((value) => readValue(field, value, pointer));
}

function wordsIn(text: string, pointer: string): string[] {
  const values = text.split(',');
  if (values.length > FILTER_VALUES_MAX)
    throw refuse(pointer, `has more than ${FILTER_VALUES_MAX} values`);
  return values;
}

/** The rows that show a word which is not always that of the column. */
function showsWord(field: Field, word: string, pointer: string): SQL {
  const value = readValue(field, word, pointer);
  return field.words?.[word] ?? sql`${field.column} = ${value}`;
}

const INTEGER = /^-?\d{1,16}$/;
const NUMBER = /^-?\d{1,16}(\.\d{1,16})?$/;
const DAY = /^\d{4}-\d{2}-\d{2}$/;
/** That there is such a day: JavaScript takes the 30th of February for the 2nd of March, and PostgreSQL does not. */
function isDay(text: string): boolean {
  const ms = Date.parse(text);
  return (
    !Number.isNaN(ms) && !text.startsWith('0000') && new Date(ms).toISOString().startsWith(text)
  );
}

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-](0\d|1[0-4]):[0-5]\d)$/;

/** A value as a parameter of the column's type. Throws 400. */
export function readValue(field: Field, text: string, pointer: string): SQL {
  switch (field.kind) {
    case 'integer':
      if (!INTEGER.test(text) || !Number.isSafeInteger(Number(text)))
        throw refuse(pointer, 'must be an integer');
      return sql`${text}::bigint`;
    case 'number':
      if (!NUMBER.test(text)) throw refuse(pointer, 'must be a number');
      return sql`${text}::numeric`;
    case 'boolean':
      return sql`${readTruth(text, pointer)}::boolean`;
    case 'date':
      if (!DAY.test(text) || !isDay(text)) throw refuse(pointer, 'must be a date, YYYY-MM-DD');
      return sql`${text}::date`;
    case 'instant':
      if (!INSTANT.test(text) || instantMs(text) === null || !isDay(text.slice(0, 10))) {
        throw refuse(pointer, 'must be an instant with its zone, such as 2026-01-31T08:00:00Z');
      }
      return sql`${text}::timestamptz`;
    case 'word': {
      const words = field.column.enumValues!;
      if (!words.includes(text)) throw refuse(pointer, `must be one of ${words.join(', ')}`);
      return sql`${text}::text`;
    }
    default:
      return sql`${readText(text, pointer)}::text`;
  }
}

function readElement(field: Field, text: string, pointer: string): SQL {
  if (field.column.getSQLType().startsWith('text')) return sql`${readText(text, pointer)}::text`;
  if (!INTEGER.test(text) || !Number.isSafeInteger(Number(text)))
    throw refuse(pointer, 'must be an integer');
  return sql`${text}::bigint`;
}

function readElements(field: Field, text: string, pointer: string): SQL[] {
  return wordsIn(text, pointer).map((value) => readElement(field, value, pointer));
}

function readText(text: string, pointer: string): string {
  if (text.includes('\0')) throw refuse(pointer, 'contains characters that are not allowed');
  if (text.length > NAME_LENGTH_MAX)
    throw refuse(pointer, `is longer than ${NAME_LENGTH_MAX} characters`);
  return text;
}

function readTruth(text: string, pointer: string): boolean {
  if (text === 'true') return true;
  if (text === 'false') return false;
  throw refuse(pointer, 'must be true or false');
}

function escapeLike(text: string): string {
  return text.replace(/[\\%_]/g, '\\$&');
}

/** One column of an order. */
export interface SortKey {
  readonly field: Field;
  readonly isDescending: boolean;
}

/** Whether a list can be ordered by this, as its `sort` names it. */
export function isSortable(resource: Resource, given: string): boolean {
  const field = resource.fields.get(bareName(given));
  return field !== undefined && SORTABLE.has(field.kind);
}

function bareName(given: string): string {
  return given.startsWith('-') ? given.slice(1) : given;
}

/** The order of a list; the key comes last where it was not named, so that no two rows are alike. Throws 400. */
export function readSort(resource: Resource, text: string | undefined): SortKey[] {
  const names = text === undefined || text === '' ? [] : text.split(',');
  if (names.length > SORT_FIELDS_MAX)
    throw refuse('/sort', `names more than ${SORT_FIELDS_MAX} fields`);
  const keys = names.map((given) => {
    const name = bareName(given);
    if (!isSortable(resource, given)) {
      throw refuse(
        '/sort',
        `"${name.slice(0, NAME_LENGTH_MAX)}" is no field that ${resource.nouns} can be sorted by`,
      );
    }
    return { field: resource.fields.get(name)!, isDescending: given.startsWith('-') };
  });
  if (new Set(keys.map(({ field }) => field)).size < keys.length)
    throw refuse('/sort', 'names a field twice');
  if (keys.some(({ field }) => field === resource.key)) return keys;
  return [...keys, { field: resource.key, isDescending: keys.at(-1)?.isDescending ?? false }];
}

/** The fields that are asked for, in that order; all where nothing is. Throws 400. */
export function readFields(resource: Resource, text: string | undefined): readonly Field[] {
  if (text === undefined || text === '') return [...resource.fields.values()];
  return [...new Set(text.split(','))].map((name) => {
    const field = resource.fields.get(name);
    if (field) return field;
    throw refuse('/fields', `"${name.slice(0, NAME_LENGTH_MAX)}" is no field of ${resource.nouns}`);
  });
}

function refuse(pointer: string, detail: string): Problem {
  return fieldProblem('invalid_request', 'query', pointer, detail);
}
