/**
 * What fences and resting vehicles take in memory: what is held with them, less what was held before, after everything else
 * has been collected. Fences as polygons; of vehicles the entry in the world and the engine's state.
 */
import assert from 'node:assert/strict';
import { createEngine, type Engine } from '../../engine/engine.ts';
import { fenceOf } from '../../engine/test-data.ts';
import type { Device, EngineBatch, LonLat } from '../../engine/types.ts';
import { applyEdits, createWorld, fencesAt, type World } from '../../engine/world.ts';
import type { Report } from '../report.ts';
import { areaOf, type Area } from './area.ts';
import { batchOfColumns, emptyColumns, FIX_EVERY_MS, START_MS } from './drive.ts';
import { heldBytes } from './held-bytes.ts';
import { fenceEdits, TENANT_ID } from './rates.ts';
import { makeFences, settingsOf } from './shapes.ts';

export interface MemoryParams {
  readonly seed: number;
  /** Many small fences … */
  readonly fences: number;
  readonly vertices: number;
  /** … and few large ones. */
  readonly largeFences: number;
  readonly largeVertices: number;
  readonly vehicles: number;
  /** That each vehicle has sent. */
  readonly fixesPerVehicle: number;
  readonly batchRows: number;
}

export const MEMORY_PARAMS: MemoryParams = {
  seed: 1,
  fences: 100_000,
  vertices: 24,
  largeFences: 1_000,
  largeVertices: 10_000,
  vehicles: 1_000_000,
  fixesPerVehicle: 3,
  batchRows: 5_000,
};

/** Enough of each that what comes and goes besides does not matter. */
export const MEMORY_PARAMS_TINY: MemoryParams = {
  ...MEMORY_PARAMS,
  fences: 2_000,
  largeFences: 10,
  largeVertices: 2_000,
  vehicles: 20_000,
};

const VERTEX_BYTES = 16;
const SIZE_DEG = 4;
/** Vehicles rest in yards on a grid, one in every second; yards do not touch. */
const YARD_RADIUS_M = 1_500;
const YARDS_A_ROW = 40;
const YARDS = 1_000;

export async function benchMemory(params: MemoryParams, report: Report): Promise<void> {
  const figure = (metric: string, value: number, unit = 'bytes'): void =>
    report({ scenario: 'engine_memory', metric, value, unit, params: { ...params } });
  // What the first of anything makes for good, code above all, is made before.
  await measureFences(params.seed, Math.min(params.fences, 100), params.vertices);
  const small = await measureFences(params.seed, params.fences, params.vertices);
  figure('bytes_per_fence', small.bytes);
  figure('bytes_per_fence_beyond_vertices', small.bytesBeyondVertices);
  const large = await measureFences(params.seed, params.largeFences, params.largeVertices);
  figure('bytes_per_large_fence', large.bytes);
  figure('bytes_per_large_fence_beyond_vertices', large.bytesBeyondVertices);
  await measureVehicles({ ...params, vehicles: Math.min(params.vehicles, 1_000) });
  const vehicle = await measureVehicles(params);
  figure('bytes_per_vehicle', vehicle.bytes);
  figure('bytes_per_vehicle_with_device', vehicle.bytesWithDevice);
  figure('vehicles_inside', vehicle.inside, 'vehicles');
}

async function measureFences(
  seed: number,
  fences: number,
  vertices: number,
): Promise<{ bytes: number; bytesBeyondVertices: number }> {
  const area = areaOf(SIZE_DEG);
  const world = createWorld();
  const before = await heldBytes();
  const probe = loadFences(world, area, { seed, fences, vertices });
  const bytes = ((await heldBytes()) - before) / fences;
  // Asked afterwards, so the world is still there when it is weighed.
  assert(fencesAt(world, TENANT_ID, ...probe).length > 0, 'the fences are in force');
  return { bytes, bytesBeyondVertices: bytes - vertices * VERTEX_BYTES };
}

/** Gives a place in one of them; what the fences were made of is not kept. */
function loadFences(
  world: World,
  area: Area,
  params: { seed: number; fences: number; vertices: number },
): LonLat {
  const shapes = { ...params, shape: 'polygon', fencesPerFixPercent: 100 } as const;
  const fences = makeFences(area, shapes);
  applyEdits(world, fenceEdits(fences));
  const shape = fences[0]?.shape;
  assert(shape?.type === 'polygon', 'fences are polygons');
  const [lonDeg, latDeg] = shape.polygons[0]![0]![0]!;
  return [lonDeg, latDeg];
}

async function measureVehicles(
  params: MemoryParams,
): Promise<{ bytes: number; bytesWithDevice: number; inside: number }> {
  const { vehicles } = params;
  const area = areaOf(SIZE_DEG);
  const world = createWorld();
  loadYards(world, area);
  const engine = createEngine(world);
  const before = await heldBytes();
  const devices: Device[] = Array.from({ length: vehicles }, (_, deviceId) => ({
    deviceId,
    tenantId: TENANT_ID,
    accountId: null,
    equipmentId: deviceId,
  }));
  const withDevices = await heldBytes();
  putDevices(world, devices);
  for (let n = 0; n < params.fixesPerVehicle; n++) {
    for (let from = 0; from < vehicles; from += params.batchRows) {
      rest(engine, area, { n, from, to: Math.min(vehicles, from + params.batchRows) });
    }
  }
  const after = await heldBytes();
  assert(devices.length === vehicles, 'the devices are still there');
  let inside = 0;
  for (const { deviceId } of devices) inside += engine.snapshot(deviceId)?.inside.length ?? 0;
  return {
    bytes: (after - withDevices) / vehicles,
    bytesWithDevice: (after - before) / vehicles,
    inside,
  };
}

function putDevices(world: World, devices: readonly Device[]): void {
  applyEdits(
    world,
    devices.map((device) => ({ type: 'device_put', device })),
  );
}

function loadYards(world: World, area: Area): void {
  const yards = Array.from({ length: YARDS }, (_, i) => {
    const [centerLonDeg, centerLatDeg] = yardAt(area, i);
    const shape = { type: 'circle', centerLonDeg, centerLatDeg, radiusM: YARD_RADIUS_M } as const;
    return fenceOf(i, shape, settingsOf(i));
  });
  applyEdits(world, fenceEdits(yards));
}

function yardAt(area: Area, yard: number): LonLat {
  const stepDeg = area.sizeDeg / YARDS_A_ROW;
  return [
    area.westDeg + (0.5 + (yard % YARDS_A_ROW)) * stepDeg,
    area.southDeg + (0.5 + Math.floor(yard / YARDS_A_ROW)) * stepDeg,
  ];
}

/** Fix `n` of some vehicles, all but where they were before: those with even numbers in a yard, the others between yards. */
function rest(
  engine: Engine,
  area: Area,
  { n, from, to }: { n: number; from: number; to: number },
): void {
  engine.evaluate(restingBatch(area, { n, from, to }));
  engine.commit();
}

function restingBatch(
  area: Area,
  { n, from, to }: { n: number; from: number; to: number },
): EngineBatch {
  const fixes = emptyColumns(to - from);
  const betweenDeg = area.sizeDeg / YARDS_A_ROW / 2;
  for (let deviceId = from; deviceId < to; deviceId++) {
    const row = deviceId - from;
    const [lonDeg, latDeg] = yardAt(area, (deviceId >> 1) % YARDS);
    const asideDeg = deviceId % 2 === 0 ? 0 : betweenDeg;
    // A fan of places, a few metres apart from fix to fix.
    const spreadDeg = ((deviceId % 101) - 50) * 1e-4 + n * 2e-5;
    fixes.deviceId[row] = deviceId;
    fixes.timeMs[row] = START_MS + n * FIX_EVERY_MS;
    fixes.lonDeg[row] = lonDeg + asideDeg + spreadDeg;
    fixes.latDeg[row] = latDeg + asideDeg;
    fixes.accuracyM[row] = 5;
    fixes.speedMps[row] = 0;
  }
  fixes.count = to - from;
  return batchOfColumns(fixes);
}
