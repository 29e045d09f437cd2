import t from 'tap';
import { createCursors, CURSOR_KEY_BYTES_MIN, toPage } from './pagination.ts';

const scope = { list: 'units', customerId: 1, filters: { a: 1, b: 'x' } };
const cursors = createCursors(new Uint8Array(CURSOR_KEY_BYTES_MIN).fill(1));

t.test('a cursor comes back as it was', (t) => {
  const position = ['2026-01-01 00:00:00.000001+00', 9_007_199_254_740_991, 'ü'];
  t.same(cursors.decode(scope, cursors.encode(scope, position)), position);
  const reordered = { ...scope, filters: { b: 'x', c: undefined, a: 1 } };
  t.same(cursors.decode(reordered, cursors.encode(scope, position)), position, 'in any order');
  t.match(cursors.encode(scope, position), /^[\w.-]+$/, 'fit for a URL');
  t.end();
});

t.test('a cursor is refused for anything else', (t) => {
  const cursor = cursors.encode(scope, [5]);
  const others = [
    { ...scope, list: 'other' },
    { ...scope, customerId: 2 },
    { ...scope, filters: {} },
    { ...scope, filters: { a: 1, b: 'y' } },
    { ...scope, filters: { a: '1', b: 'x' } },
  ];
  for (const other of others)
    t.throws(() => cursors.decode(other, cursor), { code: 'invalid_request' });
  const strange = createCursors(new Uint8Array(CURSOR_KEY_BYTES_MIN).fill(2)).encode(scope, [5]);
  for (const bad of [strange, '', '.', 'a.b', `${cursor}.`, cursor.slice(1), cursor.slice(0, -1)]) {
    t.throws(
      () => cursors.decode(scope, bad),
      { errors: [{ in: 'query', pointer: '/cursor' }] },
      bad,
    );
  }
  t.throws(() => createCursors(new Uint8Array(CURSOR_KEY_BYTES_MIN - 1)), RangeError);
  t.end();
});

t.test('pages', (t) => {
  const cut = (rows: number[], limit: number) => toPage(rows, limit, String);
  t.same(cut([], 2), { data: [], page: { next_cursor: null, has_more: false } });
  t.same(cut([1, 2], 2), { data: [1, 2], page: { next_cursor: null, has_more: false } });
  t.same(cut([1, 2, 3], 2), { data: [1, 2], page: { next_cursor: '2', has_more: true } });
  t.end();
});
