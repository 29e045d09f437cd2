/**
 * Every bound the Teltonika listener keeps, by name. Knows numbers and their defaults; refuses to know where they are
 * enforced. One more bound is no number: a device has one connection, and a newer one closes it.
 */

/** The bounds of one listener. Whole numbers, all ≥ 1. */
export interface TeltonikaLimits {
  /** Milliseconds from the TCP accept to the last byte of the login. */
  readonly loginMsMax: number;
  /** Bytes of the login, its length included: all that an unknown peer can make the listener hold. */
  readonly loginBytesMax: number;
  /** Bytes of a frame, from the preamble to the CRC. */
  readonly frameBytesMax: number;
  /** Milliseconds from the first byte of a frame to its last. */
  readonly frameMsMax: number;
  /** Frames of one connection that wait for their commit; reading pauses there. */
  readonly framesInFlightMax: number;
  /** Milliseconds without a byte after which a connection is closed. */
  readonly idleMsMax: number;
  /** Open sockets of the listener, signed in or not. */
  readonly connectionsMax: number;
  /** Bytes of acknowledgements that a device has not taken; beyond, it is cut off. */
  readonly writeBufferBytesMax: number;
  /** Devices whose last refused frame is remembered, so that its repeats are counted and not kept again. */
  readonly badFramesMax: number;
  /** Milliseconds a closing socket may take to carry its last words before it is destroyed. */
  readonly closeMsMax: number;
}

/** What a listener uses when it is told nothing else. */
export const TELTONIKA_LIMITS_DEFAULT: TeltonikaLimits = {
  loginMsMax: 10_000,
  loginBytesMax: 66,
  frameBytesMax: 32 * 1024,
  frameMsMax: 60_000,
  framesInFlightMax: 16,
  idleMsMax: 1_800_000,
  connectionsMax: 10_000,
  writeBufferBytesMax: 4 * 1024,
  badFramesMax: 10_000,
  closeMsMax: 2_000,
};
