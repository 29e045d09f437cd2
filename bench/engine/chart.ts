/**
 * Lines over two logarithmic axes, as an SVG that reads well on light and on dark ground. Knows numbers and names; refuses to
 * know what they mean.
 */
import assert from 'node:assert/strict';

export interface Series {
  readonly name: string;
  /** On light ground and on dark. */
  readonly colors: readonly [string, string];
  /** Both above 0. */
  readonly points: readonly (readonly [number, number])[];
}

export interface Chart {
  readonly title: string;
  readonly subtitle: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
  readonly xTick: (value: number) => string;
  readonly yTick: (value: number) => string;
}

const WIDTH = 760;
const HEIGHT = 480;
const LEFT = 84;
const RIGHT = 24;
const TOP = 72;
const BOTTOM = 64;
const LEGEND_ROW = 20;

/** A document of its own. Asserts that there is something to draw. */
export function drawChart(chart: Chart): string {
  const all = chart.series.flatMap(({ points }) => points);
  assert(all.length > 0, 'a chart has points');
  const x = scaleOf(
    all.map(([value]) => value),
    LEFT,
    WIDTH - RIGHT,
  );
  const y = scaleOf(
    all.map(([, value]) => value),
    HEIGHT - BOTTOM,
    TOP,
  );
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img">`,
    `<title>${escaped(chart.title)}</title>`,
    `<desc>${escaped(described(chart))}</desc>`,
    styleOf(chart.series),
    `<rect class="ground" width="${WIDTH}" height="${HEIGHT}" rx="6"/>`,
    `<text class="title" x="${LEFT}" y="30">${escaped(chart.title)}</text>`,
    `<text class="note" x="${LEFT}" y="50">${escaped(chart.subtitle)}</text>`,
    ...x.decades.flatMap((value) => xTickOf(chart, x, value)),
    ...y.decades.flatMap((value) => yTickOf(chart, y, value)),
    `<path class="axis" d="M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${WIDTH - RIGHT}"/>`,
    `<text class="label" text-anchor="middle" x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 18}">${escaped(chart.xLabel)}</text>`,
    `<text class="label" text-anchor="middle" transform="translate(20 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)">${escaped(chart.yLabel)}</text>`,
    ...chart.series.flatMap((series, i) => lineOf(series, i, x, y)),
    ...chart.series.flatMap((series, i) => legendOf(series, i)),
    '</svg>',
  ].join('\n')}\n`;
}

interface Scale {
  readonly decades: readonly number[];
  at(value: number): number;
}

/** From the decade at or below the least value to the one at or above the greatest. */
function scaleOf(values: readonly number[], from: number, to: number): Scale {
  assert(
    values.every((value) => value > 0 && Number.isFinite(value)),
    'logarithms want numbers above 0',
  );
  // A hair of slack: log10(1000) is a little under 3.
  const first = Math.floor(Math.log10(Math.min(...values)) + 1e-9);
  const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(...values)) - 1e-9));
  return {
    decades: Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i)),
    at: (value) => rounded(from + ((Math.log10(value) - first) / (last - first)) * (to - from)),
  };
}

function xTickOf({ xTick }: Chart, x: Scale, value: number): string[] {
  const at = x.at(value);
  return [
    `<path class="grid" d="M${at} ${TOP}V${HEIGHT - BOTTOM}"/>`,
    `<text class="tick" text-anchor="middle" x="${at}" y="${HEIGHT - BOTTOM + 20}">${escaped(xTick(value))}</text>`,
  ];
}

function yTickOf({ yTick }: Chart, y: Scale, value: number): string[] {
  const at = y.at(value);
  return [
    `<path class="grid" d="M${LEFT} ${at}H${WIDTH - RIGHT}"/>`,
    `<text class="tick" text-anchor="end" x="${LEFT - 10}" y="${at + 4}">${escaped(yTick(value))}</text>`,
  ];
}

function lineOf({ points }: Series, index: number, x: Scale, y: Scale): string[] {
  const places = points.map(([a, b]) => [x.at(a), y.at(b)] as const);
  const path = places.map(([a, b], i) => `${i === 0 ? 'M' : 'L'}${a} ${b}`).join('');
  return [
    `<path class="line s${index}" d="${path}"/>`,
    ...places.map(([a, b]) => `<circle class="dot d${index}" cx="${a}" cy="${b}" r="3"/>`),
  ];
}

function legendOf({ name }: Series, index: number): string[] {
  const at = TOP + 18 + index * LEGEND_ROW;
  return [
    `<path class="line s${index}" d="M${LEFT + 16} ${at}h26"/>`,
    `<circle class="dot d${index}" cx="${LEFT + 29}" cy="${at}" r="3"/>`,
    `<text class="legend" x="${LEFT + 52}" y="${at + 4}">${escaped(name)}</text>`,
  ];
}

function styleOf(series: readonly Series[]): string {
  const colors = (ground: 0 | 1): string =>
    series
      .map((one, i) => `.s${i}{stroke:${one.colors[ground]}}.d${i}{fill:${one.colors[ground]}}`)
      .join('');
  return [
    '<style>',
    'text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif;fill:#1f2328}',
    '.title{font-size:17px;font-weight:600}.note,.tick{font-size:12px;fill:#59636e}',
    '.label,.legend{font-size:13px}.ground{fill:#fff}',
    '.grid{stroke:#d9dee4;stroke-width:1;fill:none}.axis{stroke:#818b98;stroke-width:1;fill:none}',
    '.line{stroke-width:2.2;fill:none;stroke-linejoin:round;stroke-linecap:round}',
    colors(0),
    '@media (prefers-color-scheme:dark){',
    'text{fill:#f0f6fc}.note,.tick{fill:#9198a1}.ground{fill:#0d1117}',
    '.grid{stroke:#2b3138}.axis{stroke:#656c76}',
    colors(1),
    '}',
    '</style>',
  ].join('\n');
}

/** For those who cannot see it: each line's first and last point. */
function described({ series, xTick, yTick }: Chart): string {
  return series
    .flatMap(({ name, points }) => {
      const first = points[0];
      const last = points[points.length - 1];
      if (first === undefined || last === undefined) return [];
      return [`${name}: ${toldPoint(first)} to ${toldPoint(last)}`];
    })
    .join('; ');

  function toldPoint([a, b]: readonly [number, number]): string {
    return `${yTick(b)} at ${xTick(a)}`;
  }
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
