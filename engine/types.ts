/**
 * The words the engine speaks: what it is told (fences, rules, devices, fixes, readings) and what it answers (events).
 * Plain data; no I/O, no clocks, no JSON, no SQL. Arrays of coordinates are `[lon, lat]` in degrees, as in GeoJSON;
 * everything else is a named field. Times are epoch milliseconds and come in with the data.
 */

/** One position, `[lonDeg, latDeg]`, WGS 84. */
export type LonLat = readonly [number, number];

/** Rings of one polygon, outer first, then holes; each ring closed (first position repeated last). */
export type PolygonRings = readonly (readonly LonLat[])[];

/** Rectangles are polygons. A corridor is all points within half of `widthM` of its line. */
export type FenceShape =
  | { readonly type: 'polygon'; readonly polygons: readonly PolygonRings[] }
  | {
      readonly type: 'circle';
      readonly centerLonDeg: number;
      readonly centerLatDeg: number;
      readonly radiusM: number;
    }
  | { readonly type: 'corridor'; readonly line: readonly LonLat[]; readonly widthM: number };

/** A fence as the engine holds it. A `null` account makes it the whole tenant's. */
export interface Fence {
  readonly fenceId: number;
  readonly version: number;
  readonly tenantId: number;
  readonly accountId: number | null;
  readonly name: string;
  readonly shape: FenceShape;
  /** Metres outside the boundary that a fix must exceed before it counts as outside. */
  readonly exitBufferM: number;
  /** Consecutive fixes inside before `enter`, ≥ 1. */
  readonly enterFixCount: number;
  /** Consecutive fixes outside before `exit`, ≥ 1. */
  readonly exitFixCount: number;
  /** Fixes with a worse accuracy do not move the state; `null` takes every fix. */
  readonly accuracyMMax: number | null;
  /** Milliseconds inside after which `geofence_dwell` follows, once per visit; `null`: never. */
  readonly dwellMs: number | null;
  /** Two fixes further apart in time than this make no `geofence_cross`; 0: none ever does. */
  readonly crossGapMsMax: number;
  /** When the fence is in force; `null`: always. */
  readonly schedule: Schedule | null;
}

/** A fence without its shape: what the engine remembers of it beside its prepared geometry. */
export type FenceSettings = Omit<Fence, 'shape'>;

/** Weekly windows in local time. */
export interface Schedule {
  /** IANA name, `Europe/Berlin`. */
  readonly timeZone: string;
  /** May overlap and touch; what they cover together counts. */
  readonly windows: readonly ScheduleWindow[];
}

/** One window on each of its days. */
export interface ScheduleWindow {
  /** Days on which the window begins: 1 Monday … 7 Sunday, ascending. */
  readonly days: readonly number[];
  /** Minutes after local midnight, 0…1439. */
  readonly startMin: number;
  /** Minutes after local midnight, 1…1440, excluded; at or below `startMin` it is a time of the next day. */
  readonly endMin: number;
}

export type RuleOperator = '>' | '>=' | '<' | '<=' | '=' | '!=' | 'between' | 'outside';
export type Severity = 'info' | 'warning' | 'critical';

/** A threshold rule. `null` scopes are wider: no equipment, every unit; no account, every account. */
export interface Rule {
  readonly ruleId: number;
  readonly version: number;
  readonly tenantId: number;
  readonly accountId: number | null;
  readonly equipmentId: number | null;
  readonly name: string;
  readonly metricCode: string;
  readonly operator: RuleOperator;
  readonly value: number;
  /** Upper bound, for `between` and `outside`; both bounds are inclusive in `between`. */
  readonly valueHigh: number | null;
  /** An active alert clears when the condition fails with this in place of `value`; `null`: `value` itself. */
  readonly clearValue: number | null;
  /** Milliseconds of event time that the condition must hold before the alert is raised. */
  readonly holdMs: number;
  readonly severity: Severity;
}

/** One device on one unit: the key of all state. */
export interface Device {
  /** `equipment_has_iot_device_id`. */
  readonly deviceId: number;
  readonly tenantId: number;
  readonly accountId: number | null;
  readonly equipmentId: number;
}

export type Edit =
  | { readonly type: 'fence_put'; readonly fence: Fence }
  | { readonly type: 'fence_delete'; readonly fenceId: number }
  | { readonly type: 'rule_put'; readonly rule: Rule }
  | { readonly type: 'rule_delete'; readonly ruleId: number }
  | { readonly type: 'device_put'; readonly device: Device }
  | { readonly type: 'device_delete'; readonly deviceId: number };

/** Fixes in columns; row i is one fix. NaN is "not reported". The first `count` rows are valid. */
export interface FixColumns {
  count: number;
  deviceId: Float64Array;
  timeMs: Float64Array;
  lonDeg: Float64Array;
  latDeg: Float64Array;
  accuracyM: Float64Array;
  speedMps: Float64Array;
  /** 1 on, 0 off, NaN unknown. */
  ignition: Float64Array;
  /** 1 moving, 0 at rest, NaN unknown. */
  motion: Float64Array;
}

/** Sensor readings in columns. */
export interface ReadingColumns {
  count: number;
  deviceId: Float64Array;
  timeMs: Float64Array;
  metricCode: string[];
  value: Float64Array;
}

export interface EngineBatch {
  readonly fixes: FixColumns;
  readonly readings: ReadingColumns;
  /** The caller's clock, for what is due without a further fix; NaN: nothing is. */
  readonly nowMs: number;
}

export type EventType =
  | 'geofence_enter'
  | 'geofence_exit'
  | 'geofence_dwell'
  | 'geofence_cross'
  | 'alert_raised'
  | 'alert_cleared';
/**
 * `move`: the unit or its value changed. `first_fix`: the device's first fix ever lay inside. `fence_changed`: the
 * fence was made, edited or given to another account so that it now lies on or off a unit that was there before.
 * `fence_removed`: it was deleted or disabled. `schedule`: it came into force, or went out of it. `assignment_changed`:
 * the unit went to another account or tenant. `device_removed`: the device left its unit, or was disabled.
 * `rule_changed`: an active alert does not hold under the rule as edited.
 */
export type EventCause =
  | 'move'
  | 'first_fix'
  | 'fence_changed'
  | 'fence_removed'
  | 'schedule'
  | 'assignment_changed'
  | 'device_removed'
  | 'rule_changed';

/** A consequence. Same batches in, same events out, in the same order. */
export interface EngineEvent {
  readonly type: EventType;
  readonly deviceId: number;
  readonly equipmentId: number;
  readonly tenantId: number;
  readonly accountId: number | null;
  /** The time of the fix or reading that completed the transition. */
  readonly timeMs: number;
  /** Where the unit was; NaN when no fix is known yet. */
  readonly lonDeg: number;
  readonly latDeg: number;
  readonly fenceId: number | null;
  readonly ruleId: number | null;
  readonly subjectName: string;
  readonly subjectVersion: number;
  readonly metricCode: string | null;
  readonly metricValue: number | null;
  readonly severity: Severity;
  /** True when the device's first fix ever already lay inside. */
  readonly initial: boolean;
  readonly cause: EventCause;
  /** Enter, dwell, exit: the first fix inside of the visit, which with device and fence names it. NaN otherwise. */
  readonly enteredMs: number;
  /** Exit: the first fix outside, or the instant of what closed the visit. NaN otherwise. */
  readonly leftMs: number;
  /** Exit: the last fix before `leftMs`. NaN otherwise. */
  readonly lastFixMs: number;
}

/** What is remembered of a device and must survive a restart; small plain data, fit for JSON. */
export interface DeviceState {
  /** Ascending by `fenceId`: open visits. */
  readonly inside: readonly InsideState[];
  /** Ascending by `fenceId`; only for fences whose `enterFixCount` is above 1. */
  readonly entering: readonly EnteringState[];
  /** Ascending by `fenceId`: windows of schedules that the clock has ended, until a fix from after the end. */
  readonly ended: readonly EndedState[];
  /** Ascending by `ruleId`; a rule that is OK has no entry. */
  readonly rules: readonly RuleState[];
}

export interface InsideState {
  readonly fenceId: number;
  readonly version: number;
  /** The fence's name when it was last seen, for the event should the fence be gone. */
  readonly name: string;
  /** The first fix of the row that led to the enter. */
  readonly enteredMs: number;
  /** The last fix of that row: the time of the enter. */
  readonly enterMs: number;
  readonly dwelled: boolean;
  /** Fixes outside in a row so far. */
  readonly outCount: number;
  /** The first of those, and the fix before it; null while there are none. */
  readonly outMs: number | null;
  readonly lastInMs: number | null;
  /** When the window of the fence's schedule ends; null: it does not. */
  readonly endMs: number | null;
}

/** Fixes from before `untilMs` open no visit to the fence. */
export interface EndedState {
  readonly fenceId: number;
  readonly untilMs: number;
}

export interface EnteringState {
  readonly fenceId: number;
  readonly version: number;
  readonly inCount: number;
  /** The first fix inside in a row. */
  readonly firstMs: number;
  /** The cause that the enter will carry, settled by the first fix inside. */
  readonly cause: EventCause;
}

export interface RuleState {
  readonly ruleId: number;
  readonly version: number;
  readonly phase: 'pending' | 'active';
  /** Pending: since when the condition holds. Active: when it was raised. */
  readonly sinceMs: number;
}

/** What a device last said, restored from the stored fixes and readings themselves. */
export interface DeviceLast {
  /** NaN when the device has sent readings but no fix yet; the three fields after it are NaN then, too. */
  readonly fixMs: number;
  readonly lonDeg: number;
  readonly latDeg: number;
  /** NaN when that fix did not report one. */
  readonly accuracyM: number;
  /** Newest time by metric code, for codes that came in as readings. */
  readonly readingMs: Readonly<Record<string, number>>;
}

/** What must be stored of a device, and whose it is. */
export interface DeviceChange {
  readonly deviceId: number;
  readonly tenantId: number;
  readonly state: DeviceState;
}

/** The result of one batch, in force only after `commit`. */
export interface Evaluation {
  readonly events: readonly EngineEvent[];
  /**
   * Devices whose `DeviceState` differs from before the batch, with the new one; and those of which nothing was held before,
   * whatever theirs is: who has one was heard. Worked out when it is first asked for, which must be while the batch is
   * pending.
   */
  readonly changed: readonly DeviceChange[];
  /** Rows of `fixes` that are their device's newest fix now, one for each such device. */
  readonly latestFixRows: Int32Array;
  /** Rows (fixes and readings) that were not newer than what had been evaluated: stored, but without consequences. */
  readonly lateCount: number;
  /** Devices that sent fixes older than their newest one: what is known of their past has changed. */
  readonly lateFixes: readonly LateFixes[];
}

/** The times of a device's late fixes in a batch, from the first to the last. */
export interface LateFixes {
  readonly deviceId: number;
  readonly fromMs: number;
  readonly toMs: number;
}
