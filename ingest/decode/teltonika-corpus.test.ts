/**
 * The Teltonika payloads of the corpus, read where it lies: each gives what the corpus derived from the format, or the
 * refusal that is stated here.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { projectDir } from '../../db/project-dir.ts';
import { FrameGate } from '../teltonika/frame-gate.ts';
import { TELTONIKA_LIMITS_DEFAULT } from '../teltonika/limits.ts';
import type { DecodedReading } from './decoded.ts';
import { decodeTeltonika, type TeltonikaFrame } from './teltonika.ts';
import { ioReading } from './teltonika-io.ts';

const CORPUS = join(projectDir, '../shared/corpora/payloads.json');

interface Position {
  readonly fixTimeMs: number;
  readonly priority: number;
  readonly latitude: number;
  readonly longitude: number;
  readonly altitudeM: number;
  readonly courseDeg: number;
  readonly satellites: number;
  readonly valid: boolean;
  readonly speedMps: number;
  readonly eventId: number;
  readonly io: Readonly<Record<string, { width: number; u?: number; hex?: string }>>;
  readonly ignition?: boolean;
}

interface Case {
  readonly id: string;
  readonly protocol: string;
  readonly variant: string;
  readonly transport: { readonly kind: string };
  readonly payloadHex: string;
  readonly derived: {
    readonly kind: string;
    readonly codec?: string;
    readonly count?: number;
    readonly lengthOk?: boolean;
    readonly crcOk?: boolean;
    readonly serverReplyHex?: string;
    readonly positions?: readonly Position[];
    readonly imei?: string;
  };
}

/** What is refused, and why. `frame_…` are what the corpus itself calls a bad CRC or length. */
const REFUSALS: Readonly<Record<string, string>> = {
  'teltonika-15': 'frame_crc',
  'teltonika-21': 'frame_crc',
  'teltonika-23': 'frame_crc',
  'teltonika-51': 'frame_crc',
  'teltonika-29': 'frame_length',
  'teltonika-34': 'frame_length',
  'teltonika-37': 'frame_length',
  'teltonika-41': 'frame_length',
  // Codec 7 is that of devices which are no longer made.
  'teltonika-32': 'codec_unsupported',
  // What a server sends to a device.
  'teltonika-wiki-codec12-getinfo': 'command_direction',
};

const all = existsSync(CORPUS)
  ? (JSON.parse(readFileSync(CORPUS, 'utf8')) as { cases: Case[] }).cases
  : null;
const cases = all?.filter(({ protocol }) => protocol === 'teltonika') ?? [];

if (all === null) {
  t.comment('the corpus is not here, so its payloads were not read');
  t.pass('without the corpus the table of teltonika.test.ts stands alone');
} else {
  t.test('every frame over TCP gives the derived values or its stated refusal', (t) => {
    const frames = cases.filter(({ transport, derived }) => {
      return transport.kind === 'tcp' && /^(avl|command)$/.test(derived.kind);
    });
    t.ok(frames.length >= 35, `${frames.length} frames`);
    for (const one of frames) {
      const found = decode(one);
      const reason = REFUSALS[one.id];
      if (reason !== undefined) {
        t.same(outcome(found), [`refused ${reason}`], `${one.id}: ${reason}`);
      } else if (one.derived.kind === 'command') {
        const { events } = found.decoded;
        t.same(outcome(found), ['replies'], `${one.id}: kept as what it is`);
        t.same(
          events.map(({ kind }) => kind),
          Array(one.derived.count).fill('command_reply'),
        );
      } else {
        const positions = one.derived.positions!;
        t.equal(found.kind, 'records', one.id);
        const reply = Number.parseInt(one.derived.serverReplyHex!, 16);
        t.equal(found.recordCount, reply, `${one.id}: the count that is acknowledged`);
        t.equal(positions.length, reply);
        positions.forEach((position, index) => {
          const record = keptOf(decode(one, position.fixTimeMs), index);
          t.same(record, expectedOf(position, index), `${one.id}: record ${index}`);
        });
      }
    }
    t.same(
      Object.keys(REFUSALS).filter((id) => !frames.some((one) => one.id === id)),
      [],
      'every stated refusal belongs to a case',
    );
    t.end();
  });

  t.test('refused for CRC or length is exactly what the corpus marks so', (t) => {
    const marked = cases.filter(({ transport, derived }) => {
      return transport.kind === 'tcp' && (derived.crcOk === false || derived.lengthOk === false);
    });
    const stated = Object.keys(REFUSALS).filter((id) => REFUSALS[id]!.startsWith('frame_'));
    t.same(marked.map(({ id }) => id).sort(), stated.sort());
    t.end();
  });

  t.test('the values that the sources themselves check', (t) => {
    const eye = readingsOf('teltonika-45').find((r) => r.metricCode === 'eye_1_temperature_c');
    t.equal(eye?.value, -11.87);
    t.end();
  });

  t.test('logins and pings, cut from the stream', (t) => {
    const login = cases.filter(({ derived }) => derived.kind === 'login');
    for (const { id, payloadHex, derived } of login) {
      const gate = newGate();
      gate.push(Buffer.from(payloadHex, 'hex'));
      t.same(
        [gate.next(), gate.bytes.toString(), gate.next()],
        ['login', derived.imei, 'more'],
        id,
      );
    }
    const ping = cases.filter(({ derived }) => derived.kind === 'ping');
    const frame = cases.find(({ derived }) => derived.crcOk === true)!.payloadHex;
    for (const { id, payloadHex } of ping) {
      const gate = newGate();
      gate.push(Buffer.from(login[0]!.payloadHex + payloadHex + payloadHex + frame, 'hex'));
      t.same([gate.next(), gate.next(), gate.next()], ['login', 'frame', 'more'], id);
      t.equal(gate.bytes.toString('hex'), frame);
    }
    const others = cases.filter(({ derived }) => !/^(login|ping)$/.test(derived.kind));
    t.ok(login.length > 0 && ping.length > 0);
    const known = others.every(({ derived }) => /^(avl|command|avl-udp)$/.test(derived.kind));
    t.ok(known, 'no case is of a kind that no test here reads');
    t.end();
  });

  t.test('datagrams are no frames: there is no listener for UDP', (t) => {
    const datagrams = cases.filter(({ transport }) => transport.kind === 'udp');
    t.ok(datagrams.length > 0);
    for (const one of datagrams) t.equal(decode(one).kind, 'refused', one.id);
    t.end();
  });
}

function newGate(): FrameGate {
  return new FrameGate(TELTONIKA_LIMITS_DEFAULT);
}

/** With the clock at the newest record, or where it is put: one frame holds a record nine months older than its neighbours. */
function decode({ payloadHex, derived }: Case, nowMs?: number): TeltonikaFrame {
  const times = derived.positions?.map(({ fixTimeMs }) => fixTimeMs) ?? [];
  return decodeTeltonika(Buffer.from(payloadHex, 'hex'), nowMs ?? Math.max(0, ...times));
}

function readingsOf(id: string): readonly DecodedReading[] {
  return decode(cases.find((one) => one.id === id)!).decoded.readings;
}

function outcome({ kind, decoded }: TeltonikaFrame): string[] {
  if (kind !== 'refused') return [kind, ...decoded.refusals.map(({ reason }) => reason)];
  return decoded.refusals.map(({ reason }) => `refused ${reason}`);
}

type Kept = Readonly<Record<string, unknown>>;

function keptOf({ decoded }: TeltonikaFrame, index: number): Kept {
  const { fixes, readings, refusals } = decoded;
  return {
    fixes: fixes.filter((fix) => fix.index === index).map((fix) => withoutNaN({ ...fix })),
    readings: sorted(readings.filter((reading) => reading.index === index)),
    refusals: refusals.filter((refusal) => refusal.index === index),
  };
}

/** What should be kept of a record, by the rules of docs/protocol.md and the names of the table. */
function expectedOf(position: Position, index: number): Kept {
  const { fixTimeMs: timeMs, eventId, priority, valid } = position;
  const readings: DecodedReading[] = [];
  const inFix = new Map<number, number>();
  const push = (metricCode: string, value: number, uomCode: string | null = null): void => {
    readings.push({ index, device: null, timeMs, metricCode, value, uomCode });
  };
  if (priority > 0) push('priority', priority);
  if (!valid && eventId !== 0) push('event_io', eventId);
  for (const [name, { width, u, hex }] of Object.entries(position.io)) {
    const id = Number(name);
    const value = u ?? (width === 8 ? Number(BigInt(`0x${hex}`)) : NaN);
    if (!Number.isSafeInteger(value)) continue;
    if (valid && [16, 239, 240].includes(id)) inFix.set(id, value);
    else {
      const reading = ioReading(id, value, width);
      push(reading.metricCode, reading.value, reading.uomCode);
    }
  }
  const fix = {
    index,
    device: null,
    timeMs,
    latDeg: position.latitude,
    lonDeg: position.longitude,
    altitudeM: position.altitudeM,
    speedMps: position.speedMps,
    headingDeg: position.courseDeg % 360,
    accuracyM: NaN,
    odometerM: inFix.get(16) ?? NaN,
    satellites: position.satellites,
    ignition: inFix.get(239) ?? NaN,
    motion: inFix.get(240) ?? NaN,
    seq: NaN,
    event: eventId === 0 ? null : `io.${eventId}`,
  };
  if (valid && position.ignition !== undefined) t.equal(position.ignition, fix.ignition === 1);
  return { fixes: valid ? [withoutNaN(fix)] : [], readings: sorted(readings), refusals: [] };
}

/** The corpus gives speeds to six places, the database keeps them as float4. */
function withoutNaN(fix: Kept): Kept {
  const shown = Object.entries(fix).map(([name, value]) => {
    if (Number.isNaN(value)) return [name, null];
    return [name, name === 'speedMps' ? (value as number).toFixed(5) : value];
  });
  return Object.fromEntries(shown) as Kept;
}

function sorted(readings: readonly DecodedReading[]): DecodedReading[] {
  const key = (r: DecodedReading): string => `${String(r.index).padStart(3, '0')} ${r.metricCode}`;
  return [...readings].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}
