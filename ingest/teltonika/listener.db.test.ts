import type pg from 'pg';
import { openOwnerPool } from '../../db/test-database.ts';
import t, { type Test } from 'tap';
import { readAllDevices } from '../config-rows.ts';
import { startPipeline, type TestPipeline } from '../test-pipeline.ts';
import { TELTONIKA_LIMITS_DEFAULT } from './limits.ts';
import { createTeltonikaListener } from './listener.ts';
import { encodeRecords, encodeReply, type TestRecord } from './test-frames.ts';
import { FakeMetrics, imeiOf, signedIn } from './test-listener.ts';

interface House {
  readonly pipeline: TestPipeline;
  readonly owner: pg.Pool;
  readonly metrics: FakeMetrics;
  readonly port: number;
}

/** A fleet of trackers that sign in by their IMEI, and the listener in front of the real intake. */
async function openHouse(t: Test): Promise<House> {
  const pipeline = await startPipeline(t);
  const owner = openOwnerPool(t, pipeline.ownerUrl, 2);
  for (let n = 1; n <= 3; n++) {
    await owner.query(
      `update iot_device set device_identifier = $1, sign_in_by_name = true where device_identifier = $2`,
      [imeiOf(n), `dev-${n}`],
    );
  }
  for await (const page of readAllDevices(pipeline.pool)) {
    for (const device of page) pipeline.registry.put(device);
  }
  const metrics = new FakeMetrics();
  const silent = (): void => undefined;
  const listener = createTeltonikaListener({
    host: '127.0.0.1',
    port: 0,
    limits: { ...TELTONIKA_LIMITS_DEFAULT, closeMsMax: 200 },
    registry: pipeline.registry,
    intake: pipeline.intake,
    knock: silent,
    metrics,
    log: { info: silent, warn: silent, error: silent },
  });
  const { port } = await listener.start();
  t.teardown(() => listener.close());
  return { pipeline, owner, metrics, port };
}

const START_MS = Math.floor(Date.now() / 1000) * 1000 - 3_600_000;

function record(second: number, more: Partial<TestRecord> = {}): TestRecord {
  return { timeMs: START_MS + second * 1000, latDeg: 51.92, lonDeg: 4.47, ...more };
}

t.test('a frame becomes fixes, metrics and rejects, once, however often it is sent', async (t) => {
  const { pipeline, owner, port } = await openHouse(t);
  const io = [
    { id: 239, widthBytes: 1 as const, value: 1 },
    { id: 66, widthBytes: 2 as const, value: 12_450 },
    { id: 72, widthBytes: 4 as const, value: -185 },
    { id: 16, widthBytes: 4 as const, value: 123_456 },
  ];
  const frame = encodeRecords(0x8e, [
    record(0, { speedKph: 90, angleDeg: 360, altitudeM: -2, eventId: 239, io }),
    record(1),
    record(2, { satellites: 0, latDeg: 0, lonDeg: 0, io }),
    { timeMs: 1_000 },
  ]);
  for (const attempt of ['first', 'second']) {
    const tracker = await signedIn(t, port);
    tracker.send(frame);
    t.equal(await tracker.answer(4), '00000004', `${attempt} time`);
  }
  const fixes = await owner.query(
    `select latitude, longitude, altitude_m, speed_mps, heading_deg, satellites, odometer_m, ignition, event
       from equipment_gps_location order by recorded_at`,
  );
  t.same(fixes.rows, [
    {
      latitude: 51.92, longitude: 4.47, altitude_m: -2, speed_mps: 25, heading_deg: 0, satellites: 9,
      odometer_m: 123_456, ignition: true, event: 'io.239',
    },
    {
      latitude: 51.92, longitude: 4.47, altitude_m: 0, speed_mps: 0, heading_deg: 0, satellites: 9,
      odometer_m: null, ignition: null, event: null,
    },
  ]); // prettier-ignore
  const readings = await owner.query<{ at: number; metric_code: string; metric_value: number }>(
    `select (extract(epoch from recorded_at) * 1000)::float8 - $1::float8 as at, metric_code, metric_value
       from iot_device_metric order by at, metric_code collate "C"`,
    [START_MS],
  );
  t.same(
    readings.rows.map((row) => [row.at, row.metric_code, row.metric_value]),
    [
      [0, 'external_v', 12.45],
      [0, 'temperature_c', -18.5],
      [2000, 'external_v', 12.45],
      [2000, 'ignition', 1],
      [2000, 'odometer_m', 123_456],
      [2000, 'temperature_c', -18.5],
    ],
  );
  const rejects = await owner.query(
    'select source, device_identifier, reason, convert_from(payload, $1) as payload from ingest_reject',
    ['UTF8'],
  );
  t.match(rejects.rows[0], {
    source: 'teltonika',
    device_identifier: imeiOf(1),
    reason: 'time_range',
  });
  t.match(rejects.rows[0], { payload: /^00000000000003e800/ }, 'the record, as hexadecimal');
  t.equal(await pipeline.count('telematics'), 1);
});

t.test('the acknowledgement waits for the commit', async (t) => {
  const { owner, port, pipeline } = await openHouse(t);
  const locker = await owner.connect();
  await locker.query('begin; lock table equipment_gps_location in exclusive mode');
  const tracker = await signedIn(t, port, 2);
  tracker.send(encodeRecords(0x08, [record(0), record(1)]));
  for (;;) {
    const { rows } = await owner.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    if (rows[0]!.n > 0) break;
  }
  t.equal(tracker.socket.bytesRead, 1, 'nothing but the login was answered');
  await locker.query('commit');
  locker.release();
  t.equal(await tracker.answer(4), '00000002');
  t.equal(await pipeline.count('equipment_gps_location'), 2);
});

t.test('a bad frame is one reject, however often it is sent, and stores nothing', async (t) => {
  const { owner, port, metrics, pipeline } = await openHouse(t);
  const frame = encodeRecords(0x08, [record(0), record(1)]);
  frame[20]! ^= 1;
  for (let attempt = 0; attempt < 3; attempt++) {
    const tracker = await signedIn(t, port, 3);
    t.equal(await tracker.send(frame).rest(), '', 'not acknowledged');
  }
  t.equal(metrics.reasons.get('frame_crc'), 3);
  const rejects = await owner.query('select reason, payload, payload_bytes from ingest_reject');
  t.same(rejects.rows, [{ reason: 'frame_crc', payload: frame, payload_bytes: frame.length }]);
  t.equal(await pipeline.count('equipment_gps_location'), 0);
});

t.test('a reply to a command is kept as an event of the device', async (t) => {
  const { owner, port } = await openHouse(t);
  const tracker = await signedIn(t, port);
  tracker.send(encodeReply('Ver:03.27'), encodeRecords(0x10, [record(0)]));
  t.equal(await tracker.answer(4), '00000001');
  const { rows } = await owner.query('select event_kind, detail from iot_device_event');
  t.same(rows, [
    { event_kind: 'command_reply', detail: { codec: 12, type: 6, text: 'Ver:03.27' } },
  ]);
});
