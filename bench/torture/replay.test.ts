import t from 'tap';
import { evaluatedOf, type StoredFix, type StoredReading } from './replay.ts';

const fix = (xid: number, timeMs: number): StoredFix => ({
  xid,
  timeMs,
  latDeg: timeMs,
  lonDeg: 0,
  speedMps: 0.1,
  headingDeg: 0,
  accuracyM: 5,
});
const reading = (xid: number, timeMs: number): StoredReading => ({ xid, timeMs, value: -1 });

t.test('within a batch by time, between batches what is not newer is late', (t) => {
  const stored = [fix(7, 30), fix(5, 20), fix(5, 10), fix(7, 15), fix(9, 40), fix(8, 40)];
  const { fixes } = evaluatedOf(stored, []);
  t.same(
    fixes.map(({ timeMs }) => timeMs),
    [10, 20, 30, 40],
  );
  t.equal(fixes[0]?.speedMps, Math.fround(0.1), 'as the engine has it');
  t.end();
});

t.test('a reading stands where the unit was, and is late by itself', (t) => {
  const { readings } = evaluatedOf(
    [fix(5, 10), fix(6, 40)],
    [reading(5, 10), reading(7, 30), reading(8, 20), reading(9, 40)],
  );
  t.same(
    readings.map(({ timeMs, latDeg }) => [timeMs, latDeg]),
    [
      [10, 10],
      [30, 40],
      [40, 40],
    ],
  );
  t.end();
});
