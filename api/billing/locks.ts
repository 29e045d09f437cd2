/**
 * Rows of billing held until the transaction ends. Always payments first, then invoices, each by ascending id: whoever takes
 * them in this order waits for others, and never in a circle.
 */
import { sql, type SQL } from 'drizzle-orm';
import type { TenantDb } from '../../db/tenancy.ts';
import type { Row } from '../resources/define.ts';

/** The rows of a statement. Amounts are asked for as text: nothing here reckons with them. */
export async function rowsOf<T = Row>(db: TenantDb, query: SQL): Promise<T[]> {
  return (await db.execute(query)).rows as T[];
}

/** Holds payments; those that the caller does not see are left out. */
export async function lockPayments(db: TenantDb, ids: readonly number[]): Promise<void> {
  await lock(db, sql`payment`, ids);
}

/** Holds invoices; those that the caller does not see are left out. */
export async function lockInvoices(db: TenantDb, ids: readonly number[]): Promise<void> {
  await lock(db, sql`invoice`, ids);
}

/**
 * Before many rows are made in one request: holds what they name, for row by row they would take it in the order in which
 * they were sent. Of payments that credit memos became, the memo is held as well. What is not there is passed over.
 */
export async function lockNamed(db: TenantDb, bodies: readonly Row[]): Promise<void> {
  const payments = keysIn(bodies, 'payment_id');
  await lockPayments(db, payments);
  const memos = await memosOf(db, payments);
  const invoices = [
    ...keysIn(bodies, 'invoice_id'),
    ...keysIn(bodies, 'credited_invoice_id'),
    ...memos,
  ];
  await lockInvoices(db, [...new Set(invoices)]);
}

function keysIn(bodies: readonly Row[], name: string): number[] {
  const keys = bodies.map((body) => body[name]).filter((key) => Number.isSafeInteger(key));
  return [...new Set(keys as number[])];
}

async function memosOf(db: TenantDb, paymentIds: readonly number[]): Promise<number[]> {
  if (paymentIds.length === 0) return [];
  const rows = await rowsOf<{ id: string }>(
    db,
    sql`select credit_memo_invoice_id as id from payment
      where id = any (${idArray(paymentIds)}) and credit_memo_invoice_id is not null`,
  );
  return rows.map(({ id }) => Number(id));
}

// Keys that refer to the rows are not held up.
async function lock(db: TenantDb, table: SQL, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return;
  await db.execute(
    sql`select from ${table} where id = any (${idArray(ids)}) order by id for no key update`,
  );
}

/** Ids as one parameter. */
export function idArray(ids: readonly number[]): SQL {
  return sql`${`{${ids.join(',')}}`}::bigint[]`;
}

/** Amounts as one parameter, by the digits that they were sent with. */
export function amountArray(amounts: readonly number[]): SQL {
  return sql`${`{${amounts.join(',')}}`}::numeric[]`;
}
