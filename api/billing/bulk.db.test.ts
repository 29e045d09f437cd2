/** Many rows in one request, from several clients at once: those that name the same wait for one another, and in no circle. */
import t from 'tap';
import { openHouse } from './test-billing.ts';

const CLIENTS = 5;
const ROWS = 16;
const { send, draft, issued, paid, accounts, portal } = await openHouse(t);
const [account_id] = accounts;

t.test(
  'many rows in one request, over the same payments and invoices, in every order',
  async (t) => {
    const clients = Array.from({ length: CLIENTS }, (_, n) => n);
    const rotated = (ids: readonly number[], by: number) => {
      const turned = [...ids.slice(by), ...ids.slice(0, by)];
      return by % 2 === 0 ? turned : turned.reverse();
    };
    const bulk = (path: string, itemsOf: (n: number) => object[]) =>
      Promise.all(clients.map((n) => send('POST', `${path}/bulk`, { items: itemsOf(n) })));
    const all = <T>(make: () => Promise<T>) => Promise.all(Array.from({ length: ROWS }, make));
    const [invoices, payments] = [await all(() => issued(1000)), await all(() => paid(1000))];
    const drafts = await all(() => draft());
    const equipment = portal.seed.mine.equipmentIds[0];
    const answers = [
      await bulk('payment-invoices', (n) => {
        const to = rotated(invoices, n * 3);
        return rotated(payments, n).map((payment_id, place) => ({
          ...{ payment_id, invoice_id: to[place], applied_amount: 1 },
        }));
      }),
      await bulk('invoice-items', (n) =>
        rotated(drafts, n).map((invoice_id) => ({ invoice_id, item_description: 'x', rate: 1 })),
      ),
      await bulk('invoice-equipment', (n) =>
        rotated(drafts, n).map((invoice_id) => ({ invoice_id, equipment_id: equipment })),
      ),
      await bulk('invoices', (n) =>
        rotated(invoices, n).map((credited_invoice_id) => ({
          ...{ account_id, currency_code: 'USD', invoice_type: 'credit_memo', credited_invoice_id },
          ...{ subtotal_amount: 1, issued_at: '2026-01-01T00:00:00Z' },
        })),
      ),
    ];
    for (const some of answers) t.same([...new Set(some.map(({ status }) => status))], [200]);
    const made = answers.map((some) => some.map(({ body }) => body['created']));
    t.same([made[0], made[1], made[3]], Array(3).fill(Array(CLIENTS).fill(ROWS)));
    t.equal(
      made[2]!.reduce((sum: number, count) => sum + Number(count), 0),
      ROWS,
      'a unit is on an invoice once',
    );
  },
);

t.test('what is not there is refused by itself', async (t) => {
  const [payment_id, invoice_id] = [await paid(10), await issued(10)];
  const items = [
    { payment_id: 999_999, invoice_id, applied_amount: 1 },
    { payment_id: 'x', invoice_id: null, applied_amount: 1 },
    { payment_id, invoice_id: 999_999, applied_amount: 1 },
    { payment_id, invoice_id, applied_amount: 1 },
  ];
  const { status, body } = await send('POST', 'payment-invoices/bulk', { items });
  t.equal(status, 200);
  t.match(body, { results: [422, 400, 422, 201].map((status) => ({ status })) });
});
