/** Accounts and currencies of new records, and what may be spent on a repair without asking again. */
import { eq, sql } from 'drizzle-orm';
import { equipment, type serviceRequest } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import type { Permission } from '../auth/permissions.ts';
import type { Principal } from '../auth/principal.ts';
import { fieldProblem } from '../problem.ts';
import type { Row, RuleContext } from '../resources/define.ts';

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

/** What may be spent on one repair, and in which currency that is said. */
export interface Limit {
  readonly limit: number;
  readonly currency: string;
}

/** What of a request bounds the work that is made of it. */
type Bounds = Pick<
  typeof serviceRequest.$inferSelect,
  'account_id' | 'cost_limit' | 'currency_code'
>;

/**
 * The limits that hold for a new order about a unit: that of its request, where it has one; else those of the account that
 * is named, of the request's and of the unit's own.
 */
export async function limitsFor(
  db: TenantDb,
  values: Row,
  request: Bounds | null,
): Promise<readonly Limit[]> {
  const { cost_limit: limit = null, currency_code: currency = null } = request ?? {};
  if (limit !== null && currency !== null) return [{ limit, currency }];
  const { rows } = await db.execute<{ found: Limit }>(sql`
    select json_build_object('limit', a.repair_approval_limit,
      'currency', coalesce(a.currency_code, c.currency_code)) as found
    from account a join customer c using (customer_id)
    where a.repair_approval_limit is not null and (a.account_id = ${values['account_id'] ?? null}::bigint
      or a.account_id = ${request?.account_id ?? null}::bigint
      or a.account_id = (select e.account_id from equipment e where e.equipment_id = ${values['equipment_id']}))`);
  return rows.map(({ found }) => found);
}

/** The lowest of the limits that are in a currency; null: there is none. */
export function lowestIn(limits: readonly Limit[], currency: string): number | null {
  const same = limits.filter((one) => one.currency === currency).map(({ limit }) => limit);
  return same.length === 0 ? null : Math.min(...same);
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

const BOUNDING = ['account_id', 'cost_limit', 'currency_code'];

/**
 * The same of a request that is approved, for it bounds what is made of it. One without a limit of its own is bounded by
 * those of the accounts, which it is not taken away from, and which a limit that it gets does not go beyond.
 */
export async function guardBounds(
  { db, principal }: RuleContext,
  right: Permission,
  values: Row,
  stored: Row,
): Promise<void> {
  guardLimit(principal, right, values, stored);
  if (stored['cost_limit'] !== null || principal.permissions.has(right)) return;
  if (!BOUNDING.some((name) => name in values)) return;
  const bounds = await limitsFor(db, stored, null);
  const whole = { ...stored, ...values };
  const { cost_limit: limit, currency_code: currency } = whole as unknown as Bounds;
  if (limit === null) {
    const after = await limitsFor(db, whole, null);
    const isLost = bounds.some((one) => isHigher(lowestIn(after, one.currency), one.limit));
    if (isLost) throw refused('/account_id', right);
    return;
  }
  if (bounds.some((one) => one.currency !== currency)) throw refused('/currency_code', right);
  if (isHigher(limit, lowestIn(bounds, currency!))) throw refused('/cost_limit', right);
}

/**
 * The limit of an order that goes to another account, or is in another currency from now on: the account's, where it had
 * none or a higher one. Throws 403 where more is asked for, or cannot be compared, and the right to approve is missing.
 */
export async function limitOfMoved(
  { db, principal }: RuleContext,
  right: Permission,
  values: Row,
  stored: Row,
): Promise<Row> {
  if (!('account_id' in values || 'currency_code' in values)) return values;
  const account_id = { ...stored, ...values }['account_id'];
  const currency = { ...stored, ...values }['currency_code'] as string;
  const limits = await limitsFor(db, { account_id, equipment_id: null }, null);
  const mayApprove = principal.permissions.has(right);
  if (limits.some((one) => one.currency !== currency) && !mayApprove) {
    throw refused('currency_code' in values ? '/currency_code' : '/account_id', right);
  }
  const allowed = lowestIn(limits, currency);
  const limit = { ...stored, ...values }['cost_limit'] as number | null;
  if (!isHigher(limit, allowed)) return values;
  if (!('cost_limit' in values)) return { ...values, cost_limit: allowed };
  if (!mayApprove) throw refused('/cost_limit', right);
  return values;
}

/** 403 naming the field and the right. */
export function refused(pointer: string, right: Permission) {
  const detail = `would let more be spent, for which the right "${right}" is missing`;
  return fieldProblem('forbidden', 'body', pointer, detail);
}
