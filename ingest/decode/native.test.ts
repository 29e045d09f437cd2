import t from 'tap';
import { decodeNative, decodeNdjson, RECORDS_MAX, type RecordKind } from './native.ts';
import type { Decoded } from './decoded.ts';

const NOW_MS = Date.parse('2026-06-15T12:00:00Z');
const AT = '2026-06-15T11:59:30Z';
const AT_MS = Date.parse(AT);

function decode(record: unknown, kind: RecordKind = 'any'): Decoded {
  return decodeNative(Buffer.from(JSON.stringify(record)), kind, NOW_MS);
}

/** A decoded message in one line: what a reader of the table wants to see. */
function told({ fixes, readings, refusals, ignored }: Decoded): string[] {
  return [
    ...fixes.map((fix) => {
      const known = Object.entries(fix).filter(
        ([name, value]) => value !== null && !Number.isNaN(value) && name !== 'index',
      );
      return `fix ${known.map(([name, value]) => `${name}=${value}`).join(' ')}`;
    }),
    ...readings.map((r) => `reading ${r.metricCode}=${r.value}${r.uomCode ? ` ${r.uomCode}` : ''}`),
    ...refusals.map((refusal) => `refused ${refusal.index} ${refusal.reason}`),
    ...[...ignored].map(([field, count]) => `ignored ${field} ×${count}`),
  ];
}

const at = `timeMs=${AT_MS}`;
const rows: [string, unknown, string[]][] = [
  ['the least', { time: AT, lat: 1, lon: 2 }, [`fix ${at} latDeg=1 lonDeg=2`]],
  ['epoch ms', { time: AT_MS, lat: 1, lon: 2 }, [`fix ${at} latDeg=1 lonDeg=2`]],
  ['epoch s', { time: AT_MS / 1000, lat: 1, lon: 2 }, [`fix ${at} latDeg=1 lonDeg=2`]],
  ['offset', { time: '2026-06-15T13:59:30+02:00', lat: 1, lon: 2 }, [`fix ${at} latDeg=1 lonDeg=2`]],
  ['no offset is UTC', { time: '2026-06-15 11:59:30', lat: 1, lon: 2 }, [`fix ${at} latDeg=1 lonDeg=2`]],
  [
    'everything',
    {
      device: 'T1', time: AT, lat: -90, lon: 180, speed_mps: 12.5, heading_deg: 360, altitude_m: -3, accuracy_m: 4,
      satellites: 9, odometer_m: 123456.5, ignition: true, motion: false, battery_pct: 88, temperature_c: -18.5,
      fuel_pct: 40, event: 'ping', seq: 7,
    },
    [
      `fix device=T1 ${at} latDeg=-90 lonDeg=180 altitudeM=-3 speedMps=12.5 headingDeg=0 accuracyM=4 ` +
        'odometerM=123456.5 satellites=9 ignition=1 motion=0 seq=7 event=ping',
      'reading battery_pct=88 %',
      'reading temperature_c=-18.5 Cel',
      'reading fuel_pct=40 %',
    ],
  ],
  ['km/h', { time: AT, lat: 1, lon: 2, speed_kph: 36 }, [`fix ${at} latDeg=1 lonDeg=2 speedMps=10`]],
  ['unknown number', { time: AT, lat: 1, lon: 2, rpm: 900 }, [`fix ${at} latDeg=1 lonDeg=2`, 'reading rpm=900']],
  ['unknown boolean', { time: AT, lat: 1, lon: 2, door: true }, [`fix ${at} latDeg=1 lonDeg=2`, 'reading door=1']],
  ['unknown text', { time: AT, lat: 1, lon: 2, driver: 'Ann' }, [`fix ${at} latDeg=1 lonDeg=2`, 'ignored unknown_key ×1']],
  ['null is absent', { time: AT, lat: 1, lon: 2, speed_mps: null }, [`fix ${at} latDeg=1 lonDeg=2`]],
  ['senseless heading', { time: AT, lat: 1, lon: 2, heading_deg: -1 }, [`fix ${at} latDeg=1 lonDeg=2`, 'ignored heading_deg ×1']],
  ['senseless speed', { time: AT, lat: 1, lon: 2, speed_mps: 'fast' }, [`fix ${at} latDeg=1 lonDeg=2`, 'ignored speed_mps ×1']],
  ['NUL in event', { time: AT, lat: 1, lon: 2, event: 'a\0b' }, [`fix ${at} latDeg=1 lonDeg=2`, 'ignored event ×1']],
  ['a metric', { time: AT, metric: 'x', value: 3 }, ['reading x=3']],
  ['with a unit', { time: AT, metric: 'p', value: 100, unit: '[psi]' }, ['reading p=689.4757293168001 kPa']],
  ['°F', { time: AT, metric: 't', value: 32, unit: '°F' }, ['reading t=0 Cel']],
  ['a map', { time: AT, metrics: { a: 1, b: true } }, ['reading a=1', 'reading b=1']],
  ['fix and map', { time: AT, lat: 1, lon: 2, metrics: { a: 1 } }, [`fix ${at} latDeg=1 lonDeg=2`, 'reading a=1']],
  ['latitude 91', { time: AT, lat: 91, lon: 0 }, ['refused 0 lat_range']],
  ['longitude -181', { time: AT, lat: 0, lon: -181 }, ['refused 0 lon_range']],
  ['text latitude', { time: AT, lat: '1', lon: 0 }, ['refused 0 lat_type']],
  ['no longitude', { time: AT, lat: 1 }, ['refused 0 lon_missing']],
  ['no time', { lat: 1, lon: 2 }, ['refused 0 time_missing']],
  ['1970', { time: 0, lat: 1, lon: 2 }, ['refused 0 time_range']],
  ['2080', { time: '2080-01-01T00:00:00Z', lat: 1, lon: 2 }, ['refused 0 time_range']],
  ['just within 90 days', { time: NOW_MS - 90 * 86_400_000, lat: 1, lon: 2 }, [`fix timeMs=${NOW_MS - 90 * 86_400_000} latDeg=1 lonDeg=2`]],
  ['older by 1 ms', { time: NOW_MS - 90 * 86_400_000 - 1, lat: 1, lon: 2 }, ['refused 0 time_range']],
  ['10 minutes ahead', { time: NOW_MS + 600_000, lat: 1, lon: 2 }, [`fix timeMs=${NOW_MS + 600_000} latDeg=1 lonDeg=2`]],
  ['ahead by more', { time: NOW_MS + 600_001, lat: 1, lon: 2 }, ['refused 0 time_range']],
  ['no such day', { time: '2026-13-45T00:00:00Z', lat: 1, lon: 2 }, ['refused 0 time_invalid']],
  ['31 April is not 1 May', { time: '2026-04-31T00:00:00Z', lat: 1, lon: 2 }, ['refused 0 time_invalid']],
  ['30 April is', { time: '2026-04-30T24:00:00Z', lat: 1, lon: 2 }, [`fix timeMs=${Date.UTC(2026, 4, 1)} latDeg=1 lonDeg=2`]],
  ['text time', { time: 'now', lat: 1, lon: 2 }, ['refused 0 time_invalid']],
  ['a number', 7, ['refused 0 record_type']],
  ['null', null, ['refused 0 record_type']],
  ['list in a list', [[1]], ['refused 0 record_type']],
  ['empty list', [], []],
  ['device a number', { device: 5, time: AT, lat: 1, lon: 2 }, ['refused 0 device_type']],
  ['metric value text', { time: AT, metric: 'x', value: 'hot' }, ['refused 0 value_type']],
  ['metric code', { time: AT, metric: 'a b', value: 1 }, ['refused 0 metric_code']],
  ['unit unknown', { time: AT, metric: 'x', value: 1, unit: 'furlong' }, ['refused 0 unit_unknown']],
  ['tiny speed is none', { time: AT, lat: 1, lon: 2, speed_mps: 1e-50 }, [`fix ${at} latDeg=1 lonDeg=2 speedMps=0`]],
  ['out of range in its unit', { time: AT, metric: 'p', value: 1e308, unit: 'bar' }, ['refused 0 value_range']],
  ['nothing in it', { time: AT }, ['refused 0 metric_missing']],
  ['prototype key', JSON.parse(`{"time":"${AT}","lat":1,"lon":2,"__proto__":{"lat":5}}`), [`fix ${at} latDeg=1 lonDeg=2`, 'ignored unknown_key ×1']],
  [
    'good beside bad',
    [{ time: AT, lat: 1, lon: 2 }, { time: AT, lat: 91, lon: 2 }, { time: AT, lat: 3, lon: 4 }],
    [`fix ${at} latDeg=1 lonDeg=2`, `fix ${at} latDeg=3 lonDeg=4`, 'refused 1 lat_range'],
  ],
  ['a refused fix leaves no readings', { time: AT, lat: 91, lon: 2, battery_pct: 5 }, ['refused 0 lat_range']],
]; // prettier-ignore

t.test('records', (t) => {
  for (const [name, record, expected] of rows) t.same(told(decode(record)), expected, name);
  t.end();
});

t.test('the topic says what a record is', (t) => {
  t.same(told(decode({ time: AT }, 'fix')), ['refused 0 lat_missing']);
  t.same(told(decode({ time: AT, metric: 'x', value: 1 }, 'metric')), ['reading x=1']);
  t.end();
});

t.test('messages that are no JSON are refused whole', (t) => {
  for (const text of ['', '{', 'lat=1', '\u0000', '{"time":1}}']) {
    t.same(
      told(decodeNative(Buffer.from(text), 'any', NOW_MS)),
      ['refused -1 json_malformed'],
      text,
    );
  }
  t.end();
});

t.test('UTF-8, with or without a byte order mark', (t) => {
  const good = JSON.stringify({ time: AT, metric: 'x', value: 1 });
  t.same(told(decodeNative(Buffer.from(`\ufeff${good}`), 'any', NOW_MS)), ['reading x=1']);
  const broken = Buffer.concat([Buffer.from(good), Buffer.from([0xff])]);
  t.same(told(decodeNative(broken, 'any', NOW_MS)), ['refused -1 utf8_invalid']);
  t.end();
});

t.test('NDJSON: a malformed line costs that line only', (t) => {
  const good = JSON.stringify({ time: AT, lat: 1, lon: 2 });
  const decoded = decodeNdjson(Buffer.from(`${good}\n{"lat":\n\n${good}\n`), NOW_MS);
  const fix = `fix ${at} latDeg=1 lonDeg=2`;
  t.same(told(decoded), [fix, fix, 'refused 1 json_malformed']);
  t.equal(decoded.refusals[0]?.payload, '{"lat":');
  t.same(
    decoded.fixes.map((f) => f.index),
    [0, 2],
  );
  t.end();
});

t.test('limits', (t) => {
  const lines = decodeNdjson(Buffer.from('x\n'.repeat(1_000_000)), NOW_MS);
  t.same(told(lines), ['refused -1 records_max'], 'a million lines are not read');
  const wide = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`m${i}`, i]));
  const rows = decode(Array.from({ length: 201 }, () => ({ time: AT, metrics: wide })));
  t.same(told(rows), ['refused -1 rows_max']);
  const many = decode(Array.from({ length: RECORDS_MAX + 1 }, () => 0));
  t.same(told(many), ['refused -1 records_max']);
  const metrics = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`m${i}`, i]));
  t.same(told(decode({ time: AT, metrics })), ['refused 0 metrics_max']);
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  t.same(told(decodeNative(Buffer.from(deep), 'any', NOW_MS)), ['refused 0 record_type']);
  t.end();
});
