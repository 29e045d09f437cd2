/** Invoices: what they come to, how they are issued, and what stays then. */
import t from 'tap';
import { blames, openHouse, type Row } from './test-billing.ts';

/** Noon in Berlin, where the customer is, on 1 March 2026. */
const START_MS = Date.parse('2026-03-01T11:00:00Z');
let nowMs = START_MS;
const house = await openHouse(t, { now: () => nowMs });
const { send, get, list, draft, issued, paid, apply, accounts, portal } = house;
t.beforeEach(() => (nowMs = START_MS));

t.test('a line is reckoned where it is left out, half away from zero', async (t) => {
  const rows: [string, Row, number, number][] = [
    ['USD', { quantity: 3, rate: 0.335 }, 1.01, 0],
    ['USD', { quantity: 1, rate: -1.005 }, -1.01, 0],
    ['USD', { quantity: 0.001, rate: 5 }, 0.01, 0],
    ['USD', { quantity: 1, rate: 100, tax_rate_pct: 8.255 }, 100, 8.26],
    ['JPY', { quantity: 1, rate: 2.5, tax_rate_pct: 10 }, 3, 0],
    ['JPY', { quantity: 1, rate: 5, tax_rate_pct: 10 }, 5, 1],
    ['KWD', { quantity: 1, rate: 1.2345, tax_rate_pct: 5 }, 1.235, 0.062],
  ];
  for (const [currency_code, line, amount, tax_amount] of rows) {
    const invoice_id = await draft(null, { currency_code });
    const lines = { invoice_id, item_description: 'x' };
    await send('POST', 'invoice-items', { ...lines, rate: 1_000 });
    const made = await send('POST', 'invoice-items', { ...lines, ...line });
    t.match(made, { status: 201, body: { amount, tax_amount, currency_code } }, made.text);
    const invoice = await get(`invoices/${invoice_id}`);
    t.equal(invoice['tax_amount'], tax_amount);
    t.equal(
      Math.round((invoice['total_amount'] as number) * 1000),
      Math.round((1000 + amount + tax_amount) * 1000),
    );
  }
});

t.test('what is given must be so, to half of the smallest unit', async (t) => {
  const invoice_id = await draft(1_000);
  const line = { invoice_id, item_description: 'x', quantity: 3, rate: 0.335 };
  const tried = (more: Row) => send('POST', 'invoice-items', { ...line, ...more });
  t.match(await tried({ amount: 1 }), { status: 201, body: { amount: 1 } });
  t.match(await tried({ amount: 1.02 }), blames(422, '/amount'));
  t.match(await tried({ amount: 1, tax_rate_pct: 10, tax_amount: 0.1 }), { status: 201 });
  t.match(
    await tried({ amount: 1, tax_rate_pct: 10, tax_amount: 0.12 }),
    blames(422, '/tax_amount'),
  );
  t.match(await tried({ amount: 1, tax_amount: 0.33 }), { status: 201 }, 'a tax without a rate');
  t.match(await tried({ currency_code: 'EUR' }), blames(422, '/currency_code'));
  t.match(await tried({ quantity: 999_999_999, rate: 9_999_999_999 }), blames(422, '/amount'));
});

t.test('a change of a line is reckoned again, and its invoice with it', async (t) => {
  const invoice_id = await draft(null);
  const { body } = await send('POST', 'invoice-items', {
    ...{ invoice_id, item_description: 'x', quantity: 2, rate: 10, tax_rate_pct: 10 },
  });
  const line = `invoice-items/${String(body['id'])}`;
  t.match(await get(`invoices/${invoice_id}`), {
    subtotal_amount: 20,
    tax_amount: 2,
    total_amount: 22,
  });
  t.match(await send('PATCH', line, { quantity: 3 }), {
    status: 200,
    body: { amount: 30, tax_amount: 3 },
  });
  t.match(await send('PATCH', line, { quantity: 4, amount: 30 }), blames(422, '/amount'));
  t.match(await send('PATCH', line, { tax_rate_pct: 5 }), { body: { tax_amount: 1.5 } });
  t.match(await send('PATCH', line, { tax_rate_pct: null }), { body: { tax_amount: 0 } });
  t.match(await send('PATCH', line, { tax_amount: 7 }), { body: { tax_amount: 7 } });
  t.match(
    await send('PATCH', line, { rate: 20 }),
    { body: { amount: 60, tax_amount: 7 } },
    'a tax without a rate stays',
  );
  t.match(await get(`invoices/${invoice_id}`), {
    subtotal_amount: 60,
    tax_amount: 7,
    total_amount: 67,
  });
  t.equal((await send('DELETE', line)).status, 204);
  t.match(await get(`invoices/${invoice_id}`), {
    subtotal_amount: 0,
    tax_amount: 0,
    total_amount: 0,
  });
});

t.test('a total is derived, and one that is given must agree', async (t) => {
  const plain = {
    account_id: accounts[0],
    currency_code: 'USD',
    subtotal_amount: 100,
    discount_amount: 10,
    tax_amount: 9,
  };
  const made = await send('POST', 'invoices', plain);
  t.match(made, { status: 201, body: { total_amount: 99, status: 'draft', balance_amount: 99 } });
  t.match(
    await send('POST', 'invoices', { ...plain, total_amount: 100 }),
    blames(422, '/total_amount'),
  );
  t.match(
    await send('POST', 'invoices', { ...plain, discount_amount: 101 }),
    blames(422, '/discount_amount'),
  );
  const id = made.body['id'] as number;
  const patch = (payload: Row) => send('PATCH', `invoices/${id}`, payload);
  t.match(await patch({ subtotal_amount: 50 }), { status: 200, body: { total_amount: 49 } });
  t.match(
    await patch({ subtotal_amount: 60, total_amount: 49 }),
    blames(422, '/total_amount'),
    'also one that is as it was',
  );
  t.match(await patch({ total_amount: 50 }), blames(422, '/total_amount'));
  t.match(await patch({ status: 'paid' }), blames(400, '/status'));
  await send('POST', 'invoice-items', { invoice_id: id, item_description: 'x', rate: 30 });
  t.match(await get(`invoices/${id}`), { subtotal_amount: 30, tax_amount: 0, total_amount: 20 });
  t.match(await patch({ subtotal_amount: 60 }), blames(422, '/subtotal_amount'));
  t.match(await patch({ discount_amount: 31 }), blames(422, '/discount_amount'));
  t.match(await patch({ discount_amount: 30 }), { status: 200, body: { total_amount: 0 } });
  t.match(
    await send('POST', 'invoice-items', { invoice_id: id, item_description: 'less', rate: -1 }),
    blames(422, '/amount'),
  );
  const big = {
    account_id: accounts[0],
    currency_code: 'USD',
    subtotal_amount: 999_999_999_999,
    tax_amount: 1,
  };
  t.match(await send('POST', 'invoices', big), blames(422, '/total_amount'));
});

t.test('days follow from the terms until they are said otherwise', async (t) => {
  const made = await send('POST', 'invoices', { account_id: accounts[0], currency_code: 'USD' });
  t.match(
    made,
    { status: 201, body: { date: '2026-03-01', due_date: '2026-03-31' } },
    'those of the account',
  );
  const id = made.body['id'] as number;
  const patch = (payload: Row) => send('PATCH', `invoices/${id}`, payload);
  t.match(await patch({ payment_terms_days: 10 }), { body: { due_date: '2026-03-11' } });
  t.match(await patch({ date: '2026-02-25' }), { body: { due_date: '2026-03-07' } });
  t.match(await patch({ due_date: '2026-04-01' }), { body: { due_date: '2026-04-01' } });
  t.match(await patch({ date: '2026-03-02' }), { body: { due_date: '2026-04-01' } });
  t.match(await send('POST', `invoices/${id}/issue`, { date: '2026-03-05' }), {
    status: 200,
    body: { date: '2026-03-05', due_date: '2026-04-01' },
  });
  const follows = await draft(5, { payment_terms_days: 10 });
  t.match(await send('POST', `invoices/${follows}/issue`, { date: '2026-03-05' }), {
    status: 200,
    body: { date: '2026-03-05', due_date: '2026-03-15' },
  });
  const memo = await draft(5, { invoice_type: 'credit_memo' });
  t.match(await send('PATCH', `invoices/${memo}`, { date: '2026-03-20' }), {
    status: 200,
    body: { date: '2026-03-20', due_date: '2026-03-20' },
  });
  const billed = await send('PATCH', `invoices/${memo}`, { invoice_type: 'rental' });
  t.match(billed, { body: { due_date: '2026-04-19' } });
  const far = await draft(5, { date: '9999-12-01', payment_terms_days: 30 });
  t.match(await get(`invoices/${far}`), { due_date: '9999-12-31' });
  t.match(await send('PATCH', `invoices/${far}`, { date: '9999-12-02' }), blames(422, '/due_date'));
  const beyond = { account_id: accounts[0], currency_code: 'USD', date: '9999-12-31' };
  t.match(await send('POST', 'invoices', beyond), blames(422, '/due_date'));
  const last = { ...beyond, due_date: '9999-12-31' };
  t.match(await send('POST', 'invoices', last), { status: 201 });
  const late = await draft(5);
  t.match(
    await send('POST', `invoices/${late}/issue`, { due_date: '2026-02-01' }),
    blames(422, '/due_date'),
  );
  const future = { issued_at: '2026-03-01T11:00:01Z' };
  t.match(await send('POST', `invoices/${late}/issue`, future), blames(422, '/issued_at'));
  const history = {
    account_id: accounts[0],
    currency_code: 'USD',
    subtotal_amount: 5,
    issued_at: '2025-01-01T00:00:00Z',
    date: '2025-01-01',
  };
  t.match(await send('POST', 'invoices', history), { status: 201, body: { status: 'overdue' } });
  t.match(await send('POST', 'invoices', { ...history, ...future }), blames(422, '/issued_at'));
});

t.test('the terms are those of the account that a draft goes to', async (t) => {
  const { body } = await send('POST', 'accounts', {
    account_name: 'slow',
    account_number: 'SLOW',
    account_type: 'REGIONAL',
    payment_terms_days: 45,
  });
  const account_id = body['account_id'];
  const moves = async (id: number, patch: Row, due_date: string) =>
    t.match(await send('PATCH', `invoices/${id}`, patch), { status: 200, body: { due_date } });
  const follows = await draft(5);
  await moves(follows, { account_id }, '2026-04-15');
  await moves(follows, { date: '2026-03-02' }, '2026-04-16');
  await moves(follows, { account_id: accounts[0], date: '2026-03-03' }, '2026-04-02');
  await moves(await draft(5, { payment_terms_days: 10 }), { account_id }, '2026-03-11');
  await moves(await draft(5, { due_date: '2026-05-01' }), { account_id }, '2026-05-01');
});

t.test('what is issued stays', async (t) => {
  const id = await issued(100);
  const [line] = await list(`invoice-items?filter[invoice_id]=${id}`);
  const frozen: Row = {
    account_id: accounts[1],
    invoice_type: 'fee',
    date: '2026-02-28',
    due_date: '2026-05-01',
    payment_terms_days: 5,
    currency_code: 'EUR',
    subtotal_amount: 1,
    discount_amount: 1,
    tax_amount: 1,
    billing_period_from: '2026-01-01',
    billing_period_to: '2026-01-31',
  };
  for (const [name, value] of Object.entries(frozen)) {
    t.match(
      await send('PATCH', `invoices/${id}`, { [name]: value }),
      blames(409, `/${name}`),
      name,
    );
  }
  t.match(await send('PATCH', `invoices/${id}`, { notes: 'as agreed' }), { status: 200 });
  const items = { invoice_id: id, item_description: 'more', rate: 1 };
  t.match(await send('POST', 'invoice-items', items), blames(409, '/invoice_id'));
  t.match(
    await send('PATCH', `invoice-items/${String(line!['id'])}`, { rate: 1 }),
    blames(409, '/invoice_id'),
  );
  t.match(await send('DELETE', `invoice-items/${String(line!['id'])}`), blames(409, '/invoice_id'));
  t.match(await send('DELETE', `invoices/${id}`), { status: 409 });
  t.equal((await get(`invoices/${id}`))['total_amount'], 100);
});

t.test('the units of what is issued or void stay', async (t) => {
  const units = portal.seed.mine.equipmentIds;
  const steps: Record<string, Row> = { issue: {}, void: { reason: 'twice' } };
  for (const [step, body] of Object.entries(steps)) {
    const invoice_id = await draft(5);
    const made = await send('POST', 'invoice-equipment', { invoice_id, equipment_id: units[0] });
    const unit = `invoice-equipment/${String(made.body['id'])}`;
    t.match(await send('PATCH', unit, { billed_to: '2026-03-31' }), { status: 200 });
    await send('POST', `invoices/${invoice_id}/${step}`, body);
    const more = { invoice_id, equipment_id: units[1] };
    t.match(await send('POST', 'invoice-equipment', more), blames(409, '/invoice_id'), step);
    t.match(await send('POST', 'invoice-equipment/bulk', { items: [more] }), {
      body: { results: [{ status: 409, errors: [{ pointer: '/items/0/invoice_id' }] }] },
    });
    t.match(await send('PATCH', unit, { billed_to: null }), blames(409, '/invoice_id'));
    t.match(await send('DELETE', unit), blames(409, '/invoice_id'));
    for (const statement of [
      `update invoice_equipment set billed_to = null where invoice_id = ${invoice_id}`,
      `update invoice_equipment set deleted_at = now() where invoice_id = ${invoice_id}`,
      `insert into invoice_equipment (customer_id, invoice_id, equipment_id)
        select customer_id, id, ${units[1]} from invoice where id = ${invoice_id}`,
    ])
      await t.rejects(portal.owner.query(statement), { message: /issued or void/ }, statement);
  }
});

t.test('a draft that was made void stays as well', async (t) => {
  const id = await draft(null, { subtotal_amount: 10 });
  await send('POST', `invoices/${id}/void`, { reason: 'wrong' });
  const before = await get(`invoices/${id}`);
  const given: Row = {
    account_id: accounts[1],
    invoice_type: 'fee',
    date: '2026-02-28',
    due_date: '2026-05-01',
    currency_code: 'EUR',
    subtotal_amount: 1,
    discount_amount: 1,
  };
  for (const [name, value] of Object.entries(given)) {
    const answer = await send('PATCH', `invoices/${id}`, { [name]: value });
    t.match(answer, blames(409, `/${name}`), name);
    const raw = `update invoice set ${name} = $1 where id = ${id}`;
    await t.rejects(portal.owner.query(raw, [value]), { code: '23514' }, name);
  }
  t.match(await send('DELETE', `invoices/${id}`), { status: 409 });
  const gone = `update invoice set deleted_at = now() where id = ${id}`;
  await t.rejects(portal.owner.query(gone), { code: '23514' });
  const line = `insert into invoice_items (customer_id, invoice_id, item_description, rate, amount, currency_code)
    select customer_id, id, 'x', 1, 1, currency_code from invoice where id = ${id}`;
  await t.rejects(portal.owner.query(line), { message: /issued/ });
  t.same(await get(`invoices/${id}`), before);
  t.match(await send('PATCH', `invoices/${id}`, { notes: 'see R-2' }), { status: 200 });
});

t.test('every step from every state', async (t) => {
  const STATES = {
    draft: () => draft(10),
    open: () => issued(10),
    partial: async () => {
      const id = await issued(10);
      await apply(await paid(4), id, 4);
      return id;
    },
    paid: async () => {
      const id = await issued(10);
      await apply(await paid(10), id, 10);
      return id;
    },
    overdue: () => issued(10, { date: '2026-01-01', due_date: '2026-02-28' }),
    disputed: async () => {
      const id = await issued(10);
      await send('POST', `invoices/${id}/dispute`, { reason: 'not ours' });
      return id;
    },
    void: async () => {
      const id = await issued(10);
      await send('POST', `invoices/${id}/void`, { reason: 'twice' });
      return id;
    },
  };
  const LEADS: Record<string, Partial<Record<keyof typeof STATES, string>>> = {
    issue: { draft: 'open' },
    send: {
      open: 'open',
      partial: 'partial',
      paid: 'paid',
      overdue: 'overdue',
      disputed: 'disputed',
    },
    dispute: { open: 'disputed', partial: 'disputed', paid: 'disputed', overdue: 'disputed' },
    'resolve-dispute': { disputed: 'open' },
    void: { draft: 'void', open: 'void', overdue: 'void', disputed: 'void' },
  };
  for (const [state, make] of Object.entries(STATES)) {
    for (const [step, leads] of Object.entries(LEADS)) {
      const id = await make();
      t.equal((await get(`invoices/${id}`))['status'], state);
      const body = step === 'dispute' || step === 'void' ? { reason: 'said' } : {};
      const answer = await send('POST', `invoices/${id}/${step}`, body);
      const to = leads[state as keyof typeof STATES];
      if (to === undefined)
        t.match(answer, blames(409, '/status'), `${step} of ${state}: ${answer.text}`);
      else
        t.match(
          answer,
          { status: 200, body: { status: to } },
          `${step} of ${state}: ${answer.text}`,
        );
    }
  }
  const id = await issued(10);
  const told = await send('POST', `invoices/${id}/issue`, {});
  t.same(told.body['allowedTransitions'], ['send', 'dispute', 'void']);
  t.match(await send('POST', `invoices/${id}/void`, {}), { status: 400 }, 'a reason is asked for');
});

t.test('instants are written by the steps', async (t) => {
  const id = await issued(10);
  const at = () => new Date(nowMs).toISOString();
  t.match(await get(`invoices/${id}`), { issued_at: at(), paid_at: null });
  nowMs += 1_000;
  t.match(await send('POST', `invoices/${id}/send`, {}), { body: { sent_at: at() } });
  nowMs += 1_000;
  const disputed = { disputed_at: at(), dispute_reason: 'hours' };
  t.match(await send('POST', `invoices/${id}/dispute`, { reason: 'hours' }), { body: disputed });
  t.match(await send('POST', `invoices/${id}/resolve-dispute`, {}), {
    body: { disputed_at: null, dispute_reason: '' },
  });
  nowMs += 1_000;
  const payment = await paid(10);
  const { body } = await apply(payment, id, 10);
  t.match(await get(`invoices/${id}`), { status: 'paid', paid_at: at() });
  nowMs += 1_000;
  await apply(payment, id, -3, { reversed_payment_invoice_id: body['id'] });
  t.match(await get(`invoices/${id}`), {
    status: 'partial',
    paid_at: null,
    applied_amount: 7,
    balance_amount: 3,
  });
  const nothing = await draft();
  t.match(await send('POST', `invoices/${nothing}/issue`, {}), {
    body: { status: 'paid', paid_at: at() },
  });
});

t.test('overdue comes with the day of the customer, everywhere at once', async (t) => {
  const id = await issued(10, { due_date: '2026-03-31', invoice_number: 'DAY-1' });
  const half = await issued(10, { due_date: '2026-03-31', invoice_number: 'DAY-2' });
  await apply(await paid(4), half, 4);
  const say = async () => {
    const { body } = await send('GET', 'search?q=DAY-1&types=invoice');
    const csv = await send('GET', `invoices/export?format=csv&fields=status&filter[id]=${id}`);
    const shown = [
      (await get(`invoices/${id}`))['status'],
      (await list(`invoices?filter[id]=${id}`))[0]!['status'],
      (body['data'] as Row[])[0]!['subtitle'],
      csv.text.trim().split(/\r\n/)[1]!.split(',')[1],
    ];
    const found: string[] = [];
    for (const status of ['open', 'partial', 'overdue', 'paid']) {
      const rows = await list(`invoices?filter[status]=${status}&filter[id][in]=${id},${half}`);
      const many = await list(
        `invoices?filter[status][in]=${status},void&filter[id][in]=${id},${half}`,
      );
      const others = await list(
        `invoices?filter[status][ne]=${status}&filter[id][in]=${id},${half}`,
      );
      t.equal(rows.length + others.length, 2);
      t.equal(many.length, rows.length);
      for (const row of rows) found.push(`${String(row['invoice_number'])} ${status}`);
    }
    return [...new Set(shown), ...found.sort()];
  };
  // In Berlin summer time has begun by then: two hours before UTC.
  nowMs = Date.parse('2026-03-31T21:59:59Z');
  t.same(await say(), ['open', 'DAY-1 open', 'DAY-2 partial']);
  nowMs += 1_000;
  t.same(await say(), ['overdue', 'DAY-1 overdue', 'DAY-2 overdue']);
  const sorted = await list(`invoices?sort=status&filter[id][in]=${id},${half}`);
  t.same(
    sorted.map((row) => row['status']),
    ['overdue', 'overdue'],
  );
  t.match(await send('PATCH', `invoices/${id}`, { notes: 'late' }), {
    body: { status: 'overdue' },
  });
  await apply(await paid(6), half, 6);
  t.same(await say(), ['overdue', 'DAY-1 overdue', 'DAY-2 paid']);
  nowMs = START_MS;
  t.same(await say(), ['open', 'DAY-1 open', 'DAY-2 paid'], 'nothing of it is stored');
});

t.test('the list of what is overdue goes by an index', async (t) => {
  const client = await portal.owner.connect();
  t.teardown(() => client.release());
  await client.query('begin');
  await client.query('set local role milepost_api');
  await client.query(`select set_config('app.customer_id', $1, true)`, [
    String(portal.seed.mine.customerId),
  ]);
  await client.query('set local enable_seqscan = off');
  const { rows } = await client.query<{ 'QUERY PLAN': string }>(
    `explain select id from invoice where status in ('open', 'partial') and due_date < (select app_today())
       and invoice_type <> 'credit_memo' order by due_date limit 100`,
  );
  await client.query('rollback');
  const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
  t.match(plan, /invoice_(status|due|owed)/, plan);
  t.match(plan, /Index Cond: .*due_date/, plan);
});

t.test('a step under one key is taken once', async (t) => {
  const id = await draft(10);
  const once = () =>
    portal.as('admin', {
      method: 'POST',
      url: `/v1/invoices/${id}/issue`,
      payload: {},
      headers: { 'idempotency-key': 'issue-once' },
    });
  t.match(await once(), { status: 200, body: { status: 'open', version: Number } });
  t.match(await once(), { status: 200, headers: { 'idempotency-replayed': 'true' } });
  t.match(await send('POST', `invoices/${id}/issue`, {}), { status: 409 });
  const stale = {
    method: 'POST' as const,
    url: `/v1/invoices/${id}/send`,
    payload: {},
    headers: { 'if-match': '"1"' },
  };
  t.match(await portal.as('admin', stale), { status: 412 });
});
