/** The day by which an invoice is to be paid: so many days after its own as its terms say, or else those of the account. */
import { sql, type SQL } from 'drizzle-orm';
import { fieldProblem } from '../problem.ts';
import type { Row, RuleContext } from '../resources/define.ts';
import { rowsOf } from './locks.ts';

/** Days have four digits of a year. */
const LAST_DAY = sql`date '9999-12-31'`;

/** Days to pay, of an account under a name. A credit memo is due at once. */
function termsOf(invoiceType: SQL, terms: SQL, account = sql`a`): SQL {
  return sql`case when ${invoiceType} = 'credit_memo' then 0 else coalesce(${terms}, ${account}.payment_terms_days) end`;
}

interface Due {
  readonly date: string;
  /** Null: it does not follow from the terms. */
  readonly due_date: string | null;
  readonly is_beyond: boolean | null;
}

/** Days of a new invoice, where they are left out. Throws 422 for a due date that cannot be written. */
export async function firstDays({ db }: RuleContext, values: Row): Promise<Row> {
  const terms = termsOf(
    sql`${values['invoice_type'] ?? null}::text`,
    sql`${values['payment_terms_days'] ?? null}::integer`,
  );
  const [found] = await rowsOf<Due>(
    db,
    sql`select d.date::text, (d.date + ${terms})::text as due_date, d.date + ${terms} > ${LAST_DAY} as is_beyond
      from account a, (select coalesce(${values['date'] ?? null}::date, app_today()) as date) d
      where a.account_id = ${values['account_id']}`,
  );
  const due = values['due_date'] ?? writable(found!);
  return { date: found!.date, due_date: due };
}

/** What the terms put it by. */
const MOVING: readonly string[] = ['account_id', 'date', 'payment_terms_days', 'invoice_type'];

/** A due date that is where the terms put it goes with them. Throws 422 for one that cannot be written. */
export async function movedDueDate({ db }: RuleContext, values: Row, stored: Row): Promise<Row> {
  if (!MOVING.some((name) => name in values) || 'due_date' in values) return {};
  const whole = { ...stored, ...values };
  const [found] = await rowsOf<Due>(
    db,
    sql`select d.due_date::text, d.due_date > ${LAST_DAY} as is_beyond
      from invoice i join account a on a.account_id = i.account_id
      join account b on b.account_id = ${whole['account_id']}, lateral (
        select case when i.due_date = i.date + ${termsOf(sql`i.invoice_type`, sql`i.payment_terms_days`)}
          then ${whole['date']}::date + ${termsOf(
            sql`${whole['invoice_type']}::text`,
            sql`${whole['payment_terms_days']}::integer`,
            sql`b`,
          )} end as due_date) d
      where i.id = ${stored['id']}`,
  );
  const due = writable(found!);
  return due === null ? {} : { due_date: due };
}

/** Throws 422 for a due date before the day of the invoice. */
export async function requireOrder({ db }: RuleContext, { date, due_date }: Row): Promise<void> {
  const [found] = await rowsOf<{ is_before: boolean }>(
    db,
    sql`select ${due_date}::date < ${date}::date as is_before`,
  );
  if (found!.is_before) throw refuse('is before the day of the invoice');
}

function writable({ due_date, is_beyond }: Due): string | null {
  if (is_beyond === true) throw refuse('would be after 9999-12-31 by the terms');
  return due_date;
}

function refuse(detail: string) {
  return fieldProblem('unprocessable', 'body', '/due_date', detail);
}
