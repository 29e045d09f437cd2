/**
 * `npm run bench -- engine`: the engine alone, by shape, number of fences and motion. One scenario that is picked runs here;
 * several run one after the other, each in a process of its own. Without a pick the list below, then memory, edits and the
 * way from the database.
 */
import type { Report } from '../report.ts';
import { runApart } from './apart.ts';
import { MOTIONS, type MotionName } from './drive.ts';
import { measureRates, type Rates, type RatesParams } from './rates.ts';
import { SHAPES, type ShapeName } from './shapes.ts';
import { median } from './statistics.ts';

export interface EngineBenchParams extends Omit<RatesParams, 'shape' | 'motion'> {
  /** 0 leaves it to the list; so does 0 `vertices`, and 0 `fencesPerFixPercent` to the shape. */
  readonly fences: number;
  readonly shape: ShapeName | 'every';
  readonly motion: MotionName | 'every';
}

export const ENGINE_PARAMS: EngineBenchParams = {
  seed: 1,
  fences: 0,
  vertices: 0,
  shape: 'every',
  motion: 'every',
  vehicles: 10_000,
  fixes: 2_000_000,
  batchRows: 5_000,
  passes: 3,
  sizeDeg: 4,
  fencesPerFixPercent: 0,
  turfMs: 1_000,
  linear: 0,
};

export const ENGINE_PARAMS_TINY: EngineBenchParams = {
  ...ENGINE_PARAMS,
  fences: 30,
  vertices: 12,
  vehicles: 20,
  fixes: 2_000,
  batchRows: 200,
  passes: 1,
  turfMs: 10,
};

/** The words that the two parameters take. */
export const ENGINE_WORDS = { shape: [...SHAPES, 'every'], motion: [...MOTIONS, 'every'] } as const;

interface Size {
  readonly shape: ShapeName;
  readonly fences: number;
  /** 0 for circles, which have none. */
  readonly vertices: number;
}

const VERTICES = 24;
const FENCES = 10_000;

/** A place lies in one fence, or one in five places in a corridor: 10,000 of them are then 20 km long each. */
const FENCES_PER_FIX_PERCENT = { polygon: 100, circle: 100, corridor: 20 } as const;

/** What is run when nothing is picked. */
const SIZES: readonly Size[] = [
  { shape: 'polygon', fences: FENCES, vertices: VERTICES },
  { shape: 'polygon', fences: 100_000, vertices: VERTICES },
  { shape: 'polygon', fences: 1_000, vertices: 10_000 },
  { shape: 'circle', fences: FENCES, vertices: 0 },
  { shape: 'circle', fences: 100_000, vertices: 0 },
  { shape: 'corridor', fences: FENCES, vertices: VERTICES },
  { shape: 'corridor', fences: 100_000, vertices: VERTICES },
];

/** Further scenarios of the whole bench. */
const REST = ['engine-memory', 'engine-edits', 'engine-database'] as const;

export async function benchEngine(params: EngineBenchParams, report: Report): Promise<void> {
  const isPicked = params.fences > 0 || params.vertices > 0;
  const scenarios = scenariosOf(params);
  const [first, ...others] = scenarios;
  if (first !== undefined && others.length === 0) {
    return tell(first, measureRates(first), report);
  }
  for (const scenario of scenarios) await runApart('engine', { ...scenario }, report);
  if (isPicked || params.shape !== 'every' || params.motion !== 'every') return;
  for (const name of REST) await runApart(name, { seed: params.seed }, report);
}

/** Every size in every motion that the parameters leave. */
export function scenariosOf(params: EngineBenchParams): RatesParams[] {
  const { shape, motion } = params;
  const fences = params.fences > 0 ? params.fences : FENCES;
  const vertices = params.vertices > 0 ? params.vertices : VERTICES;
  const picked = SHAPES.map((name) => ({
    shape: name,
    fences,
    vertices: name === 'circle' ? 0 : vertices,
  }));
  const sizes = params.fences > 0 || params.vertices > 0 ? picked : SIZES;
  return sizes
    .filter((size) => shape === 'every' || size.shape === shape)
    .flatMap((size) =>
      MOTIONS.filter((name) => motion === 'every' || name === motion).map((name) => ({
        ...params,
        ...size,
        fencesPerFixPercent: params.fencesPerFixPercent || FENCES_PER_FIX_PERCENT[size.shape],
        motion: name,
      })),
    );
}

function tell(params: RatesParams, rates: Rates, report: Report): void {
  const told = { ...params, hash: rates.hash };
  const figure = (metric: string, value: number, unit: string): void =>
    report({ scenario: 'engine', metric, value, unit, params: told });
  const fixesPerS = median(rates.fixesPerS);
  figure('fixes_per_s', fixesPerS, 'fixes/s');
  figure('fixes_per_s_min', Math.min(...rates.fixesPerS), 'fixes/s');
  figure('fixes_per_s_max', Math.max(...rates.fixesPerS), 'fixes/s');
  figure('storable_fixes_per_s', median(rates.storableFixesPerS), 'fixes/s');
  figure('rbush_turf_fixes_per_s', rates.rbushTurfFixesPerS, 'fixes/s');
  figure('ratio_to_rbush_turf', fixesPerS / rates.rbushTurfFixesPerS, '×');
  if (params.linear > 0) figure('linear_turf_fixes_per_s', rates.linearTurfFixesPerS, 'fixes/s');
  figure('events', rates.events, 'events');
  figure('fences_per_fix', rates.fencesPerFix, 'fences');
  figure('load_us_per_fence', rates.loadUsPerFence, 'µs');
}
