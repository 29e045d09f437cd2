/**
 * The payloads of the corpus that come in formats of text, read where it lies: each gives the values that the corpus
 * derived from the format, or a refusal that is stated here. `teltonika-corpus.test.ts` reads the others.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { projectDir } from '../../db/project-dir.ts';
import type { Decoded, DecodedFix } from './decoded.ts';
import { FORMATS } from './formats.ts';
import { decodeOwntracks } from './owntracks.ts';
import { wireRequest } from './test-told.ts';

const CORPUS = join(projectDir, '../shared/corpora/payloads.json');

type Derived = Readonly<Record<string, unknown>>;

interface Case {
  readonly id: string;
  readonly protocol: string;
  readonly variant: string;
  readonly transport: { kind: string; method?: string; contentType?: string; topic?: string };
  readonly payload: string;
  readonly derived: Derived | readonly Derived[];
}

/** Cases that are refused whole, and why. */
const REFUSALS: Readonly<Record<string, string>> = {
  'osmand-query-2': 'device_missing',
  'owntracks-ha-unsupported': 'type_unknown',
  'owntracks-location-no-tst-booklet': 'time_missing',
};

/** Cases that are no fix: the events they are kept as, with the place that may be trusted. */
const EVENTS: Readonly<Record<string, readonly [kind: string, timeMs: number | 'now', lat: number, lon: number][]>> = {
  'owntracks-ha-transition-enter': [['region_enter', 2000, 45.099365, 90.1]],
  'owntracks-ha-transition-leave': [['region_leave', 2000, 45.093650000000004, 90.09365]],
  'owntracks-ha-transition-beacon': [['region_enter', 2000, NaN, NaN]],
  'owntracks-ha-waypoint': [['waypoint', 4000, 9, 47]],
  'owntracks-ha-waypoints': [['waypoint', 3000, 47, 9], ['waypoint', 4000, 3, 9]],
  'owntracks-ha-lwt': [['last_will', 'now', NaN, NaN]],
  'owntracks-waypoint-booklet': [['waypoint', 1385997757000, 48.87069, 2.34916]],
  'owntracks-empty-payload': [],
}; // prettier-ignore

/** Values of the corpus that are fields of a fix, and how theirs becomes ours. */
const FIX_FIELDS: Readonly<Record<string, [field: keyof DecodedFix, convert?: (v: number) => number]>> = {
  fixTimeMs: ['timeMs'],
  latitude: ['latDeg'],
  longitude: ['lonDeg'],
  altitudeM: ['altitudeM'],
  speedMps: ['speedMps'],
  courseDeg: ['headingDeg'],
  accuracyM: ['accuracyM'],
  odometerM: ['odometerM'],
  satellites: ['satellites'],
  ignition: ['ignition', Number],
  motion: ['motion', Number],
  event: ['event'],
  trigger: ['event'],
}; // prettier-ignore

/** Fields that the database keeps as float4. */
const SINGLES: ReadonlySet<string> = new Set(['altitudeM', 'speedMps', 'headingDeg', 'accuracyM']);
/** What is lost of a speed that the corpus gives to six places, and float4 to seven digits. */
const SPEED_DIGITS = 2e-6;

/** Values of the corpus that are fields of an event, and what the message calls them. */
const EVENT_FIELDS: Readonly<Record<string, string>> = {
  event: 'event',
  region: 'desc',
  accuracyM: 'acc',
  radiusM: 'rad',
};

/** Values of the corpus that are readings. */
const READINGS: Readonly<Record<string, string>> = {
  batteryLevelPct: 'battery_pct',
  charging: 'charging',
  hdop: 'hdop',
  verticalAccuracyM: 'vertical_accuracy_m',
  pressureKpa: 'pressure_kpa',
  createdAtEpochS: 'created_at_s',
  monitoringMode: 'monitoring_mode',
  batteryV: 'battery_v',
  powerV: 'external_v',
  din: 'din',
};

/** What the corpus says beside the values: notes, and text that has no place with us. */
const BESIDE = new Set([
  'fixTime', 'fixTimeMsTraccar', 'speedKnots', 'speedKph', 'valid', 'note', 'deviceIdent', 'activity', 'trackerId',
  'connectivity', 'noLocation', 'cellTowers', 'wifi', 'deviceGeofence', 'extras', 'attributes', 'alarms',
]); // prettier-ignore

t.test('the corpus', (t) => {
  if (existsSync(CORPUS)) checkAll(t);
  else t.comment(`not read: ${CORPUS} is not there`);
  t.end();
});

function checkAll(t: Test): void {
  const { cases } = JSON.parse(readFileSync(CORPUS, 'utf8')) as { cases: Case[] };
  const ofText = cases.filter(({ protocol }) => protocol !== 'teltonika');
  for (const one of ofText) {
    t.test(one.id, (t) => {
      check(t, one);
      t.end();
    });
  }
  t.equal(ofText.length, 34);
}

function check(t: Test, one: Case): void {
  const refusal = REFUSALS[one.id];
  const events = EVENTS[one.id];
  if (refusal === undefined && events === undefined) {
    checkRecords(t, one);
    return;
  }
  const nowMs = freshAt(one.derived as Derived);
  const { decoded } = decode(one, nowMs);
  t.same([decoded.fixes, decoded.readings], [[], []]);
  t.same(decoded.refusals.map(({ reason }) => reason), refusal === undefined ? [] : [refusal]); // prettier-ignore
  t.same(
    decoded.events.map(({ kind, timeMs, latDeg, lonDeg }) => [kind, timeMs, latDeg, lonDeg]),
    (events ?? []).map(([kind, timeMs, lat, lon]) => {
      return [kind, timeMs === 'now' ? nowMs : timeMs, lat, lon];
    }),
  );
  for (const [name, value] of Object.entries(one.derived)) {
    const field = EVENT_FIELDS[name];
    if (field !== undefined) t.equal(decoded.events[0]?.detail[field], value, name);
  }
}

/** A moment at which the record was fresh: some of the corpus are older than 90 days by decades. */
function freshAt({ fixTimeMs, eventTimeMs }: Derived): number {
  return ((fixTimeMs ?? eventTimeMs ?? Date.now()) as number) + 1000;
}

function decode(one: Case, nowMs: number): { deviceName: string | null; decoded: Decoded } {
  const { payload, transport, protocol } = one;
  if (transport.kind.startsWith('mqtt')) {
    return { deviceName: null, decoded: decodeOwntracks(Buffer.from(payload), nowMs) };
  }
  const format = FORMATS.find(({ name }) => name === protocol)!;
  const isQuery = transport.method === 'GET';
  return format.http!.decode(
    wireRequest({
      query: isQuery ? payload.slice(payload.indexOf('?') + 1) : '',
      body: isQuery ? '' : payload,
      contentType: transport.contentType ?? '',
      nowMs,
    }),
  );
}

function checkRecords(t: Test, one: Case): void {
  const derived = recordsOf(one);
  for (let index = 0; index < derived.length; index++) {
    const record = derived[index]!;
    const { deviceName, decoded } = decode(one, freshAt(record));
    const refusals = decoded.refusals.filter((refusal) => refusal.index === index);
    t.same(refusals, []);
    const fix = decoded.fixes.find((row) => row.index === index);
    t.equal(fix !== undefined, isPlaced(record), 'a fix where there is a place to believe in');
    const device = fix?.device ?? decoded.readings[0]?.device ?? deviceName;
    if (one.protocol !== 'owntracks') t.equal(device, record['deviceIdent'] ?? '48241179');
    for (const [name, value] of Object.entries(record)) {
      if (!BESIDE.has(name)) checkValue(t, { name, value, index, fix, decoded });
    }
    const more = { ...(record['extras'] as object), ...(record['attributes'] as object) };
    for (const [code, value] of Object.entries(more)) {
      if (typeof value === 'string') continue;
      t.equal(readingOf(decoded, index, code), Number(value), code);
    }
    if (index === 0) checkNamedCases(t, one.id, decoded);
    if (record['fixTimeMs'] !== undefined) checkLate(t, one, record, index);
  }
}

/** What only single cases say. */
function checkNamedCases(t: Test, id: string, decoded: Decoded): void {
  if (id === 'flespi-2') {
    t.equal(readingOf(decoded, 0, 'position_valid'), 0, 'the device does not believe in its place');
    t.equal(readingOf(decoded, 0, 'gnss.antenna.cut.status'), 1, 'the alarm of the antenna');
    t.equal(readingOf(decoded, 0, 'refrigerator.sensor.temperature#1'), 62.5);
  }
  if (id === 'osmand-query-1') {
    t.same([...decoded.ignored], [['cell', 2], ['wifi', 2]]); // prettier-ignore
  }
  if (id === 'osmand-json-geofence') {
    t.match(decoded.events, [{ kind: 'region_enter', latDeg: 45.5, detail: { desc: 'depot-1' } }]);
  }
}

interface Compared {
  readonly name: string;
  readonly value: unknown;
  readonly index: number;
  readonly fix: DecodedFix | undefined;
  readonly decoded: Decoded;
}

function checkValue(t: Test, { name, value, index, fix, decoded }: Compared): void {
  const field = FIX_FIELDS[name];
  const code = READINGS[name];
  if (code !== undefined) {
    t.equal(readingOf(decoded, index, code), Number(value), `${name} as a reading`);
  } else if (field === undefined) t.fail(`${name} is compared with nothing`);
  else if (fix !== undefined) {
    const [key, convert] = field;
    const expected = convert === undefined ? value : convert(value as number);
    if (typeof expected !== 'number') t.ok(Object.is(fix[key], expected ?? NaN), name);
    else {
      const kept = SINGLES.has(key) ? Math.fround(expected) : expected;
      const off = Math.abs((fix[key] as number) - kept);
      t.ok(off <= (key === 'speedMps' ? SPEED_DIGITS : 0), `${name}: ${fix[key]}`);
    }
  } else if (name === 'ignition' || name === 'motion' || name === 'satellites') {
    t.equal(readingOf(decoded, index, name), Number(value), `${name} without a place`);
  } else if (name === 'fixTimeMs') {
    t.ok(decoded.readings.every((row) => row.index !== index || row.timeMs === value));
  }
}

function readingOf({ readings }: Decoded, index: number, code: string): number | undefined {
  return readings.find((row) => row.index === index && row.metricCode === code)?.value;
}

/** The records of a case, where values stand in lists one for each of them. */
function recordsOf({ derived }: Case): Derived[] {
  if (Array.isArray(derived)) return derived as Derived[];
  const { positions, ...values } = derived as Derived;
  if (typeof positions !== 'number') return [values];
  return Array.from({ length: positions }, (_, i) =>
    Object.fromEntries(Object.entries(values).map(([name, list]) => [name, pick(list, i)])),
  );
}

function pick(value: unknown, i: number): unknown {
  return Array.isArray(value) ? (value as unknown[])[i] : value;
}

function isPlaced(record: Derived): boolean {
  return record['latitude'] !== undefined && record['valid'] !== false;
}

/** By a clock of 91 days later, nothing of the record is taken. */
function checkLate(t: Test, one: Case, record: Derived, index: number): void {
  const { decoded } = decode(one, freshAt(record) + 91 * 86_400_000);
  const rows = [...decoded.fixes, ...decoded.readings].filter((row) => row.index === index);
  t.same(rows, []);
  t.ok(decoded.refusals.length > 0 && decoded.refusals.every((r) => r.reason === 'time_range'));
}
