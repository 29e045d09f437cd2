/** Plays scenarios and says what came of each. Knows the order of things; refuses to know any fault. */
import { setTimeout as wait } from 'node:timers/promises';
import { Random } from '../demo/random.ts';
import { Cleanup } from './cleanup.ts';
import { openHouse, type House } from './house.ts';
import { Disk } from './postgres.ts';
import { mib, RSS_BYTES_MAX, type Figures, type Scenario } from './stage.ts';

const SECONDS_MAX_LONG = 1_800;
const SECONDS_MAX_SHORT = 100;

export interface PlayOptions {
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

/** One after the other, each in a house of its own, and judged when it is over. */
export async function playEach(
  scenarios: readonly Scenario[],
  options: PlayOptions,
  onResult: (result: Result) => void,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const scenario of scenarios) {
    const cleanup = new Cleanup();
    try {
      const result = await playOne(cleanup, scenario, options);
      results.push(result);
      onResult(result);
    } finally {
      await cleanup.run();
    }
  }
  return results;
}

async function playOne(
  cleanup: Cleanup,
  scenario: Scenario,
  options: PlayOptions,
): Promise<Result> {
  const startedMs = performance.now();
  const disk = scenario.wantsDisk ? await Disk.mount(cleanup) : null;
  if (disk !== null && 'refused' in disk) {
    return { scenario, skipped: disk.refused, breaches: [], figures: {}, seconds: 0 };
  }
  const breaches: string[] = [];
  let figures: Figures = {};
  try {
    const house = await openHouse({
      t: cleanup,
      seed: options.seed,
      units: options.units,
      ...scenario.house,
      ...(disk === null ? {} : { disk }),
    });
    options.onHouse?.(house);
    figures = await playIn(house, scenario, options, breaches);
  } catch (error) {
    breaches.push(reasonOf(error));
  }
  const seconds = Math.round((performance.now() - startedMs) / 1_000);
  return { scenario, skipped: null, breaches, figures, seconds };
}

/** Adds what does not hold, and gives what was measured. */
async function playIn(
  house: House,
  scenario: Scenario,
  { seed, isLong, say }: PlayOptions,
  breaches: string[],
): Promise<Figures> {
  const random = new Random(`${seed}/scenario/${scenario.name}`);
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
    breaches.push(reasonOf(error));
  }
  const rss = house.server.rssBytesMax;
  if (rss > RSS_BYTES_MAX) breaches.push(`memory: ${mib(rss)} MiB of ${mib(RSS_BYTES_MAX)}`);
  return figures;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
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
