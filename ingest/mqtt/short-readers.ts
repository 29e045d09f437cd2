/**
 * Reads the short packets of a client: the four acks and DISCONNECT. Knows which reason codes a client may send in them
 * (5.0, sections 3.4 to 3.7 and 3.14); refuses to know what they answer.
 */
import type { Version } from './connect-reader.ts';
import type { Fault } from './faults.ts';
import { DISCONNECT_WITH_WILL, MALFORMED, PROTOCOL_ERROR, SUCCESS } from './faults.ts';
import type { FieldCursor, PropertyTable } from './field-cursor.ts';
import { ACK_PROPERTIES, DISCONNECT_PROPERTIES, PROPERTY } from './field-cursor.ts';

/** Packet types that acknowledge. */
export const PUBACK = 4;
export const PUBREC = 5;
export const PUBREL = 6;
export const PUBCOMP = 7;

/** `fault` null: the other fields hold. `reasonCode` is 0 in 3.1.1. */
export interface AckReading {
  readonly fault: Fault | null;
  readonly packetId: number;
  readonly reasonCode: number;
}

/** `fault` null: the other fields hold. */
export interface DisconnectReading {
  readonly fault: Fault | null;
  readonly reasonCode: number;
  /** Seconds; `null`: the one of CONNECT stays. */
  readonly sessionExpiryS: number | null;
}

const PUBLISH_ANSWERS: ReadonlySet<number> = new Set([
  SUCCESS,
  ...[0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
]);
const RELEASE_ANSWERS: ReadonlySet<number> = new Set([SUCCESS, 0x92]);
/** Those of the table in 3.14.2.1 that a client may send. */
const LEAVES: ReadonlySet<number> = new Set([
  SUCCESS,
  DISCONNECT_WITH_WILL,
  ...[0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99],
]);

/** Reads the body of PUBACK, PUBREC, PUBREL or PUBCOMP, by `type`. */
export function readAck(cursor: FieldCursor, type: number, version: Version): AckReading {
  const packetId = cursor.u16();
  if (packetId === 0) cursor.fail(PROTOCOL_ERROR);
  let reasonCode = SUCCESS;
  if (version === 5) {
    const codes = type === PUBACK || type === PUBREC ? PUBLISH_ANSWERS : RELEASE_ANSWERS;
    reasonCode = readReason(cursor, codes, ACK_PROPERTIES);
  }
  if (!cursor.atEnd) cursor.fail(MALFORMED);
  return { fault: cursor.fault, packetId, reasonCode };
}

/** Reads the body of DISCONNECT. */
export function readDisconnect(cursor: FieldCursor, version: Version): DisconnectReading {
  let reasonCode = SUCCESS;
  let sessionExpiryS: number | null = null;
  if (version === 5) {
    reasonCode = readReason(cursor, LEAVES, DISCONNECT_PROPERTIES, (id, value, at) => {
      if (id === PROPERTY.sessionExpiry) sessionExpiryS = value;
      // Only a server has another server to tell of.
      else if (id === PROPERTY.serverReference) at.fail(PROTOCOL_ERROR);
    });
  }
  if (!cursor.atEnd) cursor.fail(MALFORMED);
  return { fault: cursor.fault, reasonCode, sessionExpiryS };
}

/** A reason code and properties, both of which may be left out from the end on. */
function readReason(
  cursor: FieldCursor,
  codes: ReadonlySet<number>,
  properties: PropertyTable,
  visit?: (id: number, value: number, at: FieldCursor) => void,
): number {
  if (cursor.fault !== null || cursor.atEnd) return SUCCESS;
  const code = cursor.u8();
  if (!codes.has(code)) cursor.fail(PROTOCOL_ERROR);
  if (!cursor.atEnd) cursor.properties(properties, visit);
  return code;
}
