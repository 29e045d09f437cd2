/**
 * Rows to PostgreSQL's binary COPY format, by hand, into one Buffer per table and batch. Knows the format
 * (PostgreSQL manual, COPY, "Binary Format") and the column order of each table; refuses to know connections.
 */
import type { FixRows, ReadingRows } from './batch.ts';

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
const HEADER_BYTES = SIGNATURE.length + 8;
const TRAILER_BYTES = 2;
/** timestamptz counts microseconds from 2000-01-01. */
const PG_EPOCH_MS = 946_684_800_000;
const TWO_32 = 4_294_967_296;
/** A UTF-16 unit takes three bytes of UTF-8 at most. */
const UTF8_BYTES_PER_CHAR_MAX = 3;

/** Column order of {@link encodeFixes}. */
export const FIX_COLUMNS =
  'equipment_has_iot_device_id, recorded_at, received_at, latitude, longitude, altitude_m, ' +
  'speed_mps, heading_deg, accuracy_m, odometer_m, satellites, ignition, motion_status, event, seq';

/** Column order of {@link encodeReadings}. */
export const READING_COLUMNS =
  'equipment_has_iot_device_id, metric_code, recorded_at, received_at, metric_value, uom_lookup_id';

const FIX_FIELDS = 15;
const READING_FIELDS = 6;
/** A row whose fields are all 8 bytes wide: 2 + n × (4 + 8). Narrower fields only make it smaller. */
const FIX_BYTES_MAX = 2 + FIX_FIELDS * 12;
const READING_BYTES_MAX = 2 + READING_FIELDS * 12;

const MOVING = Buffer.from('moving');
const STOPPED = Buffer.from('stopped');

/** The size of a Buffer for so many bytes of rows. */
function copyBytes(bytesMax: number): number {
  return HEADER_BYTES + bytesMax + TRAILER_BYTES;
}

/** Fills a Buffer with COPY fields, one after the other. */
export class CopyWriter {
  private readonly bytes: Buffer;
  private readonly view: DataView;
  private at: number;

  /**
   * @param bytesMax room for rows; writing past it throws RangeError.
   * @param room a Buffer of {@link copyBytes} to write into; a new one where none is given.
   */
  constructor(bytesMax: number, room: Buffer = Buffer.allocUnsafe(copyBytes(bytesMax))) {
    this.bytes = room;
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
    SIGNATURE.copy(this.bytes);
    this.bytes.fill(0, SIGNATURE.length, HEADER_BYTES);
    this.at = HEADER_BYTES;
  }

  row(fieldCount: number): void {
    this.view.setInt16(this.at, fieldCount);
    this.at += 2;
  }

  none(): void {
    this.view.setInt32(this.at, -1);
    this.at += 4;
  }

  /** int8; exact up to ±2^53. */
  int8(value: number): void {
    this.view.setInt32(this.at, 8);
    const high = Math.floor(value / TWO_32);
    this.view.setInt32(this.at + 4, high);
    this.view.setUint32(this.at + 8, value - high * TWO_32);
    this.at += 12;
  }

  /** timestamptz from epoch milliseconds. */
  time(timeMs: number): void {
    this.int8((timeMs - PG_EPOCH_MS) * 1000);
  }

  float8(value: number): void {
    if (Number.isNaN(value)) return this.none();
    this.view.setInt32(this.at, 8);
    this.view.setFloat64(this.at + 4, value);
    this.at += 12;
  }

  float4(value: number): void {
    if (Number.isNaN(value)) return this.none();
    this.view.setInt32(this.at, 4);
    this.view.setFloat32(this.at + 4, value);
    this.at += 8;
  }

  int4(value: number): void {
    this.view.setInt32(this.at, 4);
    this.view.setInt32(this.at + 4, value);
    this.at += 8;
  }

  int2(value: number): void {
    if (Number.isNaN(value)) return this.none();
    this.view.setInt32(this.at, 2);
    this.view.setInt16(this.at + 4, value);
    this.at += 6;
  }

  /** boolean from 1, 0 or NaN. */
  bool(value: number): void {
    if (Number.isNaN(value)) return this.none();
    this.view.setInt32(this.at, 1);
    this.view.setUint8(this.at + 4, value);
    this.at += 5;
  }

  raw(value: Uint8Array | null): void {
    if (value === null) return this.none();
    this.view.setInt32(this.at, value.length);
    this.bytes.set(value, this.at + 4);
    this.at += 4 + value.length;
  }

  text(value: string | null): void {
    if (value === null) return this.none();
    const written = this.bytes.write(value, this.at + 4, 'utf8');
    this.view.setInt32(this.at, written);
    this.at += 4 + written;
  }

  /** The finished COPY data; the writer is spent. */
  finish(): Buffer {
    this.view.setInt16(this.at, -1);
    return this.bytes.subarray(0, this.at + TRAILER_BYTES);
  }
}

/** Bytes that a text field may take besides its length word. */
export function textBytesMax(value: string | null): number {
  return value === null ? 0 : value.length * UTF8_BYTES_PER_CHAR_MAX;
}

/** A Buffer that is large enough for these fixes: the given one, or a new one. */
export function roomForFixes(rows: FixRows, room: Buffer | null): Buffer {
  const size = copyBytes(fixBytesMax(rows));
  return room !== null && room.length >= size ? room : Buffer.allocUnsafe(size);
}

function fixBytesMax(rows: FixRows): number {
  let textBytes = 0;
  for (let i = 0; i < rows.count; i++) textBytes += textBytesMax(rows.event[i]!);
  return rows.count * FIX_BYTES_MAX + textBytes;
}

/** The fixes of a batch as COPY data in `room`, columns in the order of {@link FIX_COLUMNS}. */
export function encodeFixes(rows: FixRows, room = roomForFixes(rows, null)): Buffer {
  const writer = new CopyWriter(0, room);
  for (let i = 0; i < rows.count; i++) {
    const motion = rows.motion[i]!;
    writer.row(FIX_FIELDS);
    writer.int8(rows.deviceId[i]!);
    writer.time(rows.timeMs[i]!);
    writer.time(rows.receivedMs[i]!);
    writer.float8(rows.latDeg[i]!);
    writer.float8(rows.lonDeg[i]!);
    writer.float4(rows.altitudeM[i]!);
    writer.float4(rows.speedMps[i]!);
    writer.float4(rows.headingDeg[i]!);
    writer.float4(rows.accuracyM[i]!);
    writer.float8(rows.odometerM[i]!);
    writer.int2(rows.satellites[i]!);
    writer.bool(rows.ignition[i]!);
    writer.raw(Number.isNaN(motion) ? null : motion === 1 ? MOVING : STOPPED);
    writer.text(rows.event[i]!);
    if (Number.isNaN(rows.seq[i]!)) writer.none();
    else writer.int8(rows.seq[i]!);
  }
  return writer.finish();
}

/** The readings of a batch as COPY data, columns in the order of {@link READING_COLUMNS}. */
export function encodeReadings(rows: ReadingRows): Buffer {
  let textBytes = 0;
  for (let i = 0; i < rows.count; i++) textBytes += textBytesMax(rows.metricCode[i]!);
  const writer = new CopyWriter(rows.count * READING_BYTES_MAX + textBytes);
  for (let i = 0; i < rows.count; i++) {
    const uomId = rows.uomId[i]!;
    writer.row(READING_FIELDS);
    writer.int8(rows.deviceId[i]!);
    writer.text(rows.metricCode[i]!);
    writer.time(rows.timeMs[i]!);
    writer.time(rows.receivedMs[i]!);
    writer.float8(rows.value[i]!);
    if (uomId === null) writer.none();
    else writer.int8(uomId);
  }
  return writer.finish();
}
