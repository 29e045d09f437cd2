import t from 'tap';
import { decodeOwntracks, owntracks } from './owntracks.ts';
import { told, wireRequest } from './test-told.ts';

const NOW_MS = Date.parse('2026-06-15T12:00:00Z');
const AT_MS = NOW_MS - 30_000;
const AT_S = AT_MS / 1000;
const LEAST = { _type: 'location', lat: 1.5, lon: -2.5, tst: AT_S };
const PLACE = `timeMs=${AT_MS} latDeg=1.5 lonDeg=-2.5`;

function decode(message: unknown): string[] {
  return told(decodeOwntracks(Buffer.from(JSON.stringify(message)), NOW_MS));
}

const ROWS: readonly [name: string, message: unknown, expected: string[]][] = [
  ['the least', LEAST, [`fix ${PLACE}`]],
  [
    'everything of a phone',
    {
      ...LEAST, acc: 5, alt: 167, vac: 21, vel: 36, cog: 271, batt: 41, bs: 1, conn: 'w', p: 101.3, t: 'u', tid: 'JJ',
      m: 1, created_at: AT_S + 2, inregions: ['home'], inrids: ['6da9cf'], topic: 'owntracks/jane/iphone', _id: 'x',
    },
    [
      `fix ${PLACE} altitudeM=167 speedMps=10 headingDeg=271 accuracyM=5 event=u`,
      'reading vertical_accuracy_m=21 m', 'reading battery_pct=41 %', 'reading battery_status=1',
      'reading pressure_kpa=101.3 kPa', 'reading monitoring_mode=1', `reading created_at_s=${AT_S + 2} s`,
      'ignored unknown_key ×3',
    ],
  ],
  [
    'of a tracker behind the bridge',
    { ...LEAST, odometer: 160.1, ubatt: 4.1, uext: 12.5, ign: true, motion: 0, rpm: 900, hmc: 3600, vin: 'V', imei: '1' },
    [
      `fix ${PLACE} odometerM=160100 ignition=1 motion=0`,
      'reading battery_v=4.1 V', 'reading external_v=12.5 V', 'reading rpm=900', 'reading engine_hours_s=3600 s',
      'ignored unknown_key ×2',
    ],
  ],
  ['numbers as text', { ...LEAST, lat: '1.5', tst: String(AT_S), acc: '5' }, [`fix ${PLACE} accuracyM=5`]],
  ['no speed is −1', { ...LEAST, vel: -1, cog: -1 }, [`fix ${PLACE}`]],
  ['no tst', { _type: 'location', lat: 1, lon: 2 }, ['refused -1 time_missing']],
  ['1970', { ...LEAST, tst: 1 }, ['refused -1 time_range']],
  ['no place', { _type: 'location', tst: AT_S }, ['refused -1 lat_missing']],
  ['longitude 181', { ...LEAST, lon: 181 }, ['refused -1 lon_range']],
  [
    'a region entered',
    { _type: 'transition', event: 'enter', desc: 'home', tst: AT_S, wtst: 1, acc: 60, t: 'c', rid: 'r', tid: 'JJ', lat: 1.5, lon: -2.5 },
    [`event region_enter ${PLACE} {"event":"enter","desc":"home","tst":${AT_S},"wtst":1,"acc":60,"t":"c","rid":"r","tid":"JJ"}`],
  ],
  [
    'and left',
    { _type: 'transition', event: 'leave', desc: 'home', tst: AT_S, lat: 1.5, lon: -2.5, topic: 'owntracks/a/b/event' },
    [`event region_leave ${PLACE} {"event":"leave","desc":"home","tst":${AT_S}}`],
  ],
  [
    'a beacon has no place',
    { _type: 'transition', event: 'enter', desc: 'keys', t: 'b', tst: AT_S, lat: 1.5, lon: -2.5 },
    [`event region_enter timeMs=${AT_MS} {"event":"enter","desc":"keys","t":"b","tst":${AT_S}}`],
  ],
  ['a place that is none', { _type: 'transition', event: 'enter', tst: AT_S, lat: 95, lon: 0 }, [`event region_enter timeMs=${AT_MS} {"event":"enter","tst":${AT_S}}`, 'ignored place ×1']],
  ['neither entered nor left', { _type: 'transition', event: 'toString', tst: AT_S }, ['refused -1 event_unknown']],
  ['a transition of 1970', { _type: 'transition', event: 'enter', tst: 2 }, ['refused -1 time_range']],
  [
    'a waypoint of long ago, in text',
    { _type: 'waypoint', desc: 'café', lat: 1.5, lon: -2.5, rad: '50', tst: '1385997757', rid: 'r' },
    ['event waypoint timeMs=1385997757000 latDeg=1.5 lonDeg=-2.5 {"desc":"café","rad":50,"tst":"1385997757","rid":"r"}'],
  ],
  ['a waypoint in ms', { _type: 'waypoint', desc: 'a', tst: 1398353271887 }, ['event waypoint timeMs=1398353271887 {"desc":"a","tst":1398353271887}']],
  ['a waypoint of tomorrow', { _type: 'waypoint', desc: 'a', tst: AT_S + 86_400 }, ['refused -1 time_range']],
  ['a waypoint without tst', { _type: 'waypoint', desc: 'a' }, ['refused -1 time_missing']],
  ['a waypoint of noon', { _type: 'waypoint', desc: 'a', tst: 'noon' }, ['refused -1 time_invalid']],
  [
    'waypoints, one of them wrong',
    { _type: 'waypoints', _creator: 'x', waypoints: [{ desc: 'a', tst: 3, lat: 1.5, lon: -2.5, rad: 9 }, { desc: 'b' }, 5, { desc: 'c', tst: 4 }] },
    [
      'event waypoint timeMs=3000 latDeg=1.5 lonDeg=-2.5 {"desc":"a","tst":3,"rad":9}',
      'event waypoint timeMs=4000 {"desc":"c","tst":4}', 'refused 1 time_missing', 'refused 2 record_type',
    ],
  ],
  ['no list of waypoints', { _type: 'waypoints', waypoints: 5 }, ['refused -1 waypoints_type']],
  ['the last will is of now', { _type: 'lwt', tst: 1 }, [`event last_will timeMs=${NOW_MS} {"tst":1}`]],
  ['a card', { _type: 'card', name: 'Jane', tid: 'JJ', face: 'AAAA' }, [`event card timeMs=${NOW_MS} {"name":"Jane","tid":"JJ","face":"AAAA"}`]],
  ['a large face', { _type: 'card', name: 'Jane', face: 'A'.repeat(12_001) }, [`event card timeMs=${NOW_MS} {"name":"Jane"}`, 'ignored face ×1']],
  ['status', { _type: 'status', tst: AT_S, android: { ps: 0 } }, [`event status timeMs=${AT_MS} {"tst":${AT_S},"android":{"ps":0}}`]],
  ['steps', { _type: 'steps', tst: AT_S, steps: 12 }, [`event steps timeMs=${AT_MS} {"tst":${AT_S},"steps":12}`]],
  ['a beacon in range', { _type: 'beacon', tst: AT_S, uuid: 'u', rssi: -70 }, [`event beacon timeMs=${AT_MS} {"tst":${AT_S},"uuid":"u","rssi":-70}`]],
  ['a beacon of 1970', { _type: 'beacon', tst: 5 }, ['refused -1 time_range']],
  [
    'settings without secrets',
    { _type: 'dump', configuration: { _type: 'configuration', host: 'h', password: 'p', encryptionKey: 'k' } },
    [`event dump timeMs=${NOW_MS} {"configuration":{"_type":"configuration","host":"h"}}`],
  ],
  ['encrypted', { _type: 'encrypted', data: 'xyz' }, ['refused -1 encrypted']],
  ['unknown', { _type: 'unsupported', tst: 1 }, ['refused -1 type_unknown']],
  ['no word at all', { _type: ['location'] }, ['refused -1 type_unknown']],
  ['a command is for devices', { _type: 'cmd', action: 'reportLocation' }, ['refused -1 type_unknown']],
  ['no type', { lat: 1, lon: 2 }, ['refused -1 type_missing']],
  ['a list', [LEAST], ['refused -1 record_type']],
]; // prettier-ignore

t.test('messages', (t) => {
  for (const [name, message, expected] of ROWS) t.same(decode(message), expected, name);
  t.same(told(decodeOwntracks(Buffer.alloc(0), NOW_MS)), [], 'no bytes, no message');
  t.same(told(decodeOwntracks(Buffer.from('{'), NOW_MS)), ['refused -1 json_malformed']);
  t.end();
});

t.test('a gateway says in one of four places which device it is', (t) => {
  const { decode } = owntracks.http!;
  const named = (message: object, query: string, headers: Record<string, string>) => {
    const body = JSON.stringify({ ...LEAST, ...message });
    const request = { body, query, headers, contentType: 'application/json', nowMs: NOW_MS };
    const { deviceName, decoded } = decode(wireRequest(request));
    t.equal(decoded.fixes[0]?.device ?? null, deviceName);
    const own = decode(wireRequest({ ...request, mustNameDevice: false }));
    t.equal(own.decoded.fixes[0]?.device, null, 'the credential of a device says it all');
    return deviceName;
  };
  const all = { tid: 'JJ', topic: 'owntracks/jane/iphone/event' };
  t.equal(named(all, 'u=jane&d=watch', { 'x-limit-d': 'phone' }), 'phone');
  t.equal(named(all, 'u=jane&d=watch', {}), 'watch');
  t.equal(named(all, '', {}), 'iphone');
  t.equal(named({ tid: 'JJ' }, '', {}), 'JJ');
  t.equal(named({}, '', {}), null);
  t.end();
});
