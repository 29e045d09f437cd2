/**
 * What is started, in what order, with which configuration, and how it stops. Hands committed batches from ingestion
 * to the live hub, which do not know each other. Refuses to read the environment (config.ts) or to know SQL.
 *
 * States: starting → running → stopping → stopped. A failure while starting stops what had started.
 */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { pino, type Logger } from 'pino';
import { collectDefaultMetrics, Registry as PromRegistry } from 'prom-client';
import { openDiskStore } from './api/attachments/disk-store.ts';
import type { AttachmentStore } from './api/attachments/store.ts';
import type { Authenticate } from './api/auth/authenticate.ts';
import { openDoor } from './api/auth/door.ts';
import type { LocalIssuer } from './api/auth/local-issuer.ts';
import type { Principals } from './api/auth/principal.ts';
import { startIdentity, type RunningIdentity } from './api/identity/start.ts';
import { servedMetric } from './api/served-metric.ts';
import { buildServer } from './api/server.ts';
import { webConfigPlugin } from './api/web-config.ts';
import { createHub, type Hub } from './api/live/hub.ts';
import { startLive, type RunningLive } from './api/live/start.ts';
import { portalOf } from './api/live/portal.ts';
import { readConfig, type Config } from './config.ts';
import { createChangeFeed, type ChangeFeed } from './db/change-feed.ts';
import { createPortalPools, type PortalPools } from './db/pools.ts';
import { projectDir } from './db/project-dir.ts';
import {
  createIngest,
  DoorError,
  type DoorName,
  type DoorPorts,
  type Ingest,
  type IngestSummary,
} from './ingest/ingest.ts';
import { toLiveRows } from './ingest/live-rows.ts';
import { migrate } from './migrations/run.ts';

export interface Milepost {
  readonly urls: {
    readonly http: string;
    readonly live: string;
    readonly mqtt: string;
    /** Only where the settings open them: MQTT's further transports, and Teltonika. */
    readonly [door: string]: string;
  };
  summary(): IngestSummary;
  /** Closes the doors, commits and acknowledges what was taken in, then ends everything. */
  stop(): Promise<void>;
}

export interface MilepostExtras {
  /** Mounted under `/demo`; never in production. */
  readonly localIssuer?: LocalIssuer;
  /** Another log than the one on standard output. */
  readonly log?: Logger;
}

const VERSION = '0.1.0';
const LIVE_PATH = '/v1/live';

/** What has been started, in the order in which it is stopped: first what holds the devices' data. */
const STOP_ORDER = ['ingest', 'live', 'changeFeed', 'http', 'identity', 'pool'] as const;
type Running = Partial<Record<(typeof STOP_ORDER)[number], () => Promise<void>>>;

/** Starts everything; rejects, having stopped what had started, when something cannot. */
export async function startMilepost(
  config: Config,
  extras: MilepostExtras = {},
): Promise<Milepost> {
  const log = extras.log ?? pino({ level: config.logLevel });
  const running: Running = {};
  try {
    return await startInOrder(config, extras, log, running);
  } catch (error) {
    await stopAll(running).catch((cause: unknown) => log.error({ err: cause }, 'stopping failed'));
    throw error;
  }
}

async function stopAll(running: Running): Promise<void> {
  for (const name of STOP_ORDER) {
    const stop = running[name];
    delete running[name];
    await stop?.();
  }
}

async function startInOrder(
  config: Config,
  extras: MilepostExtras,
  log: Logger,
  running: Running,
): Promise<Milepost> {
  const applied = await migrate(config.databaseUrl, (message) => log.info(message));
  log.info({ applied: applied.length }, 'database is migrated');
  const { pool, runnerPool } = createPortalPools(config, (error) =>
    log.warn({ err: error }, 'an idle database connection was lost'),
  );
  running.pool = async () => void (await Promise.all([pool.end(), runnerPool.end()]));
  const { authenticate, principals, verifier } = openDoor(config.auth, pool, log);
  const hub = createHub({ ...portalOf(authenticate, pool), log });
  const prometheus = new PromRegistry();
  collectDefaultMetrics({ register: prometheus });
  const ingest = createIngest({
    connectionString: config.databaseIngestUrl,
    doors: { mqtt: config.mqtt, broker: config.broker, teltonika: config.teltonika },
    ...config.ingest,
    prometheus,
    log,
    onCommitted: (committed) => hub.publish(toLiveRows(committed)),
    onLeadershipLost: () => {
      log.fatal('another Milepost ingests into this database now');
      process.exit(1);
    },
  });
  running.ingest = () => ingest.stop(AbortSignal.timeout(config.stopMsMax));
  const seed = await ingest.load();
  hub.seed(seed.positions, seed.lastEventId);
  for (const warning of seed.durabilityWarnings) log.warn(warning);

  const live = await listen('LIVE_PORT', config.live.port, () => openLive(config, hub, log));
  running.live = () => live.close();
  const liveUrl =
    config.live.publicUrl || `ws://${named(config.live.host)}:${live.port}${LIVE_PATH}`;
  const attachmentStore = await openAttachments(config);
  const parts = {
    config,
    extras,
    log,
    pool,
    runnerPool,
    authenticate,
    prometheus,
    ingest,
    liveUrl,
  };
  const app = await buildApp({ ...parts, attachmentStore });
  running.http = () => app.close();
  await listen('HTTP_PORT', config.http.port, () => app.listen(config.http));
  // Not awaited: an issuer that is away must not keep devices waiting.
  void verifier.warm();
  const identity = await startIdentity(config.identity, runnerPool, log);
  running.identity = () => identity.stop();
  const changeFeed = watchChanges({ config, principals, hub, ingest, identity, log });
  running.changeFeed = () => changeFeed.stop();
  await changeFeed.start();
  const ports = await ingest.start().catch((error: unknown) => {
    throw error instanceof DoorError ? closedDoor(error) : error;
  });

  const { port } = app.server.address() as AddressInfo;
  const urls = {
    http: `http://${named(config.http.host)}:${port}`,
    live: liveUrl,
    mqtt: `mqtt://${named(config.mqtt.host)}:${ports.mqtt}`,
    ...furtherUrls(config, ports),
  };
  log.info(urls, 'Milepost is running');
  return { urls, summary: () => ingest.summary(), stop: () => stopAll(running) };
}

/** Where the doors are that the settings have opened beside MQTT's own. */
function furtherUrls(config: Config, ports: DoorPorts): Record<string, string> {
  const mqttHost = named(config.mqtt.host);
  const teltonikaHost = named(config.teltonika?.host ?? '');
  const urls = {
    mqttTls: `mqtts://${mqttHost}:${ports.mqttTls}`,
    mqttWebSocket: `ws://${mqttHost}:${ports.mqttWebSocket}/mqtt`,
    mqttWebSocketTls: `wss://${mqttHost}:${ports.mqttWebSocketTls}/mqtt`,
    teltonika: `tcp://${teltonikaHost}:${ports.teltonika}`,
  };
  return Object.fromEntries(
    Object.entries(urls).filter(([door]) => ports[door as DoorName] !== undefined),
  );
}

const PORT_SETTINGS: Readonly<Record<DoorName, string>> = {
  mqtt: 'MQTT_PORT',
  mqttTls: 'MQTT_TLS_PORT',
  mqttWebSocket: 'MQTT_WS_PORT',
  mqttWebSocketTls: 'MQTT_WSS_PORT',
  teltonika: 'TELTONIKA_PORT',
};

/** Names the setting of a door that could not be opened. */
function closedDoor(error: DoorError): Error {
  const { door, port, cause } = error;
  const isTaken = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE';
  if (isTaken) return portTaken(port, PORT_SETTINGS[door], cause);
  return new Error(`${PORT_SETTINGS[door]}: ${String(cause)}`, { cause });
}

function portTaken(port: number, setting: string, cause: unknown): Error {
  return new Error(`port ${port} is taken: choose another with ${setting}`, { cause });
}

function openLive(config: Config, hub: Hub, log: Logger): Promise<RunningLive> {
  return startLive({
    hub,
    host: config.live.host,
    port: config.live.port,
    path: LIVE_PATH,
    allowedOrigins: allowedOrigins(config),
    transport: config.live.transport,
    log,
  });
}

async function openAttachments({ attachments }: Config): Promise<AttachmentStore> {
  try {
    return await openDiskStore(attachments.dir);
  } catch (cause) {
    throw new Error(`ATTACHMENT_DIR: ${String(cause)}`, { cause });
  }
}

interface AppParts extends PortalPools {
  readonly attachmentStore: AttachmentStore;
  readonly config: Config;
  readonly extras: MilepostExtras;
  readonly log: Logger;
  readonly authenticate: Authenticate;
  readonly prometheus: PromRegistry;
  readonly ingest: Ingest;
  readonly liveUrl: string;
}

async function buildApp(parts: AppParts): Promise<FastifyInstance> {
  const { config, extras, ingest, liveUrl, prometheus } = parts;
  const webRoot = join(projectDir, 'dist', 'web');
  return buildServer({
    pool: parts.pool,
    runnerPool: parts.runnerPool,
    authenticate: parts.authenticate,
    fencesAt: (tenantId, lonDeg, latDeg) => ingest.fencesAt(tenantId, lonDeg, latDeg),
    cursorKey: cursorKey(config.cursorSecret),
    attachmentStore: parts.attachmentStore,
    attachmentLimits: {
      fileBytesMax: config.attachments.bytesMax,
      deletedKeepMs: config.attachments.deletedKeepH * 3_600_000,
    },
    trustProxy: config.http.trustProxy,
    log: parts.log,
    version: VERSION,
    liveUrl,
    ...(existsSync(webRoot) ? { webRoot } : {}),
    ...(extras.localIssuer ? { demoIssuer: extras.localIssuer } : {}),
    plugins: [ingest.plugin, webConfigPlugin(liveUrl, extras.localIssuer !== undefined)],
    readiness: () => {
      const reasons = ingest.notReady();
      return { ready: reasons.length === 0, reasons };
    },
    renderMetrics: () => prometheus.metrics(),
    onServed: servedMetric(prometheus),
  });
}

/**
 * Users and roles that change are looked up anew, and their sockets come back with what holds now; a unit that changes
 * its number, account or status is shown, or no longer shown, as it is now.
 */
function watchChanges(parts: {
  config: Config;
  principals: Principals;
  hub: Hub;
  ingest: Ingest;
  identity: RunningIdentity;
  log: Logger;
}): ChangeFeed {
  const { principals, hub, ingest, identity, log } = parts;
  const showUnit = async (customerId: number, equipmentId: number): Promise<void> => {
    const position = await ingest.livePosition(equipmentId);
    if (position !== null) hub.publish({ positions: [position], events: [] });
    else hub.removeUnits(customerId, [equipmentId]);
  };
  return createChangeFeed({
    connectionString: parts.config.databaseApiUrl,
    onChange({ table, id, customerId }) {
      if (table === 'equipment') {
        showUnit(customerId, id).catch((error: unknown) =>
          log.warn({ err: error }, 'a changed unit could not be read; the map shows it as it was'),
        );
        return;
      }
      if (!['user', 'user_role', 'customer', 'account'].includes(table)) return;
      principals.invalidate();
      identity.wake();
      if (table === 'user') hub.revokeUser(id);
      else hub.revokeCustomer(customerId);
    },
    onReset() {
      principals.invalidate();
      identity.wake();
      hub.revokeAll();
    },
  });
}

/** Names the setting when a port is taken. */
async function listen<T>(setting: string, port: number, start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw portTaken(port, setting, error);
  }
}

function allowedOrigins(config: Config): string[] {
  const { allowedOrigins: configured } = config.live;
  const own = ['localhost', '127.0.0.1'].map((host) => `http://${host}:${config.http.port}`);
  return configured.length > 0 ? configured : own;
}

/** Cursors outlive a restart only with a secret that does. */
function cursorKey(secret: string): Uint8Array {
  return secret === '' ? randomBytes(32) : createHash('sha256').update(secret).digest();
}

function named(host: string): string {
  return host === '0.0.0.0' || host === '::' || host === '127.0.0.1' ? 'localhost' : host;
}

/** Beyond `STOP_MS_MAX`, for everything but the flush. */
const STOP_GRACE_MS = 10_000;

/** Ctrl-C comes twice when a package manager passes the terminal's signal on: sooner than this it is the same one. */
const SAME_SIGNAL_MS = 1_000;

async function main(): Promise<void> {
  const read = readConfig();
  if (!read.ok) {
    for (const problem of read.problems) console.error(problem);
    process.exit(1);
  }
  const { config } = read;
  const log = pino({ level: config.logLevel });
  const milepost = await startMilepost(config, { log });
  let stoppingSinceMs = NaN;
  const stop = (signal: NodeJS.Signals): void => {
    const nowMs = performance.now();
    if (nowMs - stoppingSinceMs < SAME_SIGNAL_MS) return;
    if (!Number.isNaN(stoppingSinceMs)) process.exit(130);
    stoppingSinceMs = nowMs;
    log.info({ signal }, 'stopping; a second signal ends at once');
    const overdue = setTimeout(() => {
      log.error('stopping took too long; what was not acknowledged will be sent again');
      process.exit(1);
    }, config.stopMsMax + STOP_GRACE_MS);
    overdue.unref();
    milepost.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'stopping failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
}

/** Also when started by a path with a symbolic link in it, as deployments like to. */
function isStartedDirectly(): boolean {
  const [, path] = process.argv;
  if (path === undefined || !existsSync(path)) return false;
  return import.meta.url === pathToFileURL(realpathSync(path)).href;
}

if (isStartedDirectly()) {
  main().catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  });
}
