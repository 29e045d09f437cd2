/**
 * One connection to a broker, from the first SYN to the close: CONNECT, SUBSCRIBE, messages in, acknowledgements out.
 * Knows the packets of 3.1.1 and 5.0; refuses to know topics, what becomes of a message, and when to connect again.
 *
 * States and the ways out:
 * - `greeting`: CONNECT is sent, CONNACK awaited. → `open` · `closed` (refused, silent, broken).
 * - `open`: messages are taken. → `closing` (`close`) · `closed` (DISCONNECT, silence, anything malformed).
 * - `closing`: last acknowledgements and DISCONNECT are on their way. → `closed`, at the latest after CLOSE_MS_MAX.
 * - `closed`: `onClosed` has been called, once; what is settled later leads to nothing.
 *
 * The socket is read only while no hold is on it. Held or not, it is pinged: a broker that hears nothing gives us up.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions as TlsOptions } from 'node:tls';
import { generate, parser, type IConnackPacket, type Packet } from 'mqtt-packet';
import { Acks } from './acks.ts';
import {
  BROKER_ANSWER_MS_MAX,
  BROKER_CLOSE_MS_MAX,
  BROKER_KEEP_ALIVE_S,
  BROKER_PACKET_BYTES_MAX,
  BROKER_SESSION_EXPIRY_S,
  BROKER_WRITE_BUFFER_BYTES_MAX,
} from './limits.ts';
import { PacketCutter, readPublish } from './packets.ts';

export type Version = 4 | 5;

/** Where a broker is and who we are to it. */
export interface BrokerEndpoint {
  readonly host: string;
  readonly port: number;
  /** `null`: plain TCP. */
  readonly tls: TlsOptions | null;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Buffer | undefined;
}

/** One message as the broker sent it. */
export interface BrokerMessage {
  readonly topic: string;
  /** A view of what was read, or the beginning of a message that is longer than the limit. */
  readonly payload: Buffer;
  readonly isCut: boolean;
  /** Epoch milliseconds. */
  readonly receivedMs: number;
}

/** What the broker said to a CONNECT that it accepted. */
export interface BrokerWelcome {
  /** It still has the session of this client id, with its subscriptions and what was not acknowledged. */
  readonly sessionPresent: boolean;
  /** 5.0: how long it keeps the session, where that is not as long as asked. */
  readonly sessionExpiryS: number | null;
}

/** Why a connection is over. */
export interface BrokerEnd {
  readonly reason: string;
  /** CONNACK said yes before. */
  readonly wasOpen: boolean;
  /**
   * What it says of the version of MQTT: `refused`, the broker does not speak it; `unanswered`, the broker went away over
   * our CONNECT, as old ones do that do not know the version; `no_doubt`, nothing.
   */
  readonly version: 'refused' | 'unanswered' | 'no_doubt';
}

export interface BrokerEvents {
  readonly onOpen: (welcome: BrokerWelcome) => void;
  /** Granted qualities of service, or reason codes ≥ 0x80, one for each filter of the last `subscribe`. */
  readonly onSubscribed: (codes: readonly number[]) => void;
  /**
   * `done(true)` after the commit; `done(false)` when it will not be stored now, which ends the connection, as a broker
   * sends again only on the next one.
   */
  readonly onMessage: (message: BrokerMessage, done: (stored: boolean) => void) => void;
  readonly onClosed: (end: BrokerEnd) => void;
}

/** Characters of the broker's own words that are passed on. */
const REASON_CHARS_MAX = 200;

const HOLD_SINK = 1;
const HOLD_WINDOW = 2;
const HOLD_STOPPING = 4;

const PUBLISH = 3;
const PINGREQ = generate({ cmd: 'pingreq' });
/** Only one SUBSCRIBE is ever under way. */
const SUBSCRIBE_PACKET_ID = 1;
/** 3.1.1 and 5.0 each have a code for it. */
const VERSION_REFUSED_311 = 0x01;
const VERSION_REFUSED = 0x84;

export class BrokerConnection {
  readonly #endpoint: BrokerEndpoint;
  readonly #version: Version;
  readonly #inFlightMax: number;
  readonly #events: BrokerEvents;
  readonly #socket: Socket;
  readonly #cutter = new PacketCutter(BROKER_PACKET_BYTES_MAX);
  readonly #codec;
  readonly #acks = new Acks((bytes) => this.#write(bytes));
  #state: 'greeting' | 'open' | 'closing' | 'closed' = 'greeting';
  #wasOpen = false;
  #versionEnd: BrokerEnd['version'] = 'no_doubt';
  #reason: string | null = null;
  #holds = 0;
  #reading = false;
  #paused = false;
  #heardMs = performance.now();
  #answerTimer: NodeJS.Timeout | null = null;
  #pingTimer: NodeJS.Timeout | null = null;

  /** Begins to connect. `inFlightMax` messages, 1 to 65,535, may wait for their commit. */
  constructor(
    endpoint: BrokerEndpoint,
    version: Version,
    inFlightMax: number,
    events: BrokerEvents,
  ) {
    this.#endpoint = endpoint;
    this.#version = version;
    this.#inFlightMax = inFlightMax;
    this.#events = events;
    this.#codec = parser({ protocolVersion: version });
    this.#codec.on('packet', (packet) => this.#control(packet));
    this.#codec.on('error', (error: Error) => this.#fail(`malformed: ${error.message}`));
    this.#socket = this.#open();
    this.#await('CONNACK');
  }

  /** Messages that wait for their commit. */
  get inFlight(): number {
    return this.#acks.count;
  }

  /** Reads no more until `release`. */
  hold(): void {
    this.#hold(HOLD_SINK);
  }

  /** Reads on after `hold`. */
  release(): void {
    this.#release(HOLD_SINK);
  }

  /** Reads no more, for good. What was taken is still acknowledged. */
  stopReading(): void {
    this.#hold(HOLD_STOPPING);
  }

  /** Asks for these filters; the answer is `onSubscribed`. To be called once `onOpen` was, and not before an answer. */
  subscribe(filters: readonly string[], qos: 1 | 2): void {
    const isVersion5 = this.#version === 5;
    this.#send({
      cmd: 'subscribe',
      messageId: SUBSCRIBE_PACKET_ID,
      // Retain handling 1: retained messages come with a new subscription only, and not with each reconnect.
      subscriptions: filters.map((topic) => ({ topic, qos, ...(isVersion5 && { rh: 1 }) })),
    });
    this.#await('SUBACK');
  }

  /**
   * Waits until every message that was taken is settled or the deadline passes, then acknowledges and closes. The session
   * stays with the broker: what is not acknowledged comes again.
   */
  async close(deadline: AbortSignal): Promise<void> {
    this.stopReading();
    await new Promise<void>((resolve) => {
      if (deadline.aborted || this.#state !== 'open') return resolve();
      deadline.addEventListener('abort', () => resolve(), { once: true });
      this.#socket.once('close', () => resolve());
      this.#acks.onceIdle(resolve);
    });
    if (this.#state !== 'open') {
      this.#fail('stopped');
      return;
    }
    this.#acks.flush();
    this.#state = 'closing';
    this.#reason = 'stopped';
    this.#send({ cmd: 'disconnect', ...(this.#version === 5 && { reasonCode: 0 }) });
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#socket.destroy(), BROKER_CLOSE_MS_MAX);
      this.#socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      this.#socket.end();
      // Unread bytes would hold back the news that the broker has closed.
      this.#socket.resume();
    });
  }

  #open(): Socket {
    const { host, port, tls } = this.#endpoint;
    const address = { host, port, noDelay: true, keepAlive: true };
    const socket = tls === null ? connectTcp(address) : connectTls({ ...address, ...tls });
    socket.once(tls === null ? 'connect' : 'secureConnect', () => this.#greet());
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error: Error) => (this.#reason ??= error.message));
    socket.on('close', () => this.#closed());
    return socket;
  }

  #greet(): void {
    this.#versionEnd = 'unanswered';
    const { clientId, username, password } = this.#endpoint;
    this.#send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: this.#version,
      clean: false,
      clientId,
      keepalive: BROKER_KEEP_ALIVE_S,
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
      ...(this.#version === 5 && {
        properties: {
          sessionExpiryInterval: BROKER_SESSION_EXPIRY_S,
          receiveMaximum: this.#inFlightMax,
        },
      }),
    });
  }

  #take(chunk: Buffer): void {
    this.#heardMs = performance.now();
    if (this.#state === 'closing' || this.#state === 'closed') return;
    this.#cutter.push(chunk);
    this.#read();
  }

  #read(): void {
    if (this.#reading) return;
    this.#reading = true;
    const receivedMs = Date.now();
    while (this.#holds === 0 && (this.#state === 'greeting' || this.#state === 'open')) {
      const result = this.#cutter.next();
      if (result === 'more') break;
      if (result === 'malformed') this.#fail('malformed: no packet begins like this');
      else if (this.#cutter.type === PUBLISH) this.#publish(receivedMs);
      else this.#parse();
    }
    this.#reading = false;
    this.#syncPause();
  }

  #parse(): void {
    try {
      this.#codec.parse(this.#cutter.packet);
    } catch (error) {
      this.#fail(`malformed: ${(error as Error).message}`);
    }
  }

  #publish(receivedMs: number): void {
    const { isCut } = this.#cutter;
    const publish = readPublish(this.#cutter, this.#version === 5);
    if (publish === null || this.#state !== 'open') {
      this.#fail('malformed: a PUBLISH that is none');
      return;
    }
    const { topic, payload, packetId, qos } = publish;
    const waiting = this.#acks.add(packetId, qos);
    if (waiting === null) return;
    this.#events.onMessage({ topic, payload, isCut, receivedMs }, (stored) => {
      if (this.#state === 'closed') return;
      if (!stored) {
        this.#fail('a message could not be stored; it is asked for again');
        return;
      }
      this.#acks.settle(waiting);
      if (this.#acks.count <= this.#inFlightMax >> 1) this.#release(HOLD_WINDOW);
    });
    if (this.#acks.count >= this.#inFlightMax) this.#hold(HOLD_WINDOW);
  }

  #control(packet: Packet): void {
    if (this.#state === 'greeting') {
      if (packet.cmd === 'connack') this.#welcome(packet);
      else this.#fail(`malformed: ${packet.cmd} before CONNACK`);
      return;
    }
    switch (packet.cmd) {
      case 'pubrel':
        // Whether we still know the identifier or not: its message is stored, and that is all it asks.
        this.#send({ cmd: 'pubcomp', messageId: packet.messageId! });
        break;
      case 'suback':
        this.#clearAnswerTimer();
        this.#events.onSubscribed(packet.granted as number[]);
        break;
      case 'disconnect':
        this.#fail(`the broker disconnects: ${codeText(packet.reasonCode, packet.properties)}`);
        break;
      case 'pingresp':
        break;
      default:
        this.#fail(`malformed: an unexpected ${packet.cmd}`);
    }
  }

  #welcome({ returnCode, reasonCode, sessionPresent, properties }: IConnackPacket): void {
    const code = reasonCode ?? returnCode;
    const isRefused = code === VERSION_REFUSED || code === VERSION_REFUSED_311;
    if (code !== undefined) this.#versionEnd = isRefused ? 'refused' : 'no_doubt';
    if (code !== 0) {
      this.#fail(`the broker refuses us: ${codeText(code, properties)}`);
      return;
    }
    this.#clearAnswerTimer();
    this.#state = 'open';
    this.#wasOpen = true;
    // 0 switches its own watch off; ours goes on.
    this.#startPings(properties?.serverKeepAlive || BROKER_KEEP_ALIVE_S);
    const sessionExpiryS = properties?.sessionExpiryInterval ?? null;
    this.#events.onOpen({ sessionPresent, sessionExpiryS });
  }

  #startPings(keepAliveS: number): void {
    this.#pingTimer = setInterval(() => {
      // What is not read says nothing.
      if (this.#holds !== 0) this.#heardMs = performance.now();
      if (performance.now() - this.#heardMs > keepAliveS * 1_500)
        this.#fail('the broker is silent');
      else this.#write(PINGREQ);
    }, keepAliveS * 500);
  }

  #hold(hold: number): void {
    this.#holds |= hold;
    this.#syncPause();
  }

  #release(hold: number): void {
    if ((this.#holds & hold) === 0) return;
    this.#holds &= ~hold;
    if (this.#holds !== 0) return;
    this.#heardMs = performance.now();
    this.#read();
  }

  #syncPause(): void {
    if (this.#reading || this.#state === 'closing') return;
    const shouldPause = this.#holds !== 0;
    if (shouldPause === this.#paused) return;
    this.#paused = shouldPause;
    if (shouldPause) this.#socket.pause();
    else this.#socket.resume();
  }

  #send(packet: Packet): void {
    this.#write(generate(packet, { protocolVersion: this.#version }));
  }

  #write(bytes: Buffer): void {
    if (!this.#socket.writable) return;
    this.#socket.write(bytes);
    if (this.#socket.writableLength > BROKER_WRITE_BUFFER_BYTES_MAX) {
      this.#fail('the broker does not read');
    }
  }

  #await(packet: string): void {
    this.#clearAnswerTimer();
    this.#answerTimer = setTimeout(() => {
      // It may lie unread in the kernel.
      if (this.#holds !== 0) this.#await(packet);
      else this.#fail(`no ${packet} came`);
    }, BROKER_ANSWER_MS_MAX);
  }

  #clearAnswerTimer(): void {
    if (this.#answerTimer !== null) clearTimeout(this.#answerTimer);
    this.#answerTimer = null;
  }

  #fail(reason: string): void {
    this.#reason ??= reason;
    // Acknowledgements that are due save the broker from sending what is stored.
    this.#acks.flush();
    this.#socket.destroy();
    this.#closed();
  }

  #closed(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#clearAnswerTimer();
    if (this.#pingTimer !== null) clearInterval(this.#pingTimer);
    this.#events.onClosed({
      reason: this.#reason ?? 'the broker closed the connection',
      wasOpen: this.#wasOpen,
      version: this.#versionEnd,
    });
  }
}

/** A reason code as people write it. */
export function hexCode(code: number): string {
  return `0x${code.toString(16).padStart(2, '0')}`;
}

function codeText(
  code: number | undefined,
  properties: { reasonString?: string } | undefined,
): string {
  const hex = code === undefined ? 'no code' : hexCode(code);
  const said = properties?.reasonString;
  return said === undefined ? hex : `${hex} ${said.slice(0, REASON_CHARS_MAX)}`;
}
