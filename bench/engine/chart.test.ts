import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Figure } from '../report.ts';
import { drawChart } from './chart.ts';
import { benchPlot, PLOT_PARAMS_TINY } from './plot.ts';

t.test('the plot, tiny, every point by a process of its own', async (t) => {
  const out = join(t.testdir(), 'cost.svg');
  const figures: Figure[] = [];
  await benchPlot({ ...PLOT_PARAMS_TINY, steps: [10], out }, (figure) => figures.push(figure));
  const metrics = figures
    .filter(({ scenario }) => scenario === 'engine_plot')
    .map(({ metric }) => metric);
  t.same(metrics.sort(), [
    'linear_ns_per_fix_at_10',
    'random_ns_per_fix_at_10',
    'rbush_ns_per_fix_at_10',
    'realistic_ns_per_fix_at_10',
  ]);
  const svg = readFileSync(out, 'utf8');
  t.equal(linesOf(t, svg), 4);
});

t.test('a chart puts decades at its edges and escapes what it is told', (t) => {
  const svg = drawChart({
    title: 'a < b & c',
    subtitle: '',
    xLabel: 'x',
    yLabel: 'y',
    xTick: String,
    yTick: String,
    series: [
      {
        name: 'line',
        colors: ['#000', '#fff'],
        points: [
          [10, 1],
          [1_000, 100],
        ],
      },
    ],
  });
  t.match(svg, '<title>a &lt; b &amp; c</title>');
  // From the lower left corner of the axes to the upper right one.
  t.match(svg, 'd="M84 416L736 72"');
  t.equal(linesOf(t, svg), 1);
  t.throws(() => drawChart({ ...emptyChart, series: [] }), /points/);
  t.end();
});

const emptyChart = {
  title: '',
  subtitle: '',
  xLabel: '',
  yLabel: '',
  xTick: String,
  yTick: String,
};

/** How many lines are drawn; each has an entry in the legend besides. Tags that open are closed. */
function linesOf(t: Test, svg: string): number {
  const opened = svg.match(/<(svg|style|title|desc|text)[ >]/g)?.length;
  t.equal(svg.match(/<\/(svg|style|title|desc|text)>/g)?.length, opened);
  return (svg.match(/class="line s\d"/g)?.length ?? 0) / 2;
}
