/**
 * The engine beside the reference, point by point, over all outlines. Where they differ, exact arithmetic says who is
 * right. Knows no command line; the same seed gives the same points.
 */
import { fenceOf, seededRandom } from '../../engine/test-data.ts';
import type { Edit, LonLat } from '../../engine/types.ts';
import { applyEdits, createWorld, fencesAt } from '../../engine/world.ts';
import { boundaryDistanceDeg, exactlyHolds } from './exact.ts';
import type { Outline } from './outlines.ts';
import { POINT_CLASSES, pointSource, type PointClass } from './points.ts';
import { createReference } from './reference.ts';

/**
 * Degrees, a tenth of a micrometre: closer than this to an edge, the engine may take a point for its neighbour. Longitudes
 * in another turn are rounded to 2⁻⁴⁴ (5.7e-14), at both ends of an edge and at the point, and the side of an edge is
 * worked out in doubles: a few such units together.
 */
export const ROUNDING_DEG = 1e-12;

/**
 * `reference rounds`: the engine is right. `engine rounds`: it is not, within `ROUNDING_DEG` of an edge. `wrong`: it is
 * not, and has no excuse.
 */
export type Verdict = 'reference rounds' | 'engine rounds' | 'wrong';

export interface ClassCount {
  points: number;
  /** Pairs of a point and an outline that holds it. */
  held: number;
  readonly disputed: Record<Verdict, number>;
}

export interface Comparison {
  readonly classes: Readonly<Record<PointClass, ClassCount>>;
  /** Degrees from the edge, of the farthest point at which the engine rounds. */
  readonly roundedDegMax: number;
  /** Outlines of which a vertex itself is not held, for the engine rounds. */
  readonly vertexRounded: readonly string[];
  /** Points at which the engine is wrong; at the twentieth the comparison ends. */
  readonly wrong: readonly string[];
}

const WRONG_MAX = 20;

/** Asks both about `pointCount` points. */
export function compare(
  outlines: readonly Outline[],
  { pointCount, seed }: { readonly pointCount: number; readonly seed: number },
): Comparison {
  const world = createWorld();
  applyEdits(
    world,
    outlines.map(({ settled }, i): Edit => {
      const fence = fenceOf(i, { type: 'polygon', polygons: settled });
      return { type: 'fence_put', fence };
    }),
  );
  const reference = createReference(outlines.map(({ polygons }) => polygons));
  const nextPoint = pointSource(outlines, seededRandom(seed));
  const classes = Object.fromEntries(
    POINT_CLASSES.map((kind) => [kind, emptyCount()]),
  ) as unknown as Record<PointClass, ClassCount>;
  const wrong: string[] = [];
  const vertexRounded = new Set<string>();
  let roundedDegMax = 0;
  for (let i = 0; i < pointCount && wrong.length < WRONG_MAX; i++) {
    const { kind, at } = nextPoint();
    const ours = fencesAt(world, 1, ...at).map(({ fenceId }) => fenceId);
    const theirs = reference(at);
    const count = classes[kind];
    count.points++;
    count.held += ours.length;
    for (const id of differenceOf(ours, theirs)) {
      const outline = outlines[id]!;
      const { verdict, distanceDeg } = judge(outline, at, ours.includes(id));
      count.disputed[verdict]++;
      if (verdict === 'engine rounds') {
        roundedDegMax = Math.max(roundedDegMax, distanceDeg);
        if (kind === 'vertex') vertexRounded.add(outline.name);
      }
      if (verdict !== 'wrong') continue;
      const said = ours.includes(id) ? 'inside' : 'outside';
      wrong.push(`(${at.join(', ')}), ${kind}: said ${said} of ${outline.name}, ${distanceDeg}°`);
    }
  }
  return { classes, roundedDegMax, vertexRounded: [...vertexRounded], wrong };
}

function emptyCount(): ClassCount {
  const disputed = { 'reference rounds': 0, 'engine rounds': 0, wrong: 0 };
  return { points: 0, held: 0, disputed };
}

/** Who is right about a point and an outline, when the engine's answer `isHeld` is disputed. */
export function judge(
  { polygons }: Outline,
  at: LonLat,
  isHeld: boolean,
): { verdict: Verdict; distanceDeg: number } {
  const distanceDeg = boundaryDistanceDeg(polygons, at);
  if (exactlyHolds(polygons, at) === isHeld) return { verdict: 'reference rounds', distanceDeg };
  const verdict = distanceDeg <= ROUNDING_DEG ? 'engine rounds' : 'wrong';
  return { verdict, distanceDeg };
}

function differenceOf(a: readonly number[], b: readonly number[]): number[] {
  if (a.length === b.length && a.every((id, i) => id === b[i])) return [];
  return [...a.filter((id) => !b.includes(id)), ...b.filter((id) => !a.includes(id))];
}
