/**
 * The Teltonika listener: a TCP server whose sockets are trackers that speak codec 8, 8E and 16. Knows how many sockets
 * are open and how to stop; refuses to know frames (connection.ts), decoding and storage (the intake).
 *
 * States: `new` → (start) `listening` → (stopAccepting) `draining`: open connections go on, new ones are not taken
 * → (close) `closed`. `pauseReading` may come at any time and is for good.
 */
import assert from 'node:assert/strict';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { IntakeMessage, MessageOutcome } from '../intake.ts';
import type { Knock } from '../knocking.ts';
import type { Logger } from '../logger.ts';
import type { Registry } from '../registry.ts';
import { FRAME_DATA_BYTES_MIN, FRAME_OVERHEAD_BYTES } from '../decode/teltonika.ts';
import { BadFrames } from './bad-frames.ts';
import { Connection, type ConnectionContext } from './connection.ts';
import { IntakeHolds } from './intake-holds.ts';
import type { TeltonikaLimits } from './limits.ts';

/** Seconds of silence after which the kernel asks whether the peer still lives; finds half-open sockets. */
const TCP_KEEP_ALIVE_S = 60;
/** Connections the kernel holds that were not accepted yet: a fleet that reconnects at once. */
const BACKLOG_MAX = 4_096;

/** Where frames go; the part of the intake that the listener uses. */
export interface IntakePort {
  /** While it is, nothing more is read. */
  readonly isFull: boolean;
  /** Calls back once, when there is room again; at once when there is. */
  onceDrained(resume: () => void): void;
  /** Takes the message in any case; `done` is called once, after the commit of all its rows. */
  submit(message: IntakeMessage, done: (outcome: MessageOutcome) => void): void;
}

/** What a listener is made of. */
export interface TeltonikaListenerOptions {
  readonly host: string;
  /** 0 lets the kernel choose; `start` says which. */
  readonly port: number;
  readonly limits: TeltonikaLimits;
  readonly registry: Registry;
  readonly intake: IntakePort;
  /** Told of each device that is not registered. Cheap; never throws. */
  readonly knock: (knock: Knock) => void;
  /** Something was refused, or a connection closed by the listener, for this reason. Cheap; never throws. */
  readonly metrics: { refused(reason: string): void };
  readonly log: Logger;
}

/** A listener that can be started and stopped once. */
export interface TeltonikaListener {
  /** Listens. Rejects with the error of the operating system unchanged (`EADDRINUSE` when the port is taken). */
  start(): Promise<{ port: number }>;
  /** Sockets that are open now, signed in or not. */
  readonly connectionCount: number;
  /** Closes the connection of a device that may no longer sign in. */
  disconnectDevice(iotDeviceId: number): void;
  /** Takes no new connections, and refuses the login of those that have not sent it. Open ones go on. */
  stopAccepting(): void;
  /** Reads no more from any socket. Frames already handed to the intake are still acknowledged. */
  pauseReading(): void;
  /**
   * Closes every connection and resolves when all are gone, at the latest after `closeMsMax`. What is not acknowledged by
   * then will be sent again by its device.
   */
  close(): Promise<void>;
}

/** Makes a listener; nothing happens until `start`. Limits out of their range throw. */
export function createTeltonikaListener(options: TeltonikaListenerOptions): TeltonikaListener {
  return new Listener(options);
}

class Listener implements TeltonikaListener {
  readonly #options: TeltonikaListenerOptions;
  readonly #context: ConnectionContext;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  #accepting = true;
  #reading = true;
  #stopped: Promise<void> | null = null;
  #onEmpty = (): void => {};

  constructor(options: TeltonikaListenerOptions) {
    checkLimits(options.limits);
    const { limits, registry, intake, knock, metrics, log } = options;
    this.#options = options;
    this.#context = {
      limits,
      registry,
      intake,
      knock,
      metrics,
      log,
      holds: new IntakeHolds(intake),
      badFrames: new BadFrames(limits.badFramesMax),
      byDevice: new Map(),
      isAccepting: () => this.#accepting,
    };
    const keepAliveInitialDelay = TCP_KEEP_ALIVE_S * 1_000;
    this.#server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay });
    this.#server.on('connection', (socket) => this.#accept(socket));
  }

  start(): Promise<{ port: number }> {
    const { host, port, log } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port, backlog: BACKLOG_MAX }, () => {
        this.#server.off('error', reject);
        // Out of file descriptors, for one: that connection is lost, the listener is not.
        this.#server.on('error', (error) => log.error({ err: error }, 'Teltonika accept failed'));
        resolve({ port: (this.#server.address() as AddressInfo).port });
      });
    });
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  disconnectDevice(iotDeviceId: number): void {
    this.#context.byDevice.get(iotDeviceId)?.close({ reason: 'revoked' });
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
    for (const connection of this.#connections) connection.shutDown();
    await this.#stopped;
    // The server counts a socket as gone a moment before its connection has heard of it.
    if (this.#connections.size > 0) await new Promise<void>((done) => (this.#onEmpty = done));
  }

  #accept(socket: Socket): void {
    if (!this.#accepting || this.#connections.size >= this.#context.limits.connectionsMax) {
      socket.on('error', () => {});
      socket.destroy();
      this.#options.metrics.refused('connections');
      return;
    }
    const connection = new Connection(socket, this.#context, () => {
      this.#connections.delete(connection);
      if (this.#connections.size === 0) this.#onEmpty();
    });
    this.#connections.add(connection);
    if (!this.#reading) connection.stopReading();
  }
}

function checkLimits(limits: TeltonikaLimits): void {
  for (const [name, value] of Object.entries(limits) as [string, number][]) {
    assert.ok(Number.isInteger(value) && value >= 1, `${name} must be a whole number ≥ 1`);
  }
  assert.ok(limits.loginBytesMax >= 3, 'loginBytesMax must leave room for a name');
  const least = FRAME_OVERHEAD_BYTES + FRAME_DATA_BYTES_MIN;
  assert.ok(limits.frameBytesMax >= least, `frameBytesMax must be ≥ ${least}`);
}
