import t from 'tap';
import { runBench } from './engine.bench.ts';

t.test('the bench runs, and the same seed does the same', (t) => {
  const params = { seed: 5, fences: 30, vertices: 12, devices: 20, batches: 5, batchRows: 200 };
  const first = runBench(params);
  t.equal(first.events > 0, true);
  t.equal(runBench(params).hash, first.hash);
  t.not(runBench({ ...params, seed: 6 }).hash, first.hash);
  t.end();
});
