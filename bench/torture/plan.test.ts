import t from 'tap';
import { DevicePlan, MIX, type Planned } from './plan.ts';

const COUNT = 20_000;
const nowMs = Date.UTC(2026, 4, 1);

function records(seed: string, unit: number, count = COUNT): Planned[] {
  const plan = new DevicePlan({ seed, unit, nowMs, mix: MIX });
  return Array.from({ length: count }, () => plan.next()!);
}

t.test('the same seed gives the same records, another one others', (t) => {
  const text = (seed: string, unit: number): string => JSON.stringify(records(seed, unit, 2_000));
  t.ok(text('a', 3) === text('a', 3));
  t.notOk(text('a', 3) === text('b', 3));
  t.notOk(text('a', 3) === text('a', 4));
  t.end();
});

t.test('a plan holds what it promises', (t) => {
  const planned = records('a', 3);
  const good = planned.filter(({ bad }) => bad === null);
  const seen = new Set<Planned>();
  const timesOf = new Map<number, number>();
  let duplicates = 0;
  let late = 0;
  let hoursLate = 0;
  let newestMs = -Infinity;
  for (const one of good) {
    const { timeMs } = one.fix;
    if (seen.has(one)) duplicates += 1;
    else {
      timesOf.set(timeMs, (timesOf.get(timeMs) ?? 0) + 1);
      if (timeMs < newestMs) late += 1;
      if (timeMs < newestMs - 2 * 3_600_000) hoursLate += 1;
    }
    seen.add(one);
    newestMs = Math.max(newestMs, timeMs);
  }
  const share = (count: number): number => count / COUNT;
  t.ok(Math.abs(share(duplicates) - 0.1) < 0.02, `${duplicates} twice`);
  t.ok(share(late) > 0.2, `${late} after newer ones`);
  t.ok(hoursLate > 100, `${hoursLate} hours late`);
  t.ok([...timesOf.values()].filter((count) => count > 1).length > 50, 'two with one timestamp');
  const bad = planned.filter((one) => one.bad !== null);
  t.same([...new Set(bad.map((one) => one.bad))].sort(), ['lat_range', 'storage_refused', 'time_range']); // prettier-ignore
  t.equal(new Set(bad.map(({ fix }) => fix.timeMs)).size, bad.length, 'each by a time of its own');
  t.notOk(bad.some(({ fix }) => timesOf.has(fix.timeMs)));
  t.ok(
    good.every(({ fix }) => fix.timeMs < nowMs),
    'nothing lies ahead',
  );
  t.end();
});
