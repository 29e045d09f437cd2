/** The database is there and cannot be had: no port, no answer, one way only, locked, or answers that get lost. */
import { setTimeout as wait } from 'node:timers/promises';
import type { House } from '../house.ts';
import {
  answerWithin,
  DRAIN_MS_MAX,
  Findings,
  holdOutage,
  seconds,
  type Outage,
  type Scenario,
} from '../stage.ts';

const RECORDS_PER_S = 8;
/** Of the long form, in which the queue must not run full before the outage is over, and then it does. */
const RECORDS_PER_S_LONG = 4;

export const unreachable: Scenario = {
  name: 'unreachable',
  what: 'the database out of reach: refused, silent, and silent in one direction',
  async play(stage) {
    const { house, isLong, say } = stage;
    const { databaseProxy: proxy, fleet } = house;
    const findings = new Findings();
    const outages: Outage[] = [];
    const away = async (name: string, lastsMs: number, begin: () => void | Promise<void>) => {
      const end = async (): Promise<void> => {
        // Where everything was silent, somebody on the way has forgotten the connections meanwhile.
        if (name === 'silent') proxy.reset();
        await proxy.heal();
      };
      const outage = await holdOutage(stage, findings, { name, lastsMs, begin, end });
      outages.push(outage);
      const { notReadyMs, recoveryMs } = outage;
      say(
        `${name}, ${seconds(lastsMs)} s: 503 after ${seconds(notReadyMs)} s, back in ${seconds(recoveryMs)} s`,
      );
      await wait(1_000);
    };
    fleet.make(isLong ? RECORDS_PER_S_LONG : RECORDS_PER_S);
    await answerWithin(house, DRAIN_MS_MAX);
    await away('refused', isLong ? 300_000 : 3_000, () => proxy.refuse());
    await away('silent', isLong ? 120_000 : 11_000, () => proxy.silence('up', 'down'));
    await away('silent to the database', isLong ? 60_000 : 2_000, () => proxy.silence('up'));
    await away('silent from the database', isLong ? 60_000 : 2_000, () => proxy.silence('down'));
    await fleet.drain(DRAIN_MS_MAX);
    return {
      breaches: findings.breaches,
      figures: {
        recovery_max_s: seconds(Math.max(...outages.map(({ recoveryMs }) => recoveryMs))),
        not_ready_max_s: seconds(
          Math.max(
            ...outages.map(({ notReadyMs }) => notReadyMs).filter((ms) => !Number.isNaN(ms)),
          ),
        ),
      },
    };
  },
};

/** Of all COMMITs, those that go wrong, half of them on each way. */
const CUT_SHARE = 0.15;

export const commitCut: Scenario = {
  name: 'commit-cut',
  what: 'connections cut between the end of COPY and the answer to COMMIT',
  async play({ house, random, isLong, say }) {
    const { databaseProxy: proxy, fleet } = house;
    const wanted = isLong ? 200 : 12;
    const findings = new Findings();
    fleet.make(RECORDS_PER_S);
    await answerWithin(house, DRAIN_MS_MAX);
    proxy.cutCommits(() => random.chance(CUT_SHARE));
    const deadlineMs = performance.now() + (isLong ? 600_000 : 60_000);
    while (proxy.cuts.before < wanted || proxy.cuts.after < wanted) {
      await wait(50);
      if (performance.now() > deadlineMs) break;
    }
    proxy.cutCommits(null);
    const { before, after } = proxy.cuts;
    say(`${before} COMMITs lost and ${after} answers`);
    findings.hold(Math.min(before, after) >= wanted, `only ${before} and ${after} cuts came about`);
    await fleet.drain(DRAIN_MS_MAX);
    return { breaches: findings.breaches, figures: { commits_lost: before, answers_lost: after } };
  },
};

export const tableLock: Scenario = {
  name: 'table-lock',
  what: 'somebody locks the table of fixes',
  async play(stage) {
    const { house, isLong } = stage;
    const findings = new Findings();
    house.fleet.make(isLong ? RECORDS_PER_S_LONG : RECORDS_PER_S);
    await answerWithin(house, DRAIN_MS_MAX);
    const unlock = await lockTable(house, 'equipment_gps_location');
    const { notReadyMs, recoveryMs } = await holdOutage(stage, findings, {
      name: 'locked',
      lastsMs: isLong ? 60_000 : 8_000,
      begin: () => undefined,
      end: unlock,
    });
    await house.fleet.drain(DRAIN_MS_MAX);
    const figures = { recovery_s: seconds(recoveryMs), not_ready_s: seconds(notReadyMs) };
    return { breaches: findings.breaches, figures };
  },
};

/** Resolves when the lock is held; gives what lets it go. */
export async function lockTable({ owner }: House, table: string): Promise<() => Promise<void>> {
  const client = await owner.connect();
  await client.query('begin');
  await client.query(`lock table ${table} in access exclusive mode`);
  return async () => {
    await client.query('commit');
    client.release();
  };
}
