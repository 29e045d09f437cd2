/**
 * What should follow from a path, worked out slowly and obviously from the table in section 4 of the design: one unit,
 * one fence or rule, one fix after the other, with `@turf/turf` for the geometry. It shares no line with the engine, and
 * reads fences and rules as they are sent to the API.
 */
import {
  booleanPointInPolygon,
  distance,
  lineString,
  point,
  pointToLineDistance,
  polygon,
} from '@turf/turf';
import type { Fix } from './journey.ts';

/** The body of `POST /v1/geofences`. */
export interface FenceSpec {
  readonly geofence_name: string;
  readonly shape_type: 'polygon' | 'rectangle' | 'circle' | 'corridor';
  readonly polygon?:
    | { readonly type: 'Polygon'; readonly coordinates: number[][][] }
    | { readonly type: 'LineString'; readonly coordinates: number[][] };
  readonly center_lng?: number;
  readonly center_lat?: number;
  readonly radius_m?: number;
  readonly width_m?: number;
  readonly exit_buffer_m?: number;
  readonly enter_fix_count?: number;
  readonly exit_fix_count?: number;
  readonly accuracy_m_max?: number;
  readonly status?: 'active' | 'disabled';
}

/** The body of `POST /v1/telematic-alerts`; of the operators only the one that the journeys need. */
export interface RuleSpec {
  readonly alert_name: string;
  readonly metric_code: 'speed_mps' | 'temperature_c';
  readonly operator: '>';
  readonly operator_value: number;
  readonly clear_value: number;
  readonly hold_s: number;
  readonly severity: 'info' | 'warning' | 'critical';
}

/** One row that the feed must hold. */
export interface Expected {
  readonly event_type: 'geofence_enter' | 'geofence_exit' | 'alert_raised' | 'alert_cleared';
  readonly subject_name: string;
  readonly timeMs: number;
  readonly latitude: number;
  readonly longitude: number;
  readonly initial: boolean;
  readonly severity: string;
  readonly metric_value: number | null;
}

/** All that follows from one unit's fixes. */
export function expectedOf(
  fixes: readonly Fix[],
  fences: readonly FenceSpec[],
  rules: readonly RuleSpec[],
): Expected[] {
  return [
    ...fences.flatMap((fence) => transitionsOf(fixes, fence)),
    ...rules.flatMap((rule) => alertsOf(fixes, rule)),
  ];
}

function transitionsOf(fixes: readonly Fix[], fence: FenceSpec): Expected[] {
  const enterCount = fence.enter_fix_count ?? 1;
  const exitCount = fence.exit_fix_count ?? 2;
  const events: Expected[] = [];
  const add = (fix: Fix, type: 'geofence_enter' | 'geofence_exit', initial: boolean): void => {
    const { timeMs, latDeg: latitude, lonDeg: longitude } = fix;
    const event = { event_type: type, subject_name: fence.geofence_name, timeMs, initial };
    events.push({ ...event, latitude, longitude, severity: 'info', metric_value: null });
  };
  let isInside = false;
  let insideInARow = 0;
  let outsideInARow = 0;
  let sinceFirstFix = false;
  for (const [i, fix] of fixes.entries()) {
    if (fence.accuracy_m_max !== undefined && fix.accuracyM > fence.accuracy_m_max) continue;
    const beyondM = outsideBy(fence, fix);
    if (!isInside) {
      if (beyondM > 0) insideInARow = 0;
      else {
        insideInARow += 1;
        if (insideInARow === 1) sinceFirstFix = i === 0;
        if (insideInARow < enterCount) continue;
        add(fix, 'geofence_enter', sinceFirstFix);
        isInside = true;
        outsideInARow = 0;
      }
    } else if (beyondM > (fence.exit_buffer_m ?? 0)) {
      outsideInARow += 1;
      if (outsideInARow < exitCount) continue;
      add(fix, 'geofence_exit', false);
      isInside = false;
      insideInARow = 0;
    } else {
      outsideInARow = 0;
    }
  }
  return events;
}

/** Metres from the fence; 0 inside. Of polygons it is only told whether it is more than 0. */
function outsideBy(fence: FenceSpec, { lonDeg, latDeg }: Fix): number {
  const here = point([lonDeg, latDeg]);
  const metres = { units: 'meters' } as const;
  if (fence.shape_type === 'circle') {
    const centre = point([fence.center_lng!, fence.center_lat!]);
    return Math.max(0, distance(here, centre, metres) - fence.radius_m!);
  }
  if (fence.polygon!.type === 'LineString') {
    const line = lineString(fence.polygon!.coordinates);
    return Math.max(0, pointToLineDistance(here, line, metres) - fence.width_m! / 2);
  }
  const isIn = booleanPointInPolygon(here, polygon(fence.polygon!.coordinates));
  return isIn ? 0 : Infinity;
}

function alertsOf(fixes: readonly Fix[], rule: RuleSpec): Expected[] {
  const events: Expected[] = [];
  const add = (fix: Fix, type: 'alert_raised' | 'alert_cleared', value: number): void => {
    const { timeMs, latDeg: latitude, lonDeg: longitude } = fix;
    const event = { event_type: type, subject_name: rule.alert_name, timeMs, initial: false };
    events.push({ ...event, latitude, longitude, severity: rule.severity, metric_value: value });
  };
  let isActive = false;
  let holdsSinceMs: number | null = null;
  for (const fix of fixes) {
    const value = rule.metric_code === 'speed_mps' ? fix.speedMps : fix.temperatureC;
    if (value === null) continue;
    if (isActive) {
      if (value > rule.clear_value) continue;
      add(fix, 'alert_cleared', value);
      isActive = false;
      holdsSinceMs = null;
      continue;
    }
    if (value <= rule.operator_value) {
      holdsSinceMs = null;
      continue;
    }
    holdsSinceMs ??= fix.timeMs;
    if (fix.timeMs - holdsSinceMs < rule.hold_s * 1000) continue;
    add(fix, 'alert_raised', value);
    isActive = true;
  }
  return events;
}
