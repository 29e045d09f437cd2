/** What the bench asks of its load program, and what that answers. Plain data, fit for a pipe between processes. */

/** Which fixes are sent: `from` … `from + count − 1` of each of the first `devices` devices. */
export interface LoadFixes {
  readonly seed: number;
  readonly startMs: number;
  readonly devices: number;
  readonly from: number;
  readonly count: number;
}

export interface MqttJob extends LoadFixes {
  readonly kind: 'mqtt';
  readonly port: number;
  readonly fixesPerPublish: number;
  /** Publishes of one device that may wait for their PUBACK. */
  readonly window: number;
  /** Publishes a second of all devices together; 0 sends as fast as acks come. */
  readonly perS: number;
  /** Publishes that a device writes at once where `perS` sets the pace. */
  readonly burst: number;
}

export interface HttpJob extends LoadFixes {
  readonly kind: 'http';
  readonly port: number;
  readonly fixesPerRequest: number;
  /** Connections, each with one request at a time. */
  readonly connections: number;
  readonly token: string;
}

export type LoadJob = MqttJob | HttpJob;

export interface LoadResult {
  /** From the first byte sent to the last answer. */
  readonly seconds: number;
  /** Messages or requests, each answered. */
  readonly messages: number;
  /** From writing a message to its answer. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** CPU, user and system, of the load program while it sent. */
  readonly cpuS: number;
}

/** To the load program. */
export type LoadOrder =
  { readonly order: 'prepare'; readonly job: LoadJob } | { readonly order: 'go' };
/** From the load program. */
export type LoadAnswer =
  | { readonly answer: 'ready' }
  | { readonly answer: 'done'; readonly result: LoadResult }
  | { readonly answer: 'failed'; readonly message: string };
