/**
 * What the server can do with the two time-series tables, and room for the days that are written to. Everything above
 * `db/` writes the same rows either way: hypertables make their own chunks, plain PostgreSQL gets a partition a day.
 */
import assert from 'node:assert/strict';
import type pg from 'pg';

/** `community` has the columnstore, continuous aggregates and policies; `apache` has hypertables alone. */
export type TimeSeriesLayout =
  | {
      readonly kind: 'timescale';
      readonly version: string;
      readonly edition: 'community' | 'apache';
    }
  | { readonly kind: 'partitions' };

const DAY_MS = 86_400_000;

// One set for each connection, so that nothing is remembered of a database longer than it is connected to.
const ensuredDays = new WeakMap<pg.ClientBase, Set<number>>();

/**
 * How the migrated database lays its time series out. Asks the tables, not only the extension: a database migrated
 * before TimescaleDB was installed keeps its partitions.
 */
export async function detectTimeSeries(client: pg.ClientBase): Promise<TimeSeriesLayout> {
  const { rows } = await client.query<{ version: string | null; partitioned: boolean }>(`
    select (select extversion from pg_extension where extname = 'timescaledb') as version,
           exists (select from pg_partitioned_table
                   where partrelid = 'public.equipment_gps_location'::regclass) as partitioned`);
  const { version, partitioned } = rows[0]!;
  if (version === null || partitioned) return { kind: 'partitions' };
  const { rows: licensed } = await client.query<{ community: boolean }>(
    'select _timescaledb_functions.tsl_loaded() as community',
  );
  return { kind: 'timescale', version, edition: licensed[0]!.community ? 'community' : 'apache' };
}

/**
 * Makes room for rows of every UTC day from `firstMs` to `lastMs` (epoch milliseconds, both included), at most 100
 * days back and 10 ahead of the server's clock; beyond that the server raises 22023. Days that this connection has
 * already asked for cost nothing. Runs by itself, never within a transaction: days would be remembered that a rollback
 * took back. Writers of other transactions are not held up. Gives how many partitions were made, 0 on TimescaleDB.
 */
export async function ensureTimePartitions(
  client: pg.ClientBase,
  firstMs: number,
  lastMs: number,
): Promise<number> {
  assert(Number.isFinite(firstMs) && firstMs <= lastMs, 'a range of epoch milliseconds');
  assert(transactionStatus(client) === 'I', 'partitions are made outside a transaction');
  const known = ensuredDays.get(client) ?? new Set();
  const firstDay = Math.floor(firstMs / DAY_MS);
  const lastDay = Math.floor(lastMs / DAY_MS);
  if (isCovered(known, firstDay, lastDay)) return 0;
  const { rows } = await client.query<{ made: number }>(
    'select ensure_time_partitions($1, $2) as made',
    [new Date(firstMs).toISOString(), new Date(lastMs).toISOString()],
  );
  for (let day = firstDay; day <= lastDay; day++) known.add(day);
  ensuredDays.set(client, known);
  return rows[0]!.made;
}

function isCovered(known: ReadonlySet<number>, firstDay: number, lastDay: number): boolean {
  for (let day = firstDay; day <= lastDay; day++) if (!known.has(day)) return false;
  return true;
}

// 'I' idle, 'T' in a transaction, 'E' in a failed one. @types/pg does not list the method yet.
function transactionStatus(client: pg.ClientBase): string | undefined {
  return (client as unknown as { getTransactionStatus(): string }).getTransactionStatus();
}

/**
 * One sentence for every server setting under which a committed row could be lost; an empty list when the promise "not
 * acknowledged before committed" holds. Looks at the settings of the asking session.
 */
export async function durabilityWarnings(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ name: string; setting: string }>(
    `select name, setting from pg_settings
     where name in ('fsync', 'synchronous_commit', 'full_page_writes') order by name`,
  );
  return rows
    .filter((row) => row.setting === 'off')
    .map((row) => `${row.name} is off: ${DURABILITY_RISKS[row.name]}`);
}

const DURABILITY_RISKS: Record<string, string> = {
  fsync: 'a crash of the machine may lose or damage committed rows',
  full_page_writes: 'a crash of the machine may damage pages beyond repair',
  synchronous_commit: 'a crash of the server may lose rows that were already acknowledged',
};
