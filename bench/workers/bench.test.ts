import t from 'tap';
import type { Figure } from '../report.ts';
import { benchWorkers, WORKERS_PARAMS_TINY, type WorkersBenchParams } from './bench.ts';

async function figuresOf(params: WorkersBenchParams): Promise<Figure[]> {
  const figures: Figure[] = [];
  await benchWorkers(params, (figure) => figures.push(figure));
  return figures;
}

t.test('every variant does the same, and the same seed does the same again', async (t) => {
  // Shapes of read and who does what are held together by the bench itself.
  const first = await figuresOf(WORKERS_PARAMS_TINY);
  t.same(
    [...new Set(first.map(({ scenario }) => scenario))],
    ['workers_1_packet', 'workers_40_packets', 'workers_50_lines'],
  );
  for (const { metric, value } of first) {
    if (metric.endsWith('_fixes_per_s')) t.ok(value > 0, metric);
  }
  const again = await figuresOf(WORKERS_PARAMS_TINY);
  t.equal(again[0]!.params['hash'], first[0]!.params['hash']);
  const other = await figuresOf({ ...WORKERS_PARAMS_TINY, seed: 2 });
  t.not(other[0]!.params['hash'], first[0]!.params['hash']);
});

t.test('what would leave rows over is refused', async (t) => {
  await t.rejects(figuresOf({ ...WORKERS_PARAMS_TINY, batchRows: 210 }), /multiples/);
});
