/**
 * The room's front door: builds registry, world, partitions and wires from a connection string, starts them in order
 * and stops them in order. Everything it starts is stopped by `stop`.
 *
 * States: built → starting (leading, loading) → running → stopping (doors closed, queues emptied) → stopped.
 */
import type { FastifyInstance } from 'fastify';
import type { Pool } from 'pg';
import type { Registry as PromRegistry } from 'prom-client';
import { createChangeFeed } from '../db/change-feed.ts';
import { createPool, cutPool } from '../db/pools.ts';
import { createEngine } from '../engine/engine.ts';
import type { Edit, EngineEvent, FenceSettings } from '../engine/types.ts';
import { applyEdits, createWorld, fencesAt, type World } from '../engine/world.ts';
import { AnswerWatch } from './answer-watch.ts';
import { CommandSender } from './commands.ts';
import { ConfigSync } from './config-sync.ts';
import { DoorError, Doors, type DoorName, type DoorPorts, type DoorsConfig } from './doors.ts';
import { telemetryPlugin } from './http-telemetry.ts';
import { wirePlugins } from './http-wires.ts';
import { Intake } from './intake.ts';
import { KnockBook, type Knock } from './knocking.ts';
import type { LatestPosition } from './latest.ts';
import { Leader } from './leader.ts';
import { readLivePositions, readLiveSeed, type LiveSeed, type SeedPosition } from './live-seed.ts';
import type { Logger } from './logger.ts';
import { IngestMetrics, type IngestSummary } from './metrics.ts';
import { Partition, type Committed, type PartitionOptions } from './partition.ts';
import { Registry } from './registry.ts';
import { openSessionView } from './session-view.ts';
import { Turns } from './turns.ts';
import { trimRows } from './trim-rows.ts';
import { VisitReviser, type VisitReviserOptions } from './visit-reviser.ts';

export { DoorError };
export type {
  DoorName,
  DoorPorts,
  Committed,
  EngineEvent,
  LatestPosition,
  LiveSeed,
  IngestSummary,
};

export interface IngestOptions {
  readonly connectionString: string;
  readonly doors: DoorsConfig;
  /** How many partitions, and so database connections, 1 to 64. */
  readonly partitionCount: number;
  readonly batchRowsMax: number;
  readonly lingerMs: number;
  readonly queueRowsMax: number;
  readonly queueBytesMax: number;
  /** Rows kept in `ingest_reject`; the oldest go first. */
  readonly rejectRowsMax: number;
  /** Rows kept in `iot_device_event`; the oldest go first. */
  readonly deviceEventRowsMax: number;
  /** Rows kept in `knocking_device`; the longest silent go first. */
  readonly knockingRowsMax: number;
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
  /** Opens the doors and takes data in. Rejects with a `DoorError` when one cannot be opened. */
  start(): Promise<DoorPorts>;
  /** Closes the doors, commits and acknowledges what was taken in, until the deadline. */
  stop(deadline: AbortSignal): Promise<void>;
  /** The routes of devices for the HTTP server. */
  readonly plugin: (app: FastifyInstance) => Promise<void>;
  summary(): IngestSummary;
  /** The latest position of a unit, or `null` where there is none to show (any more). */
  livePosition(equipmentId: number): Promise<SeedPosition | null>;
  /** The tenant's fences that hold a point, as the engine has them now: an edit is seen when the change feed told it. */
  fencesAt(tenantId: number, lonDeg: number, latDeg: number): readonly FenceSettings[];
  /** Why new data cannot be taken now; empty when it can. */
  notReady(): string[];
}

/** A statement that takes longer is cancelled and its batch tried again. */
const STATEMENT_TIMEOUT_MS = 30_000;
/** Connections for configuration, leadership, visits and upkeep beside those of the partitions. */
const SPARE_CONNECTIONS = 5;

export function createIngest(options: IngestOptions): Ingest {
  const room = buildRoom(options);
  const { leader, sync, partitions, changeFeed, intake, turns, metrics, registry } = room;
  const { pool, writers, world, answerWatch, reviser } = room;
  const { doors, knocks, commands } = room.entrance;
  let phase: 'built' | 'starting' | 'running' | 'stopping' = 'built';
  let stopTrimming: () => void = () => undefined;
  const accepting = (): boolean => phase === 'running';

  return {
    async load() {
      phase = 'starting';
      await leader.lead();
      // Before it is loaded: what changes meanwhile is told, and nothing has to be read twice.
      await changeFeed.start();
      await sync.load();
      return readLiveSeed(pool);
    },
    async start() {
      for (const partition of partitions) partition.start();
      answerWatch.start();
      reviser.start();
      stopTrimming = trimRows(pool, options, options.log);
      knocks.start();
      commands.start();
      const ports = await doors.open();
      phase = 'running';
      return ports;
    },
    async stop(deadline) {
      phase = 'stopping';
      // What waits for the database by then will not hear from it; a leader would try again and again, and writers wait for it.
      const cut = (): void => {
        leader.stop();
        for (const one of [pool, writers]) cutPool(one);
      };
      if (deadline.aborted) cut();
      deadline.addEventListener('abort', cut, { once: true });
      doors.drain();
      stopTrimming();
      await changeFeed.stop();
      await sync.stop();
      await Promise.all(partitions.map((partition) => partition.stop(deadline)));
      await answerWatch.stop();
      await doors.close(deadline);
      await Promise.all([commands.stop(), knocks.stop(), reviser.stop()]);
      leader.stop();
      await Promise.all([pool.end(), writers.end()]);
      deadline.removeEventListener('abort', cut);
    },
    async plugin(app) {
      const knock = (one: Knock): void => knocks.knock(one);
      await app.register(telemetryPlugin({ intake, registry, turns, metrics, accepting, knock }));
      await app.register(wirePlugins({ intake, registry, metrics, accepting, knock }));
    },
    summary: () => metrics.summary(),
    livePosition: async (equipmentId) => (await readLivePositions(pool, [equipmentId]))[0] ?? null,
    fencesAt: (tenantId, lonDeg, latDeg) => fencesAt(world, tenantId, lonDeg, latDeg),
    notReady() {
      const reasons: string[] = [];
      if (phase !== 'running') reasons.push(`ingest is ${phase}`);
      if (partitions.some((partition) => partition.isHolding)) {
        reasons.push('the database does not take batches now; they are held');
      }
      if (intake.isFull) reasons.push('the ingest queue is full');
      return [...reasons, ...doors.notReady()];
    },
  };
}

function buildRoom(options: IngestOptions) {
  const { log } = options;
  const pool = ingestPool(options, SPARE_CONNECTIONS);
  // Partitions give none of theirs back, so each new one is fresh: after a silent fault the idle ones may be dead too.
  const writers = ingestPool(options, options.partitionCount);
  const registry = new Registry();
  const world = createWorld();
  const turns = new Turns();
  const leader = new Leader(pool, log, options.onLeadershipLost);
  const metrics = new IngestMetrics(options.prometheus, {
    queuedRows: () => intake.queuedRows,
    queuedBytes: () => intake.queuedBytes,
    connections: () => entrance.doors.mqttConnectionCount,
    devices: () => registry.deviceCount,
    fences: () => sync.fenceCount,
    rules: () => sync.ruleCount,
  });
  const engines = Array.from({ length: options.partitionCount }, () => createEngine(world));
  const partitions = engines.map((engine) =>
    buildPartition(options, {
      engine,
      pool: writers,
      turns,
      metrics,
      onConnect: (client) => leader.admit(client),
      onReleased: (rows, bytes) => intake.released(rows, bytes),
      onStored: (work) => reviser.committed(work),
    }),
  );
  const reviser = buildReviser(world, { pool, turns, metrics, log });
  const intake: Intake = new Intake({
    registry,
    partitions,
    limits: options,
    metrics,
    unitId: (uomCode) => sync.units.get(uomCode) ?? null,
  });
  const entrance: Entrance = buildEntrance(options, { pool, registry, intake, turns, metrics });
  const sync: ConfigSync = new ConfigSync({
    pool,
    registry,
    log,
    target: {
      applyEdits: (edits) => editAll(world, partitions, edits),
      restore: ({ deviceId, state, last }, equipmentId) =>
        engines[equipmentId % engines.length]!.restore(deviceId, state, last),
      deviceRevoked: (iotDeviceId) => entrance.doors.disconnectDevice(iotDeviceId),
    },
  });
  const changeFeed = createChangeFeed({
    connectionString: options.connectionString,
    onChange(change) {
      sync.onChange(change);
      entrance.commands.onChange(change);
    },
    onReset() {
      sync.onReset();
      entrance.commands.onReset();
    },
  });
  const answerWatch = new AnswerWatch({
    unanswered: () => partitions.flatMap((one) => one.unanswered ?? []),
    openView: (signal) => openSessionView(options.connectionString, signal),
    log,
  });
  const told = { pool, writers, registry, world, turns, leader, metrics };
  return { ...told, partitions, intake, entrance, sync, changeFeed, answerWatch, reviser };
}

function ingestPool({ connectionString, log }: IngestOptions, max: number): Pool {
  return createPool({
    connectionString,
    role: 'milepost_ingest',
    max,
    applicationName: 'milepost-ingest',
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    onError: (error) => log.warn({ err: error }, 'an idle database connection was lost'),
  });
}

function buildPartition(
  options: IngestOptions,
  parts: Omit<PartitionOptions, 'limits' | 'log' | 'onCommitted'>,
): Partition {
  const { log, onCommitted } = options;
  return new Partition({ ...parts, limits: options, log, onCommitted });
}

/** Edits what the partitions share, and has them look at it. */
function editAll(world: World, partitions: readonly Partition[], edits: readonly Edit[]): void {
  applyEdits(world, edits);
  for (const partition of partitions) partition.poke();
}

function buildReviser(world: World, parts: Omit<VisitReviserOptions, 'fencesAt'>): VisitReviser {
  return new VisitReviser({
    ...parts,
    fencesAt: (tenantId, lonDeg, latDeg) => fencesAt(world, tenantId, lonDeg, latDeg),
  });
}

/** The doors, those who knock at them, and what is handed out there. */
interface Entrance {
  readonly doors: Doors;
  readonly knocks: KnockBook;
  readonly commands: CommandSender;
}

function buildEntrance(
  options: IngestOptions,
  parts: { pool: Pool; registry: Registry; intake: Intake; turns: Turns; metrics: IngestMetrics },
): Entrance {
  const { log } = options;
  const { pool, metrics } = parts;
  const knocks = new KnockBook({ pool, rowsMax: options.knockingRowsMax, metrics, log });
  const commands: CommandSender = new CommandSender({
    pool,
    log,
    prometheus: options.prometheus,
    send: (iotDeviceId, payload, done) => doors.sendCommand(iotDeviceId, payload, done),
  });
  const doors: Doors = new Doors({
    ...parts,
    config: options.doors,
    log,
    knock: (knock) => knocks.knock(knock),
    onSubscribed: (iotDeviceId) => commands.onSubscribed(iotDeviceId),
  });
  return { doors, knocks, commands };
}
