/**
 * The notes that ingestion leaves of what each batch has moved and brought (`telemetry_change`), read from a position on. They
 * are in the order of the numbers of their transactions, and are read up to the lowest that is still at work: what is
 * below it is finished, and what comes later has a higher one.
 */
import { sql, type SQL } from 'drizzle-orm';
import { readAsTenant, readJsonAsTenant } from '../../db/tenancy.ts';
import { toStatement } from '../resources/query.ts';
import type { Item, Reading, Stream, StreamPosition } from './feed.ts';

/** How long the notes are kept. Who comes back later is told every row. */
export const TELEMETRY_KEEP_MS = 7_200_000;
/** A position that is older is not gone on from: what follows it may be about to be removed. */
const POSITION_AGE_MS_MAX = TELEMETRY_KEEP_MS / 2;
/** A note below a position that was written so much later than the position was given: the database was set back. */
const SET_BACK_MS_MIN = 60_000;
/** Notes of one page, and units or metrics that they name, bar the last note. */
const NOTES_MAX = 1_000;
const SCANNED_MAX = 5_000;

/** What is looked up for the rows of `scanned` (written_xid, telemetry_change_id, ord, source_id, metric_code, since_at, until_at). */
export interface StreamRows {
  readonly isMetrics: boolean;
  /** Columns that are shown. */
  readonly shown: SQL;
  /** Beside them: `as "~key"`, what the item is told by, and `as "~at"`, when it came. */
  readonly beside: SQL;
  /** Joins to `scanned s`, and the condition under which it is newest. */
  readonly from: SQL;
  itemOf(json: string, key: string, at: string): Item;
}

/** Up to where everything is finished, and when; not before the newest note, also where the clock was set back. */
const BOUND = sql`select b.xmin, extract(epoch from now()) * 1000 as now_ms,
    (extract(epoch from greatest(now(), (
      select c.written_at from telemetry_change c where c.written_xid < b.xmin
      order by c.written_xid desc, c.telemetry_change_id desc limit 1))) * 1000)::bigint as given_ms
  from (select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xmin) b`;

/** Makes the stream of one kind of notes. */
export function streamOf(rows: StreamRows): Stream {
  return {
    async begin({ pool, reader }) {
      const [now] = await readAsTenant<{ xmin: number; given_ms: number }>(
        pool,
        reader,
        toStatement(BOUND),
      );
      return [now!.xmin, 0, 0, now!.given_ms];
    },
    async read(reading, position, itemsMax) {
      const read = await readNotes(reading, rows, position, itemsMax + 1);
      if (read === null) return null;
      const { hits, end, isAll } = read;
      const cut = hits.length > itemsMax ? hits[itemsMax - 1]! : null;
      const last = new Map<string, Item>();
      for (const { key, item } of hits.slice(0, itemsMax)) {
        last.delete(key);
        last.set(key, item);
      }
      const items = [...last.values()];
      if (cut) return { items, position: cut.place, isAll: false };
      return { items, position: end, isAll };
    },
  };
}

interface Hit {
  readonly place: StreamPosition;
  readonly key: string;
  readonly item: Item;
}

interface Notes {
  readonly hits: readonly Hit[];
  /** After everything that was looked through. */
  readonly end: StreamPosition;
  readonly isAll: boolean;
}

/** Null: the position is too old, or of another database. */
async function readNotes(
  { pool, reader }: Reading,
  rows: StreamRows,
  position: StreamPosition,
  hitsMax: number,
): Promise<Notes | null> {
  const statement = toStatement(notesSql(rows, position, hitsMax));
  const answer = await readJsonAsTenant(pool, reader, statement);
  const [xmin, givenMs, isLost, isAll, ...noted] = answer[0]!.aside;
  if (isLost === 't') return null;
  // Whoever is still behind is as old as the note that was read last.
  const end = isAll === 't' ? [Number(xmin), 0, 0, Number(givenMs)] : noted.slice(0, 4).map(Number);
  const hits = answer
    .map(({ json, aside }) => ({ json, hit: aside.slice(8) }))
    .filter(({ hit }) => hit[0] !== null)
    .map(({ json, hit }): Hit => {
      const [key, at] = hit.slice(4);
      const place = hit.slice(0, 4).map(Number);
      return { place, key: key!, item: rows.itemOf(json, key!, at!) };
    });
  return { hits, end, isAll: isAll === 't' };
}

function notesSql(rows: StreamRows, position: StreamPosition, hitsMax: number): SQL {
  const [xid, id, ord, givenMs] = position;
  const isKind = rows.isMetrics ? sql`metric_codes is not null` : sql`metric_codes is null`;
  return sql`with at as (
    select ${xid}::bigint as xid, ${id}::bigint as id, ${ord}::bigint as ord, ${givenMs}::bigint as given_ms
  ), bound as materialized (${BOUND}), note as materialized (
    select n.*, (extract(epoch from n.written_at) * 1000)::bigint as noted_ms from (
      select c.*, sum(c.source_count) over (order by c.written_xid, c.telemetry_change_id) - c.source_count as before
      from (
        select c.* from telemetry_change c
        where (c.written_xid, c.telemetry_change_id) >= (${xid}::bigint, ${id}::bigint)
          and not (c.written_xid = ${xid} and c.telemetry_change_id = ${id} and c.source_count <= ${ord})
          and c.written_xid < (select xmin from bound) and c.${isKind}
        order by c.written_xid, c.telemetry_change_id limit ${NOTES_MAX}) c) n
    where n.before < ${SCANNED_MAX}
  ), scanned as materialized (
    select n.written_xid, n.telemetry_change_id, n.noted_ms, n.since_at, n.until_at, u.source_id, m.metric_code,
      (u.ord - 1) * coalesce(cardinality(n.metric_codes), 1) + m.ord as ord
    from note n cross join at
    cross join unnest(n.source_ids) with ordinality u (source_id, ord)
    cross join unnest(coalesce(n.metric_codes, '{-}')) with ordinality m (metric_code, ord)
    where (n.written_xid, n.telemetry_change_id) <> (at.xid, at.id)
      or (u.ord - 1) * coalesce(cardinality(n.metric_codes), 1) + m.ord > at.ord
  ), last as (
    select n.written_xid, n.telemetry_change_id, n.source_count, n.noted_ms from note n
    order by n.written_xid desc, n.telemetry_change_id desc limit 1
  )
  select b.xmin as "~xmin", b.given_ms as "~given",
    at.xid > b.xmin or b.now_ms - at.given_ms > ${POSITION_AGE_MS_MAX}
      or exists (
        select from (
          select c.written_at from telemetry_change c where c.written_xid < at.xid
          order by c.written_xid desc, c.telemetry_change_id desc limit 1) c
        where extract(epoch from c.written_at) * 1000 > at.given_ms + ${SET_BACK_MS_MIN}) as "~lost",
    not exists (
      select from telemetry_change c
      where (c.written_xid, c.telemetry_change_id)
          > ((select written_xid from last), (select telemetry_change_id from last))
        and c.written_xid < b.xmin and c.${isKind}) as "~all",
    l.written_xid as "~end_xid", l.telemetry_change_id as "~end_id", l.source_count as "~end_ord",
    l.noted_ms as "~end_noted", h.*
  from bound b cross join at left join last l on true left join lateral (
    select ${rows.shown}, s.written_xid as "~xid", s.telemetry_change_id as "~id", s.ord as "~ord",
      s.noted_ms as "~noted", ${rows.beside}
    from (select * from scanned order by written_xid, telemetry_change_id, ord) s ${rows.from}
    order by s.written_xid, s.telemetry_change_id, s.ord limit ${hitsMax}) h on true
  order by h."~xid", h."~id", h."~ord"`;
}
