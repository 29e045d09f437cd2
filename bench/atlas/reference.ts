/**
 * The slow answer to "which outlines hold this point": every box in a plain loop, then `booleanPointInPolygon` of
 * @turf/turf, boundary included. It shares nothing with the engine, and knows the antimeridian and the poles by two plain
 * rules, for turf knows neither: a step of more than 180° is taken the short way round, so a ring may run past ±180°,
 * and a ring that does not come back to where it began is closed over its pole; then a point is tried as it is and one
 * turn to the east and to the west.
 */
import { booleanPointInPolygon } from '@turf/turf';
import type { LonLat, PolygonRings } from '../../engine/types.ts';

/** One polygon of some outline, unrolled, in one of its turns. */
interface Candidate {
  readonly outline: number;
  readonly rings: number[][][];
  readonly turnDeg: number;
}

/** Asks about a point; gives the indices of the outlines that hold it, ascending. */
export type Reference = (at: LonLat) => number[];

/** A reference for outlines, each a list of polygons. */
export function createReference(outlines: readonly (readonly PolygonRings[])[]): Reference {
  const candidates: Candidate[] = [];
  const boxes: number[] = [];
  for (const [outline, polygons] of outlines.entries()) {
    for (const polygon of polygons) {
      const rings = turnsTogether(polygon.map(unrolled));
      const [minX, minY, maxX, maxY] = boxOf(rings[0]!);
      for (const turnDeg of [-360, 0, 360]) {
        if (maxX + turnDeg < -180 || minX + turnDeg > 180) continue;
        candidates.push({ outline, rings, turnDeg });
        boxes.push(minX + turnDeg, minY, maxX + turnDeg, maxY);
      }
    }
  }
  const box = Float64Array.from(boxes);
  return ([x, y]) => {
    const held: number[] = [];
    for (let i = 0, at = 0; i < candidates.length; i++, at += 4) {
      // A hair wider than the box: a turn may round.
      if (y < box[at + 1]! || y > box[at + 3]!) continue;
      if (x < box[at]! - 1e-9 || x > box[at + 2]! + 1e-9) continue;
      const { outline, rings, turnDeg } = candidates[i]!;
      if (held.at(-1) === outline) continue;
      const geometry = { type: 'Polygon' as const, coordinates: rings };
      if (booleanPointInPolygon([x - turnDeg, y], geometry)) held.push(outline);
    }
    return held;
  };
}

/** The ring without steps over ±180°; once round the earth, with the pole that is nearer to most of it. */
export function unrolled(ring: readonly LonLat[]): number[][] {
  const positions: number[][] = [];
  let turnDeg = 0;
  for (const [i, [lonDeg, latDeg]] of ring.entries()) {
    const step = i === 0 ? 0 : lonDeg - ring[i - 1]![0];
    if (step > 180) turnDeg -= 360;
    if (step < -180) turnDeg += 360;
    positions.push([lonDeg + turnDeg, latDeg]);
  }
  const first = positions[0]!;
  const last = positions.at(-1)!;
  if (last[0] === first[0]) return positions;
  const sum = positions.reduce((total, position) => total + position[1]!, 0);
  const poleDeg = sum > 0 ? 90 : -90;
  return [...positions, [last[0]!, poleDeg], [first[0]!, poleDeg], first];
}

// Holes in the turn of the outer ring: turf compares numbers.
function turnsTogether(rings: number[][][]): number[][][] {
  const [outerMinX, , outerMaxX] = boxOf(rings[0]!);
  return rings.map((ring, i) => {
    if (i === 0) return ring;
    const [minX, , maxX] = boxOf(ring);
    const byDeg = maxX < outerMinX ? 360 : minX > outerMaxX ? -360 : 0;
    return ring.map(([x, y]) => [x! + byDeg, y!]);
  });
}

function boxOf(ring: readonly number[][]): [number, number, number, number] {
  let [minX, minY, maxX, maxY] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of ring) {
    minX = Math.min(minX, x!);
    minY = Math.min(minY, y!);
    maxX = Math.max(maxX, x!);
    maxY = Math.max(maxY, y!);
  }
  return [minX, minY, maxX, maxY];
}
