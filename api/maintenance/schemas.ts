/** How it is shown what is due. */
import { Type } from 'typebox';
import { described, Id, nullable, storedWord } from '../schemas.ts';
import type { DueReason, DueState } from './due.ts';

export const DUE_STATUSES = ['no_data', 'ok', 'due_soon', 'due', 'overdue'] as const;

const number = nullable(Type.Number());
const text = nullable(Type.String());
const Day = nullable(Type.String({ format: 'date' }));

const Reason = Type.Object({
  dimension: storedWord(['date', 'odometer', 'engine_hours']),
  status: storedWord(DUE_STATUSES),
  due_on: described(Day, 'By date: the day on which it is due.'),
  due_value: described(number, 'By a meter: metres or hours at which it is due.'),
  now_on: described(Day, 'By date: today in the zone of the customer.'),
  now_value: described(number, 'By a meter: what it shows; null: nothing is known.'),
  left: described(number, 'Days, metres or hours until it is due; below zero when it is past.'),
  forecast_due_on: described(Day, 'When it comes due, of a meter by its average use.'),
  forecast_due_soon_on: described(Day, 'When it comes near enough to be called due soon.'),
});

/** How something stands. */
export const standing = {
  due_status: storedWord(DUE_STATUSES),
  next_due_on: Day,
  next_due_odometer_m: number,
  next_due_engine_hours_h: number,
  forecast_due_on: described(Day, 'The first of the forecasts of all dimensions.'),
  days_left: nullable(Type.Integer()),
  distance_left_m: number,
  engine_hours_left_h: number,
  reasons: Type.Array(Reason, { description: 'One for each dimension that it counts by.' }),
};

const EXAMPLE = {
  due_status: 'due_soon',
  next_due_on: '2026-07-04',
  next_due_odometer_m: 438_000_000,
  next_due_engine_hours_h: null,
  forecast_due_on: '2026-06-12',
  days_left: 32,
  distance_left_m: 1_700_000,
  engine_hours_left_h: null,
  reasons: [
    {
      dimension: 'odometer',
      status: 'due_soon',
      due_on: null,
      due_value: 438_000_000,
      now_on: null,
      now_value: 436_300_000,
      left: 1_700_000,
      forecast_due_on: '2026-06-12',
      forecast_due_soon_on: '2026-05-31',
    },
  ],
};

export const MaintenanceDue = Type.Object(
  {
    pm_schedule_id: Id,
    schedule_name: Type.String(),
    account_id: nullable(Id),
    equipment_id: Id,
    unit_number: text,
    open_event_id: nullable(Id),
    ...standing,
  },
  {
    title: 'MaintenanceDue',
    examples: [
      {
        pm_schedule_id: 1,
        schedule_name: 'PM-A: oil, filters, brakes',
        account_id: 1,
        equipment_id: 1,
        unit_number: 'TR-1042',
        open_event_id: null,
        ...EXAMPLE,
      },
    ],
  },
);

export const ServiceFrequencyDue = Type.Object(
  {
    service_frequency_id: Id,
    sequence_number: Type.Integer(),
    type_of_service: text,
    time_period: text,
    km_drove: number,
    status: Type.String(),
    last_service_id: described(text, 'The number of the last service of this type.'),
    last_service_date: Day,
    ...standing,
  },
  {
    title: 'ServiceFrequencyDue',
    examples: [
      {
        service_frequency_id: 1,
        sequence_number: 1,
        type_of_service: 'Oil change',
        time_period: '6 months',
        km_drove: 10_000,
        status: 'active',
        last_service_id: 'MNT0001',
        last_service_date: '2026-01-04',
        ...EXAMPLE,
      },
    ],
  },
);

/** The fields of `standing`. */
export function shownStanding(state: DueState) {
  const leftOf = (dimension: string) =>
    state.reasons.find((one) => one.dimension === dimension)?.left ?? null;
  return {
    due_status: state.status,
    next_due_on: state.next_due_on,
    next_due_odometer_m: state.next_due_odometer_m,
    next_due_engine_hours_h: state.next_due_engine_hours_h,
    forecast_due_on: state.forecast_due_on,
    days_left: leftOf('date'),
    distance_left_m: leftOf('odometer'),
    engine_hours_left_h: leftOf('engine_hours'),
    reasons: state.reasons.map(shownReason),
  };
}

function shownReason({ dimension, status, due_at, now, left, ...forecasts }: DueReason) {
  const isDate = dimension === 'date';
  return {
    dimension,
    status,
    due_on: isDate ? due_at : null,
    due_value: isDate ? null : due_at,
    now_on: isDate ? now : null,
    now_value: isDate ? null : now,
    left,
    ...forecasts,
  };
}
