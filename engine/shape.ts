/**
 * Says whether a shape can be a fence, and if not, why and where, in words that a person who drew it can act on. Meant
 * for the moment a fence is created or loaded, not for the way of a fix. Positions, rings and polygons are counted
 * from 0, as in the arrays that came in.
 */
import { findCrossing, hasArea, type RingFinding, type RingPath } from './crossing.ts';
import { unrollLongitudes } from './ring.ts';
import type { FenceShape, LonLat, PolygonRings } from './types.ts';

/** Positions of one fence, all rings and polygons together. */
export const FENCE_VERTICES_MAX = 100_000;

/** A little less than half the girth of the earth. */
export const CIRCLE_RADIUS_M_MAX = 20_000_000;

/** Keeps the flat arithmetic of a corridor within 0.01 % of the sphere below 80° of latitude. */
export const CORRIDOR_WIDTH_M_MAX = 20_000;

/** Said of latitudes that only make sense as longitudes. */
export const SWAPPED_HINT = 'the axes seem swapped: a position is [longitude, latitude]';

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
  | 'rings_crossing'
  | 'hole_outside'
  | 'hole_in_hole'
  | 'too_complex'
  | 'too_many_vertices'
  | 'not_rectangle'
  | 'line_too_short'
  | 'radius'
  | 'width';

/**
 * `at` says where, as indices into polygons, rings and positions, or into the positions of a line, as far as it goes:
 * `[0, 1]` is the first hole of the first polygon.
 */
export type ShapeCheck =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly reason: ShapeReason;
      readonly detail: string;
      readonly at: readonly number[];
    };

const OK: ShapeCheck = { ok: true };

/**
 * Checks a shape that somebody made. A ring needs at least 4 positions, the last equal to the first; the outer ring of
 * some polygon needs an area. No edge may cross another of its polygon (touching is allowed, and so are loops of less
 * than `KINK_AREA_SHARE_MAX`), and a hole lies in its outer ring and in no other hole. Harmless, and let through: either
 * winding, positions repeated in a row, edges run to and fro, holes and further polygons without area. Longitudes may
 * run past ±180° (170…190) up to ±360°, a ring at most once round the earth. Some 0.2 s for the most vertices that a
 * fence may have.
 */
export function checkShape(shape: FenceShape): ShapeCheck {
  const form = checkShapeForm(shape);
  return form.ok && shape.type === 'polygon' ? checkPolygons(shape.polygons) : form;
}

/**
 * The part of `checkShape` that the engine relies upon, in one pass over the positions: numbers in range, rings closed
 * and of four positions or more. For fences that have passed `checkShape` before and come back from where they are kept.
 * Some 0.5 µs for a ring of 24 vertices.
 */
export function checkShapeForm(shape: FenceShape): ShapeCheck {
  switch (shape.type) {
    case 'polygon':
      return checkPolygonsForm(shape.polygons);
    case 'circle':
      return checkCircle(shape.centerLonDeg, shape.centerLatDeg, shape.radiusM);
    case 'corridor':
      return checkCorridor(shape.line, shape.widthM);
  }
}

function fail(reason: ShapeReason, detail: string, at: readonly number[] = []): ShapeCheck {
  return { ok: false, reason, detail, at };
}

function checkPolygonsForm(polygons: readonly PolygonRings[]): ShapeCheck {
  if (polygons.length === 0) return fail('empty', 'the shape has no polygon');
  let count = 0;
  for (const rings of polygons) for (const ring of rings) count += ring.length;
  if (count > FENCE_VERTICES_MAX) return tooMany(count);
  for (let p = 0; p < polygons.length; p++) {
    const rings = polygons[p]!;
    if (rings.length === 0) return fail('empty', `${namePolygon(polygons, p)}no ring`, [p]);
    for (let r = 0; r < rings.length; r++) {
      const checked = checkRingForm(rings[r]!, () => nameRing(polygons, p, r), [p, r]);
      if (!checked.ok) return checked;
    }
  }
  return OK;
}

function namePolygon(polygons: readonly PolygonRings[], p: number): string {
  return polygons.length > 1 ? `polygon ${p}, ` : '';
}

function nameRing(polygons: readonly PolygonRings[], p: number, r: number): string {
  return `${namePolygon(polygons, p)}ring ${r}${r > 0 ? ' (a hole)' : ''}`;
}

function checkRingForm(
  ring: readonly LonLat[],
  name: () => string,
  at: readonly number[],
): ShapeCheck {
  const positions = checkPositions(ring, name, at);
  if (!positions.ok) return positions;
  if (ring.length < 4) {
    return fail(
      'ring_too_short',
      `${name()}: ${ring.length} positions; a ring needs 4 or more`,
      at,
    );
  }
  const first = ring[0]!;
  const last = ring[ring.length - 1]!;
  if (first[0] !== last[0] || first[1] !== last[1]) {
    return fail(
      'ring_not_closed',
      `${name()}: the last position, vertex ${ring.length - 1} (${last[0]}, ${last[1]}), ` +
        `is not the first one (${first[0]}, ${first[1]})`,
      [...at, ring.length - 1],
    );
  }
  return OK;
}

function checkPolygons(polygons: readonly PolygonRings[]): ShapeCheck {
  let isEmpty = true;
  for (const [p, rings] of polygons.entries()) {
    const paths: RingPath[] = [];
    for (const [r, ring] of rings.entries()) {
      const path = unrollLongitudes(ring);
      const widthDeg = widthOf(path.x);
      if (widthDeg > 360) {
        const detail = `${nameRing(polygons, p, r)}: spans ${widthDeg}° of longitude; 360 is the most`;
        return fail('ring_too_wide', detail, [p, r]);
      }
      paths.push(path);
    }
    const finding = findCrossing(paths);
    if (finding.kind !== 'none') return refuseRings(finding, polygons, p);
    if (hasArea(paths[0]!)) isEmpty = false;
  }
  return isEmpty ? refuseEmpty(polygons) : OK;
}

function widthOf(x: Float64Array): number {
  let min = Infinity;
  let max = -Infinity;
  for (const lonDeg of x) {
    min = Math.min(min, lonDeg);
    max = Math.max(max, lonDeg);
  }
  return max - min;
}

function refuseEmpty(polygons: readonly PolygonRings[]): ShapeCheck {
  const name = nameRing(polygons, 0, 0);
  const distinct = new Set(
    (polygons[0]![0] ?? []).map(([lonDeg, latDeg]) => `${lonDeg} ${latDeg}`),
  );
  return distinct.size < 3
    ? fail('ring_too_short', `${name}: fewer than 3 different positions`, [0, 0])
    : fail('ring_without_area', `${name}: it holds no area, its edges run to and fro`, [0, 0]);
}

function refuseRings(
  finding: RingFinding,
  polygons: readonly PolygonRings[],
  p: number,
): ShapeCheck {
  const name = (r: number): string => nameRing(polygons, p, r);
  switch (finding.kind) {
    case 'none':
      return OK;
    case 'too_complex': {
      const where = namePolygon(polygons, p);
      return fail('too_complex', `${where}too many edges lie across one another to check them`, [
        p,
      ]);
    }
    case 'self_crossing': {
      const { ring, edges } = finding;
      const detail = `the edge from vertex ${edges[0]} crosses the edge from vertex ${edges[1]}`;
      return fail('self_crossing', `${name(ring)}: ${detail}`, [p, ring, edges[0]]);
    }
    case 'crossing': {
      const [first, second] = finding.rings;
      const [from, to] = finding.edges;
      return fail(
        'rings_crossing',
        `${name(second)}: the edge from vertex ${to} crosses the edge from vertex ${from} of ring ${first}`,
        [p, second, to],
      );
    }
    case 'hole_outside': {
      const { ring, vertex } = finding;
      const [lonDeg, latDeg] = polygons[p]![ring]![vertex]!;
      const detail = `vertex ${vertex} (${lonDeg}, ${latDeg}) lies outside of the outer ring`;
      return fail('hole_outside', `${name(ring)}: ${detail}`, [p, ring, vertex]);
    }
    case 'hole_in_hole': {
      const { ring, other } = finding;
      const detail = `lies in ring ${other}, a hole too; an island in a hole is a polygon of its own`;
      return fail('hole_in_hole', `${name(ring)}: ${detail}`, [p, ring]);
    }
    case 'hole_of_all': {
      const { ring } = finding;
      return fail('ring_without_area', `${name(ring)}: it leaves nothing of its polygon`, [
        p,
        ring,
      ]);
    }
  }
}

function checkCircle(lonDeg: number, latDeg: number, radiusM: number): ShapeCheck {
  const center = checkPositions([[lonDeg, latDeg]], () => 'center', []);
  if (!center.ok) return { ...center, at: [] };
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
  const positions = checkPositions(line, () => 'line', []);
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

// Words are made for what is refused alone: a loop over two million positions has no time for them.
function checkPositions(
  positions: readonly LonLat[],
  name: () => string,
  at: readonly number[],
): ShapeCheck {
  for (let i = 0; i < positions.length; i++) {
    const [lonDeg, latDeg] = positions[i]!;
    if (latDeg >= -90 && latDeg <= 90 && lonDeg >= -LON_DEG_MAX && lonDeg <= LON_DEG_MAX) continue;
    const where = positions.length === 1 && at.length === 0 ? name() : `${name()}, vertex ${i}`;
    return refusePosition(positions, i, where, [...at, i]);
  }
  return OK;
}

function refusePosition(
  positions: readonly LonLat[],
  i: number,
  where: string,
  at: readonly number[],
): ShapeCheck {
  const [lonDeg, latDeg] = positions[i]!;
  if (!Number.isFinite(lonDeg) || !Number.isFinite(latDeg)) {
    const detail = `${where}: (${lonDeg}, ${latDeg}) is not a pair of finite numbers`;
    return fail('not_finite', detail, at);
  }
  if (Math.abs(latDeg) > 90) {
    const hint = seemSwapped(positions) ? `; ${SWAPPED_HINT}` : '';
    return fail('lat_range', `${where}: latitude ${latDeg} is not within -90…90${hint}`, at);
  }
  return fail('lon_range', `${where}: longitude ${lonDeg} is not within -360…360`, at);
}

/** Whether positions that are not on earth would be, if latitude came first. */
export function seemSwapped(positions: readonly LonLat[]): boolean {
  return positions.every(
    ([lonDeg, latDeg]) => Math.abs(lonDeg) <= 90 && Math.abs(latDeg) <= LON_DEG_MAX,
  );
}
