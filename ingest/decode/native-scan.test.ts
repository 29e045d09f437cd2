/** The fast way and the general way, held together: whatever the scan takes, it takes as `native.ts` does. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { decodeNative, decodeNdjson, RECORDS_MAX } from './native.ts';
import { scanNdjson } from './native-lines.ts';
import { FixScan } from './native-scan.ts';
import { emptyDecoded, type Decoded } from './decoded.ts';

const NOW_MS = Date.parse('2026-06-15T12:00:00Z');
const scan = new FixScan();

/** The scan's fixes and the rest, as one message. */
function together(rest: Decoded): Decoded {
  const scanned = Array.from({ length: scan.count }, (_, n) => scan.fix(n));
  return { ...rest, fixes: [...scanned, ...rest.fixes].sort((a, b) => a.index - b.index) };
}

/** What may lie beside a message in a read buffer: what would end it, go on with it, or is a message of its own. */
const NEIGHBOURS = ['', '}', ']', '"}', ' ', ',', '0', '":1}', '{"time":1}', '\x32\x10', '"'];

/** Whether the scan took the message; when it did, exactly as the general way, and whatever lies beside it. */
function sameMessage(payload: Buffer): boolean {
  const general = decodeNative(payload, 'any', NOW_MS);
  const taken = NEIGHBOURS.map((neighbour) => {
    const beside = Buffer.from(neighbour, 'latin1');
    const bytes = Buffer.concat([beside, payload, beside]);
    const end = beside.length + payload.length;
    if (scan.readMessage(bytes, beside.length, end, NOW_MS)) {
      assert.deepStrictEqual(together(emptyDecoded()), general, `beside ${neighbour}`);
      return true;
    }
    assert.equal(scan.count, 0);
    return false;
  });
  // White space behind it may look like its own, and send it the general way.
  const strange = taken.filter((one, i) => NEIGHBOURS[i] !== ' ' && one !== taken[0]);
  assert.equal(strange.length, 0, 'a neighbour matters');
  return taken[0]!;
}

function sameLines(payload: Buffer): void {
  assert.deepStrictEqual(
    together(scanNdjson(scan, payload, NOW_MS)),
    decodeNdjson(payload, NOW_MS),
  );
}

const time = fc.oneof(
  { weight: 30, arbitrary: fc.integer({ min: NOW_MS - 1e9, max: NOW_MS + 1e6 }) },
  fc.integer({ min: NOW_MS / 1000 - 1e6, max: NOW_MS / 1000 }),
  fc.double({ min: NOW_MS / 1000 - 1e6, max: NOW_MS / 1000, noNaN: true }),
  fc
    .date({ min: new Date(NOW_MS - 95 * 864e5), max: new Date(NOW_MS + 9e5), noInvalidDate: true })
    .map((date) => date.toISOString()),
  fc.constantFrom('2026-02-29T00:00:00Z', '2026-06-01T24:00:00Z', '2026-06-15T11:59:60Z',
    '2026-06-15T11:59:30Z', '2026-06-15T11:59:30.5Z', '2026-06-15 11:59:30', '2026-06-15T11:59:30+02:00',
    '2026-04-31T00:00:00Z', '2026-06-1xT11:59:30Z', 'now', 0, -1, null, true), // prettier-ignore
);

/** Numbers as encoders write them, and as they should not. */
const numberText = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom('0', '1') },
  { weight: 4, arbitrary: fc.double({ min: 0, max: 80, noNaN: true }).map((n) => n.toFixed(6)) },
  { weight: 4, arbitrary: fc.integer({ min: -10, max: 400 }).map(String) },
  fc.double({ noDefaultInfinity: true, noNaN: true }).map((n) => JSON.stringify(n)),
  fc.constantFrom('-0', '0', '00', '01', '-', '1.', '.5', '1e3', '1E-2', '+1', '0.1', '-0.0', '1.5x', 'true', 'false',
    'tru', 'null', '"5"', '[]', '{}', '123456789012345', '1234567890123456', '0.000000000000001', '0.1234567890123456',
    '9007199254740993', '359.99999999', '360', '0.5', '1', '1.0', '255.9', '999999999999.999'),
); // prettier-ignore

const key = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom('speed_mps', 'heading_deg', 'accuracy_m', 'satellites', 'ignition', 'motion', 'seq'),
  },
  fc.constantFrom('lat', 'lon', 'speed_kph', 'altitude_m', 'odometer_m', 'battery_pct', 'lax', 'x', 'metrics', 'metric',
    'event', 'device', 'time', 'speed_mp5', 'constructor'),
); // prettier-ignore

const text = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('"ping"', '"T 1"') },
  fc.constantFrom(
    '"a b~!"',
    '""',
    '"\\u0041"',
    '"é"',
    '"\\""',
    '"\x7f"',
    `"${'e'.repeat(65)}"`,
    'null',
    '5',
  ),
  fc.string({ maxLength: 10 }).map((s) => JSON.stringify(s)),
);

const gap = fc.oneof(
  { weight: 30, arbitrary: fc.constantFrom('', ' ') },
  fc.constantFrom('  ', '\t', '\n'),
);

/** One record's JSON text: mostly good, with keys in any order, repeated keys and odd values among them. */
const record = fc
  .tuple(
    fc.record({
      time: fc.option(time, { freq: 20 }),
      lat: fc.double({ min: -90, max: 90, noNaN: true }).map((n) => n.toFixed(5)),
      lon: fc.double({ min: -180, max: 180, noNaN: true }).map((n) => n.toFixed(5)),
    }),
    fc.array(fc.tuple(key, numberText), { maxLength: 4 }),
    fc.array(fc.tuple(fc.constantFrom('device', 'event'), text), { maxLength: 2 }),
    fc.array(gap, { minLength: 6, maxLength: 6 }),
    fc.boolean(),
  )
  .map(([fix, numbers, texts, gaps, isShuffled]) => {
    const head = [
      ...(fix.time === null ? [] : [['time', JSON.stringify(fix.time)]]),
      ['lat', fix.lat],
      ['lon', fix.lon],
    ];
    const pairs = isShuffled ? [...texts, ...numbers, ...head] : [...head, ...numbers, ...texts];
    const [a, b, c, d, e, f] = gaps;
    const inside = pairs.map(([name, value]) => `${b}"${name}"${c}:${d}${value}${e}`).join(',');
    return `${a}{${inside}}${f}`;
  });

/** A few bytes of a good message replaced, removed or doubled. */
const mangled = fc
  .tuple(record, fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.nat(2)), { maxLength: 3 }))
  .map(([good, changes]) => {
    const bytes = [...Buffer.from(good)];
    for (const [where, byte, how] of changes) {
      bytes.splice(where % bytes.length, how === 1 ? 0 : 1, ...(how === 0 ? [] : [byte]));
    }
    return Buffer.from(bytes);
  });

const seed = Date.now() % 1_000_000;
const runs = (numRuns: number): fc.Parameters<unknown> => ({ seed, numRuns });

t.test('what the scan takes is what the general way makes of it', (t) => {
  t.comment(`seed ${seed}`);
  let taken = 0;
  fc.assert(
    fc.property(record, (one) => void (sameMessage(Buffer.from(one)) && taken++)),
    runs(8_000),
  );
  fc.assert(
    fc.property(fc.array(record, { maxLength: 4 }), gap, (all, space) => {
      if (sameMessage(Buffer.from(`[${all.join(`${space},${space}`)}]${space}`))) taken++;
    }),
    runs(2_000),
  );
  fc.assert(
    fc.property(mangled, (bytes) => void (sameMessage(bytes) && taken++)),
    runs(8_000),
  );
  t.ok(taken > 1_500, `${taken} of 18,000 were taken`);
  t.end();
});

t.test('lines in two ways are the lines in one', (t) => {
  t.comment(`seed ${seed}`);
  const line = fc.oneof(
    { weight: 5, arbitrary: record.map((one) => one.replaceAll('\n', '')) },
    record,
    fc.constantFrom('', ' ', '\u00a0', '\r', 'null', '5', '[]', '{', '{}', '{"lat":1', '\ufeff'),
  );
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 8 }),
      fc.constantFrom('\n', '\r\n', ' \n', '\n\n'),
      fc.boolean(),
      (lines, end, isMarked) =>
        sameLines(Buffer.from(`${isMarked ? '\ufeff' : ''}${lines.join(end)}`)),
    ),
    runs(4_000),
  );
  fc.assert(
    fc.property(fc.array(mangled, { maxLength: 5 }), (lines) =>
      sameLines(Buffer.concat(lines.flatMap((one) => [one, Buffer.from('\n')]))),
    ),
    runs(4_000),
  );
  sameLines(Buffer.from('\ufeff{"time":1,"lat":1,"lon":2}\n'));
  sameLines(Buffer.from(`\ufeff{"time":${NOW_MS},"lat":1,"lon":2}\n`));
  t.pass('all the same');
  t.end();
});

t.test('limits of a whole message', (t) => {
  const one = `{"time":${NOW_MS},"lat":1,"lon":2}`;
  const many = (count: number, first = one): string =>
    [first, ...Array.from({ length: count - 1 }, () => one)].join('\n');
  const metrics = Object.fromEntries(Array.from({ length: 90 }, (_, n) => [`m${n}`, n]));
  const rich = JSON.stringify({ time: NOW_MS, lat: 1, lon: 2, metrics });
  sameLines(Buffer.from(many(RECORDS_MAX)));
  t.equal(scan.count, RECORDS_MAX);
  sameLines(Buffer.from(`${many(RECORDS_MAX)}\n\n \n`));
  t.equal(scan.count, RECORDS_MAX);
  sameLines(Buffer.from(`${many(RECORDS_MAX)}\n${one}`));
  t.equal(scan.count, 0);
  sameLines(Buffer.from(`${many(RECORDS_MAX)}\n{`));
  t.equal(scan.count, 0);
  sameLines(Buffer.from(`${many(9_000)}\n${Array.from({ length: 150 }, () => rich).join('\n')}`));
  t.equal(scan.count, 0, 'too many rows');
  sameMessage(Buffer.from(`[${many(RECORDS_MAX).replaceAll('\n', ',')}]`));
  t.equal(scan.count, RECORDS_MAX);
  t.notOk(sameMessage(Buffer.from(`[${many(RECORDS_MAX + 1).replaceAll('\n', ',')}]`)));
  t.end();
});

t.test('usual messages go the fast way', (t) => {
  const usual = [
    { time: NOW_MS, lat: 41.5, lon: -87.25 },
    {
      time: '2026-06-15T11:59:30Z',
      lat: -90,
      lon: 180,
      speed_kph: 36,
      event: 'ping',
      device: 'T 1',
    },
    { time: '2026-06-15T11:59:30.125Z', lat: 0, lon: -0.5, ignition: true, motion: 0, seq: 7 },
    { time: NOW_MS / 1000, lat: 1, lon: 2, altitude_m: -3.5, accuracy_m: 4, satellites: 9 },
  ];
  for (const one of usual) {
    t.ok(sameMessage(Buffer.from(JSON.stringify(one))), JSON.stringify(one));
    t.ok(sameMessage(Buffer.from(JSON.stringify(one, null, ' ').replaceAll('\n', ''))));
  }
  t.ok(sameMessage(Buffer.from(JSON.stringify(usual))));
  sameLines(Buffer.from(usual.map((one) => JSON.stringify(one)).join('\n')));
  t.equal(scan.count, usual.length);
  t.end();
});
