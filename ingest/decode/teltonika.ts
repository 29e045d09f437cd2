/**
 * One Teltonika frame as it comes over TCP, preamble to CRC: records of codec 8, 8 extended and 16, and what a device
 * answers to commands in codec 12, 13 and 14. Knows these layouts; refuses to know who sent the frame, how it was cut
 * from a stream, and codec 7, which belongs to a generation of devices that is no longer made.
 *
 * The frame is the unit of acknowledgement: a wrong CRC, length or count refuses all of it. In a sound frame a record is
 * stored whole or refused whole, and one that is refused (a clock in 1970) does not hold up those beside it.
 */
import { MESSAGE_ROWS_MAX } from './native.ts';
import { AGE_MS_MAX, AHEAD_MS_MAX } from './time.ts';
import {
  addEvent,
  addFix,
  addReading,
  emptyDecoded,
  EVENT_DETAIL_BYTES_MAX,
  ignore,
  refuseMessage,
  type Decoded,
} from './decoded.ts';
import { IO_IGNITION, IO_MOVEMENT, IO_ODOMETER, ioReading } from './teltonika-io.ts';
import type { Format } from './wires.ts';

/** Bytes before the codec: four zeros and the length of what follows up to the CRC. */
export const FRAME_HEAD_BYTES = 8;
/** Bytes of a frame besides those its length counts: the head and the CRC. */
export const FRAME_OVERHEAD_BYTES = FRAME_HEAD_BYTES + 4;
/** Codec and both counts: less cannot be a frame's data. */
export const FRAME_DATA_BYTES_MIN = 3;
/** Characters of a refused record, as hexadecimal, that are kept. */
const REFUSED_CHARS_MAX = 4096;
const SPEED_KPH_MAX = 3600;

/** What a frame turned out to be. */
export interface TeltonikaFrame {
  /** `records`: to be acknowledged with `recordCount`. `replies`: needs no answer. `refused`: must not be answered. */
  readonly kind: 'records' | 'replies' | 'refused';
  readonly recordCount: number;
  readonly decoded: Decoded;
}

/** How the IO elements of a codec are laid out. */
interface Layout {
  readonly idBytes: 1 | 2;
  readonly countBytes: 1 | 2;
  /** A byte that says why the record was made stands behind the event id. */
  readonly hasGeneration: boolean;
  /** Bytes of the values in each group, in order. */
  readonly groupBytes: readonly number[];
  /** A last group whose elements carry their own length. */
  readonly hasVariable: boolean;
}

const GROUPS = [1, 2, 4, 8] as const;
const CODEC_8: Layout = {
  idBytes: 1, countBytes: 1, hasGeneration: false, groupBytes: GROUPS, hasVariable: false,
}; // prettier-ignore
/** Some devices of codec 8 send a fifth group, of 16-byte values, and nothing in the frame announces it. */
const CODEC_8_WIDE: Layout = { ...CODEC_8, groupBytes: [...GROUPS, 16] };
const CODEC_8E: Layout = { ...CODEC_8, idBytes: 2, countBytes: 2, hasVariable: true };
const CODEC_16: Layout = { ...CODEC_8, idBytes: 2, hasGeneration: true };

/** The layouts a codec may have; the first that uses up the frame's bytes exactly is the right one. */
const LAYOUTS: ReadonlyMap<number, readonly Layout[]> = new Map([
  [0x08, [CODEC_8, CODEC_8_WIDE]],
  [0x8e, [CODEC_8E]],
  [0x10, [CODEC_16]],
]);

/** Bytes of time or IMEI that a codec of replies has before the text. */
const REPLY_PREFIX_BYTES: ReadonlyMap<number, number> = new Map([
  [0x0c, 0],
  [0x0d, 4],
  [0x0e, 8],
]);
/** The type of what servers send to devices. */
const TYPE_COMMAND = 0x05;

export const teltonika: Format<'teltonika'> = {
  name: 'teltonika',
  tcp: { decode: (frame, nowMs) => decodeTeltonika(frame, nowMs).decoded },
};

/** Decodes one frame; `nowMs` is the server's clock. Never throws; what is wrong becomes a refusal. */
export function decodeTeltonika(frame: Buffer, nowMs: number): TeltonikaFrame {
  const fault = checkEnvelope(frame);
  if (fault !== null) return refused(fault.reason, fault.detail);
  const codec = frame[FRAME_HEAD_BYTES]!;
  const dataEnd = frame.length - 4;
  const recordCount = frame[FRAME_HEAD_BYTES + 1]!;
  if (frame[dataEnd - 1] !== recordCount) {
    const detail = `${recordCount} records announced before them and ${frame[dataEnd - 1]} after`;
    return refused('frame_count', detail);
  }
  const cursor = new Cursor(frame, FRAME_HEAD_BYTES + 2, dataEnd - 1);
  const prefixBytes = REPLY_PREFIX_BYTES.get(codec);
  if (prefixBytes !== undefined)
    return decodeReplies(cursor, recordCount, { codec, prefixBytes, nowMs });
  for (const layout of LAYOUTS.get(codec) ?? []) {
    const decoded = emptyDecoded();
    cursor.rewind();
    readRecords(decoded, cursor, { layout, recordCount, nowMs });
    if (!cursor.isUsedUp) continue;
    const rows = decoded.fixes.length + decoded.readings.length;
    if (rows > MESSAGE_ROWS_MAX) {
      return refused('rows_max', `more than ${MESSAGE_ROWS_MAX} fixes and readings in one frame`);
    }
    return { kind: 'records', recordCount, decoded };
  }
  if (LAYOUTS.has(codec)) {
    return refused('frame_records', `${recordCount} records do not end where the frame says`);
  }
  return refused('codec_unsupported', `codec ${codec} is not one of 8, 8E, 16, 12, 13, 14`);
}

interface Fault {
  readonly reason: string;
  readonly detail: string;
}

/** What is wrong with the frame around its records, or `null`. */
function checkEnvelope(frame: Buffer): Fault | null {
  if (frame.length < FRAME_OVERHEAD_BYTES + FRAME_DATA_BYTES_MIN) {
    return { reason: 'frame_length', detail: `${frame.length} bytes are too few for a frame` };
  }
  if (frame.readUInt32BE(0) !== 0) {
    return { reason: 'frame_preamble', detail: 'a frame begins with four zero bytes' };
  }
  const declared = frame.readUInt32BE(4);
  const actual = frame.length - FRAME_OVERHEAD_BYTES;
  if (declared !== actual) {
    return {
      reason: 'frame_length',
      detail: `${declared} bytes of data announced, ${actual} came`,
    };
  }
  const given = frame.readUInt32BE(frame.length - 4);
  const computed = crc16Ibm(frame, FRAME_HEAD_BYTES, frame.length - 4);
  if (given !== computed) {
    return { reason: 'frame_crc', detail: `the CRC is ${given}, that of the data ${computed}` };
  }
  return null;
}

function refused(reason: string, detail: string): TeltonikaFrame {
  const decoded = emptyDecoded();
  refuseMessage(decoded, reason, detail);
  return { kind: 'refused', recordCount: 0, decoded };
}

/** Reads big-endian numbers up to an end. A read beyond it answers 0 and marks the cursor as overrun for good. */
class Cursor {
  readonly buffer: Buffer;
  at: number;
  private readonly start: number;
  private readonly end: number;
  private overrun = false;

  constructor(buffer: Buffer, start: number, end: number) {
    this.buffer = buffer;
    this.at = this.start = start;
    this.end = end;
  }

  get isOverrun(): boolean {
    return this.overrun;
  }

  /** Whether every byte was read and none too many. */
  get isUsedUp(): boolean {
    return !this.overrun && this.at === this.end;
  }

  rewind(): void {
    this.at = this.start;
    this.overrun = false;
  }

  /** Steps over so many bytes; false when there are fewer. */
  skip(byteCount: number): boolean {
    if (this.end - this.at < byteCount) this.overrun = true;
    else this.at += byteCount;
    return !this.overrun;
  }

  /** An unsigned number of 1, 2 or 4 bytes. */
  unsigned(byteCount: 1 | 2 | 4): number {
    return this.skip(byteCount) ? this.buffer.readUIntBE(this.at - byteCount, byteCount) : 0;
  }

  signed(byteCount: 2 | 4): number {
    return this.skip(byteCount) ? this.buffer.readIntBE(this.at - byteCount, byteCount) : 0;
  }

  /** An unsigned number of 8 bytes; exact up to 2^53 − 1. */
  unsigned64(): number {
    return this.unsigned(4) * 2 ** 32 + this.unsigned(4);
  }
}

interface RecordsHead {
  readonly layout: Layout;
  readonly recordCount: number;
  readonly nowMs: number;
}

/** Reads the records into `decoded` until their count, or until the cursor overruns. */
function readRecords(decoded: Decoded, cursor: Cursor, head: RecordsHead): void {
  for (let index = 0; index < head.recordCount && !cursor.isOverrun; index++) {
    const from = cursor.at;
    const readingsFrom = decoded.readings.length;
    const fault = readRecord(decoded, cursor, index, head);
    if (fault === null || cursor.isOverrun) continue;
    decoded.readings.length = readingsFrom;
    const payload = cursor.buffer.toString(
      'hex',
      from,
      Math.min(cursor.at, from + REFUSED_CHARS_MAX / 2),
    );
    decoded.refusals.push({ index, device: null, payload, ...fault });
  }
}

/** One record's numbers. */
interface Avl {
  readonly index: number;
  readonly timeMs: number;
  readonly priority: number;
  readonly lonDeg: number;
  readonly latDeg: number;
  readonly altitudeM: number;
  readonly angleDeg: number;
  readonly satellites: number;
  readonly speedKph: number;
  readonly eventId: number;
}

/** Pushes what one record holds and moves behind it; why it is refused, with the cursor behind it all the same. */
function readRecord(
  decoded: Decoded,
  cursor: Cursor,
  index: number,
  { layout, nowMs }: RecordsHead,
): Fault | null {
  const record: Avl = {
    index,
    timeMs: cursor.unsigned64(),
    priority: cursor.unsigned(1),
    lonDeg: cursor.signed(4) / 1e7,
    latDeg: cursor.signed(4) / 1e7,
    altitudeM: cursor.signed(2),
    angleDeg: cursor.unsigned(2),
    satellites: cursor.unsigned(1),
    speedKph: cursor.unsigned(2),
    eventId: cursor.unsigned(layout.idBytes),
  };
  if (layout.hasGeneration) cursor.skip(1);
  const hasFix = record.satellites > 0;
  const fault = checkTime(record.timeMs, nowMs) ?? (hasFix ? checkPosition(record) : null);
  const inFix = hasFix ? { ignition: NaN, motion: NaN, odometerM: NaN } : null;
  readElements(decoded, cursor, layout, { record, inFix });
  if (fault !== null) return fault;
  const { timeMs, priority, eventId } = record;
  const push = (metricCode: string, value: number): void =>
    addReading(decoded, { index, device: null, timeMs, metricCode, value, uomCode: null });
  // 0 is the ordinary priority, and not worth a row a record.
  if (priority !== 0) push('priority', priority);
  if (inFix !== null) {
    pushFix(decoded, record, inFix);
  } else {
    ignore(decoded, 'position_without_fix');
    if (eventId !== 0) push('event_io', eventId);
  }
  return null;
}

/** Epoch milliseconds always: a small number is a clock that was reset, and never seconds. */
function checkTime(timeMs: number, nowMs: number): Fault | null {
  if (timeMs >= nowMs - AGE_MS_MAX && timeMs <= nowMs + AHEAD_MS_MAX) return null;
  const told = timeMs <= 8.64e15 ? new Date(timeMs).toISOString() : String(timeMs);
  const detail = `time ${told} is not within 90 days before and 10 minutes after now`;
  return { reason: 'time_range', detail };
}

function checkPosition({ latDeg, lonDeg }: Avl): Fault | null {
  if (Math.abs(latDeg) > 90) {
    return { reason: 'lat_range', detail: `lat ${latDeg} is outside −90…90` };
  }
  if (Math.abs(lonDeg) > 180) {
    return { reason: 'lon_range', detail: `lon ${lonDeg} is outside −180…180` };
  }
  return null;
}

/** The IO elements that belong into the fix. */
interface InFix {
  ignition: number;
  motion: number;
  odometerM: number;
}

function pushFix(decoded: Decoded, record: Avl, inFix: InFix): void {
  const { angleDeg, speedKph } = record;
  if (angleDeg > 360) ignore(decoded, 'heading_deg');
  if (speedKph > SPEED_KPH_MAX) ignore(decoded, 'speed_kph');
  addFix(decoded, {
    index: record.index,
    device: null,
    timeMs: record.timeMs,
    latDeg: record.latDeg,
    lonDeg: record.lonDeg,
    altitudeM: record.altitudeM,
    // Rounded to what the database keeps, so that a fix is the same there and here.
    speedMps: speedKph > SPEED_KPH_MAX ? NaN : Math.fround(speedKph / 3.6),
    headingDeg: angleDeg > 360 ? NaN : angleDeg % 360,
    accuracyM: NaN,
    odometerM: inFix.odometerM,
    satellites: record.satellites,
    ignition: inFix.ignition,
    motion: inFix.motion,
    seq: NaN,
    event: record.eventId === 0 ? null : `io.${record.eventId}`,
  });
}

interface ElementsHead {
  readonly record: Avl;
  /** Where ignition, movement and odometer go; `null`: they become readings, as the record has no fix. */
  readonly inFix: InFix | null;
}

/** Reads the groups of IO elements. Every element takes at least a byte, so the frame's length bounds the steps. */
function readElements(decoded: Decoded, cursor: Cursor, layout: Layout, head: ElementsHead): void {
  const { idBytes, countBytes } = layout;
  const total = cursor.unsigned(countBytes);
  let seen = 0;
  for (const widthBytes of layout.groupBytes) {
    const count = cursor.unsigned(countBytes);
    seen += count;
    for (let i = 0; i < count && !cursor.isOverrun; i++) {
      const id = cursor.unsigned(idBytes);
      if (widthBytes === 16) {
        cursor.skip(16);
        ignore(decoded, 'io_16_bytes');
      } else {
        const raw =
          widthBytes === 8 ? cursor.unsigned64() : cursor.unsigned(widthBytes as 1 | 2 | 4);
        if (!cursor.isOverrun) takeElement(decoded, head, id, raw, widthBytes);
      }
    }
  }
  if (layout.hasVariable) {
    const count = cursor.unsigned(countBytes);
    seen += count;
    for (let i = 0; i < count && !cursor.isOverrun; i++) {
      cursor.skip(idBytes);
      cursor.skip(cursor.unsigned(2));
      ignore(decoded, 'io_variable_bytes');
    }
  }
  // The groups say it themselves; a total that differs is told and costs the device nothing.
  if (seen !== total) ignore(decoded, 'io_total');
}

/** Into the fix, or a reading. Eight bytes that are no exact number are names (a key, part of a VIN) and left out. */
function takeElement(
  decoded: Decoded,
  { record, inFix }: ElementsHead,
  id: number,
  raw: number,
  widthBytes: number,
): void {
  if (!Number.isSafeInteger(raw)) {
    ignore(decoded, 'io_8_bytes');
    return;
  }
  if (inFix !== null) {
    if (id === IO_ODOMETER) {
      inFix.odometerM = raw;
      return;
    }
    if (id === IO_IGNITION && raw <= 1) {
      inFix.ignition = raw;
      return;
    }
    if (id === IO_MOVEMENT && raw <= 1) {
      inFix.motion = raw;
      return;
    }
  }
  const { index, timeMs } = record;
  addReading(decoded, { index, device: null, timeMs, ...ioReading(id, raw, widthBytes) });
}

interface RepliesHead {
  readonly codec: number;
  readonly prefixBytes: number;
  readonly nowMs: number;
}

/**
 * Replies to commands: type, length, and a text that may begin with a time (codec 13) or an IMEI (codec 14). Each becomes
 * an event, with its text where it is printable and as hexadecimal where it is not.
 */
function decodeReplies(cursor: Cursor, replyCount: number, head: RepliesHead): TeltonikaFrame {
  const decoded = emptyDecoded();
  for (let index = 0; index < replyCount; index++) {
    const type = cursor.unsigned(1);
    const byteCount = cursor.unsigned(4);
    const from = cursor.at + head.prefixBytes;
    if (!cursor.skip(byteCount) || byteCount < head.prefixBytes) {
      return refused('frame_records', 'a reply is longer than its frame, or shorter than its head');
    }
    if (type === TYPE_COMMAND) {
      return refused(
        'command_direction',
        'a command came in, which servers send and devices answer',
      );
    }
    const detail = {
      codec: head.codec,
      type,
      ...printable(cursor.buffer.subarray(from, cursor.at)),
    };
    if (JSON.stringify(detail).length > EVENT_DETAIL_BYTES_MAX) {
      return refused('reply_too_large', `a reply makes more than ${EVENT_DETAIL_BYTES_MAX} bytes`);
    }
    const timeMs = replyTimeMs(cursor.buffer, from, head);
    const place = { latDeg: NaN, lonDeg: NaN };
    addEvent(decoded, { index, device: null, kind: 'command_reply', timeMs, ...place, detail });
  }
  if (!cursor.isUsedUp) return refused('frame_records', 'bytes are left behind the last reply');
  return { kind: 'replies', recordCount: replyCount, decoded };
}

/** The time a reply tells, where it tells one that can be believed; else the time it came. */
function replyTimeMs(buffer: Buffer, textFrom: number, { codec, nowMs }: RepliesHead): number {
  if (codec !== 0x0d) return nowMs;
  const toldMs = buffer.readUInt32BE(textFrom - 4) * 1000;
  return checkTime(toldMs, nowMs) === null ? toldMs : nowMs;
}

function printable(bytes: Buffer): { text: string } | { hex: string } {
  const isText = bytes.every((byte) => (byte >= 0x20 && byte < 0x7f) || byte === 10 || byte === 13);
  return isText ? { text: bytes.toString('latin1') } : { hex: bytes.toString('hex') };
}

const CRC_TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xa001 : crc >>> 1;
  return crc;
});

/** CRC-16/IBM (also called ARC) of the bytes from `start` to before `end`. */
export function crc16Ibm(bytes: Buffer, start: number, end: number): number {
  let crc = 0;
  for (let i = start; i < end; i++) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ bytes[i]!) & 0xff]!;
  return crc;
}
