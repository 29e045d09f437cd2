/** Every bound and pause of the subscriber, by name. Refuses to know where they are enforced. */

/** Bytes of a packet that are kept, fixed header included; a larger message is refused, and its beginning kept. */
export const BROKER_PACKET_BYTES_MAX = 1024 * 1024;
/** From the first SYN to CONNACK, and from SUBSCRIBE to SUBACK. */
export const BROKER_ANSWER_MS_MAX = 10_000;
/** The keep-alive that is asked for; the broker is pinged twice as often, and given up after one and a half times. */
export const BROKER_KEEP_ALIVE_S = 30;
/** How long a 5.0 broker is asked to keep the session while nobody is connected. */
export const BROKER_SESSION_EXPIRY_S = 604_800;
/** Bytes written that the broker has not taken; beyond, it is given up. */
export const BROKER_WRITE_BUFFER_BYTES_MAX = 1024 * 1024;
/** Until a refused subscription is asked for again. */
export const BROKER_SUBSCRIBE_AGAIN_MS = 60_000;
/** A connection that has lasted as long is followed by a quick try, a shorter one by a longer pause than the last. */
export const BROKER_STEADY_MS = 10_000;
/** How long a closing connection may take to carry its last words. */
export const BROKER_CLOSE_MS_MAX = 2_000;
