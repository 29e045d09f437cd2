/**
 * The words spoken over the live WebSocket, and what the process itself hands to the hub. JSON text frames, one
 * message each; every message has a `type`. Plain data: nothing here runs, and the browser imports only the types.
 *
 * A connection: the client sends `auth`, gets `ready`, sends `subscribe`, gets `snapshot` messages until one has
 * `remaining: 0`, then `positions` as units move. A second `subscribe` replaces the first and brings a new snapshot. A
 * second `auth` for the same user extends the connection past its token's expiry.
 *
 * Resuming the event feed: every `event`, `caught_up` and `resync` carries a `cursor`. A client keeps the last cursor it
 * got that is not null and sends it as `events_since` after a reconnect; it then gets every event that it may have
 * missed, and some that it already has: `activity_feed_id` tells which. The cursor is not the highest id seen: ids are
 * given out before their transactions commit, so a lower id can appear after a higher one (see `event-cursor.ts`).
 */

/** Degrees, both latitudes −90…90, both longitudes −180…180. `west > east` crosses the antimeridian. */
export interface LiveViewport {
  west: number;
  south: number;
  east: number;
  north: number;
}

/** The newest known position of a unit. Null is "not reported". */
export interface Position {
  equipment_id: number;
  unit_number: string;
  account_id: number | null;
  latitude: number;
  longitude: number;
  /** Metres per second. */
  speed: number | null;
  /** Degrees clockwise from north, 0…360. */
  heading_deg: number | null;
  motion_status: string | null;
  ignition: boolean | null;
  /** Degrees Celsius. */
  temperature: number | null;
  /** ISO 8601 with a zone: the fix's own time. */
  recorded_at: string;
}

/** One row of the activity feed, named as its columns are. */
export interface FeedEvent {
  activity_feed_id: number;
  equipment_id: number;
  account_id: number | null;
  /** Of fences `geofence_…`, of rules `alert_…`, of what a device says of itself `device_…`; more may come. */
  event_type: string;
  /** ISO 8601 with a zone. */
  event_time: string;
  latitude: number | null;
  longitude: number | null;
  geofence_id: number | null;
  telematic_alert_id: number | null;
  /** Of the fence or the rule; of the region that the device names, or the device's own name. */
  subject_name: string;
  metric_code: string | null;
  metric_value: number | null;
  severity: string;
  initial: boolean;
}

/** A position as the hub is given it: with its tenant, which never goes over the wire. */
export interface LivePosition extends Position {
  customer_id: number;
}

/** An event as the hub is given it: with its tenant, which never goes over the wire. */
export interface LiveEvent extends FeedEvent {
  customer_id: number;
}

/** What one committed batch changed. */
export interface LiveBatch {
  readonly positions: readonly LivePosition[];
  readonly events: readonly LiveEvent[];
}

export interface AuthMessage {
  type: 'auth';
  token: string;
}

/**
 * What to be told of. Positions: units inside `viewport` and among `equipment_ids`; what is absent does not narrow.
 * Events: of every unit the user may see, narrowed by `equipment_ids` and never by the viewport. `events` absent or
 * false means none, unless `events_since` is given, which also replays. A new subscription with `events: true` and no
 * `events_since` goes on from where the feed of the last one stood.
 */
export interface SubscribeMessage {
  type: 'subscribe';
  viewport?: LiveViewport;
  equipment_ids?: number[];
  events?: boolean;
  events_since?: number;
}

export interface PingMessage {
  type: 'ping';
}

export type ClientMessage = AuthMessage | SubscribeMessage | PingMessage;

export interface ReadyMessage {
  type: 'ready';
  user_id: number;
  customer_id: number;
  /** ISO 8601: when the token runs out and the connection is closed. */
  expires_at: string;
  /** Units whose position is known and which the user may see. */
  unit_count: number;
  frames_per_s: number;
}

/** Positions that hold at subscription. More follow while `remaining` is above 0. */
export interface SnapshotMessage {
  type: 'snapshot';
  positions: Position[];
  remaining: number;
}

/** Newest positions of units that changed since the last frame. A unit that left the viewport comes once more. */
export interface PositionsMessage {
  type: 'positions';
  positions: Position[];
}

/** Units that are no longer the user's to see. */
export interface RemovedMessage {
  type: 'removed';
  equipment_ids: number[];
}

export interface EventMessage {
  type: 'event';
  event: FeedEvent;
  cursor: number | null;
}

/** The replay asked for by `events_since` is complete. */
export interface CaughtUpMessage {
  type: 'caught_up';
  cursor: number | null;
}

/** Too much was missed to be replayed: read the feed over HTTP, then go on from `cursor`. */
export interface ResyncMessage {
  type: 'resync';
  cursor: number | null;
}

export interface ErrorMessage {
  type: 'error';
  code: LiveErrorCode;
  detail: string;
}

export interface PongMessage {
  type: 'pong';
}

export type ServerMessage =
  | ReadyMessage
  | SnapshotMessage
  | PositionsMessage
  | RemovedMessage
  | EventMessage
  | CaughtUpMessage
  | ResyncMessage
  | ErrorMessage
  | PongMessage;

export type LiveErrorCode =
  | 'message_malformed'
  | 'message_invalid'
  | 'message_binary'
  | 'message_rate'
  | 'auth_required'
  | 'auth_timeout'
  | 'auth_refused'
  | 'auth_unavailable'
  | 'auth_expired'
  | 'auth_user_changed'
  | 'access_changed'
  | 'sockets_of_user'
  | 'sockets_of_tenant'
  | 'too_slow'
  | 'no_answer'
  | 'events_unavailable'
  | 'events_forbidden'
  | 'restart';

/** Close codes. 4401: sign in again. 4403: access changed, reconnect. The rest: reconnect after a pause. */
export const closeCode = {
  binary: 1003,
  restart: 1012,
  tryLater: 1013,
  unauthorized: 4401,
  accessChanged: 4403,
  tooMany: 4429,
} as const;

export type CloseCode = (typeof closeCode)[keyof typeof closeCode];
