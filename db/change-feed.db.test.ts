/** The change feed: every kind of change, in order, and a reset after every gap. */
import { EventEmitter, on, once } from 'node:events';
import pg from 'pg';
import t from 'tap';
import { createChangeFeed, reconnectMs, RECONNECT_MS_MAX, type Change } from './change-feed.ts';
import { createTestDatabase, databaseUrl, testServerUrl } from './test-database.ts';
import { seedTenant } from './test-tenant.ts';

type Test = Parameters<typeof createTestDatabase>[0];

async function open(t: Test) {
  const { ownerUrl } = await createTestDatabase(t);
  const owner = new pg.Client({ connectionString: ownerUrl });
  await owner.connect();
  t.teardown(() => owner.end());
  const heard = new EventEmitter();
  const resets: number[] = [];
  const feed = createChangeFeed({
    connectionString: ownerUrl,
    onChange: (change) => heard.emit('change', change),
    onReset: () => {
      resets.push(Date.now());
      heard.emit('reset');
    },
    onError: (error) => heard.emit('lost', error),
  });
  t.teardown(() => feed.stop());
  return { owner, heard, resets, feed };
}

const TERMINATE = `select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and application_name = 'milepost change feed'`;

t.test('tells inserts, updates and deletes of every watched table', async (t) => {
  const { owner, heard, resets, feed } = await open(t);
  await feed.start();
  t.equal(resets.length, 1, 'the first connection is a reset too');
  const changes = on(heard, 'change') as AsyncIterableIterator<[Change], undefined>;
  const next = async (): Promise<Change> => (await changes.next()).value![0];

  await owner.query('begin');
  const { customerId } = await seedTenant(owner, 'ours');
  await owner.query('commit');
  const seen = new Set<string>();
  const expected = ['customer', 'user_role', 'user', 'equipment', 'iot_device', 'gateway_token'];
  expected.push(
    'equipment_has_iot_device',
    'geofence',
    'telematic_alert',
    'iot_device_command',
    'account',
  );
  while (seen.size < expected.length) {
    const change = await next();
    t.match(change, { op: 'insert', customerId, id: Number });
    seen.add(change.table);
  }
  t.same([...seen].sort(), expected.sort());

  const { rows } = await owner.query<{ id: string }>('select min(geofence_id) as id from geofence');
  const id = Number(rows[0]!.id);
  await owner.query(`update geofence set status = 'disabled' where geofence_id = $1`, [id]);
  await owner.query('delete from geofence where geofence_id = $1', [id]);
  const fenceChange = async () => {
    for (;;) {
      const change = await next();
      if (change.table === 'geofence' && change.op !== 'insert') return change;
    }
  };
  t.same(await fenceChange(), { table: 'geofence', op: 'update', id, customerId });
  t.same(await fenceChange(), { table: 'geofence', op: 'delete', id, customerId });
});

t.test('resets after its connection was cut, and goes on', async (t) => {
  const { owner, heard, resets, feed } = await open(t);
  await feed.start();
  for (let cut = 1; cut <= 3; cut++) {
    const reset = once(heard, 'reset');
    const lost = once(heard, 'lost');
    await owner.query(TERMINATE);
    t.match(await lost, [{ code: '57P01' }]);
    await reset;
    t.equal(resets.length, cut + 1);
    const change = once(heard, 'change');
    await owner.query(`insert into customer (customer_name) values ('after cut ${cut}')`);
    t.match(await change, [{ table: 'customer', op: 'insert' }]);
  }
});

t.test('a notification that is no change counts as a gap', async (t) => {
  const { owner, heard, feed } = await open(t);
  await feed.start();
  for (const payload of [
    'nonsense',
    '{}',
    '{"table":"geofence","op":"drop","id":1,"customer_id":1}',
  ]) {
    const reset = once(heard, 'reset');
    const lost = once(heard, 'lost');
    await owner.query('select pg_notify($1, $2)', ['milepost_change', payload]);
    await Promise.all([reset, lost]);
  }
  t.pass('three resets');
});

t.test('stops at any time, and then nothing is heard', async (t) => {
  const { owner, heard, resets, feed } = await open(t);
  await feed.start();
  await feed.stop();
  heard.on('change', () => t.fail('heard after stop'));
  await owner.query(`insert into customer (customer_name) values ('after stop')`);
  const { rowCount } = await owner.query(TERMINATE);
  t.equal(rowCount, 0, 'the connection is gone');
  t.equal(resets.length, 1);

  // A database that cannot be reached: start goes on trying until stop.
  const failing = createChangeFeed({
    connectionString: databaseUrl(testServerUrl(), 'no_such_database'),
    onChange: () => t.fail('no change'),
    onReset: () => t.fail('no reset'),
    onError: () => heard.emit('refused'),
  });
  const starting = failing.start();
  await once(heard, 'refused');
  await once(heard, 'refused');
  await failing.stop();
  await starting;
  t.throws(() => failing.start(), { code: 'ERR_ASSERTION' }, 'started once');
});

t.test('waits longer after each failure, within bounds', (t) => {
  const shortest = Array.from({ length: 12 }, (_, failures) => reconnectMs(failures, () => 0));
  const longest = Array.from({ length: 12 }, (_, failures) => reconnectMs(failures, () => 1));
  t.same(shortest.slice(0, 4), [50, 100, 200, 400]);
  t.same(longest.slice(0, 4), [100, 200, 400, 800]);
  t.equal(longest.at(-1), RECONNECT_MS_MAX);
  t.equal(shortest.at(-1), RECONNECT_MS_MAX / 2);
  t.end();
});
