/**
 * A tracker on MQTT: keeps every message until it is acknowledged, connects again by itself, and then sends again what
 * was not, in its old order. An acknowledgement is a PUBACK, or the PUBREC of quality of service 2. Knows packets and one
 * socket at a time; refuses to know what the messages hold.
 *
 * States: offline (a timer runs) → connecting → open → offline; any of them → stopped, which is final.
 */
import { connect, type Socket } from 'node:net';
import { generate, parser, type IConnackPacket, type Packet } from 'mqtt-packet';
import type { Random } from '../demo/random.ts';

export interface MqttDeviceOptions {
  /** Counts from 0. */
  readonly unit: number;
  readonly device: string;
  readonly token: string;
  readonly version: 4 | 5;
  readonly qos: 1 | 2;
  /** Messages that may wait for their acknowledgement; a server of 5.0 may ask for less. */
  readonly window: number;
  readonly keepAliveS: number;
  /** Connects anew when nothing was heard for so long while something waits; `null`: never. */
  readonly impatientMs: number | null;
  readonly port: number;
  readonly random: Random;
  /** The next message, which the device from then on keeps; `null`: none for now. */
  readonly next: () => { readonly topic: string; readonly payload: string } | null;
  /** Called whenever the n-th message of `next` goes out. */
  readonly onSent: (index: number) => void;
  /** Called once a message. `refused`: the answer says that it will never be stored. */
  readonly onAnswered: (index: number, refused: boolean) => void;
}

interface Kept {
  readonly index: number;
  readonly topic: string;
  readonly payload: string;
  /** It went out before, on another connection. */
  isRepeat: boolean;
}

const RECONNECT_MS = [20, 250] as const;
const PACKET_IDS = 65_535;
const REFUSED = 0x80;

export class MqttDevice {
  /** Connections that were made and accepted. */
  connectCount = 0;
  private readonly options: MqttDeviceOptions;
  private socket: Socket | null = null;
  private isOpen = false;
  private isStopped = false;
  private readonly kept = new Map<number, Kept>();
  /** Of quality 2: taken over by the server, and not yet let go. */
  private readonly released = new Set<number>();
  private nextIndex = 0;
  private lastId = 0;
  private window: number;
  private heardMs = 0;
  private timer: NodeJS.Timeout | null = null;
  private pinger: NodeJS.Timeout | null = null;

  constructor(options: MqttDeviceOptions) {
    this.options = options;
    this.window = options.window;
  }

  get unit(): number {
    return this.options.unit;
  }

  /** Messages that have no acknowledgement yet. */
  get waitingCount(): number {
    return this.kept.size;
  }

  start(): void {
    if (this.isStopped || this.socket !== null) return;
    const socket = connect({ port: this.options.port, host: '127.0.0.1', noDelay: true });
    this.socket = socket;
    const { version } = this.options;
    const reader = parser({ protocolVersion: version });
    reader.on('packet', (packet) => this.take(packet));
    reader.on('error', () => socket.destroy());
    socket.on('connect', () => this.signIn(socket));
    socket.on('data', (chunk) => {
      this.heardMs = performance.now();
      reader.parse(chunk);
    });
    socket.on('drain', () => this.pump());
    socket.on('error', () => undefined);
    socket.on('close', () => this.closed(socket));
  }

  /** Sends what `next` gives, as long as the window and the socket have room. */
  pump(): void {
    while (this.isOpen && this.kept.size < this.window && !this.socket!.writableNeedDrain) {
      const message = this.options.next();
      if (message === null) return;
      const kept = { index: this.nextIndex++, ...message, isRepeat: false };
      const id = this.freeId();
      this.kept.set(id, kept);
      this.publish(id, kept);
    }
  }

  /** The connection has died without a word: it is left as it is, and another one made. */
  abandonSocket(): void {
    this.loseSocket();
    this.reconnect();
  }

  /** The same, and nothing more until `start`. */
  loseSocket(): void {
    const { socket } = this;
    if (socket === null) return;
    socket.removeAllListeners('data').on('data', () => undefined);
    this.forget(socket);
  }

  stop(): void {
    this.isStopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    if (this.isOpen) this.send({ cmd: 'disconnect' });
    this.socket?.end();
    if (this.socket !== null) this.forget(this.socket);
  }

  private signIn(socket: Socket): void {
    const { device, token, version, keepAliveS } = this.options;
    const packet: Packet = {
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: version,
      clean: false,
      clientId: device,
      keepalive: keepAliveS,
      username: device,
      password: Buffer.from(token),
      ...(version === 5 ? { properties: { sessionExpiryInterval: 3_600 } } : {}),
    };
    socket.write(generate(packet, { protocolVersion: version }));
  }

  private take(packet: Packet): void {
    switch (packet.cmd) {
      case 'connack':
        this.welcomed(packet);
        break;
      case 'puback':
        this.answered(packet.messageId!, (packet.reasonCode ?? 0) >= REFUSED);
        break;
      case 'pubrec':
        this.answered(packet.messageId!, (packet.reasonCode ?? 0) >= REFUSED);
        if ((packet.reasonCode ?? 0) >= REFUSED) break;
        this.released.add(packet.messageId!);
        this.send({ cmd: 'pubrel', messageId: packet.messageId! });
        break;
      case 'pubcomp':
        this.released.delete(packet.messageId!);
        break;
      default:
        break;
    }
    this.pump();
  }

  private welcomed(connack: IConnackPacket): void {
    const code = this.options.version === 5 ? connack.reasonCode : connack.returnCode;
    if (code !== 0) {
      this.socket?.destroy();
      return;
    }
    const { receiveMaximum } = connack.properties ?? {};
    this.window = Math.min(this.options.window, receiveMaximum ?? Infinity);
    this.connectCount += 1;
    this.isOpen = true;
    this.heardMs = performance.now();
    this.pinger = setInterval(() => this.tend(), (this.options.keepAliveS * 1_000) / 2);
    if (connack.sessionPresent) {
      for (const messageId of this.released) this.send({ cmd: 'pubrel', messageId });
    } else this.released.clear();
    for (const [id, kept] of this.kept) {
      kept.isRepeat = connack.sessionPresent;
      this.publish(id, kept);
    }
  }

  /** Keeps the connection alive, or gives it up. */
  private tend(): void {
    const { impatientMs } = this.options;
    const isOverdue =
      this.kept.size > 0 && performance.now() - this.heardMs > (impatientMs ?? 1e12);
    if (isOverdue) this.socket?.resetAndDestroy();
    else this.send({ cmd: 'pingreq' });
  }

  private publish(messageId: number, { index, topic, payload, isRepeat }: Kept): void {
    const { qos } = this.options;
    this.options.onSent(index);
    this.send({ cmd: 'publish', qos, dup: isRepeat, retain: false, messageId, topic, payload });
  }

  private answered(id: number, refused: boolean): void {
    const kept = this.kept.get(id);
    if (kept === undefined) return;
    this.kept.delete(id);
    this.options.onAnswered(kept.index, refused);
  }

  private send(packet: Packet): void {
    this.socket?.write(generate(packet, { protocolVersion: this.options.version }));
  }

  private freeId(): number {
    do this.lastId = (this.lastId % PACKET_IDS) + 1;
    while (this.kept.has(this.lastId) || this.released.has(this.lastId));
    return this.lastId;
  }

  private closed(socket: Socket): void {
    if (this.socket !== socket) return;
    this.forget(socket);
    this.reconnect();
  }

  private forget(socket: Socket): void {
    if (this.socket !== socket) return;
    this.socket = null;
    this.isOpen = false;
    if (this.pinger !== null) clearInterval(this.pinger);
  }

  private reconnect(): void {
    if (this.isStopped) return;
    const ms = this.options.random.between(...RECONNECT_MS);
    this.timer = setTimeout(() => this.start(), ms);
  }
}
