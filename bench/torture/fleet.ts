/**
 * All devices of a run, each with its plan, its wire and its pace, and the one ledger they write. Knows who sends how and
 * how fast; refuses to know what fails meanwhile, and what is stored.
 *
 * States: still → making (records are sent as they come) ⇄ draining (what was sent is kept until it is acknowledged,
 * nothing new is made) → stopped.
 */
import { Random } from '../demo/random.ts';
import type { ProofTenant } from '../proof/tenants.ts';
import type { Tearable } from './cleanup.ts';
import { HttpGateway } from './http-gateway.ts';
import { Ledger } from './ledger.ts';
import { MqttDevice } from './mqtt-device.ts';
import { DevicePlan, MIX, recordOf, type Mix, type Planned } from './plan.ts';
import { asTeltonika, TeltonikaDevice } from './teltonika-device.ts';

export interface FleetOptions {
  readonly t: Tearable;
  readonly seed: string;
  readonly tenant: ProofTenant;
  readonly units: number;
  readonly nowMs: number;
  readonly httpPort: number;
  readonly teltonikaPort: number;
  /** Of the listener, or of a proxy before it. */
  readonly mqttPort: (unit: number) => number;
  /** Whether the listener takes quality of service 2. */
  readonly takesQos2: boolean;
  readonly keepAliveS: (unit: number) => number;
  /** Messages that a device may have unanswered: one of these. */
  readonly windows?: readonly number[];
  readonly mix?: Mix;
}

/** Anything that keeps what it has sent until it is answered. */
interface Sender {
  readonly waitingCount: number;
  pump(): void;
  start(): void;
  stop(): void;
}

const TICK_MS = 20;
/** Records of its pace that a device may catch up on at once. */
const BURST_RECORDS = 50;
/** Of eight units one speaks through a gateway, one is a Teltonika, and the others are on MQTT. */
const isViaGateway = (unit: number): boolean => unit % 8 === 7;
export const isTeltonika = (unit: number): boolean => unit % 8 === 4;
const GATEWAY_UNITS_MAX = 10;
const GATEWAY_LINES_MAX = 200;
/** These pack three records into a message. */
const isPacking = (unit: number): boolean => unit % 8 === 2;
const PACKED_RECORDS = 3;
/** These publish with quality of service 2, where the listener takes it. */
const isQos2 = (unit: number): boolean => unit % 8 === 5 || unit % 8 === 6;
const TELTONIKA_CODECS = [0x08, 0x8e, 0x10] as const;
const TELTONIKA_RECORDS_MAX = 10;
const TELTONIKA_ANSWER_MS_MAX = 30_000;
const WINDOWS = [1, 20, 100] as const;
const IMPATIENT_SHARE = 0.2;
const IMPATIENT_MS = 5_000;
const DRAIN_POLL_MS = 20;

/** The unit's device as it is called on its wire: an IMEI where that is all it says of itself. */
export function nameOf(tenant: ProofTenant, unit: number): string {
  if (!isTeltonika(unit)) return tenant.credentials(unit).device;
  return `35${String(unit).padStart(13, '0')}`;
}

export class Fleet {
  readonly ledger = new Ledger();
  readonly devices: MqttDevice[] = [];
  private readonly gateways: HttpGateway[] = [];
  private readonly trackers: TeltonikaDevice[] = [];
  /** `performance.now()` of the last answer to anybody. */
  lastAnswerMs = 0;
  private readonly options: FleetOptions;
  private readonly plans: DevicePlan[];
  private readonly allowances: Float64Array;
  private recordsPerS = 0;
  private ticker: NodeJS.Timeout | null = null;
  private tickedMs = 0;
  private listeners: ((answerMs: number) => void)[] = [];

  constructor(options: FleetOptions) {
    this.options = options;
    const { units, seed, nowMs } = options;
    const mix = options.mix ?? MIX;
    this.plans = Array.from({ length: units }, (_, unit) => {
      const wire = isTeltonika(unit) ? { asSaid: asTeltonika } : {};
      return new DevicePlan({ seed, unit, nowMs, mix, ...wire });
    });
    this.allowances = new Float64Array(units);
    const viaGateway = this.plans.filter(({ unit }) => isViaGateway(unit));
    for (let i = 0; i < viaGateway.length; i += GATEWAY_UNITS_MAX) {
      this.gateways.push(this.gateway(viaGateway.slice(i, i + GATEWAY_UNITS_MAX)));
    }
    for (const plan of this.plans) {
      if (isTeltonika(plan.unit)) this.trackers.push(this.tracker(plan));
      else if (!isViaGateway(plan.unit)) this.devices.push(this.device(plan));
    }
    options.t.teardown(() => {
      this.stop();
      return Promise.resolve();
    });
  }

  /** Messages of all devices that wait for an acknowledgement. */
  get waitingCount(): number {
    return this.senders.reduce((sum, sender) => sum + sender.waitingCount, 0);
  }

  /** Connects everybody and makes so many records a second on each device; `Infinity`: as fast as they are taken. */
  make(recordsPerS: number): void {
    this.recordsPerS = recordsPerS;
    for (const sender of this.senders) sender.start();
    this.tickedMs = performance.now();
    this.ticker ??= setInterval(() => this.tick(), TICK_MS);
  }

  /** Makes nothing new and resolves when everything that was sent is acknowledged; rejects after `msMax`. */
  async drain(msMax: number): Promise<void> {
    this.recordsPerS = 0;
    this.allowances.fill(0);
    const deadlineMs = performance.now() + msMax;
    while (this.waitingCount > 0) {
      if (performance.now() > deadlineMs) {
        throw new Error(`${this.waitingCount} messages have no acknowledgement after ${msMax} ms`);
      }
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
  }

  /** The time (`performance.now()`) of the next answer to anybody. */
  nextAnswer(): Promise<number> {
    return new Promise((resolve) => this.listeners.push(resolve));
  }

  stop(): void {
    if (this.ticker !== null) clearInterval(this.ticker);
    this.ticker = null;
    for (const sender of this.senders) sender.stop();
  }

  private get senders(): Sender[] {
    return [...this.devices, ...this.trackers, ...this.gateways];
  }

  private tick(): void {
    const nowMs = performance.now();
    const more = (this.recordsPerS * (nowMs - this.tickedMs)) / 1_000;
    this.tickedMs = nowMs;
    for (let unit = 0; unit < this.allowances.length; unit++) {
      this.allowances[unit] = Math.min(BURST_RECORDS, this.allowances[unit]! + more);
    }
    for (const sender of this.senders) sender.pump();
  }

  /** The plan's next record when the unit's pace allows one. */
  private next(plan: DevicePlan): Planned | null {
    const isFree = this.recordsPerS === Infinity;
    if (!isFree && this.allowances[plan.unit]! < 1) return null;
    const planned = plan.next();
    if (!isFree && planned !== null) this.allowances[plan.unit]! -= 1;
    return planned;
  }

  private answered(records: readonly Planned[], refused: boolean | null): void {
    for (const planned of records) this.ledger.answered(planned, refused);
    this.lastAnswerMs = performance.now();
    const { listeners } = this;
    this.listeners = [];
    for (const listener of listeners) listener(this.lastAnswerMs);
  }

  private device(plan: DevicePlan): MqttDevice {
    const { tenant, seed, mqttPort, takesQos2, keepAliveS, windows } = this.options;
    const { unit } = plan;
    const random = new Random(`${seed}/wire/${unit}`);
    const version = unit % 2 === 0 ? 4 : 5;
    const packing = isPacking(unit) ? PACKED_RECORDS : 1;
    const { device, token } = tenant.credentials(unit);
    const kept = new Map<number, Planned[]>();
    let index = 0;
    return new MqttDevice({
      unit,
      device,
      token,
      version,
      qos: takesQos2 && isQos2(unit) ? 2 : 1,
      window: random.pick(windows ?? WINDOWS),
      keepAliveS: keepAliveS(unit),
      impatientMs: random.chance(IMPATIENT_SHARE) ? IMPATIENT_MS : null,
      port: mqttPort(unit),
      random,
      next: () => {
        const records: Planned[] = [];
        for (let planned = this.next(plan); planned !== null; planned = this.next(plan)) {
          records.push(planned);
          if (records.length === packing) break;
        }
        if (records.length === 0) return null;
        kept.set(index++, records);
        const texts = records.map((planned) => recordOf(planned));
        const payload = JSON.stringify(records.length === 1 ? texts[0] : texts);
        return { topic: `v1/devices/${device}/fixes`, payload };
      },
      onSent: (sent) => {
        for (const planned of kept.get(sent)!) this.ledger.sent(planned);
      },
      onAnswered: (answered, refused) => {
        const records = kept.get(answered)!;
        kept.delete(answered);
        // 3.1.1 has no word for a refusal, and a message of several says only that something of it was taken.
        this.answered(records, version === 5 && records.length === 1 ? refused : null);
      },
    });
  }

  private tracker(plan: DevicePlan): TeltonikaDevice {
    const { seed, teltonikaPort, tenant } = this.options;
    const { unit } = plan;
    const random = new Random(`${seed}/wire/${unit}`);
    return new TeltonikaDevice({
      imei: nameOf(tenant, unit),
      codec: random.pick(TELTONIKA_CODECS),
      port: teltonikaPort,
      random,
      recordsMax: TELTONIKA_RECORDS_MAX,
      answerMsMax: TELTONIKA_ANSWER_MS_MAX,
      next: () => this.next(plan),
      onSent: (records) => {
        for (const planned of records) this.ledger.sent(planned);
      },
      // Its answer is a number of records, whatever became of them.
      onAnswered: (records) => this.answered(records, null),
    });
  }

  private gateway(plans: readonly DevicePlan[]): HttpGateway {
    const { tenant, httpPort } = this.options;
    const kept = new Map<number, Planned>();
    let index = 0;
    let turn = 0;
    return new HttpGateway({
      token: tenant.gatewayToken,
      port: httpPort,
      linesMax: GATEWAY_LINES_MAX,
      next: () => {
        for (let tries = 0; tries < plans.length; tries++) {
          const plan = plans[turn++ % plans.length]!;
          const planned = this.next(plan);
          if (planned === null) continue;
          kept.set(index++, planned);
          return JSON.stringify(recordOf(planned, tenant.credentials(plan.unit).device));
        }
        return null;
      },
      onSent: (sent) => this.ledger.sent(kept.get(sent)!),
      onAnswered: (answered, refused) => {
        const planned = kept.get(answered)!;
        kept.delete(answered);
        this.answered([planned], refused);
      },
    });
  }
}
