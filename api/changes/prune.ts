/** Removes what is older than what is kept of the log and of the notes of ingestion, so many rows in one transaction. */
import type pg from 'pg';
import { startRounds } from '../rounds.ts';
import { CHANGE_KEEP_MS } from './log.ts';
import { TELEMETRY_KEEP_MS } from './stream.ts';

export interface PruneOptions {
  /** Connections of the role `milepost_runner`. */
  readonly pool: pg.Pool;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
}

const PRUNE_EVERY_MS = 60_000;
/** Rows that are removed in one transaction. */
export const PRUNE_ROWS_MAX = 10_000;

/** One round; gives how many rows were removed. */
export async function pruneChanges({ pool, now }: PruneOptions): Promise<number> {
  const nowMs = now();
  const entries = await prune(pool, 'prune_record_changes', nowMs - CHANGE_KEEP_MS);
  const notes = await prune(pool, 'prune_telemetry_changes', nowMs - TELEMETRY_KEEP_MS);
  return entries + notes;
}

async function prune(
  pool: pg.Pool,
  name: 'prune_record_changes' | 'prune_telemetry_changes',
  beforeMs: number,
): Promise<number> {
  let removed = 0;
  for (;;) {
    const { rows } = await pool.query<{ removed: number }>(`select ${name}($1, $2) as removed`, [
      new Date(beforeMs),
      PRUNE_ROWS_MAX,
    ]);
    const removedNow = rows[0]!.removed;
    removed += removedNow;
    if (removedNow < PRUNE_ROWS_MAX) return removed;
  }
}

/** Prunes in turns until the function that it gives is called. */
export function startPruning(options: PruneOptions): () => Promise<void> {
  return startRounds(PRUNE_EVERY_MS, () => pruneChanges(options), options.onError);
}
