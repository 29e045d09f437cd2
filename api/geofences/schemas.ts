/** Fences as they are sent and shown: the columns of `geofence` under their own names. */
import { Type, type Static } from 'typebox';
import { WEEKDAYS } from '../../engine/active-hours.ts';
import { SCHEDULE_WINDOWS_MAX } from '../../engine/schedule.ts';
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
export type ShapeType = (typeof SHAPE_TYPES)[number];
export const STATUSES = ['active', 'disabled'] as const;
/** Metres of the widest exit buffer. */
export const EXIT_BUFFER_M_MAX = 10_000;
/** Metres of the loosest accuracy limit. */
export const ACCURACY_LIMIT_M_MAX = 100_000;
const FIX_COUNT_MAX = 100;
/** Seconds of the longest dwell, 30 days, and of the widest gap that a crossing may bridge. */
export const DWELL_S_MAX = 2_592_000;
export const CROSS_GAP_S_MAX = 3_600;
/** Characters of the longest name of a time zone; the longest there is has 32. */
const TIME_ZONE_LENGTH_MAX = 64;
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

// What is in a window is checked by the engine, which says what would be right.
const ActiveHours = Type.Unsafe<unknown>({
  type: ['array', 'null'],
  minItems: 1,
  maxItems: SCHEDULE_WINDOWS_MAX,
  items: closed({
    days: Type.Array(Type.String(), {
      minItems: 1,
      maxItems: WEEKDAYS.length,
      description: `Days on which the window begins: ${WEEKDAYS.join(', ')}.`,
    }),
    from: Type.String({ maxLength: 5, description: 'Local time, 00:00 to 23:59.' }),
    to: Type.String({
      maxLength: 5,
      description: 'Local time, up to 24:00; at or before `from` it is a time of the next day.',
    }),
  }),
  description:
    'When the fence is in force, by the clocks of `time_zone`: windows that may overlap; null: always. A window over ' +
    'a change of the clocks is as long as they show it.',
});

/** The columns of a fence that can be written, as they are sent. */
export const fields = {
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
  dwell_s: nullable(
    Type.Integer({
      minimum: 1,
      maximum: DWELL_S_MAX,
      description:
        'Seconds inside after which `geofence_dwell` follows, once a visit; null: never.',
    }),
  ),
  cross_gap_s: Type.Integer({
    minimum: 0,
    maximum: CROSS_GAP_S_MAX,
    default: 120,
    description: 'Two fixes further apart make no `geofence_cross`; 0: none ever does.',
  }),
  active_hours: ActiveHours,
  time_zone: nullable(
    Type.String({
      minLength: 1,
      maxLength: TIME_ZONE_LENGTH_MAX,
      description: "IANA name of the time zone of `active_hours`; null: the customer's own.",
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
        dwell_s: 1800,
        active_hours: [{ days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '06:00', to: '22:00' }],
        time_zone: 'Europe/Amsterdam',
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

/** Columns that are not the caller's to write. */
export const ownFields = {
  geofence_id: Id,
  customer_id: Id,
  version: Type.Integer({ description: 'Also the entity tag.' }),
  created_at: Instant,
  updated_at: Instant,
};

const { geofence_id, customer_id, ...stamps } = ownFields;

export const Geofence = Type.Object({
  geofence_id,
  customer_id,
  ...fields,
  shape_type: storedWord(SHAPE_TYPES),
  status: storedWord(STATUSES),
  ...stamps,
});
