import pg from 'pg';
import t, { type Test } from 'tap';
import { valueTypes } from '../db/pools.ts';
import { addEvent, type Decoded, type DecodedEvent } from './decode/decoded.ts';
import { startPipeline, type TestPipeline } from './test-pipeline.ts';
import { trimOnce } from './trim-rows.ts';

const NOW_MS = Math.floor(Date.now() / 1000) * 1000;

function event(more: Partial<DecodedEvent> = {}): DecodedEvent {
  return {
    index: 0,
    device: null,
    kind: 'region_enter',
    timeMs: NOW_MS,
    latDeg: 41.5,
    lonDeg: -87.5,
    detail: { desc: 'Depot', tst: 1 },
    ...more,
  };
}

const said =
  (...events: DecodedEvent[]) =>
  (decoded: Decoded): void => {
    for (const one of events) addEvent(decoded, one);
  };

async function owner(t: Test, house: TestPipeline): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: house.ownerUrl, types: valueTypes });
  await client.connect();
  t.teardown(() => client.end());
  return client;
}

const FEED_SQL = `select activity_feed_id, event_type, subject_name, severity, cause, equipment_id, account_id, latitude
  from activity_feed order by activity_feed_id`;

t.test('an event is one row, however often it is sent', async (t) => {
  const house = await startPipeline(t);
  const sender = house.sender('dev-1');
  const twice = [
    event(),
    event({ index: 1 }),
    event({ index: 2, detail: { desc: 'Depot', tst: 2 } }),
  ];
  const first = await house.submit(sender, said(...twice));
  t.same(first, { stored: true, accepted: 2, duplicates: 1, refused: [] });
  const again = await house.submit(sender, said(...twice));
  t.same(again, { stored: true, accepted: 0, duplicates: 3, refused: [] });
  const other = await house.submit(house.sender('dev-2'), said(event()));
  t.equal(other.accepted, 1, 'the same words of another device are another event');
  t.equal(await house.count('iot_device_event'), 3);
  t.equal(await house.count('activity_feed'), 3);
});

t.test(
  'what people watch for is in the feed and told to watchers, with the same ids',
  async (t) => {
    const house = await startPipeline(t);
    await house.submit(
      house.sender('dev-1'),
      said(
        event(),
        event({ index: 1, kind: 'region_leave', timeMs: NOW_MS + 1000 }),
        event({ index: 2, kind: 'disconnected', latDeg: NaN, lonDeg: NaN, detail: { desc: 'x' } }),
        event({ index: 3, kind: 'waypoint' }),
      ),
    );
    t.equal(await house.count('iot_device_event'), 4);
    const { rows } = await house.pool.query<Record<string, unknown>>(FEED_SQL);
    const [equipmentId] = house.fleet.equipmentIds;
    const unit = { cause: 'device', equipment_id: equipmentId, account_id: house.fleet.accountId };
    t.match(
      rows.sort((a, b) => String(a['event_type']).localeCompare(String(b['event_type']))),
      [
      { ...unit, event_type: 'device_disconnected', subject_name: 'dev-1', severity: 'warning', latitude: null },
      { ...unit, event_type: 'device_region_enter', subject_name: 'Depot', severity: 'info', latitude: 41.5 },
      { ...unit, event_type: 'device_region_leave', subject_name: 'Depot', severity: 'info', latitude: 41.5 },
    ], // prettier-ignore
    );
    const told = house.committed.flatMap(({ events, eventIds }) =>
      events.map((one, i) => [eventIds[i], one.type, one.subjectName, one.equipmentId]),
    );
    t.same(
      told.sort((a, b) => String(a[1]).localeCompare(String(b[1]))),
      rows.map((r) => [r['activity_feed_id'], r['event_type'], r['subject_name'], equipmentId]),
    );
  },
);

t.test('a device on no unit is kept with what it said, and is in no feed', async (t) => {
  const house = await startPipeline(t);
  const device = house.registry.deviceNamed('dev-1')!;
  house.registry.put({ ...device, link: null });
  const outcome = await house.submit(house.sender('dev-1'), said(event()));
  t.equal(outcome.accepted, 1);
  const { rows } = await house.pool.query(
    'select customer_id, iot_device_id, equipment_id, event_kind, detail, latitude from iot_device_event',
  );
  t.same(rows, [
    {
      customer_id: house.fleet.customerId,
      iot_device_id: device.iotDeviceId,
      equipment_id: null,
      event_kind: 'region_enter',
      detail: { desc: 'Depot', tst: 1 },
      latitude: 41.5,
    },
  ]);
  t.equal(await house.count('activity_feed'), 0);
});

t.test('a relay speaks for every device by name; unknown ones are refused', async (t) => {
  const house = await startPipeline(t);
  const outcome = await house.submit(
    { kind: 'relay' },
    said(event({ device: 'dev-2' }), event({ index: 1, device: 'nobody' })),
  );
  t.equal(outcome.accepted, 1);
  t.same(outcome.refused.map((one) => [one.index, one.reason]), [[1, 'unknown_device']]); // prettier-ignore
});

t.test('details that cannot be kept are refused, each with its reason', async (t) => {
  const house = await startPipeline(t);
  const deep: Record<string, unknown> = {};
  let at = deep;
  for (let i = 0; i < 20_000; i++) at = at['in'] = {};
  const outcome = await house.submit(
    house.sender('dev-1'),
    said(
      event({ index: 0, detail: { desc: 'a\0b' } }),
      event({ index: 1, detail: { desc: 'half \ud800' } }),
      event({ index: 2, detail: { desc: 'x'.repeat(20_000) } }),
      event({ index: 3, detail: deep }),
      event({ index: 4, detail: { desc: 'only \\u0000 words' } }),
    ),
  );
  t.same(
    outcome.refused.map((one) => [one.index, one.reason]),
    [[0, 'event_detail'], [1, 'event_detail'], [2, 'event_detail_max'], [3, 'event_detail']], // prettier-ignore
  );
  t.equal(outcome.accepted, 1);
  t.equal(await house.count('ingest_reject'), 4);
});

t.test(
  'an event that the database refuses is found; fixes and events beside it are stored',
  async (t) => {
    const house = await startPipeline(t);
    const client = await owner(t, house);
    await client.query(
      `alter table iot_device_event add constraint no_13 check (detail ->> 'n' is distinct from '13')`,
    );
    const many = Array.from({ length: 20 }, (_, n) => event({ index: n, detail: { n } }));
    const outcome = await house.submit(house.sender('dev-1'), (decoded) => {
      said(...many)(decoded);
      decoded.fixes.push({
      index: 20, device: null, timeMs: NOW_MS, latDeg: 41.5, lonDeg: -87.5, altitudeM: NaN, speedMps: NaN,
      headingDeg: NaN, accuracyM: NaN, odometerM: NaN, satellites: NaN, ignition: NaN, motion: NaN, seq: NaN,
      event: null,
    }); // prettier-ignore
    });
    t.equal(outcome.accepted, 20, '19 events and a fix');
    t.same(outcome.refused.map((one) => [one.index, one.reason]), [[13, 'storage_refused']]); // prettier-ignore
    const { rows } = await house.pool.query<{ payload: Buffer; source: string }>(
      'select payload, source from ingest_reject',
    );
    t.match(JSON.parse(rows[0]!.payload.toString()), { event: 'region_enter', detail: { n: 13 } });
  },
);

t.test('a unit that is deleted under its event costs the batch nothing', async (t) => {
  const house = await startPipeline(t);
  const client = await owner(t, house);
  await client.query('delete from equipment_has_iot_device; delete from equipment');
  const outcome = await house.submit(house.sender('dev-1'), said(event()));
  t.same(outcome, { stored: true, accepted: 1, duplicates: 0, refused: [] });
  t.equal(await house.count('activity_feed'), 0);
});

t.test('no more rows are kept than the limit says, whatever was sent twice', async (t) => {
  const house = await startPipeline(t);
  const sender = house.sender('dev-1');
  const limits = { rejectRowsMax: 100, deviceEventRowsMax: 3 };
  for (let n = 0; n < 5; n++) await house.submit(sender, said(event({ detail: { n } })));
  for (let n = 0; n < 3; n++) await house.submit(sender, said(event({ detail: { n: 4 } })));
  const client = await owner(t, house);
  await trimOnce(house.pool, limits);
  const { rows } = await client.query<{ n: number }>(
    `select (detail ->> 'n')::int as n from iot_device_event order by 1`,
  );
  t.same(rows.map((row) => row.n), [2, 3, 4]); // prettier-ignore
});
