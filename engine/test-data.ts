/** What the engine's tests have in common: a seeded generator, columns from rows, and fences with the usual settings. */
import type {
  EngineBatch,
  Fence,
  FenceShape,
  FixColumns,
  LonLat,
  ReadingColumns,
  Rule,
} from './types.ts';

/** Numbers in 0…1 (excluded) that a seed determines: mulberry32. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One fix; what is left out was not reported. */
export interface FixRow {
  readonly deviceId: number;
  readonly timeMs: number;
  readonly lonDeg: number;
  readonly latDeg: number;
  readonly accuracyM?: number;
  readonly speedMps?: number;
  readonly ignition?: number;
  readonly motion?: number;
}

export interface ReadingRow {
  readonly deviceId: number;
  readonly timeMs: number;
  readonly metricCode: string;
  readonly value: number;
}

/** A batch from rows. */
export function batchOf(
  fixes: readonly FixRow[],
  readings: readonly ReadingRow[] = [],
  nowMs = NaN,
): EngineBatch {
  const column = <T>(rows: readonly T[], of: (row: T) => number | undefined): Float64Array =>
    Float64Array.from(rows, (row) => of(row) ?? NaN);
  const fixColumns: FixColumns = {
    count: fixes.length,
    deviceId: column(fixes, (row) => row.deviceId),
    timeMs: column(fixes, (row) => row.timeMs),
    lonDeg: column(fixes, (row) => row.lonDeg),
    latDeg: column(fixes, (row) => row.latDeg),
    accuracyM: column(fixes, (row) => row.accuracyM),
    speedMps: column(fixes, (row) => row.speedMps),
    ignition: column(fixes, (row) => row.ignition),
    motion: column(fixes, (row) => row.motion),
  };
  const readingColumns: ReadingColumns = {
    count: readings.length,
    deviceId: column(readings, (row) => row.deviceId),
    timeMs: column(readings, (row) => row.timeMs),
    metricCode: readings.map((row) => row.metricCode),
    value: column(readings, (row) => row.value),
  };
  return { fixes: fixColumns, readings: readingColumns, nowMs };
}

/** A rectangle as a shape, west, south, east, north. */
export function boxShape(west: number, south: number, east: number, north: number): FenceShape {
  return { type: 'polygon', polygons: [[boxRing(west, south, east, north)]] };
}

/** A rectangle as a closed ring, counterclockwise. */
export function boxRing(west: number, south: number, east: number, north: number): LonLat[] {
  return [
    [west, south],
    [east, south],
    [east, north],
    [west, north],
    [west, south],
  ];
}

/** A ring of `count` corners round a point, its radius varying at random so that it is simple but not convex. */
export function starRing(
  random: () => number,
  [lonDeg, latDeg]: LonLat,
  radiusDeg: number,
  count: number,
): LonLat[] {
  const ring: LonLat[] = [];
  for (let i = 0; i < count; i++) {
    const angle = ((i + 0.8 * random()) / count) * 2 * Math.PI;
    const radius = radiusDeg * (0.3 + 0.7 * random());
    ring.push([lonDeg + radius * Math.cos(angle), latDeg + radius * Math.sin(angle)]);
  }
  ring.push(ring[0]!);
  return ring;
}

/** A fence of tenant 1, all accounts, with enter after 1 fix and exit after 2. */
export function fenceOf(fenceId: number, shape: FenceShape, more: Partial<Fence> = {}): Fence {
  return {
    fenceId,
    version: 1,
    tenantId: 1,
    accountId: null,
    name: `fence ${fenceId}`,
    shape,
    exitBufferM: 0,
    enterFixCount: 1,
    exitFixCount: 2,
    accuracyMMax: null,
    dwellMs: null,
    crossGapMsMax: 0,
    schedule: null,
    ...more,
  };
}

/** A rule of tenant 1 for all its units: speed above 25 m/s. */
export function ruleOf(ruleId: number, more: Partial<Rule> = {}): Rule {
  return {
    ruleId,
    version: 1,
    tenantId: 1,
    accountId: null,
    equipmentId: null,
    name: `rule ${ruleId}`,
    metricCode: 'speed_mps',
    operator: '>',
    value: 25,
    valueHigh: null,
    clearValue: null,
    holdMs: 0,
    severity: 'warning',
    ...more,
  };
}
