/**
 * Work done in the name of one tenant: a transaction in which row-level security shows that tenant's rows and no
 * others. States of one call: open (between BEGIN and COMMIT or ROLLBACK), then closed; a connection in
 * any other state, or in doubt, is thrown away rather than handed to the next tenant.
 */
import assert from 'node:assert/strict';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import type pg from 'pg';
import { jsonRows, objectRows, type JsonRow, type RowReader } from './json-rows.ts';
import { Pipeline } from './pipeline.ts';
import * as schema from './schema.ts';

/** Whose rows are seen. `accountIds` null is every account of the tenant; an empty list only rows without account. */
export interface Tenant {
  readonly customerId: number;
  readonly accountIds: readonly number[] | null;
}

/** Who reads; some rows are shown to one user alone. `userId` null: the system. A `Principal` is one. */
export interface Reader {
  readonly tenant: Tenant;
  readonly userId: number | null;
  /** What `app_now()` says it is, in epoch milliseconds; left out, the database's own clock. */
  readonly nowMs?: number | undefined;
}

/** By whom and for which request something is written, for the audit trail; left out, the system wrote it. */
export interface Actor {
  readonly userId: number;
  /** A UUID. */
  readonly requestId: string;
  /** What `app_now()` says it is, in epoch milliseconds; left out, the database's own clock. */
  readonly nowMs?: number | undefined;
}

export type TenantDb = NodePgDatabase<typeof schema>;

/** Most accounts that one person may be limited to, and that a customer has (migrations/0013). */
export const TENANT_ACCOUNT_IDS_MAX = 5_000;

/**
 * Runs `work` in one transaction as `tenant` and commits it; whatever `work` throws rolls back and is thrown on. The pool
 * must have been made with the role `milepost_api` (or another without BYPASSRLS). `db` and `client` are
 * dead once the transaction is over: a query by one who kept them rejects with `TENANT_CLOSED`, so it cannot run
 * as the next tenant. A transaction that had failed inside but was not reported rejects with `TENANT_NOT_COMMITTED`.
 * Two round trips beside those of `work`.
 */
export async function withTenant<T>(
  pool: pg.Pool,
  tenant: Tenant,
  work: (db: TenantDb, client: pg.PoolClient) => Promise<T>,
  actor: Actor | null = null,
): Promise<T> {
  const opening = openingSql(tenant, actor);
  const client = await pool.connect();
  const lease = leaseClient(client);
  try {
    await client.query(opening);
    const result = await work(drizzle(lease.client, { schema }), lease.client);
    lease.close();
    // COMMIT of a transaction that had failed is answered ROLLBACK, without an error.
    const ended = await client.query('commit');
    if (ended.command !== 'COMMIT') {
      throw codedError('TENANT_NOT_COMMITTED', 'a statement had failed, so nothing was committed');
    }
    client.release();
    return result;
  } catch (error) {
    lease.close();
    client.release(await rollbackFailed(client, error));
    throw error;
  }
}

/**
 * Reads one statement as `reader`, in a transaction of its own that cannot write: the whole of it is one round trip,
 * where `withTenant` takes three. The transaction is that of the pipeline, from its first statement to its end, and the
 * settings are over with it, whether it ends well or not. The text is kept prepared, so texts should be few and hold no
 * values; `values` are in the form `pg` takes them.
 */
export function readAsTenant<Row>(
  pool: pg.Pool,
  reader: Reader,
  statement: ReadStatement,
): Promise<Row[]> {
  return read<Row>(pool, reader, statement, objectRows);
}

/** The same, of rows as JSON: for what is shown as it was read. */
export function readJsonAsTenant(
  pool: pg.Pool,
  reader: Reader,
  statement: ReadStatement,
): Promise<JsonRow[]> {
  return read<JsonRow>(pool, reader, statement, jsonRows);
}

/** As `pg` takes it. */
export interface ReadStatement {
  readonly text: string;
  readonly values: readonly unknown[];
}

async function read<Row>(
  pool: pg.Pool,
  { tenant, userId, nowMs }: Reader,
  { text, values }: ReadStatement,
  rows: RowReader<unknown>,
): Promise<Row[]> {
  const { customerId, accounts } = settingsOf(tenant);
  assert(userId === null || isId(userId), 'userId is a positive integer');
  const pipeline = new Pipeline();
  const settings = [customerId, accounts, String(userId ?? ''), clockOf(nowMs)];
  pipeline.brief('tenant_settings', SETTINGS, settings);
  const answer = pipeline.recurring<Row>(text, values, rows);
  const client = await pool.connect();
  try {
    await pipeline.run(client);
    client.release();
    return answer.rows;
  } catch (error) {
    client.release(await rollbackFailed(client, error));
    throw error;
  }
}

const SETTINGS = `select set_config('app.customer_id', $1, true), set_config('app.account_ids', $2, true),
  set_config('app.user_id', $3, true), set_config('app.now_ms', $4, true),
  set_config('transaction_read_only', 'on', true)`;

function clockOf(nowMs: number | undefined): string {
  assert(nowMs === undefined || Number.isSafeInteger(nowMs), 'nowMs is an integer');
  return nowMs === undefined ? '' : String(nowMs);
}

function settingsOf({ customerId, accountIds }: Tenant): { customerId: string; accounts: string } {
  assert(isId(customerId), 'customerId is a positive integer');
  assert(accountIds === null || accountIds.length <= TENANT_ACCOUNT_IDS_MAX, 'too many accounts');
  assert(accountIds === null || accountIds.every(isId), 'accountIds are positive integers');
  const accounts = accountIds === null ? '' : `{${accountIds.join(',')}}`;
  return { customerId: String(customerId), accounts };
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

// One simple query: BEGIN and the settings share a round trip. Only checked integers and a UUID are written into it.
function openingSql(tenant: Tenant, actor: Actor | null): string {
  const { customerId, accounts } = settingsOf(tenant);
  assert(actor === null || (isId(actor.userId) && UUID.test(actor.requestId)), 'an actor of ids');
  const who = actor
    ? `, set_config('app.user_id', '${actor.userId}', true), set_config('app.request_id', '${actor.requestId}', true),
      set_config('app.now_ms', '${clockOf(actor.nowMs)}', true)`
    : '';
  return `begin; select set_config('app.customer_id', '${customerId}', true), set_config('app.account_ids', '${accounts}', true)${who}`;
}

function isId(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0;
}

// Gives an Error when the connection must not be used again.
async function rollbackFailed(client: pg.PoolClient, cause: unknown): Promise<Error | undefined> {
  // After pg has given up waiting, the connection still carries the old statement.
  if (cause instanceof Error && cause.message === 'Query read timeout') return cause;
  try {
    await client.query('rollback');
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

function leaseClient(client: pg.PoolClient): { client: pg.PoolClient; close: () => void } {
  let open = true;
  const send = client.query.bind(client) as (...args: unknown[]) => unknown;
  const query = (...args: unknown[]) => {
    if (!open) {
      return Promise.reject(codedError('TENANT_CLOSED', 'the transaction of this tenant is over'));
    }
    return send(...args);
  };
  const release = () => assert.fail('withTenant releases the connection itself');
  const leased = new Proxy(client, {
    get(target, property) {
      if (property === 'query') return query;
      if (property === 'release') return release;
      const value = Reflect.get(target, property, target) as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  return { client: leased, close: () => (open = false) };
}

function codedError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
