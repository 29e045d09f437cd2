/** Payments, what they are applied to, what is taken back, and the credit that is left. */
import t from 'tap';
import { withTenant } from '../../db/tenancy.ts';
import { blames, openHouse, type Row } from './test-billing.ts';

/** Noon in Berlin on 1 March 2026. */
let nowMs = Date.parse('2026-03-01T11:00:00Z');
const house = await openHouse(t, { now: () => nowMs });
const { send, get, list, draft, issued, paid, apply, accounts, portal } = house;
const [north, south] = accounts;

const owed = async (id: number) => {
  const { status, applied_amount, balance_amount } = await get(`invoices/${id}`);
  return [status, applied_amount, balance_amount];
};
const left = async (id: number) => (await get(`payments/${id}`))['unapplied_amount'];

t.test('a payment is split over invoices, and what is over stays', async (t) => {
  const [a, b] = [await issued(60), await issued(70)];
  const payment = await paid(150);
  t.match(await apply(payment, a, 60), {
    status: 201,
    body: { account_id: north, currency_code: 'USD', applied_at: new Date(nowMs).toISOString() },
  });
  t.match(await apply(payment, b, 70), { status: 201 });
  t.same(await owed(a), ['paid', 60, 0]);
  t.same(await owed(b), ['paid', 70, 0]);
  t.equal(await left(payment), 20);
});

t.test('what cannot be applied is refused by its field', async (t) => {
  const invoice = await issued(50);
  const payment = await paid(30);
  const rows: [string, Promise<{ status: number }>, number, string][] = [
    ['more than the payment', apply(payment, invoice, 30.01), 409, '/applied_amount'],
    ['more than is owed', apply(await paid(100), invoice, 50.01), 409, '/applied_amount'],
    ['a draft', apply(payment, await draft(10), 1), 409, '/invoice_id'],
    ['pending', apply(await paid(10, { status: 'pending' }), invoice, 1), 409, '/payment_id'],
    ['euros', apply(await paid(10, { currency_code: 'EUR' }), invoice, 1), 422, '/currency_code'],
    [
      'said to be euros',
      apply(payment, invoice, 1, { currency_code: 'EUR' }),
      422,
      '/currency_code',
    ],
    ['another account', apply(payment, invoice, 1, { account_id: south }), 422, '/account_id'],
    ['finer than a cent', apply(payment, invoice, 0.001), 422, '/applied_amount'],
    ['nothing', apply(payment, invoice, 0), 422, '/applied_amount'],
    ['below zero', apply(payment, invoice, -1), 422, '/reversed_payment_invoice_id'],
    [
      'tomorrow',
      apply(payment, invoice, 1, { applied_at: '2026-03-02T00:00:00Z' }),
      422,
      '/applied_at',
    ],
    ['no such payment', apply(9_999_999, invoice, 1), 422, '/payment_id'],
    ['no such invoice', apply(payment, 9_999_999, 1), 422, '/invoice_id'],
  ];
  for (const [what, answer, status, pointer] of rows)
    t.match(
      await answer,
      blames(status, pointer),
      `${what}: ${JSON.stringify(((await answer) as unknown as { text: string }).text)}`,
    );
  const gone = await issued(50);
  await send('POST', `invoices/${gone}/void`, { reason: 'twice' });
  t.match(await apply(payment, gone, 1), blames(409, '/invoice_id'));
  t.same(await owed(invoice), ['open', 0, 50]);
  t.equal(await left(payment), 30);
});

t.test('rows of the ledger stay, but for their reason', async (t) => {
  const { body } = await apply(await paid(10), await issued(10), 10);
  const one = `payment-invoices/${String(body['id'])}`;
  for (const [name, value] of Object.entries({
    applied_amount: 5,
    invoice_id: 1,
    payment_id: 1,
    applied_at: '2026-01-01T00:00:00Z',
    currency_code: 'EUR',
  }))
    t.match(await send('PATCH', one, { [name]: value }), blames(400, `/${name}`), name);
  t.match(await send('PATCH', one, { reason: 'said on the phone' }), { status: 200 });
  t.equal((await send('DELETE', one)).status, 404, 'there is no such route');
});

t.test('what is taken back is never more than was applied', async (t) => {
  const invoice = await issued(100);
  const payment = await paid(100);
  const { body } = await apply(payment, invoice, 80);
  const back = (amount: number, more: Row = {}) =>
    apply(payment, invoice, amount, { reversed_payment_invoice_id: body['id'], ...more });
  t.match(await back(-30), { status: 201 });
  t.same(await owed(invoice), ['partial', 50, 50]);
  t.match(await back(-50.01), blames(409, '/applied_amount'));
  t.match(await back(10), blames(422, '/reversed_payment_invoice_id'), 'above zero');
  const other = await apply(payment, await issued(20), 20);
  t.match(
    await back(-1, { reversed_payment_invoice_id: other.body['id'] }),
    blames(422, '/reversed_payment_invoice_id'),
  );
  const reversal = (
    await list(`payment-invoices?filter[invoice_id]=${invoice}&filter[applied_amount][lt]=0`)
  )[0]!;
  t.match(
    await back(-1, { reversed_payment_invoice_id: reversal['id'] }),
    blames(422, '/reversed_payment_invoice_id'),
  );
  t.match(await back(-50), { status: 201 });
  t.same(await owed(invoice), ['open', 0, 100]);
  t.equal(await left(payment), 80);
});

t.test('a payment goes one way, and takes back what it paid', async (t) => {
  const pending = await paid(10, { status: 'pending' });
  const move = (id: number, to: Row) => send('POST', `payments/${id}/transitions`, to);
  t.match(await move(pending, { status: 'reversed', status_reason: 'x' }), {
    status: 409,
    body: { allowedTransitions: ['settled', 'failed'] },
  });
  t.match(await move(pending, { status: 'failed' }), blames(422, '/status_reason'));
  t.match(await move(pending, { status: 'settled' }), {
    status: 200,
    body: { settled_at: new Date(nowMs).toISOString() },
  });
  const invoices = [
    await issued(4),
    await issued(10, { due_date: '2026-03-02', date: '2026-02-01' }),
  ];
  await apply(pending, invoices[0]!, 4);
  await apply(pending, invoices[1]!, 6);
  nowMs += 3 * 86_400_000;
  const back = await move(pending, { status: 'reversed', status_reason: 'charged back' });
  t.match(
    back,
    {
      status: 200,
      body: {
        applied_amount: 0,
        unapplied_amount: 0,
        status_reason: 'charged back',
        reversed_at: new Date(nowMs).toISOString(),
      },
    },
    back.text,
  );
  t.same(await owed(invoices[0]!), ['open', 0, 4]);
  t.same(await owed(invoices[1]!), ['overdue', 0, 10]);
  const rows = await list(`payment-invoices?filter[payment_id]=${pending}`);
  t.same(
    rows.map((row) => row['applied_amount']),
    [4, 6, -4, -6],
  );
  t.match(await move(pending, { status: 'settled' }), {
    status: 409,
    body: { allowedTransitions: [] },
  });
  t.match(await apply(pending, invoices[0]!, 1), blames(409, '/payment_id'));
  for (const name of ['payment_amount', 'currency_code', 'account_id', 'payment_method'])
    t.match(
      await send('PATCH', `payments/${pending}`, {
        [name]: name === 'account_id' || name === 'payment_amount' ? 1 : 'EUR',
      }),
      blames(400, `/${name}`),
    );
  t.equal((await send('DELETE', `payments/${pending}`)).status, 409);
  t.equal((await send('DELETE', `payments/${await paid(1)}`)).status, 409);
  t.equal((await send('DELETE', `payments/${await paid(1, { status: 'pending' })}`)).status, 204);
  t.match(
    await send('POST', 'payments', {
      account_id: north,
      currency_code: 'USD',
      payment_method: 'credit_memo',
      payment_amount: 1,
    }),
    blames(400, '/payment_method'),
  );
});

t.test('by name: all of it, or nothing', async (t) => {
  const [a, b] = [await issued(30), await issued(40)];
  const payment = await paid(60);
  const go = (applications: Row[]) => send('POST', `payments/${payment}/apply`, { applications });
  t.match(
    await go([
      { invoice_id: a, amount: 30 },
      { invoice_id: b, amount: 41 },
    ]),
    blames(409, '/applications/1/amount'),
  );
  t.match(
    await go([
      { invoice_id: a, amount: 30 },
      { invoice_id: b, amount: 31 },
    ]),
    blames(409, '/applications'),
  );
  t.match(
    await go([
      { invoice_id: a, amount: 3 },
      { invoice_id: a, amount: 3 },
    ]),
    blames(422, '/applications/1/invoice_id'),
  );
  t.match(await go([{ invoice_id: a, amount: 0.005 }]), blames(422, '/applications/0/amount'));
  t.match(await go([]), { status: 400 });
  t.match(await send('POST', `payments/${payment}/apply`, {}), blames(400, '/applications'));
  t.match(
    await send('POST', `payments/${payment}/apply`, {
      auto: true,
      applications: [{ invoice_id: a, amount: 1 }],
    }),
    blames(400, '/applications'),
  );
  t.same(await owed(a), ['open', 0, 30], 'nothing of it was done');
  t.match(
    await go([
      { invoice_id: b, amount: 30 },
      { invoice_id: a, amount: 30 },
    ]),
    {
      status: 200,
      body: {
        payment: { unapplied_amount: 0 },
        applications: [
          { invoice_id: b, applied_amount: 30 },
          { invoice_id: a, applied_amount: 30 },
        ],
      },
    },
  );
  t.same(await owed(b), ['partial', 30, 10]);
});

t.test('by itself: what is due longest comes first, and what is disputed is left', async (t) => {
  const day = { date: '2026-01-01', account_id: south };
  const late = await issued(10, { ...day, due_date: '2026-02-20' });
  const disputed = await issued(10, { ...day, due_date: '2026-02-01' });
  await send('POST', `invoices/${disputed}/dispute`, { reason: 'x' });
  const first = await issued(10, { ...day, due_date: '2026-02-10' });
  const euros = await issued(10, { ...day, due_date: '2026-01-10', currency_code: 'EUR' });
  const payment = await paid(15, { account_id: south });
  const { status, body } = await send('POST', `payments/${payment}/apply`, { auto: true });
  t.equal(status, 200);
  t.match(body['applications'], [
    { invoice_id: first, applied_amount: 10 },
    { invoice_id: late, applied_amount: 5 },
  ]);
  t.same(await owed(disputed), ['disputed', 0, 10]);
  t.same(await owed(euros), ['overdue', 0, 10]);
  t.match(await apply(await paid(5), disputed, 5), { status: 201 }, 'it can be paid by name');
  t.same(await owed(disputed), ['disputed', 5, 5]);

  const more = await paid(100, { account_id: south });
  const others = await issued(7, { date: '2026-01-01', due_date: '2026-01-02' });
  const paidBoth = await send('POST', `payments/${more}/apply`, {
    auto: true,
    account_ids: [north],
  });
  t.match(
    paidBoth.body['applications'],
    [{ invoice_id: others, account_id: north }],
    'and of the other account what is named',
  );
  t.match(
    await send('POST', `payments/${more}/apply`, {
      auto: true,
      account_ids: [portal.seed.foreign.accountIds[0]],
    }),
    blames(422, '/account_ids/0'),
  );
});

t.test('what says nothing is refused', async (t) => {
  const applications = [{ invoice_id: await issued(10), amount: 1 }];
  const both = { applications, account_ids: [south] };
  const pay = `payments/${await paid(10)}/apply`;
  t.match(await send('POST', pay, both), blames(422, '/account_ids'));
  const credit = `accounts/${north}/apply-credit`;
  const named = { currency_code: 'USD', ...both };
  t.match(await send('POST', credit, named), blames(422, '/account_ids'));
  const none = { currency_code: 'QQQ', auto: true };
  t.match(await send('POST', credit, none), blames(422, '/currency_code'));
  const early = await send('GET', `accounts/${north}/statement?to=0001-01-15`);
  t.match(early, blames(400, '/to'));
});

t.test('credit of an account is used, the oldest first', async (t) => {
  const first = await paid(10, { payment_date: '2026-01-05', currency_code: 'CHF' });
  const second = await paid(20, { payment_date: '2026-02-05', currency_code: 'CHF' });
  await paid(50, { currency_code: 'CHF', status: 'pending' });
  const [a, b] = [
    await issued(12, { currency_code: 'CHF' }),
    await issued(5, { currency_code: 'CHF' }),
  ];
  const use = (more: Row) =>
    send('POST', `accounts/${north}/apply-credit`, { currency_code: 'CHF', ...more });
  t.match(
    await use({
      applications: [
        { invoice_id: a, amount: 12 },
        { invoice_id: b, amount: 6 },
      ],
    }),
    blames(409, '/applications/1/amount'),
  );
  const { body } = await use({ auto: true });
  t.match(body['applications'], [
    { payment_id: first, invoice_id: a, applied_amount: 10 },
    { payment_id: second, invoice_id: a, applied_amount: 2 },
    { payment_id: second, invoice_id: b, applied_amount: 5 },
  ]);
  t.equal(await left(second), 13);
  const c = await issued(20, { currency_code: 'CHF' });
  t.match(
    await use({ applications: [{ invoice_id: c, amount: 13.01 }] }),
    blames(409, '/applications'),
  );
  t.match(await use({ applications: [{ invoice_id: c, amount: 13 }] }), { status: 200 });
  t.match(await use({ auto: true }), { status: 200, body: { applications: [] } });
  t.match(
    await use({ currency_code: 'USD', applications: [{ invoice_id: c, amount: 1 }] }),
    blames(422, '/applications/0/currency_code'),
  );
});

t.test('a credit memo becomes credit, of what it credits first', async (t) => {
  const invoice = await issued(100);
  await apply(await paid(70), invoice, 70);
  const memo = (amount: number, more: Row = {}) =>
    draft(amount, { invoice_type: 'credit_memo', ...more });
  const credited_invoice_id = invoice;
  const first = await memo(50, { credited_invoice_id });
  t.match(await send('POST', `invoices/${first}/issue`, {}), {
    status: 200,
    body: { status: 'partial', applied_amount: 30, balance_amount: 20 },
  });
  t.same(await owed(invoice), ['paid', 100, 0]);
  const [credit] = await list(`payments?filter[credit_memo_invoice_id]=${first}`);
  t.match(credit, {
    payment_method: 'credit_memo',
    status: 'settled',
    payment_amount: 50,
    unapplied_amount: 20,
  });
  const tooMuch = await memo(51, { credited_invoice_id });
  t.match(await send('POST', `invoices/${tooMuch}/issue`, {}), blames(409, '/credited_invoice_id'));
  t.match(await send('POST', `invoices/${invoice}/void`, { reason: 'x' }), blames(409, '/status'));
  t.match(await apply(await paid(1), first, 1), blames(422, '/invoice_id'), 'nobody pays it');
  const state = { status: 'reversed', status_reason: 'x' };
  t.match(await send('POST', `payments/${String(credit!['id'])}/transitions`, state), {
    status: 409,
  });
  for (const [name, value] of [
    ['payment_date', '2020-01-01'],
    ['reference', 'mine'],
  ] as const) {
    const one = `payments/${String(credit!['id'])}`;
    t.match(await send('PATCH', one, { [name]: value }), blames(409, `/${name}`), name);
    await t.rejects(
      portal.owner.query(
        `update payment set ${name} = '${value}' where id = ${String(credit!['id'])}`,
      ),
      { message: /stays/ },
    );
    t.match(await send('PATCH', one, { notes: 'as agreed' }), { status: 200 });
  }
  t.match(
    await send('POST', `invoices/${first}/void`, { reason: 'wrong' }),
    blames(409, '/status'),
  );
  const [row] = await list(`payment-invoices?filter[payment_id]=${String(credit!['id'])}`);
  await apply(credit!['id'] as number, invoice, -30, { reversed_payment_invoice_id: row!['id'] });
  t.same(await owed(first), ['open', 0, 50]);
  t.match(await send('POST', `invoices/${first}/void`, { reason: 'wrong' }), {
    body: { status: 'void', balance_amount: 0 },
  });
  t.match(await get(`payments/${String(credit!['id'])}`), {
    status: 'reversed',
    unapplied_amount: 0,
    status_reason: 'wrong',
  });
  t.same(await owed(invoice), ['partial', 70, 30]);
  t.match(await send('POST', `invoices/${tooMuch}/issue`, {}), { status: 200 }, 'now it fits');

  const free = await memo(5);
  t.match(await send('POST', `invoices/${free}/issue`, {}), {
    body: { status: 'open', due_date: '2026-03-04' },
  });
  nowMs += 200 * 86_400_000;
  t.same(await owed(free), ['open', 0, 5], 'and is never overdue');
  t.match(
    await send('POST', `invoices/${await memo(0.01, { credited_invoice_id: free })}/issue`, {}),
    blames(422, '/credited_invoice_id'),
  );
  t.match(
    await send('POST', `invoices/${await draft(null, { invoice_type: 'credit_memo' })}/issue`, {}),
    blames(422, '/total_amount'),
  );
  const other = await issued(5, { account_id: south });
  t.match(
    await send('POST', `invoices/${await memo(1, { credited_invoice_id: other })}/issue`, {}),
    blames(422, '/credited_invoice_id'),
  );
  const whole = await memo(5, { credited_invoice_id: await issued(5) });
  t.match(await send('POST', `invoices/${whole}/issue`, {}), {
    body: { status: 'paid', paid_at: new Date(nowMs).toISOString() },
  });
  const history = {
    account_id: north,
    currency_code: 'USD',
    invoice_type: 'credit_memo',
    subtotal_amount: 3,
    issued_at: '2026-01-01T00:00:00Z',
  };
  const taken = await send('POST', 'invoices', history);
  t.match(taken, { status: 201, body: { status: 'open' } });
  t.equal(
    (await list(`payments?filter[credit_memo_invoice_id]=${String(taken.body['id'])}`)).length,
    1,
  );
});

t.test('balances and statement tell the same, each currency for itself', async (t) => {
  const { body } = await send('POST', 'accounts', {
    account_name: 'books',
    account_number: 'B-1',
    account_type: 'REGIONAL',
  });
  const account_id = body['account_id'] as number;
  const today = new Date(nowMs).toISOString().slice(0, 10);
  const days = (count: number) => new Date(nowMs - count * 86_400_000).toISOString().slice(0, 10);
  for (const [amount, due] of [
    [1, 0],
    [2, 1],
    [4, 30],
    [8, 31],
    [16, 60],
    [32, 61],
    [64, 90],
    [128, 91],
  ] as const)
    await issued(amount, { account_id, date: days(100), due_date: days(due) });
  const disputed = await issued(256, { account_id, date: days(100), due_date: days(40) });
  await send('POST', `invoices/${disputed}/dispute`, { reason: 'x' });
  const gone = await issued(1_000, { account_id });
  await send('POST', `invoices/${gone}/void`, { reason: 'x' });
  await draft(5_000, { account_id });
  const payment = await paid(100, { account_id });
  await send('POST', `payments/${payment}/apply`, { auto: true });
  const own = await issued(9, { account_id: north });
  await apply(await paid(30, { account_id }), own, 9);
  const fromNorth = await paid(3);
  await apply(fromNorth, disputed, 3);
  await paid(17, { account_id, status: 'pending' });
  await issued(1.234, { account_id, currency_code: 'KWD' });
  const back = await paid(50, { account_id });
  await send('POST', `payments/${back}/transitions`, { status: 'reversed', status_reason: 'x' });
  const memo = await draft(11, { account_id, invoice_type: 'credit_memo' });
  await send('POST', `invoices/${memo}/issue`, {});

  const rows = await list(`account-balances?account_id=${account_id}`);
  t.same(
    rows.map((row) => row['currency_code']),
    ['KWD', 'USD'],
  );
  t.match(rows[0], {
    invoiced_amount: 1.234,
    balance_amount: 1.234,
    not_due_amount: 1.234,
    unapplied_amount: 0,
  });
  t.match(rows[1], {
    account_name: 'books',
    invoiced_amount: 511,
    applied_amount: 103,
    balance_amount: 408,
    not_due_amount: 1,
    past_due_1_30_amount: 6,
    past_due_31_60_amount: 24 + 253,
    past_due_61_90_amount: 96,
    past_due_over_90_amount: 28,
    overdue_amount: 154,
    disputed_amount: 253,
    paid_amount: 130,
    credited_amount: 11,
    unapplied_amount: 32,
    pending_amount: 17,
    net_amount: 376,
  });
  const overdue = await list(`invoices?filter[status]=overdue&filter[account_id]=${account_id}`);
  t.equal(
    overdue.reduce((sum, row) => sum + (row['balance_amount'] as number), 0),
    154,
  );

  const whole = await get(
    `accounts/${account_id}/statement?from=${days(300)}&to=${today}&currency_code=USD&limit=500`,
  );
  t.match(whole, { opening_amount: 0, closing_amount: 376, account_id, currency_code: 'USD' });
  const entries = whole['data'] as Row[];
  t.equal(entries.at(-1)!['running_amount'], 376);
  const kinds: Record<string, number> = {};
  for (const { kind } of entries) kinds[kind as string] = (kinds[kind as string] ?? 0) + 1;
  t.same(kinds, { invoice: 10, void: 1, payment: 3, credit_memo: 1, reversal: 1, transfer: 2 });
  const paged: Row[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const page = await get(
      `accounts/${account_id}/statement?from=${days(300)}&to=${today}&currency_code=USD&limit=5${cursor && `&cursor=${cursor}`}`,
    );
    paged.push(...(page['data'] as Row[]));
    cursor = (page['page'] as Row)['next_cursor'] as string | null;
  }
  t.same(paged, entries);
  const part = await get(
    `accounts/${account_id}/statement?from=${days(99)}&to=${today}&currency_code=USD`,
  );
  t.match(part, { opening_amount: 511, closing_amount: 376 });
  t.equal((part['data'] as Row[]).at(-1)!['running_amount'], 376);
  const past = await get(
    `accounts/${account_id}/statement?from=${days(100)}&to=${days(99)}&currency_code=USD`,
  );
  t.match(past, { opening_amount: 0, closing_amount: 511 }, 'what came after is not in it');
  t.match(await get(`accounts/${account_id}/statement`), { to: today, currency_code: 'USD' });
  t.match(
    await send('GET', `accounts/${account_id}/statement?from=${today}&to=${days(1)}`),
    blames(400, '/from'),
  );
  t.match(
    await send('GET', `accounts/${account_id}/statement?from=${days(1_200)}`),
    blames(400, '/from'),
  );
  t.equal((await send('GET', `accounts/${south}/statement`, undefined, 'held')).status, 404);
  const all = await list('account-balances');
  const pages: Row[] = [];
  for (let next: string | null = ''; next !== null;) {
    const page: Row = await get(`account-balances?limit=2${next && `&cursor=${next}`}`);
    pages.push(...(page['data'] as Row[]));
    next = (page['page'] as Row)['next_cursor'] as string | null;
  }
  t.same(pages, all);
  // Whoever is held to the north sees in its statement what went to accounts that they do not see.
  const held = (
    await send(
      'GET',
      `accounts/${north}/statement?from=${days(400)}&to=${today}&limit=500`,
      undefined,
      'held',
    )
  ).body;
  const mine = (await send('GET', 'account-balances?currency_code=USD', undefined, 'held')).body[
    'data'
  ] as Row[];
  t.equal(mine.length, 1);
  t.equal(held['closing_amount'], mine[0]!['net_amount']);
});

t.test(
  'what is of a later day is on the statement on no day without its counterpart',
  async (t) => {
    const later = nowMs;
    t.teardown(() => (nowMs = later));
    nowMs = Date.parse('2026-03-01T11:00:00Z');
    const { body } = await send('POST', 'accounts', {
      account_name: 'later',
      account_number: 'B-3',
      account_type: 'REGIONAL',
    });
    const account_id = body['account_id'] as number;
    const invoice = await issued(100, { account_id, date: '2026-03-20' });
    await send('POST', `invoices/${invoice}/void`, { reason: 'twice' });
    const payment = await paid(50, { account_id, payment_date: '2026-03-10' });
    const state = { status: 'reversed', status_reason: 'x' };
    await send('POST', `payments/${payment}/transitions`, state);
    await apply(await paid(30, { account_id, payment_date: '2026-03-15' }), await issued(30), 30);
    await apply(await paid(25), await issued(25, { account_id, date: '2026-03-25' }), 25);
    for (const to of ['2026-03-01', '2026-03-10', '2026-03-15', '2026-03-20', '2026-03-25']) {
      const path = `accounts/${account_id}/statement?from=2026-01-01&to=${to}&currency_code=USD`;
      t.match(await get(path), { closing_amount: 0 }, to);
    }
  },
);

t.test('what a statement begins with is read from an index alone', async (t) => {
  const { customerId } = portal.seed.mine;
  const tenant = { customerId, accountIds: null };
  const of = (amount: string, table: string, where: string) =>
    `explain select sum(${amount}) from ${table} where account_id = ${north} and currency_code = 'USD'
      and deleted_at is null and ${where}`;
  const rows = [
    [
      'invoice_billed',
      of(
        'total_amount',
        'invoice',
        `issued_at is not null and
      invoice_type <> 'credit_memo' and date < '2026-01-01'`,
      ),
    ],
    [
      'payment_come',
      of(
        'payment_amount',
        'payment',
        `status in ('settled', 'reversed') and
      payment_date < '2026-01-01'`,
      ),
    ],
  ] as const;
  for (const [index, statement] of rows) {
    const plan = await withTenant(portal.apiPool, tenant, async (_db, client) => {
      await client.query('set local enable_seqscan = off; set local enable_bitmapscan = off');
      return (await client.query<Record<string, string>>(statement)).rows;
    });
    const text = plan.map((row) => row['QUERY PLAN']).join('\n');
    t.match(text, new RegExp(`Index Only Scan using ${index}`), text);
  }
});

t.test('sums that no number of JavaScript holds are told to the last digit', async (t) => {
  const { body } = await send('POST', 'accounts', {
    account_name: 'much',
    account_number: 'B-2',
    account_type: 'REGIONAL',
  });
  const account_id = body['account_id'] as number;
  for (let n = 0; n < 11; n++)
    await issued(null, { account_id, currency_code: 'KWD', subtotal_amount: 999_999_999_998.999 });
  const { text } = await send('GET', `account-balances?account_id=${account_id}`);
  t.match(text, '"balance_amount":10999999999988.989');
});

t.test('raw statements of the API’s role cannot break the sums', async (t) => {
  const invoice = await issued(100);
  const payment = await paid(60);
  const applied = await apply(payment, invoice, 60);
  const other = await paid(5);
  const memo = await issued(5, { invoice_type: 'credit_memo' });
  const { customerId } = portal.seed.mine;
  const tenant = { customerId, accountIds: null };
  const rows: [string, RegExp][] = [
    [`update invoice set applied_amount = 0 where id = ${invoice}`, /permission denied/],
    [`update payment set applied_amount = 0 where id = ${payment}`, /permission denied/],
    [`update invoice set total_amount = 10 where id = ${invoice}`, /issued/],
    [`update invoice set issued_at = null where id = ${invoice}`, /issued/],
    [`update invoice set voided_at = now() where id = ${invoice}`, /applied/],
    [`update invoice_items set rate = 1, amount = 1 where invoice_id = ${invoice}`, /issued/],
    [`update payment set payment_amount = 10 where id = ${payment}`, /stays/],
    [`update payment set status = 'reversed' where id = ${payment}`, /applied/],
    [`update payment set status = 'pending' where id = ${other}`, /back/],
    [`update invoice set deleted_at = now() where id = ${invoice}`, /kept/],
    [`update payment set deleted_at = now() where id = ${other}`, /kept/],
    [`update payment_invoice set applied_amount = 1`, /permission denied/],
    [`update payment_invoice set deleted_at = now()`, /permission denied/],
    [`delete from payment_invoice`, /permission denied/],
    [
      `insert into payment_invoice (customer_id, payment_id, invoice_id, account_id, applied_amount, currency_code)
      values (${customerId}, ${payment}, ${invoice}, ${north}, 1, 'USD')`,
      /payment_applied_amount_check_amount/,
    ],
    [
      `insert into payment_invoice (customer_id, payment_id, invoice_id, account_id, applied_amount, currency_code)
      select ${customerId}, ${await paid(500)}, ${invoice}, ${north}, n, 'USD' from generate_series(20, 21) n`,
      /invoice_applied_amount_check_total/,
    ],
    [
      `insert into payment_invoice (customer_id, payment_id, invoice_id, account_id, applied_amount, currency_code,
        reversed_payment_invoice_id)
      select ${customerId}, ${payment}, ${invoice}, ${north}, -31, 'USD', ${String(applied.body['id'])} from generate_series(1, 2)`,
      /ledger/,
    ],
    [
      `insert into payment (customer_id, account_id, payment_method, payment_amount, currency_code, status, credit_memo_invoice_id)
      values (${customerId}, ${north}, 'credit_memo', 100, 'USD', 'settled', ${invoice})`,
      /memo/,
    ],
    [`update payment set payment_method = 'cash' where id = ${other}`, /stays/],
    [`update payment set settled_at = null where id = ${other}`, /stays/],
    [`update payment set settled_at = now() where id = ${other}`, /stays/],
    [
      `insert into payment_invoice (customer_id, payment_id, invoice_id, account_id, applied_amount, currency_code, deleted_at)
      values (${customerId}, ${other}, ${invoice}, ${north}, 1, 'USD', now())`,
      /ledger/,
    ],
    [`update invoice set voided_at = now() where id = ${memo}`, /credit is in force/],
  ];
  for (const [statement, message] of rows) {
    const broken = withTenant(portal.apiPool, tenant, (_db, client) => client.query(statement));
    await t.rejects(broken, { message }, statement);
  }
  await withTenant(portal.apiPool, tenant, (_db, client) =>
    client.query(`update invoice set status = 'paid', paid_at = now() where id = ${invoice}`),
  );
  t.match(await get(`invoices/${invoice}`), {
    status: 'partial',
    paid_at: null,
    applied_amount: 60,
  });
});

t.test('whoever is held to an account uses what is of that account', async (t) => {
  const invoice = await issued(10);
  const [mine, others] = [await paid(10), await paid(10, { account_id: south })];
  const go = (path: string, payload: Row) => send('POST', path, payload, 'held');
  t.match(
    await go('payment-invoices', {
      payment_id: others,
      invoice_id: invoice,
      account_id: north,
      applied_amount: 1,
    }),
    blames(422, '/payment_id'),
  );
  t.match(await go(`payments/${others}/apply`, { auto: true }), { status: 404 });
  t.match(
    await go(`payments/${mine}/apply`, { auto: true, account_ids: [south] }),
    blames(422, '/account_ids/0'),
  );
  t.match(await go(`accounts/${south}/apply-credit`, { currency_code: 'USD', auto: true }), {
    status: 404,
  });
  t.match(
    await go(`payments/${mine}/apply`, { applications: [{ invoice_id: invoice, amount: 4 }] }),
    { status: 200 },
  );
  const away = await issued(3, { account_id: south });
  await apply(mine, away, 3);
  t.match(await go(`payments/${mine}/transitions`, { status: 'reversed', status_reason: 'x' }), {
    status: 403,
  });
  t.same(await owed(invoice), ['partial', 4, 6], 'and nothing of it was done');
});

t.test('the same request under one key applies once', async (t) => {
  const invoice = await issued(10);
  const payment = await paid(10);
  const once = () =>
    portal.as('admin', {
      method: 'POST',
      url: `/v1/payments/${payment}/apply`,
      payload: { applications: [{ invoice_id: invoice, amount: 4 }] },
      headers: { 'idempotency-key': 'apply-once' },
    });
  const [first, again] = [await once(), await once()];
  t.match(again, { status: 200, headers: { 'idempotency-replayed': 'true' } });
  t.same(again.body, first.body);
  t.same(await owed(invoice), ['partial', 4, 6]);
});
