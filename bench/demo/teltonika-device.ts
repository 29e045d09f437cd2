/**
 * One vehicle whose tracker is a Teltonika: logs in with its IMEI, sends what waits as a frame of codec 8E, and keeps it
 * until the count of its records comes back, as real ones do. Knows the connection; the bytes are from `test-frames.ts`.
 *
 * A record is waiting → in flight (in the one frame that is sent and not acknowledged; a lost connection makes it wait
 * again, in its place) → acknowledged. It is dropped only when the tracker's memory is full, the oldest first.
 * The device is made → connecting ⇄ signed in → stopped.
 */
import { connect, type Socket } from 'node:net';
import {
  encodeLogin,
  encodeRecords,
  type TestElement,
  type TestRecord,
} from '../../ingest/teltonika/test-frames.ts';
import { BACKLOG_FIXES_MAX, type DeviceStats } from './devices.ts';
import type { NativeFix } from './vehicle.ts';

const CODEC_8E = 0x8e;
/** Records in one frame. */
export const FRAME_RECORDS_MAX = 25;
const RECONNECT_MS = 1_500;
/** Silence of the server beyond this, and the tracker connects anew. */
const ANSWER_MS_MAX = 30_000;
/** Acknowledgement times kept between two readings of the statistics. */
const LATENCIES_MAX = 1_000;

export interface TeltonikaDeviceOptions {
  readonly host: string;
  readonly port: number;
  /** The device's `device_identifier`; it must be marked `sign_in_by_name`. */
  readonly imei: string;
  /** Milliseconds before a lost connection is tried again. */
  readonly reconnectMs?: number;
}

/** The tracker of one vehicle; the counts are those of `devices.ts`. */
export interface TeltonikaDevice {
  /** Opens the connection; returns at once. */
  start(): void;
  /** Gives the device a fix to send, now or when it is connected again. */
  publish(fix: NativeFix): void;
  stats(): DeviceStats;
  /** Waits until everything is acknowledged, at most `ackMsMax` milliseconds, and closes; gives how much was left. */
  stop(ackMsMax: number): Promise<number>;
}

export function createTeltonikaDevice(options: TeltonikaDeviceOptions): TeltonikaDevice {
  return new Device(options);
}

/** A fix as the tracker has it: whole km/h and degrees, the rest as IO elements. */
export function recordOf(fix: NativeFix): TestRecord {
  const io: TestElement[] = [
    { id: 239, widthBytes: 1, value: fix.ignition ? 1 : 0 },
    { id: 240, widthBytes: 1, value: fix.motion ? 1 : 0 },
    { id: 21, widthBytes: 1, value: 4 },
    { id: 113, widthBytes: 1, value: Math.round(fix.battery_pct) },
    { id: 16, widthBytes: 4, value: Math.round(fix.odometer_m) },
  ];
  if (fix.temperature_c !== undefined) {
    io.push({ id: 72, widthBytes: 4, value: Math.round(fix.temperature_c * 10) });
  }
  return {
    timeMs: fix.time,
    latDeg: fix.lat,
    lonDeg: fix.lon,
    altitudeM: Math.round(fix.altitude_m),
    angleDeg: Math.round(fix.heading_deg) % 360,
    satellites: fix.satellites,
    speedKph: Math.round(fix.speed_mps * 3.6),
    io,
  };
}

class Device implements TeltonikaDevice {
  private readonly options: TeltonikaDeviceOptions;
  private records: TestRecord[] = [];
  /** So many of the first records are in flight. */
  private inFlight = 0;
  private sentMs = 0;
  private socket: Socket | null = null;
  private isSignedIn = false;
  private isEnding = false;
  private answered = Buffer.alloc(0);
  private reconnect: NodeJS.Timeout | undefined;
  private acknowledged = 0;
  private dropped = 0;
  private trouble = '';
  private latenciesMs: number[] = [];
  private onSettled: (() => void) | null = null;

  constructor(options: TeltonikaDeviceOptions) {
    this.options = options;
  }

  start(): void {
    const { host, port, imei } = this.options;
    const socket = connect({ host, port, noDelay: true });
    this.socket = socket;
    socket.setTimeout(ANSWER_MS_MAX, () => {
      if (this.inFlight > 0 || !this.isSignedIn) socket.destroy();
    });
    socket.on('connect', () => socket.write(encodeLogin(imei)));
    socket.on('data', (chunk: Buffer) => this.hear(chunk));
    socket.on('error', (error) => {
      this.trouble = error.message;
    });
    socket.on('close', () => this.closed());
  }

  publish(fix: NativeFix): void {
    if (this.isEnding) return;
    this.records.push(recordOf(fix));
    if (this.records.length > BACKLOG_FIXES_MAX) {
      // What is in flight may be acknowledged any moment, and by its count.
      this.records.splice(this.inFlight, 1);
      this.dropped++;
    }
    this.send();
  }

  stats(): DeviceStats {
    const sorted = this.latenciesMs.sort((a, b) => a - b);
    this.latenciesMs = [];
    return {
      connected: this.isSignedIn ? 1 : 0,
      acknowledged: this.acknowledged,
      refused: 0,
      dropped: this.dropped,
      outstanding: this.records.length,
      p99Ms: sorted[Math.ceil(sorted.length * 0.99) - 1] ?? NaN,
      trouble: this.trouble,
    };
  }

  async stop(ackMsMax: number): Promise<number> {
    this.isEnding = true;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ackMsMax);
      this.onSettled = resolve;
      this.tellSettled();
    });
    clearTimeout(timer);
    clearTimeout(this.reconnect);
    this.onSettled = null;
    const { socket } = this;
    this.socket = null;
    if (socket !== null && !socket.closed) {
      await new Promise<void>((resolve) => {
        socket.once('close', () => resolve());
        socket.destroy();
      });
    }
    return this.records.length;
  }

  private hear(chunk: Buffer): void {
    this.answered = Buffer.concat([this.answered, chunk]);
    if (!this.isSignedIn) {
      const [word] = this.answered;
      this.answered = this.answered.subarray(1);
      if (word !== 1) {
        this.trouble = 'the server does not know this IMEI';
        this.socket?.destroy();
        return;
      }
      this.isSignedIn = true;
      this.trouble = '';
      this.send();
    }
    if (this.answered.length < 4) return;
    const count = this.answered.readUInt32BE(0);
    this.answered = this.answered.subarray(4);
    if (count === this.inFlight) {
      this.latenciesMs.push(performance.now() - this.sentMs);
      if (this.latenciesMs.length > LATENCIES_MAX) this.latenciesMs.shift();
      this.acknowledged += count;
      this.records.splice(0, count);
    }
    // Another count: not all was taken, and all of it goes again.
    this.inFlight = 0;
    this.tellSettled();
    this.send();
  }

  private send(): void {
    if (!this.isSignedIn || this.inFlight > 0 || this.records.length === 0) return;
    const records = this.records.slice(0, FRAME_RECORDS_MAX);
    this.inFlight = records.length;
    this.sentMs = performance.now();
    this.socket!.write(encodeRecords(CODEC_8E, records));
  }

  private closed(): void {
    this.isSignedIn = false;
    this.inFlight = 0;
    this.answered = Buffer.alloc(0);
    if (this.socket === null) return;
    this.reconnect = setTimeout(() => this.start(), this.options.reconnectMs ?? RECONNECT_MS);
  }

  private tellSettled(): void {
    if (this.records.length === 0) this.onSettled?.();
  }
}
