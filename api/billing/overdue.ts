/**
 * Notes invoices that have become overdue, which comes by the day and not by a request: each is written once more, so that
 * it gets a version and those who keep a copy are told. Tenant after tenant, by each customer's own days. An invoice that
 * somebody holds is left to the next round.
 */
import { sql } from 'drizzle-orm';
import type pg from 'pg';
import { withTenant } from '../../db/tenancy.ts';
import { readToday } from '../customer-day.ts';
import { startRounds } from '../rounds.ts';
import { rowsOf } from './locks.ts';

/** Between two rounds: a day that has passed is seen soon after midnight, wherever that is. */
export const OVERDUE_ROUND_MS = 60_000;
/** Tenants that are asked for at once. */
const TENANTS_MAX = 100;
/** Invoices that one transaction writes. */
export const OVERDUE_ROWS_MAX = 500;

export interface OverdueOptions {
  /** Connections of the role `milepost_runner`. */
  readonly pool: pg.Pool;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
  /** In place of {@link OVERDUE_ROWS_MAX}. */
  readonly rowsMax?: number;
}

/** One round; gives the number of invoices. A tenant that fails is told to `onError`, and holds up none of the others. */
export async function noteOverdue(options: OverdueOptions): Promise<number> {
  const nowMs = options.now();
  let noted = 0;
  for (let after = 0; ;) {
    const { rows } = await options.pool.query<{ id: number }>(
      'select id from overdue_tenants($1, $2, $3) id',
      [new Date(nowMs), after, TENANTS_MAX],
    );
    for (const { id } of rows) {
      try {
        noted += await noteTenant(options, id, nowMs);
      } catch (error) {
        options.onError(error);
      }
    }
    if (rows.length < TENANTS_MAX) return noted;
    after = rows.at(-1)!.id;
  }
}

/** Goes round until the function that it gives is called. */
export function startNotingOverdue(options: OverdueOptions): () => Promise<void> {
  return startRounds(OVERDUE_ROUND_MS, () => noteOverdue(options), options.onError);
}

async function noteTenant(
  { pool, rowsMax = OVERDUE_ROWS_MAX }: OverdueOptions,
  customerId: number,
  nowMs: number,
): Promise<number> {
  for (let noted = 0; ;) {
    const batch = await withTenant(pool, { customerId, accountIds: null }, async (db) => {
      // What the database takes for now where it reckons with the day.
      await db.execute(sql`select set_config('app.now_ms', ${String(nowMs)}, true)`);
      const today = await readToday({ db, nowMs });
      return rowsOf(
        db,
        sql`with next as materialized (
            select id from invoice
            where customer_id = (select app_customer_id()) and status in ('open', 'partial') and not is_overdue_noted
              and invoice_type <> 'credit_memo' and deleted_at is null and due_date < ${today}::date
            order by due_date, id limit ${rowsMax} for no key update skip locked)
          update invoice i set is_overdue_noted = true from next n where i.id = n.id returning i.id`,
      );
    });
    noted += batch.length;
    if (batch.length < rowsMax) return noted;
  }
}
