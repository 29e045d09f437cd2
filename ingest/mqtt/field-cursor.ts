/**
 * Reads the fields of one packet strictly: two-byte integers, UTF-8 strings, binary data, 5.0 property lists. Knows the
 * data types of MQTT (section 1.5) and which property belongs where (5.0, section 2.2.2.2); refuses to know what a
 * packet means.
 *
 * Packets that come in are read with this and not with the codec (`mqtt-packet` 9.0), which turns broken UTF-8 into
 * replacement characters, takes a property list without its length for an empty one, lets a property run over the end of
 * its list and does not see packet identifier 0 or missing.
 */
import { isUtf8 } from 'node:buffer';
import type { Fault } from './faults.ts';
import { MALFORMED, PROTOCOL_ERROR } from './faults.ts';

type PropertyType = 'flag' | 'u16' | 'u32' | 'varint' | 'string' | 'binary' | 'pair';

const USER_PROPERTY = 0x26;

/** Property identifiers that the listener looks at. */
export const PROPERTY = {
  payloadFormat: 0x01,
  responseTopic: 0x08,
  subscriptionIdentifier: 0x0b,
  sessionExpiry: 0x11,
  authenticationMethod: 0x15,
  authenticationData: 0x16,
  requestProblemInformation: 0x17,
  willDelay: 0x18,
  serverReference: 0x1c,
  receiveMaximum: 0x21,
  topicAlias: 0x23,
  maximumPacketSize: 0x27,
} as const;

const REASON_STRING = 0x1f;

/** The properties a packet may carry, with their types. */
export type PropertyTable = ReadonlyMap<number, PropertyType>;

function table(...rows: readonly [number, PropertyType][]): PropertyTable {
  return new Map<number, PropertyType>([...rows, [USER_PROPERTY, 'pair']]);
}

export const CONNECT_PROPERTIES = table(
  [PROPERTY.sessionExpiry, 'u32'],
  [PROPERTY.authenticationMethod, 'string'],
  [PROPERTY.authenticationData, 'binary'],
  [PROPERTY.requestProblemInformation, 'flag'],
  [0x19, 'flag'],
  [PROPERTY.receiveMaximum, 'u16'],
  [0x22, 'u16'],
  [PROPERTY.maximumPacketSize, 'u32'],
);

export const WILL_PROPERTIES = table(
  [PROPERTY.payloadFormat, 'flag'],
  [0x02, 'u32'],
  [0x03, 'string'],
  [PROPERTY.responseTopic, 'string'],
  [0x09, 'binary'],
  [PROPERTY.willDelay, 'u32'],
);

export const PUBLISH_PROPERTIES = table(
  [PROPERTY.payloadFormat, 'flag'],
  [0x02, 'u32'],
  [0x03, 'string'],
  [PROPERTY.responseTopic, 'string'],
  [0x09, 'binary'],
  [PROPERTY.subscriptionIdentifier, 'varint'],
  [PROPERTY.topicAlias, 'u16'],
);

/** PUBACK, PUBREC, PUBREL and PUBCOMP. */
export const ACK_PROPERTIES = table([REASON_STRING, 'string']);

export const SUBSCRIBE_PROPERTIES = table([PROPERTY.subscriptionIdentifier, 'varint']);

export const UNSUBSCRIBE_PROPERTIES = table();

export const DISCONNECT_PROPERTIES = table(
  [PROPERTY.sessionExpiry, 'u32'],
  [REASON_STRING, 'string'],
  [PROPERTY.serverReference, 'string'],
);

/**
 * A position in a packet. The first field that does not fit sets `fault`; from then on every read answers 0 and moves
 * nothing, so that a caller may read a whole packet and ask once.
 */
export class FieldCursor {
  readonly buffer: Buffer;
  readonly end: number;
  offset: number;
  fault: Fault | null = null;

  constructor(buffer: Buffer, start: number, end: number) {
    this.buffer = buffer;
    this.offset = start;
    this.end = end;
  }

  get atEnd(): boolean {
    return this.offset === this.end;
  }

  u8(): number {
    return this.#has(1) ? this.buffer[this.offset++]! : 0;
  }

  u16(): number {
    if (!this.#has(2)) return 0;
    this.offset += 2;
    return this.buffer.readUInt16BE(this.offset - 2);
  }

  u32(): number {
    if (!this.#has(4)) return 0;
    this.offset += 4;
    return this.buffer.readUInt32BE(this.offset - 4);
  }

  /** A variable byte integer; one that is longer than it need be is malformed [MQTT-1.5.5-1]. */
  varint(): number {
    let value = 0;
    for (let i = 0, multiplier = 1; i < 4; i++, multiplier *= 128) {
      const byte = this.u8();
      value += (byte & 0x7f) * multiplier;
      if (byte < 0x80) {
        if (i > 0 && byte === 0) this.fail(MALFORMED);
        return value;
      }
    }
    this.fail(MALFORMED);
    return 0;
  }

  /** Passes over binary data; returns its length. */
  binary(): number {
    const length = this.u16();
    if (!this.#has(length)) return 0;
    this.offset += length;
    return length;
  }

  /** Passes over a UTF-8 string; returns its length in bytes. No surrogates, no NUL [MQTT-1.5.4-1, -2]. */
  string(): number {
    const length = this.binary();
    if (!isMqttText(this.buffer, this.offset - length, this.offset)) this.fail(MALFORMED);
    return length;
  }

  /** Reads a UTF-8 string. */
  text(): string {
    const length = this.string();
    if (this.fault !== null) return '';
    return this.buffer.toString('utf8', this.offset - length, this.offset);
  }

  /**
   * Passes over a property list. `visit` is told every property: a number as it is; of text and bytes their length, and
   * they end where `at` stands.
   */
  properties(
    allowed: PropertyTable,
    visit?: (id: number, value: number, at: FieldCursor) => void,
  ): void {
    const length = this.varint();
    if (length === 0 || !this.#has(length)) return;
    const inner = new FieldCursor(this.buffer, this.offset, this.offset + length);
    // One bit for each identifier below 64; there are none above.
    let seenLow = 0;
    let seenHigh = 0;
    while (!inner.atEnd && inner.fault === null) {
      const id = inner.varint();
      const type = allowed.get(id);
      if (type === undefined) {
        inner.fail(MALFORMED);
        break;
      }
      const bit = 1 << (id & 31);
      const isRepeated = ((id < 32 ? seenLow : seenHigh) & bit) !== 0;
      if (isRepeated && id !== USER_PROPERTY) inner.fail(PROTOCOL_ERROR);
      if (id < 32) seenLow |= bit;
      else seenHigh |= bit;
      const value = readProperty(inner, type);
      if (inner.fault === null) visit?.(id, value, inner);
    }
    this.offset += length;
    if (inner.fault !== null) this.fail(inner.fault);
  }

  /** The first fault stays. */
  fail(fault: Fault): void {
    this.fault ??= fault;
  }

  #has(byteCount: number): boolean {
    if (this.fault !== null) return false;
    if (this.offset + byteCount <= this.end) return true;
    this.fail(MALFORMED);
    return false;
  }
}

/** True when the bytes are a UTF-8 string of MQTT: valid, without surrogates and without NUL. */
export function isMqttText(buffer: Buffer, start: number, end: number): boolean {
  if (start === end) return true;
  const bytes = buffer.subarray(start, end);
  return isUtf8(bytes) && !bytes.includes(0);
}

function readProperty(cursor: FieldCursor, type: PropertyType): number {
  switch (type) {
    case 'flag': {
      const value = cursor.u8();
      if (value > 1) cursor.fail(PROTOCOL_ERROR);
      return value;
    }
    case 'u16':
      return cursor.u16();
    case 'u32':
      return cursor.u32();
    case 'varint':
      return cursor.varint();
    case 'string':
      return cursor.string();
    case 'binary':
      return cursor.binary();
    case 'pair':
      return cursor.string() + cursor.string();
  }
}
