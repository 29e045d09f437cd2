/** The program is told to end: at full load, without its database, twice, and while something hangs that cannot end. */
import { setTimeout as wait } from 'node:timers/promises';
import type { ServerExit } from '../server.ts';
import {
  answerWithin,
  DRAIN_MS_MAX,
  Findings,
  seconds,
  type Scenario,
  type Stage,
} from '../stage.ts';

const STOP_MS_MAX = 3_000;
/** The program's own grace beyond it, for everything but the flush. */
const STOP_GRACE_MS = 10_000;
/** For a loaded machine. */
const SLACK_MS = 5_000;
/** Sooner, and a second signal is taken for the same one. */
const SAME_SIGNAL_MS = 1_000;
const RECORDS_PER_S = 60;

export const stops: Scenario = {
  name: 'stops',
  what: 'SIGTERM at full load, without the database, twice, and while a request hangs',
  house: { settings: { STOP_MS_MAX: String(STOP_MS_MAX) } },
  async play(stage) {
    const { house, isLong, say } = stage;
    const findings = new Findings();
    const rounds = isLong ? 5 : 1;
    house.fleet.make(RECORDS_PER_S);
    const told: Record<string, string> = {};
    for (let round = 0; round < rounds; round++) {
      for (const [name, stop] of Object.entries(STOPS)) {
        await answerWithin(house, DRAIN_MS_MAX);
        await wait(500);
        const exit = await stop(stage, findings);
        const lost = await house.lost();
        findings.hold(lost.length === 0, `L1 after ${name}: ${lost.length} lost, as ${lost[0]}`);
        say(`${name}: ended with ${exit.code ?? exit.signal} after ${seconds(exit.ms)} s`);
        told[`${name}_s`] = seconds(exit.ms);
        await house.databaseProxy.heal();
        await house.server.start();
      }
    }
    await house.fleet.drain(DRAIN_MS_MAX);
    return { breaches: findings.breaches, figures: told };
  },
};

const STOPS: Readonly<Record<string, (stage: Stage, findings: Findings) => Promise<ServerExit>>> = {
  /** Everything that was taken in is committed and acknowledged. */
  async loaded({ house }, findings) {
    house.server.signal('SIGTERM');
    const exit = await house.server.exited;
    findings.hold(
      exit.code === 0,
      `loaded: ended with ${exit.code}:\n${exit.output.slice(-2_000)}`,
    );
    findings.hold(exit.ms <= STOP_MS_MAX + SLACK_MS, `loaded: took ${seconds(exit.ms)} s`);
    const isClean = !/"level":(50|60)/.test(exit.output);
    findings.hold(isClean, `loaded: it logged an error:\n${exit.output.slice(-2_000)}`);
    return exit;
  },
  /** Statements that wait for an answer are cut off at the deadline. */
  async no_database({ house }, findings) {
    house.databaseProxy.silence('up', 'down');
    await wait(500);
    house.server.signal('SIGTERM');
    const exit = await house.server.exited;
    findings.hold(exit.code === 0, `no database: ended with ${exit.code ?? exit.signal}`);
    findings.hold(exit.ms <= STOP_MS_MAX + SLACK_MS, `no database: took ${seconds(exit.ms)} s`);
    return exit;
  },
  /** Who says it twice will not wait. */
  async twice({ house }, findings) {
    house.databaseProxy.silence('up', 'down');
    await wait(200);
    house.server.signal('SIGTERM');
    await wait(SAME_SIGNAL_MS + 500);
    house.server.signal('SIGTERM');
    const exit = await house.server.exited;
    findings.hold(exit.code === 130, `twice: ended with ${exit.code ?? exit.signal}`);
    findings.hold(exit.ms <= SLACK_MS, `twice: took ${seconds(exit.ms)} s`);
    return exit;
  },
  /** A request of the portal hangs on the database for longer than anybody waits. */
  async hanging({ house }, findings) {
    house.databaseProxy.silence('up', 'down');
    const signal = AbortSignal.timeout(60_000);
    const headers = { authorization: `Bearer ${await house.token()}` };
    const request = fetch(`${house.server.httpUrl}/v1/telematics`, { headers, signal });
    request.catch(() => undefined);
    await wait(500);
    house.server.signal('SIGTERM');
    const exit = await house.server.exited;
    const lateMs = exit.ms - STOP_MS_MAX - STOP_GRACE_MS;
    findings.hold(exit.code === 1, `hanging: ended with ${exit.code ?? exit.signal}`);
    findings.hold(exit.output.includes('stopping took too long'), 'hanging: it did not say so');
    findings.hold(Math.abs(lateMs) <= SLACK_MS, `hanging: took ${seconds(exit.ms)} s`);
    return exit;
  },
};
