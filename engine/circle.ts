/** A circle: all points within a distance of its centre on the sphere. */
import type { CoordinateStore, Run } from './coordinates.ts';
import {
  BOX_PAD_DEG,
  DEGREE_M,
  haver,
  haverOfM,
  haversineM,
  lonReachDeg,
  pathHaver,
  RADIANS,
  TURNS_DEG,
} from './geodesy.ts';
import type { Box, Part } from './part.ts';
import { wrapBox } from './part.ts';
import type { Segment } from './ring.ts';
import { cutToSquare, type Space } from './space.ts';
import type { FenceEntry } from './world.ts';

// What a circle holds, in a run of the store: numbers in fields of an object cost twice as much.
const LON_DEG = 0;
const LAT_DEG = 1;
const RADIUS_M = 2;
/** `haver` at the radius. */
const REACH = 3;
/** Degrees of latitude beyond which nothing is inside. */
const LAT_REACH_DEG = 4;
/** Cosine of the centre's latitude times the least and the greatest of a latitude in the circle. */
const COSINES_MIN = 5;
const COSINES_MAX = 6;
const CIRCLE_VALUES = 7;

/** Decisions within this share of the radius are left to the formula itself. */
const ROUNDING = 1e-9;

const wayValues = new Float64Array(4);

export class CirclePart implements Part {
  next: Part | null = null;
  entry: FenceEntry | null = null;
  item = -1;
  readonly values: Float64Array;
  readonly start: number;

  constructor(lonDeg: number, latDeg: number, radiusM: number, store: CoordinateStore) {
    const { values, start }: Run = store.take(CIRCLE_VALUES);
    this.values = values;
    this.start = start;
    const latReachDeg = radiusM / DEGREE_M + BOX_PAD_DEG;
    const south = Math.cos(Math.max(-90, latDeg - latReachDeg) * RADIANS);
    const north = Math.cos(Math.min(90, latDeg + latReachDeg) * RADIANS);
    const holdsEquator = Math.abs(latDeg) <= latReachDeg;
    const cosine = Math.cos(latDeg * RADIANS);
    values[start + LON_DEG] = lonDeg;
    values[start + LAT_DEG] = latDeg;
    values[start + RADIUS_M] = radiusM;
    values[start + REACH] = haverOfM(radiusM);
    values[start + LAT_REACH_DEG] = latReachDeg;
    values[start + COSINES_MIN] = cosine * Math.min(south, north);
    values[start + COSINES_MAX] = cosine * (holdsEquator ? 1 : Math.max(south, north));
  }

  boxes(): Box[] {
    const { values, start } = this;
    const lonDeg = values[start + LON_DEG]!;
    const latDeg = values[start + LAT_DEG]!;
    const lon = lonReachDeg(latDeg, values[start + RADIUS_M]!) + BOX_PAD_DEG;
    const lat = values[start + LAT_REACH_DEG]!;
    return wrapBox(lonDeg - lon, lonDeg + lon, latDeg - lat, latDeg + lat);
  }

  /**
   * The same as asking `haver`, whose sines are replaced by their bounds where those suffice:
   * x²/4 (1 − x²/12) ≤ sin²(x/2) ≤ x²/4.
   */
  contains(lonDeg: number, latDeg: number): boolean {
    const { values, start } = this;
    const reach = values[start + REACH]!;
    const lat = latDeg - values[start + LAT_DEG]!;
    if (Math.abs(lat) > values[start + LAT_REACH_DEG]!) return false;
    let lon = Math.abs(lonDeg - values[start + LON_DEG]!);
    if (lon > 180) lon = 360 - lon;
    const y = lat * lat * (RADIANS * RADIANS);
    const x = lon * lon * (RADIANS * RADIANS);
    if (y + values[start + COSINES_MAX]! * x <= 4 * reach * (1 - ROUNDING)) return true;
    const shrink = 1 - (x > y ? x : y) / 12;
    if ((y + values[start + COSINES_MIN]! * x) * shrink > 4 * reach * (1 + ROUNDING)) return false;
    return haver(lonDeg, latDeg, values[start + LON_DEG]!, values[start + LAT_DEG]!) <= reach;
  }

  holds(lonDeg: number, latDeg: number): boolean {
    return this.contains(lonDeg, latDeg);
  }

  near(lonDeg: number, latDeg: number, limitM: number): boolean {
    const { values, start } = this;
    const away = haver(lonDeg, latDeg, values[start + LON_DEG]!, values[start + LAT_DEG]!);
    return away <= haverOfM(values[start + RADIUS_M]! + limitM);
  }

  meets(way: Segment): boolean {
    const { values, start } = this;
    wayValues[0] = way.x0;
    wayValues[1] = way.y0;
    wayValues[2] = way.x1;
    wayValues[3] = way.y1;
    const latDeg = values[start + LAT_DEG]!;
    for (const turn of TURNS_DEG) {
      const lonDeg = values[start + LON_DEG]! + turn;
      if (pathHaver(wayValues, 0, lonDeg, latDeg) <= values[start + REACH]!) return true;
    }
    return false;
  }

  cutFrom(space: Space): boolean {
    const { values, start } = this;
    const radiusM = values[start + RADIUS_M]!;
    const away = haversineM(space.x, space.y, values[start + LON_DEG]!, values[start + LAT_DEG]!);
    // From the middle of the square to a corner is at most √2 of these degrees.
    const clear = Math.abs(away - radiusM) * (1 - 1e-6) - 1e-6 * radiusM;
    return cutToSquare(space, clear / (Math.SQRT2 * DEGREE_M));
  }

  /** Asking is as cheap as the picture would be. */
  paint(): void {
    return;
  }

  release(store: CoordinateStore): void {
    store.giveBack(this, CIRCLE_VALUES);
  }
}
