/**
 * The seams of the MQTT listener: what it asks (who is this?), what it hands over (a publish) and what it is told back
 * (an outcome). Plain types. Refuses to know decoding, storage, metrics libraries and loggers.
 */

/** Whose connection this is, from its credential alone. */
export interface MqttIdentity {
  readonly deviceName: string;
  readonly iotDeviceId: number;
  readonly tenantId: number;
}

/**
 * Decides about the credentials of a CONNECT. `refused` is a reason for the counter; the client is answered alike for
 * every refusal, so that it cannot learn which devices exist. A rejection of the promise means "cannot tell now": the
 * client is told that the server is unavailable, and will try again.
 */
export type MqttAuthenticate = (
  username: string | undefined,
  password: Buffer | undefined,
) => Promise<MqttIdentity | { readonly refused: string }>;

/** One PUBLISH as it came. */
export interface MqttPublish {
  readonly identity: MqttIdentity;
  /** Any valid topic name; whether the device may use it is the sink's to judge (see `ownTopicKind`). */
  readonly topic: string;
  /** A view of the socket's read buffer: safe to keep, but a short one kept long keeps its neighbours alive; copy then. */
  readonly payload: Buffer;
  readonly qos: 0 | 1;
  /** Epoch milliseconds. */
  readonly receivedMs: number;
}

/** What became of a publish. */
export type PublishOutcome =
  /** Something of it was stored, or it was a duplicate of what is stored. */
  | { readonly kind: 'stored' }
  /** Kept as a reject. Never use it for what may succeed later: the client will not send the message again. */
  | { readonly kind: 'rejected'; readonly reason: string }
  /** Not stored and will not be: the connection is closed without an ack, so that the client sends it again. */
  | { readonly kind: 'unavailable' };

/** Takes publishes and answers each one once it is settled. */
export interface MqttSink {
  /**
   * Takes the publish in any case. `done` is called exactly once, after the commit, for both qualities of service.
   * Returns false when its queue is full: no more is read from this device until `onceDrained` calls back.
   */
  publish(message: MqttPublish, done: (outcome: PublishOutcome) => void): boolean;
  onceDrained(resume: () => void): void;
}

/** Where the listener counts. Every call must be cheap and must not throw. */
export interface MqttMetrics {
  /** Sockets that are open now, authenticated or not. */
  connections(count: number): void;
  /** Publishes handed to the sink, and the bytes of their packets; called once per read, not once per publish. */
  received(publishCount: number, byteCount: number): void;
  /** Something was refused, or a connection closed by the listener, for this reason (an `MqttFault` or the authenticator's word). */
  refused(reason: string): void;
}

/** The part of a pino logger that the listener uses. */
export interface Logger {
  debug(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
