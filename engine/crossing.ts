/**
 * Finds where a ring crosses itself. Off the hot path; `kinks` of @turf/turf answers the same but takes 46 s for a
 * ring of 100,000 vertices (2026-11-21, 2 cores), which an API cannot wait for.
 */
import RBush from 'rbush';

/** Pairs of edges with overlapping boxes that are looked at before giving up: about a second. */
const CROSSING_PAIRS_MAX = 20_000_000;

/** Vertices are those from which the two edges start, the smaller one first. */
export type Crossing =
  | { readonly kind: 'none' }
  | { readonly kind: 'too_complex' }
  | { readonly kind: 'crossing'; readonly first: number; readonly second: number };

interface EdgeBox {
  readonly minX: number;
  readonly minY: number;
  readonly maxX: number;
  readonly maxY: number;
  readonly from: number;
}

/**
 * The first proper crossing (both edges pass to the other side of one another) of a path, by its first edge. Touching
 * in a point and running along one another are no crossings: the even-odd rule decides those well. O(n log n) for rings
 * as people draw them.
 */
export function findCrossing(x: Float64Array, y: Float64Array): Crossing {
  const boxes: EdgeBox[] = [];
  for (let i = 0; i + 1 < x.length; i++) {
    boxes.push({
      minX: Math.min(x[i]!, x[i + 1]!),
      minY: Math.min(y[i]!, y[i + 1]!),
      maxX: Math.max(x[i]!, x[i + 1]!),
      maxY: Math.max(y[i]!, y[i + 1]!),
      from: i,
    });
  }
  const tree = new RBush<EdgeBox>(16).load(boxes);
  let pairs = 0;
  for (const box of boxes) {
    const near = tree.search(box);
    pairs += near.length;
    let second = Infinity;
    for (const { from } of near) {
      if (from > box.from && from < second && cross(x, y, box.from, from)) second = from;
    }
    if (second < Infinity) return { kind: 'crossing', first: box.from, second };
    if (pairs > CROSSING_PAIRS_MAX) return { kind: 'too_complex' };
  }
  return { kind: 'none' };
}

function cross(x: Float64Array, y: Float64Array, a: number, b: number): boolean {
  return (
    turn(x, y, a, a + 1, b) * turn(x, y, a, a + 1, b + 1) < 0 &&
    turn(x, y, b, b + 1, a) * turn(x, y, b, b + 1, a + 1) < 0
  );
}

// Only signs are multiplied: products of small areas could underflow to 0.
function turn(x: Float64Array, y: Float64Array, from: number, to: number, at: number): number {
  return Math.sign(
    (x[to]! - x[from]!) * (y[at]! - y[from]!) - (y[to]! - y[from]!) * (x[at]! - x[from]!),
  );
}
