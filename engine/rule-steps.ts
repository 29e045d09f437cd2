/**
 * What one value of a metric does to a device's threshold rules. Per rule a device is OK (nothing is kept), pending
 * or active.
 *
 *   OK → pending: the condition holds; → active at once when the rule asks for no hold
 *   pending → active (raised): it has held for `holdMs` of event time; → OK: it failed before
 *   active → OK (cleared): it fails, with `clearValue` in place of `value`, too
 *   any → dropped without an event: the rule is deleted, or no longer speaks of this device
 */
import { alertEvent } from './events.ts';
import type { Slot } from './slot.ts';
import type { EngineEvent, Rule, RuleState } from './types.ts';
import type { World } from './world.ts';
import { isInScope } from './world.ts';

/** The metrics that every fix carries, in the order in which they are evaluated. */
export const FIX_METRIC_CODES = ['speed_mps', 'accuracy_m', 'ignition', 'motion'] as const;

/** The rules of one device, ascending by id under each code. */
export interface ActiveRules {
  readonly rulesEpoch: number;
  readonly byCode: ReadonlyMap<string, readonly Rule[]>;
  /** By position in `FIX_METRIC_CODES`; null when no rule watches a metric of fixes. */
  readonly ofFix: readonly (readonly Rule[] | undefined)[] | null;
}

/**
 * The rules that apply to the slot's device, from the slot when nothing was edited. Looks them up otherwise (O(rules of
 * the tenant)) and drops the states of rules that no longer apply.
 */
export function activeRules(world: World, slot: Slot): ActiveRules {
  const device = slot.device!;
  const tenant = world.tenants.get(device.tenantId);
  const rulesEpoch = tenant?.rulesEpoch ?? 0;
  if (slot.active?.rulesEpoch === rulesEpoch) return slot.active;
  const applying = [...(tenant?.rules.values() ?? [])]
    .filter((rule) => isInScope(rule, device))
    .filter(({ equipmentId }) => equipmentId === null || equipmentId === device.equipmentId)
    .sort((a, b) => a.ruleId - b.ruleId);
  const byCode = new Map<string, Rule[]>();
  for (const rule of applying) {
    const list = byCode.get(rule.metricCode);
    if (list) list.push(rule);
    else byCode.set(rule.metricCode, [rule]);
  }
  const ofFix = FIX_METRIC_CODES.map((code) => byCode.get(code));
  slot.active = { rulesEpoch, byCode, ofFix: ofFix.some(Boolean) ? ofFix : null };
  const kept = slot.rules.filter(({ ruleId }) => applying.some((rule) => rule.ruleId === ruleId));
  if (kept.length < slot.rules.length) slot.rules = kept;
  return slot.active;
}

/** One value of a metric; may be reused from row to row. */
export interface Sample {
  value: number;
  timeMs: number;
}

/**
 * Holds a value against rules that watch its metric and appends what is raised and cleared to `events`, ascending by
 * rule. NaN does nothing. Allocates nothing when no rule's state changes.
 */
export function stepRules(
  slot: Slot,
  rules: readonly Rule[],
  sample: Sample,
  events: EngineEvent[],
): void {
  if (Number.isNaN(sample.value)) return;
  for (const rule of rules) {
    const state = stateOfRule(slot, rule.ruleId);
    const next = nextState(slot, rule, state, sample, events);
    if (next === state) continue;
    const others = slot.rules.filter(({ ruleId }) => ruleId !== rule.ruleId);
    slot.rules = next ? [...others, next].sort((a, b) => a.ruleId - b.ruleId) : others;
  }
}

function stateOfRule(slot: Slot, ruleId: number): RuleState | null {
  for (const state of slot.rules) if (state.ruleId === ruleId) return state;
  return null;
}

function nextState(
  slot: Slot,
  rule: Rule,
  state: RuleState | null,
  { value, timeMs }: Sample,
  events: EngineEvent[],
): RuleState | null {
  const { ruleId, version } = rule;
  const holds = conditionHolds(rule, rule.value, value);
  const edited = state !== null && state.version !== version;
  if (state?.phase === 'active') {
    const stays =
      holds || (rule.clearValue !== null && conditionHolds(rule, rule.clearValue, value));
    if (stays) return edited ? { ...state, version } : state;
    const cause = edited ? 'rule_changed' : 'move';
    events.push(alertEvent(slot, 'alert_cleared', rule, { value, timeMs, cause }));
    return null;
  }
  if (!holds) return null;
  // An edited rule is known to hold only from now on.
  const sinceMs = state && !edited ? state.sinceMs : timeMs;
  if (timeMs - sinceMs >= rule.holdMs) {
    events.push(alertEvent(slot, 'alert_raised', rule, { value, timeMs, cause: 'move' }));
    return { ruleId, version, phase: 'active', sinceMs: timeMs };
  }
  return state && !edited ? state : { ruleId, version, phase: 'pending', sinceMs };
}

/** Whether `value` meets the rule's condition with `bound` in place of the rule's own value. */
function conditionHolds(rule: Rule, bound: number, value: number): boolean {
  switch (rule.operator) {
    case '>':
      return value > bound;
    case '>=':
      return value >= bound;
    case '<':
      return value < bound;
    case '<=':
      return value <= bound;
    case '=':
      return value === bound;
    case '!=':
      return value !== bound;
    case 'between':
      return value >= bound && value <= (rule.valueHigh ?? Infinity);
    case 'outside':
      return value < bound || value > (rule.valueHigh ?? Infinity);
  }
}
