/**
 * A real TimescaleDB without Docker: Debian's packages in a directory of their own, the server in a chroot of it, as the
 * directory's own postgres user. Needs root and the right to mount; elsewhere it says what is missing and exits with 3.
 *
 *     node --import=tsx scripts/timescale.ts setup|start|status|stop
 *
 * `setup` takes one to two minutes, once; the directory is `.cache/timescale-rootfs` or MILEPOST_TIMESCALE_DIR. `start` makes an
 * empty cluster and prints its connection string; `stop` removes the cluster. Mounts are made in the server's own
 * namespace, so they end with it, however it ends. MILEPOST_DEBIAN_MIRROR replaces the mirror that apt is set to.
 */
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, open, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { debianMirror, proxyEnvironment } from './apt-sources.ts';

const run = promisify(execFile);

const SUITE = 'trixie';
/** PostGIS is for tests alone: geometry is held against it. */
const PACKAGES = 'postgresql-17,postgresql-17-timescaledb,postgresql-17-postgis-3';
const READY = `${SUITE} ${PACKAGES}\n`;
const BIN_DIR = '/usr/lib/postgresql/17/bin';
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
const POLL_MS = 50;

/** Exit code where this machine cannot run TimescaleDB this way. */
export const UNAVAILABLE_EXIT_CODE = 3;

/** Thrown with a sentence that says what this machine lacks. */
export class TimescaleUnavailable extends Error {}

export interface TimescaleServer {
  /** Signs in as the superuser `milepost`, to the database `postgres`. */
  readonly connectionString: string;
  readonly pid: number;
  readonly port: number;
  /** The cluster's directory, as seen from within the rootfs. */
  readonly cluster: string;
}

const projectDir = resolve(import.meta.dirname, '..');

/** Where Debian's packages lie. */
export const rootfsDir = resolve(
  projectDir,
  process.env['MILEPOST_TIMESCALE_DIR'] ?? '.cache/timescale-rootfs',
);
const readyMarker = join(rootfsDir, '.milepost-ready');
const stateFile = `${rootfsDir}.server.json`;

/**
 * Installs Debian's packages unless they are there; a directory that an interrupted setup left, or that an older version
 * of this file made with other packages, is made anew. Rejects when a server runs in such a directory.
 */
export async function setupTimescale(log: (message: string) => void): Promise<void> {
  await checkRights();
  if ((await readFile(readyMarker, 'utf8').catch(() => '')) === READY) return;
  await removeRootfs();
  await installDebootstrap(log);
  const mirror = process.env['MILEPOST_DEBIAN_MIRROR'] ?? (await debianMirror());
  log(`installing TimescaleDB into ${rootfsDir} from ${mirror ?? "debootstrap's default mirror"}`);
  await mkdir(rootfsDir, { recursive: true, mode: 0o755 });
  const args = ['--variant=minbase', `--include=${PACKAGES}`, SUITE, rootfsDir];
  if (mirror !== null) args.push(mirror);
  // In a mount namespace of its own: what debootstrap mounts is gone when it ends.
  await runLogged('unshare', ['--mount', '--', 'debootstrap', ...args], await proxyEnvironment());
  await writeFile(readyMarker, READY);
}

/**
 * Starts a server with an empty cluster on a free port of 127.0.0.1. Safe settings by default; `durable` false
 * trades crash safety for speed. The caller stops it with `stopTimescale`.
 */
export async function startTimescale({
  durable = true,
  settings = {},
}: {
  durable?: boolean;
  settings?: Readonly<Record<string, string>>;
} = {}): Promise<TimescaleServer> {
  await checkRights();
  const port = await freePort();
  const password = randomBytes(24).toString('base64url');
  const cluster = `/var/lib/postgresql/milepost-${port}`;
  await makeCluster(cluster, password);
  const log = await open(join(rootfsDir, `${cluster}.log`), 'w', 0o600);
  const args = serverArguments(cluster, port, durable, settings);
  const child = spawn('unshare', inRootfs('postgres', args), {
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  });
  await once(child, 'spawn');
  await log.close();
  child.unref();
  const connectionString = `postgres://milepost:${password}@127.0.0.1:${port}/postgres`;
  const server = { connectionString, pid: child.pid!, port, cluster };
  const deadlineMs = Date.now() + START_TIMEOUT_MS;
  while (!(await answers(connectionString))) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadlineMs) {
      const text = await readFile(join(rootfsDir, `${cluster}.log`), 'utf8');
      await stopTimescale(server);
      throw new Error(`TimescaleDB did not start:\n${text.slice(-2_000)}`);
    }
    await delay(POLL_MS);
  }
  return server;
}

/** Stops the server, kills it when it does not stop in 30 s, and removes its cluster. */
export async function stopTimescale(server: TimescaleServer): Promise<void> {
  const deadlineMs = Date.now() + STOP_TIMEOUT_MS;
  signal(server.pid, 'SIGINT');
  while (await isRunning(server)) {
    if (Date.now() > deadlineMs) signal(server.pid, 'SIGKILL');
    await delay(POLL_MS);
  }
  await rm(join(rootfsDir, server.cluster), { recursive: true, force: true });
  await rm(join(rootfsDir, `${server.cluster}.log`), { force: true });
}

function serverArguments(
  cluster: string,
  port: number,
  durable: boolean,
  further: Readonly<Record<string, string>>,
): string[] {
  const settings: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    shared_preload_libraries: 'timescaledb',
    'timescaledb.telemetry_level': 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
    fsync: durable ? 'on' : 'off',
    full_page_writes: durable ? 'on' : 'off',
    synchronous_commit: durable ? 'on' : 'off',
    // One for the launcher and one for each database with the extension; tests make many.
    'timescaledb.max_background_workers': '32',
    max_worker_processes: '48',
    ...further,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return ['-D', cluster, ...flags];
}

async function makeCluster(cluster: string, password: string): Promise<void> {
  const passwordFile = `${cluster}.password`;
  const outside = join(rootfsDir, passwordFile);
  await writeFile(outside, password, { mode: 0o600 });
  await run('chroot', [rootfsDir, 'chown', 'postgres:postgres', passwordFile]);
  const args = ['-D', cluster, '--username=milepost', `--pwfile=${passwordFile}`];
  args.push('--auth=scram-sha-256', '--encoding=UTF8', '--no-sync', '--no-instructions');
  args.push('--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8');
  try {
    await run('unshare', inRootfs('initdb', args));
  } finally {
    await rm(outside);
  }
}

// Arguments of `unshare`. Every step execs the next, so the process that is started is the server itself.
function inRootfs(program: string, args: string[]): string[] {
  const script = `
    root=$1; shift
    mount --bind /proc "$root/proc" && mount --rbind /dev "$root/dev" || exit 1
    exec chroot --userspec=postgres:postgres "$root" "$@"`;
  return [
    '--mount',
    '--',
    '/bin/sh',
    '-c',
    script,
    'sh',
    rootfsDir,
    `${BIN_DIR}/${program}`,
    ...args,
  ];
}

async function checkRights(): Promise<void> {
  if (process.platform !== 'linux') {
    throw new TimescaleUnavailable('debootstrap and chroot are there on Linux only');
  }
  if (process.getuid?.() !== 0) {
    throw new TimescaleUnavailable('debootstrap, chroot and mount need root');
  }
  await run('unshare', ['--mount', '--', 'mount', '--bind', '/tmp', '/tmp']).catch(
    (cause: unknown) => {
      throw new TimescaleUnavailable('this container may not mount (CAP_SYS_ADMIN)', { cause });
    },
  );
}

async function installDebootstrap(log: (message: string) => void): Promise<void> {
  if (await isCommand('debootstrap')) return;
  if (!(await isCommand('apt-get'))) {
    throw new TimescaleUnavailable('debootstrap is missing, and so is apt-get to install it');
  }
  log('installing debootstrap');
  await runLogged('apt-get', ['update', '--quiet']);
  const packages = ['debootstrap', 'debian-archive-keyring'];
  await runLogged(
    'apt-get',
    ['install', '--yes', '--quiet', '--no-install-recommends', ...packages],
    {
      DEBIAN_FRONTEND: 'noninteractive',
    },
  );
}

async function removeRootfs(): Promise<void> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  const isMounted = mounts
    .split('\n')
    .some((line) => line.split(' ')[4]?.startsWith(`${rootfsDir}/`));
  if (isMounted) throw new Error(`something is mounted below ${rootfsDir}: unmount it first`);
  const users = await processesInRootfs();
  if (users.length > 0) {
    throw new Error(
      `${rootfsDir} lacks packages and has to be made anew, but a server runs in it ` +
        `(process ${users.join(', ')}): stop it first, as with \`npm run timescale -- stop\``,
    );
  }
  await rm(rootfsDir, { recursive: true, force: true });
}

// Mounts of other namespaces are not seen here, but the root of a process is.
async function processesInRootfs(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const roots = await Promise.all(
    pids.map((pid) => readlink(`/proc/${pid}/root`).catch(() => null)),
  );
  return pids.filter((_, i) => roots[i] === rootfsDir);
}

// Output goes to standard error: standard output is the connection string's.
async function runLogged(
  command: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<void> {
  const child = spawn(command, args, {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, ...env },
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${command} failed with ${code}`);
}

async function isCommand(name: string): Promise<boolean> {
  return run('/bin/sh', ['-c', `command -v ${name}`]).then(
    () => true,
    () => false,
  );
}

// The process table is asked for the cluster's name too: the number alone may have passed on to another.
async function isRunning({ pid, cluster }: TimescaleServer): Promise<boolean> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return commandLine.split('\0').includes(cluster);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile.
  }
}

async function answers(connectionString: string): Promise<boolean> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

async function readState(): Promise<TimescaleServer | null> {
  const text = await readFile(stateFile, 'utf8').catch(() => null);
  if (text === null) return null;
  const server = JSON.parse(text) as TimescaleServer;
  return (await isRunning(server)) ? server : null;
}

const log = (message: string) => console.error(message);

const commands: Record<string, () => Promise<void>> = {
  async setup() {
    await setupTimescale(log);
    log(`TimescaleDB is installed in ${rootfsDir}`);
  },
  async start() {
    await setupTimescale(log);
    const server = (await readState()) ?? (await startTimescale());
    await writeFile(stateFile, JSON.stringify(server), { mode: 0o600 });
    console.log(server.connectionString);
  },
  async status() {
    const server = await readState();
    console.log(server === null ? 'not running' : server.connectionString);
    if (server === null) process.exitCode = 1;
  },
  async stop() {
    const server = await readState();
    if (server !== null) await stopTimescale(server);
    await rm(stateFile, { force: true });
  },
};

if (import.meta.filename === process.argv[1]) {
  const command = commands[process.argv[2] ?? ''];
  if (command === undefined) {
    log('usage: scripts/timescale.ts setup|start|status|stop');
    process.exitCode = 2;
  } else {
    try {
      await command();
    } catch (error) {
      if (!(error instanceof TimescaleUnavailable)) throw error;
      log(`TimescaleDB cannot run here: ${error.message}`);
      process.exitCode = UNAVAILABLE_EXIT_CODE;
    }
  }
}
