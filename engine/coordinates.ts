/**
 * Room for coordinates: the vertices of small rings lie side by side in few large arrays, because an array of its own
 * costs some 300 bytes beside what it holds. Knows numbers only.
 */

/** Doubles of one block. */
const BLOCK_VALUES = 2 ** 16;
/** Runs longer than this get an array of their own. */
const SHARED_VALUES_MAX = 2 ** 11;

/** A run of values: `values[start…start + length)`. */
export interface Run {
  readonly values: Float64Array;
  readonly start: number;
}

/** Gives out runs and takes them back; what was taken back is given out for a run of the same length. */
export class CoordinateStore {
  private block = new Float64Array(0);
  private used = 0;
  private readonly free = new Map<number, Run[]>();

  /** A run of so many values, to be written by who asked. */
  take(length: number): Run {
    if (length > SHARED_VALUES_MAX) return { values: new Float64Array(length), start: 0 };
    const again = this.free.get(length)?.pop();
    if (again !== undefined) return again;
    if (this.used + length > this.block.length) {
      this.block = new Float64Array(BLOCK_VALUES);
      this.used = 0;
    }
    const run = { values: this.block, start: this.used };
    this.used += length;
    return run;
  }

  /** Takes a run back that nobody reads any more. */
  giveBack(run: Run, length: number): void {
    if (length > SHARED_VALUES_MAX) return;
    const list = this.free.get(length);
    if (list) list.push({ values: run.values, start: run.start });
    else this.free.set(length, [{ values: run.values, start: run.start }]);
  }
}
