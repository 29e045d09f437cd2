/** What becomes overdue by the day alone is told to those who keep a copy. */
import t from 'tap';
import { TestCopy } from '../changes/test-copy.ts';
import { noteOverdue } from './overdue.ts';
import { openHouse } from './test-billing.ts';

/** Noon in Berlin on 1 March 2026. */
let nowMs = Date.parse('2026-03-01T11:00:00Z');
const house = await openHouse(t, { now: () => nowMs });
const { send, get, issued, draft, paid, apply, portal } = house;
const round = (rowsMax?: number) =>
  noteOverdue({
    pool: portal.runnerPool,
    now: () => nowMs,
    onError: (error) => t.fail(String(error)),
    ...(rowsMax !== undefined && { rowsMax }),
  });

t.test('soon after midnight, and once', async (t) => {
  const due_date = '2026-03-31';
  const open = await issued(10, { due_date });
  const partial = await issued(10, { due_date });
  await apply(await paid(4), partial, 4);
  const full = await issued(10, { due_date });
  await apply(await paid(10), full, 10);
  const disputed = await issued(10, { due_date });
  await send('POST', `invoices/${disputed}/dispute`, { reason: 'x' });
  await issued(10, { invoice_type: 'credit_memo', due_date });
  await draft(10, { due_date });
  const last = await issued(10, { due_date: '2026-04-01' });
  const copy = new TestCopy(portal, 'admin', ['invoices']);
  await copy.beginNow();
  const told = async () => {
    const { data } = await copy.poll();
    return data.map(({ id, row }) => [id, (row as { status: string }).status]);
  };
  // In Berlin summer time has begun by then: two hours before UTC.
  nowMs = Date.parse('2026-03-31T21:59:59Z');
  t.equal(await round(), 0);
  t.same(await told(), []);
  nowMs += 1_000;
  const { version } = await get(`invoices/${open}`);
  t.equal(await round(1), 2, 'batch after batch');
  t.same(await told(), [
    [open, 'overdue'],
    [partial, 'overdue'],
  ]);
  t.match(await get(`invoices/${open}`), { version: (version as number) + 1 });
  t.notOk('is_overdue_noted' in (await get(`invoices/${open}`)));
  t.equal(await round(), 0);
  t.same(await told(), []);
  const trail = await send('GET', `audit-trail?entity_type=invoice&entity_id=${open}`);
  t.notMatch(trail.text, /is_overdue_noted/, 'it is nobody’s act');

  await send('POST', `invoices/${disputed}/resolve-dispute`, {});
  t.same(await told(), [[disputed, 'overdue']]);
  t.equal(await round(), 0, 'what is written says so by itself');
  nowMs += 86_400_000;
  await Promise.all([round(), round(), round()]);
  t.same(await told(), [[last, 'overdue']]);
});
