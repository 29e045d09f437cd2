/** Fences as they are sent and shown: the columns of `geofence` under their own names. */
import { Type, type Static } from 'typebox';
import {
  closed,
  Id,
  Instant,
  LatDeg,
  LonDeg,
  Name,
  nullable,
  oneOf,
  patchOf,
  storedWord,
  Text,
} from '../schemas.ts';

export const SHAPE_TYPES = ['polygon', 'multipolygon', 'rectangle', 'circle', 'corridor'] as const;
export const STATUSES = ['active', 'disabled'] as const;
/** Metres of the widest exit buffer. */
export const EXIT_BUFFER_M_MAX = 10_000;
/** Metres of the loosest accuracy limit. */
export const ACCURACY_LIMIT_M_MAX = 100_000;
const FIX_COUNT_MAX = 100;
/** Only bounds the number; what a fence can be is for the engine's `checkShape` to say. */
const LENGTH_M_MAX = 100_000_000;

const metres = (description: string) =>
  Type.Number({ exclusiveMinimum: 0, maximum: LENGTH_M_MAX, description });
const fixCount = (defaultCount: number, description: string) =>
  Type.Integer({ minimum: 1, maximum: FIX_COUNT_MAX, default: defaultCount, description });

// Its form is checked by the engine, which names the vertex; the schema only says where to look.
const Geometry = Type.Unsafe<unknown>({
  type: ['object', 'null'],
  additionalProperties: true,
  description:
    'GeoJSON geometry (RFC 7946): Polygon, MultiPolygon, or LineString for a corridor; null for a circle.',
});

const fields = {
  account_id: nullable(Id),
  geofence_name: Name,
  description: Text,
  shape_type: oneOf(SHAPE_TYPES),
  polygon: Geometry,
  center_lat: nullable(LatDeg),
  center_lng: nullable(LonDeg),
  radius_m: nullable(metres('Radius of a circle.')),
  width_m: nullable(metres('Whole width of a corridor.')),
  exit_buffer_m: Type.Number({
    minimum: 0,
    maximum: EXIT_BUFFER_M_MAX,
    default: 0,
    description: 'A fix counts as outside when it is further than this from the fence.',
  }),
  enter_fix_count: fixCount(1, 'Consecutive fixes inside before `enter`.'),
  exit_fix_count: fixCount(2, 'Consecutive fixes outside before `exit`.'),
  accuracy_m_max: nullable(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: ACCURACY_LIMIT_M_MAX,
      description: 'Less accurate fixes do not move the state; null takes every fix.',
    }),
  ),
  status: oneOf(STATUSES, { default: 'active' }),
};

const { geofence_name, shape_type, ...optional } = fields;

export const GeofenceCreate = closed(
  { geofence_name, shape_type, ...Type.Partial(Type.Object(optional)).properties },
  {
    examples: [
      {
        geofence_name: 'Depot Rotterdam',
        shape_type: 'circle',
        center_lat: 51.9225,
        center_lng: 4.47917,
        radius_m: 300,
        exit_buffer_m: 25,
      },
      {
        geofence_name: 'Yard',
        shape_type: 'polygon',
        polygon: {
          type: 'Polygon',
          coordinates: [
            [
              [4.47, 51.92],
              [4.48, 51.92],
              [4.48, 51.93],
              [4.47, 51.93],
              [4.47, 51.92],
            ],
          ],
        },
      },
    ],
  },
);
export type GeofenceCreateBody = Static<typeof GeofenceCreate>;

export const GeofencePatch = patchOf(fields, {
  examples: [{ geofence_name: 'Depot Rotterdam North', radius_m: 350 }],
});
export type GeofencePatchBody = Static<typeof GeofencePatch>;

export const Geofence = Type.Object({
  geofence_id: Id,
  customer_id: Id,
  ...fields,
  shape_type: storedWord(SHAPE_TYPES),
  status: storedWord(STATUSES),
  version: Type.Integer({ description: 'Also the entity tag.' }),
  created_at: Instant,
  updated_at: Instant,
});
