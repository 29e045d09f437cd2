/**
 * Which device is connected under which client ids. Knows takeover [MQTT-3.1.4-2 / -3] and the bound per device; refuses
 * to know packets. A client id is a name within its device, so no credential can take over another device's connection.
 */
import type { Fault } from '../faults.ts';
import { DEVICE_CONNECTIONS, REVOKED, TAKEN_OVER } from '../faults.ts';

/** What the table holds: something that can be closed with a reason. */
export interface Session {
  readonly clientId: string;
  close(fault: Fault): void;
}

export class Sessions {
  readonly #connectionsPerDeviceMax: number;
  readonly #byDevice = new Map<number, Map<string, Session>>();

  constructor(connectionsPerDeviceMax: number) {
    this.#connectionsPerDeviceMax = connectionsPerDeviceMax;
  }

  /**
   * Enters a session. Closes the one with the same client id, or else the oldest when the device has as many as it may:
   * the newest is kept, because after a network loss the old ones are most likely dead sockets.
   */
  enter(iotDeviceId: number, session: Session): void {
    let sessions = this.#byDevice.get(iotDeviceId);
    if (sessions === undefined) {
      sessions = new Map();
      this.#byDevice.set(iotDeviceId, sessions);
    }
    const previous = sessions.get(session.clientId);
    const oldest: Session | undefined = sessions.values().next().value;
    // Deleted first, so that the new one stands last in the order of age.
    sessions.delete(session.clientId);
    sessions.set(session.clientId, session);
    if (previous !== undefined) previous.close(TAKEN_OVER);
    else if (sessions.size > this.#connectionsPerDeviceMax) oldest?.close(DEVICE_CONNECTIONS);
  }

  /** Closes every session of a device whose credential no longer holds. */
  revoke(iotDeviceId: number): void {
    const sessions = this.#byDevice.get(iotDeviceId);
    if (sessions === undefined) return;
    for (const session of [...sessions.values()]) session.close(REVOKED);
  }

  /** Removes a session, unless another has its place by now. */
  leave(iotDeviceId: number, session: Session): void {
    const sessions = this.#byDevice.get(iotDeviceId);
    if (sessions?.get(session.clientId) !== session) return;
    sessions.delete(session.clientId);
    if (sessions.size === 0) this.#byDevice.delete(iotDeviceId);
  }
}
