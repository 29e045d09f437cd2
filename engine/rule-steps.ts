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
import type { Subject } from './subject.ts';
import type { EngineEvent, Rule, RuleState } from './types.ts';

/** One value of a metric; may be reused from row to row. */
export interface Sample {
  value: number;
  timeMs: number;
}

/**
 * Holds a value against rules that watch its metric and appends what is raised and cleared to `events`, ascending by
 * rule; puts changed states into `subject.rules`. NaN does nothing. Allocates nothing when no rule's state changes.
 */
export function stepRules(
  subject: Subject,
  rules: readonly Rule[],
  sample: Sample,
  events: EngineEvent[],
): void {
  if (Number.isNaN(sample.value)) return;
  for (const rule of rules) {
    const state = stateOfRule(subject, rule.ruleId);
    const next = nextState(subject, rule, state, sample, events);
    if (next === state) continue;
    const others = subject.rules.filter(({ ruleId }) => ruleId !== rule.ruleId);
    subject.rules = next ? [...others, next].sort((a, b) => a.ruleId - b.ruleId) : others;
  }
}

/** The states without those of rules that do not concern the device any more; the same array when there are none. */
export function statesInScope(
  states: readonly RuleState[],
  rules: readonly Rule[],
): readonly RuleState[] {
  if (states.length === 0) return states;
  const kept = states.filter(({ ruleId }) => rules.some((rule) => rule.ruleId === ruleId));
  return kept.length < states.length ? kept : states;
}

function stateOfRule(subject: Subject, ruleId: number): RuleState | null {
  for (const state of subject.rules) if (state.ruleId === ruleId) return state;
  return null;
}

function nextState(
  subject: Subject,
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
    events.push(alertEvent(subject, 'alert_cleared', rule, { value, timeMs, cause }));
    return null;
  }
  if (!holds) return null;
  // An edited rule is known to hold only from now on.
  const sinceMs = state && !edited ? state.sinceMs : timeMs;
  if (timeMs - sinceMs >= rule.holdMs) {
    events.push(alertEvent(subject, 'alert_raised', rule, { value, timeMs, cause: 'move' }));
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
