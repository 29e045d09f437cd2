/**
 * A way over the earth that a vehicle follows from end to end, with the speeds that limits and bends allow along it.
 * Knows metres from its beginning; refuses to know who drives it and what streets are.
 */
import assert from 'node:assert/strict';
import { bearingDeg, distanceM, turnDeg } from './geo.ts';

/** A position of the way; limit and halt are of the part that begins here. */
export interface RoadPoint {
  readonly lonDeg: number;
  readonly latDeg: number;
  readonly limitMps: number;
  /** Seconds that a vehicle waits here, as at a red light; 0 is none. */
  readonly haltS: number;
}

/** Braking that a driver plans for. */
export const PLANNED_BRAKING_MPS2 = 1.8;
/** Sideways acceleration that a driver takes a bend with. */
const BEND_MPS2 = 2;
/** Points closer together than this are one. */
const APART_M_MIN = 0.05;

/** A way in one piece. Asking for a segment's values costs a look into an array. */
export class Path {
  readonly lengthM: number;
  private readonly points: readonly RoadPoint[];
  /** Metres from the beginning, and the speed that the point may be passed with; by point. */
  private readonly atM: Float64Array;
  private readonly passMps: Float64Array;
  /** Degrees; by the point that the segment begins at. */
  private readonly headingDeg: Float64Array;

  /** Takes two points or more that are not all in one place. Vehicles stand at the end. */
  constructor(points: readonly RoadPoint[]) {
    this.points = apart(points);
    const count = this.points.length;
    assert(count >= 2, 'a path leads somewhere');
    this.atM = new Float64Array(count);
    this.headingDeg = new Float64Array(count);
    for (let i = 1; i < count; i++) {
      const [a, b] = [this.points[i - 1]!, this.points[i]!];
      this.atM[i] = this.atM[i - 1]! + distanceM(a.lonDeg, a.latDeg, b.lonDeg, b.latDeg);
      this.headingDeg[i - 1] = bearingDeg(a.lonDeg, a.latDeg, b.lonDeg, b.latDeg);
    }
    this.headingDeg[count - 1] = this.headingDeg[count - 2]!;
    this.lengthM = this.atM[count - 1]!;
    this.passMps = this.passSpeeds();
  }

  /** The segment at this distance: the number of its first point. `from` is one that is not beyond it, and saves time. */
  segmentAt(distanceAtM: number, from = 0): number {
    let segment = from;
    while (segment < this.points.length - 2 && this.atM[segment + 1]! <= distanceAtM) segment++;
    return segment;
  }

  /** `[lonDeg, latDeg]` of a point of the segment. */
  positionOn(segment: number, distanceAtM: number): [number, number] {
    const [a, b] = [this.points[segment]!, this.points[segment + 1]!];
    const part = (distanceAtM - this.atM[segment]!) / (this.atM[segment + 1]! - this.atM[segment]!);
    return [a.lonDeg + (b.lonDeg - a.lonDeg) * part, a.latDeg + (b.latDeg - a.latDeg) * part];
  }

  headingOn(segment: number): number {
    return this.headingDeg[segment]!;
  }

  limitOn(segment: number): number {
    return this.points[segment]!.limitMps;
  }

  /** Where the segment ends. */
  endOf(segment: number): {
    readonly atM: number;
    readonly passMps: number;
    readonly haltS: number;
  } {
    const end = segment + 1;
    return { atM: this.atM[end]!, passMps: this.passMps[end]!, haltS: this.points[end]!.haltS };
  }

  /** The point of the way that is closest to a position: metres from the beginning, and how far off it is. */
  nearest(lonDeg: number, latDeg: number): { readonly atM: number; readonly offM: number } {
    const stretch = Math.cos((latDeg * Math.PI) / 180);
    let best = { atM: 0, offM: Infinity };
    for (let i = 0; i < this.points.length - 1; i++) {
      const [a, b] = [this.points[i]!, this.points[i + 1]!];
      const [dx, dy] = [(b.lonDeg - a.lonDeg) * stretch, b.latDeg - a.latDeg];
      const [px, py] = [(lonDeg - a.lonDeg) * stretch, latDeg - a.latDeg];
      const part = Math.min(1, Math.max(0, (px * dx + py * dy) / (dx * dx + dy * dy)));
      const [lon, lat] = [a.lonDeg + (b.lonDeg - a.lonDeg) * part, a.latDeg + dy * part];
      const offM = distanceM(lonDeg, latDeg, lon, lat);
      if (offM >= best.offM) continue;
      best = { atM: this.atM[i]! + (this.atM[i + 1]! - this.atM[i]!) * part, offM };
    }
    return best;
  }

  // The speed at each point: what the bend and the next limit allow, and what can still be braked for what comes after.
  private passSpeeds(): Float64Array {
    const count = this.points.length;
    const pass = new Float64Array(count);
    for (let i = 1; i < count - 1; i++) {
      const { haltS, limitMps } = this.points[i]!;
      pass[i] = haltS > 0 ? 0 : Math.min(limitMps, this.bendSpeed(i));
    }
    for (let i = count - 2; i >= 1; i--) {
      const lengthM = this.atM[i + 1]! - this.atM[i]!;
      pass[i] = Math.min(pass[i]!, brakingSpeed(pass[i + 1]!, lengthM));
    }
    return pass;
  }

  private bendSpeed(i: number): number {
    const turn = Math.abs(turnDeg(this.headingDeg[i - 1]!, this.headingDeg[i]!));
    if (turn < 0.5) return Infinity;
    const aroundM = (this.atM[i + 1]! - this.atM[i - 1]!) / 2;
    return Math.sqrt((BEND_MPS2 * aroundM) / ((turn * Math.PI) / 180));
  }
}

/** The speed from which planned braking comes down to `endMps` within `withinM`. */
export function brakingSpeed(endMps: number, withinM: number): number {
  return Math.sqrt(endMps * endMps + 2 * PLANNED_BRAKING_MPS2 * Math.max(0, withinM));
}

function apart(points: readonly RoadPoint[]): RoadPoint[] {
  const kept: RoadPoint[] = [];
  for (const point of points) {
    const last = kept.at(-1);
    if (
      last !== undefined &&
      distanceM(last.lonDeg, last.latDeg, point.lonDeg, point.latDeg) < APART_M_MIN
    ) {
      // The limit that counts is that of the part which begins here.
      kept[kept.length - 1] = { ...point, haltS: Math.max(point.haltS, last.haltS) };
    } else {
      kept.push(point);
    }
  }
  return kept;
}
