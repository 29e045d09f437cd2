/** Fences, alert rules, the activity feed and visits. */
import { sql } from 'drizzle-orm';
import { boolean, doublePrecision, integer, jsonb, pgTable, text, uuid } from 'drizzle-orm/pg-core';
import { id, identity, instant, instantNow, nameText, recordColumns } from './columns.ts';

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
  shape_type: text({
    enum: ['polygon', 'multipolygon', 'rectangle', 'circle', 'corridor'],
  }).notNull(),
  polygon: jsonb(),
  center_lat: doublePrecision(),
  center_lng: doublePrecision(),
  radius_m: doublePrecision(),
  width_m: doublePrecision(),
  exit_buffer_m: doublePrecision().notNull().default(0),
  enter_fix_count: integer().notNull().default(1),
  exit_fix_count: integer().notNull().default(2),
  accuracy_m_max: doublePrecision(),
  status: text({ enum: ['active', 'disabled'] })
    .notNull()
    .default('active'),
  version: integer().notNull().default(1),
  created_at: instantNow(),
  updated_at: instantNow(),
  dwell_s: integer(),
  cross_gap_s: integer().notNull().default(120),
  active_hours: jsonb(),
  time_zone: text(),
  created_by: id().default(sql`app_user_id()`),
  tag_lookup_ids: id().array().notNull().default([]),
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
  status: text({ enum: ['active', 'disabled'] })
    .notNull()
    .default('active'),
  event_vendor_id: id().array().notNull().default([]),
});

/** Alert types; `customer_id` null is offered to every tenant. */
export const alertTypeLookup = pgTable('alert_type_lookup', {
  alert_type_lookup_id: identity().primaryKey(),
  customer_id: id(),
  alert_category_lookup_id: id().notNull(),
  event_name: text().notNull(),
  event_type: text({ enum: ['metric', 'event'] }).notNull(),
  operation_type: text({ enum: ['number', 'boolean', 'none'] }).notNull(),
  metric_code: text(),
  uom_lookup_id: id(),
  ...recordColumns(),
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
  operator: text({ enum: ['>', '>=', '<', '<=', '=', '!=', 'between', 'outside'] }).notNull(),
  operator_value: doublePrecision().notNull(),
  operator_value_high: doublePrecision(),
  clear_value: doublePrecision(),
  hold_s: integer().notNull().default(0),
  severity: text({ enum: ['info', 'warning', 'critical'] })
    .notNull()
    .default('warning'),
  status: text({ enum: ['active', 'disabled'] })
    .notNull()
    .default('active'),
  version: integer().notNull().default(1),
  created_at: instantNow(),
  updated_at: instantNow(),
  created_by: id().default(sql`app_user_id()`),
});

/**
 * Transitions and alerts, append-only; `event_key` makes a repeat no second event. A row with an `entity_type` is of the
 * audit trail: what a record was before and after a write.
 */
export const activityFeed = pgTable('activity_feed', {
  activity_feed_id: identity().primaryKey(),
  event_key: uuid().notNull(),
  customer_id: id().notNull(),
  account_id: id(),
  equipment_id: id(),
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
  severity: text({ enum: ['info', 'warning', 'critical'] })
    .notNull()
    .default('info'),
  initial: boolean().notNull().default(false),
  cause: text().notNull().default('move'),
  entity_type: text(),
  entity_id: text(),
  actor_user_id: id(),
  request_id: text(),
  before: jsonb().$type<Record<string, unknown>>(),
  after: jsonb().$type<Record<string, unknown>>(),
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
