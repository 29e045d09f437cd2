/**
 * The messages of one batch: counts what became of each one's rows, and answers them at the end. A message is a number
 * here, and its counts are in columns, so that a batch of thousands makes no garbage.
 */
import type { Batch } from './batch.ts';
import type { CommitResult } from './commit.ts';

/** Why one row of a message did not get in. */
export interface RowRefusal {
  readonly index: number;
  readonly reason: string;
  readonly detail: string;
  /** The device that the record names, where nobody knows it; never told to the sender. */
  readonly unknownDevice?: string;
}

/** What became of a message, or of its rows in one partition. */
export interface Outcome {
  /** False: nothing was acknowledged and the sender must send it again. */
  readonly stored: boolean;
  readonly accepted: number;
  readonly duplicates: number;
  /** Ascending by index. */
  readonly refused: readonly RowRefusal[];
}

/**
 * Called once, after the commit or when nothing will be stored, with what was given beside it: so a door that takes
 * messages by the million needs no function for each.
 */
export type Settle<Receipt = undefined> = (outcome: Outcome, receipt: Receipt) => void;

/** The usual case, made once. */
const ONE_ACCEPTED: Outcome = Object.freeze({
  stored: true,
  accepted: 1,
  duplicates: 0,
  refused: Object.freeze([]),
});
const NOT_STORED: Outcome = Object.freeze({ ...ONE_ACCEPTED, stored: false, accepted: 0 });
const NOBODY: Settle<unknown> = () => undefined;

export class Tally {
  fixesStored = 0;
  readingsStored = 0;
  eventsStored = 0;
  duplicates = 0;
  /** Messages in the batch. */
  count = 0;
  private readonly settles: Settle<unknown>[] = [];
  private readonly receipts: unknown[] = [];
  private accepted = new Int32Array(64);
  private repeated = new Int32Array(64);
  private readonly refusals: (RowRefusal[] | null)[] = [];
  private receivedMs = new Float64Array(64);

  /**
   * Adds a message and gives its number. `refused`: rows that were refused before they came here, ascending by index; the
   * array is the tally's from now on. `receivedMs` NaN keeps it out of {@link Tally.eachAgeMs}.
   */
  add<Receipt>(
    settle: Settle<Receipt>,
    receipt: Receipt,
    receivedMs: number,
    refused: RowRefusal[] | null,
  ): number {
    const part = this.count++;
    if (part === this.accepted.length) this.grow();
    this.settles[part] = settle as Settle<unknown>;
    this.receipts[part] = receipt;
    this.receivedMs[part] = receivedMs;
    this.refusals[part] = refused;
    this.accepted[part] = this.repeated[part] = 0;
    return part;
  }

  /** Counts the rows of a committed batch, or of a piece of it. */
  committed(batch: Batch, result: CommitResult): void {
    const { fixes, readings, events } = batch;
    this.fixesStored += this.countRows(fixes.part, fixes.count, result.fixDuplicate);
    this.readingsStored += this.countRows(readings.part, readings.count, result.readingDuplicate);
    if (events.length === 0) return;
    const parts = Int32Array.from(events, (event) => event.part);
    this.eventsStored += this.countRows(parts, events.length, result.eventDuplicate);
  }

  /** A row that the database itself refused. */
  refused(part: number, refusal: RowRefusal): void {
    const refusals = (this.refusals[part] ??= []);
    refusals.push(refusal);
    refusals.sort((a, b) => a.index - b.index);
  }

  /** How long ago each message came. */
  eachAgeMs(nowMs: number, observe: (ageMs: number) => void): void {
    for (let part = 0; part < this.count; part++) {
      const receivedMs = this.receivedMs[part]!;
      if (!Number.isNaN(receivedMs)) observe(nowMs - receivedMs);
    }
  }

  /** Everything is committed: each message gets its answer. */
  settle(): void {
    for (let part = 0; part < this.count; part++) {
      const settle = this.settles[part]!;
      const accepted = this.accepted[part]!;
      const duplicates = this.repeated[part]!;
      const refused = this.refusals[part]!;
      const isUsual = accepted === 1 && duplicates === 0 && refused === null;
      settle(
        isUsual ? ONE_ACCEPTED : { stored: true, accepted, duplicates, refused: refused ?? [] },
        this.receipts[part],
      );
    }
  }

  /** The batch will never be stored: nothing of it is acknowledged. */
  abandon(): void {
    for (let part = 0; part < this.count; part++) {
      this.settles[part]!(NOT_STORED, this.receipts[part]);
    }
  }

  /** Forgets the messages. */
  clear(): void {
    // Overwritten and not cut: what they hold must go, the room may stay.
    this.settles.fill(NOBODY, 0, this.count);
    this.receipts.fill(undefined, 0, this.count);
    this.refusals.fill(null, 0, this.count);
    this.count = 0;
    this.fixesStored = this.readingsStored = this.eventsStored = this.duplicates = 0;
  }

  private countRows(parts: Int32Array, count: number, duplicate: Uint8Array | null): number {
    const { accepted, repeated } = this;
    if (duplicate === null) {
      for (let i = 0; i < count; i++) accepted[parts[i]!]!++;
      return count;
    }
    let stored = 0;
    for (let i = 0; i < count; i++) {
      const part = parts[i]!;
      if (duplicate[i] === 1) repeated[part]!++;
      else {
        accepted[part]!++;
        stored++;
      }
    }
    this.duplicates += count - stored;
    return stored;
  }

  private grow(): void {
    const length = this.accepted.length * 2;
    const ints = (from: Int32Array): Int32Array<ArrayBuffer> => {
      const larger = new Int32Array(length);
      larger.set(from);
      return larger;
    };
    this.accepted = ints(this.accepted);
    this.repeated = ints(this.repeated);
    const receivedMs = new Float64Array(length);
    receivedMs.set(this.receivedMs);
    this.receivedMs = receivedMs;
  }
}
