/** Cuts a batch in halves by time, to find the row that the database refuses. */
import type { Batch, FixRows, ReadingRows, Reject } from './batch.ts';
import type { DeviceEventRow } from './device-events.ts';

export function rowCount(batch: Batch): number {
  return batch.fixes.count + batch.readings.count + batch.events.length;
}

/**
 * The earlier and the later half of the rows, so that the engine sees them in the order in which it would have taken the
 * whole. Where records had been refused already they are parted from the rows first, and then what devices said of
 * themselves: either may be at fault, and the order between them means nothing.
 */
export function halves(batch: Batch): [Batch, Batch] {
  if (batch.rejects.length > 0) {
    return [{ ...whole(batch), rejects: [] }, pick(batch, { rejects: batch.rejects })];
  }
  const { fixes, readings, events } = batch;
  const count = fixes.count + readings.count;
  if (events.length > 0) {
    const middle = count > 0 ? 0 : events.length >> 1;
    return [
      { ...whole(batch), events: events.slice(0, middle) },
      pick(batch, { events: events.slice(middle) }),
    ];
  }
  const order = Array.from({ length: count }, (_, row) => row);
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
  return pick(batch, { fixes, readings: readings.sort((a, b) => a - b) });
}

/** A batch of one row as a batch of none, with the row among the refused. */
export function withoutRows(batch: Batch, reject: Reject): Batch {
  return pick(batch, { rejects: [...batch.rejects, reject] });
}

/** All of a batch, but for its room. */
function whole({ fixes, readings, events, rejects, receivedMs }: Batch): Batch {
  return { fixes, readings, events, rejects, receivedMs, copyRoom: null };
}

interface Picked {
  readonly fixes?: readonly number[];
  readonly readings?: readonly number[];
  readonly events?: readonly DeviceEventRow[];
  readonly rejects?: readonly Reject[];
}

/** What is named, and nothing else. */
function pick(batch: Batch, { fixes, readings, events, rejects }: Picked): Batch {
  return {
    receivedMs: batch.receivedMs,
    // The whole may still be on its way to a server that has refused it.
    copyRoom: null,
    fixes: pickFixes(batch.fixes, fixes ?? []),
    readings: pickReadings(batch.readings, readings ?? []),
    events: events ?? [],
    rejects: rejects ?? [],
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
