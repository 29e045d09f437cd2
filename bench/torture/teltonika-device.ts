/**
 * A Teltonika tracker over TCP: signs in with its IMEI, sends one frame of records at a time, keeps it until the server
 * has answered with their number, and sends it again on the next connection otherwise. Knows the wire; refuses to know
 * which records are good.
 *
 * States: offline (a timer runs) → signing in → open → offline; any of them → stopped, which is final.
 */
import { connect, type Socket } from 'node:net';
import {
  encodeLogin,
  encodeRecords,
  type RecordCodec,
} from '../../ingest/teltonika/test-frames.ts';
import type { Random } from '../demo/random.ts';
import type { Fix } from '../proof/journey.ts';
import { satellitesOf, type Planned } from './plan.ts';

export interface TeltonikaDeviceOptions {
  readonly imei: string;
  readonly codec: RecordCodec;
  readonly port: number;
  readonly random: Random;
  readonly recordsMax: number;
  /** Connects anew when a frame has no answer for so long. */
  readonly answerMsMax: number;
  /** The next record, which the device from then on keeps; `null`: none for now. */
  readonly next: () => Planned | null;
  readonly onSent: (records: readonly Planned[]) => void;
  readonly onAnswered: (records: readonly Planned[]) => void;
}

const RECONNECT_MS = [20, 250] as const;
const KNOWN = 1;
const ANSWER_BYTES = 4;
const IO_TEMPERATURE = 72;

/** The fix as this wire can say it: whole km/h and degrees, tenths of °C, and nothing of its accuracy. */
export function asTeltonika(fix: Fix): Fix {
  const { temperatureC } = fix;
  return {
    ...fix,
    speedMps: Math.round(fix.speedMps * 3.6) / 3.6,
    headingDeg: Math.round(fix.headingDeg) % 360,
    accuracyM: NaN,
    temperatureC: temperatureC === null ? null : Math.round(temperatureC * 10) / 10,
  };
}

export class TeltonikaDevice {
  private readonly options: TeltonikaDeviceOptions;
  private socket: Socket | null = null;
  private isOpen = false;
  private isStopped = false;
  private frame: readonly Planned[] = [];
  private received = Buffer.alloc(0);
  private timer: NodeJS.Timeout | null = null;
  private patience: NodeJS.Timeout | null = null;

  constructor(options: TeltonikaDeviceOptions) {
    this.options = options;
  }

  get waitingCount(): number {
    return this.frame.length;
  }

  start(): void {
    if (this.isStopped || this.socket !== null) return;
    const socket = connect({ port: this.options.port, host: '127.0.0.1', noDelay: true });
    this.socket = socket;
    this.received = Buffer.alloc(0);
    socket.on('connect', () => socket.write(encodeLogin(this.options.imei)));
    socket.on('data', (chunk) => this.take(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => this.closed());
  }

  /** Sends the next frame, unless one waits. */
  pump(): void {
    if (!this.isOpen || this.frame.length > 0) return;
    const records: Planned[] = [];
    while (records.length < this.options.recordsMax) {
      const planned = this.options.next();
      if (planned === null) break;
      records.push(planned);
    }
    this.frame = records;
    this.send();
  }

  stop(): void {
    this.isStopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    this.socket?.destroy();
  }

  private take(chunk: Buffer): void {
    this.received = Buffer.concat([this.received, chunk]);
    if (!this.isOpen) {
      if (this.received[0] !== KNOWN) {
        this.socket?.destroy();
        return;
      }
      this.received = this.received.subarray(1);
      this.isOpen = true;
      this.send();
    }
    while (this.received.length >= ANSWER_BYTES) {
      const count = this.received.readUInt32BE(0);
      this.received = this.received.subarray(ANSWER_BYTES);
      const records = this.frame;
      // Anything but the whole frame is no acknowledgement of it.
      if (count !== records.length) continue;
      this.frame = [];
      this.wait(null);
      this.options.onAnswered(records);
    }
    this.pump();
  }

  private send(): void {
    const { frame } = this;
    if (frame.length === 0) return;
    this.options.onSent(frame);
    const records = frame.map(({ fix, bad }) => ({
      timeMs: fix.timeMs,
      latDeg: fix.latDeg,
      lonDeg: fix.lonDeg,
      speedKph: Math.round(fix.speedMps * 3.6),
      angleDeg: Math.round(fix.headingDeg) % 360,
      satellites: satellitesOf(bad),
      io: fix.temperatureC === null ? [] : [warmth(fix.temperatureC)],
    }));
    this.socket!.write(encodeRecords(this.options.codec, records));
    this.wait(this.options.answerMsMax);
  }

  private wait(ms: number | null): void {
    if (this.patience !== null) clearTimeout(this.patience);
    const giveUp = (): void => void this.socket?.resetAndDestroy();
    this.patience = ms === null ? null : setTimeout(giveUp, ms);
  }

  private closed(): void {
    this.socket = null;
    this.isOpen = false;
    this.wait(null);
    if (this.isStopped) return;
    this.timer = setTimeout(() => this.start(), this.options.random.between(...RECONNECT_MS));
  }
}

function warmth(temperatureC: number): { id: number; widthBytes: 2; value: number } {
  return { id: IO_TEMPERATURE, widthBytes: 2, value: Math.round(temperatureC * 10) };
}
