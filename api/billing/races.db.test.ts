/** Fifty at once: what only one can have goes to one, the others are told why, and nothing is half done. */
import t from 'tap';
import { openHouse, type Answer, type Row } from './test-billing.ts';

const AT_ONCE = 50;
const house = await openHouse(t);
const { send, get, list, draft, issued, paid, apply, accounts, portal } = house;
const [account_id] = accounts;

const together = (act: (n: number) => Promise<Answer>) =>
  Promise.all(Array.from({ length: AT_ONCE }, (_, n) => act(n)));

/** Statuses, counted, and the places that the refusals blame. */
function told(answers: readonly Answer[]) {
  const statuses: Record<number, number> = {};
  const pointers = new Set<unknown>();
  for (const { status, body } of answers) {
    statuses[status] = (statuses[status] ?? 0) + 1;
    for (const one of (body['errors'] ?? []) as Row[]) pointers.add(one['pointer']);
  }
  return { statuses, pointers: [...pointers] };
}

/** No row of the ledger is more or less than both sides say. */
async function requireSums() {
  const { rows } = await portal.owner.query<{ wrong: number }>(`
    select count(*)::integer as wrong from (
      select p.id from payment p where p.applied_amount <> coalesce((select sum(l.applied_amount) from payment_invoice l
        where l.payment_id = p.id), 0) or p.applied_amount > p.payment_amount
      union all
      select i.id from invoice i where i.invoice_type <> 'credit_memo' and (i.applied_amount > i.total_amount
        or i.applied_amount <> coalesce((select sum(l.applied_amount) from payment_invoice l where l.invoice_id = i.id), 0))
      union all
      select l.id from payment_invoice l where l.applied_amount > 0 and l.applied_amount + coalesce((
        select sum(r.applied_amount) from payment_invoice r where r.reversed_payment_invoice_id = l.id), 0) < 0) found`);
  if (rows[0]!.wrong > 0) throw new Error(`${rows[0]!.wrong} sums are wrong`);
}

t.afterEach(requireSums);

t.test('the same invoice number', async (t) => {
  const body = { account_id, currency_code: 'USD', invoice_number: 'RACE-1', subtotal_amount: 10 };
  const answers = await together(() => send('POST', 'invoices', body));
  t.same(told(answers), { statuses: { 201: 1, 409: 49 }, pointers: ['/invoice_number'] });
  t.equal((await list('invoices?filter[invoice_number]=RACE-1&deleted=include')).length, 1);
  const { rows } = await portal.owner.query<{ count: number }>(
    `select count(*)::integer from activity_feed where entity_type = 'invoice' and after ->> 'invoice_number' = 'RACE-1'`,
  );
  t.equal(rows[0]!.count, 1, 'and the trail tells of one');
});

t.test('the same payment', async (t) => {
  const body = {
    account_id,
    currency_code: 'USD',
    payment_id: 'RACE-1',
    payment_method: 'wire',
    payment_amount: 10,
  };
  const answers = await together(() => send('POST', 'payments', body));
  t.same(told(answers), { statuses: { 201: 1, 409: 49 }, pointers: ['/payment_id'] });
  t.equal((await list('payments?filter[payment_id]=RACE-1')).length, 1);
});

t.test('the same payment under one key, over a real socket', async (t) => {
  const body = {
    account_id,
    currency_code: 'USD',
    payment_method: 'wire',
    payment_amount: 10,
    reference: 'once',
  };
  const headers = {
    ...portal.headersOf('admin'),
    'content-type': 'application/json',
    'idempotency-key': 'pay-once',
  };
  const answers = await Promise.all(
    Array.from({ length: AT_ONCE }, () =>
      fetch(`${portal.url}/v1/payments`, { method: 'POST', headers, body: JSON.stringify(body) }),
    ),
  );
  t.same(new Set(answers.map(({ status }) => status)), new Set([201]));
  const ids = new Set(
    await Promise.all(answers.map(async (one) => ((await one.json()) as Row)['id'])),
  );
  t.equal(ids.size, 1);
  t.equal((await list('payments?filter[reference]=once')).length, 1);
});

t.test('numbers that are left out are all different', async (t) => {
  const answers = await together(() =>
    send('POST', 'invoices', { account_id, currency_code: 'USD' }),
  );
  t.same(told(answers).statuses, { 201: 50 });
  t.equal(new Set(answers.map(({ body }) => body['invoice_number'])).size, 50);
});

t.test('the whole of a payment to one invoice', async (t) => {
  const [invoice, payment] = [await issued(100), await paid(100)];
  const answers = await together(() => apply(payment, invoice, 100));
  t.same(told(answers).statuses, { 201: 1, 409: 49 });
  t.same(told(answers).pointers, ['/applied_amount']);
  t.match(await get(`invoices/${invoice}`), {
    status: 'paid',
    balance_amount: 0,
    applied_amount: 100,
  });
  t.match(await get(`payments/${payment}`), { unapplied_amount: 0 });
});

t.test('the whole of a payment to fifty invoices', async (t) => {
  const payment = await paid(100);
  const invoices = await Promise.all(Array.from({ length: AT_ONCE }, () => issued(100)));
  const answers = await together((n) =>
    n % 2 === 0
      ? apply(payment, invoices[n]!, 100)
      : send('POST', `payments/${payment}/apply`, {
          applications: [{ invoice_id: invoices[n], amount: 100 }],
        }),
  );
  const won = answers.filter(({ status }) => status < 300);
  t.equal(won.length, 1);
  t.equal(answers.filter(({ status }) => status === 409).length, 49);
  t.equal((await list(`invoices?filter[id][in]=${invoices.join()}&filter[status]=paid`)).length, 1);
});

t.test('fifty payments to one invoice', async (t) => {
  const invoice = await issued(100);
  const payments = await Promise.all(Array.from({ length: AT_ONCE }, () => paid(30)));
  const answers = await together((n) => apply(payments[n]!, invoice, 30));
  t.same(told(answers).statuses, { 201: 3, 409: 47 });
  t.match(await get(`invoices/${invoice}`), { status: 'partial', applied_amount: 90 });
});

t.test('many at once over the same invoices, in every order', async (t) => {
  const invoices = await Promise.all(Array.from({ length: 10 }, () => issued(50)));
  const payments = await Promise.all(Array.from({ length: AT_ONCE }, () => paid(20)));
  const answers = await together((n) => {
    const order = n % 2 === 0 ? invoices : [...invoices].reverse();
    const applications = order
      .slice(n % 5, (n % 5) + 4)
      .map((invoice_id) => ({ invoice_id, amount: 5 }));
    return n % 3 === 0
      ? send('POST', `payments/${payments[n]!}/apply`, { auto: true })
      : send('POST', `payments/${payments[n]!}/apply`, { applications });
  });
  for (const { status, text } of answers) t.ok(status === 200 || status === 409, text);
});

t.test('credit of an account is used once', async (t) => {
  const own = { account_id: accounts[1], currency_code: 'SEK' };
  for (let n = 0; n < 5; n++) await paid(10, own);
  const invoices = await Promise.all(Array.from({ length: AT_ONCE }, () => issued(7, own)));
  const answers = await together((n) =>
    send('POST', `accounts/${accounts[1]}/apply-credit`, {
      currency_code: 'SEK',
      ...(n % 2 === 0
        ? { auto: true }
        : { applications: [{ invoice_id: invoices[n], amount: 7 }] }),
    }),
  );
  for (const { status, text } of answers) t.ok(status === 200 || status === 409, text);
  const [balance] = await list(`account-balances?account_id=${accounts[1]}&currency_code=SEK`);
  t.match(balance, { unapplied_amount: 0, applied_amount: 50, balance_amount: 300 });
});

t.test('taken back once', async (t) => {
  const [invoice, payment] = [await issued(100), await paid(100)];
  const { body } = await apply(payment, invoice, 100);
  const answers = await together(() =>
    apply(payment, invoice, -100, { reversed_payment_invoice_id: body['id'] }),
  );
  t.same(told(answers), { statuses: { 201: 1, 409: 49 }, pointers: ['/applied_amount'] });
  t.match(await get(`invoices/${invoice}`), { status: 'open', applied_amount: 0, paid_at: null });
});

t.test('a payment comes back once, while it is applied', async (t) => {
  const invoice = await issued(100);
  const payment = await paid(100);
  const answers = await together((n) =>
    n % 2 === 0
      ? send('POST', `payments/${payment}/transitions`, {
          status: 'reversed',
          status_reason: 'back',
        })
      : apply(payment, invoice, 2),
  );
  const moved = answers.filter((_one, n) => n % 2 === 0);
  t.same(told(moved).statuses, { 200: 1, 409: 24 });
  for (const { status, text } of answers) t.ok(status < 300 || status === 409, text);
  t.match(await get(`payments/${payment}`), {
    status: 'reversed',
    applied_amount: 0,
    unapplied_amount: 0,
  });
  t.match(await get(`invoices/${invoice}`), { status: 'open', applied_amount: 0 });
});

t.test('issued once, with the lines that it then has', async (t) => {
  const id = await draft(1);
  const answers = await together((n) =>
    n % 5 === 0
      ? send('POST', `invoices/${id}/issue`, {})
      : send('POST', 'invoice-items', { invoice_id: id, item_description: 'x', rate: 1 }),
  );
  for (const { status, text } of answers) t.ok(status < 300 || status === 409, text);
  t.equal(answers.filter(({ status }) => status === 200).length, 1);
  const lines = await list(`invoice-items?filter[invoice_id]=${id}&limit=500`);
  t.match(await get(`invoices/${id}`), { status: 'open', total_amount: lines.length });
  t.equal(new Set(lines.map((line) => line['line_number'])).size, lines.length);
});

t.test('void or paid, and not both', async (t) => {
  for (let round = 0; round < 5; round++) {
    const [invoice, payment] = [await issued(10), await paid(10)];
    const answers = await together((n) =>
      n % 2 === 0
        ? send('POST', `invoices/${invoice}/void`, { reason: 'x' })
        : apply(payment, invoice, 10),
    );
    t.equal(answers.filter(({ status }) => status < 300).length, 1, JSON.stringify(told(answers)));
    t.equal(answers.filter(({ status }) => status === 409).length, 49);
    const { status, applied_amount } = await get(`invoices/${invoice}`);
    t.ok(status === 'void' ? applied_amount === 0 : status === 'paid' && applied_amount === 10);
  }
});

t.test('credit memos give back no more than was billed', async (t) => {
  const invoice = await issued(100);
  const memos = await Promise.all(
    Array.from({ length: AT_ONCE }, () =>
      draft(30, { invoice_type: 'credit_memo', credited_invoice_id: invoice }),
    ),
  );
  const answers = await together((n) => send('POST', `invoices/${memos[n]!}/issue`, {}));
  t.same(told(answers), { statuses: { 200: 3, 409: 47 }, pointers: ['/credited_invoice_id'] });
  t.match(await get(`invoices/${invoice}`), { status: 'partial', applied_amount: 90 });
  t.equal((await list(`payments?filter[payment_method]=credit_memo&limit=500`)).length, 3);
});

t.test('a credit memo is void, or its credit is used', async (t) => {
  for (let round = 0; round < 5; round++) {
    const memo = await draft(10, { invoice_type: 'credit_memo' });
    await send('POST', `invoices/${memo}/issue`, {});
    const [credit] = await list(`payments?filter[credit_memo_invoice_id]=${memo}`);
    const invoice = await issued(10);
    const answers = await together((n) =>
      n % 2 === 0
        ? send('POST', `invoices/${memo}/void`, { reason: 'x' })
        : apply(credit!['id'] as number, invoice, 10),
    );
    t.equal(answers.filter(({ status }) => status < 300).length, 1, JSON.stringify(told(answers)));
    t.equal(answers.filter(({ status }) => status === 409).length, 49);
  }
});

t.test('a work order is billed once', async (t) => {
  const { body } = await send('POST', 'workorders', {
    ...{
      equipment_id: portal.seed.mine.equipmentIds[0],
      workorder_description: 'brakes',
      currency_code: 'USD',
    },
  });
  const workorder_id = body['workorder_id'] as number;
  await portal.owner.query(
    `update workorder set workorder_status = 'closed', part_cost = 100, tax_cost = 8.25 where workorder_id = $1`,
    [workorder_id],
  );
  const invoices = await Promise.all(Array.from({ length: AT_ONCE }, () => draft()));
  const answers = await together((n) =>
    send('POST', `invoices/${invoices[n]!}/items-from-workorder`, { workorder_id }),
  );
  t.same(told(answers), { statuses: { 200: 1, 409: 49 }, pointers: ['/workorder_id'] });
  t.equal((await list(`invoice-items?filter[workorder_id]=${workorder_id}`)).length, 2);
});
