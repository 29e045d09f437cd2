/** A second program waits for the first, takes over when the first seems gone, and the first comes back. */
import { setTimeout as wait } from 'node:timers/promises';
import { answerWithin, DRAIN_MS_MAX, Findings, seconds, type Scenario } from '../stage.ts';

const RECORDS_PER_S = 12;
/** Before its PostgreSQL connections are cut, as somebody on the way does with those that are silent for long. */
const STOPPED_MS = 500;
/** A connection of the first that PostgreSQL has not yet given up would hold the second back for longer. */
const TAKE_OVER_MS_MAX = 15_000;
/** From the second's end to the first's: it gets the lock, and sees that another one has led. */
const NOTICE_MS_MAX = 15_000;
/** Under the lead of the second. */
const REIGN_MS = 2_000;

export const takeover: Scenario = {
  name: 'takeover',
  what: 'the program is halted and loses its connections, a second one leads, the first goes on with what it remembers',
  async play({ house, isLong, say }) {
    const { databaseProxy: proxy, server, fleet, bulk } = house;
    const findings = new Findings();
    const rounds = isLong ? 5 : 1;
    fleet.make(RECORDS_PER_S);
    let slowestMs = 0;
    for (let round = 1; round <= rounds; round++) {
      await answerWithin(house, DRAIN_MS_MAX);
      const second = await house.standby();
      const leads = second.start();
      await wait(1_000);
      findings.hold(!second.said.includes('Milepost is running'), 'both lead at once');
      server.signal('SIGSTOP');
      await wait(STOPPED_MS);
      proxy.reset();
      const resetMs = performance.now();
      await leads;
      const tookMs = performance.now() - resetMs;
      slowestMs = Math.max(slowestMs, tookMs);
      findings.hold(tookMs <= TAKE_OVER_MS_MAX, `the second led after ${seconds(tookMs)} s`);
      await bulk.send(bulk.journey(round), second.httpUrl);
      server.signal('SIGCONT');
      await wait(REIGN_MS);
      const lost = await house.lost();
      findings.hold(lost.length === 0, `L1 in round ${round}: ${lost.length} lost, as ${lost[0]}`);
      second.signal('SIGTERM');
      await second.exited;
      const endedMs = performance.now();
      const { code, output } = await server.exited;
      const noticedMs = performance.now() - endedMs;
      findings.hold(code === 1, `the first ended with ${code}:\n${output.slice(-2_000)}`);
      findings.hold(noticedMs <= NOTICE_MS_MAX, `the first ended after ${seconds(noticedMs)} s`);
      say(`round ${round}: the second led after ${seconds(tookMs)} s; the first ended`);
      await server.start();
    }
    await fleet.drain(DRAIN_MS_MAX);
    const figures = { rounds, takeover_max_s: seconds(slowestMs) };
    return { breaches: findings.breaches, figures };
  },
};
