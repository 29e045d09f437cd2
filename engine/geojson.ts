/**
 * Turns a fence as it is stored and sent, a GeoJSON geometry or a centre and a radius, into a `FenceShape`. It knows
 * the form of the data and nothing of geometry: whether a well-formed ring makes a sound fence is for `checkShape`.
 * Pure, and safe on any input: the geometry may come from outside.
 */
import { FENCE_VERTICES_MAX } from './shape.ts';
import type { FenceShape, LonLat, PolygonRings } from './types.ts';

/** Rings that one fence may have, holes included. */
export const FENCE_RINGS_MAX = 1_000;

/** The columns of a stored fence that make its shape. */
export interface FenceShapeFields {
  /** `polygon`, `multipolygon`, `rectangle`, `circle` or `corridor`. */
  readonly shape_type: string;
  /** A GeoJSON geometry, already parsed; anything is taken and checked. */
  readonly polygon: unknown;
  readonly center_lat: number | null;
  readonly center_lng: number | null;
  readonly radius_m: number | null;
  readonly width_m: number | null;
}

/** `pointer` is a JSON pointer into the fields (`/polygon/coordinates/0/3`), for the message to a person. */
export type GeoJsonShape =
  | { readonly ok: true; readonly shape: FenceShape }
  | {
      readonly ok: false;
      readonly reason: string;
      readonly detail: string;
      readonly pointer: string;
    };

class ShapeRefusal extends Error {
  readonly reason: string;
  readonly pointer: string;
  constructor(reason: string, pointer: string, detail: string) {
    super(detail);
    this.reason = reason;
    this.pointer = pointer;
  }
}

/** What is left of the allowance while one fence is read. */
interface Allowance {
  readonly verticesMax: number;
  vertices: number;
  rings: number;
}

/**
 * Reads the shape of a fence. `polygon` and `rectangle` want a Polygon, `multipolygon` a MultiPolygon (a Polygon is
 * taken as one of one part), `corridor` a LineString and `width_m`, `circle` the centre and `radius_m` and no geometry.
 * Altitudes in positions are dropped, foreign members are ignored, fields that the shape does not use are not looked
 * at. Rings must be closed and have at least four positions (RFC 7946 3.1.6); winding is not checked. `verticesMax`
 * bounds the positions of all rings and parts together.
 */
export function shapeFromGeoJson(
  fields: FenceShapeFields,
  verticesMax: number = FENCE_VERTICES_MAX,
): GeoJsonShape {
  try {
    const allowance = { verticesMax, vertices: verticesMax, rings: FENCE_RINGS_MAX };
    return { ok: true, shape: readShape(fields, allowance) };
  } catch (error) {
    if (!(error instanceof ShapeRefusal)) throw error;
    const { reason, pointer, message } = error;
    return { ok: false, reason, pointer, detail: message };
  }
}

function readShape(fields: FenceShapeFields, allowance: Allowance): FenceShape {
  switch (fields.shape_type) {
    case 'circle':
      return readCircle(fields);
    case 'corridor': {
      const { coordinates } = readGeometry(fields.polygon, ['LineString']);
      const widthM = readNumber(fields.width_m, '/width_m', 'a corridor needs its width in metres');
      return { type: 'corridor', line: readLine(coordinates, allowance), widthM };
    }
    case 'polygon':
    case 'rectangle': {
      const { coordinates } = readGeometry(fields.polygon, ['Polygon']);
      const rings = readRings(coordinates, '/polygon/coordinates', allowance);
      if (fields.shape_type === 'rectangle') requireRectangle(rings);
      return { type: 'polygon', polygons: [rings] };
    }
    case 'multipolygon': {
      const { type, coordinates } = readGeometry(fields.polygon, ['MultiPolygon', 'Polygon']);
      const at = '/polygon/coordinates';
      if (type === 'Polygon')
        return { type: 'polygon', polygons: [readRings(coordinates, at, allowance)] };
      const parts = readArray(coordinates, at, 'an array of polygons');
      if (parts.length === 0) throw new ShapeRefusal('empty', at, 'has no polygon');
      const polygons = parts.map((part, i) => readRings(part, `${at}/${i}`, allowance));
      return { type: 'polygon', polygons };
    }
    default:
      throw new ShapeRefusal('shape_type', '/shape_type', 'is not a shape that is known');
  }
}

function readCircle(fields: FenceShapeFields): FenceShape {
  if (fields.polygon !== null && fields.polygon !== undefined) {
    throw new ShapeRefusal(
      'geometry',
      '/polygon',
      'a circle has a centre and a radius, no geometry',
    );
  }
  const why = 'a circle needs its centre in degrees and its radius in metres';
  return {
    type: 'circle',
    centerLonDeg: readNumber(fields.center_lng, '/center_lng', why),
    centerLatDeg: readNumber(fields.center_lat, '/center_lat', why),
    radiusM: readNumber(fields.radius_m, '/radius_m', why),
  };
}

function readNumber(value: unknown, pointer: string, why: string): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new ShapeRefusal('missing', pointer, why);
}

function readGeometry(
  value: unknown,
  types: readonly string[],
): { type: string; coordinates: unknown } {
  const wanted = `a GeoJSON geometry of type ${types.join(' or ')}`;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ShapeRefusal('geometry', '/polygon', `must be ${wanted}`);
  }
  const { type, coordinates } = value as { type?: unknown; coordinates?: unknown };
  if (typeof type !== 'string' || !types.includes(type)) {
    throw new ShapeRefusal('geometry', '/polygon/type', `this shape needs ${wanted}`);
  }
  return { type, coordinates };
}

function readArray(value: unknown, pointer: string, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new ShapeRefusal('form', pointer, `must be ${what}`);
}

function readRings(value: unknown, pointer: string, allowance: Allowance): PolygonRings {
  const rings = readArray(value, pointer, 'an array of rings');
  if (rings.length === 0) throw new ShapeRefusal('empty', pointer, 'has no ring');
  allowance.rings -= rings.length;
  if (allowance.rings < 0) {
    throw new ShapeRefusal('too_many_rings', pointer, `a fence may have ${FENCE_RINGS_MAX} rings`);
  }
  return rings.map((ring, i) => readRing(ring, `${pointer}/${i}`, allowance));
}

function readRing(value: unknown, pointer: string, allowance: Allowance): LonLat[] {
  const ring = readPositions(value, pointer, allowance);
  if (ring.length < 4) {
    throw new ShapeRefusal('too_few_vertices', pointer, 'a ring needs four positions or more');
  }
  const [first, last] = [ring[0]!, ring[ring.length - 1]!];
  if (first[0] !== last[0] || first[1] !== last[1]) {
    const end = `${pointer}/${ring.length - 1}`;
    throw new ShapeRefusal('not_closed', end, 'a ring must end with the position it began with');
  }
  return ring;
}

function readLine(value: unknown, allowance: Allowance): LonLat[] {
  const line = readPositions(value, '/polygon/coordinates', allowance);
  if (line.length >= 2) return line;
  throw new ShapeRefusal(
    'too_few_vertices',
    '/polygon/coordinates',
    'a line needs two positions or more',
  );
}

function readPositions(value: unknown, pointer: string, allowance: Allowance): LonLat[] {
  const positions = readArray(value, pointer, 'an array of positions');
  allowance.vertices -= positions.length;
  if (allowance.vertices < 0) {
    const detail = `a fence may have ${allowance.verticesMax} positions`;
    throw new ShapeRefusal('too_many_vertices', pointer, detail);
  }
  return positions.map((position, i) => readPosition(position, `${pointer}/${i}`));
}

function readPosition(value: unknown, pointer: string): LonLat {
  const position = readArray(value, pointer, 'a position: [longitude, latitude]');
  const [lonDeg, latDeg] = position;
  const inForm = position.length === 2 || position.length === 3;
  if (!inForm || !isFiniteNumber(lonDeg) || !isFiniteNumber(latDeg)) {
    throw new ShapeRefusal(
      'form',
      pointer,
      'must be two numbers: [longitude, latitude] in degrees',
    );
  }
  if (latDeg < -90 || latDeg > 90) {
    throw new ShapeRefusal('lat_range', `${pointer}/1`, 'latitude must lie within -90 and 90');
  }
  return [lonDeg, latDeg];
}

function isFiniteNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function requireRectangle(rings: PolygonRings): void {
  if (rings.length === 1 && rings[0]!.length === 5) return;
  throw new ShapeRefusal(
    'not_rectangle',
    '/polygon/coordinates',
    'a rectangle is one ring of four corners',
  );
}
