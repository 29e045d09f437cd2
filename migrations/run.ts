/**
 * Brings a database to the newest schema: the numbered SQL files beside this one, each in one transaction, each recorded
 * with its checksum in `schema_migration`. It refuses rather than guesses: a file that changed after it was applied,
 * or a database newer than this code, stops it. It knows nothing of what the files say.
 */
import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { projectDir } from '../db/project-dir.ts';

/** The folder of the SQL files, the same from source and from `dist/`. */
export const migrationsDir = join(projectDir, 'migrations');

/** Held while migrating, so that two starters take turns. Any number will do as long as it never changes. */
export const MIGRATION_LOCK = 7_461_982_305;

interface MigrationFile {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
}

/**
 * Applies what is missing and gives the names of the files applied, oldest first; an empty list when there was nothing
 * to do. Signs in as the connection string says: the tables' owner. Waits while another starter is migrating. A failing
 * file is rolled back whole and rejects with `MIGRATION_FAILED` and the cause; the files before it stay applied. Rejects
 * with `MIGRATION_CHANGED` or `MIGRATION_DATABASE_NEWER` before touching anything. On a server with TimescaleDB
 * loaded, a database without tables gets the extension first. `dir` is another folder of files, for tests.
 */
export async function migrate(
  connectionString: string,
  log: (message: string) => void = () => undefined,
  dir: string = migrationsDir,
): Promise<string[]> {
  const files = await readMigrations(dir);
  const client = new pg.Client({
    connectionString,
    application_name: 'milepost migrate',
    keepAlive: true,
  });
  // A lost connection also rejects the query under way, which is where it is dealt with.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(`set timezone to 'UTC'; set search_path to public`);
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    const applied = await prepare(client, files, log);
    const missing = files.filter((file) => !applied.has(file.version));
    for (const file of missing) {
      await apply(client, file);
      log(`applied ${file.name}`);
    }
    return missing.map((file) => file.name);
  } finally {
    // Ending the session also gives up the lock.
    await client.end();
  }
}

async function prepare(
  client: pg.Client,
  files: readonly MigrationFile[],
  log: (message: string) => void,
): Promise<Set<number>> {
  const { rows: found } = await client.query<{ known: boolean }>(
    `select to_regclass('public.schema_migration') is not null as known`,
  );
  if (!found[0]!.known) {
    if (await installTimescale(client)) log('created extension timescaledb');
    await client.query(`
      create table schema_migration (
        version integer primary key,
        name text not null,
        checksum text not null,
        applied_at timestamptz not null default now()
      )`);
  }
  const { rows } = await client.query<{ version: number; name: string; checksum: string }>(
    'select version, name, checksum from schema_migration order by version',
  );
  for (const row of rows) checkApplied(row, files);
  return new Set(rows.map((row) => row.version));
}

function checkApplied(
  row: { version: number; name: string; checksum: string },
  files: readonly MigrationFile[],
): void {
  const file = files.find((candidate) => candidate.version === row.version);
  if (file === undefined) {
    throw coded(
      'MIGRATION_DATABASE_NEWER',
      `the database has ${row.name}, which this version of Milepost does not know: start a newer one`,
    );
  }
  if (file.checksum !== row.checksum || file.name !== row.name) {
    throw coded(
      'MIGRATION_CHANGED',
      `${file.name} differs from the ${row.name} that was applied: put it back and add a new file instead`,
    );
  }
}

// Only into a database without our tables: laid out as partitions, they would not become hypertables by themselves.
// A setting of TimescaleDB's loader tells that it was preloaded; the list of libraries is for superusers to see.
async function installTimescale(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ usable: boolean }>(`
    select exists (select from pg_available_extensions where name = 'timescaledb')
       and current_setting('timescaledb.disable_load', true) is not null
       and not exists (select from pg_extension where extname = 'timescaledb') as usable`);
  if (!rows[0]!.usable) return false;
  await client.query('create extension timescaledb');
  return true;
}

async function apply(client: pg.Client, file: MigrationFile): Promise<void> {
  await client.query('begin');
  try {
    await client.query(file.sql);
    await client.query(
      'insert into schema_migration (version, name, checksum) values ($1, $2, $3)',
      [file.version, file.name, file.checksum],
    );
    await client.query('commit');
  } catch (cause) {
    await client.query('rollback').catch(() => undefined);
    throw coded(
      'MIGRATION_FAILED',
      `${file.name}${lineOf(file.sql, cause)}: ${String(cause)}`,
      cause,
    );
  }
}

function lineOf(sql: string, cause: unknown): string {
  const position = Number((cause as { position?: string }).position);
  return position > 0 ? `:${sql.slice(0, position).split('\n').length}` : '';
}

async function readMigrations(dir: string): Promise<MigrationFile[]> {
  const names = (await readdir(dir)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    names.map(async (name, index) => {
      const version = Number(/^(\d{4})_[a-z0-9_]+\.sql$/.exec(name)?.[1]);
      if (version !== index + 1) {
        throw coded('MIGRATION_NUMBERING', `${name} should be number ${index + 1} of ${dir}`);
      }
      const sql = (await readFile(join(dir, name), 'utf8')).replaceAll('\r\n', '\n');
      return { version, name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

function coded(code: string, message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, { cause }), { code });
}
