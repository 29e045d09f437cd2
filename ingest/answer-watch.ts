/**
 * Finds connections that died without a word under a batch: the batch waits for an answer, and the server's session waits for
 * the batch. Such a session is ended on the server, so that nothing of it comes late and its locks are free, and the
 * connection is cut, so that the batch goes again on a new one. Without this, a batch would wait for the statement timeout.
 * Knows sessions; refuses to know batches.
 *
 * A session that is at work, or waits for a lock, is left alone: its state is not "waits for the client". So is one whose data
 * is still on its way: each piece of a COPY moves it. Over a line so slow that nothing moves for a while a session may be ended
 * wrongly, which costs a try and loses nothing; each time, the patience with the next one doubles.
 */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { closeClient, cutConnection } from '../db/pools.ts';
import type { Logger } from './logger.ts';

/** What a statement was sent on that has no answer yet. */
export interface Unanswered {
  /** Another one for each try. */
  readonly attempt: object;
  /** What {@link nameSession} gave. */
  readonly sessionName: string;
  /** Sent at this time, as `performance.now()` tells. */
  readonly sinceMs: number;
  /** How often its like was cut lately. */
  readonly cutCount: number;
  /** Ends the connection; the try then fails with an error of the connection. */
  cut(): void;
}

/** What the server says of a session. */
export interface Session {
  readonly name: string;
  /** It waits for its client, to send or to take. */
  readonly waitsForClient: boolean;
  /** Changes with whatever it does. */
  readonly mark: string;
}

/** The server's side, on a connection made for the purpose: others may be dead as well. */
export interface SessionView {
  /** Of sessions that are not there (any more) nothing comes back. */
  look(names: readonly string[]): Promise<readonly Session[]>;
  end(name: string): Promise<void>;
  /** Never rejects. */
  close(): Promise<void>;
}

export interface AnswerWatchOptions {
  /** All that wait now. */
  readonly unanswered: () => readonly Unanswered[];
  /** Rejects, as do its functions, when the server cannot be asked, or `signal` aborts. */
  readonly openView: (signal: AbortSignal) => Promise<SessionView>;
  readonly log: Logger;
  /** For tests. */
  readonly nowMs?: () => number;
}

/** How often is looked for unanswered statements; costs nothing while there are none. */
export const CHECK_MS = 500;
/** Answers that are younger are not asked after. */
export const UNANSWERED_MS_MIN = 1_000;
/** A session that waits for its client unmoved for so long is dead. Doubles with each cut. */
export const PATIENCE_MS = 2_000;
/** How long the server may take to say what its sessions do; then it is out of reach, and nothing is known. */
const VIEW_MS_MAX = 2_000;

interface Note {
  readonly mark: string;
  /** When it was first seen with this mark. */
  readonly sinceMs: number;
}

export class AnswerWatch {
  private readonly options: AnswerWatchOptions;
  private readonly nowMs: () => number;
  /** Of the attempts whose sessions waited for us at the last look. */
  private notes = new Map<object, Note>();
  private readonly stopped = new AbortController();
  private timer: NodeJS.Timeout | null = null;
  private checking: Promise<void> | null = null;
  /** Whether it was said that the server cannot be asked, since it last could. */
  private isTold = false;

  constructor(options: AnswerWatchOptions) {
    this.options = options;
    this.nowMs = options.nowMs ?? (() => performance.now());
  }

  start(): void {
    this.timer ??= setInterval(() => {
      this.checking ??= this.check().finally(() => (this.checking = null));
    }, CHECK_MS);
  }

  async stop(): Promise<void> {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    this.stopped.abort();
    await this.checking;
  }

  /** One look. Never rejects: a server that cannot be asked has not said that anything is dead. */
  async check(): Promise<void> {
    const nowMs = this.nowMs();
    const old = this.options.unanswered().filter((one) => nowMs - one.sinceMs >= UNANSWERED_MS_MIN);
    if (old.length === 0) {
      this.notes.clear();
      return;
    }
    let view: SessionView | null = null;
    try {
      view = await this.options.openView(this.stopped.signal);
      const sessions = await view.look(old.map((one) => one.sessionName));
      this.isTold = false;
      for (const one of this.judge(old, sessions)) await this.end(one, view);
    } catch (error) {
      this.tell(error);
    } finally {
      await view?.close();
    }
  }

  private tell(error: unknown): void {
    if (this.isTold || this.stopped.signal.aborted) return;
    this.isTold = true;
    this.options.log.warn({ err: error }, 'the database cannot be asked after unanswered batches');
  }

  /** Those whose sessions have waited for us for too long. */
  private judge(old: readonly Unanswered[], sessions: readonly Session[]): Unanswered[] {
    const nowMs = this.nowMs();
    const still = new Set(this.options.unanswered().map((one) => one.attempt));
    const sessionOf = new Map(sessions.map((session) => [session.name, session]));
    const notes = new Map<object, Note>();
    const dead: Unanswered[] = [];
    for (const one of old) {
      const session = sessionOf.get(one.sessionName);
      if (!still.has(one.attempt) || session?.waitsForClient === false) continue;
      const mark = session?.mark ?? 'gone';
      const before = this.notes.get(one.attempt);
      const note = before?.mark === mark ? before : { mark, sinceMs: nowMs };
      if (nowMs - note.sinceMs >= PATIENCE_MS * 2 ** one.cutCount) dead.push(one);
      else notes.set(one.attempt, note);
    }
    this.notes = notes;
    return dead;
  }

  private async end(one: Unanswered, view: SessionView): Promise<void> {
    const { sessionName } = one;
    this.options.log.warn({ sessionName }, 'a database connection died without a word; it is cut');
    one.cut();
    try {
      await view.end(sessionName);
    } catch (error) {
      // The others are ended all the same. This one's locks go when the server's own limits end it.
      this.tell(error);
    }
  }
}

/** Like all of this room, and one's own. A process id could be a pooler's, or that of another after a failover. */
const NAME_PREFIX = 'milepost-ingest ';

/** Calls the session of a connection by a name that no other has, and gives that. */
export async function nameSession(client: pg.ClientBase): Promise<string> {
  const name = NAME_PREFIX + randomUUID();
  await client.query(`select set_config('application_name', $1, false)`, [name]);
  return name;
}

const LOOK_SQL = `
  select a.application_name as name, coalesce(a.wait_event_type = 'Client', false) as waits,
    concat_ws(' ', a.state, a.state_change, a.query_start, c.bytes_processed) as mark
  from pg_stat_activity a left join pg_stat_progress_copy c on c.pid = a.pid
  where a.application_name = any ($1) and a.datname = current_database()`;

const END_SQL = `
  select pg_terminate_backend(pid) from pg_stat_activity
  where application_name = $1 and datname = current_database()`;

/** A view as the user of the connection string, who may see and end what that user began. */
export async function openSessionView(
  connectionString: string,
  signal: AbortSignal,
): Promise<SessionView> {
  const client = new pg.Client({
    connectionString,
    application_name: 'milepost answer watch',
    connectionTimeoutMillis: VIEW_MS_MAX,
    query_timeout: VIEW_MS_MAX,
  });
  // Its queries say what went wrong.
  client.on('error', () => undefined);
  const abort = (): void => cutConnection(client);
  signal.addEventListener('abort', abort);
  const close = async (): Promise<void> => {
    signal.removeEventListener('abort', abort);
    await closeClient(client);
  };
  try {
    signal.throwIfAborted();
    await client.connect();
    // Startup options of the connection string may have taken another role, which sees nothing of the user's sessions.
    await client.query('set role none');
  } catch (error) {
    await close();
    throw error;
  }
  return {
    async look(names) {
      type Row = { name: string; waits: boolean; mark: string };
      const { rows } = await client.query<Row>(LOOK_SQL, [names]);
      return rows.map(({ name, waits, mark }) => ({ name, waitsForClient: waits, mark }));
    },
    async end(name) {
      await client.query(END_SQL, [name]);
    },
    close,
  };
}
