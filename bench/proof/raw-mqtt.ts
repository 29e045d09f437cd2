/**
 * An MQTT client that says exactly what it is told to, packet by packet, and shows what is answered. For the things that
 * a well-made client does not do, and for the codes that it hides.
 */
import { connect, type Socket } from 'node:net';
import {
  generate,
  parser,
  type IConnackPacket,
  type IPublishPacket,
  type Packet,
} from 'mqtt-packet';

export type Version = 4 | 5;

export class RawMqtt {
  private readonly version: Version;
  private readonly socket: Socket;
  private readonly packets: Packet[] = [];
  private isClosed = false;
  private wake: () => void = () => undefined;

  private constructor(socket: Socket, version: Version) {
    this.socket = socket;
    this.version = version;
    const reader = parser({ protocolVersion: version });
    reader.on('packet', (packet) => {
      this.packets.push(packet);
      this.wake();
    });
    socket.on('data', (chunk) => reader.parse(chunk));
    // What is refused may be answered by a reset; the end is what counts.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.isClosed = true;
      this.wake();
    });
  }

  /** Connects and signs in; the answer says whether it may stay. */
  static async signIn(options: {
    readonly url: string;
    readonly version: Version;
    readonly username: string;
    readonly password: string;
  }): Promise<{ client: RawMqtt; connack: IConnackPacket }> {
    const { hostname, port } = new URL(options.url);
    const socket = connect({ host: hostname, port: Number(port) });
    const client = new RawMqtt(socket, options.version);
    client.send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: options.version,
      clean: true,
      clientId: options.username,
      keepalive: 60,
      username: options.username,
      password: Buffer.from(options.password),
    });
    const connack = await client.next();
    if (connack?.cmd !== 'connack') throw new Error(`no CONNACK but ${connack?.cmd ?? 'the end'}`);
    return { client, connack };
  }

  send(packet: Packet): void {
    this.socket.write(generate(packet, { protocolVersion: this.version }));
  }

  publish(messageId: number, topic: string, payload: string | Buffer): void {
    const packet: IPublishPacket = {
      cmd: 'publish',
      qos: 1,
      dup: false,
      retain: false,
      messageId,
      topic,
      payload,
    };
    this.send(packet);
  }

  /** The next packet, or null when the connection has ended without one. */
  async next(): Promise<Packet | null> {
    while (this.packets.length === 0 && !this.isClosed) {
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    return this.packets.shift() ?? null;
  }

  end(): void {
    this.socket.destroy();
  }
}
