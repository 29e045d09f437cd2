/** What the two WebSocket servers have in common, so that the rest of the program does not see which one runs. */
import type { Hub, LiveLog } from './hub.ts';

export interface TransportOptions {
  readonly hub: Hub;
  /** An address of this machine, or a name for one. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The one path that upgrades; every other request is answered 404. */
  readonly path: string;
  /** Origins as browsers write them, `https://host[:port]`. */
  readonly allowedOrigins: readonly string[];
  readonly log: LiveLog;
}

export interface RunningTransport {
  readonly port: number;
  /** Stops listening, closes every client with 1012, and ends those that do not go within `closeGraceMs`. */
  close(): Promise<void>;
}

/**
 * Whether a handshake with this Origin header may go on. Programs send none and are let in: only a browser attaches a
 * user's circumstances to a request that another site caused, and it always names that site.
 */
export function originAllowed(origin: string | undefined, allowed: readonly string[]): boolean {
  return origin === undefined || origin === '' || allowed.includes(origin);
}

/** The error for a port that somebody else holds, coded as Node codes it. */
export function addressInUse(host: string, port: number): Error {
  const error = new Error(`listen EADDRINUSE: address already in use ${host}:${port}`);
  return Object.assign(error, { code: 'EADDRINUSE', syscall: 'listen', address: host, port });
}
