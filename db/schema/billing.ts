/** Invoices, payments, and which payment went to which invoice. */
import { sql } from 'drizzle-orm';
import { boolean, date, integer, numeric, pgTable, text } from 'drizzle-orm/pg-core';
import {
  evidenceColumns,
  id,
  identity,
  instant,
  instantNow,
  money,
  nameText,
  rate,
} from './columns.ts';

const day = () => date({ mode: 'string' });
const today = () =>
  day()
    .notNull()
    .default(sql`current_date`);
const total = () => money().notNull().default(0);

/** Invoices and credit memos. `invoice_number` left out is the next one of the tenant. */
export const invoice = pgTable('invoice', {
  id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id().notNull(),
  invoice_number: nameText(),
  invoice_type: text({
    enum: [
      'rental',
      'maintenance',
      'mileage',
      'damage',
      'toll',
      'tax',
      'fee',
      'credit_memo',
      'other',
    ],
  })
    .notNull()
    .default('other'),
  date: today(),
  due_date: day().notNull(),
  payment_terms_days: integer(),
  currency_code: text().notNull(),
  subtotal_amount: total(),
  discount_amount: total(),
  tax_amount: total(),
  total_amount: total(),
  applied_amount: total(),
  status: text({ enum: ['draft', 'open', 'partial', 'paid', 'overdue', 'disputed', 'void'] })
    .notNull()
    .default('draft'),
  balance_amount: money()
    .notNull()
    .generatedAlwaysAs(
      sql`case when status = 'void' then 0 else total_amount - applied_amount end`,
    ),
  purchase_order_number: text(),
  billing_period_from: day(),
  billing_period_to: day(),
  schedule_agreement_id: id(),
  credited_invoice_id: id(),
  issued_at: instant(),
  sent_at: instant(),
  paid_at: instant(),
  disputed_at: instant(),
  dispute_reason: nameText(),
  voided_at: instant(),
  void_reason: nameText(),
  notes: nameText(),
  attachment_id: id(),
  /** Whether it was written since it is overdue. */
  is_overdue_noted: boolean().notNull().default(false),
  ...evidenceColumns(),
});

/** Lines of invoices. `line_number` left out is the next one of the invoice; amount and tax are reckoned where they are. */
export const invoiceItems = pgTable('invoice_items', {
  id: identity().primaryKey(),
  customer_id: id().notNull(),
  invoice_id: id().notNull(),
  line_number: integer().notNull().default(0),
  item_type: text({
    enum: [
      'rental',
      'mileage',
      'labor',
      'part',
      'tire',
      'fuel',
      'damage',
      'toll',
      'tax',
      'fee',
      'other',
    ],
  })
    .notNull()
    .default('other'),
  item_description: text().notNull(),
  quantity: numeric({ precision: 12, scale: 3, mode: 'number' }).notNull().default(1),
  unit: text({
    enum: [
      'each',
      'hour',
      'day',
      'week',
      'month',
      'kilometer',
      'mile',
      'liter',
      'gallon',
      'kilogram',
      'pound',
    ],
  })
    .notNull()
    .default('each'),
  rate: rate().notNull(),
  amount: money().notNull(),
  currency_code: text().notNull(),
  tax_rate_pct: numeric({ precision: 7, scale: 4, mode: 'number' }),
  tax_amount: money().notNull(),
  period_from: day(),
  period_to: day(),
  equipment_id: id(),
  workorder_id: id(),
  billed_workorder_id: id(),
  ...evidenceColumns(),
});

/** Payments. `payment_id` is a number that people say, and left out the next one of the tenant; the key is `id`. */
export const payment = pgTable('payment', {
  id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id().notNull(),
  payment_id: nameText(),
  payment_date: today(),
  payment_method: text({
    enum: ['ach', 'wire', 'check', 'card', 'cash', 'direct_debit', 'credit_memo', 'other'],
  }).notNull(),
  payment_amount: money().notNull(),
  currency_code: text().notNull(),
  status: text({ enum: ['pending', 'settled', 'failed', 'reversed'] })
    .notNull()
    .default('pending'),
  applied_amount: total(),
  unapplied_amount: money()
    .notNull()
    .generatedAlwaysAs(
      sql`case when status in ('failed', 'reversed') then 0 else payment_amount - applied_amount end`,
    ),
  payer_name: text(),
  reference: text(),
  settled_at: instant(),
  failed_at: instant(),
  reversed_at: instant(),
  status_reason: nameText(),
  notes: nameText(),
  attachment_id: id(),
  credit_memo_invoice_id: id(),
  ...evidenceColumns(),
});

/** How much of a payment went to an invoice, and below zero what was taken back. `account_id` is the invoice's. */
export const paymentInvoice = pgTable('payment_invoice', {
  id: identity().primaryKey(),
  customer_id: id().notNull(),
  payment_id: id().notNull(),
  invoice_id: id().notNull(),
  account_id: id().notNull(),
  applied_amount: money().notNull(),
  currency_code: text().notNull(),
  applied_at: instantNow(),
  reversed_payment_invoice_id: id(),
  reason: nameText(),
  ...evidenceColumns(),
});

/** The units that an invoice is about. */
export const invoiceEquipment = pgTable('invoice_equipment', {
  id: identity().primaryKey(),
  customer_id: id().notNull(),
  invoice_id: id().notNull(),
  equipment_id: id().notNull(),
  billed_from: day(),
  billed_to: day(),
  ...evidenceColumns(),
});
