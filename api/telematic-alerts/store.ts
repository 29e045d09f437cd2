/** Alert rules in the database. Every function runs inside the caller's tenant transaction. */
import { and, asc, count, eq, gt } from 'drizzle-orm';
import { alertTypeLookup, equipment, telematicAlert } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import type { Principal } from '../auth/principal.ts';
import { requireMatch } from '../entity-tag.ts';
import { requireAccount, requireOwnRow } from '../ownership.ts';
import { fieldProblem, notFound, Problem } from '../problem.ts';
import { requireCondition } from './check.ts';
import type { AlertCreateBody, AlertPatchBody } from './schemas.ts';

export type AlertRow = typeof telematicAlert.$inferSelect;

export interface AlertFilters {
  readonly account_id?: number;
  readonly equipment_id?: number;
  readonly status?: AlertRow['status'];
}

/** Rules after the given id, in the order they were made. */
export function listAlerts(
  db: TenantDb,
  filters: AlertFilters,
  afterId: number | null,
  rowsMax: number,
): Promise<AlertRow[]> {
  const { account_id, equipment_id, status } = filters;
  return db
    .select()
    .from(telematicAlert)
    .where(
      and(
        account_id === undefined ? undefined : eq(telematicAlert.account_id, account_id),
        equipment_id === undefined ? undefined : eq(telematicAlert.equipment_id, equipment_id),
        status === undefined ? undefined : eq(telematicAlert.status, status),
        afterId === null ? undefined : gt(telematicAlert.telematic_alert_id, afterId),
      ),
    )
    .orderBy(asc(telematicAlert.telematic_alert_id))
    .limit(rowsMax);
}

/** Throws 404. */
export async function getAlert(db: TenantDb, id: number): Promise<AlertRow> {
  const rows = await db
    .select()
    .from(telematicAlert)
    .where(eq(telematicAlert.telematic_alert_id, id));
  if (!rows[0]) throw notFound('telematic alert');
  return rows[0];
}

/** Throws 422 for a condition or a reference that makes no sense, 409 when the tenant has its fill of rules. */
export async function createAlert(
  db: TenantDb,
  principal: Principal,
  body: AlertCreateBody,
  perTenantMax: number,
): Promise<AlertRow> {
  requireCondition({ operator_value_high: null, clear_value: null, ...body });
  const account_id = body.account_id ?? null;
  await requireAccount(db, principal, account_id);
  await requireUnit(db, body.equipment_id ?? null, account_id);
  const metric_code = await metricCodeOf(db, body);
  const [held] = await db.select({ rows: count() }).from(telematicAlert);
  if (held!.rows >= perTenantMax) {
    throw new Problem(
      'conflict',
      `there are ${perTenantMax} alert rules already, which is the limit`,
    );
  }
  const made = await db
    .insert(telematicAlert)
    .values({ ...body, metric_code, customer_id: principal.tenant.customerId })
    .returning();
  return made[0]!;
}

/** Applies a merge patch to the row as it is at this moment; an empty one changes nothing, not even the version. */
export async function patchAlert(
  db: TenantDb,
  principal: Principal,
  id: number,
  patch: AlertPatchBody,
  ifMatch: string | undefined,
): Promise<AlertRow> {
  const stored = await lockAlert(db, principal, id, ifMatch);
  if (Object.keys(patch).length === 0) return stored;
  const merged = { ...stored, ...patch };
  requireCondition(merged);
  if (patch.account_id !== undefined) await requireAccount(db, principal, merged.account_id);
  if (patch.account_id !== undefined || patch.equipment_id !== undefined) {
    await requireUnit(db, merged.equipment_id, merged.account_id);
  }
  if (patch.alert_type_lookup_id !== undefined) await metricCodeOf(db, merged);
  const changed = await db
    .update(telematicAlert)
    .set(patch)
    .where(eq(telematicAlert.telematic_alert_id, id))
    .returning();
  return changed[0]!;
}

/** Throws 404, 412 or 403. */
export async function deleteAlert(
  db: TenantDb,
  principal: Principal,
  id: number,
  ifMatch: string | undefined,
): Promise<void> {
  await lockAlert(db, principal, id, ifMatch);
  await db.delete(telematicAlert).where(eq(telematicAlert.telematic_alert_id, id));
}

async function lockAlert(
  db: TenantDb,
  principal: Principal,
  id: number,
  ifMatch: string | undefined,
): Promise<AlertRow> {
  const rows = await db
    .select()
    .from(telematicAlert)
    .where(eq(telematicAlert.telematic_alert_id, id))
    .for('update');
  const stored = rows[0];
  if (!stored) throw notFound('telematic alert');
  requireOwnRow(principal, stored);
  requireMatch(ifMatch, stored.version);
  return stored;
}

// A rule of one account for a unit of another would never fire.
async function requireUnit(
  db: TenantDb,
  equipmentId: number | null,
  accountId: number | null,
): Promise<void> {
  if (equipmentId === null) return;
  const rows = await db
    .select({ account_id: equipment.account_id })
    .from(equipment)
    .where(eq(equipment.equipment_id, equipmentId));
  const unit = rows[0];
  if (!unit) throw refuse('equipment_id', 'no such equipment');
  if (accountId !== null && unit.account_id !== accountId) {
    throw refuse('equipment_id', 'does not belong to the account of the rule');
  }
}

async function metricCodeOf(
  db: TenantDb,
  body: { alert_type_lookup_id?: number | null; metric_code?: string },
): Promise<string> {
  const { alert_type_lookup_id: typeId, metric_code } = body;
  if (typeId === undefined || typeId === null) {
    if (metric_code !== undefined) return metric_code;
    throw refuse('metric_code', 'is required without an alert_type_lookup_id');
  }
  const rows = await db
    .select({ metric_code: alertTypeLookup.metric_code })
    .from(alertTypeLookup)
    .where(eq(alertTypeLookup.alert_type_lookup_id, typeId));
  if (!rows[0]) throw refuse('alert_type_lookup_id', 'no such alert type');
  const code = metric_code ?? rows[0].metric_code;
  if (code === null) throw refuse('metric_code', 'is required, for the alert type names none');
  return code;
}

function refuse(field: string, detail: string): Problem {
  return fieldProblem('unprocessable', 'body', `/${field}`, detail);
}
