/**
 * Billing against exact arithmetic: random sequences of everything that can be done, through the API, and after every step
 * each total, balance and status is what the model says, in yen, dollars and dinars. The seed is printed when it fails.
 */
import fc from 'fast-check';
import t from 'tap';
import { openHouse, type Answer, type Row } from './test-billing.ts';
import {
  DIGITS,
  divideRounded,
  Model,
  productOf,
  subtotalOf,
  taxOf,
  taxTotalOf,
  textOf,
  totalOf,
  unitsOf,
  type ModelInvoice,
  type ModelPayment,
} from './test-model.ts';

const DAY_MS = 86_400_000;
const START_MS = Date.parse('2026-03-01T11:00:00Z');
let nowMs = START_MS;
const house = await openHouse(t, { now: () => nowMs });
const { send, list, accounts, portal } = house;

const dayOf = (after: number) => new Date(START_MS + after * DAY_MS).toISOString().slice(0, 10);

type Command = readonly [name: keyof typeof DO, a: number, b: number, c: number];

/** One of a list, by a number. */
const pick = <T>(from: readonly T[], by: number): T | undefined => from[by % from.length];

/** A run: the model, and what was answered. */
class Run {
  readonly model = new Model();

  /** Holds an answer against what the model expects. */
  expect(what: string, answer: Answer, isTaken: boolean): boolean {
    const was = answer.status < 300;
    if (was !== isTaken || answer.status >= 500)
      throw new Error(`${what}: ${isTaken ? 'refused' : 'taken'}: ${answer.status} ${answer.text}`);
    return was;
  }

  /** Of two, the one that is looked for more often: what lets something happen. */
  invoice(by: number, isFit: (one: ModelInvoice) => boolean): ModelInvoice | undefined {
    const fit = this.model.invoices.filter(isFit);
    return pick(by % 5 === 0 || fit.length === 0 ? this.model.invoices : fit, by);
  }

  payment(by: number, isFit: (one: ModelPayment) => boolean): ModelPayment | undefined {
    const fit = this.model.payments.filter(isFit);
    return pick(by % 5 === 0 || fit.length === 0 ? this.model.payments : fit, by);
  }
}

const currencies = Object.keys(DIGITS);
const number = (value: bigint, decimals: number) => Number(textOf(value, decimals));

/** A part of an amount: mostly some of it, at times all, at times one unit too much. */
function partOf(whole: bigint, by: number): bigint {
  if (by % 7 === 0) return whole + 1n;
  if (by % 3 === 0) return whole;
  return (whole * BigInt(by % 100)) / 100n;
}

async function makeInvoice(
  run: Run,
  [a, b, c]: number[],
  memo: { of: ModelInvoice | null } | null,
) {
  const of = memo?.of ?? null;
  const currency = of?.currency ?? pick(currencies, a!)!;
  const account = of?.account ?? pick(accounts, b!)!;
  const dueIn = memo ? 0 : (c! % 20) - 5;
  const answer = await send('POST', 'invoices', {
    account_id: account,
    currency_code: currency,
    date: dayOf(dueIn < 0 ? dueIn : 0),
    due_date: dayOf(dueIn),
    ...(memo && { invoice_type: 'credit_memo', credited_invoice_id: of?.id ?? null }),
  });
  run.expect('invoice', answer, true);
  const id = answer.body['id'] as number;
  const isMemo = memo !== null;
  const made: ModelInvoice = {
    ...{ id, currency, account, isMemo, credited: of, lines: [], discount: 0n, dueIn },
    ...{ isIssued: false, isVoid: false, isDisputed: false, applied: 0n },
  };
  run.model.invoices.push(made);
  return made;
}

async function addLine(run: Run, invoice: ModelInvoice, [a, b, c]: number[]) {
  const quantity = BigInt(1 + (a! % 9_000));
  const rate = BigInt((b! % 2_000_000) - (b! % 6 === 0 ? 1_500_000 : 0));
  const taxRate = c! % 4 === 0 ? null : BigInt(c! % 1_000_000);
  const digits = DIGITS[invoice.currency]!;
  const amount = productOf(quantity, rate, digits);
  const tax = taxRate === null ? 0n : taxOf(amount, taxRate);
  const answer = await send('POST', 'invoice-items', {
    ...{
      invoice_id: invoice.id,
      item_description: 'x',
      quantity: number(quantity, 3),
      rate: number(rate, 4),
    },
    ...(taxRate !== null && { tax_rate_pct: number(taxRate, 4) }),
  });
  const isTaken =
    !invoice.isIssued &&
    !invoice.isVoid &&
    subtotalOf(invoice) + amount >= invoice.discount &&
    taxTotalOf(invoice) + tax >= 0n;
  if (run.expect('line', answer, isTaken))
    invoice.lines.push({ id: answer.body['id'] as number, amount, tax });
}

async function issue(run: Run, invoice: ModelInvoice) {
  const { model } = run;
  const { credited } = invoice;
  const answer = await send('POST', `invoices/${invoice.id}/issue`, {});
  const isFit =
    !invoice.isMemo ||
    (totalOf(invoice) > 0n &&
      (credited === null ||
        (model.isOwed(credited) &&
          model.givenBack(credited) + totalOf(invoice) <= totalOf(credited))));
  if (!run.expect('issue', answer, !invoice.isIssued && !invoice.isVoid && isFit)) return;
  invoice.isIssued = true;
  if (!invoice.isMemo) return;
  const [row] = await list(`payments?filter[credit_memo_invoice_id]=${invoice.id}`);
  const credit: ModelPayment = {
    ...{
      id: row!['id'] as number,
      currency: invoice.currency,
      account: invoice.account,
      amount: totalOf(invoice),
    },
    ...{ memo: invoice, age: 0, status: 'settled', applied: 0n },
  };
  model.payments.push(credit);
  if (credited === null) return;
  const owed = model.balanceOf(credited);
  const amount = owed < credit.amount ? owed : credit.amount;
  if (amount === 0n) return;
  const [applied] = await list(`payment-invoices?filter[payment_id]=${credit.id}`);
  model.apply(credit, credited, amount, applied!['id'] as number);
}

/** Notes what was paid by itself, which must be what the model says, row by row. */
function noteRows(run: Run, answer: Answer, expected: ReturnType<Model['oldest']>) {
  const rows = answer.body['applications'] as Row[];
  const told = rows.map((row) => [
    row['payment_id'],
    row['invoice_id'],
    String(row['applied_amount']),
  ]);
  const said = expected.map(({ payment, invoice, amount }) => [
    payment.id,
    invoice.id,
    String(number(amount, DIGITS[invoice.currency]!)),
  ]);
  if (JSON.stringify(told) !== JSON.stringify(said))
    throw new Error(`paid by itself: ${JSON.stringify(told)} and not ${JSON.stringify(said)}`);
  for (const [index, { payment, invoice, amount }] of expected.entries())
    run.model.apply(payment, invoice, amount, rows[index]!['id'] as number);
}

async function move(run: Run, payment: ModelPayment, to: 'settled' | 'failed' | 'reversed') {
  const from = { settled: 'pending', failed: 'pending', reversed: 'settled' }[to];
  const answer = await send('POST', `payments/${payment.id}/transitions`, {
    status: to,
    status_reason: 'x',
  });
  if (!run.expect(to, answer, payment.status === from && payment.memo === null)) return;
  payment.status = to;
  if (to === 'settled') return;
  for (const application of run.model.applications)
    if (application.payment === payment) run.model.takeBack(application, application.rest);
}

const DO = {
  invoice: async (run: Run, a: number, b: number, c: number) => {
    const made = await makeInvoice(run, [a, b, c], null);
    await addLine(run, made, [b, a, c]);
  },
  memo: async (run: Run, a: number, b: number, c: number) => {
    const of = c % 3 === 0 ? null : run.invoice(a, (one) => run.model.isOwed(one));
    if (of?.isMemo) return;
    const made = await makeInvoice(run, [a, b, c], { of: of ?? null });
    await addLine(run, made, [b, a, c]);
    await issue(run, made);
  },
  line: async (run: Run, a: number, b: number, c: number) => {
    const invoice = run.invoice(a, ({ isIssued }) => !isIssued);
    if (invoice) await addLine(run, invoice, [b, a * 7 + c, c]);
  },
  changeLine: async (run: Run, a: number, b: number, c: number) => {
    const invoice = run.invoice(a, ({ isIssued, lines }) => !isIssued && lines.length > 0);
    const line = invoice && pick(invoice.lines, b);
    if (!line) return;
    const digits = DIGITS[invoice.currency]!;
    const rate = BigInt(c);
    const amount = divideRounded(rate * 10n ** BigInt(digits), 10_000n);
    const payload = { quantity: 1, rate: number(rate, 4), tax_rate_pct: 7.5 };
    const answer = await send('PATCH', `invoice-items/${line.id}`, payload);
    const tax = taxOf(amount, 75_000n);
    const isTaken =
      !invoice.isIssued &&
      !invoice.isVoid &&
      subtotalOf(invoice) - line.amount + amount >= 0n &&
      taxTotalOf(invoice) - line.tax + tax >= 0n;
    if (run.expect('change of a line', answer, isTaken)) Object.assign(line, { amount, tax });
  },
  removeLine: async (run: Run, a: number, b: number) => {
    const invoice = run.invoice(a, ({ isIssued, lines }) => !isIssued && lines.length > 1);
    const line = invoice && pick(invoice.lines, b);
    if (!line) return;
    const answer = await send('DELETE', `invoice-items/${line.id}`);
    const isTaken =
      !invoice.isIssued &&
      !invoice.isVoid &&
      subtotalOf(invoice) >= line.amount &&
      taxTotalOf(invoice) >= line.tax;
    if (run.expect('removal of a line', answer, isTaken))
      invoice.lines.splice(invoice.lines.indexOf(line), 1);
  },
  issue: async (run: Run, a: number) => {
    const invoice = run.invoice(a, ({ isIssued }) => !isIssued);
    if (invoice) await issue(run, invoice);
  },
  void: async (run: Run, a: number) => {
    const { model } = run;
    const invoice = run.invoice(a, (one) => one.isIssued && model.appliedOf(one) === 0n);
    if (!invoice) return;
    const answer = await send('POST', `invoices/${invoice.id}/void`, { reason: 'x' });
    const isTaken =
      !invoice.isVoid && model.appliedOf(invoice) === 0n && model.givenBack(invoice) === 0n;
    if (!run.expect('void', answer, isTaken)) return;
    invoice.isVoid = true;
    const credit = model.payments.find(({ memo }) => memo === invoice);
    if (credit) credit.status = 'reversed';
  },
  dispute: async (run: Run, a: number) => {
    const invoice = run.invoice(a, ({ isIssued }) => isIssued);
    if (!invoice) return;
    const { isIssued, isVoid, isDisputed, isMemo } = invoice;
    const step = isDisputed ? 'resolve-dispute' : 'dispute';
    const answer = await send(
      'POST',
      `invoices/${invoice.id}/${step}`,
      isDisputed ? {} : { reason: 'x' },
    );
    if (run.expect(step, answer, isIssued && !isVoid && !isMemo)) invoice.isDisputed = !isDisputed;
  },
  pay: async (run: Run, a: number, b: number, c: number) => {
    const currency = pick(currencies, a)!;
    const account = pick(accounts, b)!;
    const amount = BigInt(1 + c * 3);
    const status = a % 4 === 0 ? ('pending' as const) : ('settled' as const);
    const age = b % 10;
    const answer = await send('POST', 'payments', {
      ...{ account_id: account, currency_code: currency, payment_method: 'ach', status },
      ...{ payment_amount: number(amount, DIGITS[currency]!), payment_date: dayOf(-age) },
    });
    run.expect('payment', answer, true);
    const id = answer.body['id'] as number;
    run.model.payments.push({
      id,
      currency,
      account,
      amount,
      memo: null,
      age,
      status,
      applied: 0n,
    });
  },
  settle: async (run: Run, a: number) => {
    const payment = run.payment(a, ({ status }) => status === 'pending');
    if (payment) await move(run, payment, a % 3 === 0 ? 'failed' : 'settled');
  },
  reverse: async (run: Run, a: number) => {
    const payment = run.payment(a, ({ status, applied }) => status === 'settled' && applied > 0n);
    if (payment) await move(run, payment, 'reversed');
  },
  apply: async (run: Run, a: number, b: number, c: number) => {
    const { model } = run;
    const payment = run.payment(a, (one) => one.status === 'settled' && model.leftOf(one) > 0n);
    const invoice =
      payment &&
      run.invoice(
        b,
        (one) =>
          model.isOwed(one) && one.currency === payment.currency && model.balanceOf(one) > 0n,
      );
    if (!invoice) return;
    const [left, owed] = [model.leftOf(payment), model.balanceOf(invoice)];
    const amount = partOf(left < owed ? left : owed, c);
    if (amount <= 0n) return;
    const digits = DIGITS[payment.currency]!;
    const answer = await house.apply(payment.id, invoice.id, number(amount, digits));
    if (run.expect('apply', answer, model.mayApply(payment, invoice, amount)))
      model.apply(payment, invoice, amount, answer.body['id'] as number);
  },
  takeBack: async (run: Run, a: number, _b: number, c: number) => {
    const application = pick(run.model.applications, a);
    if (!application) return;
    const { payment, invoice, id, rest } = application;
    const amount = partOf(rest, c);
    if (amount <= 0n) return;
    const answer = await house.apply(
      payment.id,
      invoice.id,
      -number(amount, DIGITS[invoice.currency]!),
      {
        reversed_payment_invoice_id: id,
      },
    );
    if (run.expect('take back', answer, amount <= rest)) run.model.takeBack(application, amount);
  },
  auto: async (run: Run, a: number, b: number) => {
    const { model } = run;
    const payment = run.payment(a, (one) => one.status === 'settled' && model.leftOf(one) > 0n);
    if (!payment) return;
    const others = b % 2 === 0 ? [...accounts] : [];
    const expected = model.oldest([payment], [payment.account, ...others]);
    const answer = await send('POST', `payments/${payment.id}/apply`, {
      auto: true,
      account_ids: others,
    });
    if (run.expect('auto', answer, payment.status === 'settled')) noteRows(run, answer, expected);
  },
  credit: async (run: Run, a: number, b: number) => {
    const { model } = run;
    const currency = pick(currencies, a)!;
    const account = pick(accounts, b)!;
    const credit = model.payments.filter(
      (one) => one.account === account && one.currency === currency && one.status === 'settled',
    );
    const expected = model.oldest(
      credit.filter((one) => model.leftOf(one) > 0n),
      [account],
    );
    const answer = await send('POST', `accounts/${account}/apply-credit`, {
      currency_code: currency,
      auto: true,
    });
    if (run.expect('credit', answer, true)) noteRows(run, answer, expected);
  },
  nextDay: (run: Run) => {
    run.model.day += 1;
    nowMs += DAY_MS;
    return Promise.resolve();
  },
};

/** Everything that the portal tells, against the model. */
async function compare({ model }: Run) {
  const wrong: string[] = [];
  const invoices = new Map((await list('invoices?limit=500')).map((row) => [row['id'], row]));
  for (const one of model.invoices) {
    const digits = DIGITS[one.currency]!;
    const told = invoices.get(one.id)!;
    const units = (name: string) => unitsOf(told[name], digits);
    const rows: [string, unknown, unknown][] = [
      ['status', told['status'], model.statusOf(one)],
      ['subtotal', units('subtotal_amount'), subtotalOf(one)],
      ['tax', units('tax_amount'), taxTotalOf(one)],
      ['total', units('total_amount'), totalOf(one)],
      ['applied', units('applied_amount'), model.appliedOf(one)],
      ['balance', units('balance_amount'), model.balanceOf(one)],
      [
        'paid at',
        told['paid_at'] !== null,
        one.isIssued && !one.isVoid && model.balanceOf(one) === 0n,
      ],
    ];
    for (const [what, is, said] of rows)
      if (is !== said)
        wrong.push(`invoice ${one.id}: ${what} is ${String(is)}, and not ${String(said)}`);
  }
  const payments = new Map((await list('payments?limit=500')).map((row) => [row['id'], row]));
  for (const one of model.payments) {
    const digits = DIGITS[one.currency]!;
    const told = payments.get(one.id)!;
    if (told['status'] !== one.status) wrong.push(`payment ${one.id}: ${String(told['status'])}`);
    if (unitsOf(told['applied_amount'], digits) !== one.applied)
      wrong.push(`payment ${one.id}: applied`);
    if (unitsOf(told['unapplied_amount'], digits) !== model.leftOf(one))
      wrong.push(`payment ${one.id}: left`);
  }
  for (const row of await list('account-balances')) {
    const currency = row['currency_code'] as string;
    const own = (one: { account: number; currency: string }) =>
      one.account === row['account_id'] && one.currency === currency;
    const sum = (values: bigint[]) => values.reduce((all, value) => all + value, 0n);
    const billed = model.invoices.filter((one) => own(one) && model.isOwed(one));
    const balance = sum(billed.map((one) => model.balanceOf(one)));
    const overdue = sum(
      billed.filter((one) => model.statusOf(one) === 'overdue').map((one) => model.balanceOf(one)),
    );
    const credit = model.payments.filter((one) => own(one) && one.status === 'settled');
    const left = sum(credit.map((one) => model.leftOf(one)));
    const told = (name: string) => unitsOf(row[name], DIGITS[currency]!);
    if (told('balance_amount') !== balance) wrong.push(`balance in ${currency}`);
    if (told('overdue_amount') !== overdue) wrong.push(`overdue in ${currency}`);
    if (told('unapplied_amount') !== left) wrong.push(`credit in ${currency}`);
    if (told('net_amount') !== balance - left) wrong.push(`net in ${currency}`);
  }
  if (wrong.length > 0) throw new Error(wrong.join('; '));
}

/** What the database holds of the ledger, to the last row. */
const SUMS = `
  select count(*)::integer as wrong from (
    select p.id from payment p where p.applied_amount <> coalesce((select sum(l.applied_amount) from payment_invoice l
      where l.payment_id = p.id), 0)
    union all
    select i.id from invoice i where i.invoice_type <> 'credit_memo' and i.applied_amount <> coalesce((
      select sum(l.applied_amount) from payment_invoice l where l.invoice_id = i.id), 0)
    union all
    select i.id from invoice i join payment p on p.credit_memo_invoice_id = i.id where i.applied_amount <> p.applied_amount
    union all
    select l.id from payment_invoice l where l.applied_amount + (select coalesce(sum(r.applied_amount), 0)
      from payment_invoice r where r.reversed_payment_invoice_id = l.id) < 0 and l.applied_amount > 0
  ) found`;

const STATUSES = ['disputed', 'draft', 'open', 'overdue', 'paid', 'partial', 'void'];
const TABLES = ['payment_invoice', 'invoice_items', 'payment', 'invoice'];

t.test('whatever is done, all sums are exact', async (t) => {
  const names = Object.keys(DO) as (keyof typeof DO)[];
  // What makes something comes more often than what ends it.
  const weighted = [
    ...names,
    'invoice',
    'issue',
    'issue',
    'pay',
    'pay',
    'apply',
    'apply',
    'auto',
  ] as (keyof typeof DO)[];
  const command = fc.tuple(
    fc.constantFrom(...weighted),
    fc.nat({ max: 1_000_000 }),
    fc.nat({ max: 1_000_000 }),
    fc.nat({ max: 1_000_000 }),
  );
  let steps = 0;
  const taken = new Set<string>();
  // Until every status has been there: a few scripts may by chance leave one out.
  for (let round = 0; round < 8 && taken.size < STATUSES.length; round++)
    await fc.assert(
      fc.asyncProperty(
        fc.array(command, { minLength: 40, maxLength: 70, size: 'max' }),
        async (commands: Command[]) => {
          for (const table of TABLES) await portal.owner.query(`delete from ${table}`);
          nowMs = START_MS;
          const run = new Run();
          for (const [name, a, b, c] of commands) {
            steps += 1;
            await DO[name](run, a, b, c);
            await compare(run);
            for (const one of run.model.invoices) taken.add(run.model.statusOf(one));
          }
          const { rows } = await portal.owner.query<{ wrong: number }>(SUMS);
          if (rows[0]!.wrong > 0) throw new Error('the ledger is not the sum of its rows');
        },
      ),
      { numRuns: 8, endOnFailure: true },
    );
  t.ok(steps >= 300, `${steps} steps`);
  t.same([...taken].sort(), STATUSES);
});

t.test('a line is quantity times rate, rounded half away from zero, for any of them', async (t) => {
  let lines = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...currencies),
      fc.array(
        fc.record({
          quantity: fc.bigInt({ min: 1n, max: 9_999_999_999n }),
          rate: fc.bigInt({ min: -99_999_999n, max: 99_999_999n }),
          tax: fc.option(fc.bigInt({ min: 0n, max: 1_000_000n })),
          isHalf: fc.boolean(),
        }),
        { minLength: 20, maxLength: 40 },
      ),
      async (currency, drawn) => {
        const digits = DIGITS[currency]!;
        const { rows: made } = await portal.owner.query<{ id: number }>(
          `insert into invoice (customer_id, account_id, currency_code, due_date) values ($1, $2, $3, '2099-01-01') returning id`,
          [portal.seed.mine.customerId, accounts[0], currency],
        );
        for (const { quantity: any, rate, tax, isHalf } of drawn) {
          // Halves of the smallest unit are rare among the random ones.
          const quantity = isHalf ? 500n : any;
          const price = isHalf ? (rate / 1_000n) * 10n ** BigInt(4 - digits) : rate;
          const amount = productOf(quantity, price, digits);
          const { rows } = await portal.owner.query<{ amount: string; tax_amount: string }>(
            `with line as (insert into invoice_items (customer_id, invoice_id, item_description, quantity, rate, tax_rate_pct,
                 amount, tax_amount, currency_code, deleted_at)
               values ($1, $2, 'x', $3, $4, $5, null, null, $6, now()) returning amount, tax_amount)
             select trim_scale(amount)::text as amount, trim_scale(tax_amount)::text as tax_amount from line`,
            [
              ...[portal.seed.mine.customerId, made[0]!.id, textOf(quantity, 3), textOf(price, 4)],
              ...[tax === null ? null : textOf(tax, 4), currency],
            ],
          );
          lines += 1;
          const said = [amount, tax === null ? 0n : taxOf(amount, tax)];
          const told = [unitsOf(rows[0]!.amount, digits), unitsOf(rows[0]!.tax_amount, digits)];
          if (said.join() !== told.join())
            throw new Error(
              `${textOf(quantity, 3)} × ${textOf(price, 4)} ${currency}: ${told.join()}, not ${said.join()}`,
            );
        }
      },
    ),
    { numRuns: 40 },
  );
  t.ok(lines >= 800, `${lines} lines`);
});
