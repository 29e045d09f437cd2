/**
 * Rows of a resource in the database: read, made, changed, deleted. Everything runs in the transaction of the request,
 * as its tenant; what row-level security cannot put into words is asked here.
 */
import { sql, type SQL } from 'drizzle-orm';
import type pg from 'pg';
import type { TenantDb } from '../../db/tenancy.ts';
import type { Principal } from '../auth/principal.ts';
import { requireMatch } from '../entity-tag.ts';
import type { Quotas } from '../context.ts';
import { mergePatch } from '../merge-patch.ts';
import { requireAccount, requireOwnRow } from '../ownership.ts';
import { fieldProblem, notFound, Problem } from '../problem.ts';
import { UpdateRefused } from '../problem-mapping.ts';
import { countForQuota } from '../quota.ts';
import type { Row } from './define.ts';
import { JSON_DEPTH_MAX, JSON_MEMBERS_MAX, type Field } from './fields.ts';
import { isThere, projection, selectRow, selectThere, toStatement, type RowLock } from './query.ts';
import type { Resource } from './resource.ts';
import { beginState, moveState } from './states.ts';

/** The transaction of a request, and who asks. */
export interface Work {
  readonly db: TenantDb;
  readonly client: pg.PoolClient;
  readonly principal: Principal;
  readonly quotas: Quotas;
  /** When the request is answered, in epoch milliseconds. */
  readonly nowMs: number;
  /** Rows that the tenant may yet make, by resource, where somebody has counted. */
  readonly room: Map<string, number>;
}

/** A row that was made, and what is shown of it this once. */
export interface Made {
  readonly row: Row;
  readonly secrets: Row | null;
}

/** Rows with values as the pools give them: instants as Date, days as text. */
export async function run(client: pg.PoolClient, query: SQL): Promise<Row[]> {
  const { text, values } = toStatement(query);
  return (await client.query<Row>(text, values)).rows;
}

/** Throws 404 when it is not there, or not the caller's. */
export async function getRow(work: Work, resource: Resource, key: string | number): Promise<Row> {
  const [row] = await run(work.client, selectRow(resource, key, { lock: false }));
  if (!row) throw notFound(resource.noun);
  return row;
}

/** Makes a row of a validated body. Throws 422 or 403 naming the field that cannot be so, and 409 where there is no room. */
export async function createRow(work: Work, resource: Resource, body: Row): Promise<Row> {
  return (await makeRow(work, resource, body)).row;
}

/** The same, with the secrets of the row. */
export async function makeRow(work: Work, resource: Resource, body: Row): Promise<Made> {
  const { principal } = work;
  if (resource.hasAccount && resource.writable.has('account_id')) {
    await requireAccount(work.db, principal, (body['account_id'] ?? null) as number | null);
  }
  await requireReferences(work, resource, body);
  await requireOwnParents(work, resource, body);
  const begun = resource.states ? beginState(resource.states, moverOf(work), body) : body;
  const values = (await resource.rules.prepare?.(work, begun, null, body)) ?? begun;
  const left = await requireRoom(work, resource);
  const made = await insertRow(work, resource, values);
  await resource.rules.written?.(work, made.row, null);
  if (left !== null) work.room.set(resource.name, left - 1);
  return made;
}

function moverOf({ principal, nowMs }: Work) {
  return { nowMs, userId: principal.userId };
}

async function insertRow(work: Work, resource: Resource, values: Row): Promise<Made> {
  if (resource.rules.insert) {
    const { key, secrets = null } = await resource.rules.insert(work, values);
    return { row: await getRow(work, resource, key), secrets };
  }
  const row = await write(work, resource, insertOf(work, resource, [values]));
  return { row: row!, secrets: null };
}

/** Runs a statement that writes one row, and gives the row as it is shown; undefined where there was none. */
async function write(
  { client }: Work,
  resource: Resource,
  statement: SQL,
): Promise<Row | undefined> {
  if (!resource.joined) {
    const shown = projection(resource.fields.values());
    return (await run(client, sql`${statement} returning ${shown}`))[0];
  }
  // What it is shown with cannot be read in the same breath.
  const [written] = await run(client, sql`${statement} returning ${resource.key.column} as key`);
  if (!written) return undefined;
  const key = written['key'] as string | number;
  return (await run(client, selectRow(resource, key, { lock: false })))[0];
}

/**
 * How many rows the tenant may yet make; null: as many as it likes. Counted once a request, in all accounts of the tenant,
 * and no further than the quota.
 * Throws 409 where there is no room.
 */
async function requireRoom(work: Work, resource: Resource): Promise<number | null> {
  const { quota, name, nouns } = resource;
  if (quota === null) return null;
  const max = work.quotas[quota];
  const left = work.room.get(name) ?? max - (await countForQuota(work.db, name, max));
  if (left > 0) {
    work.room.set(name, left);
    return left;
  }
  throw new Problem('conflict', `there are ${max} ${nouns} already, which is the limit`);
}

/** The statement that puts rows of the same columns into the table, in their order; nothing of them has been looked at. */
export function insertOf({ principal }: Work, resource: Resource, rows: readonly Row[]): SQL {
  const owner = resource.hasCustomer ? { customer_id: principal.tenant.customerId } : {};
  const fields = Object.keys({ ...rows[0], ...owner }).map((name) => fieldOf(resource, name));
  const columns = fields.map(({ name }) => sql.identifier(name));
  const values = rows.map((row) => {
    const owned: Row = { ...row, ...owner };
    const given = fields.map((field) => parameter(field, owned[field.name]));
    return sql`(${sql.join(given, sql`, `)})`;
  });
  return sql`insert into ${resource.table} (${sql.join(columns, sql`, `)}) values ${sql.join(values, sql`, `)}`;
}

/**
 * Applies a merge patch to the row as it is at this moment; one that changes nothing leaves the version as it is. Throws
 * 404, 403, 412, or 428 without an `If-Match`. `look` sees the row before, and may throw.
 */
export async function patchRow(
  work: Work,
  resource: Resource,
  key: string | number,
  [patch, ifMatch]: [Row, string | undefined],
  look?: (stored: Row) => void,
): Promise<Row> {
  await resource.rules.holding?.(work, key, patch);
  const stored = await lockRow(work, resource, key, ifMatch);
  look?.(stored);
  const changes = mergeRow(resource, stored, patch);
  if (Object.keys(changes).length === 0) return stored;
  const { states } = resource;
  const merged = states
    ? moveState(states, moverOf(work), { stored, given: patch, changes })
    : changes;
  if (resource.hasAccount && 'account_id' in merged) {
    await requireAccount(work.db, work.principal, merged['account_id'] as number | null);
  }
  await requireReferences(work, resource, merged);
  await requireLiving(work, resource, { ...stored, ...merged });
  await requireOwnParents(work, resource, { ...stored, ...merged });
  const values = (await resource.rules.prepare?.(work, merged, stored, patch)) ?? merged;
  const row = await updateRow(work, resource, key, values);
  await resource.rules.written?.(work, row, stored);
  return row;
}

/** Writes columns of a row that is there; for rules too, which set what callers may not. */
export async function updateRow(
  work: Work,
  resource: Resource,
  key: string | number,
  values: Row,
): Promise<Row> {
  const sets = Object.entries(values).map(([name, value]) => {
    const field = fieldOf(resource, name);
    return sql`${sql.identifier(field.name)} = ${parameter(field, value)}`;
  });
  const row = await write(
    work,
    resource,
    sql`update ${resource.table} set ${sql.join(sets, sql`, `)} where ${resource.key.column} = ${key}`,
  ).catch((error: unknown) => {
    throw new UpdateRefused(error);
  });
  if (!row) throw notFound(resource.noun);
  return row;
}

/** Evidence is marked as deleted; everything else is removed. Throws 404, 403, 412, 428, or 409 where something refers to it. */
export async function deleteRow(
  work: Work,
  resource: Resource,
  key: string | number,
  ifMatch: string | undefined,
): Promise<void> {
  await resource.rules.holding?.(work, key, null);
  const stored = await lockRow(work, resource, key, ifMatch, 'update');
  await requireOwnParents(work, resource, stored);
  await resource.rules.removing?.(work, stored);
  const where = sql`where ${resource.key.column} = ${key}`;
  const statement = resource.isEvidence
    ? sql`update ${resource.table} set deleted_at = now(), deleted_by = app_user_id() ${where}`
    : sql`delete from ${resource.table} ${where}`;
  await run(work.client, statement);
  await resource.rules.removed?.(work, stored);
}

/** The row, held until the transaction ends, after it was made sure that the caller may change it and has seen it. */
export async function lockRow(
  work: Work,
  resource: Resource,
  key: string | number,
  ifMatch: string | undefined,
  lock: RowLock = 'no key update',
): Promise<Row> {
  const [stored] = await run(work.client, selectRow(resource, key, { lock }));
  if (!stored) throw await absence(work, resource, key);
  if (resource.hasAccount) requireOwnRow(work.principal, stored as { account_id: number | null });
  if (ifMatch === undefined) {
    throw new Problem(
      'precondition_required',
      'send If-Match with the ETag of what you have read, or *',
    );
  }
  requireMatch(ifMatch, stored['version'] as number);
  return stored;
}

/** What is shipped for everyone can be read and cannot be locked: row-level security says so. */
async function absence(work: Work, resource: Resource, key: string | number): Promise<Problem> {
  const [shown] = await run(work.client, selectRow(resource, key, { lock: false }));
  if (shown?.['customer_id'] !== null) return notFound(resource.noun);
  return new Problem('forbidden', 'it is shipped with Milepost; add one of your own');
}

/** The columns that a patch changes, with their new values. */
function mergeRow(resource: Resource, stored: Row, patch: Row): Row {
  const changed: Row = {};
  for (const [name, value] of Object.entries(patch)) {
    const isObject = fieldOf(resource, name).kind === 'json';
    const next = isObject && value !== null ? mergePatch(stored[name], value) : value;
    if (isObject) requireBounded(next, name);
    if (!isSame(fieldOf(resource, name), stored[name], next)) changed[name] = next;
  }
  return changed;
}

/** What a patch makes of an object is bounded like what is sent whole; arrays are sent whole. Throws 422. */
function requireBounded(value: unknown, name: string, depth = 0): void {
  if (typeof value !== 'object' || value === null) return;
  const members = Object.values(value);
  const refuse = (detail: string) => fieldProblem('unprocessable', 'body', `/${name}`, detail);
  if (!Array.isArray(value) && members.length > JSON_MEMBERS_MAX) {
    throw refuse(`would have more than ${JSON_MEMBERS_MAX} members on a level`);
  }
  if (depth > JSON_DEPTH_MAX * 2) {
    throw refuse(`would be nested deeper than ${JSON_DEPTH_MAX * 2} levels`);
  }
  for (const member of members) requireBounded(member, name, depth + 1);
}

function isSame(field: Field, stored: unknown, next: unknown): boolean {
  if (stored instanceof Date) return stored.getTime() === Date.parse(String(next));
  if (field.kind === 'json' || field.kind === 'list')
    return JSON.stringify(stored) === JSON.stringify(next);
  return stored === next;
}

/**
 * Those of many bodies about which nothing needs to be asked any more: the resource has no rules of its own for new rows,
 * and what they refer to is there for the caller, which is looked up for all of them at once. About the others
 * {@link createRow} tells what is wrong, if anything is.
 */
export async function findPlain(
  { client, principal }: Work,
  resource: Resource,
  bodies: readonly Row[],
): Promise<Set<Row>> {
  const isHeld = principal.tenant.accountIds !== null;
  const { rules, states, references, hasAccount, writable, quota } = resource;
  if (states !== null) return new Set();
  if (rules.prepare || rules.insert || rules.written || quota !== null) return new Set();
  if (isHeld && !hasAccount) return new Set();
  const plain = new Set(
    isHeld && writable.has('account_id')
      ? bodies.filter((body) => (body['account_id'] ?? null) !== null)
      : bodies,
  );
  for (const reference of references) {
    const { name } = reference;
    const values = new Set([...plain].map((body) => body[name] ?? null));
    values.delete(null);
    if (values.size === 0) continue;
    const rows = await run(client, selectThere(reference, [...values]));
    const found = new Set<unknown>(rows.map((row) => row['key']));
    for (const body of plain) {
      const value = body[name] ?? null;
      if (value !== null && !found.has(value)) plain.delete(body);
    }
  }
  return plain;
}

/** Throws 422 for a reference to what is not there, or not there for the caller. */
async function requireReferences(work: Work, resource: Resource, values: Row): Promise<void> {
  const asked = resource.references.filter(
    ({ name }) => name !== 'account_id' && values[name] !== undefined && values[name] !== null,
  );
  if (asked.length === 0) return;
  const checks = asked.map(
    (reference, index) =>
      sql`${isThere(reference, values[reference.name])} as ${sql.identifier(String(index))}`,
  );
  const [found] = await run(work.client, sql`select ${sql.join(checks, sql`, `)}`);
  const errors = asked
    .filter((_reference, index) => found![String(index)] !== true)
    .map(({ name }) => ({
      in: 'body' as const,
      pointer: `/${name}`,
      detail: 'refers to nothing that exists',
    }));
  if (errors.length === 0) return;
  const detail = errors.map(({ pointer, detail }) => `${pointer.slice(1)} ${detail}`).join('; ');
  throw new Problem('unprocessable', detail, { errors });
}

/**
 * Throws 409 for a row that cannot be without what is marked as deleted by now. It stands by itself, so it is still shown
 * and can be deleted as well; what is only part of something deleted is not found in the first place.
 */
async function requireLiving(work: Work, resource: Resource, values: Row): Promise<void> {
  const required = resource.references.filter(
    ({ isEvidence, isRequired }) => isEvidence && isRequired,
  );
  if (required.length === 0) return;
  // What the caller does not see, such as an invoice of another account, is not known to be gone.
  const checks = required.map((reference, index) => {
    const value = values[reference.name];
    const { table, key } = reference;
    return sql`exists (select from ${table} where ${key.column} = ${value}) and not ${isThere(reference, value)}
      as ${sql.identifier(String(index))}`;
  });
  const [found] = await run(work.client, sql`select ${sql.join(checks, sql`, `)}`);
  const gone = required.find((_reference, index) => found![String(index)] === true);
  if (gone) throw fieldProblem('conflict', 'body', `/${gone.name}`, 'refers to what is deleted');
}

/**
 * Throws 403 where the caller is held to accounts, and the row, which has no account of its own, belongs to the whole
 * customer: because what it hangs on does, or because it hangs on nothing that has an account.
 */
export async function requireOwnParents(
  work: Work,
  resource: Resource,
  values: Row,
): Promise<void> {
  const isHeld = work.principal.tenant.accountIds !== null;
  if (!isHeld || resource.hasAccount || !resource.hasCustomer || resource.heldMayWrite) return;
  const parents = resource.references.filter(
    ({ name, hasAccount }) => hasAccount && values[name] !== undefined && values[name] !== null,
  );
  const checks = parents.map(
    ({ table, key, name }) =>
      sql`exists (select from ${table} where ${key.column} = ${values[name]} and account_id is null)`,
  );
  if (parents.length > 0) {
    const [found] = await run(work.client, sql`select ${sql.join(checks, sql` or `)} as whole`);
    if (found!['whole'] !== true) return;
  }
  throw new Problem('forbidden', 'it belongs to the whole customer, and you are held to accounts');
}

function fieldOf(resource: Resource, name: string): Field {
  const field = resource.fields.get(name);
  if (!field)
    throw fieldProblem('invalid_request', 'body', `/${name}`, 'is not a field that is known here');
  return field;
}

function parameter(field: Field, value: unknown): SQL {
  if (field.kind === 'json')
    return value === null ? sql`null` : sql`${JSON.stringify(value)}::jsonb`;
  if (field.kind === 'list') {
    return field.column.getSQLType().startsWith('text')
      ? sql`${sql.param(value)}::text[]`
      : sql`${sql.param(value)}::bigint[]`;
  }
  return sql`${value}`;
}
