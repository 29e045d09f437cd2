/** What a view must be to be kept: somebody's own, of columns, an order and filters that its list has. */
import { and, count, eq, ne, sql } from 'drizzle-orm';
import { columnPreferences as views, columnPreferenceTableName } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { Problem, type FieldError } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import { FILTERS_MAX, readSort } from '../resources/filters.ts';
import type { Resource } from '../resources/resource.ts';
import { readKeptFilters } from './filters.ts';

/** Columns of one view. */
export const VIEW_COLUMNS_MAX = 200;
/** Views that one user has of one list. */
export const VIEWS_PER_LIST_MAX = 50;

/** A view belongs to who makes it; a new default takes the place of the one before. */
export const columnPreferenceRules: ResourceRules = {
  async prepare(context, values, stored) {
    const { userId } = context.principal;
    const list = { ...stored, ...values }['column_preference_table_name_id'] as number;
    await requireSense(context.db, list, values);
    if (!stored || values['is_default'] === true) await lockViews(context, list);
    if (!stored) await requireRoom(context, list);
    if (values['is_default'] === true) await endDefault(context, list, stored);
    return stored ? values : { ...values, user_id: userId };
  },
};

/** Throws 422 naming each thing that the list has not. */
async function requireSense(db: TenantDb, list: number, values: Row): Promise<void> {
  const resource = await resourceOf(db, list);
  if (!resource) return;
  const errors = [
    ...columnErrors(resource, values['selected_columns']),
    ...sortErrors(resource, values['sort']),
    ...filterErrors(resource, values['filters']),
  ];
  if (errors.length === 0) return;
  const detail = errors.map(({ pointer, detail }) => `${pointer.slice(1)} ${detail}`).join('; ');
  throw new Problem('unprocessable', detail, { errors });
}

async function resourceOf(db: TenantDb, list: number): Promise<Resource | undefined> {
  const [named] = await db
    .select({ table_name: columnPreferenceTableName.table_name })
    .from(columnPreferenceTableName)
    .where(eq(columnPreferenceTableName.column_preference_table_name_id, list));
  // The catalog is made of these rules: it is there when they are used, and not yet when they are read.
  const { CATALOG, EXPORTED } = await import('../catalog/catalog.ts');
  const name = named?.table_name ?? '';
  return CATALOG.get(name) ?? EXPORTED.get(name);
}

const wrong = (pointer: string, detail: string): FieldError => ({ in: 'body', pointer, detail });

function columnErrors(resource: Resource, columns: unknown): FieldError[] {
  return ((columns ?? []) as string[]).flatMap((name, index) =>
    resource.fields.has(name)
      ? []
      : [wrong(`/selected_columns/${index}`, `is no field of ${resource.nouns}`)],
  );
}

function sortErrors(resource: Resource, sort: unknown): FieldError[] {
  try {
    readSort(resource, (sort ?? undefined) as string | undefined);
    return [];
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return error.errors.map(({ pointer, detail }) => wrong(pointer, detail));
  }
}

function filterErrors(resource: Resource, filters: unknown): FieldError[] {
  const errors: FieldError[] = [];
  const kept = readKeptFilters(resource, (filters ?? {}) as Row, (pointer, detail) => {
    errors.push(wrong(pointer, detail));
  });
  if (kept.length > FILTERS_MAX)
    errors.push(wrong('/filters', `has more than ${FILTERS_MAX} conditions`));
  return errors;
}

/** One who counts or moves the default comes after the other, until each has committed. */
async function lockViews({ db, principal }: RuleContext, list: number): Promise<void> {
  const lock = `column_preferences/${principal.userId}/${list}`;
  await db.execute(sql`select pg_advisory_xact_lock(hashtextextended(${lock}, 0))`);
}

async function requireRoom({ db, principal }: RuleContext, list: number): Promise<void> {
  const [held] = await db
    .select({ rows: count() })
    .from(views)
    .where(ofList(principal.userId, list));
  if (held!.rows < VIEWS_PER_LIST_MAX) return;
  throw new Problem('conflict', `you have ${VIEWS_PER_LIST_MAX} views of this list already`);
}

async function endDefault(
  { db, principal }: RuleContext,
  list: number,
  stored: Row | null,
): Promise<void> {
  const own = (stored?.['column_preferences_id'] ?? 0) as number;
  await db
    .update(views)
    .set({ is_default: false })
    .where(
      and(
        ofList(principal.userId, list),
        eq(views.is_default, true),
        ne(views.column_preferences_id, own),
      ),
    );
}

function ofList(userId: number, list: number) {
  return and(eq(views.user_id, userId), eq(views.column_preference_table_name_id, list));
}
