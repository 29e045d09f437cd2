/** Bodies and answers of the routes of billing. */
import { Type } from 'typebox';
import { AmountAboveZero } from '../catalog/amounts.ts';
import { CurrencyCode } from '../catalog/codes.ts';
import type { Resource } from '../resources/resource.ts';
import { closed, described, Id, nullable } from '../schemas.ts';
import { APPLICATIONS_MAX, OLDEST_INVOICES_MAX } from './ledger.ts';

/** Accounts whose invoices are paid beside the payer's own. */
export const OTHER_ACCOUNTS_MAX = 100;

const Applications = Type.Array(closed({ invoice_id: Id, amount: AmountAboveZero }), {
  minItems: 1,
  maxItems: APPLICATIONS_MAX,
  description: 'So much to each invoice: all of it, or nothing.',
});
const Auto = Type.Literal(true, {
  description: `The invoices that are due longest first, at most ${OLDEST_INVOICES_MAX} of them; disputed ones are left out.`,
});
const AccountIds = Type.Array(Id, {
  maxItems: OTHER_ACCOUNTS_MAX,
  uniqueItems: true,
  description: 'With `auto`: further accounts whose invoices are paid.',
});

const ways = {
  applications: Type.Optional(Applications),
  auto: Type.Optional(Auto),
  account_ids: Type.Optional(AccountIds),
};

export const ApplyBody = closed(ways, {
  examples: [{ applications: [{ invoice_id: 1, amount: 2447.53 }] }],
});
export const ApplyCreditBody = closed(
  { currency_code: CurrencyCode, ...ways },
  { examples: [{ currency_code: 'USD', auto: true }] },
);

/** What may be sent to either. */
export interface ApplyRequest {
  readonly currency_code?: string;
  readonly applications?: readonly { invoice_id: number; amount: number }[];
  readonly auto?: true;
  readonly account_ids?: readonly number[];
}

export const appliedOf = (payments: Resource, applications: Resource) =>
  Type.Object({
    payment: payments.shownSchema,
    applications: Type.Array(applications.shownSchema),
  });
export const creditAppliedOf = (applications: Resource) =>
  Type.Object({ applications: Type.Array(applications.shownSchema) });

export const FromWorkorderBody = closed({ workorder_id: Id }, { examples: [{ workorder_id: 1 }] });
export const linesOf = (invoices: Resource, lines: Resource) =>
  Type.Object({ invoice: invoices.shownSchema, items: Type.Array(lines.shownSchema) });

const Money = Type.Number();
const money = (text: string) => described(Money, text);

export const AccountBalance = Type.Object(
  {
    account_id: Id,
    account_name: Type.String(),
    currency_code: Type.String(),
    invoiced_amount: money('What was issued, without credit memos and void invoices.'),
    applied_amount: money('What of that is paid.'),
    balance_amount: money('What is left to pay: the sum of the next five.'),
    not_due_amount: Money,
    past_due_1_30_amount: money('Due for 1 to 30 days, by the day of the customer.'),
    past_due_31_60_amount: Money,
    past_due_61_90_amount: Money,
    past_due_over_90_amount: Money,
    overdue_amount: money('Of invoices whose status is `overdue`; disputed ones are not.'),
    disputed_amount: money('Left to pay of disputed invoices.'),
    paid_amount: money('Payments that have come, without credit memos.'),
    credited_amount: money('Credit memos that are in force.'),
    unapplied_amount: money(
      'What is left of payments and credit memos: the credit of the account.',
    ),
    pending_amount: money('Payments that are on their way.'),
    net_amount: money(
      'What is left to pay less the credit; below zero: the account has more than it owes.',
    ),
  },
  { title: 'AccountBalance' },
);

export const StatementEntry = Type.Object({
  day: Type.String({ format: 'date' }),
  kind: Type.String({
    description:
      '`invoice`, `void` (of an invoice), `payment`, `credit_memo`, `reversal` (of either), `transfer` (to or from another account).',
  }),
  reference: Type.String({ description: 'Number of the invoice or the payment.' }),
  invoice_id: nullable(Id),
  payment_id: nullable(Id),
  amount: money('Above zero: owed; below: paid or given back.'),
  running_amount: money('What is owed after it.'),
});

export const Statement = {
  account_id: Id,
  currency_code: Type.String(),
  from: Type.String({ format: 'date' }),
  to: Type.String({ format: 'date' }),
  opening_amount: money('What was owed before the first day; below zero: the account had credit.'),
  closing_amount: money('What was owed after the last day.'),
};
