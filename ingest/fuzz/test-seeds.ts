/**
 * Whole messages of every format, from which fuzzing begins: our own, and those of the corpus where it is there. The
 * corpus is read in place and nothing of it is kept.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectDir } from '../../db/project-dir.ts';
import { encodeFrame, encodeLogin, encodeRecords, encodeReply } from '../teltonika/test-frames.ts';
import type { Seed } from './test-mutations.ts';

/** The clock of our own messages. */
export const NOW_MS = Date.parse('2026-06-15T12:00:00Z');
const AT_MS = NOW_MS - 60_000;
const AT_S = AT_MS / 1000;
const AT = new Date(AT_MS).toISOString();
const CORPUS = join(projectDir, '../shared/corpora/payloads.json');

const NATIVE: readonly unknown[] = [
  {
    device: 'T1', time: AT, lat: 51.92, lon: 4.47, speed_mps: 12.5, heading_deg: 359, altitude_m: -3, accuracy_m: 4,
    satellites: 9, odometer_m: 123456.5, ignition: true, motion: false, battery_pct: 88, event: 'ping', seq: 7,
  },
  [{ time: AT_MS, lat: 1, lon: 2, speed_kph: 36, rpm: 900 }, { time: AT_S, metric: 'p', value: 100, unit: '[psi]' }],
  { time: AT, metrics: { temperature_c: -18.5, door_open: false } },
]; // prettier-ignore

const OSMAND: readonly unknown[] = [
  `id=T1&timestamp=${AT_S}&lat=51.92&lon=-4.47&speed=10&bearing=90&altitude=5&accuracy=8&batt=55&charge=true&alarm=sos`,
  `deviceid=T1&timestamp=2026-06-15+11%3A59%3A00&location=51.92,4.47&valid=1&hdop=1.5&cell=204,8,1,2&wifi=a,-60&x=y`,
  {
    device_id: 'T1',
    location: {
      timestamp: AT,
      coords: { latitude: 51.92, longitude: 4.47, speed: 3, heading: 40, accuracy: 5, altitude: 6 },
      is_moving: true, odometer: 700, event: 'motionchange', battery: { level: 0.5, is_charging: false },
      activity: { type: 'in_vehicle', confidence: 50 }, extras: { fuel: 12 },
    },
  },
  { device_id: 'T1', location: [{ timestamp: AT, coords: { latitude: 51.92, longitude: -1 } }, { timestamp: AT }] },
]; // prettier-ignore

const OWNTRACKS: readonly unknown[] = [
  {
    _type: 'location', lat: 51.92, lon: 4.47, tst: AT_S, acc: 8, alt: 3, vac: 2, vel: 36, cog: 270, batt: 55, bs: 1,
    conn: 'm', p: 101.3, t: 'u', tid: 'T1', topic: 'owntracks/u/T1', inregions: ['Yard'], odometer: 12.5, ubatt: 3.9,
  },
  { _type: 'transition', event: 'enter', desc: 'Yard', tst: AT_S, wtst: 5, acc: 8, t: 'c', lat: 51.9, lon: 4.4 },
  { _type: 'waypoint', desc: 'Yard', lat: 51.9, lon: 4.4, rad: '50', tst: '1385997757', rid: '6da9cf' },
  { _type: 'waypoints', waypoints: [{ _type: 'waypoint', desc: 'a', lat: 1, lon: 2, rad: 5, tst: 4 }] },
  { _type: 'lwt', tst: AT_S }, { _type: 'card', name: 'Ann', face: 'iVBORw0KGgo=', tid: 'T1' },
  { _type: 'status', android: { wifi: 1 }, tst: AT_S }, { _type: 'encrypted', data: 'AAAA' },
]; // prettier-ignore

const FLESPI: readonly unknown[] = [
  [
    {
      ident: 'T1', timestamp: AT_S + 0.25, 'position.latitude': 51.92, 'position.longitude': 4.47, 'position.speed': 36,
      'position.direction': 90, 'position.altitude': 3, 'position.satellites': 9, 'position.hdop': 1.1,
      'position.valid': true, 'engine.ignition.status': true, 'movement.status': false, 'battery.voltage': 3.9,
      'external.powersource.voltage': 12.4, 'vehicle.mileage': 12.5, 'shock.event.trigger': true, 'ain#1': 5,
    },
    { ident: 'T1', timestamp: AT_S, 'battery.level': 50 },
  ],
]; // prettier-ignore

const RECORD = {
  timeMs: AT_MS, latDeg: 51.92, lonDeg: 4.47, speedKph: 36, angleDeg: 90, eventId: 239, priority: 1,
  io: [
    { id: 239, widthBytes: 1, value: 1 }, { id: 66, widthBytes: 2, value: 12_400 },
    { id: 72, widthBytes: 4, value: -185 }, { id: 78, widthBytes: 8, value: 2n ** 60n },
  ],
} as const; // prettier-ignore
const NO_FIX = { timeMs: AT_MS + 1, satellites: 0, io: RECORD.io } as const;

const FRAMES: readonly Buffer[] = [
  encodeRecords(0x08, [RECORD, NO_FIX]),
  encodeRecords(0x8e, [{ ...RECORD, variable: [{ id: 256, bytes: Buffer.from('VIN') }] }, NO_FIX]),
  encodeRecords(0x10, [RECORD]),
  encodeReply('Ver:03.27'),
  encodeFrame(Buffer.from('0d0106000000066a2fe9224f4b01', 'hex')),
];

const corpus = readCorpus();

/** Whether the corpus is among the seeds. */
export const hasCorpus = corpus.length > 0;

/** The seeds of each format: our own and the corpus's. */
export const SEEDS: Readonly<Record<string, readonly Seed[]>> = {
  native: seedsOf(NATIVE),
  osmand: [...seedsOf(OSMAND), ...corpusOf('osmand')],
  owntracks: [...seedsOf(OWNTRACKS), ...corpusOf('owntracks')],
  flespi: [...seedsOf(FLESPI), ...corpusOf('flespi')],
  teltonika: [...FRAMES.map((bytes) => ({ bytes, nowMs: NOW_MS })), ...corpusOf('teltonika')],
};

const SCANNED = {
  device: 'T1', time: AT, lat: 51.92, lon: 4.47, speed_mps: 12.5, heading_deg: 359.5, altitude_m: -3, accuracy_m: 4.5,
  satellites: 9, odometer_m: 123456.5, ignition: true, motion: false, event: 'ping', seq: 7,
}; // prettier-ignore

/** Messages that are fixes and nothing else, as the scan of the native format takes them: one, a list, lines. */
export const SCAN_SEEDS: readonly Seed[] = seedsOf([
  SCANNED,
  [SCANNED, { time: AT_S, lat: -1.5, lon: 2, speed_kph: 36, ignition: 0 }],
  `${JSON.stringify(SCANNED)}\n{"time": ${AT_MS}, "lat":1, "lon":2}\r\n\n${JSON.stringify(NATIVE[2])}\n`,
]);

/** A tracker's whole connection: its login and every frame. */
export function teltonikaStreams(imei: string): Seed[] {
  const login = encodeLogin(imei);
  return [login, ...FRAMES].map((_, i) => ({
    bytes: Buffer.concat([login, Buffer.from([0xff]), ...FRAMES.slice(i)]),
    nowMs: Date.now(),
  }));
}

function seedsOf(messages: readonly unknown[]): Seed[] {
  return messages.map((one) => ({
    bytes: Buffer.from(typeof one === 'string' ? one : JSON.stringify(one)),
    nowMs: NOW_MS,
  }));
}

interface CorpusCase {
  readonly protocol: string;
  readonly payload?: string;
  readonly payloadHex?: string;
  readonly derived: unknown;
}

function readCorpus(): readonly CorpusCase[] {
  if (!existsSync(CORPUS)) return [];
  return (JSON.parse(readFileSync(CORPUS, 'utf8')) as { cases: CorpusCase[] }).cases;
}

function corpusOf(protocol: string): Seed[] {
  return corpus
    .filter((one) => one.protocol === protocol)
    .map(({ payload, payloadHex, derived }) => {
      const bytes =
        payload === undefined ? Buffer.from(payloadHex ?? '', 'hex') : Buffer.from(payload);
      return { bytes, nowMs: timeIn(derived) ?? NOW_MS };
    });
}

/** The first time that the corpus derived from a payload: a clock that believes it. */
function timeIn(derived: unknown): number | null {
  const found = /"fixTimeMs":\s*(\d+)/.exec(JSON.stringify(derived));
  return found === null ? null : Number(found[1]);
}
