import t from 'tap';
import { readDeviceStates } from './config-rows.ts';
import { addFix, addReading, type DecodedFix } from './decode/decoded.ts';
import { startPipeline } from './test-pipeline.ts';

const TIME_MS = Math.floor(Date.now() / 1000) * 1000 - 60_000;

function fixAt(timeMs: number, latDeg: number): DecodedFix {
  return {
    index: 0,
    device: null,
    timeMs,
    latDeg,
    lonDeg: -87.625,
    altitudeM: NaN,
    speedMps: NaN,
    headingDeg: NaN,
    accuracyM: 7.5,
    odometerM: NaN,
    satellites: NaN,
    ignition: NaN,
    motion: NaN,
    seq: NaN,
    event: null,
  };
}

t.test('whoever sent anything is restored with it, and nobody else', async (t) => {
  const pipeline = await startPipeline(t, { units: 4 });
  const { pool, registry } = pipeline;
  const [fixes, readings, both] = ['dev-1', 'dev-2', 'dev-3'].map((name) => pipeline.sender(name));
  const reading = { index: 0, device: null, metricCode: 'fuel', value: 1, uomCode: null };
  // The second of each is late.
  const times = [TIME_MS + 123, TIME_MS + 1];
  for (const timeMs of times) {
    await pipeline.submit(fixes!, (decoded) =>
      addFix(decoded, fixAt(timeMs, timeMs === times[0] ? 43 : 42)),
    );
    await pipeline.submit(readings!, (decoded) => addReading(decoded, { ...reading, timeMs }));
    await pipeline.submit(both!, (decoded) => {
      addFix(decoded, { ...fixAt(timeMs, 41), accuracyM: NaN });
      addReading(decoded, { ...reading, timeMs });
    });
  }
  const links = ['dev-1', 'dev-2', 'dev-3', 'dev-4'].map((name) => {
    const { deviceId, equipmentId } = registry.deviceNamed(name)!.link!;
    return { deviceId, equipmentId };
  });
  const [first, second, third] = links.map((link) => link.deviceId);
  const state = { inside: [], entering: [], ended: [], rules: [] };
  const fix = { fixMs: TIME_MS + 123, lonDeg: -87.625, latDeg: 41, accuracyM: NaN };
  const noFix = { fixMs: NaN, lonDeg: NaN, latDeg: NaN, accuracyM: NaN };
  const fuel = { fuel: TIME_MS + 123 };
  const expected = [
    { deviceId: first, state, last: { ...fix, latDeg: 43, accuracyM: 7.5, readingMs: {} } },
    { deviceId: second, state, last: { ...noFix, readingMs: fuel } },
    { deviceId: third, state, last: { ...fix, readingMs: fuel } },
  ];
  const read = async (): Promise<unknown> =>
    (await readDeviceStates(pool, links, ['fuel'])).toSorted((a, b) => a.deviceId - b.deviceId);
  t.same(await read(), expected);
  t.same(await readDeviceStates(pool, links.slice(3), ['fuel']), []);
  // Where the latest position says nothing of it, the fixes themselves tell the same.
  await pool.query('update telematics set equipment_has_iot_device_id = -1');
  t.same(await read(), expected);
});
