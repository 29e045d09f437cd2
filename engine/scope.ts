/**
 * What concerns a device by whose it is: its tenant's fences, and the rules of its account and unit. Devices of one account
 * share a scope, unless a rule speaks of their unit alone.
 */
import type { Device, Rule } from './types.ts';
import type { TenantWorld, World } from './world.ts';
import { isInScope, tenantOf } from './world.ts';

/** The metrics that every fix carries, in the order in which they are evaluated. */
export const FIX_METRIC_CODES = ['speed_mps', 'accuracy_m', 'ignition', 'motion'] as const;

/** As of the tenant's `rulesEpoch`; after an edit of its rules there are others. */
export interface Scope {
  readonly tenant: TenantWorld;
  readonly rulesEpoch: number;
  /** Ascending by id. */
  readonly rules: readonly Rule[];
  readonly byCode: ReadonlyMap<string, readonly Rule[]>;
  /** By position in `FIX_METRIC_CODES`; null when no rule watches a metric of fixes. */
  readonly ofFix: readonly (readonly Rule[] | undefined)[] | null;
}

/** Scopes of one engine, made as they are asked for. */
export class Scopes {
  private readonly shared = new Map<TenantWorld, Map<number | null, Scope>>();
  private readonly unitsWithRules = new Map<TenantWorld, { epoch: number; units: Set<number> }>();

  /** O(1) for most devices; O(rules of the tenant) for the first of an account after an edit, and for a unit with its own. */
  of(world: World, device: Device): Scope {
    const tenant = tenantOf(world, device.tenantId);
    if (tenant.rules.size > 0 && this.hasOwnRules(tenant, device.equipmentId)) {
      return makeScope(tenant, device);
    }
    let ofTenant = this.shared.get(tenant);
    if (!ofTenant) this.shared.set(tenant, (ofTenant = new Map<number | null, Scope>()));
    let scope = ofTenant.get(device.accountId);
    if (scope?.rulesEpoch !== tenant.rulesEpoch) {
      scope = makeScope(tenant, device);
      ofTenant.set(device.accountId, scope);
    }
    return scope;
  }

  private hasOwnRules(tenant: TenantWorld, equipmentId: number): boolean {
    let known = this.unitsWithRules.get(tenant);
    if (known?.epoch !== tenant.rulesEpoch) {
      const units = new Set<number>();
      for (const rule of tenant.rules.values()) {
        if (rule.equipmentId !== null) units.add(rule.equipmentId);
      }
      known = { epoch: tenant.rulesEpoch, units };
      this.unitsWithRules.set(tenant, known);
    }
    return known.units.has(equipmentId);
  }
}

function makeScope(tenant: TenantWorld, device: Device): Scope {
  const rules = [...tenant.rules.values()]
    .filter((rule) => isInScope(rule, device))
    .filter(({ equipmentId }) => equipmentId === null || equipmentId === device.equipmentId)
    .sort((a, b) => a.ruleId - b.ruleId);
  const byCode = new Map<string, Rule[]>();
  for (const rule of rules) {
    const list = byCode.get(rule.metricCode);
    if (list) list.push(rule);
    else byCode.set(rule.metricCode, [rule]);
  }
  const ofFix = FIX_METRIC_CODES.map((code) => byCode.get(code));
  const { rulesEpoch } = tenant;
  return { tenant, rulesEpoch, rules, byCode, ofFix: ofFix.some(Boolean) ? ofFix : null };
}
