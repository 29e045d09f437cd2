/**
 * The tables and views of `migrations/*.sql` for Drizzle, a file a domain. Property names are the SQL column names as they
 * stand, so a selected row is API JSON. `schema.db.test.ts` holds them against a migrated database column by column.
 *
 * How values arrive through Drizzle: `bigint` as number, `timestamptz` as Date (milliseconds), `date` as
 * `YYYY-MM-DD`, `numeric` as number, `bytea` as Buffer, `jsonb` parsed.
 */
export * from './schema/agreements.ts';
export * from './schema/attachment-content.ts';
export * from './schema/attachments.ts';
export * from './schema/billing.ts';
export * from './schema/equipment.ts';
export * from './schema/events.ts';
export * from './schema/exports.ts';
export * from './schema/fleet.ts';
export * from './schema/identity.ts';
export * from './schema/inspections.ts';
export * from './schema/maintenance.ts';
export * from './schema/notifications.ts';
export * from './schema/people.ts';
export * from './schema/reference.ts';
export * from './schema/roadside.ts';
export * from './schema/service.ts';
export * from './schema/system.ts';
export * from './schema/telemetry.ts';
export * from './schema/tenant-lists.ts';
export * from './schema/vehicles.ts';
