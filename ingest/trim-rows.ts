/** Keeps `ingest_reject` and `iot_device_event` bounded: once a minute the oldest rows beyond their limits go. */
import type { Pool } from 'pg';
import type { Logger } from './logger.ts';

const TRIM_EVERY_MS = 60_000;

export interface TrimLimits {
  /** Rows kept in `ingest_reject`. */
  readonly rejectRowsMax: number;
  /** Rows kept in `iot_device_event`. */
  readonly deviceEventRowsMax: number;
}

/** Starts trimming; the function it gives stops it. */
export function trimRows(pool: Pool, limits: TrimLimits, log: Logger): () => void {
  const timer = setInterval(() => {
    trimOnce(pool, limits).catch((error: unknown) =>
      log.warn({ err: error }, 'refused input and device events could not be trimmed'),
    );
  }, TRIM_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Deletes what is beyond the limits now. */
export async function trimOnce(pool: Pool, limits: TrimLimits): Promise<void> {
  // Ids of rejects count rows closely enough: they are handed out one by one.
  await pool.query(
    `delete from ingest_reject
      where ingest_reject_id <= (select max(ingest_reject_id) from ingest_reject) - $1::bigint`,
    [limits.rejectRowsMax],
  );
  // An event that is sent again takes an id and no row, so here rows are counted; ids only say whether it can be too many.
  await pool.query(
    `delete from iot_device_event
      where (select max(iot_device_event_id) - min(iot_device_event_id) from iot_device_event) >= $1::bigint
        and iot_device_event_id <= (
          select iot_device_event_id from iot_device_event order by iot_device_event_id desc offset $1::bigint limit 1)`,
    [limits.deviceEventRowsMax],
  );
}
