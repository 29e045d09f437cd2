/**
 * The bench's vehicles and what they send: batches as a partition hands them to the engine. Realistic motion is that of a
 * fleet, of which half is parked at any time; random motion has every fix anywhere, the worst case. Knows columns of fixes;
 * refuses to know fences.
 */
import { seededRandom } from '../../engine/test-data.ts';
import type { EngineBatch, FixColumns, ReadingColumns } from '../../engine/types.ts';
import type { Area } from './area.ts';

export const MOTIONS = ['realistic', 'random'] as const;
export type MotionName = (typeof MOTIONS)[number];

export interface DriveParams {
  readonly seed: number;
  readonly vehicles: number;
  readonly motion: MotionName;
  readonly batchRows: number;
}

/** From one fix of a vehicle to its next. */
export const FIX_EVERY_MS = 10_000;
/** The time of the first fix: a Monday. */
export const START_MS = Date.UTC(2026, 0, 5);
/** From the newest fix of a batch to the clock that the batch is given. */
const LINGER_MS = 1_000;

const STEP_S = FIX_EVERY_MS / 1_000;
/** Trips and rests, in fixes: 10 to 50 minutes. */
const PHASE_STEPS_MIN = 60;
const PHASE_STEPS_MAX = 300;
/** How long a vehicle keeps to one road, in fixes. */
const LEG_STEPS_MAX = 12;
/** How long it stands at a light or in a queue, in fixes. */
const HALT_STEPS_MAX = 6;
const HALT_SHARE = 0.2;
const TURN_SHARE = 0.3;
const SPEED_MPS_MIN = 5;
const SPEED_MPS_MAX = 30;
const SPEED_CHANGE_MPS_MAX = 15;
/** How far a receiver is off: a few metres, each fix anew. */
const JITTER_M = 4;
/** One fix in a hundred is bad: between these. */
const BAD_SHARE = 0.01;
const BAD_ACCURACY_M_MIN = 50;
const BAD_ACCURACY_M_MAX = 250;

const NO_READINGS: ReadingColumns = {
  count: 0,
  deviceId: new Float64Array(0),
  timeMs: new Float64Array(0),
  metricCode: [],
  value: new Float64Array(0),
};

/** Batches without end: the vehicles in turns, device ids 0 … `vehicles` − 1. Each batch has memory of its own. */
export function* driveBatches(area: Area, params: DriveParams): Generator<EngineBatch, never> {
  const random = seededRandom(params.seed + 23);
  const fleet = Array.from({ length: params.vehicles }, () => new Vehicle(area, random));
  let row = 0;
  for (;;) {
    const fixes = emptyColumns(params.batchRows);
    for (let i = 0; i < params.batchRows; i++, row++) {
      const deviceId = row % params.vehicles;
      const vehicle = fleet[deviceId]!;
      if (params.motion === 'realistic') vehicle.step(random);
      else vehicle.jump(random);
      fixes.deviceId[i] = deviceId;
      fixes.timeMs[i] = timeMsOf(row, params.vehicles);
      putFix(fixes, i, area, vehicle, random);
    }
    fixes.count = params.batchRows;
    yield batchOfColumns(fixes);
  }
}

/** Each vehicle has its own moment in every ten seconds. */
function timeMsOf(row: number, vehicles: number): number {
  const step = Math.floor(row / vehicles);
  const offsetMs = Math.floor(((row % vehicles) / vehicles) * FIX_EVERY_MS);
  return START_MS + step * FIX_EVERY_MS + offsetMs;
}

/** The first batches that hold at least `fixes` fixes. */
export function takeBatches(area: Area, params: DriveParams, fixes: number): EngineBatch[] {
  const drive = driveBatches(area, params);
  const count = Math.ceil(fixes / params.batchRows);
  return Array.from({ length: count }, () => drive.next().value);
}

/** A batch whose clock is a little past its last row. */
export function batchOfColumns(fixes: FixColumns): EngineBatch {
  const nowMs = (fixes.timeMs[fixes.count - 1] ?? NaN) + LINGER_MS;
  return { fixes, readings: NO_READINGS, nowMs };
}

/** Room for rows; every column says "not reported". */
export function emptyColumns(rows: number): FixColumns {
  const column = (): Float64Array => new Float64Array(rows).fill(NaN);
  return {
    count: 0,
    deviceId: column(),
    timeMs: column(),
    lonDeg: column(),
    latDeg: column(),
    accuracyM: column(),
    speedMps: column(),
    ignition: column(),
    motion: column(),
  };
}

function putFix(
  fixes: FixColumns,
  row: number,
  area: Area,
  vehicle: Vehicle,
  random: () => number,
): void {
  const isBad = random() < BAD_SHARE;
  const jitterM = isBad ? 10 * JITTER_M : JITTER_M;
  const eastM = vehicle.eastM + (random() + random() - 1) * jitterM;
  const northM = vehicle.northM + (random() + random() - 1) * jitterM;
  fixes.lonDeg[row] = area.westDeg + eastM * area.lonDegPerM;
  fixes.latDeg[row] = area.southDeg + northM * area.latDegPerM;
  fixes.accuracyM[row] = isBad
    ? BAD_ACCURACY_M_MIN + random() * (BAD_ACCURACY_M_MAX - BAD_ACCURACY_M_MIN)
    : 3 + random() * 12;
  fixes.speedMps[row] = vehicle.speedMps;
  fixes.ignition[row] = vehicle.isParked ? 0 : 1;
  fixes.motion[row] = vehicle.speedMps > 0 ? 1 : 0;
}

/**
 * One vehicle: parked → driving → parked …; while driving, along one road after the other, with halts in between. Starts
 * somewhere in the middle of either.
 */
class Vehicle {
  eastM: number;
  northM: number;
  speedMps = 0;
  isParked: boolean;
  private readonly area: Area;
  private headingRad: number;
  private roadMps = 0;
  private phaseSteps: number;
  private legSteps = 0;

  constructor(area: Area, random: () => number) {
    this.area = area;
    this.eastM = random() * area.widthM;
    this.northM = random() * area.heightM;
    this.headingRad = random() * 2 * Math.PI;
    this.isParked = random() < 0.5;
    this.phaseSteps = Math.ceil(random() * PHASE_STEPS_MAX);
  }

  /** To where it is at its next fix. */
  step(random: () => number): void {
    if (--this.phaseSteps <= 0) {
      this.isParked = !this.isParked;
      this.phaseSteps =
        PHASE_STEPS_MIN + Math.floor(random() * (PHASE_STEPS_MAX - PHASE_STEPS_MIN));
      this.speedMps = 0;
      this.legSteps = 0;
    }
    if (this.isParked) return;
    if (--this.legSteps <= 0) this.nextLeg(random);
    const change = this.roadMps - this.speedMps;
    this.speedMps += Math.max(-SPEED_CHANGE_MPS_MAX, Math.min(SPEED_CHANGE_MPS_MAX, change));
    this.eastM += Math.sin(this.headingRad) * this.speedMps * STEP_S;
    this.northM += Math.cos(this.headingRad) * this.speedMps * STEP_S;
    this.turnAtBorder();
  }

  /** To anywhere. */
  jump(random: () => number): void {
    this.isParked = false;
    this.speedMps = SPEED_MPS_MIN + random() * (SPEED_MPS_MAX - SPEED_MPS_MIN);
    this.eastM = random() * this.area.widthM;
    this.northM = random() * this.area.heightM;
  }

  private nextLeg(random: () => number): void {
    if (this.roadMps > 0 && random() < HALT_SHARE) {
      this.roadMps = 0;
      this.legSteps = Math.ceil(random() * HALT_STEPS_MAX);
      return;
    }
    const isTurn = random() < TURN_SHARE;
    const side = random() - 0.5;
    this.headingRad += isTurn ? Math.sign(side) * (Math.PI / 2) : side * 0.5;
    this.roadMps = SPEED_MPS_MIN + random() * (SPEED_MPS_MAX - SPEED_MPS_MIN);
    this.legSteps = Math.ceil(random() * LEG_STEPS_MAX);
  }

  private turnAtBorder(): void {
    const { widthM, heightM } = this.area;
    const eastM = Math.max(0, Math.min(widthM, this.eastM));
    const northM = Math.max(0, Math.min(heightM, this.northM));
    if (eastM === this.eastM && northM === this.northM) return;
    this.eastM = eastM;
    this.northM = northM;
    this.headingRad += Math.PI;
  }
}
