/**
 * What an edit costs while many fences are in force: one at a time through `applyEdits`, with a batch of the fleet before and
 * after. The batch after must already see it: a vehicle that stands where the fence now is enters it, and leaves it when it
 * is gone.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createEngine, type Engine } from '../../engine/engine.ts';
import { fenceOf, seededRandom } from '../../engine/test-data.ts';
import type { Edit, EngineBatch, Fence, FixColumns, LonLat } from '../../engine/types.ts';
import { applyEdits, createWorld, type World } from '../../engine/world.ts';
import type { Report } from '../report.ts';
import { areaOf, placeAt, type Area } from './area.ts';
import { batchOfColumns, driveBatches, emptyColumns } from './drive.ts';
import { deviceEdits, fenceEdits, told } from './rates.ts';
import { makeFences, outline, settingsOf } from './shapes.ts';
import { percentile } from './statistics.ts';

export interface EditsParams {
  readonly seed: number;
  readonly fences: number;
  readonly vertices: number;
  /** Corners of the large outlines among the edits. */
  readonly largeVertices: number;
  readonly vehicles: number;
  readonly batchRows: number;
  /** Edits of each kind. */
  readonly edits: number;
}

export const EDITS_PARAMS: EditsParams = {
  seed: 1,
  fences: 100_000,
  vertices: 24,
  largeVertices: 10_000,
  vehicles: 10_000,
  batchRows: 5_000,
  edits: 50,
};

export const EDITS_PARAMS_TINY: EditsParams = {
  ...EDITS_PARAMS,
  fences: 100,
  largeVertices: 500,
  vehicles: 50,
  batchRows: 100,
  edits: 3,
};

export const EDIT_KINDS = [
  'move',
  'reshape',
  'reshape_large',
  'create',
  'delete',
  'continent',
  'continent_delete',
] as const;
export type EditKind = (typeof EDIT_KINDS)[number];

/** An edit, and a place that the fence holds after it, or before it where it goes. */
export interface PlannedEdit {
  readonly kind: EditKind;
  readonly edit: Edit;
  readonly place: LonLat;
  readonly fenceId: number;
  /** Whether a vehicle at the place is inside from then on. */
  readonly isInside: boolean;
}

const SIZE_DEG = 4;
/** About the radius of one of 100,000 fences that hold a place once on average. */
const RADIUS_M = 700;
const CONTINENT_RADIUS_M = 1_500_000;
const CONTINENT_VERTICES = 500;

/** What one edit took, and the batch after it. */
interface Taken {
  readonly kind: EditKind;
  readonly applyMs: number;
  readonly batchMs: number;
}

export function benchEdits(params: EditsParams, report: Report): void {
  const area = areaOf(SIZE_DEG);
  const world = createWorld();
  const kinds = EDIT_KINDS.length * params.edits;
  applyEdits(world, deviceEdits(params.vehicles + kinds));
  const fences = startFences(area, params);
  applyEdits(world, fenceEdits(fences));
  const engine = createEngine(world);
  const probes = new ProbedDrive(engine, area, params);
  for (let n = 0; n < Math.ceil(params.vehicles / params.batchRows); n++) probes.step([]);
  const taken = planEdits(area, params, fences).map((planned, n) =>
    takeEdit(world, probes, planned, params.vehicles + n),
  );
  const hash = probes.digest.digest('hex').slice(0, 12);
  const figure = (metric: string, value: number): void =>
    report({ scenario: 'engine_edits', metric, value, unit: 'ms', params: { ...params, hash } });
  figure('apply_max_ms', Math.max(...taken.map(({ applyMs }) => applyMs)));
  figure(
    'apply_p99_ms',
    percentile(
      taken.map(({ applyMs }) => applyMs),
      99,
    ),
  );
  for (const kind of EDIT_KINDS) {
    const ms = taken.filter((one) => one.kind === kind).map(({ applyMs }) => applyMs);
    figure(`${kind}_p50_ms`, percentile(ms, 50));
    figure(`${kind}_p99_ms`, percentile(ms, 99));
    figure(`${kind}_max_ms`, Math.max(...ms));
  }
  figure(
    'batch_p50_ms',
    percentile(
      taken.map(({ batchMs }) => batchMs),
      50,
    ),
  );
  figure('batch_max_ms', Math.max(...taken.map(({ batchMs }) => batchMs)));
}

/** The fences in force before the first edit. */
export function startFences(
  area: Area,
  { seed, fences, vertices }: Pick<EditsParams, 'seed' | 'fences' | 'vertices'>,
): Fence[] {
  return makeFences(area, { seed, fences, vertices, shape: 'polygon', fencesPerFixPercent: 100 });
}

/** The kinds in turns. Every fence is touched once at most, but for continents, which go before the next one comes. */
export function planEdits(
  area: Area,
  params: Pick<EditsParams, 'seed' | 'fences' | 'vertices' | 'largeVertices' | 'edits'>,
  fences: readonly Fence[],
): PlannedEdit[] {
  const random = seededRandom(params.seed + 37);
  assert(fences.length >= params.edits * EDIT_KINDS.length, 'fences for every edit');
  let nextFenceId = 0;
  let newFenceId = fences.length;
  const plans: PlannedEdit[] = [];
  for (let n = 0; n < params.edits; n++) {
    for (const kind of ['move', 'reshape', 'reshape_large', 'create'] as const) {
      const isNew = kind === 'create';
      const fenceId = isNew ? newFenceId++ : nextFenceId++;
      const count = kind === 'reshape_large' ? params.largeVertices : params.vertices;
      plans.push(planPut(area, random, { kind, fenceId, count, radiusM: RADIUS_M }));
    }
    const doomed = fences[nextFenceId++]!;
    plans.push(planDelete('delete', doomed.fenceId, middleOf(doomed)));
    const continent = planPut(area, random, {
      kind: 'continent',
      fenceId: newFenceId++,
      count: CONTINENT_VERTICES,
      radiusM: CONTINENT_RADIUS_M,
    });
    plans.push(continent, planDelete('continent_delete', continent.fenceId, continent.place));
  }
  return plans;
}

/** A fence of either size round a place in the area; one that was there keeps nothing of its shape but for a move's size. */
function planPut(
  area: Area,
  random: () => number,
  put: { kind: EditKind; fenceId: number; count: number; radiusM: number },
): PlannedEdit {
  const { kind, fenceId, count, radiusM } = put;
  const eastM = random() * area.widthM;
  const northM = random() * area.heightM;
  const ring = outline(area, random, { eastM, northM, radiusM, count });
  const fence = fenceOf(
    fenceId,
    { type: 'polygon', polygons: [[ring]] },
    {
      ...settingsOf(fenceId),
      version: 2,
    },
  );
  const place = placeAt(area, eastM, northM);
  const edit = { type: 'fence_put', fence } as const;
  return { kind, edit, place, fenceId, isInside: true };
}

function planDelete(kind: EditKind, fenceId: number, place: LonLat): PlannedEdit {
  const edit = { type: 'fence_delete', fenceId } as const;
  return { kind, edit, place, fenceId, isInside: false };
}

/** A place inside an outline: the mean of its corners, which are even round its middle. */
function middleOf({ shape }: Fence): LonLat {
  assert(shape.type === 'polygon', 'fences are polygons');
  const ring = shape.polygons[0]![0]!.slice(1);
  const mean = (axis: 0 | 1): number =>
    ring.reduce((sum, position) => sum + position[axis], 0) / ring.length;
  return [mean(0), mean(1)];
}

function takeEdit(
  world: World,
  probes: ProbedDrive,
  planned: PlannedEdit,
  deviceId: number,
): Taken {
  const { kind, edit, place, fenceId, isInside } = planned;
  const probe = { deviceId, place };
  probes.step([probe]);
  assert.equal(probes.isInside(probe, fenceId), !isInside, `${kind} changes something`);
  const startedMs = performance.now();
  applyEdits(world, [edit]);
  const applyMs = performance.now() - startedMs;
  const batchMs = probes.step([probe]);
  assert.equal(probes.isInside(probe, fenceId), isInside, `the next batch sees ${kind}`);
  return { kind, applyMs, batchMs };
}

/** Whether an engine holds a device to be in a fence. */
export function isHeldInside(engine: Engine, deviceId: number, fenceId: number): boolean {
  const inside = engine.snapshot(deviceId)?.inside ?? [];
  return inside.some((state) => state.fenceId === fenceId);
}

/** A vehicle beside the fleet, and where it stands. */
interface Probe {
  readonly deviceId: number;
  readonly place: LonLat;
}

/** The fleet's batches, each with a few more vehicles in it. */
class ProbedDrive {
  readonly digest = createHash('sha256');
  private readonly engine: Engine;
  private readonly drive: Generator<EngineBatch, never>;

  constructor(engine: Engine, area: Area, params: EditsParams) {
    this.engine = engine;
    this.drive = driveBatches(area, { ...params, motion: 'realistic' });
  }

  isInside({ deviceId }: Probe, fenceId: number): boolean {
    return isHeldInside(this.engine, deviceId, fenceId);
  }

  /** Evaluates the next batch and gives the milliseconds that it took. */
  step(probes: readonly Probe[]): number {
    const batch = withProbes(this.drive.next().value.fixes, probes);
    const startedMs = performance.now();
    const { events, changed } = this.engine.evaluate(batch);
    assert(changed.length >= 0, 'changed states are read');
    this.engine.commit();
    const batchMs = performance.now() - startedMs;
    this.digest.update(told(events));
    return batchMs;
  }
}

function withProbes(fixes: FixColumns, probes: readonly Probe[]): EngineBatch {
  const more = emptyColumns(fixes.count + probes.length);
  more.deviceId.set(fixes.deviceId);
  more.timeMs.set(fixes.timeMs);
  more.lonDeg.set(fixes.lonDeg);
  more.latDeg.set(fixes.latDeg);
  more.accuracyM.set(fixes.accuracyM);
  more.speedMps.set(fixes.speedMps);
  more.count = fixes.count;
  for (const { deviceId, place } of probes) {
    more.deviceId[more.count] = deviceId;
    more.timeMs[more.count] = fixes.timeMs[fixes.count - 1]!;
    more.lonDeg[more.count] = place[0];
    more.latDeg[more.count] = place[1];
    more.count++;
  }
  return batchOfColumns(more);
}
