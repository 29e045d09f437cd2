/**
 * The room's front door: builds registry, world, partitions and wires from a connection string, starts them in order
 * and stops them in order. Everything it starts is stopped by `stop`.
 *
 * States: built → starting (leading, loading) → running → stopping (doors closed, queues emptied) → stopped.
 */
import type { FastifyInstance } from 'fastify';
import type { Registry as PromRegistry } from 'prom-client';
import { createChangeFeed } from '../db/change-feed.ts';
import { createPool } from '../db/pools.ts';
import { createEngine } from '../engine/engine.ts';
import type { EngineEvent } from '../engine/types.ts';
import { applyEdits, createWorld } from '../engine/world.ts';
import { ConfigSync } from './config-sync.ts';
import { telemetryPlugin } from './http-telemetry.ts';
import { Intake } from './intake.ts';
import type { LatestPosition } from './latest.ts';
import { Leader } from './leader.ts';
import { readLivePositions, readLiveSeed, type LiveSeed, type SeedPosition } from './live-seed.ts';
import type { Logger } from './logger.ts';
import { IngestMetrics, type IngestSummary } from './metrics.ts';
import { createMqttSink } from './mqtt-sink.ts';
import { createMqttListener, type MqttListener } from './mqtt/listener.ts';
import { MQTT_LIMITS_DEFAULT } from './mqtt/limits.ts';
import { Partition, type Committed } from './partition.ts';
import { Registry } from './registry.ts';
import { trimRejects } from './trim-rejects.ts';

export type { Committed, EngineEvent, LatestPosition, LiveSeed, IngestSummary };

export interface IngestOptions {
  readonly connectionString: string;
  readonly mqtt: { readonly host: string; readonly port: number; readonly packetBytesMax: number };
  /** How many partitions, and so database connections, 1 to 64. */
  readonly partitionCount: number;
  readonly batchRowsMax: number;
  readonly lingerMs: number;
  readonly queueRowsMax: number;
  readonly queueBytesMax: number;
  /** Rows kept in `ingest_reject`; the oldest go first. */
  readonly rejectRowsMax: number;
  readonly prometheus: PromRegistry;
  readonly log: Logger;
  /** After each commit; must not throw. */
  readonly onCommitted: (committed: Committed) => void;
  /** Another process ingests into this database now: this one must end. */
  readonly onLeadershipLost: () => void;
}

export interface Ingest {
  /**
   * Waits for the database and for an earlier process to end, loads the configuration, and tells what a live map begins
   * with. Nothing is written yet.
   */
  load(): Promise<LiveSeed>;
  /** Opens the MQTT port and takes data in. Rejects with the system's error when the port is taken. */
  start(): Promise<{ mqttPort: number }>;
  /** Closes the doors, commits and acknowledges what was taken in, until the deadline. */
  stop(deadline: AbortSignal): Promise<void>;
  /** `POST /v1/telemetry` for the HTTP server. */
  readonly plugin: (app: FastifyInstance) => Promise<void>;
  summary(): IngestSummary;
  /** The latest position of a unit, or `null` where there is none to show (any more). */
  livePosition(equipmentId: number): Promise<SeedPosition | null>;
  /** Why new data cannot be taken now; empty when it can. */
  notReady(): string[];
}

/** A statement that takes longer is cancelled and its batch tried again. */
const STATEMENT_TIMEOUT_MS = 30_000;
/** Connections for configuration, leadership and upkeep beside those of the partitions. */
const SPARE_CONNECTIONS = 4;

export function createIngest(options: IngestOptions): Ingest {
  const room = buildRoom(options);
  const { leader, sync, partitions, listener, changeFeed, pool, intake, metrics, registry } = room;
  let phase: 'built' | 'starting' | 'running' | 'stopping' = 'built';
  let stopTrimming: () => void = () => undefined;

  return {
    async load() {
      phase = 'starting';
      await leader.lead();
      await sync.load();
      await changeFeed.start();
      return readLiveSeed(pool);
    },
    async start() {
      for (const partition of partitions) partition.start();
      stopTrimming = trimRejects(pool, options.rejectRowsMax, options.log);
      const { port } = await listener.start();
      phase = 'running';
      return { mqttPort: port };
    },
    async stop(deadline) {
      phase = 'stopping';
      listener.stopAccepting();
      listener.pauseReading();
      stopTrimming();
      await changeFeed.stop();
      await sync.stop();
      await Promise.all(partitions.map((partition) => partition.stop(deadline)));
      await listener.close();
      leader.stop();
      await pool.end();
    },
    plugin: telemetryPlugin({ intake, registry, metrics, accepting: () => phase === 'running' }),
    summary: () => metrics.summary(),
    livePosition: async (equipmentId) => (await readLivePositions(pool, [equipmentId]))[0] ?? null,
    notReady() {
      const reasons: string[] = [];
      if (phase !== 'running') reasons.push(`ingest is ${phase}`);
      if (partitions.some((partition) => partition.isHolding)) {
        reasons.push('the database does not take batches now; they are held');
      }
      if (intake.isFull) reasons.push('the ingest queue is full');
      return reasons;
    },
  };
}

function buildRoom(options: IngestOptions) {
  const { log } = options;
  const pool = createPool({
    connectionString: options.connectionString,
    role: 'milepost_ingest',
    max: options.partitionCount + SPARE_CONNECTIONS,
    applicationName: 'milepost-ingest',
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    onError: (error) => log.warn({ err: error }, 'an idle database connection was lost'),
  });
  const registry = new Registry();
  const world = createWorld();
  const leader = new Leader(pool, log, options.onLeadershipLost);
  const metrics = new IngestMetrics(options.prometheus, {
    queuedRows: () => intake.queuedRows,
    queuedBytes: () => intake.queuedBytes,
    connections: () => listener.connectionCount,
    devices: () => registry.deviceCount,
    fences: () => sync.fenceCount,
    rules: () => sync.ruleCount,
  });
  const engines = Array.from({ length: options.partitionCount }, () => createEngine(world));
  const partitions = engines.map(
    (engine) =>
      new Partition({
        engine,
        pool,
        limits: options,
        metrics,
        log,
        onConnect: (client) => leader.admit(client),
        onCommitted: options.onCommitted,
        onReleased: (rows, bytes) => intake.released(rows, bytes),
      }),
  );
  const intake: Intake = new Intake({
    registry,
    partitions,
    limits: options,
    metrics,
    unitId: (uomCode) => sync.units.get(uomCode) ?? null,
  });
  const listener: MqttListener = buildListener(options, registry, metrics, intake);
  const sync: ConfigSync = new ConfigSync({
    pool,
    registry,
    log,
    target: {
      applyEdits: (edits) => applyEdits(world, edits),
      restore: ({ deviceId, state, last }, equipmentId) =>
        engines[equipmentId % engines.length]!.restore(deviceId, state, last),
      deviceRevoked: (iotDeviceId) => listener.disconnectDevice(iotDeviceId),
    },
  });
  const changeFeed = createChangeFeed({
    connectionString: options.connectionString,
    onChange: (change) => sync.onChange(change),
    onReset: () => sync.onReset(),
  });
  return { pool, registry, leader, metrics, partitions, intake, listener, sync, changeFeed };
}

function buildListener(
  options: IngestOptions,
  registry: Registry,
  metrics: IngestMetrics,
  intake: Intake,
): MqttListener {
  return createMqttListener({
    host: options.mqtt.host,
    port: options.mqtt.port,
    limits: { ...MQTT_LIMITS_DEFAULT, packetBytesMax: options.mqtt.packetBytesMax },
    authenticate: (username, password) =>
      Promise.resolve(authenticate(registry, username, password)),
    sink: createMqttSink(intake, registry),
    metrics: {
      connections: () => undefined,
      received: (publishes, bytes) => metrics.mqttReceived(publishes, bytes),
      refused: (reason) => metrics.refused('mqtt', reason),
    },
    log: {
      debug: () => undefined,
      error: (fields, message) => options.log.error(fields, message),
    },
  });
}

function authenticate(
  registry: Registry,
  username: string | undefined,
  password: Buffer | undefined,
): { deviceName: string; iotDeviceId: number; tenantId: number } | { refused: string } {
  if (username === undefined || password === undefined) return { refused: 'credentials_missing' };
  const checked = registry.checkSecret(username, password);
  if (!checked.ok) return { refused: checked.reason };
  const { deviceName, iotDeviceId, tenantId } = checked.device;
  return { deviceName, iotDeviceId, tenantId };
}
