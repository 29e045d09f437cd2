/** The feed of a resource of the catalog: its rows as their list shows them, many in one query. */
import { sql, type SQL } from 'drizzle-orm';
import { valueTypes } from '../../db/pools.ts';
import { readJsonAsTenant } from '../../db/tenancy.ts';
import type { Field } from '../resources/fields.ts';
import { selectPage, toStatement } from '../resources/query.ts';
import type { Resource } from '../resources/resource.ts';
import type { Entry, Feed, Item, Key, Reading } from './feed.ts';

/** Rows that have versions, and are not one user's own, can be followed; the others come with the software. */
export function canFollow({ isVersioned, read }: Resource): boolean {
  return isVersioned && read !== 'signed_in';
}

/** Makes the feed of a resource that can be followed. */
export function recordFeed(resource: Resource): Feed {
  const { key, name, path, read } = resource;
  const keyOf = (text: string): Key => (key.kind === 'integer' ? Number(text) : text);
  return {
    path,
    right: read,
    kinds: [name],
    stream: null,
    async tell(reading, entries) {
      const keys = entries.map(({ entity_id }) => entity_id);
      const is = isAny(key, keys);
      const rows = await readRows(reading, resource, is, keys.length);
      const rowOf = new Map(rows.map((row) => [row.key, row]));
      return new Map(
        entries.map((entry) => [entry, [itemOf(entry, keyOf, rowOf.get(entry.entity_id))]]),
      );
    },
    async list(reading, after, rowsMax) {
      const isAfter = after === null ? sql`true` : sql`${key.column} > ${after}`;
      const rows = await readRows(reading, resource, isAfter, rowsMax);
      const items = rows.map(({ key: text, version, changedAt, json }) => ({
        id: keyOf(text),
        operation: 'created' as const,
        changedAt,
        version,
        row: json,
      }));
      return { items, after: items.length < rowsMax ? null : items.at(-1)!.id };
    },
  };
}

/** The key is one of these. */
export function isAny(key: Field, texts: readonly string[]): SQL {
  const type = key.kind === 'integer' ? sql`bigint[]` : sql`text[]`;
  return sql`${key.column} = any (${sql.param(texts)}::${type})`;
}

function itemOf(entry: Entry, keyOf: (text: string) => Key, row: ShownRow | undefined): Item {
  const { entity_id, changed_at: changedAt } = entry;
  const id = keyOf(entity_id);
  if (!row) return { id, operation: 'deleted', changedAt, version: entry.version, row: null };
  // Marked as deleted and taken back since: then it is there.
  const operation = entry.operation === 'deleted' ? 'updated' : entry.operation;
  return { id, operation, changedAt, version: row.version, row: row.json };
}

interface ShownRow {
  readonly key: string;
  readonly version: number;
  readonly changedAt: Date;
  readonly json: string;
}

const readInstant = valueTypes.getTypeParser(1184, 'text') as (text: string) => Date;

async function readRows(
  { pool, reader }: Reading,
  resource: Resource,
  condition: SQL,
  rowsMax: number,
): Promise<ShownRow[]> {
  const { fields, key } = resource;
  // What a row is sorted by is read beside it.
  const beside = [key, fields.get('version')!, fields.get('updated_at')!];
  const query = selectPage(resource, {
    fields: [...fields.values()],
    conditions: [condition],
    sort: beside.map((field) => ({ field, isDescending: false })),
    after: null,
    rowsMax,
    withDeleted: false,
  });
  const rows = await readJsonAsTenant(pool, reader, toStatement(query));
  return rows.map(({ json, aside: [text, version, changedAt] }) => ({
    key: text!,
    version: Number(version),
    changedAt: readInstant(changedAt!),
    json,
  }));
}
