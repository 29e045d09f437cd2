/**
 * Shapes as the engine tests them. A shape becomes parts (one per polygon of a multipolygon, one per circle, one per
 * short run of a corridor), each with the boxes under which the R-tree finds it. Takes shapes that `checkShape`
 * accepts; knows nothing of tenants, states or events.
 */
import {
  BOX_PAD_DEG,
  DEGREE_M,
  haver,
  haverOfM,
  lonReachDeg,
  segmentHaver,
  wrapLonDeg,
} from './geodesy.ts';
import type { Ring } from './ring.ts';
import { prepareRing, ringNear, ringSide, unrollLongitudes } from './ring.ts';
import type { FenceShape, PolygonRings } from './types.ts';

/** Segments of a corridor that share a box. */
const RUN_SEGMENTS_MAX = 16;

/** A box in degrees; longitudes within −180…180 and never across it. */
export interface Box {
  readonly minX: number;
  readonly minY: number;
  readonly maxX: number;
  readonly maxY: number;
}

/** A piece of a shape. The shape holds a point when one of its parts does. */
export interface Part {
  /** Everything that the part holds lies in one of these. */
  readonly boxes: readonly Box[];
  /** Boundary included. `lonDeg` in −180…180, 180 itself excluded (`wrapLonDeg`). */
  contains(lonDeg: number, latDeg: number): boolean;
  /** For a point that the part does not hold: whether its distance to the part is at most `limitM` metres. */
  near(lonDeg: number, latDeg: number, limitM: number): boolean;
}

/**
 * Prepares a shape. O(n log n) in its vertices. Polygons are planar in longitude and latitude, circles and the width
 * of corridors are distances on the sphere.
 */
export function prepareShape(shape: FenceShape): readonly Part[] {
  switch (shape.type) {
    case 'polygon':
      return shape.polygons.map((rings) => new PolygonPart(rings));
    case 'circle':
      return [new CirclePart(shape.centerLonDeg, shape.centerLatDeg, shape.radiusM)];
    case 'corridor': {
      const { x, y } = unrollLongitudes(shape.line);
      const parts: Part[] = [];
      for (let first = 0; first < x.length - 1; first += RUN_SEGMENTS_MAX) {
        const end = Math.min(first + RUN_SEGMENTS_MAX + 1, x.length);
        parts.push(
          new CorridorPart(x.subarray(first, end), y.subarray(first, end), shape.widthM / 2),
        );
      }
      return parts;
    }
  }
}

/** Whether some part holds the point. Longitude as in `Part.contains`. */
export function partsContain(parts: readonly Part[], lonDeg: number, latDeg: number): boolean {
  for (const part of parts) if (part.contains(lonDeg, latDeg)) return true;
  return false;
}

/** Whether a point that no part holds is within `limitM` metres of one. Longitude as in `Part.contains`. */
export function partsNear(
  parts: readonly Part[],
  lonDeg: number,
  latDeg: number,
  limitM: number,
): boolean {
  for (const part of parts) if (part.near(lonDeg, latDeg, limitM)) return true;
  return false;
}

class PolygonPart implements Part {
  readonly boxes: readonly Box[];
  private readonly outer: Ring;
  private readonly holes: readonly Ring[];

  constructor(rings: PolygonRings) {
    this.outer = prepareRing(rings[0]!);
    this.holes = rings.slice(1).map(prepareRing);
    this.boxes = wrapBox(this.outer.minX, this.outer.maxX, this.outer.minY, this.outer.maxY);
  }

  contains(lonDeg: number, latDeg: number): boolean {
    if (turnedSide(this.outer, lonDeg, latDeg) < 0) return false;
    for (const hole of this.holes) {
      // The boundary of a hole belongs to the polygon.
      if (turnedSide(hole, lonDeg, latDeg) > 0) return false;
    }
    return true;
  }

  near(lonDeg: number, latDeg: number, limitM: number): boolean {
    if (ringNear(this.outer, lonDeg, latDeg, limitM)) return true;
    return this.holes.some((hole) => ringNear(hole, lonDeg, latDeg, limitM));
  }
}

class CirclePart implements Part {
  readonly boxes: readonly Box[];
  private readonly lonDeg: number;
  private readonly latDeg: number;
  private readonly radiusM: number;
  private readonly reach: number;

  constructor(lonDeg: number, latDeg: number, radiusM: number) {
    this.lonDeg = lonDeg;
    this.latDeg = latDeg;
    this.radiusM = radiusM;
    this.reach = haverOfM(radiusM);
    const lon = lonReachDeg(latDeg, radiusM) + BOX_PAD_DEG;
    const lat = radiusM / DEGREE_M + BOX_PAD_DEG;
    this.boxes = wrapBox(lonDeg - lon, lonDeg + lon, latDeg - lat, latDeg + lat);
  }

  contains(lonDeg: number, latDeg: number): boolean {
    return haver(lonDeg, latDeg, this.lonDeg, this.latDeg) <= this.reach;
  }

  near(lonDeg: number, latDeg: number, limitM: number): boolean {
    return haver(lonDeg, latDeg, this.lonDeg, this.latDeg) <= haverOfM(this.radiusM + limitM);
  }
}

class CorridorPart implements Part {
  readonly boxes: readonly Box[];
  private readonly segments: Float64Array;
  private readonly halfM: number;
  private readonly minX: number;
  private readonly maxX: number;

  constructor(x: Float64Array, y: Float64Array, halfM: number) {
    this.halfM = halfM;
    this.segments = new Float64Array((x.length - 1) * 4);
    for (let i = 1; i < x.length; i++) {
      this.segments.set([x[i - 1]!, y[i - 1]!, x[i]!, y[i]!], (i - 1) * 4);
    }
    this.minX = Math.min(...x);
    this.maxX = Math.max(...x);
    const minY = Math.min(...y);
    const maxY = Math.max(...y);
    const lon = lonReachDeg(Math.max(Math.abs(minY), Math.abs(maxY)), halfM) + BOX_PAD_DEG;
    const lat = halfM / DEGREE_M + BOX_PAD_DEG;
    this.boxes = wrapBox(this.minX - lon, this.maxX + lon, minY - lat, maxY + lat);
  }

  contains(lonDeg: number, latDeg: number): boolean {
    return this.within(lonDeg, latDeg, this.halfM);
  }

  near(lonDeg: number, latDeg: number, limitM: number): boolean {
    return this.within(lonDeg, latDeg, this.halfM + limitM);
  }

  private within(lonDeg: number, latDeg: number, distanceM: number): boolean {
    const limit = haverOfM(distanceM);
    const reachX = lonReachDeg(latDeg, distanceM) + BOX_PAD_DEG;
    const reachY = distanceM / DEGREE_M + BOX_PAD_DEG;
    const { segments } = this;
    for (let turn = -360; turn <= 360; turn += 360) {
      const x = lonDeg + turn;
      if (x < this.minX - reachX || x > this.maxX + reachX) continue;
      for (let at = 0; at < segments.length; at += 4) {
        const y0 = segments[at + 1]!;
        const y1 = segments[at + 3]!;
        if (latDeg < Math.min(y0, y1) - reachY || latDeg > Math.max(y0, y1) + reachY) continue;
        if (segmentHaver(x, latDeg, segments, at) <= limit) return true;
      }
    }
    return false;
  }
}

// The ring begins in −180…180 and is at most one turn wide, so a point is tried in its own turn and in the next one.
function turnedSide(ring: Ring, lonDeg: number, latDeg: number): number {
  const side = lonDeg < ring.minX ? -1 : ringSide(ring, lonDeg, latDeg);
  return side < 0 && lonDeg + 360 <= ring.maxX ? ringSide(ring, lonDeg + 360, latDeg) : side;
}

function wrapBox(minX: number, maxX: number, minY: number, maxY: number): Box[] {
  if (maxX - minX >= 360) return [{ minX: -180, minY, maxX: 180, maxY }];
  const west = wrapLonDeg(minX);
  const east = west + (maxX - minX);
  if (east < 180) return [{ minX: west, minY, maxX: east, maxY }];
  return [
    { minX: west, minY, maxX: 180, maxY },
    { minX: -180, minY, maxX: east - 360, maxY },
  ];
}
