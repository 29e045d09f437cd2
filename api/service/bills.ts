/**
 * What the bill of a work order keeps as it is. Looked at while the order is held, as billing holds it too: so of a bill and
 * a change that are made at once, the later sees the other.
 */
import { sql } from 'drizzle-orm';
import type { TenantDb } from '../../db/tenancy.ts';
import { fieldProblem } from '../problem.ts';
import type { Row } from '../resources/define.ts';
import { notYet } from '../resources/states.ts';
import { WORKORDER_STATES } from './states.ts';

/** What a bill says of an order. */
const BILLED = [
  'account_id',
  'currency_code',
  'labour_cost',
  'part_cost',
  'payer',
  'tax_cost',
] as const;

/** The number of the invoice that was made of an order, and is neither void nor deleted; null: there is none. */
async function readBill(db: TenantDb, workorderId: number): Promise<string | null> {
  // The first of its lines says what they were made of, also once it was taken off the draft.
  const { rows } = await db.execute<{ invoice_number: string }>(sql`
    select i.invoice_number from invoice_items l join invoice i on i.id = l.invoice_id
    where l.workorder_id = ${workorderId} and l.deleted_at is null and i.deleted_at is null and i.voided_at is null
      and exists (select from invoice_items f where f.invoice_id = l.invoice_id and f.billed_workorder_id = l.workorder_id)
    limit 1`);
  return rows[0]?.invoice_number ?? null;
}

/** Throws 409 where a change concerns what an order was billed for, or gives the order up. */
export async function requireAsBilled(db: TenantDb, values: Row, stored: Row): Promise<void> {
  const name = BILLED.find((one) => one in values);
  const to = values['workorder_status'];
  if (name === undefined && to !== 'cancelled') return;
  const bill = await readBill(db, stored['workorder_id'] as number);
  if (bill === null) return;
  if (name !== undefined) throw fieldProblem('conflict', 'body', `/${name}`, billedOn(bill));
  const from = stored['workorder_status'] as string;
  throw notYet(WORKORDER_STATES, { from, to: 'cancelled' }, `it ${billedOn(bill)}`);
}

/** Throws 409 where the lines of an order were billed. */
export async function requireUnbilledLines(db: TenantDb, workorderId: number): Promise<void> {
  const bill = await readBill(db, workorderId);
  if (bill !== null) throw fieldProblem('conflict', 'body', '/workorder_id', billedOn(bill));
}

const billedOn = (bill: string) =>
  `is billed on ${bill}, and stays so until that is void or deleted`;
