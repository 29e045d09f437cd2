/** What is due by the clock, or follows from an edit, is done without rows; and no row is refused for it. */
import { Registry as PromRegistry } from 'prom-client';
import t, { type Test } from 'tap';
import type { Engine } from '../engine/engine.ts';
import type { EngineBatch, EngineEvent, Evaluation } from '../engine/types.ts';
import { IngestMetrics } from './metrics.ts';
import { Partition } from './partition.ts';
import type { Outcome } from './tally.ts';
import { startPipeline } from './test-pipeline.ts';
import { Turns } from './turns.ts';

const none = (): void => undefined;

/** An engine that says what is due, and gives what the test says when it is evaluated. */
class Script {
  dueMs = Infinity;
  isAsked = false;
  /** `nowMs` and rows of each batch. */
  readonly batches: [number, number][] = [];
  committed = 0;
  events: (batch: EngineBatch) => EngineEvent[] = () => [];
  private onBatch: () => void = none;

  /** Resolves with the next batch. */
  async next(): Promise<void> {
    await new Promise<void>((resolve) => (this.onBatch = resolve));
  }

  get engine(): Engine {
    const evaluate = (batch: EngineBatch): Evaluation => {
      this.batches.push([batch.nowMs, batch.fixes.count]);
      const events = this.events(batch);
      return { events, changed: [], latestFixRows: new Int32Array(), lateCount: 0, lateFixes: [] };
    };
    const commit = (): void => {
      this.committed++;
      const nowMs = this.batches.at(-1)?.[0] ?? NaN;
      if (nowMs >= this.dueMs) this.dueMs = Infinity;
      if (!Number.isNaN(nowMs)) this.isAsked = false;
      this.onBatch();
    };
    const clock = { nextDueMs: () => this.dueMs, hasWork: () => this.isAsked };
    return { evaluate, commit, rollback: none, restore: none, snapshot: () => null, ...clock }; // prettier-ignore
  }
}

async function openHouse(t: Test) {
  const house = await startPipeline(t);
  const script = new Script();
  const clock = { nowMs: 1_000_000 };
  const zero = (): number => 0;
  const gauges = { queuedRows: zero, queuedBytes: zero, connections: zero, devices: zero, fences: zero, rules: zero }; // prettier-ignore
  const warnings: string[] = [];
  const partition = new Partition({
    engine: script.engine,
    pool: house.pool,
    limits: { batchRowsMax: 100, lingerMs: 1 },
    turns: new Turns(),
    metrics: new IngestMetrics(new PromRegistry(), gauges),
    log: { info: none, warn: (_: object, text: string) => warnings.push(text), error: none },
    onConnect: () => Promise.resolve(),
    onCommitted: none,
    onStored: none,
    onReleased: none,
    nowMs: () => clock.nowMs,
  });
  t.teardown(() => partition.stop(AbortSignal.timeout(5_000)));
  const link = house.registry.deviceNamed('dev-1')!.link!;
  const fixAt = (timeMs: number): Promise<Outcome> =>
    new Promise((resolve) => {
      const batch = partition.filling(1);
      const fix = {
        index: 0, device: null, timeMs, latDeg: 41.5, lonDeg: -87.5, altitudeM: NaN, speedMps: 1, headingDeg: NaN,
        accuracyM: NaN, odometerM: NaN, satellites: NaN, ignition: NaN, motion: NaN, seq: NaN, event: null,
      }; // prettier-ignore
      const part = batch.tally.add(resolve, undefined, NaN, null);
      batch.addFix(link, fix, part, Date.now());
      batch.receivedMs = Date.now();
      partition.filled();
    });
  const { deviceId, equipmentId, tenantId, accountId } = link;
  const event = (more: Partial<EngineEvent>): EngineEvent => ({
    type: 'geofence_exit', deviceId, equipmentId, tenantId, accountId, timeMs: Date.now(), lonDeg: 0, latDeg: 0, fenceId: 1,
    ruleId: null, subjectName: 'Yard', subjectVersion: 1, metricCode: null, metricValue: null, severity: 'info',
    initial: false, cause: 'schedule', enteredMs: NaN, leftMs: NaN, lastFixMs: NaN, ...more,
  }); // prettier-ignore
  return { ...house, script, clock, partition, fixAt, event };
}

t.test('what is due is done at its time, without rows', async (t) => {
  const house = await openHouse(t);
  const { script, clock, partition, event } = house;
  script.events = () => [event({})];
  script.dueMs = clock.nowMs + 20;
  const first = script.next();
  partition.start();
  t.same(script.batches, [], 'not before');
  clock.nowMs += 20;
  await first;
  t.same(script.batches, [[1_000_020, 0]]);
  t.equal(await house.count('activity_feed'), 1);
});

t.test('an edit is looked at at once, and only where there is something to do', async (t) => {
  const { script, clock, partition, fixAt } = await openHouse(t);
  partition.start();
  partition.poke();
  await fixAt(Date.now());
  t.same(script.batches, [[1_000_000, 1]], 'nothing was to be done');
  clock.nowMs++;
  script.isAsked = true;
  const next = script.next();
  partition.poke();
  await next;
  t.same(script.batches.slice(1), [[1_000_001, 0]]);
});

t.test('no row is refused for what was due with it', async (t) => {
  const house = await openHouse(t);
  const { script, clock, partition, fixAt, event } = house;
  const refused = { severity: 'unheard of' } as unknown as Partial<EngineEvent>;
  script.events = ({ nowMs }) => (Number.isNaN(nowMs) ? [] : [event(refused)]);
  script.dueMs = clock.nowMs;
  const outcome = fixAt(Date.now());
  partition.start();
  t.match(await outcome, { stored: true, accepted: 1, refused: [] });
  t.equal(await house.count('equipment_gps_location'), 1);
  t.equal(await house.count('ingest_reject'), 0);
  t.same(script.batches, [[1_000_000, 1], [NaN, 1]]); // prettier-ignore

  script.events = () => [event({})];
  await script.next();
  t.same(script.batches.slice(2), [[1_000_000, 0]], 'and it is tried again by itself');
});

t.test('a batch that is worked out again has the time it had', async (t) => {
  const { script, clock, partition, fixAt, event, fleet } = await openHouse(t);
  let tries = 0;
  script.events = () => {
    clock.nowMs += 1_000;
    // A tenant that is no more, until the second try.
    return tries++ === 0 ? [event({ tenantId: fleet.customerId + 1_000 })] : [];
  };
  const outcome = fixAt(Date.now());
  partition.start();
  t.match(await outcome, { stored: true, accepted: 1 });
  t.same(script.batches, [[1_000_000, 1], [1_000_000, 1]]); // prettier-ignore
});
