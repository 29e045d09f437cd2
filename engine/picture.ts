/**
 * Draws the picture that the grid keeps of a shape: the cells of its box through which no edge runs, by the side on which they
 * lie. Knows rings, lines and cells.
 */
import type { CellGrid } from './cell-grid.ts';
import { EDGE_BITS, INSIDE, OUTSIDE, PICTURE_CELLS } from './cell-grid.ts';
import type { CellFrame, Reach } from './edge-cells.ts';
import { CELL_PAD, markBand, markEdge } from './edge-cells.ts';
import type { Box } from './part.ts';
import type { Ring } from './ring.ts';

const isMixed = new Uint8Array(PICTURE_CELLS * PICTURE_CELLS);

/** For rings that lie in one turn; the box is the item's own. */
export function paintPicture(
  grid: CellGrid,
  item: number,
  outer: Ring,
  holes: readonly Ring[],
): void {
  const box = grid.boxOf(item);
  const frame = frameOf(box);
  isMixed.fill(0);
  const rings = [outer, ...holes];
  for (const ring of rings) {
    for (let at = ring.start; at < ring.end - 2; at += 2) markEdge(frame, ring.values, at, isMixed);
  }
  if (holes.length === 0 && (outer.end - outer.start) / 2 - 1 <= EDGE_BITS) {
    listEdges(grid, item, outer, 0);
  }
  const stepX = (box.maxX - box.minX) / PICTURE_CELLS;
  const stepY = (box.maxY - box.minY) / PICTURE_CELLS;
  for (let row = 0; row < PICTURE_CELLS; row++) {
    let state = 0;
    for (let column = 0; column < PICTURE_CELLS; column++) {
      const cell = row * PICTURE_CELLS + column;
      if (isMixed[cell] === 1) state = 0;
      else if (state === 0) {
        const x = box.minX + (column + 0.5) * stepX;
        const y = box.minY + (row + 0.5) * stepY;
        state = isPassedOddly(rings, x, y) ? INSIDE : OUTSIDE;
      }
      if (state !== 0) grid.setPicture(item, cell, state);
    }
  }
}

/** For a band of at most `EDGE_BITS` segments that lies in one turn: where it may be, and where it is not. */
export function paintBand(grid: CellGrid, item: number, line: Line, reach: Reach): void {
  const frame = frameOf(grid.boxOf(item));
  isMixed.fill(0);
  for (let at = line.start; at < line.end - 2; at += 2) {
    markBand(frame, line.values, at, isMixed, reach);
  }
  listEdges(grid, item, line, reach.y);
  for (let cell = 0; cell < isMixed.length; cell++) {
    if (isMixed[cell] === 0) grid.setPicture(item, cell, OUTSIDE);
  }
}

/** Vertices, as a ring has them. */
export type Line = Pick<Ring, 'values' | 'start' | 'end'>;

function frameOf({ minX, minY, maxX, maxY }: Box): CellFrame {
  const cellsPerDegX = PICTURE_CELLS / (maxX - minX);
  const cellsPerDegY = PICTURE_CELLS / (maxY - minY);
  return { minX, minY, cellsPerDegX, cellsPerDegY, count: PICTURE_CELLS };
}

/** Lists the edges that reach into each row, or nearly, with a band of `reachYDeg` round them. */
function listEdges(
  grid: CellGrid,
  item: number,
  { values, start, end }: Line,
  reachYDeg: number,
): void {
  const { minY, cellsPerDegY } = frameOf(grid.boxOf(item));
  const pad = CELL_PAD + reachYDeg * cellsPerDegY;
  for (let row = 0; row < PICTURE_CELLS; row++) {
    let edges = 0;
    for (let at = start; at < end - 2; at += 2) {
      const y0 = (values[at + 1]! - minY) * cellsPerDegY;
      const y1 = (values[at + 3]! - minY) * cellsPerDegY;
      const isAbove = Math.min(y0, y1) > row + 1 + pad;
      if (!isAbove && Math.max(y0, y1) >= row - pad) edges |= 1 << ((at - start) / 2);
    }
    grid.setEdges(item, row, edges);
  }
}

/** Even-odd over all rings, for a point well away from every edge. */
function isPassedOddly(rings: readonly Ring[], x: number, y: number): boolean {
  let odd = false;
  for (const { values, start, end } of rings) {
    for (let at = start; at < end - 2; at += 2) {
      const y0 = values[at + 1]!;
      const y1 = values[at + 3]!;
      if (y0 > y === y1 > y) continue;
      const crossing = values[at]! + ((y - y0) / (y1 - y0)) * (values[at + 2]! - values[at]!);
      if (crossing < x) odd = !odd;
    }
  }
  return odd;
}
