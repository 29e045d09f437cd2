/**
 * The simulation itself: some seeds hold, the same seed is lived the same way twice, and what it looks for it finds.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { boxShape, fenceOf } from '../../engine/test-data.ts';
import type { EngineEvent } from '../../engine/types.ts';
import { Breach } from './breach.ts';
import { failureText } from './report.ts';
import { simulate, SimulationFailure } from './simulate.ts';
import { Store, type Work } from './store.ts';
import { turnsOf } from './turns.ts';
import { Visits } from './visits.ts';

const SEED = 1;
const SEEDS = 5;
const TINY = { days: 7, vehicles: 8, fences: 30 };

t.test(`seeds ${SEED} to ${SEED + SEEDS - 1} hold`, (t) => {
  const told: Record<string, number> = { fixes: 0, events: 0, visits: 0 };
  for (let seed = SEED; seed < SEED + SEEDS; seed++) {
    const { mishaps, fixes, events, visits } = simulate({ ...TINY, seed });
    for (const [name, count] of Object.entries({ ...mishaps, fixes, events, visits })) {
      told[name] = (told[name] ?? 0) + count;
    }
  }
  t.comment(JSON.stringify(told));
  t.ok((told['events'] ?? 0) > 100 * SEEDS);
  t.ok((told['visits'] ?? 0) > 30 * SEEDS);
  const never = Object.keys(told).filter((name) => told[name] === 0);
  t.same(never, [], 'everything that may go wrong did');
  t.end();
});

t.test('a seed is lived the same way every time', (t) => {
  const params = { ...TINY, days: 3, seed: SEED };
  const first = simulate(params);
  t.same(simulate(params), first);
  t.not(simulate({ ...params, seed: SEED + 1 }).hash, first.hash);
  t.end();
});

t.test('the story holds what it should', (t) => {
  let backlog = 0;
  let repeats = 0;
  const kinds = new Set<string>();
  const newestMs = new Map<number, number>();
  const seen = new Set<string>();
  for (const { edits, fixes } of turnsOf({ ...TINY, days: 30, seed: SEED })) {
    for (const edit of edits) kinds.add(edit.type);
    for (const { deviceId, timeMs } of fixes) {
      if (seen.has(`${deviceId} ${timeMs}`)) repeats++;
      else if (timeMs < (newestMs.get(deviceId) ?? 0)) backlog++;
      seen.add(`${deviceId} ${timeMs}`);
      newestMs.set(deviceId, Math.max(timeMs, newestMs.get(deviceId) ?? 0));
    }
  }
  t.equal(kinds.size, 6, 'every kind of edit');
  t.ok(backlog > 10, `${backlog} fixes come after newer ones`);
  t.ok(repeats > 10, `${repeats} are said again`);
  t.end();
});

const ENTER: EngineEvent = {
  type: 'geofence_enter',
  deviceId: 1,
  equipmentId: 101,
  tenantId: 1,
  accountId: null,
  timeMs: 2_000,
  lonDeg: 0,
  latDeg: 0,
  fenceId: 5,
  ruleId: null,
  subjectName: 'yard',
  subjectVersion: 1,
  metricCode: null,
  metricValue: null,
  severity: 'info',
  initial: false,
  cause: 'move',
  enteredMs: 1_000,
  leftMs: NaN,
  lastFixMs: NaN,
};
const DWELL: EngineEvent = { ...ENTER, type: 'geofence_dwell', timeMs: 3_000 };
const EXIT: EngineEvent = {
  ...ENTER,
  type: 'geofence_exit',
  timeMs: 9_000,
  leftMs: 8_000,
  lastFixMs: 7_000,
};
const NEXT: EngineEvent = { ...ENTER, timeMs: 10_000, enteredMs: 9_500 };

t.test('visits: what may be told, and what is found', (t) => {
  const tell = (...events: EngineEvent[]): string => {
    const visits = new Visits();
    try {
      for (const event of events) visits.take(event);
    } catch (error) {
      return (error as Breach).invariant;
    }
    return 'holds';
  };
  const rows: [string, string, ...EngineEvent[]][] = [
    ['a visit and the next', 'holds', ENTER, DWELL, EXIT, NEXT],
    ['twice in', 'enter and exit alternate', ENTER, NEXT],
    ['out without in', 'enter and exit alternate', EXIT],
    ['twice out', 'enter and exit alternate', ENTER, EXIT, { ...EXIT, timeMs: 9_500 }],
    ['dwell outside', 'enter and exit alternate', DWELL],
    ['dwell twice', 'a dwell is told once a visit', ENTER, DWELL, { ...DWELL, timeMs: 4_000 }],
    ['dwell too early', 'a dwell is no earlier than its enter', ENTER, { ...DWELL, timeMs: 1_500 }],
    [
      'exit too early',
      'an exit is no earlier than its enter',
      ENTER,
      { ...EXIT, timeMs: 1_900, leftMs: 1_900, lastFixMs: 1_500 },
    ],
    ['in before itself', 'a visit begins no later than its enter', { ...ENTER, enteredMs: 2_001 }],
    ['left after out', 'the times of a visit are in order', ENTER, { ...EXIT, leftMs: 9_001 }],
    [
      'last fix after left',
      'the times of a visit are in order',
      ENTER,
      { ...EXIT, lastFixMs: 8_001 },
    ],
    [
      'another visit',
      'device, fence and entering name a visit',
      ENTER,
      { ...EXIT, enteredMs: 999 },
    ],
    ['another tenant', 'a visit stays with its tenant', ENTER, { ...EXIT, tenantId: 2 }],
    [
      'before the end of the last',
      'a visit begins after the one before',
      ENTER,
      EXIT,
      { ...NEXT, enteredMs: 7_500 },
    ],
    [
      'a cross inside',
      'who crosses a fence is not in it',
      ENTER,
      { ...ENTER, type: 'geofence_cross' },
    ],
  ];
  for (const [name, wanted, ...events] of rows) t.equal(tell(...events), wanted, name);
  t.end();
});

t.test(
  'the store: an event once, but for a transaction that is sent again; nothing of others',
  (t) => {
    const work = (events: EngineEvent[]): Work => {
      return { step: 0, fixes: [], readings: [], events, changed: [], devices: [] };
    };
    const open = (tenantId: number): Store => {
      const store = new Store();
      const device = { deviceId: 1, tenantId: 1, accountId: null, equipmentId: 101 };
      const fence = fenceOf(5, boxShape(0, 0, 1, 1), { tenantId });
      store.edit([
        { type: 'device_put', device },
        { type: 'fence_put', fence },
      ]);
      return store;
    };
    const store = open(1);
    store.commit(work([ENTER]));
    store.commit(work([ENTER]), true);
    t.equal(store.eventCount, 1);
    t.throws(() => store.commit(work([ENTER])), /no event is told twice/);
    t.throws(() => open(2).commit(work([ENTER])), /nothing is told of another tenant/);
    t.end();
  },
);

t.test('a failure says what, when and how to see it again', (t) => {
  const failure = new SimulationFailure(7, 0, new Breach('enter and exit alternate', 'twice in'));
  t.equal(
    failureText({ ...TINY, seed: 5 }, failure),
    'FAIL step 7, 1970-01-01T00:00:00.000Z: enter and exit alternate: twice in\n' +
      '  npm run simulate -- --seed 5 --days 7 --vehicles 8 --fences 30',
  );
  t.end();
});

t.test('the command tells what it lived, and refuses what it does not know', (t) => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [join(import.meta.dirname, 'run.js'), ...args], {
      encoding: 'utf8',
    });
  const good = run('--seed', '3', '--days', '1', '--vehicles', '3', '--fences', '9');
  t.equal(good.status, 0, good.stderr);
  t.match(
    good.stdout,
    /^seed=3 days=1 vehicles=3 fences=9: holds\n {2}steps=\d+ .*hash=[0-9a-f]{16}/,
  );
  for (const args of [
    ['--days', '0'],
    ['--years', '1'],
  ]) {
    const { status, stderr } = run(...args);
    t.equal(status, 1, args.join(' '));
    t.match(stderr, /usage: npm run simulate/);
  }
  t.end();
});
