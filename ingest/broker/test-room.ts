/**
 * For tests: what a subscriber feeds, with a real database behind it: registry, intake, partitions and leadership, as
 * ingest.ts puts them together, and no wires. What goes in and comes out is counted, and can be awaited.
 */
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { Registry as PromRegistry } from 'prom-client';
import { createPool } from '../../db/pools.ts';
import { createEngine } from '../../engine/engine.ts';
import { applyEdits, createWorld } from '../../engine/world.ts';
import { ConfigSync } from '../config-sync.ts';
import { Intake, type IntakeMessage, type MessageOutcome } from '../intake.ts';
import type { Knock } from '../knocking.ts';
import { Leader } from '../leader.ts';
import type { Logger } from '../logger.ts';
import { IngestMetrics } from '../metrics.ts';
import { Partition } from '../partition.ts';
import { Registry } from '../registry.ts';
import { Turns } from '../turns.ts';
import { createSubscriber, type Subscriber, type SubscriberConfig } from './subscriber.ts';

export interface RoomOptions {
  readonly ownerUrl: string;
  readonly queueRowsMax?: number;
  readonly onOutcome?: (message: IntakeMessage, outcome: MessageOutcome) => void;
}

export interface TestRoom {
  readonly intake: Intake;
  readonly registry: Registry;
  readonly prometheus: PromRegistry;
  readonly knocks: Knock[];
  readonly counts: { taken: number; stored: number };
  /** A subscriber on this room, started; its own count of what it handed in. */
  subscribe(config: Partial<SubscriberConfig> & { url: string; tls?: TlsOptions }): {
    readonly subscriber: Subscriber;
    taken(): number;
  };
  /** Resolves when the condition holds; asked again whenever a message is taken or answered, or something is logged. */
  until(holds: () => boolean): Promise<void>;
  /** Stops as the server does: subscribers read no more, partitions run empty, acknowledgements go out. */
  stop(deadline?: AbortSignal): Promise<void>;
}

/** Leads the database and loads it. */
export async function openRoom(options: RoomOptions): Promise<TestRoom> {
  const watch = new Watch();
  const said = (): void => watch.changed();
  const log = { info: said, warn: said, error: said };
  const room = build(options, log);
  const { pool, registry, intake, leader, sync, metrics, partitions } = room;
  await leader.lead();
  await sync.load();
  for (const partition of partitions) partition.start();

  const knocks: Knock[] = [];
  const counts = { taken: 0, stored: 0 };
  const subscribers: Subscriber[] = [];
  let isStopped = false;
  const subscribe: TestRoom['subscribe'] = ({ tls, ...config }) => {
    let taken = 0;
    const submit: Intake['submit'] = (message, done) => {
      taken++;
      counts.taken++;
      intake.submit(message, (outcome) => {
        if (outcome.stored) counts.stored++;
        options.onOutcome?.(message, outcome);
        done(outcome);
        watch.changed();
      });
      watch.changed();
    };
    const subscriber = createSubscriber({
      config: { ...CONFIG, ...config },
      intake: {
        get isFull() {
          return intake.isFull;
        },
        onceDrained: (resume) => intake.onceDrained(resume),
        submit,
      },
      registry,
      metrics,
      log,
      knock: (knock) => knocks.push(knock),
      ...(tls && { tls }),
    });
    subscriber.start();
    subscribers.push(subscriber);
    return { subscriber, taken: () => taken };
  };
  return {
    ...room,
    knocks,
    counts,
    subscribe,
    until: (holds) => watch.until(holds),
    async stop(deadline = AbortSignal.timeout(20_000)) {
      if (isStopped) return;
      isStopped = true;
      for (const subscriber of subscribers) subscriber.pauseReading();
      await Promise.all(partitions.map((partition) => partition.stop(deadline)));
      await Promise.all(subscribers.splice(0).map((subscriber) => subscriber.stop(deadline)));
      await sync.stop();
      leader.stop();
      await pool.end();
    },
  };
}

function build(options: RoomOptions, log: Logger) {
  const pool = createPool({
    connectionString: options.ownerUrl,
    role: 'milepost_ingest',
    max: 6,
    applicationName: 'milepost-ingest',
    statementTimeoutMs: 30_000,
    onError: () => undefined,
  });
  const prometheus = new PromRegistry();
  const registry = new Registry();
  const world = createWorld();
  const leader = new Leader(pool, log, () => undefined);
  const metrics = new IngestMetrics(prometheus, {
    queuedRows: () => intake.queuedRows,
    queuedBytes: () => intake.queuedBytes,
    connections: () => 0,
    devices: () => registry.deviceCount,
    fences: () => sync.fenceCount,
    rules: () => sync.ruleCount,
  });
  const limits = {
    batchRowsMax: 5_000,
    lingerMs: 5,
    queueRowsMax: options.queueRowsMax ?? 100_000,
    queueBytesMax: 100_000_000,
  };
  const engines = [createEngine(world), createEngine(world)];
  const partitions = engines.map(
    (engine) =>
      new Partition({
        turns: new Turns(),
        engine,
        pool,
        limits,
        metrics,
        log,
        onConnect: (client) => leader.admit(client),
        onCommitted: () => undefined,
        onStored: () => undefined,
        onReleased: (rows, bytes) => intake.released(rows, bytes),
      }),
  );
  const intake: Intake = new Intake({ registry, partitions, limits, metrics, unitId: () => null });
  const sync: ConfigSync = new ConfigSync({
    pool,
    registry,
    log,
    target: {
      applyEdits: (edits) => applyEdits(world, edits),
      restore: ({ deviceId, state, last }, equipmentId) =>
        engines[equipmentId % engines.length]!.restore(deviceId, state, last),
      deviceRevoked: () => undefined,
    },
  });
  return { pool, prometheus, registry, leader, metrics, partitions, intake, sync };
}

const CONFIG = {
  topics: ['v1/devices/+/fixes', 'v1/devices/+/metrics', 'owntracks/#'],
  shareGroup: '',
  clientId: 'milepost',
  inFlightMax: 10_000,
};

class Watch {
  #waiting: { holds: () => boolean; resolve: () => void }[] = [];

  changed(): void {
    const met = this.#waiting.filter((one) => one.holds());
    this.#waiting = this.#waiting.filter((one) => !met.includes(one));
    for (const one of met) one.resolve();
  }

  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ holds, resolve });
      this.changed();
    });
  }
}
