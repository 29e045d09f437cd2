/**
 * One partition: one ordered queue, one engine state, one connection, one batch in flight. Everything of one unit goes
 * through the same partition, so a unit's data is evaluated in order.
 *
 * States: idle (queue empty) → lingering (waiting for more rows, at most `lingerMs`) → committing → idle or lingering;
 * idle → (something is due by the clock, or by an edit) committing a batch without rows → idle;
 * committing ⇄ backing off while the database is away, holding the batch and acknowledging nothing. `stop` lets the
 * queue run empty until its deadline, then gives up what is left, unacknowledged.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Pool, PoolClient } from 'pg';
import { ensureTimePartitions } from '../db/time-series.ts';
import type { Engine } from '../engine/engine.ts';
import type { Unanswered } from './answer-watch.ts';
import { Backoff } from './backoff.ts';
import { FillingBatch, type Batch } from './batch.ts';
import { commitBatch, commitWork, type CommitResult, type CommitWork } from './commit.ts';
import { halves, rowCount, withoutRows } from './divide.ts';
import type { FeedEvent } from './events.ts';
import {
  faultOf,
  isConnectionError,
  isPartitionMissing,
  isStaleReference,
  isTimeout,
  sqlState,
} from './faults.ts';
import type { LatestPosition } from './latest.ts';
import type { Logger } from './logger.ts';
import type { IngestMetrics } from './metrics.ts';
import { onlyRow, rejectOfRow } from './refused-row.ts';
import type { Tally } from './tally.ts';
import type { Turns } from './turns.ts';
import { Writer } from './writer.ts';

export interface PartitionLimits {
  /** Rows that make a batch full. One message larger than this is a batch by itself. */
  readonly batchRowsMax: number;
  /** How long the first row of a batch waits for others. */
  readonly lingerMs: number;
}

/** Times that a batch of several rows may run into the statement timeout before it is tried in halves. */
const TIMEOUTS_MAX = 2;
/** Times that a batch is evaluated anew because something it points to was deleted meanwhile. */
const STALE_TRIES_MAX = 5;
const STALE_PAUSE_MS = 200;
/** A transaction that is under way for longer counts as held: a database that is out of reach may say nothing at all. */
const UNANSWERED_MS_MAX = 5_000;

/** What a committed batch means to those who watch. */
export interface Committed {
  readonly positions: readonly LatestPosition[];
  /** What came into the feed. */
  readonly events: readonly FeedEvent[];
  /** `activity_feed_id` of each event. */
  readonly eventIds: readonly number[];
}

export interface PartitionOptions {
  readonly engine: Engine;
  readonly pool: Pool;
  readonly limits: PartitionLimits;
  readonly turns: Turns;
  readonly metrics: IngestMetrics;
  readonly log: Logger;
  /** Run on each new connection before it is used. */
  readonly onConnect: (client: PoolClient) => Promise<void>;
  readonly onCommitted: (committed: Committed) => void;
  /** Of each batch that is committed, also where nobody is told of it. */
  readonly onStored: (work: CommitWork) => void;
  /** Epoch milliseconds, for what is due without a further fix; the machine's clock when it is left out. */
  readonly nowMs?: () => number;
  /** So much has been answered and is held no longer. */
  readonly onReleased: (rows: number, bytes: number) => void;
}

class Abandoned extends Error {}

/** The machine's clock may be set: it is looked at again after so long. */
const CLOCK_WAIT_MS_MAX = 60_000;
/** What is due and was not done, as the database refused it, is tried again after so long. */
const CLOCK_RETRY_MS = 1_000;

/** Answered batches whose columns are kept for later ones. */
const SPARE_BATCHES_MAX = 2;

export class Partition {
  private readonly options: PartitionOptions;
  /** The batch that messages are written into. */
  private current = new FillingBatch();
  /** When the first message came into it, as `performance.now()` tells. */
  private currentSinceMs = 0;
  /** Full ones that wait. */
  private readonly full: FillingBatch[] = [];
  private readonly spare: FillingBatch[] = [];
  private readonly writer: Writer;
  private wake: (() => void) | null = null;
  private running: Promise<void> | null = null;
  private stopping = false;
  /** Before this time, as `performance.now()` tells, nothing is done for the clock alone. */
  private clockFromMs = -Infinity;
  private readonly giveUp = new AbortController();
  private holding = false;
  /** Whether the last late batch met duplicates: then the next late one goes in staged at once. */
  private repeating = false;

  constructor(options: PartitionOptions) {
    this.options = options;
    this.writer = new Writer(options.pool, options.onConnect);
  }

  /** True while a batch is held because the database does not take it, or does not say whether it does. */
  get isHolding(): boolean {
    return this.holding || this.writer.waitedMs(performance.now()) > UNANSWERED_MS_MAX;
  }

  /** What waits for the server's answer; `null` while nothing does, or there is no connection yet. */
  get unanswered(): Unanswered | null {
    return this.writer.unanswered;
  }

  start(): void {
    this.running ??= this.run();
  }

  /**
   * The batch that a message's rows, so many in this partition, are to be written into; they go together. Who calls holds
   * the limit on what waits, writes at once, and then says `filled`.
   */
  filling(rows: number): FillingBatch {
    const { current } = this;
    if (current.tally.count === 0) return current;
    if (current.rows + rows <= this.options.limits.batchRowsMax) return current;
    this.full.push(current);
    return (this.current = this.spare.pop() ?? new FillingBatch());
  }

  /** A message has been written into the batch that `filling` gave. */
  filled(): void {
    const { current } = this;
    if (current.tally.count === 1) this.currentSinceMs = performance.now();
    else if (current.rows < this.options.limits.batchRowsMax) return;
    this.wake?.();
  }

  /** Fences or devices were edited: what the engine has to do for it is done at once. */
  poke(): void {
    this.wake?.();
  }

  /** Stores what is queued, until the signal aborts; resolves when everything is answered. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.stopping = true;
    const abandon = (): void => {
      this.giveUp.abort();
      // A server that does not answer would hold us for longer than we may wait.
      this.writer.end();
    };
    if (deadline.aborted) abandon();
    deadline.addEventListener('abort', abandon, { once: true });
    this.wake?.();
    await this.running;
    deadline.removeEventListener('abort', abandon);
    this.writer.drop();
  }

  private async run(): Promise<void> {
    for (;;) {
      const batch = this.take();
      if (batch !== null) await this.process(batch);
      else if (this.current.tally.count > 0) await this.woken(this.lingerLeftMs());
      else if (this.stopping) return;
      else if (this.clockLeftMs() <= 0) await this.tick();
      else await this.woken(this.clockLeftMs());
    }
  }

  private nowMs(): number {
    return (this.options.nowMs ?? Date.now)();
  }

  /** How long nothing has to be done but for the rows that come; Infinity: until something is edited. */
  private clockLeftMs(): number {
    const { engine } = this.options;
    const dueMs = engine.hasWork() ? -Infinity : engine.nextDueMs();
    if (dueMs === Infinity) return Infinity;
    const leftMs = Math.min(dueMs - this.nowMs(), CLOCK_WAIT_MS_MAX);
    return Math.max(leftMs, this.clockFromMs - performance.now());
  }

  /** Does what is due, with a batch of no rows. */
  private async tick(): Promise<void> {
    const batch = this.spare.pop() ?? new FillingBatch();
    batch.receivedMs = this.nowMs();
    await this.process(batch);
    // Not done, or done without an end to it: in either case not at once again.
    if (this.clockLeftMs() <= 0) this.pauseClock();
  }

  private pauseClock(): void {
    this.clockFromMs = performance.now() + CLOCK_RETRY_MS;
  }

  /** The next batch whose time has come. */
  private take(): FillingBatch | null {
    const waiting = this.full.shift();
    if (waiting !== undefined) return waiting;
    const { current } = this;
    if (current.tally.count === 0) return null;
    const isFull = current.rows >= this.options.limits.batchRowsMax;
    if (!isFull && !this.stopping && this.lingerLeftMs() > 0) return null;
    this.current = this.spare.pop() ?? new FillingBatch();
    return current;
  }

  private lingerLeftMs(): number {
    return this.currentSinceMs + this.options.limits.lingerMs - performance.now();
  }

  private woken(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer =
        timeoutMs === Infinity ? null : setTimeout(() => this.wake?.(), Math.ceil(timeoutMs));
      this.wake = () => {
        if (timer !== null) clearTimeout(timer);
        this.wake = null;
        resolve();
      };
    });
  }

  private async process(batch: FillingBatch): Promise<void> {
    const { tally, rows, bytes } = batch;
    const { metrics } = this.options;
    const startedMs = performance.now();
    let stored = false;
    try {
      await this.store(batch, tally, this.nowMs());
      metrics.batchCommitted(tally, batch, performance.now() - startedMs);
      stored = true;
    } catch (error) {
      if (!(error instanceof Abandoned)) {
        this.options.log.error(
          { err: error },
          'a batch could not be processed; it is not acknowledged',
        );
      }
    }
    if (stored) tally.settle();
    else tally.abandon();
    batch.clear();
    if (this.spare.length < SPARE_BATCHES_MAX) this.spare.push(batch);
    this.options.onReleased(rows, bytes);
  }

  /**
   * Stores a batch whole, or in halves until the rows that the database refuses stand alone. What is due at `nowMs` goes
   * with the whole alone: it may be what is refused, and no row may be refused for it.
   */
  private async store(batch: Batch, tally: Tally, nowMs: number, staleTries = 0): Promise<void> {
    const { engine, metrics, turns } = this.options;
    let refusal: Error | null;
    try {
      const evaluated = () => commitWork(batch, engine.evaluate({ ...batch, nowMs }));
      const work = await turns.run(evaluated, 'ahead');
      refusal = await this.commit(work, tally);
      if (refusal === null) {
        engine.commit();
        metrics.evaluated(work.evaluation);
        this.options.onStored(work);
        this.publish(work);
        return;
      }
    } catch (error) {
      engine.rollback();
      throw error;
    }
    engine.rollback();
    if (isStaleReference(refusal) && staleTries < STALE_TRIES_MAX) {
      // The change feed brings the deletion within this time, and the evaluation then knows of it.
      await wait(STALE_PAUSE_MS, undefined, { signal: this.giveUp.signal }).catch(() => undefined);
      return this.store(batch, tally, nowMs, staleTries + 1);
    }
    if (!Number.isNaN(nowMs)) {
      this.pauseClock();
      return this.store(batch, tally, NaN);
    }
    await this.storeDivided(batch, tally, refusal);
  }

  private async storeDivided(batch: Batch, tally: Tally, refusal: Error): Promise<void> {
    const rows = rowCount(batch);
    if (rows === 0) {
      const lost = batch.rejects.length;
      this.options.log.error({ err: refusal, lost }, 'refused records could not be kept');
      return;
    }
    if (rows === 1 && batch.rejects.length === 0) {
      const { part, index } = onlyRow(batch);
      const detail = `the database refused the row: ${refusal.message}`;
      tally.refused(part, { index, reason: 'storage_refused', detail });
      this.options.log.warn({ sqlState: sqlState(refusal) }, detail);
      this.options.metrics.rejected('storage_refused');
      return this.store(withoutRows(batch, rejectOfRow(batch, detail)), tally, NaN);
    }
    const [first, second] = halves(batch);
    await this.store(first, tally, NaN);
    await this.store(second, tally, NaN);
  }

  /** Commits. Gives the error when the batch must be divided; waits out everything else. */
  private async commit(work: CommitWork, tally: Tally): Promise<Error | null> {
    const { metrics, log } = this.options;
    const backoff = new Backoff();
    let staged = this.repeating && work.evaluation.lateCount > 0;
    let timeouts = 0;
    for (;;) {
      if (this.giveUp.signal.aborted) throw new Abandoned();
      try {
        const result = await this.tryCommit(work, staged);
        this.holding = false;
        tally.committed(work.batch, result);
        return null;
      } catch (error) {
        const fault = faultOf(error);
        metrics.commitFailed(fault);
        if (fault === 'duplicate' && !staged) {
          staged = true;
          continue;
        }
        if (isTimeout(error)) timeouts++;
        const isTooLarge = timeouts >= TIMEOUTS_MAX && rowCount(work.batch) > 1;
        if (fault !== 'transient' || isTooLarge) return error as Error;
        if (isConnectionError(error) || isPartitionMissing(error)) {
          this.writer.drop(error as Error);
          // COMMIT may have arrived, or may still arrive: the rows may be there.
          staged = true;
        }
        this.holding = true;
        log.warn(
          { err: error, rows: rowCount(work.batch) },
          'commit failed; the batch is held and tried again',
        );
        await backoff.pause(this.giveUp.signal);
      }
    }
  }

  private async tryCommit(work: CommitWork, staged: boolean): Promise<CommitResult> {
    const result = await this.writer.use(async (client) => {
      const range = timeRange(work.batch);
      if (range !== null) await ensureTimePartitions(client, range.firstMs, range.lastMs);
      return commitBatch(client, work, staged);
    });
    if (work.evaluation.lateCount > 0) {
      this.repeating = result.fixDuplicate !== null || result.readingDuplicate !== null;
    }
    return result;
  }

  private publish(work: CommitWork): void {
    const { positions, feed } = work;
    const { events, ids } = feed;
    if (positions.length === 0 && events.length === 0) return;
    try {
      this.options.onCommitted({ positions, events, eventIds: ids });
    } catch (error) {
      // The batch is committed: whoever watches may fail, its devices must still be answered.
      this.options.log.error({ err: error }, 'a watcher of committed batches failed');
    }
  }
}

function timeRange({ fixes, readings }: Batch): { firstMs: number; lastMs: number } | null {
  let firstMs = Infinity;
  let lastMs = -Infinity;
  for (const rows of [fixes, readings]) {
    for (let i = 0; i < rows.count; i++) {
      const timeMs = rows.timeMs[i]!;
      if (timeMs < firstMs) firstMs = timeMs;
      if (timeMs > lastMs) lastMs = timeMs;
    }
  }
  return firstMs === Infinity ? null : { firstMs, lastMs };
}
