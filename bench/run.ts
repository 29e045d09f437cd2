/**
 * `npm run bench -- SCENARIO [--json] [--tiny] [--NAME VALUE …]`. Knows the scenarios by name; each prints its parameters,
 * its seed and a hash of what it did.
 */
import { API_PARAMS, API_PARAMS_TINY, benchApi } from './api/bench.ts';
import {
  benchConnections,
  CONNECTIONS_PARAMS,
  CONNECTIONS_PARAMS_TINY,
} from './connections/bench.ts';
import { benchEngine, ENGINE_PARAMS, ENGINE_PARAMS_TINY, ENGINE_WORDS } from './engine/bench.ts';
import { benchDatabase, DATABASE_PARAMS, DATABASE_PARAMS_TINY } from './engine/database.ts';
import { benchEdits, EDITS_PARAMS, EDITS_PARAMS_TINY } from './engine/edits.ts';
import { benchMemory, MEMORY_PARAMS, MEMORY_PARAMS_TINY } from './engine/memory.ts';
import { benchPlot, PLOT_PARAMS, PLOT_PARAMS_TINY } from './engine/plot.ts';
import { benchExport, EXPORT_PARAMS, EXPORT_PARAMS_TINY, EXPORT_WORDS } from './export/bench.ts';
import { benchIngest, INGEST_PARAMS, INGEST_PARAMS_TINY } from './ingest/bench.ts';
import { createReport, type Report } from './report.ts';
import { benchWorkers, WORKERS_PARAMS, WORKERS_PARAMS_TINY } from './workers/bench.ts';

/** Whole numbers, lists of them, and words. */
type Params = Record<string, number | string | readonly number[]>;

interface Scenario {
  readonly normal: Params;
  readonly tiny: Params;
  /** What a parameter that is a word may be; one that is not here takes any text. */
  readonly words?: Readonly<Record<string, readonly string[]>>;
  run(params: Params, report: Report): Promise<void>;
}

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  ingest: {
    normal: { ...INGEST_PARAMS },
    tiny: { ...INGEST_PARAMS_TINY },
    run: (params, report) => benchIngest({ ...INGEST_PARAMS, ...params }, report),
  },
  api: {
    normal: { ...API_PARAMS },
    tiny: { ...API_PARAMS_TINY },
    run: (params, report) => benchApi({ ...API_PARAMS, ...params }, report),
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
    normal: { ...ENGINE_PARAMS },
    tiny: { ...ENGINE_PARAMS_TINY },
    words: ENGINE_WORDS,
    run: (params, report) => benchEngine({ ...ENGINE_PARAMS, ...params }, report),
  },
  'engine-memory': {
    normal: { ...MEMORY_PARAMS },
    tiny: { ...MEMORY_PARAMS_TINY },
    run: (params, report) => benchMemory({ ...MEMORY_PARAMS, ...params }, report),
  },
  'engine-edits': {
    normal: { ...EDITS_PARAMS },
    tiny: { ...EDITS_PARAMS_TINY },
    run: (params, report) => {
      benchEdits({ ...EDITS_PARAMS, ...params }, report);
      return Promise.resolve();
    },
  },
  'engine-database': {
    normal: { ...DATABASE_PARAMS },
    tiny: { ...DATABASE_PARAMS_TINY },
    run: (params, report) => benchDatabase({ ...DATABASE_PARAMS, ...params }, report),
  },
  'engine-plot': {
    normal: { ...PLOT_PARAMS },
    tiny: { ...PLOT_PARAMS_TINY },
    run: (params, report) => benchPlot({ ...PLOT_PARAMS, ...params }, report),
  },
  export: {
    normal: { ...EXPORT_PARAMS },
    tiny: { ...EXPORT_PARAMS_TINY },
    words: EXPORT_WORDS,
    run: (params, report) => benchExport({ ...EXPORT_PARAMS, ...params }, report),
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
    params[name] = readParam(scenario, name, args[++i] ?? '');
  }
  await scenario.run(
    params,
    createReport(args.includes('--json'), (line) => console.log(line)),
  );
}

/** What a parameter is given: by its usual value a word, a list or a whole number. */
function readParam(
  { normal, words }: Scenario,
  name: string,
  text: string,
): string | number | number[] {
  const usual = normal[name];
  return typeof usual === 'string'
    ? readWord(name, text, words?.[name])
    : readNumbers(normal, name, text);
}

function readWord(name: string, text: string, words: readonly string[] | undefined): string {
  if (text === '') throw new Error(`--${name} wants a word`);
  if (words !== undefined && !words.includes(text)) {
    throw new Error(`--${name} is one of ${words.join(', ')}`);
  }
  return text;
}

/** A whole number, or a list of them with commas where the parameter is one; an empty list is `none`. */
function readNumbers(normal: Params, name: string, text: string): number | number[] {
  const isList = Array.isArray(normal[name]);
  const values = isList && text === 'none' ? [] : text.split(',').map(Number);
  const isGood = values.every((value) => Number.isInteger(value) && value >= 0);
  const [first] = values;
  if (isList && isGood && text !== '') return values;
  if (name in normal && isGood && text !== '' && first !== undefined && values.length === 1) {
    return first;
  }
  const names = Object.keys(normal).join(', ');
  throw new Error(`--${name} is not a parameter with a whole number; there are ${names}`);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
