/**
 * The obvious alternatives that the engine is measured against: turf decides, and rbush or a scan of all boxes finds the
 * candidates. They answer only which fences hold a place and keep no state.
 */
import * as turf from '@turf/turf';
import type { Position } from 'geojson';
import RBush from 'rbush';
import { DEGREE_M } from '../../engine/geodesy.ts';
import type { Fence, LonLat } from '../../engine/types.ts';

/** Boxes are this much wider than computed, so that rounding loses no place. */
const BOX_SLACK = 1.001;
const METERS = { units: 'meters' } as const;

/** A fence as turf takes it, with its box. */
export interface TurfFence {
  readonly fenceId: number;
  readonly minX: number;
  readonly minY: number;
  readonly maxX: number;
  readonly maxY: number;
  /**
   * Metres from a place to the circle's centre or the corridor's line, less the radius or half the width; for a polygon −1
   * inside and 1 outside. At most 0 is inside.
   */
  marginM(place: Position): number;
}

/** Gives the fences that hold a place, by id in no particular order. */
export type Holders = (lonDeg: number, latDeg: number) => number[];

/** Single polygons without holes, circles and corridors, away from poles and ±180°. */
export function turfFenceOf({ fenceId, shape }: Fence): TurfFence {
  switch (shape.type) {
    case 'polygon': {
      const [[ring] = []] = shape.polygons;
      if (ring === undefined) throw new Error(`fence ${fenceId} has no ring`);
      const polygon = turf.polygon([positionsOf(ring)]);
      return {
        fenceId,
        ...boxOf(ring, 0),
        marginM: (place) => (turf.booleanPointInPolygon(place, polygon) ? -1 : 1),
      };
    }
    case 'circle': {
      const { centerLonDeg, centerLatDeg, radiusM } = shape;
      const center = [centerLonDeg, centerLatDeg];
      return {
        fenceId,
        ...boxOf([[centerLonDeg, centerLatDeg]], radiusM),
        marginM: (place) => turf.distance(place, center, METERS) - radiusM,
      };
    }
    case 'corridor': {
      const line = turf.lineString(positionsOf(shape.line));
      const reachM = shape.widthM / 2;
      return {
        fenceId,
        ...boxOf(shape.line, reachM),
        marginM: (place) => turf.pointToLineDistance(place, line, METERS) - reachM,
      };
    }
  }
}

export function rbushHolders(fences: readonly TurfFence[]): Holders {
  const tree = new RBush<TurfFence>();
  tree.load(fences);
  return (lonDeg, latDeg) => {
    const place = [lonDeg, latDeg];
    const found: number[] = [];
    for (const fence of tree.search({ minX: lonDeg, minY: latDeg, maxX: lonDeg, maxY: latDeg })) {
      if (fence.marginM(place) <= 0) found.push(fence.fenceId);
    }
    return found;
  };
}

export function linearHolders(fences: readonly TurfFence[]): Holders {
  return (lonDeg, latDeg) => {
    const place = [lonDeg, latDeg];
    const found: number[] = [];
    for (const fence of fences) {
      const { minX, minY, maxX, maxY } = fence;
      if (lonDeg < minX || lonDeg > maxX || latDeg < minY || latDeg > maxY) continue;
      if (fence.marginM(place) <= 0) found.push(fence.fenceId);
    }
    return found;
  };
}

/** turf wants arrays that may be changed, and changes none. */
function positionsOf(path: readonly LonLat[]): Position[] {
  return path as unknown as Position[];
}

function boxOf(
  path: readonly LonLat[],
  reachM: number,
): Pick<TurfFence, 'minX' | 'minY' | 'maxX' | 'maxY'> {
  let minX = Infinity;
  let minY = Infinity;
  let maxX = -Infinity;
  let maxY = -Infinity;
  for (const [lonDeg, latDeg] of path) {
    minX = Math.min(minX, lonDeg);
    maxX = Math.max(maxX, lonDeg);
    minY = Math.min(minY, latDeg);
    maxY = Math.max(maxY, latDeg);
  }
  const northDeg = (reachM / DEGREE_M) * BOX_SLACK;
  const furthestDeg = Math.max(Math.abs(minY), Math.abs(maxY)) + northDeg;
  const eastDeg = northDeg / Math.cos((furthestDeg * Math.PI) / 180);
  return {
    minX: minX - eastDeg,
    minY: minY - northDeg,
    maxX: maxX + eastDeg,
    maxY: maxY + northDeg,
  };
}
