/**
 * The tables and views of `migrations/*.sql` for Drizzle. Property names are the SQL column names as they stand, so a
 * selected row is API JSON. `schema.db.test.ts` holds this file against a migrated database column by column.
 *
 * How values arrive through Drizzle: `bigint` as number, `timestamptz` as Date (milliseconds), `date` as
 * `YYYY-MM-DD`, `numeric` as number, `bytea` as Buffer, `jsonb` parsed.
 */
import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  customType,
  date,
  doublePrecision,
  inet,
  integer,
  jsonb,
  numeric,
  pgTable,
  pgView,
  primaryKey,
  real,
  smallint,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core';

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' });

const id = () => bigint({ mode: 'number' });
const identity = () => id().generatedByDefaultAsIdentity();
const instant = () => timestamp({ withTimezone: true, mode: 'date' });
const instantNow = () => instant().notNull().defaultNow();
const nameText = () => text().notNull().default('');

/** A user role's rights: resource → actions, as in `{"geofence": ["read", "write"]}`. */
export type RolePermission = Record<string, string[]>;

/** Tenants. */
export const customer = pgTable('customer', {
  customer_id: identity().primaryKey(),
  customer_name: text().notNull(),
  customer_class: text(),
  reference_number: text(),
  time_zone: text().notNull().default('UTC'),
  status: text().notNull().default('active'),
  created_at: instantNow(),
  updated_at: instantNow(),
});

/** Parts of a tenant, as a tree. */
export const account = pgTable('account', {
  account_id: identity().primaryKey(),
  customer_id: id().notNull(),
  parent_account_id: id(),
  account_name: text().notNull(),
  account_number: text().notNull(),
  account_type: text().notNull(),
  status: text().notNull().default('active'),
  created_at: instantNow(),
  updated_at: instantNow(),
});

/** Named sets of rights of one tenant. */
export const userRole = pgTable('user_role', {
  user_role_id: identity().primaryKey(),
  customer_id: id().notNull(),
  name: text().notNull(),
  auth0_role_id: text(),
  role_permission: jsonb().$type<RolePermission>().notNull().default({}),
  created_at: instantNow(),
  updated_at: instantNow(),
});

/** People who sign in. An empty `assigned_account_ids` means every account of the tenant. */
export const user = pgTable('user', {
  user_id: identity().primaryKey(),
  customer_id: id().notNull(),
  user_role_id: id().notNull(),
  email: text().notNull(),
  auth_0_reference_id: text().notNull(),
  first_name: nameText(),
  last_name: nameText(),
  assigned_account_ids: id().array().notNull().default([]),
  status: text().notNull().default('active'),
  created_at: instantNow(),
  updated_at: instantNow(),
});

/** Vehicles, trailers and machines. */
export const equipment = pgTable('equipment', {
  equipment_id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id(),
  unit_number: text().notNull(),
  description: nameText(),
  vin: text(),
  status: text().notNull().default('active'),
  specifications: jsonb().$type<Record<string, unknown>>().notNull().default({}),
  created_at: instantNow(),
  updated_at: instantNow(),
});

/** Makers of devices. */
export const iotDeviceVendorLookup = pgTable('iot_device_vendor_lookup', {
  iot_device_vendor_lookup_id: identity().primaryKey(),
  vendor_name: text().notNull(),
  vendor_description: nameText(),
  status: text().notNull().default('active'),
});

/**
 * Devices. The API's role cannot read `token_hash` and `previous_token_hash`: it must select the other columns by name.
 * Setting `token_hash` moves the one before aside until the `previous_token_until` of the same statement.
 */
export const iotDevice = pgTable('iot_device', {
  iot_device_id: identity().primaryKey(),
  customer_id: id().notNull(),
  iot_device_vendor_lookup_id: id(),
  device_identifier: text().notNull(),
  device_type: text().notNull(),
  device_installation_date: date({ mode: 'string' }),
  battery_health: numeric({ mode: 'number' }),
  token_hash: bytea(),
  status: text().notNull().default('active'),
  created_at: instantNow(),
  updated_at: instantNow(),
  sign_in_by_name: boolean().notNull().default(false),
  previous_token_hash: bytea(),
  previous_token_until: instant(),
  token_changed_at: instant(),
  version: integer().notNull().default(1),
});

/**
 * Tokens that speak for many devices of one tenant; `iot_device_ids` null means all of them. The API's role cannot read
 * `token_hash`.
 */
export const gatewayToken = pgTable('gateway_token', {
  gateway_token_id: identity().primaryKey(),
  customer_id: id().notNull(),
  name: text().notNull(),
  token_hash: bytea().notNull(),
  iot_device_ids: id().array(),
  status: text().notNull().default('active'),
  created_at: instantNow(),
  updated_at: instantNow(),
  version: integer().notNull().default(1),
});

/** Which device is or was mounted on which equipment; `removed_at` null means now. */
export const equipmentHasIotDevice = pgTable('equipment_has_iot_device', {
  equipment_has_iot_device_id: identity().primaryKey(),
  customer_id: id().notNull(),
  equipment_id: id().notNull(),
  iot_device_id: id().notNull(),
  assigned_at: instantNow(),
  removed_at: instant(),
  updated_at: instantNow(),
});

/** What devices said of themselves that is neither fix nor reading. */
export const iotDeviceEvent = pgTable('iot_device_event', {
  iot_device_event_id: identity().primaryKey(),
  event_key: uuid().notNull(),
  customer_id: id().notNull(),
  iot_device_id: id().notNull(),
  equipment_id: id(),
  event_kind: text().notNull(),
  recorded_at: instant().notNull(),
  received_at: instant().notNull(),
  latitude: doublePrecision(),
  longitude: doublePrecision(),
  detail: jsonb().$type<Record<string, unknown>>().notNull().default({}),
});

/** What is to be told to devices, and how far it got. */
export const iotDeviceCommand = pgTable('iot_device_command', {
  iot_device_command_id: identity().primaryKey(),
  customer_id: id().notNull(),
  iot_device_id: id().notNull(),
  payload: text().notNull(),
  status: text().notNull().default('queued'),
  created_by: id(),
  created_at: instantNow(),
  updated_at: instantNow(),
  expires_at: instant().notNull(),
  sent_at: instant(),
  delivered_at: instant(),
});

/** Devices that spoke and are not known; `customer_id` null where no gateway vouched for them. */
export const knockingDevice = pgTable('knocking_device', {
  knocking_device_id: identity().primaryKey(),
  customer_id: id(),
  protocol: text().notNull(),
  device_identifier: text().notNull(),
  first_seen_at: instant().notNull(),
  last_seen_at: instant().notNull(),
  knock_count: id().notNull(),
  last_payload: bytea(),
  last_payload_bytes: integer(),
  remote_address: inet(),
});

/** Units of measurement. */
export const uomLookup = pgTable('uom_lookup', {
  uom_lookup_id: identity().primaryKey(),
  uom_type: text().notNull(),
  uom_code: text().notNull(),
  description: text().notNull(),
});

const gpsLocationColumns = () => ({
  equipment_has_iot_device_id: id().notNull(),
  recorded_at: instant().notNull(),
  received_at: instant().notNull(),
  latitude: doublePrecision().notNull(),
  longitude: doublePrecision().notNull(),
  altitude_m: real(),
  speed_mps: real(),
  heading_deg: real(),
  accuracy_m: real(),
  odometer_m: doublePrecision(),
  satellites: smallint(),
  ignition: boolean(),
  motion_status: text(),
  event: text(),
  seq: id(),
});

const deviceMetricColumns = () => ({
  equipment_has_iot_device_id: id().notNull(),
  metric_code: text().notNull(),
  recorded_at: instant().notNull(),
  received_at: instant().notNull(),
  metric_value: doublePrecision().notNull(),
  uom_lookup_id: id(),
});

/** Every fix: a time-series table, closed to the API's role. */
export const equipmentGpsLocation = pgTable(
  'equipment_gps_location',
  { equipment_gps_location_id: identity(), ...gpsLocationColumns() },
  (t) => [primaryKey({ columns: [t.equipment_has_iot_device_id, t.recorded_at] })],
);

/** Every metric: a time-series table, closed to the API's role. */
export const iotDeviceMetric = pgTable(
  'iot_device_metric',
  { iot_device_metric_id: identity(), ...deviceMetricColumns() },
  (t) => [primaryKey({ columns: [t.equipment_has_iot_device_id, t.metric_code, t.recorded_at] })],
);

/** The newest fix of each unit; `speed` in metres per second, `temperature` in degrees Celsius. */
export const telematics = pgTable('telematics', {
  telematics_id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id(),
  equipment_id: id().notNull(),
  unit_number: text().notNull(),
  equipment_has_iot_device_id: id().notNull(),
  recorded_at: instant().notNull(),
  received_at: instant().notNull(),
  latitude: doublePrecision().notNull(),
  longitude: doublePrecision().notNull(),
  altitude_m: real(),
  speed: real(),
  heading_deg: real(),
  accuracy_m: real(),
  odometer_m: doublePrecision(),
  temperature: doublePrecision(),
  temperature_at: instant(),
  ignition: boolean(),
  motion_status: text(),
});

/** Input that was refused; `customer_id` null where the tenant could not be known. */
export const ingestReject = pgTable('ingest_reject', {
  ingest_reject_id: identity().primaryKey(),
  reject_key: uuid().notNull().unique().defaultRandom(),
  customer_id: id(),
  iot_device_id: id(),
  device_identifier: text(),
  source: text().notNull(),
  topic: text(),
  reason: text().notNull(),
  detail: nameText(),
  payload: bytea(),
  payload_bytes: integer().notNull(),
  received_at: instant().notNull(),
});

/** One row: how many processes have led ingestion. */
export const ingestLeader = pgTable('ingest_leader', {
  is_only: boolean().primaryKey().default(true),
  epoch: id().notNull(),
});

/** What the engine remembers of a device; `state` is the engine's own to read. */
export const engineState = pgTable('engine_state', {
  equipment_has_iot_device_id: id().primaryKey(),
  customer_id: id().notNull(),
  state: jsonb().notNull(),
  updated_at: instantNow(),
});

/**
 * Fences. `polygon` is a GeoJSON geometry, null for a circle; `active_hours` are read by the engine's `readActiveHours`,
 * in `time_zone`, or where that is null the customer's.
 */
export const geofence = pgTable('geofence', {
  geofence_id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id(),
  geofence_name: text().notNull(),
  description: nameText(),
  shape_type: text().notNull(),
  polygon: jsonb(),
  center_lat: doublePrecision(),
  center_lng: doublePrecision(),
  radius_m: doublePrecision(),
  width_m: doublePrecision(),
  exit_buffer_m: doublePrecision().notNull().default(0),
  enter_fix_count: integer().notNull().default(1),
  exit_fix_count: integer().notNull().default(2),
  accuracy_m_max: doublePrecision(),
  status: text().notNull().default('active'),
  version: integer().notNull().default(1),
  created_at: instantNow(),
  updated_at: instantNow(),
  dwell_s: integer(),
  cross_gap_s: integer().notNull().default(120),
  active_hours: jsonb(),
  time_zone: text(),
});

/** Kinds of transition. */
export const geofenceEventTypeLookup = pgTable('geofence_event_type_lookup', {
  geofence_event_type_lookup_id: identity().primaryKey(),
  event_name: text().notNull(),
  event_category: text().notNull(),
  description: text().notNull(),
});

/** Groups of alert types. */
export const alertCategoryLookup = pgTable('alert_category_lookup', {
  alert_category_lookup_id: identity().primaryKey(),
  category_name: text().notNull(),
  status: text().notNull().default('active'),
  event_vendor_id: id().array().notNull().default([]),
});

/** Alert types; `customer_id` null is offered to every tenant. */
export const alertTypeLookup = pgTable('alert_type_lookup', {
  alert_type_lookup_id: identity().primaryKey(),
  customer_id: id(),
  alert_category_lookup_id: id().notNull(),
  event_name: text().notNull(),
  event_type: text().notNull(),
  operation_type: text().notNull(),
  metric_code: text(),
  uom_lookup_id: id(),
});

/** Alert rules. */
export const telematicAlert = pgTable('telematic_alert', {
  telematic_alert_id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id(),
  equipment_id: id(),
  alert_type_lookup_id: id(),
  alert_name: text().notNull(),
  metric_code: text().notNull(),
  operator: text().notNull(),
  operator_value: doublePrecision().notNull(),
  operator_value_high: doublePrecision(),
  clear_value: doublePrecision(),
  hold_s: integer().notNull().default(0),
  severity: text().notNull().default('warning'),
  status: text().notNull().default('active'),
  version: integer().notNull().default(1),
  created_at: instantNow(),
  updated_at: instantNow(),
});

/** Transitions and alerts, append-only; `event_key` makes a repeat no second event. */
export const activityFeed = pgTable('activity_feed', {
  activity_feed_id: identity().primaryKey(),
  event_key: uuid().notNull(),
  customer_id: id().notNull(),
  account_id: id(),
  equipment_id: id().notNull(),
  equipment_has_iot_device_id: id(),
  event_type: text().notNull(),
  event_time: instant().notNull(),
  received_at: instant().notNull(),
  latitude: doublePrecision(),
  longitude: doublePrecision(),
  geofence_id: id(),
  telematic_alert_id: id(),
  subject_name: nameText(),
  subject_version: integer(),
  metric_code: text(),
  metric_value: doublePrecision(),
  severity: text().notNull().default('info'),
  initial: boolean().notNull().default(false),
  cause: text().notNull().default('move'),
});

/**
 * Stays of units in fences; `left_at` null while the unit is inside. `opened_at` with device and fence names a visit and
 * stays, `entered_at` is what is known by now.
 */
export const geofenceVisit = pgTable('geofence_visit', {
  geofence_visit_id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id(),
  geofence_id: id().notNull(),
  geofence_name: nameText(),
  geofence_version: integer().notNull(),
  equipment_id: id().notNull(),
  equipment_has_iot_device_id: id().notNull(),
  opened_at: instant().notNull(),
  entered_at: instant().notNull(),
  left_at: instant(),
  duration_s: doublePrecision().generatedAlwaysAs(sql`extract(epoch from left_at - entered_at)`),
  first_fix_at: instant().notNull(),
  last_fix_at: instant(),
  entered_cause: text().notNull(),
  left_cause: text(),
  dwelled_at: instant(),
  revision: integer().notNull().default(1),
  retracted: boolean().notNull().default(false),
  updated_at: instantNow(),
});

/** Devices whose late fixes have yet to be held against their visits. */
export const visitRevision = pgTable('visit_revision', {
  equipment_has_iot_device_id: id().primaryKey(),
  customer_id: id().notNull(),
  from_at: instant().notNull(),
  to_at: instant().notNull(),
  requested_at: instantNow(),
  is_waiting: boolean().notNull().default(false),
});

const tenantColumns = () => ({
  customer_id: id().notNull(),
  account_id: id(),
  equipment_id: id().notNull(),
});

/** The caller's own fixes: what the API's role reads instead of `equipment_gps_location`. */
export const tenantGpsLocation = pgView('tenant_gps_location', {
  ...tenantColumns(),
  equipment_gps_location_id: id().notNull(),
  ...gpsLocationColumns(),
}).existing();

/** The caller's own metrics: what the API's role reads instead of `iot_device_metric`. */
export const tenantDeviceMetric = pgView('tenant_device_metric', {
  ...tenantColumns(),
  iot_device_metric_id: id().notNull(),
  ...deviceMetricColumns(),
}).existing();
