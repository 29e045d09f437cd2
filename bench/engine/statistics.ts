/** Figures of several measurements. */
import assert from 'node:assert/strict';

/** The least value that at least `percent` of the values do not exceed; of values that are there. */
export function percentile(values: readonly number[], percent: number): number {
  assert(values.length > 0, 'values to choose from');
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]!;
}

/** The middle one, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  assert(values.length > 0, 'values to choose from');
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
