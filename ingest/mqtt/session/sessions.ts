/**
 * The table of sessions: which client of which device is here or away. Knows takeover [MQTT-3.1.4-3], clean start,
 * expiry, wills that wait, and the bounds per device, per tenant and in all; refuses to know packets. A client id is a
 * name within its device, so no credential can take over another device's session.
 *
 * States of a session: absent → (enter) `here` → (leave, with an expiry) `away` → (enter, not clean) `here` again.
 * Ended, for good: (leave, without an expiry) · (enter, clean) · its expiry · its device is revoked · a bound is reached.
 *
 * A will is published when its client has gone in any way but a DISCONNECT that says so, after its delay, or as soon as
 * its session ends; not when the client came back to the session before. When the server itself stops, no device has
 * gone, so nothing is published, then or later: the standard allows to put wills off to a restart (section 3.1.2.5), and
 * after one there is none left to publish.
 */
import type { Fault } from '../faults.ts';
import { DEVICE_CONNECTIONS, REVOKED, TAKEN_OVER, TENANT_CONNECTIONS } from '../faults.ts';
import type { Will } from '../connect-reader.ts';
import type { MqttLimits } from '../limits.ts';
import type { DeliveryOutcome, MqttIdentity, MqttWill } from '../sink.ts';
import { Deliveries } from './deliveries.ts';
import { Devices, type Device } from './devices.ts';
import { Session, type Holder, type PendingWill } from './session.ts';
import { commandTopic } from '../topics.ts';

/** What a client brings when it comes. */
export interface Arrival {
  readonly identity: MqttIdentity;
  readonly clientId: string;
  readonly cleanStart: boolean;
  /** Seconds; more than `sessionExpirySMax` is that. */
  readonly expiryS: number;
  readonly will: Will | null;
}

/** What the table tells. Neither may throw. */
export interface SessionEvents {
  willDue(will: MqttWill): void;
  /** A device may be sent commands: it subscribed, came back subscribed, or has room again. */
  subscribed(iotDeviceId: number): void;
}

const SWEEP_MS = 60_000;
/** A longer timer would fire at once. */
const TIMER_MS_MAX = 2_147_483_647;

export class Sessions {
  readonly #limits: MqttLimits;
  readonly #events: SessionEvents;
  readonly #devices: Devices;
  /** In the order in which their clients went. */
  readonly #away = new Set<Session>();
  #sweeper: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(limits: MqttLimits, events: SessionEvents) {
    this.#limits = limits;
    this.#events = events;
    this.#devices = new Devices(limits);
  }

  /** Sessions whose clients are away. */
  get awayCount(): number {
    return this.#away.size;
  }

  /**
   * Takes a client in: with its own session if that was kept and it wants it, else with a new one. Closes the connection
   * that has the same client id, or else the oldest when the device has as many as it may: the newest is kept, because
   * after a network loss the old ones are most likely dead. Over the tenant's bound nothing changes, and the fault says so.
   */
  enter(arrival: Arrival, holder: Holder): { session: Session; isPresent: boolean } | Fault {
    const { identity, clientId } = arrival;
    this.#endIfMoved(identity);
    const known = this.#devices.find(identity.iotDeviceId);
    const evicted = known === undefined ? null : this.#toEvict(known, clientId);
    const count = this.#devices.connectionCount(identity.tenantId);
    if (count - (evicted === null ? 0 : 1) >= this.#limits.tenantConnectionsMax) {
      return TENANT_CONNECTIONS;
    }
    evicted?.holder?.close(evicted.clientId === clientId ? TAKEN_OVER : DEVICE_CONNECTIONS);
    const kept = this.#kept(identity.iotDeviceId, clientId);
    if (kept !== undefined && !arrival.cleanStart) {
      this.#resume(kept, arrival, holder);
      return { session: kept, isPresent: true };
    }
    if (kept !== undefined) this.#end(kept);
    const device = this.#devices.take(identity);
    const session = new Session(device, identity, clientId, holder);
    device.sessions.push(session);
    this.#begin(session, arrival);
    return { session, isPresent: false };
  }

  /** The client is gone. `cause` in words; `null`: it took leave, so its will is forgotten. */
  leave(session: Session, cause: string | null): void {
    const { device, will } = session;
    session.holder = null;
    session.will = null;
    device.tenant.connectionCount--;
    session.deliveries?.detach();
    if (this.#isClosed) return;
    if (will !== null && cause !== null) this.#keepWill(session, will, cause);
    if (session.expiryS === 0) {
      this.#end(session);
      return;
    }
    session.endsMs = performance.now() + session.expiryS * 1_000;
    moveToEnd(device.sessions, session);
    this.#away.add(session);
    this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
    this.#boundAway(device);
  }

  /** Sets how long the session outlives its connection, in seconds, within the bound; tells what holds. */
  setExpiry(session: Session, expiryS: number): number {
    session.expiryS = Math.min(expiryS, this.#limits.sessionExpirySMax);
    return session.expiryS;
  }

  /** The commands' side of a session, made where there is none. */
  deliveriesOf(session: Session): Deliveries {
    const { deviceName, iotDeviceId } = session.identity;
    session.deliveries ??= new Deliveries(
      commandTopic(deviceName),
      this.#limits.deliveriesMax,
      () => this.#events.subscribed(iotDeviceId),
    );
    return session.deliveries;
  }

  /**
   * Tells that the client of this session can be sent commands. Those that wait for a client of the same device which is
   * away, perhaps for days, are given up first, so that they may be sent to this one.
   */
  announce(session: Session): void {
    for (const { holder, deliveries } of session.device.sessions) {
      if (holder === null) deliveries?.giveUp();
    }
    this.#events.subscribed(session.identity.iotDeviceId);
  }

  /**
   * Sends a command to every subscribed client of the device that is here. `done` is called once: `delivered` with the
   * first of them, `gone` when it is gone with all. False: there is none, or none has room.
   */
  send(iotDeviceId: number, payload: Buffer, done: (outcome: DeliveryOutcome) => void): boolean {
    const sessions = this.#devices.find(iotDeviceId)?.sessions ?? [];
    // One place is kept until all were asked, because some answer from within.
    let openCount = 1;
    let isDone = false;
    let isTaken = false;
    const settle = (outcome: DeliveryOutcome): void => {
      openCount--;
      if (isDone || (outcome === 'gone' && openCount > 0)) return;
      isDone = true;
      done(outcome);
    };
    for (const { deliveries } of [...sessions]) {
      if (deliveries === null) continue;
      openCount++;
      if (deliveries.send(payload, settle)) isTaken = true;
      else openCount--;
    }
    if (isTaken) settle('gone');
    return isTaken;
  }

  /** Closes and ends every session of a device whose credential no longer holds. */
  revoke(iotDeviceId: number): void {
    const sessions = this.#devices.find(iotDeviceId)?.sessions ?? [];
    for (const session of [...sessions]) {
      session.expiryS = 0;
      if (session.holder === null) this.#end(session);
      else session.holder.close(REVOKED);
    }
  }

  /** The server stops: wills and commands that wait are dropped without a word, and so are those of clients that follow. */
  close(): void {
    this.#isClosed = true;
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    for (const session of this.#away) this.#dropWill(session);
    this.#away.clear();
  }

  /** A device that has another name or tenant than before is another device. */
  #endIfMoved({ iotDeviceId, deviceName, tenantId }: MqttIdentity): void {
    const device = this.#devices.find(iotDeviceId);
    const identity = device?.sessions[0]?.identity;
    if (identity === undefined) return;
    if (identity.deviceName !== deviceName || identity.tenantId !== tenantId) {
      this.revoke(iotDeviceId);
    }
  }

  /** The session that must lose its connection for a new one of this client id. */
  #toEvict(device: Device, clientId: string): Session | null {
    const here = device.sessions.filter(({ holder }) => holder !== null);
    const same = here.find((session) => session.clientId === clientId);
    if (same !== undefined) return same;
    return here.length >= this.#limits.connectionsPerDeviceMax ? here[0]! : null;
  }

  #kept(iotDeviceId: number, clientId: string): Session | undefined {
    const sessions = this.#devices.find(iotDeviceId)?.sessions;
    const session = sessions?.find((one) => one.clientId === clientId);
    if (session === undefined || performance.now() < session.endsMs) return session;
    this.#end(session);
    return undefined;
  }

  #resume(session: Session, arrival: Arrival, holder: Holder): void {
    this.#away.delete(session);
    this.#dropWill(session);
    moveToEnd(session.device.sessions, session);
    session.identity = arrival.identity;
    session.holder = holder;
    this.#begin(session, arrival);
  }

  #begin(session: Session, { expiryS, will }: Arrival): void {
    session.device.tenant.connectionCount++;
    session.will = will;
    this.setExpiry(session, expiryS);
  }

  /** Ends a session that has no connection. */
  #end(session: Session): void {
    const { device, deliveries } = session;
    this.#away.delete(session);
    const index = device.sessions.indexOf(session);
    if (index >= 0) device.sessions.splice(index, 1);
    this.#devices.release(device);
    if (session.pendingWill !== null) this.#publishWill(session, session.pendingWill);
    session.deliveries = null;
    session.heldIds = null;
    deliveries?.end();
  }

  #boundAway(device: Device): void {
    const away = device.sessions.filter(({ holder }) => holder === null);
    if (away.length > this.#limits.awaySessionsPerDeviceMax) this.#end(away[0]!);
    if (this.#away.size <= this.#limits.awaySessionsMax) return;
    const [longest] = this.#away;
    this.#end(longest!);
  }

  #sweep(): void {
    const nowMs = performance.now();
    for (const session of [...this.#away]) {
      if (session.endsMs <= nowMs) this.#end(session);
    }
  }

  #keepWill(session: Session, will: Will, cause: string): void {
    const delayS = Math.min(will.delayS, session.expiryS);
    const dueMs = performance.now() + delayS * 1_000;
    const pending: PendingWill = { will, atMs: Date.now(), cause, dueMs, timer: null };
    session.pendingWill = pending;
    if (delayS === 0) this.#publishWill(session, pending);
    else this.#armWill(session, pending);
  }

  #armWill(session: Session, pending: PendingWill): void {
    const leftMs = pending.dueMs - performance.now();
    if (leftMs <= 0) {
      this.#publishWill(session, pending);
      return;
    }
    const waitMs = Math.ceil(Math.min(leftMs, TIMER_MS_MAX));
    pending.timer = setTimeout(() => this.#armWill(session, pending), waitMs);
  }

  #publishWill(session: Session, { will, atMs, cause }: PendingWill): void {
    this.#dropWill(session);
    const { identity, clientId } = session;
    const { topic, payload } = will;
    this.#events.willDue({ identity, clientId, topic, payload, atMs, cause });
  }

  #dropWill(session: Session): void {
    const timer = session.pendingWill?.timer ?? null;
    if (timer !== null) clearTimeout(timer);
    session.pendingWill = null;
  }
}

function moveToEnd(sessions: Session[], session: Session): void {
  sessions.splice(sessions.indexOf(session), 1);
  sessions.push(session);
}
