/**
 * What `npm test` and `npm run test:timescale` run: a database server, a migrated template in it, tap over the tests, and
 * the server stopped again whatever happened. `--timescale` takes the server of `scripts/timescale.ts` and the
 * `*.db.test.ts` files alone. All other arguments go to tap: paths of test files, or its options.
 *
 * The last line is `N passed, N failed, N skipped`. The exit code is tap's; 3 where TimescaleDB cannot run.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants, mkdtemp, rm, statfs } from 'node:fs/promises';
import { constants as osConstants, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { startEmbeddedPostgres } from '../db/embedded.ts';
import { administer, databaseUrl, TEMPLATE_DATABASE } from '../db/test-database.ts';
import { migrate } from '../migrations/run.ts';
import { countTap, createTapView } from './tap-output.ts';
import {
  setupTimescale,
  startTimescale,
  stopTimescale,
  TimescaleUnavailable,
  UNAVAILABLE_EXIT_CODE,
} from './timescale.ts';

interface Server {
  readonly url: string;
  stop(): Promise<void>;
}

const projectDir = resolve(import.meta.dirname, '..');
const DB_TESTS = '**/*.db.test.ts';

/** Linux keeps in memory what is written here. */
const MEMORY_DIR = '/dev/shm';
/** Free bytes there, of which the databases and their log take half. */
const MEMORY_BYTES_MIN = 2 * 1_024 ** 3;
const WAL_SIZE_MAX = '256MB';

/** Connections that all test files together may hold. */
const CONNECTIONS_MAX = 300;

async function main(): Promise<number> {
  const isTimescale = process.argv.includes('--timescale');
  const args = process.argv.slice(2).filter((arg) => arg !== '--timescale');
  if (isTimescale && !args.some((arg) => !arg.startsWith('-'))) args.push(`--include=${DB_TESTS}`);
  // Ctrl-C and kill end tap; we go on to stop the server.
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const stopping: NodeJS.Signals[] = [];
  for (const name of signals) process.on(name, () => stopping.push(name));
  // A reader of our output that went away, such as `head`, is no reason to leave the server behind.
  process.stdout.on('error', () => undefined);
  const workDir = await mkdtemp(join(await scratchDir(), 'milepost-test-'));
  try {
    const server = isTimescale ? await timescaleServer() : await embeddedServer(workDir);
    try {
      await makeTemplate(server.url);
      if (stopping.length > 0) return 128 + osConstants.signals[stopping[0]!];
      return await runTap(args, server.url);
    } finally {
      await server.stop();
    }
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

/**
 * Where the server's files lie: in memory where there is room. Every test file has databases of its own, each a thousand
 * files that are made and removed again.
 */
async function scratchDir(): Promise<string> {
  try {
    await access(MEMORY_DIR, constants.W_OK);
    const { bavail, bsize } = await statfs(MEMORY_DIR);
    if (bavail * bsize >= MEMORY_BYTES_MIN) return MEMORY_DIR;
  } catch {
    // Not Linux, or not for us.
  }
  return tmpdir();
}

async function embeddedServer(workDir: string): Promise<Server> {
  const server = await startEmbeddedPostgres({
    dataDir: workDir,
    port: 0,
    durable: false,
    settings: { max_connections: String(CONNECTIONS_MAX), max_wal_size: WAL_SIZE_MAX },
  });
  return {
    url: databaseUrl(server.connectionString, 'postgres'),
    stop: () => server.stop(),
  };
}

async function timescaleServer(): Promise<Server> {
  await setupTimescale((message) => console.error(message));
  const server = await startTimescale({
    durable: false,
    settings: { max_connections: String(CONNECTIONS_MAX) },
  });
  return { url: server.connectionString, stop: () => stopTimescale(server) };
}

async function makeTemplate(serverUrl: string): Promise<void> {
  await administer(serverUrl, `create database ${TEMPLATE_DATABASE}`);
  await migrate(databaseUrl(serverUrl, TEMPLATE_DATABASE));
  // TimescaleDB keeps a worker in every database that takes connections, and such a database cannot be cloned.
  await administer(serverUrl, `alter database ${TEMPLATE_DATABASE} with allow_connections false`);
  await administer(
    serverUrl,
    `select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = '${TEMPLATE_DATABASE}'`,
  );
}

async function runTap(args: string[], serverUrl: string): Promise<number> {
  const tap = join(projectDir, 'node_modules/.bin/tap');
  const child = spawn(process.execPath, [tap, '--reporter=tap', ...args], {
    cwd: projectDir,
    stdio: ['inherit', 'pipe', 'inherit'],
    env: { ...process.env, TEST_DATABASE_URL: serverUrl },
  });
  // The terminal tells tap itself; a plain kill of the runner does not.
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  const ended = once(child, 'exit');
  // Another reporter's output is shown as it comes; tap closes with the same comment under all of them.
  const isOwnReporter = args.some((arg) => /^(-R|--reporter)/.test(arg));
  const view = isOwnReporter ? console.log : createTapView(console.log);
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    view(line);
    lines.push(line);
  }
  const [code, signal] = (await ended) as [number | null, NodeJS.Signals | null];
  const exitCode = code ?? 128 + osConstants.signals[signal!];
  const counts = countTap(lines.join('\n'));
  for (const skip of counts.skips) console.log(`skipped: ${skip}`);
  // A failing exit is never summed up as a pass, whatever went wrong before anything could be counted.
  const failed = exitCode === 0 ? counts.failed : Math.max(counts.failed, 1);
  console.log(`${counts.passed} passed, ${failed} failed, ${counts.skipped} skipped`);
  return exitCode === 0 && failed > 0 ? 1 : exitCode;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof TimescaleUnavailable)) throw error;
  console.error(`TimescaleDB cannot run here: ${error.message}`);
  process.exitCode = UNAVAILABLE_EXIT_CODE;
}
