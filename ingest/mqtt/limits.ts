/**
 * Every bound the MQTT listener keeps, by name. Knows numbers and their defaults; refuses to know where they are
 * enforced or which setting of the process changes them.
 */

/** Largest CONNECT packet in bytes, and so the most that an unauthenticated peer can make the listener hold. */
export const MQTT_CONNECT_BYTES_MAX = 8 * 1024;

/** The bounds of one listener. Whole numbers ≥ 1, but for `sessionExpirySMax`, which may be 0. */
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
  /** Packet identifiers of quality of service 2 that one session keeps until their PUBREL, ≤ 65,535. */
  readonly heldIdsMax: number;
  /** Topic aliases of one 5.0 connection, ≤ 65,535. */
  readonly topicAliasMax: number;
  /** Bytes of a client identifier. */
  readonly clientIdBytesMax: number;
  /** Open sockets of the listener, authenticated or not. */
  readonly connectionsMax: number;
  /** Open sockets from one remote address; `null` sets no bound (devices behind one carrier NAT share an address). */
  readonly connectionsPerAddressMax: number | null;
  /** Connections of one device under different client ids; one more closes the oldest. */
  readonly connectionsPerDeviceMax: number;
  /** Connections of all devices of one tenant. */
  readonly tenantConnectionsMax: number;
  /**
   * Publishes a second of one device, and of all devices of one tenant, other packets that are answered with more than an
   * ack among them; above it, sockets are not read.
   */
  readonly deviceMessagesPerSMax: number;
  readonly tenantMessagesPerSMax: number;
  /** Seconds that the session of a client that is away is kept; 0 keeps none. Less than 4,294,967,295. */
  readonly sessionExpirySMax: number;
  /** Sessions of one device, and of all devices, whose clients are away; one more ends the one longest away. */
  readonly awaySessionsPerDeviceMax: number;
  readonly awaySessionsMax: number;
  /** Commands of one session that wait to be sent or acknowledged. */
  readonly deliveriesMax: number;
  /** Refused credentials of one address within `guessWindowMs` after which its CONNECTs are answered late. */
  readonly guessesMax: number;
  readonly guessWindowMs: number;
  /** Milliseconds by which they are answered late. */
  readonly guessDelayMs: number;
  /** CONNECTs of one address that wait so; one more is refused. */
  readonly guessWaitingMax: number;
  /** Addresses whose refused credentials are counted; one more forgets the oldest. */
  readonly guessAddressesMax: number;
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
  heldIdsMax: 10_000,
  topicAliasMax: 8,
  clientIdBytesMax: 1_024,
  connectionsMax: 50_000,
  connectionsPerAddressMax: null,
  connectionsPerDeviceMax: 8,
  tenantConnectionsMax: 50_000,
  deviceMessagesPerSMax: 1_000,
  tenantMessagesPerSMax: 1_000_000,
  sessionExpirySMax: 604_800,
  awaySessionsPerDeviceMax: 8,
  awaySessionsMax: 100_000,
  deliveriesMax: 32,
  guessesMax: 20,
  guessWindowMs: 60_000,
  guessDelayMs: 3_000,
  guessWaitingMax: 1_000,
  guessAddressesMax: 10_000,
  writeBufferBytesMax: 64 * 1024,
  filtersMax: 100,
  closeMsMax: 2_000,
};
