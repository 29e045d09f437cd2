/** Builds the engine's events, so that each kind fills the same fields in the same order. */
import type { Subject } from './subject.ts';
import type { EngineEvent, EventCause, EventType, FenceSettings, Rule } from './types.ts';

/** What a transition says beside who and where. */
export interface Told {
  readonly timeMs: number;
  readonly cause: EventCause;
  readonly enteredMs: number;
  readonly leftMs: number;
  readonly lastFixMs: number;
}

/** A transition of the subject, at its newest fix. */
export function fenceEvent(
  subject: Subject,
  type: EventType,
  fence: FenceSettings,
  told: Told,
): EngineEvent {
  const device = subject.device!;
  return {
    type,
    deviceId: device.deviceId,
    equipmentId: device.equipmentId,
    tenantId: device.tenantId,
    accountId: device.accountId,
    timeMs: told.timeMs,
    lonDeg: subject.lonDeg,
    latDeg: subject.latDeg,
    fenceId: fence.fenceId,
    ruleId: null,
    subjectName: fence.name,
    subjectVersion: fence.version,
    metricCode: null,
    metricValue: null,
    severity: 'info',
    initial: told.cause === 'first_fix',
    cause: told.cause,
    enteredMs: told.enteredMs,
    leftMs: told.leftMs,
    lastFixMs: told.lastFixMs,
  };
}

/** An alert raised or cleared by `value` at `timeMs`. */
export function alertEvent(
  subject: Subject,
  type: 'alert_raised' | 'alert_cleared',
  rule: Rule,
  { value, timeMs, cause }: { value: number; timeMs: number; cause: EventCause },
): EngineEvent {
  const device = subject.device!;
  return {
    type,
    deviceId: device.deviceId,
    equipmentId: device.equipmentId,
    tenantId: device.tenantId,
    accountId: device.accountId,
    timeMs,
    lonDeg: subject.lonDeg,
    latDeg: subject.latDeg,
    fenceId: null,
    ruleId: rule.ruleId,
    subjectName: rule.name,
    subjectVersion: rule.version,
    metricCode: rule.metricCode,
    metricValue: value,
    severity: rule.severity,
    initial: false,
    cause,
    enteredMs: NaN,
    leftMs: NaN,
    lastFixMs: NaN,
  };
}
