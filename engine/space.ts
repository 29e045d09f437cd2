/** A box round a point from which what must not be in it is cut away. Knows numbers only. */
import { BOX_PAD_DEG } from './geodesy.ts';
import type { Reach } from './edge-cells.ts';
import type { Box } from './part.ts';

/** A box in degrees that holds a point; the box becomes smaller. */
export interface Space {
  x: number;
  y: number;
  minX: number;
  minY: number;
  maxX: number;
  maxY: number;
}

/** Added to the share of an edge that lies in a space, so that rounding hides nothing of it. */
const SHARE_PAD = 1e-9;

const piece = { minX: 0, minY: 0, maxX: 0, maxY: 0 };

/**
 * Cuts `box` away: on whichever side of the point, so that most is left. The point must be in the space. False, and nothing is
 * cut, when the point is in the box, or nearly.
 */
export function cutAway(space: Space, box: Box): boolean {
  const { x, y } = space;
  const minX = box.minX - BOX_PAD_DEG;
  const minY = box.minY - BOX_PAD_DEG;
  const maxX = box.maxX + BOX_PAD_DEG;
  const maxY = box.maxY + BOX_PAD_DEG;
  const width = space.maxX - space.minX;
  const height = space.maxY - space.minY;
  // What is left of the space when it is cut at the west of the box, the east, the south, the north.
  const west = minX > x ? (minX - space.minX) * height : -1;
  const east = maxX < x ? (space.maxX - maxX) * height : -1;
  const south = minY > y ? (minY - space.minY) * width : -1;
  const north = maxY < y ? (space.maxY - maxY) * width : -1;
  const most = Math.max(west, east, south, north);
  if (most < 0) return false;
  if (most === west) space.maxX = Math.min(space.maxX, minX);
  else if (most === east) space.minX = Math.max(space.minX, maxX);
  else if (most === south) space.maxY = Math.min(space.maxY, minY);
  else space.minY = Math.max(space.minY, maxY);
  return true;
}

/**
 * Cuts the edge from `values[at]` away, `turn` degrees further west than it is written. False when the point is so near to it
 * that nothing is left.
 */
export function cutEdge(space: Space, values: Float64Array, at: number, turn: number): boolean {
  if (cutBand(space, values, at, turn, NO_REACH)) return true;
  const ax = values[at]! - turn - space.x;
  const ay = values[at + 1]! - space.y;
  const dx = values[at + 2]! - values[at]!;
  const dy = values[at + 3]! - values[at + 1]!;
  return cutToSquare(space, clearanceOf(ax, ay, dx, dy));
}

const NO_REACH: Reach = { x: 0, y: 0 };

/**
 * Cuts an edge away with what lies within a reach of it along the axes. False, and nothing is cut, when the point is in the
 * box of that, or nearly.
 */
export function cutBand(
  space: Space,
  values: Float64Array,
  at: number,
  turn: number,
  reach: Reach,
): boolean {
  const ay = values[at + 1]!;
  const by = values[at + 3]!;
  const minY = space.minY - reach.y;
  const maxY = space.maxY + reach.y;
  if ((ay < minY && by < minY) || (ay > maxY && by > maxY)) return true;
  const ax = values[at]! - turn;
  const bx = values[at + 2]! - turn;
  const minX = space.minX - reach.x;
  const maxX = space.maxX + reach.x;
  if ((ax < minX && bx < minX) || (ax > maxX && bx > maxX)) return true;
  const dx = bx - ax;
  const dy = by - ay;
  let from = 0;
  let to = 1;
  if (dx !== 0) {
    const a = (minX - ax) / dx;
    const b = (maxX - ax) / dx;
    from = Math.max(from, Math.min(a, b) - SHARE_PAD);
    to = Math.min(to, Math.max(a, b) + SHARE_PAD);
  }
  if (dy !== 0) {
    const a = (minY - ay) / dy;
    const b = (maxY - ay) / dy;
    from = Math.max(from, Math.min(a, b) - SHARE_PAD);
    to = Math.min(to, Math.max(a, b) + SHARE_PAD);
  }
  if (from > to) return true;
  const x0 = ax + from * dx;
  const x1 = ax + to * dx;
  const y0 = ay + from * dy;
  const y1 = ay + to * dy;
  piece.minX = Math.min(x0, x1) - reach.x;
  piece.maxX = Math.max(x0, x1) + reach.x;
  piece.minY = Math.min(y0, y1) - reach.y;
  piece.maxY = Math.max(y0, y1) + reach.y;
  return cutAway(space, piece);
}

/** Leaves of a space what lies within a distance of the point along both axes. False when that is nothing. */
export function cutToSquare(space: Space, reachDeg: number): boolean {
  if (!(reachDeg > 0)) return false;
  const { x, y } = space;
  space.minX = Math.max(space.minX, x - reachDeg);
  space.maxX = Math.min(space.maxX, x + reachDeg);
  space.minY = Math.max(space.minY, y - reachDeg);
  space.maxY = Math.min(space.maxY, y + reachDeg);
  return true;
}

/** The greater of the distances along the axes from the origin, at its least over an edge; a little less for rounding. */
function clearanceOf(ax: number, ay: number, dx: number, dy: number): number {
  // |ax + t dx| and |ay + t dy| are convex in t: the least of the greater one is at an end, a zero or where they are equal.
  let best = Math.min(
    Math.max(Math.abs(ax), Math.abs(ay)),
    Math.max(Math.abs(ax + dx), Math.abs(ay + dy)),
  );
  best = Math.min(best, greaterAt(ax, ay, dx, dy, -ax / dx));
  best = Math.min(best, greaterAt(ax, ay, dx, dy, -ay / dy));
  best = Math.min(best, greaterAt(ax, ay, dx, dy, (ay - ax) / (dx - dy)));
  best = Math.min(best, greaterAt(ax, ay, dx, dy, -(ax + ay) / (dx + dy)));
  return best * (1 - 1e-9) - BOX_PAD_DEG;
}

function greaterAt(ax: number, ay: number, dx: number, dy: number, t: number): number {
  if (!(t > 0 && t < 1)) return Infinity;
  return Math.max(Math.abs(ax + t * dx), Math.abs(ay + t * dy));
}
