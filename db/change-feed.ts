/**
 * Hears which rows of the configuration change, from the triggers of `migrations/0005`. It says what changed and not how: the
 * listener reads the row itself.
 *
 * States: idle → (start) connecting → listening → (connection lost) waiting → connecting …; `stop` leads from any of
 * them to stopped, for good. Changes made while not listening are not told one by one: `onReset` says to read
 * everything anew, and is called each time listening has begun.
 */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { closeClient, CONNECT_TIMEOUT_MS, KEEP_ALIVE_MS } from './pools.ts';

/** One changed row. */
export interface Change {
  readonly table: string;
  readonly op: 'insert' | 'update' | 'delete';
  /** The row's primary key. */
  readonly id: number;
  readonly customerId: number;
}

export interface ChangeFeedOptions {
  readonly connectionString: string;
  /** Called for one change after the other, in the order of their commits. */
  readonly onChange: (change: Change) => void;
  /** Called once listening has begun, at the first time and after every gap. */
  readonly onReset: () => void;
  /** Told why the connection was lost or could not be made; it is tried again in any case. */
  readonly onError?: (error: Error) => void;
}

export interface ChangeFeed {
  /** Resolves once the first connection listens, or `stop` was called; it does not reject, but goes on trying. */
  start(): Promise<void>;
  /** No callback is called after it resolved. */
  stop(): Promise<void>;
}

const CHANNEL = 'milepost_change';
/** Waits between attempts grow from the first to the second, each a random part of it and at least half. */
export const RECONNECT_MS_MIN = 100;
export const RECONNECT_MS_MAX = 10_000;
/** A query this often shows that the server still answers; silence looks the same as nothing changing. */
export const HEARTBEAT_MS = 15_000;

/** Makes a feed that does nothing until `start`. It holds one connection of its own, beside any pool. */
export function createChangeFeed(options: ChangeFeedOptions): ChangeFeed {
  const stopped = new AbortController();
  const { signal } = stopped;
  let running: Promise<void> | undefined;

  async function run(onFirst: () => void): Promise<void> {
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        await listen(options, signal, () => {
          failures = 0;
          onFirst();
        });
      } catch (error) {
        if (!signal.aborted) options.onError?.(error as Error);
      }
      await pause(reconnectMs(failures), signal);
    }
    onFirst();
  }

  return {
    start() {
      assert(running === undefined && !signal.aborted, 'a change feed is started once');
      const first = deferred();
      running = run(first.resolve);
      return first.promise;
    },
    async stop() {
      stopped.abort();
      await running;
    },
  };
}

/** How long to wait before attempt `failures` + 1. */
export function reconnectMs(failures: number, random: () => number = Math.random): number {
  const ceiling = Math.min(RECONNECT_MS_MAX, RECONNECT_MS_MIN * 2 ** failures);
  return ceiling / 2 + (random() * ceiling) / 2;
}

// One connection from beginning to end; rejects when it is lost, resolves when `signal` aborts.
async function listen(
  options: ChangeFeedOptions,
  signal: AbortSignal,
  onListening: () => void,
): Promise<void> {
  const client = new pg.Client({
    connectionString: options.connectionString,
    application_name: 'milepost change feed',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
  });
  const over = deferred();
  // It is raced against below; until then a rejection must not count as unhandled.
  over.promise.catch(() => undefined);
  const onAbort = () => over.resolve();
  signal.addEventListener('abort', onAbort);
  client.on('error', over.reject);
  client.on('end', () => over.reject(new Error('the connection ended')));
  client.on('notification', ({ payload }) => {
    if (!signal.aborted) deliver(payload ?? '', options);
  });
  const heartbeat = setInterval(() => beat(client, over.reject), HEARTBEAT_MS);
  try {
    await Promise.race([subscribe(client), over.promise]);
    if (signal.aborted) return;
    options.onReset();
    onListening();
    await over.promise;
  } finally {
    clearInterval(heartbeat);
    signal.removeEventListener('abort', onAbort);
    await closeClient(client);
  }
}

async function subscribe(client: pg.Client): Promise<void> {
  await client.connect();
  await client.query(`listen ${CHANNEL}`);
}

function beat(client: pg.Client, onSilence: (error: Error) => void): void {
  client.query('select 1').catch(onSilence);
}

// Anyone who may use the database may notify. What cannot be read counts as a gap.
function deliver(payload: string, options: ChangeFeedOptions): void {
  const change = parseChange(payload);
  if (change !== null) {
    options.onChange(change);
  } else {
    options.onError?.(new Error(`not a change: ${payload.slice(0, 200)}`));
    options.onReset();
  }
}

function parseChange(payload: string): Change | null {
  try {
    const { table, op, id, customer_id } = JSON.parse(payload) as Record<string, unknown>;
    const isChange = typeof table === 'string' && typeof id === 'number';
    if (!isChange || typeof customer_id !== 'number') return null;
    if (op !== 'insert' && op !== 'update' && op !== 'delete') return null;
    return { table, op, id, customerId: customer_id };
  } catch {
    return null;
  }
}

interface Deferred {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

function deferred(): Deferred {
  let resolve: () => void;
  let reject: (error: Error) => void;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve: () => resolve(), reject: (error) => reject(error) };
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  // Rejects when the signal aborts, which is an end like any other here.
  await delay(ms, undefined, { signal }).catch(() => undefined);
}
