/** Fences: what the columns of their shapes, their confirmation and their hours may hold. */
import { Type } from 'typebox';
import { geofence } from '../../db/schema.ts';
import { WEEKDAYS } from '../../engine/active-hours.ts';
import { SCHEDULE_WINDOWS_MAX } from '../../engine/schedule.ts';
import { geoJson } from '../geofences/geojson.ts';
import { geofenceRules } from '../geofences/rules.ts';
import type { ResourceDeclaration } from '../resources/define.ts';
import { closed } from '../schemas.ts';
import { TagIds, withTags } from '../tags/rules.ts';

/** Metres of the widest exit buffer. */
const EXIT_BUFFER_M_MAX = 10_000;
/** Metres of the loosest accuracy limit. */
const ACCURACY_LIMIT_M_MAX = 100_000;
const FIX_COUNT_MAX = 100;
/** Seconds of the longest dwell, 30 days, and of the widest gap that a crossing may bridge. */
const DWELL_S_MAX = 2_592_000;
const CROSS_GAP_S_MAX = 3_600;
/** Characters of the longest name of a time zone; the longest there is has 32. */
const TIME_ZONE_LENGTH_MAX = 64;
/** Only bounds the number; what a fence can be is for the engine's `checkShape` to say. */
const LENGTH_M_MAX = 100_000_000;

const metres = (description: string) =>
  Type.Number({ exclusiveMinimum: 0, maximum: LENGTH_M_MAX, description });
const fixCount = (description: string) =>
  Type.Integer({ minimum: 1, maximum: FIX_COUNT_MAX, description });

// Its form is checked by the engine, which names the vertex; the schema only says where to look.
const Geometry = Type.Unsafe<unknown>({
  type: 'object',
  additionalProperties: true,
  description:
    'GeoJSON geometry (RFC 7946): Polygon, MultiPolygon, or LineString for a corridor; null for a circle.',
});

// What is in a window is checked by the engine, which says what would be right.
const ActiveHours = Type.Unsafe<unknown>({
  type: 'array',
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

export const geofences: ResourceDeclaration = {
  table: geofence,
  path: 'geofences',
  noun: 'geofence',
  nouns: 'geofences',
  tag: 'geofence',
  right: 'geofence',
  rules: withTags(geofenceRules),
  representation: geoJson,
  quota: 'geofencesPerTenantMax',
  long: ['description'],
  notes: {
    create: 'The running engine has it as soon as the change feed has told it.',
    change: 'Fields that a changed `shape_type` has no use for are cleared by themselves.',
    remove: 'Alert configurations of it go with it; its events and visits stay.',
  },
  fields: {
    tag_lookup_ids: TagIds,
    polygon: Geometry,
    radius_m: metres('Radius of a circle.'),
    width_m: metres('Whole width of a corridor.'),
    exit_buffer_m: Type.Number({
      minimum: 0,
      maximum: EXIT_BUFFER_M_MAX,
      description: 'A fix counts as outside when it is further than this from the fence.',
    }),
    enter_fix_count: fixCount('Consecutive fixes inside before `enter`; 1 when left out.'),
    exit_fix_count: fixCount('Consecutive fixes outside before `exit`; 2 when left out.'),
    accuracy_m_max: Type.Number({
      exclusiveMinimum: 0,
      maximum: ACCURACY_LIMIT_M_MAX,
      description: 'Less accurate fixes do not move the state; null takes every fix.',
    }),
    dwell_s: Type.Integer({
      minimum: 1,
      maximum: DWELL_S_MAX,
      description:
        'Seconds inside after which `geofence_dwell` follows, once a visit; null: never.',
    }),
    cross_gap_s: Type.Integer({
      minimum: 0,
      maximum: CROSS_GAP_S_MAX,
      description:
        'Two fixes further apart make no `geofence_cross`; 0: none ever does; 120 when left out.',
    }),
    active_hours: ActiveHours,
    time_zone: Type.String({
      minLength: 1,
      maxLength: TIME_ZONE_LENGTH_MAX,
      description: "IANA name of the time zone of `active_hours`; null: the customer's own.",
    }),
  },
  example: {
    account_id: 1,
    geofence_name: 'Depot Rotterdam',
    description: 'Gate and yard',
    shape_type: 'circle',
    center_lat: 51.9225,
    center_lng: 4.47917,
    radius_m: 300,
    exit_buffer_m: 25,
    dwell_s: 1_800,
    active_hours: [{ days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '06:00', to: '22:00' }],
    time_zone: 'Europe/Amsterdam',
  },
};
