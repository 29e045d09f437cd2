/** What values of metrics do to threshold rules, said plainly, for tests that hold the engine against it. */
import type { EventCause, Rule, RuleState } from './types.ts';

export interface PlainValue {
  readonly metricCode: string;
  /** NaN: not reported, and nothing follows. */
  readonly value: number;
  readonly timeMs: number;
}

export interface PlainTurn {
  readonly type: 'alert_raised' | 'alert_cleared';
  readonly rule: Rule;
  readonly value: PlainValue;
  readonly cause: EventCause;
}

/** `rules` are those that speak of the unit, ascending; states of others are dropped. */
export function stepPlainRules(
  states: readonly RuleState[],
  rules: readonly Rule[],
  value: PlainValue,
): { states: readonly RuleState[]; turns: readonly PlainTurn[] } {
  const kept: RuleState[] = [];
  const turns: PlainTurn[] = [];
  for (const rule of rules) {
    const before = states.find(({ ruleId }) => ruleId === rule.ruleId) ?? null;
    const isSilent = value.metricCode !== rule.metricCode || Number.isNaN(value.value);
    const state = isSilent ? before : stepRule(before, rule, value, turns);
    if (state !== null) kept.push(state);
  }
  return { states: kept, turns };
}

function stepRule(
  before: RuleState | null,
  rule: Rule,
  value: PlainValue,
  turns: PlainTurn[],
): RuleState | null {
  const { ruleId, version, holdMs } = rule;
  const { timeMs } = value;
  const isEdited = before !== null && before.version !== version;
  const isMet = meetsBound(rule, rule.value, value.value);
  if (before?.phase === 'active') {
    const isHeld = rule.clearValue !== null && meetsBound(rule, rule.clearValue, value.value);
    if (isMet || isHeld) return { ...before, version };
    turns.push({ type: 'alert_cleared', rule, value, cause: isEdited ? 'rule_changed' : 'move' });
    return null;
  }
  if (!isMet) return null;
  const sinceMs = before === null || isEdited ? timeMs : before.sinceMs;
  if (timeMs - sinceMs < holdMs) return { ruleId, version, phase: 'pending', sinceMs };
  turns.push({ type: 'alert_raised', rule, value, cause: 'move' });
  return { ruleId, version, phase: 'active', sinceMs: timeMs };
}

function meetsBound({ operator, valueHigh }: Rule, bound: number, value: number): boolean {
  const high = valueHigh ?? Infinity;
  if (operator === 'between') return bound <= value && value <= high;
  if (operator === 'outside') return value < bound || value > high;
  if (operator === '=') return value === bound;
  if (operator === '!=') return value !== bound;
  if (operator === '>') return value > bound;
  if (operator === '>=') return value >= bound;
  return operator === '<' ? value < bound : value <= bound;
}
