/** Databases from before the rules of billing: whatever stands in them moves, and nothing that was paid is owed again. */
import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { administer, connectTestClient, databaseUrl, testServerUrl } from '../db/test-database.ts';
import { migrate, migrationsDir } from './run.ts';

const name = `upgrade_${process.pid}_${randomBytes(6).toString('hex')}`;
await administer(testServerUrl(), `create database ${name}`);
t.teardown(() => administer(testServerUrl(), `drop database if exists ${name} with (force)`));
const url = databaseUrl(testServerUrl(), name);
const dir = await mkdtemp(join(tmpdir(), 'milepost-upgrade-'));
t.teardown(() => rm(dir, { recursive: true, force: true }));
for (const file of await readdir(migrationsDir))
  if (Number.parseInt(file, 10) < 36) await cp(join(migrationsDir, file), join(dir, file));
await migrate(url, undefined, dir);
const client = await connectTestClient(t, url);

const one = async (text: string, values: unknown[] = []) =>
  Object.values((await client.query<Record<string, unknown>>(text, values)).rows[0]!)[0];

const customer = await one(
  `insert into customer (customer_name) values ('old') returning customer_id`,
);
const account = await one(
  `insert into account (customer_id, account_name, account_number, account_type) values ($1, 'a', 'a', 'REGIONAL')
   returning account_id`,
  [customer],
);

/** What the invoice was said to be, and what it is to be: status, applied, and what payments without a name were made. */
interface Case {
  readonly said: Record<string, unknown>;
  /** Amounts that were applied, each of a payment of its own of so much. */
  readonly applied?: readonly (readonly [amount: number, payment: number, status?: string])[];
  readonly is: readonly [status: string, applied: string, madeUp: string];
}

const CASES: Readonly<Record<string, Case>> = {
  draft: { said: {}, is: ['draft', '0', '0'] },
  // Its payment is credit of the account (0041).
  'a draft with something applied': { said: { applied_amount: 30 }, is: ['draft', '0', '0'] },
  open: { said: { status: 'open' }, is: ['open', '0', '0'] },
  overdue: { said: { status: 'overdue' }, is: ['open', '0', '0'] },
  partial: { said: { status: 'partial', applied_amount: 40 }, is: ['partial', '40', '40'] },
  'partial of nothing': { said: { status: 'partial' }, is: ['open', '0', '0'] },
  'paid, by hand': { said: { status: 'paid' }, is: ['paid', '100', '100'] },
  'paid, with its amount': {
    said: { status: 'paid', applied_amount: 100 },
    is: ['paid', '100', '100'],
  },
  'paid, with half of a ledger': {
    said: { status: 'paid' },
    applied: [[50, 50]],
    is: ['paid', '100', '50'],
  },
  'open, with a ledger': {
    said: { status: 'open' },
    applied: [[60, 80]],
    is: ['partial', '60', '0'],
  },
  'open, and paid by the ledger': {
    said: { status: 'open' },
    applied: [
      [60, 60],
      [40, 60],
    ],
    is: ['paid', '100', '0'],
  },
  'paid twice': {
    said: { status: 'open' },
    applied: [
      [100, 100],
      [100, 100],
    ],
    is: ['paid', '100', '0'],
  },
  'more than the payment': {
    said: { status: 'open' },
    applied: [[90, 70]],
    is: ['partial', '70', '0'],
  },
  'by what came back': {
    said: { status: 'open' },
    applied: [[90, 90, 'reversed']],
    is: ['open', '0', '0'],
  },
  disputed: { said: { status: 'disputed' }, is: ['disputed', '0', '0'] },
  void: { said: { status: 'void' }, is: ['void', '0', '0'] },
  'void, with a ledger': { said: { status: 'void' }, applied: [[10, 10]], is: ['void', '0', '0'] },
  'a credit memo': {
    said: { status: 'open', invoice_type: 'credit_memo' },
    is: ['open', '0', '0'],
  },
  'a used credit memo': {
    said: { status: 'paid', invoice_type: 'credit_memo' },
    is: ['paid', '100', '0'],
  },
  'a paid credit memo': {
    said: { status: 'open', invoice_type: 'credit_memo' },
    applied: [[10, 10]],
    is: ['open', '0', '0'],
  },
  'finer than its currency': {
    said: { status: 'paid', currency_code: 'USD', subtotal_amount: 100, total_amount: 100 },
    is: ['paid', '100', '100'],
  },
};

const ids = new Map<string, unknown>();
for (const [what, { said, applied = [] }] of Object.entries(CASES)) {
  const row = {
    ...{
      customer_id: customer,
      account_id: account,
      date: '2026-01-01',
      due_date: '2026-01-31',
      currency_code: 'USD',
    },
    ...{ subtotal_amount: 100, total_amount: 100, ...said },
  };
  const names = Object.keys(row);
  const id = await one(
    `insert into invoice (${names.join()}) values (${names.map((_n, n) => `$${n + 1}`).join()}) returning id`,
    Object.values(row),
  );
  ids.set(what, id);
  for (const [amount, payment, status = 'settled'] of applied) {
    const of = await one(
      `insert into payment (customer_id, account_id, payment_method, payment_amount, currency_code, status)
       values ($1, $2, 'ach', $3, 'USD', $4) returning id`,
      [customer, account, payment, status],
    );
    await client.query(
      `insert into payment_invoice (customer_id, payment_id, invoice_id, account_id, applied_amount, currency_code)
       values ($1, $2, $3, $4, $5, 'USD')`,
      [customer, of, id, account, amount],
    );
  }
}
// Written before amounts were held to their currency.
await client.query('alter table invoice disable trigger amounts');
await client.query(
  'update invoice set subtotal_amount = 100.005, total_amount = 100.005 where id = $1',
  [ids.get('finer than its currency')],
);
await client.query('alter table invoice enable trigger amounts');
const payments = Number(await one('select count(*) from payment'));
const totals = await one('select sum(total_amount)::text from invoice');

t.test('it moves', async (t) => {
  t.ok((await migrate(url)).includes('0036_billing.sql'), 'to the end');
  t.equal(await one('select sum(total_amount)::text from invoice'), totals, 'no total has changed');
});

t.test('each is what was said of it', async (t) => {
  for (const [what, { is }] of Object.entries(CASES)) {
    const id = ids.get(what);
    const { rows } = await client.query<Record<string, string>>(
      `select status, trim_scale(applied_amount)::text as applied, trim_scale(coalesce((select sum(l.applied_amount)
         from payment_invoice l join payment p on p.id = l.payment_id
         where l.invoice_id = i.id and p.notes like 'What was paid before%'), 0))::text as made_up from invoice i where id = $1`,
      [id],
    );
    const [status, applied, madeUp] =
      what === 'finer than its currency' ? ['paid', '100.005', '100.005'] : is;
    t.same(rows[0], { status, applied, made_up: madeUp }, what);
  }
});

t.test('sums and instants hold', async (t) => {
  const wrong = (text: string) => one(`select count(*)::integer from ${text}`);
  t.equal(
    await wrong(`payment p where applied_amount <> coalesce((select sum(l.applied_amount) from payment_invoice l
      where l.payment_id = p.id), 0)`),
    0,
  );
  t.equal(
    await wrong(`invoice i where invoice_type <> 'credit_memo' and applied_amount <> coalesce((
      select sum(l.applied_amount) from payment_invoice l where l.invoice_id = i.id), 0)`),
    0,
  );
  t.equal(
    await wrong(
      `invoice where (issued_at is null) <> (status in ('draft') or status = 'void' and sent_at is null)`,
    ),
    0,
  );
  t.equal(await wrong(`invoice where (paid_at is not null) <> (status = 'paid')`), 0);
  t.equal(
    await wrong(`invoice where is_overdue_noted <> (due_date < current_date - 1
      and status in ('open', 'partial') and invoice_type <> 'credit_memo')`),
    0,
    'what was overdue before is not told as news',
  );
  t.equal(await wrong(`invoice where (voided_at is not null) <> (status = 'void')`), 0);
  t.equal(await wrong(`payment where payment_method = 'credit_memo' and payment_amount = 100`), 2);
  t.equal(await wrong('payment'), payments + 2 + 6, 'and one for each that had been paid without');
});

t.test('and everything can be changed as before', async (t) => {
  await t.resolves(client.query(`update invoice set notes = 'seen'`));
  await t.resolves(client.query(`update payment set notes = notes || ' seen'`));
  const id = ids.get('open, with a ledger');
  const payment = await one(
    `insert into payment (customer_id, account_id, payment_method, payment_amount, currency_code, status)
     values ($1, $2, 'ach', 40, 'USD', 'settled') returning id`,
    [customer, account],
  );
  await client.query(
    `insert into payment_invoice (customer_id, payment_id, invoice_id, account_id, applied_amount, currency_code)
     values ($1, $2, $3, $4, 40, 'USD')`,
    [customer, payment, id, account],
  );
  t.equal(await one('select status from invoice where id = $1', [id]), 'paid');
});
