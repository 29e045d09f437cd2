import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { once } from 'node:events';
import t from 'tap';
import { valueTypes } from '../db/pools.ts';
import { createTestDatabase } from '../db/test-database.ts';
import { FillingBatch } from './batch.ts';
import { encodeFixes, encodeReadings, FIX_COLUMNS, READING_COLUMNS } from './copy-encode.ts';
import type { DecodedFix } from './decode/decoded.ts';
import type { Link } from './registry.ts';

const NOW_MS = Math.floor(Date.now() / 86_400_000) * 86_400_000 + 43_200_123;

const nothing: DecodedFix = {
  index: 0,
  device: null,
  timeMs: NOW_MS,
  latDeg: 0,
  lonDeg: 0,
  altitudeM: NaN,
  speedMps: NaN,
  headingDeg: NaN,
  accuracyM: NaN,
  odometerM: NaN,
  satellites: NaN,
  ignition: NaN,
  motion: NaN,
  seq: NaN,
  event: null,
};

function linkOf(deviceId: number): Link {
  return {
    deviceId,
    iotDeviceId: 1,
    deviceName: 'x',
    tenantId: 1,
    equipmentId: 1,
    accountId: null,
    unitNumber: 'x',
  };
}

t.test('what is encoded is what the database holds', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = new pg.Client({ connectionString: ownerUrl, types: valueTypes });
  await client.connect();
  t.teardown(() => client.end());
  await client.query('select ensure_time_partitions($1, $1)', [new Date(NOW_MS)]);

  const fixes: DecodedFix[] = [
    nothing,
    {
      ...nothing,
      timeMs: NOW_MS + 1,
      latDeg: -89.999999999,
      lonDeg: 180,
      altitudeM: -12.5,
      speedMps: 33.25,
      headingDeg: 359.5,
      accuracyM: 0,
      odometerM: 123_456_789.125,
      satellites: 255,
      ignition: 1,
      motion: 0,
      seq: Number.MAX_SAFE_INTEGER,
      event: 'Tür “auf” 🚪',
    },
    { ...nothing, timeMs: NOW_MS + 2, ignition: 0, motion: 1, seq: 0, event: '' },
  ];
  const batch = new FillingBatch();
  const receivedMs = NOW_MS + 5;
  for (const fix of fixes) batch.addFix(linkOf(Number.MAX_SAFE_INTEGER), fix, 0, receivedMs);
  const head7 = { index: 0, device: null, timeMs: NOW_MS };
  batch.addReading(
    linkOf(7),
    { ...head7, metricCode: 'a#1', value: -1.5e300, uomCode: null },
    null,
    0,
    receivedMs,
  );
  batch.addReading(
    linkOf(7),
    { ...head7, metricCode: 'b', value: 5, uomCode: '%' },
    3,
    0,
    receivedMs,
  );
  const copy = async (table: string, columns: string, data: Buffer): Promise<void> => {
    const stream = client.query(copyFrom(`copy ${table} (${columns}) from stdin (format binary)`));
    stream.end(data);
    await once(stream, 'finish');
  };
  await copy('equipment_gps_location', FIX_COLUMNS, encodeFixes(batch.fixes));
  await copy('iot_device_metric', READING_COLUMNS, encodeReadings(batch.readings));

  const stored = await client.query(
    `select ${FIX_COLUMNS} from equipment_gps_location order by recorded_at`,
  );
  const head = {
    equipment_has_iot_device_id: Number.MAX_SAFE_INTEGER,
    received_at: new Date(NOW_MS + 5),
  };
  const none = {
    altitude_m: null, speed_mps: null, heading_deg: null, accuracy_m: null, odometer_m: null, satellites: null,
    ignition: null, motion_status: null, event: null, seq: null,
  }; // prettier-ignore
  t.strictSame(stored.rows, [
    { ...head, ...none, recorded_at: new Date(NOW_MS), latitude: 0, longitude: 0 },
    {
      ...head,
      recorded_at: new Date(NOW_MS + 1),
      latitude: -89.999999999,
      longitude: 180,
      altitude_m: -12.5,
      speed_mps: 33.25,
      heading_deg: 359.5,
      accuracy_m: 0,
      odometer_m: 123_456_789.125,
      satellites: 255,
      ignition: true,
      motion_status: 'stopped',
      event: 'Tür “auf” 🚪',
      seq: Number.MAX_SAFE_INTEGER,
    },
    {
      ...head, ...none, recorded_at: new Date(NOW_MS + 2), latitude: 0, longitude: 0, ignition: false,
      motion_status: 'moving', event: '', seq: 0,
    }, // prettier-ignore
  ]);
  const readings = await client.query(
    `select ${READING_COLUMNS} from iot_device_metric order by metric_code`,
  );
  const reading = {
    equipment_has_iot_device_id: 7,
    recorded_at: new Date(NOW_MS),
    received_at: new Date(NOW_MS + 5),
  };
  t.strictSame(readings.rows, [
    { ...reading, metric_code: 'a#1', metric_value: -1.5e300, uom_lookup_id: null },
    { ...reading, metric_code: 'b', metric_value: 5, uom_lookup_id: 3 },
  ]);
});
