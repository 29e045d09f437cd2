/**
 * One Milepost ingests into a database at a time, and a new one starts only after the old one's last transaction has
 * ended, even if the old process was killed while PostgreSQL was still committing for it.
 *
 * Two advisory locks: `LEADER` is held by this process's own connection for its life; every partition's connection holds
 * `WRITERS` shared. A starter takes LEADER, then WRITERS alone for a moment: no writer of an earlier process is left.
 *
 * States: out → waiting → leading → (connection lost) waiting → leading, or lost to another process, which is final.
 */
import type { Pool, PoolClient } from 'pg';
import { Backoff } from './backoff.ts';
import type { Logger } from './logger.ts';

/** After its connection broke, how long this process tries to lead again before another is taken to have won. */
const LOST_AFTER_MS = 60_000;

const LEADER = 7_430_001;
const WRITERS = 7_430_002;

export class Leader {
  private readonly pool: Pool;
  private readonly log: Logger;
  private readonly onLost: () => void;
  private readonly stopped = new AbortController();
  private client: PoolClient | null = null;
  private backendPid = 0;
  /** How many processes had led when this one began: one more, and its memory is out of date. */
  private epoch = 0;
  private leading: Promise<void> | null = null;

  /** @param onLost another process has taken over; this one must end. */
  constructor(pool: Pool, log: Logger, onLost: () => void) {
    this.pool = pool;
    this.log = log;
    this.onLost = onLost;
  }

  /** Resolves once this process leads and no writer of another is left. */
  async lead(): Promise<void> {
    this.leading ??= this.acquire(true);
    await this.leading;
  }

  /**
   * To be run on each partition's new connection: resolves once it may write. Rejects, to be tried again, when the
   * server no longer knows this process as the leader though its connection has not noticed yet.
   */
  async admit(client: PoolClient): Promise<void> {
    await this.leading;
    await client.query('select pg_advisory_lock_shared($1)', [WRITERS]);
    const { rows } = await client.query<{ leads: boolean }>(
      `select exists (select from pg_locks where locktype = 'advisory' and granted and classid = 0
         and objid = $1 and pid = $2
         and database = (select oid from pg_database where datname = current_database())) as leads`,
      [LEADER, this.backendPid],
    );
    if (rows[0]!.leads) return;
    if (this.client !== null) this.lost(this.client);
    throw new Error('this process does not lead; its writer waits until it does again');
  }

  /** Leads no more, and lets go of those that wait to be admitted: their connections must be at an end. */
  stop(): void {
    this.stopped.abort();
    this.client?.release(true);
    this.client = null;
  }

  private async acquire(first: boolean): Promise<void> {
    const backoff = new Backoff();
    const startedMs = performance.now();
    let told = false;
    while (!this.stopped.signal.aborted) {
      try {
        if (await this.tryAcquire(first)) return;
        if (!first && performance.now() - startedMs > LOST_AFTER_MS) return this.onLost();
        if (!told)
          this.log.warn({}, 'another Milepost ingests into this database; waiting for it to end');
        told = true;
      } catch (error) {
        this.log.warn({ err: error }, 'the database cannot be reached; trying again');
      }
      await backoff.pause(this.stopped.signal);
    }
  }

  private async tryAcquire(first: boolean): Promise<boolean> {
    const client = await this.pool.connect();
    try {
      if (!(await tryLock(client, LEADER)) || (first && !(await tryLock(client, WRITERS)))) {
        client.release(true);
        return false;
      }
      if (first) await client.query('select pg_advisory_unlock($1)', [WRITERS]);
      await this.checkEpoch(client, first);
      // Nobody would give the connection back after `stop`.
      if (this.stopped.signal.aborted) {
        client.release(true);
        return false;
      }
    } catch (error) {
      client.release(true);
      throw error;
    }
    this.client = client;
    client.once('end', () => this.lost(client));
    client.once('error', () => this.lost(client));
    return true;
  }

  /** The first time, counts this process in; after that, rejects once another has been counted. */
  private async checkEpoch(client: PoolClient, first: boolean): Promise<void> {
    const sql = first
      ? 'update ingest_leader set epoch = epoch + 1 returning epoch, pg_backend_pid() as pid'
      : 'select epoch, pg_backend_pid() as pid from ingest_leader';
    const { rows } = await client.query<{ epoch: number; pid: number }>(sql);
    const { epoch, pid } = rows[0]!;
    if (!first && epoch !== this.epoch) {
      this.onLost();
      throw new Error('another process has led meanwhile; what this one remembers is out of date');
    }
    this.epoch = epoch;
    this.backendPid = pid;
  }

  private lost(client: PoolClient): void {
    if (this.client !== client || this.stopped.signal.aborted) return;
    this.client = null;
    client.release(true);
    this.leading = this.acquire(false);
  }
}

async function tryLock(client: PoolClient, key: number): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(
    'select pg_try_advisory_lock($1) as locked',
    [key],
  );
  return rows[0]!.locked;
}
