/**
 * What a Teltonika tracker sends, built from numbers: logins, frames of records, frames of replies. For tests and for
 * devices that are simulated. Knows the layouts a second time, from the format's description; refuses to know sockets.
 */
import { crc16Ibm } from '../decode/teltonika.ts';

export type RecordCodec = 0x08 | 0x8e | 0x10;

/** One IO element: its number, the bytes its value takes, and the value; negative ones are two's complement. */
export interface TestElement {
  readonly id: number;
  readonly widthBytes: 1 | 2 | 4 | 8;
  readonly value: number | bigint;
}

/** One record. What is left out is 0, but for `satellites`, which is 9. */
export interface TestRecord {
  readonly timeMs: number;
  readonly latDeg?: number;
  readonly lonDeg?: number;
  readonly altitudeM?: number;
  readonly angleDeg?: number;
  readonly satellites?: number;
  readonly speedKph?: number;
  readonly priority?: number;
  readonly eventId?: number;
  readonly io?: readonly TestElement[];
  /** Elements with a length of their own, in codec 8E. */
  readonly variable?: readonly { readonly id: number; readonly bytes: Buffer }[];
}

/** The first bytes of a connection: the length of the IMEI and the IMEI. */
export function encodeLogin(imei: string): Buffer {
  return Buffer.concat([number(Buffer.byteLength(imei), 2), Buffer.from(imei)]);
}

/** A frame of up to 255 records. */
export function encodeRecords(codec: RecordCodec, records: readonly TestRecord[]): Buffer {
  const count = number(records.length, 1);
  const body = records.map((record) => encodeRecord(codec, record));
  return encodeFrame(Buffer.concat([number(codec, 1), count, ...body, count]));
}

/** A frame of codec 12 with one reply. */
export function encodeReply(text: string | Buffer, type = 0x06): Buffer {
  const bytes = Buffer.from(text);
  const head = Buffer.from([0x0c, 1, type]);
  return encodeFrame(Buffer.concat([head, number(bytes.length, 4), bytes, Buffer.from([1])]));
}

/** Puts preamble, length and CRC around the data, from the codec to the second count. */
export function encodeFrame(data: Buffer): Buffer {
  const crc = crc16Ibm(data, 0, data.length);
  return Buffer.concat([number(0, 4), number(data.length, 4), data, number(crc, 4)]);
}

function encodeRecord(codec: RecordCodec, record: TestRecord): Buffer {
  const idBytes = codec === 0x08 ? 1 : 2;
  const countBytes = codec === 0x8e ? 2 : 1;
  const io = record.io ?? [];
  const variable = record.variable ?? [];
  const parts = [
    number(record.timeMs, 8),
    number(record.priority ?? 0, 1),
    number(Math.round((record.lonDeg ?? 0) * 1e7), 4),
    number(Math.round((record.latDeg ?? 0) * 1e7), 4),
    number(record.altitudeM ?? 0, 2),
    number(record.angleDeg ?? 0, 2),
    number(record.satellites ?? 9, 1),
    number(record.speedKph ?? 0, 2),
    number(record.eventId ?? 0, idBytes),
    // Codec 16: made on a change of the element.
    number(1, codec === 0x10 ? 1 : 0),
    number(io.length + variable.length, countBytes),
  ];
  for (const widthBytes of [1, 2, 4, 8]) {
    const group = io.filter((element) => element.widthBytes === widthBytes);
    parts.push(number(group.length, countBytes));
    for (const { id, value } of group) parts.push(number(id, idBytes), number(value, widthBytes));
  }
  if (codec === 0x8e) {
    parts.push(number(variable.length, 2));
    for (const { id, bytes } of variable) parts.push(number(id, 2), number(bytes.length, 2), bytes);
  }
  return Buffer.concat(parts);
}

function number(value: number | bigint, byteCount: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, BigInt(value)));
  return bytes.subarray(8 - byteCount);
}
