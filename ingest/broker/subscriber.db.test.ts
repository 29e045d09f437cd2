import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import mqtt, { type IClientPublishOptions, type MqttClient } from 'mqtt';
import type pg from 'pg';
import t, { type Test } from 'tap';
import { createTestDatabase, openOwnerPool } from '../../db/test-database.ts';
import { createTestAuthority } from '../mqtt/transports/test-certificates.ts';
import { seedTestFleet } from '../test-fleet.ts';
import { startClient } from './test-broker.ts';
import { openRoom, type RoomOptions, type TestRoom } from './test-room.ts';
import {
  missing,
  spawnBound,
  startMosquitto,
  startNats,
  type BrokerServer,
} from './test-servers.ts';

const DEVICES = 10;
const START_MS = Math.floor(Date.now() / 1000) * 1000 - 3_600_000;

const mosquitto = { skip: missing('mosquitto') };
const nats = { skip: missing('nats-server') };

const urlOf = ({ host, port }: BrokerServer): string => `mqtt://${host}:${port}`;

interface Database {
  readonly ownerUrl: string;
  readonly owner: pg.Pool;
  rows(sql: string): Promise<Record<string, unknown>[]>;
  count(table: string): Promise<number>;
}

async function newDatabase(t: Test): Promise<Database> {
  const { ownerUrl } = await createTestDatabase(t);
  await seedTestFleet(ownerUrl, DEVICES);
  const owner = openOwnerPool(t, ownerUrl, 2);
  owner.on('error', () => undefined);
  const rows = async (sql: string): Promise<Record<string, unknown>[]> =>
    (await owner.query<Record<string, unknown>>(sql)).rows;
  const count = async (table: string): Promise<number> =>
    (await rows(`select count(*)::int as n from ${table}`))[0]!['n'] as number;
  return { ownerUrl, owner, rows, count };
}

async function newRoom(
  t: Test,
  database: Database,
  options: Partial<RoomOptions> = {},
): Promise<TestRoom> {
  const room = await openRoom({ ownerUrl: database.ownerUrl, ...options });
  t.teardown(() => room.stop());
  return room;
}

async function newPublisher(t: Test, url: string): Promise<MqttClient> {
  const client = await mqtt.connectAsync(url, { reconnectPeriod: 50, protocolVersion: 4 });
  t.teardown(() => client.endAsync(true));
  return client;
}

const topicOf = (n: number): string => `v1/devices/dev-${1 + (n % DEVICES)}/fixes`;
const fixOf = (n: number): string =>
  JSON.stringify({ time: START_MS + n * 100, lat: 41.5, lon: -87.5, speed_mps: n % 30 });

/** Publishes fixes `from` … `to - 1`, each its own, and resolves when the broker has them. */
async function publishFixes(
  client: MqttClient,
  from: number,
  to: number,
  options: IClientPublishOptions = { qos: 1 },
): Promise<void> {
  const all: Promise<unknown>[] = [];
  for (let n = from; n < to; n++) all.push(client.publishAsync(topicOf(n), fixOf(n), options));
  await Promise.all(all);
}

/** Keeps every COPY of fixes waiting until it is released. */
async function lockFixes({ owner }: Database): Promise<() => Promise<void>> {
  const locker = await owner.connect();
  await locker.query('begin; lock table equipment_gps_location in exclusive mode');
  return async () => {
    await locker.query('commit');
    locker.release();
  };
}

/** Everything that was sent is there, and the key would not let it be there twice. */
async function storedOnce(t: Test, database: Database, sent: number): Promise<void> {
  const [row] = await database.rows(
    `select count(*)::int as rows, count(distinct (equipment_has_iot_device_id, recorded_at))::int as different
       from equipment_gps_location`,
  );
  t.same(row, { rows: sent, different: sent });
  t.equal(await database.count('ingest_reject'), 0);
}

const BROKERS = [
  { name: 'Mosquitto, 5.0', start: startMosquitto, skip: mosquitto.skip },
  { name: 'NATS, 3.1.1', start: startNats, skip: nats.skip },
];

for (const { name, start, skip } of BROKERS) {
  t.test(
    `${name}: thousands in flight, none acknowledged before its commit`,
    { skip },
    async (t) => {
      const database = await newDatabase(t);
      const broker = await start(t);
      const room = await newRoom(t, database);
      const { subscriber } = room.subscribe({ url: urlOf(broker) });
      await room.until(() => subscriber.connected && subscriber.notReady().length === 0);
      const publisher = await newPublisher(t, urlOf(broker));
      await publishFixes(publisher, 0, 1);
      await room.until(() => room.counts.stored === 1);
      const release = await lockFixes(database);
      await publishFixes(publisher, 1, 5_001);
      await room.until(() => room.counts.taken === 5_001);
      t.equal(subscriber.inFlight, 5_000, 'received, and not acknowledged');
      t.equal(await database.count('equipment_gps_location'), 1);
      await release();
      await room.until(() => room.counts.stored === 5_001);
      t.equal(subscriber.inFlight, 0);
      await room.stop();
      await storedOnce(t, database, 5_001);

      const again = await newRoom(t, database);
      const second = again.subscribe({ url: urlOf(broker) });
      await again.until(() => second.subscriber.connected);
      await publishFixes(publisher, 5_001, 5_002);
      await again.until(() => again.counts.stored === 1);
      t.equal(again.counts.taken, 1, 'what was acknowledged does not come again');
    },
  );

  t.test(`${name}: SIGKILL of the subscriber, again and again`, { skip }, async (t) => {
    const database = await newDatabase(t);
    const broker = await start(t);
    // So that the session is there before anything is published.
    const room = await newRoom(t, database);
    const first = room.subscribe({ url: urlOf(broker) });
    await room.until(() => first.subscriber.connected && first.subscriber.notReady().length === 0);
    await publishFixes(await newPublisher(t, urlOf(broker)), 0, 1);
    await room.until(() => room.counts.stored === 1);
    await room.stop();

    const publisher = await newPublisher(t, urlOf(broker));
    let sent = 1;
    // More each time than are awaited, so that nobody waits for what those before have answered already.
    const publish = async (count: number): Promise<void> => {
      const from = sent;
      sent += count;
      for (let n = from; n < sent; n += 500) await publishFixes(publisher, n, n + 500);
    };
    const killed: number[] = [];
    for (const least of [0, 500, 1_000]) {
      const published = publish(2_500);
      killed.push(await killAfter(database, broker, least));
      await published;
    }
    t.comment(`messages answered when killed: ${killed.join(', ')}`);
    const last = await newRoom(t, database);
    last.subscribe({ url: urlOf(broker) });
    await publish(500);
    await last.until(() => last.counts.stored > 0);
    const stored = async (): Promise<boolean> =>
      (await database.count('equipment_gps_location')) >= sent;
    for (let seen = -1; !(await stored());) {
      await last.until(() => last.counts.stored > seen);
      seen = last.counts.stored;
    }
    await last.stop();
    await storedOnce(t, database, sent);
  });
}

/** Runs a subscriber of its own until it has answered more than so many messages, and kills it; how many it had. */
async function killAfter(database: Database, broker: BrokerServer, least: number): Promise<number> {
  const settings = JSON.stringify({ ownerUrl: database.ownerUrl, url: urlOf(broker) });
  const script = join(import.meta.dirname, 'test-child.js');
  const child = spawnBound(process.execPath, [script, settings], ['ignore', 'pipe', 'inherit']);
  let answered = 0;
  for await (const line of createInterface({ input: child.stdout! })) {
    answered = Number(line);
    if (answered > least) child.kill('SIGKILL');
  }
  return answered;
}

t.test('Mosquitto restarts: it goes on', mosquitto, async (t) => {
  const database = await newDatabase(t);
  const broker = await startMosquitto(t);
  const room = await newRoom(t, database);
  const { subscriber } = room.subscribe({ url: urlOf(broker) });
  await room.until(() => subscriber.connected && subscriber.notReady().length === 0);
  const publisher = await newPublisher(t, urlOf(broker));
  await publishFixes(publisher, 0, 1_000);
  await room.until(() => room.counts.stored >= 1_000);
  const release = await lockFixes(database);
  await publishFixes(publisher, 1_000, 3_000);
  await room.until(() => room.counts.taken >= 3_000);
  await broker.stop('SIGTERM');
  await room.until(() => !subscriber.connected);
  t.match(subscriber.notReady()[0], /not connected/);
  await release();
  await broker.start();
  await room.until(() => subscriber.connected);
  await publishFixes(publisher, 3_000, 4_000);
  for (let seen = -1; (await database.count('equipment_gps_location')) < 4_000;) {
    await room.until(() => room.counts.stored > seen);
    seen = room.counts.stored;
  }
  await room.until(() => subscriber.inFlight === 0);
  t.same(subscriber.notReady(), []);
  await storedOnce(t, database, 4_000);
});

t.test('Mosquitto: a full queue stops the reading, and nothing is lost', mosquitto, async (t) => {
  const database = await newDatabase(t);
  const broker = await startMosquitto(t);
  const room = await newRoom(t, database, { queueRowsMax: 1_200 });
  const { subscriber } = room.subscribe({ url: urlOf(broker) });
  await room.until(() => subscriber.connected && subscriber.notReady().length === 0);
  const publisher = await newPublisher(t, urlOf(broker));
  await publishFixes(publisher, 0, 1);
  await room.until(() => room.counts.stored === 1);
  const release = await lockFixes(database);
  await publishFixes(publisher, 1, 6_000);
  await room.until(() => room.intake.isFull);
  t.equal(room.intake.queuedRows, 1_200, 'not one more than the limit');
  t.equal(subscriber.inFlight, 1_200);
  await release();
  await room.until(() => room.counts.stored === 6_000);
  await storedOnce(t, database, 6_000);
});

t.test('Mosquitto: $share, with two consumers', mosquitto, async (t) => {
  const database = await newDatabase(t);
  const broker = await startMosquitto(t);
  const room = await newRoom(t, database);
  const [one, two] = ['one', 'two'].map((clientId) =>
    room.subscribe({ url: urlOf(broker), clientId, shareGroup: 'fleet' }),
  );
  const isReady = (): boolean =>
    [one!, two!].every(({ subscriber }) => subscriber.connected && !subscriber.notReady().length);
  await room.until(isReady);
  const publisher = await newPublisher(t, urlOf(broker));
  await publishFixes(publisher, 0, 2_000);
  await room.until(() => room.counts.stored === 2_000);
  await storedOnce(t, database, 2_000);
  t.equal(room.counts.taken, 2_000, 'each message went to one of them');
  t.ok(one!.taken() > 500 && two!.taken() > 500, `${one!.taken()} and ${two!.taken()}`);
});

t.test(
  'Mosquitto: every quality of service, retained messages, user and password, TLS',
  mosquitto,
  async (t) => {
    const authority = createTestAuthority();
    const own = authority.issue({ commonName: 'broker', addresses: ['127.0.0.1'] });
    const database = await newDatabase(t);
    const broker = await startMosquitto(t, (dir) => {
      const file = (name: string, text: string): string => {
        writeFileSync(join(dir, name), text);
        return join(dir, name);
      };
      const passwords = join(dir, 'passwords');
      const made = spawnSync('mosquitto_passwd', ['-c', '-b', passwords, 'mile post', 's/cr:t@']);
      if (made.status !== 0) throw new Error(String(made.stderr));
      return [
        'allow_anonymous false',
        `password_file ${passwords}`,
        `certfile ${file('cert.pem', own.cert)}`,
        `keyfile ${file('key.pem', own.key)}`,
      ];
    });
    const address = `${broker.host}:${broker.port}`;
    const room = await newRoom(t, database);
    const publisher = await mqtt.connectAsync(`mqtts://${address}`, {
      username: 'mile post',
      password: 's/cr:t@',
      ca: authority.cert,
    });
    t.teardown(() => publisher.endAsync(true));
    await publishFixes(publisher, 0, 1, { qos: 1, retain: true });
    const url = `mqtts://mile%20post:s%2Fcr%3At%40@${address}`;
    const distrusting = room.subscribe({ url, clientId: 'distrusting' });
    await room.until(() => /certificate/.test(distrusting.subscriber.notReady().join()));
    const { subscriber } = room.subscribe({ url, tls: { ca: authority.cert } });
    await room.until(() => room.counts.stored === 1);
    await publishFixes(publisher, 1, 2, { qos: 0 });
    await publishFixes(publisher, 2, 3, { qos: 1 });
    await publishFixes(publisher, 3, 4, { qos: 2 });
    await room.until(() => room.counts.stored === 4);
    // A new session is sent the retained message again.
    room.subscribe({ url, clientId: 'another', tls: { ca: authority.cert } });
    await room.until(() => room.counts.stored === 5);
    t.same(subscriber.notReady(), []);
    await storedOnce(t, database, 4);

    const direct = startClient(
      t,
      broker.port,
      {
        clientId: 'direct',
        username: 'mile post',
        password: Buffer.from('s/cr:t@'),
        tls: { ca: authority.cert },
      },
      { filters: ['q/#'], qos: 2 },
    );
    while (direct.client.problems().length > 0) await new Promise(setImmediate);
    const sent = [0, 1, 2, 2, 1, 0, 2] as const;
    for (const qos of sent) await publisher.publishAsync('q/x', String(qos), { qos });
    await direct.sink.arrived(sent.length);
    for (const { done } of direct.sink.taken) done(true);
    t.same(
      direct.sink.taken.map(({ message }) => message.payload.toString()).sort(),
      sent.map(String).sort(),
    );
    await publisher.publishAsync('q/x', 'last', { qos: 2 });
    await direct.sink.arrived(1);
    t.equal(direct.client.inFlight, 1, 'all the others are done with');
  },
);

t.test(
  'Mosquitto: what cannot be stored is kept as a reject, and then acknowledged',
  mosquitto,
  async (t) => {
    const database = await newDatabase(t);
    const broker = await startMosquitto(t);
    const room = await newRoom(t, database);
    const config = { url: urlOf(broker), topics: ['v1/devices/+/+', 'owntracks/#', 'other/#'] };
    const { subscriber } = room.subscribe(config);
    await room.until(() => subscriber.connected && subscriber.notReady().length === 0);
    const publisher = await newPublisher(t, urlOf(broker));
    const own = 'v1/devices/dev-1/fixes';
    const rows: [
      topic: string,
      payload: string | Buffer,
      reason: string | null,
      device: string | null,
    ][] = [
      [own, '{', 'json_malformed', 'dev-1'],
      [own, fixOf(1).replace('41.5', '91'), 'lat_range', 'dev-1'],
      [
        own,
        JSON.stringify({ ...JSON.parse(fixOf(2)), device: 'dev-2' }),
        'foreign_device',
        'dev-2',
      ],
      [own, JSON.stringify({ ...JSON.parse(fixOf(3)), device: 'dev-1' }), null, null],
      [own, ' '.repeat(2_000_000), 'message_too_large', 'dev-1'],
      [own, '', null, null],
      ['v1/devices/dev-9999/fixes', fixOf(4), 'unknown_device', 'dev-9999'],
      ['v1/devices/dev-1/other', fixOf(5), 'topic_unknown', null],
      ['v1/devices//fixes', fixOf(5), 'topic_unknown', null],
      ['other/dev-1', fixOf(6), 'topic_unknown', null],
      [
        'owntracks/dev-2/phone',
        JSON.stringify({ _type: 'encrypted', data: 'x' }),
        'encrypted',
        'dev-2',
      ],
      [
        'owntracks/dev-2/phone',
        JSON.stringify({ _type: 'location', lat: 41.5, lon: -87.5, tst: START_MS / 1000 }),
        null,
        null,
      ],
    ];
    for (const [topic, payload] of rows) await publisher.publishAsync(topic, payload, { qos: 1 });
    // Without the empty one, which reports nothing.
    await room.until(() => room.counts.stored === rows.length - 1);
    const found = await database.rows(
      'select topic, reason, device_identifier, source from ingest_reject order by ingest_reject_id',
    );
    const expected = rows.flatMap(([topic, , reason, device_identifier]) =>
      reason === null ? [] : [{ topic, reason, device_identifier, source: 'broker' }],
    );
    const order = (all: object[]): string[] => all.map((one) => JSON.stringify(one)).sort();
    t.same(order(found), order(expected));
    t.equal(await database.count('equipment_gps_location'), 2);
    t.match(room.knocks, [{ protocol: 'broker', deviceName: 'dev-9999', tenantId: null }]);
    t.equal(room.knocks.length, 1);
    t.match(await room.prometheus.metrics(), 'source="broker",reason="payload_empty"} 1');
    t.equal(subscriber.inFlight, 0);
    await room.stop();

    const again = await newRoom(t, database);
    const second = again.subscribe(config);
    await again.until(() => second.subscriber.connected);
    await publishFixes(publisher, 10, 11);
    await again.until(() => again.counts.stored === 1);
    t.equal(again.counts.taken, 1, 'nothing of it comes again');
  },
);

t.test('NATS: a topic that may not be subscribed to is said', nats, async (t) => {
  const database = await newDatabase(t);
  const broker = await startNats(t, () => [
    'authorization { users = [',
    '  { user: mile, password: post, permissions: {',
    '    publish: ">", subscribe: { deny: "v1.devices.*.metrics" } } }',
    '] }',
  ]);
  const room = await newRoom(t, database);
  const { host, port } = broker;
  const { subscriber } = room.subscribe({ url: `mqtt://mile:post@${host}:${port}` });
  await room.until(() => /refuses the subscription/.test(subscriber.notReady().join()));
  t.match(subscriber.notReady(), [/refuses the subscription to v1\/devices\/\+\/metrics \(0x80\)/]);
  const publisher = await newPublisher(t, `mqtt://mile:post@${host}:${port}`);
  await publishFixes(publisher, 0, 100);
  await room.until(() => room.counts.stored === 100);
  await storedOnce(t, database, 100);
});
