/**
 * The log of changes (migrations/0037_record_changes.sql), read from a position on. Its numbers are in the order of the
 * commits, so whoever has seen one has seen all below it.
 */
import type { Reader } from '../../db/tenancy.ts';
import { readAsTenant } from '../../db/tenancy.ts';
import type { Entry, Operation, Reading } from './feed.ts';

/** How long entries are kept. Who comes back later begins anew. */
export const CHANGE_KEEP_MS = 30 * 86_400_000;
/** Entries of the tenant that are looked through for one page, of all resources and accounts. */
const WINDOW_ROWS_MAX = 5_000;

/** A number of the log, and when it was drawn, in microseconds of the epoch; number 0: when nothing was there yet. */
export interface LogPosition {
  readonly id: number;
  readonly us: number;
}

export interface LogPage {
  /** In the order of the log; of each row the last. */
  readonly entries: readonly Entry[];
  readonly end: LogPosition;
  /** Nothing more was there. */
  readonly isAll: boolean;
}

/** Where the log of the tenant stands. */
export async function readHead({ pool, reader }: Reading, nowMs: number): Promise<LogPosition> {
  const statement = { text: 'select end_id, end_us from record_change_head()', values: [] };
  const [head] = await readAsTenant<{ end_id: number; end_us: number }>(pool, reader, statement);
  return head ? { id: head.end_id, us: head.end_us } : { id: 0, us: nowMs * 1_000 };
}

interface WindowRow {
  readonly is_known: boolean;
  readonly end_id: number;
  readonly end_us: number;
  readonly is_all: boolean;
  readonly record_change_id: number | null;
  readonly us: number;
  readonly entity_type: string;
  readonly entity_id: string;
  readonly operation: Operation;
  readonly version: number | null;
  readonly changed_at: Date;
}

// The function tells how far, of all accounts; what is in between is read as the caller may.
const READ_SQL = `
  select w.*, c.* from record_change_window($1, $2, $3) w left join lateral (
    select c.record_change_id, c.entity_type, c.entity_id, c.operation, c.version, c.changed_at,
      (extract(epoch from c.changed_at) * 1000000)::bigint as us
    from record_change c
    where c.record_change_id > $1 and c.record_change_id <= w.end_id and c.entity_type = any ($4::text[])
    order by c.record_change_id limit $5) c on true
  order by c.record_change_id`;

/**
 * Entries of these tables after a position, up to so many. Null: what came after it is not all there any more, or it is
 * none of this database's.
 */
export async function readLog(
  { pool, reader }: { readonly pool: Reading['pool']; readonly reader: Reader },
  since: LogPosition,
  kinds: readonly string[],
  { entriesMax, nowMs }: { entriesMax: number; nowMs: number },
): Promise<LogPage | null> {
  if (since.id === 0 && nowMs - since.us / 1_000 >= CHANGE_KEEP_MS) return null;
  const values = [since.id, since.us, WINDOW_ROWS_MAX, kinds, entriesMax + 1];
  const rows = await readAsTenant<WindowRow>(pool, reader, { text: READ_SQL, values });
  const { is_known, end_id, end_us, is_all } = rows[0]!;
  if (!is_known) return null;
  const found = rows.filter(({ record_change_id }) => record_change_id !== null);
  if (found.length > entriesMax) {
    const entries = found.slice(0, entriesMax);
    const last = entries.at(-1)!;
    const end = { id: last.record_change_id!, us: last.us };
    return { entries: folded(entries), end, isAll: false };
  }
  // Of a log without entries the moment alone is known, until which there were none.
  const end = end_id === 0 ? { id: 0, us: nowMs * 1_000 } : { id: end_id, us: end_us };
  return { entries: folded(found), end, isAll: is_all };
}

/** Of several changes of one row the last; one that was made among them is still new. */
function folded(rows: readonly Entry[]): Entry[] {
  const last = new Map<string, Entry>();
  for (const entry of rows) {
    const key = `${entry.entity_type} ${entry.entity_id}`;
    const isNew = last.get(key)?.operation === 'created' && entry.operation === 'updated';
    last.delete(key);
    last.set(key, isNew ? { ...entry, operation: 'created' } : entry);
  }
  return [...last.values()];
}
