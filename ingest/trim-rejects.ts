/** Keeps `ingest_reject` bounded: once a minute the oldest rows beyond the limit go. */
import type { Pool } from 'pg';
import type { Logger } from './logger.ts';

const TRIM_EVERY_MS = 60_000;

/** Starts trimming; the function it gives stops it. Ids count rows closely enough: they are handed out one by one. */
export function trimRejects(pool: Pool, rowsMax: number, log: Logger): () => void {
  const trim = (): void => {
    pool
      .query(
        `delete from ingest_reject
          where ingest_reject_id <= (select max(ingest_reject_id) from ingest_reject) - $1::bigint`,
        [rowsMax],
      )
      .catch((error: unknown) => log.warn({ err: error }, 'refused input could not be trimmed'));
  };
  const timer = setInterval(trim, TRIM_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}
