/** Which accounts an agreement covers: that of the agreement, and those below it; all of them where it names none. */
import { sql } from 'drizzle-orm';
import type { TenantDb } from '../../db/tenancy.ts';

/** Whether an agreement of `above` covers `account`; null is the whole customer. */
export async function isWithinAccount(
  db: TenantDb,
  account: number | null,
  above: number | null,
): Promise<boolean> {
  if (above === null || account === above) return true;
  if (account === null) return false;
  const { rows } = await db.execute<{ within: boolean }>(
    sql`select account_is_within(${account}, ${above}) as within`,
  );
  return rows[0]!.within;
}
