/** What the attachment store holds. */
import { pgTable, text } from 'drizzle-orm/pg-core';
import { id, instantNow } from './columns.ts';

/** Keys under which the attachment store may hold bytes; `attachment_id` null while an upload is not complete. */
export const attachmentContent = pgTable('attachment_content', {
  storage_key: text().primaryKey(),
  customer_id: id().notNull(),
  attachment_id: id(),
  noted_at: instantNow(),
});
