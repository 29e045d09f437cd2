/** Amounts are as fine as their currency and told exactly: yen have no decimals, dinars three, and JSON loses none. */
import t from 'tap';
import { RowMaker } from '../../db/test-rows.ts';
import { startTestPortal } from '../test-portal.ts';

type Row = Record<string, unknown>;

const portal = await startTestPortal(t);
const { mine } = portal.seed;
const account_id = mine.accountIds[0];
const client = await portal.owner.connect();
t.teardown(() => client.release());
const maker = await RowMaker.open(client);
const owner = { customerId: mine.customerId, accountId: account_id, word: 'money' };

const post = (path: string, payload: object) =>
  portal.as('admin', { method: 'POST', url: `/v1/${path}`, payload });
const invoiceOf = (currency_code: string, total_amount: number): Row => ({
  account_id,
  due_date: '2099-01-01',
  currency_code,
  subtotal_amount: total_amount,
  total_amount,
});

t.test('as fine as the currency', async (t) => {
  const rows: [string, number, boolean][] = [
    ['USD', 577_008.08, true],
    ['USD', 999_999_999_998.99, true],
    ['USD', 0.005, false],
    ['JPY', 577_008, true],
    ['JPY', 999_999_999_999, true],
    ['JPY', 1.5, false],
    ['KWD', 999_999_999_998.999, true],
    ['KWD', 12.345, true],
    ['KWD', 12.3456, false],
    ['CLF', 39_999.1234, true],
    ['CLF', 99_999_999_999.9999, true],
    // Sixteen digits, of which a number of JSON keeps fifteen.
    ['CLF', 100_000_000_000, false],
  ];
  for (const [currency, amount, isGood] of rows) {
    const made = await post('invoices', invoiceOf(currency, amount));
    const what = `${amount} ${currency}`;
    if (!isGood) {
      t.match(made, { status: 422, body: { errors: [{ pointer: '/subtotal_amount' }] } }, what);
      continue;
    }
    t.match(made, { status: 201, body: { total_amount: amount, balance_amount: amount } }, what);
    const { rows: stored } = await portal.owner.query<{ text: string }>(
      'select trim_scale(total_amount)::text as text from invoice where id = $1',
      [(made.body as unknown as Row)['id']],
    );
    t.equal(stored[0]?.text, String(amount), `${what}, to the last digit`);
  }
  const { body } = await post('invoices', invoiceOf('JPY', 1.5));
  t.match(body, { errors: [{ detail: 'has more decimals than its currency' }] });
  const finer = await post('invoices', invoiceOf('CLF', 0.00001));
  t.match(finer, { status: 400, body: { errors: [{ pointer: '/subtotal_amount' }] } });
});

t.test('a change is held to it too, and the currency with it', async (t) => {
  const { body } = await post('invoices', invoiceOf('KWD', 1.234));
  const url = `/v1/invoices/${String((body as unknown as Row)['id'])}`;
  const patch = (payload: object) =>
    portal.as('admin', { method: 'PATCH', url, payload, headers: { 'if-match': '*' } });
  t.match(await patch({ currency_code: 'JPY' }), {
    status: 422,
    body: { errors: [{ pointer: '/subtotal_amount' }] },
  });
  t.match(await patch({ tax_amount: 0.001, total_amount: 1.235 }), { status: 200 });
  t.match(await patch({ tax_amount: 0.0001, total_amount: 1.2341 }), {
    status: 422,
    body: { errors: [{ pointer: '/tax_amount' }] },
  });
});

t.test('an account without a currency of its own has its customer’s', async (t) => {
  await portal.owner.query('update customer set currency_code = $1 where customer_id = $2', [
    'JPY',
    mine.customerId,
  ]);
  const account = { account_name: 'yen', account_number: 'Y-1', account_type: 'REGIONAL' };
  t.match(await post('accounts', { ...account, credit_limit: 0.5 }), {
    status: 422,
    body: { errors: [{ pointer: '/credit_limit' }] },
  });
  t.match(await post('accounts', { ...account, credit_limit: 0.5, currency_code: 'USD' }), {
    status: 201,
  });
});

t.test('a line is its product to half of the smallest unit', async (t) => {
  const rows: [string, number, number, boolean][] = [
    // Currency, price of three, amount.
    ['JPY', 3.3333, 10, true],
    ['JPY', 3.5, 11, true],
    ['JPY', 3.5, 10, true],
    ['JPY', 3.5, 12, false],
    ['USD', 3.3333, 10, true],
    ['USD', 3.3333, 9.99, false],
    ['USD', 3.3333, 10.01, false],
    ['KWD', 3.3333, 10, true],
    ['KWD', 3.3333, 9.999, false],
  ];
  for (const [currency_code, rate, amount, isGood] of rows) {
    const { body } = await post('invoices', invoiceOf(currency_code, 100));
    const line = { quantity: 3, rate, amount, currency_code, item_description: 'x' };
    const invoice_id = (body as unknown as Row)['id'];
    const made = await post('invoice-items', { ...line, invoice_id });
    const bad = { status: 422, body: { errors: [{ pointer: '/amount' }] } };
    t.match(made, isGood ? { status: 201 } : bad, `3 times ${rate} is ${amount} ${currency_code}`);
  }
});

t.test('parts come to an amount of their currency', async (t) => {
  for (const [currency_code, total_cost] of [
    ['JPY', 4],
    ['USD', 3.7],
    ['KWD', 3.704],
  ] as const) {
    const { ers_id } = await maker.make('ers', owner, {
      currency_code: null,
      cost: null,
      cost_limit: null,
    });
    const part = { ers_id, part_name: 'valve', part_quantity: 3, part_cost: 1.2345, currency_code };
    const made = await post('ers-parts-used', part);
    t.match(made, { status: 201, body: { total_cost } }, made.text);
  }
});

t.test('a payment in another currency than its invoice names the field', async (t) => {
  const invoice = await post('invoices', invoiceOf('USD', 10));
  const payment = await post('payments', {
    account_id,
    payment_method: 'ach',
    payment_amount: 10,
    currency_code: 'EUR',
  });
  const applied = await post('payment-invoices', {
    payment_id: (payment.body as unknown as Row)['id'],
    invoice_id: (invoice.body as unknown as Row)['id'],
    account_id,
    applied_amount: 10,
    currency_code: 'USD',
  });
  t.match(applied, { status: 422, body: { errors: [{ pointer: /currency_code|payment_id/ }] } });
});

t.test('what is finer than its column keeps is refused, not rounded', async (t) => {
  const { workorder_id } = await maker.make('workorder', owner);
  const { workorder_vmrs_id } = await maker.make('workorder_vmrs', owner);
  for (const [url, name, tooFine, fineEnough] of [
    [`/v1/workorders/${String(workorder_id)}`, 'cost_limit', 1.00001, 1.01],
    [`/v1/workorder-vmrs/${String(workorder_vmrs_id)}`, 'quantity', 12.3456, 12.345],
    [`/v1/workorder-vmrs/${String(workorder_vmrs_id)}`, 'labour_hours', 0.0001, 0.001],
  ] as const) {
    const patch = (value: number) =>
      portal.as('admin', {
        method: 'PATCH',
        url,
        payload: { [name]: value },
        headers: { 'if-match': '*' },
      });
    t.match(await patch(tooFine), { status: 400, body: { errors: [{ pointer: `/${name}` }] } });
    t.match(await patch(fineEnough), { status: 200, body: { [name]: fineEnough } });
  }
});

t.test('the currency of an invoice with lines stays, and is named', async (t) => {
  const { body } = await post('invoices', invoiceOf('USD', 10));
  const { id } = body as unknown as Row;
  const line = { quantity: 1, rate: 10, amount: 10, currency_code: 'USD', item_description: 'x' };
  t.equal((await post('invoice-items', { ...line, invoice_id: id })).status, 201);
  const changed = await portal.as('admin', {
    method: 'PATCH',
    url: `/v1/invoices/${String(id)}`,
    payload: { currency_code: 'EUR' },
    headers: { 'if-match': '*' },
  });
  t.match(
    changed,
    { status: 409, body: { errors: [{ pointer: '/currency_code' }] } },
    changed.text,
  );
  t.equal((changed.body as unknown as { errors: unknown[] }).errors.length, 1);
});
