/** Numbers and events in words for people. Knows no DOM. */
import type { FeedEvent } from '../api/live/wire.ts';

/** "just now", "12 s", "4 min", "3 h", "2 d": how long ago, in one unit. A time ahead is "just now". */
export function ageText(ageMs: number): string {
  const s = ageMs / 1000;
  if (s < 2) return 'just now';
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 90 * 60) return `${Math.round(s / 60)} min`;
  if (s < 36 * 3600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86_400)} d`;
}

export function speedText(speedMps: number | null): string {
  return speedMps === null ? '–' : `${Math.round(speedMps * 3.6)} km/h`;
}

export function temperatureText(temperatureC: number | null): string {
  return temperatureC === null ? '–' : `${temperatureC.toFixed(1)} °C`;
}

const COMPASS = ['N', 'NE', 'E', 'SE', 'S', 'SW', 'W', 'NW'];

export function headingText(headingDeg: number | null): string {
  if (headingDeg === null) return '–';
  const turned = ((headingDeg % 360) + 360) % 360;
  return `${COMPASS[Math.round(turned / 45) % 8]!} ${Math.round(turned)}°`;
}

export function coordinatesText(latDeg: number, lonDeg: number): string {
  const lat = `${Math.abs(latDeg).toFixed(4)}° ${latDeg < 0 ? 'S' : 'N'}`;
  return `${lat}, ${Math.abs(lonDeg).toFixed(4)}° ${lonDeg < 0 ? 'W' : 'E'}`;
}

/** "250 m", "2 km". */
export function lengthText(metres: number): string {
  return metres >= 1000 ? `${metres / 1000} km` : `${metres} m`;
}

/** Degrees of a grid line: as many decimals as its step needs. */
export function degreesText(
  deg: number,
  stepDeg: number,
  positive: string,
  negative: string,
): string {
  const decimals = Math.max(0, -Math.floor(Math.log10(stepDeg) + 1e-9));
  const text = Math.abs(deg).toFixed(decimals);
  if (Number(text) === 0) return '0°';
  return `${text}° ${deg < 0 ? negative : positive}`;
}

const VERBS: Record<string, string> = {
  geofence_enter: 'entered',
  geofence_exit: 'left',
  geofence_dwell: 'stays in',
  geofence_cross: 'crossed',
  alert_raised: 'raised',
  alert_cleared: 'cleared',
  device_disconnected: 'lost contact with',
  device_region_enter: 'entered region',
  device_region_leave: 'left region',
};

/** What happened, without the unit: "entered Depot North", "raised Too fast (31.2 m/s)". */
export function eventText(event: FeedEvent): string {
  if (event.initial && event.event_type === 'geofence_enter') {
    return `first seen in ${event.subject_name}`;
  }
  const verb = VERBS[event.event_type] ?? event.event_type.replaceAll('_', ' ');
  const value = event.metric_value === null ? '' : ` (${metricText(event)})`;
  return `${verb} ${event.subject_name}${value}`.trim();
}

const UNITS: Record<string, string> = {
  temperature_c: ' °C',
  humidity_pct: ' %',
  battery_pct: ' %',
  fuel_pct: ' %',
  battery_v: ' V',
  tyre_pressure_kpa: ' kPa',
  accuracy_m: ' m',
};

function metricText({ metric_code: code, metric_value: value }: FeedEvent): string {
  if (code === 'speed_mps') return speedText(value);
  const rounded = Math.round(value! * 10) / 10;
  return `${rounded}${UNITS[code ?? ''] ?? ''}`;
}
