/**
 * For the tests of this folder: a listener on a port the kernel chose, a sink whose outcomes the test decides, and a
 * client that sends raw bytes. Everything can be awaited, so no test waits for a time.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect as connectTcp } from 'node:net';
import type { IConnectPacket, Packet } from 'mqtt-packet';
import { generate, parser } from 'mqtt-packet';
import type { Test } from 'tap';
import type { MqttLimits } from './limits.ts';
import { MQTT_LIMITS_DEFAULT } from './limits.ts';
import type { MqttListener } from './listener.ts';
import { createMqttListener } from './listener.ts';
import type { DeliveryOutcome, MqttAuthenticate, MqttIdentity } from './sink.ts';
import type { MqttPublish, MqttSink, MqttWill, PublishOutcome, Receipt } from './sink.ts';
import { ownTopicKind } from './topics.ts';

export const STORED: PublishOutcome = { kind: 'stored' };
export const PASSWORD = 'correct horse';
const HOST = '127.0.0.1';

/** Checks a condition whenever something has happened, and resolves those that wait for it. */
export class Watch {
  #waiting: { isMet: () => boolean; resolve: () => void }[] = [];

  changed(): void {
    const met = this.#waiting.filter((one) => one.isMet());
    this.#waiting = this.#waiting.filter((one) => !met.includes(one));
    for (const one of met) one.resolve();
  }

  until(isMet: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ isMet, resolve });
      this.changed();
    });
  }
}

export interface Taken {
  readonly message: MqttPublish;
  readonly done: (outcome: PublishOutcome) => void;
}

/** Keeps publishes until the test settles them, or answers at once when `answer` is set. */
export class FakeSink implements MqttSink {
  readonly taken: Taken[] = [];
  /** When set, every publish is settled by it on arrival. */
  answer: ((message: MqttPublish) => PublishOutcome) | null = null;
  /** While true, `publish` says that the queue is full. */
  full = false;
  drainCount = 0;
  #resumes: (() => void)[] = [];
  #watch = new Watch();

  publish(given: MqttPublish, receipt: Receipt): boolean {
    const { identity, topic, payload, qos, receivedMs, buffer, payloadStart, payloadEnd } = given;
    const message = { identity, topic, payload, qos, receivedMs, buffer, payloadStart, payloadEnd };
    const done = (outcome: PublishOutcome): void => receipt.settled(outcome);
    this.taken.push({ message, done });
    if (this.answer !== null) done(this.answer(message));
    this.#watch.changed();
    return !this.full;
  }

  onceDrained(resume: () => void): void {
    this.#resumes.push(resume);
    this.#watch.changed();
  }

  get waitingCount(): number {
    return this.#resumes.length;
  }

  drain(): void {
    this.full = false;
    const resumes = this.#resumes;
    this.#resumes = [];
    for (const resume of resumes) resume();
  }

  arrived(count: number): Promise<void> {
    return this.#watch.until(() => this.taken.length >= count);
  }

  blocked(count: number): Promise<void> {
    return this.#watch.until(() => this.#resumes.length >= count);
  }
}

/** Remembers what the listener tells of, and can be awaited. */
export class Told<T> {
  readonly all: T[] = [];
  readonly #watch = new Watch();

  readonly add = (one: T): void => {
    this.all.push(one);
    this.#watch.changed();
  };

  /** The first `count` of them. */
  async first(count: number): Promise<T[]> {
    await this.#watch.until(() => this.all.length >= count);
    return this.all.slice(0, count);
  }
}

/** Counts what the listener reports. */
export class FakeMetrics {
  connectionCount = 0;
  publishCount = 0;
  byteCount = 0;
  readonly reasons = new Map<string, number>();
  readonly #watch = new Watch();

  connections(count: number): void {
    this.connectionCount = count;
    this.#watch.changed();
  }

  received(publishCount: number, byteCount: number): void {
    this.publishCount += publishCount;
    this.byteCount += byteCount;
  }

  refused(reason: string): void {
    this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + 1);
    this.#watch.changed();
  }

  refusal(reason: string, count = 1): Promise<void> {
    return this.#watch.until(() => (this.reasons.get(reason) ?? 0) >= count);
  }

  untilConnections(count: number): Promise<void> {
    return this.#watch.until(() => this.connectionCount === count);
  }
}

/** Knows the devices `dev-1` … `dev-99`, all with the same password. */
export const knownDevices: MqttAuthenticate = (username, password) => {
  const id = Number(/^dev-(\d{1,2})$/.exec(username ?? '')?.[1] ?? NaN);
  if (Number.isNaN(id)) return Promise.resolve({ refused: 'unknown_device' });
  if (password?.toString() !== PASSWORD) return Promise.resolve({ refused: 'bad_password' });
  const identity: MqttIdentity = { deviceName: `dev-${id}`, iotDeviceId: id, tenantId: 1 };
  return Promise.resolve(identity);
};

/** Stores what goes to the device's own topics and refuses the rest, as the real sink does. */
export function ownTopicsOnly(message: MqttPublish): PublishOutcome {
  return ownTopicKind(message.topic, message.identity.deviceName) === null
    ? { kind: 'rejected', reason: 'foreign_topic' }
    : STORED;
}

export interface Started {
  readonly listener: MqttListener;
  readonly port: number;
  readonly sink: FakeSink;
  readonly metrics: FakeMetrics;
  readonly wills: Told<MqttWill>;
  /** Devices that could be sent commands. */
  readonly subscribed: Told<number>;
}

export interface StartOptions {
  readonly limits?: Partial<MqttLimits>;
  readonly authenticate?: MqttAuthenticate;
}

/** Tests do not wait for peers that are slow to close, and send as fast as they can. */
const TEST_LIMITS = { closeMsMax: 200, deviceMessagesPerSMax: 1_000_000, guessesMax: 1_000 };

/** Starts a listener and closes it when the test ends. */
export async function startListener(t: Test, options: StartOptions = {}): Promise<Started> {
  const sink = new FakeSink();
  const metrics = new FakeMetrics();
  const wills = new Told<MqttWill>();
  const subscribed = new Told<number>();
  const listener = createMqttListener({
    host: HOST,
    port: 0,
    limits: { ...MQTT_LIMITS_DEFAULT, ...TEST_LIMITS, ...options.limits },
    authenticate: options.authenticate ?? knownDevices,
    sink,
    metrics,
    log: { debug: () => {}, error: () => {} },
    onWill: wills.add,
    onSubscribed: subscribed.add,
  });
  const { port } = await listener.start();
  t.teardown(() => listener.close());
  return { listener, port, sink, metrics, wills, subscribed };
}

/** Sends a command to `dev-1`; tells what became of it. Throws when it is not taken. */
export function command(listener: MqttListener, payload: string): Promise<DeliveryOutcome> {
  return new Promise((resolve) => {
    if (listener.sendCommand(1, Buffer.from(payload), resolve)) return;
    throw new Error('the command was not taken');
  });
}

/** A CONNECT of `dev-1` that is accepted, with changes. */
export function connectPacket(version: 4 | 5, changes: Partial<IConnectPacket> = {}): Buffer {
  const packet: IConnectPacket = {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: version,
    clean: true,
    clientId: 'tracker',
    keepalive: 0,
    username: 'dev-1',
    password: Buffer.from(PASSWORD),
    ...changes,
  };
  return generate(packet);
}

/** A PUBLISH of quality of service 1 to a topic of `dev-1`, or of 0 when `messageId` is 0. */
export function publishPacket(
  version: 4 | 5,
  messageId: number,
  payload: string | Buffer = '{}',
  topic = 'v1/devices/dev-1/fixes',
): Buffer {
  const id = messageId === 0 ? { qos: 0 as const } : { qos: 1 as const, messageId };
  return generate(
    { cmd: 'publish', topic, payload, dup: false, retain: false, ...id },
    { protocolVersion: version },
  );
}

/** A client that sends whatever it is told, and reads packets one by one. */
export class RawClient {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  isClosed = false;
  readonly #packets: Packet[] = [];
  readonly #watch = new Watch();

  constructor(socket: Socket, version: 4 | 5) {
    this.socket = socket;
    const codec = parser({ protocolVersion: version });
    codec.on('packet', (packet) => {
      this.#packets.push(packet);
      this.#watch.changed();
    });
    socket.on('data', (chunk: Buffer) => codec.parse(chunk));
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.isClosed = true;
        this.#watch.changed();
        resolve();
      });
    });
  }

  send(...parts: Buffer[]): this {
    this.socket.write(Buffer.concat(parts));
    return this;
  }

  /** The next packet, or null when the connection closed without one. */
  async next(): Promise<Packet | null> {
    await this.#watch.until(() => this.#packets.length > 0 || this.isClosed);
    return this.#packets.shift() ?? null;
  }

  /** The next packets, `count` of them. */
  async take(count: number): Promise<(Packet | null)[]> {
    const packets: (Packet | null)[] = [];
    while (packets.length < count) packets.push(await this.next());
    return packets;
  }

  /** Packets that have come and were not asked for. */
  get unread(): readonly Packet[] {
    return this.#packets;
  }
}

/** Opens a socket to the listener, and closes it when the test ends. */
export async function openRaw(t: Test, port: number, version: 4 | 5 = 4): Promise<RawClient> {
  const socket = connectTcp({ host: HOST, port });
  const client = new RawClient(socket, version);
  t.teardown(() => {
    socket.destroy();
    return client.closed;
  });
  await once(socket, 'connect');
  return client;
}

/** Opens a socket and connects as `dev-1`; returns when CONNACK said yes. */
export async function openSession(
  t: Test,
  port: number,
  version: 4 | 5 = 4,
  changes: Partial<IConnectPacket> = {},
): Promise<RawClient> {
  const client = await openRaw(t, port, version);
  client.send(connectPacket(version, changes));
  const connack = await client.next();
  if (connack?.cmd !== 'connack' || (connack.returnCode ?? connack.reasonCode) !== 0) {
    throw new Error(`not connected: ${JSON.stringify(connack)}`);
  }
  return client;
}

export const PINGREQ = generate({ cmd: 'pingreq' });
