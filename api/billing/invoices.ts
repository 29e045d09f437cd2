/**
 * Rules of invoices as rows: what a new one is given, what stays once it was issued, what may be deleted. The total is
 * subtotal less discount plus tax, and the status follows from amounts and instants: the database keeps both.
 */
import { sql } from 'drizzle-orm';
import { fieldProblem, Problem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import { openCredit } from './credit-memos.ts';
import { firstDays, movedDueDate } from './due-date.ts';
import { lockNamed, rowsOf } from './locks.ts';

/** What is as it was issued. What is wrong with it is given back by a credit memo. */
const FROZEN: readonly string[] = [
  'account_id',
  'invoice_type',
  'date',
  'due_date',
  'payment_terms_days',
  'currency_code',
  'subtotal_amount',
  'discount_amount',
  'tax_amount',
  'total_amount',
  'billing_period_from',
  'billing_period_to',
  'schedule_agreement_id',
  'credited_invoice_id',
];

export const invoiceRules: ResourceRules = {
  async many({ db }, bodies) {
    await lockNamed(db, bodies);
  },
  prepare: (context, values, stored, given = values) =>
    stored ? changed(context, values, stored, given) : begun(context, values),
  async written(context, row, stored) {
    // One that was issued elsewhere is issued as it is made.
    if (stored === null && row['issued_at'] !== null) await openCredit(context, row);
  },
  removing(_context, stored) {
    if (stored['voided_at'] !== null) throw new Problem('conflict', 'it is void, and is kept');
    if (stored['issued_at'] === null && stored['applied_amount'] === 0) return;
    throw new Problem(
      'conflict',
      'it is issued, and is kept: void it, or give it back by a credit memo',
    );
  },
};

/** The columns that it is given beside those that were sent. Throws 422 for what contradicts itself. */
async function begun(context: RuleContext, values: Row): Promise<Row> {
  requirePast(context.nowMs, values['issued_at'], '/issued_at');
  const total = values['total_amount'];
  const [found] = await rowsOf<{ is_total: boolean }>(
    context.db,
    sql`select ${amount(values, 'subtotal_amount')} - ${amount(values, 'discount_amount')}
      + ${amount(values, 'tax_amount')} = ${total ?? null}::numeric as is_total`,
  );
  if (total !== undefined && !found!.is_total) throw wrongTotal();
  return { ...(await firstDays(context, values)), ...withoutTotal(values) };
}

/** The total is the database's to reckon. */
function withoutTotal(values: Row): Row {
  const others = { ...values };
  delete others['total_amount'];
  return others;
}

function amount(values: Row, name: string) {
  return sql`coalesce(${values[name] ?? null}::numeric, 0)`;
}

function wrongTotal(): Problem {
  const detail = 'is not the subtotal less the discount plus the tax';
  return fieldProblem('unprocessable', 'body', '/total_amount', detail);
}

/** Throws 422 for an instant that has not come yet. */
export function requirePast(nowMs: number, given: unknown, pointer: string): void {
  if (given === undefined || given === null || Date.parse(given as string) <= nowMs) return;
  throw fieldProblem('unprocessable', 'body', pointer, 'has not come yet');
}

async function changed(context: RuleContext, values: Row, stored: Row, given: Row): Promise<Row> {
  requireUnfrozen(values, stored);
  await requireAmounts(context, values, stored, given);
  return { ...(await movedDueDate(context, values, stored)), ...withoutTotal(values) };
}

function requireUnfrozen(values: Row, { issued_at, voided_at }: Row): void {
  if (issued_at === null && voided_at === null) return;
  const isVoid = voided_at !== null;
  const detail = isVoid
    ? 'stays as it was when the invoice was made void'
    : 'stays as it was issued; give back by a credit memo what is wrong';
  const errors = FROZEN.filter((name) => name in values).map((name) => ({
    in: 'body' as const,
    pointer: `/${name}`,
    detail,
  }));
  if (errors.length === 0) return;
  throw new Problem('conflict', `the invoice is ${isVoid ? 'void' : 'issued'}`, { errors });
}

/** Throws 422 for a total that is not the sum, and for what its lines say, if there are any. */
async function requireAmounts(
  { db }: RuleContext,
  values: Row,
  { id }: Row,
  given: Row,
): Promise<void> {
  const ofLines = ['subtotal_amount', 'tax_amount'].filter((name) => name in values);
  const total = given['total_amount'];
  if (ofLines.length === 0 && total === undefined) return;
  const sent = (name: string) => sql`${values[name] ?? null}::numeric`;
  const [found] = await rowsOf<{ has_lines: boolean; is_total: boolean }>(
    db,
    sql`select exists (select from invoice_items l where l.invoice_id = i.id and l.deleted_at is null) as has_lines,
        coalesce(${sent('subtotal_amount')}, i.subtotal_amount) - coalesce(${sent('discount_amount')}, i.discount_amount)
          + coalesce(${sent('tax_amount')}, i.tax_amount) = ${total ?? null}::numeric as is_total
      from invoice i where i.id = ${id}`,
  );
  if (found!.has_lines && ofLines.length > 0) {
    const errors = ofLines.map((name) => ({
      in: 'body' as const,
      pointer: `/${name}`,
      detail: 'is the sum of its lines',
    }));
    throw new Problem('unprocessable', 'what an invoice with lines comes to is their sum', {
      errors,
    });
  }
  if (total !== undefined && !found!.is_total) throw wrongTotal();
}
