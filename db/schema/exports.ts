/** Lists that are written to files. */
import { integer, jsonb, pgTable, text, uuid } from 'drizzle-orm/pg-core';
import { id, identity, instant, instantNow, recordColumns } from './columns.ts';

/** Jobs that write a list to a file; each is seen by the user who asked for it. */
export const exportJob = pgTable('export_job', {
  export_job_id: identity().primaryKey(),
  customer_id: id().notNull(),
  user_id: id().notNull(),
  account_ids: id().array(),
  resource: text().notNull(),
  format: text({ enum: ['csv', 'xlsx'] }).notNull(),
  query: jsonb().$type<Record<string, unknown>>().notNull().default({}),
  status: text({ enum: ['queued', 'running', 'ready', 'failed', 'expired', 'cancelled'] })
    .notNull()
    .default('queued'),
  rows_total_estimate: id(),
  rows_done: id().notNull().default(0),
  size_bytes: id(),
  storage_key: text(),
  error_code: text(),
  requested_at: instantNow(),
  started_at: instant(),
  finished_at: instant(),
  expires_at: instant(),
  runner_id: uuid(),
  beat_at: instant(),
  try_count: integer().notNull().default(0),
  ...recordColumns(),
});
