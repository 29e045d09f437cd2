/** What the month comes to: invoices, part payments, credit, a payment that comes back; and files of it all. */
import type { Test } from 'tap';
import { bodyOf, dateOf, make, type Fleet } from './fleet.ts';
import { read, setClock, type Story } from './story.ts';

interface Line {
  readonly item_description: string;
  readonly quantity: number;
  readonly unit: string;
  readonly rate: number;
  readonly tax_rate_pct: number;
}

/** An invoice with lines, issued; gives its id. Its amounts are left to the server. */
async function bill(
  fleet: Fleet,
  account: string,
  invoice: object,
  [lines, discount_amount]: readonly [readonly Line[], number?],
) {
  const { person, accounts } = fleet;
  const id = await make(person, '/v1/invoices', { account_id: accounts[account], ...invoice });
  const { currency_code } = invoice as { currency_code: string };
  for (const line of lines) {
    await make(person, '/v1/invoice-items', {
      invoice_id: id,
      item_type: 'rental',
      currency_code,
      ...line,
    });
  }
  const at = `/v1/invoices/${id}`;
  if (discount_amount !== undefined) await bodyOf(person.patch(at, { discount_amount }));
  await bodyOf(person.post(`${at}/issue`));
  return id;
}

/** A payment that has come; gives its id. */
function pay(fleet: Fleet, account: string, amount: number, currency: string, number: string) {
  return make(fleet.person, '/v1/payments', {
    account_id: fleet.accounts[account],
    payment_id: number,
    payment_date: dateOf(29),
    payment_method: 'ach',
    payment_amount: amount,
    currency_code: currency,
    status: 'settled',
  });
}

const month = {
  invoice_type: 'rental',
  date: dateOf(28),
  due_date: dateOf(60),
  billing_period_from: dateOf(1),
  billing_period_to: dateOf(30),
};
const rent = (quantity: number, rate: number, tax_rate_pct: number): Line => ({
  item_description: 'Dry van, 53 ft',
  quantity,
  unit: 'month',
  rate,
  tax_rate_pct,
});

/** Days 13 and 28: what is billed. */
export async function invoices(t: Test, story: Story): Promise<void> {
  const { north, hafen, ids } = story;
  const { person } = north;
  setClock(story, north, 22, 13);
  const repair = await make(person, '/v1/invoices', {
    account_id: north.accounts['prairie'],
    invoice_number: 'NL-1',
    invoice_type: 'maintenance',
    date: dateOf(13),
    due_date: dateOf(27),
    currency_code: 'USD',
  });
  const from = { workorder_id: ids['roadsideOrder'] };
  await bodyOf(person.post(`/v1/invoices/${repair}/items-from-workorder`, from));
  const again = await person.post(`/v1/invoices/${repair}/items-from-workorder`, from);
  t.match(again, { status: 409, body: { errors: [{ pointer: '/workorder_id' }] } });
  await bodyOf(person.post(`/v1/invoices/${repair}/issue`));
  t.match(await read(north, `/v1/invoices/${repair}`), { status: 'open', total_amount: 738.9 });

  setClock(story, north, 28, 9);
  t.match(await read(north, `/v1/invoices/${repair}`), { status: 'overdue' });
  const numbered = (invoice_number: string, currency_code: string) => ({
    ...month,
    invoice_number,
    currency_code,
  });
  ids['prairieRent'] = await bill(north, 'prairie', numbered('NL-2', 'USD'), [
    [rent(20, 415, 8.25)],
  ]);
  // Unit 30 went out on day 9: 22 of 30 days.
  ids['unionRent'] = await bill(north, 'union', numbered('NL-3', 'USD'), [
    [rent(9, 415, 8.25), rent(0.733, 415, 8.25)],
    39.2,
  ]);
  ids['hafenRent'] = await bill(hafen, 'lager', numbered('HL-1', 'EUR'), [[rent(19, 512.5, 19)]]);
  const frozen = await person.patch(`/v1/invoices/${ids['prairieRent']}`, { discount_amount: 1 });
  t.match(frozen, { status: 409 });
  const byHand = await person.patch(`/v1/invoices/${ids['prairieRent']}`, { status: 'paid' });
  t.match(byHand, { status: 400, body: { errors: [{ pointer: '/status' }] } });
}

/** Days 29 and 30: what is paid, in part, too much, and taken back. */
export async function payments(t: Test, story: Story): Promise<void> {
  const { north, hafen, ids } = story;
  setClock(story, north, 29, 10);
  const first = await pay(north, 'prairie', 9_000, 'USD', 'P-1');
  // The repair is due first: 738.90, and the rest, 8,261.10, goes to the rent.
  await bodyOf(north.person.post(`/v1/payments/${first}/apply`, { auto: true }));
  t.match(await read(north, `/v1/invoices/${ids['prairieRent']}`), {
    status: 'partial',
    applied_amount: 8_261.1,
    balance_amount: 723.65,
  });
  const part = await pay(north, 'union', 2_000, 'USD', 'P-2');
  await bodyOf(
    north.person.post(`/v1/payments/${part}/apply`, {
      applications: [{ invoice_id: ids['unionRent'], amount: 2_000 }],
    }),
  );
  const tooMuch = await north.person.post('/v1/payment-invoices', {
    payment_id: part,
    invoice_id: ids['unionRent'],
    account_id: north.accounts['union'],
    applied_amount: 0.01,
    currency_code: 'USD',
  });
  t.match(tooMuch, { status: 409, body: { errors: [{ pointer: '/applied_amount' }] } });
  const pesos = await pay(north, 'union', 5_000, 'MXN', 'P-3');
  const mixed = await north.person.post('/v1/payment-invoices', {
    payment_id: pesos,
    invoice_id: ids['unionRent'],
    account_id: north.accounts['union'],
    applied_amount: 100,
    currency_code: 'MXN',
  });
  t.match(mixed, { status: 422, body: { errors: [{ pointer: '/currency_code' }] } });

  // A tenth of the fleet stood for repairs: union is given something back.
  await bill(
    north,
    'union',
    {
      invoice_number: 'NL-4',
      invoice_type: 'credit_memo',
      date: dateOf(29),
      due_date: dateOf(29),
      currency_code: 'USD',
      credited_invoice_id: ids['unionRent'],
    },
    [[rent(1, 333.24, 0)]],
  );

  setClock(story, north, 30, 10);
  const second = await pay(north, 'prairie', 1_000, 'USD', 'P-4');
  await bodyOf(north.person.post(`/v1/payments/${second}/apply`, { auto: true }));

  setClock(story, hafen, 30, 13);
  const back = await pay(hafen, 'lager', 11_587.63, 'EUR', 'P-1');
  await bodyOf(hafen.person.post(`/v1/payments/${back}/apply`, { auto: true }));
  t.match(await read(hafen, `/v1/invoices/${ids['hafenRent']}`), { status: 'paid' });
  await bodyOf(
    hafen.person.post(`/v1/payments/${back}/transitions`, {
      status: 'reversed',
      status_reason: 'The bank took it back.',
    }),
  );
  t.match(await read(hafen, `/v1/invoices/${ids['hafenRent']}`), {
    status: 'open',
    balance_amount: 11_587.63,
  });
  const anew = await pay(hafen, 'lager', 12_000, 'EUR', 'P-2');
  await bodyOf(hafen.person.post(`/v1/payments/${anew}/apply`, { auto: true }));
}

/**
 * The ledger of the month, by hand. Number, subtotal, discount, tax, total, applied, balance, status.
 *
 * NL-1: a tyre 438.90 and labour 300.00, without tax. NL-2: 20 × 415.00 = 8,300.00; 8.25 % of it is 684.75. NL-3:
 * 9 × 415.00 = 3,735.00 and 0.733 × 415.00 = 304.195, which is 304.20; tax 308.1375 and 25.0965, which is 308.14 and 25.10;
 * less 39.20. NL-4 gives back 333.24 of it. HL-1: 19 × 512.50 = 9,737.50; 19 % of it is 1,850.125, which is 1,850.13.
 */
const LEDGER: Readonly<Record<'north' | 'hafen', readonly (readonly [string, ...unknown[]])[]>> = {
  north: [
    ['NL-1', 738.9, 0, 0, 738.9, 738.9, 0, 'paid'],
    ['NL-2', 8_300, 0, 684.75, 8_984.75, 8_984.75, 0, 'paid'],
    ['NL-3', 4_039.2, 39.2, 333.24, 4_333.24, 2_333.24, 2_000, 'partial'],
    ['NL-4', 333.24, 0, 0, 333.24, 333.24, 0, 'paid'],
  ],
  hafen: [['HL-1', 9_737.5, 0, 1_850.13, 11_587.63, 11_587.63, 0, 'paid']],
};
const COLUMNS = [
  'invoice_number',
  'subtotal_amount',
  'discount_amount',
  'tax_amount',
  'total_amount',
  'applied_amount',
  'balance_amount',
  'status',
] as const;

/** By account and currency: billed, applied, left to pay, credit that is left, and what that comes to. */
const BALANCES = {
  north: [
    ['prairie', 'USD', 9_723.65, 9_723.65, 0, 276.35, -276.35],
    ['union', 'MXN', 0, 0, 0, 5_000, -5_000],
    ['union', 'USD', 4_333.24, 2_333.24, 2_000, 0, 2_000],
  ],
  hafen: [['lager', 'EUR', 11_587.63, 11_587.63, 0, 412.37, -412.37]],
} as const;

/** The last evening: every figure, as the lists, the balances and the files of an export have it. */
export async function ledger(t: Test, story: Story): Promise<void> {
  for (const name of ['north', 'hafen'] as const) {
    const fleet = story[name];
    const list = await read<{ data: Record<string, unknown>[] }>(
      fleet,
      '/v1/invoices?sort=invoice_number',
    );
    const rows = list.data.map((row) => COLUMNS.map((column) => row[column]));
    t.same(rows, LEDGER[name], `the invoices of ${name}`);

    const { data } = await read<{ data: Record<string, unknown>[] }>(fleet, '/v1/account-balances');
    const balances = data
      .map((row) => [
        Object.keys(fleet.accounts).find((key) => fleet.accounts[key] === row['account_id']),
        row['currency_code'],
        row['invoiced_amount'],
        row['applied_amount'],
        row['balance_amount'],
        row['unapplied_amount'],
        row['net_amount'],
      ])
      .sort((a, b) => String(a).localeCompare(String(b)));
    t.same(balances, BALANCES[name], `the balances of ${name}`);

    await exported(t, fleet, LEDGER[name]);
  }
}

/** A view of the invoices is made the default, and the month is exported by it. */
async function exported(t: Test, fleet: Fleet, rows: readonly (readonly unknown[])[]) {
  const { person } = fleet;
  const lists = await read<{
    data: { column_preference_table_name_id: number; table_name: string }[];
  }>(fleet, '/v1/column-preference-tables?limit=200');
  const list = lists.data.find(({ table_name }) => table_name === 'invoice')!;
  await make(person, '/v1/column-preferences', {
    column_preference_table_name_id: list.column_preference_table_name_id,
    view_name: 'The month',
    selected_columns: COLUMNS,
    sort: 'invoice_number',
    filters: { date: { gte: dateOf(1), lte: dateOf(30) } },
    is_default: true,
  });
  const { status, text } = await person.get('/v1/invoices/export?format=csv&view=default');
  t.equal(status, 200);
  const [header, ...lines] = text
    .replace(/^\uFEFF/, '')
    .trim()
    .split(/\r?\n/);
  t.equal(header!.split(',').length, COLUMNS.length);
  const numbers = lines.map((line) =>
    line.split(',').map((cell) => (/^-?[0-9.]+$/.test(cell) ? Number(cell) : cell)),
  );
  t.same(numbers, rows, 'the file says the same');
}
