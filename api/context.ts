/** What the routes are given, and the one way they reach the database: as the caller's tenant. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type pg from 'pg';
import type { JsonRow } from '../db/json-rows.ts';
import { withTenant, type TenantDb } from '../db/tenancy.ts';
import type { FenceSettings } from '../engine/types.ts';
import { principalOf, type Limiter } from './guard.ts';
import { Problem } from './problem.ts';
import { isLate } from './time-limit.ts';
import { toPage, type CursorScope, type Cursors, type Page, type Position } from './pagination.ts';

/**
 * Rows that one tenant may hold in all its accounts, whoever makes them; checked on insert, so simultaneous inserts may pass
 * it by a few. Retired devices are not counted.
 */
export interface Quotas {
  readonly geofencesPerTenantMax: number;
  readonly alertsPerTenantMax: number;
  readonly devicesPerTenantMax: number;
  readonly gatewayTokensPerTenantMax: number;
  /** Commands of one device that are neither delivered nor over. */
  readonly openCommandsPerDeviceMax: number;
  /** Files of one unit, one work order and so on. */
  readonly attachmentsPerParentMax: number;
}

export const QUOTAS: Quotas = {
  geofencesPerTenantMax: 50_000,
  alertsPerTenantMax: 10_000,
  devicesPerTenantMax: 1_000_000,
  gatewayTokensPerTenantMax: 1_000,
  openCommandsPerDeviceMax: 100,
  attachmentsPerParentMax: 500,
};

/**
 * The tenant's fences that hold a point, of all its accounts, as the running engine has them. Whoever asks must leave out
 * what the caller may not see.
 */
export type FencesAt = (
  tenantId: number,
  lonDeg: number,
  latDeg: number,
) => readonly FenceSettings[];

export interface ApiContext {
  /** Connections of the role `milepost_api`. */
  readonly pool: pg.Pool;
  /** Connections of the role `milepost_runner`. */
  readonly runnerPool: pg.Pool;
  readonly cursors: Cursors;
  readonly quotas: Quotas;
  /** Counts the devices that a tenant tries to register. */
  readonly registrations: Limiter;
  /** Where the browser opens its WebSocket. */
  readonly liveUrl: string | null;
  readonly fencesAt: FencesAt;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** Runs `work` in a transaction that sees the rows of the caller's tenant and accounts, and no others. */
export function inTenant<T>(
  context: ApiContext,
  request: FastifyRequest,
  work: (db: TenantDb, client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const { tenant, userId, nowMs } = principalOf(request);
  const wanted = async (db: TenantDb, client: pg.PoolClient) => {
    const result = await work(db, client);
    // Whoever asked has been told already that it failed.
    if (isLate(request)) throw new Problem('unavailable', 'it took too long');
    return result;
  };
  return withTenant(context.pool, tenant, wanted, { userId, requestId: request.id, nowMs });
}

/** One page of a list, while it is being read. */
export interface OpenList {
  /** One more than the page holds: the surplus tells that there is another. */
  readonly rowsMax: number;
  /** The sort key of the last row of the page before; null on the first page. */
  readonly after: Position | null;
  page<T>(rows: T[], positionOf: (row: T) => Position): Page<T>;
}

/**
 * Reads `limit` and `cursor` of a list request. `list` names the list with its order; all other query fields are
 * filters, to which the cursor is bound. Throws 400 for a cursor that is not this list's.
 */
export function openList(context: ApiContext, request: FastifyRequest, list: string): OpenList {
  const { limit, cursor, ...filters } = request.query as { limit: number; cursor?: string };
  const scope: CursorScope = {
    list: `${list} ${JSON.stringify(request.params)}`,
    customerId: principalOf(request).tenant.customerId,
    filters,
  };
  return {
    rowsMax: limit + 1,
    after: cursor === undefined ? null : context.cursors.decode(scope, cursor),
    page: (rows, positionOf) =>
      toPage(rows, limit, (row) => context.cursors.encode(scope, positionOf(row))),
  };
}

/** Answers with rows as they were read: nothing is left out of them, so the statement may select what is shown and no more. */
export function sendPage(reply: FastifyReply, { data, page }: Page<JsonRow>): FastifyReply {
  const rows = data.map(({ json }) => json).join(',');
  return sendJson(reply, `{"data":[${rows}],"page":${JSON.stringify(page)}}`);
}

/** Answers with JSON that is made already. */
export function sendJson(reply: FastifyReply, json: string): FastifyReply {
  // As bytes: of a text, Node would first count those that it comes to, and then make room for three times as many.
  return reply.type('application/json; charset=utf-8').send(Buffer.from(json));
}
