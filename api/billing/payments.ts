/** Rules of payments, and of single rows of the ledger. */
import { sql } from 'drizzle-orm';
import { fieldProblem, Problem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import type { StateMachine } from '../resources/states.ts';
import { ofMemo } from './credit-memos.ts';
import { requirePast } from './invoices.ts';
import { findWrong, lockedPayments, takeBack } from './ledger.ts';
import { lockInvoices, lockNamed, rowsOf } from './locks.ts';

/** Money that is on its way is pending, and is applied once it is there. What comes back was there before. */
export const paymentStates: StateMachine = {
  column: 'status',
  first: ['pending', 'settled'],
  next: { pending: ['settled', 'failed'], settled: ['reversed'], failed: [], reversed: [] },
  enter: {
    settled: { stamp: 'settled_at' },
    failed: { stamp: 'failed_at', needs: ['status_reason'] },
    reversed: { stamp: 'reversed_at', needs: ['status_reason'] },
  },
  reason: 'status_reason',
};

export const paymentRules: ResourceRules = {
  async prepare(context, values, stored) {
    if (stored === null) return begun(context, values);
    const { status } = values;
    if (stored['credit_memo_invoice_id'] !== null) requireOwn(values);
    if (status === undefined) return values;
    if (status === 'failed' || status === 'reversed')
      await takeBack(context, stored, { ...stored, ...values }['status_reason'] as string);
    return values;
  },
  removing(_context, stored) {
    if (stored['status'] === 'pending' || stored['status'] === 'failed') return;
    throw new Problem('conflict', `it is ${String(stored['status'])}, and is kept: reverse it`);
  },
};

/** Throws 409 for what the credit of a memo has from the memo. */
function requireOwn(values: Row): void {
  if (values['status'] !== undefined) throw ofMemo();
  const errors = ['payment_date', 'reference']
    .filter((name) => name in values)
    .map((name) => ({ in: 'body' as const, pointer: `/${name}`, detail: 'is that of the memo' }));
  if (errors.length > 0)
    throw new Problem('conflict', 'it is the credit of a credit memo', { errors });
}

async function begun({ db }: RuleContext, values: Row): Promise<Row> {
  if (values['payment_date'] !== undefined) return values;
  const [today] = await rowsOf<{ day: string }>(db, sql`select app_today()::text as day`);
  return { ...values, payment_date: today!.day };
}

export const applicationRules: ResourceRules = {
  async many({ db }, bodies) {
    await lockNamed(db, bodies);
  },
  async prepare(context, values, stored) {
    // Nothing but its reason can be changed.
    if (stored) return values;
    requirePast(context.nowMs, values['applied_at'], '/applied_at');
    const { nowMs } = context;
    const at = { applied_at: values['applied_at'] ?? new Date(nowMs) };
    const payment = await requirePayment(context, values);
    const isBack = (values['reversed_payment_invoice_id'] ?? null) !== null;
    if ((values['applied_amount'] as number) < 0 !== isBack) {
      const detail = 'names the row that is taken back, of an amount below zero, and of no other';
      throw fieldProblem('unprocessable', 'body', '/reversed_payment_invoice_id', detail);
    }
    await (isBack
      ? requireReversible(context, values)
      : requireApplicable(context, values, payment));
    const [found] = await rowsOf<{ account_id: string }>(
      context.db,
      sql`select account_id from invoice where id = ${values['invoice_id']}`,
    );
    const account_id = Number(found!.account_id);
    if ((values['account_id'] ?? account_id) !== account_id)
      throw fieldProblem('unprocessable', 'body', '/account_id', 'is not that of the invoice');
    return { ...values, ...at, account_id, currency_code: payment.currency_code };
  },
};

type Payment = Awaited<ReturnType<typeof lockedPayments>>[number];

async function requirePayment(context: RuleContext, values: Row): Promise<Payment> {
  const [payment] = await lockedPayments(context, [values['payment_id'] as number]);
  if (!payment)
    throw fieldProblem('unprocessable', 'body', '/payment_id', 'refers to nothing that exists');
  const currency = payment.currency_code;
  if ((values['currency_code'] ?? currency) !== currency) {
    const detail = `is not that of the payment, which is in ${currency}`;
    throw fieldProblem('unprocessable', 'body', '/currency_code', detail);
  }
  return payment;
}

async function requireApplicable(
  context: RuleContext,
  values: Row,
  { status, currency_code, left }: Payment,
): Promise<void> {
  if (status !== 'settled') {
    const detail = `is ${status}: what is applied is settled`;
    throw fieldProblem('conflict', 'body', '/payment_id', detail);
  }
  const invoice_id = values['invoice_id'] as number;
  const amount = values['applied_amount'] as number;
  const [wrong] = await findWrong(context, currency_code, [{ invoice_id, amount }]);
  if (wrong) {
    const { name, detail, isState } = wrong;
    const pointer = name === 'amount' ? '/applied_amount' : `/${name}`;
    throw fieldProblem(isState ? 'conflict' : 'unprocessable', 'body', pointer, detail);
  }
  await requireLeft(context, left, [amount], '/applied_amount');
}

/** Throws 409 where amounts are together more than what is left. */
export async function requireLeft(
  { db }: RuleContext,
  left: string,
  amounts: readonly number[],
  pointer: string,
): Promise<void> {
  const [found] = await rowsOf<{ is_over: boolean }>(
    db,
    sql`select sum(a) > ${left}::numeric as is_over from unnest(${`{${amounts.join(',')}}`}::numeric[]) a`,
  );
  if (!found!.is_over) return;
  throw fieldProblem('conflict', 'body', pointer, `is more than is left, which is ${left}`);
}

async function requireReversible({ db }: RuleContext, values: Row): Promise<void> {
  await lockInvoices(db, [values['invoice_id'] as number]);
  const [found] = await rowsOf<{ is_same: boolean; is_over: boolean; rest: string }>(
    db,
    sql`select l.payment_id = ${values['payment_id']} and l.invoice_id = ${values['invoice_id']}
        and l.applied_amount > 0 as is_same, trim_scale(l.rest)::text as rest,
        l.rest + ${values['applied_amount']}::numeric < 0 as is_over
      from (select l.*, l.applied_amount + coalesce((select sum(r.applied_amount) from payment_invoice r
          where r.reversed_payment_invoice_id = l.id and r.deleted_at is null), 0) as rest
        from payment_invoice l where l.id = ${values['reversed_payment_invoice_id']}) l`,
  );
  if (!found?.is_same) {
    const detail = 'is no application of this payment to this invoice';
    throw fieldProblem('unprocessable', 'body', '/reversed_payment_invoice_id', detail);
  }
  if (!found.is_over) return;
  const detail = `takes back more than is left of it, which is ${found.rest}`;
  throw fieldProblem('conflict', 'body', '/applied_amount', detail);
}
