/** Lists that records choose from. */
import { pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import { identity } from './columns.ts';

/** Units of measurement. */
export const uomLookup = pgTable('uom_lookup', {
  uom_lookup_id: identity().primaryKey(),
  uom_type: text().notNull(),
  uom_code: text().notNull(),
  description: text().notNull(),
});
