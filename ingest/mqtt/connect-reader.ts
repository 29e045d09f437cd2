/**
 * Reads CONNECT: walks it strictly, judges what the listener cannot serve, and has the codec decode the rest. Knows
 * section 3.1 of 3.1.1 and 5.0; refuses to know credentials and sockets.
 */
import type { IConnectPacket, Packet } from 'mqtt-packet';
import { parser } from 'mqtt-packet';
import type { Fault } from './faults.ts';
import {
  AUTHENTICATION_METHOD,
  CLIENT_ID_INVALID,
  MALFORMED,
  PROTOCOL_ERROR,
  QOS_UNSUPPORTED,
  RETAIN_UNSUPPORTED,
  TOPIC_INVALID,
  UNSUPPORTED_VERSION,
} from './faults.ts';
import { CONNECT_PROPERTIES, FieldCursor, PROPERTY, WILL_PROPERTIES } from './field-cursor.ts';
import { judgeTopicName } from './topics.ts';

/** The versions spoken: 4 is 3.1.1, 5 is 5.0. */
export type Version = 4 | 5;

/**
 * `version` null: what came is no MQTT that could be answered, so nothing is. Otherwise a CONNACK in that version says
 * why.
 */
export type ConnectReading =
  | { readonly ok: true; readonly version: Version; readonly connect: IConnectPacket }
  | { readonly ok: false; readonly version: Version | null; readonly fault: Fault };

const FLAG_RESERVED = 0x01;
const FLAG_CLEAN = 0x02;
const FLAG_WILL = 0x04;
const FLAG_WILL_RETAIN = 0x20;
const FLAG_PASSWORD = 0x40;
const FLAG_USERNAME = 0x80;

/** Reads the CONNECT packet in `buffer[start, end)`; its body begins at `bodyStart`. */
export function readConnect(
  buffer: Buffer,
  start: number,
  bodyStart: number,
  end: number,
): ConnectReading {
  const cursor = new FieldCursor(buffer, bodyStart, end);
  const nameStart = cursor.offset + 2;
  cursor.string();
  const name = cursor.fault === null ? buffer.toString('utf8', nameStart, cursor.offset) : '';
  const level = cursor.u8();
  if (cursor.fault !== null) return { ok: false, version: null, fault: cursor.fault };
  // 3.1 (MQIsdp, level 3) and bridges (level | 0x80) know return code 1 and may come back in 3.1.1.
  if (name === 'MQIsdp' || (name === 'MQTT' && level !== 4 && level !== 5)) {
    const version = level > 5 && level < 0x80 ? 5 : 4;
    return { ok: false, version, fault: UNSUPPORTED_VERSION };
  }
  if (name !== 'MQTT') return { ok: false, version: null, fault: MALFORMED };
  const version: Version = level === 5 ? 5 : 4;
  if ((buffer[start]! & 0x0f) !== 0) return { ok: false, version, fault: MALFORMED };
  const fault = walkConnect(cursor, version);
  if (fault !== null) return { ok: false, version, fault };
  const connect = decode(buffer.subarray(start, end));
  if (connect === null) return { ok: false, version, fault: MALFORMED };
  return { ok: true, version, connect };
}

function walkConnect(cursor: FieldCursor, version: Version): Fault | null {
  const flags = cursor.u8();
  const refusals: Fault[] = [];
  if (!flagsFit(flags, version)) cursor.fail(MALFORMED);
  cursor.u16();
  if (version === 5) walkConnectProperties(cursor, refusals);
  if (cursor.string() === 0 && version === 4 && (flags & FLAG_CLEAN) === 0) {
    refusals.push(CLIENT_ID_INVALID);
  }
  if ((flags & FLAG_WILL) !== 0) walkWill(cursor, flags, version, refusals);
  if ((flags & FLAG_USERNAME) !== 0) cursor.string();
  if ((flags & FLAG_PASSWORD) !== 0) cursor.binary();
  if (!cursor.atEnd) cursor.fail(MALFORMED);
  return cursor.fault ?? refusals[0] ?? null;
}

function flagsFit(flags: number, version: Version): boolean {
  const willQos = (flags >> 3) & 3;
  if ((flags & FLAG_RESERVED) !== 0 || willQos === 3) return false;
  if ((flags & FLAG_WILL) === 0 && (willQos !== 0 || (flags & FLAG_WILL_RETAIN) !== 0))
    return false;
  // 5.0 allows a password alone (a token); 3.1.1 does not [MQTT-3.1.2-22].
  return version === 5 || (flags & FLAG_PASSWORD) === 0 || (flags & FLAG_USERNAME) !== 0;
}

function walkConnectProperties(cursor: FieldCursor, refusals: Fault[]): void {
  let method = false;
  let data = false;
  cursor.properties(CONNECT_PROPERTIES, (id, value) => {
    method ||= id === PROPERTY.authenticationMethod;
    data ||= id === PROPERTY.authenticationData;
    const positive = id === PROPERTY.receiveMaximum || id === PROPERTY.maximumPacketSize;
    if (positive && value === 0) refusals.push(PROTOCOL_ERROR);
  });
  if (method) refusals.push(AUTHENTICATION_METHOD);
  else if (data) refusals.push(PROTOCOL_ERROR);
}

/** A will is checked like the publish it would become. 3.1.1 has no code to refuse its quality of service with. */
function walkWill(cursor: FieldCursor, flags: number, version: Version, refusals: Fault[]): void {
  if (version === 5) {
    if (((flags >> 3) & 3) === 2) refusals.push(QOS_UNSUPPORTED);
    if ((flags & FLAG_WILL_RETAIN) !== 0) refusals.push(RETAIN_UNSUPPORTED);
    cursor.properties(WILL_PROPERTIES);
  }
  const length = cursor.string();
  if (cursor.fault === null) {
    const verdict = judgeTopicName(cursor.buffer, cursor.offset - length, cursor.offset);
    if (length === 0 || verdict === 'wildcard') refusals.push(TOPIC_INVALID);
  }
  cursor.binary();
}

/** One parser per packet: a shared one would carry the rest of one client's bytes into the next client's. */
function decode(packet: Buffer): IConnectPacket | null {
  const codec = parser();
  let decoded: Packet | null = null;
  let failed = false;
  codec.on('packet', (found) => {
    decoded = found;
  });
  codec.on('error', () => {
    failed = true;
  });
  codec.parse(packet);
  const found = decoded as Packet | null;
  return failed || found?.cmd !== 'connect' ? null : found;
}
