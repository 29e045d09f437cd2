/** What the identity provider has yet to be told. */
import { boolean, integer, pgTable, text, uuid } from 'drizzle-orm/pg-core';
import { id, identity, instant, instantNow } from './columns.ts';

/** One row: whether there is a provider to be told. */
export const identitySync = pgTable('identity_sync', {
  singleton: boolean().primaryKey().default(true),
  is_on: boolean().notNull().default(false),
});

/** Tasks about roles and users, written by triggers in the transaction of the change. */
export const identityTask = pgTable('identity_task', {
  identity_task_id: identity().primaryKey(),
  customer_id: id().notNull(),
  task_kind: text({ enum: ['role_sync', 'role_delete', 'user_sync'] }).notNull(),
  user_role_id: id(),
  user_id: id(),
  auth0_role_id: text(),
  status: text({ enum: ['queued', 'running', 'done', 'failed'] })
    .notNull()
    .default('queued'),
  try_count: integer().notNull().default(0),
  next_try_at: instantNow(),
  last_error: text(),
  created_at: instantNow(),
  started_at: instant(),
  finished_at: instant(),
  runner_id: uuid(),
  beat_at: instant(),
});
