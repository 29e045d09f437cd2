/**
 * The edges of some paths under a tree of boxes: which edges cross, and on which side of a path a point lies. Off the
 * hot path. Neighbours along a path are neighbours in the tree, so it needs no sorting: edges in groups of eight, and a
 * complete binary tree of boxes above them. `kinks` of @turf/turf finds crossings too, but takes 46 s for a ring of
 * 100,000 vertices (2026-11-21, 2 cores), which an API cannot wait for.
 */

/** Degrees, about 0.1 mm: closer than this is touching, and touching is no crossing. Far above rounding (1e-13). */
export const TOUCH_DEG = 1e-9;

/** Edges under one leaf. */
const GROUP_EDGES = 8;

/** Pairs that are compared before giving up: some 0.2 s. */
const PAIRS_MAX = 20_000_000;

/** Crossings that are looked for: more make no difference to anyone. */
const CROSSINGS_MAX = 1_000;

/** Longitudes and latitudes of a path, continuous (`unrollLongitudes`). */
export interface EdgePath {
  readonly x: Float64Array;
  readonly y: Float64Array;
}

/** Edges from vertex `firstFrom` of path `firstPath` and so on; the edge that comes first in the tree is the first. */
export interface EdgeCrossing {
  readonly firstPath: number;
  readonly firstFrom: number;
  readonly secondPath: number;
  readonly secondFrom: number;
}

/** A tree does not change once it is made. O(edges) in time and memory, some 80 B an edge. */
export class EdgeTree {
  private readonly paths: readonly EdgePath[];
  /** Where each path's edges begin among all edges; one more entry than there are paths. */
  private readonly pathStart: readonly number[];
  /** Four numbers an edge, in the direction of its path. */
  private readonly edges: Float64Array;
  private readonly edgeCount: number;
  /** Nodes of the widest level, a power of two; node i has the children 2i and 2i + 1, the root is 1. */
  private readonly leafCount: number;
  /** minX, minY, maxX, maxY of each node. */
  private readonly boxes: Float64Array;
  private found: EdgeCrossing[] = [];
  private pairsLeft = 0;

  constructor(paths: readonly EdgePath[]) {
    this.paths = paths;
    const pathStart = [0];
    for (const { x } of paths) pathStart.push(pathStart.at(-1)! + Math.max(0, x.length - 1));
    this.pathStart = pathStart;
    this.edgeCount = pathStart.at(-1)!;
    this.edges = new Float64Array(this.edgeCount * 4);
    let at = 0;
    for (const { x, y } of paths) {
      for (let i = 1; i < x.length; i++) {
        this.edges[at++] = x[i - 1]!;
        this.edges[at++] = y[i - 1]!;
        this.edges[at++] = x[i]!;
        this.edges[at++] = y[i]!;
      }
    }
    const groups = Math.max(1, Math.ceil(this.edgeCount / GROUP_EDGES));
    this.leafCount = 2 ** Math.ceil(Math.log2(groups));
    this.boxes = new Float64Array(this.leafCount * 8);
    this.fillBoxes();
  }

  /**
   * Proper crossings: each edge passes from one side of the other to the other side, by more than `TOUCH_DEG`. Null
   * when so many edges lie across one another that it would take seconds to tell. At most 1,000 of them; O(n log n) for
   * shapes as people draw them.
   */
  crossings(): readonly EdgeCrossing[] | null {
    this.found = [];
    this.pairsLeft = PAIRS_MAX;
    this.joinNodes(1, 1);
    return this.pairsLeft < 0 ? null : this.found;
  }

  /**
   * 1 when the point lies inside of path `path`, 0 when within `TOUCH_DEG` of it, −1 outside. `poleDeg` 0: the path is
   * closed, and the even-odd rule decides. 90 or −90: it runs once round the earth, and inside is the side of that
   * pole; then `x` has to be within the turn of the path.
   */
  sideOf(path: number, x: number, y: number, poleDeg: number): -1 | 0 | 1 {
    const begin = this.pathStart[path]!;
    const end = this.pathStart[path + 1]!;
    const crossed = this.countAcross(1, { begin, end, x, y, north: poleDeg >= 0 });
    if (crossed < 0) return 0;
    const isOdd = crossed % 2 === 1;
    return isOdd === (poleDeg === 0) ? 1 : -1;
  }

  private fillBoxes(): void {
    const { boxes, edges, leafCount, edgeCount } = this;
    for (let node = leafCount; node < leafCount * 2; node++) {
      const at = node * 4;
      boxes[at] = boxes[at + 1] = Infinity;
      boxes[at + 2] = boxes[at + 3] = -Infinity;
      const first = (node - leafCount) * GROUP_EDGES;
      const end = Math.min(first + GROUP_EDGES, edgeCount);
      for (let from = first * 4; from < end * 4; from += 2) {
        widen(boxes, at, edges[from]!, edges[from]!);
        widen(boxes, at + 1, edges[from + 1]!, edges[from + 1]!);
      }
    }
    for (let node = leafCount - 1; node >= 1; node--) {
      const at = node * 4;
      const child = node * 8;
      boxes[at] = boxes[at + 1] = Infinity;
      boxes[at + 2] = boxes[at + 3] = -Infinity;
      for (const from of [child, child + 4]) {
        widen(boxes, at, boxes[from]!, boxes[from + 2]!);
        widen(boxes, at + 1, boxes[from + 1]!, boxes[from + 3]!);
      }
    }
  }

  // Both nodes are of one level, and a is not after b.
  private joinNodes(a: number, b: number): void {
    if (this.pairsLeft < 0 || this.found.length >= CROSSINGS_MAX) return;
    this.pairsLeft--;
    if (a !== b && !meet(this.boxes, a * 4, b * 4)) return;
    if (a >= this.leafCount) {
      this.joinLeaves(a, b);
      return;
    }
    this.joinNodes(2 * a, 2 * b);
    this.joinNodes(2 * a, 2 * b + 1);
    if (a !== b) this.joinNodes(2 * a + 1, 2 * b);
    this.joinNodes(2 * a + 1, 2 * b + 1);
  }

  private joinLeaves(a: number, b: number): void {
    const { edges, edgeCount } = this;
    const startA = (a - this.leafCount) * GROUP_EDGES;
    const startB = (b - this.leafCount) * GROUP_EDGES;
    const endA = Math.min(startA + GROUP_EDGES, edgeCount);
    const endB = Math.min(startB + GROUP_EDGES, edgeCount);
    for (let first = startA; first < endA; first++) {
      for (let second = a === b ? first + 1 : startB; second < endB; second++) {
        this.pairsLeft--;
        if (cross(edges, first * 4, second * 4)) this.note(first, second);
      }
    }
  }

  private note(first: number, second: number): void {
    const firstPath = this.pathOf(first);
    const secondPath = this.pathOf(second);
    this.found.push({
      firstPath,
      firstFrom: first - this.pathStart[firstPath]!,
      secondPath,
      secondFrom: second - this.pathStart[secondPath]!,
    });
  }

  private pathOf(edge: number): number {
    let path = 0;
    while (this.pathStart[path + 1]! <= edge) path++;
    return path;
  }

  // Edges of begin…end that a line from the point to the north or to the south meets; −1 when the point is on one.
  private countAcross(node: number, ray: Ray): number {
    const { boxes, leafCount, edges } = this;
    const { begin, end, x, y, north } = ray;
    const at = node * 4;
    if (!(x >= boxes[at]! - TOUCH_DEG && x <= boxes[at + 2]! + TOUCH_DEG)) return 0;
    if (north ? boxes[at + 3]! < y - TOUCH_DEG : boxes[at + 1]! > y + TOUCH_DEG) return 0;
    if (node < leafCount) {
      const left = this.countAcross(2 * node, ray);
      if (left < 0) return -1;
      const right = this.countAcross(2 * node + 1, ray);
      return right < 0 ? -1 : left + right;
    }
    let count = 0;
    const group = (node - leafCount) * GROUP_EDGES;
    const last = Math.min(group + GROUP_EDGES, end);
    for (let edge = Math.max(group, begin); edge < last; edge++) {
      const from = edge * 4;
      if (isOn(edges, from, x, y)) return -1;
      if (edges[from]! <= x === edges[from + 2]! <= x) continue;
      const isEast = edges[from + 2]! > edges[from]!;
      const isBelow = turn(edges, from, x, y) < 0 === isEast;
      if (isBelow === north) count++;
    }
    return count;
  }
}

interface Ray {
  readonly begin: number;
  readonly end: number;
  readonly x: number;
  readonly y: number;
  readonly north: boolean;
}

// `at` is where a least value stands; the greatest of the same axis follows two places on.
function widen(boxes: Float64Array, at: number, low: number, high: number): void {
  if (low < boxes[at]!) boxes[at] = low;
  if (high > boxes[at + 2]!) boxes[at + 2] = high;
}

function meet(boxes: Float64Array, a: number, b: number): boolean {
  return (
    boxes[a]! <= boxes[b + 2]! &&
    boxes[b]! <= boxes[a + 2]! &&
    boxes[a + 1]! <= boxes[b + 3]! &&
    boxes[b + 1]! <= boxes[a + 3]!
  );
}

function cross(edges: Float64Array, a: number, b: number): boolean {
  for (let axis = 0; axis < 2; axis++) {
    const a0 = edges[a + axis]!;
    const a1 = edges[a + 2 + axis]!;
    const b0 = edges[b + axis]!;
    const b1 = edges[b + 2 + axis]!;
    if ((a0 < a1 ? a1 : a0) < (b0 < b1 ? b0 : b1)) return false;
    if ((b0 < b1 ? b1 : b0) < (a0 < a1 ? a0 : a1)) return false;
  }
  return passes(edges, a, b) && passes(edges, b, a);
}

// Whether the ends of b lie on different sides of the line through a, neither of them on it.
function passes(edges: Float64Array, a: number, b: number): boolean {
  const from = turn(edges, a, edges[b]!, edges[b + 1]!);
  const to = turn(edges, a, edges[b + 2]!, edges[b + 3]!);
  if (from > 0 === to > 0) return false;
  const dx = edges[a + 2]! - edges[a]!;
  const dy = edges[a + 3]! - edges[a + 1]!;
  const touch = TOUCH_DEG * Math.sqrt(dx * dx + dy * dy);
  return Math.abs(from) > touch && Math.abs(to) > touch;
}

// Positive when the point lies to the left of the edge; its distance from the line times the length of the edge.
function turn(edges: Float64Array, at: number, x: number, y: number): number {
  const x0 = edges[at]!;
  const y0 = edges[at + 1]!;
  return (edges[at + 2]! - x0) * (y - y0) - (edges[at + 3]! - y0) * (x - x0);
}

function isOn(edges: Float64Array, at: number, x: number, y: number): boolean {
  const x0 = edges[at]!;
  const y0 = edges[at + 1]!;
  const dx = edges[at + 2]! - x0;
  const dy = edges[at + 3]! - y0;
  const length = dx * dx + dy * dy;
  const along = length > 0 ? ((x - x0) * dx + (y - y0) * dy) / length : 0;
  const share = Math.min(1, Math.max(0, along));
  return Math.hypot(x - x0 - share * dx, y - y0 - share * dy) <= TOUCH_DEG;
}
