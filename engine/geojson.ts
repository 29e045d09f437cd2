/**
 * Turns a fence as it is stored and sent, a GeoJSON geometry or a centre and a radius, into a `FenceShape`, and a shape
 * into a GeoJSON Feature. It knows the form of the data and nothing of geometry: whether a well-formed ring makes a sound
 * fence is for `checkShape`. Pure, and safe on any input: the geometry may come from outside.
 */
import { settleLine, settleRing } from './seam.ts';
import { FENCE_VERTICES_MAX, seemSwapped, SWAPPED_HINT } from './shape.ts';
import type { FenceShape, LonLat, PolygonRings } from './types.ts';

/** Rings that one fence may have, holes included. */
export const FENCE_RINGS_MAX = 1_000;

const WIDTH_HINT = 'a corridor needs its width in metres';
const CIRCLE_HINT = 'a circle needs its centre in degrees and its radius in metres';

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

/** A Feature as `shapeToFeature` writes it. Positions are `[lonDeg, latDeg]`. */
export interface FenceFeature {
  readonly type: 'Feature';
  readonly geometry:
    | { readonly type: 'Polygon'; readonly coordinates: PolygonRings }
    | { readonly type: 'MultiPolygon'; readonly coordinates: readonly PolygonRings[] }
    | { readonly type: 'LineString'; readonly coordinates: readonly LonLat[] }
    | { readonly type: 'Point'; readonly coordinates: LonLat };
  readonly properties: Readonly<Record<string, unknown>>;
}

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
  return refusalOf(() => readShape(fields, allowanceOf(verticesMax)));
}

/**
 * Reads a GeoJSON Feature, or a bare Polygon or MultiPolygon. A LineString is a corridor and its Feature has the property
 * `width_m`, a Point is a circle with `radius_m`; other properties are ignored. The pointer is into `value`.
 */
export function shapeFromFeature(
  value: unknown,
  verticesMax: number = FENCE_VERTICES_MAX,
): GeoJsonShape {
  return refusalOf(() => readFeature(value, allowanceOf(verticesMax)));
}

/**
 * A shape as a GeoJSON Feature, a corridor as a LineString with the property `width_m`, a circle as a Point with
 * `radius_m`, besides the `properties` given. `shapeFromFeature` reads the same shape from it. Positions are those of the
 * shape: a ring over ±180° is not cut as RFC 7946 3.1.9 advises, unless it was cut before.
 */
export function shapeToFeature(
  shape: FenceShape,
  properties: Readonly<Record<string, unknown>> = {},
): FenceFeature {
  switch (shape.type) {
    case 'polygon': {
      const [first] = shape.polygons;
      const isOne = first !== undefined && shape.polygons.length === 1;
      const geometry = isOne
        ? ({ type: 'Polygon', coordinates: first } as const)
        : ({ type: 'MultiPolygon', coordinates: shape.polygons } as const);
      return { type: 'Feature', geometry, properties };
    }
    case 'corridor': {
      const geometry = { type: 'LineString', coordinates: shape.line } as const;
      return { type: 'Feature', geometry, properties: { ...properties, width_m: shape.widthM } };
    }
    case 'circle': {
      const center: LonLat = [shape.centerLonDeg, shape.centerLatDeg];
      const geometry = { type: 'Point', coordinates: center } as const;
      return { type: 'Feature', geometry, properties: { ...properties, radius_m: shape.radiusM } };
    }
  }
}

function allowanceOf(verticesMax: number): Allowance {
  return { verticesMax, vertices: verticesMax, rings: FENCE_RINGS_MAX };
}

function refusalOf(read: () => FenceShape): GeoJsonShape {
  try {
    return { ok: true, shape: read() };
  } catch (error) {
    if (!(error instanceof ShapeRefusal)) throw error;
    const { reason, pointer, message } = error;
    return { ok: false, reason, pointer, detail: message };
  }
}

function readShape(fields: FenceShapeFields, allowance: Allowance): FenceShape {
  const at = '/polygon';
  switch (fields.shape_type) {
    case 'circle':
      return readCircle(fields);
    case 'corridor': {
      const { coordinates } = readGeometry(fields.polygon, at, ['LineString']);
      const widthM = readNumber(fields.width_m, '/width_m', WIDTH_HINT);
      return { type: 'corridor', line: readLine(coordinates, at, allowance), widthM };
    }
    case 'polygon':
    case 'rectangle': {
      const geometry = readGeometry(fields.polygon, at, ['Polygon']);
      const shape = readPolygons(geometry, at, allowance);
      if (fields.shape_type === 'rectangle') requireFourCorners(shape);
      return shape;
    }
    case 'multipolygon':
      return readPolygons(
        readGeometry(fields.polygon, at, ['MultiPolygon', 'Polygon']),
        at,
        allowance,
      );
    default:
      throw new ShapeRefusal('shape_type', '/shape_type', 'is not a shape that is known');
  }
}

function readFeature(value: unknown, allowance: Allowance): FenceShape {
  const feature = isRecord(value) && value['type'] === 'Feature' ? value : null;
  const at = feature === null ? '' : '/geometry';
  const types = ['Polygon', 'MultiPolygon', 'LineString', 'Point'];
  const geometry = readGeometry(feature === null ? value : feature['geometry'], at, types);
  const properties = isRecord(feature?.['properties']) ? feature['properties'] : {};
  const { type, coordinates } = geometry;
  if (type === 'LineString') {
    const widthM = readNumber(properties['width_m'], '/properties/width_m', WIDTH_HINT);
    return { type: 'corridor', line: readLine(coordinates, at, allowance), widthM };
  }
  if (type === 'Point') {
    const radiusM = readNumber(properties['radius_m'], '/properties/radius_m', CIRCLE_HINT);
    const [position] = readPositions([coordinates], () => `${at}/coordinates`, allowance);
    const [centerLonDeg, centerLatDeg] = position!;
    return { type: 'circle', centerLonDeg, centerLatDeg, radiusM };
  }
  return readPolygons(geometry, at, allowance);
}

function readCircle(fields: FenceShapeFields): FenceShape {
  if (fields.polygon !== null && fields.polygon !== undefined) {
    throw new ShapeRefusal(
      'geometry',
      '/polygon',
      'a circle has a centre and a radius, no geometry',
    );
  }
  return {
    type: 'circle',
    centerLonDeg: readNumber(fields.center_lng, '/center_lng', CIRCLE_HINT),
    centerLatDeg: readNumber(fields.center_lat, '/center_lat', CIRCLE_HINT),
    radiusM: readNumber(fields.radius_m, '/radius_m', CIRCLE_HINT),
  };
}

function readNumber(value: unknown, pointer: string, why: string): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new ShapeRefusal('missing', pointer, why);
}

interface Geometry {
  readonly type: string;
  readonly coordinates: unknown;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readGeometry(value: unknown, at: string, types: readonly string[]): Geometry {
  const wanted = `a GeoJSON geometry of type ${types.join(' or ')}`;
  if (!isRecord(value)) throw new ShapeRefusal('geometry', at, `must be ${wanted}`);
  const { type, coordinates } = value as { type?: unknown; coordinates?: unknown };
  if (typeof type !== 'string' || !types.includes(type)) {
    throw new ShapeRefusal('geometry', `${at}/type`, `this shape needs ${wanted}`);
  }
  return { type, coordinates };
}

function readArray(value: unknown, pointer: string, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new ShapeRefusal('form', pointer, `must be ${what}`);
}

function readPolygons(
  { type, coordinates }: Geometry,
  base: string,
  allowance: Allowance,
): Extract<FenceShape, { type: 'polygon' }> {
  const at = `${base}/coordinates`;
  if (type === 'Polygon') {
    return { type: 'polygon', polygons: [readRings(coordinates, at, allowance)] };
  }
  const parts = readArray(coordinates, at, 'an array of polygons');
  if (parts.length === 0) throw new ShapeRefusal('empty', at, 'has no polygon');
  const polygons = parts.map((part, i) => readRings(part, `${at}/${i}`, allowance));
  return { type: 'polygon', polygons };
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
  const ring = readPositions(value, (end) => pointer + end, allowance);
  if (ring.length < 4) {
    throw new ShapeRefusal('too_few_vertices', pointer, 'a ring needs four positions or more');
  }
  const [first, last] = [ring[0]!, ring[ring.length - 1]!];
  if (first[0] !== last[0] || first[1] !== last[1]) {
    throw new ShapeRefusal(
      'not_closed',
      `${pointer}/${ring.length - 1}`,
      `a ring must end with the position it began with: vertex ${ring.length - 1} ` +
        `(${last[0]}, ${last[1]}) is not vertex 0 (${first[0]}, ${first[1]})`,
    );
  }
  return settleRing(ring);
}

function readLine(value: unknown, at: string, allowance: Allowance): LonLat[] {
  const pointer = `${at}/coordinates`;
  const line = readPositions(value, (end) => pointer + end, allowance);
  if (line.length >= 2) return settleLine(line);
  throw new ShapeRefusal('too_few_vertices', pointer, 'a line needs two positions or more');
}

// `pointerTo` is given '' for the array and '/i' for a position; it makes its words when something is refused, for a
// hundred thousand fences that are read at the start have millions of positions.
function readPositions(
  value: unknown,
  pointerTo: (end: string) => string,
  allowance: Allowance,
): LonLat[] {
  const positions = Array.isArray(value)
    ? (value as readonly unknown[])
    : readArray(value, pointerTo(''), 'an array of positions');
  allowance.vertices -= positions.length;
  if (allowance.vertices < 0) {
    const detail = `a fence may have ${allowance.verticesMax} positions`;
    throw new ShapeRefusal('too_many_vertices', pointerTo(''), detail);
  }
  const read: LonLat[] = new Array<LonLat>(positions.length);
  for (let i = 0; i < positions.length; i++) {
    const position = positions[i];
    if (!isPosition(position)) refusePosition(positions, position, pointerTo(`/${i}`));
    read[i] = position.length === 2 ? position : [position[0], position[1]];
  }
  return read;
}

function isPosition(value: unknown): value is readonly [number, number] {
  if (!Array.isArray(value) || (value.length !== 2 && value.length !== 3)) return false;
  const [lonDeg, latDeg] = value as unknown[];
  return isFiniteNumber(lonDeg) && isFiniteNumber(latDeg) && latDeg >= -90 && latDeg <= 90;
}

function refusePosition(positions: readonly unknown[], value: unknown, pointer: string): never {
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
  const pairs = positions.filter(
    (pair): pair is LonLat => Array.isArray(pair) && pair.slice(0, 2).every(isFiniteNumber),
  );
  const hint = seemSwapped(pairs) ? `; ${SWAPPED_HINT}` : '';
  const detail = `latitude must lie within -90 and 90, and is ${latDeg}${hint}`;
  throw new ShapeRefusal('lat_range', `${pointer}/1`, detail);
}

function isFiniteNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

// Whether they make right angles is for `checkRectangle`.
function requireFourCorners({ polygons }: Extract<FenceShape, { type: 'polygon' }>): void {
  const [rings] = polygons;
  if (rings?.length === 1 && rings[0]?.length === 5) return;
  throw new ShapeRefusal(
    'not_rectangle',
    '/polygon/coordinates',
    'a rectangle is one ring of four corners',
  );
}
