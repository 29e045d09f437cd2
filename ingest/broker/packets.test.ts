import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { generate } from 'mqtt-packet';
import t from 'tap';
import { PacketCutter, readPublish, type Publish } from './packets.ts';

const LIMIT_BYTES = 300;

interface Read extends Publish {
  isCut: boolean;
}

/** Feeds the bytes in these pieces and reads every PUBLISH; types of other packets come as numbers. */
function cut(
  pieces: readonly Buffer[],
  isVersion5: boolean,
): (Read | number | 'malformed' | null)[] {
  const cutter = new PacketCutter(LIMIT_BYTES);
  const found: (Read | number | 'malformed' | null)[] = [];
  for (const piece of pieces) {
    cutter.push(piece);
    for (;;) {
      const result = cutter.next();
      if (result === 'more') break;
      if (result === 'malformed') return [...found, result];
      if (cutter.type !== 3) {
        found.push(cutter.type);
        continue;
      }
      const publish = readPublish(cutter, isVersion5);
      found.push(publish && { ...publish, isCut: cutter.isCut });
    }
  }
  return found;
}

t.test('whatever the pieces, the packets are the same', (t) => {
  const message = fc.record({
    topic: fc.string({ minLength: 1, maxLength: 40 }).filter((text) => !/[+#\0]/.test(text)),
    payload: fc.uint8Array({ maxLength: 700, size: 'max' }),
    qos: fc.constantFrom<0 | 1 | 2>(0, 1, 2),
    messageId: fc.integer({ min: 1, max: 65_535 }),
  });
  const run = fc.property(
    fc.array(message, { maxLength: 8, size: 'max' }),
    fc.array(fc.nat({ max: 5_000 }), { maxLength: 30, size: 'max' }),
    fc.boolean(),
    (messages, cuts, isVersion5) => {
      const packets = messages.map(({ topic, payload, qos, messageId }) =>
        generate(
          {
            cmd: 'publish',
            dup: false,
            retain: false,
            topic,
            payload: Buffer.from(payload),
            ...(qos === 0 ? { qos } : { qos, messageId }),
            ...(isVersion5 && { properties: { userProperties: { a: 'b' } } }),
          },
          { protocolVersion: isVersion5 ? 5 : 4 },
        ),
      );
      const pings = packets.flatMap((packet) => [packet, generate({ cmd: 'pingresp' })]);
      const stream = Buffer.concat(pings);
      const places = [0, ...cuts.map((at) => at % (stream.length + 1)), stream.length];
      places.sort((a, b) => a - b);
      const pieces = places.slice(1).map((end, i) => stream.subarray(places[i], end));
      const expected = messages.flatMap(({ topic, payload, qos, messageId }, i) => {
        const lost = Math.max(0, packets[i]!.length - LIMIT_BYTES);
        const kept = Buffer.from(payload.subarray(0, payload.length - lost));
        const packetId = qos === 0 ? 0 : messageId;
        return [{ topic, qos, packetId, payload: kept, isCut: lost > 0 }, 13];
      });
      return isDeepStrictEqual(cut(pieces, isVersion5), expected);
    },
  );
  const { failed, counterexample, seed } = fc.check(run, { numRuns: 500 });
  t.notOk(failed, `seed ${seed}, ${JSON.stringify(counterexample)}`);
  t.end();
});

t.test('any bytes at all end in packets, a wait or a refusal, and hold little memory', (t) => {
  const run = fc.property(
    fc.array(fc.uint8Array({ maxLength: 50, size: 'max' })),
    fc.boolean(),
    (pieces, is5) => {
      cut(
        pieces.map((piece) => Buffer.from(piece)),
        is5,
      );
    },
  );
  const { failed, seed, errorInstance } = fc.check(run, { numRuns: 5_000 });
  t.notOk(failed, `seed ${seed}, ${String(errorInstance)}`);
  t.end();
});

t.test('byte by byte, and with a header that promises 256 MB', (t) => {
  const packet = generate({
    cmd: 'publish',
    topic: 'a/b',
    payload: 'x'.repeat(250),
    qos: 1,
    messageId: 7,
    dup: false,
    retain: false,
  });
  const bytes = Array.from(packet, (_, i) => packet.subarray(i, i + 1));
  t.match(cut([...bytes, ...bytes], false), [
    { topic: 'a/b', packetId: 7, isCut: false },
    { topic: 'a/b', packetId: 7, isCut: false },
  ]);
  const promise = Buffer.from([0x32, 0xff, 0xff, 0xff, 0x7f, 0, 1, 0x61, 0, 9]);
  t.same(cut([promise], false), [], 'nothing comes of a promise');
  const begun = cut([promise, Buffer.alloc(LIMIT_BYTES)], false);
  t.match(begun, [{ topic: 'a', packetId: 9, isCut: true }]);
  t.end();
});

t.test('a message whose properties alone are over the limit is one that was cut', (t) => {
  const packet = generate(
    {
      cmd: 'publish',
      topic: 'a/b',
      payload: 'text',
      qos: 1,
      messageId: 7,
      dup: false,
      retain: false,
      properties: { userProperties: { name: 'x'.repeat(LIMIT_BYTES) } },
    },
    { protocolVersion: 5 },
  );
  t.match(cut([packet, generate({ cmd: 'pingresp' })], true), [
    { topic: 'a/b', packetId: 7, payload: Buffer.alloc(0), isCut: true },
    13,
  ]);
  t.end();
});

t.test('what is no packet', (t) => {
  const rows: [string, number[], boolean][] = [
    ['a length of five bytes', [0x30, 0xff, 0xff, 0xff, 0xff, 1], false],
    ['another packet over the limit', [0x90, 0xff, 0x7f, 0, 0], false],
  ];
  for (const [name, bytes, is5] of rows)
    t.same(cut([Buffer.from(bytes)], is5), ['malformed'], name);
  const publishes: [string, number[], boolean][] = [
    ['quality of service 3', [0x36, 5, 0, 1, 0x61, 0, 1], false],
    ['no topic length', [0x30, 1, 0], false],
    ['a topic beyond the end', [0x30, 3, 0, 9, 0x61], false],
    ['no topic', [0x30, 2, 0, 0], false],
    ['a topic by its alias', [0x30, 6, 0, 0, 3, 0x23, 0, 1], true],
    ['no packet identifier', [0x32, 4, 0, 1, 0x61, 0], false],
    ['packet identifier 0', [0x32, 5, 0, 1, 0x61, 0, 0], false],
    ['properties beyond the end', [0x30, 4, 0, 1, 0x61, 9], true],
    ['no properties', [0x30, 3, 0, 1, 0x61], true],
    ['a length of properties without end', [0x30, 7, 0, 1, 0x61, 0x80, 0x80, 0x80, 0x80], true],
  ];
  for (const [name, bytes, is5] of publishes) t.same(cut([Buffer.from(bytes)], is5), [null], name);
  t.end();
});
