/** Alert rules as they are sent and shown: the columns of `telematic_alert` under their own names. */
import { Type, type Static } from 'typebox';
import { closed, Id, Instant, Name, nullable, oneOf, patchOf, storedWord } from '../schemas.ts';

export const OPERATORS = ['>', '>=', '<', '<=', '=', '!=', 'between', 'outside'] as const;
export const SEVERITIES = ['info', 'warning', 'critical'] as const;
export const STATUSES = ['active', 'disabled'] as const;
/** Seconds that a condition may be asked to hold. */
export const HOLD_S_MAX = 86_400;

const fields = {
  account_id: nullable(Id),
  equipment_id: nullable(Id),
  alert_type_lookup_id: nullable(Id),
  alert_name: Name,
  metric_code: Type.Unsafe<string>({
    ...Name,
    description: 'What is watched, in Milepost’s units; taken from the alert type when left out.',
  }),
  operator: oneOf(OPERATORS),
  operator_value: Type.Number(),
  operator_value_high: nullable(
    Type.Number({ description: 'The upper bound of `between` and `outside`, and only theirs.' }),
  ),
  clear_value: nullable(
    Type.Number({
      description: 'An alert clears when the condition fails with this in place of operator_value.',
    }),
  ),
  hold_s: Type.Integer({ minimum: 0, maximum: HOLD_S_MAX, default: 0 }),
  severity: oneOf(SEVERITIES, { default: 'warning' }),
  status: oneOf(STATUSES, { default: 'active' }),
};

const { alert_name, operator, operator_value, ...optional } = fields;

export const AlertCreate = closed(
  { alert_name, operator, operator_value, ...Type.Partial(Type.Object(optional)).properties },
  {
    examples: [
      {
        alert_name: 'Too fast',
        metric_code: 'speed_mps',
        operator: '>',
        operator_value: 25,
        clear_value: 23,
        hold_s: 10,
        severity: 'warning',
      },
    ],
  },
);
export type AlertCreateBody = Static<typeof AlertCreate>;

export const AlertPatch = patchOf(fields, {
  examples: [{ operator_value: 27, clear_value: null }],
});
export type AlertPatchBody = Static<typeof AlertPatch>;

export const TelematicAlert = Type.Object({
  telematic_alert_id: Id,
  customer_id: Id,
  ...fields,
  operator: storedWord(OPERATORS),
  severity: storedWord(SEVERITIES),
  status: storedWord(STATUSES),
  version: Type.Integer({ description: 'Also the entity tag.' }),
  created_at: Instant,
  updated_at: Instant,
});
