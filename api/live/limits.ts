/** Every limit of the live hub, by name. Knows numbers; refuses to know what enforces them. */

/** Limits of the hub. Bytes are of UTF-8 text; times are milliseconds. */
export interface LiveLimits {
  /** Position frames a second to one socket. LIVE_FRAMES_PER_S. */
  readonly framesPerS: number;
  /** A socket with this much unsent gets no further positions until it drains. */
  readonly bufferedSkipBytes: number;
  /** A socket that would hold more than this unsent is closed. */
  readonly bufferedBytesMax: number;
  /** A socket above `bufferedSkipBytes` for this long is closed. */
  readonly stalledMsMax: number;
  /** Text of one position frame, roughly: a frame ends with the position that passes it. */
  readonly frameBytesMax: number;
  /** One message from a client. */
  readonly messageBytesMax: number;
  /** Messages a second from one client, on average; a burst may be twice that. */
  readonly messagesPerSMax: number;
  readonly equipmentIdsMax: number;
  readonly tokenBytesMax: number;
  /** From open to a good `auth`. */
  readonly authMsMax: number;
  /** Open sockets of this process, signed in or not. */
  readonly socketsMax: number;
  /** Open sockets that have not signed in. */
  readonly strangersMax: number;
  readonly socketsPerUserMax: number;
  readonly socketsPerTenantMax: number;
  /** Units whose position is held, all tenants together; further units are counted and left out. */
  readonly unitsMax: number;
  /** Between pings to a silent client. */
  readonly pingMs: number;
  /** A client not heard of for this long, pongs included, is closed. */
  readonly silenceMsMax: number;
  /** Rows of one `loadEvents` call. */
  readonly replayPageRowsMax: number;
  /** Events of one replay; above it the client is told to resync. */
  readonly replayEventsMax: number;
  /** Replays reading the database at one time. */
  readonly replaysMax: number;
  /** After a failed `loadEvents`, before the next try. */
  readonly replayRetryMs: number;
  /** A lower event id follows a higher one within this time or never; see `event-cursor.ts`. */
  readonly eventSettleMs: number;
  /** At shutdown, from the close frame to the end of the connection. */
  readonly closeGraceMs: number;
}

/** The limits in force unless a caller says otherwise. */
export const liveLimits: LiveLimits = {
  framesPerS: 5,
  bufferedSkipBytes: 256 * 1024,
  bufferedBytesMax: 1024 * 1024,
  stalledMsMax: 10_000,
  frameBytesMax: 128 * 1024,
  messageBytesMax: 16 * 1024,
  messagesPerSMax: 10,
  equipmentIdsMax: 500,
  tokenBytesMax: 8 * 1024,
  authMsMax: 5_000,
  socketsMax: 5_000,
  strangersMax: 1_000,
  socketsPerUserMax: 20,
  socketsPerTenantMax: 1_000,
  unitsMax: 1_000_000,
  pingMs: 30_000,
  silenceMsMax: 75_000,
  replayPageRowsMax: 500,
  replayEventsMax: 10_000,
  replaysMax: 4,
  replayRetryMs: 2_000,
  eventSettleMs: 200_000,
  closeGraceMs: 2_000,
};
