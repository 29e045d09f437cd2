/**
 * The status of an invoice as it is shown. All of it but overdue is kept by the database; overdue comes by the day of the
 * customer, so it is read: what is kept as open or partial, and due, is overdue.
 */
import { sql, type SQL } from 'drizzle-orm';
import { invoice } from '../../db/schema.ts';

const { status, invoice_type, due_date } = invoice;
/** Asked once a statement. */
const today = sql`(select app_today())`;

/** What is shown in place of the column. */
export const shownStatus: SQL = sql`shown_invoice_status(${status}, ${invoice_type}, ${due_date}, ${today})`;

/** Nobody waits to be paid for a credit memo. */
const isOwed = sql`${invoice_type} <> 'credit_memo'`;
const isKept = (word: 'open' | 'partial') => sql`(${status} = ${sql.raw(`'${word}'`)} and
  (${due_date} >= ${today} or not ${isOwed}))`;

/** The rows that show a word, where it is not that of the column alone. The index is by status and due date. */
export const statusWords: Readonly<Record<string, SQL>> = {
  open: isKept('open'),
  partial: isKept('partial'),
  overdue: sql`(${status} in ('open', 'partial') and ${due_date} < ${today} and ${isOwed})`,
};
