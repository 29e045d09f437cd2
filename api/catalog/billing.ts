/** Invoices, payments, and which payment went to which invoice. */
import { Type } from 'typebox';
import {
  invoice,
  invoiceEquipment,
  invoiceItems,
  payment,
  paymentInvoice,
} from '../../db/schema.ts';
import { invoiceRules } from '../billing/invoices.ts';
import { invoiceItemRules } from '../billing/lines.ts';
import { applicationRules, paymentRules, paymentStates } from '../billing/payments.ts';
import { invoiceEquipmentRules } from '../billing/units.ts';
import { shownStatus, statusWords } from '../billing/status.ts';
import type { ResourceDeclaration } from '../resources/define.ts';
import { Amount, AmountAboveZero, AmountFromZero, QuantityAboveZero, Rate } from './amounts.ts';
import { oneOf } from '../schemas.ts';
import { CurrencyCode } from './codes.ts';

const invoices: readonly ResourceDeclaration[] = [
  {
    table: invoice,
    path: 'invoices',
    noun: 'invoice',
    nouns: 'invoices',
    tag: 'billing',
    right: 'invoice',
    rules: invoiceRules,
    hidden: ['is_overdue_noted'],
    read: { status: shownStatus },
    words: { status: statusWords },
    optional: ['due_date'],
    derived: [
      'applied_amount',
      'status',
      'sent_at',
      'paid_at',
      'disputed_at',
      'dispute_reason',
      'voided_at',
      'void_reason',
    ],
    fixed: ['invoice_number', 'issued_at'],
    notes: {
      create:
        'A draft, unless `issued_at` says that it was issued already. `total_amount` is the subtotal less the discount plus ' +
        'the tax, and may be left out; `due_date` left out is so many days after `date` as the terms say.',
      change:
        'Once issued, amounts, lines, currency, account and days stay (409). Of an invoice with lines, subtotal and tax are ' +
        'their sums.',
    },
    long: ['dispute_reason', 'void_reason', 'notes'],
    references: { credited_invoice_id: 'invoice' },
    fields: {
      payment_terms_days: Type.Integer({ minimum: 0, maximum: 365 }),
      currency_code: CurrencyCode,
      subtotal_amount: AmountFromZero,
      discount_amount: AmountFromZero,
      tax_amount: AmountFromZero,
      total_amount: AmountFromZero,
    },
    example: {
      account_id: 1,
      invoice_number: 'R-2025-004417',
      invoice_type: 'rental',
      date: '2025-03-01',
      due_date: '2025-03-31',
      payment_terms_days: 30,
      currency_code: 'USD',
      subtotal_amount: 2380,
      discount_amount: 119,
      tax_amount: 186.53,
      total_amount: 2447.53,
      purchase_order_number: 'PO-88120',
      billing_period_from: '2025-02-01',
      billing_period_to: '2025-02-28',
      schedule_agreement_id: 1,
      notes: 'Four reefers at the Memphis yard.',
    },
  },
  {
    table: invoiceItems,
    path: 'invoice-items',
    noun: 'invoice line',
    nouns: 'invoice lines',
    tag: 'billing',
    right: 'invoice',
    rules: invoiceItemRules,
    optional: ['amount', 'tax_amount', 'currency_code'],
    fixed: ['invoice_id', 'currency_code'],
    hidden: ['billed_workorder_id'],
    notes: {
      create:
        '`amount` left out is quantity times rate, and `tax_amount` amount times tax rate, each rounded half away from zero ' +
        'to the smallest unit of the currency. The invoice is the sum of its lines at once.',
    },
    references: { invoice_id: 'invoice' },
    fields: {
      line_number: Type.Integer({ minimum: 1, maximum: 100_000 }),
      quantity: QuantityAboveZero,
      rate: Rate,
      amount: Amount,
      tax_amount: Amount,
      currency_code: CurrencyCode,
      tax_rate_pct: Type.Number({ minimum: 0, maximum: 100, multipleOf: 0.0001 }),
    },
    example: {
      invoice_id: 1,
      line_number: 1,
      item_type: 'rental',
      item_description: 'Refrigerated trailer, 53 ft, February',
      quantity: 4,
      unit: 'month',
      rate: 595,
      amount: 2380,
      currency_code: 'USD',
      tax_rate_pct: 8.25,
      tax_amount: 196.35,
      period_from: '2025-02-01',
      period_to: '2025-02-28',
      equipment_id: 1,
      workorder_id: null,
    },
  },
  {
    table: invoiceEquipment,
    path: 'invoice-equipment',
    noun: 'unit on an invoice',
    nouns: 'units on invoices',
    tag: 'billing',
    right: 'invoice',
    rules: invoiceEquipmentRules,
    fixed: ['invoice_id', 'equipment_id'],
    references: { invoice_id: 'invoice' },
    example: {
      invoice_id: 1,
      equipment_id: 1,
      billed_from: '2025-02-01',
      billed_to: '2025-02-28',
    },
  },
];

/** A credit memo is paid with once it is issued, and by itself. */
const isMadeByCallers = (method: string) => method !== 'credit_memo';

const payments: readonly ResourceDeclaration[] = [
  {
    table: payment,
    path: 'payments',
    noun: 'payment',
    nouns: 'payments',
    tag: 'billing',
    right: 'payment',
    rules: paymentRules,
    states: paymentStates,
    derived: ['applied_amount', 'settled_at', 'failed_at', 'reversed_at', 'credit_memo_invoice_id'],
    fixed: ['payment_id', 'account_id', 'payment_amount', 'currency_code', 'payment_method'],
    notes: {
      create: 'What is not applied to invoices stays credit of the account: `unapplied_amount`.',
      change:
        'One that fails or comes back takes what was applied of it back, by rows below zero, in the same transaction.',
    },
    references: { credit_memo_invoice_id: 'invoice' },
    long: ['status_reason', 'notes'],
    fields: {
      payment_method: oneOf(payment.payment_method.enumValues.filter(isMadeByCallers)),
      payment_amount: AmountAboveZero,
      currency_code: CurrencyCode,
    },
    example: {
      account_id: 1,
      payment_id: 'ACH-20250328-0017',
      payment_date: '2025-03-28',
      payment_method: 'ach',
      payment_amount: 2447.53,
      currency_code: 'USD',
      status: 'pending',
      payer_name: 'Bluff City Produce',
      reference: '091000019283746',
      notes: 'For R-2025-004417.',
    },
  },
  {
    // A ledger: what was applied by mistake is taken back by a row with the opposite sign.
    table: paymentInvoice,
    path: 'payment-invoices',
    noun: 'application of a payment',
    nouns: 'applications of payments',
    tag: 'billing',
    right: 'payment',
    rules: applicationRules,
    deletable: false,
    optional: ['account_id', 'currency_code'],
    notes: {
      create:
        'At most what is left of the payment, and what is left to pay. A row that names `reversed_payment_invoice_id` and an ' +
        'amount below zero takes that one back, wholly or in part.',
      change: 'Its reason; all else stays.',
    },
    fixed: [
      'payment_id',
      'invoice_id',
      'account_id',
      'applied_amount',
      'currency_code',
      'applied_at',
      'reversed_payment_invoice_id',
    ],
    long: ['reason'],
    references: {
      payment_id: 'payment',
      invoice_id: 'invoice',
      reversed_payment_invoice_id: 'payment_invoice',
    },
    fields: { applied_amount: Amount, currency_code: CurrencyCode },
    example: {
      payment_id: 1,
      invoice_id: 1,
      account_id: 1,
      applied_amount: 2447.53,
      currency_code: 'USD',
      applied_at: '2025-03-28T15:04:05Z',
      reason: '',
    },
  },
];

export const billingResources: readonly ResourceDeclaration[] = [...invoices, ...payments];
