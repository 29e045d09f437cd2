/** Cuts a batch in halves by time, to find the row that the database refuses. */
import type { Batch, FixRows, ReadingRows, Reject } from './batch.ts';

export function rowCount(batch: Batch): number {
  return batch.fixes.count + batch.readings.count;
}

/**
 * The earlier and the later half of the rows, so that the engine sees them in the order in which it would have taken the
 * whole. Where records had been refused already they are parted from the rows first: either may be at fault.
 */
export function halves(batch: Batch): [Batch, Batch] {
  if (batch.rejects.length > 0) {
    return [{ ...batch, rejects: [] }, pick(batch, [], [], batch.rejects)];
  }
  const { fixes, readings } = batch;
  const order = Array.from({ length: rowCount(batch) }, (_, row) => row);
  const timeMs = (row: number): number =>
    row < fixes.count ? fixes.timeMs[row]! : readings.timeMs[row - fixes.count]!;
  // Stable, and fixes come first: at one time a fix goes before a reading, and rows in the order of their arrival.
  order.sort((a, b) => timeMs(a) - timeMs(b));
  const middle = order.length >> 1;
  return [half(batch, order.slice(0, middle)), half(batch, order.slice(middle))];
}

function half(batch: Batch, rows: readonly number[]): Batch {
  const { count } = batch.fixes;
  const fixes = rows.filter((row) => row < count).sort((a, b) => a - b);
  const readings = rows.filter((row) => row >= count).map((row) => row - count);
  return pick(
    batch,
    fixes,
    readings.sort((a, b) => a - b),
    [],
  );
}

/** A batch of one row as a batch of none, with the row among the refused. */
export function withoutRows(batch: Batch, reject: Reject): Batch {
  return pick(batch, [], [], [...batch.rejects, reject]);
}

function pick(
  batch: Batch,
  fixes: readonly number[],
  readings: readonly number[],
  rejects: readonly Reject[],
): Batch {
  return {
    parts: batch.parts,
    fixes: pickFixes(batch.fixes, fixes),
    readings: pickReadings(batch.readings, readings),
    rejects,
  };
}

function pickFixes(from: FixRows, rows: readonly number[]): FixRows {
  const numbers = (column: Float64Array): Float64Array =>
    Float64Array.from(rows, (row) => column[row]!);
  return {
    count: rows.length,
    deviceId: numbers(from.deviceId),
    timeMs: numbers(from.timeMs),
    lonDeg: numbers(from.lonDeg),
    latDeg: numbers(from.latDeg),
    accuracyM: numbers(from.accuracyM),
    speedMps: numbers(from.speedMps),
    ignition: numbers(from.ignition),
    motion: numbers(from.motion),
    link: rows.map((row) => from.link[row]!),
    index: Int32Array.from(rows, (row) => from.index[row]!),
    part: Int32Array.from(rows, (row) => from.part[row]!),
    receivedMs: numbers(from.receivedMs),
    altitudeM: numbers(from.altitudeM),
    headingDeg: numbers(from.headingDeg),
    odometerM: numbers(from.odometerM),
    satellites: numbers(from.satellites),
    seq: numbers(from.seq),
    event: rows.map((row) => from.event[row]!),
  };
}

function pickReadings(from: ReadingRows, rows: readonly number[]): ReadingRows {
  const numbers = (column: Float64Array): Float64Array =>
    Float64Array.from(rows, (row) => column[row]!);
  return {
    count: rows.length,
    deviceId: numbers(from.deviceId),
    timeMs: numbers(from.timeMs),
    metricCode: rows.map((row) => from.metricCode[row]!),
    value: numbers(from.value),
    link: rows.map((row) => from.link[row]!),
    index: Int32Array.from(rows, (row) => from.index[row]!),
    part: Int32Array.from(rows, (row) => from.part[row]!),
    receivedMs: numbers(from.receivedMs),
    uomId: rows.map((row) => from.uomId[row]!),
  };
}
