import t from 'tap';
import { decodeFlespi } from './flespi.ts';
import { told } from './test-told.ts';

const NOW_MS = Date.parse('2026-06-15T12:00:00Z');
const AT_MS = NOW_MS - 30_000;
const AT_S = AT_MS / 1000;
const HEAD = `device=T1 timeMs=${AT_MS}`;
const PLACE = `${HEAD} latDeg=1.5 lonDeg=-2.5`;
const WHERE = { 'position.latitude': 1.5, 'position.longitude': -2.5 };
const LEAST = { ident: 'T1', timestamp: AT_S, ...WHERE };

function decode(messages: unknown): string[] {
  return told(decodeFlespi(Buffer.from(JSON.stringify(messages)), NOW_MS));
}

const ROWS: readonly [name: string, message: unknown, expected: string[]][] = [
  ['the least', LEAST, [`fix ${PLACE}`]],
  ['microseconds are cut off', { ...LEAST, timestamp: AT_S + 0.123456 }, [`fix device=T1 timeMs=${AT_MS + 123} latDeg=1.5 lonDeg=-2.5`]],
  ['ident as a number', { ...LEAST, ident: 605630 }, [`fix ${PLACE.replace('T1', '605630')}`]],
  [
    'what has a place of its own',
    {
      ...LEAST, 'position.speed': 36, 'position.direction': 262.5, 'position.altitude': 233.5, 'position.satellites': 8,
      'position.hdop': 0.75, 'position.pdop': 1.5, 'position.valid': true, 'engine.ignition.status': true,
      'movement.status': false, 'vehicle.mileage': 160.1, 'record.seqnum': 77, 'battery.level': 90, 'battery.voltage': 4.088,
      'external.powersource.voltage': 15.298, 'fuel.level': 40,
    },
    [
      `fix ${PLACE} altitudeM=233.5 speedMps=10 headingDeg=262.5 odometerM=160100 satellites=8 ignition=1 motion=0 seq=77`,
      'reading hdop=0.75', 'reading pdop=1.5', 'reading battery_pct=90 %', 'reading battery_v=4.088 V',
      'reading external_v=15.298 V', 'reading fuel_pct=40 %',
    ],
  ],
  [
    'other keys keep their names',
    { ...LEAST, 'ain#1': 0, 'gnss.antenna.cut.status': true, din: 3, 'gnss.enum': 'glonass', 'x y': 1, nested: { a: 1 }, none: null },
    [`fix ${PLACE}`, 'reading ain#1=0', 'reading gnss.antenna.cut.status=1', 'reading din=3', 'ignored unknown_key ×3'],
  ],
  [
    'the envelope is nothing of the device',
    { ...LEAST, 'server.timestamp': 1, 'channel.id': 2, 'protocol.id': 3, 'device.id': 4, 'device.type.id': 5, peer: 'p', 'device.name': 'n' },
    [`fix ${PLACE}`],
  ],
  [
    'a trigger is an event',
    { ...LEAST, 'incline.event.trigger': false, 'shock.event.trigger': true },
    [`fix ${PLACE} event=shock`, 'reading incline.event.trigger=0', 'reading shock.event.trigger=1'],
  ],
  [
    'not valid',
    { ...LEAST, 'position.valid': false, 'position.speed': 5, 'position.satellites': 0, 'engine.ignition.status': true, 'vehicle.mileage': 2 },
    ['reading position_valid=0 1', 'reading odometer_m=2000 m', 'reading satellites=0', 'reading ignition=1 1'],
  ],
  ['no place', { ident: 'T1', timestamp: AT_S, 'battery.level': 5 }, ['reading battery_pct=5 %']],
  ['out of its range', { ...LEAST, 'battery.level': 400, 'position.speed': -7 }, [`fix ${PLACE}`, 'ignored battery_pct ×1', 'ignored speed_mps ×1']],
  ['no ident', { timestamp: AT_S, ...WHERE }, ['refused 0 device_missing']],
  ['no time', { ident: 'T1', ...WHERE }, ['refused 0 time_missing']],
  ['1970', { ...LEAST, timestamp: 40 }, ['refused 0 time_range']],
  ['latitude 91', { ...LEAST, 'position.latitude': 91 }, ['refused 0 lat_range']],
  ['half a place', { ident: 'T1', timestamp: AT_S, 'position.latitude': 1 }, ['refused 0 lon_missing']],
  ['no object', 7, ['refused 0 record_type']],
]; // prettier-ignore

t.test('messages', (t) => {
  for (const [name, message, expected] of ROWS) t.same(decode([message]), expected, name);
  t.same(decode(LEAST), [`fix ${PLACE}`], 'one message without a list');
  t.same(decode([]), []);
  t.end();
});

t.test('one that is refused does not hold up those beside it', (t) => {
  const other = { ...LEAST, ident: 'T2' };
  t.same(decode([LEAST, { ...LEAST, 'position.latitude': 91 }, other]), [
    `fix ${PLACE}`,
    `fix ${PLACE.replace('T1', 'T2')}`,
    'refused 1 lat_range',
  ]);
  t.end();
});

t.test('what is no JSON, and too much of it', (t) => {
  t.same(told(decodeFlespi(Buffer.from('[{'), NOW_MS)), ['refused -1 json_malformed']);
  t.same(told(decodeFlespi(Buffer.alloc(0), NOW_MS)), ['refused -1 json_malformed']);
  t.same(decode(Array.from({ length: 10_001 }, () => 0)), ['refused -1 records_max']);
  t.end();
});
