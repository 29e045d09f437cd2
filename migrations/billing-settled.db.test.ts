/**
 * Databases where rows of billing were deleted before there were rules, and 0036 took no notice of it: afterwards what is
 * owed by invoices and payments is what the statement says, on the way through 0038 and from it.
 */
import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import t from 'tap';
import { administer, connectTestClient, databaseUrl, testServerUrl } from '../db/test-database.ts';
import { migrate, migrationsDir } from './run.ts';

const name = `upgrade_${process.pid}_${randomBytes(6).toString('hex')}`;
await administer(testServerUrl(), `create database ${name}`);
t.teardown(() => administer(testServerUrl(), `drop database if exists ${name} with (force)`));
const url = databaseUrl(testServerUrl(), name);

/** Migrates to a version and no further. */
async function migrateTo(version: number): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'milepost-upgrade-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  for (const file of await readdir(migrationsDir)) {
    if (Number.parseInt(file, 10) <= version) await cp(join(migrationsDir, file), join(dir, file));
  }
  await migrate(url, undefined, dir);
}

await migrateTo(35);
const client: pg.Client = await connectTestClient(t, url);
const rowsOf = async (text: string, values: unknown[] = []) =>
  (await client.query<Record<string, unknown>>(text, values)).rows;
const one = async (text: string, values: unknown[] = []) =>
  Object.values((await rowsOf(text, values))[0]!)[0];
const customer = await one(
  `insert into customer (customer_name) values ('old') returning customer_id`,
);

type Given = Record<string, unknown>;

async function make(table: string, row: Given, key = 'id'): Promise<unknown> {
  const names = ['customer_id', ...Object.keys(row)];
  const places = names.map((_name, n) => `$${n + 1}`);
  return one(`insert into ${table} (${names.join()}) values (${places.join()}) returning ${key}`, [
    customer,
    ...Object.values(row),
  ]);
}

const account = (account_name: string) =>
  make(
    'account',
    { account_name, account_number: account_name, account_type: 'REGIONAL' },
    'account_id',
  );
const days = { date: '2026-01-01', due_date: '2026-01-31', currency_code: 'USD' };
const invoice = (account_id: unknown, more: Given) =>
  make('invoice', { account_id, ...days, subtotal_amount: 100, total_amount: 100, ...more });
const payment = (account_id: unknown, payment_amount: number, more: Given = {}) =>
  make('payment', {
    ...{ account_id, payment_method: 'ach', payment_amount, currency_code: 'USD' },
    ...{ status: 'settled', payment_date: '2026-01-15', ...more },
  });
const apply = (
  [account_id, payment_id, invoice_id]: unknown[],
  applied_amount: number,
  more: Given = {},
) =>
  make('payment_invoice', {
    ...{ account_id, payment_id, invoice_id, applied_amount, currency_code: 'USD', ...more },
  });

const gone = { deleted_at: '2026-02-01T00:00:00Z' };

/** What an account had, and what it owes in the end: below zero, what is its credit. */
const CASES: Record<string, { had: (a: unknown) => Promise<unknown>; owes: number }> = {
  'a deleted invoice that was said to be paid': {
    had: (a) => invoice(a, { status: 'paid', ...gone }),
    owes: 0,
  },
  'a deleted invoice that was said to be paid in part': {
    had: (a) => invoice(a, { status: 'partial', applied_amount: 40, ...gone }),
    owes: 0,
  },
  'a deleted invoice with a ledger': {
    had: async (a) =>
      apply([a, await payment(a, 120), await invoice(a, { status: 'paid', ...gone })], 60),
    owes: -120,
  },
  'a draft with a ledger': {
    had: async (a) => apply([a, await payment(a, 100), await invoice(a, {})], 100),
    owes: -100,
  },
  'a deleted payment that was applied': {
    had: async (a) =>
      apply([a, await payment(a, 150, gone), await invoice(a, { status: 'partial' })], 60),
    owes: 40,
  },
  'a deleted payment of a draft': {
    had: async (a) => apply([a, await payment(a, 100, gone), await invoice(a, {})], 60),
    owes: 0,
  },
  'a deleted payment of a deleted invoice': {
    had: async (a) =>
      apply([a, await payment(a, 100, gone), await invoice(a, { status: 'open', ...gone })], 60),
    owes: 0,
  },
  'a deleted row of a ledger': {
    had: async (a) => {
      const sides = [
        ...[a, await payment(a, 100, { applied_amount: 100 })],
        await invoice(a, { status: 'paid', applied_amount: 100 }),
      ];
      return apply(sides, 100, gone);
    },
    owes: 0,
  },
  'a deleted row of less than the invoice was said to be paid': {
    had: async (a) => {
      const sides = [
        ...[a, await payment(a, 70, { applied_amount: 70 })],
        await invoice(a, { status: 'paid', applied_amount: 100 }),
      ];
      return apply(sides, 70, gone);
    },
    owes: 0,
  },
  'an invoice that was paid without a payment': {
    had: (a) => invoice(a, { status: 'paid' }),
    owes: 0,
  },
};

const accounts = new Map<string, unknown>();
for (const [what, { had }] of Object.entries(CASES)) {
  const id = await account(what);
  accounts.set(what, id);
  await had(id);
}
const [payer, owner] = [await account('payer'), await account('owner')];
await apply(
  [owner, await payment(payer, 100, gone), await invoice(owner, { status: 'paid' })],
  100,
);

/** What is left to pay less what is left of payments; and the end of the statement. */
async function booksOf(id: unknown): Promise<Given> {
  await client.query('begin');
  await client.query(`select set_config('app.customer_id', $1::text, true)`, [customer]);
  const [books] = await rowsOf(
    `select (i.balance - p.unapplied)::float8 as net, (i.total - p.amount + t.amount)::float8 as closing
     from (select coalesce(sum(balance_amount), 0) as balance, coalesce(sum(total_amount), 0) as total from invoice
         where account_id = $1 and issued_at is not null and voided_at is null and deleted_at is null) i,
       (select coalesce(sum(unapplied_amount), 0) as unapplied, coalesce(sum(payment_amount), 0) as amount from payment
         where account_id = $1 and status = 'settled' and deleted_at is null) p,
       (select coalesce(sum(amount), 0) as amount from account_transfers($1, 'USD')) t`,
    [id],
  );
  await client.query('commit');
  return books!;
}

await migrateTo(38);
const paidBefore = await rowsOf(
  `select id, status, paid_at from invoice where issued_at is not null and deleted_at is null order by id`,
);
const drawn = Number(await one('select count(*) from record_change'));
await migrate(url);

t.test('what is owed is what the statement says', async (t) => {
  for (const [what, { owes }] of Object.entries(CASES))
    t.same(await booksOf(accounts.get(what)), { net: owes, closing: owes }, what);
  t.same(await booksOf(owner), { net: 0, closing: 0 }, 'paid by a deleted payment of another');
  t.same(await booksOf(payer), { net: 0, closing: 0 }, 'who is not in debt by that');
});

t.test('nothing that was paid is owed again', async (t) => {
  const now = await rowsOf(
    `select id, status, paid_at from invoice where issued_at is not null and deleted_at is null order by id`,
  );
  t.same(now, paidBefore);
});

t.test('both sides of the ledger are its sum', async (t) => {
  const count = (text: string) => one(`select count(*)::integer from ${text}`);
  const sum = (side: string) =>
    `coalesce((select sum(l.applied_amount) from payment_invoice l where l.${side} = s.id and l.deleted_at is null), 0)`;
  for (const [table, side] of [
    ['payment', 'payment_id'],
    ['invoice', 'invoice_id'],
  ] as const)
    t.equal(
      await count(`${table} s where deleted_at is null and applied_amount <> ${sum(side)}`),
      0,
      table,
    );
  t.equal(
    await count(
      `payment where notes = 'What was paid before payments were kept.' and deleted_at is null`,
    ),
    2,
    'what was made for what is there stays',
  );
  t.equal(await count(`payment where notes = 'What was paid by a payment that is deleted.'`), 2);
});

t.test('those who keep copies are told, and the rules hold again', async (t) => {
  t.ok(Number(await one('select count(*) from record_change')) > drawn);
  const told = await rowsOf(
    `select distinct entity_type, operation from record_change where entity_type = 'payment' order by 2`,
  );
  t.match(told, [{ operation: 'created' }, { operation: 'deleted' }, { operation: 'updated' }]);
  const settled = `update payment set payment_amount = 1 where status = 'settled'`;
  await t.rejects(client.query(settled), { message: /stays/ });
  const ledger = `insert into payment_invoice (customer_id, payment_id, invoice_id, account_id, applied_amount, currency_code)
    select p.customer_id, p.id, i.id, i.account_id, 1, 'USD' from payment p, invoice i
    where p.deleted_at is not null limit 1`;
  await t.rejects(client.query(ledger), { message: /ledger|permitted|check/ });
});
