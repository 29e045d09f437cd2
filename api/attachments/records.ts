/** Attachments in the database. Every function runs inside the caller's tenant transaction. */
import { and, asc, count, eq, gt, isNull, sql, type SQL } from 'drizzle-orm';
import type { PgTable } from 'drizzle-orm/pg-core';
import { attachment, attachmentContent, customer } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import type { Principal } from '../auth/principal.ts';
import { requireMatch } from '../entity-tag.ts';
import { requirePermission } from '../guard.ts';
import { requireOwnRow } from '../ownership.ts';
import { notFound, Problem } from '../problem.ts';
import type { FileKind } from './kinds.ts';
import {
  ATTACHMENT_PARENTS,
  columnOf,
  rightTo,
  type AttachmentAction,
  type AttachmentParent,
} from './parents.ts';
import type { UploadFieldValues } from './schemas.ts';
import type { StoredBytes } from './store.ts';

/** A file whose bytes are in the store, and which has no row yet. */
export interface StoredFile extends StoredBytes {
  readonly key: string;
  readonly name: string;
  readonly kind: FileKind;
}

export interface ParentRow {
  readonly account_id: number | null;
}

export interface LinkedParent {
  readonly parent_type: string;
  readonly parent_id: number;
}

// At this moment in the time zone of the customer.
const today = (nowMs: number): SQL =>
  sql`(${instantOf(nowMs)} at time zone ${customer.time_zone})::date`;
const instantOf = (ms: number): SQL => sql`${new Date(ms).toISOString()}::timestamptz`;

function columns(nowMs: number) {
  return {
    attachment_id: attachment.attachment_id,
    account_id: attachment.account_id,
    name: attachment.name,
    mime_type: attachment.mime_type,
    document_category_type: attachment.document_category_type,
    description: attachment.description,
    url: attachment.url,
    size_bytes: attachment.size_bytes,
    sha256: sql<string>`encode(${attachment.sha256}, 'hex')`,
    expiration_date: attachment.expiration_date,
    is_expired: sql<boolean>`coalesce(${attachment.expiration_date} < ${today(nowMs)}, false)`,
    days_left: sql<number | null>`${attachment.expiration_date} - ${today(nowMs)}`,
    version: attachment.version,
    created_at: attachment.created_at,
    updated_at: attachment.updated_at,
    created_by: attachment.created_by,
  };
}

/**
 * The row that files are to hang on. Throws 404 when the caller sees none, 403 when it is not theirs to add to. One that
 * is written to stays in its account until the transaction ends, so that what comes to it comes to that account.
 */
export async function requireParent(
  db: TenantDb,
  principal: Principal,
  parent: AttachmentParent,
  id: number,
  action: AttachmentAction,
): Promise<ParentRow> {
  const accountId = columnOf(parent.table, 'account_id');
  const query = db
    .select({ account_id: accountId ?? sql<null>`null` })
    .from(parent.table)
    .where(and(eq(columnOf(parent.table, parent.key)!, id), notDeleted(parent.table)));
  const rows = (await (action === 'write' ? query.for('share') : query)) as ParentRow[];
  const row = rows[0];
  if (!row) throw notFound(parent.noun.replace(/^an? /, ''));
  if (action === 'write' && accountId !== undefined) requireOwnRow(principal, row);
  return row;
}

function notDeleted(table: PgTable): SQL | undefined {
  const column = columnOf(table, 'deleted_at');
  return column && isNull(column);
}

export interface AttachmentFilters {
  readonly category: string | undefined;
  /** Those that expire by so many days from today, and have not yet. */
  readonly withinDays: number | undefined;
}

/** The files of one parent after the given id, in the order they came. */
export function listAttachments(
  db: TenantDb,
  { parent, id, nowMs }: { parent: AttachmentParent; id: number; nowMs: number },
  { category, withinDays }: AttachmentFilters,
  afterId: number | null,
  rowsMax: number,
) {
  return db
    .select(columns(nowMs))
    .from(parent.link)
    .innerJoin(attachment, eq(columnOf(parent.link, 'attachment_id')!, attachment.attachment_id))
    .innerJoin(customer, eq(customer.customer_id, attachment.customer_id))
    .where(
      and(
        eq(columnOf(parent.link, parent.key)!, id),
        isNull(attachment.deleted_at),
        category === undefined
          ? undefined
          : sql`${attachment.document_category_type} = ${category}`,
        withinDays === undefined
          ? undefined
          : sql`${attachment.expiration_date} - ${today(nowMs)} between 0 and ${withinDays}`,
        afterId === null ? undefined : gt(attachment.attachment_id, afterId),
      ),
    )
    .orderBy(asc(attachment.attachment_id))
    .limit(rowsMax);
}

/**
 * One file and where its bytes are, for those who see something that it is linked to and have the right to that. Throws
 * 404 when the caller sees nothing that it is linked to, 403 when only the right is missing.
 */
export async function getAttachment(
  db: TenantDb,
  principal: Principal,
  id: number,
  nowMs: number,
  action: AttachmentAction = 'read',
) {
  const rows = await db
    .select({ ...columns(nowMs), storage_key: attachment.storage_key })
    .from(attachment)
    .innerJoin(customer, eq(customer.customer_id, attachment.customer_id))
    .where(and(eq(attachment.attachment_id, id), isNull(attachment.deleted_at)));
  if (!rows[0]) throw notFound('attachment');
  return { ...rows[0], parents: await requireLinked(db, principal, id, action) };
}

// To read, one parent that may be read is enough. What is deleted is gone from all of them.
async function requireLinked(
  db: TenantDb,
  principal: Principal,
  id: number,
  action: AttachmentAction,
): Promise<LinkedParent[]> {
  const { rows } = await db.execute<{ parent_type: string; parent_id: number }>(
    sql`${sql.join(
      ATTACHMENT_PARENTS.map((parent) => linksTo(parent, id)),
      sql` union all `,
    )} order by 1, 2`,
  );
  if (rows.length === 0) throw notFound('attachment');
  const rights = new Map(ATTACHMENT_PARENTS.map((one) => [one.type, rightTo(one, action)]));
  const allowed = rows.filter((row) => principal.permissions.has(rights.get(row.parent_type)!));
  if (allowed.length === 0 || (action === 'write' && allowed.length < rows.length)) {
    const missing = rows.find((row) => !allowed.includes(row))!;
    requirePermission(principal, rights.get(missing.parent_type));
  }
  return allowed.map((row) => ({ ...row, parent_id: Number(row.parent_id) }));
}

// Joined to the parent itself, so that its own row-level security has its say.
function linksTo({ type, table, link, key }: AttachmentParent, id: number): SQL {
  const condition = and(eq(columnOf(link, 'attachment_id')!, id), notDeleted(table));
  return sql`select ${type}::text as parent_type, ${columnOf(table, key)!} as parent_id
    from ${link} join ${table} on ${columnOf(table, key)!} = ${columnOf(link, key)!} where ${condition}`;
}

/** Notes a key before its bytes are stored: whatever happens next, the sweeper knows of them. */
export async function noteContent(
  db: TenantDb,
  { tenant }: Principal,
  storageKey: string,
): Promise<void> {
  await db
    .insert(attachmentContent)
    .values({ storage_key: storageKey, customer_id: tenant.customerId });
}

/** The rows of stored files and their links, all in this transaction. Throws 409 when the parent has its fill. */
export async function createAttachments(
  db: TenantDb,
  principal: Principal,
  { parent, id, nowMs }: { parent: AttachmentParent; id: number; nowMs: number },
  files: readonly StoredFile[],
  { fields, perParentMax, ageMsMax }: NewAttachments,
) {
  const { account_id } = await requireParent(db, principal, parent, id, 'write');
  const [held] = await db
    .select({ rows: count() })
    .from(parent.link)
    .innerJoin(attachment, eq(columnOf(parent.link, 'attachment_id')!, attachment.attachment_id))
    .where(and(eq(columnOf(parent.link, parent.key)!, id), isNull(attachment.deleted_at)));
  if (held!.rows + files.length > perParentMax) {
    throw new Problem('conflict', `${parent.noun} has at most ${perParentMax} attachments`);
  }
  const customer_id = principal.tenant.customerId;
  const { name, ...words } = fields;
  const ids: number[] = [];
  for (const file of files) {
    const [made] = await db
      .insert(attachment)
      .values({
        ...words,
        customer_id,
        account_id,
        name: name ?? file.name,
        mime_type: file.kind.mimeType,
        // The database writes the address, for it alone knows the id.
        url: '',
        storage_key: file.key,
        size_bytes: file.sizeBytes,
        sha256: file.sha256,
      })
      .returning({ attachment_id: attachment.attachment_id });
    const { attachment_id } = made!;
    await claimContent(db, file.key, attachment_id, ageMsMax);
    await db.insert(parent.link).values({ customer_id, [parent.key]: id, attachment_id });
    ids.push(attachment_id);
  }
  return db
    .select(columns(nowMs))
    .from(attachment)
    .innerJoin(customer, eq(customer.customer_id, attachment.customer_id))
    .where(sql`${attachment.attachment_id} = any (${sql.param(ids)}::bigint[])`)
    .orderBy(asc(attachment.attachment_id));
}

export interface NewAttachments {
  readonly fields: UploadFieldValues;
  readonly perParentMax: number;
  /** Bytes noted earlier than this may be on their way out. */
  readonly ageMsMax: number;
}

async function claimContent(
  db: TenantDb,
  storageKey: string,
  attachmentId: number,
  ageMsMax: number,
): Promise<void> {
  const claimed = await db
    .update(attachmentContent)
    .set({ attachment_id: attachmentId })
    .where(
      and(
        eq(attachmentContent.storage_key, storageKey),
        sql`${attachmentContent.noted_at} > clock_timestamp() - ${ageMsMax} * interval '1 ms'`,
      ),
    )
    .returning({ storage_key: attachmentContent.storage_key });
  if (claimed.length === 0)
    throw new Problem('unavailable', 'the upload took too long; send it again');
}

/** True when the date is past for the caller's customer. */
export async function isPast(db: TenantDb, date: string, nowMs: number): Promise<boolean> {
  const rows = await db
    .select({ is_past: sql<boolean>`${date}::date < ${today(nowMs)}` })
    .from(customer);
  return rows[0]?.is_past ?? true;
}

/** Locks a key that no attachment has come to; false when there is none. Waits for a commit that is under way. */
export async function lockUnclaimed(db: TenantDb, storageKey: string): Promise<boolean> {
  const rows = await db
    .select({ attachment_id: attachmentContent.attachment_id })
    .from(attachmentContent)
    .where(eq(attachmentContent.storage_key, storageKey))
    .for('update');
  return rows[0]?.attachment_id === null;
}

/** Forgets a key whose bytes are gone. */
export async function forgetContent(db: TenantDb, storageKey: string): Promise<void> {
  await db.delete(attachmentContent).where(eq(attachmentContent.storage_key, storageKey));
}

/** Marks it as deleted; the sweeper takes the bytes later. Throws 404, 403 or 412. */
export async function deleteAttachment(
  db: TenantDb,
  principal: Principal,
  id: number,
  nowMs: number,
  ifMatch: string | undefined,
): Promise<void> {
  // Locked first: of two who delete at once, the second finds nothing.
  await db
    .select({ id: attachment.attachment_id })
    .from(attachment)
    .where(eq(attachment.attachment_id, id))
    .for('update');
  const stored = await getAttachment(db, principal, id, nowMs, 'write');
  requireOwnRow(principal, stored);
  requireMatch(ifMatch, stored.version);
  await db
    .update(attachment)
    .set({ deleted_at: sql`now()`, deleted_by: principal.userId })
    .where(eq(attachment.attachment_id, id));
}
