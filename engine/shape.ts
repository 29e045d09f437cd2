/**
 * Says whether a shape can be a fence, and if not, why and where, in words that a person who drew it can act on. Meant
 * for the moment a fence is created or loaded, not for the way of a fix. Positions, rings and polygons are counted
 * from 0, as in the arrays that came in.
 */
import { findCrossing } from './crossing.ts';
import { unrollLongitudes } from './ring.ts';
import type { FenceShape, LonLat, PolygonRings } from './types.ts';

/** Positions of one fence, all rings and polygons together. */
export const FENCE_VERTICES_MAX = 100_000;

/** A little less than half the girth of the earth. */
export const CIRCLE_RADIUS_M_MAX = 20_000_000;

/** Keeps the flat arithmetic of a corridor within 0.01 % of the sphere below 80° of latitude. */
export const CORRIDOR_WIDTH_M_MAX = 20_000;

/** One turn past 0 on either side: enough for everything that drawing tools write for a shape over ±180°. */
const LON_DEG_MAX = 360;

export type ShapeReason =
  | 'empty'
  | 'not_finite'
  | 'lat_range'
  | 'lon_range'
  | 'ring_not_closed'
  | 'ring_too_short'
  | 'ring_too_wide'
  | 'ring_without_area'
  | 'self_crossing'
  | 'too_complex'
  | 'too_many_vertices'
  | 'line_too_short'
  | 'radius'
  | 'width';

export type ShapeCheck =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: ShapeReason; readonly detail: string };

const OK: ShapeCheck = { ok: true };

/**
 * Checks a shape. A ring needs at least 4 positions, 3 of them different, the last equal to the first, an area, and
 * no edge that properly crosses another (touching itself in a point is allowed). Longitudes may run past ±180° (170…190)
 * up to ±360°, a ring at most once round the earth. Takes milliseconds for a thousand vertices, under a second for the
 * most that a fence may have.
 */
export function checkShape(shape: FenceShape): ShapeCheck {
  switch (shape.type) {
    case 'polygon':
      return checkPolygons(shape.polygons);
    case 'circle':
      return checkCircle(shape.centerLonDeg, shape.centerLatDeg, shape.radiusM);
    case 'corridor':
      return checkCorridor(shape.line, shape.widthM);
  }
}

function fail(reason: ShapeReason, detail: string): ShapeCheck {
  return { ok: false, reason, detail };
}

function checkPolygons(polygons: readonly PolygonRings[]): ShapeCheck {
  if (polygons.length === 0) return fail('empty', 'the shape has no polygon');
  let count = 0;
  for (const rings of polygons) for (const ring of rings) count += ring.length;
  if (count > FENCE_VERTICES_MAX) return tooMany(count);
  for (const [p, rings] of polygons.entries()) {
    const where = polygons.length > 1 ? `polygon ${p}, ` : '';
    if (rings.length === 0) return fail('empty', `${where}no ring`);
    for (const [r, ring] of rings.entries()) {
      const checked = checkRing(ring, `${where}ring ${r}${r > 0 ? ' (a hole)' : ''}`);
      if (!checked.ok) return checked;
    }
  }
  return OK;
}

function checkRing(ring: readonly LonLat[], where: string): ShapeCheck {
  const positions = checkPositions(ring, where);
  if (!positions.ok) return positions;
  if (ring.length < 4) {
    return fail('ring_too_short', `${where}: ${ring.length} positions; a ring needs 4 or more`);
  }
  const first = ring[0]!;
  const last = ring[ring.length - 1]!;
  if (first[0] !== last[0] || first[1] !== last[1]) {
    return fail(
      'ring_not_closed',
      `${where}: the last position, vertex ${ring.length - 1} (${last[0]}, ${last[1]}), ` +
        `is not the first one (${first[0]}, ${first[1]})`,
    );
  }
  return checkRingForm(ring, where);
}

function checkRingForm(ring: readonly LonLat[], where: string): ShapeCheck {
  const distinct = new Set<string>();
  for (const [lonDeg, latDeg] of ring) {
    distinct.add(`${lonDeg} ${latDeg}`);
    if (distinct.size === 3) break;
  }
  if (distinct.size < 3) {
    return fail('ring_too_short', `${where}: fewer than 3 different positions`);
  }
  const path = unrollLongitudes(ring);
  let min = Infinity;
  let max = -Infinity;
  for (const x of path.x) {
    min = Math.min(min, x);
    max = Math.max(max, x);
  }
  if (max - min > 360) {
    return fail('ring_too_wide', `${where}: spans ${max - min}° of longitude; 360 is the most`);
  }
  const crossing = findCrossing(path.x, path.y);
  if (crossing.kind === 'too_complex') {
    return fail('too_complex', `${where}: too many edges lie across one another to check them`);
  }
  if (crossing.kind === 'crossing') {
    return fail(
      'self_crossing',
      `${where}: the edge from vertex ${crossing.first} crosses the edge from vertex ${crossing.second}`,
    );
  }
  if (path.turnDeg === 0 && !hasArea(path.x, path.y)) {
    return fail('ring_without_area', `${where}: all positions lie on one line`);
  }
  return OK;
}

function hasArea(x: Float64Array, y: Float64Array): boolean {
  for (let i = 1; i < x.length; i++) {
    const dx = x[i]! - x[0]!;
    const dy = y[i]! - y[0]!;
    if (dx === 0 && dy === 0) continue;
    for (let j = i + 1; j < x.length; j++) {
      if (dx * (y[j]! - y[0]!) !== dy * (x[j]! - x[0]!)) return true;
    }
    return false;
  }
  return false;
}

function checkCircle(lonDeg: number, latDeg: number, radiusM: number): ShapeCheck {
  const center = checkPosition([lonDeg, latDeg], 'center');
  if (!center.ok) return center;
  if (Math.abs(lonDeg) > 180) {
    return fail('lon_range', `center: longitude ${lonDeg} is not within -180…180`);
  }
  if (!(radiusM > 0 && radiusM <= CIRCLE_RADIUS_M_MAX)) {
    return fail(
      'radius',
      `a radius of ${radiusM} m is not above 0 and up to ${CIRCLE_RADIUS_M_MAX} m`,
    );
  }
  return OK;
}

function checkCorridor(line: readonly LonLat[], widthM: number): ShapeCheck {
  if (line.length > FENCE_VERTICES_MAX) return tooMany(line.length);
  const positions = checkPositions(line, 'line');
  if (!positions.ok) return positions;
  if (!line.some(([lon, lat]) => lon !== line[0]![0] || lat !== line[0]![1])) {
    return fail('line_too_short', 'line: fewer than 2 different positions');
  }
  if (!(widthM > 0 && widthM <= CORRIDOR_WIDTH_M_MAX)) {
    return fail(
      'width',
      `a width of ${widthM} m is not above 0 and up to ${CORRIDOR_WIDTH_M_MAX} m`,
    );
  }
  return OK;
}

function tooMany(count: number): ShapeCheck {
  return fail('too_many_vertices', `${count} vertices; ${FENCE_VERTICES_MAX} is the most`);
}

function checkPositions(positions: readonly LonLat[], where: string): ShapeCheck {
  for (let i = 0; i < positions.length; i++) {
    const checked = checkPosition(positions[i]!, `${where}, vertex ${i}`);
    if (!checked.ok) return checked;
  }
  return OK;
}

function checkPosition([lonDeg, latDeg]: LonLat, where: string): ShapeCheck {
  if (!Number.isFinite(lonDeg) || !Number.isFinite(latDeg)) {
    return fail('not_finite', `${where}: (${lonDeg}, ${latDeg}) is not a pair of finite numbers`);
  }
  if (Math.abs(latDeg) > 90) {
    return fail('lat_range', `${where}: latitude ${latDeg} is not within -90…90`);
  }
  if (Math.abs(lonDeg) > LON_DEG_MAX) {
    return fail('lon_range', `${where}: longitude ${lonDeg} is not within -360…360`);
  }
  return OK;
}
