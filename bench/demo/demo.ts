/**
 * `npm run demo`: all of Milepost on a machine that has only Node. Starts PostgreSQL from its own binaries, puts two
 * customers into it, starts the server as `npm start` does, and drives a simulated fleet through real connections.
 *
 * States: starting → running → stopping → ended. Whatever had been started is stopped, in the opposite order, however
 * it ends: at a signal, or because something could not be started.
 */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import pg from 'pg';
import { openDiskStore } from '../../api/attachments/disk-store.ts';
import { DEMO_JWKS_PATH } from '../../api/auth/demo-routes.ts';
import {
  createLocalIssuer,
  fileKeyStorage,
  type LocalIssuer,
} from '../../api/auth/local-issuer.ts';
import { hashPassword } from '../../api/auth/password.ts';
import { readDemoConfig, type Config, type DemoConfig } from '../../config.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../db/embedded.ts';
import { startMilepost, type Milepost } from '../../main.ts';
import { migrate } from '../../migrations/run.ts';
import { LOG_FILE, openDemoLog } from './demo-log.ts';
import { beginFirstStart, endFirstStart } from './first-start.ts';
import { CUSTOMERS, subjectOf, USERS } from './people.ts';
import { planVehicles } from './plan.ts';
import { ENV_FILE, writeDemoEnv } from './demo-env.ts';
import { liveLine, Screen } from './screen.ts';
import { deviceToken, loadSecrets, tokenHash, type DemoSecrets } from './secrets.ts';
import { seed, SPARE_VEHICLE } from './seed.ts';
import { startSimulation, type Simulation } from './simulation.ts';
import { watchStopSignals } from './stop-signal.ts';
import { tellNorthline } from './stories/northline.ts';
import { withTeller } from './stories/teller.ts';
import { welcome } from './welcome.ts';

const ISSUER = 'https://issuer.milepost.example/';
const AUDIENCE = 'milepost-demo';
const ISSUER_KEY_FILE = 'demo-issuer-key.pem';
/** How often the feed is looked at until it has its first event. */
const FIRST_EVENT_POLL_MS = 200;

/** How to stop what has been started, in the order in which it was. */
type Stops = (() => Promise<unknown>)[];

interface Demo {
  readonly config: DemoConfig;
  readonly dataDir: string;
  readonly screen: Screen;
  readonly stopSignal: AbortSignal;
  readonly stops: Stops;
}

async function main(): Promise<number> {
  const read = readDemoConfig();
  if (!read.ok) {
    for (const problem of read.problems) console.error(problem);
    return 1;
  }
  const screen = new Screen(process.stdout);
  // A terminal that was closed is told to us by a signal, too; writing to it must not end us before that.
  process.stdout.on('error', () => undefined);
  const stopSignal = watchStopSignals({
    source: process,
    nowMs: () => performance.now(),
    onSecond: () => process.exit(130),
  });
  const stops: Stops = [];
  const dataDir = resolve(read.config.dataDir);
  let exitCode = 0;
  try {
    await run({ config: read.config, dataDir, screen, stopSignal, stops });
  } catch (error) {
    // Ctrl-C while starting also ends what was being started, which is no failure.
    if (!stopSignal.aborted) {
      screen.say(explain(error, read.config));
      exitCode = 1;
    }
  }
  if (!(await stopAll(stops, screen))) exitCode = 1;
  return exitCode;
}

/** Starts everything and resolves when a signal asks for the end. */
async function run(demo: Demo): Promise<void> {
  const { config, dataDir, screen, stopSignal, stops } = demo;
  screen.say('Starting PostgreSQL …');
  const database = await startEmbeddedPostgres({ dataDir, port: config.databasePort });
  const databaseUpMs = performance.now();
  stops.push(() => database.stop());
  stopSignal.throwIfAborted();
  const log = await openDemoLog(dataDir, config.server.logLevel, (line) => screen.say(line));
  const secrets = await loadSecrets(dataDir);
  const tokenOf = (deviceIdentifier: string) => deviceToken(secrets, deviceIdentifier);
  await beginFirstStart(database.connectionString);
  await migrate(database.connectionString, (message) => log.info(message));
  const plans = planVehicles(config.vehicleCount);
  const seeded = await seed({
    connectionString: database.connectionString,
    plans,
    tokenHashOf: (deviceIdentifier) => tokenHash(tokenOf(deviceIdentifier)),
  });
  stopSignal.throwIfAborted();
  const issuer = await openIssuer(dataDir, secrets.password);
  const serverConfig = await serverConfigOf(config, database, secrets);
  if (seeded.isNew) await tellStories(serverConfig, screen);
  stopSignal.throwIfAborted();
  const milepost = await startMilepost(serverConfig, { localIssuer: issuer, log });
  stops.push(() => milepost.stop());
  stopSignal.throwIfAborted();
  const simulation = startSimulation({
    mqttUrl: `mqtt://${dialHost(serverConfig.mqtt.host)}:${new URL(milepost.urls.mqtt).port}`,
    teltonika: teltonikaOf(serverConfig, milepost),
    plans,
    tokenOf,
    fixIntervalS: config.fixIntervalS,
    lastSeen: seeded.lastSeen,
  });
  stops.push(() => stopSimulation(simulation, screen));
  const spare = SPARE_VEHICLE.deviceIdentifier;
  const facts = { device: spare, token: tokenOf(spare), password: secrets.password };
  await writeDemoEnv(dataDir, { ...milepost.urls, ...facts });
  screen.say(
    welcome({
      urls: milepost.urls,
      password: secrets.password,
      vehicleCount: plans.length,
      dataDir,
      logFile: join(dataDir, LOG_FILE),
      envFile: join(dataDir, ENV_FILE),
      databasePort: database.port,
      isNew: seeded.isNew,
    }),
  );
  stops.push(showLiveLine(screen, milepost, simulation, plans.length));
  stops.push(
    tellFirstEvent(database.connectionString, seeded.feedId, () => {
      const seconds = (performance.now() - databaseUpMs) / 1000;
      screen.say(`First event in the feed ${seconds.toFixed(1)} s after the database was up.`);
    }),
  );
  if (!stopSignal.aborted) await once(stopSignal, 'abort');
}

/** What the big customer has been through: told once, by its administrator, at the end of a first start. */
async function tellStories({ databaseUrl, attachments }: Config, screen: Screen): Promise<void> {
  screen.say('Telling what has happened in the company so far …');
  const { time_zone: timeZone } = CUSTOMERS.find(({ key }) => key === USERS[0]!.customer)!;
  await withTeller(
    {
      connectionString: databaseUrl,
      subject: subjectOf(USERS[0]!),
      timeZone,
      store: await openDiskStore(attachments.dir),
    },
    tellNorthline,
  );
  await endFirstStart(databaseUrl);
}

function teltonikaOf(
  { teltonika }: Config,
  { urls }: Milepost,
): { host: string; port: number } | null {
  const url = urls['teltonika'];
  if (teltonika === null || url === undefined) return null;
  return { host: dialHost(teltonika.host), port: Number(new URL(url).port) };
}

async function stopAll(stops: Stops, screen: Screen): Promise<boolean> {
  if (stops.length > 0) screen.say('Stopping …');
  let isClean = true;
  for (const stop of stops.reverse()) {
    try {
      await stop();
    } catch (error) {
      isClean = false;
      screen.say(error instanceof Error ? error.message : String(error));
    }
  }
  if (stops.length > 0 && isClean) screen.say('Stopped. The data is kept.');
  return isClean;
}

async function stopSimulation(simulation: Simulation, screen: Screen): Promise<void> {
  const left = await simulation.stop();
  if (left > 0) screen.say(`${left} fixes of the simulated devices were not acknowledged.`);
}

async function openIssuer(dataDir: string, password: string): Promise<LocalIssuer> {
  const passwordHash = await hashPassword(password);
  return createLocalIssuer({
    issuer: ISSUER,
    audience: AUDIENCE,
    storage: fileKeyStorage(join(dataDir, ISSUER_KEY_FILE)),
    findUser(email) {
      const user = USERS.find((candidate) => candidate.email === email);
      return user === undefined ? null : { subject: subjectOf(user), passwordHash };
    },
  });
}

/** The settings of the server, with the demo's own database and issuer. */
async function serverConfigOf(
  { server }: DemoConfig,
  { connectionString }: EmbeddedPostgres,
  secrets: DemoSecrets,
): Promise<Config> {
  const port = await concretePort(server.http.host, server.http.port);
  return {
    ...server,
    http: { ...server.http, port },
    databaseUrl: connectionString,
    databaseIngestUrl: connectionString,
    databaseApiUrl: connectionString,
    auth: {
      issuer: ISSUER,
      audience: AUDIENCE,
      jwksUrl: `http://${dialHost(server.http.host)}:${port}${DEMO_JWKS_PATH}`,
    },
    identity: null,
    cursorSecret: server.cursorSecret === '' ? secrets.cursorSecret : server.cursorSecret,
  };
}

// The address of the key set, and the origin of the map, are needed before the server listens.
async function concretePort(host: string, port: number): Promise<number> {
  if (port !== 0) return port;
  const probe = createServer().listen(0, host);
  await once(probe, 'listening');
  const free = (probe.address() as AddressInfo).port;
  probe.close();
  await once(probe, 'close');
  return free;
}

/** The host by which this machine reaches itself, fit for a URL. */
function dialHost(listenHost: string): string {
  if (listenHost === '0.0.0.0' || listenHost === '::') return '127.0.0.1';
  return listenHost.includes(':') ? `[${listenHost}]` : listenHost;
}

/** Gives the way to stop it. */
function showLiveLine(
  screen: Screen,
  milepost: Milepost,
  simulation: Simulation,
  deviceCount: number,
): () => Promise<void> {
  let before = { atMs: performance.now(), fixes: milepost.summary().fixes };
  const timer = setInterval(() => {
    const { fixes, events, rejects, queuedRows } = milepost.summary();
    const { connected, dropped, p99Ms, trouble } = simulation.stats();
    const atMs = performance.now();
    const fixesPerS = ((fixes - before.fixes) * 1000) / (atMs - before.atMs);
    before = { atMs, fixes };
    const line = { fixesPerS, committed: fixes, events, queuedRows, p99Ms, connected };
    screen.live(liveLine({ ...line, devices: deviceCount, rejected: rejects, dropped, trouble }));
  }, screen.refreshMs);
  return () => {
    clearInterval(timer);
    screen.live('');
    return Promise.resolve();
  };
}

/** Calls `tell` once, when the feed holds an entry newer than `feedId`. Gives the way to stop looking. */
function tellFirstEvent(
  connectionString: string,
  feedId: number,
  tell: () => void,
): () => Promise<void> {
  const stopped = new AbortController();
  const client = new pg.Client({ connectionString, application_name: 'milepost demo' });
  // A lost connection also rejects the query under way; the news is not worth more than that.
  client.on('error', () => undefined);
  const looking = (async () => {
    await client.connect();
    while (!stopped.signal.aborted) {
      const { rows } = await client.query(
        'select from activity_feed where activity_feed_id > $1 and entity_type is null limit 1',
        [feedId],
      );
      if (rows.length > 0) return tell();
      await new Promise((resolve) => setTimeout(resolve, FIRST_EVENT_POLL_MS));
    }
  })()
    .catch(() => undefined)
    .finally(() => client.end().catch(() => undefined));
  return () => {
    stopped.abort();
    return looking;
  };
}

function explain(error: unknown, config: DemoConfig): string {
  if (!(error instanceof Error)) return String(error);
  switch ((error as { code?: unknown }).code) {
    case 'EMBEDDED_PORT_TAKEN':
      return `port ${config.databasePort} is taken: choose another with DEMO_DATABASE_PORT`;
    case 'EMBEDDED_IN_USE':
      return `${error.message}: stop it, or choose another directory with DATA_DIR`;
    default:
      // What is worded for people is a plain error; anything else is a defect, and wants to be found.
      return error.constructor === Error ? error.message : (error.stack ?? error.message);
  }
}

// By now everything is stopped or has failed to; a handle that somebody forgot shall not keep the process.
process.exit(await main());
