/** Lists that records choose from, the same for everyone: shipped, and written by migrations alone. */
import { boolean, integer, pgTable, text } from 'drizzle-orm/pg-core';
import { id, identity, nameText } from './columns.ts';

const lookupStatus = () =>
  text({ enum: ['active', 'disabled'] })
    .notNull()
    .default('active');

/** Units of measurement. */
export const uomLookup = pgTable('uom_lookup', {
  uom_lookup_id: identity().primaryKey(),
  uom_type: text().notNull(),
  uom_code: text().notNull(),
  description: text().notNull(),
});

/** Countries of ISO 3166-1. */
export const countryLookup = pgTable('country_lookup', {
  country_lookup_id: identity().primaryKey(),
  country_code: text().notNull(),
  country_code_alpha3: text().notNull(),
  country_code_numeric: text().notNull(),
  country_name: text().notNull(),
  status: lookupStatus(),
});

/** Currencies of ISO 4217; `currencytype` is the name. */
export const currencyLookup = pgTable('currency_lookup', {
  currency_lookup_id: identity().primaryKey(),
  currencytype: text().notNull(),
  description: nameText(),
  currency_code: text().notNull(),
  currency_code_numeric: text().notNull(),
  minor_unit_digits: integer().notNull(),
  status: lookupStatus(),
});

/** The words of every column that holds one of a closed set; `field_name` is table.column. */
export const simpleFieldLookup = pgTable('simple_field_lookup', {
  simple_field_lookup_id: identity().primaryKey(),
  field_name: text().notNull(),
  field_code: text().notNull(),
  short_description: text().notNull(),
  long_description: nameText(),
  sort_order: integer().notNull().default(0),
});

/** How a user may have dates written, and quantities shown. */
export const userMetricLookup = pgTable('user_metric_lookup', {
  user_metric_lookup_id: identity().primaryKey(),
  user_metric_code: text().notNull(),
  user_metric_description: text().notNull(),
  user_metric_type: text({
    enum: [
      'date_format',
      'time_format',
      'temperature',
      'distance',
      'speed',
      'pressure',
      'volume',
      'mass',
    ],
  }).notNull(),
  is_default: boolean().notNull().default(false),
});

/** Ways by which a notification reaches somebody. */
export const deliveryMethodLookup = pgTable('delivery_method_lookup', {
  delivery_id: identity().primaryKey(),
  method_type: text().notNull(),
  description: nameText(),
  status: lookupStatus(),
});

/** How soon a service is needed; `response_hours` null promises nothing. */
export const serviceUrgencyLookup = pgTable('service_urgency_lookup', {
  service_urgency_lookup_id: identity().primaryKey(),
  urgency_code: text().notNull(),
  description: text().notNull(),
  response_hours: integer(),
  sort_order: integer().notNull().default(0),
  status: lookupStatus(),
});

/** What kind of service is needed. */
export const serviceUrgencyTypeLookup = pgTable('service_urgency_type_lookup', {
  service_urgency_type_lookup_id: identity().primaryKey(),
  selection_code: text().notNull(),
  selection_name: text().notNull(),
  description: nameText(),
  status: lookupStatus(),
});

/** Sizes of tyres. */
export const tireSizeLookup = pgTable('tire_size_lookup', {
  tire_size_lookup_id: identity().primaryKey(),
  size_code: text().notNull(),
  size_display: text().notNull(),
  is_active: boolean().notNull().default(true),
});

/** Kinds of agreement, and how they are invoiced. */
export const contractTypeLookup = pgTable('contract_type_lookup', {
  contract_type_lookup_id: identity().primaryKey(),
  contract_type: text().notNull(),
  description: text().notNull(),
  frequency: text({
    enum: ['daily', 'weekly', 'monthly', 'quarterly', 'annual', 'once'],
  }).notNull(),
  billing_method: text({ enum: ['advance', 'arrears', 'usage', 'milestone'] }).notNull(),
  status: lookupStatus(),
});

/** Makers of vehicles, trailers, machines and their parts. */
export const oemLookup = pgTable('oem_lookup', {
  oem_lookup_id: identity().primaryKey(),
  manufacturer_code: text().notNull(),
  manufacturer_name: text().notNull(),
  status: lookupStatus(),
});

/** What makers build; `year` is a model's first. */
export const oemMakeModelLookup = pgTable('oem_make_model_lookup', {
  oem_make_model_lookup_id: identity().primaryKey(),
  oem_lookup_id: id().notNull(),
  make: text().notNull(),
  model: text().notNull(),
  year: integer(),
});
