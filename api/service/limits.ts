/** Accounts and currencies of new records, and what may be spent on a repair without asking again. */
import { eq, sql } from 'drizzle-orm';
import { account, equipment } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import type { Permission } from '../auth/permissions.ts';
import type { Principal } from '../auth/principal.ts';
import { fieldProblem } from '../problem.ts';
import type { Row } from '../resources/define.ts';

/** The account of a new record about a unit: the one that it names, or the unit's. */
export async function accountOf(db: TenantDb, values: Row): Promise<number | null> {
  const given = (values['account_id'] ?? null) as number | null;
  if (given !== null) return given;
  const [unit] = await db
    .select({ account_id: equipment.account_id })
    .from(equipment)
    .where(eq(equipment.equipment_id, values['equipment_id'] as number));
  return unit?.account_id ?? null;
}

/** The currency of an account, which is its customer's unless it has one of its own. */
export async function currencyOf(db: TenantDb, accountId: number | null): Promise<string> {
  const { rows } = await db.execute<{ currency_code: string }>(sql`
    select coalesce((select a.currency_code from account a where a.account_id = ${accountId}), c.currency_code)
      as currency_code from customer c`);
  return rows[0]!.currency_code;
}

/** What an account lets be spent on one repair, where that is said in this currency; null: nothing is said. */
export async function accountLimit(
  db: TenantDb,
  accountId: number | null,
  currency: string,
): Promise<number | null> {
  if (accountId === null) return null;
  const [found] = await db
    .select({ limit: account.repair_approval_limit })
    .from(account)
    .where(eq(account.account_id, accountId));
  const limit = found?.limit ?? null;
  return limit !== null && (await currencyOf(db, accountId)) === currency ? limit : null;
}

/** Whether a limit lets more be spent than another one; null is no limit. */
export function isHigher(limit: number | null, than: number | null): boolean {
  return than !== null && (limit === null || limit > than);
}

/**
 * Throws 403 where a change would let more be spent, and the right to approve is missing. A limit in another currency cannot
 * be compared, and counts as higher.
 */
export function guardLimit(
  principal: Principal,
  right: Permission,
  values: Row,
  stored: Row,
): void {
  const before = stored['cost_limit'] as number | null;
  if (before === null || principal.permissions.has(right)) return;
  const after = ('cost_limit' in values ? values['cost_limit'] : before) as number | null;
  if ('currency_code' in values) throw refused('/currency_code', right);
  if (isHigher(after, before)) throw refused('/cost_limit', right);
}

/** 403 naming the field and the right. */
export function refused(pointer: string, right: Permission) {
  const detail = `would let more be spent, for which the right "${right}" is missing`;
  return fieldProblem('forbidden', 'body', pointer, detail);
}
