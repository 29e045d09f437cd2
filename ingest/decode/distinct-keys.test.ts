/** Which texts have too many keys, and that every door for JSON asks. */
import t from 'tap';
import { hasTooManyKeys, MESSAGE_KEYS_MAX } from './distinct-keys.ts';
import type { Decoded } from './decoded.ts';
import { decodeFlespi } from './flespi.ts';
import { decodeNative, decodeNdjson } from './native.ts';
import { scanNdjson } from './native-lines.ts';
import { FixScan } from './native-scan.ts';
import { decodeOwntracks } from './owntracks.ts';

const NOW_MS = Date.UTC(2026, 5, 15, 12);

/** Records with `count` different keys in all, `each` in one record, beside their time. */
function records(count: number, each: number): string[] {
  const names = Array.from({ length: count - 1 }, (_, i) => `key.${i}`);
  return Array.from({ length: Math.ceil(names.length / each) }, (_, r) => {
    const own = names.slice(r * each, (r + 1) * each).map((name) => [name, 1]);
    return JSON.stringify({ time: NOW_MS, ...Object.fromEntries(own) });
  });
}

t.test('different keys are counted, whatever stands between them', (t) => {
  const has = (text: string): boolean => hasTooManyKeys(Buffer.from(text));
  for (const each of [20, MESSAGE_KEYS_MAX]) {
    t.notOk(has(records(MESSAGE_KEYS_MAX, each).join('\n')), `as many as may be, ${each} a record`);
    t.ok(has(records(MESSAGE_KEYS_MAX + 1, each).join('\n')), `one more, ${each} a record`);
  }
  t.ok(
    has(
      records(MESSAGE_KEYS_MAX + 1, 50)
        .join('\n')
        .replaceAll('":', '" \t\r\n :'),
    ),
    'spaces',
  );
  const fix = JSON.stringify({ time: NOW_MS, lat: 1, lon: 2, note: 'a: "b" \\', 'a"b\\': 1 });
  t.notOk(has(Array(5_000).fill(fix).join('\n')), 'the same keys again are not more');
  const values = JSON.stringify(Array.from({ length: 5_000 }, (_, i) => `value ${i}:`));
  t.notOk(has(values), 'values are no keys');
  const broken = ['"', '"\\', '{"a', '"a" '].map((tail) => 'x'.repeat(20_000) + tail);
  t.notOk(broken.some(has), 'no text ends it badly');
  t.end();
});

t.test('each way in refuses such a message as a whole', (t) => {
  const lines = records(MESSAGE_KEYS_MAX + 1, 50);
  const array = Buffer.from(`[${lines.join()}]`);
  const ndjson = Buffer.from(lines.join('\n'));
  const object = Buffer.from(JSON.stringify({ _type: 'card', list: lines.map((x) => JSON.parse(x) as unknown) })); // prettier-ignore
  const ways: Record<string, Decoded> = {
    native: decodeNative(array, 'any', NOW_MS),
    ndjson: decodeNdjson(ndjson, NOW_MS),
    scanned: scanNdjson(new FixScan(), ndjson, NOW_MS),
    flespi: decodeFlespi(array, NOW_MS),
    owntracks: decodeOwntracks(object, NOW_MS),
  };
  for (const [name, { fixes, readings, events, refusals }] of Object.entries(ways)) {
    t.same([fixes, readings, events], [[], [], []], name);
    t.match(refusals, [{ index: -1, reason: 'keys_max' }], name);
    t.equal(refusals.length, 1);
  }
  t.end();
});
