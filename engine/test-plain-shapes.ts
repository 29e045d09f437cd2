/**
 * What a shape holds, nears and meets, said plainly: every edge is asked, in doubles, with no index and no shortcut.
 * For tests that hold the engine against it. Knows neither parts nor cells; rings round a pole are beyond it.
 */
import { haver, haverOfM, haversineM, pathHaver } from './geodesy.ts';
import type { FenceShape, LonLat, PolygonRings } from './types.ts';

/** A point; longitudes may be any number of turns apart. */
export interface Place {
  readonly lonDeg: number;
  readonly latDeg: number;
}

/** Two ends in the plane, `x0, y0, x1, y1`. */
type Edge = readonly [x0: number, y0: number, x1: number, y1: number];

const TURNS = [-360, 0, 360];
/** Scratch. */
const ends = new Float64Array(4);
const unrolledPaths = new WeakMap<readonly LonLat[], readonly Edge[]>();

/** Boundary included. */
export function holds(shape: FenceShape, { lonDeg, latDeg }: Place): boolean {
  switch (shape.type) {
    case 'polygon':
      return shape.polygons.some((rings) =>
        TURNS.some((turn) => covers(rings, lonDeg + turn, latDeg)),
      );
    case 'circle':
      return (
        haver(lonDeg, latDeg, shape.centerLonDeg, shape.centerLatDeg) <= haverOfM(shape.radiusM)
      );
    case 'corridor':
      return lineHaver(shape.line, lonDeg, latDeg) <= haverOfM(shape.widthM / 2);
  }
}

/** Whether a point that the shape does not hold is at most `limitM` from it. */
export function isNear(shape: FenceShape, { lonDeg, latDeg }: Place, limitM: number): boolean {
  switch (shape.type) {
    case 'polygon':
      return shape.polygons.some((rings) =>
        rings.some((ring) => lineHaver(ring, lonDeg, latDeg) <= haverOfM(limitM)),
      );
    case 'circle': {
      const awayM = haversineM(lonDeg, latDeg, shape.centerLonDeg, shape.centerLatDeg);
      return awayM <= shape.radiusM + limitM;
    }
    case 'corridor':
      return lineHaver(shape.line, lonDeg, latDeg) <= haverOfM(shape.widthM / 2 + limitM);
  }
}

/** Whether the straight way, the short way round, between two points that the shape does not hold touches it. */
export function meets(shape: FenceShape, from: Place, to: Place): boolean {
  const step = to.lonDeg - from.lonDeg;
  const turn = step > 180 ? 360 : step < -180 ? -360 : 0;
  return TURNS.some((shift) => {
    const x0 = from.lonDeg + turn + shift;
    return meetsInTurn(shape, [x0, from.latDeg, to.lonDeg + shift, to.latDeg]);
  });
}

function meetsInTurn(shape: FenceShape, way: Edge): boolean {
  switch (shape.type) {
    case 'polygon':
      return shape.polygons.some((rings) =>
        rings.some((ring) => edgesOf(ring).some((edge) => touch(edge, way))),
      );
    case 'circle': {
      const away = edgeHaver(way, shape.centerLonDeg, shape.centerLatDeg);
      return away <= haverOfM(shape.radiusM);
    }
    case 'corridor':
      return edgesOf(shape.line).some((edge) => within(edge, way, haverOfM(shape.widthM / 2)));
  }
}

/** Whether the least distance of two edges, as its `haver`, is at most `limit`: it is at an end, or they cross. */
function within(a: Edge, b: Edge, limit: number): boolean {
  return (
    touch(a, b) ||
    edgeHaver(a, b[0], b[1]) <= limit ||
    edgeHaver(a, b[2], b[3]) <= limit ||
    edgeHaver(b, a[0], a[1]) <= limit ||
    edgeHaver(b, a[2], a[3]) <= limit
  );
}

function lineHaver(line: readonly LonLat[], lonDeg: number, latDeg: number): number {
  let least = Infinity;
  for (const edge of edgesOf(line)) {
    for (const turn of TURNS) least = Math.min(least, edgeHaver(edge, lonDeg + turn, latDeg));
  }
  return least;
}

function edgeHaver(edge: Edge, lonDeg: number, latDeg: number): number {
  ends.set(edge);
  return pathHaver(ends, 0, lonDeg, latDeg);
}

/** By the even-odd rule; the boundary of a hole belongs to the polygon. */
function covers([outer = [], ...holes]: PolygonRings, x: number, y: number): boolean {
  if (!isOn(outer, x, y) && !isWithin(outer, x, y)) return false;
  return holes.every((hole) => isOn(hole, x, y) || !isWithin(hole, x, y));
}

function isOn(ring: readonly LonLat[], x: number, y: number): boolean {
  return edgesOf(ring).some((edge) => touch(edge, [x, y, x, y]));
}

/** Whether a ray to the east passes an odd number of edges; for points on none. */
function isWithin(ring: readonly LonLat[], x: number, y: number): boolean {
  let isInside = false;
  for (const [x0, y0, x1, y1] of edgesOf(ring)) {
    if (y0 > y === y1 > y) continue;
    const isLeft = area([x0, y0, x1, y1], x, y) > 0;
    if (isLeft === y1 > y0) isInside = !isInside;
  }
  return isInside;
}

/** Whether two edges have a point in common; a point is an edge from itself to itself. */
function touch(a: Edge, b: Edge): boolean {
  if (Math.max(a[0], a[2]) < Math.min(b[0], b[2])) return false;
  if (Math.max(b[0], b[2]) < Math.min(a[0], a[2])) return false;
  if (Math.max(a[1], a[3]) < Math.min(b[1], b[3])) return false;
  if (Math.max(b[1], b[3]) < Math.min(a[1], a[3])) return false;
  return (
    Math.sign(area(a, b[0], b[1])) * Math.sign(area(a, b[2], b[3])) <= 0 &&
    Math.sign(area(b, a[0], a[1])) * Math.sign(area(b, a[2], a[3])) <= 0
  );
}

/** Twice the area of the triangle of an edge and a point: above 0 when the point is on its left. */
function area([x0, y0, x1, y1]: Edge, x: number, y: number): number {
  return (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0);
}

/** The edges of a line or ring, each step taken the short way round. */
function edgesOf(path: readonly LonLat[]): readonly Edge[] {
  let edges = unrolledPaths.get(path);
  if (edges === undefined) unrolledPaths.set(path, (edges = unroll(path)));
  return edges;
}

function unroll(path: readonly LonLat[]): Edge[] {
  const edges: Edge[] = [];
  let shift = 0;
  for (let i = 1; i < path.length; i++) {
    const [x0, y0] = path[i - 1]!;
    const [x1, y1] = path[i]!;
    const turn = x1 - x0 > 180 ? -360 : x1 - x0 < -180 ? 360 : 0;
    edges.push([x0 + shift, y0, x1 + shift + turn, y1]);
    shift += turn;
  }
  return edges;
}
