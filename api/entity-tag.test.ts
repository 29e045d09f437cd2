import t from 'tap';
import { CONDITION_LENGTH_MAX, isKnown, requireMatch } from './entity-tag.ts';

t.test('If-Match', (t) => {
  for (const good of [undefined, '*', ' * ', '"3"', '"1", "3"', 'W/"3","3"']) {
    t.doesNotThrow(() => requireMatch(good, 3), String(good));
  }
  for (const other of ['"2"', 'W/"3"', '"1","2"', '""']) {
    t.throws(
      () => requireMatch(other, 3),
      { code: 'precondition_failed', headers: { etag: '"3"' } },
      other,
    );
  }
  for (const bad of ['', '3', "'3'", '"3', '"3" "4"', `"${'x'.repeat(CONDITION_LENGTH_MAX)}"`]) {
    t.throws(
      () => requireMatch(bad, 3),
      { code: 'invalid_request', errors: [{ in: 'header' }] },
      bad,
    );
  }
  t.end();
});

t.test('If-None-Match', (t) => {
  for (const known of ['*', '"3"', 'W/"3"', '"1", W/"3"']) t.equal(isKnown(known, 3), true, known);
  for (const unknown of [undefined, '"2"', '"33"']) t.equal(isKnown(unknown, 3), false);
  t.throws(() => isKnown('3', 3), { code: 'invalid_request' });
  t.end();
});
