/**
 * Whether the rings of one polygon agree: none crosses itself or another, holes lie in the outer ring and not in one
 * another. Knows rings as numbers, no shapes and no words. Off the hot path.
 */
import { EdgeTree, TOUCH_DEG, type EdgeCrossing, type EdgePath } from './edge-tree.ts';

/**
 * A loop with less than this share of a ring's area is a slip of the pen or a rounded coordinate, and let through: the
 * even-odd rule decides it, and no more than the loop is at stake. Outlines of countries that were rounded to a grid are
 * full of such loops (bench/atlas).
 */
export const KINK_AREA_SHARE_MAX = 0.01;

/** A ring without its turns (`unrollLongitudes`). `turnDeg` is 360 or −360 when it runs once round the earth. */
export interface RingPath extends EdgePath {
  readonly turnDeg: number;
}

/** What is wrong with the rings of a polygon; rings and vertices are counted from 0, an edge is named by its start. */
export type RingFinding =
  | { readonly kind: 'none' | 'too_complex' }
  | { readonly kind: 'self_crossing'; readonly ring: number; readonly edges: [number, number] }
  | {
      readonly kind: 'crossing';
      readonly rings: [number, number];
      readonly edges: [number, number];
    }
  | { readonly kind: 'hole_outside'; readonly ring: number; readonly vertex: number }
  | { readonly kind: 'hole_in_hole'; readonly ring: number; readonly other: number }
  | { readonly kind: 'hole_of_all'; readonly ring: number };

const NONE: RingFinding = { kind: 'none' };

/** A ring where the outer one can be compared with it: moved by whole turns, perhaps in two copies. */
interface PlacedRing extends EdgePath {
  readonly ring: number;
  readonly poleDeg: number;
  readonly westDeg: number;
  readonly eastDeg: number;
  readonly southDeg: number;
  readonly northDeg: number;
}

/**
 * Looks at closed rings, the outer one first. A ring without area is left out: it is harmless, but for the outer one.
 * O(n log n) for rings as people draw them; some 0.1 s for 100,000 vertices.
 */
export function findCrossing(rings: readonly RingPath[]): RingFinding {
  const outer = rings[0];
  if (outer === undefined) return NONE;
  const first = placeRing(outer, 0, 0);
  const holes = rings.flatMap((ring, r) =>
    r > 0 && hasArea(ring) ? placeHole(first, ring, r) : [],
  );
  const placed = [first, ...holes];
  const tree = new EdgeTree(placed);
  const crossings = tree.crossings();
  if (crossings === null) return { kind: 'too_complex' };
  const between = crossings.find((crossing) => isBetweenRings(placed, crossing));
  if (between !== undefined) {
    const { firstPath, secondPath, firstFrom, secondFrom } = between;
    const pair: [number, number] = [placed[firstPath]!.ring, placed[secondPath]!.ring];
    return { kind: 'crossing', rings: pair, edges: [firstFrom, secondFrom] };
  }
  for (const [path, { ring }] of placed.entries()) {
    const own = crossings.filter((one) => one.firstPath === path && one.secondPath === path);
    const edges = own.length > 0 ? worstLoop(rings[ring]!, own) : null;
    if (edges !== null) return { kind: 'self_crossing', ring, edges };
  }
  return findStray(tree, placed);
}

/** Whether anything is left of a ring when what it runs to and fro is taken away. O(n). */
export function hasArea({ x, y, turnDeg }: RingPath): boolean {
  if (turnDeg !== 0) return true;
  const kept = new Uint32Array(x.length);
  let count = 0;
  for (let i = 0; i < x.length; i++) {
    while (count >= 2 && isBetween(x, y, kept[count - 2]!, kept[count - 1]!, i)) count--;
    if (count > 0 && x[kept[count - 1]!] === x[i] && y[kept[count - 1]!] === y[i]) continue;
    kept[count++] = i;
  }
  return count >= 4;
}

/** The pole that a ring once round the earth encloses, 90 or −90; 0 for a ring that runs round none. */
function poleOf({ x, y, turnDeg }: RingPath): number {
  if (turnDeg === 0) return 0;
  let weighted = 0;
  for (let i = 1; i < x.length; i++) weighted += (x[i]! - x[i - 1]!) * (y[i]! + y[i - 1]!);
  return weighted / turnDeg >= 0 ? 90 : -90;
}

// Whether the middle one of three vertices adds nothing: it lies on the line through the others, or past its end.
function isBetween(x: Float64Array, y: Float64Array, a: number, b: number, c: number): boolean {
  const ux = x[b]! - x[a]!;
  const uy = y[b]! - y[a]!;
  const vx = x[c]! - x[b]!;
  const vy = y[c]! - y[b]!;
  const length = Math.sqrt(Math.max(ux * ux + uy * uy, vx * vx + vy * vy));
  return Math.abs(ux * vy - uy * vx) <= TOUCH_DEG * length;
}

function placeRing(path: RingPath, ring: number, shiftDeg: number): PlacedRing {
  const x = shiftDeg === 0 ? path.x : path.x.map((lonDeg) => lonDeg + shiftDeg);
  const [westDeg, eastDeg] = boundsOf(x);
  const [southDeg, northDeg] = boundsOf(path.y);
  return { ring, x, y: path.y, poleDeg: poleOf(path), westDeg, eastDeg, southDeg, northDeg };
}

// In the turn in which its middle is nearest to the middle of the outer ring.
function placeHole(outer: PlacedRing, hole: RingPath, ring: number): PlacedRing[] {
  const [westDeg, eastDeg] = boundsOf(hole.x);
  const middleDeg = (outer.westDeg + outer.eastDeg) / 2;
  const shiftDeg = 360 * Math.round((middleDeg - (westDeg + eastDeg) / 2) / 360);
  const placed = [placeRing(hole, ring, shiftDeg)];
  if (!goesRound(outer)) return placed;
  if (eastDeg + shiftDeg > outer.eastDeg) placed.push(placeRing(hole, ring, shiftDeg - 360));
  if (westDeg + shiftDeg < outer.westDeg) placed.push(placeRing(hole, ring, shiftDeg + 360));
  return placed;
}

/** Where a ring that holds every longitude begins and ends is nothing that one could cross. */
function goesRound({ westDeg, eastDeg }: PlacedRing): boolean {
  return eastDeg - westDeg >= 360 - TOUCH_DEG;
}

function isBetweenRings(placed: readonly PlacedRing[], crossing: EdgeCrossing): boolean {
  const first = placed[crossing.firstPath]!;
  const second = placed[crossing.secondPath]!;
  if (first.ring === second.ring) return false;
  if (first.ring !== 0 || !goesRound(first)) return true;
  const from = first.x[crossing.firstFrom]!;
  const to = first.x[crossing.firstFrom + 1]!;
  return from !== to || (from !== first.westDeg && from !== first.eastDeg);
}

function boundsOf(values: Float64Array): [number, number] {
  let min = Infinity;
  let max = -Infinity;
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  return [min, max];
}

// The crossing with the greatest loop, unless all loops together are too small to matter.
function worstLoop(ring: RingPath, crossings: readonly EdgeCrossing[]): [number, number] | null {
  const { x, y } = ring;
  const base = poleOf(ring) || y[0]!;
  const under = (x0: number, y0: number, x1: number, y1: number): number =>
    (x1 - x0) * ((y0 + y1) / 2 - base);
  const sums = new Float64Array(x.length);
  for (let i = 1; i < x.length; i++) {
    sums[i] = sums[i - 1]! + under(x[i - 1]!, y[i - 1]!, x[i]!, y[i]!);
  }
  const total = sums[x.length - 1]!;
  let share = 0;
  let worstShare = -1;
  let worst: [number, number] = [0, 0];
  for (const { firstFrom: a, secondFrom: b } of crossings) {
    const [atX, atY] = meetingPoint(ring, a, b);
    const loop =
      sums[b]! -
      sums[a + 1]! +
      under(atX, atY, x[a + 1]!, y[a + 1]!) +
      under(x[b]!, y[b]!, atX, atY);
    const sides = [Math.abs(loop), Math.abs(total - loop)];
    const ownShare = Math.min(...sides) / Math.max(...sides);
    share += ownShare;
    if (ownShare <= worstShare) continue;
    worstShare = ownShare;
    worst = [a, b];
  }
  return share <= KINK_AREA_SHARE_MAX ? null : worst;
}

function meetingPoint({ x, y }: EdgePath, a: number, b: number): [number, number] {
  const [ux, uy] = [x[a + 1]! - x[a]!, y[a + 1]! - y[a]!];
  const [vx, vy] = [x[b + 1]! - x[b]!, y[b + 1]! - y[b]!];
  const share = ((x[b]! - x[a]!) * vy - (y[b]! - y[a]!) * vx) / (ux * vy - uy * vx);
  return [x[a]! + share * ux, y[a]! + share * uy];
}

// Nothing crosses here, so a hole is inside or outside as a whole, but for places where it touches.
function findStray(tree: EdgeTree, placed: readonly PlacedRing[]): RingFinding {
  const outer = placed[0]!;
  const inTurn = (lonDeg: number): number => {
    if (lonDeg < outer.westDeg - TOUCH_DEG) return lonDeg + 360;
    const isEast =
      outer.poleDeg === 0 ? lonDeg > outer.eastDeg + TOUCH_DEG : lonDeg >= outer.eastDeg;
    return isEast ? lonDeg - 360 : lonDeg;
  };
  for (const hole of placed.slice(1)) {
    const { ring } = hole;
    const { side, vertex } = sideOfHole(hole, (x, y) =>
      tree.sideOf(0, inTurn(x), y, outer.poleDeg),
    );
    if (side < 0) return { kind: 'hole_outside', ring, vertex };
    if (side === 0) return { kind: 'hole_of_all', ring };
    for (const [path, other] of placed.entries()) {
      if (other.ring === 0 || other.ring === ring || !isWithin(hole, other)) continue;
      const within = sideOfHole(hole, (x, y) => tree.sideOf(path, x, y, other.poleDeg));
      if (within.side > 0) return { kind: 'hole_in_hole', ring, other: other.ring };
    }
  }
  return NONE;
}

// −1 with the first vertex outside, 1 when none is and some vertex or middle of an edge is inside, 0 else.
function sideOfHole(
  { x, y }: EdgePath,
  sideOf: (x: number, y: number) => number,
): { side: number; vertex: number } {
  let isInside = false;
  for (let i = 1; i < x.length; i++) {
    const side = sideOf(x[i - 1]!, y[i - 1]!);
    if (side < 0) return { side, vertex: i - 1 };
    if (side > 0) isInside = true;
  }
  for (let i = 1; i < x.length && !isInside; i++) {
    const side = sideOf((x[i - 1]! + x[i]!) / 2, (y[i - 1]! + y[i]!) / 2);
    if (side < 0) return { side, vertex: i - 1 };
    if (side > 0) isInside = true;
  }
  return { side: isInside ? 1 : 0, vertex: 0 };
}

function isWithin(inner: PlacedRing, other: PlacedRing): boolean {
  const isAcross = inner.westDeg >= other.westDeg && inner.eastDeg <= other.eastDeg;
  if (other.poleDeg !== 0) return isAcross;
  return isAcross && inner.southDeg >= other.southDeg && inner.northDeg <= other.northDeg;
}
