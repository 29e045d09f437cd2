/** Work orders on invoices: what is copied, what is refused, and when one may be billed again. */
import t from 'tap';
import { RowMaker } from '../../db/test-rows.ts';
import { blames, openHouse, type Row } from './test-billing.ts';

const house = await openHouse(t);
const { send, get, draft, list, accounts, portal } = house;
const client = await portal.owner.connect();
t.teardown(() => client.release());
const maker = await RowMaker.open(client);
const { customerId } = portal.seed.mine;
const owner = { customerId, accountId: accounts[0], word: 'work' };

async function order(more: Row = {}, lines: Row[] = []): Promise<number> {
  const { workorder_id } = await maker.make('workorder', owner, {
    ...{
      workorder_status: 'completed',
      currency_code: 'USD',
      payer: null,
      cost_limit: null,
      ...more,
    },
  });
  for (const line of lines)
    await maker.make('workorder_vmrs', owner, {
      workorder_id,
      currency_code: 'USD',
      payer: null,
      part_number: null,
      ...line,
    });
  return Number(workorder_id);
}

/** An order with a line in another currency, from before that was refused. */
async function mixed(): Promise<number> {
  const workorder = await order({}, [{ workorder_part_cost: 1 }]);
  await portal.owner.query(
    `alter table workorder_vmrs disable trigger user;
     update workorder_vmrs set currency_code = 'EUR' where workorder_id = ${workorder};
     alter table workorder_vmrs enable trigger user`,
  );
  return workorder;
}

let codes = 0;

async function vmrs(): Promise<unknown> {
  codes += 1;
  const code = { vmrs_code: `017-001-90${codes}`, vmrs_description: 'Tyre' };
  return (await send('POST', 'vmrs-codes', code)).body['vmrs_id'];
}

const bill = (invoice: number, workorder_id: number, who: 'admin' | 'held' = 'admin') =>
  send('POST', `invoices/${invoice}/items-from-workorder`, { workorder_id }, who);

t.test('parts, labour and tax become lines', async (t) => {
  const workorder_id = await order({ tax_cost: 8.25 }, [
    { quantity: 4, workorder_part_cost: 100, labour_hours: 1.5, workorder_labour_cost: 150 },
    { quantity: 3, workorder_part_cost: 100, labour_hours: 0, workorder_labour_cost: 20 },
    { quantity: 1, workorder_part_cost: 0, payer: 'lessor' },
  ]);
  const invoice = await draft(5);
  const { status, body, text } = await bill(invoice, workorder_id);
  t.equal(status, 200, text);
  t.match(body['items'], [
    {
      line_number: 2,
      item_type: 'part',
      quantity: 4,
      unit: 'each',
      rate: 25,
      amount: 100,
      workorder_id,
    },
    { line_number: 3, item_type: 'labor', quantity: 1.5, unit: 'hour', rate: 100, amount: 150 },
    { line_number: 4, item_type: 'part', quantity: 1, rate: 100, amount: 100 },
    { line_number: 5, item_type: 'labor', quantity: 1, unit: 'each', rate: 20, amount: 20 },
    { line_number: 6, item_type: 'tax', quantity: 1, rate: 8.25, amount: 8.25 },
  ]);
  t.equal((body['items'] as Row[]).length, 5);
  t.match(body['invoice'], { subtotal_amount: 383.25, total_amount: 383.25 });
});

t.test('what the lessor or a warranty pays is not billed, nor the tax of it all', async (t) => {
  for (const payer of ['lessor', 'warranty']) {
    const own = { quantity: 1, workorder_part_cost: 100, payer: 'lessee' };
    const workorder_id = await order({ tax_cost: 8.25 }, [own, { ...own, payer }]);
    const { body } = await bill(await draft(), workorder_id);
    t.match(body['items'], [{ item_type: 'part', amount: 100 }]);
    t.equal((body['items'] as Row[]).length, 1);
    const { body: whole } = await bill(
      await draft(),
      await order({ tax_cost: 8.25, payer }, [own]),
    );
    t.match(whole['items'], [{ amount: 100 }, { item_type: 'tax', amount: 8.25 }]);
  }
});

t.test('an order without lines is billed by its sums', async (t) => {
  const { body } = await bill(
    await draft(),
    await order({ part_cost: 10, labour_cost: 20, tax_cost: 3 }),
  );
  t.match(body['items'], [
    { item_type: 'part', amount: 10 },
    { item_type: 'labor', amount: 20 },
    { item_type: 'tax', amount: 3 },
  ]);
});

t.test('what cannot be billed', async (t) => {
  const rows: [string, number, number, string][] = [
    [
      'not done',
      await order({ workorder_status: 'in_progress', part_cost: 1 }),
      409,
      '/workorder_id',
    ],
    ['nothing', await order(), 422, '/workorder_id'],
    ['euros', await order({ currency_code: 'EUR', part_cost: 1 }), 422, '/currency_code'],
    ['mixed', await mixed(), 422, '/currency_code'],
    [
      'another account',
      await order({ account_id: accounts[1], part_cost: 1 }),
      422,
      '/workorder_id',
    ],
    ['none', 9_999_999, 422, '/workorder_id'],
  ];
  for (const [what, workorder, status, pointer] of rows) {
    const invoice = await draft();
    t.match(await bill(invoice, workorder), blames(status, pointer), what);
    t.same(await list(`invoice-items?filter[invoice_id]=${invoice}`), []);
  }
  const issued = await house.issued(5);
  t.match(await bill(issued, await order({ part_cost: 1 })), blames(409, '/status'));
  const theirs = await order({ account_id: accounts[1], part_cost: 1 });
  t.match(await bill(await draft(), theirs, 'held'), blames(422, '/workorder_id'));
});

t.test('a line beyond what a rate may be is refused, unless the price of one is not', async (t) => {
  const much = { workorder_part_cost: 20_000_000_000 };
  const one = await order({}, [{ ...much, quantity: 1 }]);
  t.match(await bill(await draft(), one), blames(422, '/workorder_id'));
  const uneven = await order({}, [{ workorder_part_cost: 20_000_000_000.02, quantity: 3 }]);
  t.match(await bill(await draft(), uneven), blames(422, '/workorder_id'));
  const many = await order({}, [{ ...much, quantity: 1_000 }]);
  t.match(await bill(await draft(), many), {
    status: 200,
    body: { items: [{ quantity: 1_000, rate: 20_000_000, amount: 20_000_000_000 }] },
  });
});

t.test('once, until its invoice is void, deleted, or has lost its lines', async (t) => {
  const workorder = await order({ part_cost: 10, labour_cost: 5 });
  const first = await draft();
  t.equal((await bill(first, workorder)).status, 200);
  t.match(await bill(await draft(), workorder), blames(409, '/workorder_id'));
  t.match(await bill(first, workorder), blames(409, '/workorder_id'));
  const [line] = await list(`invoice-items?filter[invoice_id]=${first}`);
  await send('DELETE', `invoice-items/${String(line!['id'])}`);
  t.match(await bill(await draft(), workorder), blames(409, '/workorder_id'), 'one line is left');
  await send('POST', `invoices/${first}/issue`, {});
  await send('POST', `invoices/${first}/void`, { reason: 'wrong' });
  const second = await draft();
  t.equal((await bill(second, workorder)).status, 200, 'void');
  await send('DELETE', `invoices/${second}`);
  const third = await draft();
  t.equal((await bill(third, workorder)).status, 200, 'deleted');
  t.equal((await get(`invoices/${third}`))['total_amount'], 15);
});

t.test('what was billed stays until the invoice is void', async (t) => {
  const status_reason = 'Not worth it.';
  const workorder = await order({ tax_cost: 1, part_cost: 10, workorder_status: 'in_progress' });
  const path = `workorders/${workorder}`;
  const line = { workorder_id: workorder, vmrs_id: await vmrs(), workorder_part_cost: 3 };
  const made = await send('POST', 'workorder-vmrs', line);
  const linePath = `workorder-vmrs/${String(made.body['workorder_vmrs_id'])}`;
  await send('PATCH', path, { workorder_status: 'completed', resolution: 'Done.' });
  const invoice = await draft();
  t.equal((await bill(invoice, workorder)).status, 200);
  await send('POST', `invoices/${invoice}/issue`, {});
  for (const change of [{ tax_cost: 2 }, { payer: 'lessor' }]) {
    const [name] = Object.keys(change);
    t.match(await send('PATCH', path, change), blames(409, `/${name}`));
  }
  const cancel = { workorder_status: 'cancelled', status_reason };
  const kept = await send('PATCH', path, cancel);
  t.match(kept, blames(409, '/workorder_status'));
  t.same(kept.body['allowedTransitions'], ['closed', 'in_progress']);
  t.match(await send('POST', 'workorder-vmrs', line), blames(409, '/workorder_id'));
  const dearer = await send('PATCH', linePath, { workorder_part_cost: 9 });
  t.match(dearer, blames(409, '/workorder_id'));
  t.match(await send('DELETE', linePath), blames(409, '/workorder_id'));
  t.equal((await send('DELETE', path)).status, 409);
  t.equal((await send('PATCH', path, { vendor_invoice_number: '7' })).status, 200);
  const again = { workorder_status: 'in_progress', status_reason };
  t.equal((await send('PATCH', path, again)).status, 200, 'opened again');
  for (const change of [{ account_id: accounts[1] }, { currency_code: 'EUR' }]) {
    const [name] = Object.keys(change);
    t.match(await send('PATCH', path, change), blames(409, `/${name}`));
  }
  t.match(await send('PATCH', path, cancel), blames(409, '/workorder_status'));
  await send('POST', `invoices/${invoice}/void`, { reason: 'wrong' });
  t.equal((await send('PATCH', linePath, { workorder_part_cost: 9 })).status, 200, 'void');
  t.equal((await send('PATCH', path, cancel)).status, 200);
});

t.test('a line that somebody writes about an order is no bill of it', async (t) => {
  const workorder_id = await order({ part_cost: 10, workorder_status: 'in_progress' });
  const line = { invoice_id: await draft(), item_description: 'Call-out', rate: 5, workorder_id };
  t.equal((await send('POST', 'invoice-items', line)).status, 201);
  t.equal((await send('PATCH', `workorders/${workorder_id}`, { part_cost: 11 })).status, 200);
});

t.test('of a bill and a change of what it costs the later sees the other', async (t) => {
  for (let round = 0; round < 8; round++) {
    const workorder = await order({ part_cost: 10 });
    const invoice = await draft();
    const [billed, changed] = await Promise.all([
      bill(invoice, workorder),
      send('PATCH', `workorders/${workorder}`, { part_cost: 20 }),
    ]);
    t.equal(billed.status, 200);
    t.ok([200, 409].includes(changed.status));
    const { part_cost } = await get(`workorders/${workorder}`);
    t.equal((await get(`invoices/${invoice}`))['total_amount'], part_cost);
  }
});
