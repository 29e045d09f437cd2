/** Customers, their accounts, and those who sign in. */
import { sql } from 'drizzle-orm';
import { integer, jsonb, pgTable, text } from 'drizzle-orm/pg-core';
import { id, identity, instantNow, nameText } from './columns.ts';

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
});

/** People who sign in. An empty `assigned_account_ids` means every account of the tenant. */
export const user = pgTable('user', {
  user_id: identity().primaryKey(),
  customer_id: id().notNull(),
  user_role_id: id().notNull(),
  email: text().notNull(),
  auth_0_reference_id: text().notNull(),
  first_name: nameText(),
  last_name: nameText(),
  assigned_account_ids: id().array().notNull().default([]),
  status: text({ enum: ['active', 'disabled'] })
    .notNull()
    .default('active'),
  created_at: instantNow(),
  updated_at: instantNow(),
  version: integer().notNull().default(1),
  created_by: id().default(sql`app_user_id()`),
});
