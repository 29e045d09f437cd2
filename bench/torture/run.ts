/**
 * `npm run torture -- [--short] [--seed S] [--scenario NAME] [--devices N] [--json]`. Plays the scenarios, prints a verdict
 * for each as it comes and then their number, and ends with 1 when anything does not hold. When all were played in their
 * long form, writes `bench/torture/RESULTS.md`.
 */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { projectDir } from '../../db/project-dir.ts';
import { playEach, type PlayOptions, type Result } from './play.ts';
import { resultsDocument } from './results.ts';
import { SCENARIOS } from './scenarios/list.ts';

const RESULTS = join(projectDir, 'bench/torture/RESULTS.md');
const DEVICES_LONG = 200;
const DEVICES_SHORT = 40;

interface Wishes {
  readonly isShort: boolean;
  readonly seed: string;
  readonly names: readonly string[];
  readonly devices: number;
  readonly isJson: boolean;
}

function readArgs(args: readonly string[]): Wishes {
  const isShort = args.includes('--short');
  let seed = randomBytes(4).toString('hex');
  let devices = isShort ? DEVICES_SHORT : DEVICES_LONG;
  const names: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === '--short' || arg === '--json') continue;
    const value = args[++i];
    if (value === undefined) throw new Error(usage());
    if (arg === '--seed') seed = value;
    else if (arg === '--devices') devices = Number(value);
    else if (arg === '--scenario' && SCENARIOS.some(({ name }) => name === value))
      names.push(value);
    else throw new Error(usage());
  }
  if (!Number.isInteger(devices) || devices < 8) throw new Error('--devices: 8 or more');
  return { isShort, seed, names, devices, isJson: args.includes('--json') };
}

function usage(): string {
  const names = SCENARIOS.map(({ name }) => name).join('|');
  return `usage: npm run torture -- [--short] [--seed S] [--scenario ${names}] [--devices N] [--json]`;
}

async function main(args: readonly string[]): Promise<void> {
  const { isShort, seed, names, devices, isJson } = readArgs(args);
  const chosen = SCENARIOS.filter(({ name }) => names.length === 0 || names.includes(name));
  const say = (line: string): void => {
    if (!isJson) console.log(`  ${line}`);
  };
  if (!isJson) console.log(`seed ${seed}, ${devices} devices, ${isShort ? 'short' : 'long'} form`);
  const startedAt = new Date();
  let postgresVersion = '';
  const options: PlayOptions = {
    seed,
    units: devices,
    isLong: !isShort,
    say,
    onHouse: ({ postgres }) => (postgresVersion = postgres.version),
  };
  const results = await playEach(chosen, options, (result) => {
    console.log(isJson ? JSON.stringify(lineOf(result, seed)) : textOf(result));
  });
  const counts = countsOf(results);
  if (!isJson) console.log(countsLine(counts));
  if (counts.failed > 0) process.exitCode = 1;
  if (isShort || names.length > 0) return;
  const command = ['npm run torture --', ...args].join(' ');
  const facts = { seed, devices, command, startedAt, postgresVersion };
  await writeFile(RESULTS, resultsDocument(facts, results));
}

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** By scenario. Root may do whatever a scenario wants of the machine, so what it leaves out has failed. */
function countsOf(results: readonly Result[]): Counts {
  const broken = results.filter(({ breaches }) => breaches.length > 0).length;
  const notRun = results.filter((result) => result.skipped !== null).length;
  const passed = results.length - broken - notRun;
  return process.getuid?.() === 0
    ? { passed, failed: broken + notRun, skipped: 0 }
    : { passed, failed: broken, skipped: notRun };
}

function countsLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

function lineOf({ scenario, skipped, breaches, figures, seconds }: Result, seed: string): object {
  return { scenario: scenario.name, seed, skipped, breaches, figures, seconds };
}

function textOf({ scenario, skipped, breaches, figures, seconds }: Result): string {
  const verdict = skipped !== null ? `NOT RUN: ${skipped}` : breaches.length > 0 ? 'FAIL' : 'pass';
  const told = Object.entries(figures).map(([name, value]) => `${name}=${value}`);
  const head = `${scenario.name}: ${verdict} (${seconds} s) ${told.join(' ')}`;
  return [head, ...breaches.map((breach) => `    ${breach}`)].join('\n');
}

main(process.argv.slice(2)).then(
  () => process.exit(),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  },
);
