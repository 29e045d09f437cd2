/** Service requests, work orders, and the counters that number them. */
import { sql } from 'drizzle-orm';
import { doublePrecision, numeric, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
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

/** The next number of each kind of record; read and written by `number_record` and `next_number` alone. */
export const tenantCounter = pgTable(
  'tenant_counter',
  {
    customer_id: id().notNull(),
    counter_name: text().notNull(),
    next_value: id().notNull().default(1),
  },
  (t) => [primaryKey({ columns: [t.customer_id, t.counter_name] })],
);

/** Places that somebody asks for service at again and again. */
export const serviceRequestLocation = pgTable('service_request_location', {
  service_request_location_id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id(),
  user_id: id().notNull(),
  location_nick_name: text().notNull(),
  unit_street: nameText(),
  city: text(),
  state_code: text(),
  postal_code: text(),
  country_code: text(),
  latitude: doublePrecision(),
  longitude: doublePrecision(),
  contact_name: text(),
  contact_phone: text(),
  access_notes: nameText(),
  status: text({ enum: ['active', 'disabled'] })
    .notNull()
    .default('active'),
  ...recordColumns(),
});

/** Requests for service; the place is a saved one or an address or position of its own. */
export const serviceRequest = pgTable('service_request', {
  service_request_id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id(),
  service_request_number: nameText(),
  equipment_id: id().notNull(),
  status: text({
    enum: [
      'draft',
      'submitted',
      'triaged',
      'approved',
      'converted',
      'closed',
      'rejected',
      'cancelled',
    ],
  })
    .notNull()
    .default('draft'),
  status_reason: nameText(),
  service_urgency_lookup_id: id().notNull(),
  service_urgency_type_lookup_id: id(),
  service_issues_lookup_id: id(),
  issue_description: text().notNull(),
  tire_size_lookup_id: id(),
  tire_position: text(),
  reported_at: instantNow(),
  needed_by_at: instant(),
  service_request_location_id: id(),
  street: text(),
  city: text(),
  state_code: text(),
  postal_code: text(),
  country_code: text(),
  latitude: doublePrecision(),
  longitude: doublePrecision(),
  contact_name: text(),
  contact_phone: text(),
  facility_lookup_id: id(),
  requested_by_user_id: id(),
  assigned_to_user_id: id(),
  customer_reference: text(),
  cost_limit: money(),
  currency_code: text(),
  resolution: nameText(),
  submitted_at: instant(),
  triaged_at: instant(),
  approved_at: instant(),
  approved_by_user_id: id(),
  converted_at: instant(),
  closed_at: instant(),
  rejected_at: instant(),
  cancelled_at: instant(),
  ...evidenceColumns(),
});

/** Work orders. `total_cost` is the sum of parts, labour and tax. */
export const workorder = pgTable('workorder', {
  workorder_id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id(),
  workorder_number: nameText(),
  service_request_id: id(),
  equipment_id: id().notNull(),
  workorder_description: text().notNull(),
  workorder_status: text({
    enum: ['open', 'assigned', 'in_progress', 'on_hold', 'completed', 'closed', 'cancelled'],
  })
    .notNull()
    .default('open'),
  hold_reason: text({ enum: ['parts', 'approval', 'customer', 'other'] }),
  status_reason: nameText(),
  priority: text({ enum: ['low', 'medium', 'high', 'urgent'] })
    .notNull()
    .default('medium'),
  facility_lookup_id: id(),
  assigned_user_id: id(),
  vendor_name: text(),
  technician_name: text(),
  purchase_order_number: text(),
  vendor_invoice_number: text(),
  payer: text({ enum: ['lessor', 'lessee', 'warranty'] }),
  approval_status: text({ enum: ['not_required', 'pending', 'approved', 'rejected'] })
    .notNull()
    .default('not_required'),
  approved_by_user_id: id(),
  approved_at: instant(),
  cost_limit: money(),
  part_cost: money().notNull().default(0),
  labour_cost: money().notNull().default(0),
  tax_cost: money().notNull().default(0),
  total_cost: money()
    .notNull()
    .generatedAlwaysAs(sql`part_cost + labour_cost + tax_cost`),
  currency_code: text().notNull(),
  start_odometer_m: doublePrecision(),
  start_engine_hours_h: doublePrecision(),
  completion_odometer_m: doublePrecision(),
  completion_engine_hours_h: doublePrecision(),
  scheduled_start_at: instant(),
  due_at: instant(),
  resolution: nameText(),
  assigned_at: instant(),
  started_at: instant(),
  completed_at: instant(),
  closed_at: instant(),
  cancelled_at: instant(),
  ...evidenceColumns(),
});

/** Lines of work orders, by VMRS code. */
export const workorderVmrs = pgTable('workorder_vmrs', {
  workorder_vmrs_id: identity().primaryKey(),
  customer_id: id().notNull(),
  workorder_id: id().notNull(),
  vmrs_id: id().notNull(),
  quantity: numeric({ precision: 12, scale: 3, mode: 'number' }).notNull().default(1),
  labour_hours: numeric({ precision: 12, scale: 3, mode: 'number' }).notNull().default(0),
  workorder_part_cost: money().notNull().default(0),
  workorder_labour_cost: money().notNull().default(0),
  currency_code: text().notNull(),
  part_number: text(),
  complaint: nameText(),
  cause: nameText(),
  correction: nameText(),
  position_code: text(),
  repair_reason_code: text(),
  work_accomplished_code: text(),
  failure_code: text(),
  payer: text({ enum: ['lessor', 'lessee', 'warranty'] }),
  ...evidenceColumns(),
});

/** Files of work orders. */
export const workorderHasAttachment = pgTable('workorder_has_attachment', {
  workorder_has_attachment_id: identity().primaryKey(),
  customer_id: id().notNull(),
  workorder_id: id().notNull(),
  attachment_id: id().notNull(),
  ...recordColumns(),
});
