/** Columns that many tables have, by the names they have in SQL. */
import { sql } from 'drizzle-orm';
import { bigint, customType, integer, numeric, text, timestamp } from 'drizzle-orm/pg-core';

export const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' });

export const id = () => bigint({ mode: 'number' });
export const identity = () => id().generatedByDefaultAsIdentity();
export const instant = () => timestamp({ withTimezone: true, mode: 'date' });
export const instantNow = () => instant().notNull().defaultNow();
export const nameText = () => text().notNull().default('');

/** An amount, in the currency that its row names and as fine as that is: to none to four decimals. */
export const money = () => numeric({ precision: 16, scale: 4, mode: 'number' });
/** A price of one, finer than an amount. */
export const rate = () => numeric({ precision: 14, scale: 4, mode: 'number' });

/** What `keep_records` adds to a table (migrations/0010_records.sql). `created_by` is a user, or null for the system. */
export const recordColumns = () => ({
  version: integer().notNull().default(1),
  created_at: instantNow(),
  updated_at: instantNow(),
  created_by: id().default(sql`app_user_id()`),
});

/** What `keep_evidence` adds: such a row is marked as deleted, and never removed. */
export const evidenceColumns = () => ({
  ...recordColumns(),
  deleted_at: instant(),
  deleted_by: id(),
});
