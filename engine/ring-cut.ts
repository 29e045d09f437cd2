/** Cuts a ring's edges out of a space: few at once, those of many by the cells of the ring's index. */
import { BOX_PAD_DEG } from './geodesy.ts';
import type { RingIndex } from './ring-index.ts';
import { isMixedCell } from './ring-index.ts';
import type { Ring } from './ring.ts';
import { edgesBetween } from './ring.ts';
import { cutAway, cutEdge, type Space } from './space.ts';

/** A space is not looked at further from the point than so many cells of a ring's index. */
const CELLS_AWAY_MAX = 4;
/** A ring of more edges has so many in a cell that looking at them costs more than a search for each fix. */
const EDGES_MAX = 2_000;

/** False when the point is so near to an edge that nothing of the space is left. */
export function cutRing(ring: Ring, space: Space): boolean {
  return cutInTurn(ring, space, 0) && (!ring.isWrapped || cutInTurn(ring, space, 360));
}

/** The same for a ring that is not wrapped, by the edges whose bits are set: no other may reach into the space. */
export function cutEdges(ring: Ring, space: Space, edges: number): boolean {
  const { values, start } = ring;
  for (let left = edges; left !== 0; left &= left - 1) {
    const edge = 31 - Math.clz32(left & -left);
    if (!cutEdge(space, values, start + 2 * edge, 0)) return false;
  }
  return true;
}

/** `turn` is by how much the ring is written further east than the point. */
function cutInTurn(ring: Ring, space: Space, turn: number): boolean {
  const { values, index } = ring;
  if (index === null) {
    for (let at = ring.start; at < ring.end - 2; at += 2) {
      if (!cutEdge(space, values, at, turn)) return false;
    }
    return true;
  }
  own.minY = space.minY;
  own.maxY = space.maxY;
  if (index.cellCount > 0) {
    if (!cutCells(index, space, turn)) return true;
    if ((ring.end - ring.start) / 2 > EDGES_MAX) return false;
    // What is left holds edges only in cells where the point is.
    own.minY = Math.max(own.minY, space.minY);
    own.maxY = Math.min(own.maxY, space.maxY);
  }
  let isLeft = true;
  edgesBetween(ring, own.minY, own.maxY, (at) => !(isLeft = cutEdge(space, values, at, turn)));
  return isLeft;
}

/** One cell; and the latitudes of those in which the point is. */
const cell = { minX: 0, minY: 0, maxX: 0, maxY: 0 };
const own = { minY: 0, maxY: 0 };

/** Cuts away the mixed cells in which the point is not. True, and `own` set, when it is in one. */
function cutCells(index: RingIndex, space: Space, turn: number): boolean {
  const { x, y } = space;
  const { bounds, cellCount } = index;
  const width = 1 / index.cellsPerDegX;
  const height = 1 / index.cellsPerDegY;
  space.minX = Math.max(space.minX, x - CELLS_AWAY_MAX * width);
  space.maxX = Math.min(space.maxX, x + CELLS_AWAY_MAX * width);
  space.minY = Math.max(space.minY, y - CELLS_AWAY_MAX * height);
  space.maxY = Math.min(space.maxY, y + CELLS_AWAY_MAX * height);
  const westX = bounds.minX - turn;
  const firstColumn = Math.max(0, Math.floor((space.minX - westX) / width) - 1);
  const lastColumn = Math.min(cellCount - 1, Math.floor((space.maxX - westX) / width) + 1);
  const firstRow = Math.max(0, Math.floor((space.minY - bounds.minY) / height) - 1);
  const lastRow = Math.min(cellCount - 1, Math.floor((space.maxY - bounds.minY) / height) + 1);
  own.minY = Infinity;
  own.maxY = -Infinity;
  for (let row = firstRow; row <= lastRow; row++) {
    for (let column = firstColumn; column <= lastColumn; column++) {
      if (!isMixedCell(index, column, row)) continue;
      cell.minX = westX + column * width;
      cell.maxX = cell.minX + width;
      cell.minY = bounds.minY + row * height;
      cell.maxY = cell.minY + height;
      if (cutAway(space, cell)) continue;
      own.minY = Math.min(own.minY, cell.minY - BOX_PAD_DEG);
      own.maxY = Math.max(own.maxY, cell.maxY + BOX_PAD_DEG);
    }
  }
  return own.minY <= own.maxY;
}
