import t from 'tap';
import { createTestDatabase } from '../../db/test-database.ts';
import type { Figure } from '../report.ts';
import { DATABASE_PARAMS_TINY, measureDatabase } from './database.ts';

t.test('fences are loaded from the database, and every kind of edit comes through', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const figures: Figure[] = [];
  await measureDatabase(ownerUrl, { ...DATABASE_PARAMS_TINY, loads: 2 }, (figure) =>
    figures.push(figure),
  );
  const metrics = figures.map(({ metric }) => metric);
  t.ok(metrics.includes('load_s') && metrics.includes('load_again_1_s'));
  // An edit that is not seen, or changes nothing, fails in the bench itself.
  t.equal(metrics.filter((metric) => metric.endsWith('_visible_max_ms')).length, 8);
  for (const { metric, value } of figures) t.ok(value > 0, metric);
});
