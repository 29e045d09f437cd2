/** Rules on accounts that row-level security cannot put into words: who may write what belongs to the whole customer. */
import { eq } from 'drizzle-orm';
import { account } from '../db/schema.ts';
import type { TenantDb } from '../db/tenancy.ts';
import type { Principal } from './auth/principal.ts';
import { fieldProblem, Problem } from './problem.ts';

/**
 * Throws unless the caller may give a row to this account: 422 when there is no such account for the caller, 403 when
 * it is to belong to the whole customer and the caller is held to accounts.
 */
export async function requireAccount(
  db: TenantDb,
  { tenant }: Principal,
  accountId: number | null,
): Promise<void> {
  if (accountId === null) {
    if (tenant.accountIds === null) return;
    const detail = 'you are held to accounts: name one of them';
    throw fieldProblem('forbidden', 'body', '/account_id', detail);
  }
  const rows = await db
    .select({ account_id: account.account_id })
    .from(account)
    .where(eq(account.account_id, accountId));
  if (!rows[0]) throw fieldProblem('unprocessable', 'body', '/account_id', 'no such account');
}

/** Throws 403 when the row belongs to the whole customer and the caller is held to accounts. */
export function requireOwnRow({ tenant }: Principal, row: { account_id: number | null }): void {
  if (tenant.accountIds === null || row.account_id !== null) return;
  throw new Problem('forbidden', 'it belongs to the whole customer, and you are held to accounts');
}
