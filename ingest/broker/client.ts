/**
 * The standing connection to a broker: connects for ever, with pauses that grow, and keeps one session by a stable
 * client id. Chooses the version of MQTT, subscribes where the broker has no session of ours, and passes messages on.
 * Refuses to know packets (connection.ts) and what a message means (subscriber.ts).
 *
 * States: `new` → (start) `connecting` ⇄ `connected` → (stop) `stopped`. `pauseReading` may come at any time and is for
 * good; after it no further connection is begun.
 */
import { Backoff } from '../backoff.ts';
import type { Logger } from '../logger.ts';
import {
  BrokerConnection,
  hexCode,
  type BrokerEnd,
  type BrokerEndpoint,
  type BrokerMessage,
  type BrokerWelcome,
  type Version,
} from './connection.ts';
import { BROKER_SESSION_EXPIRY_S, BROKER_STEADY_MS, BROKER_SUBSCRIBE_AGAIN_MS } from './limits.ts';

/** Takes messages and answers each one once it is settled. */
export interface BrokerSink {
  /** True: nothing should be read until `onceDrained` calls back. */
  readonly isFull: boolean;
  /** `done(true)` once, after the commit; `done(false)` when the message has to come again. */
  take(message: BrokerMessage, done: (stored: boolean) => void): void;
  onceDrained(resume: () => void): void;
}

export interface BrokerClientOptions {
  readonly endpoint: BrokerEndpoint;
  /** Topic filters, `$share/…` included. */
  readonly filters: readonly string[];
  readonly qos: 1 | 2;
  /** Messages that may wait for their commit, 1 to 65,535. */
  readonly inFlightMax: number;
  readonly sink: BrokerSink;
  readonly log: Logger;
  readonly metrics: { refused(source: 'broker', reason: string): void };
}

export class BrokerClient {
  readonly #options: BrokerClientOptions;
  readonly #backoff = new Backoff();
  readonly #stopping = new AbortController();
  #connection: BrokerConnection | null = null;
  #running: Promise<void> | null = null;
  /** CONNACK said yes, and the connection stands. */
  #isOpen = false;
  #isPaused = false;
  /** Waiting for the sink to drain. */
  #isHeld = false;
  #version: Version = 5;
  /** A connection of this version was accepted, so a broken one is no sign of the wrong version. */
  #isVersionKnown = false;
  #hasSubscribed = false;
  #asked: readonly string[] = [];
  #refused: readonly { filter: string; code: number }[] = [];
  #subscribeTimer: NodeJS.Timeout | null = null;
  #lastReason = 'not connected yet';
  #loggedReason = '';

  constructor(options: BrokerClientOptions) {
    this.#options = options;
  }

  /** The broker has accepted us and the connection stands. */
  get isConnected(): boolean {
    return this.#isOpen;
  }

  /** Messages that wait for their commit. */
  get inFlight(): number {
    return this.#connection?.inFlight ?? 0;
  }

  /** What keeps messages from coming, in words; empty when nothing does. */
  problems(): string[] {
    const { host, port } = this.#options.endpoint;
    const name = `the broker at ${host}:${port}`;
    if (!this.#isOpen) return [`${name} is not connected: ${this.#lastReason}`];
    if (!this.#hasSubscribed) return [`${name} has not answered the subscription yet`];
    return this.#refused.map(
      ({ filter, code }) => `${name} refuses the subscription to ${filter} (${hexCode(code)})`,
    );
  }

  /** Begins to connect. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Takes no more messages, for good; those taken are still acknowledged. */
  pauseReading(): void {
    this.#isPaused = true;
    this.#connection?.stopReading();
  }

  /** Acknowledges what is settled before the deadline, and disconnects. The session stays with the broker. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.pauseReading();
    this.#stopping.abort();
    await this.#connection?.close(deadline);
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isPaused) {
      const startedMs = performance.now();
      const end = await this.#connect();
      this.#note(end);
      if (performance.now() - startedMs >= BROKER_STEADY_MS) this.#backoff.reset();
      await this.#backoff.pause(this.#stopping.signal);
    }
  }

  /** One connection, until it has ended. */
  #connect(): Promise<BrokerEnd> {
    const { endpoint, inFlightMax, sink } = this.#options;
    return new Promise((resolve) => {
      this.#connection = new BrokerConnection(endpoint, this.#version, inFlightMax, {
        onOpen: (welcome) => this.#opened(welcome),
        onSubscribed: (codes) => this.#subscribed(codes),
        onMessage: (message, done) => {
          sink.take(message, done);
          if (sink.isFull) this.#hold();
        },
        onClosed: (end) => {
          this.#connection = null;
          this.#isOpen = false;
          this.#clearSubscribeTimer();
          resolve(end);
        },
      });
    });
  }

  #opened({ sessionPresent, sessionExpiryS }: BrokerWelcome): void {
    const { endpoint, filters, log, sink } = this.#options;
    const { host, port, clientId } = endpoint;
    const fields = { host, port, clientId, mqtt: this.#version === 5 ? '5.0' : '3.1.1' };
    this.#isOpen = true;
    this.#isVersionKnown = true;
    this.#loggedReason = '';
    // A session that is there already may be of an earlier process, which asked for other topics.
    if (!sessionPresent) this.#hasSubscribed = false;
    log.info({ ...fields, sessionPresent }, 'connected to the broker');
    if (sessionExpiryS !== null && sessionExpiryS < BROKER_SESSION_EXPIRY_S) {
      log.warn(
        { ...fields, sessionExpiryS },
        'the broker keeps our session for a shorter time than asked',
      );
    }
    if (this.#isPaused) this.#connection?.stopReading();
    else if (sink.isFull || this.#isHeld) this.#hold();
    if (!this.#hasSubscribed) this.#subscribe(filters);
    else if (this.#refused.length > 0) this.#subscribe(this.#refused.map(({ filter }) => filter));
  }

  #subscribe(filters: readonly string[]): void {
    this.#asked = filters;
    this.#connection?.subscribe(filters, this.#options.qos);
  }

  #subscribed(codes: readonly number[]): void {
    const { log, metrics } = this.#options;
    this.#hasSubscribed = true;
    this.#refused = this.#asked.flatMap((filter, i) => {
      const code = codes[i] ?? 0x80;
      return code >= 0x80 ? [{ filter, code }] : [];
    });
    for (const { filter, code } of this.#refused) {
      metrics.refused('broker', 'broker_subscription');
      log.error({ filter, code: hexCode(code) }, 'the broker refuses a subscription');
    }
    log.info({ filters: this.#asked, granted: codes }, 'subscribed at the broker');
    for (const [i, filter] of this.#asked.entries()) {
      if (codes[i] !== 0) continue;
      log.error({ filter }, 'the broker grants quality of service 0 only: messages may be lost');
    }
    if (this.#refused.length === 0) return;
    this.#clearSubscribeTimer();
    this.#subscribeTimer = setTimeout(
      () => this.#subscribe(this.#refused.map(({ filter }) => filter)),
      BROKER_SUBSCRIBE_AGAIN_MS,
    );
  }

  #hold(): void {
    this.#connection?.hold();
    if (this.#isHeld) return;
    this.#isHeld = true;
    this.#options.sink.onceDrained(() => {
      this.#isHeld = false;
      this.#connection?.release();
    });
  }

  #note({ reason, wasOpen, version }: BrokerEnd): void {
    if (this.#isPaused) return;
    this.#lastReason = reason;
    const { log, metrics, endpoint } = this.#options;
    const { host, port } = endpoint;
    metrics.refused('broker', wasOpen ? 'broker_lost' : 'broker_refused');
    if (version === 'refused' || (version === 'unanswered' && !this.#isVersionKnown)) {
      this.#version = this.#version === 5 ? 4 : 5;
    }
    if (reason === this.#loggedReason) return;
    this.#loggedReason = reason;
    log.warn({ host, port, reason }, 'no connection to the broker; trying on');
  }

  #clearSubscribeTimer(): void {
    if (this.#subscribeTimer !== null) clearTimeout(this.#subscribeTimer);
    this.#subscribeTimer = null;
  }
}
