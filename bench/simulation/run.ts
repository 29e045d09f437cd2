/**
 * `npm run simulate -- [--seed N] [--days N] [--vehicles N] [--fences N] [--seeds COUNT]`. Lives through months of a
 * fleet for each of so many seeds, and says what was lived, or what did not hold and how to see it again; then it
 * ends with 1.
 */
import { failureText, resultText } from './report.ts';
import { simulate, SimulationFailure } from './simulate.ts';
import type { SimulationParams } from './turns.ts';

interface Wishes extends SimulationParams {
  /** Simulated one after the other, from `seed` on. */
  readonly seeds: number;
}

function readArgs(args: readonly string[]): Wishes {
  const wishes: Record<keyof Wishes, number> = {
    seed: 1,
    days: 90,
    vehicles: 20,
    fences: 40,
    seeds: 1,
  };
  for (let i = 0; i < args.length; i += 2) {
    const name = (args[i] ?? '').replace(/^--/, '');
    const value = Number(args[i + 1] ?? NaN);
    if (!(name in wishes) || !Number.isSafeInteger(value) || value < (name === 'seed' ? 0 : 1)) {
      const names = Object.keys(wishes).map((one) => `[--${one} N]`);
      throw new Error(`usage: npm run simulate -- ${names.join(' ')}; whole numbers`);
    }
    wishes[name as keyof Wishes] = value;
  }
  return wishes;
}

/** False when something did not hold. */
function run(params: SimulationParams): boolean {
  const startedMs = performance.now();
  try {
    const result = simulate(params);
    console.log(resultText(params, result, performance.now() - startedMs));
    return true;
  } catch (error) {
    if (!(error instanceof SimulationFailure)) throw error;
    console.log(failureText(params, error));
    return false;
  }
}

function main(args: readonly string[]): void {
  const { seed, seeds, ...params } = readArgs(args);
  let failed = 0;
  for (let i = 0; i < seeds; i++) if (!run({ ...params, seed: seed + i })) failed++;
  if (seeds > 1) console.log(`${seeds - failed} seeds hold, ${failed} do not`);
  if (failed > 0) process.exitCode = 1;
}

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
