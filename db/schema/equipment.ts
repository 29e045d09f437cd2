/** What belongs to a unit of the fleet: meter readings, loads, add-ons, plate and papers, files. */
import { boolean, date, numeric, pgTable, text } from 'drizzle-orm/pg-core';
import {
  evidenceColumns,
  id,
  identity,
  instantNow,
  nameText,
  rate,
  recordColumns,
} from './columns.ts';

/** What meters showed, in the unit they show; a wrong one is voided. */
export const equipmentReading = pgTable('equipment_reading', {
  equipment_reading_id: identity().primaryKey(),
  customer_id: id().notNull(),
  equipment_id: id().notNull(),
  reading_type: text({
    enum: ['odometer', 'hub_odometer', 'engine_hours', 'reefer_hours', 'pto_hours', 'fuel_level'],
  }).notNull(),
  equipment_reading: numeric({ precision: 12, scale: 3, mode: 'number' }).notNull(),
  uom_lookup_id: id().notNull(),
  reading_at: instantNow(),
  source: text({ enum: ['manual', 'telematics', 'workorder', 'inspection', 'import'] })
    .notNull()
    .default('manual'),
  is_void: boolean().notNull().default(false),
  void_reason: text(),
  note: nameText(),
  ...evidenceColumns(),
});

/** What units carry, and how full they are. */
export const equipmentLoadDetail = pgTable('equipment_load_detail', {
  equipment_load_detail_id: identity().primaryKey(),
  customer_id: id().notNull(),
  equipment_id: id().notNull(),
  equipment_load_date: date({ mode: 'string' }).notNull(),
  equipment_load_status: text({
    enum: ['empty', 'loading', 'partially_loaded', 'loaded', 'unloading'],
  }).notNull(),
  load_number: text(),
  cargo_description: nameText(),
  weight_kg: numeric({ precision: 12, scale: 3, mode: 'number' }),
  seal_number: text(),
  is_hazardous: boolean().notNull().default(false),
  temperature_setpoint_c: numeric({ precision: 4, scale: 1, mode: 'number' }),
  ...recordColumns(),
});

/** What units can be fitted with. */
export const equipmentAddon = pgTable('equipment_addon', {
  equipment_addon_id: identity().primaryKey(),
  customer_id: id().notNull(),
  addon_name: text().notNull(),
  addon_type: text({
    enum: [
      'liftgate',
      'refrigeration_unit',
      'auxiliary_power_unit',
      'telematics',
      'camera',
      'tire_inflation',
      'aerodynamics',
      'cargo_securement',
      'safety',
      'other',
    ],
  }).notNull(),
  manufacturer: text(),
  model: text(),
  description: nameText(),
  effective_date: date({ mode: 'string' }).notNull(),
  expiration_date: date({ mode: 'string' }),
  monthly_rate: rate(),
  currency_code: text(),
  status: text({ enum: ['active', 'disabled'] })
    .notNull()
    .default('active'),
  ...recordColumns(),
});

/** Which unit has which add-on. */
export const equipmentHasAddon = pgTable('equipment_has_addon', {
  equipment_has_addon_id: identity().primaryKey(),
  customer_id: id().notNull(),
  equipment_id: id().notNull(),
  equipment_addon_id: id().notNull(),
  serial_number: text(),
  installed_on: date({ mode: 'string' }),
  removed_on: date({ mode: 'string' }),
  ...recordColumns(),
});

/** Plate and papers; one of a unit at a time. */
export const equipmentPermit = pgTable('equipment_permit', {
  equipment_permit_id: identity().primaryKey(),
  customer_id: id().notNull(),
  equipment_id: id().notNull(),
  license_plate_number: text(),
  license_plate_state: text(),
  license_plate_country_code: text(),
  license_plate_expiration_date: date({ mode: 'string' }),
  registration_number: text(),
  registration_expiration_date: date({ mode: 'string' }),
  permit_number: text(),
  permit_expiration_date: date({ mode: 'string' }),
  issuing_authority: text(),
  note: nameText(),
  ...evidenceColumns(),
});

/** Files about units; a file belongs to one unit. */
export const equipmentHasAttachment = pgTable('equipment_has_attachment', {
  equipment_has_attachment_id: identity().primaryKey(),
  customer_id: id().notNull(),
  equipment_id: id().notNull(),
  attachment_id: id().notNull(),
  ...recordColumns(),
});
