/** What a simulation says for people to read. */
import type { SimulationFailure, SimulationResult } from './simulate.ts';
import type { SimulationParams } from './turns.ts';

const DAY_MS = 86_400_000;

/** What was lived, and how much faster than life. */
export function resultText(
  { seed, days, vehicles, fences }: SimulationParams,
  { steps, fixes, events, visits, mishaps, hash }: SimulationResult,
  wallMs: number,
): string {
  const happened = Object.entries(mishaps).map(([name, count]) => `${name}=${count}`);
  const speed = Math.round((days * DAY_MS) / wallMs).toLocaleString('en-US');
  const seconds = (wallMs / 1_000).toFixed(1);
  return [
    `seed=${seed} days=${days} vehicles=${vehicles} fences=${fences}: holds`,
    `  steps=${steps} fixes=${fixes} events=${events} visits=${visits} hash=${hash}`,
    `  ${happened.join(' ')}`,
    `  ${days * vehicles} vehicle days in ${seconds} s, ${speed} times as fast as life`,
  ].join('\n');
}

/** What did not hold, and the command that shows it again. */
export function failureText(
  { seed, days, vehicles, fences }: SimulationParams,
  failure: SimulationFailure,
): string {
  const again = `--seed ${seed} --days ${days} --vehicles ${vehicles} --fences ${fences}`;
  return `FAIL ${failure.message}\n  npm run simulate -- ${again}`;
}
