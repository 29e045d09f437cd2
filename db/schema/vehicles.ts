/** Vehicles as the transport side of the business knows them, and the lists that they choose from. */
import { sql } from 'drizzle-orm';
import { boolean, date, integer, numeric, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import {
  evidenceColumns,
  id,
  identity,
  instant,
  instantNow,
  money,
  nameText,
  recordColumns,
} from './columns.ts';

const day = () => date({ mode: 'string' });
const quantity = () => numeric({ precision: 12, scale: 3, mode: 'number' });
const listStatus = () =>
  text({ enum: ['active', 'disabled'] })
    .notNull()
    .default('active');

/** Kinds of vehicles: truck, trailer, bus, … */
export const vehicleTypeMaster = pgTable('vehicle_type_master', {
  vehicle_type_id: text().primaryKey(),
  description: text().notNull(),
  status: listStatus(),
});

/** What vehicles carry. */
export const usageTypeMaster = pgTable('usage_type_master', {
  usage_type_id: text().primaryKey(),
  description: text().notNull(),
  status: listStatus(),
});

/** Kinds of engines. */
export const engineTypeMaster = pgTable('engine_type_master', {
  engine_type_id: text().primaryKey(),
  description: text().notNull(),
  status: listStatus(),
});

/** What vehicles are filled or charged with. */
export const fuelTypeMaster = pgTable('fuel_type_master', {
  fuel_type_id: text().primaryKey(),
  description: text().notNull(),
  status: listStatus(),
});

/** Kinds of vehicle documents. */
export const documentTypeMaster = pgTable('document_type_master', {
  document_type_id: text().primaryKey(),
  description: text().notNull(),
  status: listStatus(),
});

/** What insurance covers. */
export const coverageTypeMaster = pgTable('coverage_type_master', {
  coverage_type_id: text().primaryKey(),
  description: text().notNull(),
  status: listStatus(),
});

/** Vehicles. VIN and tracker are unique over all tenants, among vehicles that are not marked as deleted. */
export const vehicleBasicInformationHdr = pgTable('vehicle_basic_information_hdr', {
  vehicle_id_code_hdr: text()
    .primaryKey()
    .default(sql`vehicle_code('VEH', nextval('vehicle_number'))`),
  customer_id: id().notNull(),
  account_id: id(),
  equipment_id: id(),
  iot_device_id: id(),
  maker_brand_description: text(),
  maker_model: text(),
  vin_chassis_no: text().notNull(),
  vehicle_type_id: text(),
  usage_type_id: text(),
  engine_number: text().notNull(),
  engine_type_id: text(),
  fuel_type_id: text(),
  gps_tracker_imei_number: text().notNull(),
  gps_tracker_active_flag: boolean().notNull().default(true),
  manufacturing_month_year: text(),
  unloading_weight: quantity(),
  gross_vehicle_weight_kg: quantity(),
  volume_capacity_cubic_meter: quantity(),
  fuel_tank_capacity_l: quantity(),
  seating_capacity: integer(),
  axle_count: integer(),
  blacklist_status: text({ enum: ['clear', 'blacklisted'] })
    .notNull()
    .default('clear'),
  blacklist_reason: nameText(),
  status: text({ enum: ['active', 'inactive', 'maintenance', 'sold', 'scrapped'] })
    .notNull()
    .default('active'),
  ...evidenceColumns(),
});

/** The insurance in force, one a vehicle. */
export const vehicleBasicInformationItm = pgTable('vehicle_basic_information_itm', {
  vehicle_item_unique_id: identity().primaryKey(),
  customer_id: id().notNull(),
  vehicle_id_code_itm: text()
    .notNull()
    .generatedAlwaysAs(sql`vehicle_id_code_hdr || '-INS'`),
  vehicle_id_code_hdr: text().notNull(),
  insurance_provider: text().notNull(),
  policy_number: text().notNull(),
  coverage_type: text(),
  policy_start_date: day(),
  policy_expiry_date: day().notNull(),
  premium_amount: money(),
  currency_code: text(),
  ...evidenceColumns(),
});

/** Permits to run. `permit_number` is unique over all tenants. */
export const vehicleSpecialPermit = pgTable('vehicle_special_permit', {
  vehicle_permit_unique_id: identity().primaryKey(),
  customer_id: id().notNull(),
  vehicle_permit_id: text()
    .notNull()
    .default(sql`vehicle_code('PRM', nextval('permit_number'))`),
  vehicle_id_code_hdr: text().notNull(),
  permit_category: text().notNull(),
  permit_code: text(),
  permit_issue_date: day(),
  permit_number: text().notNull(),
  permit_expiry_date: day(),
  issuing_authority: text(),
  remarks: nameText(),
  ...evidenceColumns(),
  is_superseded: boolean().notNull().default(false),
});

/** Owners over time, with the registration; `valid_to` null is the present one. Plates are unique over all tenants. */
export const vehicleOwnershipDetails = pgTable('vehicle_ownership_details', {
  vehicle_ownership_unique_id: identity().primaryKey(),
  customer_id: id().notNull(),
  vehicle_ownership_id: text()
    .notNull()
    .default(sql`vehicle_code('OWN', nextval('ownership_number'))`),
  vehicle_id_code: text().notNull(),
  ownership_name: text().notNull(),
  registration_number: text(),
  registration_date: day(),
  registration_upto: day(),
  valid_from: day(),
  valid_to: day(),
  purchase_date: day(),
  sale_amount: money(),
  currency_code: text(),
  state_code: text(),
  rto_code: text(),
  contact_number: text(),
  email: text(),
  ...evidenceColumns(),
});

/** Services that were done, and when the next is due. */
export const vehicleMaintenanceServiceHistory = pgTable('vehicle_maintenance_service_history', {
  vehicle_maintenance_unique_id: identity().primaryKey(),
  customer_id: id().notNull(),
  vehicle_maintenance_id: text()
    .notNull()
    .default(sql`vehicle_code('MNT', nextval('maintenance_number'))`),
  vehicle_id_code: text().notNull(),
  service_date: day().notNull(),
  upcoming_service_date: day().notNull(),
  type_of_service: text(),
  service_expense: money(),
  currency_code: text(),
  service_remark: text().notNull(),
  service_provider: text(),
  odometer_m: numeric({ precision: 14, scale: 3, mode: 'number' }),
  ...evidenceColumns(),
});

/** How often a vehicle is due. `sequence_number` left out is the next one of the vehicle. */
export const serviceFrequencyMaster = pgTable(
  'service_frequency_master',
  {
    service_frequency_id: identity().notNull(),
    customer_id: id().notNull(),
    vehicle_id: text().notNull(),
    sequence_number: integer().notNull().default(0),
    type_of_service: text(),
    time_period: text(),
    km_drove: quantity(),
    status: text({ enum: ['active', 'paused'] })
      .notNull()
      .default('active'),
    ...recordColumns(),
  },
  (table) => [primaryKey({ columns: [table.vehicle_id, table.sequence_number] })],
);

/** Documents of vehicles, or of one of their services. */
export const vehicleDocuments = pgTable('vehicle_documents', {
  document_unique_id: identity().primaryKey(),
  customer_id: id().notNull(),
  document_id: text()
    .notNull()
    .default(sql`vehicle_code('DOC', nextval('document_number'))`),
  vehicle_id_code: text().notNull(),
  document_type_id: text().notNull(),
  reference_number: text(),
  vehicle_maintenance_id: text(),
  permit_category: text(),
  permit_code: text(),
  document_provider: text(),
  coverage_type_id: text(),
  premium_amount: money(),
  currency_code: text(),
  valid_from: day().notNull(),
  valid_to: day().notNull(),
  remarks: text().notNull(),
  attachment_id: id(),
  ...evidenceColumns(),
  is_superseded: boolean().notNull().default(false),
});

/** Which transporter runs a vehicle, and when. */
export const transporterVehicleMapping = pgTable('transporter_vehicle_mapping', {
  transporter_vehicle_mapping_id: identity().primaryKey(),
  customer_id: id().notNull(),
  vehicle_id: text().notNull(),
  transporter_code: text().notNull(),
  transporter_name: text().notNull(),
  contact_number: text(),
  valid_from: day()
    .notNull()
    .default(sql`current_date`),
  valid_to: day(),
  status: text({ enum: ['active', 'suspended', 'ended'] })
    .notNull()
    .default('active'),
  remarks: nameText(),
  ...recordColumns(),
});

/** Who drives a vehicle, and when. */
export const vehicleDriverMapping = pgTable('vehicle_driver_mapping', {
  vehicle_driver_mapping_id: identity().primaryKey(),
  customer_id: id().notNull(),
  vehicle_id: text().notNull(),
  driver_user_id: id(),
  driver_name: text().notNull(),
  driver_role: text({ enum: ['primary', 'relief'] })
    .notNull()
    .default('primary'),
  license_number: text(),
  license_expiry_date: day(),
  contact_number: text(),
  valid_from: instantNow(),
  valid_to: instant(),
  status: text({ enum: ['active', 'suspended', 'ended'] })
    .notNull()
    .default('active'),
  remarks: nameText(),
  ...recordColumns(),
});
