/**
 * Who is right where two answers differ: the even-odd rule in whole numbers, without any rounding. A double is a whole
 * number of 2⁻¹⁰⁷⁴, so coordinates and turns of 360° are BigInts here, and so are the areas that tell left from right.
 * Microseconds an edge; meant for the few points in dispute.
 */
import type { LonLat, PolygonRings } from '../../engine/types.ts';
import { unrolled } from './reference.ts';

const bits = new DataView(new ArrayBuffer(8));

/** A finite double as a whole number of 2⁻¹⁰⁷⁴. */
export function exactOf(value: number): bigint {
  bits.setFloat64(0, value);
  const raw = bits.getBigUint64(0);
  const exponent = (raw >> 52n) & 0x7ffn;
  const fraction = raw & 0xfffffffffffffn;
  const size = exponent === 0n ? fraction : (fraction | 0x10000000000000n) << (exponent - 1n);
  return raw >> 63n === 1n ? -size : size;
}

const TURN = exactOf(360);

/** Whether some polygon holds the point, boundaries included, in any of three turns. */
export function exactlyHolds(polygons: readonly PolygonRings[], at: LonLat): boolean {
  const x = exactOf(at[0]);
  const y = exactOf(at[1]);
  return polygons.some((rings) => {
    const exact = rings.map(exactRing);
    const sideOf = (ring: readonly (readonly [bigint, bigint])[]): number =>
      Math.max(...[-TURN, 0n, TURN].map((turn) => sideOfRing(ring, x + turn, y)));
    return sideOf(exact[0]!) >= 0 && exact.slice(1).every((hole) => sideOf(hole) <= 0);
  });
}

/** Degrees from the point to the nearest edge, in any of three turns; this one may round. */
export function boundaryDistanceDeg(polygons: readonly PolygonRings[], [x, y]: LonLat): number {
  let least = Infinity;
  for (const ring of polygons.flat().map(unrolled)) {
    for (let i = 1; i < ring.length; i++) {
      const [x0, y0] = ring[i - 1] as [number, number];
      const [x1, y1] = ring[i] as [number, number];
      const [dx, dy] = [x1 - x0, y1 - y0];
      const length = dx * dx + dy * dy;
      for (const turned of [x - 360, x, x + 360]) {
        const along = length > 0 ? ((turned - x0) * dx + (y - y0) * dy) / length : 0;
        const share = Math.min(1, Math.max(0, along));
        least = Math.min(least, Math.hypot(turned - x0 - share * dx, y - y0 - share * dy));
      }
    }
  }
  return least;
}

// The turns that `unrolled` added are taken from the written longitude, which has not been rounded.
function exactRing(ring: readonly LonLat[]): (readonly [bigint, bigint])[] {
  const first = ring[0]!;
  return unrolled(ring).map(([x, y], i) => {
    const written = ring[i]?.[0] ?? (i === ring.length ? ring.at(-1)![0] : first[0]);
    const turns = BigInt(Math.round((x! - written) / 360));
    return [exactOf(written) + turns * TURN, exactOf(y!)] as const;
  });
}

// 1 inside, 0 on the ring, −1 outside.
function sideOfRing(ring: readonly (readonly [bigint, bigint])[], x: bigint, y: bigint): number {
  let isInside = false;
  for (let i = 1; i < ring.length; i++) {
    const [x0, y0] = ring[i - 1]!;
    const [x1, y1] = ring[i]!;
    if ((y < y0 && y < y1) || (y > y0 && y > y1)) continue;
    const turn = (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0);
    const isAlong = x >= (x0 < x1 ? x0 : x1) && x <= (x0 < x1 ? x1 : x0);
    if (turn === 0n && isAlong) return 0;
    if (y0 <= y === y1 <= y) continue;
    if (turn > 0n === y1 > y0) isInside = !isInside;
  }
  return isInside ? 1 : -1;
}
