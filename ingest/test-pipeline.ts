/** Intake, partitions and engine over a real database, without wires: for tests of what becomes of a decoded message. */
import type { Pool } from 'pg';
import { Registry as PromRegistry } from 'prom-client';
import type { Test } from 'tap';
import { createPool } from '../db/pools.ts';
import { createTestDatabase } from '../db/test-database.ts';
import { createEngine } from '../engine/engine.ts';
import { applyEdits, createWorld } from '../engine/world.ts';
import { readAllDevices, readGateways } from './config-rows.ts';
import { emptyDecoded, type Decoded } from './decode/decoded.ts';
import { Intake, type MessageOutcome } from './intake.ts';
import { IngestMetrics } from './metrics.ts';
import { Partition, type Committed } from './partition.ts';
import { Registry, type Sender } from './registry.ts';
import { Turns } from './turns.ts';
import { seedTestFleet, type TestFleet } from './test-fleet.ts';

export interface TestPipeline {
  readonly ownerUrl: string;
  /** Under the ingest role; sees every tenant. */
  readonly pool: Pool;
  readonly fleet: TestFleet;
  readonly registry: Registry;
  readonly intake: Intake;
  readonly committed: Committed[];
  readonly prometheus: PromRegistry;
  /** Submits what `fill` puts into a message, and gives its outcome. */
  submit(sender: Sender, fill: (decoded: Decoded) => void): Promise<MessageOutcome>;
  sender(deviceName: string): Sender;
  count(table: string): Promise<number>;
}

/** Starts a pipeline of its own database; it ends with the test. */
export async function startPipeline(
  t: Test,
  options: { units?: number; batchRowsMax?: number; lingerMs?: number } = {},
): Promise<TestPipeline> {
  const { ownerUrl } = await createTestDatabase(t);
  const fleet = await seedTestFleet(ownerUrl, options.units ?? 3);
  const pool = ingestPool(ownerUrl);
  const registry = new Registry();
  const world = createWorld();
  await loadDevices(pool, registry, world);
  const prometheus = new PromRegistry();
  const committed: Committed[] = [];
  const metrics = new IngestMetrics(prometheus, NO_GAUGES);
  const limits = { batchRowsMax: options.batchRowsMax ?? 5_000, lingerMs: options.lingerMs ?? 2 };
  const partitions = [0, 1].map(
    () =>
      new Partition({
        engine: createEngine(world),
        pool,
        limits,
        turns: new Turns(),
        metrics,
        log: LOG,
        onConnect: () => Promise.resolve(),
        onCommitted: (one) => committed.push(one),
        onStored: () => undefined,
        onReleased: (rows, bytes) => intake.released(rows, bytes),
      }),
  );
  const intake: Intake = new Intake({
    registry,
    partitions,
    limits: { queueRowsMax: 100_000, queueBytesMax: 100_000_000 },
    metrics,
    unitId: () => null,
  });
  for (const partition of partitions) partition.start();
  t.teardown(async () => {
    await Promise.all(partitions.map((one) => one.stop(AbortSignal.timeout(5_000))));
    await pool.end();
  });
  return {
    ownerUrl,
    pool,
    fleet,
    registry,
    intake,
    committed,
    prometheus,
    submit(sender, fill) {
      const decoded = emptyDecoded();
      fill(decoded);
      const receivedMs = Date.now();
      const message = {
        source: 'mqtt',
        topic: null,
        sender,
        payload: Buffer.from('payload'),
        decoded,
        receivedMs,
      } as const;
      return new Promise((resolve) => intake.submit(message, resolve));
    },
    sender: (deviceName) => ({ kind: 'device', device: registry.deviceNamed(deviceName)! }),
    async count(table) {
      const { rows } = await pool.query<{ n: number }>(`select count(*)::int as n from ${table}`);
      return rows[0]!.n;
    },
  };
}

function ingestPool(ownerUrl: string): Pool {
  return createPool({
    connectionString: ownerUrl,
    role: 'milepost_ingest',
    max: 4,
    applicationName: 'pipeline',
    statementTimeoutMs: 10_000,
    onError: () => undefined,
  });
}

const LOG = { info: () => undefined, warn: () => undefined, error: () => undefined };

const NO_GAUGES = {
  queuedRows: () => 0,
  queuedBytes: () => 0,
  connections: () => 0,
  devices: () => 0,
  fences: () => 0,
  rules: () => 0,
};

async function loadDevices(
  pool: Pool,
  registry: Registry,
  world: ReturnType<typeof createWorld>,
): Promise<void> {
  for await (const page of readAllDevices(pool)) {
    for (const device of page) {
      registry.put(device);
      if (device.link !== null) applyEdits(world, [{ type: 'device_put', device: device.link }]);
    }
  }
  for (const gateway of await readGateways(pool, null)) registry.putGateway(gateway);
}
