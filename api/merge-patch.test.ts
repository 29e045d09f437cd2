import t from 'tap';
import { mergePatch } from './merge-patch.ts';

t.test('the examples of RFC 7396, appendix A', (t) => {
  const rows: [unknown, unknown, unknown][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, result] of rows) {
    const before = JSON.stringify([target, patch]);
    t.strictSame(mergePatch(target, patch), result, before);
    t.equal(JSON.stringify([target, patch]), before, 'neither is changed');
  }
  t.end();
});

t.test('names that mean something to JavaScript are names', (t) => {
  const patch: unknown = JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}');
  const merged = mergePatch({}, patch) as object;
  t.same(Object.keys(merged).sort(), ['__proto__', 'constructor']);
  t.equal(Object.getPrototypeOf(merged), Object.prototype);
  t.equal((Object.prototype as { polluted?: unknown }).polluted, undefined);
  t.end();
});
