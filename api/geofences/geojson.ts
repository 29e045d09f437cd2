/**
 * Fences as GeoJSON features (RFC 7946), out and in: the geometry column is the geometry, a circle is a Point with its
 * radius among the properties, and the other columns are properties under their own names.
 */
import { Type, type Static, type TObject, type TSchema } from 'typebox';
import { Problem } from '../problem.ts';
import type { Row } from '../resources/define.ts';
import type { Representation, ShownPage } from '../resources/representation.ts';
import type { Resource } from '../resources/resource.ts';
import { closed, Id, nullable } from '../schemas.ts';
import type { ShapeType } from './check.ts';

const SHAPE_OF_GEOMETRY: ReadonlyMap<unknown, ShapeType> = new Map([
  ['Point', 'circle'],
  ['Polygon', 'polygon'],
  ['MultiPolygon', 'multipolygon'],
  ['LineString', 'corridor'],
]);

/** What the geometry of a feature holds is no property of it. */
const GEOMETRY_COLUMNS: readonly string[] = ['polygon', 'center_lat', 'center_lng'];
/** Columns that callers do not write: let through among the properties, so that what was read can be sent. */
const OWN_COLUMNS: readonly string[] = [
  'geofence_id',
  'customer_id',
  'version',
  'created_at',
  'updated_at',
  'created_by',
];

const Geometry = Type.Unsafe<unknown>({ type: ['object', 'null'], additionalProperties: true });
const SentGeometry = Type.Unsafe<{ type?: unknown; coordinates?: unknown }>({
  type: 'object',
  additionalProperties: true,
  description: 'Polygon, MultiPolygon, LineString for a corridor, or Point for a circle.',
});
const Page = Type.Object({
  next_cursor: nullable(Type.String()),
  has_more: Type.Boolean(),
});

/** A body that has been validated. */
interface SentFeature {
  readonly geometry: Static<typeof SentGeometry>;
  readonly properties: Row;
}

/** Fences as features, for those who ask for GeoJSON. */
export const geoJson: Representation = {
  mediaType: 'application/geo+json',
  needs: ['shape_type', ...GEOMETRY_COLUMNS],
  schemasOf(resource) {
    const listed = featureOf(propertiesOf(resource.listedSchema));
    return {
      row: featureOf(propertiesOf(resource.shownSchema)),
      page: Type.Object({
        type: Type.Literal('FeatureCollection'),
        features: Type.Array(listed),
        page: Page,
      }),
      body: sentFeatureOf(resource),
    };
  },
  show: toFeature,
  showPage: ({ data, page }: ShownPage) => ({
    type: 'FeatureCollection',
    features: data.map(toFeature),
    page,
  }),
  read: (body) => fromFeature(body as SentFeature),
  locate: inFeature,
};

function propertiesOf(schema: TSchema): Record<string, TSchema> {
  const { properties } = schema as TObject;
  return Object.fromEntries(
    Object.entries(properties).filter(([name]) => !GEOMETRY_COLUMNS.includes(name)),
  );
}

function featureOf(properties: Record<string, TSchema>) {
  return Type.Object({
    type: Type.Literal('Feature'),
    id: Id,
    geometry: Geometry,
    properties: Type.Object(properties),
  });
}

function sentFeatureOf({ createSchema, shownSchema }: Resource) {
  const { shape_type, ...columns } = propertiesOf(createSchema);
  const shown = propertiesOf(shownSchema);
  const own = Object.fromEntries(OWN_COLUMNS.map((name) => [name, Type.Optional(shown[name]!)]));
  return Type.Object(
    {
      type: Type.Literal('Feature'),
      geometry: SentGeometry,
      properties: closed({ ...columns, shape_type: Type.Optional(shape_type!), ...own }),
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
}

function toFeature(row: Row) {
  const { polygon, center_lat, center_lng, ...properties } = row;
  const isCircle = row['shape_type'] === 'circle';
  const geometry = isCircle ? { type: 'Point', coordinates: [center_lng, center_lat] } : polygon;
  return { type: 'Feature', id: row['geofence_id'], geometry, properties };
}

/** Throws 422, naming the field of the feature. */
function fromFeature({ geometry, properties }: SentFeature): Row {
  const columns = Object.fromEntries(
    Object.entries(properties).filter(([name]) => !OWN_COLUMNS.includes(name)),
  );
  const shape_type = properties['shape_type'] ?? SHAPE_OF_GEOMETRY.get(geometry.type);
  if (shape_type === undefined) {
    const known = [...SHAPE_OF_GEOMETRY.keys()].join(', ');
    throw featureProblem([['/geometry/type', `must be one of ${known}`]]);
  }
  if (shape_type !== 'circle') return { ...columns, shape_type, polygon: geometry };
  const [lonDeg, latDeg] = readPoint(geometry);
  return { ...columns, shape_type, center_lng: lonDeg, center_lat: latDeg };
}

/** Where a problem of the columns is to be found in the feature that they came from. Anything else is given back. */
function inFeature(error: unknown): unknown {
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
