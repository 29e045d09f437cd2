import t from 'tap';
import type { Figure } from '../report.ts';
import { benchExport, EXPORT_PARAMS_TINY, type ExportBenchParams } from './bench.ts';

async function figuresOf(params: Partial<ExportBenchParams> = {}): Promise<Figure[]> {
  const figures: Figure[] = [];
  await benchExport({ ...EXPORT_PARAMS_TINY, ...params }, (figure) => figures.push(figure));
  return figures;
}

const hashesOf = (figures: readonly Figure[]) => [
  ...new Set(figures.map(({ scenario, params }) => `${scenario} ${params['hash']}`)),
];

t.test('the same seed gives the same files, another one others', async (t) => {
  const first = await figuresOf();
  t.same([...new Set(first.map(({ scenario }) => scenario))], ['export_csv', 'export_xlsx']);
  for (const { metric, value } of first) {
    if (!metric.startsWith('rss')) t.ok(value > 0, metric);
  }
  t.same(hashesOf(await figuresOf()), hashesOf(first));
  const others = hashesOf(await figuresOf({ seed: 2 }));
  t.equal(others.length, 2);
  t.notOk(others.some((hash) => hashesOf(first).includes(hash)));
});

t.test('one format alone', async (t) => {
  const figures = await figuresOf({ rows: 10, format: 'csv' });
  t.same([...new Set(figures.map(({ scenario }) => scenario))], ['export_csv']);
});
