/** Customers, their accounts, and those who sign in. */
import { sql } from 'drizzle-orm';
import { boolean, integer, jsonb, pgTable, text } from 'drizzle-orm/pg-core';
import { id, identity, instant, instantNow, money, nameText, recordColumns } from './columns.ts';

/** A user role's rights: resource → actions, as in `{"geofence": ["read", "write"]}`. */
export type RolePermission = Record<string, string[]>;

/** Tenants. */
export const customer = pgTable('customer', {
  customer_id: identity().primaryKey(),
  customer_name: text().notNull(),
  customer_class: text(),
  reference_number: text(),
  time_zone: text().notNull().default('UTC'),
  status: text({ enum: ['active', 'suspended', 'closed'] })
    .notNull()
    .default('active'),
  created_at: instantNow(),
  updated_at: instantNow(),
  version: integer().notNull().default(1),
  created_by: id().default(sql`app_user_id()`),
  contact_name: text(),
  contact_email: text(),
  contact_phone: text(),
  billing_street: text(),
  billing_city: text(),
  billing_state_code: text(),
  billing_postal_code: text(),
  country_code: text(),
  currency_code: text().notNull().default('USD'),
});

/** Parts of a tenant, as a tree. */
export const account = pgTable('account', {
  account_id: identity().primaryKey(),
  customer_id: id().notNull(),
  parent_account_id: id(),
  account_name: text().notNull(),
  account_number: text().notNull(),
  account_type: text({ enum: ['NATIONAL', 'REGIONAL'] }).notNull(),
  status: text({ enum: ['active', 'closed'] })
    .notNull()
    .default('active'),
  created_at: instantNow(),
  updated_at: instantNow(),
  version: integer().notNull().default(1),
  created_by: id().default(sql`app_user_id()`),
  contact_name: text(),
  contact_email: text(),
  contact_phone: text(),
  street: text(),
  city: text(),
  state_code: text(),
  postal_code: text(),
  country_code: text(),
  currency_code: text(),
  credit_limit: money(),
  repair_approval_limit: money(),
  payment_terms_days: integer().notNull().default(30),
});

/** Named sets of rights of one tenant. */
export const userRole = pgTable('user_role', {
  user_role_id: identity().primaryKey(),
  customer_id: id().notNull(),
  name: text().notNull(),
  auth0_role_id: text(),
  role_permission: jsonb().$type<RolePermission>().notNull().default({}),
  created_at: instantNow(),
  updated_at: instantNow(),
  version: integer().notNull().default(1),
  created_by: id().default(sql`app_user_id()`),
  description: nameText(),
  is_system: boolean().notNull().default(false),
  auth0_synced_at: instant(),
  auth0_sync_error: text(),
});

/**
 * People who sign in. An empty `assigned_account_ids` means every account of the tenant; each of them stands for all
 * accounts below it. `auth_0_reference_id` is null until somebody invited signs in for the first time.
 */
export const user = pgTable('user', {
  user_id: identity().primaryKey(),
  customer_id: id().notNull(),
  user_role_id: id().notNull(),
  email: text().notNull(),
  auth_0_reference_id: text(),
  first_name: nameText(),
  last_name: nameText(),
  assigned_account_ids: id().array().notNull().default([]),
  status: text({ enum: ['pending_approval', 'active', 'disabled', 'rejected'] })
    .notNull()
    .default('active'),
  created_at: instantNow(),
  updated_at: instantNow(),
  version: integer().notNull().default(1),
  created_by: id().default(sql`app_user_id()`),
  approved_by: id(),
  approved_at: instant(),
  rejected_reason: text(),
  last_sign_in_at: instant(),
  phone: text(),
  country_code: text(),
  time_zone: text(),
  language_code: text().notNull().default('en'),
  date_format_id: id(),
  time_format_id: id(),
  temperature_unit_id: id(),
  distance_unit_id: id(),
  pressure_unit_id: id(),
});

/** Lists whose columns people choose. */
export const columnPreferenceTableName = pgTable('column_preference_table_name', {
  column_preference_table_name_id: identity().primaryKey(),
  table_name: text().notNull(),
  description: nameText(),
});

/** Views of lists, each of one person: columns in their order, sort and filters as in the query of the list. */
export const columnPreferences = pgTable('column_preferences', {
  column_preferences_id: identity().primaryKey(),
  customer_id: id().notNull(),
  user_id: id().notNull(),
  column_preference_table_name_id: id().notNull(),
  view_name: text().notNull().default('Default'),
  selected_columns: jsonb().$type<string[]>().notNull(),
  sort: text(),
  filters: jsonb().$type<Record<string, unknown>>().notNull().default({}),
  is_default: boolean().notNull().default(false),
  ...recordColumns(),
});

/** Links that a tenant shows its people. */
export const tenQuickLink = pgTable('ten_quick_link', {
  ten_quick_link_id: identity().primaryKey(),
  customer_id: id().notNull(),
  name: text().notNull(),
  link: text().notNull(),
  description: nameText(),
  sort_order: integer().notNull().default(0),
  ...recordColumns(),
});
