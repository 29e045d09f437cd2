/** Units of the fleet, and the devices that speak for them. */
import { sql } from 'drizzle-orm';
import {
  boolean,
  date,
  doublePrecision,
  inet,
  integer,
  jsonb,
  numeric,
  pgTable,
  text,
  uuid,
} from 'drizzle-orm/pg-core';
import { bytea, id, identity, instant, instantNow, nameText } from './columns.ts';

/** Vehicles, trailers and machines. */
export const equipment = pgTable('equipment', {
  equipment_id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id(),
  unit_number: text().notNull(),
  description: nameText(),
  vin: text(),
  status: text({ enum: ['active', 'in_service', 'retired'] })
    .notNull()
    .default('active'),
  specifications: jsonb().$type<Record<string, unknown>>().notNull().default({}),
  created_at: instantNow(),
  updated_at: instantNow(),
  version: integer().notNull().default(1),
  created_by: id().default(sql`app_user_id()`),
  equipment_type_lookup_id: id(),
  oem_make_model_lookup_id: id(),
  model_year: integer(),
  color: text(),
  ownership: text({ enum: ['owned', 'leased', 'rented', 'customer_owned'] })
    .notNull()
    .default('owned'),
  fuel_type: text({
    enum: [
      'diesel',
      'gasoline',
      'natural_gas',
      'propane',
      'electric',
      'hybrid',
      'hydrogen',
      'none',
    ],
  }),
  tire_size_lookup_id: id(),
  axle_count: integer(),
  length_m: numeric({ precision: 6, scale: 2, mode: 'number' }),
  gvwr_kg: numeric({ precision: 12, scale: 3, mode: 'number' }),
  facility_lookup_id: id(),
  in_service_on: date({ mode: 'string' }),
  out_of_service_on: date({ mode: 'string' }),
  tag_lookup_ids: id().array().notNull().default([]),
});

/** Makers of devices. */
export const iotDeviceVendorLookup = pgTable('iot_device_vendor_lookup', {
  iot_device_vendor_lookup_id: identity().primaryKey(),
  vendor_name: text().notNull(),
  vendor_description: nameText(),
  status: text({ enum: ['active', 'disabled'] })
    .notNull()
    .default('active'),
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
  status: text({ enum: ['active', 'disabled', 'retired'] })
    .notNull()
    .default('active'),
  created_at: instantNow(),
  updated_at: instantNow(),
  sign_in_by_name: boolean().notNull().default(false),
  previous_token_hash: bytea(),
  previous_token_until: instant(),
  token_changed_at: instant(),
  version: integer().notNull().default(1),
  created_by: id().default(sql`app_user_id()`),
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
  status: text({ enum: ['active', 'disabled'] })
    .notNull()
    .default('active'),
  created_at: instantNow(),
  updated_at: instantNow(),
  version: integer().notNull().default(1),
  created_by: id().default(sql`app_user_id()`),
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
  version: integer().notNull().default(1),
  created_by: id().default(sql`app_user_id()`),
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
  status: text({ enum: ['queued', 'sent', 'delivered', 'expired', 'cancelled'] })
    .notNull()
    .default('queued'),
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
