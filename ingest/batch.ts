/**
 * One batch of one partition, in columns, and the messages it came from. Rows are written into the columns as messages
 * come, and the columns are used again for a later batch. Knows rows; refuses to know sockets, SQL and the engine's rules.
 * NaN is "not reported".
 *
 * States of a batch: filling (messages are added) → taken by its partition (evaluated, committed, divided) → answered →
 * `clear` → filling anew.
 */
import type { FixColumns, ReadingColumns } from '../engine/types.ts';
import type { DecodedFix, DecodedReading } from './decode/decoded.ts';
import { SCAN, SCAN_VALUES, type FixScan } from './decode/native-scan.ts';
import type { DeviceEventRow } from './device-events.ts';
import type { Link } from './registry.ts';
import { Tally } from './tally.ts';

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

/** Fix columns of the engine, with those that only storage needs. Row i came with message `part[i]`. */
export interface FixRows extends FixColumns {
  link: Link[];
  /** Position of the row's record in its message. */
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

/** Of all columns the first `count` rows are valid. */
export interface Batch {
  readonly fixes: FixRows;
  readonly readings: ReadingRows;
  /** What devices said of themselves: stored, and no business of the engine. */
  readonly events: readonly DeviceEventRow[];
  readonly rejects: readonly Reject[];
  /** The newest arrival of its messages. */
  readonly receivedMs: number;
  /** Bytes that its fixes may be encoded into, and were last; stays with it until it is answered. */
  copyRoom: Buffer | null;
}

/** Rows that columns have room for at first. */
const ROWS_MIN = 256;

/** A batch that messages are written into. */
export class FillingBatch implements Batch {
  readonly fixes = emptyFixes(ROWS_MIN);
  readonly readings = emptyReadings(ROWS_MIN);
  readonly events: DeviceEventRow[] = [];
  readonly rejects: Reject[] = [];
  readonly tally = new Tally();
  receivedMs = 0;
  /** Memory that its messages are charged with. */
  bytes = 0;
  copyRoom: Buffer | null = null;

  /** Rows of every kind. */
  get rows(): number {
    return this.fixes.count + this.readings.count + this.events.length + this.rejects.length;
  }

  /** Makes room for so many more fixes. */
  reserveFixes(count: number): void {
    const { fixes } = this;
    if (fixes.count + count > fixes.timeMs.length) growFixes(fixes, fixes.count + count);
  }

  addFix(link: Link, fix: DecodedFix, part: number, receivedMs: number): void {
    const rows = this.fixes;
    const i = rows.count;
    if (i === rows.timeMs.length) growFixes(rows, i + 1);
    rows.link[i] = link;
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
    rows.event[i] = fix.event;
    rows.count = i + 1;
  }

  /** Fix `n` of a scan. There must be room for it. */
  addScanned(link: Link, scan: FixScan, n: number, part: number, receivedMs: number): void {
    const rows = this.fixes;
    const i = rows.count;
    const { values } = scan;
    const at = n * SCAN_VALUES;
    rows.link[i] = link;
    rows.index[i] = scan.index[n]!;
    rows.part[i] = part;
    rows.receivedMs[i] = receivedMs;
    rows.deviceId[i] = link.deviceId;
    rows.timeMs[i] = values[at + SCAN.timeMs]!;
    rows.lonDeg[i] = values[at + SCAN.lonDeg]!;
    rows.latDeg[i] = values[at + SCAN.latDeg]!;
    rows.accuracyM[i] = values[at + SCAN.accuracyM]!;
    rows.speedMps[i] = values[at + SCAN.speedMps]!;
    rows.ignition[i] = values[at + SCAN.ignition]!;
    rows.motion[i] = values[at + SCAN.motion]!;
    rows.altitudeM[i] = values[at + SCAN.altitudeM]!;
    rows.headingDeg[i] = values[at + SCAN.headingDeg]!;
    rows.odometerM[i] = values[at + SCAN.odometerM]!;
    rows.satellites[i] = values[at + SCAN.satellites]!;
    rows.seq[i] = values[at + SCAN.seq]!;
    rows.event[i] = scan.event[n]!;
    rows.count = i + 1;
  }

  addReading(
    link: Link,
    reading: DecodedReading,
    uomId: number | null,
    part: number,
    receivedMs: number,
  ): void {
    const rows = this.readings;
    const i = rows.count;
    if (i === rows.timeMs.length) growReadings(rows, i + 1);
    rows.link[i] = link;
    rows.index[i] = reading.index;
    rows.part[i] = part;
    rows.receivedMs[i] = receivedMs;
    rows.deviceId[i] = link.deviceId;
    rows.timeMs[i] = reading.timeMs;
    rows.metricCode[i] = reading.metricCode;
    rows.value[i] = reading.value;
    rows.uomId[i] = uomId;
    rows.count = i + 1;
  }

  /** Empties it for other messages. */
  clear(): void {
    this.fixes.count = 0;
    this.readings.count = 0;
    this.events.length = 0;
    this.rejects.length = 0;
    this.tally.clear();
    this.receivedMs = 0;
    this.bytes = 0;
  }
}

/** Fix columns with room for so many rows, and none in them. */
export function emptyFixes(rows: number): FixRows {
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

/** Reading columns with room for so many rows, and none in them. */
export function emptyReadings(rows: number): ReadingRows {
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

function growFixes(rows: FixRows, needed: number): void {
  const length = Math.max(needed, 2 * rows.timeMs.length);
  rows.deviceId = grown(rows.deviceId, length);
  rows.timeMs = grown(rows.timeMs, length);
  rows.lonDeg = grown(rows.lonDeg, length);
  rows.latDeg = grown(rows.latDeg, length);
  rows.accuracyM = grown(rows.accuracyM, length);
  rows.speedMps = grown(rows.speedMps, length);
  rows.ignition = grown(rows.ignition, length);
  rows.motion = grown(rows.motion, length);
  rows.index = grownInts(rows.index, length);
  rows.part = grownInts(rows.part, length);
  rows.receivedMs = grown(rows.receivedMs, length);
  rows.altitudeM = grown(rows.altitudeM, length);
  rows.headingDeg = grown(rows.headingDeg, length);
  rows.odometerM = grown(rows.odometerM, length);
  rows.satellites = grown(rows.satellites, length);
  rows.seq = grown(rows.seq, length);
}

function growReadings(rows: ReadingRows, needed: number): void {
  const length = Math.max(needed, 2 * rows.timeMs.length);
  rows.deviceId = grown(rows.deviceId, length);
  rows.timeMs = grown(rows.timeMs, length);
  rows.value = grown(rows.value, length);
  rows.index = grownInts(rows.index, length);
  rows.part = grownInts(rows.part, length);
  rows.receivedMs = grown(rows.receivedMs, length);
}

function grown(column: Float64Array, length: number): Float64Array {
  const larger = new Float64Array(length);
  larger.set(column);
  return larger;
}

function grownInts(column: Int32Array, length: number): Int32Array {
  const larger = new Int32Array(length);
  larger.set(column);
  return larger;
}
