/**
 * What the server says of our sessions: whether one works or waits for us. Asked on a connection made for the purpose, because
 * others may be dead as well. Knows PostgreSQL's statistics views; refuses to judge.
 */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { closeClient, cutConnection } from '../db/pools.ts';

/** What the server says of a session. */
export interface Session {
  readonly name: string;
  /** It waits for its client, to send or to take. */
  readonly waitsForClient: boolean;
  /** Changes with whatever it does. */
  readonly mark: string;
}

export interface SessionView {
  /** Of sessions that are not there (any more) nothing comes back. */
  look(names: readonly string[]): Promise<readonly Session[]>;
  end(name: string): Promise<void>;
  /** Never rejects. */
  close(): Promise<void>;
}

/** How long the server may take to say what its sessions do; then it is out of reach, and nothing is known. */
const VIEW_MS_MAX = 2_000;

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
