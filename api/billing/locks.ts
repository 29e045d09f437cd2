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
