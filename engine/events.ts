/** Builds the engine's events from a slot, a fence or a rule, so that each kind fills the same fields. */
import type { Slot } from './slot.ts';
import type { EngineEvent, EventCause, Fence, Rule } from './types.ts';

/** A transition at the slot's newest fix, which is already in the slot. */
export function fenceEvent(
  slot: Slot,
  type: 'geofence_enter' | 'geofence_exit',
  fence: Fence,
  cause: EventCause,
): EngineEvent {
  return {
    type,
    ...whoAndWhere(slot),
    timeMs: slot.fixMs,
    fenceId: fence.fenceId,
    ruleId: null,
    subjectName: fence.name,
    subjectVersion: fence.version,
    metricCode: null,
    metricValue: null,
    severity: 'info',
    initial: cause === 'first_fix',
    cause,
    enteredMs: NaN,
    leftMs: NaN,
    lastFixMs: NaN,
  };
}

/** An alert raised or cleared by `value` at `timeMs`. */
export function alertEvent(
  slot: Slot,
  type: 'alert_raised' | 'alert_cleared',
  rule: Rule,
  { value, timeMs, cause }: { value: number; timeMs: number; cause: EventCause },
): EngineEvent {
  return {
    type,
    ...whoAndWhere(slot),
    timeMs,
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

function whoAndWhere(
  slot: Slot,
): Pick<EngineEvent, 'deviceId' | 'equipmentId' | 'tenantId' | 'accountId' | 'lonDeg' | 'latDeg'> {
  const { deviceId, equipmentId, tenantId, accountId } = slot.device!;
  const { lonDeg, latDeg } = slot;
  return { deviceId, equipmentId, tenantId, accountId, lonDeg, latDeg };
}
