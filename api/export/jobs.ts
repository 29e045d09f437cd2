/**
 * Runs export jobs: takes them from the queue, writes their rows into a store of files, tells how far they are, and removes
 * files whose time is over. It knows neither what a resource is nor where files lie: both are handed in.
 *
 * States of the runner: idle → (run) running → (signal) stopping → stopped. States of a job: queued → running → ready →
 * expired; from queued and running to cancelled; from running to failed, or back to queued when the runner stops or was
 * lost. A job belongs to a try of one runner by its storage key: whoever finds another key, or another status, has lost it
 * and removes what it wrote.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { addAbortSignal } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { streamOfChunks } from './chunk-stream.ts';
import type { ExportColumn, ExportPages } from './columns.ts';
import { writeCsv } from './csv.ts';
import type { AttachmentStore } from '../attachments/store.ts';
import {
  beatExportJob,
  forgetFile,
  settleExportJob,
  sweepExportJobs,
  takeExportJob,
  type ExportJob,
  type ExportOutcome,
} from './job-rows.ts';
import { writeXlsx } from './xlsx.ts';

/** The rows of a job, and what is written of them. */
export interface ExportSource {
  readonly columns: readonly ExportColumn[];
  readonly pages: ExportPages;
  /** The name of the sheet. */
  readonly title: string;
}

export interface ExportRunnerOptions {
  /** Of the role `milepost_api`. Each running job takes a connection for a moment with each progress. */
  readonly pool: pg.Pool;
  readonly store: AttachmentStore;
  /**
   * Opens the rows of a job, as its tenant and held to its accounts. `signal` says that they are wanted no more. What it
   * throws fails the job, by its `code` where that begins with `EXPORT_`.
   */
  readonly runQuery: (job: ExportJob, signal: AbortSignal) => Promise<ExportSource> | ExportSource;
  /** Jobs that this runner writes at once, and that all runners write for one tenant at once; both ≥ 1. */
  readonly concurrencyMax: number;
  readonly perTenantMax: number;
  /** How long a file is kept once it is ready. */
  readonly ageMsMax: number;
  /** Told of what went wrong beside the jobs' own failures, and of the causes of those. */
  readonly onError?: (error: Error, job?: ExportJob) => void;
  readonly limits?: Partial<ExportLimits>;
}

export interface ExportLimits {
  /** Of one file. */
  readonly sizeBytesMax: number;
  /** Of one try. */
  readonly durationMsMax: number;
  /** Tries of a job whose runner was lost. */
  readonly triesMax: number;
  /** A runner that was not seen for so long is lost. */
  readonly lostMsMax: number;
  /** At least so long between two tellings of how far a job is. */
  readonly progressMs: number;
  /** Between two looks at the queue when nobody wakes the runner. */
  readonly pollMs: number;
}

export const EXPORT_LIMITS: ExportLimits = {
  sizeBytesMax: 1_073_741_824,
  durationMsMax: 3_600_000,
  triesMax: 3,
  lostMsMax: 60_000,
  progressMs: 1_000,
  pollMs: 5_000,
};

export interface ExportRunner {
  /**
   * Works until `signal`, once. Then the jobs under way are put back into the queue, and it resolves when they are. Never
   * rejects: a database or a store that is out of reach is told of and tried again.
   */
  run(signal: AbortSignal): Promise<void>;
  /** A job was asked for or cancelled: looks at the queue now. */
  wake(): void;
}

/** Files removed in one sweep. */
const SWEEP_FILES_MAX = 100;

const STOPPED = 'EXPORT_STOPPED';
const DONE = 'EXPORT_DONE';
const LOST = 'EXPORT_LOST';

/** Makes a runner that does nothing until `run`. Several may work on one database, in one process or many. */
export function createExportRunner(options: ExportRunnerOptions): ExportRunner {
  const { pool, concurrencyMax, perTenantMax, onError } = options;
  assert(concurrencyMax >= 1 && perTenantMax >= 1 && options.ageMsMax >= 1, 'limits are positive');
  const limits = { ...EXPORT_LIMITS, ...options.limits };
  const house: House = { ...options, limits, tell: (error, job) => onError?.(toError(error), job) };
  const runnerId = randomUUID();
  const active = new Set<Promise<void>>();
  let hasBegun = false;
  let isWoken = false;
  let wakeUp = () => undefined as void;

  const wake = () => {
    isWoken = true;
    wakeUp();
  };

  async function startJobs(signal: AbortSignal): Promise<void> {
    while (active.size < concurrencyMax && !signal.aborted) {
      const job = await takeExportJob(pool, runnerId, perTenantMax);
      if (job === null) return;
      const running = performJob(house, job, signal)
        .catch((error: unknown) => house.tell(error, job))
        .finally(() => {
          active.delete(running);
          wake();
        });
      active.add(running);
    }
  }

  async function rest(signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    wakeUp = () => woken.abort();
    if (!isWoken) await pause(limits.pollMs, AbortSignal.any([signal, woken.signal]));
    isWoken = false;
  }

  return {
    async run(signal) {
      assert(!hasBegun, 'a runner runs once');
      hasBegun = true;
      while (!signal.aborted) {
        try {
          await sweep(house);
          await startJobs(signal);
        } catch (error) {
          house.tell(error);
        }
        await rest(signal);
      }
      await Promise.all(active);
    },
    wake,
  };
}

interface House extends ExportRunnerOptions {
  readonly limits: ExportLimits;
  readonly tell: (error: unknown, job?: ExportJob) => void;
}

async function sweep(house: House): Promise<void> {
  const { pool, store, limits } = house;
  const files = await sweepExportJobs(pool, { ...limits, filesMax: SWEEP_FILES_MAX });
  for (const file of files) {
    try {
      await store.remove(file.storageKey);
      await forgetFile(pool, file);
    } catch (error) {
      // It is found again by the next sweep.
      house.tell(error);
    }
  }
}

/** What a try has done so far. */
interface Progress {
  rowsDone: number;
  /** Why it failed, where that is not the store's fault. */
  errorCode: string | null;
}

async function performJob(house: House, job: ExportJob, stop: AbortSignal): Promise<void> {
  const work = new AbortController();
  const onStop = () => work.abort(coded(STOPPED));
  const timer = setTimeout(() => work.abort(coded('EXPORT_TIMEOUT')), house.limits.durationMsMax);
  stop.addEventListener('abort', onStop);
  if (stop.aborted) onStop();
  const progress: Progress = { rowsDone: 0, errorCode: null };
  const beating = beat(house, job, progress, work);
  let outcome: ExportOutcome | null;
  try {
    const sizeBytes = await writeFile(house, job, progress, work.signal);
    outcome = { status: 'ready', sizeBytes, ageMsMax: house.ageMsMax };
  } catch (error) {
    const reason = work.signal.aborted ? codeOf(work.signal.reason) : null;
    const errorCode = reason ?? progress.errorCode ?? 'EXPORT_STORE_FAILED';
    if (reason === null) house.tell(error, job);
    outcome = await giveUp(house, job, errorCode);
  } finally {
    clearTimeout(timer);
    stop.removeEventListener('abort', onStop);
    work.abort(coded(DONE));
  }
  await beating;
  const isSettled =
    outcome !== null && (await settleExportJob(house.pool, job, progress.rowsDone, outcome));
  if (isSettled) return;
  await house.store.remove(job.storageKey);
  await forgetFile(house.pool, job);
}

/** Removes what was written. Null for a job that is no longer this try's own. */
async function giveUp(
  house: House,
  job: ExportJob,
  errorCode: string,
): Promise<ExportOutcome | null> {
  if (errorCode === LOST) return null;
  const isRemoved = await house.store.remove(job.storageKey).then(
    () => true,
    (error: unknown) => {
      // The key stays with the job, and the next sweep finds it.
      house.tell(error, job);
      return false;
    },
  );
  if (errorCode === STOPPED) return { status: 'queued', isRemoved };
  return { status: 'failed', errorCode, isRemoved };
}

/** Tells how far the job is, again and again; ends the work on a job that was cancelled or given to another. */
async function beat(
  { pool, limits, tell }: House,
  job: ExportJob,
  progress: Progress,
  work: AbortController,
): Promise<void> {
  for (;;) {
    await pause(limits.progressMs, work.signal);
    if (work.signal.aborted) return;
    try {
      if (!(await beatExportJob(pool, job, progress.rowsDone))) work.abort(coded(LOST));
    } catch (error) {
      tell(error, job);
    }
  }
}

/** Gives the bytes of the file. */
async function writeFile(
  { store, runQuery, limits }: House,
  job: ExportJob,
  progress: Progress,
  signal: AbortSignal,
): Promise<number> {
  signal.throwIfAborted();
  const source = await openSource(runQuery, { job, progress, signal });
  const pages = countedPages(source.pages, progress);
  const file =
    job.format === 'csv'
      ? writeCsv(source.columns, pages)
      : writeXlsx(source.columns, pages, { sheetName: source.title });
  const measured = streamOfChunks(measuredChunks(file, limits.sizeBytesMax, progress));
  // Whatever ends the reading ends the rows as well; why it ended, the store tells.
  measured.once('close', () => file.destroy());
  measured.on('error', () => undefined);
  addAbortSignal(signal, measured);
  const { sizeBytes } = await store.put(job.storageKey, measured, {
    sizeMax: limits.sizeBytesMax,
  });
  signal.throwIfAborted();
  return sizeBytes;
}

async function openSource(
  runQuery: House['runQuery'],
  { job, progress, signal }: { job: ExportJob; progress: Progress; signal: AbortSignal },
): Promise<ExportSource> {
  try {
    return await runQuery(job, signal);
  } catch (error) {
    progress.errorCode = queryCode(error);
    throw error;
  }
}

async function* countedPages(pages: ExportPages, progress: Progress): ExportPages {
  try {
    for await (const page of pages) {
      yield page;
      progress.rowsDone += page.length;
    }
  } catch (error) {
    progress.errorCode ??= queryCode(error);
    throw error;
  }
}

async function* measuredChunks(
  file: AsyncIterable<Buffer>,
  sizeBytesMax: number,
  progress: Progress,
): AsyncGenerator<Buffer, void> {
  let sizeBytes = 0;
  for await (const chunk of file) {
    sizeBytes += chunk.length;
    if (sizeBytes > sizeBytesMax) {
      progress.errorCode ??= 'EXPORT_TOO_LARGE';
      throw coded('EXPORT_TOO_LARGE');
    }
    yield chunk;
  }
}

function queryCode(error: unknown): string {
  const code = codeOf(error);
  return code !== null && /^EXPORT_[A-Z_]+$/.test(code) ? code : 'EXPORT_QUERY_FAILED';
}

function codeOf(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : null;
}

function coded(code: string): Error {
  return Object.assign(new Error(code), { code });
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** Ends early, without an error, when `signal` says so. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}
