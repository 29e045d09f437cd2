/**
 * Why a connection ended, in words for the people who read of a device's last will. Knows faults; refuses to know who
 * reads.
 */
import type { Fault } from '../faults.ts';
import {
  DISCONNECT_WITH_WILL,
  KEEP_ALIVE,
  MALFORMED,
  PROTOCOL_ERROR,
  REVOKED,
  SLOW_READER,
  SUCCESS,
  TAKEN_OVER,
} from '../faults.ts';

/** The peer closed, or its half of it. */
export const CLOSED_BY_CLIENT = 'the client closed the connection without DISCONNECT';
/** The socket reported an error. */
export const CONNECTION_BROKE = 'the network connection broke';

/** The cause of an end by the listener. */
export function causeOf(fault: Fault): string {
  switch (fault) {
    case KEEP_ALIVE:
      return 'nothing came from the client for one and a half times its keep-alive';
    case TAKEN_OVER:
      return 'a newer connection came with the same client identifier';
    case REVOKED:
      return 'the credential of the device no longer holds';
    case SLOW_READER:
      return 'the client did not read what was sent to it';
    case MALFORMED:
    case PROTOCOL_ERROR:
      return `the client broke the protocol (${fault.reason})`;
    default:
      return `the server closed the connection (${fault.reason})`;
  }
}

/** The cause of an end by DISCONNECT; `null`: the client took leave, and its will is forgotten [MQTT-3.14.4-3]. */
export function causeOfDisconnect(reasonCode: number): string | null {
  if (reasonCode === SUCCESS) return null;
  if (reasonCode === DISCONNECT_WITH_WILL) return 'the client asked for it in its DISCONNECT';
  return `the client disconnected with reason code 0x${reasonCode.toString(16)}`;
}
