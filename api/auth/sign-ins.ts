/**
 * Notes when people were last here: at most once an hour for each, all of those that came in meanwhile by one statement,
 * and never in the way of a request. What cannot be written, or is too much at once, is left out.
 */
import type pg from 'pg';

/** Milliseconds for which a person who was noted is not noted again; the database leaves out who was noted by others. */
export const SIGN_IN_NOTE_MS_MIN = 3_600_000;
/** People that wait to be noted; more are left out until the next time they come. */
export const SIGN_IN_QUEUE_MAX = 1_000;
/** People who are remembered as noted; beyond, all are forgotten, and the database sorts it out. */
export const SIGN_IN_REMEMBERED_MAX = 20_000;

export interface SignIns {
  /** Returns at once. */
  note(userId: number): void;
  /** Resolves when all that was noted has been written, or given up. */
  settle(): Promise<void>;
}

/** Makes a notebook over a pool of the API's role. */
export function createSignIns(options: {
  readonly pool: pg.Pool;
  readonly onError: (error: unknown) => void;
  /** Epoch milliseconds; the machine's clock when left out. */
  readonly now?: () => number;
}): SignIns {
  const { pool, onError } = options;
  const now = options.now ?? Date.now;
  const notedMs = new Map<number, number>();
  const waiting = new Set<number>();
  let writing: Promise<void> | null = null;

  async function write(): Promise<void> {
    while (waiting.size > 0) {
      const userIds = [...waiting];
      waiting.clear();
      try {
        await pool.query('select note_sign_ins($1)', [userIds]);
      } catch (error) {
        for (const userId of userIds) notedMs.delete(userId);
        onError(error);
        return;
      }
    }
  }

  return {
    note(userId) {
      const nowMs = now();
      const beforeMs = notedMs.get(userId);
      if (beforeMs !== undefined && nowMs - beforeMs < SIGN_IN_NOTE_MS_MIN) return;
      if (waiting.size >= SIGN_IN_QUEUE_MAX) return;
      if (notedMs.size >= SIGN_IN_REMEMBERED_MAX) notedMs.clear();
      notedMs.set(userId, nowMs);
      waiting.add(userId);
      writing ??= write().finally(() => (writing = null));
    },
    async settle() {
      await writing;
    },
  };
}
