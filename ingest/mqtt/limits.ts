/**
 * Every bound the MQTT listener keeps, by name. Knows numbers and their defaults; refuses to know where they are
 * enforced or which setting of the process changes them.
 */

/** Largest CONNECT packet in bytes, and so the most that an unauthenticated peer can make the listener hold. */
export const MQTT_CONNECT_BYTES_MAX = 8 * 1024;

/** The bounds of one listener. Whole numbers, all ≥ 1. */
export interface MqttLimits {
  /** Bytes of the CONNECT packet, fixed header included; any earlier packet is bounded by it too. */
  readonly connectBytesMax: number;
  /** Bytes of every later packet, fixed header included. Told to 5.0 clients as Maximum Packet Size. */
  readonly packetBytesMax: number;
  /** Milliseconds from the TCP accept to the last byte of CONNECT. */
  readonly connectMsMax: number;
  /** Milliseconds the credential check may take before the client is told to come back later. */
  readonly authenticateMsMax: number;
  /** Seconds; 5.0 clients that ask for a longer keep-alive, or for none, are given this one. At most 65,535. */
  readonly keepAliveSMax: number;
  /** Publishes of one connection that wait for their outcome, ≤ 65,535. The Receive Maximum of 5.0. */
  readonly inFlightMax: number;
  /** Open sockets of the listener, authenticated or not. */
  readonly connectionsMax: number;
  /** Open sockets from one remote address; `null` sets no bound (devices behind one carrier NAT share an address). */
  readonly connectionsPerAddressMax: number | null;
  /** Connections of one device under different client ids; one more closes the oldest. */
  readonly connectionsPerDeviceMax: number;
  /** Bytes written to a socket that its client has not taken; beyond, the client is closed. */
  readonly writeBufferBytesMax: number;
  /** Topic filters in one SUBSCRIBE or UNSUBSCRIBE. */
  readonly filtersMax: number;
  /** Milliseconds a closing socket may take to carry its last words before it is destroyed. */
  readonly closeMsMax: number;
}

/** What a listener uses when it is told nothing else. */
export const MQTT_LIMITS_DEFAULT: MqttLimits = {
  connectBytesMax: MQTT_CONNECT_BYTES_MAX,
  packetBytesMax: 256 * 1024,
  connectMsMax: 10_000,
  authenticateMsMax: 10_000,
  keepAliveSMax: 1_200,
  inFlightMax: 1_000,
  connectionsMax: 10_000,
  connectionsPerAddressMax: null,
  connectionsPerDeviceMax: 8,
  writeBufferBytesMax: 64 * 1024,
  filtersMax: 100,
  closeMsMax: 2_000,
};
