/** Lists that records choose from and tenants add to: those with rows of everyone besides, and those of one tenant. */
import { sql } from 'drizzle-orm';
import { doublePrecision, pgTable, text } from 'drizzle-orm/pg-core';
import { id, identity, money, nameText, recordColumns } from './columns.ts';

const lookupStatus = () =>
  text({ enum: ['active', 'disabled'] })
    .notNull()
    .default('active');

/** Kinds of equipment; `customer_id` null is everyone's. */
export const equipmentTypeLookup = pgTable('equipment_type_lookup', {
  equipment_type_lookup_id: identity().primaryKey(),
  customer_id: id(),
  equipment_type: text().notNull(),
  equipment_name: text().notNull(),
  equipment_description: nameText(),
  equipment_class: text({
    enum: [
      'tractor',
      'truck',
      'trailer',
      'chassis',
      'container',
      'dolly',
      'bus',
      'light_vehicle',
      'machine',
      'other',
    ],
  }).notNull(),
  status: lookupStatus(),
  ...recordColumns(),
});

/** What may be wrong with a unit; `customer_id` null is everyone's. */
export const serviceIssuesLookup = pgTable('service_issues_lookup', {
  service_issues_lookup_id: identity().primaryKey(),
  customer_id: id(),
  type_name: text().notNull(),
  status: lookupStatus(),
  ...recordColumns(),
});

/** Codes of maintenance: system, assembly, component; `customer_id` null is everyone's. */
export const vmrsLookup = pgTable('vmrs_lookup', {
  vmrs_id: identity().primaryKey(),
  customer_id: id(),
  vmrs_code: text().notNull(),
  vmrs_level: text()
    .notNull()
    .generatedAlwaysAs(
      sql`case length(vmrs_code) when 3 then 'system' when 7 then 'assembly' else 'component' end`,
    ),
  vmrs_description: text().notNull(),
  labor_cost: money(),
  part_cost: money(),
  currency_code: text(),
  status: lookupStatus(),
  ...recordColumns(),
});

/** Yards, shops, terminals and offices of one tenant. */
export const facilityLookup = pgTable('facility_lookup', {
  facility_lookup_id: identity().primaryKey(),
  customer_id: id().notNull(),
  facility_code: text().notNull(),
  facility_name: text().notNull(),
  facility_description: nameText(),
  facility_type: text({ enum: ['yard', 'shop', 'terminal', 'office', 'vendor'] })
    .notNull()
    .default('yard'),
  street: text(),
  city: text(),
  state_code: text(),
  postal_code: text(),
  country_code: text(),
  latitude: doublePrecision(),
  longitude: doublePrecision(),
  phone: text(),
  status: lookupStatus(),
  ...recordColumns(),
});

/** Labels of one tenant. */
export const tagLookup = pgTable('tag_lookup', {
  tag_lookup_id: identity().primaryKey(),
  customer_id: id().notNull(),
  tag_name: text().notNull(),
  color: text(),
  status: lookupStatus(),
  ...recordColumns(),
});
