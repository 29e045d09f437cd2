/**
 * The ledger: which payment went to which invoice. Rows are added and never changed; what is taken back is a row below
 * zero that names the one it takes back. Sums on both sides are kept by the database. Amounts are handed through as they
 * came, and compared and added up by the database alone.
 */
import { sql } from 'drizzle-orm';
import { fieldProblem, Problem, type FieldError } from '../problem.ts';
import type { Row, RuleContext } from '../resources/define.ts';
import { amountArray, idArray, lockInvoices, lockPayments, rowsOf } from './locks.ts';

/** Invoices that one request pays by name. */
export const APPLICATIONS_MAX = 500;
/** Invoices that are looked at where the oldest are paid first, and payments whose rest is used at once. */
export const OLDEST_INVOICES_MAX = 500;
export const CREDITS_MAX = 500;

/** What is to go to an invoice. */
export interface Wanted {
  readonly invoice_id: number;
  readonly amount: number;
}

interface Looked {
  readonly is_there: boolean;
  readonly is_issued: boolean;
  readonly is_void: boolean;
  readonly is_memo: boolean;
  readonly is_finer: boolean;
  readonly is_over: boolean;
  readonly currency_code: string;
  readonly balance: string;
}

/**
 * Holds invoices, and looks whether each may be paid so much in a currency. Gives what is wrong, by the place in the list;
 * nothing of the payment is looked at.
 */
export async function findWrong(
  { db }: RuleContext,
  currency: string,
  wanted: readonly Wanted[],
): Promise<{ place: number; name: string; detail: string; isState: boolean }[]> {
  const ids = wanted.map(({ invoice_id }) => invoice_id);
  const amounts = wanted.map(({ amount }) => amount);
  await lockInvoices(db, ids);
  const rows = await rowsOf<Looked>(
    db,
    sql`select i.id is not null as is_there, i.issued_at is not null as is_issued, i.voided_at is not null as is_void,
        i.invoice_type = 'credit_memo' as is_memo, scale(trim_scale(w.amount)) > c.minor_unit_digits as is_finer,
        w.amount > i.balance_amount as is_over, i.currency_code, trim_scale(i.balance_amount)::text as balance
      from unnest(${idArray(ids)}, ${amountArray(amounts)}) with ordinality w (invoice_id, amount, place)
      left join invoice i on i.id = w.invoice_id and i.deleted_at is null
      left join currency_lookup c on c.currency_code = ${currency} order by w.place`,
  );
  return rows.flatMap((row, place) => {
    const [name, detail, isState] = wrongWith(row, currency);
    return detail === '' ? [] : [{ place, name, detail, isState }];
  });
}

function wrongWith(row: Looked, currency: string): [string, string, boolean] {
  const { is_there, is_issued, is_void, is_memo, is_finer, is_over, balance } = row;
  if (!is_there) return ['invoice_id', 'refers to nothing that exists', false];
  if (is_memo) return ['invoice_id', 'is a credit memo, which nobody pays', false];
  if (row.currency_code !== currency)
    return ['currency_code', `is ${currency}, and that of the invoice ${row.currency_code}`, false];
  if (is_void) return ['invoice_id', 'is void', true];
  if (!is_issued) return ['invoice_id', 'is not issued', true];
  if (is_finer) return ['amount', 'has more decimals than its currency', false];
  if (is_over) return ['amount', `is more than is left to pay, which is ${balance}`, true];
  return ['', '', false];
}

/** Throws 409 or 422 with everything that is wrong with a list of applications, each by its place in the body. */
export async function requireRight(
  context: RuleContext,
  currency: string,
  wanted: readonly Wanted[],
): Promise<void> {
  const twice = wanted.findIndex(
    ({ invoice_id }, place) => wanted.findIndex((one) => one.invoice_id === invoice_id) < place,
  );
  if (twice !== -1) {
    const pointer = `/applications/${twice}/invoice_id`;
    throw fieldProblem('unprocessable', 'body', pointer, 'is named twice');
  }
  const wrong = await findWrong(context, currency, wanted);
  if (wrong.length === 0) return;
  const errors: FieldError[] = wrong.map(({ place, name, detail }) => ({
    in: 'body',
    pointer: `/applications/${place}/${name}`,
    detail,
  }));
  const detail = errors.map((one) => `${one.pointer}: ${one.detail}`).join('; ');
  const code = wrong.every(({ isState }) => isState) ? 'conflict' : 'unprocessable';
  throw new Problem(code, detail, { errors });
}

/**
 * Pays invoices with what is left of payments, both in their order: the first payment goes to the first invoice, its rest
 * to the next, and so on until one side is used up. All rows are held already. Gives the ids of the new rows, in order.
 */
export async function spread(
  { db, nowMs }: RuleContext,
  paymentIds: readonly number[],
  wanted: readonly Wanted[] | { readonly invoiceIds: readonly number[] },
): Promise<number[]> {
  const owed =
    'invoiceIds' in wanted
      ? sql`select i.id, i.account_id, i.balance_amount as amount, row_number() over (order by i.due_date, i.id) as place
          from invoice i where i.id = any (${idArray(wanted.invoiceIds)}) and i.status in ('open', 'partial')
            and i.deleted_at is null and i.balance_amount > 0`
      : sql`select i.id, i.account_id, w.amount, w.place
          from unnest(${idArray(wanted.map((one) => one.invoice_id))}, ${amountArray(wanted.map((one) => one.amount))})
            with ordinality w (invoice_id, amount, place) join invoice i on i.id = w.invoice_id`;
  const rows = await rowsOf<{ id: string }>(
    db,
    sql`with credit as (
        select p.customer_id, p.id, p.currency_code, p.unapplied_amount as amount, p.place,
          sum(p.unapplied_amount) over (order by p.place) as upto
        from (select *, row_number() over (order by payment_date, id) as place from payment
          where id = any (${idArray(paymentIds)}) and status = 'settled' and unapplied_amount > 0) p
      ), owed as (select o.*, sum(o.amount) over (order by o.place) as upto from (${owed}) o)
      insert into payment_invoice (customer_id, payment_id, invoice_id, account_id, applied_amount, currency_code, applied_at)
      select c.customer_id, c.id, o.id, o.account_id, least(c.upto, o.upto) - greatest(c.upto - c.amount, o.upto - o.amount),
        c.currency_code, ${new Date(nowMs).toISOString()}
      from credit c join owed o on least(c.upto, o.upto) > greatest(c.upto - c.amount, o.upto - o.amount)
      order by o.place, c.place returning id`,
  );
  return rows.map(({ id }) => Number(id));
}

/** Of accounts, in a currency, the invoices that wait to be paid, the oldest due first; they are held. */
export async function lockOldest(
  { db }: RuleContext,
  accountIds: readonly number[],
  currency: string,
): Promise<number[]> {
  const rows = await rowsOf<{ id: string }>(
    db,
    sql`select id from invoice where account_id = any (${idArray(accountIds)}) and currency_code = ${currency}
      and status in ('open', 'partial') and invoice_type <> 'credit_memo' and deleted_at is null
      order by due_date, id limit ${OLDEST_INVOICES_MAX}`,
  );
  const ids = rows.map(({ id }) => Number(id));
  await lockInvoices(db, ids);
  return ids;
}

/**
 * Takes back all that is applied of a payment, which is held already. Throws 403 where some of it went to invoices that the
 * caller does not see.
 */
export async function takeBack(
  { db, nowMs }: RuleContext,
  payment: Row,
  why: string,
): Promise<void> {
  const { id } = payment;
  const applied = await rowsOf<{ invoice_id: string }>(
    db,
    sql`select distinct invoice_id from payment_invoice where payment_id = ${id} and deleted_at is null`,
  );
  await lockInvoices(
    db,
    applied.map((row) => Number(row.invoice_id)),
  );
  await db.execute(sql`
    insert into payment_invoice (customer_id, payment_id, invoice_id, account_id, applied_amount, currency_code, applied_at,
      reversed_payment_invoice_id, reason)
    select customer_id, payment_id, invoice_id, account_id, -rest, currency_code, ${new Date(nowMs).toISOString()}, id, ${why}
    from (select l.*, l.applied_amount + coalesce((select sum(r.applied_amount) from payment_invoice r
        where r.reversed_payment_invoice_id = l.id and r.deleted_at is null), 0) as rest
      from payment_invoice l where l.payment_id = ${id} and l.applied_amount > 0 and l.deleted_at is null) applied
    where rest > 0 order by id`);
  const [left] = await rowsOf<{ is_left: boolean }>(
    db,
    sql`select applied_amount <> 0 as is_left from payment where id = ${id}`,
  );
  if (left!.is_left)
    throw new Problem('forbidden', 'it is applied to invoices of accounts that you do not see');
}

/** Holds payments, and gives what is asked of them as it is then. */
export async function lockedPayments(
  { db }: RuleContext,
  ids: readonly number[],
): Promise<PaymentHead[]> {
  await lockPayments(db, ids);
  return rowsOf<PaymentHead>(
    db,
    sql`select status, currency_code, trim_scale(unapplied_amount)::text as left from payment
      where id = any (${idArray(ids)}) and deleted_at is null order by id`,
  );
}

export interface PaymentHead {
  readonly status: string;
  readonly currency_code: string;
  /** As text. */
  readonly left: string;
}
