/**
 * The page's end of the live WebSocket. Knows the protocol, reconnecting and the feed's cursor; what the messages mean
 * for the map is the caller's.
 *
 * States: connecting → live → waiting (to connect again) → connecting …; `stopped` by `stop` or by a token that is no
 * longer good, and then final.
 */
import type { LiveViewport, ServerMessage, SubscribeMessage } from '../api/live/wire.ts';

export type LiveState = 'connecting' | 'live' | 'waiting' | 'stopped';

export interface LiveHandlers {
  state(state: LiveState): void;
  message(message: ServerMessage): void;
  /** The token is refused or has expired. */
  signedOut(detail: string): void;
}

const UNAUTHORIZED = 4401;
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 20_000;

export class LiveClient {
  #url: string;
  #token: string;
  #handlers: LiveHandlers;
  #socket: WebSocket | null = null;
  #retryMs = RETRY_MS_MIN;
  #retryTimer: ReturnType<typeof setTimeout> | null = null;
  #viewport: LiveViewport | null = null;
  #cursor: number | null = null;
  #isReady = false;
  #isStopped = false;
  #detail = '';

  constructor(url: string, token: string, handlers: LiveHandlers) {
    this.#url = url;
    this.#token = token;
    this.#handlers = handlers;
    this.#connect();
  }

  /** What the server was last asked to narrow to; null is the whole fleet. */
  get viewport(): LiveViewport | null {
    return this.#viewport;
  }

  /** Narrows positions to a viewport; null widens to the whole fleet. */
  look(viewport: LiveViewport | null): void {
    this.#viewport = viewport;
    if (this.#isReady) this.#subscribe(false);
  }

  /** Tries at once instead of after the pause: the network has come back, or the page is looked at again. */
  wake(): void {
    if (this.#retryTimer === null) return;
    clearTimeout(this.#retryTimer);
    this.#connect();
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    this.#socket?.close();
    this.#handlers.state('stopped');
  }

  #connect(): void {
    this.#retryTimer = null;
    this.#handlers.state('connecting');
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.addEventListener('open', () => {
      socket.send(JSON.stringify({ type: 'auth', token: this.#token }));
    });
    socket.addEventListener('message', ({ data }: MessageEvent<string>) => {
      if (!this.#isStopped) this.#receive(JSON.parse(data) as ServerMessage);
    });
    socket.addEventListener('close', ({ code }) => this.#closed(code));
  }

  #receive(message: ServerMessage): void {
    if (message.type === 'ready') {
      this.#isReady = true;
      this.#retryMs = RETRY_MS_MIN;
      this.#handlers.state('live');
      this.#subscribe(true);
    }
    if (message.type === 'error') this.#detail = message.detail;
    if (
      (message.type === 'event' || message.type === 'caught_up' || message.type === 'resync') &&
      message.cursor !== null
    ) {
      this.#cursor = message.cursor;
    }
    this.#handlers.message(message);
  }

  #subscribe(isFirst: boolean): void {
    const message: SubscribeMessage = { type: 'subscribe', events: true };
    if (this.#viewport !== null) message.viewport = this.#viewport;
    // On a new connection the feed goes on from the cursor; on this one it has never stopped.
    if (isFirst && this.#cursor !== null) message.events_since = this.#cursor;
    this.#socket?.send(JSON.stringify(message));
  }

  #closed(code: number): void {
    this.#isReady = false;
    if (this.#isStopped) return;
    if (code === UNAUTHORIZED) {
      this.#isStopped = true;
      this.#handlers.state('stopped');
      this.#handlers.signedOut(this.#detail);
      return;
    }
    this.#handlers.state('waiting');
    // Spread out, so that a restarted server does not meet everybody at once.
    const pauseMs = this.#retryMs * (0.5 + Math.random());
    this.#retryMs = Math.min(RETRY_MS_MAX, this.#retryMs * 2);
    this.#retryTimer = setTimeout(() => this.#connect(), pauseMs);
  }
}
