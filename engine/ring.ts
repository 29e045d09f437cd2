/**
 * Rings and lines as the engine tests them: unrolled over the antimeridian, closed over a pole, edges in typed arrays
 * and y-stripes. Edges are straight in longitude and latitude (RFC 7946), and a point on one belongs to the ring.
 */
import { DEGREE_M, haverOfM, lonReachDeg, segmentHaver } from './geodesy.ts';
import type { LonLat } from './types.ts';

/** Rings of at most this many edges are scanned whole; stripes would cost more than they save. */
const LINEAR_EDGES_MAX = 16;

/** Flatter rings than this, a tenth of a micrometre, get one stripe: dividing by their height would overflow. */
const STRIPED_HEIGHT_MIN_DEG = 1e-12;

/** A ring ready to be asked. Longitudes run from `minX` in −180…180 to at most `minX` + 360. */
export interface Ring {
  readonly minX: number;
  readonly minY: number;
  readonly maxX: number;
  readonly maxY: number;
  /** Four numbers an edge: x and y of the lower end, x and y of the upper end. */
  readonly edges: Float64Array;
  readonly stripesPerDeg: number;
  /** Where each stripe's list begins in `stripeEdges`; one more entry than there are stripes. */
  readonly stripeStart: Uint32Array;
  /** Offsets into `edges`, in groups by stripe. */
  readonly stripeEdges: Uint32Array;
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
 * hemisphere that it mostly runs through, whichever way round it is written. O(n log n) at most; memory about 44 B an edge.
 */
export function prepareRing(positions: readonly LonLat[]): Ring {
  const path = closeOverPole(unrollLongitudes(positions));
  const { minX, maxX, minY, maxY } = boundsOf(path);
  const shift = minX >= 180 ? -360 : minX < -180 ? 360 : 0;
  const edges = edgesOf(path, shift);
  return {
    minX: minX + shift,
    maxX: maxX + shift,
    minY,
    maxY,
    edges,
    ...stripesOf(edges, minY, maxY),
  };
}

/** 1 inside, 0 on the boundary, −1 outside. `x` has to be in the ring's own turn; NaN is outside. */
export function ringSide(ring: Ring, x: number, y: number): -1 | 0 | 1 {
  if (!(x >= ring.minX && x <= ring.maxX && y >= ring.minY && y <= ring.maxY)) return -1;
  const { edges, stripeEdges, stripeStart } = ring;
  const stripe = stripeOf(ring, y);
  const end = stripeStart[stripe + 1]!;
  let inside = false;
  for (let i = stripeStart[stripe]!; i < end; i++) {
    const at = stripeEdges[i]!;
    const y0 = edges[at + 1]!;
    const y1 = edges[at + 3]!;
    if (y < y0 || y > y1) continue;
    const x0 = edges[at]!;
    const x1 = edges[at + 2]!;
    if (y0 === y1) {
      if (x >= Math.min(x0, x1) && x <= Math.max(x0, x1)) return 0;
      continue;
    }
    // The edge is always taken from its lower end, so two fences that share it never both refuse a point.
    const side = (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0);
    if (side === 0) return 0;
    if (side > 0 && y < y1) inside = !inside;
  }
  return inside ? 1 : -1;
}

/** Whether some edge of the ring lies within `limitM` metres of the point, whichever side the point is on. */
export function ringNear(ring: Ring, lonDeg: number, latDeg: number, limitM: number): boolean {
  const reachY = limitM / DEGREE_M + 1e-9;
  const fromY = Math.max(latDeg - reachY, ring.minY);
  const toY = Math.min(latDeg + reachY, ring.maxY);
  if (!(fromY <= toY)) return false;
  const reachX = lonReachDeg(latDeg, limitM) + 1e-9;
  const start = ring.stripeStart[stripeOf(ring, fromY)]!;
  const end = ring.stripeStart[stripeOf(ring, toY) + 1]!;
  const limit = haverOfM(limitM);
  for (let x = lonDeg - 360; x <= lonDeg + 360; x += 360) {
    if (x < ring.minX - reachX || x > ring.maxX + reachX) continue;
    for (let i = start; i < end; i++) {
      if (segmentHaver(x, latDeg, ring.edges, ring.stripeEdges[i]!) <= limit) return true;
    }
  }
  return false;
}

function stripeOf(ring: Ring, y: number): number {
  const stripe = Math.floor((y - ring.minY) * ring.stripesPerDeg);
  return Math.min(stripe, ring.stripeStart.length - 2);
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

function boundsOf({ x, y }: Unrolled): { minX: number; maxX: number; minY: number; maxY: number } {
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

function edgesOf({ x, y }: Unrolled, shift: number): Float64Array {
  const edges = new Float64Array(Math.max(0, x.length - 1) * 4);
  for (let i = 1; i < x.length; i++) {
    const up = y[i - 1]! < y[i]! || (y[i - 1] === y[i] && x[i - 1]! <= x[i]!);
    const low = up ? i - 1 : i;
    const high = up ? i : i - 1;
    edges.set([x[low]! + shift, y[low]!, x[high]! + shift, y[high]!], (i - 1) * 4);
  }
  return edges;
}

// With c edges on an average horizontal line and n edges in all, s stripes hold s·c + n entries. s = 2n/c makes that
// 3n at most, so a comb of long teeth cannot blow the lists up to n².
function stripesOf(
  edges: Float64Array,
  minY: number,
  maxY: number,
): Pick<Ring, 'stripesPerDeg' | 'stripeStart' | 'stripeEdges'> {
  const edgeCount = edges.length / 4;
  const height = maxY - minY;
  let climb = 0;
  for (let at = 0; at < edges.length; at += 4) climb += edges[at + 3]! - edges[at + 1]!;
  const wanted = climb > 0 ? Math.round((2 * edgeCount * height) / climb) : 1;
  const whole = edgeCount <= LINEAR_EDGES_MAX || height < STRIPED_HEIGHT_MIN_DEG;
  const count = whole ? 1 : Math.min(edgeCount, Math.max(1, wanted));
  const stripesPerDeg = whole ? 0 : count / height;
  const stripeAt = (y: number): number =>
    Math.min(count - 1, Math.floor((y - minY) * stripesPerDeg));
  const stripeStart = new Uint32Array(count + 1);
  for (let at = 0; at < edges.length; at += 4) {
    const last = stripeAt(edges[at + 3]!);
    for (let s = stripeAt(edges[at + 1]!); s <= last; s++) stripeStart[s + 1]!++;
  }
  for (let s = 0; s < count; s++) stripeStart[s + 1]! += stripeStart[s]!;
  const stripeEdges = new Uint32Array(stripeStart[count]!);
  const next = stripeStart.slice();
  for (let at = 0; at < edges.length; at += 4) {
    const last = stripeAt(edges[at + 3]!);
    for (let s = stripeAt(edges[at + 1]!); s <= last; s++) stripeEdges[next[s]!++] = at;
  }
  return { stripesPerDeg, stripeStart, stripeEdges };
}
