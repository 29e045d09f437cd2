import { gzipSync } from 'node:zlib';
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import mqtt from 'mqtt';
import pg from 'pg';
import { Registry as PromRegistry } from 'prom-client';
import t, { type Test } from 'tap';
import { valueTypes } from '../db/pools.ts';
import { createTestDatabase } from '../db/test-database.ts';
import { createIngest, type Committed, type Ingest } from './ingest.ts';
import { seedTestFleet, testIngestOptions, type TestFleet } from './test-fleet.ts';

interface House {
  readonly ownerUrl: string;
  readonly owner: pg.Pool;
  readonly fleet: TestFleet;
  readonly ingest: Ingest;
  readonly app: FastifyInstance;
  readonly mqttPort: number;
  readonly committed: Committed[];
  readonly prometheus: PromRegistry;
  /** Resolves when the condition holds; asked again after every commit and log line. */
  until(holds: () => boolean): Promise<void>;
  stop(): Promise<void>;
}

async function openHouse(t: Test, ownerUrl: string, fleet: TestFleet): Promise<House> {
  const owner = new pg.Pool({ connectionString: ownerUrl, max: 2, types: valueTypes });
  owner.on('error', () => undefined);
  const prometheus = new PromRegistry();
  const committed: Committed[] = [];
  let waiting: { holds: () => boolean; resolve: () => void }[] = [];
  const look = (): void => {
    const done = waiting.filter((one) => one.holds());
    waiting = waiting.filter((one) => !done.includes(one));
    for (const one of done) one.resolve();
  };
  const log = { info: () => undefined, warn: () => look(), error: () => undefined };
  const ingest = createIngest({
    ...testIngestOptions(ownerUrl),
    prometheus,
    log,
    onCommitted: (one) => {
      committed.push(one);
      look();
    },
    onLeadershipLost: () => t.fail('leadership lost'),
  });
  await ingest.load();
  const mqttPort = (await ingest.start()).mqtt!;
  const app = Fastify();
  // As the API answers.
  app.setErrorHandler((error: FastifyError, _request, reply) =>
    reply.code(error.statusCode ?? 500).send({
      type: 'about:blank',
      title: error.name,
      status: error.statusCode ?? 500,
      detail: error.message,
      code: error.code,
    }),
  );
  await app.register(ingest.plugin);
  let stopped = false;
  const stop = async (): Promise<void> => {
    if (stopped) return;
    stopped = true;
    await app.close();
    await ingest.stop(AbortSignal.timeout(10_000));
    await owner.end();
  };
  t.teardown(stop);
  const until = (holds: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      waiting.push({ holds, resolve });
      look();
    });
  return { ownerUrl, owner, fleet, ingest, app, mqttPort, committed, prometheus, until, stop };
}

async function newHouse(t: Test, units = 3): Promise<House> {
  const { ownerUrl } = await createTestDatabase(t);
  return openHouse(t, ownerUrl, await seedTestFleet(ownerUrl, units));
}

interface Answer {
  status: number;
  body: {
    accepted: number;
    duplicates: number;
    rejected: { index: number; reason: string }[];
    code?: string;
  };
}

async function post(
  house: House,
  records: unknown,
  token = house.fleet.gatewayToken,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const payload =
    typeof records === 'string' || Buffer.isBuffer(records) ? records : JSON.stringify(records);
  const response = await house.app.inject({
    method: 'POST',
    url: '/v1/telemetry',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    payload,
  });
  return { status: response.statusCode, body: response.json() };
}

const START_MS = Math.floor(Date.now() / 1000) * 1000 - 3_600_000;
const fix = (n: number, second: number, more: object = {}): object => ({
  device: `dev-${n}`,
  time: START_MS + second * 1000,
  lat: 41.5,
  lon: -87.5,
  ...more,
});

async function count(house: House, table: string): Promise<number> {
  const { rows } = await house.owner.query<{ n: number }>(
    `select count(*)::int as n from ${table}`,
  );
  return rows[0]!.n;
}

t.test('HTTP: stored, repeated, refused, each told apart', async (t) => {
  const house = await newHouse(t);
  const first = await post(house, [
    fix(1, 0, { speed_mps: 5, temperature_c: -18 }),
    fix(2, 0),
    fix(1, 1),
  ]);
  t.same(first, { status: 200, body: { accepted: 4, duplicates: 0, rejected: [] } });
  const again = await post(house, [fix(1, 0, { temperature_c: -18 }), fix(1, 2), fix(1, 2)]);
  t.same(
    again.body,
    { accepted: 1, duplicates: 3, rejected: [] },
    'repeats within and between messages',
  );
  const mixed = await post(house, [
    fix(1, 3),
    { ...fix(1, 4), lat: 91 },
    { ...fix(1, 5), time: 0 },
    fix(99, 6),
    'nonsense',
  ]);
  t.equal(mixed.status, 200);
  t.equal(mixed.body.accepted, 1);
  t.same(
    mixed.body.rejected.map((r) => [r.index, r.reason]),
    [[1, 'lat_range'], [2, 'time_range'], [3, 'unknown_device'], [4, 'record_type']], // prettier-ignore
  );
  t.equal(await count(house, 'equipment_gps_location'), 5);
  t.equal(await count(house, 'iot_device_metric'), 1);
  const { rows } = await house.owner.query<{
    reason: string;
    payload: Buffer;
    customer_id: number;
  }>('select reason, payload, customer_id from ingest_reject order by ingest_reject_id');
  t.same(rows.map((r) => r.reason).sort(), [
    'lat_range',
    'record_type',
    'time_range',
    'unknown_device',
  ]);
  t.ok(rows.every((r) => r.customer_id === house.fleet.customerId && r.payload.length > 0));
  const metrics = await house.prometheus.metrics();
  t.match(metrics, 'milepost_ingest_rejects_total{reason="lat_range"} 1');
  t.match(metrics, 'milepost_ingest_rows_total{kind="fix",outcome="stored"} 5');
});

t.test('HTTP: whole-body refusals, formats and credentials', async (t) => {
  const house = await newHouse(t);
  const one = JSON.stringify(fix(1, 0));
  t.equal((await post(house, '{')).body.rejected[0]?.reason, 'json_malformed');
  t.equal((await post(house, '{')).status, 422);
  t.equal((await post(house, one, 'wrong')).status, 401);
  t.equal((await post(house, one, 'wrong')).body.code, 'bad_token');
  const ndjson = { 'content-type': 'application/x-ndjson' };
  const lines = await post(
    house,
    `${one}\n${JSON.stringify(fix(2, 0))}\n{\n`,
    house.fleet.gatewayToken,
    ndjson,
  );
  t.same([lines.body.accepted, lines.body.rejected[0]?.reason], [2, 'json_malformed']);
  const gzip = { 'content-encoding': 'gzip' };
  const zipped = await post(
    house,
    gzipSync(JSON.stringify([fix(3, 0)])),
    house.fleet.gatewayToken,
    gzip,
  );
  t.equal(zipped.body.accepted, 1);
  const bomb = await post(
    house,
    gzipSync(Buffer.alloc(20_000_000)),
    house.fleet.gatewayToken,
    gzip,
  );
  t.same([bomb.status, bomb.body.rejected[0]?.reason], [422, 'body_too_large']);
  const own = await post(house, { ...fix(1, 9), device: undefined }, 'token-1');
  t.equal(own.body.accepted, 1, 'a device token needs no device name');
  const foreign = await post(house, fix(2, 9), 'token-1');
  t.equal(foreign.body.rejected[0]?.reason, 'foreign_device');
  const large = await house.app.inject({
    method: 'POST',
    url: '/v1/telemetry',
    headers: { authorization: 'Bearer token-1', 'content-type': 'application/json' },
    payload: Buffer.alloc(2 * 1024 * 1024, 0x20),
  });
  t.equal(large.statusCode, 413);
  t.match(
    await house.prometheus.metrics(),
    /refused_total\{source="http",reason="body_too_large"\} 1/,
  );
});

t.test(
  'a device that a gateway names and nobody knows is found among those that knock',
  async (t) => {
    const house = await newHouse(t);
    const { status, body } = await post(house, [fix(1, 0), { ...fix(1, 1), device: 'ghost' }]);
    t.match({ status, body }, { status: 200, body: { rejected: [{ reason: 'unknown_device' }] } });
    const client = new pg.Client({ connectionString: house.ownerUrl });
    await client.connect();
    t.teardown(() => client.end());
    // What has knocked is written at the latest when ingestion stops.
    await house.stop();
    const { rows } = await client.query(
      'select protocol, device_identifier, customer_id, knock_count::int from knocking_device',
    );
    const customer_id = String(house.fleet.customerId);
    t.match(rows, [{ protocol: 'http', device_identifier: 'ghost', customer_id, knock_count: 1 }]);
  },
);

t.test('a row that the database refuses is found; the others are stored', async (t) => {
  const house = await newHouse(t);
  await house.owner.query(
    'alter table equipment_gps_location add constraint no_13 check (satellites <> 13)',
  );
  const records = Array.from({ length: 200 }, (_, i) =>
    fix(1, i, { satellites: i === 77 ? 13 : 8, battery_pct: 50 }),
  );
  const { body } = await post(house, records);
  t.equal(body.accepted, 399, '199 fixes and 200 readings');
  t.same(
    body.rejected.map((r) => [r.index, r.reason]),
    [[77, 'storage_refused']],
  );
  t.equal(await count(house, 'equipment_gps_location'), 199);
  const { rows } = await house.owner.query<{ reason: string; detail: string }>(
    'select reason, detail from ingest_reject',
  );
  t.equal(rows.length, 1);
  t.match(rows[0]?.detail, /no_13/);
});

t.test('many rows that the database refuses hold nobody up', async (t) => {
  const house = await newHouse(t);
  await post(house, fix(2, 0));
  await house.owner.query(
    'alter table equipment_gps_location add constraint no_13 check (satellites <> 13)',
  );
  const bad = Array.from({ length: 150 }, (_, i) => fix(1, i, { satellites: 13 }));
  const [refused, good] = await Promise.all([post(house, bad), post(house, fix(1, 500))]);
  t.equal(refused.body.rejected.length, 150);
  t.equal(good.body.accepted, 1);
  t.equal(await count(house, 'ingest_reject'), 150);
});

t.test('a refused row does not change what the rows beside it cause', async (t) => {
  const house = await newHouse(t, 1);
  await house.owner.query(
    'alter table equipment_gps_location add constraint no_13 check (satellites <> 13)',
  );
  await house.owner.query(
    `insert into geofence (customer_id, geofence_name, shape_type, center_lat, center_lng, radius_m, exit_fix_count)
       values ($1, 'Yard', 'circle', 41.5, -87.5, 500, 1)`,
    [house.fleet.customerId],
  );
  // In force once a reload has been through; the second house begins with it.
  await house.stop();
  const again = await openHouse(t, house.ownerUrl, house.fleet);
  const newestFirst = Array.from({ length: 9 }, (_, i) => {
    const second = 9 - i;
    return fix(1, second, {
      lat: second % 2 === 0 ? 41.5 : 41.6,
      ...(second === 9 && { satellites: 13 }),
    });
  });
  const { body } = await post(again, newestFirst);
  t.equal(body.accepted, 8);
  t.equal(await count(again, 'activity_feed'), 7, 'in at 2, out at 3 … in at 8');
});

t.test('an account that is deleted under a batch costs the batch nothing', async (t) => {
  const seeded = await newHouse(t, 1);
  await seeded.owner.query(
    `insert into geofence (customer_id, geofence_name, shape_type, center_lat, center_lng, radius_m)
       values ($1, 'Yard', 'circle', 41.5, -87.5, 500)`,
    [seeded.fleet.customerId],
  );
  await seeded.stop();
  const house = await openHouse(t, seeded.ownerUrl, seeded.fleet);
  const locker = await house.owner.connect();
  await locker.query('begin; lock table equipment_gps_location in exclusive mode');
  const answer = post(house, fix(1, 0));
  for (;;) {
    const { rows } = await house.owner.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name like 'milepost-ingest%' and wait_event_type = 'Lock'`,
    );
    if (rows[0]!.n > 0) break;
  }
  await house.owner.query('update equipment set account_id = null');
  await house.owner.query('delete from account');
  await locker.query('commit');
  locker.release();
  t.same((await answer).body, { accepted: 1, duplicates: 0, rejected: [] });
  const { rows } = await house.owner.query('select event_type, account_id from activity_feed');
  t.same(rows, [{ event_type: 'geofence_enter', account_id: null }]);
});

t.test('while a batch is held, readiness says so', async (t) => {
  const house = await newHouse(t, 1);
  await post(house, fix(1, 0));
  t.same(house.ingest.notReady(), []);
  await house.owner.query('alter table engine_state rename to engine_state_away');
  await house.owner.query('alter table telematics rename to telematics_away');
  const answer = post(house, fix(1, 1));
  await house.until(() => house.ingest.notReady().length > 0);
  await house.owner.query('alter table telematics_away rename to telematics');
  await house.owner.query('alter table engine_state_away rename to engine_state');
  t.equal((await answer).body.accepted, 1, 'and then it goes in');
  t.same(house.ingest.notReady(), []);
});

t.test('fences and rules: events once, state across a restart, edits while running', async (t) => {
  const house = await newHouse(t, 1);
  const { customerId } = house.fleet;
  await house.owner.query(
    `insert into geofence (customer_id, geofence_name, shape_type, center_lat, center_lng, radius_m)
       values ($1, 'Yard', 'circle', 41.5, -87.5, 500)`,
    [customerId],
  );
  await house.owner.query(
    `insert into telematic_alert (customer_id, alert_name, metric_code, operator, operator_value, clear_value)
       values ($1, 'Warm', 'temperature_c', '>', -15, -17)`,
    [customerId],
  );
  const away = { lat: 41.6 };
  // The edit is known by its effect: a fix inside is answered by an enter event.
  let second = 0;
  await post(house, fix(1, second++, away));
  do {
    await post(house, [fix(1, second++, { ...away, temperature_c: -20 }), fix(1, second++, away)]);
    await post(house, fix(1, second++, { temperature_c: -10 }));
  } while (!(await count(house, 'activity_feed')));
  const feed = async (): Promise<string[]> => {
    const { rows } = await house.owner.query<{ event_type: string; subject_name: string }>(
      'select event_type, subject_name from activity_feed order by event_time, activity_feed_id',
    );
    return rows.map((row) => `${row.event_type} ${row.subject_name}`);
  };
  t.same((await feed()).sort(), ['alert_raised Warm', 'geofence_enter Yard']);
  await house.stop();

  const restarted = await openHouse(t, house.ownerUrl, house.fleet);
  const before = second - 1;
  await post(restarted, fix(1, before, { temperature_c: -10 }));
  await post(restarted, fix(1, second++, { temperature_c: -10 }));
  const again = async (): Promise<string[]> => {
    const { rows } = await restarted.owner.query<{ event_type: string; subject_name: string }>(
      'select event_type, subject_name from activity_feed order by activity_feed_id',
    );
    return rows.map((row) => `${row.event_type} ${row.subject_name}`);
  };
  t.equal((await again()).length, 2, 'a repeat and a fix that changes nothing raise nothing');
  await post(restarted, [
    fix(1, second++, away),
    fix(1, second++, { ...away, temperature_c: -18 }),
  ]);
  t.same((await again()).slice(2).sort(), ['alert_cleared Warm', 'geofence_exit Yard']);
  const { rows } = await restarted.owner.query<{ temperature: number; latitude: number }>(
    'select temperature, latitude from telematics',
  );
  t.same(rows, [{ temperature: -18, latitude: 41.6 }]);
  await post(restarted, fix(1, 0, { lat: 10, speed_mps: 1 }));
  t.equal((await again()).length, 4, 'a late fix raises nothing');
  t.equal(
    (await restarted.owner.query<{ latitude: number }>('select latitude from telematics')).rows[0]
      ?.latitude,
    41.6,
    'and does not move the latest position',
  );
  t.ok(restarted.committed.length > 0);
  await restarted.stop();
});

t.test('the connection dies under a batch: it is committed once, then acknowledged', async (t) => {
  const house = await newHouse(t, 2);
  await post(house, fix(1, 0));
  const locker = await house.owner.connect();
  await locker.query('begin; lock table equipment_gps_location in exclusive mode');
  const answer = post(house, [fix(1, 1), fix(2, 1)]);
  // The batch is in the database's hands: its COPY waits for the lock.
  for (;;) {
    const { rows } = await house.owner.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name like 'milepost-ingest%' and wait_event_type = 'Lock'`,
    );
    if (rows[0]!.n > 0) break;
  }
  await house.owner.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'milepost-ingest%'`,
  );
  await locker.query('commit');
  locker.release();
  t.same((await answer).body, { accepted: 2, duplicates: 0, rejected: [] });
  t.equal(await count(house, 'equipment_gps_location'), 3);
});

t.test('MQTT: PUBACK means stored; refusals have their reasons', async (t) => {
  const house = await newHouse(t, 2);
  const url = `mqtt://127.0.0.1:${house.mqttPort}`;
  const client = await mqtt.connectAsync(url, {
    username: 'dev-1',
    password: 'token-1',
    protocolVersion: 5,
  });
  t.teardown(() => client.endAsync(true));
  const publish = (topic: string, record: unknown): Promise<unknown> =>
    client.publishAsync(topic, typeof record === 'string' ? record : JSON.stringify(record), {
      qos: 1,
    });
  await publish('v1/devices/dev-1/fixes', [fix(1, 0), fix(1, 1)]);
  t.equal(await count(house, 'equipment_gps_location'), 2, 'stored when acknowledged');
  await publish('v1/devices/dev-1/metrics', { time: START_MS, metric: 'temperature_c', value: -3 });
  t.equal(await count(house, 'iot_device_metric'), 1);
  await t.rejects(publish('v1/devices/dev-2/fixes', fix(2, 0)), { code: 0x87 });
  await t.rejects(publish('v1/devices/dev-1/fixes', '{'), { code: 0x99 });
  await t.rejects(publish('v1/devices/dev-1/fixes', { ...fix(1, 2), lat: 91 }), { code: 0x99 });
  const { rows } = await house.owner.query<{ reason: string; topic: string }>(
    'select reason, topic from ingest_reject order by 1',
  );
  t.same(
    rows.map((r) => r.reason),
    ['foreign_topic', 'json_malformed', 'lat_range'],
  );
  await t.rejects(
    mqtt.connectAsync(url, {
      username: 'dev-1',
      password: 'nope',
      protocolVersion: 5,
      reconnectPeriod: 0,
    }),
  );
  await t.rejects(
    mqtt.connectAsync(url, {
      username: 'dev-9',
      password: 'nope',
      protocolVersion: 5,
      reconnectPeriod: 0,
    }),
  );
  const metrics = await house.prometheus.metrics();
  t.match(metrics, 'refused_total{source="mqtt",reason="bad_secret"} 1');
  t.match(metrics, 'refused_total{source="mqtt",reason="unknown_device"} 1');
  t.equal(await count(house, 'equipment_gps_location'), 2);
});

t.test('a device that is disabled is shown the door', async (t) => {
  const house = await newHouse(t, 1);
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${house.mqttPort}`, {
    username: 'dev-1',
    password: 'token-1',
    reconnectPeriod: 0,
  });
  const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
  await house.owner.query(`update iot_device set status = 'disabled'`);
  await closed;
  t.equal((await post(house, fix(1, 0))).body.rejected[0]?.reason, 'unknown_device');
});
