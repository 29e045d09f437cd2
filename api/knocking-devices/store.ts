/**
 * Knocking devices in the database, inside the caller's tenant transaction. A tenant sees those that its own gateways
 * vouch for; of any other it learns only that it knocked, and only by naming it exactly.
 */
import { and, desc, eq, lt, sql } from 'drizzle-orm';
import { knockingDevice } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';

export type KnockRow = typeof knockingDevice.$inferSelect;

/** A knock as it is told to anybody who can name it. */
export type BareKnock = Pick<
  KnockRow,
  'protocol' | 'device_identifier' | 'knock_count' | 'first_seen_at' | 'last_seen_at'
>;

const knock = knockingDevice;

/** Knocks that the tenant's gateways vouch for, before the given id, newest name first. */
export function listKnocks(
  db: TenantDb,
  filters: { readonly protocol?: string },
  beforeId: number | null,
  rowsMax: number,
): Promise<KnockRow[]> {
  const { protocol } = filters;
  return db
    .select()
    .from(knock)
    .where(
      and(
        protocol === undefined ? undefined : eq(knock.protocol, protocol),
        beforeId === null ? undefined : lt(knock.knocking_device_id, beforeId),
      ),
    )
    .orderBy(desc(knock.knocking_device_id))
    .limit(rowsMax);
}

/** The knock of exactly this device that the tenant's gateways vouch for, or null. */
export async function vouchedKnock(
  db: TenantDb,
  protocol: string,
  deviceName: string,
): Promise<KnockRow | null> {
  const rows = await db
    .select()
    .from(knock)
    .where(and(eq(knock.protocol, protocol), eq(knock.device_identifier, deviceName)));
  return rows[0] ?? null;
}

/** The knock of exactly this device that nobody vouches for, or null. */
export async function bareKnock(
  db: TenantDb,
  protocol: string,
  deviceName: string,
): Promise<BareKnock | null> {
  const rows = await db
    .select({
      protocol: sql<string>`protocol`,
      device_identifier: sql<string>`device_identifier`,
      knock_count: sql<number>`knock_count`.mapWith(knock.knock_count),
      first_seen_at: sql<Date>`first_seen_at`.mapWith(knock.first_seen_at),
      last_seen_at: sql<Date>`last_seen_at`.mapWith(knock.last_seen_at),
    })
    .from(sql`find_knock(${protocol}, ${deviceName})`);
  return rows[0] ?? null;
}
