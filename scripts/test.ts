/**
 * What `npm test` and `npm run test:timescale` run: the build, a database server, a migrated template in it, the compiled
 * tests, and the server stopped again whatever happened. `--timescale` takes the server of `scripts/timescale.ts` and the
 * `*.db.test.ts` files alone. Other arguments are paths of test files: those alone are run.
 *
 * The last line is `N passed, N failed, N skipped`. The exit code is 1 when something failed; 2 when an argument is no
 * test file; 3 where TimescaleDB cannot run; 128 and the signal's number when a signal ended it.
 */
import { access, constants, mkdtemp, rm, statfs } from 'node:fs/promises';
import { constants as osConstants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../db/embedded.ts';
import { administer, databaseUrl, TEMPLATE_DATABASE } from '../db/test-database.ts';
import { migrate } from '../migrations/run.ts';
import { build, BuildFailed, buildWebTests } from './build.ts';
import { runTests } from './run-tests.ts';
import { compiledPath, findTestFiles, NoTestFile, testFileOf } from './test-files.ts';
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

/** One more than the two cores of a modest machine: a test often waits for its database. */
const JOBS = 3;

/** Linux keeps in memory what is written here. */
const MEMORY_DIR = '/dev/shm';
/** Free bytes there, of which the databases and their log take half. */
const MEMORY_BYTES_MIN = 2 * 1_024 ** 3;
const WAL_SIZE_MAX = '256MB';

/** Connections that all test files together may hold. */
const CONNECTIONS_MAX = 300;

async function main(): Promise<number> {
  const isTimescale = process.argv.includes('--timescale');
  const paths = process.argv.slice(2).filter((arg) => arg !== '--timescale');
  const files = paths.length > 0 ? paths.map(testFileOf) : await findTestFiles(isTimescale);
  // Ctrl-C and kill end the tests; we go on to stop the server.
  const stopping = new AbortController();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of signals) process.on(name, () => stopping.abort(name));
  // A reader of our output that went away, such as `head`, is no reason to leave the server behind.
  process.stdout.on('error', () => undefined);
  await build();
  if (files.some((file) => file.startsWith('web/'))) await buildWebTests();
  const workDir = await mkdtemp(join(await scratchDir(), 'milepost-test-'));
  try {
    const server = isTimescale ? await timescaleServer() : await embeddedServer(workDir);
    try {
      await makeTemplate(server.url);
      return await run(files, server.url, stopping.signal);
    } finally {
      await server.stop();
    }
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

async function run(files: readonly string[], serverUrl: string, signal: AbortSignal) {
  const counts = await runTests({
    files: files.map((name) => ({ name, program: compiledPath(name) })),
    jobs: JOBS,
    env: { ...process.env, TEST_DATABASE_URL: serverUrl },
    print: console.log,
    signal,
  });
  for (const skip of counts.skips) console.log(`skipped: ${skip}`);
  // What was broken off is never summed up as a pass.
  const failed = signal.aborted ? Math.max(counts.failed, 1) : counts.failed;
  console.log(`${counts.passed} passed, ${failed} failed, ${counts.skipped} skipped`);
  if (signal.aborted) return 128 + osConstants.signals[signal.reason as NodeJS.Signals];
  return failed > 0 ? 1 : 0;
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

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof TimescaleUnavailable) {
    console.error(`TimescaleDB cannot run here: ${error.message}`);
    process.exitCode = UNAVAILABLE_EXIT_CODE;
  } else if (error instanceof BuildFailed) {
    console.error(error.message);
    process.exitCode = 1;
  } else if (error instanceof NoTestFile) {
    console.error(error.message);
    process.exitCode = 2;
  } else {
    throw error;
  }
}
