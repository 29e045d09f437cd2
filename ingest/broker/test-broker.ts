/**
 * For the tests of this folder: a broker whose every packet the test decides, and a sink whose outcomes it decides.
 * Everything can be awaited, so no test waits for a time.
 */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { generate, parser, type IConnectPacket, type Packet } from 'mqtt-packet';
import type { Test } from 'tap';
import { BrokerClient, type BrokerClientOptions, type BrokerSink } from './client.ts';
import type { BrokerEndpoint, BrokerMessage } from './connection.ts';

/** Hands out what has come, or lets wait for it. */
class Mailbox<T> {
  #items: T[] = [];
  #waiting: ((item: T) => void)[] = [];

  put(item: T): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#items.push(item);
    else next(item);
  }

  take(): Promise<T> {
    const item = this.#items.shift();
    return item === undefined
      ? new Promise((resolve) => this.#waiting.push(resolve))
      : Promise.resolve(item);
  }

  get size(): number {
    return this.#items.length;
  }
}

/** One connection, from the broker's side. */
export class BrokerSide {
  readonly socket: Socket;
  readonly #packets = new Mailbox<Packet | null>();
  #version: 4 | 5 = 4;

  constructor(socket: Socket) {
    this.socket = socket;
    const codec = parser();
    codec.on('packet', (packet) => {
      if (packet.cmd === 'connect') this.#version = packet.protocolVersion === 5 ? 5 : 4;
      this.#packets.put(packet);
    });
    socket.on('data', (chunk: Buffer) => codec.parse(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => this.#packets.put(null));
  }

  /** The next packet, `null` when the connection has closed. */
  next(): Promise<Packet | null> {
    return this.#packets.take();
  }

  /** Packets that have come and were not asked for. */
  get unread(): number {
    return this.#packets.size;
  }

  /** The next packet must be of this type. */
  async expect<C extends Packet['cmd']>(cmd: C): Promise<Extract<Packet, { cmd: C }>> {
    const packet = await this.next();
    if (packet?.cmd !== cmd) throw new Error(`${cmd} expected, ${packet?.cmd ?? 'the end'} came`);
    return packet as Extract<Packet, { cmd: C }>;
  }

  /** Resolves when the connection has closed, whatever came before. */
  async closed(): Promise<void> {
    while ((await this.next()) !== null);
  }

  send(...packets: Packet[]): void {
    const bytes = packets.map((packet) => generate(packet, { protocolVersion: this.#version }));
    this.socket.write(Buffer.concat(bytes));
  }

  /** Takes CONNECT and answers yes. */
  async welcome(sessionPresent: boolean, properties = {}): Promise<IConnectPacket> {
    const connect = await this.expect('connect');
    const isVersion5 = this.#version === 5;
    const code = isVersion5 ? { reasonCode: 0, properties } : { returnCode: 0 };
    this.send({ cmd: 'connack', sessionPresent, ...code });
    return connect;
  }

  /** Takes SUBSCRIBE and answers with these codes. */
  async grant(codes?: number[]): Promise<string[]> {
    const { messageId, subscriptions } = await this.expect('subscribe');
    const granted = codes ?? subscriptions.map(({ qos }) => qos);
    this.send({ cmd: 'suback', messageId: messageId!, granted });
    return subscriptions.map(({ topic }) => topic);
  }

  publish(messageId: number, payload = 'x', more: { qos?: 0 | 1 | 2; dup?: boolean } = {}): void {
    const { qos = 1, dup = false } = more;
    const id = qos === 0 ? {} : { messageId };
    this.send({ cmd: 'publish', topic: 'a/b', payload, qos, dup, retain: false, ...id });
  }
}

export interface FakeBroker {
  readonly port: number;
  /** The next connection. */
  next(): Promise<BrokerSide>;
}

/** Listens on a port that the kernel chose, until the test ends. */
export async function startFakeBroker(t: Test, tls: TlsOptions | null = null): Promise<FakeBroker> {
  const sides = new Mailbox<BrokerSide>();
  const open = new Set<Socket>();
  const onSocket = (socket: Socket): void => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    sides.put(new BrokerSide(socket));
  };
  const server: Server = tls === null ? createServer(onSocket) : createTlsServer(tls, onSocket);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of open) socket.destroy();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return { port: (server.address() as AddressInfo).port, next: () => sides.take() };
}

/** Keeps messages until the test settles them. */
export class FakeSink implements BrokerSink {
  isFull = false;
  readonly taken: { message: BrokerMessage; done: (stored: boolean) => void }[] = [];
  readonly #arrivals = new Mailbox<true>();
  #resumes: (() => void)[] = [];

  take(message: BrokerMessage, done: (stored: boolean) => void): void {
    this.taken.push({ message, done });
    this.#arrivals.put(true);
  }

  onceDrained(resume: () => void): void {
    if (this.isFull) this.#resumes.push(resume);
    else resume();
  }

  drain(): void {
    this.isFull = false;
    for (const resume of this.#resumes.splice(0)) resume();
  }

  /** Callbacks that wait for room. */
  get waiting(): number {
    return this.#resumes.length;
  }

  /** Waits for so many more messages. */
  async arrived(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.#arrivals.take();
  }
}

export interface TestClient {
  readonly client: BrokerClient;
  readonly sink: FakeSink;
  readonly refused: string[];
  readonly logged: string[];
}

/** A client of this broker, started, and stopped when the test ends. */
export function startClient(
  t: Test,
  port: number,
  endpoint: Partial<BrokerEndpoint> = {},
  changes: Partial<BrokerClientOptions> = {},
): TestClient {
  const sink = new FakeSink();
  const refused: string[] = [];
  const logged: string[] = [];
  const log = (_fields: object, message: string): unknown => logged.push(message);
  const client = new BrokerClient({
    endpoint: {
      host: '127.0.0.1',
      port,
      tls: null,
      clientId: 'milepost',
      username: undefined,
      password: undefined,
      ...endpoint,
    },
    filters: ['a/#'],
    qos: 1,
    inFlightMax: 10,
    sink,
    log: { info: log, warn: log, error: log },
    metrics: { refused: (_source, reason) => refused.push(reason) },
    ...changes,
  });
  client.start();
  t.teardown(() => client.stop(AbortSignal.abort()));
  return { client, sink, refused, logged };
}
