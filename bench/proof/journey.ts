/**
 * The known path: twenty units on one round trip through several fences, each from another place on it. Everything is
 * worked out from the unit's number and the fix's, nothing is random. Knows metres on a small flat map and how they
 * become degrees; refuses to know what any fix should cause (`reference.ts`).
 *
 * Every fix keeps `MARGIN_M` from every boundary, so that it does not matter whether the earth is a sphere or a plane.
 */
import type { FenceSpec, RuleSpec } from './reference.ts';

/** One fix as a device sends it. */
export interface Fix {
  readonly timeMs: number;
  readonly latDeg: number;
  readonly lonDeg: number;
  readonly speedMps: number;
  readonly headingDeg: number;
  readonly accuracyM: number;
  readonly temperatureC: number | null;
}

export const UNIT_COUNT = 20;
export const FIX_COUNT = 500;
/** Distance that every fix keeps from every boundary. */
export const MARGIN_M = 10;
/** Between two fixes of a unit, by its own clock. */
const FIX_INTERVAL_MS = 5_000;
const STEP_M = 30;
/** How far an outlier lies beside the road. */
const OUTLIER_M = 180;

/** Metres east and north of the middle of the map. */
type Place = readonly [number, number];

const ORIGIN_LAT_DEG = 47.4;
const ORIGIN_LON_DEG = 8.5;
const M_PER_LAT_DEG = (6_371_008.8 * Math.PI) / 180;
const M_PER_LON_DEG = M_PER_LAT_DEG * Math.cos((ORIGIN_LAT_DEG * Math.PI) / 180);

/** The round trip, 9 km. */
const ROAD: readonly Place[] = [[-1500, 0], [1500, 0], [1500, 1500], [-1500, 1500], [-1500, 0]]; // prettier-ignore

const YARD: readonly Place[] = [[-500, -400], [600, -400], [600, 300], [150, 500], [-500, 350], [-500, -400]]; // prettier-ignore
const YARD_HOLE: readonly Place[] = [[-100, -120], [250, -120], [250, 130], [-100, 130], [-100, -120]]; // prettier-ignore
const TERMINAL: readonly Place[] = [[1250, 500], [1800, 500], [1800, 1000], [1250, 1000], [1250, 500]]; // prettier-ignore
const MOTORWAY: readonly Place[] = [
  [-200, 1480],
  [-1450, 1520],
  [-1520, 300],
];
const MOTORWAY_M = 160;
const CUSTOMER: Place = [500, 1600];
const CUSTOMER_M = 350;
const CUSTOMER_BUFFER_M = 60;
const SCALE: Place = [-300, 20];
const SCALE_M = 90;

/** The fences, as they are sent to `POST /v1/geofences`. */
export const FENCES: readonly FenceSpec[] = [
  {
    geofence_name: 'Yard',
    shape_type: 'polygon',
    polygon: { type: 'Polygon', coordinates: [YARD.map(lonLat), YARD_HOLE.map(lonLat)] },
    exit_fix_count: 1,
  },
  {
    geofence_name: 'Terminal',
    shape_type: 'rectangle',
    polygon: { type: 'Polygon', coordinates: [TERMINAL.map(lonLat)] },
    enter_fix_count: 2,
    exit_fix_count: 1,
    accuracy_m_max: 50,
  },
  {
    geofence_name: 'Motorway',
    shape_type: 'corridor',
    polygon: { type: 'LineString', coordinates: MOTORWAY.map(lonLat) },
    width_m: MOTORWAY_M,
  },
  {
    geofence_name: 'Customer',
    shape_type: 'circle',
    center_lng: lonLat(CUSTOMER)[0]!,
    center_lat: lonLat(CUSTOMER)[1]!,
    radius_m: CUSTOMER_M,
    exit_buffer_m: CUSTOMER_BUFFER_M,
  },
  {
    geofence_name: 'Scale',
    shape_type: 'circle',
    center_lng: lonLat(SCALE)[0]!,
    center_lat: lonLat(SCALE)[1]!,
    radius_m: SCALE_M,
    exit_fix_count: 1,
  },
];

/** The rules, as they are sent to `POST /v1/telematic-alerts`. */
export const RULES: readonly RuleSpec[] = [
  {
    alert_name: 'Speeding',
    metric_code: 'speed_mps',
    operator: '>',
    operator_value: 25,
    clear_value: 22,
    hold_s: 0,
    severity: 'critical',
  },
  {
    alert_name: 'Reefer warm',
    metric_code: 'temperature_c',
    operator: '>',
    operator_value: -15,
    clear_value: -17,
    hold_s: 30,
    severity: 'warning',
  },
];

/** A fence around the whole map and more. */
export function everywhere(name: string): FenceSpec {
  return {
    geofence_name: name,
    shape_type: 'circle',
    center_lng: ORIGIN_LON_DEG,
    center_lat: ORIGIN_LAT_DEG,
    radius_m: 20_000,
  };
}

/**
 * The fixes of one unit, oldest first. `unit` counts from 0; the units start an hour and a half apart, so that the run
 * lies on more than one day. `endMs` is later than all fixes.
 */
export function journeyOf(unit: number, endMs: number): Fix[] {
  const endS = Math.floor(endMs / 1000) - unit * 5_400;
  const startMs = endS * 1000 - FIX_COUNT * FIX_INTERVAL_MS;
  const fixes: Fix[] = [];
  let alongM = (unit * ROAD_M) / UNIT_COUNT + unit * 7;
  for (let i = 0; i < FIX_COUNT; i++) {
    alongM += STEP_M;
    while (clearanceM(onRoad(alongM).place) < MARGIN_M) alongM += STEP_M / 4;
    const { place, headingDeg } = onRoad(alongM);
    const aside = beside(place, headingDeg);
    const isOutlier = i % 23 === 11 && clearanceM(aside) >= MARGIN_M;
    const [lonDeg, latDeg] = lonLat(isOutlier ? aside : place) as [number, number];
    fixes.push({
      timeMs: startMs + i * FIX_INTERVAL_MS,
      lonDeg,
      latDeg,
      speedMps: speedMps(i + 17 * unit),
      headingDeg,
      accuracyM: i % 17 === 5 ? 200 : 8,
      temperatureC: i % 4 === 0 ? temperatureC(i + 31 * unit) : null,
    });
  }
  return fixes;
}

/** Of 90 fixes 16 too fast, then a few between the rule's two thresholds. */
function speedMps(phase: number): number {
  const place = phase % 90;
  if (place < 40) return 12.5;
  if (place < 56) return 29.5;
  return place < 61 ? 23.5 : 19;
}

/** Of 120 fixes 30 too warm, one of them for too short, then some between the rule's two thresholds. */
function temperatureC(phase: number): number {
  const place = phase % 120;
  if (place >= 20 && place < 26) return -12.5;
  if (place < 60 || place >= 102) return -20;
  return place < 92 ? -11.25 : -16;
}

const ROAD_M = ROAD.slice(1).reduce((sum, to, i) => sum + between(ROAD[i]!, to), 0);

function onRoad(alongM: number): { place: Place; headingDeg: number } {
  let leftM = alongM % ROAD_M;
  for (let i = 1; ; i++) {
    const from = ROAD[i - 1]!;
    const to = ROAD[i]!;
    const lengthM = between(from, to);
    if (leftM <= lengthM) {
      const share = leftM / lengthM;
      const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
      const headingDeg = ((Math.atan2(dx, dy) * 180) / Math.PI + 360) % 360;
      return { place: [from[0] + dx * share, from[1] + dy * share], headingDeg };
    }
    leftM -= lengthM;
  }
}

/** To the left of the road. */
function beside([x, y]: Place, headingDeg: number): Place {
  const left = ((headingDeg - 90) * Math.PI) / 180;
  return [x + OUTLIER_M * Math.sin(left), y + OUTLIER_M * Math.cos(left)];
}

/** Metres to the nearest boundary of any fence. */
function clearanceM(place: Place): number {
  const customerM = between(place, CUSTOMER);
  return Math.min(
    ...[YARD, YARD_HOLE, TERMINAL].map((ring) => toLineM(place, ring)),
    Math.abs(toLineM(place, MOTORWAY) - MOTORWAY_M / 2),
    Math.abs(customerM - CUSTOMER_M),
    Math.abs(customerM - CUSTOMER_M - CUSTOMER_BUFFER_M),
    Math.abs(between(place, SCALE) - SCALE_M),
  );
}

function toLineM(place: Place, line: readonly Place[]): number {
  return Math.min(...line.slice(1).map((to, i) => toSegmentM(place, line[i]!, to)));
}

function toSegmentM(place: Place, from: Place, to: Place): number {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const share = ((place[0] - from[0]) * dx + (place[1] - from[1]) * dy) / (dx * dx + dy * dy);
  const within = Math.max(0, Math.min(1, share));
  return between(place, [from[0] + dx * within, from[1] + dy * within]);
}

function between(a: Place, b: Place): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}

/** `[lonDeg, latDeg]`, to about a centimetre. */
function lonLat([x, y]: Place): number[] {
  const lonDeg = ORIGIN_LON_DEG + x / M_PER_LON_DEG;
  const latDeg = ORIGIN_LAT_DEG + y / M_PER_LAT_DEG;
  return [Number(lonDeg.toFixed(7)), Number(latDeg.toFixed(7))];
}
