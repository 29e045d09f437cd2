/**
 * A view of a list: columns, order and filters that somebody has kept under a name, and asks for by it. What of a view is
 * no more, such as a column that has been removed since, is left out; a list never fails because of it.
 */
import type { SQL } from 'drizzle-orm';
import type pg from 'pg';
import { Type } from 'typebox';
import { readAsTenant, type Reader } from '../../db/tenancy.ts';
import { fieldProblem, type Problem } from '../problem.ts';
import type { Field } from '../resources/fields.ts';
import { isSortable, SORT_FIELDS_MAX } from '../resources/filters.ts';
import type { Statement } from '../resources/query.ts';
import type { Resource } from '../resources/resource.ts';
import { readKeptFilters } from './filters.ts';

/** A view as it was when a list was asked for by it. */
export interface View {
  readonly column_preferences_id: number;
  readonly view_name: string;
  /** In the order in which they are shown. */
  readonly selected_columns: readonly string[];
  /** As in the query of the list. */
  readonly sort: string | null;
  /** Field → operator → text. */
  readonly filters: Readonly<Record<string, unknown>>;
}

/** The caller's view that is shown when nothing else is asked for. */
const DEFAULT = 'default';

/** The query field of a list. */
export const ViewText = Type.String({
  pattern: `^(${DEFAULT}|[1-9][0-9]{0,15})$`,
  description:
    'A view of yours, by the key of its column preference, or `default`: its columns in their order, its order, its ' +
    'filters. `fields` and `sort` beside it take the place of what it says, and `filter` is added. `default` is nothing ' +
    'where you have none.',
});

/** Looks for the caller's view of a list. Throws 422 where there is none; without a default gives null. */
export async function findView(
  pool: pg.Pool,
  reader: Reader,
  resource: Resource,
  text: string | undefined,
): Promise<View | null> {
  if (text === undefined) return null;
  const rows = await readAsTenant<View>(pool, reader, selectView(reader, resource, text));
  return found(rows[0], resource, text);
}

/** The same within a transaction of the caller's. */
export async function findViewIn(
  client: pg.ClientBase,
  reader: Reader,
  resource: Resource,
  text: string | undefined,
): Promise<View | null> {
  if (text === undefined) return null;
  const { rows } = await client.query<View>(selectView(reader, resource, text));
  return found(rows[0], resource, text);
}

function selectView({ userId }: Reader, { name }: Resource, text: string): Statement {
  const id = text === DEFAULT ? null : Number(text);
  return {
    text: `select p.column_preferences_id, p.view_name, p.selected_columns, p.sort, p.filters
      from column_preferences p join column_preference_table_name n using (column_preference_table_name_id)
      where p.user_id = $1 and n.table_name = $2
        and case when $3::bigint is null then p.is_default else p.column_preferences_id = $3 end`,
    values: [userId, name, id],
  };
}

function found(view: View | undefined, resource: Resource, text: string): View | null {
  if (!view && text !== DEFAULT) throw noView(resource);
  return view ?? null;
}

function noView({ nouns }: Resource): Problem {
  return fieldProblem('unprocessable', 'query', '/view', `is no view of yours of ${nouns}`);
}

/** The fields that a view shows, in its order; undefined where none of them is there any more. */
export function fieldsOfView(resource: Resource, view: View): Field[] | undefined {
  const fields = view.selected_columns
    .map((name) => resource.fields.get(name))
    .filter((field) => field !== undefined);
  return fields.length === 0 ? undefined : fields;
}

/** The order of a view, as a list takes it; undefined where it has none. */
export function sortOfView(resource: Resource, { sort }: View): string | undefined {
  const names = (sort ?? '').split(',').filter((name) => isSortable(resource, name));
  return names.length === 0 ? undefined : names.slice(0, SORT_FIELDS_MAX).join(',');
}

/** The conditions of a view, without those that make no sense any more. */
export function conditionsOfView(resource: Resource, { filters }: View): SQL[] {
  return readKeptFilters(resource, filters, () => undefined);
}
