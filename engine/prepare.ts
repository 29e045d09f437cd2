/**
 * Shapes as the engine tests them. A shape becomes parts (one per polygon of a multipolygon, one per circle, one per
 * short run of a corridor), each with the boxes under which the grid finds it. Takes shapes that `checkShape` accepts;
 * knows nothing of tenants, states or events.
 */
import { CirclePart } from './circle.ts';
import { CoordinateStore } from './coordinates.ts';
import { CorridorPart, RUN_SEGMENTS_MAX } from './corridor.ts';
import type { Box, Part } from './part.ts';
import { PolygonPart } from './polygon.ts';
import type { Segment } from './ring.ts';
import { unrollLongitudes } from './ring.ts';
import type { FenceShape } from './types.ts';

export type { Box, Part } from './part.ts';

/**
 * Prepares a shape: its first part, from which the others hang by `next`. O(n log n) in its vertices, which are kept in
 * the store until `releaseParts`. Polygons are planar in longitude and latitude, circles and the width of corridors are
 * distances on the sphere.
 */
export function prepareShape(shape: FenceShape, store = new CoordinateStore()): Part {
  switch (shape.type) {
    case 'polygon':
      return chained(shape.polygons.map((rings) => new PolygonPart(rings, store)));
    case 'circle':
      return new CirclePart(shape.centerLonDeg, shape.centerLatDeg, shape.radiusM, store);
    case 'corridor': {
      const { x, y } = unrollLongitudes(shape.line);
      const runs: Part[] = [];
      for (let first = 0; first < x.length - 1; first += RUN_SEGMENTS_MAX) {
        const end = Math.min(first + RUN_SEGMENTS_MAX + 1, x.length);
        const run = { x: x.subarray(first, end), y: y.subarray(first, end) };
        runs.push(new CorridorPart(run, shape.widthM / 2, store));
      }
      return chained(runs);
    }
  }
}

/** Gives the room of prepared parts back to the store. They must not be asked any more. */
export function releaseParts(first: Part, store: CoordinateStore): void {
  for (let part: Part | null = first; part !== null; part = part.next) part.release(store);
}

/** Whether some part holds the point. Longitude as in `Part.contains`. */
export function partsContain(first: Part, lonDeg: number, latDeg: number): boolean {
  for (let part: Part | null = first; part !== null; part = part.next) {
    if (part.contains(lonDeg, latDeg)) return true;
  }
  return false;
}

/** Whether the straight way between two points that no part holds touches one. */
export function partsMeet(first: Part, way: Segment): boolean {
  for (let part: Part | null = first; part !== null; part = part.next) {
    if (part.meets(way)) return true;
  }
  return false;
}

/** The boxes of all parts. */
export function boxesOf(first: Part): Box[] {
  const boxes: Box[] = [];
  for (let part: Part | null = first; part !== null; part = part.next) boxes.push(...part.boxes());
  return boxes;
}

function chained(parts: readonly Part[]): Part {
  for (let i = 1; i < parts.length; i++) parts[i - 1]!.next = parts[i]!;
  return parts[0]!;
}
