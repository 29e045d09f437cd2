/** Whether the condition of an alert rule makes sense. */
import { fieldProblem, type Problem } from '../problem.ts';

/** The columns of a rule that make its condition. */
export interface Condition {
  readonly operator: string;
  readonly operator_value: number;
  readonly operator_value_high: number | null;
  readonly clear_value: number | null;
}

/**
 * Throws 422, naming the field, when the bounds do not fit the operator, or when `clear_value` would clear the alert
 * before its condition ends: it must lie on the far side of `operator_value`, so that alerts do not flap.
 */
export function requireCondition(condition: Condition): void {
  const { operator, operator_value: value, operator_value_high: high, clear_value } = condition;
  const ranged = operator === 'between' || operator === 'outside';
  if (ranged && high === null) throw refuse('operator_value_high', `"${operator}" needs it`);
  if (!ranged && high !== null) {
    throw refuse('operator_value_high', `means nothing for "${operator}"; leave it out`);
  }
  if (high !== null && high < value) {
    throw refuse('operator_value_high', 'must not be below operator_value');
  }
  if (clear_value !== null) requireClearValue(operator, value, high, clear_value);
}

function requireClearValue(
  operator: string,
  value: number,
  high: number | null,
  clear: number,
): void {
  switch (operator) {
    case '>':
    case '>=':
    case 'between':
      if (clear > value) throw refuse('clear_value', `must not be above operator_value`);
      return;
    case '<':
    case '<=':
      if (clear < value) throw refuse('clear_value', `must not be below operator_value`);
      return;
    case 'outside':
      if (clear >= value && clear <= high!) return;
      throw refuse('clear_value', 'must lie between operator_value and operator_value_high');
    default:
      throw refuse('clear_value', `means nothing for "${operator}"; leave it out`);
  }
}

function refuse(field: string, detail: string): Problem {
  return fieldProblem('unprocessable', 'body', `/${field}`, detail);
}
