/** Inspections that the law asks for. */
import { boolean, date, doublePrecision, integer, pgTable, text } from 'drizzle-orm/pg-core';
import { evidenceColumns, id, identity, instant, nameText } from './columns.ts';

/** Inspections of one unit each. */
export const dotInspection = pgTable('dot_inspection', {
  dot_inspection_id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id(),
  equipment_id: id().notNull(),
  schedule_agreement_id: id(),
  inspection_kind: text({
    enum: ['annual', 'roadside', 'dvir', 'state', 'brake', 'tank'],
  }).notNull(),
  inspection_level: integer(),
  report_number: text(),
  decal_number: text(),
  inspection_date: date().notNull(),
  inspection_result: text({ enum: ['pass', 'fail', 'out_of_service'] }).notNull(),
  expires_on: date(),
  inspector_name: text(),
  inspector_qualification: text(),
  inspector_organisation: text(),
  facility_lookup_id: id(),
  location_description: nameText(),
  city: text(),
  state_code: text(),
  country_code: text(),
  latitude: doublePrecision(),
  longitude: doublePrecision(),
  odometer_m: doublePrecision(),
  driver_user_id: id(),
  driver_name: text(),
  status: text({ enum: ['open', 'certified', 'returned', 'no_return_required', 'closed'] })
    .notNull()
    .default('open'),
  is_return_required: boolean().notNull().default(false),
  return_due_on: date(),
  certified_at: instant(),
  certified_by_user_id: id(),
  returned_at: instant(),
  closed_at: instant(),
  back_in_service_at: instant(),
  notes: nameText(),
  retain_until: date().notNull(),
  ...evidenceColumns(),
  is_superseded: boolean().notNull().default(false),
});

/** What was found, and what became of it. */
export const dotInspectionViolation = pgTable('dot_inspection_violation', {
  dot_inspection_violation_id: identity().primaryKey(),
  customer_id: id().notNull(),
  dot_inspection_id: id().notNull(),
  violation_code: text().notNull(),
  violation_description: nameText(),
  severity_level: text({ enum: ['minor', 'major', 'critical'] }).notNull(),
  severity_weight: integer(),
  is_out_of_service: boolean().notNull().default(false),
  unit_position: text(),
  citation_number: text(),
  status: text({
    enum: [
      'open',
      'repair_scheduled',
      'corrected',
      'certified',
      'returned',
      'no_return_required',
      'closed',
    ],
  })
    .notNull()
    .default('open'),
  assigned_to_user_id: id(),
  workorder_id: id(),
  corrective_action: nameText(),
  due_on: date(),
  corrected_at: instant(),
  certified_at: instant(),
  returned_at: instant(),
  closed_at: instant(),
  ...evidenceColumns(),
});
