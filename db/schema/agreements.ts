/** What was agreed with whom: master agreements, their schedules and lines, quotas of accounts, and who has which unit. */
import { sql } from 'drizzle-orm';
import { boolean, date, integer, numeric, pgTable, text } from 'drizzle-orm/pg-core';
import {
  evidenceColumns,
  id,
  identity,
  instant,
  money,
  nameText,
  rate,
  recordColumns,
} from './columns.ts';

/** Frameworks under which schedules are made. `contract_term` and `renewal_term` are months. */
export const masterAgreement = pgTable('master_agreement', {
  master_agreement_id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id(),
  agreement_number: text().notNull(),
  agreement_name: text().notNull(),
  contract_effective_date: date({ mode: 'string' }).notNull(),
  contract_term: integer().notNull(),
  contract_end_date: date({ mode: 'string' })
    .notNull()
    .generatedAlwaysAs(
      sql`(contract_effective_date + make_interval(months => contract_term) - interval '1 day')::date`,
    ),
  contract_billing_method: text({ enum: ['advance', 'arrears', 'usage', 'milestone'] }).notNull(),
  currency_code: text().notNull(),
  status: text({ enum: ['draft', 'active', 'suspended', 'expired', 'terminated'] })
    .notNull()
    .default('draft'),
  auto_renews: boolean().notNull().default(false),
  renewal_term: integer(),
  notice_days: integer(),
  signed_on: date({ mode: 'string' }),
  signed_by_name: text(),
  terminated_on: date({ mode: 'string' }),
  termination_reason: text(),
  description: nameText(),
  ...evidenceColumns(),
});

/** What is hired under a master agreement, and until when. */
export const scheduleAgreement = pgTable('schedule_agreement', {
  schedule_agreement_id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id(),
  master_agreement_id: id().notNull(),
  contract_type_lookup_id: id().notNull(),
  schedule_number: text().notNull(),
  effective_date: date({ mode: 'string' }).notNull(),
  termination_date: date({ mode: 'string' }),
  status: text({ enum: ['draft', 'active', 'suspended', 'expired', 'terminated'] })
    .notNull()
    .default('draft'),
  currency_code: text().notNull(),
  billing_day: integer().notNull().default(1),
  purchase_order_number: text(),
  deposit_amount: money(),
  facility_lookup_id: id(),
  signed_on: date({ mode: 'string' }),
  description: nameText(),
  termination_requested_at: instant(),
  ...evidenceColumns(),
});

/** Lines of a schedule: so many units of a type at a rate, in the currency of the schedule. */
export const scheduleAgreementLineItem = pgTable('schedule_agreement_line_item', {
  schedule_agreement_line_item_id: identity().primaryKey(),
  customer_id: id().notNull(),
  schedule_agreement_id: id().notNull(),
  line_number: integer().notNull(),
  equipment_type_lookup_id: id().notNull(),
  description: nameText(),
  number_of_units: integer().notNull(),
  rate: rate().notNull(),
  rate_period: text({ enum: ['hour', 'day', 'week', 'month', 'year', 'once'] })
    .notNull()
    .default('month'),
  currency_code: text().notNull(),
  included_distance_m: numeric({ precision: 12, scale: 3, mode: 'number' }),
  excess_rate_per_km: rate(),
  effective_date: date({ mode: 'string' }),
  termination_date: date({ mode: 'string' }),
  ...evidenceColumns(),
});

/** How many units of a line an account may have, and how many it has. */
export const equipmentTypeAllocation = pgTable('equipment_type_allocation', {
  equipment_type_allocation_id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id().notNull(),
  schedule_agreement_line_item_id: id().notNull(),
  units_allowed: integer().notNull(),
  units_assigned: integer().notNull().default(0),
  over_allocation_policy: text({ enum: ['block', 'warn', 'bill'] })
    .notNull()
    .default('block'),
  facility_lookup_id: id(),
  effective_date: date({ mode: 'string' }).notNull(),
  termination_date: date({ mode: 'string' }),
  note: nameText(),
  ...evidenceColumns(),
});

/**
 * Which account has which unit from when to when; no two of a unit overlap. `equipment_assignment_at` tells who had one
 * at an instant.
 */
export const equipmentAssignment = pgTable('equipment_assignment', {
  equipment_assignment_id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id().notNull(),
  equipment_id: id().notNull(),
  equipment_type_allocation_id: id(),
  activation_date: date({ mode: 'string' }).notNull(),
  deactivation_date: date({ mode: 'string' }),
  assigned_at: instant().notNull(),
  returned_at: instant(),
  expected_return_at: instant(),
  return_reason: text({
    enum: ['agreement_ended', 'early_return', 'swapped', 'damaged', 'sold', 'lost', 'other'],
  }),
  pickup_facility_lookup_id: id(),
  return_facility_lookup_id: id(),
  pickup_odometer_m: numeric({ precision: 13, scale: 0, mode: 'number' }),
  return_odometer_m: numeric({ precision: 13, scale: 0, mode: 'number' }),
  substitute_for_id: id(),
  note: nameText(),
  is_over_allocation: boolean().notNull().default(false),
  ...evidenceColumns(),
});

/** Files about master agreements. */
export const masterAgreementHasAttachment = pgTable('master_agreement_has_attachment', {
  master_agreement_has_attachment_id: identity().primaryKey(),
  customer_id: id().notNull(),
  master_agreement_id: id().notNull(),
  attachment_id: id().notNull(),
  ...recordColumns(),
});

/** Files about schedules. */
export const scheduleAgreementHasAttachment = pgTable('schedule_agreement_has_attachment', {
  schedule_agreement_has_attachment_id: identity().primaryKey(),
  customer_id: id().notNull(),
  schedule_agreement_id: id().notNull(),
  attachment_id: id().notNull(),
  ...recordColumns(),
});
