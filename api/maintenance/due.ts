/**
 * When a maintenance is due: one pure function over what a schedule says, what is known of the last time, and what the
 * meters show. Knows no SQL and no clock. Days are days of the customer's calendar, distances metres, engine hours hours.
 *
 * By date it is due on its day and overdue from the day after. By a meter it is due from the value on, and overdue once the
 * unit has run `METER_TOLERANCE` of the interval beyond: about a day's use, as a date is due for a day.
 */
import { daysBetween, addDays, type Day } from '../calendar.ts';
import { nextDay, type DayStep } from './due-days.ts';

/** The share of its interval by which a meter may be beyond the due value before that is called overdue. */
export const METER_TOLERANCE = 0.01;
/** A forecast that lies further ahead says nothing. */
export const FORECAST_DAYS_MAX = 3_650;

const METRES = { km: 1_000, miles: 1_609.344 } as const;
const RANKS = ['no_data', 'ok', 'due_soon', 'due', 'overdue'] as const;

export type DueStatus = (typeof RANKS)[number];
export type Dimension = 'date' | 'odometer' | 'engine_hours';
export type FrequencyType = 'days' | 'weeks' | 'months' | 'years' | 'km' | 'miles' | 'engine_hours';

/** What a schedule says, by its columns. */
export interface DuePlan {
  readonly status: 'active' | 'paused' | 'ended';
  readonly frequency_interval: number;
  readonly frequency_type: FrequencyType;
  readonly interval_days: number | null;
  readonly interval_km: number | null;
  readonly interval_engine_hours: number | null;
  /** Null: nothing is called due soon by this dimension. */
  readonly due_soon_days: number | null;
  readonly due_soon_km: number | null;
  readonly due_soon_engine_hours: number | null;
  readonly anchor: 'from_completion' | 'from_schedule';
  /** From where the first one is counted; of a meter null: from its first reading that is known. */
  readonly starts_on: Day;
  readonly start_odometer_m: number | null;
  readonly start_engine_hours_h: number | null;
}

/** A day and the two meters at it, as far as they are known. */
export interface Mark {
  readonly on: Day | null;
  readonly odometer_m: number | null;
  readonly engine_hours_h: number | null;
}

/** What is known of the times before. */
export interface DueHistory {
  /** When it was done last. */
  readonly done: Mark | null;
  /** When that which was done or skipped last had been due. */
  readonly due: Mark | null;
  /** It was skipped and not done. */
  readonly isSkipped: boolean;
}

/** What a meter showed last, on which day, and by how much it runs up on a day; null: not known. */
export interface MeterNow {
  readonly value: number;
  readonly on: Day;
  readonly perDay: number | null;
}

export interface Meters {
  readonly odometer: MeterNow | null;
  readonly engineHours: MeterNow | null;
}

/** How one dimension stands. `left` is in days, metres or hours, and below zero when it is past. */
export interface DueReason {
  readonly dimension: Dimension;
  readonly status: DueStatus;
  readonly due_at: Day | number | null;
  readonly now: Day | number | null;
  readonly left: number | null;
  /** The day on which it comes due, of a meter by its average use. */
  readonly forecast_due_on: Day | null;
  readonly forecast_due_soon_on: Day | null;
}

export interface DueState {
  /** That of the dimension that is furthest; `no_data` where none of them can be told. */
  readonly status: DueStatus;
  readonly reasons: readonly DueReason[];
  readonly next_due_on: Day | null;
  readonly next_due_odometer_m: number | null;
  readonly next_due_engine_hours_h: number | null;
  /** The first of the dimensions' forecasts. */
  readonly forecast_due_on: Day | null;
  /** When a dimension's status changes next: on this day, or at these values; null: not by this dimension. */
  readonly changes: Mark;
}

/** A dimension, and what it adds to the state. */
interface Standing {
  readonly reason: DueReason;
  readonly changesAt: Day | number | null;
}

/**
 * How a schedule stands today. One that is paused or ended is `ok`, without reasons and forecast. A meter without a reading
 * is `no_data`, and the other dimensions count all the same. Costs some microseconds.
 */
export function dueState(plan: DuePlan, history: DueHistory, meters: Meters, today: Day): DueState {
  const standings = [
    standByDate(plan, history, today),
    standByMeter(odometerOf(plan, history), meters.odometer, today),
    standByMeter(engineHoursOf(plan, history), meters.engineHours, today),
  ];
  const [date, odometer, hours] = standings;
  const isActive = plan.status === 'active';
  const reasons = standings.flatMap((one) => (one && isActive ? [one.reason] : []));
  const status = isActive ? worstOf(reasons.map((one) => one.status)) : 'ok';
  const forecasts = reasons.flatMap(({ forecast_due_on: day }) => (day === null ? [] : [day]));
  return {
    status,
    reasons,
    next_due_on: (date?.reason.due_at ?? null) as Day | null,
    next_due_odometer_m: (odometer?.reason.due_at ?? null) as number | null,
    next_due_engine_hours_h: (hours?.reason.due_at ?? null) as number | null,
    forecast_due_on: forecasts.sort()[0] ?? null,
    changes: {
      on: isActive ? ((date?.changesAt ?? null) as Day | null) : null,
      odometer_m: isActive ? ((odometer?.changesAt ?? null) as number | null) : null,
      engine_hours_h: isActive ? ((hours?.changesAt ?? null) as number | null) : null,
    },
  };
}

/**
 * The plan with the meters at which it starts, where it counts by them and neither it nor its history says from where: those
 * of now. Until there is a reading there is nothing to count from.
 */
export function withStart(plan: DuePlan, history: DueHistory, meters: Meters): DuePlan {
  const odometer = odometerOf(plan, history);
  const hours = engineHoursOf(plan, history);
  return {
    ...plan,
    start_odometer_m:
      odometer && odometer.base === null ? (meters.odometer?.value ?? null) : plan.start_odometer_m,
    start_engine_hours_h:
      hours && hours.base === null
        ? (meters.engineHours?.value ?? null)
        : plan.start_engine_hours_h,
  };
}

function worstOf(states: readonly DueStatus[]): DueStatus {
  return RANKS[Math.max(0, ...states.map((one) => RANKS.indexOf(one)))]!;
}

function stepsOf(plan: DuePlan): DayStep[] {
  const { frequency_type: type, frequency_interval: count, interval_days: days } = plan;
  const steps: DayStep[] = [];
  if (type === 'days') steps.push({ days: count });
  if (type === 'weeks') steps.push({ days: count * 7 });
  if (type === 'months') steps.push({ months: count });
  if (type === 'years') steps.push({ months: count * 12 });
  if (days !== null) steps.push({ days });
  return steps;
}

function standByDate(plan: DuePlan, history: DueHistory, today: Day): Standing | null {
  const steps = stepsOf(plan);
  if (steps.length === 0) return null;
  const isFixed = plan.anchor === 'from_schedule';
  const base = baseOf(plan, history, 'on') ?? plan.starts_on;
  const due = steps
    .map((step) => nextDay(step, isFixed ? plan.starts_on : base, base))
    .reduce((first, day) => (first === null || (day !== null && day < first) ? day : first));
  const reason = { dimension: 'date', due_at: due, now: today } as const;
  if (due === null) {
    const never = { left: null, forecast_due_on: null, forecast_due_soon_on: null };
    return { reason: { ...reason, status: 'ok', ...never }, changesAt: null };
  }
  const left = daysBetween(today, due);
  const soon = plan.due_soon_days;
  const soonOn = soon === null ? null : addDays(due, -soon);
  const status: DueStatus =
    left < 0 ? 'overdue' : left === 0 ? 'due' : soon !== null && left <= soon ? 'due_soon' : 'ok';
  const changesAt = { ok: soonOn ?? due, due_soon: due, due: addDays(due, 1), overdue: null };
  const forecast = { forecast_due_on: due, forecast_due_soon_on: soonOn };
  return { reason: { ...reason, status, left, ...forecast }, changesAt: changesAt[status] };
}

/** A meter's part of a schedule, in metres or hours. */
interface MeterPlan {
  readonly dimension: 'odometer' | 'engine_hours';
  readonly interval: number;
  readonly soon: number | null;
  readonly isFixed: boolean;
  /** Where fixed values are counted from; null: from the last one. */
  readonly origin: number | null;
  /** From where the next one is counted; null where that is not known. */
  readonly base: number | null;
}

function odometerOf(plan: DuePlan, history: DueHistory): MeterPlan | null {
  const { frequency_type: type, frequency_interval: count, interval_km: km } = plan;
  const own = type === 'km' || type === 'miles' ? count * METRES[type] : Infinity;
  const interval = Math.min(own, km === null ? Infinity : km * METRES.km);
  if (interval === Infinity) return null;
  const soon = plan.due_soon_km === null ? null : plan.due_soon_km * METRES.km;
  return meterPlanOf(plan, history, { dimension: 'odometer', interval, soon });
}

function engineHoursOf(plan: DuePlan, history: DueHistory): MeterPlan | null {
  const { frequency_type: type, frequency_interval: count, interval_engine_hours: hours } = plan;
  const interval = Math.min(type === 'engine_hours' ? count : Infinity, hours ?? Infinity);
  if (interval === Infinity) return null;
  const soon = plan.due_soon_engine_hours;
  return meterPlanOf(plan, history, { dimension: 'engine_hours', interval, soon });
}

function meterPlanOf(
  plan: DuePlan,
  history: DueHistory,
  own: Pick<MeterPlan, 'dimension' | 'interval' | 'soon'>,
): MeterPlan {
  const name = own.dimension === 'odometer' ? 'odometer_m' : 'engine_hours_h';
  const start = own.dimension === 'odometer' ? plan.start_odometer_m : plan.start_engine_hours_h;
  const isFixed = plan.anchor === 'from_schedule';
  const origin = start ?? history.due?.[name] ?? null;
  return { ...own, isFixed, origin, base: baseOf(plan, history, name) ?? start };
}

/**
 * From where the next one is counted: from when it was done, or from when it had been due where it was skipped. On a fixed
 * calendar from whichever is later: one that is done late stands for all those that were due by then.
 */
function baseOf<Name extends keyof Mark>(
  { anchor }: DuePlan,
  { done, due, isSkipped }: DueHistory,
  name: Name,
): Mark[Name] {
  const doneAt = done?.[name] ?? null;
  const dueAt = due?.[name] ?? null;
  if (anchor === 'from_completion') return isSkipped ? (dueAt ?? doneAt) : doneAt;
  if (doneAt === null || dueAt === null) return doneAt ?? dueAt;
  return doneAt > dueAt ? doneAt : dueAt;
}

function standByMeter(plan: MeterPlan | null, now: MeterNow | null, today: Day): Standing | null {
  if (plan === null) return null;
  const { dimension, interval, soon, base } = plan;
  const due = base === null ? null : nextValue(plan, base);
  const reason = { dimension, due_at: due, now: now?.value ?? null } as const;
  if (due === null || now === null) {
    const unknown = { left: null, forecast_due_on: null, forecast_due_soon_on: null };
    // The first reading there is changes it.
    return { reason: { ...reason, status: 'no_data', ...unknown }, changesAt: 0 };
  }
  const soonAt = soon === null ? due : due - soon;
  const overdueAt = due + interval * METER_TOLERANCE;
  const { value } = now;
  const status: DueStatus =
    value >= overdueAt ? 'overdue' : value >= due ? 'due' : value >= soonAt ? 'due_soon' : 'ok';
  const changesAt = { ok: Math.max(0, soonAt), due_soon: due, due: overdueAt, overdue: null };
  const forecast = {
    forecast_due_on: forecastOf(due, now, today),
    forecast_due_soon_on: soon === null ? null : forecastOf(soonAt, now, today),
  };
  return {
    reason: { ...reason, status, left: due - value, ...forecast },
    changesAt: changesAt[status],
  };
}

function nextValue({ interval, isFixed, origin }: MeterPlan, base: number): number {
  if (!isFixed) return base + interval;
  const from = origin ?? base;
  const passed = Math.max(0, Math.floor((base - from) / interval));
  const next = from + (passed + 1) * interval;
  // A quotient that was rounded up or down is one off.
  return next <= base ? next + interval : next;
}

/** The day on which a meter reaches a value at its average use; today where it has by now. */
function forecastOf(target: number, { value, on, perDay }: MeterNow, today: Day): Day | null {
  if (value >= target) return today;
  if (perDay === null || perDay <= 0) return null;
  const projected = value + Math.max(0, daysBetween(on, today)) * perDay;
  const days = Math.floor((target - projected) / perDay);
  if (days > FORECAST_DAYS_MAX) return null;
  return addDays(today, Math.max(0, days));
}
