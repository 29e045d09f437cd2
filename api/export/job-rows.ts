/**
 * Export jobs in the database: what a request does with its own, and what a runner does with anybody's. Knows the table and
 * its two functions (migrations/0025_exports.sql), and nothing of files.
 */
import { and, eq, inArray, sql } from 'drizzle-orm';
import type pg from 'pg';
import { exportJob } from '../../db/schema.ts';
import { withTenant, type TenantDb } from '../../db/tenancy.ts';

export type ExportFormat = (typeof exportJob.format.enumValues)[number];

/** A job that has been taken, as far as it concerns the one who writes its file. */
export interface ExportJob {
  readonly exportJobId: number;
  readonly customerId: number;
  readonly userId: number;
  /** The accounts that its rows may belong to; null is every account. */
  readonly accountIds: readonly number[] | null;
  readonly resource: string;
  readonly format: ExportFormat;
  readonly query: Readonly<Record<string, unknown>>;
  readonly storageKey: string;
  /** Of all tries, from 1. */
  readonly tryCount: number;
}

/** A file that is wanted no more. */
export interface UnwantedFile {
  readonly customerId: number;
  readonly exportJobId: number;
  readonly storageKey: string;
}

/** How a try ended, but for a job that is no longer the runner's own. */
export type ExportOutcome =
  | { readonly status: 'ready'; readonly sizeBytes: number; readonly ageMsMax: number }
  | { readonly status: 'failed'; readonly errorCode: string; readonly isRemoved: boolean }
  /** Back into the queue; the try does not count. */
  | { readonly status: 'queued'; readonly isRemoved: boolean };

/**
 * Cancels a job of the user that `db` works for, unless it is over. Gives whether it did. A runner notices at its next
 * progress and removes what it wrote.
 */
export async function cancelExportJob(db: TenantDb, exportJobId: number): Promise<boolean> {
  const cancelled = await db
    .update(exportJob)
    .set({ status: 'cancelled', finished_at: sql`now()` })
    .where(
      and(
        eq(exportJob.export_job_id, exportJobId),
        inArray(exportJob.status, ['queued', 'running']),
      ),
    )
    .returning({ id: exportJob.export_job_id });
  return cancelled.length > 0;
}

/** Takes the job that has waited longest, of any tenant that has fewer than `perTenantMax` running; null when there is none. */
export async function takeExportJob(
  pool: pg.Pool,
  runnerId: string,
  perTenantMax: number,
): Promise<ExportJob | null> {
  const { rows } = await pool.query<typeof exportJob.$inferSelect>(
    'select * from take_export_job($1, $2)',
    [runnerId, perTenantMax],
  );
  const row = rows[0];
  if (row === undefined) return null;
  return {
    exportJobId: row.export_job_id,
    customerId: row.customer_id,
    userId: row.user_id,
    accountIds: row.account_ids,
    resource: row.resource,
    format: row.format,
    query: row.query,
    storageKey: row.storage_key!,
    tryCount: row.try_count,
  };
}

/**
 * Requeues or fails jobs whose runner was not seen for `lostMsMax`, lets files expire, and gives files to be removed; after
 * that, {@link forgetFile}.
 */
export async function sweepExportJobs(
  pool: pg.Pool,
  options: { lostMsMax: number; triesMax: number; filesMax: number },
): Promise<UnwantedFile[]> {
  const { rows } = await pool.query<{
    customer_id: number;
    export_job_id: number;
    storage_key: string;
  }>(`select * from sweep_export_jobs($1 * interval '1 millisecond', $2, $3)`, [
    options.lostMsMax,
    options.triesMax,
    options.filesMax,
  ]);
  return rows.map((row) => ({
    customerId: row.customer_id,
    exportJobId: row.export_job_id,
    storageKey: row.storage_key,
  }));
}

/** The file has been removed. */
export async function forgetFile(pool: pg.Pool, file: UnwantedFile): Promise<void> {
  await asSystem(pool, file, (client) =>
    client.query(
      `update export_job set storage_key = null
       where export_job_id = $1 and storage_key = $2 and status not in ('running', 'ready')`,
      [file.exportJobId, file.storageKey],
    ),
  );
}

/** Tells how far the job is, and that its runner lives. False: it was cancelled, or is not this try's any more. */
export async function beatExportJob(
  pool: pg.Pool,
  job: ExportJob,
  rowsDone: number,
): Promise<boolean> {
  const { rowCount } = await asSystem(pool, job, (client) =>
    client.query(
      `update export_job set rows_done = $3, beat_at = now()
       where export_job_id = $1 and storage_key = $2 and status = 'running'`,
      [job.exportJobId, job.storageKey, rowsDone],
    ),
  );
  return rowCount === 1;
}

/** Writes down how the try ended. False: it was cancelled, or is not this try's any more, and nothing was written. */
export async function settleExportJob(
  pool: pg.Pool,
  job: ExportJob,
  rowsDone: number,
  outcome: ExportOutcome,
): Promise<boolean> {
  const { status } = outcome;
  const isReady = status === 'ready';
  const { rowCount } = await asSystem(pool, job, (client) =>
    client.query(
      `update export_job
       set status = $3, rows_done = $4, size_bytes = $5, error_code = $6, runner_id = null, beat_at = null,
           finished_at = case when $3 <> 'queued' then now() end,
           expires_at = now() + $7 * interval '1 millisecond',
           storage_key = case when $8 then null else storage_key end,
           try_count = try_count - case when $3 = 'queued' then 1 else 0 end
       where export_job_id = $1 and storage_key = $2 and status = 'running'`,
      [
        job.exportJobId,
        job.storageKey,
        status,
        status === 'queued' ? 0 : rowsDone,
        isReady ? outcome.sizeBytes : null,
        status === 'failed' ? outcome.errorCode : null,
        isReady ? outcome.ageMsMax : null,
        !isReady && outcome.isRemoved,
      ],
    ),
  );
  return rowCount === 1;
}

// No user and no accounts: the runner works for the system.
function asSystem<T>(
  pool: pg.Pool,
  { customerId }: { readonly customerId: number },
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  return withTenant(pool, { customerId, accountIds: null }, (_db, client) => work(client));
}
