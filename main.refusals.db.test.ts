/**
 * What is refused, over real sockets: each with its own reason, told to the sender where its protocol can, counted in the
 * metrics, kept where there is something to keep. And the good messages beside it are stored.
 */
import { request } from 'node:http';
import t, { type Test } from 'tap';
import { openHouse, storedKeys, type House } from './bench/proof/run.ts';
import { readMetrics } from './bench/proof/portal.ts';
import { RawMqtt, type Version } from './bench/proof/raw-mqtt.ts';

const MIB = 1024 * 1024;
const START_MS = Math.floor(Date.now() / 1000) * 1000 - 3_600_000;
const LATEST_1970 = '1970-01-01T12:00:00Z';

/** A good record, and the time by which it is known again. */
const good = (second: number, more: object = {}): object => ({
  time: START_MS + second * 1000,
  lat: 47.4,
  lon: 8.5,
  ...more,
});

/** What must be in the database at the end: `{deviceId} {timeMs}`. */
const stored = new Set<string>();
const expectStored = (house: House, unit: number, ...seconds: number[]): void => {
  for (const second of seconds) {
    stored.add(`${house.units[unit]!.deviceId} ${START_MS + second * 1000}`);
  }
};

const house = await openHouse(t, 'node dist/main.js', 3);

for (const version of [4, 5] as const) {
  // Each version has a device of its own.
  const unit = version - 4;
  const { device, token } = house.fleet.credentials(unit);
  const topic = `v1/devices/${device}/fixes`;
  const url = house.program.urls.mqtt;
  const name = version === 4 ? 'MQTT 3.1.1' : 'MQTT 5.0';

  t.test(`${name}: a wrong password and an unknown device are answered alike`, async (t) => {
    const refused = version === 4 ? 5 : 0x86;
    for (const username of [device, 'nobody']) {
      const { client, connack } = await RawMqtt.signIn({ url, version, username, password: 'x' });
      t.equal(version === 4 ? connack.returnCode : connack.reasonCode, refused);
      t.equal(await client.next(), null, 'and the connection is closed');
    }
  });

  t.test(`${name}: bad messages among good ones`, async (t) => {
    const client = await signIn(t, url, version, device, token);
    const other = house.fleet.credentials(2).device;
    const messages = [
      { reason: null, payload: good(0) },
      { reason: 'foreign_topic', payload: good(1), topic: `v1/devices/${other}/fixes` },
      { reason: 'json_malformed', payload: '{"time": ' },
      { reason: 'lat_range', payload: good(2, { lat: 91 }) },
      { reason: 'time_range', payload: good(3, { time: LATEST_1970 }) },
      { reason: 'foreign_device', payload: good(4, { device: other }) },
      { reason: null, payload: [good(5), good(6, { lat: 91 }), good(7)] },
      { reason: null, payload: good(8) },
    ];
    for (const [i, message] of messages.entries()) {
      const { payload } = message;
      const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
      client.publish(i + 1, message.topic ?? topic, text);
    }
    for (const [i, { reason }] of messages.entries()) {
      const ack = await client.next();
      const code = reason === null ? 0 : reason === 'foreign_topic' ? 0x87 : 0x99;
      t.match(
        ack,
        {
          cmd: 'puback',
          messageId: i + 1,
          ...(version === 5 && { reasonCode: code }),
          ...(version === 5 && reason !== null && { properties: { reasonString: reason } }),
        },
        `${i + 1}: ${reason ?? 'stored'}`,
      );
    }
    expectStored(house, unit, 0, 5, 7, 8);
    const { fixes } = await storedKeys(house.owner);
    t.ok(
      [...stored].every((key) => fixes.has(key)),
      'what was acknowledged is stored',
    );
  });

  t.test(`${name}: a payload of 2 MiB ends the connection, and only that`, async (t) => {
    const bystander = house.fleet.credentials(2);
    const other = await signIn(t, url, version, bystander.device, bystander.token);
    const client = await signIn(t, url, version, device, token);
    client.publish(1, topic, JSON.stringify(good(10)));
    t.match(await client.next(), { cmd: 'puback', messageId: 1 });
    client.publish(2, topic, Buffer.alloc(2 * MIB, 0x20));
    if (version === 5) t.match(await client.next(), { cmd: 'disconnect', reasonCode: 0x95 });
    t.equal(await client.next(), null, 'the connection is closed, and nothing was acknowledged');
    other.publish(1, `v1/devices/${bystander.device}/fixes`, JSON.stringify(good(20 + version)));
    t.match(await other.next(), { cmd: 'puback', messageId: 1 }, 'another device goes on');
    const again = await signIn(t, url, version, device, token);
    again.publish(1, topic, JSON.stringify(good(11)));
    t.match(await again.next(), { cmd: 'puback', messageId: 1 }, 'and so may this one');
    expectStored(house, unit, 10, 11);
    expectStored(house, 2, 20 + version);
  });
}

t.test('HTTP: bad records among good ones, bad bodies, bad tokens', async (t) => {
  const { fleet } = house;
  const { device, token } = fleet.credentials(2);
  const records = [
    good(0, { device }),
    good(1, { device: 'nobody' }),
    good(2, { device: house.rival.credentials(0).device }),
    good(3, { device, lat: 91 }),
    good(4, { device, time: LATEST_1970 }),
    good(5, { device }),
  ];
  const mixed = await post(fleet.gatewayToken, JSON.stringify(records));
  t.equal(mixed.status, 200);
  t.equal(mixed.body.accepted, 2);
  t.same(
    mixed.body.rejected.map(({ index, reason }) => [index, reason]),
    [
      [1, 'unknown_device'],
      [2, 'unknown_device'],
      [3, 'lat_range'],
      [4, 'time_range'],
    ],
    'a device of another tenant is as unknown as one that does not exist',
  );
  const lines = `${JSON.stringify(good(6))}\n{"time": \n${JSON.stringify(good(7))}\n`;
  const ndjson = await post(token, lines, 'application/x-ndjson');
  t.equal(ndjson.status, 200);
  t.same(
    [ndjson.body.accepted, ndjson.body.rejected.map(({ reason }) => reason)],
    [2, ['json_malformed']],
  );
  const malformed = await post(token, '{"time": ');
  t.equal(malformed.status, 422);
  t.same(
    malformed.body.rejected.map(({ reason }) => reason),
    ['json_malformed'],
  );
  const stranger = await post('wrong', JSON.stringify(good(8)));
  t.same([stranger.status, stranger.body.code], [401, 'bad_token']);
  const large = await post(token, Buffer.alloc(2 * MIB, 0x20));
  t.equal(large.status, 413);
  const chunked = await post(token, Buffer.alloc(2 * MIB, 0x20), 'application/json', true);
  t.equal(chunked.status, 413, 'also when its length was not told before');
  const after = await post(token, JSON.stringify(good(9)));
  t.equal(after.status, 200);
  expectStored(house, 2, 0, 5, 6, 7, 9);
});

t.test('the good is stored, and nothing else', async (t) => {
  const { fixes } = await storedKeys(house.owner);
  t.same([...fixes].sort(), [...stored].sort());
});

t.test('every refusal is counted under its reason', async (t) => {
  const samples = await readMetrics(house.program.urls.http);
  const counted = (name: string): Record<string, number> =>
    Object.fromEntries(
      [...samples]
        .filter(([key]) => key.startsWith(`${name}{`))
        .map(([key, value]) => [key.slice(name.length), value]),
    );
  t.same(counted('milepost_ingest_refused_total'), {
    '{source="mqtt",reason="bad_secret"}': 2,
    '{source="mqtt",reason="unknown_device"}': 2,
    '{source="mqtt",reason="packet_too_large"}': 2,
    '{source="http",reason="bad_token"}': 1,
    '{source="http",reason="body_too_large"}': 2,
  });
  t.same(counted('milepost_ingest_rejects_total'), {
    '{reason="foreign_topic"}': 2,
    '{reason="foreign_device"}': 2,
    '{reason="json_malformed"}': 2 + 2,
    '{reason="lat_range"}': 4 + 1,
    '{reason="time_range"}': 2 + 1,
    '{reason="unknown_device"}': 2,
  });
  t.equal(
    samples.get('milepost_ingest_rows_total{kind="fix",outcome="stored"}'),
    stored.size,
    'and the good as stored',
  );
});

t.test('what there is to keep is kept, for its tenant to see', async (t) => {
  interface Reject {
    readonly source: string;
    readonly reason: string;
    readonly device_identifier: string | null;
    readonly topic: string | null;
    readonly detail: string;
    readonly payload: string;
    readonly payload_bytes: number;
  }
  const rejects = await house.portal.list<Reject>('/v1/ingest-rejects?limit=5');
  const [first, second, third] = [0, 1, 2].map((unit) => house.fleet.credentials(unit).device);
  t.same(
    rejects.map((r) => `${r.source} ${r.device_identifier} ${r.reason}`).sort(),
    [
      ...[first, second].flatMap((device) =>
        [
          'foreign_topic',
          'json_malformed',
          'lat_range',
          'time_range',
          'foreign_device',
          'lat_range',
        ].map((reason) =>
          // The record says whose it claims to be.
          reason === 'foreign_device' ? `mqtt ${third} ${reason}` : `mqtt ${device} ${reason}`,
        ),
      ),
      'http nobody unknown_device',
      `http ${house.rival.credentials(0).device} unknown_device`,
      `http ${third} lat_range`,
      `http ${third} time_range`,
      `http ${third} json_malformed`,
      `http ${third} json_malformed`,
    ].sort(),
  );
  const incomplete = rejects.filter(
    ({ payload, payload_bytes: bytes, detail, topic, source }) =>
      Buffer.from(payload, 'base64').length !== bytes ||
      detail === '' ||
      (topic === null) === (source === 'mqtt'),
  );
  t.same(incomplete, [], 'each with its whole payload, a sentence for people, and its topic');
  const lat = rejects.find((r) => r.source === 'mqtt' && r.reason === 'lat_range')!;
  t.match(Buffer.from(lat.payload, 'base64').toString(), /"lat":91/);
  t.same(await house.rivalPortal.list('/v1/ingest-rejects'), [], 'another tenant sees none of it');
});

async function signIn(
  t: Test,
  ...[url, version, username, password]: [string, Version, string, string]
): Promise<RawMqtt> {
  const { client, connack } = await RawMqtt.signIn({ url, version, username, password });
  t.teardown(() => client.end());
  t.equal(version === 4 ? connack.returnCode : connack.reasonCode, 0);
  return client;
}

interface Answer {
  readonly status: number;
  readonly body: {
    readonly accepted: number;
    readonly rejected: { readonly index: number; readonly reason: string }[];
    readonly code?: string;
  };
}

/** Not by `fetch`, which may miss an answer that comes before its body is sent. */
function post(
  token: string,
  body: string | Buffer,
  type = 'application/json',
  isChunked = false,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${house.program.urls.http}/v1/telemetry`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': type,
        ...(isChunked
          ? { 'transfer-encoding': 'chunked' }
          : { 'content-length': Buffer.byteLength(body) }),
      },
    });
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: incoming.statusCode!, body: JSON.parse(text) as Answer['body'] });
      });
    });
    outgoing.end(body);
  });
}
