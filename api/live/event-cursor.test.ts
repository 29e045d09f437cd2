import t from 'tap';
import fc from 'fast-check';
import { createEventCursor } from './event-cursor.ts';

t.test('an id settles when it was published long enough ago', (t) => {
  const cursor = createEventCursor(null, 10_000);
  t.equal(cursor.settled(0), null);
  cursor.published(11, 1_000);
  cursor.published(10, 1_200);
  t.equal(cursor.settled(11_199), null, 'the whole second settles together');
  t.equal(cursor.settled(11_200), 11);
  cursor.published(5, 12_000);
  t.equal(cursor.settled(30_000), 11, 'never goes back');
  t.end();
});

t.test('it starts where nothing was open', (t) => {
  t.equal(createEventCursor(42, 10_000).settled(0), 42);
  t.end();
});

t.test('nothing at or below the cursor is published later, whatever the order of commits', (t) => {
  const settleMs = 5_000;
  // Each transaction draws one id when it opens and publishes within settleMs.
  const transaction = fc.record({
    gapMs: fc.integer({ min: 0, max: 3_000 }),
    openMs: fc.integer({ min: 0, max: settleMs - 1 }),
  });
  fc.assert(
    fc.property(fc.array(transaction, { minLength: 1, maxLength: 60 }), (transactions) => {
      let openedAt = 0;
      const published = transactions
        .map(({ gapMs, openMs }, index) => {
          openedAt += gapMs;
          return { id: index + 1, atMs: openedAt + openMs };
        })
        .sort((a, b) => a.atMs - b.atMs);
      const cursor = createEventCursor(0, settleMs);
      for (const { id, atMs } of published) {
        const settled = cursor.settled(atMs)!;
        if (id <= settled) throw new Error(`event ${id} came after the cursor said ${settled}`);
        cursor.published(id, atMs);
      }
      const end = cursor.settled(Number.MAX_SAFE_INTEGER);
      if (end !== transactions.length) throw new Error(`the cursor stops at ${end}`);
    }),
    { numRuns: 300 },
  );
  t.end();
});
