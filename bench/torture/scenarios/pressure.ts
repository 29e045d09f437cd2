/** More comes than the database takes: over a narrow line, or on a disk that is full. */
import { setTimeout as wait } from 'node:timers/promises';
import {
  answerWithin,
  DRAIN_MS_MAX,
  Findings,
  mib,
  RECOVERY_MS_MAX,
  seconds,
  type Scenario,
  type Stage,
} from '../stage.ts';

/** Rows that may wait, all partitions together. */
const QUEUE_ROWS_MAX = 2_000;
/** What the last reader before the limit may still bring: one message a connection, and the body of a gateway. */
const OVERSHOOT_ROWS = 1_000;
const NARROW = { latencyMs: 20, bytesPerS: 60_000 } as const;
const POLL_MS = 250;

export const slowDatabase: Scenario = {
  name: 'slow-database',
  what: 'devices that send as fast as they can to a database behind a narrow line',
  house: { windows: [200, 1_000], settings: { INGEST_QUEUE_ROWS_MAX: String(QUEUE_ROWS_MAX) } },
  async play(stage) {
    const { house, isLong, say } = stage;
    const { databaseProxy: proxy, server, fleet } = house;
    const findings = new Findings();
    fleet.make(50);
    await answerWithin(house, DRAIN_MS_MAX);
    const rssBefore = server.rssBytesMax;
    proxy.slow(NARROW);
    fleet.make(Infinity);
    const ackedBefore = fleet.ledger.counts().acked;
    const queue = await watchQueue(stage, isLong ? 60_000 : 8_000);
    const acked = fleet.ledger.counts().acked - ackedBefore;
    say(`the queue held ${queue.rowsMax} rows at most, ${queue.fullCount} looks found it full`);
    findings.hold(queue.fullCount > 0, 'the queue never ran full: nothing was shown');
    const rowsMax = QUEUE_ROWS_MAX + OVERSHOOT_ROWS;
    findings.hold(queue.rowsMax <= rowsMax, `the queue held ${queue.rowsMax} rows of ${rowsMax}`);
    findings.hold(acked > 0, 'nothing was acknowledged while the database was slow');
    proxy.slow(null);
    await fleet.drain(DRAIN_MS_MAX);
    const figures = {
      queue_rows_max: queue.rowsMax,
      acked_while_slow: acked,
      rss_before_mib: mib(rssBefore),
    };
    return { breaches: findings.breaches, figures };
  },
};

async function watchQueue(
  { house }: Stage,
  lastsMs: number,
): Promise<{ rowsMax: number; fullCount: number }> {
  const endMs = performance.now() + lastsMs;
  let rowsMax = 0;
  let fullCount = 0;
  while (performance.now() < endMs) {
    const rows = (await house.server.metrics()).get('milepost_ingest_queue_rows') ?? 0;
    rowsMax = Math.max(rowsMax, rows);
    if (rows >= QUEUE_ROWS_MAX) fullCount += 1;
    await wait(POLL_MS);
  }
  return { rowsMax, fullCount };
}

/** Beside the data, until another program takes it. */
const FREE_MIB = 48;

export const fullDisk: Scenario = {
  name: 'full-disk',
  what: 'the disk of the database runs full, and is freed',
  wantsDisk: true,
  async play(stage) {
    const { house, isLong, say } = stage;
    const { server, fleet, postgres } = house;
    const disk = house.disk!;
    const findings = new Findings();
    fleet.make(20);
    await answerWithin(house, DRAIN_MS_MAX);
    await disk.shrink(FREE_MIB);
    await disk.fill();
    const notReadyMs = await untilNotReady(stage, 60_000);
    findings.hold(!Number.isNaN(notReadyMs), 'it never said that it is not ready');
    await wait(isLong ? 30_000 : 2_000);
    findings.hold(server.isAlive, 'the program has ended');
    await disk.free();
    // It panics when it cannot write its log, and may not get up again; then its supervisor starts it.
    const wentDown = !(await postgres.isUp());
    if (wentDown) await postgres.startAgain();
    const returnedMs = performance.now();
    const recoveryMs = (await answerWithin(house, DRAIN_MS_MAX)) - returnedMs;
    findings.hold(recoveryMs <= RECOVERY_MS_MAX, `recovery took ${seconds(recoveryMs)} s`);
    say(`503 after ${seconds(notReadyMs)} s; PostgreSQL ${wentDown ? 'went down' : 'stayed up'}`);
    await fleet.drain(DRAIN_MS_MAX);
    const figures = {
      recovery_s: seconds(recoveryMs),
      postgres: wentDown ? 'went down' : 'stayed',
    };
    return { breaches: findings.breaches, figures };
  },
};

async function untilNotReady({ house }: Stage, msMax: number): Promise<number> {
  const startMs = performance.now();
  while (performance.now() - startMs < msMax) {
    if ((await house.server.readiness()) === 503) return performance.now() - startMs;
    await wait(POLL_MS);
  }
  return NaN;
}
