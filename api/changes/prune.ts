/** Removes entries of the log that are older than what is kept, a bounded number in one transaction. */
import type pg from 'pg';
import { startRounds } from '../rounds.ts';
import { CHANGE_KEEP_MS } from './log.ts';

export interface PruneOptions {
  /** Connections of the role `milepost_runner`. */
  readonly pool: pg.Pool;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
}

const PRUNE_EVERY_MS = 900_000;
/** Entries that are removed in one transaction. */
export const PRUNE_ROWS_MAX = 10_000;

/** One round; gives how many entries were removed. */
export async function pruneChanges({ pool, now }: PruneOptions): Promise<number> {
  const before = new Date(now() - CHANGE_KEEP_MS);
  let removed = 0;
  for (;;) {
    const { rows } = await pool.query<{ removed: number }>(
      'select prune_record_changes($1, $2) as removed',
      [before, PRUNE_ROWS_MAX],
    );
    const removedNow = rows[0]!.removed;
    removed += removedNow;
    if (removedNow < PRUNE_ROWS_MAX) return removed;
  }
}

/** Prunes in turns until the function that it gives is called. */
export function startPruning(options: PruneOptions): () => Promise<void> {
  return startRounds(PRUNE_EVERY_MS, () => pruneChanges(options), options.onError);
}
