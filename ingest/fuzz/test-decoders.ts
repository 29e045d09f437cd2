/** Every decoder as a target: each way into each format of `formats.ts`, under changed messages and under made-up ones. */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { emptyDecoded, type Decoded } from '../decode/decoded.ts';
import { FORMATS } from '../decode/formats.ts';
import { decodeNative, decodeNdjson } from '../decode/native.ts';
import { scanNdjson } from '../decode/native-lines.ts';
import { FixScan } from '../decode/native-scan.ts';
import { decodeTeltonika } from '../decode/teltonika.ts';
import { wireRequest } from '../decode/test-told.ts';
import { encodeFrame, encodeRecords, type TestElement } from '../teltonika/test-frames.ts';
import { checkDecoded } from './test-decoded.ts';
import { INPUT_BYTES_MAX, mutated, type Seed } from './test-mutations.ts';
import { NOW_MS, SCAN_SEEDS, SEEDS } from './test-seeds.ts';
import { target, type FuzzTarget } from './test-target.ts';

type Decode = (bytes: Buffer, nowMs: number) => Decoded;

/** Topics of the device `d` in every format; a format is asked which of them are its own. */
const TOPICS: readonly string[] = [
  'v1/devices/d/fixes',
  'v1/devices/d/metrics',
  ...['', '/event', '/waypoint', '/waypoints', '/status', '/step', '/beacon', '/dump', '/info'].map(
    (tail) => `owntracks/d/p${tail}`,
  ),
];

/** Every way in, by its name, with the seeds of its format. */
function ways(): [name: string, seeds: readonly Seed[], decode: Decode][] {
  const all: [string, readonly Seed[], Decode][] = [
    ['native, any', SEEDS['native']!, (bytes, nowMs) => decodeNative(bytes, 'any', nowMs)],
    ['native, NDJSON', SEEDS['native']!, decodeNdjson],
  ];
  for (const { name, http, mqtt, tcp } of FORMATS) {
    const seeds = SEEDS[name] ?? Object.values(SEEDS).flat();
    const own = TOPICS.flatMap((topic) => mqtt?.ownTopic(topic, 'd') ?? []);
    if (own.length > 0) all.push([`${name}, MQTT`, seeds, chosen(own)]);
    if (tcp !== undefined) all.push([`${name}, TCP`, seeds, tcp.decode]);
    if (http === undefined) continue;
    const decode = (nowMs: number, request: object): Decoded =>
      http.decode(wireRequest({ nowMs, headers: { 'x-limit-d': 'T1' }, ...request })).decoded;
    all.push([
      `${name}, HTTP body`,
      seeds,
      chosen(
        [...http.contentTypes, ''].flatMap((contentType) =>
          [true, false].map((mustNameDevice): Decode => {
            return (body, nowMs) => decode(nowMs, { body, contentType, mustNameDevice });
          }),
        ),
      ),
    ]);
    if (http.methods.includes('GET')) {
      const query: Decode = (bytes, nowMs) => decode(nowMs, { query: bytes.toString('latin1') });
      all.push([`${name}, HTTP query`, seeds, query]);
    }
  }
  return all;
}

/** One of several ways, by the input itself, so that the same input always takes the same. */
function chosen(decodes: readonly Decode[]): Decode {
  const distinct = [...new Set(decodes)];
  return (bytes, nowMs) => {
    let sum = bytes.length;
    for (let i = 0; i < bytes.length; i += 7) sum = (sum * 31 + bytes[i]!) >>> 0;
    return distinct[sum % distinct.length]!(bytes, nowMs);
  };
}

/** What must hold of a decoder and an input; true when something was taken of it. */
function checkDecoder(decode: Decode, seed: Seed): boolean {
  const decoded = decode(seed.bytes, seed.nowMs);
  checkDecoded(decoded, seed);
  assert.ok(
    isDeepStrictEqual(decode(Buffer.from(seed.bytes), seed.nowMs), decoded),
    'decoded again, it is something else',
  );
  return decoded.fixes.length + decoded.readings.length + decoded.events.length > 0;
}

/** Keys and values of a format's JSON, put together anew. */
function madeUp(seeds: readonly Seed[]): fc.Arbitrary<Seed> {
  const texts = seeds.map(({ bytes }) => bytes.toString('latin1'));
  const keys = [...new Set(texts.flatMap((text) => text.match(/(?<=")[\w.#]+(?="\s*:)/g) ?? []))];
  const value = fc.oneof(
    fc.constantFrom<unknown>(
      NOW_MS - 1,
      (NOW_MS - 1) / 1000,
      '2026-06-15T11:00:00Z',
      'location',
      'T1',
      '5',
      '',
      null,
    ),
    fc.double(),
    fc.integer({ min: -200, max: 400 }),
    fc.boolean(),
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc.jsonValue({ maxDepth: 2 }),
  );
  const record = fc.dictionary(fc.constantFrom(...keys, '__proto__', 'toString'), value, {
    maxKeys: 10,
  });
  const nested = fc.record({ device_id: value, location: fc.oneof(record, fc.array(record)) });
  return fc.oneof(record, fc.array(record, { maxLength: 4 }), nested).map((message) => ({
    bytes: Buffer.from(JSON.stringify(message)).subarray(0, INPUT_BYTES_MAX),
    nowMs: NOW_MS,
  }));
}

/** Frames whose envelope holds and whose records are changed: a wrong CRC would be the end of nearly every other one. */
function reframed(seeds: readonly Seed[]): fc.Arbitrary<Seed> {
  const data = seeds
    .filter(({ bytes }) => bytes.length > 12)
    .map(({ bytes, nowMs }) => ({ bytes: bytes.subarray(8, bytes.length - 4), nowMs }));
  return fc.tuple(mutated(data), fc.boolean()).map(([{ bytes, nowMs }, isCounted]) => {
    const copy = Buffer.from(bytes);
    if (isCounted && copy.length > 2) copy[copy.length - 1] = copy[1]!;
    return { bytes: encodeFrame(copy), nowMs };
  });
}

/** Frames of records with any numbers in them. */
function anyRecords(): fc.Arbitrary<Seed> {
  const element = fc.record({
    id: fc.oneof(fc.constantFrom(16, 17, 21, 24, 66, 72, 181, 239, 240), fc.nat(0xff)),
    widthBytes: fc.constantFrom(1, 2, 4, 8),
    value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  }) as fc.Arbitrary<TestElement>;
  const record = fc.record({
    timeMs: fc.oneof(fc.integer({ min: NOW_MS - 9e9, max: NOW_MS + 9e5 }), fc.maxSafeNat()),
    latDeg: fc.double({ min: -214, max: 214, noNaN: true }),
    lonDeg: fc.double({ min: -214, max: 214, noNaN: true }),
    altitudeM: fc.integer({ min: -32_768, max: 32_767 }),
    angleDeg: fc.nat(0xffff),
    satellites: fc.nat(30),
    speedKph: fc.nat(0xffff),
    priority: fc.nat(255),
    eventId: fc.nat(0xff),
    io: fc.array(element, { maxLength: 12 }),
  });
  return fc
    .tuple(fc.constantFrom(0x08, 0x8e, 0x10), fc.array(record, { maxLength: 5 }))
    .map(([codec, records]) => ({
      bytes: encodeRecords(codec as 0x08, records),
      nowMs: NOW_MS,
    }));
}

const scan = new FixScan();

/** A message with its scanned fixes in their places. */
function withScanned(rest: Decoded): Decoded {
  const scanned = Array.from({ length: scan.count }, (_, n) => scan.fix(n));
  return { ...rest, fixes: [...scanned, ...rest.fixes].sort((a, b) => a.index - b.index) };
}

/** The short way through the native format: what it takes, it takes as the long way does. True when it takes it all. */
function checkScan({ bytes, nowMs }: Seed): boolean {
  const lines = withScanned(scanNdjson(scan, bytes, nowMs));
  assert.ok(isDeepStrictEqual(lines, decodeNdjson(bytes, nowMs)), 'as lines');
  if (!scan.readMessage(bytes, 0, bytes.length, nowMs)) return false;
  const message = withScanned(emptyDecoded());
  assert.ok(isDeepStrictEqual(message, decodeNative(bytes, 'any', nowMs)), 'as a message');
  return true;
}

/** All targets of this file. */
export function decoderTargets(): FuzzTarget[] {
  const all = ways().map(([name, seeds, decode]) => {
    const isText = !name.startsWith('teltonika');
    return target({
      name,
      input: isText
        ? fc.oneof(
            { weight: 3, arbitrary: mutated(seeds) },
            { weight: 1, arbitrary: madeUp(seeds) },
          )
        : mutated(seeds),
      isBlind: !(name.split(',')[0]! in SEEDS),
      check: (seed: Seed) => checkDecoder(decode, seed),
    });
  });
  const frames = fc.oneof(reframed(SEEDS['teltonika']!), anyRecords());
  return [
    target({ name: 'native, scan', input: mutated(SCAN_SEEDS), check: checkScan }),
    ...all,
    target({ name: 'teltonika, sound frames', input: frames, check: checkSoundFrame }),
  ];
}

/** Of a frame whose envelope holds: nothing of it is kept unless it is acknowledged or a reply. */
function checkSoundFrame(seed: Seed): boolean {
  const { kind, recordCount, decoded } = decodeTeltonika(seed.bytes, seed.nowMs);
  const kept = decoded.fixes.length + decoded.readings.length + decoded.events.length;
  if (kind === 'refused') {
    assert.equal(kept, 0);
    assert.equal(decoded.refusals.length, 1);
    assert.equal(decoded.refusals[0]!.index, -1);
  } else {
    assert.ok([...decoded.fixes, ...decoded.refusals].every(({ index }) => index < recordCount));
  }
  return checkDecoder((bytes, nowMs) => decodeTeltonika(bytes, nowMs).decoded, seed);
}
