/** Nothing hangs: the steps that an input costs grow as its length does, for the hardest inputs of each length. */
import assert from 'node:assert/strict';
import t from 'tap';
import { PacketCutter } from '../broker/packets.ts';
import { FORMATS } from '../decode/formats.ts';
import { decodeNative, decodeNdjson } from '../decode/native.ts';
import { scanNdjson } from '../decode/native-lines.ts';
import { FixScan } from '../decode/native-scan.ts';
import { decodeTeltonika } from '../decode/teltonika.ts';
import { wireRequest } from '../decode/test-told.ts';
import { readConnect } from '../mqtt/connect-reader.ts';
import { FieldCursor } from '../mqtt/field-cursor.ts';
import { PacketGate } from '../mqtt/packet-gate.ts';
import { PublishReader } from '../mqtt/publish-reader.ts';
import { readSubscribe } from '../mqtt/subscribe-reader.ts';
import { FrameGate } from '../teltonika/frame-gate.ts';
import { TELTONIKA_LIMITS_DEFAULT } from '../teltonika/limits.ts';
import { encodeFrame, encodeLogin, encodeRecords } from '../teltonika/test-frames.ts';
import { NOW_MS } from './test-seeds.ts';
import { StepCounter } from './test-steps.ts';

/** Sizes that are compared: so many times more input, and the most that the steps may be multiplied by. A square is 64. */
const SIZE = 256;
const TIMES = 8;
const STEPS_TIMES_MAX = TIMES * 2;
/** Steps a byte that are as good as none: long messages are looked through once more than short ones. */
const BYTE_STEPS = 4;

type Read = (bytes: Buffer) => void;

/** What is made hard: text of about `n` bytes, or `n` pieces of a few bytes. */
const TEXTS: Readonly<Record<string, (n: number) => string>> = {
  'empty records': (n) => `[${Array(n).fill('{}').join()}]`,
  'numbers in a list': (n) => `[${Array(n).fill('1').join()}]`,
  'unknown keys': (n) => `{"time":${NOW_MS},${keys(n)}}`,
  'keys of a location': (n) =>
    `{"_type":"location","tst":${NOW_MS / 1000},"lat":1,"lon":2,${keys(n)}}`,
  'keys of a message': (n) => `[{"timestamp":${NOW_MS / 1000},"ident":"a",${keys(n)}}]`,
  'keys of metrics': (n) => `{"time":${NOW_MS},"metrics":{${keys(n)}}}`,
  'keys of extras': (n) =>
    `{"device_id":"a","location":{"timestamp":"2026-06-15T11:59:00Z","extras":{${keys(n)}}}}`,
  'locations in a list': (n) =>
    `{"device_id":"a","location":[${Array(n).fill('{"coords":{"latitude":1,"longitude":2}}').join()}]}`,
  waypoints: (n) =>
    `{"_type":"waypoints","waypoints":[${Array(n).fill('{"desc":"a","lat":1,"lon":2,"rad":3,"tst":4}').join()}]}`,
  'open lists': (n) => '['.repeat(n),
  'nested lists': (n) => '['.repeat(n) + ']'.repeat(n),
  'nested objects': (n) => `${'{"a":'.repeat(n)}1${'}'.repeat(n)}`,
  'nested in a dump': (n) => `{"_type":"dump","a":${'[['.repeat(n)}${']]'.repeat(n)}}`,
  'a long number': (n) => `{"time":${'9'.repeat(n)},"lat":1,"lon":2}`,
  'a long time': (n) => `{"time":"2026-${'0'.repeat(n)}","lat":1,"lon":2}`,
  'a long name': (n) => `{"device":"${'a'.repeat(n)}","time":${NOW_MS},"lat":1,"lon":2}`,
  'a long event': (n) => `{"time":${NOW_MS},"lat":1,"lon":2,"event":"${'\\u0000'.repeat(n)}"}`,
  backslashes: (n) => `{"_type":"card","name":"${'\\\\'.repeat(n)}","face":"${'A'.repeat(n)}"}`,
  'empty lines': (n) => '\n'.repeat(n),
  'fixes in a list': (n) => `[${Array(n).fill(`{"time":${NOW_MS},"lat":1,"lon":2}`).join()}]`,
  'fixes in lines': (n) => `{"time":${NOW_MS},"lat":1,"lon":2}\n`.repeat(n),
  'lines that begin well': (n) => `{"time":${NOW_MS},"lat":1,"lo\n`.repeat(n),
  'lines and a broken end': (n) => `${'{"a\n'.repeat(n)}\ufffd`,
  'lines of one': (n) => '1\n'.repeat(n),
  'pairs of a form': (n) => `id=a&${Array.from({ length: n }, (_, i) => `k${i}=1`).join('&')}`,
  'the same pair': (n) => `id=a&lat=1&lon=2${'&cell=1,2,3,4'.repeat(n)}`,
  ampersands: (n) => '&'.repeat(n),
  'equal signs': (n) => `id=${'='.repeat(n)}`,
  'per cents': (n) => `id=${'%'.repeat(n)}&lat=${'%zz'.repeat(n)}`,
  commas: (n) => `id=a&location=${','.repeat(n)}`,
};

function keys(n: number): string {
  return Array.from({ length: n }, (_, i) => `"k${i}":${i}`).join();
}

/** Every reader of text, by its name. */
function readers(): Map<string, Read> {
  const all = new Map<string, Read>([
    ['native', (bytes) => void decodeNative(bytes, 'any', NOW_MS)],
    ['native, NDJSON', (bytes) => void decodeNdjson(bytes, NOW_MS)],
    ['native, scan', (bytes) => void new FixScan().readMessage(bytes, 0, bytes.length, NOW_MS)],
    ['native, scanned lines', (bytes) => void scanNdjson(new FixScan(), bytes, NOW_MS)],
  ]);
  for (const { name, http } of FORMATS) {
    if (http === undefined) continue;
    for (const contentType of http.contentTypes) {
      all.set(`${name}, ${contentType}`, (body) => {
        http.decode(wireRequest({ nowMs: NOW_MS, contentType, body }));
      });
    }
    if (!http.methods.includes('GET')) continue;
    all.set(`${name}, query`, (bytes) => {
      http.decode(wireRequest({ nowMs: NOW_MS, query: bytes.toString() }));
    });
  }
  return all;
}

const counter = new StepCounter();
t.teardown(() => counter.stop());

/** Times that the steps grow when the input grows `TIMES` times; run once before, so that what is made once is made. */
function growth(read: Read, make: (n: number) => Buffer): number {
  const [small, large] = [make(SIZE), make(SIZE * TIMES)];
  read(small);
  const few = counter.count(() => read(Buffer.from(small)));
  const many = counter.count(() => read(Buffer.from(large)));
  assert.ok(few > 0, 'the counter sees nothing');
  return many / Math.max(few, BYTE_STEPS * small.length);
}

t.test('the counter counts', (t) => {
  const list = (n: number): Buffer => Buffer.from(TEXTS['empty records']!(n));
  const decode = (n: number) => (): void => void decodeNative(list(n), 'any', NOW_MS);
  const counts = [50, 50, 500].map((n) => counter.count(decode(n)));
  t.ok(counts[0]! > 50 && counts[2]! > counts[1]! * 5, `more for more: ${counts.join()}`);
  const quadratic: Read = (bytes) => {
    for (let i = 0; i < 40; i++)
      decodeNative(bytes.subarray(0, (bytes.length * i) / 40), 'any', NOW_MS);
    for (let i = 0; i < bytes.length; i += 64) decodeNative(bytes, 'any', NOW_MS);
  };
  t.ok(growth(quadratic, list) > TIMES * 4, 'and would tell a square');
  t.end();
});

for (const [name, read] of readers()) {
  t.test(`${name}: steps grow as the text does`, (t) => {
    const grown = Object.entries(TEXTS).map(([kind, make]) => {
      return [kind, growth(read, (n) => Buffer.from(make(n)))] as const;
    });
    const steep = grown.filter(([, times]) => times > STEPS_TIMES_MAX);
    t.same(steep, []);
    t.end();
  });
}

/** Bytes of MQTT strings, each with its length before it. */
function mqttText(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

function connectWith(properties: Buffer): Buffer {
  const varint = Buffer.from([(properties.length & 127) | 128, properties.length >> 7]);
  const head = Buffer.from([0x10, 0, ...mqttText('MQTT'), 5, 2, 0, 60]);
  return Buffer.concat([head, varint, properties, mqttText('c')]);
}

const BINARY: readonly [name: string, read: Read, make: (n: number) => Buffer][] = [
  [
    'Teltonika: many records',
    (frame) => void decodeTeltonika(frame, NOW_MS),
    (n) => encodeRecords(0x08, Array(n >> 4).fill({ timeMs: NOW_MS })),
  ],
  [
    'Teltonika: many elements',
    (frame) => void decodeTeltonika(frame, NOW_MS),
    (n) => {
      const io = Array.from({ length: n }, (_, id) => ({ id, widthBytes: 1 as const, value: 1 }));
      return encodeRecords(0x8e, [{ timeMs: NOW_MS, io }]);
    },
  ],
  [
    'Teltonika: elements that are promised and do not come',
    (frame) => void decodeTeltonika(frame, NOW_MS),
    (n) => {
      const data = Buffer.alloc(n, 0xff);
      data[0] = 0x8e;
      return encodeFrame(data);
    },
  ],
  [
    'Teltonika: replies of no bytes',
    (frame) => void decodeTeltonika(frame, NOW_MS),
    (n) => {
      const replies = Buffer.concat(Array<Buffer>(n >> 4).fill(Buffer.from([6, 0, 0, 0, 0])));
      return encodeFrame(
        Buffer.concat([Buffer.from([0x0c, n >> 4]), replies, Buffer.from([n >> 4])]),
      );
    },
  ],
  [
    'Teltonika: a frame byte by byte',
    (bytes) => {
      const gate = new FrameGate(TELTONIKA_LIMITS_DEFAULT);
      for (const byte of Buffer.concat([encodeLogin('1'), bytes])) {
        gate.push(Buffer.from([byte]));
        while (gate.next() === 'login');
      }
    },
    (n) => encodeFrame(Buffer.alloc(n)),
  ],
  [
    'Teltonika: pings',
    (bytes) => {
      const gate = new FrameGate(TELTONIKA_LIMITS_DEFAULT);
      for (const byte of bytes) {
        gate.push(Buffer.from([byte]));
        gate.next();
      }
    },
    (n) => Buffer.alloc(n, 0xff),
  ],
  [
    'MQTT: a packet byte by byte',
    (bytes) => {
      const gate = new PacketGate(1e6);
      for (const byte of bytes) {
        gate.push(Buffer.from([byte]));
        while (gate.next() === 'packet');
      }
    },
    (n) => Buffer.concat([Buffer.from([0x30, 0x80 | (n & 127), n >> 7]), Buffer.alloc(n)]),
  ],
  [
    'MQTT: a packet of a broker byte by byte',
    (bytes) => {
      const cutter = new PacketCutter(1e6);
      for (const byte of bytes) {
        cutter.push(Buffer.from([byte]));
        while (cutter.next() === 'packet');
      }
    },
    (n) => Buffer.concat([Buffer.from([0x30, 0x80 | (n & 127), n >> 7]), Buffer.alloc(n)]),
  ],
  [
    'MQTT: the least packets in one chunk',
    (bytes) => {
      const gate = new PacketGate(1e6);
      gate.push(bytes);
      while (gate.next() === 'packet');
    },
    (n) => Buffer.alloc(n * 2, Buffer.from([0xc0, 0])),
  ],
  [
    'MQTT: user properties',
    (bytes) => {
      const range = { start: 0, bodyStart: 2, end: bytes.length };
      assert.ok(readConnect(bytes, range, 64).ok);
    },
    (n) => connectWith(Buffer.alloc(n * 7, Buffer.from([0x26, 0, 1, 97, 0, 1, 98]))),
  ],
  [
    'MQTT: a topic of many levels',
    (bytes) => {
      assert.equal(new PublishReader(false, 1).read(bytes, 0, 2, bytes.length), null);
    },
    (n) => Buffer.concat([Buffer.from([0x30, 0]), mqttText('/'.repeat(n))]),
  ],
  [
    'MQTT: a filter of many levels',
    (bytes) => void readSubscribe(new FieldCursor(bytes, 0, bytes.length), 5, 10),
    (n) =>
      Buffer.concat([
        Buffer.from([0, 1, 0]),
        mqttText(`$share/g/${'+/'.repeat(n)}#`),
        Buffer.from([1]),
      ]),
  ],
  [
    'MQTT: many filters',
    (bytes) => void readSubscribe(new FieldCursor(bytes, 0, bytes.length), 4, 1e6),
    (n) =>
      Buffer.concat([Buffer.from([0, 1]), ...Array<Buffer>(n).fill(Buffer.from([0, 1, 97, 0]))]),
  ],
];

t.test('binary readers: steps grow as the bytes do', (t) => {
  for (const [name, read, make] of BINARY) {
    const times = growth(read, make);
    t.ok(times <= STEPS_TIMES_MAX, `${name}: ${times.toFixed(1)} times for ${TIMES}`);
  }
  t.end();
});
