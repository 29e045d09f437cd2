/** Counts, message by message, what became of a batch's rows, and answers the messages at the end. */
import type { Batch, Part, PartOutcome, RowRefusal } from './batch.ts';
import type { CommitResult } from './commit.ts';

export class Tally {
  fixesStored = 0;
  readingsStored = 0;
  duplicates = 0;
  private readonly parts: readonly Part[];
  private readonly outcomes: { accepted: number; duplicates: number; refused: RowRefusal[] }[];

  constructor(parts: readonly Part[]) {
    this.parts = parts;
    this.outcomes = parts.map(() => ({ accepted: 0, duplicates: 0, refused: [] }));
  }

  committed(batch: Batch, result: CommitResult): void {
    const { fixes, readings } = batch;
    for (let i = 0; i < fixes.count; i++) {
      if (result.fixDuplicate?.[i] === 1) this.duplicate(fixes.part[i]!);
      else {
        this.fixesStored++;
        this.outcomes[fixes.part[i]!]!.accepted++;
      }
    }
    for (let i = 0; i < readings.count; i++) {
      if (result.readingDuplicate?.[i] === 1) this.duplicate(readings.part[i]!);
      else {
        this.readingsStored++;
        this.outcomes[readings.part[i]!]!.accepted++;
      }
    }
  }

  /** A row that the database itself refused. */
  refused(part: number, refusal: RowRefusal): void {
    this.outcomes[part]!.refused.push(refusal);
  }

  /** Everything is committed: each message gets its answer. */
  settle(): void {
    for (let p = 0; p < this.parts.length; p++) {
      const outcome: PartOutcome = { stored: true, ...this.outcomes[p]! };
      this.parts[p]!.settle(outcome);
    }
  }

  /** The batch will never be stored: nothing of it is acknowledged. */
  abandon(): void {
    for (const part of this.parts) {
      part.settle({ stored: false, accepted: 0, duplicates: 0, refused: [] });
    }
  }

  private duplicate(part: number): void {
    this.duplicates++;
    this.outcomes[part]!.duplicates++;
  }
}
