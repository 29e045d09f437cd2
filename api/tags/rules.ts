/**
 * Tags on what bears them: their keys in a column `tag_lookup_ids`, and nothing else of them, so that a tag that is renamed
 * is renamed everywhere. The database holds the same (migrations/0038); here is said which one is wrong.
 */
import { sql } from 'drizzle-orm';
import { Type } from 'typebox';
import { equipment, geofence, tagLookup } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { Problem, type FieldError } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import { Id } from '../schemas.ts';

/** Tags of one row. */
export const TAGS_MAX = 50;

/** The column, in declarations of what bears tags. */
export const TagIds = Type.Array(Id, {
  maxItems: TAGS_MAX,
  uniqueItems: true,
  description:
    'Tags (`/v1/tags`). One that is disabled stays where it is, and is given to nothing new.',
});

/** The rules of what bears tags, with those of its own. */
export function withTags(rules: ResourceRules): ResourceRules {
  return {
    ...rules,
    async prepare(context, values, stored) {
      await requireTags(context, values, stored);
      return (await rules.prepare?.(context, values, stored)) ?? values;
    },
  };
}

/** Throws 422 naming each tag that is not there or is disabled, unless the row has it already. */
async function requireTags({ db }: RuleContext, values: Row, stored: Row | null): Promise<void> {
  const given = (values['tag_lookup_ids'] ?? []) as number[];
  const had = new Set((stored?.['tag_lookup_ids'] ?? []) as number[]);
  const added = given.filter((id) => !had.has(id));
  if (added.length === 0) return;
  // Held, so that none is removed before the row is written; in the order of the keys, as everywhere.
  const rows = await db
    .select({ id: tagLookup.tag_lookup_id, status: tagLookup.status })
    .from(tagLookup)
    .where(sql`${tagLookup.tag_lookup_id} = any (${sql.param(added)}::bigint[])`)
    .orderBy(tagLookup.tag_lookup_id)
    .for('key share');
  const statuses = new Map<number, string>(rows.map(({ id, status }) => [id, status]));
  const errors = given.flatMap((id, index): FieldError[] => {
    if (had.has(id) || statuses.get(id) === 'active') return [];
    const detail = statuses.has(id) ? 'is disabled' : 'refers to nothing that exists';
    return [{ in: 'body', pointer: `/tag_lookup_ids/${index}`, detail }];
  });
  if (errors.length === 0) return;
  const detail = errors.map(({ pointer, detail }) => `${pointer.slice(1)} ${detail}`).join('; ');
  throw new Problem('unprocessable', detail, { errors });
}

/** What bears tags, by what they are called. */
const BEARERS = [
  [equipment, 'units'],
  [geofence, 'geofences'],
] as const;

/** A tag that is on something stays. */
export const tagRules: ResourceRules = {
  async removing({ db }, stored) {
    const uses = await usesOf(db, stored['tag_lookup_id'] as number);
    if (uses === '') return;
    throw new Problem('conflict', `it is on ${uses}; take it off there, or disable it`);
  },
};

/** Rows that are counted of each kind. */
const USES_COUNTED_MAX = 1_000;

/** On how many rows a tag is, in words; nothing where it is on none. */
async function usesOf(db: TenantDb, id: number): Promise<string> {
  const words: string[] = [];
  for (const [table, name] of BEARERS) {
    const { rows } = await db.execute<{ uses: number }>(
      sql`select count(*)::integer as uses from (
        select from ${table} where tag_lookup_ids @> array[${id}]::bigint[] limit ${USES_COUNTED_MAX + 1}) found`,
    );
    const { uses } = rows[0]!;
    if (uses > USES_COUNTED_MAX) words.push(`more than ${USES_COUNTED_MAX} ${name}`);
    else if (uses > 0) words.push(`${uses} ${uses === 1 ? name.slice(0, -1) : name}`);
  }
  return words.join(' and ');
}
