/**
 * Fences and alert rules of the demo, as rows of their tables: yards, customers, fuel stops, city zones, and the
 * interstate. Knows the sites and the columns; refuses to know SQL and vehicles.
 */
import type { FenceShapeFields } from '../../engine/geojson.ts';
import type { RuleOperator, Severity } from '../../engine/types.ts';
import { cityOf, type GridPoint, type Region } from './cities.ts';
import { planeOf, SITES, type CustomerKey, type Site } from './plan.ts';
import { INTERSTATE_LINE } from './roads.ts';
import { SET_POINT_C } from './sensors.ts';

/** A row of `geofence`. A region stands for its account; null is the whole customer's. */
export interface FenceSeed extends FenceShapeFields {
  readonly customer: CustomerKey;
  readonly region: Region | null;
  readonly geofence_name: string;
  readonly description: string;
  readonly exit_buffer_m: number;
}

/** A row of `telematic_alert`. */
export interface RuleSeed {
  readonly customer: CustomerKey;
  readonly region: Region | null;
  readonly alert_name: string;
  readonly metric_code: string;
  readonly operator: RuleOperator;
  readonly operator_value: number;
  readonly operator_value_high: number | null;
  readonly clear_value: number | null;
  readonly hold_s: number;
  readonly severity: Severity;
}

/** Fixes worse than this do not move a fence's state. */
export const ACCURACY_M_MAX = 40;

const CUSTOMER_RADIUS_M = 110;
const FUEL_RADIUS_M = 50;
const INTERSTATE_WIDTH_M = 250;

/** Corners of a yard, metres east and north of its middle. */
const YARD: readonly [number, number][] = [
  [-130, -110],
  [120, -120],
  [135, 60],
  [70, 125],
  [-110, 130],
  [-140, 20],
];
/** A substation in the yard that is not part of it. */
const YARD_HOLE: readonly [number, number][] = [
  [-90, 60],
  [-90, 100],
  [-50, 100],
  [-50, 60],
];

/** Every fence. */
export const FENCES: readonly FenceSeed[] = [...SITES.map(siteFence), ...zones()];

function siteFence(site: Site): FenceSeed {
  const { spot } = site.place;
  const region = site.customer === 'northline' ? cityOf(site.cityKey).region : null;
  const about = { customer: site.customer, region, geofence_name: site.name };
  if (site.kind === 'depot') {
    const holes = site.cityKey === 'chicago' ? [ringAround(site.cityKey, spot, YARD_HOLE)] : [];
    return {
      ...about,
      ...polygonal('polygon', 'Polygon', [ringAround(site.cityKey, spot, YARD), ...holes]),
      description: 'Yard and loading docks',
      exit_buffer_m: 20,
    };
  }
  const isFuel = site.kind === 'fuel';
  return {
    ...about,
    ...circle(site.cityKey, spot, isFuel ? FUEL_RADIUS_M : CUSTOMER_RADIUS_M),
    description: isFuel ? 'Contract fuel station' : 'Customer site',
    exit_buffer_m: isFuel ? 15 : 20,
  };
}

function zones(): FenceSeed[] {
  const zone = (region: Region | null, geofence_name: string, description: string) => ({
    customer: 'northline' as const,
    region,
    geofence_name,
    description,
    exit_buffer_m: 30,
  });
  const middle = { xM: 0, yM: 0 };
  const square: [number, number][] = [
    [-900, -900],
    [900, -900],
    [900, 900],
    [-900, 900],
  ];
  return [
    {
      ...zone(null, 'Interstate 30', 'Dallas to Fort Worth'),
      ...polygonal('corridor', 'LineString', INTERSTATE_LINE.map(rounded)),
      width_m: INTERSTATE_WIDTH_M,
    },
    {
      ...zone('south', 'Downtown Atlanta', 'Deliveries by appointment'),
      ...polygonal('rectangle', 'Polygon', [box('atlanta', 1_500)]),
    },
    {
      ...zone('coasts', 'Newark port district', 'Two terminals under one permit'),
      ...polygonal('multipolygon', 'MultiPolygon', [
        [ringAround('newark', { xM: -2_400, yM: 1_600 }, square)],
        [ringAround('newark', { xM: -6_400, yM: 4_800 }, square)],
      ]),
    },
    {
      ...zone('coasts', 'Los Angeles clean-air zone', 'Engines off while standing'),
      ...polygonal('polygon', 'Polygon', [
        ringAround('los-angeles', middle, [
          [-2_600, -1_900],
          [-300, -2_500],
          [2_300, -1_700],
          [2_700, 800],
          [1_100, 2_400],
          [-2_000, 2_100],
        ]),
      ]),
    },
    { ...zone('midwest', 'Downtown Denver', 'No parking'), ...circle('denver', middle, 1_800) },
  ];
}

/** Every alert rule. */
export const RULES: readonly RuleSeed[] = [
  {
    ...rule('northline', null, 'Speeding', 'speed_mps'),
    operator: '>',
    operator_value: 31.3,
    clear_value: 29,
    severity: 'warning',
  },
  ...(['midwest', 'coasts'] as const).map((region) => ({
    ...rule('northline', region, `Frozen cargo too warm (${region})`, 'temperature_c'),
    operator: '>' as const,
    operator_value: SET_POINT_C.frozen + 5,
    clear_value: SET_POINT_C.frozen + 3,
    hold_s: 30,
    severity: 'critical' as const,
  })),
  chilledRule('northline', 'south'),
  {
    ...rule('northline', null, 'Tracker battery low', 'battery_pct'),
    operator: '<',
    operator_value: 20,
    clear_value: 25,
    severity: 'info',
  },
  chilledRule('cascade', null),
];

function chilledRule(customer: CustomerKey, region: Region | null): RuleSeed {
  return {
    ...rule(customer, region, 'Chilled cargo out of range', 'temperature_c'),
    operator: 'outside',
    operator_value: SET_POINT_C.chilled - 3,
    operator_value_high: SET_POINT_C.chilled + 3,
    hold_s: 20,
    severity: 'critical',
  };
}

function rule(
  customer: CustomerKey,
  region: Region | null,
  alert_name: string,
  metric_code: string,
) {
  return {
    customer,
    region,
    alert_name,
    metric_code,
    operator_value_high: null,
    clear_value: null,
    hold_s: 0,
  };
}

function circle(cityKey: string, spot: GridPoint, radius_m: number): FenceShapeFields {
  const [center_lng, center_lat] = rounded(planeOf(cityKey).toEarth(spot));
  return { shape_type: 'circle', polygon: null, center_lat, center_lng, radius_m, width_m: null };
}

function polygonal(shape_type: string, type: string, coordinates: unknown): FenceShapeFields {
  const none = { center_lat: null, center_lng: null, radius_m: null, width_m: null };
  return { shape_type, polygon: { type, coordinates }, ...none };
}

type Position = [number, number];

function ringAround(
  cityKey: string,
  { xM, yM }: GridPoint,
  corners: readonly (readonly [number, number])[],
): Position[] {
  const plane = planeOf(cityKey);
  const ring = corners.map(([dx, dy]) => rounded(plane.toEarth({ xM: xM + dx, yM: yM + dy })));
  return [...ring, ring[0]!];
}

// Along the parallels and meridians, as a rectangle is.
function box(cityKey: string, halfM: number): Position[] {
  const plane = planeOf(cityKey);
  const corners = [-halfM, halfM].flatMap((xM) => [-halfM, halfM].map((yM) => ({ xM, yM })));
  const found = corners.map((corner) => rounded(plane.toEarth(corner)));
  const [west, east] = [Math.min(...found.map(([x]) => x)), Math.max(...found.map(([x]) => x))];
  const [south, north] = [
    Math.min(...found.map(([, y]) => y)),
    Math.max(...found.map(([, y]) => y)),
  ];
  return [
    [west, south],
    [east, south],
    [east, north],
    [west, north],
    [west, south],
  ];
}

// Seven digits after the point are a centimetre.
function rounded([lonDeg, latDeg]: readonly [number, number]): Position {
  return [Math.round(lonDeg * 1e7) / 1e7, Math.round(latDeg * 1e7) / 1e7];
}
