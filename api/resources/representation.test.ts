import t from 'tap';
import { prefers } from './representation.ts';

t.test('what an Accept header asks for', (t) => {
  const rows: [string | undefined, boolean][] = [
    [undefined, false],
    ['', false],
    ['*/*', false],
    ['application/*', false],
    ['application/json', false],
    ['text/html, */*;q=0.8', false],
    ['application/geo+json', true],
    ['Application/Geo+JSON', true],
    ['application/geo+json; charset=utf-8', true],
    ['application/geo+json, */*', true],
    ['*/*, application/geo+json', true],
    ['application/geo+json;q=0.5, */*', false],
    ['application/geo+json, application/json', true],
    ['application/json, application/geo+json', false],
    ['application/json;q=0.9, application/geo+json', true],
    ['application/geo+json;q=0.9, application/json', false],
    ['application/geo+json;q=0.9, application/*;q=0.8, */*', true],
    ['application/geo+json;q=0', false],
    ['application/geo+json;q=x', false],
  ];
  for (const [accept, expected] of rows) {
    t.equal(prefers(accept, 'application/geo+json'), expected, String(accept));
  }
  t.end();
});
