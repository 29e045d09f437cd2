/** What an alert rule must be to be one: a condition with sense, a metric to watch, a unit that it can fire for. */
import { eq } from 'drizzle-orm';
import { alertTypeLookup, equipment } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { fieldProblem, type Problem } from '../problem.ts';
import type { ResourceRules, Row } from '../resources/define.ts';
import { requireCondition, type Condition } from './check.ts';

const NO_BOUNDS = { operator_value_high: null, clear_value: null };

export const alertRuleRules: ResourceRules = {
  async prepare({ db }, values, stored) {
    const rule: Row = { ...NO_BOUNDS, ...stored, ...values };
    requireCondition(rule as unknown as Condition);
    if ('equipment_id' in values || 'account_id' in values) await requireUnit(db, rule);
    return stored ? values : { ...values, metric_code: await metricCodeOf(db, values) };
  },
};

// A rule of one account for a unit of another would never fire.
async function requireUnit(
  db: TenantDb,
  { equipment_id: unitId = null, account_id: accountId = null }: Row,
): Promise<void> {
  if (unitId === null || accountId === null) return;
  const [unit] = await db
    .select({ account_id: equipment.account_id })
    .from(equipment)
    .where(eq(equipment.equipment_id, unitId as number));
  if (unit?.account_id === accountId) return;
  throw refuse('equipment_id', 'does not belong to the account of the rule');
}

/** What is watched: what the rule says, or else its alert type. */
async function metricCodeOf(
  db: TenantDb,
  { alert_type_lookup_id: typeId = null, metric_code: said }: Row,
): Promise<string> {
  if (typeof said === 'string') return said;
  if (typeId === null) throw refuse('metric_code', 'is required without an alert_type_lookup_id');
  const [type] = await db
    .select({ metric_code: alertTypeLookup.metric_code })
    .from(alertTypeLookup)
    .where(eq(alertTypeLookup.alert_type_lookup_id, typeId as number));
  const code = type?.metric_code ?? null;
  if (code === null) throw refuse('metric_code', 'is required, for the alert type names none');
  return code;
}

function refuse(field: string, detail: string): Problem {
  return fieldProblem('unprocessable', 'body', `/${field}`, detail);
}
