/** `POST /v1/telemetry` over real sockets, with a real database behind it: odd records, odd bodies, unknown devices. */
import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import Fastify from 'fastify';
import t, { type Test } from 'tap';
import { telemetryPlugin } from './http-telemetry.ts';
import type { Knock } from './knocking.ts';
import type { IngestMetrics } from './metrics.ts';
import { startPipeline, type TestPipeline } from './test-pipeline.ts';
import { Turns } from './turns.ts';

interface Door extends TestPipeline {
  readonly url: string;
  readonly knocks: Knock[];
  readonly turns: Turns;
  /** From now on requests are told to come again. */
  close(): void;
}

async function openDoor(t: Test): Promise<Door> {
  const pipeline = await startPipeline(t);
  const knocks: Knock[] = [];
  const turns = new Turns();
  let accepting = true;
  const app = Fastify({ forceCloseConnections: true });
  await app.register(
    telemetryPlugin({
      intake: pipeline.intake,
      registry: pipeline.registry,
      turns,
      metrics: { refused: () => undefined } as unknown as IngestMetrics,
      accepting: () => accepting,
      knock: (knock) => knocks.push(knock),
    }),
  );
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  const close = (): void => void (accepting = false);
  return { ...pipeline, knocks, turns, close, url: `http://127.0.0.1:${port}/v1/telemetry` };
}

interface Told {
  readonly status: number;
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: readonly { index: number; reason: string; detail: string }[];
}

async function post(
  door: Door,
  body: string | Buffer,
  { token = 'token-1', ...headers }: Record<string, string> = {},
): Promise<Told> {
  const response = await fetch(door.url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    body,
  });
  return { status: response.status, ...((await response.json()) as Omit<Told, 'status'>) };
}

/** Accepted, and what was refused as `index reason`. */
const brief = ({ accepted, rejected }: Told): unknown[] => [
  accepted,
  ...rejected.map(({ index, reason }) => `${index} ${reason}`),
];

const START_MS = Math.floor(Date.now() / 1000) * 1000 - 3_600_000;
const fix = (device: string, second: number): object => ({
  device,
  time: START_MS + second * 1000,
  lat: 1.5,
  lon: -2.5,
});
const NDJSON = { 'content-type': 'application/x-ndjson' };

t.test('devices that a gateway names and nobody knows knock', async (t) => {
  const door = await openDoor(t);
  const token = door.fleet.gatewayToken;
  const lines = [fix('dev-1', 0), fix('ghost', 0), fix('ghost', 1), fix('dev-2', 0)]
    .map((one) => JSON.stringify(one))
    .join('\n');
  const usual = await post(door, lines, { token, ...NDJSON });
  t.same(brief(usual), [2, '1 unknown_device', '2 unknown_device']);
  t.match(door.knocks, [
    {
      protocol: 'http',
      deviceName: 'ghost',
      tenantId: door.fleet.customerId,
      remoteAddress: '127.0.0.1',
    },
  ]);
  t.equal(door.knocks.length, 1, 'once a message');
  t.equal(door.knocks[0]!.payload?.toString(), lines);
  t.equal(Object.keys(usual.rejected[0]!).join(), 'index,reason,detail');
  const metric = { device: 'spirit', time: START_MS, metric: 'm', value: 1 };
  t.equal((await post(door, JSON.stringify([metric]), { token })).status, 422);
  t.same(
    door.knocks.map(({ deviceName }) => deviceName),
    ['ghost', 'spirit'],
    'with whatever it says',
  );
  t.same(brief(await post(door, JSON.stringify(fix('ghost', 2)))), [0, '0 foreign_device']);
  t.equal(door.knocks.length, 2, 'nobody knocks through a device');
});

t.test('without a token nobody is listened to: the answer comes before the body', async (t) => {
  const door = await openDoor(t);
  for (const authorization of ['', 'Authorization: Bearer wrong\r\n']) {
    const socket = connect(Number(new URL(door.url).port), '127.0.0.1');
    const head = `POST /v1/telemetry HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`;
    socket.write(`${head}${authorization}Content-Length: 1000000\r\n\r\n[`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    t.match(answer.toString(), /^HTTP\/1.1 401 [^]*bad_token/);
    socket.destroy();
  }
});

/** Lines as they come, and what becomes of each: the reason, or nothing. */
const ODD: readonly (readonly [line: string, reason?: string])[] = [
  ['{"time":TIME+0,"lat":1,"lon":2}'],
  ['{"time":TIME+1,"lat":91,"lon":2}', 'lat_range'],
  ['{"time":TIME+1,"lat":-90.0000001,"lon":2}', 'lat_range'],
  ['{"time":TIME+1,"lat":1,"lon":180.5}', 'lon_range'],
  ['{"time":TIME+1,"lat":"1","lon":2}', 'lat_type'],
  ['{"time":TIME+1,"lat":1e400,"lon":2}', 'lat_type'],
  ['{"time":TIME+1,"lat":NaN,"lon":2}', 'json_malformed'],
  ['{"time":TIME+1,"lat":1,"lon":Infinity}', 'json_malformed'],
  ['{"time":TIME+1,"lat":null,"lon":2}', 'lat_missing'],
  ['{"time":TIME+1,"lon":2}', 'lat_missing'],
  ['{"time":0,"lat":1,"lon":2}', 'time_range'],
  ['{"time":"1970-01-01T00:00:00Z","lat":1,"lon":2}', 'time_range'],
  ['{"time":"2080-01-01T00:00:00Z","lat":1,"lon":2}', 'time_range'],
  ['{"time":3471292800,"lat":1,"lon":2}', 'time_range'],
  ['{"time":1e400,"lat":1,"lon":2}', 'time_invalid'],
  ['{"time":123456789012345678901234567890,"lat":1,"lon":2}', 'time_range'],
  ['{"time":"yesterday","lat":1,"lon":2}', 'time_invalid'],
  ['{"time":true,"lat":1,"lon":2}', 'time_invalid'],
  ['{"lat":1,"lon":2}', 'time_missing'],
  ['{"device":7,"time":TIME+1,"lat":1,"lon":2}', 'device_type'],
  ['{"device":"dev-2","time":TIME+1,"lat":1,"lon":2}', 'foreign_device'],
  ['[{"time":TIME+1,"lat":1,"lon":2}]', 'record_type'],
  ['[]', 'record_type'],
  ['null', 'record_type'],
  ['7', 'record_type'],
  ['{}', 'time_missing'],
  ['{"time":TIME+1', 'json_malformed'],
  ['{"time":TIME+1,"metric":"m","value":"7"}', 'value_type'],
  ['{"time":TIME+1,"metric":"m","value":1e400}', 'value_type'],
  ['{"time":TIME+1,"metric":"no space","value":1}', 'metric_code'],
  ['{"time":TIME+1,"metric":"m","value":1,"unit":"furlong"}', 'unit_unknown'],
  ['{"time":TIME+1}', 'metric_missing'],
  // Without their odd parts, which are left out.
  [
    '{"time":TIME+2,"lat":1,"lon":2,"speed_mps":"fast","heading_deg":1e400,"seq":1e30,"ignition":2}',
  ],
  ['{"time":TIME+3,"lat":-0,"lon":-0,"altitude_m":-0}'],
  ['{"time":TIME+4,"lat":1,"lat":2,"lon":2,"lon":3}'],
  ['{"time":TIME+5,"lat":1,"lon":2,"__proto__":{"lat":9},"constructor":{"prototype":1}}'],
  ['{"time":TIME+6,"lat":90,"lon":-180}'],
  [' {"time":TIME+7,"lat":1,"lon":2}\t'],
];

t.test('odd records: each is stored or refused by itself, and the others with it', async (t) => {
  const door = await openDoor(t);
  const at = (line: string): string =>
    line.replace(/TIME\+(\d+)/g, (_, s: string) => String(START_MS + Number(s) * 1000));
  const expected = ODD.flatMap(([, reason], index) => reason === undefined ? [] : [`${index} ${reason}`]); // prettier-ignore
  const stored = ODD.length - expected.length;
  // A mark, ends of lines of two bytes, and lines with nothing in them, which are no records.
  const text = `\ufeff${ODD.map(([line]) => at(line)).join('\r\n\r\n  \r\n')}\r\n`;
  t.same(brief(await post(door, text, NDJSON)), [stored, ...expected]);
  const again = await post(door, text.slice(1), NDJSON);
  t.same([again.duplicates, ...brief(again)], [stored, 0, ...expected], 'without the mark');
  const readable = ODD.filter(([, reason]) => reason !== 'json_malformed');
  const array = await post(door, `[${readable.map(([line]) => at(line)).join()}]`);
  t.equal(array.duplicates, stored);
  t.same(
    array.rejected.map(({ index, reason }) => `${index} ${reason}`),
    readable.flatMap(([, reason], index) => reason === undefined ? [] : [`${index} ${reason}`]), // prettier-ignore
    'an array',
  );
  for (const { reason, detail } of array.rejected) {
    const [field = ''] = reason.split('_');
    if (/^(lat|lon|time|device|unit)/.test(reason)) t.match(detail, field, `${reason} names it`);
  }
  const { rows } = await door.pool.query<object>(
    `select extract(epoch from recorded_at)::float8 * 1000 - $1 as ms, latitude as lat, longitude as lon,
        speed_mps as speed, heading_deg as heading from equipment_gps_location order by recorded_at`,
    [START_MS],
  );
  t.match(rows, [
    { ms: 0, lat: 1, lon: 2 },
    { ms: 2000, speed: null, heading: null },
    { ms: 3000, lat: 0, lon: 0 },
    { ms: 4000, lat: 2, lon: 3 },
    { ms: 5000, lat: 1, lon: 2 },
    { ms: 6000, lat: 90, lon: -180 },
    { ms: 7000, lat: 1, lon: 2 },
  ]);
  t.equal(rows.length, stored);
});

t.test('one time for two places: the first stays, within a message and after it', async (t) => {
  const door = await openDoor(t);
  const two = [fix('dev-1', 0), { ...fix('dev-1', 0), lat: 9 }];
  const both = await post(door, JSON.stringify(two));
  t.same([both.accepted, both.duplicates, both.rejected.length], [1, 1, 0]);
  const later = await post(door, JSON.stringify({ ...fix('dev-1', 0), lat: 8 }));
  t.same([later.accepted, later.duplicates], [0, 1]);
  const token = door.fleet.gatewayToken;
  const others = await post(door, JSON.stringify([fix('dev-2', 0), fix('dev-3', 0)]), { token });
  t.same([others.accepted, others.duplicates], [2, 0], 'other devices have times of their own');
  const { rows } = await door.pool.query('select latitude as lat from equipment_gps_location');
  t.same(rows, [{ lat: 1.5 }, { lat: 1.5 }, { lat: 1.5 }]);
});

t.test('bodies that are gzip, or say so', async (t) => {
  const door = await openDoor(t);
  const body = (second: number): Buffer => gzipSync(`${JSON.stringify(fix('dev-1', second))}\n`);
  const zipped = (bytes: Buffer, encoding = 'gzip'): Promise<Told> =>
    post(door, bytes, { ...NDJSON, 'content-encoding': encoding });
  t.same(brief(await zipped(Buffer.concat([body(0), body(1)]))), [2], 'members one after another');
  t.same(brief(await zipped(body(2), 'GZIP')), [1], 'in whatever case');
  t.same(brief(await zipped(body(3), 'x-gzip')), [1], 'by its old name');
  const whole = body(4);
  const cut = await zipped(whole.subarray(0, whole.length - 5));
  t.same([cut.status, ...brief(cut)], [422, 0, '-1 gzip_malformed'], 'cut short');
  const bad = Buffer.from(whole);
  bad[bad.length - 6]! ^= 1;
  t.same(brief(await zipped(bad)), [0, '-1 gzip_malformed'], 'a wrong CRC');
  t.same(brief(await zipped(Buffer.from('{}'))), [0, '-1 gzip_malformed'], 'no gzip at all');
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, ' '));
  t.same(brief(await zipped(bomb)), [0, '-1 body_too_large']);
  const second = gzipSync(Buffer.alloc(9 * 1024 * 1024, ' '));
  t.same(brief(await zipped(Buffer.concat([body(5), second]))), [0, '-1 body_too_large']);
  t.same(brief(await zipped(whole, 'deflate')), [0, '-1 encoding_unknown']);
  t.same(brief(await post(door, '', NDJSON)), [0, '-1 body_empty']);
  t.same(brief(await post(door, '\r\n \n', NDJSON)), [0], 'lines with nothing in them');
  t.same(brief(await post(door, '[]')), [0]);
});

t.test('a request that waits for its turn is not taken after the stop', async (t) => {
  const door = await openDoor(t);
  const run = door.turns.run.bind(door.turns);
  door.turns.run = (work) => {
    door.close();
    return run(work);
  };
  t.equal((await post(door, JSON.stringify({ time: Date.now(), lat: 1, lon: 2 }))).status, 503);
  t.equal(await door.count('equipment_gps_location'), 0);
});
