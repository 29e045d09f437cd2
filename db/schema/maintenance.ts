/** Preventive maintenance. */
import { sql } from 'drizzle-orm';
import { date, doublePrecision, integer, numeric, pgTable, text } from 'drizzle-orm/pg-core';
import { evidenceColumns, id, identity, money, nameText, rate } from './columns.ts';

/** What is due again and again on a unit: by date, distance or engine hours, whichever comes first. */
export const preventiveMaintenanceSchedule = pgTable('preventive_maintenance_schedule', {
  pm_schedule_id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id(),
  equipment_id: id().notNull(),
  schedule_name: text().notNull(),
  work_instructions: nameText(),
  vmrs_id: id(),
  facility_lookup_id: id(),
  status: text({ enum: ['active', 'paused', 'ended'] })
    .notNull()
    .default('active'),
  frequency_interval: integer().notNull(),
  frequency_type: text({
    enum: ['days', 'weeks', 'months', 'years', 'km', 'miles', 'engine_hours'],
  }).notNull(),
  interval_days: integer(),
  interval_km: doublePrecision(),
  interval_engine_hours: doublePrecision(),
  due_soon_days: integer(),
  due_soon_km: doublePrecision(),
  due_soon_engine_hours: doublePrecision(),
  anchor: text({ enum: ['from_completion', 'from_schedule'] })
    .notNull()
    .default('from_completion'),
  starts_on: date()
    .notNull()
    .default(sql`current_date`),
  start_odometer_m: doublePrecision(),
  start_engine_hours_h: doublePrecision(),
  last_done_on: date(),
  last_done_odometer_m: doublePrecision(),
  last_done_engine_hours_h: doublePrecision(),
  next_due_on: date(),
  next_due_odometer_m: doublePrecision(),
  next_due_engine_hours_h: doublePrecision(),
  due_status: text({ enum: ['no_data', 'ok', 'due_soon', 'due', 'overdue'] })
    .notNull()
    .default('no_data'),
  estimated_cost: money(),
  currency_code: text(),
  ...evidenceColumns(),
  // When `due_status` changes next, if nothing is written meanwhile.
  status_changes_on: date().default('2000-01-01'),
  status_changes_odometer_m: doublePrecision(),
  status_changes_engine_hours_h: doublePrecision(),
  // What was known of the last time when the schedule was made.
  brought_on: date(),
  brought_odometer_m: doublePrecision(),
  brought_engine_hours_h: doublePrecision(),
});

/** One maintenance of a unit; a schedule has at most one that is open or in progress. */
export const preventiveMaintenanceEvent = pgTable('preventive_maintenance_event', {
  pm_event_id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id(),
  equipment_id: id().notNull(),
  pm_schedule_id: id().notNull(),
  status: text({ enum: ['open', 'in_progress', 'completed', 'skipped', 'cancelled'] })
    .notNull()
    .default('open'),
  status_reason: nameText(),
  due_on: date(),
  due_odometer_m: doublePrecision(),
  due_engine_hours_h: doublePrecision(),
  performed_date: date(),
  work_performed: nameText(),
  performed_by: text(),
  odometer_m: doublePrecision(),
  engine_hours_h: doublePrecision(),
  workorder_id: id(),
  cost: money(),
  currency_code: text(),
  ...evidenceColumns(),
});

/** Parts used in maintenance; `part_cost` is of one of them. */
export const pmPartsUsed = pgTable('pm_parts_used', {
  pm_parts_id: identity().primaryKey(),
  customer_id: id().notNull(),
  pm_event_id: id().notNull(),
  part_name: text().notNull(),
  part_number: text(),
  part_quantity: numeric({ precision: 12, scale: 3, mode: 'number' }).notNull().default(1),
  part_cost: rate().notNull().default(0),
  // Reckoned by the database, in the smallest unit of the currency.
  total_cost: money().notNull().default(0),
  currency_code: text().notNull(),
  ...evidenceColumns(),
});
