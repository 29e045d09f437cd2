import t from 'tap';
import { FillingBatch } from './batch.ts';
import type { LatestPosition } from './latest.ts';
import type { Link } from './registry.ts';
import { movedUnits, sentMetrics } from './telemetry-changes.ts';

const link = (deviceId: number, tenantId = 1) =>
  ({ deviceId, tenantId, equipmentId: deviceId + 100 }) as Link;

function readings(...rows: [device: Link, code: string, timeMs: number][]) {
  const batch = new FillingBatch();
  for (const [device, metricCode, timeMs] of rows)
    batch.addReading(
      device,
      { index: 0, device: null, timeMs, metricCode, value: 1, uomCode: null },
      null,
      0,
      timeMs,
    );
  return batch.readings;
}

t.test('devices that sent the same go together, by tenant', (t) => {
  const [one, two, three, other] = [link(1), link(2), link(3), link(4, 2)];
  const sent = readings(
    [one, 'fuel', 30],
    [one, 'oil', 10],
    [two, 'fuel', 20],
    [one, 'fuel', 40],
    [two, 'oil', 20],
    [three, 'fuel', 5],
    [other, 'fuel', 7],
  );
  t.same(sentMetrics(sent), [
    { tenantId: 1, codes: ['fuel', 'oil'], sourceIds: [1, 2], sinceMs: 10, untilMs: 40 },
    { tenantId: 1, codes: ['fuel'], sourceIds: [3], sinceMs: 5, untilMs: 5 },
    { tenantId: 2, codes: ['fuel'], sourceIds: [4], sinceMs: 7, untilMs: 7 },
  ]);
  t.same(sentMetrics(readings()), []);
  t.end();
});

t.test('units that moved, and those that are shown with another temperature, once each', (t) => {
  const positions = [{ link: link(1) }, { link: link(2) }] as LatestPosition[];
  const sent = readings(
    [link(2), 'temperature_c', 1],
    [link(3), 'temperature_c', 1],
    [link(4), 'fuel', 1],
  );
  const units = (moved: ReturnType<typeof movedUnits>) =>
    moved.map(({ tenantId, sourceIds, codes }) => [tenantId, sourceIds, codes]);
  t.same(units(movedUnits(positions, sent)), [[1, [101, 102, 103], null]]);
  t.same(units(movedUnits([], readings([link(9, 3), 'temperature_c', 1]))), [[3, [109], null]]);
  t.same(movedUnits([], readings([link(4), 'fuel', 1])), []);
  t.end();
});
