/** Plays scenarios in a house and says what came of each. Knows the order of things; refuses to know any fault. */
import { setTimeout as wait } from 'node:timers/promises';
import { Random } from '../demo/random.ts';
import { Cleanup, type Tearable } from './cleanup.ts';
import { openHouse, type House } from './house.ts';
import { Disk } from './postgres.ts';
import type { StartGuard } from './server.ts';
import { mib, RSS_BYTES_MAX, type Figures, type Scenario } from './stage.ts';

const SECONDS_MAX_LONG = 1_800;
const SECONDS_MAX_SHORT = 100;

export interface PlayOptions {
  readonly guard: StartGuard;
  readonly seed: string;
  readonly units: number;
  readonly isLong: boolean;
  readonly say: (line: string) => void;
  readonly onHouse?: (house: House) => void;
}

export interface Result {
  readonly scenario: Scenario;
  /** Why it was not played; `null`: it was. */
  readonly skipped: string | null;
  readonly breaches: readonly string[];
  readonly figures: Figures;
  readonly seconds: number;
}

/** One after the other in one house, each judged when it is over. The house is as the first one wants it. */
export async function playInOneHouse(
  t: Tearable,
  scenarios: readonly Scenario[],
  options: PlayOptions,
): Promise<Result[]> {
  const { guard, seed } = options;
  const disk = scenarios.some((scenario) => scenario.wantsDisk) ? await Disk.mount(t) : null;
  if (disk !== null && 'refused' in disk) {
    return scenarios.map((scenario) => skippedResult(scenario, disk.refused));
  }
  const wishes = Object.assign({}, ...scenarios.map(({ house }) => house)) as Scenario['house'];
  const house = await openHouse({
    t,
    guard,
    seed,
    units: options.units,
    ...wishes,
    ...(disk === null ? {} : { disk }),
  });
  options.onHouse?.(house);
  const results: Result[] = [];
  for (const scenario of scenarios) results.push(await playOne(house, scenario, options));
  return results;
}

/** Each in a house of its own. */
export async function playEach(
  scenarios: readonly Scenario[],
  options: PlayOptions,
  onResult: (result: Result) => void,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const scenario of scenarios) {
    const cleanup = new Cleanup();
    try {
      const [result] = await playInOneHouse(cleanup, [scenario], options);
      results.push(result!);
      onResult(result!);
    } finally {
      await cleanup.run();
    }
  }
  return results;
}

async function playOne(house: House, scenario: Scenario, options: PlayOptions): Promise<Result> {
  const { seed, isLong, say } = options;
  const startedMs = performance.now();
  const random = new Random(`${seed}/scenario/${scenario.name}`);
  const breaches: string[] = [];
  let figures: Figures = {};
  try {
    const played = await inTime(scenario.play({ house, random, isLong, say }), isLong);
    breaches.push(...played.breaches);
    const lost = await house.lost();
    if (lost.length > 0) breaches.push(`L1: ${lost.length} lost in the end, as ${lost[0]}`);
    const verdict = await house.judge();
    breaches.push(...verdict.breaches);
    figures = { ...figuresOf(house), ...verdict.figures, ...played.figures };
  } catch (error) {
    breaches.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  const rss = house.server.rssBytesMax;
  if (rss > RSS_BYTES_MAX) breaches.push(`memory: ${mib(rss)} MiB of ${mib(RSS_BYTES_MAX)}`);
  const seconds = Math.round((performance.now() - startedMs) / 1_000);
  return { scenario, skipped: null, breaches, figures, seconds };
}

/** Rejects when it takes longer than any scenario may. */
async function inTime<T>(played: Promise<T>, isLong: boolean): Promise<T> {
  const secondsMax = isLong ? SECONDS_MAX_LONG : SECONDS_MAX_SHORT;
  const timer = new AbortController();
  const late = wait(secondsMax * 1_000, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`not over after ${secondsMax} s`);
  });
  return Promise.race([played, late]).finally(() => timer.abort());
}

function figuresOf({ fleet, server }: House): Figures {
  const { sent, distinct } = fleet.ledger.counts();
  const connects = fleet.devices.reduce((sum, { connectCount }) => sum + connectCount, 0);
  return { sent, distinct, connects, rss_max_mib: mib(server.rssBytesMax) };
}

function skippedResult(scenario: Scenario, why: string): Result {
  return { scenario, skipped: why, breaches: [], figures: {}, seconds: 0 };
}
