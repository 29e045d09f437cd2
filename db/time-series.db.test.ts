/** Room for time series, made the same way on plain PostgreSQL and on TimescaleDB. */
import pg from 'pg';
import t from 'tap';
import { createTestDatabase } from './test-database.ts';
import { detectTimeSeries, durabilityWarnings, ensureTimePartitions } from './time-series.ts';

const DAY_MS = 86_400_000;

async function connect(
  t: { teardown(work: () => Promise<unknown>): unknown },
  connectionString: string,
): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  t.teardown(() => client.end());
  return client;
}

const INSERT_FIX = `insert into equipment_gps_location
  (equipment_has_iot_device_id, recorded_at, received_at, latitude, longitude)
  values ($1, $2, now(), 1, 2)`;
const INSERT_METRIC = `insert into iot_device_metric
  (equipment_has_iot_device_id, metric_code, recorded_at, received_at, metric_value)
  values ($1, 'battery_pct', $2, now(), 80)`;

t.test('the same rows go in on either kind of server', async (t) => {
  const client = await connect(t, (await createTestDatabase(t)).ownerUrl);
  const layout = await detectTimeSeries(client);
  t.comment(`time series on ${JSON.stringify(layout)}`);
  const { rows: installed } = await client.query<{ version: string }>(
    `select extversion as version from pg_extension where extname = 'timescaledb'`,
  );
  t.equal(layout.kind, installed.length === 1 ? 'timescale' : 'partitions');
  if (layout.kind === 'timescale') {
    t.equal(layout.version, installed[0]!.version);
    t.match(layout.edition, /^(apache|community)$/);
    const { rows } = await client.query<{ name: string }>(
      'select hypertable_name as name from timescaledb_information.hypertables order by 1',
    );
    t.same(rows, [{ name: 'equipment_gps_location' }, { name: 'iot_device_metric' }]);
  }

  const nowMs = Date.now();
  const firstMs = nowMs - 90 * DAY_MS;
  const lastMs = nowMs + 10 * 60_000;
  const made = await ensureTimePartitions(client, firstMs, lastMs);
  const days = Math.floor(lastMs / DAY_MS) - Math.floor(firstMs / DAY_MS) + 1;
  t.equal(made, layout.kind === 'timescale' ? 0 : 2 * days);
  // The first and the last instant of a UTC day, whatever the session's own time zone is.
  await client.query(`set timezone to 'Asia/Kathmandu'`);
  const midnightMs = Math.floor(nowMs / DAY_MS) * DAY_MS;
  for (const timeMs of [firstMs, midnightMs - 1, midnightMs, lastMs]) {
    for (const sql of [INSERT_FIX, INSERT_METRIC]) {
      await client.query(sql, [7, new Date(timeMs).toISOString()]);
    }
  }
  const { rows } = await client.query(
    `select count(*)::int, count(distinct equipment_gps_location_id)::int as ids
     from equipment_gps_location`,
  );
  t.same(rows, [{ count: 4, ids: 4 }]);
  await t.rejects(client.query(INSERT_FIX, [7, new Date(midnightMs).toISOString()]), {
    code: '23505',
  });
});

t.test('days asked for once are not asked for again', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connect(t, ownerUrl);
  const asked: string[] = [];
  const query = client.query.bind(client) as (...args: unknown[]) => unknown;
  client.query = ((text: string, ...rest: unknown[]) => {
    asked.push(text);
    return query(text, ...rest);
  }) as typeof client.query;
  const nowMs = Date.now();
  await ensureTimePartitions(client, nowMs - DAY_MS, nowMs);
  t.equal(asked.length, 1);
  await ensureTimePartitions(client, nowMs - DAY_MS, nowMs);
  await ensureTimePartitions(client, nowMs, nowMs);
  t.equal(asked.length, 1, 'known days');
  await ensureTimePartitions(client, nowMs, nowMs + DAY_MS);
  t.equal(asked.length, 2, 'a new day');
  await client.query('begin');
  await t.rejects(ensureTimePartitions(client, nowMs, nowMs), { code: 'ERR_ASSERTION' });
  await client.query('rollback');

  const other = await connect(t, ownerUrl);
  t.equal(await ensureTimePartitions(other, nowMs - DAY_MS, nowMs + DAY_MS), 0, 'made already');
});

t.test('writers are not held up while room is made', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const [writer, maker] = [await connect(t, ownerUrl), await connect(t, ownerUrl)];
  const nowMs = Date.now();
  await ensureTimePartitions(writer, nowMs, nowMs);
  await writer.query('begin');
  await writer.query(INSERT_FIX, [1, new Date(nowMs).toISOString()]);
  await maker.query(`set lock_timeout to '2s'`);
  await t.resolves(ensureTimePartitions(maker, nowMs - DAY_MS, nowMs + DAY_MS));
  await writer.query(INSERT_METRIC, [1, new Date(nowMs + DAY_MS).toISOString()]);
  await writer.query('commit');
});

t.test('ingest makes room itself, within what is kept', async (t) => {
  const client = await connect(t, (await createTestDatabase(t)).ownerUrl);
  const { kind } = await detectTimeSeries(client);
  await client.query('set role milepost_ingest');
  const nowMs = Date.now();
  t.equal(await ensureTimePartitions(client, nowMs, nowMs), kind === 'timescale' ? 0 : 2);
  await client.query(INSERT_FIX, [1, new Date(nowMs).toISOString()]);
  if (kind === 'partitions') {
    for (const [firstMs, lastMs] of [
      [nowMs - 101 * DAY_MS, nowMs],
      [nowMs, nowMs + 11 * DAY_MS],
    ] as const) {
      await t.rejects(ensureTimePartitions(client, firstMs, lastMs), { code: '22023' });
    }
  }
  await t.rejects(ensureTimePartitions(client, nowMs, nowMs - 1), { code: 'ERR_ASSERTION' });
});

t.test('unsafe settings are named', async (t) => {
  const client = await connect(t, (await createTestDatabase(t)).ownerUrl);
  // The server of the tests gives up crash safety for speed.
  const warnings = await durabilityWarnings(client);
  t.match(warnings, [/^fsync is off/, /^full_page_writes is off/, /^synchronous_commit is off/]);
  await client.query('set synchronous_commit to on');
  t.equal((await durabilityWarnings(client)).length, 2);
});
