/**
 * Credit memos. One that is issued becomes a payment of the account, with its method `credit_memo`: from then on it is
 * credit like any other, and the ledger tells what it went to. The memo shows the payment's applications as its own.
 */
import { sql } from 'drizzle-orm';
import { fieldProblem, Problem } from '../problem.ts';
import type { Row, RuleContext } from '../resources/define.ts';
import { lockInvoices, rowsOf } from './locks.ts';

/**
 * Holds a credit memo that is to be issued, and the invoice that it credits. Throws 422 for one of nothing, for another
 * account's invoice or a memo, and 409 where more would be given back than was billed. Of other invoices nothing is asked.
 */
export async function requireCreditable({ db }: RuleContext, memo: Row): Promise<void> {
  if (memo['invoice_type'] !== 'credit_memo') return;
  const refuse = (code: 'conflict' | 'unprocessable', pointer: string, detail: string) =>
    fieldProblem(code, 'body', pointer, detail);
  if (memo['total_amount'] === 0)
    throw refuse(
      'unprocessable',
      '/total_amount',
      'is nothing: a credit memo gives something back',
    );
  const credited = memo['credited_invoice_id'] as number | null;
  if (credited === null) return;
  await lockInvoices(db, [credited, memo['id'] as number]);
  const [found] = await rowsOf<{
    is_billed: boolean;
    is_fit: boolean;
    rest: string;
    is_over: boolean;
  }>(
    db,
    sql`select i.issued_at is not null and i.voided_at is null and i.deleted_at is null as is_billed,
        i.invoice_type <> 'credit_memo' and i.account_id = ${memo['account_id']} as is_fit,
        trim_scale(i.total_amount - given.amount)::text as rest,
        ${memo['total_amount']}::numeric > i.total_amount - given.amount as is_over
      from invoice i, lateral (select coalesce(sum(m.total_amount), 0) as amount from invoice m
        where m.credited_invoice_id = i.id and m.issued_at is not null and m.voided_at is null and m.id <> ${memo['id']}) given
      where i.id = ${credited}`,
  );
  const at = '/credited_invoice_id';
  if (!found?.is_fit)
    throw refuse('unprocessable', at, 'is no invoice of the same account that can be credited');
  if (!found.is_billed) throw refuse('conflict', at, 'is not issued, or is void');
  if (found.is_over) throw refuse('conflict', at, `has ${found.rest} left to give back`);
}

/** Makes the credit of a memo that was just issued; of other invoices, nothing. What it credits is paid first. */
export async function openCredit(context: RuleContext, memo: Row): Promise<void> {
  if (memo['invoice_type'] !== 'credit_memo') return;
  const { db, principal, nowMs } = context;
  await requireCreditable(context, memo);
  const [made] = await rowsOf<{ id: string }>(
    db,
    sql`insert into payment (customer_id, account_id, payment_date, payment_method, payment_amount, currency_code, status,
        settled_at, reference, credit_memo_invoice_id)
      select customer_id, account_id, date, 'credit_memo', total_amount, currency_code, 'settled', issued_at, invoice_number,
        id from invoice where id = ${memo['id']} returning id`,
  );
  await db.execute(sql`
    insert into payment_invoice (customer_id, payment_id, invoice_id, account_id, applied_amount, currency_code, applied_at)
    select p.customer_id, p.id, i.id, i.account_id, least(i.balance_amount, p.unapplied_amount), i.currency_code,
      ${new Date(nowMs).toISOString()}
    from payment p join invoice i on i.id = ${memo['credited_invoice_id']}
    where p.id = ${made!.id} and i.balance_amount > 0 and i.customer_id = ${principal.tenant.customerId}`);
}

/** Takes the credit of a memo back that is to be void; of other invoices, nothing. */
export async function closeCredit(
  { db, nowMs }: RuleContext,
  memo: Row,
  why: string,
): Promise<void> {
  if (memo['invoice_type'] !== 'credit_memo') return;
  await db.execute(sql`
    update payment set status = 'reversed', reversed_at = ${new Date(nowMs).toISOString()}, status_reason = ${why}
    where credit_memo_invoice_id = ${memo['id']} and status = 'settled'`);
}

/** The payment that a memo has become, if it has: it is held before the memo itself. */
export async function creditOf({ db }: RuleContext, invoiceId: number): Promise<number[]> {
  const rows = await rowsOf<{ id: string }>(
    db,
    sql`select id from payment where credit_memo_invoice_id = ${invoiceId}`,
  );
  return rows.map(({ id }) => Number(id));
}

/** 409 for what is decided by the memo and not by the payment that it has become. */
export function ofMemo(): Problem {
  return new Problem('conflict', 'it is the credit of a credit memo: void the memo instead');
}
