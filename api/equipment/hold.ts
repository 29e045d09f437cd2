/**
 * Locks of units. Whatever reckons with what hangs on a unit (its orders, inspections, maintenance and readings) holds the
 * unit first, then the record itself, then what hangs on that: so of two that touch the same, one waits for the other.
 */
import { eq, sql } from 'drizzle-orm';
import type { AnyPgTable, PgColumn } from 'drizzle-orm/pg-core';
import type { TenantDb } from '../../db/tenancy.ts';

/** Holds units until the transaction ends, in the order of their ids; also those of accounts that the caller does not see. */
export async function holdUnits(db: TenantDb, unitIds: Iterable<number>): Promise<void> {
  const ids = [...new Set(unitIds)].sort((a, b) => a - b);
  await db.execute(
    sql`select hold_unit(unit) from unnest(${sql.param(ids)}::bigint[]) with ordinality as u (unit, place) order by place`,
  );
}

interface OfUnit {
  readonly table: AnyPgTable;
  readonly key: PgColumn;
  readonly unit: PgColumn;
}

/** Holds the unit of a record that is not held yet. What is not there is for the lock of the record to find. */
export async function holdUnitOf(
  db: TenantDb,
  { table, key, unit }: OfUnit,
  id: string | number,
): Promise<void> {
  const [row] = await db.select({ unit }).from(table).where(eq(key, id));
  if (row) await holdUnits(db, [row.unit as number]);
}
