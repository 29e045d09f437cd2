/** Saved places: what a request that names one takes over from it, and who may name which. */
import { eq, sql } from 'drizzle-orm';
import { serviceRequestLocation } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { fieldProblem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import { accountOf } from './limits.ts';

/** A place belongs to whoever makes it, unless somebody else is named. */
export const placeRules: ResourceRules = {
  prepare({ principal }, values, stored) {
    return stored ? values : { user_id: principal.userId, ...values };
  },
};

type Place = typeof serviceRequestLocation.$inferSelect;

/** Columns of a request and where they come from. Each group is taken over whole: half of two addresses is none. */
const GROUPS: readonly Readonly<Record<string, keyof Place>>[] = [
  {
    street: 'unit_street',
    city: 'city',
    state_code: 'state_code',
    postal_code: 'postal_code',
    country_code: 'country_code',
  },
  { latitude: 'latitude', longitude: 'longitude' },
  { contact_name: 'contact_name', contact_phone: 'contact_phone' },
];

/**
 * Takes over address, position and contact of the place that a request names, each as far as the request says nothing of
 * it and the place does. What is taken over stays as it was at that moment. Throws 422 naming the field for a place that
 * is disabled or belongs to another account.
 */
export async function fillPlace(
  { db }: RuleContext,
  values: Row,
  stored: Row | null,
): Promise<Row> {
  const placeId = (values['service_request_location_id'] ?? null) as number | null;
  if (placeId === null) return values;
  const [place] = await db
    .select()
    .from(serviceRequestLocation)
    .where(eq(serviceRequestLocation.service_request_location_id, placeId));
  // The reference was looked at before: it is there.
  await requireUsable(db, place!, { ...stored, ...values });
  const taken: Row = {};
  for (const group of GROUPS) {
    const columns = Object.entries(group);
    const isGiven = columns.some(([name]) => (values[name] ?? null) !== null);
    const told = columns.map(([name, from]) => [name, place![from] === '' ? null : place![from]]);
    if (isGiven || told.every(([, value]) => value === null)) continue;
    Object.assign(taken, Object.fromEntries(told));
  }
  return { ...values, ...taken };
}

async function requireUsable(db: TenantDb, place: Place, request: Row): Promise<void> {
  const refuse = (detail: string) =>
    fieldProblem('unprocessable', 'body', '/service_request_location_id', detail);
  if (place.status === 'disabled') throw refuse('is disabled');
  if (place.account_id === null) return;
  // A place of an account serves those below it as well.
  const { rows } = await db.execute(sql`
    with recursive above as (
      select account_id, parent_account_id from account where account_id = ${await accountOf(db, request)}
      union
      select a.account_id, a.parent_account_id from account a join above on a.account_id = above.parent_account_id
    ) select from above where account_id = ${place.account_id}`);
  if (rows.length === 0) throw refuse('belongs to another account');
}
