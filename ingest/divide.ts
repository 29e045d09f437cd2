/** Cuts a batch in halves, in its own order, to find the row that the database refuses. */
import type { Batch, FixRows, ReadingRows, Reject } from './batch.ts';

export function rowCount(batch: Batch): number {
  return batch.fixes.count + batch.readings.count;
}

/** The first and second half of the rows; what was refused already stays with the first. */
export function halves(batch: Batch): [Batch, Batch] {
  const middle = rowCount(batch) >> 1;
  const fixes = Math.min(middle, batch.fixes.count);
  const readings = middle - fixes;
  return [
    {
      parts: batch.parts,
      fixes: sliceFixes(batch.fixes, 0, fixes),
      readings: sliceReadings(batch.readings, 0, readings),
      rejects: batch.rejects,
    },
    {
      parts: batch.parts,
      fixes: sliceFixes(batch.fixes, fixes, batch.fixes.count),
      readings: sliceReadings(batch.readings, readings, batch.readings.count),
      rejects: [],
    },
  ];
}

/** A batch of one row as a batch of none, with the row among the refused. */
export function withoutRows(batch: Batch, reject: Reject): Batch {
  return {
    parts: batch.parts,
    fixes: sliceFixes(batch.fixes, 0, 0),
    readings: sliceReadings(batch.readings, 0, 0),
    rejects: [...batch.rejects, reject],
  };
}

function sliceFixes(rows: FixRows, from: number, to: number): FixRows {
  return {
    count: to - from,
    deviceId: rows.deviceId.slice(from, to),
    timeMs: rows.timeMs.slice(from, to),
    lonDeg: rows.lonDeg.slice(from, to),
    latDeg: rows.latDeg.slice(from, to),
    accuracyM: rows.accuracyM.slice(from, to),
    speedMps: rows.speedMps.slice(from, to),
    ignition: rows.ignition.slice(from, to),
    motion: rows.motion.slice(from, to),
    link: rows.link.slice(from, to),
    index: rows.index.slice(from, to),
    part: rows.part.slice(from, to),
    receivedMs: rows.receivedMs.slice(from, to),
    altitudeM: rows.altitudeM.slice(from, to),
    headingDeg: rows.headingDeg.slice(from, to),
    odometerM: rows.odometerM.slice(from, to),
    satellites: rows.satellites.slice(from, to),
    seq: rows.seq.slice(from, to),
    event: rows.event.slice(from, to),
  };
}

function sliceReadings(rows: ReadingRows, from: number, to: number): ReadingRows {
  return {
    count: to - from,
    deviceId: rows.deviceId.slice(from, to),
    timeMs: rows.timeMs.slice(from, to),
    metricCode: rows.metricCode.slice(from, to),
    value: rows.value.slice(from, to),
    link: rows.link.slice(from, to),
    index: rows.index.slice(from, to),
    part: rows.part.slice(from, to),
    receivedMs: rows.receivedMs.slice(from, to),
    uomId: rows.uomId.slice(from, to),
  };
}
