import t from 'tap';
import fc from 'fast-check';
import { liveLimits } from './limits.ts';
import { parseClientMessage } from './messages.ts';
import { viewportHolds } from './viewport.ts';

const parse = (value: unknown) => parseClientMessage(JSON.stringify(value), liveLimits);

t.test('the three messages are read, and nothing else of them', (t) => {
  t.same(parse({ type: 'ping', extra: 1 }), { ok: true, message: { type: 'ping' } });
  t.same(parse({ type: 'auth', token: 'abc', customer_id: 7 }), {
    ok: true,
    message: { type: 'auth', token: 'abc' },
  });
  const viewport = { west: 170, south: -10, east: -170, north: 10 };
  const full = {
    type: 'subscribe',
    viewport,
    equipment_ids: [1, 2],
    events: true,
    events_since: 0,
  };
  t.same(parse({ ...full, viewport: { ...viewport, zoom: 3 } }), { ok: true, message: full });
  t.same(parse({ type: 'subscribe' }), { ok: true, message: { type: 'subscribe' } });
  t.end();
});

t.test('what is wrong is refused with its reason', (t) => {
  const rows: [string, string][] = [
    ['', 'message_malformed'],
    ['{', 'message_malformed'],
    ['{"type":"ping","__proto__":{"x":1}}', 'message_malformed'],
    ['[]', 'message_invalid'],
    ['null', 'message_invalid'],
    ['"ping"', 'message_invalid'],
    ['{"type":"publish"}', 'message_invalid'],
    ['{"type":"auth"}', 'message_invalid'],
    ['{"type":"auth","token":""}', 'message_invalid'],
    ['{"type":"auth","token":1}', 'message_invalid'],
    [`{"type":"auth","token":"${'x'.repeat(8193)}"}`, 'message_invalid'],
    ['{"type":"subscribe","viewport":{"west":0,"south":1,"east":1,"north":0}}', 'message_invalid'],
    [
      '{"type":"subscribe","viewport":{"west":-181,"south":0,"east":1,"north":1}}',
      'message_invalid',
    ],
    ['{"type":"subscribe","viewport":{"west":0,"south":0,"east":1,"north":91}}', 'message_invalid'],
    [
      '{"type":"subscribe","viewport":{"west":"0","south":0,"east":1,"north":1}}',
      'message_invalid',
    ],
    ['{"type":"subscribe","viewport":null}', 'message_invalid'],
    ['{"type":"subscribe","equipment_ids":[0]}', 'message_invalid'],
    ['{"type":"subscribe","equipment_ids":[1.5]}', 'message_invalid'],
    ['{"type":"subscribe","equipment_ids":"1"}', 'message_invalid'],
    [`{"type":"subscribe","equipment_ids":[${Array(501).fill(1).join()}]}`, 'message_invalid'],
    ['{"type":"subscribe","events":1}', 'message_invalid'],
    ['{"type":"subscribe","events_since":-1}', 'message_invalid'],
    ['{"type":"subscribe","events_since":1e30}', 'message_invalid'],
  ];
  for (const [text, code] of rows) {
    const result = parseClientMessage(text, liveLimits);
    t.equal(result.ok ? 'ok' : result.code, code, text.slice(0, 80));
  }
  t.end();
});

t.test('no text makes the reader throw', (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      parseClientMessage(text, liveLimits);
    }),
    { numRuns: 500 },
  );
  t.end();
});

t.test('a viewport holds its edges, and wraps at the antimeridian', (t) => {
  const plain = { west: -10, south: -5, east: 10, north: 5 };
  const wrapped = { west: 170, south: -5, east: -170, north: 5 };
  const world = { west: -180, south: -90, east: 180, north: 90 };
  const toTheEdge = { west: 170, south: -5, east: 180, north: 5 };
  const rows: [typeof plain, number, number, boolean][] = [
    [plain, 0, 0, true],
    [plain, 10, 5, true],
    [plain, -10, -5, true],
    [plain, 10.001, 0, false],
    [plain, 0, 5.001, false],
    [plain, 180, 0, false],
    [wrapped, 175, 0, true],
    [wrapped, -175, 0, true],
    [wrapped, 180, 0, true],
    [wrapped, -180, 0, true],
    [wrapped, 170, 0, true],
    [wrapped, -170, 0, true],
    [wrapped, 169.999, 0, false],
    [wrapped, 0, 0, false],
    [world, 180, 90, true],
    [world, -180, -90, true],
    [toTheEdge, -180, 0, true],
    [toTheEdge, -179.999, 0, false],
  ];
  for (const [viewport, lon, lat, expected] of rows) {
    t.equal(
      viewportHolds(viewport, lon, lat),
      expected,
      `${JSON.stringify(viewport)} ${lon} ${lat}`,
    );
  }
  t.end();
});
