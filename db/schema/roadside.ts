/** Emergency roadside service. */
import { doublePrecision, numeric, pgTable, text } from 'drizzle-orm/pg-core';
import {
  evidenceColumns,
  id,
  identity,
  instant,
  instantNow,
  money,
  nameText,
  rate,
  recordColumns,
} from './columns.ts';

/** Roadside calls, with the time of each step. The position may be that of a fix, of `location_recorded_at`. */
export const ers = pgTable('ers', {
  ers_id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id(),
  ers_number: nameText(),
  service_request_id: id(),
  workorder_id: id(),
  equipment_id: id().notNull(),
  ers_status: text({
    enum: [
      'reported',
      'dispatched',
      'accepted',
      'en_route',
      'on_site',
      'repairing',
      'resolved',
      'closed',
      'cancelled',
      'no_show',
    ],
  })
    .notNull()
    .default('reported'),
  status_reason: nameText(),
  service_issues_lookup_id: id(),
  issue_description: text().notNull(),
  tire_size_lookup_id: id(),
  tire_position: text(),
  driver_name: text(),
  driver_phone: text(),
  safety_status: text({ enum: ['safe', 'roadside', 'in_traffic', 'emergency'] }),
  load_status: text({ enum: ['empty', 'partial', 'loaded', 'refrigerated', 'hazardous'] }),
  latitude: doublePrecision(),
  longitude: doublePrecision(),
  location_source: text({ enum: ['last_fix', 'reported'] }),
  location_recorded_at: instant(),
  location_accuracy_m: doublePrecision(),
  location_description: nameText(),
  assigned_to_user_id: id(),
  vendor_name: text(),
  vendor_phone: text(),
  vendor_reference: text(),
  technician_name: text(),
  eta_at: instant(),
  outcome: text({ enum: ['roadside', 'towed', 'swapped'] }),
  towed_to_facility_lookup_id: id(),
  replacement_equipment_id: id(),
  resolution: nameText(),
  cost_limit: money(),
  cost: money(),
  currency_code: text(),
  reported_at: instantNow(),
  dispatched_at: instant(),
  accepted_at: instant(),
  en_route_at: instant(),
  on_site_at: instant(),
  repair_started_at: instant(),
  resolved_at: instant(),
  closed_at: instant(),
  cancelled_at: instant(),
  no_show_at: instant(),
  ...evidenceColumns(),
});

/** Parts used at the roadside; `part_cost` is of one of them. */
export const ersPartsUsed = pgTable('ers_parts_used', {
  ers_parts_id: identity().primaryKey(),
  customer_id: id().notNull(),
  ers_id: id().notNull(),
  part_name: text().notNull(),
  part_number: text(),
  part_quantity: numeric({ precision: 12, scale: 3, mode: 'number' }).notNull().default(1),
  part_cost: rate().notNull().default(0),
  // Reckoned by the database, in the smallest unit of the currency.
  total_cost: money().notNull().default(0),
  currency_code: text().notNull(),
  ...evidenceColumns(),
});

/** Files of roadside calls. */
export const ersHasAttachment = pgTable('ers_has_attachment', {
  ers_has_attachment_id: identity().primaryKey(),
  customer_id: id().notNull(),
  ers_id: id().notNull(),
  attachment_id: id().notNull(),
  ...recordColumns(),
});

/** What was said about a roadside call. Append-only. */
export const communicationLog = pgTable('communication_log', {
  communication_id: identity().primaryKey(),
  customer_id: id().notNull(),
  ers_id: id().notNull(),
  communication_type: text({ enum: ['phone', 'sms', 'email', 'app', 'note'] }).notNull(),
  direction: text({ enum: ['inbound', 'outbound', 'internal'] }).notNull(),
  vendor_name: text(),
  driver_name: text(),
  contact_phone: text(),
  message: text().notNull(),
  eta_at: instant(),
  occurred_at: instantNow(),
  ...evidenceColumns(),
});
