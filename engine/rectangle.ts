/** Whether a ring of four corners is a rectangle to whoever drew it: right-angled on the ground, turned or not. */
import { unrollLongitudes } from './ring.ts';
import type { ShapeCheck } from './shape.ts';
import type { FenceShape, LonLat } from './types.ts';

/** Cosine of the angle at a corner: some 1.1° off, more than any map projection makes of a fence's rectangle. */
const CORNER_COSINE_MAX = 0.02;

/**
 * Checks a sound shape (`checkShape`): one ring of four corners, each a right angle where a degree of longitude is as
 * long as in the ring's middle. So a box along meridians and parallels is one whatever its size.
 */
export function checkRectangle(shape: FenceShape): ShapeCheck {
  const ring = shape.type === 'polygon' && shape.polygons.length === 1 ? shape.polygons[0] : [];
  const [outer] = ring ?? [];
  if (ring?.length !== 1 || outer?.length !== 5) {
    return refuse('a rectangle is one ring of four corners', [0]);
  }
  const latitudes = outer.map(([, latDeg]) => latDeg);
  const middleDeg = (Math.min(...latitudes) + Math.max(...latitudes)) / 2;
  const scale = Math.cos((middleDeg * Math.PI) / 180);
  for (let i = 0; i < 4; i++) {
    const at = outer[i]!;
    const [ux, uy] = step(at, outer[(i + 3) % 4]!, scale);
    const [vx, vy] = step(at, outer[i + 1]!, scale);
    const lengths = Math.sqrt((ux * ux + uy * uy) * (vx * vx + vy * vy));
    const cosine = (ux * vx + uy * vy) / lengths;
    if (Math.abs(cosine) <= CORNER_COSINE_MAX) continue;
    const angleDeg = Math.round((Math.acos(cosine) * 180) / Math.PI);
    const is = Number.isNaN(angleDeg)
      ? 'lies on the one beside it'
      : `has an angle of ${angleDeg}°`;
    return refuse(`ring 0: vertex ${i} (${at[0]}, ${at[1]}) ${is}; such a shape is a polygon`, [
      0,
      0,
      i,
    ]);
  }
  return { ok: true };
}

function step(from: LonLat, to: LonLat, scale: number): [number, number] {
  const { x, y } = unrollLongitudes([from, to]);
  return [(x[1]! - x[0]!) * scale, y[1]! - y[0]!];
}

function refuse(detail: string, at: readonly number[]): ShapeCheck {
  return { ok: false, reason: 'not_rectangle', detail, at };
}
