/**
 * Papers of vehicles that take each other's place, such as permits: whoever writes one may mark the others of the vehicle
 * (`is_superseded`, migrations/0038), so those of one vehicle are written one after the other.
 */
import { getTableName, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type { ResourceRules } from '../resources/define.ts';

/** Rules of a table of papers: its key, and the column that names the vehicle. */
export function paperRules(key: PgColumn, vehicle: PgColumn): ResourceRules {
  const { table } = key;
  const prefix = `${getTableName(table)}/`;
  return {
    async holding({ db }, id) {
      // The lock that the database takes once the row is written; here it is taken before the row is held.
      await db.execute(sql`
        select pg_advisory_xact_lock(hashtextextended(${prefix} || ${vehicle}, 0))
        from ${table} where ${key} = ${id}`);
    },
  };
}
