/**
 * What a fix costs as fences become more, from ten to a million: the engine in either motion, rbush with turf, and a scan of
 * all boxes with turf. Each number of fences in a process of its own; drawn as an SVG.
 */
import { writeFile } from 'node:fs/promises';
import type { Figure, Report } from '../report.ts';
import { runApart } from './apart.ts';
import { drawChart, type Series } from './chart.ts';
import { MOTIONS } from './drive.ts';

export interface PlotParams {
  readonly seed: number;
  /** Numbers of fences, ascending. */
  readonly steps: readonly number[];
  readonly vertices: number;
  readonly vehicles: number;
  readonly fixes: number;
  readonly passes: number;
  readonly turfMs: number;
  /** Where the SVG goes. */
  readonly out: string;
}

export const PLOT_PARAMS: PlotParams = {
  seed: 1,
  steps: [10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000],
  vertices: 24,
  vehicles: 10_000,
  fixes: 1_000_000,
  passes: 3,
  turfMs: 1_000,
  out: 'docs/engine-cost.svg',
};

export const PLOT_PARAMS_TINY: PlotParams = {
  ...PLOT_PARAMS,
  steps: [10, 100],
  vehicles: 50,
  fixes: 1_000,
  passes: 1,
  turfMs: 10,
  out: 'dist/engine-cost.svg',
};

/** A scan that takes longer than this is not tried with more fences: nothing is to be learnt from it. */
const LINEAR_NS_MAX = 1_000_000;

/** Nanoseconds a fix by number of fences, of each way of finding fences. */
type Points = Map<keyof typeof LINES, [number, number][]>;

const LINES = {
  random: { name: 'Milepost, every fix anywhere', colors: ['#0969da', '#4493f8'] },
  realistic: { name: 'Milepost, a driving fleet', colors: ['#1a7f37', '#3fb950'] },
  rbush: { name: 'rbush + turf, no state kept', colors: ['#bc4c00', '#f0883e'] },
  linear: { name: 'scan of all boxes + turf, no state kept', colors: ['#8250df', '#ab7df8'] },
} as const;

export async function benchPlot(params: PlotParams, report: Report): Promise<void> {
  const { steps, out, ...shared } = params;
  const points: Points = new Map();
  const add = (line: keyof typeof LINES, fences: number, fixesPerS: number): number => {
    const ns = 1e9 / fixesPerS;
    const ofLine = points.get(line);
    if (ofLine === undefined) points.set(line, [[fences, ns]]);
    else ofLine.push([fences, ns]);
    return ns;
  };
  let linearNs = 0;
  for (const fences of steps) {
    for (const motion of MOTIONS) {
      const isLinear = motion === 'random' && linearNs < LINEAR_NS_MAX;
      const asked = { ...shared, fences, motion, shape: 'polygon', linear: isLinear ? 1 : 0 };
      const figures = await figuresOf(asked, report);
      add(motion, fences, figures.get('fixes_per_s') ?? NaN);
      if (motion !== 'random') continue;
      add('rbush', fences, figures.get('rbush_turf_fixes_per_s') ?? NaN);
      if (isLinear) linearNs = add('linear', fences, figures.get('linear_turf_fixes_per_s') ?? NaN);
    }
  }
  await writeFile(out, draw(params, points));
  const told = { ...shared, steps: steps.join(), out };
  for (const [line, ofLine] of points) {
    const last = ofLine[ofLine.length - 1];
    if (last === undefined) continue;
    const [fences, value] = last;
    const metric = `${line}_ns_per_fix_at_${fences}`;
    report({ scenario: 'engine_plot', metric, value, unit: 'ns', params: told });
  }
}

async function figuresOf(
  asked: Readonly<Record<string, string | number>>,
  report: Report,
): Promise<Map<string, number>> {
  const figures = new Map<string, number>();
  await runApart('engine', asked, (figure: Figure) => {
    figures.set(figure.metric, figure.value);
    report(figure);
  });
  return figures;
}

function draw({ vertices, vehicles }: PlotParams, points: Points): string {
  const series: Series[] = [];
  for (const [line, { name, colors }] of Object.entries(LINES)) {
    const ofLine = points.get(line as keyof typeof LINES) ?? [];
    if (ofLine.length > 0) series.push({ name, colors, points: ofLine });
  }
  return drawChart({
    title: 'What a fix costs as fences become more',
    subtitle:
      `Polygons of ${vertices} vertices, ${vehicles.toLocaleString('en-US')} vehicles, ` +
      'a place in about one fence; one thread, both axes logarithmic',
    xLabel: 'Fences',
    yLabel: 'Time a fix',
    series,
    xTick: (value) => value.toLocaleString('en-US'),
    yTick: toldNs,
  });
}

function toldNs(ns: number): string {
  const [unit, one] =
    ns < 1e3
      ? (['ns', 1] as const)
      : ns < 1e6
        ? (['µs', 1e3] as const)
        : ns < 1e9
          ? (['ms', 1e6] as const)
          : (['s', 1e9] as const);
  const value = ns / one;
  return `${value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 1 : 0 })} ${unit}`;
}
