/**
 * 180° and −180° are one meridian, and whoever rounds coordinates may write it either way: [179.9, 1], [−180, 2],
 * [180, 3]. The last step would run round the whole earth. Here such positions are put on the side of those before them.
 */
import { hasArea } from './crossing.ts';
import { unrollLongitudes } from './ring.ts';
import type { LonLat } from './types.ts';

/**
 * The same closed ring without steps from ±180 to ∓180. As it came when there are none, or when they are what makes it a
 * ring: the edges of a box round the whole earth. O(n).
 */
export function settleRing(ring: LonLat[]): LonLat[] {
  if (!hasSeamStep(ring)) return ring;
  let settled = settle(ring);
  // The end is the beginning: what moved the one moves the other.
  const last = settled.at(-1);
  if (last !== undefined) settled = settle([last, ...settled.slice(1)]);
  const isClosed = settled.at(-1)?.[0] === settled[0]?.[0];
  if (!isClosed || hasSeamStep(settled) || hasHalfTurn(settled)) return ring;
  const path = unrollLongitudes(settled);
  return path.turnDeg === 0 && hasArea(path) ? settled : ring;
}

/** The same line without steps from ±180 to ∓180; as it came when nothing would be left of it. */
export function settleLine(line: LonLat[]): LonLat[] {
  if (!hasSeamStep(line)) return line;
  const settled = settle(line);
  const [first] = settled;
  const isLine = settled.some(([lon, lat]) => lon !== first?.[0] || lat !== first[1]);
  return isLine ? settled : line;
}

function isSeamStep(from: LonLat, to: LonLat): boolean {
  return Math.abs(from[0]) === 180 && to[0] === -from[0];
}

function hasSeamStep(path: readonly LonLat[]): boolean {
  for (let i = 1; i < path.length; i++) if (isSeamStep(path[i - 1]!, path[i]!)) return true;
  return false;
}

// A step of 180° has no short way, so what is meant by it is anybody's guess.
function hasHalfTurn(path: readonly LonLat[]): boolean {
  return path.some((to, i) => i > 0 && Math.abs(to[0] - path[i - 1]![0]) === 180);
}

function settle(path: readonly LonLat[]): LonLat[] {
  const settled: LonLat[] = [];
  for (const to of path) {
    const from = settled.at(-1);
    settled.push(from !== undefined && isSeamStep(from, to) ? [from[0], to[1]] : to);
  }
  return settled;
}
