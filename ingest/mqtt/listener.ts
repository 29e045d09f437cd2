/**
 * The MQTT listener: a TCP server whose sockets are MQTT 3.1.1 and 5.0 connections. Knows how many sockets are open and
 * how to stop; refuses to know packets (session/), decoding and storage (the sink).
 *
 * States: `new` → (start) `listening` → (stopAccepting) `draining`: open connections go on, new ones are not taken
 * → (close) `closed`. `pauseReading` may come at any time and is for good.
 */
import assert from 'node:assert/strict';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { ADDRESS_CONNECTIONS, CONNECTIONS_MAX } from './faults.ts';
import type { MqttLimits } from './limits.ts';
import type { ConnectionContext } from './session/connection.ts';
import { Connection } from './session/connection.ts';
import { Guesses } from './session/guesses.ts';
import { KeepAliveWheel } from './session/keep-alive.ts';
import { Flusher } from './session/outbox.ts';
import { Sessions } from './session/sessions.ts';
import { SinkHolds } from './session/sink-holds.ts';
import type { DeliveryOutcome, Logger, MqttAuthenticate, MqttMetrics } from './sink.ts';
import type { MqttPeer, MqttSink, MqttWill } from './sink.ts';

/** Seconds of silence after which the kernel asks whether the peer still lives; finds the half-open sockets of clients without keep-alive. */
const TCP_KEEP_ALIVE_S = 60;
/** Connections the kernel holds that were not accepted yet: a fleet that reconnects at once. */
const BACKLOG_MAX = 4_096;

/** What a listener is made of. */
export interface MqttListenerOptions {
  readonly host: string;
  /** 0 lets the kernel choose; `start` says which. */
  readonly port: number;
  readonly limits: MqttLimits;
  readonly authenticate: MqttAuthenticate;
  readonly sink: MqttSink;
  readonly metrics: MqttMetrics;
  readonly log: Logger;
  /** A client has gone without taking leave, and left a will. Must not throw. */
  readonly onWill?: (will: MqttWill) => void;
  /**
   * The device can be sent commands: it subscribed, its session was resumed with a subscription, or there is room again
   * after `sendCommand` has refused one. Must not throw.
   */
  readonly onSubscribed?: (iotDeviceId: number) => void;
}

/** A listener that can be started and stopped once. */
export interface MqttListener {
  /** Listens. Rejects with the error of the operating system unchanged (`EADDRINUSE` when the port is taken). */
  start(): Promise<{ port: number }>;
  /** Sockets that are open now, authenticated or not. */
  readonly connectionCount: number;
  /** Sessions that are kept for clients which are away. */
  readonly awaySessionCount: number;
  /**
   * Takes a byte stream of another transport as a connection, under the same limits as the listener's own sockets. The
   * stream is the listener's from here on: it is read, paused, ended and destroyed by it. One that is over a limit is
   * destroyed at once. Backpressure is `pause` and `resume`; `writableLength` must tell what is not sent yet.
   */
  accept(stream: Duplex, peer: MqttPeer): void;
  /** Closes the connections of a device whose credential no longer holds (5.0: DISCONNECT 0x87), and ends its sessions. */
  disconnectDevice(iotDeviceId: number): void;
  /**
   * Publishes a command on `v1/devices/{device}/commands` to every client of the device that is connected and subscribed,
   * with the quality of service it was granted. `payload` must not be changed afterwards. `done` is called once, at the
   * earliest from within: `delivered` when the first client has acknowledged it (quality of service 0: when it was
   * written); `gone` when none is waited for any more. While a client is away and its session is kept, neither: the
   * packet goes again when it comes back, which may be as late as `sessionExpirySMax`; when the device subscribes with
   * another session meanwhile, the command is told to be gone. After `close` `done` is not called any more.
   * Returns false, and never calls `done`, when no client is connected and subscribed or none has room.
   */
  sendCommand(
    iotDeviceId: number,
    payload: Buffer,
    done: (outcome: DeliveryOutcome) => void,
  ): boolean;
  /** Takes no new connections, and refuses the CONNECT of those that have not sent it. Open ones go on. */
  stopAccepting(): void;
  /** Reads no more from any socket. Publishes already handed to the sink are still acknowledged. */
  pauseReading(): void;
  /**
   * Sends the acks that are due, tells 5.0 clients that the server shuts down, closes every connection and resolves when
   * all are gone, at the latest after `closeMsMax`. What is not acknowledged by then will be sent again by its client.
   */
  close(): Promise<void>;
}

/** Makes a listener; nothing happens until `start`. Limits out of their range throw. */
export function createMqttListener(options: MqttListenerOptions): MqttListener {
  return new Listener(options);
}

class Listener implements MqttListener {
  readonly #options: MqttListenerOptions;
  readonly #context: ConnectionContext;
  readonly #sessions: Sessions;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  readonly #countByAddress = new Map<string, number>();
  #accepting = true;
  #reading = true;
  #stopped: Promise<void> | null = null;
  #onEmpty = (): void => {};

  constructor(options: MqttListenerOptions) {
    checkLimits(options.limits);
    const { limits, authenticate, sink, metrics, log } = options;
    this.#options = options;
    this.#sessions = new Sessions(limits, {
      willDue: (will) => options.onWill?.(will),
      subscribed: (iotDeviceId) => options.onSubscribed?.(iotDeviceId),
    });
    this.#context = {
      limits,
      authenticate,
      sink,
      metrics,
      log,
      sessions: this.#sessions,
      sinkHolds: new SinkHolds(sink),
      guesses: new Guesses(limits),
      flusher: new Flusher(),
      keepAlive: new KeepAliveWheel(),
      isAccepting: () => this.#accepting,
    };
    const keepAliveInitialDelay = TCP_KEEP_ALIVE_S * 1_000;
    this.#server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay });
    this.#server.on('connection', (socket: Socket) => {
      this.accept(socket, { remoteAddress: socket.remoteAddress ?? '', certificateNames: null });
    });
  }

  start(): Promise<{ port: number }> {
    const { host, port, log } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port, backlog: BACKLOG_MAX }, () => {
        this.#server.off('error', reject);
        // Out of file descriptors, for one: that connection is lost, the listener is not.
        this.#server.on('error', (error) => log.error({ err: error }, 'MQTT accept failed'));
        resolve({ port: (this.#server.address() as AddressInfo).port });
      });
    });
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  get awaySessionCount(): number {
    return this.#sessions.awayCount;
  }

  disconnectDevice(iotDeviceId: number): void {
    this.#sessions.revoke(iotDeviceId);
  }

  sendCommand(
    iotDeviceId: number,
    payload: Buffer,
    done: (outcome: DeliveryOutcome) => void,
  ): boolean {
    return this.#sessions.send(iotDeviceId, payload, done);
  }

  stopAccepting(): void {
    this.#accepting = false;
    this.#stopped ??= new Promise((resolve) => {
      // The error says that it was not listening, which is what is wanted.
      this.#server.close(() => resolve());
    });
  }

  pauseReading(): void {
    this.#reading = false;
    for (const connection of this.#connections) connection.stopReading();
  }

  async close(): Promise<void> {
    this.stopAccepting();
    this.#sessions.close();
    this.#context.keepAlive.stop();
    for (const connection of this.#connections) connection.shutDown();
    await this.#stopped;
    // The server counts a socket as gone a moment before its connection has heard of it.
    if (this.#connections.size > 0) await new Promise<void>((done) => (this.#onEmpty = done));
  }

  accept(stream: Duplex, peer: MqttPeer): void {
    const { limits, metrics } = this.#context;
    // It would not tell of its end any more.
    if (stream.destroyed) return;
    const address = peer.remoteAddress;
    const addressCount = (this.#countByAddress.get(address) ?? 0) + 1;
    if (!this.#accepting || this.#connections.size >= limits.connectionsMax) {
      this.#turnAway(stream, CONNECTIONS_MAX.reason);
      return;
    }
    if (addressCount > (limits.connectionsPerAddressMax ?? Infinity)) {
      this.#turnAway(stream, ADDRESS_CONNECTIONS.reason);
      return;
    }
    const connection = new Connection(stream, peer, this.#context, () => {
      this.#connections.delete(connection);
      this.#forgetAddress(address);
      metrics.connections(this.#connections.size);
      if (this.#connections.size === 0) this.#onEmpty();
    });
    this.#connections.add(connection);
    this.#countByAddress.set(address, addressCount);
    metrics.connections(this.#connections.size);
    if (!this.#reading) connection.stopReading();
  }

  #turnAway(stream: Duplex, reason: string): void {
    stream.on('error', () => {});
    stream.destroy();
    this.#context.metrics.refused(reason);
  }

  #forgetAddress(address: string): void {
    const count = (this.#countByAddress.get(address) ?? 1) - 1;
    if (count === 0) this.#countByAddress.delete(address);
    else this.#countByAddress.set(address, count);
  }
}

function checkLimits(limits: MqttLimits): void {
  for (const [name, value] of Object.entries(limits) as [keyof MqttLimits, number | null][]) {
    if (value === null) continue;
    const min = name === 'sessionExpirySMax' ? 0 : 1;
    assert.ok(Number.isInteger(value) && value >= min, `${name} must be a whole number ≥ ${min}`);
  }
  // They travel in two bytes.
  for (const name of ['inFlightMax', 'heldIdsMax', 'keepAliveSMax', 'topicAliasMax'] as const) {
    assert.ok(limits[name] <= 0xffff, `${name} must be ≤ 65,535`);
  }
  assert.ok(limits.sessionExpirySMax < 0xffff_ffff, 'sessionExpirySMax must be < 4,294,967,295');
}
