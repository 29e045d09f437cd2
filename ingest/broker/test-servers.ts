/**
 * For tests: real brokers, from Debian's packages `mosquitto` and `nats-server`, each with a folder and a port of its
 * own, listening on this machine only. Where a package is missing the tests that need it say so.
 */
import { spawn, spawnSync, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Test } from 'tap';

type Program = 'mosquitto' | 'nats-server';

/** `false`, or why tests that need this program are left out. */
export function missing(program: Program): string | false {
  return pathOf(program) === null ? `${program} is not installed (Debian: ${program})` : false;
}

/** Debian puts both where only root's search path looks. */
function pathOf(program: Program): string | null {
  const paths = [program, `/usr/sbin/${program}`];
  return paths.find((path) => spawnSync(path, ['-h']).error === undefined) ?? null;
}

/** A broker that can be stopped and started again on the same port and folder. */
export interface BrokerServer {
  readonly host: string;
  readonly port: number;
  readonly dir: string;
  /** Ends it with a signal, and resolves when it has ended. */
  stop(signal: NodeJS.Signals): Promise<void>;
  start(): Promise<void>;
}

/** Mosquitto without limits on what waits for a subscriber, which loses messages otherwise; `more`: lines of its file. */
export function startMosquitto(
  t: Test,
  more: (dir: string) => string[] = () => ['allow_anonymous true'],
): Promise<BrokerServer> {
  return startBroker(t, 'mosquitto', / running/, (dir, port) => [
    // Otherwise root becomes a user who may not enter the folder.
    'user root',
    `listener ${port} 127.0.0.1`,
    'persistence true',
    `persistence_location ${dir}/`,
    'max_inflight_messages 0',
    'max_queued_messages 0',
    'log_dest stderr',
    'log_type all',
    ...more(dir),
  ]);
}

/** NATS with its MQTT listener, which speaks 3.1.1 alone, and sends again what is not acknowledged within a second. */
export function startNats(
  t: Test,
  more: (dir: string) => string[] = () => [],
): Promise<BrokerServer> {
  return startBroker(t, 'nats-server', /Server is ready/, (dir, port) => [
    'server_name: test',
    'listen: "127.0.0.1:-1"',
    `jetstream { store_dir: "${dir}" }`,
    `mqtt { listen: "127.0.0.1:${port}", max_ack_pending: 10000, ack_wait: "1s" }`,
    ...more(dir),
  ]);
}

async function startBroker(
  t: Test,
  program: Program,
  isReady: RegExp,
  config: (dir: string, port: number) => string[],
): Promise<BrokerServer> {
  const dir = await mkdtemp(join(tmpdir(), `milepost-${program}-`));
  const port = await freePort();
  const file = join(dir, 'broker.conf');
  await writeFile(file, `${config(dir, port).join('\n')}\n`);
  let child: ChildProcess | null = null;
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  };
  const start = async (): Promise<void> => {
    child = await launch(program, file, isReady);
  };
  t.teardown(async () => {
    await stop('SIGKILL');
    await rm(dir, { recursive: true, force: true });
  });
  await start();
  return { host: '127.0.0.1', port, dir, stop, start };
}

async function launch(program: Program, file: string, isReady: RegExp): Promise<ChildProcess> {
  const child = spawnBound(pathOf(program)!, ['-c', file], ['ignore', 'ignore', 'pipe']);
  const said: string[] = [];
  const lines = createInterface({ input: child.stderr! });
  await new Promise<void>((resolve, reject) => {
    lines.on('line', (line) => {
      if (said.push(line) > 50) said.shift();
      if (isReady.test(line)) resolve();
    });
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`${program} ended:\n${said.join('\n')}`)));
  });
  return child;
}

/**
 * A child that the kernel kills when this process ends, however it ends: a test that takes too long is killed and tears
 * nothing down. Where util-linux has no `setpriv`, it is a child like any other.
 */
export function spawnBound(path: string, args: string[], stdio: StdioOptions): ChildProcess {
  const isThere = spawnSync('setpriv', ['--version']).error === undefined;
  const [first, ...rest] = isThere ? [...SETPRIV, path, ...args] : [path, ...args];
  return spawn(first!, rest, { stdio });
}

const SETPRIV = ['setpriv', '--pdeathsig', 'KILL'];

async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
