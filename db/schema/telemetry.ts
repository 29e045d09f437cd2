/** Fixes and metrics, and what ingestion keeps besides them. */
import { sql } from 'drizzle-orm';
import {
  boolean,
  doublePrecision,
  integer,
  jsonb,
  pgTable,
  pgView,
  primaryKey,
  real,
  smallint,
  text,
  uuid,
} from 'drizzle-orm/pg-core';
import { bytea, id, identity, instant, instantNow, nameText } from './columns.ts';

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
  written_xid: id(),
});

/**
 * What each batch has moved and brought, by tenant and transaction: units, or with `metric_codes` mounts of devices
 * (migrations/0037_record_changes.sql).
 */
export const telemetryChange = pgTable(
  'telemetry_change',
  {
    customer_id: id().notNull(),
    written_xid: id()
      .notNull()
      .default(sql`pg_current_xact_id()::text::bigint`),
    telemetry_change_id: identity(),
    written_at: instantNow(),
    source_ids: id().array().notNull(),
    metric_codes: text().array(),
    since_at: instant(),
    until_at: instant(),
    source_count: integer()
      .notNull()
      .generatedAlwaysAs(sql`cardinality(source_ids) * coalesce(cardinality(metric_codes), 1)`),
  },
  (t) => [primaryKey({ columns: [t.customer_id, t.written_xid, t.telemetry_change_id] })],
);

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
