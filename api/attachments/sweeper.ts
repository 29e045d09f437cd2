/**
 * Removes bytes that no attachment needs: of uploads that came to nothing, of attachments that are expired, and of those
 * deleted long enough ago. The rows stay. Works from the list of keys in the database, so a store need not list.
 */
import type pg from 'pg';
import { withTenant } from '../../db/tenancy.ts';
import { startRounds } from '../rounds.ts';
import type { AttachmentLimits } from './limits.ts';
import { forgetContent } from './records.ts';
import type { AttachmentStore } from './store.ts';

export interface SweepOptions {
  /** Connections of the role `milepost_api`. */
  readonly pool: pg.Pool;
  readonly store: AttachmentStore;
  readonly limits: AttachmentLimits;
  readonly onError: (error: unknown) => void;
}

/** Before this many times the age of an upload that may yet be completed, its bytes are left alone. */
const AGE_MARGIN = 2;

/**
 * One round; gives the number of files removed. A file that cannot be removed is told to `onError` and tried again in the
 * next round.
 */
export async function sweepAttachments(options: SweepOptions): Promise<number> {
  const { pool, limits } = options;
  const { deletedKeepMs, uploadAgeMsMax, sweepRowsMax } = limits;
  let removed = 0;
  for (;;) {
    const { rows } = await pool.query<{ customer_id: number | string; storage_key: string }>(
      'select customer_id, storage_key from attachment_content_unused($1, $2, $3)',
      [deletedKeepMs, uploadAgeMsMax * AGE_MARGIN, sweepRowsMax],
    );
    let removedNow = 0;
    for (const row of rows) {
      if (await removeOne(options, Number(row.customer_id), row.storage_key)) removedNow += 1;
    }
    removed += removedNow;
    if (rows.length < sweepRowsMax || removedNow === 0) return removed;
  }
}

async function removeOne(
  { pool, store, onError }: SweepOptions,
  customerId: number,
  key: string,
): Promise<boolean> {
  try {
    await store.remove(key);
    await withTenant(pool, { customerId, accountIds: null }, (db) => forgetContent(db, key));
    return true;
  } catch (error) {
    onError(error);
    return false;
  }
}

/** Sweeps in turns until the function that it gives is called. */
export function startSweeping(options: SweepOptions): () => Promise<void> {
  return startRounds(options.limits.sweepMs, () => sweepAttachments(options), options.onError);
}
