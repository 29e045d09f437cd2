/**
 * Fifty at once, over real sockets, for what only one can have: exactly one wins, the others are told why not in words that
 * a program can go by, and nothing is half done.
 */
import t from 'tap';
import { startTestPortal } from './test-portal.ts';

const AT_ONCE = 50;
const CUSTOMER = 'select count(*)::integer as n from';

const portal = await startTestPortal(t);
const { owner, seed, url } = portal;
const [accountId] = seed.mine.accountIds;
const [unitId] = seed.mine.equipmentIds;

interface Told {
  readonly status: number;
  readonly body: {
    readonly code?: string;
    readonly errors?: readonly { pointer: string; detail: string }[];
    readonly allowedTransitions?: readonly string[];
  };
}

async function post(path: string, body: object): Promise<Told & { id: number }> {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { ...portal.headersOf('admin'), 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const id = Number(response.headers.get('location')?.split('/').at(-1));
  return { status: response.status, body: (await response.json()) as Told['body'], id };
}

async function make(path: string, body: object): Promise<number> {
  const told = await post(path, body);
  if (told.status !== 201) throw new Error(`${path}: ${told.status} ${JSON.stringify(told.body)}`);
  return told.id;
}

/** Sends all at once; gives the winners, and the field that the others were told of. */
async function race(ask: (index: number) => Promise<Told>) {
  const told = await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => ask(index)));
  const won = told.filter(({ status }) => status < 300);
  const lost = told.filter(({ status }) => status >= 300);
  return {
    won: won.length,
    statuses: [...new Set(lost.map(({ status }) => status))],
    pointers: [...new Set(lost.map(({ body }) => body.errors?.[0]?.pointer))],
    lost,
  };
}

const count = async (what: string, values: unknown[] = []) =>
  (await owner.query<{ n: number }>(`${CUSTOMER} ${what}`, values)).rows[0]!.n;

t.test('the last unit that an account may have', async (t) => {
  const lookup = await owner.query<{ type: number; contract: number }>(
    `select (select min(equipment_type_lookup_id) from equipment_type_lookup) as type,
       (select min(contract_type_lookup_id) from contract_type_lookup) as contract`,
  );
  const { type, contract } = lookup.rows[0]!;
  const master = await make('/v1/master-agreements', {
    agreement_number: 'MA',
    agreement_name: 'Lease',
    contract_effective_date: '2026-01-01',
    contract_term: 600,
    contract_billing_method: 'advance',
    currency_code: 'USD',
    status: 'active',
  });
  const schedule = await make('/v1/schedule-agreements', {
    master_agreement_id: master,
    contract_type_lookup_id: contract,
    schedule_number: 'MA/1',
    effective_date: '2026-01-01',
    currency_code: 'USD',
    status: 'active',
  });
  const line = await make('/v1/schedule-agreement-line-items', {
    schedule_agreement_id: schedule,
    line_number: 1,
    equipment_type_lookup_id: type,
    number_of_units: 1,
    rate: 1,
    currency_code: 'USD',
  });
  const allocation = await make('/v1/equipment-type-allocations', {
    account_id: accountId,
    schedule_agreement_line_item_id: line,
    units_allowed: 1,
    effective_date: '2026-01-01',
  });
  const { rows } = await owner.query<{ id: number }>(
    `insert into equipment (customer_id, account_id, unit_number, equipment_type_lookup_id)
     select $1, $2, 'race ' || n, $3 from generate_series(1, $4::integer) n returning equipment_id as id`,
    [seed.mine.customerId, accountId, type, AT_ONCE],
  );
  const { won, statuses, pointers } = await race((index) =>
    post('/v1/equipment-assignments', {
      account_id: accountId,
      equipment_id: rows[index]!.id,
      equipment_type_allocation_id: allocation,
      activation_date: '2026-02-01',
      assigned_at: '2026-02-01T10:00:00Z',
    }),
  );
  t.same(
    { won, statuses, pointers },
    {
      won: 1,
      statuses: [409],
      pointers: ['/equipment_type_allocation_id'],
    },
  );
  t.equal(await count('equipment_assignment'), 1);
  t.equal(
    await count(
      'equipment_type_allocation where equipment_type_allocation_id = $1 and units_assigned = 1',
      [allocation],
    ),
    1,
  );
});

t.test('the same chassis number', async (t) => {
  const units = await count('equipment');
  const { won, statuses, pointers } = await race((index) =>
    post('/v1/vehicles', {
      maker_brand_description: 'TATA',
      maker_model: 'LPT 407',
      vin_chassis_no: 'MAT45321789012345',
      vehicle_type_id: 'VT004',
      usage_type_id: 'CARGO',
      engine_number: `E${index}`,
      fuel_type_id: 'DIESEL',
      gps_tracker_imei_number: String(356_938_035_640_000 + index),
      manufacturing_month_year: '2023-05',
      unit_number: `vehicle ${index}`,
    }),
  );
  t.same({ won, statuses, pointers }, { won: 1, statuses: [409], pointers: ['/vin_chassis_no'] });
  t.equal(await count('vehicle_basic_information_hdr'), 1);
  t.equal(await count('equipment'), units + 1, 'no unit is left of the others');
  t.equal(
    await count(`iot_device where device_identifier like '35693803564%'`),
    1,
    'and no tracker',
  );
});

t.test('the same invoice number', async (t) => {
  const { won, statuses, pointers } = await race(() =>
    post('/v1/invoices', {
      account_id: accountId,
      invoice_number: 'R-1',
      date: '2026-03-01',
      due_date: '2026-03-31',
      currency_code: 'USD',
    }),
  );
  t.same({ won, statuses, pointers }, { won: 1, statuses: [409], pointers: ['/invoice_number'] });
  t.equal(await count('invoice'), 1);
});

t.test('the same transition of a work order', async (t) => {
  const order = await make('/v1/workorders', {
    equipment_id: unitId,
    workorder_description: 'Renew the linings.',
    currency_code: 'USD',
  });
  const { won, statuses, lost } = await race(() =>
    post(`/v1/workorders/${order}/transitions`, { workorder_status: 'in_progress' }),
  );
  t.same({ won, statuses }, { won: 1, statuses: [409] });
  t.ok(
    lost.every(({ body }) => body.allowedTransitions?.join() === 'on_hold,completed,cancelled'),
    'each is told where it may go from there',
  );
  t.equal(await count('workorder where version = 2'), 1, 'it was written once');
});

t.test('the same payment, and the same money', async (t) => {
  const payment = (payment_id: string) => ({
    account_id: accountId,
    payment_id,
    payment_date: '2026-03-28',
    payment_method: 'ach',
    payment_amount: 100,
    currency_code: 'USD',
    status: 'settled',
  });
  const same = await race(() => post('/v1/payments', payment('P-1')));
  t.match(same, { won: 1, statuses: [409], pointers: ['/payment_id'] });
  t.equal(await count('payment'), 1);

  const invoices: number[] = [];
  for (let index = 0; index < AT_ONCE; index++) {
    const id = await make('/v1/invoices', {
      account_id: accountId,
      date: '2026-03-01',
      due_date: '2026-03-31',
      subtotal_amount: 100,
      currency_code: 'USD',
    });
    await post(`/v1/invoices/${id}/issue`, {});
    invoices.push(id);
  }
  const { rows } = await owner.query<{ id: number }>('select id from payment');
  const spent = await race((index) =>
    post(`/v1/payments/${rows[0]!.id}/apply`, {
      applications: [{ invoice_id: invoices[index], amount: 100 }],
    }),
  );
  t.match(spent, { won: 1, statuses: [409] });
  t.ok(spent.lost.every(({ body }) => (body.errors?.length ?? 0) > 0));
  t.equal(await count('payment_invoice'), 1);
  t.equal(await count(`invoice where status = 'paid' and applied_amount = 100`), 1);
  t.equal(await count('payment where applied_amount = 100 and unapplied_amount = 0'), 1);
});
