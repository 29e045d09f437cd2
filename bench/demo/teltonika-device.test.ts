import t from 'tap';
import { decodeTeltonika } from '../../ingest/decode/teltonika.ts';
import { encodeRecords } from '../../ingest/teltonika/test-frames.ts';
import { imeiOf, NOT_STORED, startListener, STORED } from '../../ingest/teltonika/test-listener.ts';
import { BACKLOG_FIXES_MAX } from './devices.ts';
import {
  createTeltonikaDevice,
  FRAME_RECORDS_MAX,
  recordOf,
  type TeltonikaDevice,
} from './teltonika-device.ts';
import type { NativeFix } from './vehicle.ts';

/** Longer than any of these tests may take: an acknowledgement that is due must come before. */
const ACK_MS_MAX = 60_000;
const START_MS = Date.now() - 60_000;

function fix(n: number, more: Partial<NativeFix> = {}): NativeFix {
  return {
    time: START_MS + n,
    lat: 41.8781,
    lon: -87.6298,
    speed_mps: 20,
    heading_deg: 359.7,
    altitude_m: 180.4,
    accuracy_m: 4,
    satellites: 11,
    odometer_m: 123_456.7,
    ignition: true,
    motion: true,
    battery_pct: 87.6,
    ...more,
  };
}

function device(port: number, n = 1): TeltonikaDevice {
  return createTeltonikaDevice({ host: '127.0.0.1', port, imei: imeiOf(n), reconnectMs: 1 });
}

t.test('a fix survives the way through the frame, as exactly as the frame has it', (t) => {
  const frame = encodeRecords(0x8e, [recordOf(fix(0, { temperature_c: -18.46 }))]);
  const { fixes, readings } = decodeTeltonika(frame, START_MS).decoded;
  t.match(fixes[0], {
    timeMs: START_MS, latDeg: 41.8781, lonDeg: -87.6298, altitudeM: 180, speedMps: 20, headingDeg: 0,
    satellites: 11, odometerM: 123_457, ignition: 1, motion: 1,
  }); // prettier-ignore
  t.same(
    readings.map(({ metricCode, value }) => [metricCode, value]),
    [['gsm_level', 4], ['io.113', 88], ['temperature_c', -18.5]],
  ); // prettier-ignore
  t.end();
});

t.test('what waits goes out in frames, one after the acknowledgement of the other', async (t) => {
  const { port, intake } = await startListener(t);
  const tracker = device(port);
  for (let n = 0; n < FRAME_RECORDS_MAX + 3; n++) tracker.publish(fix(n));
  tracker.start();
  await intake.arrived(1);
  t.equal(intake.taken[0]!.message.decoded.fixes.length, FRAME_RECORDS_MAX);
  tracker.publish(fix(999));
  intake.settle(0);
  await intake.arrived(2);
  t.same(
    intake.taken[1]!.message.decoded.fixes.map(({ timeMs }) => timeMs - START_MS),
    [FRAME_RECORDS_MAX, FRAME_RECORDS_MAX + 1, FRAME_RECORDS_MAX + 2, 999],
  );
  intake.settle(1);
  t.equal(await tracker.stop(ACK_MS_MAX), 0);
  const { acknowledged, connected, p99Ms } = tracker.stats();
  t.same({ acknowledged, connected }, { acknowledged: FRAME_RECORDS_MAX + 4, connected: 0 });
  t.ok(p99Ms > 0);
});

t.test('what was not acknowledged comes again, however the connection was lost', async (t) => {
  const { port, intake, listener } = await startListener(t);
  const tracker = device(port);
  for (let n = 0; n < 3; n++) tracker.publish(fix(n));
  tracker.start();
  await intake.arrived(1);
  listener.disconnectDevice(1);
  await intake.arrived(2);
  intake.settle(1, NOT_STORED);
  await intake.arrived(3);
  intake.settle(2, STORED);
  t.equal(await tracker.stop(ACK_MS_MAX), 0);
  for (const { message } of intake.taken) t.equal(message.decoded.fixes.length, 3);
  t.equal(tracker.stats().acknowledged, 3);
});

t.test('a full memory loses the oldest that is not under way', async (t) => {
  const { port, intake } = await startListener(t);
  const tracker = device(port);
  tracker.publish(fix(0));
  tracker.start();
  await intake.arrived(1);
  for (let n = 1; n < BACKLOG_FIXES_MAX + 2; n++) tracker.publish(fix(n));
  t.match(tracker.stats(), { dropped: 2, outstanding: BACKLOG_FIXES_MAX, acknowledged: 0 });
  intake.answer = STORED;
  intake.settle(0);
  t.equal(await tracker.stop(ACK_MS_MAX), 0);
  const times = intake.taken.flatMap(({ message }) => message.decoded.fixes).map((f) => f.timeMs);
  t.same(times.slice(0, 2), [START_MS, START_MS + 3]);
});

t.test(
  'an unknown IMEI is told, and tried again; stopping waits no longer than it may',
  async (t) => {
    const { port, metrics } = await startListener(t);
    const tracker = createTeltonikaDevice({ host: '127.0.0.1', port, imei: '1', reconnectMs: 1 });
    tracker.publish(fix(0));
    tracker.start();
    await metrics.refusal('unknown_device', 3);
    t.match(tracker.stats().trouble, /IMEI/);
    t.equal(await tracker.stop(1), 1);
  },
);
