/** Chains of batch rows by device, and the rows of one device in order of time. Knows columns only, no devices. */

/** Rows sorted by time; ties in the order in which they came. `rows[0…count)` is valid until the next call. */
export class RowSorter {
  rows = new Int32Array(64);
  count = 0;

  /** Takes the chain that starts at `head`. O(n) when it is in order already, O(n log n) else. */
  take(head: number, next: Int32Array, timeMs: Float64Array): void {
    let count = 0;
    let sorted = true;
    for (let row = head; row >= 0; row = next[row]!) {
      if (count === this.rows.length) {
        const grown = new Int32Array(count * 2);
        grown.set(this.rows);
        this.rows = grown;
      }
      // Written so that a NaN among the times asks for the sort, too.
      if (count > 0 && !(timeMs[this.rows[count - 1]!]! <= timeMs[row]!)) sorted = false;
      this.rows[count++] = row;
    }
    this.count = count;
    if (sorted) return;
    this.rows.subarray(0, count).sort((a, b) => {
      const byTime = orderOf(timeMs[a]!) - orderOf(timeMs[b]!);
      return byTime < 0 ? -1 : byTime > 0 ? 1 : a - b;
    });
  }
}

/** An array of at least `count` numbers: the given one when it is long enough. */
export function atLeast(array: Int32Array<ArrayBuffer>, count: number): Int32Array<ArrayBuffer> {
  return array.length >= count ? array : new Int32Array(Math.max(count, array.length * 2));
}

// NaN compares with nothing, which would leave the order to chance; it goes last.
function orderOf(timeMs: number): number {
  return Number.isNaN(timeMs) ? Number.MAX_VALUE : timeMs;
}
