/** For the tests of the live hub: a client over a real socket, and time that is moved by hand. */
import { WebSocket } from 'ws';
import type { LiveClock } from './clock.ts';
import type { ServerMessage } from './wire.ts';

export const TEST_PATH = '/v1/live';

type Message<Type> = Extract<ServerMessage, { type: Type }>;

/** Time stands still, at `startMs` of the wall's clock, until `tick` moves it and does what is due at every interval. */
export function manualClock(startMs: number) {
  let nowMs = 0;
  const works = new Set<() => void>();
  const clock: LiveClock = {
    wallMs: () => startMs + nowMs,
    steadyMs: () => nowMs,
    every(_intervalMs, work) {
      works.add(work);
      return () => works.delete(work);
    },
  };
  return {
    clock,
    tick: (ms = 200) => {
      nowMs += ms;
      for (const work of works) work();
    },
  };
}

/** One WebSocket of a test: what comes is kept, as it came and read. */
export class TestClient {
  readonly socket: WebSocket;
  readonly closed: Promise<number>;
  readonly seen: ServerMessage[] = [];
  /** The frames themselves. */
  readonly frames: string[] = [];
  #waiting: { type: string; resolve(message: ServerMessage): void }[] = [];
  #unread: ServerMessage[] = [];

  constructor(port: number, headers: Record<string, string> = {}) {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}${TEST_PATH}`, { headers });
    this.closed = new Promise((resolve) => this.socket.on('close', resolve));
    this.socket.on('error', () => {});
    this.socket.on('message', (data: Buffer) => {
      const text = data.toString();
      const message = JSON.parse(text) as ServerMessage;
      this.frames.push(text);
      this.seen.push(message);
      const index = this.#waiting.findIndex(({ type }) => type === message.type);
      if (index >= 0) this.#waiting.splice(index, 1)[0]!.resolve(message);
      else this.#unread.push(message);
    });
  }

  /** The next message of a type that was not asked for before. */
  next<Type extends ServerMessage['type']>(type: Type): Promise<Message<Type>> {
    const index = this.#unread.findIndex((message) => message.type === type);
    if (index >= 0) return Promise.resolve(this.#unread.splice(index, 1)[0] as Message<Type>);
    return new Promise((resolve) => {
      this.#waiting.push({ type, resolve: resolve as (message: ServerMessage) => void });
    });
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  /** Everything sent to this client before now has been read when this resolves. */
  async settled(): Promise<void> {
    this.send({ type: 'ping' });
    await this.next('pong');
  }

  ids(type: 'snapshot' | 'positions'): number[] {
    return this.seen
      .flatMap((message) => (message.type === type ? message.positions : []))
      .map(({ equipment_id: id }) => id);
  }

  eventIds(): number[] {
    return this.seen.flatMap((message) =>
      message.type === 'event' ? [message.event.activity_feed_id] : [],
    );
  }
}
