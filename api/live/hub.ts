/**
 * The live hub: takes committed positions and events from the process, and tells every signed-in client what it may
 * and wants to know. Knows tenants, accounts, tokens' lifetimes and limits; refuses to know transports (`ws.ts`,
 * `uws.ts`), SQL and JWTs (handed in as `loadEvents` and `authenticate`).
 *
 * States: open → closed by `shutdown`, which closes every client with 1012 and admits no more. One timer drives
 * everything: each tick flushes positions, serves replays and ends what has outlived a limit.
 */
import { systemClock, type LiveClock } from './clock.ts';
import {
  Connection,
  sharedFrameOf,
  type LiveIdentity,
  type LiveSocket,
  type LiveTenant,
} from './connection.ts';
import { createEventCursor } from './event-cursor.ts';
import { liveLimits, type LiveLimits } from './limits.ts';
import { parseClientMessage } from './messages.ts';
import { eventJson, Replays, type LoadEvents } from './replay.ts';
import { TenantUnits } from './units.ts';
import {
  closeCode,
  type LiveBatch,
  type LiveErrorCode,
  type LiveEvent,
  type LivePosition,
  type SubscribeMessage,
} from './wire.ts';

export type AuthResult =
  | { readonly ok: true; readonly identity: LiveIdentity }
  | { readonly ok: false; readonly detail: string };

export interface LiveLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** `socket_opened`, `socket_refused`, `socket_closed` (reason), `position_late`, `position_unheld`, `replay_failed`. */
export interface LiveMetrics {
  count(name: string, reason: string): void;
}

export interface HubOptions {
  /**
   * Tells who holds a token. A refusal's detail goes to the client. A rejected promise means that it cannot be told
   * now: the client is asked to try later.
   */
  authenticate(token: string): Promise<AuthResult>;
  loadEvents: LoadEvents;
  log: LiveLog;
  limits?: Partial<LiveLimits>;
  clock?: LiveClock;
  metrics?: LiveMetrics;
}

export interface HubStats {
  readonly sockets: number;
  readonly strangers: number;
  readonly tenants: number;
  readonly units: number;
  readonly behind: number;
}

/** What a transport calls for one socket. */
export interface LivePeer {
  /** One text message, bounded by `messageBytesMax`. */
  message(text: string): void;
  /** A frame that is not text. */
  binary(): void;
  pong(): void;
  /** The socket is gone, whoever ended it. Called once. */
  gone(): void;
}

export type Hub = LiveHub;

/** A hub with its timer running; `shutdown` stops it. */
export function createHub(options: HubOptions): Hub {
  return new LiveHub(options);
}

class LiveHub {
  readonly limits: LiveLimits;
  #options: HubOptions;
  #clock: LiveClock;
  #tenants = new Map<number, LiveTenant>();
  #connections = new Set<Connection>();
  #strangerCount = 0;
  #unitCount = 0;
  #settledAtStartId: number | null = null;
  #replays: Replays;
  #accessChanges = 0;
  #stopTimer: () => void;
  #isShut = false;

  constructor(options: HubOptions) {
    this.#options = options;
    this.limits = { ...liveLimits, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    this.#replays = new Replays({
      limits: this.limits,
      loadEvents: options.loadEvents,
      nowMs: () => this.#clock.steadyMs(),
      failed: (error) => {
        this.#count('replay_failed', 'load_events');
        options.log.error({ err: error }, 'live: missed events could not be read');
      },
    });
    this.#stopTimer = this.#clock.every(1000 / this.limits.framesPerS, () => this.#tick());
  }

  /**
   * Fills the hub before the first client. `settledEventId`: an `activity_feed_id` such that no event at or below it
   * can still be committed: the highest one read under `lock table activity_feed in share mode`, which waits for open
   * writers, or 0 for an empty feed. Null when it is not known; clients that lose their connection in the first
   * `eventSettleMs` then have no cursor to resume from.
   */
  seed(positions: readonly LivePosition[], settledEventId: number | null): void {
    this.#settledAtStartId = settledEventId;
    for (const position of positions) this.#putPosition(position);
    for (const tenant of this.#tenants.values()) tenant.units.settle();
  }

  /**
   * Tells the clients of one committed batch. Call it after COMMIT, at once and in one piece. Events go out now,
   * positions with the next frame. Costs one JSON text per row and, per event, a look at each of the tenant's clients.
   */
  publish(batch: LiveBatch): void {
    for (const position of batch.positions) this.#putPosition(position);
    for (const event of batch.events) this.#publishEvent(event);
  }

  /** Takes units off the map: retired, deleted, or moved to another tenant (then under the old one's id). */
  removeUnits(customerId: number, equipmentIds: readonly number[]): void {
    const tenant = this.#tenants.get(customerId);
    if (tenant === undefined) return;
    for (const equipmentId of equipmentIds) {
      const unit = tenant.units.remove(equipmentId);
      if (unit === undefined) continue;
      this.#unitCount -= 1;
      for (const connection of tenant.connections) {
        if (connection.sees(unit.accountId)) connection.dropUnit(unit);
      }
    }
    this.#forgetIfEmpty(tenant);
  }

  /** A user's role, accounts or status changed: its sockets close with 4403 and come back with what holds now. */
  revokeUser(userId: number): void {
    this.#revoke((identity) => identity.userId === userId);
  }

  /** A customer's status changed: as `revokeUser`, for all of its users. */
  revokeCustomer(customerId: number): void {
    this.#revoke((identity) => identity.customerId === customerId);
  }

  /** Changes may have gone unheard (the change feed was away): everybody comes back with what holds now. */
  revokeAll(): void {
    this.#revoke(() => true);
  }

  /** False while no further socket is taken: the transport then answers the upgrade with 503. */
  admits(): boolean {
    const admitted =
      !this.#isShut &&
      this.#connections.size < this.limits.socketsMax &&
      this.#strangerCount < this.limits.strangersMax;
    if (!admitted) this.#count('socket_refused', this.#isShut ? 'shutdown' : 'sockets_max');
    return admitted;
  }

  /** Takes an open socket. The client now has `authMsMax` to sign in. */
  open(socket: LiveSocket): LivePeer {
    const connection = new Connection(socket, this.limits, this.#clock.steadyMs());
    this.#connections.add(connection);
    this.#strangerCount += 1;
    this.#count('socket_opened', '');
    if (this.#isShut) connection.close(closeCode.restart, 'restart', 'The server is restarting.');
    return {
      message: (text) => this.#receive(connection, text),
      binary: () => connection.close(closeCode.binary, 'message_binary', 'Send text frames.'),
      pong: () => {
        connection.heardMs = this.#clock.steadyMs();
      },
      gone: () => this.#gone(connection),
    };
  }

  /** Closes every client with 1012 and stops the timer. Transports call it first when they close; it may be repeated. */
  shutdown(): void {
    this.#isShut = true;
    this.#stopTimer();
    for (const connection of this.#connections) {
      connection.close(closeCode.restart, 'restart', 'The server is restarting.');
    }
  }

  stats(): HubStats {
    return {
      sockets: this.#connections.size,
      strangers: this.#strangerCount,
      tenants: this.#tenants.size,
      units: this.#unitCount,
      behind: this.#replays.behindCount,
    };
  }

  #tick(): void {
    const nowMs = this.#clock.steadyMs();
    const wallMs = this.#clock.wallMs();
    for (const tenant of this.#tenants.values()) {
      if (tenant.connections.size > 0) {
        tenant.sharedFrame = sharedFrameOf(tenant.units.changed, this.limits.frameBytesMax);
      }
    }
    for (const connection of this.#connections) {
      this.#endOverdue(connection, nowMs, wallMs);
      connection.flush(nowMs);
    }
    for (const tenant of this.#tenants.values()) {
      tenant.sharedFrame = null;
      tenant.units.settle();
    }
    this.#replays.step();
  }

  #endOverdue(connection: Connection, nowMs: number, wallMs: number): void {
    const { limits } = this;
    if (connection.closedFor !== null) return;
    if (connection.identity === null) {
      if (nowMs - connection.openedMs >= limits.authMsMax) {
        connection.close(closeCode.unauthorized, 'auth_timeout', 'No auth message came in time.');
      }
      return;
    }
    if (connection.identity.expiresAtMs <= wallMs) {
      connection.close(closeCode.unauthorized, 'auth_expired', 'The token has expired.');
    } else if (nowMs - connection.heardMs >= limits.silenceMsMax) {
      connection.terminate('no_answer');
    } else if (nowMs - Math.max(connection.heardMs, connection.pingedMs) >= limits.pingMs) {
      connection.pingedMs = nowMs;
      connection.socket.ping();
    }
  }

  #receive(connection: Connection, text: string): void {
    if (connection.closedFor !== null) return;
    const nowMs = this.#clock.steadyMs();
    connection.heardMs = nowMs;
    if (!connection.allowMessage(nowMs)) {
      connection.close(closeCode.tooMany, 'message_rate', 'Too many messages.');
      return;
    }
    const parsed = parseClientMessage(text, this.limits);
    if (!parsed.ok) {
      connection.sendMessage({ type: 'error', code: parsed.code, detail: parsed.detail });
      return;
    }
    const { message } = parsed;
    if (message.type === 'auth') void this.#authenticate(connection, message.token);
    else if (message.type === 'ping') connection.sendMessage({ type: 'pong' });
    else if (connection.state === 'ready') this.#subscribe(connection, message);
    else if (connection.authRunning) connection.early = message;
    else {
      connection.close(closeCode.unauthorized, 'auth_required', 'Send an auth message first.');
    }
  }

  async #authenticate(connection: Connection, token: string): Promise<void> {
    if (connection.authRunning) {
      const detail = 'An auth message is being answered.';
      connection.sendMessage({ type: 'error', code: 'message_invalid', detail });
      return;
    }
    connection.authRunning = true;
    let result: AuthResult;
    try {
      // Access that changed while the question was out makes the answer stale.
      let askedAt: number;
      do {
        askedAt = this.#accessChanges;
        result = await this.#options.authenticate(token);
      } while (askedAt !== this.#accessChanges && connection.closedFor === null);
    } catch (error) {
      this.#options.log.error({ err: error }, 'live: a token could not be checked');
      connection.close(closeCode.tryLater, 'auth_unavailable', 'Tokens cannot be checked now.');
      return;
    } finally {
      connection.authRunning = false;
    }
    if (connection.closedFor !== null) return;
    if (!result.ok) {
      connection.close(closeCode.unauthorized, 'auth_refused', result.detail);
    } else if (result.identity.expiresAtMs <= this.#clock.wallMs()) {
      connection.close(closeCode.unauthorized, 'auth_expired', 'The token has expired.');
    } else {
      this.#admit(connection, result.identity);
    }
  }

  #admit(connection: Connection, identity: LiveIdentity): void {
    const known = connection.identity;
    if (known === null) {
      const tenant = this.#tenant(identity.customerId);
      const crowded = this.#crowded(tenant, identity.userId);
      if (crowded !== null) {
        connection.close(closeCode.tooMany, crowded, 'Too many connections are open.');
        this.#forgetIfEmpty(tenant);
        return;
      }
      this.#strangerCount -= 1;
      tenant.connections.add(connection);
      connection.identify(identity, tenant);
    } else if (known.userId !== identity.userId || known.customerId !== identity.customerId) {
      const detail = 'Another user needs another connection.';
      connection.close(closeCode.unauthorized, 'auth_user_changed', detail);
      return;
    } else if (!sameAccess(known, identity)) {
      const detail = 'What this user may see has changed; connect again.';
      connection.close(closeCode.accessChanged, 'access_changed', detail);
      return;
    } else {
      connection.identify(identity, connection.tenant!);
    }
    connection.sendMessage({
      type: 'ready',
      user_id: identity.userId,
      customer_id: identity.customerId,
      expires_at: new Date(identity.expiresAtMs).toISOString(),
      unit_count: this.#countSeen(connection),
      frames_per_s: this.limits.framesPerS,
    });
    const { early } = connection;
    connection.early = null;
    if (early !== null) this.#subscribe(connection, early);
  }

  #crowded(tenant: LiveTenant, userId: number): LiveErrorCode | null {
    if (tenant.connections.size >= this.limits.socketsPerTenantMax) return 'sockets_of_tenant';
    let ofUser = 0;
    for (const { identity } of tenant.connections) if (identity!.userId === userId) ofUser += 1;
    return ofUser >= this.limits.socketsPerUserMax ? 'sockets_of_user' : null;
  }

  #countSeen(connection: Connection): number {
    let count = 0;
    if (!connection.identity!.canReadPositions) return 0;
    for (const unit of connection.tenant!.units.byId.values()) {
      if (connection.sees(unit.accountId)) count += 1;
    }
    return count;
  }

  #subscribe(connection: Connection, message: SubscribeMessage): void {
    connection.subscribe(message);
    if (connection.closedFor !== null) return;
    const asksEvents = message.events === true || message.events_since !== undefined;
    if (asksEvents && !connection.identity!.canReadEvents) {
      const detail = 'Reading the activity feed needs the right activity_feed:read.';
      connection.sendMessage({ type: 'error', code: 'events_forbidden', detail });
    } else if (message.events_since !== undefined) {
      this.#replays.start(connection, message.events_since);
      this.#replays.step();
    } else if (message.events !== true) {
      connection.eventState = 'off';
      this.#replays.forget(connection);
    } else if (connection.eventState === 'off') {
      connection.eventState = 'live';
      const cursor = connection.tenant!.cursor.settled(this.#clock.steadyMs());
      connection.sendMessage({ type: 'caught_up', cursor });
    }
  }

  #publishEvent(event: LiveEvent): void {
    const nowMs = this.#clock.steadyMs();
    const tenant = this.#tenant(event.customer_id);
    // The cursor from before this event: it is not lost should its own message not arrive.
    const cursor = tenant.cursor.settled(nowMs);
    tenant.cursor.published(event.activity_feed_id, nowMs);
    let head: string | null = null;
    for (const connection of tenant.connections) {
      if (connection.closedFor !== null || !connection.wantsEvent(event)) continue;
      if (connection.isFull()) {
        if (connection.eventState === 'live') this.#replays.start(connection, cursor);
        else connection.missedLive = true;
        continue;
      }
      head ??= `{"type":"event","event":${eventJson(event)},"cursor":`;
      const own = connection.eventState === 'live' ? cursor : connection.resumeId;
      connection.send(`${head}${own ?? 'null'}}`);
    }
  }

  #putPosition(position: LivePosition): void {
    const tenant = this.#tenant(position.customer_id);
    const isKnown = tenant.units.byId.has(position.equipment_id);
    if (!isKnown && this.#unitCount >= this.limits.unitsMax) {
      this.#count('position_unheld', 'units_max');
      return;
    }
    const { unit, outcome, oldAccountId } = tenant.units.put(position);
    if (outcome === 'added') this.#unitCount += 1;
    if (outcome === 'late') this.#count('position_late', '');
    if (oldAccountId === undefined) return;
    for (const connection of tenant.connections) {
      if (connection.sees(oldAccountId) && !connection.sees(unit.accountId)) {
        connection.dropUnit(unit);
      }
    }
  }

  #revoke(concerns: (identity: LiveIdentity) => boolean): void {
    this.#accessChanges += 1;
    for (const connection of this.#connections) {
      if (connection.identity !== null && concerns(connection.identity)) {
        const detail = 'What this user may see has changed; connect again.';
        connection.close(closeCode.accessChanged, 'access_changed', detail);
      }
    }
  }

  #gone(connection: Connection): void {
    connection.closedFor ??= 'left';
    connection.state = 'closed';
    if (!this.#connections.delete(connection)) return;
    this.#count('socket_closed', connection.closedFor);
    this.#replays.forget(connection);
    if (connection.tenant === null) {
      this.#strangerCount -= 1;
    } else {
      connection.tenant.connections.delete(connection);
      this.#forgetIfEmpty(connection.tenant);
    }
  }

  #tenant(customerId: number): LiveTenant {
    let tenant = this.#tenants.get(customerId);
    if (tenant === undefined) {
      tenant = {
        customerId,
        units: new TenantUnits(),
        connections: new Set(),
        cursor: createEventCursor(this.#settledAtStartId, this.limits.eventSettleMs),
        sharedFrame: null,
      };
      this.#tenants.set(customerId, tenant);
    }
    return tenant;
  }

  // A tenant made anew starts from an older cursor, which is safe: it replays more and never less.
  #forgetIfEmpty(tenant: LiveTenant): void {
    if (tenant.connections.size === 0 && tenant.units.byId.size === 0) {
      this.#tenants.delete(tenant.customerId);
    }
  }

  #count(name: string, reason: string): void {
    this.#options.metrics?.count(name, reason);
  }
}

function sameAccess(a: LiveIdentity, b: LiveIdentity): boolean {
  return (
    String(a.accountIds) === String(b.accountIds) &&
    a.canReadPositions === b.canReadPositions &&
    a.canReadEvents === b.canReadEvents
  );
}
