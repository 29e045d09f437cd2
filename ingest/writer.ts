/**
 * One partition's connection to the database: made when it is needed, kept, given up when it failed. Knows whether an answer is
 * awaited on it, and since when; refuses to know what is written.
 *
 * States: closed → (`use`) connecting → open, awaiting an answer → open, idle → (`use`) …; `drop` leads from each to closed.
 * `end` fails what is awaited, in each of them, and every later use.
 */
import type { Pool, PoolClient } from 'pg';
import { cutConnection } from '../db/pools.ts';
import type { Unanswered } from './answer-watch.ts';
import { prepareCommitSession } from './commit.ts';
import { nameSession } from './session-view.ts';

interface Open {
  readonly client: PoolClient;
  /** What its session is called on the server. */
  readonly sessionName: string;
}

export class Writer {
  private readonly pool: Pool;
  private readonly onConnect: (client: PoolClient) => Promise<void>;
  private open: Open | null = null;
  /** The one that is being made ready. */
  private connecting: PoolClient | null = null;
  private isEnded = false;
  /** The use whose answer is awaited: when it began, and what tells it from others. */
  private attempt: { readonly sinceMs: number } | null = null;
  /** Grows with each connection found dead, and falls with each use in which none was, but for the first after one. */
  private deathCount = 0;
  private isAfterDeath = false;

  /** Gives no connection back to the pool to be used again. `onConnect` is run on each new one. */
  constructor(pool: Pool, onConnect: (client: PoolClient) => Promise<void>) {
    this.pool = pool;
    this.onConnect = onConnect;
  }

  /** Works on the connection, one use at a time. Rejects with what the work does; the connection stays until `drop`. */
  async use<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    this.attempt = { sinceMs: performance.now() };
    try {
      this.open ??= await this.connect();
      const result = await work(this.open.client);
      if (!this.isAfterDeath && this.deathCount > 0) this.deathCount--;
      this.isAfterDeath = false;
      return result;
    } finally {
      this.attempt = null;
    }
  }

  /** How long the use under way has lasted; NaN when there is none. */
  waitedMs(nowMs: number): number {
    return nowMs - (this.attempt?.sinceMs ?? NaN);
  }

  /** What waits for the server's answer; `null` while nothing does, or there is no connection yet. */
  get unanswered(): Unanswered | null {
    const { attempt, open } = this;
    if (attempt === null || open === null) return null;
    return {
      attempt,
      sessionName: open.sessionName,
      sinceMs: attempt.sinceMs,
      deathCount: this.deathCount,
      cut: () => {
        if (this.attempt !== attempt) return;
        this.deathCount++;
        this.isAfterDeath = true;
        cutConnection(open.client);
      },
    };
  }

  /** Cuts the connection: what waits for an answer on it is rejected. There will be no other. */
  end(): void {
    this.isEnded = true;
    const client = this.open?.client ?? this.connecting;
    if (client !== null) cutConnection(client);
  }

  /** Gives the connection up; the next use makes another. */
  drop(error?: Error): void {
    this.open?.client.release(error ?? true);
    this.open = null;
  }

  private async connect(): Promise<Open> {
    const client = await this.pool.connect();
    this.connecting = client;
    try {
      if (this.isEnded) throw new Error('this partition has ended');
      await this.onConnect(client);
      await prepareCommitSession(client);
      return { client, sessionName: await nameSession(client) };
    } catch (error) {
      client.release(true);
      throw error;
    } finally {
      this.connecting = null;
    }
  }
}
