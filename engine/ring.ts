/**
 * Rings and lines as the engine tests them: unrolled over the antimeridian, closed over a pole, vertices in a flat array.
 * Edges are straight in longitude and latitude (RFC 7946), and a point on one belongs to the ring. Rings of many edges get
 * stripes and cells (`ring-index.ts`), which spare most edges and change no answer.
 */
import type { CoordinateStore, Run } from './coordinates.ts';
import type { Reach } from './edge-cells.ts';
import { BOX_PAD_DEG, DEGREE_M, haverOfM, lonReachDeg, pathHaver, TURNS_DEG } from './geodesy.ts';
import type { RingIndex } from './ring-index.ts';
import { cellSide, indexRing, isMixedWithin, stripeOf } from './ring-index.ts';
import type { LonLat } from './types.ts';

/** Rings of at most this many edges are scanned whole; an index would cost more than it saves. */
const LINEAR_EDGES_MAX = 40;

/** A ring ready to be asked: vertex i is `values[start + 2 i]`, `values[start + 2 i + 1]`; the last repeats the first. */
export interface Ring extends Run {
  /** Where its values end. */
  readonly end: number;
  /** It runs past 180°: points are tried one turn further, too. */
  readonly isWrapped: boolean;
  readonly index: RingIndex | null;
}

/** The bounds of a ring; `minX` in −180…180, `maxX` at most `minX` + 360. */
export interface Bounds {
  readonly minX: number;
  readonly minY: number;
  readonly maxX: number;
  readonly maxY: number;
}

/** Longitudes of a path made continuous: `turnDeg` is what is left between the first and the last position. */
export interface Unrolled {
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly turnDeg: number;
}

/**
 * Makes a path continuous over ±180°: a step of more than 180 and less than 360 degrees of longitude is taken the
 * short way round, so 170 → −170 means the same as 170 → 190. A step of 180 or of 360 stays as written (the edge of
 * a box round the whole earth).
 */
export function unrollLongitudes(path: readonly LonLat[]): Unrolled {
  const x = new Float64Array(path.length);
  const y = new Float64Array(path.length);
  let shift = 0;
  for (let i = 0; i < path.length; i++) {
    const [lonDeg, latDeg] = path[i]!;
    if (i > 0) {
      const step = lonDeg - path[i - 1]![0];
      if (step > 180 && step < 360) shift -= 360;
      else if (step < -180 && step > -360) shift += 360;
    }
    x[i] = lonDeg + shift;
    y[i] = latDeg;
  }
  return { x, y, turnDeg: path.length > 0 ? x[x.length - 1]! - x[0]! : 0 };
}

/**
 * Prepares a closed ring (see `checkShape`). A ring that runs once round the earth encloses the pole of the
 * hemisphere that it mostly runs through, whichever way round it is written. O(n log n) at most.
 */
export function prepareRing(
  positions: readonly LonLat[],
  store: CoordinateStore,
): { ring: Ring; bounds: Bounds } {
  const path = closeOverPole(unrollLongitudes(positions));
  const whole = boundsOf(path);
  const shift = whole.minX >= 180 ? -360 : whole.minX < -180 ? 360 : 0;
  const bounds = { ...whole, minX: whole.minX + shift, maxX: whole.maxX + shift };
  const count = path.x.length;
  const { values, start } = store.take(2 * count);
  for (let i = 0; i < count; i++) {
    values[start + 2 * i] = shifted(path.x[i]!, shift, positions[i]?.[0]);
    values[start + 2 * i + 1] = path.y[i]!;
  }
  const plain = {
    values,
    start,
    end: start + 2 * count,
    isWrapped: bounds.maxX >= 180,
    index: null,
  };
  if (count - 1 <= LINEAR_EDGES_MAX) return { ring: plain, bounds };
  return { ring: { ...plain, index: indexRing(plain, bounds) }, bounds };
}

/** As written, where that is known, and whole turns in one step: two would round twice. */
function shifted(x: number, shift: number, writtenDeg = x): number {
  return writtenDeg + (Math.round((x - writtenDeg) / 360) * 360 + shift);
}

/** 1 inside, 0 on the boundary, −1 outside; the ring is tried in the point's own turn and the next. */
export function ringSide(ring: Ring, lonDeg: number, latDeg: number): -1 | 0 | 1 {
  const side = sideInTurn(ring, lonDeg, latDeg);
  return side < 0 && ring.isWrapped ? sideInTurn(ring, lonDeg + 360, latDeg) : side;
}

function sideInTurn(ring: Ring, x: number, y: number): -1 | 0 | 1 {
  const { values, index } = ring;
  if (index === null) return linearSide(values, ring.start, ring.end, x, y);
  const { bounds } = index;
  if (!(x >= bounds.minX && x <= bounds.maxX && y >= bounds.minY && y <= bounds.maxY)) return -1;
  const known = cellSide(index, x, y);
  if (known !== 0) return known;
  const { stripeStart, stripeEdges } = index;
  const stripe = stripeOf(index, y);
  const end = stripeStart[stripe + 1]!;
  let inside = false;
  for (let i = stripeStart[stripe]!; i < end; i++) {
    const passed = edgeSide(values, stripeEdges[i]!, x, y);
    if (passed === 0) return 0;
    if (passed > 0) inside = !inside;
  }
  return inside ? 1 : -1;
}

function linearSide(
  values: Float64Array,
  start: number,
  end: number,
  x: number,
  y: number,
): -1 | 0 | 1 {
  let inside = false;
  let y0 = values[start + 1]!;
  for (let at = start; at < end - 2; at += 2) {
    const y1 = values[at + 3]!;
    // Both ends on one side: the usual case, in one branch.
    if ((y0 - y) * (y1 - y) > 0) {
      y0 = y1;
      continue;
    }
    const passed = edgeSide(values, at, x, y);
    if (passed === 0) return 0;
    if (passed > 0) inside = !inside;
    y0 = y1;
  }
  return inside ? 1 : -1;
}

/** `ringSide` of a ring that is not wrapped, by the edges whose bits are set: all others must lie above or below the point. */
export function someEdgesSide(ring: Ring, x: number, y: number, edges: number): -1 | 0 | 1 {
  const { values, start } = ring;
  let inside = false;
  for (let left = edges; left !== 0; left &= left - 1) {
    const edge = 31 - Math.clz32(left & -left);
    const passed = edgeSide(values, start + 2 * edge, x, y);
    if (passed === 0) return 0;
    if (passed > 0) inside = !inside;
  }
  return inside ? 1 : -1;
}

/**
 * What the edge from `values[at]` means to a point: 0 on it, 1 a ray from the point to the west passes it, −1 it does
 * not. The edge is always taken from its lower end, so two fences that share it never both refuse a point.
 */
function edgeSide(values: Float64Array, at: number, x: number, y: number): -1 | 0 | 1 {
  // Both ends on one side: the usual case, in one branch.
  if ((values[at + 1]! - y) * (values[at + 3]! - y) > 0) return -1;
  const isUp =
    values[at + 1]! < values[at + 3]! ||
    (values[at + 1] === values[at + 3] && values[at]! <= values[at + 2]!);
  const low = isUp ? at : at + 2;
  const high = isUp ? at + 2 : at;
  const y0 = values[low + 1]!;
  const y1 = values[high + 1]!;
  if (!(y >= y0 && y <= y1)) return -1;
  const x0 = values[low]!;
  const x1 = values[high]!;
  if (y0 === y1) return x >= x0 && x <= x1 ? 0 : -1;
  const side = (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0);
  if (side === 0) return 0;
  return side > 0 && y < y1 ? 1 : -1;
}

/** How far a circle round a point at this latitude reaches along the axes, and a little more. */
export function reachOf(latDeg: number, radiusM: number): Reach {
  return {
    x: lonReachDeg(latDeg, radiusM) + BOX_PAD_DEG,
    y: radiusM / DEGREE_M + BOX_PAD_DEG,
  };
}

/** Whether some edge of the ring lies within `limitM` metres of the point, whichever side the point is on. */
export function ringNear(ring: Ring, lonDeg: number, latDeg: number, limitM: number): boolean {
  const reach = reachOf(latDeg, limitM);
  const limit = haverOfM(limitM);
  const { values } = ring;
  let isNear = false;
  const test = (at: number, x: number): boolean => {
    if (isApart(values, at, x, latDeg, reach)) return false;
    isNear = pathHaver(values, at, x, latDeg) <= limit;
    return isNear;
  };
  for (const turn of TURNS_DEG) {
    if (turn !== 0 && !ring.isWrapped && Math.abs(lonDeg) + reach.x < 180) continue;
    edgesBetween(ring, latDeg - reach.y, latDeg + reach.y, (at) => test(at, lonDeg + turn));
    if (isNear) return true;
  }
  return false;
}

/** Whether the straight way from one point to the other touches an edge of the ring. Longitudes are continuous. */
export function ringMeets(ring: Ring, way: Segment): boolean {
  if (meetsInTurn(ring, way, 0)) return true;
  if (!ring.isWrapped && way.minX > -180 && way.maxX < 180) return false;
  return meetsInTurn(ring, way, -360) || meetsInTurn(ring, way, 360);
}

function meetsInTurn(ring: Ring, way: Segment, turn: number): boolean {
  const { values, index } = ring;
  if (index === null) {
    for (let at = ring.start; at < ring.end - 2; at += 2) {
      if (touches(values, at, way, turn)) return true;
    }
    return false;
  }
  if (!isMixedWithin(index, way, turn)) return false;
  let meets = false;
  edgesBetween(ring, way.minY, way.maxY, (at) => (meets = touches(values, at, way, turn)));
  return meets;
}

/** A straight way between two fixes, with its bounds. Longitudes are continuous and may lie past ±180. */
export interface Segment {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
  minX: number;
  maxX: number;
  minY: number;
  maxY: number;
}

/** Hands over edges until `visit` says true: at least all that reach into a range of latitudes, some perhaps twice. */
export function edgesBetween(
  ring: Ring,
  fromY: number,
  toY: number,
  visit: (at: number) => boolean,
): void {
  const { index } = ring;
  if (index === null) {
    for (let at = ring.start; at < ring.end - 2; at += 2) if (visit(at)) return;
    return;
  }
  const from = Math.max(fromY, index.bounds.minY);
  const to = Math.min(toY, index.bounds.maxY);
  if (!(from <= to)) return;
  const start = index.stripeStart[stripeOf(index, from)]!;
  const end = index.stripeStart[stripeOf(index, to) + 1]!;
  for (let i = start; i < end; i++) if (visit(index.stripeEdges[i]!)) return;
}

/** Whether a point is further from the box of an edge than a reach along one of the axes. */
export function isApart(
  values: Float64Array,
  at: number,
  x: number,
  y: number,
  reach: Reach,
): boolean {
  const ay = values[at + 1]! - y;
  const by = values[at + 3]! - y;
  if ((ay < -reach.y && by < -reach.y) || (ay > reach.y && by > reach.y)) return true;
  const ax = values[at]! - x;
  const bx = values[at + 2]! - x;
  return (ax < -reach.x && bx < -reach.x) || (ax > reach.x && bx > reach.x);
}

function touches(values: Float64Array, at: number, way: Segment, turn: number): boolean {
  const ay = values[at + 1]!;
  const by = values[at + 3]!;
  // Both ends beyond the same end of the way: the usual case.
  if ((ay - way.minY) * (by - way.minY) > 0 && (ay - way.maxY) * (by - way.maxY) > 0) {
    if (ay - way.minY < 0 === ay - way.maxY < 0) return false;
  }
  const ax = values[at]! - turn;
  const bx = values[at + 2]! - turn;
  if (Math.max(ax, bx) < way.minX || Math.min(ax, bx) > way.maxX) return false;
  if (Math.max(ay, by) < way.minY || Math.min(ay, by) > way.maxY) return false;
  return segmentsTouch(way.x0, way.y0, way.x1, way.y1, [ax, ay, bx, by]);
}

/** Whether two straight segments with overlapping bounds have a point in common. */
export function segmentsTouch(
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  [ax, ay, bx, by]: readonly [number, number, number, number],
): boolean {
  const a = (x1 - x0) * (ay - y0) - (ax - x0) * (y1 - y0);
  const b = (x1 - x0) * (by - y0) - (bx - x0) * (y1 - y0);
  if ((a > 0 && b > 0) || (a < 0 && b < 0)) return false;
  const c = (bx - ax) * (y0 - ay) - (x0 - ax) * (by - ay);
  const d = (bx - ax) * (y1 - ay) - (x1 - ax) * (by - ay);
  return !((c > 0 && d > 0) || (c < 0 && d < 0));
}

function closeOverPole(path: Unrolled): Unrolled {
  if (path.turnDeg === 0) return path;
  const count = path.x.length;
  let weighted = 0;
  for (let i = 1; i < count; i++) {
    weighted += (path.x[i]! - path.x[i - 1]!) * (path.y[i]! + path.y[i - 1]!);
  }
  const poleDeg = weighted / path.turnDeg >= 0 ? 90 : -90;
  const x = new Float64Array(count + 3);
  const y = new Float64Array(count + 3);
  x.set(path.x);
  y.set(path.y);
  x.set([path.x[count - 1]!, path.x[0]!, path.x[0]!], count);
  y.set([poleDeg, poleDeg, path.y[0]!], count);
  return { x, y, turnDeg: 0 };
}

function boundsOf({ x, y }: Unrolled): Bounds {
  let minX = Infinity;
  let maxX = -Infinity;
  let minY = Infinity;
  let maxY = -Infinity;
  for (let i = 0; i < x.length; i++) {
    minX = Math.min(minX, x[i]!);
    maxX = Math.max(maxX, x[i]!);
    minY = Math.min(minY, y[i]!);
    maxY = Math.max(maxY, y[i]!);
  }
  return { minX, maxX, minY, maxY };
}
