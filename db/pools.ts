/**
 * Connections to PostgreSQL: which role they take, how long anything may last, how values are read. It knows nothing
 * of tables or tenants. A pool that cannot take its role gives no connection at all, for row-level security hangs on it.
 */
import assert from 'node:assert/strict';
import pg from 'pg';

/** Roles made by the migrations; `owner` is whoever the connection string signs in as. */
export type DatabaseRole = 'milepost_api' | 'milepost_ingest' | 'milepost_runner' | 'owner';

export interface PoolOptions {
  readonly connectionString: string;
  readonly role: DatabaseRole;
  /** Most connections at once, ≥ 1. */
  readonly max: number;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName: string;
  /** A statement running longer is cancelled by the server; ≥ 1. */
  readonly statementTimeoutMs: number;
  /** Told of connections lost while idle; the pool replaces them by itself. */
  readonly onError?: (error: Error) => void;
}

/** Connections of those who serve people, and of those who work in the background for all tenants. */
const API_CONNECTIONS_MAX = 10;
const RUNNER_CONNECTIONS_MAX = 3;
const PORTAL_STATEMENT_TIMEOUT_MS = 15_000;

/** How long to wait for a connection, new or free. */
export const CONNECT_TIMEOUT_MS = 10_000;
/** How long a statement waits for a lock. */
export const LOCK_TIMEOUT_MS = 5_000;
/** How long a transaction may sit idle before the server ends it. */
export const IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000;
/** An answer this much later than the statement timeout is given up on: the server is out of reach. */
export const ANSWER_GRACE_MS = 5_000;
/** How long a server may take to close a connection. */
export const CLOSE_MS_MAX = 1_000;
/** Idle connections are probed after this long, so that a dead peer is noticed. */
export const KEEP_ALIVE_MS = 10_000;
/**
 * The server ends the session of a peer that has not been heard of for so long. Until then it keeps its locks, and those of
 * a machine that lost its power would keep the next Milepost from leading for the two hours of TCP's own default.
 */
export const PEER_SILENT_MS_MAX = 25_000;

const OID_INT8 = 20;
const OID_DATE = 1082;
const OID_INT8_ARRAY = 1016;

/**
 * Reads `int8` and `int8[]` as numbers and `date` as the text `YYYY-MM-DD`; everything else as `pg` does, so
 * `timestamptz` is a Date. An `int8` beyond ±(2^53 − 1) throws rather than lose digits.
 */
export const valueTypes: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') => {
    if (format === 'binary') return pg.types.getTypeParser(oid, 'binary') as unknown;
    if (oid === OID_INT8) return parseInt8;
    if (oid === OID_INT8_ARRAY) return parseInt8Array;
    if (oid === OID_DATE) return (value: string) => value;
    return pg.types.getTypeParser(oid, 'text') as unknown;
  }) as pg.CustomTypesConfig['getTypeParser'],
};

/**
 * A pool whose every connection runs as `role`, in UTC, with timeouts for statements, locks, idle transactions and
 * answers that never come. Connections open on demand; nothing is contacted here. Startup options that the connection
 * string carries stay in force, but `role` wins over them. A connection that did not get its role is refused with the code
 * `DB_ROLE_NOT_APPLIED` (a pooler in between may drop startup options).
 */
export function createPool(options: PoolOptions): pg.Pool {
  const { role, max, statementTimeoutMs } = options;
  assert(max >= 1 && statementTimeoutMs >= 1);
  const { connectionString, startupOptions } = withoutStartupOptions(options.connectionString);
  const settings: Record<string, string | number> = {
    TimeZone: 'UTC',
    statement_timeout: statementTimeoutMs,
    lock_timeout: LOCK_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    tcp_keepalives_idle: KEEP_ALIVE_MS / 1_000,
    tcp_keepalives_interval: 5,
    tcp_keepalives_count: 3,
    tcp_user_timeout: PEER_SILENT_MS_MAX,
  };
  if (role !== 'owner') settings['role'] = role;
  const connections: Connections = { open: new Set(), isCut: false };
  const pool = new pg.Pool({
    Client: trackedClient(connections),
    connectionString,
    max,
    options: `${startupOptions} ${startupFlags(settings)}`.trim(),
    application_name: options.applicationName,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: statementTimeoutMs + ANSWER_GRACE_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    types: valueTypes,
    // Typed as returning nothing, but pg-pool awaits it and refuses the connection when it rejects.
    onConnect: (client) => checkSession(client, role) as unknown as void,
  });
  // pg emits `error` on a client in use as well, after failing its query; without a listener the process would end.
  pool.on('connect', (client) => client.on('error', () => undefined));
  pool.on('error', (error) => options.onError?.(error));
  connectionsOf.set(pool, connections);
  return pool;
}

export interface PortalPools {
  /** Of the role `milepost_api`. */
  readonly pool: pg.Pool;
  /** Of the role `milepost_runner`. */
  readonly runnerPool: pg.Pool;
}

/** The pools of the portal. The runner's signs in as the owner, who may take on every role: no further sign-in is needed. */
export function createPortalPools(
  urls: { readonly databaseUrl: string; readonly databaseApiUrl: string },
  onError: (error: Error) => void,
): PortalPools {
  const shared = { statementTimeoutMs: PORTAL_STATEMENT_TIMEOUT_MS, onError };
  return {
    pool: createPool({
      ...shared,
      connectionString: urls.databaseApiUrl,
      role: 'milepost_api',
      max: API_CONNECTIONS_MAX,
      applicationName: 'milepost-api',
    }),
    runnerPool: createPool({
      ...shared,
      connectionString: urls.databaseUrl,
      role: 'milepost_runner',
      max: RUNNER_CONNECTIONS_MAX,
      applicationName: 'milepost-runner',
    }),
  };
}

/** What a pool has, also what is only just being opened. */
interface Connections {
  readonly open: Set<pg.Client>;
  isCut: boolean;
}

const connectionsOf = new WeakMap<pg.Pool, Connections>();

function trackedClient(connections: Connections): new () => pg.Client {
  return class extends pg.Client {
    constructor(config?: pg.ClientConfig) {
      super(config);
      connections.open.add(this);
      this.once('end', () => connections.open.delete(this));
      // By then the pool has begun to connect it.
      if (connections.isCut) setImmediate(() => cutConnection(this));
    }
  };
}

/**
 * Ends all connections of a pool of {@link createPool} at once, and every one that it still opens: what waits for an answer, or
 * for a connection, is rejected. To be followed by `pool.end()`.
 */
export function cutPool(pool: pg.Pool): void {
  const connections = connectionsOf.get(pool);
  assert(connections !== undefined, 'a pool of createPool');
  connections.isCut = true;
  for (const client of connections.open) cutConnection(client);
}

/** Ends the connection at once; what waits for an answer on it is rejected. */
export function cutConnection(client: pg.ClientBase): void {
  // Not typed.
  const { stream } = (client as unknown as { connection: { stream: { destroy(): void } } })
    .connection;
  stream.destroy();
}

/** Takes leave of the server, and cuts the connection when that takes longer than {@link CLOSE_MS_MAX}. Never rejects. */
export async function closeClient(client: pg.Client): Promise<void> {
  const timer = setTimeout(() => cutConnection(client), CLOSE_MS_MAX);
  await client.end().catch(() => undefined);
  clearTimeout(timer);
}

/** The text of `-c name=value` startup options. Values must be free of spaces and backslashes. */
export function startupFlags(settings: Record<string, string | number>): string {
  return Object.entries(settings)
    .map(([name, value]) => {
      assert(/^[\w.:/+-]+$/.test(String(value)), `startup option ${name} is not plain`);
      return `-c ${name}=${value}`;
    })
    .join(' ');
}

async function checkSession(client: pg.ClientBase, role: DatabaseRole): Promise<void> {
  const { rows } = await client.query<{ role: string; time_zone: string }>(
    `select current_user::text as role, current_setting('TimeZone') as time_zone`,
  );
  const session = rows[0]!;
  if ((role !== 'owner' && session.role !== role) || session.time_zone !== 'UTC') {
    const message = `the session runs as ${session.role} in ${session.time_zone}, not as ${role} in UTC`;
    throw Object.assign(new Error(message), { code: 'DB_ROLE_NOT_APPLIED' });
  }
}

// `options` within the connection string would replace ours, and with it the role.
function withoutStartupOptions(connectionString: string): {
  connectionString: string;
  startupOptions: string;
} {
  const url = new URL(connectionString);
  const startupOptions = url.searchParams.get('options') ?? '';
  url.searchParams.delete('options');
  return { connectionString: url.href, startupOptions };
}

function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`int8 ${text} is beyond 2^53`);
  return value;
}

function parseInt8Array(text: string): (number | null)[] {
  if (text === '{}') return [];
  return text
    .slice(1, -1)
    .split(',')
    .map((item) => (item === 'NULL' ? null : parseInt8(item)));
}
