/**
 * The trackers: one real MQTT connection for each vehicle, QoS 1, half of them speaking 3.1.1 and half 5.0. A tracker
 * keeps what was not acknowledged and sends it again, as real ones do. Knows topics and connections; refuses to know
 * what a payload says.
 *
 * A fix is waiting (in the tracker's memory) → in flight (handed to the client, which sends it again after a reconnect)
 * → acknowledged, or refused by the server. It is dropped only when the tracker's memory is full, the oldest first.
 * A device is made → connecting ⇄ connected → stopped.
 */
import mqtt, { type MqttClient } from 'mqtt';
import { Random } from './random.ts';

/** Fixes that a tracker remembers while it cannot send: ten minutes at one every two seconds. */
export const BACKLOG_FIXES_MAX = 300;
/** Fixes sent and not yet acknowledged; the client resends them one after the other. */
export const IN_FLIGHT_MAX = 20;
/** Acknowledgement times kept between two readings of the statistics. */
const LATENCIES_MAX = 20_000;
/** All connections are opened within this time, or at this rate when there are many. */
const CONNECT_SPREAD_MS = 1_500;
const CONNECTIONS_PER_S_MAX = 500;
/** A lost connection is tried again at an interval from this range, each device at its own. */
const RECONNECT_MS: [number, number] = [1_000, 3_000];
const KEEP_ALIVE_S = 60;
const CONNECT_TIMEOUT_MS = 10_000;
/** How long the goodbye of a connection may take. */
const END_MS_MAX = 1_000;

/** What a device signs in with. */
export interface DeviceCredential {
  readonly deviceIdentifier: string;
  readonly token: string;
}

/** Counts since the start, but for `p99Ms`. */
export interface DeviceStats {
  readonly connected: number;
  readonly acknowledged: number;
  /** The server took it and said no: a defect of the demo. */
  readonly refused: number;
  /** Lost because a tracker's memory was full. */
  readonly dropped: number;
  /** Waiting or in flight. */
  readonly outstanding: number;
  /** Of the time from publish to acknowledgement since the last reading; NaN when there was none. */
  readonly p99Ms: number;
  /** Why a connection could not be had, the last time that happened; empty when all is well. */
  readonly trouble: string;
}

/** All trackers of the demo, by the number of their vehicle. */
export interface Devices {
  /** Opens the connections, spread over a moment; returns at once. */
  start(): void;
  /** Gives a device a fix to send, now or when it is connected again. */
  publish(index: number, payload: string): void;
  stats(): DeviceStats;
  /**
   * Waits until everything is acknowledged, at most `ackMsMax` milliseconds, and closes all connections. Gives how many
   * fixes were left unacknowledged.
   */
  stop(ackMsMax: number): Promise<number>;
}

/** Makes the trackers of a server at `url` (`mqtt://host:port`), in the order of their credentials. */
export function createDevices(url: string, credentials: readonly DeviceCredential[]): Devices {
  const tally = new Tally();
  const devices = credentials.map((credential, index) => new Device(url, credential, index, tally));
  const timers = new Set<NodeJS.Timeout>();
  return {
    start() {
      const spreadMs = Math.max(CONNECT_SPREAD_MS, (devices.length / CONNECTIONS_PER_S_MAX) * 1000);
      for (const [index, device] of devices.entries()) {
        const timer = setTimeout(
          () => {
            timers.delete(timer);
            device.connect();
          },
          (index / devices.length) * spreadMs,
        );
        timers.add(timer);
      }
    },
    publish: (index, payload) => devices[index]!.publish(payload),
    stats() {
      const outstanding = devices.reduce((sum, device) => sum + device.outstanding, 0);
      return tally.read(outstanding);
    },
    async stop(ackMsMax) {
      for (const timer of timers) clearTimeout(timer);
      await withinMs(ackMsMax, Promise.all(devices.map((device) => device.settled())));
      const left = devices.reduce((sum, device) => sum + device.outstanding, 0);
      await Promise.all(devices.map((device) => device.end()));
      return left;
    },
  };
}

class Tally {
  connected = 0;
  refused = 0;
  dropped = 0;
  trouble = '';
  private acknowledged = 0;
  private latenciesMs: number[] = [];

  acknowledge(ms: number): void {
    this.acknowledged++;
    if (this.latenciesMs.length < LATENCIES_MAX) this.latenciesMs.push(ms);
  }

  read(outstanding: number): DeviceStats {
    const sorted = Float64Array.from(this.latenciesMs).sort();
    this.latenciesMs = [];
    const p99Ms = sorted[Math.ceil(sorted.length * 0.99) - 1] ?? NaN;
    const { connected, acknowledged, refused, dropped, trouble } = this;
    return { connected, acknowledged, refused, dropped, outstanding, p99Ms, trouble };
  }
}

class Device {
  private readonly url: string;
  private readonly credential: DeviceCredential;
  private readonly index: number;
  private readonly tally: Tally;
  private readonly topic: string;
  private client: MqttClient | null = null;
  private isConnected = false;
  private isEnding = false;
  private waiting: string[] = [];
  private inFlight = 0;
  private onSettled: (() => void) | null = null;

  constructor(url: string, credential: DeviceCredential, index: number, tally: Tally) {
    this.url = url;
    this.credential = credential;
    this.index = index;
    this.tally = tally;
    this.topic = `v1/devices/${credential.deviceIdentifier}/fixes`;
  }

  get outstanding(): number {
    return this.waiting.length + this.inFlight;
  }

  connect(): void {
    const { deviceIdentifier, token } = this.credential;
    const random = new Random(`reconnect:${deviceIdentifier}`);
    const client = mqtt.connect(this.url, {
      clientId: `demo-${deviceIdentifier}`,
      username: deviceIdentifier,
      password: token,
      protocolVersion: this.index % 2 === 0 ? 4 : 5,
      // The server keeps no session; the client's own store is what brings unacknowledged fixes back.
      clean: true,
      keepalive: KEEP_ALIVE_S,
      connectTimeout: CONNECT_TIMEOUT_MS,
      reconnectPeriod: Math.round(random.between(...RECONNECT_MS)),
      reconnectOnConnackError: true,
      timerVariant: 'native',
    });
    this.client = client;
    // The client says "connect" when it has sent its store again, so what waits here keeps its place behind that.
    client.on('connect', () => {
      this.setConnected(true);
      this.send();
    });
    client.on('close', () => this.setConnected(false));
    client.on('error', (error) => {
      this.tally.trouble = error.message === '' ? String(error) : error.message;
    });
  }

  publish(payload: string): void {
    if (this.isEnding) return;
    this.waiting.push(payload);
    if (this.waiting.length > BACKLOG_FIXES_MAX) {
      this.waiting.shift();
      this.tally.dropped++;
    }
    this.send();
  }

  /** Resolves when nothing is outstanding. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.onSettled = resolve;
      this.tellSettled();
    });
  }

  async end(): Promise<void> {
    this.isEnding = true;
    this.setConnected(false);
    const { client } = this;
    if (client === null) return;
    client.on('error', () => undefined);
    if (client.connected && this.inFlight === 0) {
      await withinMs(END_MS_MAX, client.endAsync());
    }
    client.end(true);
  }

  private send(): void {
    while (this.isConnected && this.inFlight < IN_FLIGHT_MAX && this.waiting.length > 0) {
      const payload = this.waiting.shift()!;
      const sentMs = performance.now();
      this.inFlight++;
      this.client!.publish(this.topic, payload, { qos: 1 }, (error) => {
        this.inFlight--;
        if (!error) this.tally.acknowledge(performance.now() - sentMs);
        else if ('code' in error && typeof error.code === 'number') this.tally.refused++;
        // The connection went while the client had it queued: it goes again, first.
        else this.waiting.unshift(payload);
        this.send();
        this.tellSettled();
      });
    }
  }

  private setConnected(isConnected: boolean): void {
    if (this.isConnected === isConnected) return;
    this.isConnected = isConnected;
    this.tally.connected += isConnected ? 1 : -1;
    if (isConnected) this.tally.trouble = '';
  }

  private tellSettled(): void {
    if (this.outstanding === 0) this.onSettled?.();
  }
}

/** Waits for the work, but no longer than this; a failure counts as done. */
async function withinMs(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work.catch(() => undefined), late]);
  clearTimeout(timer);
}
