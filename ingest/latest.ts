/**
 * The newest position and temperature of each unit in a batch: what `telematics` and the live map are told. Nothing is
 * late here: the engine said which rows are their device's newest.
 */
import type { Evaluation } from '../engine/types.ts';
import type { Batch } from './batch.ts';
import type { Link } from './registry.ts';

export const TEMPERATURE_CODE = 'temperature_c';

/** `null` is "not reported". */
export interface LatestPosition {
  readonly link: Link;
  readonly recordedMs: number;
  readonly receivedMs: number;
  readonly latDeg: number;
  readonly lonDeg: number;
  readonly altitudeM: number | null;
  readonly speedMps: number | null;
  readonly headingDeg: number | null;
  readonly accuracyM: number | null;
  readonly odometerM: number | null;
  readonly ignition: boolean | null;
  readonly motionStatus: 'moving' | 'stopped' | null;
  readonly temperatureC: number | null;
  readonly temperatureMs: number | null;
}

export interface Temperature {
  readonly valueC: number;
  readonly timeMs: number;
}

/** One row a unit, ordered by unit; of two devices on one unit the newer fix counts. */
export function latestPositions(batch: Batch, evaluation: Evaluation): LatestPosition[] {
  const { fixes } = batch;
  const rowOf = new Map<number, number>();
  for (const row of evaluation.latestFixRows) {
    const unit = fixes.link[row]!.equipmentId;
    const other = rowOf.get(unit);
    if (other === undefined || fixes.timeMs[other]! < fixes.timeMs[row]!) rowOf.set(unit, row);
  }
  const temperatures = latestTemperatures(batch);
  const units = [...rowOf].sort(([a], [b]) => a - b);
  return units.map(([unit, row]) => {
    const temperature = temperatures.get(unit);
    const motion = fixes.motion[row]!;
    return {
      link: fixes.link[row]!,
      recordedMs: fixes.timeMs[row]!,
      receivedMs: fixes.receivedMs[row]!,
      latDeg: fixes.latDeg[row]!,
      lonDeg: fixes.lonDeg[row]!,
      altitudeM: known(fixes.altitudeM[row]!),
      speedMps: known(fixes.speedMps[row]!),
      headingDeg: known(fixes.headingDeg[row]!),
      accuracyM: known(fixes.accuracyM[row]!),
      odometerM: known(fixes.odometerM[row]!),
      ignition: Number.isNaN(fixes.ignition[row]!) ? null : fixes.ignition[row] === 1,
      motionStatus: Number.isNaN(motion) ? null : motion === 1 ? 'moving' : 'stopped',
      temperatureC: temperature?.valueC ?? null,
      temperatureMs: temperature?.timeMs ?? null,
    };
  });
}

/** Newest temperature reading by unit. */
export function latestTemperatures(batch: Batch): Map<number, Temperature> {
  const { readings } = batch;
  const newest = new Map<number, Temperature>();
  for (let i = 0; i < readings.count; i++) {
    if (readings.metricCode[i] !== TEMPERATURE_CODE) continue;
    const unit = readings.link[i]!.equipmentId;
    const timeMs = readings.timeMs[i]!;
    const other = newest.get(unit);
    if (other === undefined || other.timeMs < timeMs) {
      newest.set(unit, { valueC: readings.value[i]!, timeMs });
    }
  }
  return newest;
}

function known(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
