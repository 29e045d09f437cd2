/**
 * For the conformance tests: MQTT as bytes, written and read by hand, so that nothing which the listener uses itself
 * stands between a test and the wire. Numbers are written as hex with spaces, text in single quotes.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect as connectTcp } from 'node:net';
import type { Test } from 'tap';
import type { MqttLimits } from '../limits.ts';
import { PASSWORD, startListener, Watch, type Started } from '../test-listener.ts';

export type Version = 4 | 5;

export const FIXES = 'v1/devices/dev-1/fixes';
export const COMMANDS = 'v1/devices/dev-1/commands';
export const PINGREQ = hex('c0 00');

/** Bytes from hex and quoted text. */
export function hex(text: string): Buffer {
  const parts = text.match(/'[^']*'|[0-9a-f]{2}/g) ?? [];
  return Buffer.concat(
    parts.map((part) =>
      part.startsWith("'") ? Buffer.from(part.slice(1, -1)) : Buffer.from(part, 'hex'),
    ),
  );
}

/** A whole packet: its first byte, the length, its body. */
export function packet(first: number, ...body: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat(body);
  return Buffer.concat([Buffer.from([first]), varint(bytes.length), bytes]);
}

export function varint(value: number): Buffer {
  const digits: number[] = [];
  let rest = value;
  do {
    const digit = rest % 128;
    rest = Math.floor(rest / 128);
    digits.push(rest > 0 ? digit | 0x80 : digit);
  } while (rest > 0);
  return Buffer.from(digits);
}

/** Text or bytes behind their two-byte length. */
export function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u16(bytes.length), bytes]);
}

export function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

/** A property list of 5.0 from its bytes; nothing in 3.1.1. */
export function properties(version: Version, text = ''): Buffer {
  if (version === 4) return hex('');
  const bytes = hex(text);
  return Buffer.concat([varint(bytes.length), bytes]);
}

export interface ConnectChanges {
  readonly flags?: number;
  readonly keepAliveS?: number;
  readonly clientId?: string;
  readonly properties?: string;
  /** Will properties, topic and payload; sets the flag. */
  readonly will?: { readonly properties?: string; readonly topic?: string; readonly qos?: number };
  readonly clean?: boolean;
  readonly username?: string;
}

/** A CONNECT of `dev-1`, clean and without keep-alive, with changes. */
export function connect(version: Version, changes: ConnectChanges = {}): Buffer {
  const { will, clean = true, username = 'dev-1', clientId = 'tracker' } = changes;
  const willFlags = will === undefined ? 0 : 0x04 | ((will.qos ?? 0) << 3);
  const flags = changes.flags ?? 0xc0 | (clean ? 0x02 : 0) | willFlags;
  const willFields =
    will === undefined
      ? []
      : [properties(version, will.properties), field(will.topic ?? 'bye'), field('gone')];
  return packet(
    0x10,
    field('MQTT'),
    Buffer.from([version, flags]),
    u16(changes.keepAliveS ?? 0),
    properties(version, changes.properties),
    field(clientId),
    ...willFields,
    field(username),
    field(PASSWORD),
  );
}

export interface PublishChanges {
  readonly qos?: 0 | 1 | 2;
  readonly id?: number;
  /** Bits of DUP and RETAIN. */
  readonly flags?: number;
  readonly topic?: string;
  readonly payload?: string;
  readonly properties?: string;
}

/** A PUBLISH to the fixes of `dev-1`, of quality of service 1 with identifier 1, with changes. */
export function publish(version: Version, changes: PublishChanges = {}): Buffer {
  const { qos = 1, id = 1, flags = 0, topic = FIXES, payload = '{}' } = changes;
  return packet(
    0x30 | (qos << 1) | flags,
    field(topic),
    qos === 0 ? hex('') : u16(id),
    properties(version, changes.properties),
    Buffer.from(payload),
  );
}

/** A SUBSCRIBE with filters and their option bytes. */
export function subscribe(
  version: Version,
  filters: readonly (readonly [string, number])[],
  options: { readonly id?: number; readonly properties?: string } = {},
): Buffer {
  return packet(
    0x82,
    u16(options.id ?? 1),
    properties(version, options.properties),
    ...filters.flatMap(([filter, option]) => [field(filter), Buffer.from([option])]),
  );
}

export function unsubscribe(version: Version, filters: readonly string[], id = 1): Buffer {
  return packet(0xa2, u16(id), properties(version), ...filters.map(field));
}

/** PUBACK, PUBREC, PUBREL or PUBCOMP by its first byte, for success or with a reason code. */
export function ack(first: number, id: number, reasonCode?: number): Buffer {
  return packet(first, u16(id), reasonCode === undefined ? hex('') : Buffer.from([reasonCode]));
}

export function disconnect(version: Version, body = ''): Buffer {
  return packet(0xe0, version === 4 ? hex('') : hex(body));
}

/** A packet as it came: all of it, and from where its body begins. */
export interface Seen {
  readonly type: number;
  readonly flags: number;
  readonly body: Buffer;
  /** All bytes, as hex without spaces. */
  readonly hex: string;
}

/** A client that reads whole packets and nothing of their meaning. */
export class Wire {
  readonly socket: Socket;
  isClosed = false;
  #bytes: Buffer = Buffer.alloc(0);
  readonly #watch = new Watch();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#watch.changed();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.isClosed = true;
      this.#watch.changed();
    });
  }

  send(...parts: readonly Buffer[]): this {
    this.socket.write(Buffer.concat(parts));
    return this;
  }

  /** The next packet, or null when the connection was closed instead. */
  async next(): Promise<Seen | null> {
    await this.#watch.until(() => this.#packetBytes() > 0 || this.isClosed);
    const total = this.#packetBytes();
    if (total === 0) return null;
    const bytes = this.#bytes.subarray(0, total);
    this.#bytes = this.#bytes.subarray(total);
    let bodyStart = 1;
    while (bytes[bodyStart++]! >= 0x80);
    const first = bytes[0]!;
    return {
      type: first >> 4,
      flags: first & 0x0f,
      body: bytes.subarray(bodyStart),
      hex: bytes.toString('hex'),
    };
  }

  /** The next packets as hex, `count` of them. */
  async hexes(count: number): Promise<(string | undefined)[]> {
    const found: (string | undefined)[] = [];
    while (found.length < count) found.push((await this.next())?.hex);
    return found;
  }

  /** 0 while no packet is whole. */
  #packetBytes(): number {
    let length = 0;
    for (let i = 1; i < Math.min(this.#bytes.length, 5); i++) {
      length += (this.#bytes[i]! & 0x7f) * 128 ** (i - 1);
      if (this.#bytes[i]! >= 0x80) continue;
      return this.#bytes.length > i + length ? i + 1 + length : 0;
    }
    return 0;
  }
}

/** A listener with clients. */
export interface Scene extends Started {
  readonly t: Test;
  readonly version: Version;
  /** A socket without a CONNECT. */
  raw(): Promise<Wire>;
  /** A client whose CONNECT was accepted. */
  open(changes?: ConnectChanges): Promise<Wire>;
}

/** Starts a listener whose sink stores everything at once. */
export async function openScene(
  t: Test,
  version: Version,
  limits: Partial<MqttLimits> = {},
): Promise<Scene> {
  const started = await startListener(t, { limits });
  started.sink.answer = () => ({ kind: 'stored' });
  const raw = async (): Promise<Wire> => {
    const socket = connectTcp({ host: '127.0.0.1', port: started.port });
    const wire = new Wire(socket);
    t.teardown(() => socket.destroy());
    await once(socket, 'connect');
    return wire;
  };
  const open = async (changes: ConnectChanges = {}): Promise<Wire> => {
    const wire = await raw();
    const connack = await wire.send(connect(version, changes)).next();
    if (connack?.type !== 2 || connack.body[1] !== 0) throw new Error(`refused: ${connack?.hex}`);
    return wire;
  };
  return { ...started, t, version, raw, open };
}

/** Checks that the connection ends: in 5.0 with this DISCONNECT, in 3.1.1 without a word. */
export async function expectEnd(
  { t, version }: Scene,
  wire: Wire,
  reasonCode: number,
  name = '',
): Promise<void> {
  if (version === 5) {
    const seen = await wire.next();
    t.same([seen?.type, seen?.body[0]], [14, reasonCode], `DISCONNECT ${name}`);
  }
  t.equal(await wire.next(), null, `closed ${name}`);
}

/** Checks that a CONNECT is refused with this code, or, where it is null, without a word. */
export async function expectRefusal(
  scene: Scene,
  bytes: Buffer,
  code: number | null,
  name = '',
): Promise<void> {
  const wire = (await scene.raw()).send(bytes);
  if (code !== null) {
    const seen = await wire.next();
    scene.t.same([seen?.type, seen?.body[0], seen?.body[1]], [2, 0, code], `CONNACK ${name}`);
  }
  scene.t.equal(await wire.next(), null, `closed ${name}`);
}

/** One statement of the standard, or some that go together, and how the listener is held to it. */
export interface Row {
  /** Numbers of statements of 3.1.1, with spaces between them. */
  readonly in311?: string;
  /** Numbers of statements of 5.0. */
  readonly in5?: string;
  readonly says: string;
  readonly limits?: Partial<MqttLimits>;
  readonly run: (scene: Scene) => Promise<void>;
}
