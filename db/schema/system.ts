/** What belongs to no domain. */
import { integer, jsonb, pgTable, pgView, primaryKey, text, varchar } from 'drizzle-orm/pg-core';
import { bytea, id, identity, instantNow } from './columns.ts';

/** Answers to requests that were sent with an Idempotency-Key. */
export const idempotencyKey = pgTable(
  'idempotency_key',
  {
    customer_id: id().notNull(),
    user_id: id().notNull(),
    idempotency_key: text().notNull(),
    request_hash: bytea().notNull(),
    response_status: integer().notNull(),
    response_headers: jsonb().$type<Record<string, string>>().notNull().default({}),
    response_body: jsonb(),
    created_at: instantNow(),
  },
  (t) => [primaryKey({ columns: [t.customer_id, t.user_id, t.idempotency_key] })],
);

/**
 * Coordinate systems, as PostGIS keeps them. Not there on a server that offers PostGIS, until `create extension postgis`
 * makes PostGIS' own.
 */
export const spatialRefSys = pgTable('spatial_ref_sys', {
  srid: integer().primaryKey(),
  auth_name: varchar({ length: 256 }),
  auth_srid: integer(),
  srtext: varchar({ length: 2048 }),
  proj4text: varchar({ length: 2048 }),
});

/** Everything that has a name or a number, to be searched; see `global_search` (migrations/0023_search.sql). */
export const globalSearchView = pgView('global_search_view', {
  id: text(),
  type: text(),
  title: text(),
  subtitle: text(),
  description: text(),
  route: text(),
  customer_id: id(),
  account_id: id(),
  search_text: text(),
}).existing();

/** What changed, by tenant in the order in which it was committed (migrations/0037_record_changes.sql). */
export const recordChange = pgTable(
  'record_change',
  {
    customer_id: id().notNull(),
    record_change_id: identity(),
    entity_type: text().notNull(),
    entity_id: text().notNull(),
    operation: text({ enum: ['created', 'updated', 'deleted'] }).notNull(),
    version: integer(),
    changed_at: instantNow(),
    account_ids: id().array(),
  },
  (t) => [primaryKey({ columns: [t.customer_id, t.record_change_id] })],
);
