/** Gateway tokens in the database. Every function runs inside the caller's tenant transaction; hashes are never read. */
import { and, asc, count, eq, gt, inArray } from 'drizzle-orm';
import { gatewayToken, iotDevice } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { makeDeviceToken } from '../auth/device-token.ts';
import type { Principal } from '../auth/principal.ts';
import { requireMatch } from '../entity-tag.ts';
import { fieldProblem, notFound, Problem } from '../problem.ts';
import type { GatewayTokenCreateBody, GatewayTokenPatchBody } from './schemas.ts';

const gateway = gatewayToken;

const shown = {
  gateway_token_id: gateway.gateway_token_id,
  customer_id: gateway.customer_id,
  name: gateway.name,
  iot_device_ids: gateway.iot_device_ids,
  status: gateway.status,
  version: gateway.version,
  created_at: gateway.created_at,
  updated_at: gateway.updated_at,
};

export type GatewayTokenRow = Awaited<ReturnType<typeof getGatewayToken>>;

/** Tokens after the given id, in the order they were made. */
export function listGatewayTokens(
  db: TenantDb,
  filters: { readonly status?: GatewayTokenRow['status'] },
  afterId: number | null,
  rowsMax: number,
) {
  const { status } = filters;
  return db
    .select(shown)
    .from(gateway)
    .where(
      and(
        status === undefined ? undefined : eq(gateway.status, status),
        afterId === null ? undefined : gt(gateway.gateway_token_id, afterId),
      ),
    )
    .orderBy(asc(gateway.gateway_token_id))
    .limit(rowsMax);
}

/** Throws 404. */
export async function getGatewayToken(db: TenantDb, id: number) {
  const rows = await db.select(shown).from(gateway).where(eq(gateway.gateway_token_id, id));
  if (!rows[0]) throw notFound('gateway token');
  return rows[0];
}

/** Throws 403 for who is held to accounts, 409 when the tenant has its fill, 422 for devices that are not its own. */
export async function createGatewayToken(
  db: TenantDb,
  principal: Principal,
  body: GatewayTokenCreateBody,
  perTenantMax: number,
): Promise<GatewayTokenRow & { token: string }> {
  requireWholeCustomer(principal);
  const [held] = await db.select({ rows: count() }).from(gateway);
  if (held!.rows >= perTenantMax) {
    const detail = `there are ${perTenantMax} gateway tokens already, which is the limit`;
    throw new Problem('conflict', detail);
  }
  await requireDevices(db, body.iot_device_ids ?? null);
  const { token, hash } = makeDeviceToken();
  const { customerId } = principal.tenant;
  const made = await db
    .insert(gateway)
    .values({ ...body, customer_id: customerId, token_hash: hash })
    .returning(shown);
  return { ...made[0]!, token };
}

/** Applies a merge patch; an empty one changes nothing, not even the version. */
export async function patchGatewayToken(
  db: TenantDb,
  principal: Principal,
  id: number,
  patch: GatewayTokenPatchBody,
  ifMatch: string | undefined,
): Promise<GatewayTokenRow> {
  const stored = await lockGatewayToken(db, principal, id, ifMatch);
  if (Object.keys(patch).length === 0) return stored;
  await requireDevices(db, patch.iot_device_ids ?? null);
  const changed = await db
    .update(gateway)
    .set(patch)
    .where(eq(gateway.gateway_token_id, id))
    .returning(shown);
  return changed[0]!;
}

/** Gives the gateway a new token in place of the one before. */
export async function rotateGatewayToken(
  db: TenantDb,
  principal: Principal,
  id: number,
): Promise<GatewayTokenRow & { token: string }> {
  await lockGatewayToken(db, principal, id, undefined);
  const { token, hash } = makeDeviceToken();
  const changed = await db
    .update(gateway)
    .set({ token_hash: hash })
    .where(eq(gateway.gateway_token_id, id))
    .returning(shown);
  return { ...changed[0]!, token };
}

async function lockGatewayToken(
  db: TenantDb,
  principal: Principal,
  id: number,
  ifMatch: string | undefined,
): Promise<GatewayTokenRow> {
  const rows = await db
    .select(shown)
    .from(gateway)
    .where(eq(gateway.gateway_token_id, id))
    .for('update');
  if (!rows[0]) throw notFound('gateway token');
  requireWholeCustomer(principal);
  requireMatch(ifMatch, rows[0].version);
  return rows[0];
}

// A gateway speaks for devices of any account.
function requireWholeCustomer({ tenant }: Principal): void {
  if (tenant.accountIds === null) return;
  throw new Problem('forbidden', 'it belongs to the whole customer, and you are held to accounts');
}

async function requireDevices(db: TenantDb, deviceIds: readonly number[] | null): Promise<void> {
  if (deviceIds === null || deviceIds.length === 0) return;
  const rows = await db
    .select({ id: iotDevice.iot_device_id })
    .from(iotDevice)
    .where(inArray(iotDevice.iot_device_id, [...deviceIds]));
  const known = new Set(rows.map((row) => row.id));
  const missing = deviceIds.findIndex((id) => !known.has(id));
  if (missing === -1) return;
  throw fieldProblem('unprocessable', 'body', `/iot_device_ids/${missing}`, 'no such device');
}
