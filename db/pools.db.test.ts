/** Pools: the role they promise, UTC, and how values are read. */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import pg from 'pg';
import t from 'tap';
import { createPool, cutPool, startupFlags, type DatabaseRole } from './pools.ts';
import { createTestDatabase } from './test-database.ts';

const settings = { max: 1, applicationName: 'test', statementTimeoutMs: 10_000 };

t.test('every session has its role, UTC and its timeouts', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const session = `select current_user::text as role, current_setting('TimeZone') as zone,
    current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
    current_setting('idle_in_transaction_session_timeout') as idle,
    current_setting('application_name') as name`;
  const common = { zone: 'UTC', statement: '10s', lock: '5s', idle: '30s', name: 'test' };
  // Startup options within the address must not push the role aside.
  const addresses = [ownerUrl, `${ownerUrl}?options=-c%20role%3Dnone%20-c%20TimeZone%3DAsia/Tokyo`];
  for (const connectionString of addresses) {
    for (const role of ['milepost_api', 'milepost_ingest'] satisfies DatabaseRole[]) {
      const pool = createPool({ ...settings, connectionString, role });
      t.teardown(() => pool.end());
      t.same((await pool.query(session)).rows, [{ ...common, role }]);
    }
  }
  const pool = createPool({ ...settings, connectionString: ownerUrl, role: 'owner' });
  t.teardown(() => pool.end());
  t.same((await pool.query(session)).rows, [{ ...common, role: new URL(ownerUrl).username }]);
});

t.test('a session without its role is not given out', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const owner = new pg.Client({ connectionString: ownerUrl });
  await owner.connect();
  t.teardown(() => owner.end());
  // As behind a pooler that drops startup options: the role is taken away again by the database's own setting.
  const pool = createPool({ ...settings, connectionString: ownerUrl, role: 'milepost_api' });
  t.teardown(() => pool.end());
  pool.options.options = '-c TimeZone=UTC';
  await t.rejects(pool.query('select 1'), { code: 'DB_ROLE_NOT_APPLIED' });
});

t.test('reads bigint as number, date as text, and refuses to lose digits', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const pool = createPool({ ...settings, connectionString: ownerUrl, role: 'milepost_api' });
  t.teardown(() => pool.end());
  const { rows } = await pool.query(
    `select 9007199254740991 as most, '{1,null,-2}'::bigint[] as list, '{}'::bigint[] as none,
            date '2024-02-29' as day, timestamptz '2024-02-29 12:00+02' as instant,
            '{"a": 1}'::jsonb as json`,
  );
  t.same(rows, [
    {
      most: Number.MAX_SAFE_INTEGER,
      list: [1, null, -2],
      none: [],
      day: '2024-02-29',
      instant: new Date('2024-02-29T10:00:00Z'),
      json: { a: 1 },
    },
  ]);
  await t.rejects(pool.query('select 9007199254740993'), RangeError);
  t.same((await pool.query('select 1::int8 as one')).rows, [{ one: 1 }], 'and goes on');
});

t.test('a statement that takes too long is cancelled, and the pool goes on', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const pool = createPool({
    ...settings,
    connectionString: ownerUrl,
    role: 'milepost_api',
    statementTimeoutMs: 50,
  });
  t.teardown(() => pool.end());
  await t.rejects(pool.query('select pg_sleep(60)'), { code: '57014' });
  t.same((await pool.query('select 1::int8 as one')).rows, [{ one: 1 }]);
});

t.test('losing an idle connection or a busy one does not end the process', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const owner = new pg.Client({ connectionString: ownerUrl });
  await owner.connect();
  t.teardown(() => owner.end());
  let onError: (error: Error) => void;
  const lost = new Promise<Error>((resolve) => (onError = resolve));
  const pool = createPool({
    ...settings,
    connectionString: ownerUrl,
    role: 'milepost_api',
    onError: (error) => onError(error),
  });
  t.teardown(() => pool.end());
  const terminate = (pid: number) => owner.query('select pg_terminate_backend($1, 5000)', [pid]);
  const backend = async (client: pg.ClientBase | pg.Pool) => {
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    return rows[0]!.pid;
  };

  await terminate(await backend(pool));
  t.match(await lost, { code: '57P01' }, 'idle');

  const client = await pool.connect();
  await terminate(await backend(client));
  await t.rejects(client.query('select 1'));
  client.release(true);
  t.ok(await backend(pool), 'the pool goes on');
});

t.test('startup options take plain values only', (t) => {
  t.equal(startupFlags({ role: 'milepost_api', a: 5 }), '-c role=milepost_api -c a=5');
  t.throws(() => startupFlags({ role: 'x -c fsync=off' }));
  t.throws(() => startupFlags({ role: 'x\\ y' }));
  t.end();
});

t.test(
  'a pool that is cut lets nobody wait, neither for an answer nor for a connection',
  async (t) => {
    const { ownerUrl } = await createTestDatabase(t);
    const pool = createPool({ ...settings, connectionString: ownerUrl, role: 'milepost_api' });
    const asleep = pool.query('select pg_sleep(60)');
    const queued = pool.query('select 1');
    await once(pool, 'acquire');
    cutPool(pool);
    await t.rejects(asleep, /terminated|closed/i);
    await t.rejects(queued, /terminated|closed/i);
    await t.rejects(pool.query('select 1'), /terminated|closed/i);
    await pool.end();
  },
);

t.test('a pool that is cut gives up on a server that says nothing', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connectionString = `postgres://somebody@127.0.0.1:${port}/somewhere`;
  const pool = createPool({ ...settings, connectionString, role: 'milepost_api' });
  const unanswered = pool.query('select 1');
  unanswered.catch(() => undefined);
  await once(server, 'connection');
  cutPool(pool);
  // Not what it says when the time for connecting is over.
  await t.rejects(unanswered, /terminated|closed/i);
  await t.rejects(pool.connect(), /terminated|closed/i);
  await pool.end();
});
