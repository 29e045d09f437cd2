/**
 * Why the listener refuses a packet or closes a connection: for each fault the word it is counted under and the reason
 * code a 5.0 client is told (OASIS MQTT 5.0, section 2.4). Knows no sockets.
 *
 * 3.1.1 has no code outside CONNACK, so the same faults close the connection there without a word.
 */

/** Reason codes of MQTT 5.0 that are sent outside of faults (section 2.4). */
export const SUCCESS = 0x00;
export const DISCONNECT_WITH_WILL = 0x04;
export const NO_SUBSCRIPTION_EXISTED = 0x11;
export const NOT_AUTHORIZED = 0x87;
export const PACKET_ID_NOT_FOUND = 0x92;
export const PAYLOAD_FORMAT_INVALID = 0x99;
export const SHARED_UNSUPPORTED = 0x9e;
export const WILDCARD_UNSUPPORTED = 0xa2;
/** The failure return code of a 3.1.1 SUBACK. */
export const SUBACK_FAILURE_311 = 0x80;

/** One fault: `reason` for the counter, `code` for a 5.0 client. */
export interface Fault {
  readonly reason: string;
  readonly code: number;
}

function fault(reason: string, code: number): Fault {
  return { reason, code };
}

/** The bytes are no MQTT packet: lengths that do not fit, invalid UTF-8, reserved bits. */
export const MALFORMED = fault('malformed', 0x81);
/** A well-formed packet that may not come here or may not say this. */
export const PROTOCOL_ERROR = fault('protocol_error', 0x82);
export const SECOND_CONNECT = fault('second_connect', 0x82);
export const NOT_CONNECT_FIRST = fault('not_connect_first', 0x82);
export const CONNECT_TIMEOUT = fault('connect_timeout', 0x82);
export const PACKET_TOO_LARGE = fault('packet_too_large', 0x95);
/** The client takes no packet as large as a CONNACK. */
export const CLIENT_PACKET_MAX = fault('client_packet_max', 0x95);
/** A CONNECT over its own, lower bound: counted apart, as only an unauthenticated peer can do it. */
export const CONNECT_TOO_LARGE = fault('connect_too_large', 0x95);
export const UNSUPPORTED_VERSION = fault('unsupported_version', 0x84);
export const CLIENT_ID_INVALID = fault('client_id', 0x85);
/** Extended authentication (AUTH packets) is not offered. */
export const AUTHENTICATION_METHOD = fault('authentication_method', 0x8c);
/**
 * Unknown device and wrong password alike. 0x86 says "does not accept the User Name or Password". The 3.1.1 answer is
 * 5 (not authorised), because its code 4 speaks of malformed data, and well-formed wrong credentials are not that.
 */
export const BAD_CREDENTIALS = fault('bad_credentials', 0x86);
/** The credential check failed or took too long: the client should come back. CONNACK only. */
export const AUTHENTICATE_UNAVAILABLE = fault('authenticate_unavailable', 0x88);
/** CONNECT after `stopAccepting`. CONNACK only. */
export const NOT_ACCEPTING = fault('not_accepting', 0x88);
/** The sink could not store. 0x88 exists in CONNACK alone; in DISCONNECT, "server busy" is the one that means later. */
export const SINK_UNAVAILABLE = fault('sink_unavailable', 0x89);
export const SHUTTING_DOWN = fault('shutting_down', 0x8b);
export const KEEP_ALIVE = fault('keep_alive', 0x8d);
export const TAKEN_OVER = fault('taken_over', 0x8e);
/** The device was disabled, or its secret changed, while it was connected. */
export const REVOKED = fault('revoked', NOT_AUTHORIZED);
/** A topic filter that no subscription may have (section 4.7). */
export const FILTER_INVALID = fault('filter_invalid', 0x8f);
export const TOPIC_INVALID = fault('topic_invalid', 0x90);
/** More unacknowledged publishes than Receive Maximum, or more held identifiers of quality of service 2 than a session may have. */
export const RECEIVE_MAX_EXCEEDED = fault('receive_max', 0x93);
/** An alias of 0 or above the Topic Alias Maximum. */
export const TOPIC_ALIAS = fault('topic_alias', 0x94);
export const DEVICE_CONNECTIONS = fault('connections_per_device', 0x97);
/** CONNACK only. */
export const TENANT_CONNECTIONS = fault('connections_per_tenant', 0x97);
/** Too many CONNECTs of one address wait already, after wrong credentials from there. CONNACK only. */
export const CONNECT_RATE = fault('connect_rate', 0x9f);
export const FILTERS_MAX = fault('filters_max', 0x97);
/** A payload or will that says it is UTF-8 and is not. A publish is refused with it; a will, and so its CONNECT, too. */
export const PAYLOAD_FORMAT = fault('payload_format', PAYLOAD_FORMAT_INVALID);
export const RETAIN_UNSUPPORTED = fault('retain', 0x9a);
/** The client does not read what is sent to it; nothing more can be said. */
export const SLOW_READER = fault('slow_reader', 0x83);
export const SOCKET_ERROR = fault('socket_error', 0x80);
/** Refused before a byte was read. */
export const CONNECTIONS_MAX = fault('connections', 0x97);
export const ADDRESS_CONNECTIONS = fault('connections_per_address', 0x97);
/** Not a fault of the connection: the subscription is denied and the connection goes on. */
export const SUBSCRIBE_DENIED = fault('subscribe', NOT_AUTHORIZED);

/**
 * The CONNACK return code of 3.1.1 (section 3.2.2.3) for a fault; `null` where there is none: then the connection is
 * closed without a CONNACK [MQTT-3.1.4-1, MQTT-3.2.2-6 of 3.1.1].
 */
export function returnCode311(refusal: Fault): number | null {
  switch (refusal) {
    case UNSUPPORTED_VERSION:
      return 1;
    case CLIENT_ID_INVALID:
      return 2;
    case AUTHENTICATE_UNAVAILABLE:
    case NOT_ACCEPTING:
    case TENANT_CONNECTIONS:
    case CONNECT_RATE:
      return 3;
    case BAD_CREDENTIALS:
      return 5;
    default:
      return null;
  }
}
