/**
 * What spares a ring of many edges most of its edges: stripes of latitude, each with the edges that reach into it, and a
 * grid of cells of which most lie wholly on one side. Knows a ring's vertices; decides nothing that a scan over all edges
 * would decide otherwise.
 */
import { CELL_PAD, markEdge } from './edge-cells.ts';
import type { Bounds } from './ring.ts';

/** Flatter rings than this, a tenth of a micrometre, get one stripe and no cells: dividing by their height would overflow. */
const INDEXED_SIDE_MIN_DEG = 1e-12;
/** Cells a side. */
const CELL_COUNT_MIN = 8;
const CELL_COUNT_MAX = 128;

const MIXED = 0;
const INSIDE = 1;
const OUTSIDE = 2;

export interface RingIndex {
  readonly bounds: Bounds;
  readonly stripesPerDeg: number;
  /** Where each stripe's list begins in `stripeEdges`; one more entry than there are stripes. */
  readonly stripeStart: Uint32Array;
  /** Where edges begin in the ring's values, in groups by stripe. */
  readonly stripeEdges: Uint32Array;
  /** Cells a side; 0 when there are none. */
  readonly cellCount: number;
  readonly cellsPerDegX: number;
  readonly cellsPerDegY: number;
  /** Row by row from the south, four cells a byte: mixed, inside, outside. */
  readonly cells: Uint8Array;
}

interface Vertices {
  readonly values: Float64Array;
  readonly start: number;
  readonly end: number;
}

/** Makes the index of a closed ring. O(n), and a few thousand cells. */
export function indexRing(ring: Vertices, bounds: Bounds): RingIndex {
  const striped = { bounds, ...stripesOf(ring, bounds) };
  const edgeCount = (ring.end - ring.start) / 2 - 1;
  const wanted = Math.round(Math.sqrt(edgeCount));
  const count = Math.min(CELL_COUNT_MAX, Math.max(CELL_COUNT_MIN, wanted - (wanted % 4)));
  const width = bounds.maxX - bounds.minX;
  const height = bounds.maxY - bounds.minY;
  if (!(Math.min(width, height) >= INDEXED_SIDE_MIN_DEG)) {
    return { ...striped, cellCount: 0, cellsPerDegX: 0, cellsPerDegY: 0, cells: new Uint8Array(0) };
  }
  const grid = {
    ...striped,
    cellCount: count,
    cellsPerDegX: count / width,
    cellsPerDegY: count / height,
    cells: new Uint8Array((count * count) / 4),
  };
  const isMixed = new Uint8Array(count * count);
  const { cellsPerDegX, cellsPerDegY } = grid;
  const frame = { minX: bounds.minX, minY: bounds.minY, cellsPerDegX, cellsPerDegY, count };
  for (let at = ring.start; at < ring.end - 2; at += 2) markEdge(frame, ring.values, at, isMixed);
  fillCells(grid, ring.values, isMixed);
  return grid;
}

/** The stripe of a latitude within the ring's bounds. */
export function stripeOf({ bounds, stripesPerDeg, stripeStart }: RingIndex, y: number): number {
  return Math.min(Math.floor((y - bounds.minY) * stripesPerDeg), stripeStart.length - 2);
}

/** 1 when the point's cell lies inside as a whole, −1 outside, 0 when edges have to be asked. For points within the bounds. */
export function cellSide(index: RingIndex, x: number, y: number): -1 | 0 | 1 {
  const { cellCount, bounds } = index;
  if (cellCount === 0) return 0;
  const column = Math.min(Math.floor((x - bounds.minX) * index.cellsPerDegX), cellCount - 1);
  const row = Math.min(Math.floor((y - bounds.minY) * index.cellsPerDegY), cellCount - 1);
  const cell = row * cellCount + column;
  const state = (index.cells[cell >> 2]! >> ((cell & 3) * 2)) & 3;
  return state === MIXED ? 0 : state === INSIDE ? 1 : -1;
}

/** Whether edges run through a cell, or nearly. */
export function isMixedCell({ cells, cellCount }: RingIndex, column: number, row: number): boolean {
  const cell = row * cellCount + column;
  return ((cells[cell >> 2]! >> ((cell & 3) * 2)) & 3) === MIXED;
}

/** Whether edges run through some cell that an area meets, or nearly; the area is taken `turn` degrees further west than the ring. */
export function isMixedWithin(index: RingIndex, area: Bounds, turn: number): boolean {
  const { bounds, cellCount } = index;
  if (cellCount === 0) return true;
  const firstColumn = (area.minX + turn - bounds.minX) * index.cellsPerDegX - CELL_PAD;
  const lastColumn = (area.maxX + turn - bounds.minX) * index.cellsPerDegX + CELL_PAD;
  const firstRow = (area.minY - bounds.minY) * index.cellsPerDegY - CELL_PAD;
  const lastRow = (area.maxY - bounds.minY) * index.cellsPerDegY + CELL_PAD;
  if (lastColumn < 0 || lastRow < 0 || firstColumn > cellCount || firstRow > cellCount) {
    return false;
  }
  const toColumn = Math.min(cellCount - 1, Math.floor(lastColumn));
  const toRow = Math.min(cellCount - 1, Math.floor(lastRow));
  for (let row = Math.max(0, Math.min(toRow, Math.floor(firstRow))); row <= toRow; row++) {
    for (let at = Math.max(0, Math.min(toColumn, Math.floor(firstColumn))); at <= toColumn; at++) {
      if (isMixedCell(index, at, row)) return true;
    }
  }
  return false;
}

// With c edges on an average horizontal line and n edges in all, s stripes hold s·c + n entries. s = 2n/c makes that
// 3n at most, so a comb of long teeth cannot blow the lists up to n².
function stripesOf(
  { values, start, end }: Vertices,
  { minY, maxY }: Bounds,
): Pick<RingIndex, 'stripesPerDeg' | 'stripeStart' | 'stripeEdges'> {
  const edgeCount = (end - start) / 2 - 1;
  const height = maxY - minY;
  let climb = 0;
  for (let at = start; at < end - 2; at += 2) climb += Math.abs(values[at + 3]! - values[at + 1]!);
  const wanted = climb > 0 ? Math.round((2 * edgeCount * height) / climb) : 1;
  const isFlat = height < INDEXED_SIDE_MIN_DEG;
  const count = isFlat ? 1 : Math.min(edgeCount, Math.max(1, wanted));
  const stripesPerDeg = isFlat ? 0 : count / height;
  const stripeAt = (y: number): number =>
    Math.min(count - 1, Math.floor((y - minY) * stripesPerDeg));
  const stripeStart = new Uint32Array(count + 1);
  for (let at = start; at < end - 2; at += 2) {
    const last = stripeAt(Math.max(values[at + 1]!, values[at + 3]!));
    for (let s = stripeAt(Math.min(values[at + 1]!, values[at + 3]!)); s <= last; s++) {
      stripeStart[s + 1]!++;
    }
  }
  for (let s = 0; s < count; s++) stripeStart[s + 1]! += stripeStart[s]!;
  const stripeEdges = new Uint32Array(stripeStart[count]!);
  const next = stripeStart.slice();
  for (let at = start; at < end - 2; at += 2) {
    const last = stripeAt(Math.max(values[at + 1]!, values[at + 3]!));
    for (let s = stripeAt(Math.min(values[at + 1]!, values[at + 3]!)); s <= last; s++) {
      stripeEdges[next[s]!++] = at;
    }
  }
  return { stripesPerDeg, stripeStart, stripeEdges };
}

/** Settles the cells that no edge runs through: one point of each run of them in a row is asked. */
function fillCells(grid: RingIndex, values: Float64Array, isMixed: Uint8Array): void {
  const { cellCount, bounds, cells } = grid;
  for (let row = 0; row < cellCount; row++) {
    const y = bounds.minY + (row + 0.5) / grid.cellsPerDegY;
    let state = MIXED;
    for (let column = 0; column < cellCount; column++) {
      const cell = row * cellCount + column;
      if (isMixed[cell] === 1) {
        state = MIXED;
        continue;
      }
      if (state === MIXED) {
        const x = bounds.minX + (column + 0.5) / grid.cellsPerDegX;
        state = isPassedOddly(grid, values, x, y) ? INSIDE : OUTSIDE;
      }
      cells[cell >> 2]! |= state << ((cell & 3) * 2);
    }
  }
}

/** Even-odd, for a point well away from every edge. */
function isPassedOddly(grid: RingIndex, values: Float64Array, x: number, y: number): boolean {
  const stripe = stripeOf(grid, y);
  let odd = false;
  for (let i = grid.stripeStart[stripe]!; i < grid.stripeStart[stripe + 1]!; i++) {
    const at = grid.stripeEdges[i]!;
    const [y0, y1] = [values[at + 1]!, values[at + 3]!];
    if (y0 > y === y1 > y) continue;
    const crossing = values[at]! + ((y - y0) / (y1 - y0)) * (values[at + 2]! - values[at]!);
    if (crossing < x) odd = !odd;
  }
  return odd;
}
