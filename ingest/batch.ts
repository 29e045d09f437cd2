/**
 * One batch of one partition, in columns, and the tickets of the messages it came from. Knows rows; refuses to know
 * sockets, SQL and the engine's rules. NaN is "not reported".
 */
import type { FixColumns, ReadingColumns } from '../engine/types.ts';
import type { Link } from './registry.ts';
import type { DecodedFix, DecodedReading } from './decode/decoded.ts';

/** A record that is kept as refused; becomes a row of `ingest_reject`. */
export interface Reject {
  /** Names the reject, so that a second try at the same batch writes it once. */
  readonly key: string;
  readonly tenantId: number | null;
  readonly iotDeviceId: number | null;
  readonly deviceName: string | null;
  readonly source: string;
  readonly topic: string | null;
  readonly reason: string;
  readonly detail: string;
  readonly payload: Buffer | null;
  readonly payloadBytes: number;
  readonly receivedMs: number;
}

/** Why one row of a message did not get in. */
export interface RowRefusal {
  readonly index: number;
  readonly reason: string;
  readonly detail: string;
}

/** What became of a message's part in one partition. */
export interface PartOutcome {
  readonly stored: boolean;
  readonly accepted: number;
  readonly duplicates: number;
  readonly refused: readonly RowRefusal[];
}

/** A message's rows for one partition: they go into one batch together and are answered together. */
export interface Part {
  readonly fixes: readonly ResolvedFix[];
  readonly readings: readonly ResolvedReading[];
  readonly rejects: readonly Reject[];
  readonly receivedMs: number;
  /** Memory it is charged with while it waits. */
  readonly bytes: number;
  /** Called once, after the commit or when it will never be stored. */
  readonly settle: (outcome: PartOutcome) => void;
}

export interface ResolvedFix {
  readonly link: Link;
  readonly fix: DecodedFix;
}

export interface ResolvedReading {
  readonly link: Link;
  readonly reading: DecodedReading;
  readonly uomId: number | null;
}

export function partRows(part: Part): number {
  return part.fixes.length + part.readings.length + part.rejects.length;
}

/** Fix columns of the engine, with those that only storage needs. Row i belongs to `part[i]`. */
export interface FixRows extends FixColumns {
  link: Link[];
  index: Int32Array;
  part: Int32Array;
  receivedMs: Float64Array;
  altitudeM: Float64Array;
  headingDeg: Float64Array;
  odometerM: Float64Array;
  satellites: Float64Array;
  seq: Float64Array;
  event: (string | null)[];
}

export interface ReadingRows extends ReadingColumns {
  link: Link[];
  index: Int32Array;
  part: Int32Array;
  receivedMs: Float64Array;
  uomId: (number | null)[];
}

export interface Batch {
  readonly parts: readonly Part[];
  readonly fixes: FixRows;
  readonly readings: ReadingRows;
  readonly rejects: readonly Reject[];
}

/** Lays parts out in columns, in the order given. */
export function buildBatch(parts: readonly Part[]): Batch {
  let fixCount = 0;
  let readingCount = 0;
  for (const part of parts) {
    fixCount += part.fixes.length;
    readingCount += part.readings.length;
  }
  const fixes = emptyFixes(fixCount);
  const readings = emptyReadings(readingCount);
  const rejects: Reject[] = [];
  for (let p = 0; p < parts.length; p++) {
    const part = parts[p]!;
    for (const row of part.fixes) putFix(fixes, row, p, part.receivedMs);
    for (const row of part.readings) putReading(readings, row, p, part.receivedMs);
    for (const reject of part.rejects) rejects.push(reject);
  }
  return { parts, fixes, readings, rejects };
}

function emptyFixes(rows: number): FixRows {
  const column = (): Float64Array => new Float64Array(rows);
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
    link: [],
    index: new Int32Array(rows),
    part: new Int32Array(rows),
    receivedMs: column(),
    altitudeM: column(),
    headingDeg: column(),
    odometerM: column(),
    satellites: column(),
    seq: column(),
    event: [],
  };
}

function emptyReadings(rows: number): ReadingRows {
  return {
    count: 0,
    deviceId: new Float64Array(rows),
    timeMs: new Float64Array(rows),
    metricCode: [],
    value: new Float64Array(rows),
    link: [],
    index: new Int32Array(rows),
    part: new Int32Array(rows),
    receivedMs: new Float64Array(rows),
    uomId: [],
  };
}

function putFix(rows: FixRows, { link, fix }: ResolvedFix, part: number, receivedMs: number): void {
  const i = rows.count++;
  rows.link.push(link);
  rows.index[i] = fix.index;
  rows.part[i] = part;
  rows.receivedMs[i] = receivedMs;
  rows.deviceId[i] = link.deviceId;
  rows.timeMs[i] = fix.timeMs;
  rows.lonDeg[i] = fix.lonDeg;
  rows.latDeg[i] = fix.latDeg;
  rows.accuracyM[i] = fix.accuracyM;
  rows.speedMps[i] = fix.speedMps;
  rows.ignition[i] = fix.ignition;
  rows.motion[i] = fix.motion;
  rows.altitudeM[i] = fix.altitudeM;
  rows.headingDeg[i] = fix.headingDeg;
  rows.odometerM[i] = fix.odometerM;
  rows.satellites[i] = fix.satellites;
  rows.seq[i] = fix.seq;
  rows.event.push(fix.event);
}

function putReading(
  rows: ReadingRows,
  { link, reading, uomId }: ResolvedReading,
  part: number,
  receivedMs: number,
): void {
  const i = rows.count++;
  rows.link.push(link);
  rows.index[i] = reading.index;
  rows.part[i] = part;
  rows.receivedMs[i] = receivedMs;
  rows.deviceId[i] = link.deviceId;
  rows.timeMs[i] = reading.timeMs;
  rows.metricCode.push(reading.metricCode);
  rows.value[i] = reading.value;
  rows.uomId.push(uomId);
}
