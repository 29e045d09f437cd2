/**
 * Turns fences as the API gives them into outlines to draw: rings of world points. Knows the columns of `geofence` and
 * GeoJSON; a fence that it cannot read is left out. The engine alone decides what is inside; this is only a picture.
 */
import {
  destination,
  unwrapX,
  worldPerMetre,
  xOfLon,
  yOfLat,
  type WorldPoint,
} from './projection.ts';

/** The columns of `geofence` that matter to a picture. */
export interface FenceRow {
  geofence_id: number;
  geofence_name: string;
  shape_type: string;
  polygon: unknown;
  center_lat: number | null;
  center_lng: number | null;
  radius_m: number | null;
  width_m: number | null;
  status: string;
}

export interface FencePicture {
  readonly id: number;
  readonly name: string;
  /** Filled by the even-odd rule for polygons (holes), by the non-zero rule for the others. */
  readonly rings: readonly (readonly WorldPoint[])[];
  readonly fillRule: CanvasFillRule;
  /** The middle line of a corridor; empty for others. */
  readonly line: readonly WorldPoint[];
  /** Under the name: the middle of a corridor's line, the top of the others. */
  readonly labelAt: WorldPoint;
  readonly minX: number;
  readonly minY: number;
  readonly maxX: number;
  readonly maxY: number;
}

const CIRCLE_POINT_COUNT = 72;
const JOIN_STEP_RAD = Math.PI / 12;

/** The picture of a fence, or null when its columns do not make one. */
export function pictureOf(row: FenceRow): FencePicture | null {
  const outline = outlineOf(row);
  if (outline === null || outline.rings.length === 0) return null;
  let [minX, minY, maxX, maxY] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const { x, y } of outline.rings.flat()) {
    minX = Math.min(minX, x);
    maxX = Math.max(maxX, x);
    minY = Math.min(minY, y);
    maxY = Math.max(maxY, y);
  }
  if (!Number.isFinite(minX + minY + maxX + maxY)) return null;
  const { line } = outline;
  const labelAt = line[Math.floor(line.length / 2)] ?? { x: (minX + maxX) / 2, y: minY };
  const { geofence_id: id, geofence_name: name } = row;
  return { id, name, ...outline, labelAt, minX, minY, maxX, maxY };
}

type Outline = Pick<FencePicture, 'rings' | 'fillRule' | 'line'>;

function outlineOf(row: FenceRow): Outline | null {
  if (row.shape_type === 'circle') {
    if (row.center_lat === null || row.center_lng === null || row.radius_m === null) return null;
    const ring = circleRing(row.center_lng, row.center_lat, row.radius_m);
    return { rings: [ring], fillRule: 'nonzero', line: [] };
  }
  const geometry = row.polygon as { type?: unknown; coordinates?: unknown } | null;
  if (typeof geometry !== 'object' || geometry === null) return null;
  if (geometry.type === 'LineString' && row.width_m !== null) {
    const line = unwrapped(geometry.coordinates);
    if (line === null || line.length < 2) return null;
    return { rings: [corridorRing(line, row.width_m)], fillRule: 'nonzero', line };
  }
  const polygons =
    geometry.type === 'Polygon'
      ? [geometry.coordinates]
      : geometry.type === 'MultiPolygon'
        ? geometry.coordinates
        : null;
  if (!Array.isArray(polygons)) return null;
  const rings: WorldPoint[][] = [];
  for (const polygon of polygons as unknown[]) {
    if (!Array.isArray(polygon)) return null;
    for (const coordinates of polygon as unknown[]) {
      const ring = unwrapped(coordinates, rings[0]?.[0]?.x);
      if (ring === null) return null;
      rings.push(ring);
    }
  }
  return { rings, fillRule: 'evenodd', line: [] };
}

/** The points at `radiusM` round a centre; over the antimeridian they go on beyond 0…1. */
export function circleRing(lonDeg: number, latDeg: number, radiusM: number): WorldPoint[] {
  const centerX = xOfLon(lonDeg);
  return Array.from({ length: CIRCLE_POINT_COUNT }, (_, index) => {
    const bearing = (index / CIRCLE_POINT_COUNT) * 360;
    const [lon, lat] = destination(lonDeg, latDeg, bearing, radiusM);
    return { x: unwrapX(xOfLon(lon), centerX), y: yOfLat(lat) };
  });
}

/**
 * The outline of all points within half of `widthM` of a line of at least two points: offset to both sides, round at
 * the ends and at the outside of bends. On the inside of a bend too tight for its legs the outline crosses itself,
 * which the non-zero rule fills.
 */
export function corridorRing(line: readonly WorldPoint[], widthM: number): WorldPoint[] {
  const points = line.filter(
    (point, index) =>
      index === 0 || point.x !== line[index - 1]!.x || point.y !== line[index - 1]!.y,
  );
  if (points.length < 2) return circleAt(points[0]!, halfWidth(points[0]!, widthM));
  return [...side(points, widthM), ...side(points.toReversed(), widthM)];
}

// One side of the line, left of its direction on the screen, with the round end at its last point.
function side(points: readonly WorldPoint[], widthM: number): WorldPoint[] {
  const out: WorldPoint[] = [];
  const last = points.length - 1;
  for (let i = 0; i < last; i += 1) {
    const from = points[i]!;
    const to = points[i + 1]!;
    const angle = Math.atan2(to.y - from.y, to.x - from.x);
    if (i === 0) out.push(offset(from, angle - Math.PI / 2, halfWidth(from, widthM)));
    if (i + 1 === last) {
      arc(out, to, angle - Math.PI / 2, Math.PI, halfWidth(to, widthM));
      continue;
    }
    const next = points[i + 2]!;
    const turn = wrapAngle(Math.atan2(next.y - to.y, next.x - to.x) - angle);
    const half = halfWidth(to, widthM);
    if (turn > 0) {
      arc(out, to, angle - Math.PI / 2, turn, half);
    } else {
      join(out, to, { angle, turn, half }, Math.min(length(from, to), length(to, next)));
    }
  }
  return out;
}

// The inside of a bend: where the two offset lines meet, when the legs are long enough to reach it.
function join(
  out: WorldPoint[],
  at: WorldPoint,
  bend: { angle: number; turn: number; half: number },
  legMin: number,
): void {
  const { angle, turn, half } = bend;
  const reach = half / Math.cos(turn / 2);
  if (Math.abs(half * Math.tan(turn / 2)) <= legMin) {
    out.push(offset(at, angle + turn / 2 - Math.PI / 2, reach));
  } else {
    out.push(offset(at, angle - Math.PI / 2, half));
    out.push(offset(at, angle + turn - Math.PI / 2, half));
  }
}

function arc(out: WorldPoint[], at: WorldPoint, from: number, sweep: number, radius: number): void {
  const stepCount = Math.max(1, Math.ceil(sweep / JOIN_STEP_RAD));
  for (let step = 0; step <= stepCount; step += 1) {
    out.push(offset(at, from + (sweep * step) / stepCount, radius));
  }
}

function circleAt(at: WorldPoint, radius: number): WorldPoint[] {
  const out: WorldPoint[] = [];
  arc(out, at, 0, 2 * Math.PI, radius);
  return out;
}

function offset(at: WorldPoint, angle: number, by: number): WorldPoint {
  return { x: at.x + Math.cos(angle) * by, y: at.y + Math.sin(angle) * by };
}

function halfWidth(at: WorldPoint, widthM: number): number {
  const latDeg = (Math.atan(Math.sinh(Math.PI * (1 - 2 * at.y))) * 180) / Math.PI;
  return (widthM / 2) * worldPerMetre(latDeg);
}

function length(a: WorldPoint, b: WorldPoint): number {
  return Math.hypot(b.x - a.x, b.y - a.y);
}

function wrapAngle(angle: number): number {
  return angle - 2 * Math.PI * Math.round(angle / (2 * Math.PI));
}

// GeoJSON positions as world points without jumps of more than half a world, the first near `nearX`.
function unwrapped(coordinates: unknown, nearX?: number): WorldPoint[] | null {
  if (!Array.isArray(coordinates)) return null;
  const out: WorldPoint[] = [];
  let near = nearX;
  for (const position of coordinates as unknown[]) {
    if (!Array.isArray(position)) return null;
    const [lon, lat] = position as unknown[];
    if (typeof lon !== 'number' || typeof lat !== 'number') return null;
    const x: number = near === undefined ? xOfLon(lon) : unwrapX(xOfLon(lon), near);
    near = x;
    out.push({ x, y: yOfLat(lat) });
  }
  return out;
}
