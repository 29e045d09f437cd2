/** Through which cells of a grid an edge runs. Knows numbers only. */

/** Of a cell's side: an edge counts as running through cells that it misses by so little. */
export const CELL_PAD = 1e-6;

/** A grid of square count, laid over a box in degrees. */
export interface CellFrame {
  readonly minX: number;
  readonly minY: number;
  readonly cellsPerDegX: number;
  readonly cellsPerDegY: number;
  /** Cells a side. */
  readonly count: number;
}

/**
 * Marks every cell through which the edge from `values[at]` runs, and neighbours that it nearly touches: row by row from
 * the south-west. Edges outside of the frame mark the cells at its edge.
 */
export function markEdge(
  frame: CellFrame,
  values: Float64Array,
  at: number,
  isMixed: Uint8Array,
): void {
  markBand(frame, values, at, isMixed, NO_REACH);
}

/** How far a band reaches from the edge along the axes, in degrees. */
export interface Reach {
  readonly x: number;
  readonly y: number;
}

const NO_REACH: Reach = { x: 0, y: 0 };

/** The same of an edge with a band round it. */
export function markBand(
  frame: CellFrame,
  values: Float64Array,
  at: number,
  isMixed: Uint8Array,
  reach: Reach,
): void {
  const { count } = frame;
  const padX = CELL_PAD + reach.x * frame.cellsPerDegX;
  const padY = CELL_PAD + reach.y * frame.cellsPerDegY;
  const up = values[at + 1]! <= values[at + 3]!;
  const low = up ? at : at + 2;
  const high = up ? at + 2 : at;
  // In cells, from the south-west corner.
  const x0 = (values[low]! - frame.minX) * frame.cellsPerDegX;
  const y0 = (values[low + 1]! - frame.minY) * frame.cellsPerDegY;
  const x1 = (values[high]! - frame.minX) * frame.cellsPerDegX;
  const y1 = (values[high + 1]! - frame.minY) * frame.cellsPerDegY;
  const lastRow = within(y1 + padY, count);
  for (let row = within(y0 - padY, count); row <= lastRow; row++) {
    // Where the edge enters and leaves the row.
    const from = y1 > y0 ? Math.min(1, Math.max(0, (row - padY - y0) / (y1 - y0))) : 0;
    const to = y1 > y0 ? Math.min(1, Math.max(0, (row + 1 + padY - y0) / (y1 - y0))) : 1;
    const a = x0 + from * (x1 - x0);
    const b = x0 + to * (x1 - x0);
    const last = within(Math.max(a, b) + padX, count);
    for (let column = within(Math.min(a, b) - padX, count); column <= last; column++) {
      isMixed[row * count + column] = 1;
    }
  }
}

function within(cell: number, count: number): number {
  return Math.min(count - 1, Math.max(0, Math.floor(cell)));
}
