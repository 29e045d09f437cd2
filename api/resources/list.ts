/**
 * What is asked of a list: `filter`, `sort`, `fields`, and the view that it is seen through. The same for a page of JSON, for an export, and for a job that
 * makes one, so that they show the same rows in the same order.
 */
import type pg from 'pg';
import { Type } from 'typebox';
import { readAsTenant, type Reader } from '../../db/tenancy.ts';
import type { Position } from '../pagination.ts';
import { closed, oneOf } from '../schemas.ts';
import { conditionsOfView, fieldsOfView, sortOfView, ViewText, type View } from '../views/view.ts';
import type { Row } from './define.ts';
import type { Field } from './fields.ts';
import {
  filterId,
  readFields,
  readFilters,
  readSort,
  type FilterQuery,
  type SortKey,
} from './filters.ts';
import { positionName, selectPage, toStatement, type ListQuery } from './query.ts';
import { titleOf, type Resource } from './resource.ts';

/** Rows that an export reads at a time. */
export const EXPORT_PAGE_ROWS = 1_000;

/** A list's query as it has been validated. */
export interface ListRequest {
  readonly filter?: FilterQuery;
  readonly sort?: string;
  readonly fields?: string;
  readonly deleted?: 'exclude' | 'include';
  readonly view?: string;
}

/** What a list is read with beside its query. */
export interface ListOptions {
  /** The view that the query names; null: none. */
  readonly view?: View | null;
  /** Fields that are read beside those asked for. */
  readonly needs?: readonly string[] | undefined;
  /** A file shows the columns of a view as they were chosen; rows of JSON have their key in any case. */
  readonly isFile?: boolean;
}

/** A list's query, read; a page of it needs only to know where to begin. */
export type ListSelect = Omit<ListQuery, 'after' | 'rowsMax'>;

/** The query fields of a list, bar those of its pages. */
export function listQueryOf(resource: Resource) {
  const filters = Object.fromEntries(
    [...resource.fields.values()].map(({ name, kind }) => [
      name,
      Type.Optional(Type.Ref(`${filterId(kind)}#`)),
    ]),
  );
  return {
    ...(resource.keepsDeleted && {
      deleted: Type.Optional(
        oneOf(['exclude', 'include'], {
          default: 'exclude',
          description: 'Whether rows are shown that are marked as deleted, or are part of what is.',
        }),
      ),
    }),
    filter: Type.Optional(
      closed(filters, {
        title: `${titleOf(resource.noun)}Filter`,
        description:
          'Conditions, all of which must hold: `filter[field][operator]=value`, or `filter[field]=value`.',
      }),
    ),
    sort: Type.Optional(
      Type.String({
        maxLength: 200,
        description: 'Fields with commas between them; `-` before one turns it round.',
      }),
    ),
    fields: Type.Optional(
      Type.String({
        maxLength: 4_000,
        description:
          'Fields to show, with commas between them, in that order; the key is always there. All when left out.',
      }),
    ),
    view: Type.Optional(ViewText),
  };
}

/** Throws 400 for what cannot be filtered, sorted or shown so. */
export function readList(
  resource: Resource,
  query: ListRequest,
  { view = null, needs = [], isFile = false }: ListOptions = {},
): ListSelect {
  const ofView = view === null || query.fields ? undefined : fieldsOfView(resource, view);
  const chosen = ofView ?? readFields(resource, query.fields);
  const needed = needs.map((name) => resource.fields.get(name)!);
  return {
    fields: isFile && ofView ? ofView : withFields(chosen, [resource.key], needed),
    conditions: [
      ...(view ? conditionsOfView(resource, view) : []),
      ...readFilters(resource, query.filter),
    ],
    sort: readSort(resource, sortFor(resource, query, view)),
    withDeleted: query.deleted === 'include',
  };
}

function withFields(chosen: readonly Field[], first: Field[], last: readonly Field[]): Field[] {
  return [...new Set([...first.filter((field) => !chosen.includes(field)), ...chosen, ...last])];
}

function sortFor(resource: Resource, query: ListRequest, view: View | null): string | undefined {
  if (query.sort) return query.sort;
  return (view ? sortOfView(resource, view) : undefined) ?? resource.sort ?? undefined;
}

/**
 * The name by which cursors are bound to a list. Through a view it says the order and the filters that the view had, so that
 * a cursor from before they were changed is refused.
 */
export function nameOfList(resource: Resource, query: ListRequest, view: View | null): string {
  if (view === null) return resource.name;
  return `${resource.name} ${JSON.stringify([sortFor(resource, query, view), view.filters])}`;
}

/** Where a row stands in its list. */
export function positionOf(sort: readonly SortKey[], row: Row): Position {
  return sort.map((_key, index) => row[positionName(index)] as string | null);
}

/**
 * The whole list, page by page, each in a transaction of its own: nothing is held at the database while a slow reader
 * takes its time. A row that is changed meanwhile is shown as it was or as it is, and none is shown twice unless the change
 * moved it.
 */
export async function* pagesOf(
  pool: pg.Pool,
  reader: Reader,
  resource: Resource,
  select: ListSelect,
): AsyncGenerator<Row[]> {
  let after: Position | null = null;
  for (;;) {
    const page = toStatement(selectPage(resource, { ...select, after, rowsMax: EXPORT_PAGE_ROWS }));
    const rows: Row[] = await readAsTenant<Row>(pool, reader, page);
    if (rows.length > 0) yield rows;
    if (rows.length < EXPORT_PAGE_ROWS) return;
    after = positionOf(select.sort, rows.at(-1)!);
  }
}
