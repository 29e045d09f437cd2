/**
 * One client of the hub: who it is, what it wants, what it has not been sent yet. Knows no transport (a `LiveSocket`
 * stands for it) and no database.
 *
 * States: stranger → ready → closed. A stranger becomes ready by a good `auth`, in time; either ends in closed, by the
 * client, by a limit, by a revocation or by shutdown, and closed is final. A token may be checked in both of the first
 * two (`authRunning`); a ready client whose new token is refused is closed.
 *
 * Positions: a unit that changed is noted in `backlog`, once however often it changes, and leaves it in a frame; so
 * what is held for a slow client is at most one note per unit. Events: `live` sends at once; a client that cannot take
 * one falls `behind` and is served from the database by `replay.ts` until it has caught up.
 */
import type { LiveLimits } from './limits.ts';
import type { TenantUnits, Unit } from './units.ts';
import { viewportHolds } from './viewport.ts';
import type {
  CloseCode,
  FeedEvent,
  LiveErrorCode,
  LiveViewport,
  ServerMessage,
  SubscribeMessage,
} from './wire.ts';
import type { EventCursor } from './event-cursor.ts';

/** What a transport gives the hub for one open WebSocket. Calls after the socket closed do nothing. */
export interface LiveSocket {
  /** Queues a text message. False: it was not taken, and the socket must be given up. */
  send(text: string): boolean;
  /** Bytes handed over and not yet taken by the operating system. */
  bufferedBytes(): number;
  ping(): void;
  /** Sends a close frame behind what is queued, then ends. */
  close(code: CloseCode, reason: string): void;
  /** Ends at once; what is queued is lost. */
  terminate(): void;
}

/**
 * Who holds a token, until when (epoch milliseconds), and what it lets them read. A null account list is all accounts
 * of the tenant.
 */
export interface LiveIdentity {
  readonly userId: number;
  readonly customerId: number;
  readonly accountIds: readonly number[] | null;
  readonly expiresAtMs: number;
  readonly canReadPositions: boolean;
  readonly canReadEvents: boolean;
}

/** All that the hub holds of one customer. */
export interface LiveTenant {
  readonly customerId: number;
  readonly units: TenantUnits;
  readonly connections: Set<Connection>;
  readonly cursor: EventCursor;
  /** The frame of all that changed, built once per flush for all who see everything. */
  sharedFrame: string | null;
}

export type EventState = 'off' | 'live' | 'behind';
export type ConnectionState = 'stranger' | 'ready' | 'closed';

interface Subscription {
  readonly viewport: LiveViewport | null;
  readonly equipmentIds: ReadonlySet<number> | null;
}

/** One client. The hub owns it; see the head of this file for its states. */
export class Connection {
  readonly socket: LiveSocket;
  readonly openedMs: number;
  state: ConnectionState = 'stranger';
  authRunning = false;
  identity: LiveIdentity | null = null;
  tenant: LiveTenant | null = null;
  /** A subscription that came before `auth` was answered. */
  early: SubscribeMessage | null = null;
  closedFor: LiveErrorCode | 'left' | null = null;

  eventState: EventState = 'off';
  /** While behind: where the replay goes on. */
  replayFromId = 0;
  /** While behind: where the client may resume. */
  resumeId: number | null = null;
  /** Tells an answer to this replay from an answer to the one before. */
  replayRound = 0;
  /** The tenant's cursor when the round began. */
  roundSettledId: number | null = null;
  replayedCount = 0;
  replayNotBeforeMs = 0;
  replayRunning = false;
  /** A live event could not be sent while replaying: one more round is needed. */
  missedLive = false;

  heardMs: number;
  pingedMs: number;
  #limits: LiveLimits;
  #accountIds: ReadonlySet<number> | null = null;
  #subscription: Subscription | null = null;
  #backlog = new Set<Unit>();
  #snapshotOpen = false;
  #slowSinceMs: number | null = null;
  #allowance: number;
  #allowanceMs: number;

  constructor(socket: LiveSocket, limits: LiveLimits, nowMs: number) {
    this.socket = socket;
    this.openedMs = nowMs;
    this.heardMs = nowMs;
    this.pingedMs = nowMs;
    this.#limits = limits;
    this.#allowance = limits.messagesPerSMax * 2;
    this.#allowanceMs = nowMs;
  }

  /** Takes one message from the client's allowance; false when there is none left. */
  allowMessage(nowMs: number): boolean {
    const rate = this.#limits.messagesPerSMax;
    const gained = ((nowMs - this.#allowanceMs) / 1000) * rate;
    this.#allowance = Math.min(rate * 2, this.#allowance + gained);
    this.#allowanceMs = nowMs;
    if (this.#allowance < 1) return false;
    this.#allowance -= 1;
    return true;
  }

  /** Sets or renews who this is. What the account list no longer shows leaves the backlog. */
  identify(identity: LiveIdentity, tenant: LiveTenant): void {
    this.identity = identity;
    this.tenant = tenant;
    this.#accountIds = identity.accountIds === null ? null : new Set(identity.accountIds);
    this.state = 'ready';
    for (const unit of this.#backlog) if (!this.sees(unit.accountId)) this.#backlog.delete(unit);
  }

  /** Whether rows of this account are the user's to see. Rows of no account belong to the whole tenant. */
  sees(accountId: number | null): boolean {
    return this.#accountIds === null || accountId === null || this.#accountIds.has(accountId);
  }

  wantsEvent(event: FeedEvent): boolean {
    if (this.eventState === 'off' || !this.sees(event.account_id)) return false;
    const ids = this.#subscription?.equipmentIds ?? null;
    return ids === null || ids.has(event.equipment_id);
  }

  /** Replaces what the client wants to see and starts its snapshot. */
  subscribe(message: SubscribeMessage): void {
    this.#subscription = {
      viewport: message.viewport ?? null,
      equipmentIds: message.equipment_ids === undefined ? null : new Set(message.equipment_ids),
    };
    this.#backlog.clear();
    this.#snapshotOpen = true;
    for (const unit of this.tenant!.units.byId.values()) {
      if (this.#wants(unit)) this.#backlog.add(unit);
    }
    this.#pump();
  }

  /** Notes what changed and sends what the client can take. */
  flush(nowMs: number): void {
    if (this.state !== 'ready') return;
    const slow = this.#isSlow(nowMs);
    if (this.closedFor !== null || this.#subscription === null) return;
    const { units } = this.tenant!;
    if (units.changed.size > 0) {
      if (!slow && this.#seesAll() && this.#backlog.size === 0 && !this.#snapshotOpen) {
        const frame = this.tenant!.sharedFrame;
        if (frame !== null) {
          this.send(frame);
          return;
        }
      }
      for (const unit of units.changed) if (this.#wants(unit)) this.#backlog.add(unit);
    }
    if (!slow) this.#pump();
  }

  /** A unit that this client may have seen is gone, or no longer its to see. */
  dropUnit(unit: Unit): void {
    this.#backlog.delete(unit);
    if (this.#subscription !== null && this.identity!.canReadPositions) {
      this.sendMessage({ type: 'removed', equipment_ids: [unit.equipmentId] });
    }
  }

  /** True while the client holds so much unsent that nothing optional is added. */
  isFull(): boolean {
    return this.socket.bufferedBytes() >= this.#limits.bufferedSkipBytes;
  }

  sendMessage(message: ServerMessage): boolean {
    return this.send(JSON.stringify(message));
  }

  /** Sends text, or ends the connection when it would hold more unsent than it may. */
  send(text: string): boolean {
    if (this.closedFor !== null) return false;
    const bytes = Buffer.byteLength(text);
    if (this.socket.bufferedBytes() + bytes > this.#limits.bufferedBytesMax) {
      this.terminate('too_slow');
      return false;
    }
    if (!this.socket.send(text)) {
      this.terminate('too_slow');
      return false;
    }
    return true;
  }

  /** Says why, then closes. */
  close(code: CloseCode, reason: LiveErrorCode, detail: string): void {
    if (this.closedFor !== null) return;
    this.sendMessage({ type: 'error', code: reason, detail });
    if (this.closedFor !== null) return;
    this.closedFor = reason;
    this.state = 'closed';
    this.socket.close(code, reason);
  }

  /** Ends at once: for those who would not read a close frame. */
  terminate(reason: LiveErrorCode): void {
    if (this.closedFor !== null) return;
    this.closedFor = reason;
    this.state = 'closed';
    this.socket.terminate();
  }

  #seesAll(): boolean {
    const subscription = this.#subscription!;
    return (
      this.#accountIds === null &&
      this.identity!.canReadPositions &&
      subscription.viewport === null &&
      subscription.equipmentIds === null
    );
  }

  #wants(unit: Unit): boolean {
    const { viewport, equipmentIds } = this.#subscription!;
    if (!this.identity!.canReadPositions || !this.sees(unit.accountId)) return false;
    if (equipmentIds !== null && !equipmentIds.has(unit.equipmentId)) return false;
    if (viewport === null) return true;
    return (
      viewportHolds(viewport, unit.lonDeg, unit.latDeg) ||
      viewportHolds(viewport, unit.fromLonDeg, unit.fromLatDeg)
    );
  }

  #isSlow(nowMs: number): boolean {
    if (!this.isFull()) {
      this.#slowSinceMs = null;
      return false;
    }
    this.#slowSinceMs ??= nowMs;
    if (nowMs - this.#slowSinceMs >= this.#limits.stalledMsMax) this.terminate('too_slow');
    return true;
  }

  #pump(): void {
    while (this.closedFor === null && (this.#backlog.size > 0 || this.#snapshotOpen)) {
      if (this.isFull()) return;
      const frame = frameOf(this.#backlog, this.#limits.frameBytesMax);
      const remaining = this.#backlog.size;
      this.send(
        this.#snapshotOpen
          ? `{"type":"snapshot","positions":[${frame}],"remaining":${remaining}}`
          : `{"type":"positions","positions":[${frame}]}`,
      );
      if (remaining === 0) this.#snapshotOpen = false;
    }
  }
}

/** The frame of a whole set, or null when it is too much for one. */
export function sharedFrameOf(units: ReadonlySet<Unit>, bytesMax: number): string | null {
  let bytes = 0;
  for (const unit of units) bytes += unit.bytes + 1;
  if (units.size === 0 || bytes > bytesMax) return null;
  return `{"type":"positions","positions":[${Array.from(units, (unit) => unit.json).join(',')}]}`;
}

// Takes units out of the backlog until the frame has reached its size.
function frameOf(backlog: Set<Unit>, bytesMax: number): string {
  const parts: string[] = [];
  let bytes = 0;
  for (const unit of backlog) {
    parts.push(unit.json);
    backlog.delete(unit);
    bytes += unit.bytes + 1;
    if (bytes >= bytesMax) break;
  }
  return parts.join(',');
}
