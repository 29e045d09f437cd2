/**
 * What a scenario is, and what all of them are watched by: readiness while something is down, acknowledgements while
 * there should be none, the time until the first one after. Refuses to know any fault.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Random } from '../demo/random.ts';
import type { House, HouseOptions } from './house.ts';

/** What was measured, by name; the unit is the name's last word. */
export type Figures = Readonly<Record<string, number | string>>;

export interface Played {
  readonly figures: Figures;
  /** What the scenario itself found wrong; the judge finds the rest. */
  readonly breaches: readonly string[];
}

export interface Stage {
  readonly house: House;
  readonly random: Random;
  readonly isLong: boolean;
  readonly say: (line: string) => void;
}

export interface Scenario {
  readonly name: string;
  /** A sentence. */
  readonly what: string;
  /** What its house is given besides the rest. */
  readonly house?: Pick<
    HouseOptions,
    'settings' | 'isBehindProxy' | 'keepAliveS' | 'windows' | 'mix'
  >;
  /** Wants its PostgreSQL on a disk that can be filled. */
  readonly wantsDisk?: boolean;
  /** Leaves the program running and everything that was sent acknowledged. */
  play(stage: Stage): Promise<Played>;
}

/** From the database's return to the first acknowledgement. */
export const RECOVERY_MS_MAX = 5_000;
/** What the program may hold with queues of 100,000 rows and 128 MiB, as they are by default. */
export const RSS_BYTES_MAX = 512 * 1024 * 1024;
/** From the database's going to the first 503, however it goes. */
const NOT_READY_MS_MAX = 10_000;
/** Answers that were on their way when something failed are there after this long. */
const SETTLE_MS = 500;
const POLL_MS = 200;
/** Longest wait for everything to be acknowledged after the last fault. */
export const DRAIN_MS_MAX = 90_000;

/** Collects what a scenario finds wrong. */
export class Findings {
  readonly breaches: string[] = [];

  hold(holds: boolean, breach: string): void {
    if (!holds) this.breaches.push(breach);
  }

  /** Holds a recovery against its limit. */
  recovered(ms: number, from: string): void {
    const seconds = (ms / 1_000).toFixed(1);
    this.hold(ms <= RECOVERY_MS_MAX, `recovery: ${seconds} s from ${from} to the first answer`);
  }
}

export interface Outage {
  /** From the failure to the first 503; NaN when it never came. */
  readonly notReadyMs: number;
  /** From the return to the first acknowledgement. */
  readonly recoveryMs: number;
}

/**
 * Lets the database be away for so long, under load. Holds: the process lives, it says that it is not ready, nothing is
 * acknowledged meanwhile, and soon after its return something is.
 */
export async function holdOutage(
  { house }: Stage,
  findings: Findings,
  outage: {
    readonly name: string;
    readonly lastsMs: number;
    readonly begin: () => Promise<void> | void;
    readonly end: () => Promise<void>;
  },
): Promise<Outage> {
  const { server, fleet } = house;
  const { name, lastsMs } = outage;
  await outage.begin();
  const beganMs = performance.now();
  await wait(SETTLE_MS);
  const acknowledgedBefore = fleet.ledger.counts().acked;
  let notReadyMs = NaN;
  for (let left = lastsMs - SETTLE_MS; left > 0; left = lastsMs - (performance.now() - beganMs)) {
    if (Number.isNaN(notReadyMs) && (await server.readiness()) === 503) {
      notReadyMs = performance.now() - beganMs;
    }
    await wait(Math.min(POLL_MS, left));
  }
  findings.hold(server.isAlive, `${name}: the process has ended\n${server.said.slice(-2_000)}`);
  if (lastsMs >= NOT_READY_MS_MAX) {
    const isTold = notReadyMs <= NOT_READY_MS_MAX;
    findings.hold(isTold, `${name}: /readyz gave 503 after ${seconds(notReadyMs)} s`);
  }
  const meanwhile = fleet.ledger.counts().acked - acknowledgedBefore;
  findings.hold(meanwhile === 0, `${name}: ${meanwhile} records were acknowledged meanwhile`);
  await outage.end();
  const returnedMs = performance.now();
  const recoveryMs = (await answerWithin(house, 60_000)) - returnedMs;
  findings.recovered(recoveryMs, `the end of: ${name}`);
  return { notReadyMs, recoveryMs };
}

/** The time of the next answer to a device; rejects, with what the program said last, when none comes. */
export async function answerWithin({ fleet, server }: House, msMax: number): Promise<number> {
  const late = new AbortController();
  try {
    return await Promise.race([
      fleet.nextAnswer(),
      wait(msMax, undefined, { signal: late.signal }).then(() => {
        throw new Error(`no answer within ${msMax} ms; it said:\n${server.said.slice(-3_000)}`);
      }),
    ]);
  } finally {
    late.abort();
  }
}

export function seconds(ms: number): string {
  return Number.isNaN(ms) ? 'never' : (ms / 1_000).toFixed(1);
}

export function mib(bytes: number): number {
  return Math.round(bytes / (1024 * 1024));
}
