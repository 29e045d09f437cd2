/** Requests that wait for one another: the one that the database ends is done again, and nobody is told to come back. */
import t from 'tap';
import { startTestPortal } from '../test-portal.ts';

const ROUNDS = 10;
const ITEMS = 60;

const portal = await startTestPortal(t);

t.test('the same names in opposite order', async (t) => {
  const statuses: number[] = [];
  let made = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const items = Array.from({ length: ITEMS }, (_, index) => ({
      tag_name: `round ${round} tag ${index}`,
    }));
    const answers = await Promise.all(
      [items, items.toReversed()].map((items) =>
        portal.as('admin', { method: 'POST', url: '/v1/tags/bulk', payload: { items } }),
      ),
    );
    for (const { status, body } of answers) {
      statuses.push(status);
      const { results } = body as unknown as { results: { status: number }[] };
      made += results.filter((result) => result.status === 201).length;
      t.ok(results.every((result) => [201, 409].includes(result.status)));
    }
  }
  t.same([...new Set(statuses)], [200]);
  t.equal(made, ROUNDS * ITEMS, 'each was made once');
});
