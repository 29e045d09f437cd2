/**
 * The compiled program, built at most once for many test processes. Knows when `dist/` is older than its sources;
 * refuses to know what is done with it.
 *
 * The build writes into `dist/`, which other test processes may be starting programs from. So every build, and every
 * start, goes on under one lock: an advisory lock of the server under test, which ends with the process that holds it.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import pg from 'pg';
import { testServerUrl } from '../../db/test-database.ts';

/** Where package.json lies, whether this file runs as it is or compiled. */
export const projectDir = resolve(
  import.meta.dirname,
  import.meta.dirname.includes('dist') ? '../../..' : '../..',
);

/** Says which sources `dist/` was last built from. */
const STAMP = join(projectDir, 'dist/.sources');
const SOURCES = ['api', 'bench', 'db', 'engine', 'ingest', 'migrations', 'scripts', 'web'];
const BUILD_LOCK = 7_430_101;

/** Runs `work` while no other test process builds or starts the program. */
export async function withBuildLock<T>(work: () => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: testServerUrl() });
  await client.connect();
  try {
    await client.query('select pg_advisory_lock($1)', [BUILD_LOCK]);
    return await work();
  } finally {
    await client.end();
  }
}

/** Builds when the sources are not those that `dist/` was built from. To be called under the lock. */
export async function ensureBuilt(): Promise<void> {
  const stamp = await sourcesStamp();
  if ((await readFile(STAMP, 'utf8').catch(() => '')) === stamp) return;
  const child = spawn('npm', ['run', 'build'], {
    cwd: projectDir,
    env: plainEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`npm run build failed:\n${output}`);
  await noteBuilt(stamp);
}

/** Remembers that `dist/` was built from sources with this stamp. To be called under the lock. */
export async function noteBuilt(stamp: string): Promise<void> {
  await writeFile(STAMP, stamp);
}

/** Another text for every change of a source file. */
export async function sourcesStamp(): Promise<string> {
  const hash = createHash('sha256');
  const top = (await readdir(projectDir)).filter((name) => /\.(ts|json)$/.test(name));
  const below = await Promise.all(SOURCES.map((folder) => filesOf(folder)));
  for (const path of [...top, ...below.flat()].sort()) {
    const { mtimeMs, size } = await stat(join(projectDir, path));
    hash.update(`${path} ${mtimeMs} ${size}\n`);
  }
  return hash.digest('hex');
}

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(join(projectDir, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(projectDir.length + 1));
}

/** What a user's shell has, and none of the settings or loaders of the test run. */
export function plainEnvironment(): Record<string, string> {
  const env: Record<string, string> = { npm_config_update_notifier: 'false' };
  for (const name of ['PATH', 'HOME', 'USER', 'LANG', 'TMPDIR']) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}
