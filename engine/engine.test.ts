import * as turf from '@turf/turf';
import t from 'tap';
import type { Engine } from './engine.ts';
import { createEngine } from './engine.ts';
import type { FixRow, ReadingRow } from './test-data.ts';
import { batchOf, boxShape, fenceOf, ruleOf, seededRandom, starRing } from './test-data.ts';
import type {
  DeviceLast,
  DeviceState,
  Edit,
  EngineEvent,
  Evaluation,
  Fence,
  LonLat,
} from './types.ts';
import type { World } from './world.ts';
import { applyEdits, createWorld } from './world.ts';

function worldOf(devices: number[], edits: Edit[]): World {
  const world = createWorld();
  const puts = devices.map((deviceId): Edit => {
    return {
      type: 'device_put',
      device: { deviceId, tenantId: 1, accountId: 11, equipmentId: deviceId * 10 },
    };
  });
  applyEdits(world, [...puts, ...edits]);
  return world;
}

const BOX: Edit = { type: 'fence_put', fence: fenceOf(1, boxShape(0, 0, 1, 1)) };

function fix(deviceId: number, timeMs: number, lonDeg: number, more: Partial<FixRow> = {}): FixRow {
  return { deviceId, timeMs, lonDeg, latDeg: 0.5, ...more };
}

function take(engine: Engine, fixes: FixRow[], readings: ReadingRow[] = []): Evaluation {
  const evaluation = engine.evaluate(batchOf(fixes, readings));
  // To be asked for before it is in force.
  ids(evaluation);
  engine.commit();
  return evaluation;
}

function ids({ changed }: Evaluation): number[] {
  return changed.map(({ deviceId }) => deviceId);
}

const NOTHING = { inside: [], entering: [], ended: [], rules: [] };

t.test('an event says who, when, where, and under which version', (t) => {
  const rule = ruleOf(9, { name: 'too fast', severity: 'critical', version: 4 });
  const engine = createEngine(worldOf([7], [BOX, { type: 'rule_put', rule }]));
  take(engine, [fix(7, 1000, 5)]);
  const { events } = take(engine, [fix(7, 2000, 0.25, { speedMps: 30 })]);
  const who = {
    deviceId: 7,
    equipmentId: 70,
    tenantId: 1,
    accountId: 11,
    timeMs: 2000,
    lonDeg: 0.25,
    latDeg: 0.5,
  };
  t.same(events, [
    {
      type: 'geofence_enter',
      ...who,
      fenceId: 1,
      ruleId: null,
      subjectName: 'fence 1',
      subjectVersion: 1,
      metricCode: null,
      metricValue: null,
      severity: 'info',
      initial: false,
      cause: 'move',
      enteredMs: 2000,
      leftMs: NaN,
      lastFixMs: NaN,
    },
    {
      type: 'alert_raised',
      ...who,
      fenceId: null,
      ruleId: 9,
      subjectName: 'too fast',
      subjectVersion: 4,
      metricCode: 'speed_mps',
      metricValue: 30,
      severity: 'critical',
      initial: false,
      cause: 'move',
      enteredMs: NaN,
      leftMs: NaN,
      lastFixMs: NaN,
    },
  ]);
  t.end();
});

t.test(
  'rows of many devices in any order: devices as they come, then time, exits, enters, alerts by id',
  (t) => {
    const fences = [3, 2, 1].map((id): Edit => {
      return { type: 'fence_put', fence: fenceOf(id, boxShape(0, 0, 1, 1), { exitFixCount: 1 }) };
    });
    const beside: Edit = { type: 'fence_put', fence: fenceOf(4, boxShape(2, 0, 3, 1)) };
    const rules = [6, 5].map((id): Edit => ({ type: 'rule_put', rule: ruleOf(id) }));
    const engine = createEngine(worldOf([1, 2], [...fences, beside, ...rules]));
    const { events, latestFixRows } = take(engine, [
      fix(2, 1000, 0.5),
      fix(1, 3000, 2.5, { speedMps: 30 }),
      fix(1, 2000, 0.5),
      fix(1, 1000, 9),
    ]);
    t.same(
      events.map((e) => [e.deviceId, e.timeMs, e.type, e.fenceId ?? e.ruleId]),
      [
        [2, 1000, 'geofence_enter', 1],
        [2, 1000, 'geofence_enter', 2],
        [2, 1000, 'geofence_enter', 3],
        [1, 2000, 'geofence_enter', 1],
        [1, 2000, 'geofence_enter', 2],
        [1, 2000, 'geofence_enter', 3],
        [1, 3000, 'geofence_exit', 1],
        [1, 3000, 'geofence_exit', 2],
        [1, 3000, 'geofence_exit', 3],
        [1, 3000, 'geofence_enter', 4],
        [1, 3000, 'alert_raised', 5],
        [1, 3000, 'alert_raised', 6],
      ],
    );
    t.same([...latestFixRows], [0, 1], 'a row for each device');
    t.end();
  },
);

t.test(
  'a reading carries the position known at its time; a fix comes before a reading of its time',
  (t) => {
    const rule = ruleOf(1, { metricCode: 'temp', value: 8 });
    const engine = createEngine(worldOf([1], [{ type: 'rule_put', rule }]));
    const reading = (timeMs: number, value: number): ReadingRow => ({
      deviceId: 1,
      timeMs,
      metricCode: 'temp',
      value,
    });
    const { events } = take(
      engine,
      [fix(1, 3000, 3), fix(1, 2000, 2)],
      [reading(1000, 9), reading(2500, 5), reading(3000, 9)],
    );
    t.same(
      events.map((e) => [e.type, e.timeMs, e.lonDeg]),
      [
        ['alert_raised', 1000, NaN],
        ['alert_cleared', 2500, 2],
        ['alert_raised', 3000, 3],
      ],
    );
    t.end();
  },
);

t.test('late rows are counted and do nothing', (t) => {
  const engine = createEngine(worldOf([1], [BOX]));
  const first = take(engine, [
    fix(1, 2000, 5),
    fix(1, 2000, 0.5),
    fix(1, NaN, 0.5),
    fix(1, 3000, NaN),
    fix(1, 3000, 1, { latDeg: 91 }),
  ]);
  t.same([first.lateCount, first.events.length, [...first.latestFixRows]], [4, 0, [0]]);
  const reading = { deviceId: 1, metricCode: 'temp', value: 1 };
  const second = take(
    engine,
    [fix(1, 1000, 0.5)],
    [
      { ...reading, timeMs: 5 },
      { ...reading, timeMs: 5 },
      { ...reading, timeMs: NaN },
    ],
  );
  t.same([second.lateCount, second.events.length, [...second.latestFixRows]], [3, 0, []]);
  t.end();
});

t.test('unknown devices are passed over and leave nothing behind', (t) => {
  const engine = createEngine(worldOf([1], [BOX]));
  const { events, lateCount, changed, latestFixRows } = take(
    engine,
    [fix(2, 1000, 0.5)],
    [{ deviceId: 2, timeMs: 1, metricCode: 'temp', value: 1 }],
  );
  t.same([events.length, lateCount, changed.length, latestFixRows.length], [0, 0, 0, 0]);
  t.equal(engine.snapshot(2), null);
  t.end();
});

t.test(
  'changed holds only devices whose state differs, and those heard for the first time',
  (t) => {
    const engine = createEngine(worldOf([1, 2], [BOX]));
    const batch = batchOf([fix(1, 1, 5), fix(2, 1, 0.5)], []);
    t.same(ids(engine.evaluate(batch)), [1, 2]);
    engine.rollback();
    const first = take(engine, [fix(1, 1, 5), fix(2, 1, 0.5)]);
    t.same(ids(first), [1, 2], 'again when it was rolled back');
    t.same(first.changed[0]!.state, NOTHING);
    t.same(ids(take(engine, [fix(1, 2, 5), fix(2, 2, 0.5)])), []);
    t.same(ids(take(engine, [fix(2, 3, 5)])), [2], 'a count towards the exit');
    t.same(ids(take(engine, [fix(2, 4, 0.5)])), [2], 'and its end');
    t.same(ids(take(engine, [fix(2, 5, 5), fix(2, 6, 0.5)])), [], 'out and in again');
    const gone = take(engine, [fix(2, 7, 5), fix(2, 8, 5)]);
    t.same(gone.changed, [{ deviceId: 2, tenantId: 1, state: NOTHING }]);
    t.end();
  },
);

t.test('pending, commit, rollback', (t) => {
  const engine = createEngine(worldOf([1], [BOX]));
  t.throws(() => engine.commit(), /no batch is pending/);
  t.throws(() => engine.rollback(), /no batch is pending/);
  const batch = batchOf(
    [fix(1, 1, 0.5)],
    [{ deviceId: 1, timeMs: 1, metricCode: 'temp', value: 1 }],
  );
  const first = engine.evaluate(batch);
  t.same(ids(first), [1]);
  t.throws(() => engine.evaluate(batch), /neither committed nor rolled back/);
  t.throws(() => engine.restore(1, null, null), /pending batch/);
  t.equal(engine.snapshot(1), null, 'not in force yet');
  engine.rollback();
  t.equal(engine.snapshot(1), null, 'nothing left behind');
  t.same(engine.evaluate(batch), first, 'again the same');
  engine.commit();
  t.same(engine.snapshot(1), first.changed[0]!.state);
  t.equal(engine.evaluate(batch).lateCount, 2);
  engine.rollback();
  engine.evaluate(batchOf([fix(1, 2, 5), fix(1, 3, 5)]));
  t.same(engine.snapshot(1), first.changed[0]!.state, 'the committed one while pending');
  engine.rollback();
  t.throws(
    () => engine.evaluate({ ...batch, fixes: { ...batch.fixes, count: 2 } }),
    /under 2 rows/,
  );
  t.end();
});

t.test('a rolled back first reading of a metric is not late when it comes again', (t) => {
  const rule = ruleOf(1, { metricCode: 'temp', value: 8 });
  const engine = createEngine(worldOf([1], [{ type: 'rule_put', rule }]));
  take(engine, [fix(1, 1, 5)]);
  const batch = batchOf([], [{ deviceId: 1, timeMs: 2, metricCode: 'temp', value: 9 }]);
  t.equal(engine.evaluate(batch).events.length, 1);
  engine.rollback();
  const again = engine.evaluate(batch);
  t.same([again.events.length, again.lateCount], [1, 0]);
  t.end();
});

t.test('a failed evaluation can be rolled back', (t) => {
  const engine = createEngine(worldOf([1], [BOX]));
  const batch = batchOf([fix(1, 1, 0.5)]);
  const broken = {
    ...batch,
    readings: batchOf([], [{ deviceId: 1, timeMs: 1, metricCode: 'x', value: 1 }]).readings,
  };
  Object.defineProperty(broken.readings.metricCode, 0, {
    get: () => {
      throw new Error('broken');
    },
  });
  t.throws(() => engine.evaluate(broken), /broken/);
  engine.rollback();
  t.equal(take(engine, [fix(1, 1, 0.5)]).events.length, 1);
  t.end();
});

t.test('scope: the whole tenant, one account, one unit, never another tenant', (t) => {
  const box = boxShape(0, 0, 1, 1);
  const world = createWorld();
  const device = (deviceId: number, tenantId: number, accountId: number | null): Edit => {
    return { type: 'device_put', device: { deviceId, tenantId, accountId, equipmentId: deviceId } };
  };
  applyEdits(world, [
    device(1, 1, 11),
    device(2, 1, 12),
    device(3, 1, null),
    device(4, 2, 11),
    { type: 'fence_put', fence: fenceOf(1, box) },
    { type: 'fence_put', fence: fenceOf(2, box, { accountId: 11 }) },
    { type: 'fence_put', fence: fenceOf(3, box, { tenantId: 2 }) },
    { type: 'rule_put', rule: ruleOf(1) },
    { type: 'rule_put', rule: ruleOf(2, { accountId: 11 }) },
    { type: 'rule_put', rule: ruleOf(3, { equipmentId: 2 }) },
    { type: 'rule_put', rule: ruleOf(4, { tenantId: 2 }) },
  ]);
  const { events } = take(
    createEngine(world),
    [1, 2, 3, 4].map((id) => fix(id, 1, 0.5, { speedMps: 30 })),
  );
  const of = (deviceId: number): string =>
    events
      .filter((e) => e.deviceId === deviceId)
      .map((e) => (e.fenceId ? `f${e.fenceId}` : `r${e.ruleId}`))
      .join(' ');
  t.same([1, 2, 3, 4].map(of), ['f1 f2 r1 r2', 'f1 r1 r3', 'f1 r1', 'f3 r4']);
  t.end();
});

/** What must come out, said slowly: turf, one fence after the other, no edits, no accuracy. */
function reference(fences: readonly Fence[], path: readonly FixRow[]): string[] {
  const told: { at: number; order: number; fenceId: number; text: string }[] = [];
  for (const fence of fences) {
    const { shape, fenceId, enterFixCount, exitFixCount } = fence;
    let inside = false;
    let run = 0;
    let initial = false;
    path.forEach((row, i) => {
      const point = [row.lonDeg, row.latDeg];
      const isIn =
        shape.type === 'polygon'
          ? turf.booleanPointInPolygon(
              point,
              turf.multiPolygon(shape.polygons as unknown as number[][][][]),
            )
          : shape.type === 'circle' &&
            turf.distance([shape.centerLonDeg, shape.centerLatDeg], point, { units: 'meters' }) <=
              shape.radiusM;
      if (isIn === inside) {
        run = 0;
        return;
      }
      if (run === 0) initial = i === 0;
      if (++run < (inside ? exitFixCount : enterFixCount)) return;
      const text = `${row.timeMs} ${inside ? 'exit' : 'enter'} ${fenceId}${initial && !inside ? ' initial' : ''}`;
      told.push({ at: i, order: inside ? 0 : 1, fenceId, text });
      inside = !inside;
      run = 0;
    });
  }
  return told
    .sort((a, b) => a.at - b.at || a.order - b.order || a.fenceId - b.fenceId)
    .map((e) => e.text);
}

function tell({ timeMs, type, fenceId, ruleId, initial }: EngineEvent): string {
  const word = {
    geofence_enter: 'enter',
    geofence_exit: 'exit',
    geofence_dwell: 'dwell',
    geofence_cross: 'cross',
    alert_raised: 'raise',
    alert_cleared: 'clear',
  }[type];
  return `${timeMs} ${word} ${fenceId ?? `rule ${ruleId}`}${initial ? ' initial' : ''}`;
}

function randomFences(random: () => number): Fence[] {
  return Array.from({ length: 60 }, (_, i) => {
    const at: LonLat = [random() * 2, random() * 2];
    const counts = {
      enterFixCount: 1 + Math.floor(random() * 3),
      exitFixCount: 1 + Math.floor(random() * 3),
    };
    return random() < 0.5
      ? fenceOf(
          i + 1,
          {
            type: 'circle',
            centerLonDeg: at[0],
            centerLatDeg: at[1],
            radiusM: 5000 + 30_000 * random(),
          },
          counts,
        )
      : fenceOf(
          i + 1,
          {
            type: 'polygon',
            polygons: [[starRing(random, at, 0.4, 24), starRing(random, at, 0.1, 9)]],
          },
          counts,
        );
  });
}

function randomPath(random: () => number, deviceId: number, count: number): FixRow[] {
  let lonDeg = random() * 2;
  let latDeg = random() * 2;
  return Array.from({ length: count }, (_, i) => {
    lonDeg = Math.min(2.2, Math.max(-0.2, lonDeg + (random() - 0.5) * 0.2));
    latDeg = Math.min(2.2, Math.max(-0.2, latDeg + (random() - 0.5) * 0.2));
    return { deviceId, timeMs: 1000 * (i + 1), lonDeg, latDeg, speedMps: random() * 40 };
  });
}

for (const seed of [101, 102, 103]) {
  t.test(`a random fleet: slow reference, restarts, rollbacks, resends (seed ${seed})`, (t) => {
    const random = seededRandom(seed);
    const fences = randomFences(random);
    const devices = [1, 2, 3, 4, 5];
    const rules = [
      ruleOf(1, { holdMs: 2000, clearValue: 20 }),
      ruleOf(2, { metricCode: 'temp', value: 0.8 }),
    ];
    const world = worldOf(devices, [
      ...fences.map((fence): Edit => ({ type: 'fence_put', fence })),
      ...rules.map((rule): Edit => ({ type: 'rule_put', rule })),
    ]);
    const paths = devices.map((id) => randomPath(random, id, 150));
    const rows = paths.flat().sort((a, b) => a.timeMs - b.timeMs);
    const temps = rows.map(({ deviceId, timeMs }): ReadingRow => ({
      deviceId,
      timeMs,
      metricCode: 'temp',
      value: random(),
    }));

    const whole = take(createEngine(world), rows, temps).events;
    for (const [i, deviceId] of devices.entries()) {
      const told = whole.filter((e) => e.deviceId === deviceId && e.fenceId !== null).map(tell);
      t.same(told, reference(fences, paths[i]!), `device ${deviceId} against the reference`);
    }
    t.equal(whole.filter((e) => e.fenceId !== null).length > 100, true);
    t.equal(whole.filter((e) => e.ruleId !== null).length > 100, true);

    // The same rows in random pieces, with everything that can go wrong between them.
    const stored = new Map<number, string>();
    let engine = createEngine(world);
    const events: EngineEvent[] = [];
    let done = 0;
    while (done < rows.length) {
      const size = Math.min(rows.length - done, 1 + Math.floor(random() * 40));
      const from = random() < 0.3 ? 0 : done;
      const batch = batchOf(rows.slice(from, done + size), temps.slice(from, done + size));
      let evaluation = engine.evaluate(batch);
      if (random() < 0.3) {
        engine.rollback();
        if (random() < 0.5) engine = restarted(world, stored, rows.slice(0, done));
        evaluation = engine.evaluate(batch);
      }
      for (const { deviceId, state } of evaluation.changed) {
        stored.set(deviceId, JSON.stringify(state));
      }
      engine.commit();
      events.push(...evaluation.events);
      done += size;
      if (random() < 0.3) engine = restarted(world, stored, rows.slice(0, done));
    }
    const byDevice = events.toSorted((a, b) => a.deviceId - b.deviceId);
    t.same(byDevice.map(tell), whole.map(tell), 'in pieces');
    t.end();
  });
}

/** A new process: states as stored, the last fix and readings as the database has them. */
function restarted(
  world: World,
  stored: ReadonlyMap<number, string>,
  rows: readonly FixRow[],
): Engine {
  const engine = createEngine(world);
  for (const deviceId of world.devices.keys()) {
    const row = rows.findLast((r) => r.deviceId === deviceId);
    const state = stored.get(deviceId);
    const last: DeviceLast | null = row
      ? {
          fixMs: row.timeMs,
          lonDeg: row.lonDeg,
          latDeg: row.latDeg,
          accuracyM: NaN,
          readingMs: { temp: row.timeMs },
        }
      : null;
    engine.restore(deviceId, state === undefined ? null : (JSON.parse(state) as DeviceState), last);
  }
  return engine;
}

t.test('what edits ended waits for a batch with a clock, which fixes do not disturb', (t) => {
  const world = worldOf([1], [BOX]);
  const engine = createEngine(world);
  engine.evaluate(batchOf([fix(1, 1000, 0.5)], [], 1000));
  engine.commit();
  t.equal(engine.hasWork(), false);
  applyEdits(world, [{ type: 'fence_delete', fenceId: 1 }]);
  t.equal(engine.hasWork(), true);
  t.same(take(engine, [fix(1, 2000, 5), fix(1, 3000, 5)]).events, []);
  t.equal(engine.hasWork(), true, 'a batch without a clock');
  const { events } = engine.evaluate(batchOf([], [], 10_000));
  t.match(events, [{ type: 'geofence_exit', cause: 'fence_removed', timeMs: 10_000 }]);
  engine.rollback();
  t.equal(engine.hasWork(), true, 'rolled back');
  t.equal(engine.evaluate(batchOf([], [], 10_000)).events.length, 1);
  engine.commit();
  t.equal(engine.hasWork(), false);
  t.end();
});

t.test('what is restored before anybody says whose it is waits, and is then as any other', (t) => {
  const place = { fixMs: 1000, lonDeg: 0.5, latDeg: 0.5, accuracyM: NaN, readingMs: {} };
  const fence = fenceOf(1, boxShape(0, 0, 1, 1), { dwellMs: 5000 });
  const stay = {
    fenceId: 1,
    version: 1,
    name: 'fence 1',
    enteredMs: 1000,
    enterMs: 1000,
    dwelled: false,
  };
  const inside = [{ ...stay, outCount: 0, outMs: null, lastInMs: null, endMs: null }];
  const state: DeviceState = { ...NOTHING, inside };
  const device: Edit = {
    type: 'device_put',
    device: { deviceId: 1, tenantId: 1, accountId: null, equipmentId: 10 },
  };
  for (const way of ['told later', 'restored while a batch is pending']) {
    const world = worldOf([], [{ type: 'fence_put', fence }]);
    const engine = createEngine(world);
    if (way === 'told later') {
      engine.restore(1, state, place);
      engine.evaluate(batchOf([], [], 2000));
      engine.commit();
      applyEdits(world, [device]);
    } else {
      applyEdits(world, [device]);
      engine.evaluate(batchOf([], [], 2000));
      engine.restore(1, state, place);
      engine.rollback();
    }
    const { events } = engine.evaluate(batchOf([], [], 9000));
    t.match(events, [{ type: 'geofence_dwell', equipmentId: 10, timeMs: 6000 }], way);
  }
  t.end();
});

t.test(
  'hours that are taken away after they ended, told by the clock: the van that stands there enters anew',
  (t) => {
    const dayMs = Date.UTC(2026, 2, 1);
    const at = (clock: string): number => {
      const [hour = 0, minute = 0] = clock.split(':').map(Number);
      return dayMs + (hour * 60 + minute) * 60_000;
    };
    const windows = [{ days: [1, 2, 3, 4, 5, 6, 7], startMin: 540, endMin: 600 }];
    const fence = fenceOf(1, boxShape(8, 50, 8.1, 50.1), {
      schedule: { timeZone: 'UTC', windows },
    });
    for (const usesClearBox of [true, false]) {
      const world = createWorld();
      const device = { deviceId: 7, tenantId: 1, accountId: null, equipmentId: 70 };
      applyEdits(world, [
        { type: 'fence_put', fence },
        { type: 'device_put', device },
      ]);
      const engine = createEngine(world, { usesClearBox });
      const told = (clocks: string[], now: string): string[] => {
        const rows = clocks.map((clock) => ({
          deviceId: 7,
          timeMs: at(clock),
          lonDeg: 8.05,
          latDeg: 50.05,
        }));
        const { events } = engine.evaluate(batchOf(rows, [], at(now)));
        engine.commit();
        return events.map(
          ({ type, cause, timeMs }) => `${type} ${cause} ${(timeMs - dayMs) / 60_000}`,
        );
      };
      t.same(told(['09:01'], '09:01'), ['geofence_enter first_fix 541']);
      applyEdits(world, [{ type: 'fence_put', fence: { ...fence, version: 2, schedule: null } }]);
      t.same(told(['09:30', '09:31', '09:32'], '10:05'), ['geofence_exit schedule 600']);
      t.same(told(['10:06'], '10:06'), ['geofence_enter fence_changed 606']);
    }
    t.end();
  },
);
