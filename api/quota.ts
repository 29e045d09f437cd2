/** How much of a quota is used: counted as the tenant, for whoever is held to accounts sees only a part of it. */
import { sql } from 'drizzle-orm';
import type { TenantDb } from '../db/tenancy.ts';

/** How many rows of a table count towards its quota, of all the tenant's accounts; counts no further than `max`. */
export async function countForQuota(db: TenantDb, table: string, max: number): Promise<number> {
  const { rows } = await db.execute<{ held: number }>(
    sql`select count_for_quota(${table}, ${max}) as held`,
  );
  return rows[0]!.held;
}
