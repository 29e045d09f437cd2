/** The breakdown is billed and paid too much; two months of rent: one paid in part, one over its day; a credit memo. */
import type { Cast } from './northline.ts';
import type { Teller } from './teller.ts';

export async function tellBilling(teller: Teller, cast: Cast, orderId: number): Promise<void> {
  const { accountId } = cast;
  const rent = (number: string, daysAgo: number) => tellRent(teller, accountId, number, daysAgo);
  const pay = (daysAgo: number, amount: number, body: object) =>
    tellPayment(teller, accountId, [daysAgo, amount], body);
  const apply = (invoice: number, amount: number) => ({
    applications: [{ invoice_id: invoice, amount }],
  });
  const old = await rent('NL-R-0091', 75);
  await pay(50, 1_000, apply(old, 1_000));
  const latest = await rent('NL-R-0102', 25);
  await pay(10, 900, apply(latest, 900));

  teller.at(17, 10);
  const repair = await teller.make('/v1/invoices', {
    account_id: accountId,
    invoice_number: 'NL-S-0033',
    invoice_type: 'maintenance',
    date: teller.date(17),
    due_date: teller.date(-13),
    currency_code: 'USD',
    notes: 'Tyre on I-80, roadside call.',
  });
  await teller.post(`/v1/invoices/${repair}/items-from-workorder`, { workorder_id: orderId });
  await teller.post(`/v1/invoices/${repair}/issue`, {});
  // What is paid too much stays as the account's credit.
  await pay(8, 800, apply(repair, 738.9));

  teller.at(5, 10);
  const memo = await teller.make('/v1/invoices', {
    account_id: accountId,
    invoice_number: 'NL-C-0007',
    invoice_type: 'credit_memo',
    date: teller.date(5),
    due_date: teller.date(5),
    currency_code: 'USD',
    credited_invoice_id: latest,
  });
  await teller.make('/v1/invoice-items', {
    invoice_id: memo,
    item_type: 'rental',
    item_description: 'Six days without the trailer that stood for its tyre',
    quantity: 6,
    unit: 'day',
    rate: 13.8333,
    currency_code: 'USD',
  });
  await teller.post(`/v1/invoices/${memo}/issue`, {});
}

/** A month of four trailers. */
async function tellRent(
  teller: Teller,
  accountId: number,
  number: string,
  daysAgo: number,
): Promise<number> {
  teller.at(daysAgo, 9);
  const id = await teller.make('/v1/invoices', {
    account_id: accountId,
    invoice_number: number,
    invoice_type: 'rental',
    date: teller.date(daysAgo),
    due_date: teller.date(daysAgo - 30),
    currency_code: 'USD',
    billing_period_from: teller.date(daysAgo),
    billing_period_to: teller.date(daysAgo - 29),
  });
  await teller.make('/v1/invoice-items', {
    invoice_id: id,
    item_type: 'rental',
    item_description: 'Dry van, 53 ft',
    quantity: 4,
    unit: 'month',
    rate: 415,
    tax_rate_pct: 8.25,
    currency_code: 'USD',
  });
  await teller.post(`/v1/invoices/${id}/issue`, {});
  await teller.post(`/v1/invoices/${id}/send`, {});
  return id;
}

/** Money that has come, and where it goes. */
async function tellPayment(
  teller: Teller,
  accountId: number,
  [daysAgo, amount]: readonly [number, number],
  body: object,
): Promise<void> {
  teller.at(daysAgo, 14);
  const id = await teller.make('/v1/payments', {
    account_id: accountId,
    payment_date: teller.date(daysAgo),
    payment_method: 'ach',
    payment_amount: amount,
    currency_code: 'USD',
    status: 'settled',
  });
  await teller.post(`/v1/payments/${id}/apply`, body);
}
