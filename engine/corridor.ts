/** A short run of a corridor: all points within half its width of a line that is straight in longitude and latitude. */
import { ALL_EDGES, type CellGrid } from './cell-grid.ts';
import type { CoordinateStore } from './coordinates.ts';
import type { Reach } from './edge-cells.ts';
import {
  BOX_PAD_DEG,
  DEGREE_M,
  EARTH_RADIUS_M,
  haverOfM,
  lonReachDeg,
  pathHaver,
  RADIANS,
  TURNS_DEG,
} from './geodesy.ts';
import type { Box, Part } from './part.ts';
import { wrapBox } from './part.ts';
import { paintBand } from './picture.ts';
import type { Segment } from './ring.ts';
import { isApart, reachOf, segmentsTouch } from './ring.ts';
import { cutBand, cutToSquare, type Space } from './space.ts';
import type { FenceEntry } from './world.ts';

/** Segments of a corridor that share a box. */
export const RUN_SEGMENTS_MAX = 8;

// Before the vertices of the run, in the store.
const HALF_M = 0;
/** `haver` at half the width. */
const LIMIT = 1;
/** How far half the width reaches, in degrees; of longitude where it reaches furthest. */
const REACH_X_DEG = 2;
const REACH_Y_DEG = 3;
const MIN_X = 4;
const MAX_X = 5;
const HEAD_VALUES = 6;

/** Poleward of this the plane misleads, and every decision is the sphere's. */
const PLANE_LAT_DEG_MAX = 80;
/** Share by which the plane may be wrong there about the square of a distance of at most the widest corridor. */
const PLANE_ERROR = 0.05;
/** Of a distance: what `pathHaver` may be wrong by, and far more. */
const CLEARANCE_ERROR = 0.01;

const wayValues = new Float64Array(4);

export class CorridorPart implements Part {
  next: Part | null = null;
  entry: FenceEntry | null = null;
  item = -1;
  readonly values: Float64Array;
  readonly start: number;
  private readonly end: number;

  /** Where the vertices begin. */
  private get first(): number {
    return this.start + HEAD_VALUES;
  }

  constructor(run: { x: Float64Array; y: Float64Array }, halfM: number, store: CoordinateStore) {
    const { x, y } = run;
    const { values, start } = store.take(HEAD_VALUES + 2 * x.length);
    this.values = values;
    this.start = start;
    this.end = start + HEAD_VALUES + 2 * x.length;
    let latDegMax = 0;
    for (let i = 0; i < x.length; i++) {
      values[start + HEAD_VALUES + 2 * i] = x[i]!;
      values[start + HEAD_VALUES + 2 * i + 1] = y[i]!;
      latDegMax = Math.max(latDegMax, Math.abs(y[i]!));
    }
    const reachYDeg = halfM / DEGREE_M + BOX_PAD_DEG;
    values[start + HALF_M] = halfM;
    values[start + LIMIT] = haverOfM(halfM);
    values[start + REACH_X_DEG] =
      lonReachDeg(Math.min(90, latDegMax + reachYDeg), halfM) + BOX_PAD_DEG;
    values[start + REACH_Y_DEG] = reachYDeg;
    values[start + MIN_X] = Math.min(...x);
    values[start + MAX_X] = Math.max(...x);
  }

  boxes(): Box[] {
    const { values, start } = this;
    let minY = Infinity;
    let maxY = -Infinity;
    for (let at = start + HEAD_VALUES; at < this.end; at += 2) {
      minY = Math.min(minY, values[at + 1]!);
      maxY = Math.max(maxY, values[at + 1]!);
    }
    const lon = values[start + REACH_X_DEG]!;
    const lat = values[start + REACH_Y_DEG]!;
    return wrapBox(
      values[start + MIN_X]! - lon,
      values[start + MAX_X]! + lon,
      minY - lat,
      maxY + lat,
    );
  }

  contains(lonDeg: number, latDeg: number): boolean {
    return this.holds(lonDeg, latDeg, ALL_EDGES);
  }

  holds(lonDeg: number, latDeg: number, edges: number): boolean {
    const { values, start } = this;
    const reach = this.reach();
    for (const turn of TURNS_DEG) {
      const x = lonDeg + turn;
      if (x < values[start + MIN_X]! - reach.x || x > values[start + MAX_X]! + reach.x) continue;
      for (let at = this.first; at < this.end - 2; at += 2) {
        if ((edges & (1 << ((at - this.first) / 2))) === 0) continue;
        if (!isApart(values, at, x, latDeg, reach) && this.isHeld(at, x, latDeg)) {
          return true;
        }
      }
    }
    return false;
  }

  /** The same as asking `pathHaver` of a segment, where the plane leaves no doubt without its sines. */
  private isHeld(at: number, x: number, y: number): boolean {
    const { values, start } = this;
    const limit = values[start + LIMIT]!;
    if (Math.abs(y) < PLANE_LAT_DEG_MAX) {
      const planar = 4 * limit * (1 / (RADIANS * RADIANS));
      const scale = Math.cos(y * RADIANS) ** 2;
      const x0 = values[at]!;
      const y0 = values[at + 1]!;
      const dx = values[at + 2]! - x0;
      const dy = values[at + 3]! - y0;
      const length = dx * dx * scale + dy * dy;
      const along = (x - x0) * dx * scale + (y - y0) * dy;
      const share = length > 0 ? Math.min(1, Math.max(0, along / length)) : 0;
      const awayX = x - x0 - share * dx;
      const awayY = y - y0 - share * dy;
      const away = awayX * awayX * scale + awayY * awayY;
      if (away <= planar * (1 - PLANE_ERROR)) return true;
      if (away > planar * (1 + PLANE_ERROR)) return false;
    }
    return pathHaver(values, at, x, y) <= limit;
  }

  near(lonDeg: number, latDeg: number, limitM: number): boolean {
    const { values, start } = this;
    const withinM = values[start + HALF_M]! + limitM;
    const limit = haverOfM(withinM);
    const reach = reachOf(latDeg, withinM);
    for (const turn of TURNS_DEG) {
      const x = lonDeg + turn;
      for (let at = this.first; at < this.end - 2; at += 2) {
        if (isApart(values, at, x, latDeg, reach)) continue;
        if (pathHaver(values, at, x, latDeg) <= limit) return true;
      }
    }
    return false;
  }

  meets(way: Segment): boolean {
    const { values, start } = this;
    const limit = values[start + LIMIT]!;
    const reachX = values[start + REACH_X_DEG]!;
    const reachY = values[start + REACH_Y_DEG]!;
    for (const turn of TURNS_DEG) {
      if (this.isBeside(way, turn, reachX)) continue;
      setWay(way, turn);
      const minX = way.minX + turn - reachX;
      const maxX = way.maxX + turn + reachX;
      for (let at = this.first; at < this.end - 2; at += 2) {
        if (values[at]! < minX && values[at + 2]! < minX) continue;
        if (values[at]! > maxX && values[at + 2]! > maxX) continue;
        const [ay, by] = [values[at + 1]!, values[at + 3]!];
        if (Math.max(ay, by) < way.minY - reachY || Math.min(ay, by) > way.maxY + reachY) continue;
        if (waysWithin(values, at, limit)) return true;
      }
    }
    return false;
  }

  cutFrom(space: Space, edges: number): boolean {
    const { values } = this;
    const reach = this.reach();
    for (const turn of TURNS_DEG) {
      if (this.isBeside(space, turn, reach.x)) continue;
      for (let at = this.first; at < this.end - 2; at += 2) {
        if ((edges & (1 << ((at - this.first) / 2))) === 0) continue;
        if (cutBand(space, values, at, turn, reach)) continue;
        return cutToSquare(space, this.clearanceDeg(space.x, space.y));
      }
    }
    return true;
  }

  paint(grid: CellGrid, item: number): void {
    const { values, start } = this;
    const reach = this.reach();
    const isInOneTurn =
      values[start + MIN_X]! - reach.x >= -180 && values[start + MAX_X]! + reach.x < 180;
    if (isInOneTurn) paintBand(grid, item, { values, start: this.first, end: this.end }, reach);
  }

  release(store: CoordinateStore): void {
    store.giveBack(this, this.end - this.start);
  }

  /** Whether it lies further east or west of an area than a reach, when it is taken `turn` degrees further west. */
  private isBeside(area: { minX: number; maxX: number }, turn: number, reachX: number): boolean {
    const { values, start } = this;
    return (
      values[start + MIN_X]! - turn > area.maxX + reachX ||
      values[start + MAX_X]! - turn < area.minX - reachX
    );
  }

  private reach(): Reach {
    const { values, start } = this;
    return { x: values[start + REACH_X_DEG]!, y: values[start + REACH_Y_DEG]! };
  }

  /** Half the side of a square round a point that the boundary does not run through. */
  private clearanceDeg(lonDeg: number, latDeg: number): number {
    if (Math.abs(latDeg) > PLANE_LAT_DEG_MAX) return 0;
    const halfM = this.values[this.start + HALF_M]!;
    let least = 1;
    for (let at = this.first; at < this.end - 2; at += 2) {
      for (const turn of TURNS_DEG) {
        least = Math.min(least, pathHaver(this.values, at, lonDeg + turn, latDeg));
      }
    }
    const awayM = 2 * EARTH_RADIUS_M * Math.asin(Math.sqrt(least));
    const clearM = Math.abs(awayM - halfM) - CLEARANCE_ERROR * Math.max(awayM, halfM);
    return clearM / (Math.SQRT2 * DEGREE_M);
  }
}

function setWay(way: Segment, turn: number): void {
  wayValues[0] = way.x0 + turn;
  wayValues[1] = way.y0;
  wayValues[2] = way.x1 + turn;
  wayValues[3] = way.y1;
}

/** Whether the way in `wayValues` comes within a distance of the segment at `at`: they cross, or an end is near. */
function waysWithin(values: Float64Array, at: number, limit: number): boolean {
  const [x0, y0, x1, y1] = wayValues as unknown as [number, number, number, number];
  const ax = values[at]!;
  const ay = values[at + 1]!;
  const bx = values[at + 2]!;
  const by = values[at + 3]!;
  const overlap =
    Math.max(ax, bx) >= Math.min(x0, x1) &&
    Math.min(ax, bx) <= Math.max(x0, x1) &&
    Math.max(ay, by) >= Math.min(y0, y1) &&
    Math.min(ay, by) <= Math.max(y0, y1);
  if (overlap && segmentsTouch(x0, y0, x1, y1, [ax, ay, bx, by])) return true;
  return (
    pathHaver(wayValues, 0, ax, ay) <= limit ||
    pathHaver(wayValues, 0, bx, by) <= limit ||
    pathHaver(values, at, x0, y0) <= limit ||
    pathHaver(values, at, x1, y1) <= limit
  );
}
