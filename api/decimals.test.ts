import fc from 'fast-check';
import t from 'tap';
import { decimalsOf, isMultipleOf } from './decimals.ts';

t.test('decimals are those that are written', (t) => {
  const rows: [number, number][] = [
    [0, 0],
    [-0, 0],
    [1, 0],
    [-12.5, 1],
    [577008.08, 2],
    [567266762932.22, 2],
    [0.1 + 0.2, 17],
    [1e21, 0],
    [1.5e300, 0],
    [1e-7, 7],
    [-1.25e-7, 9],
    [Number.MAX_SAFE_INTEGER, 0],
  ];
  for (const [value, count] of rows) t.equal(decimalsOf(value), count, String(value));
  t.end();
});

t.test(
  'every amount of fifteen digits is a multiple of its smallest unit, and of nothing coarser',
  (t) => {
    const steps = [1, 0.1, 0.01, 0.001, 0.0001];
    fc.assert(
      fc.property(
        fc.integer({ min: -999_999_999_999, max: 999_999_999_999 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 3 }),
        (whole, last, decimals) => {
          const value = Number(`${whole}.${String(last).padStart(decimals, '0')}`);
          return (
            isMultipleOf(value, steps[decimals]!) &&
            isMultipleOf(value, steps[decimals + 1]!) &&
            !isMultipleOf(value, steps[decimals - 1]!)
          );
        },
      ),
    );
    t.ok(isMultipleOf(24, 8));
    t.notOk(isMultipleOf(25, 8));
    t.end();
  },
);
