/** Files that records carry. */
import { bigint, date, pgTable, text } from 'drizzle-orm/pg-core';
import { bytea, evidenceColumns, id, identity, nameText } from './columns.ts';

/** Files: what they are and how long they are kept; the bytes are in the attachment store under `storage_key`. */
export const attachment = pgTable('attachment', {
  attachment_id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id(),
  name: text().notNull(),
  mime_type: text().notNull(),
  document_category_type: text({
    enum: [
      'agreement',
      'inspection',
      'invoice',
      'insurance',
      'manual',
      'permit',
      'photo',
      'registration',
      'repair',
      'other',
    ],
  })
    .notNull()
    .default('other'),
  description: nameText(),
  url: text().notNull(),
  storage_key: text().notNull(),
  size_bytes: bigint({ mode: 'number' }).notNull(),
  sha256: bytea().notNull(),
  expiration_date: date({ mode: 'string' }),
  ...evidenceColumns(),
});
