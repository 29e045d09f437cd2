/**
 * Rules of the lines of invoices. What a line comes to, and its tax, is reckoned by the database where it is left out:
 * quantity times rate, and amount times tax rate, each rounded half away from zero to the smallest unit of the currency.
 */
import { sql } from 'drizzle-orm';
import { fieldProblem, notFound, type Problem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import { lockInvoices, lockNamed, rowsOf } from './locks.ts';

interface Head {
  readonly is_issued: boolean;
  readonly currency_code: string;
}

export const invoiceItemRules: ResourceRules = {
  async many({ db }, bodies) {
    await lockNamed(db, bodies);
  },
  async prepare(context, values, stored, given = values) {
    const invoiceId = (stored ?? values)['invoice_id'] as number;
    const { currency_code: currency } = await requireDraft(context, invoiceId);
    if (stored) return { ...values, ...reckonedAgain(values, stored, given) };
    if ((values['currency_code'] ?? currency) !== currency) {
      const detail = `is not that of the invoice, which is in ${currency}`;
      throw fieldProblem('unprocessable', 'body', '/currency_code', detail);
    }
    return { ...values, currency_code: currency };
  },
  async removing(context, stored) {
    await requireDraft(context, stored['invoice_id'] as number);
  },
};

/** Holds the invoice. Throws 409 for one that was issued, or is void: its lines and units stay. */
export async function requireDraft({ db }: RuleContext, invoiceId: number): Promise<Head> {
  await lockInvoices(db, [invoiceId]);
  const [head] = await rowsOf<Head>(
    db,
    sql`select issued_at is not null or voided_at is not null as is_issued, currency_code from invoice
      where id = ${invoiceId}`,
  );
  if (!head) throw notFound('invoice');
  if (head.is_issued) throw frozen();
  return head;
}

function frozen(): Problem {
  const detail =
    'is issued or void, and what is on it stays; give back by a credit memo what is wrong';
  return fieldProblem('conflict', 'body', '/invoice_id', detail);
}

/** What is to be reckoned again, as null; what the caller gives is looked at by the database. */
function reckonedAgain(values: Row, stored: Row, given: Row): Row {
  const isPriced = 'quantity' in values || 'rate' in values;
  const again: Row = {};
  if (isPriced) again['amount'] = given['amount'] ?? null;
  const rate = { ...stored, ...values }['tax_rate_pct'];
  const isTaxed = 'tax_rate_pct' in values || (rate !== null && (isPriced || 'amount' in values));
  if (isTaxed) again['tax_amount'] = given['tax_amount'] ?? null;
  return again;
}
