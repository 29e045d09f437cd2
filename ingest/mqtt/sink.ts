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

/** The far end of a connection, as its transport knows it. */
export interface MqttPeer {
  /** Address without port; empty when the transport cannot tell. */
  readonly remoteAddress: string;
  /** Names in the client certificate that the transport has verified; `null`: none was shown. */
  readonly certificateNames: readonly string[] | null;
}

/** Why credentials do not hold. */
export interface MqttRefusal {
  /** A reason for the counter. */
  readonly refused: string;
}

/**
 * Decides about the credentials of a CONNECT. The client is answered alike for every refusal, so that it cannot learn
 * which devices exist. A rejection of the promise means "cannot tell now": the client is told that the server is
 * unavailable, and will try again.
 */
export type MqttAuthenticate = (
  username: string | undefined,
  password: Buffer | undefined,
  peer: MqttPeer,
) => Promise<MqttIdentity | MqttRefusal>;

/** One PUBLISH as it came. Valid while `publish` runs; what is kept must be taken from it. */
export interface MqttPublish {
  readonly identity: MqttIdentity;
  /** Any valid topic name; whether the device may use it is the sink's to judge (see `ownTopicKind`). */
  readonly topic: string;
  /**
   * The payload, made when it is asked for: a view of the socket's read buffer, safe to keep, but a short one kept long
   * keeps its neighbours alive; copy then.
   */
  readonly payload: Buffer;
  /** Where the payload lies, for those who only look at it. */
  readonly buffer: Buffer;
  readonly payloadStart: number;
  readonly payloadEnd: number;
  readonly qos: 0 | 1 | 2;
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

/** Who waits for the outcome of one publish. */
export interface Receipt {
  settled(outcome: PublishOutcome): void;
}

/** Takes publishes and answers each one once it is settled. */
export interface MqttSink {
  /**
   * Takes the publish in any case. The receipt is told exactly once, after the commit, for every quality of service.
   * Returns false when its queue is full: no more is read from this device until `onceDrained` calls back.
   */
  publish(message: MqttPublish, receipt: Receipt): boolean;
  onceDrained(resume: () => void): void;
}

/** The last will of a client that went without taking leave. */
export interface MqttWill {
  readonly identity: MqttIdentity;
  readonly clientId: string;
  /** As the client wrote it, any valid topic name: it is told of and never routed. */
  readonly topic: string;
  /** The event's own bytes, of no socket. */
  readonly payload: Buffer;
  /** Epoch milliseconds at which the connection ended, also when the will was to be published later. */
  readonly atMs: number;
  /** Why it ended, in words for people. */
  readonly cause: string;
}

/** What became of a command. */
export type DeliveryOutcome =
  /** Written (quality of service 0), or acknowledged by the device with whatever code. */
  | 'delivered'
  /**
   * Nobody waits for its ack any more: its session ended, was unsubscribed before it was sent, or takes no packet as
   * large; or the device is away with that session, and has subscribed with another one.
   */
  | 'gone';

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
