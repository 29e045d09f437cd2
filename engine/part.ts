/** What every kind of shape is made of, and the boxes that find it. Knows no shape. */
import type { CoordinateStore } from './coordinates.ts';
import type { CellGrid } from './cell-grid.ts';
import { wrapLonDeg } from './geodesy.ts';
import type { Segment } from './ring.ts';
import type { Space } from './space.ts';
import type { FenceEntry } from './world.ts';

/** A box in degrees; longitudes within −180…180 and never across it. */
export interface Box {
  readonly minX: number;
  readonly minY: number;
  readonly maxX: number;
  readonly maxY: number;
}

/** A piece of a shape. The shape holds a point when one of its parts does. */
export interface Part {
  /** The next part of the same shape. */
  next: Part | null;
  /** The fence it belongs to; the world sets it. */
  entry: FenceEntry | null;
  /** Its item in the tenant's grid; one that lies across ±180° has a second one, which the tenant knows. */
  item: number;
  /** Everything that the part holds lies in one of these. Worked out anew by each call. */
  boxes(): Box[];
  /** Boundary included. `lonDeg` in −180…180, 180 itself excluded (`wrapLonDeg`). */
  contains(lonDeg: number, latDeg: number): boolean;
  /** The same, when only these edges can matter to points at this latitude: bit i for edge i, or `ALL_EDGES`. */
  holds(lonDeg: number, latDeg: number, edges: number): boolean;
  /** For a point that the part does not hold: whether its distance to the part is at most `limitM` metres. */
  near(lonDeg: number, latDeg: number, limitM: number): boolean;
  /** Whether a way between two points that the part does not hold touches it. */
  meets(way: Segment): boolean;
  /**
   * Cuts out of a space what the part's boundary runs through, when only these edges can reach into it. False
   * when nothing is left, or it is not worth working out. The space does not go past ±180° of longitude.
   */
  cutFrom(space: Space, edges: number): boolean;
  /** Draws the picture of one of its items, or leaves it mixed. */
  paint(grid: CellGrid, item: number): void;
  /** Gives its coordinates back to the store. */
  release(store: CoordinateStore): void;
}

/** A box that may run past ±180°, as boxes that do not. */
export function wrapBox(minX: number, maxX: number, minY: number, maxY: number): Box[] {
  if (maxX - minX >= 360) return [{ minX: -180, minY, maxX: 180, maxY }];
  const west = wrapLonDeg(minX);
  const east = west + (maxX - minX);
  if (east < 180) return [{ minX: west, minY, maxX: east, maxY }];
  return [
    { minX: west, minY, maxX: 180, maxY },
    { minX: -180, minY, maxX: east - 360, maxY },
  ];
}
