/**
 * `npm run bench -- SCENARIO [--json] [--tiny] [--NAME VALUE …]`. Knows the scenarios by name; each prints its parameters,
 * its seed and a hash of what it did.
 */
import { runBench as runEngineBench } from '../engine/engine.bench.ts';
import {
  benchConnections,
  CONNECTIONS_PARAMS,
  CONNECTIONS_PARAMS_TINY,
} from './connections/bench.ts';
import { benchIngest, INGEST_PARAMS, INGEST_PARAMS_TINY } from './ingest/bench.ts';
import { createReport, type Report } from './report.ts';
import { benchWorkers, WORKERS_PARAMS, WORKERS_PARAMS_TINY } from './workers/bench.ts';

/** Whole numbers, and lists of them. */
type Params = Record<string, number | readonly number[]>;

interface Scenario {
  readonly normal: Params;
  readonly tiny: Params;
  run(params: Params, report: Report): Promise<void>;
}

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  ingest: {
    normal: { ...INGEST_PARAMS },
    tiny: { ...INGEST_PARAMS_TINY },
    run: (params, report) => benchIngest({ ...INGEST_PARAMS, ...params }, report),
  },
  connections: {
    normal: { ...CONNECTIONS_PARAMS },
    tiny: { ...CONNECTIONS_PARAMS_TINY },
    run: (params, report) => benchConnections({ ...CONNECTIONS_PARAMS, ...params }, report),
  },
  workers: {
    normal: { ...WORKERS_PARAMS },
    tiny: { ...WORKERS_PARAMS_TINY },
    run: (params, report) => benchWorkers({ ...WORKERS_PARAMS, ...params }, report),
  },
  engine: {
    normal: {
      seed: 1,
      fences: 1_000,
      vertices: 24,
      devices: 2_000,
      batches: 200,
      batchRows: 5_000,
    },
    tiny: { seed: 1, fences: 30, vertices: 12, devices: 20, batches: 5, batchRows: 200 },
    run(params, report) {
      const p = params as unknown as Parameters<typeof runEngineBench>[0];
      const { fixesPerS, turfFixesPerS, events, hash } = runEngineBench(p);
      const told = { ...p, hash };
      const figure = (metric: string, value: number, unit: string): void =>
        report({ scenario: 'engine', metric, value, unit, params: told });
      figure('fixes_per_s', fixesPerS, 'fixes/s');
      figure('rbush_turf_fixes_per_s', turfFixesPerS, 'fixes/s');
      figure('ratio_to_rbush_turf', fixesPerS / turfFixesPerS, '×');
      figure('events', events, 'events');
      return Promise.resolve();
    },
  },
};

async function main(args: readonly string[]): Promise<void> {
  const scenario = SCENARIOS[args[0] ?? ''];
  if (scenario === undefined) {
    throw new Error(
      `usage: npm run bench -- ${Object.keys(SCENARIOS).join('|')} [--json] [--tiny] [--NAME VALUE]`,
    );
  }
  const params = { ...(args.includes('--tiny') ? scenario.tiny : scenario.normal) };
  for (let i = 1; i < args.length; i++) {
    const name = args[i]!.replace(/^--/, '');
    if (name === 'json' || name === 'tiny') continue;
    params[name] = readParam(params, name, args[++i] ?? '');
  }
  await scenario.run(
    params,
    createReport(args.includes('--json'), (line) => console.log(line)),
  );
}

/** A whole number, or a list of them with commas where the parameter is one; an empty list is `none`. */
function readParam(params: Params, name: string, text: string): number | number[] {
  const isList = Array.isArray(params[name]);
  const values = isList && text === 'none' ? [] : text.split(',').map(Number);
  const isGood = values.every((value) => Number.isInteger(value) && value >= 0);
  if (!(name in params) || !isGood || text === '' || (!isList && values.length !== 1)) {
    const names = Object.keys(params).join(', ');
    throw new Error(`--${name} is not a parameter with a whole number; there are ${names}`);
  }
  return isList ? values : values[0]!;
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
