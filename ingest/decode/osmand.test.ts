import t from 'tap';
import { osmand, decodeOsmand } from './osmand.ts';
import { told, wireRequest } from './test-told.ts';

const NOW_MS = Date.parse('2026-06-15T12:00:00Z');
const AT_MS = NOW_MS - 30_000;
const AT_S = AT_MS / 1000;
const AT = '2026-06-15T11:59:30Z';
const HEAD = `device=T1 timeMs=${AT_MS}`;
const PLACE = `${HEAD} latDeg=1.5 lonDeg=-2.5`;

function keys(query: string): string[] {
  return told(decodeOsmand(wireRequest({ query, nowMs: NOW_MS })).decoded);
}

const KEYS: readonly [name: string, query: string, expected: string[]][] = [
  ['the least', `id=T1&timestamp=${AT_S}&lat=1.5&lon=-2.5`, [`fix ${PLACE}`]],
  ['deviceid, ms', `deviceid=T1&timestamp=${AT_MS}&lat=1.5&lon=-2.5`, [`fix ${PLACE}`]],
  ['ISO', `id=T1&timestamp=${AT}&lat=1.5&lon=-2.5`, [`fix ${PLACE}`]],
  ['words are UTC', 'id=T1&timestamp=2026-06-15+11%3A59%3A30&lat=1.5&lon=-2.5', [`fix ${PLACE}`]],
  ['location', `id=T1&timestamp=${AT_S}&location=1.5,-2.5`, [`fix ${PLACE}`]],
  ['no time is now', 'id=T1&lat=1.5&lon=-2.5', [`fix device=T1 timeMs=${NOW_MS} latDeg=1.5 lonDeg=-2.5`]],
  [
    'everything of a phone',
    `id=T1&timestamp=${AT_S}&lat=1.5&lon=-2.5&speed=10&bearing=360&altitude=-3.5&accuracy=4&batt=81.5&charge=true&mock=true&alarm=sos`,
    [
      `fix ${PLACE} altitudeM=-3.5 speedMps=${Math.fround(10 * 1852 / 3600)} headingDeg=0 accuracyM=4 event=sos`,
      'reading battery_pct=81.5 %', 'reading charging=1 1', 'reading mock=1 1',
    ],
  ],
  [
    'of a tracker',
    `id=T1&timestamp=${AT_S}&lat=1.5&lon=-2.5&heading=90&hdop=1.25&ignition=true&motion=false&sat=7&odometer=1200.5&rpm=900&door=false&event=ping`,
    [
      `fix ${PLACE} headingDeg=90 odometerM=1200.5 satellites=7 ignition=1 motion=0 event=ping`,
      'reading hdop=1.25', 'reading rpm=900', 'reading door=0',
    ],
  ],
  ['heartbeat', `id=T1&timestamp=${AT_S}&batt=78&charge=false`, ['reading battery_pct=78 %', 'reading charging=0 1']],
  ['nothing but a name', 'id=T1', []],
  ['alarm without a place', `id=T1&timestamp=${AT_S}&alarm=sos`, [`event status ${HEAD} {"event":"sos"}`]],
  [
    'towers and networks are no place',
    `id=T1&timestamp=${AT_S}&cell=257,02,16,2224&cell=257,02,16,2223,-90&wifi=00-14-22-01-23-45,-80&driverUniqueId=77`,
    ['ignored cell ×2', 'ignored wifi ×1', 'ignored driverUniqueId ×1'],
  ],
  [
    'not valid',
    `id=T1&timestamp=${AT_S}&lat=1.5&lon=-2.5&valid=false&batt=5&ignition=1&sat=0&odometer=9`,
    [
      'reading position_valid=0 1', 'reading battery_pct=5 %', 'reading odometer_m=9 m', 'reading satellites=0',
      'reading ignition=1 1',
    ],
  ],
  ['valid', `id=T1&timestamp=${AT_S}&lat=1.5&lon=-2.5&valid=1`, [`fix ${PLACE}`]],
  ['−1 is unknown', `id=T1&timestamp=${AT_S}&lat=1.5&lon=-2.5&speed=-1&bearing=-1&accuracy=-1&batt=-1`, [`fix ${PLACE}`]],
  ['−1 m is not', `id=T1&timestamp=${AT_S}&lat=1.5&lon=-2.5&altitude=-1`, [`fix ${PLACE} altitudeM=-1`]],
  ['empty is absent', `id=T1&timestamp=${AT_S}&lat=1.5&lon=-2.5&speed=&batt=&alarm=&note=`, [`fix ${PLACE}`]],
  [
    'what makes no sense is left out',
    `id=T1&timestamp=${AT_S}&lat=1.5&lon=-2.5&speed=fast&bearing=400&batt=101&charge=maybe&note=hi&a%20b=1`,
    [
      `fix ${PLACE}`, 'ignored speed_mps ×1', 'ignored heading_deg ×1', 'ignored battery_pct ×1', 'ignored charging ×1',
      'ignored unknown_key ×2',
    ],
  ],
  ['no name', `timestamp=${AT_S}&lat=1.5&lon=-2.5`, ['refused -1 device_missing']],
  ['a name that nothing can have', 'id=%00&lat=1&lon=1', ['refused -1 device_name']],
  ['no longitude', 'id=T1&lat=1', ['refused -1 lon_missing']],
  ['half a location', 'id=T1&location=1', ['refused -1 lon_missing']],
  ['text latitude', 'id=T1&lat=N1&lon=1', ['refused -1 lat_type']],
  ['latitude 91', 'id=T1&lat=91&lon=1', ['refused -1 lat_range']],
  ['longitude 181', 'id=T1&lat=1&lon=181', ['refused -1 lon_range']],
  ['infinite', 'id=T1&lat=1e999&lon=1', ['refused -1 lat_type']],
  ['1970', 'id=T1&timestamp=0&lat=1&lon=1', ['refused -1 time_range']],
  ['no time at all', 'id=T1&timestamp=noon&lat=1&lon=1', ['refused -1 time_invalid']],
  ['broken percent sign', `id=T1&timestamp=${AT_S}&lat=1.5&lon=-2.5&x=%`, [`fix ${PLACE}`, 'ignored unknown_key ×1']],
]; // prettier-ignore

t.test('generations up to 8 and 10: keys', (t) => {
  for (const [name, query, expected] of KEYS) t.same(keys(query), expected, name);
  t.end();
});

t.test('a form is read where the query is empty', (t) => {
  const form = (query: string, body: string) =>
    told(
      decodeOsmand(
        wireRequest({
          query,
          body,
          contentType: 'application/x-www-form-urlencoded',
          nowMs: NOW_MS,
        }),
      ).decoded,
    );
  const body = `id=T1&timestamp=${AT_S}&lat=1.5&lon=-2.5`;
  t.same(form('', body), [`fix ${PLACE}`]);
  t.same(form('id=T2', body), [], 'the query wins');
  t.same(form('', ''), ['refused -1 device_missing']);
  t.same(form('', `id=T1&note=${'x'.repeat(70_000)}`), ['refused -1 form_max']);
  t.same(form('', `id=T1${'&a=1'.repeat(500)}`), ['refused -1 keys_max']);
  t.end();
});

function json(body: unknown, query = ''): string[] {
  const request = { query, body: JSON.stringify(body), contentType: 'application/json' };
  return told(decodeOsmand(wireRequest({ ...request, nowMs: NOW_MS })).decoded);
}

const COORDS = { latitude: 1.5, longitude: -2.5 };
const LOCATIONS: readonly [name: string, location: unknown, expected: string[]][] = [
  ['the least', { timestamp: AT, coords: COORDS }, [`fix ${PLACE}`]],
  ['no time is now', { coords: COORDS }, [`fix device=T1 timeMs=${NOW_MS} latDeg=1.5 lonDeg=-2.5`]],
  [
    'everything of a phone',
    {
      timestamp: AT,
      coords: { ...COORDS, accuracy: 4, speed: 10, heading: 271.5, altitude: 30, speed_accuracy: 0.5, heading_accuracy: -1 },
      is_moving: true, odometer: 1234.5, event: 'motionchange', battery: { level: 0.57, is_charging: true },
      activity: { type: 'in_vehicle', confidence: 92 }, mock: true, extras: { route: 7, cold: true, driver: 'Ann' },
      uuid: 'u', _: '&id=T1&',
    },
    [
      `fix ${PLACE} altitudeM=30 speedMps=10 headingDeg=271.5 accuracyM=4 odometerM=1234.5 motion=1 event=motionchange`,
      'reading speed_accuracy=0.5', 'reading mock=1 1', 'reading battery_pct=57 %', 'reading charging=1 1',
      'reading activity_confidence_pct=92 %', 'reading route=7', 'reading cold=1', 'ignored activity ×1',
      'ignored unknown_key ×1',
    ],
  ],
  [
    '−1 is unknown',
    { timestamp: AT, coords: { ...COORDS, speed: -1, heading: -1, accuracy: -1 }, battery: { level: -1, is_charging: false } },
    [`fix ${PLACE}`, 'reading charging=0 1'],
  ],
  ['an alarm goes before the event', { timestamp: AT, coords: COORDS, alarm: 'sos', event: 'x' }, [`fix ${PLACE} event=sos`, 'ignored event ×1']],
  ['an empty event is none', { timestamp: AT, coords: COORDS, event: '' }, [`fix ${PLACE}`]],
  [
    'no place',
    { timestamp: AT, is_moving: false, odometer: 5, battery: { level: 0.5, is_charging: false } },
    ['reading battery_pct=50 %', 'reading charging=0 1', 'reading odometer_m=5 m', 'reading motion=0 1'],
  ],
  [
    'a region of its own',
    { timestamp: AT, coords: COORDS, event: 'geofence', geofence: { identifier: 'depot', action: 'ENTER', extras: {} } },
    [`fix ${PLACE} event=geofence`, `event region_enter ${PLACE} {"desc":"depot","action":"ENTER"}`],
  ],
  [
    'left, without a place',
    { timestamp: AT, geofence: { identifier: 'depot', action: 'EXIT' } },
    [`event region_leave ${HEAD} {"desc":"depot","action":"EXIT"}`],
  ],
  ['staying has no place with us', { timestamp: AT, coords: COORDS, geofence: { identifier: 'd', action: 'DWELL' } }, [`fix ${PLACE}`, 'ignored geofence ×1']],
  ['empty list', [], []],
  [
    'a list, one of it wrong',
    [{ timestamp: AT, coords: COORDS }, { timestamp: AT, coords: { ...COORDS, latitude: 91 } }, 7, { timestamp: 'x', coords: COORDS }],
    [`fix ${PLACE}`, 'refused 1 lat_range', 'refused 2 record_type', 'refused 3 time_invalid'],
  ],
  ['epoch 0 is a time', { timestamp: 0, coords: COORDS }, ['refused 0 time_range']],
  ['half a place', { timestamp: AT, coords: { latitude: 1 } }, ['refused 0 lon_missing']],
  ['no location', null, ['refused -1 location_missing']],
  ['prototype keys', JSON.parse(`{"timestamp":"${AT}","coords":{"latitude":1.5,"longitude":-2.5},"__proto__":{"coords":1}}`), [`fix ${PLACE}`, 'ignored unknown_key ×1']],
]; // prettier-ignore

t.test('generation 9: JSON', (t) => {
  for (const [name, location, expected] of LOCATIONS) {
    t.same(json({ device_id: 'T1', location }), expected, name);
  }
  t.end();
});

t.test('who a JSON message is of', (t) => {
  const location = { timestamp: AT, coords: COORDS };
  t.same(json({ device_id: 48241179, location }), [`fix ${PLACE.replace('T1', '48241179')}`]);
  t.same(json({ location }, 'id=T1'), [`fix ${PLACE}`], 'the query helps out');
  t.same(json({ location }), ['refused -1 device_missing']);
  t.same(json({ device_id: { a: 1 }, location }), ['refused -1 device_name']);
  t.same(json({ device_id: 'T1', location, token: 1 }), [`fix ${PLACE}`, 'ignored unknown_key ×1']);
  t.same(json([]), ['refused -1 record_type']);
  const named = decodeOsmand(wireRequest({ query: 'id=T1&lat=91&lon=0', nowMs: NOW_MS }));
  t.equal(named.deviceName, 'T1', 'known also where the message is refused');
  t.end();
});

t.test('messages that are no JSON', (t) => {
  const decode = (body: string | Buffer) =>
    told(
      decodeOsmand(wireRequest({ body, contentType: 'application/json', nowMs: NOW_MS })).decoded,
    );
  t.same(decode('{'), ['refused -1 json_malformed']);
  t.same(decode(Buffer.from([0x7b, 0xff, 0x7d])), ['refused -1 utf8_invalid']);
  const deep = `{"device_id":"T1","location":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  t.same(decode(deep), ['refused 0 record_type']);
  t.end();
});

t.test('limits', (t) => {
  const extras = Object.fromEntries(Array.from({ length: 130 }, (_, i) => [`m${i}`, i]));
  const wide = json({ device_id: 'T1', location: { timestamp: AT, coords: COORDS, extras } });
  t.equal(wide.length, 1 + 100 + 1);
  t.equal(wide.at(-1), 'ignored metrics_max ×30', 'the fix stays');
  const many = (record: object, count: number) =>
    json({ device_id: 'T1', location: Array.from({ length: count }, () => record) });
  t.same(many({ coords: COORDS }, 10_001), ['refused -1 records_max']);
  t.same(many({ coords: COORDS, extras }, 200).slice(0, 1), ['refused -1 rows_max']);
  t.end();
});

t.test('the old clients wait for 200, and are told 400', (t) => {
  t.same(osmand.http?.status, { refused: 400, malformed: 400, unknownDevice: 400 });
  t.same(osmand.http?.methods, ['GET', 'POST']);
  t.end();
});
