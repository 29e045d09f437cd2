/**
 * Rows as the JSON that a list answers with, made from the texts that the server sends: no Date, no object a row, no schema to
 * walk along. They say the same as `JSON.stringify` of the rows that `objectRows` makes.
 */
import { valueTypes } from './pools.ts';

/** A column of an answer, as `pg` tells of it. */
export interface Field {
  readonly name: string;
  readonly dataTypeID: number;
}

/** Told the columns of an answer, gives what makes a row of their texts. May throw for a value that cannot be read. */
export type RowReader<Row> = (
  fields: readonly Field[],
) => (texts: readonly (string | null)[]) => Row;

export interface JsonRow {
  /** An object. */
  readonly json: string;
  /** Texts of the columns whose names begin with `~`, which are not shown: the row's place in its list. */
  readonly aside: readonly (string | null)[];
}

/** Names of columns that are read and not shown begin so. */
export const ASIDE = '~';

type ToJson = (text: string) => string;

/** Rows as objects of values. */
export const objectRows: RowReader<Record<string, unknown>> = (fields) => {
  const columns = fields.map(({ name, dataTypeID }) => ({ name, parse: parserOf(dataTypeID) }));
  // What is copied from it has its columns in one go.
  const blank: Record<string, unknown> = Object.fromEntries(fields.map(({ name }) => [name, null]));
  return (texts) => {
    const row = { ...blank };
    for (let i = 0; i < columns.length; i++) {
      const text = texts[i]!;
      if (text === null) continue;
      const { name, parse } = columns[i]!;
      row[name] = parse(text);
    }
    return row;
  };
};

/** Rows as JSON. */
export const jsonRows: RowReader<JsonRow> = (fields) => {
  const isAside = fields.map(({ name }) => name.startsWith(ASIDE));
  const columns = fields.map(({ name, dataTypeID }, index) => ({
    key: `${index === isAside.indexOf(false) ? '{' : ','}${JSON.stringify(name)}:`,
    toJson: toJsonOf(dataTypeID),
  }));
  // Joined at once: a text that grows by pieces keeps them all for as long as the answer is in the making.
  const parts = Array<string>(columns.length * 2).fill('');
  return (texts) => {
    const aside: (string | null)[] = [];
    for (let i = 0; i < columns.length; i++) {
      const text = texts[i]!;
      if (isAside[i]) {
        aside.push(text);
        continue;
      }
      const { key, toJson } = columns[i]!;
      parts[2 * i] = key;
      parts[2 * i + 1] = text === null ? 'null' : toJson(text);
    }
    return { json: isAside.includes(false) ? `${parts.join('')}}` : '{}', aside };
  };
};

function parserOf(typeId: number): (text: string) => unknown {
  return valueTypes.getTypeParser(typeId, 'text') as (text: string) => unknown;
}

function toJsonOf(typeId: number): ToJson {
  const known = JSON_OF_TYPE.get(typeId);
  if (known) return known;
  const parse = parserOf(typeId);
  return (text) => JSON.stringify(parse(text));
}

/** PostgreSQL writes these as JSON does, or nearly so. */
const JSON_OF_TYPE: ReadonlyMap<number, ToJson> = new Map<number, ToJson>([
  [16, (text) => (text === 't' ? 'true' : 'false')],
  [20, int8Json],
  [21, (text) => text],
  [23, (text) => text],
  [25, textJson],
  [700, floatJson],
  [701, floatJson],
  [1043, textJson],
  [1082, textJson],
  [1184, instantJson],
  [3802, (text) => text],
]);

/** Shorter ones are below 2^53. */
const SAFE_DIGITS = 15;

function int8Json(text: string): string {
  return text.length <= SAFE_DIGITS ? text : JSON.stringify(parserOf(20)(text));
}

const FLOAT = /^-?[0-9]/;

/** NaN and infinity are no JSON. */
function floatJson(text: string): string {
  return FLOAT.test(text) ? text : 'null';
}

function textJson(text: string): string {
  return JSON.stringify(text);
}

/** `2026-03-02 13:20:00+00`, and up to six digits of a fraction before its zone. */
const INSTANT = /^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?\+00$/;
const SECONDS_END = 19;

/** ISO 8601 in milliseconds, of what a session in UTC writes; what is below a millisecond is left off. */
function instantJson(text: string): string {
  if (!INSTANT.test(text)) return JSON.stringify(parserOf(1184)(text));
  const ms = text
    .slice(SECONDS_END + 1, -3)
    .slice(0, 3)
    .padEnd(3, '0');
  return `"${text.slice(0, 10)}T${text.slice(11, SECONDS_END)}.${ms}Z"`;
}
