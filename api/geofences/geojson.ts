/**
 * Fences as GeoJSON features (RFC 7946), out and in: the geometry column is the geometry, a circle is a Point with its
 * radius among the properties, and the other columns are properties under their own names.
 */
import { Type, type Static } from 'typebox';
import { Problem } from '../problem.ts';
import { closed, Id, nullable } from '../schemas.ts';
import { fields, Geofence, ownFields, type GeofenceCreateBody, type ShapeType } from './schemas.ts';
import type { GeofenceRow } from './store.ts';

export const GEOJSON_CONTENT_TYPE = 'application/geo+json';

const SHAPE_OF_GEOMETRY: ReadonlyMap<unknown, ShapeType> = new Map([
  ['Point', 'circle'],
  ['Polygon', 'polygon'],
  ['MultiPolygon', 'multipolygon'],
  ['LineString', 'corridor'],
]);

// What the geometry of a feature holds is no property of it.
const GEOMETRY_COLUMNS = ['polygon', 'center_lat', 'center_lng'] as const;
const shown = Type.Omit(Geofence, GEOMETRY_COLUMNS);
const { geofence_name } = fields;
const optional = Type.Omit(Type.Object(fields), [...GEOMETRY_COLUMNS, 'geofence_name']);

const Geometry = Type.Unsafe<unknown>({ type: ['object', 'null'], additionalProperties: true });

export const GeofenceFeature = Type.Object({
  type: Type.Literal('Feature'),
  id: Id,
  geometry: Geometry,
  properties: shown,
});

export const GeofenceFeatures = Type.Object({
  type: Type.Literal('FeatureCollection'),
  features: Type.Array(GeofenceFeature),
  page: Type.Object({ next_cursor: nullable(Type.String()), has_more: Type.Boolean() }),
});

/** What is sent to make a fence. Columns that are not the caller's are let through, so that what was read can be sent. */
export const GeofenceFeatureCreate = Type.Object(
  {
    type: Type.Literal('Feature'),
    geometry: Type.Unsafe<{ type?: unknown; coordinates?: unknown }>({
      type: 'object',
      additionalProperties: true,
      description: 'Polygon, MultiPolygon, LineString for a corridor, or Point for a circle.',
    }),
    properties: closed({
      geofence_name,
      ...Type.Partial(optional).properties,
      ...Type.Partial(Type.Object(ownFields)).properties,
    }),
  },
  {
    description:
      '`shape_type` follows from the geometry, but for a rectangle. `id`, further members and the columns that Milepost ' +
      'sets itself are ignored.',
    examples: [
      {
        type: 'Feature',
        geometry: { type: 'Point', coordinates: [4.47917, 51.9225] },
        properties: { geofence_name: 'Depot Rotterdam', radius_m: 300 },
      },
    ],
  },
);

/** A row as a feature. */
export function toFeature(row: GeofenceRow) {
  const { polygon, center_lat, center_lng, ...properties } = row;
  const isCircle = row.shape_type === 'circle';
  const geometry = isCircle ? { type: 'Point', coordinates: [center_lng, center_lat] } : polygon;
  return { type: 'Feature' as const, id: row.geofence_id, geometry, properties };
}

/** A feature as the body that would make the same fence. Throws 422, naming the field of the feature. */
export function fromFeature({
  geometry,
  properties,
}: Static<typeof GeofenceFeatureCreate>): GeofenceCreateBody {
  const columns: Partial<typeof properties> = { ...properties };
  for (const name of Object.keys(ownFields) as (keyof typeof ownFields)[]) delete columns[name];
  const shape_type = properties.shape_type ?? SHAPE_OF_GEOMETRY.get(geometry.type);
  if (shape_type === undefined) {
    const known = [...SHAPE_OF_GEOMETRY.keys()].join(', ');
    throw featureProblem([['/geometry/type', `must be one of ${known}`]]);
  }
  const named = { ...columns, geofence_name: properties.geofence_name, shape_type };
  if (shape_type !== 'circle') return { ...named, polygon: geometry };
  const [lonDeg, latDeg] = readPoint(geometry);
  return { ...named, center_lng: lonDeg, center_lat: latDeg };
}

/** Where a problem of the columns is to be found in the feature that they came from. Anything else is given back. */
export function inFeature(error: unknown): unknown {
  if (!(error instanceof Problem) || error.errors.length === 0) return error;
  return featureProblem(
    error.errors.map(({ pointer, detail }) => [pointerInFeature(pointer), detail]),
    error,
  );
}

function pointerInFeature(pointer: string): string {
  if (pointer === '/center_lng') return '/geometry/coordinates/0';
  if (pointer === '/center_lat') return '/geometry/coordinates/1';
  return /^\/polygon(\/|$)/.test(pointer)
    ? pointer.replace('/polygon', '/geometry')
    : `/properties${pointer}`;
}

function featureProblem(errors: (readonly [string, string])[], cause?: Problem): Problem {
  const detail = errors.map(([pointer, one]) => `${pointer}: ${one}`).join('; ');
  return new Problem(cause?.code ?? 'unprocessable', detail, {
    errors: errors.map(([pointer, one]) => ({ in: 'body', pointer, detail: one })),
  });
}

function readPoint({ type, coordinates }: { type?: unknown; coordinates?: unknown }) {
  if (type !== 'Point') throw featureProblem([['/geometry/type', 'a circle is a Point']]);
  const [lonDeg, latDeg] = Array.isArray(coordinates) ? (coordinates as unknown[]) : [];
  const isLon = typeof lonDeg === 'number' && Math.abs(lonDeg) <= 180;
  if (!isLon || typeof latDeg !== 'number' || Math.abs(latDeg) > 90) {
    const detail = 'must be [longitude, latitude] in degrees, within ±180 and ±90';
    throw featureProblem([['/geometry/coordinates', detail]]);
  }
  return [lonDeg, latDeg] as const;
}

/**
 * Whether an `Accept` header asks for GeoJSON: it is named, and JSON is not asked for with more weight, by its name or else
 * by `application/*` or by anything at all. Of two names with the same weight the first is taken.
 */
export function wantsGeoJson(accept: string | undefined): boolean {
  if (accept === undefined) return false;
  const ranges = accept.split(',').map((range) => {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    return { name, weight: q === undefined ? 1 : Number(q.slice(2)) };
  });
  const find = (name: string): number => ranges.findIndex((range) => range.name === name);
  const at = find(GEOJSON_CONTENT_TYPE);
  const weight = ranges[at]?.weight ?? 0;
  if (!(weight > 0)) return false;
  const json = find('application/json');
  const rival = ranges[json] ?? ranges[find('application/*')] ?? ranges[find('*/*')];
  if (rival === undefined || weight > rival.weight) return true;
  return weight === rival.weight && (json < 0 || at < json);
}
