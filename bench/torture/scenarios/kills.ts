/** The program, or PostgreSQL, ends without a word, again and again, under load. */
import { setTimeout as wait } from 'node:timers/promises';
import { answerWithin, DRAIN_MS_MAX, Findings, seconds, type Scenario } from '../stage.ts';

const RECORDS_PER_S = 12;
/** Of all kills of the program, those that come while it is still starting. */
const EARLY_SHARE = 0.2;
const EARLY_MS_MAX = 1_500;
const RUN_MS = [50, 2_500] as const;

export const serverKill: Scenario = {
  name: 'server-kill',
  what: 'SIGKILL of the program at random instants',
  async play({ house, random, isLong, say }) {
    const { server, fleet } = house;
    const kills = isLong ? 30 : 3;
    const findings = new Findings();
    let slowestMs = 0;
    let earlyCount = 0;
    fleet.make(RECORDS_PER_S);
    await answerWithin(house, DRAIN_MS_MAX);
    for (let kill = 1; kill <= kills; kill++) {
      await wait(random.between(...RUN_MS));
      server.kill();
      await server.exited;
      const lost = await house.lost();
      findings.hold(lost.length === 0, `L1 at kill ${kill}: ${lost.length} lost, as ${lost[0]}`);
      if (random.chance(EARLY_SHARE)) {
        earlyCount += 1;
        await server.startAndKill(random.between(0, EARLY_MS_MAX));
      }
      await server.start();
      const startedMs = performance.now();
      const recoveryMs = (await answerWithin(house, DRAIN_MS_MAX)) - startedMs;
      slowestMs = Math.max(slowestMs, recoveryMs);
      findings.recovered(recoveryMs, `start ${kill}`);
      say(`kill ${kill}: ${fleet.ledger.counts().acked} acknowledged`);
    }
    await fleet.drain(DRAIN_MS_MAX);
    const { breaches } = findings;
    return {
      breaches,
      figures: { kills, kills_early: earlyCount, recovery_max_s: seconds(slowestMs) },
    };
  },
};

export const databaseKill: Scenario = {
  name: 'database-kill',
  what: 'SIGKILL of all of PostgreSQL at random instants',
  async play({ house, random, isLong, say }) {
    const { postgres, server, fleet } = house;
    const kills = isLong ? 10 : 2;
    const findings = new Findings();
    let slowestMs = 0;
    fleet.make(RECORDS_PER_S);
    await answerWithin(house, DRAIN_MS_MAX);
    for (let kill = 1; kill <= kills; kill++) {
      await wait(random.between(...RUN_MS));
      await postgres.killAll();
      await wait(random.between(0, 2_000));
      await postgres.startAgain();
      const returnedMs = performance.now();
      const lost = await house.lost();
      findings.hold(lost.length === 0, `L1 at kill ${kill}: ${lost.length} lost, as ${lost[0]}`);
      const answerMs = Math.max(fleet.lastAnswerMs, returnedMs);
      const recoveryMs =
        fleet.lastAnswerMs > returnedMs
          ? answerMs - returnedMs
          : (await answerWithin(house, DRAIN_MS_MAX)) - returnedMs;
      slowestMs = Math.max(slowestMs, recoveryMs);
      findings.recovered(recoveryMs, `return ${kill}`);
      findings.hold(server.isAlive, `kill ${kill}: the program has ended`);
      say(`kill ${kill}: ${fleet.ledger.counts().acked} acknowledged`);
    }
    await fleet.drain(DRAIN_MS_MAX);
    const { breaches } = findings;
    return { breaches, figures: { kills, recovery_max_s: seconds(slowestMs) } };
  },
};
