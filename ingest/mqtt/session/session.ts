/**
 * What is kept of one client, over its connections (section 4.1): the packet identifiers it has published with quality of
 * service 2, its subscription and the commands on their way to it, its will. Knows no packets and no sockets; who holds
 * which session is the table's (sessions.ts).
 *
 * It is kept in memory and nowhere else: after a restart of the server every client is told Session Present 0, and starts
 * anew.
 */
import type { Fault } from '../faults.ts';
import type { Will } from '../connect-reader.ts';
import type { MqttIdentity } from '../sink.ts';
import type { Deliveries } from './deliveries.ts';
import type { Device } from './devices.ts';
import type { HeldIds } from './held-ids.ts';

/** The connection of a session. */
export interface Holder {
  close(fault: Fault): void;
}

/** A will whose client has gone, until it is due. */
export interface PendingWill {
  readonly will: Will;
  readonly atMs: number;
  readonly cause: string;
  readonly dueMs: number;
  timer: NodeJS.Timeout | null;
}

export class Session {
  readonly device: Device;
  readonly clientId: string;
  identity: MqttIdentity;
  /** `null`: the client is away. */
  holder: Holder | null;
  /** Seconds that the session outlives its connection. */
  expiryS: number;
  will: Will | null = null;
  pendingWill: PendingWill | null = null;
  /** On the monotonic clock; of a client that is away. */
  endsMs = 0;
  heldIds: HeldIds | null = null;
  deliveries: Deliveries | null = null;

  constructor(device: Device, identity: MqttIdentity, clientId: string, holder: Holder) {
    this.device = device;
    this.identity = identity;
    this.clientId = clientId;
    this.holder = holder;
    this.expiryS = 0;
  }

  get isSubscribed(): boolean {
    return this.deliveries !== null && this.deliveries.subscription !== null;
  }
}
