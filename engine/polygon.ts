/** A polygon with its holes, planar in longitude and latitude. Its outer ring is part of itself, to spare an object. */
import { ALL_EDGES, type CellGrid } from './cell-grid.ts';
import type { CoordinateStore } from './coordinates.ts';
import type { Box, Part } from './part.ts';
import { wrapBox } from './part.ts';
import { paintPicture } from './picture.ts';
import type { RingIndex } from './ring-index.ts';
import type { Ring, Segment } from './ring.ts';
import { prepareRing, ringMeets, ringNear, ringSide, someEdgesSide } from './ring.ts';
import { cutEdges, cutRing } from './ring-cut.ts';
import type { Space } from './space.ts';
import type { FenceEntry } from './world.ts';
import type { PolygonRings } from './types.ts';

const NO_HOLES: readonly Ring[] = [];

/** Beside the vertices of the outer ring. */
interface Rest {
  readonly isWrapped: boolean;
  readonly index: RingIndex | null;
  readonly holes: readonly Ring[];
}

export class PolygonPart implements Part, Ring {
  next: Part | null = null;
  entry: FenceEntry | null = null;
  item = -1;
  readonly values: Float64Array;
  readonly start: number;
  readonly end: number;
  /** What few have. */
  private readonly rest: Rest | null;

  constructor(rings: PolygonRings, store: CoordinateStore) {
    const { ring } = prepareRing(rings[0]!, store);
    this.values = ring.values;
    this.start = ring.start;
    this.end = ring.end;
    const { isWrapped, index } = ring;
    const holes =
      rings.length === 1 ? NO_HOLES : rings.slice(1).map((hole) => prepareRing(hole, store).ring);
    const isPlain = !isWrapped && index === null && rings.length === 1;
    this.rest = isPlain ? null : { isWrapped, index, holes };
  }

  get isWrapped(): boolean {
    return this.rest !== null && this.rest.isWrapped;
  }

  get index(): RingIndex | null {
    return this.rest === null ? null : this.rest.index;
  }

  private get holes(): readonly Ring[] {
    return this.rest === null ? NO_HOLES : this.rest.holes;
  }

  boxes(): Box[] {
    let minX = Infinity;
    let maxX = -Infinity;
    let minY = Infinity;
    let maxY = -Infinity;
    for (let at = this.start; at < this.end; at += 2) {
      minX = Math.min(minX, this.values[at]!);
      maxX = Math.max(maxX, this.values[at]!);
      minY = Math.min(minY, this.values[at + 1]!);
      maxY = Math.max(maxY, this.values[at + 1]!);
    }
    return wrapBox(minX, maxX, minY, maxY);
  }

  contains(lonDeg: number, latDeg: number): boolean {
    if (ringSide(this, lonDeg, latDeg) < 0) return false;
    const { holes } = this;
    for (let i = 0; i < holes.length; i++) {
      // The boundary of a hole belongs to the polygon.
      if (ringSide(holes[i]!, lonDeg, latDeg) > 0) return false;
    }
    return true;
  }

  holds(lonDeg: number, latDeg: number, edges: number): boolean {
    if (edges === ALL_EDGES) return this.contains(lonDeg, latDeg);
    return someEdgesSide(this, lonDeg, latDeg, edges) >= 0;
  }

  near(lonDeg: number, latDeg: number, limitM: number): boolean {
    if (ringNear(this, lonDeg, latDeg, limitM)) return true;
    return this.holes.some((hole) => ringNear(hole, lonDeg, latDeg, limitM));
  }

  meets(way: Segment): boolean {
    return ringMeets(this, way) || this.holes.some((hole) => ringMeets(hole, way));
  }

  cutFrom(space: Space, edges: number): boolean {
    if (edges !== ALL_EDGES) return cutEdges(this, space, edges);
    if (!cutRing(this, space)) return false;
    return this.holes.every((hole) => cutRing(hole, space));
  }

  paint(grid: CellGrid, item: number): void {
    if (!this.isWrapped) paintPicture(grid, item, this, this.holes);
  }

  release(store: CoordinateStore): void {
    store.giveBack(this, this.end - this.start);
    for (const hole of this.holes) store.giveBack(hole, hole.end - hole.start);
  }
}
