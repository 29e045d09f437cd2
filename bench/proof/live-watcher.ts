/**
 * A client of the live WebSocket, as the map in the browser is one: signs in, subscribes with events, keeps the newest
 * position of each unit, every event by its id, and the cursor from which it resumes.
 */
import WebSocket from 'ws';
import type { FeedEvent, Position, ServerMessage } from '../../api/live/wire.ts';
import { PATIENCE_MS } from './patience.ts';

export class LiveWatcher {
  /** By `activity_feed_id`. */
  readonly events = new Map<number, FeedEvent>();
  /** By `equipment_id`. */
  readonly positions = new Map<number, Position>();
  /** Of any kind that tells of units: one of a tenant without any gets none. */
  positionMessages = 0;
  /** Events that came again with other content, and messages that should not come. */
  readonly surprises: ServerMessage[] = [];
  private cursor: number | null = null;
  private socket: WebSocket | null = null;
  private closed: Promise<void> = Promise.resolve();
  private waiting: { holds: () => boolean; resolve: () => void }[] = [];

  /** Connects, or connects again and resumes; resolves when it is caught up and has its snapshot. */
  async connect(url: string, token: string): Promise<void> {
    const socket = new WebSocket(url);
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    let isCaughtUp = false;
    let hasSnapshot = false;
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as ServerMessage;
      if (message.type === 'caught_up') isCaughtUp = true;
      if (message.type === 'snapshot' && message.remaining === 0) hasSnapshot = true;
      this.take(message);
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    socket.on('error', () => undefined);
    const since = this.cursor === null ? {} : { events_since: this.cursor };
    socket.send(JSON.stringify({ type: 'auth', token }));
    socket.send(JSON.stringify({ type: 'subscribe', events: true, ...since }));
    await Promise.race([this.until(() => isCaughtUp && hasSnapshot), this.closed]);
    if (!isCaughtUp || !hasSnapshot) throw new Error('the live socket did not let us in');
  }

  /** Resolves when the condition holds, asked again after every message; or when patience is at its end. */
  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      if (holds()) return resolve();
      // Whoever waits for a connection that is closed instead waits no longer, and the program is not kept by it.
      const timer = setTimeout(resolve, PATIENCE_MS).unref();
      const stop = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.waiting.push({ holds, resolve: stop });
    });
  }

  /** Resolves when the connection has ended, whoever ended it. */
  whenClosed(): Promise<void> {
    return this.closed;
  }

  close(): Promise<void> {
    this.socket?.close();
    return this.closed;
  }

  private take(message: ServerMessage): void {
    if ('cursor' in message && message.cursor !== null) this.cursor = message.cursor;
    switch (message.type) {
      case 'event':
        this.takeEvent(message.event, message);
        break;
      case 'snapshot':
      case 'positions':
        if (message.positions.length > 0) this.positionMessages += 1;
        for (const position of message.positions) {
          this.positions.set(position.equipment_id, position);
        }
        break;
      case 'ready':
      case 'caught_up':
      case 'pong':
        break;
      case 'error':
        // At shutdown the server says why it closes.
        if (message.code !== 'restart') this.surprises.push(message);
        break;
      case 'resync':
      case 'removed':
        this.surprises.push(message);
    }
    const { waiting } = this;
    this.waiting = waiting.filter(({ holds, resolve }) => {
      if (!holds()) return true;
      resolve();
      return false;
    });
  }

  private takeEvent(event: FeedEvent, message: ServerMessage): void {
    const before = this.events.get(event.activity_feed_id);
    if (before !== undefined && JSON.stringify(before) !== JSON.stringify(event)) {
      this.surprises.push(message);
    }
    this.events.set(event.activity_feed_id, event);
  }
}
