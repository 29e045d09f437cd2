/**
 * Reads CONNECT strictly, and judges what of it the listener cannot serve. Knows section 3.1 of 3.1.1 and 5.0; refuses to
 * know credentials and sockets.
 */
import { isUtf8 } from 'node:buffer';
import type { Fault } from './faults.ts';
import {
  AUTHENTICATION_METHOD,
  CLIENT_ID_INVALID,
  MALFORMED,
  PAYLOAD_FORMAT,
  PROTOCOL_ERROR,
  RETAIN_UNSUPPORTED,
  TOPIC_INVALID,
  UNSUPPORTED_VERSION,
} from './faults.ts';
import { CONNECT_PROPERTIES, FieldCursor, PROPERTY, WILL_PROPERTIES } from './field-cursor.ts';
import { hasLongLength } from './packet-gate.ts';
import { hasWildcard } from './topics.ts';

/** The versions spoken: 4 is 3.1.1, 5 is 5.0. */
export type Version = 4 | 5;

/** Session Expiry Interval: the session never ends by itself. */
export const NEVER_EXPIRES = 0xffff_ffff;

/** A will as CONNECT carries it. Its quality of service leads to nothing: it is told of, and not sent on. */
export interface Will {
  readonly topic: string;
  readonly payload: Buffer;
  /** Seconds between the end of the connection and its publication. */
  readonly delayS: number;
}

/** A CONNECT that can be served if its credentials hold. */
export interface Connect {
  readonly version: Version;
  /** Clean Session of 3.1.1 too: what was kept under this client id is forgotten. */
  readonly cleanStart: boolean;
  /** Seconds; 0 for no keep-alive. */
  readonly keepAliveS: number;
  /** Empty: the listener is to give one. */
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Buffer | undefined;
  readonly will: Will | null;
  /** Seconds that the session is to outlive its connection. 3.1.1: 0 with Clean Session, else `NEVER_EXPIRES`. */
  readonly sessionExpiryS: number;
  /** Publishes with a quality of service above 0 that the client takes unacknowledged. */
  readonly receiveMax: number;
  /** Bytes of the largest packet that the client takes. */
  readonly packetBytesMax: number;
  /** Whether the client wants reason strings outside of CONNACK and DISCONNECT. */
  readonly wantsReasons: boolean;
}

/**
 * `version` null: what came is no MQTT that could be answered, so nothing is. Otherwise a CONNACK in that version says
 * why, if it is not larger than `packetBytesMax`.
 */
export type ConnectReading =
  | { readonly ok: true; readonly connect: Connect }
  | {
      readonly ok: false;
      readonly version: Version | null;
      readonly fault: Fault;
      readonly packetBytesMax: number;
    };

const FLAG_RESERVED = 0x01;
const FLAG_CLEAN = 0x02;
const FLAG_WILL = 0x04;
const FLAG_WILL_RETAIN = 0x20;
const FLAG_PASSWORD = 0x40;
const FLAG_USERNAME = 0x80;

/** Reads the CONNECT packet in `buffer[start, end)`; its body begins at `bodyStart`. */
export function readConnect(
  buffer: Buffer,
  range: { readonly start: number; readonly bodyStart: number; readonly end: number },
  clientIdBytesMax: number,
): ConnectReading {
  const cursor = new FieldCursor(buffer, range.bodyStart, range.end);
  const name = cursor.text();
  const level = cursor.u8();
  if (cursor.fault !== null) return refused(null, cursor.fault);
  if (name === 'MQIsdp') return refused(4, UNSUPPORTED_VERSION);
  if (name !== 'MQTT') return refused(null, MALFORMED);
  if (level !== 4 && level !== 5) return unsupported(cursor, clientIdBytesMax);
  const version = level === 5 ? 5 : 4;
  if ((buffer[range.start]! & 0x0f) !== 0) return refused(version, MALFORMED);
  if (version === 5 && hasLongLength(buffer, range)) return refused(version, MALFORMED);
  return new ConnectReader(cursor, version, clientIdBytesMax).read();
}

/**
 * Another protocol level: refused in the version whose form the rest has. Both have a code for it, and 3.1.1 demands that
 * its own is sent [MQTT-3.1.2-2]: to clients of 3.1 and bridges (level | 0x80), which may come back in 3.1.1, too.
 */
function unsupported(cursor: FieldCursor, clientIdBytesMax: number): ConnectReading {
  const reading = new ConnectReader(cursor, 5, clientIdBytesMax).read();
  const isV5 = reading.ok || reading.fault !== MALFORMED;
  return refused(isV5 ? 5 : 4, UNSUPPORTED_VERSION);
}

function refused(version: Version | null, fault: Fault, packetBytesMax = Infinity): ConnectReading {
  return { ok: false, version, fault, packetBytesMax };
}

/** Walks one CONNECT behind its protocol level. Bytes that do not fit come before what fits and cannot be served. */
class ConnectReader {
  readonly #cursor: FieldCursor;
  readonly #version: Version;
  readonly #clientIdBytesMax: number;
  #refusal: Fault | null = null;
  #sessionExpiryS = 0;
  #receiveMax = 0xffff;
  #packetBytesMax = Infinity;
  #wantsReasons = true;

  constructor(cursor: FieldCursor, version: Version, clientIdBytesMax: number) {
    this.#cursor = cursor;
    this.#version = version;
    this.#clientIdBytesMax = clientIdBytesMax;
  }

  read(): ConnectReading {
    const cursor = this.#cursor;
    const version = this.#version;
    const flags = cursor.u8();
    if (!flagsFit(flags, version)) cursor.fail(MALFORMED);
    const cleanStart = (flags & FLAG_CLEAN) !== 0;
    const keepAliveS = cursor.u16();
    if (version === 5) this.#readProperties();
    else if (!cleanStart) this.#sessionExpiryS = NEVER_EXPIRES;
    const clientId = this.#readClientId(cleanStart);
    const will = (flags & FLAG_WILL) !== 0 ? this.#readWill(flags) : null;
    const username = (flags & FLAG_USERNAME) !== 0 ? cursor.text() : undefined;
    const password = (flags & FLAG_PASSWORD) !== 0 ? copyOfBinary(cursor) : undefined;
    if (!cursor.atEnd) cursor.fail(MALFORMED);
    const fault = cursor.fault ?? this.#refusal;
    if (fault !== null) return refused(version, fault, this.#packetBytesMax);
    const connect: Connect = {
      version,
      cleanStart,
      keepAliveS,
      clientId,
      username,
      password,
      will,
      sessionExpiryS: this.#sessionExpiryS,
      receiveMax: this.#receiveMax,
      packetBytesMax: this.#packetBytesMax,
      wantsReasons: this.#wantsReasons,
    };
    return { ok: true, connect };
  }

  #readProperties(): void {
    let method = false;
    let data = false;
    this.#cursor.properties(CONNECT_PROPERTIES, (id, value) => {
      if (id === PROPERTY.sessionExpiry) this.#sessionExpiryS = value;
      else if (id === PROPERTY.requestProblemInformation) this.#wantsReasons = value === 1;
      else if (id === PROPERTY.receiveMaximum) this.#receiveMax = this.#positive(value);
      else if (id === PROPERTY.maximumPacketSize) this.#packetBytesMax = this.#positive(value);
      method ||= id === PROPERTY.authenticationMethod;
      data ||= id === PROPERTY.authenticationData;
    });
    if (method) this.#refuse(AUTHENTICATION_METHOD);
    else if (data) this.#refuse(PROTOCOL_ERROR);
  }

  #positive(value: number): number {
    if (value > 0) return value;
    this.#refuse(PROTOCOL_ERROR);
    return Infinity;
  }

  #readClientId(cleanStart: boolean): string {
    const start = this.#cursor.offset + 2;
    const clientId = this.#cursor.text();
    const isMissing = clientId === '' && this.#version === 4 && !cleanStart;
    const isLong = this.#cursor.offset - start > this.#clientIdBytesMax;
    if (isMissing || isLong) this.#refuse(CLIENT_ID_INVALID);
    return clientId;
  }

  /** 3.1.1 has no code to refuse a retained will with; there the flag is passed over, as nothing is retained. */
  #readWill(flags: number): Will {
    const cursor = this.#cursor;
    let delayS = 0;
    let isText = false;
    if (this.#version === 5) {
      if ((flags & FLAG_WILL_RETAIN) !== 0) this.#refuse(RETAIN_UNSUPPORTED);
      cursor.properties(WILL_PROPERTIES, (id, value, at) => {
        if (id === PROPERTY.willDelay) delayS = value;
        else if (id === PROPERTY.payloadFormat) isText = value === 1;
        else if (id === PROPERTY.responseTopic) {
          const start = at.offset - value;
          if (value === 0 || hasWildcard(at.buffer, start, at.offset)) this.#refuse(PROTOCOL_ERROR);
        }
      });
    }
    const topic = cursor.text();
    if (topic === '' || /[+#]/.test(topic)) this.#refuse(TOPIC_INVALID);
    const payload = copyOfBinary(cursor);
    if (isText && !isUtf8(payload)) this.#refuse(PAYLOAD_FORMAT);
    return { topic, payload, delayS };
  }

  #refuse(fault: Fault): void {
    this.#refusal ??= fault;
  }
}

function flagsFit(flags: number, version: Version): boolean {
  const willQos = (flags >> 3) & 3;
  if ((flags & FLAG_RESERVED) !== 0 || willQos === 3) return false;
  if ((flags & FLAG_WILL) === 0 && (willQos !== 0 || (flags & FLAG_WILL_RETAIN) !== 0))
    return false;
  // 5.0 allows a password alone (a token); 3.1.1 does not [MQTT-3.1.2-22].
  return version === 5 || (flags & FLAG_PASSWORD) === 0 || (flags & FLAG_USERNAME) !== 0;
}

/** A copy: what a connection keeps of its CONNECT must not keep the rest of it in memory. */
function copyOfBinary(cursor: FieldCursor): Buffer {
  const length = cursor.binary();
  return Buffer.from(cursor.buffer.subarray(cursor.offset - length, cursor.offset));
}
