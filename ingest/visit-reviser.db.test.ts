/** Late fixes against stored visits: what is read and written, and that the live engine is not in its way. */
import pg from 'pg';
import t, { type Test } from 'tap';
import { valueTypes } from '../db/pools.ts';
import { ensureTimePartitions } from '../db/time-series.ts';
import type { DeviceState, Evaluation, InsideState } from '../engine/types.ts';
import { applyEdits, createWorld, fencesAt } from '../engine/world.ts';
import { emptyFixes, emptyReadings, type Batch } from './batch.ts';
import { loadFences, readFenceRows } from './fence-rows.ts';
import { startPipeline } from './test-pipeline.ts';
import { Turns } from './turns.ts';
import { PASS_FIXES_MAX, VisitReviser } from './visit-reviser.ts';

/** Two hours ago, on the second. */
const START_MS = Math.floor(Date.now() / 1000) * 1000 - 7_200_000;
const YARD = { lonDeg: -87.5, latDeg: 41.5 };
const ROAD = { lonDeg: -87.4, latDeg: 41.5 };

interface House {
  readonly owner: pg.Client;
  readonly reviser: VisitReviser;
  readonly deviceId: number;
  readonly fenceId: number;
  readonly changed: Record<string, number>;
  /** Called in the middle of each pass. */
  onPass: () => Promise<void>;
  /** Stores fixes at these seconds after the start, in the yard or on the road. */
  fixes(yard: readonly number[], road: readonly number[]): Promise<void>;
  /** A visit from second to second; null: still there. */
  visit(from: number, to: number | null, more?: string): Promise<void>;
  state(inside: Partial<InsideState>[]): Promise<void>;
  ask(from: number, to: number): Promise<void>;
  /** Visits in seconds, `opened: entered-left revision`. */
  told(): Promise<string[]>;
  asked(): Promise<number>;
}

async function openHouse(t: Test): Promise<House> {
  const { ownerUrl, pool, fleet } = await startPipeline(t);
  const owner = new pg.Client({ connectionString: ownerUrl, types: valueTypes });
  await owner.connect();
  t.teardown(() => owner.end());
  await ensureTimePartitions(owner, START_MS - 3_600_000, START_MS + 7_200_000);
  const { customerId } = fleet;
  const deviceId = fleet.deviceIds[0]!;
  const { rows } = await owner.query<{ id: number }>(
    `insert into geofence (customer_id, geofence_name, shape_type, center_lat, center_lng, radius_m, updated_at)
     values ($1, 'Yard', 'circle', $2, $3, 500, to_timestamp($4::float8 / 1000) - interval '1 day')
     returning geofence_id as id`,
    [customerId, YARD.latDeg, YARD.lonDeg, START_MS],
  );
  const fenceId = rows[0]!.id;
  const world = createWorld();
  const fences = loadFences(await readFenceRows(pool, [fenceId])).loaded.map((one) => one.fence);
  applyEdits(world, fences.map((fence) => ({ type: 'fence_put', fence }) as const)); // prettier-ignore
  const changed: Record<string, number> = {};
  let passes: Promise<void> = Promise.resolve();
  const turns = new Turns();
  const run = turns.run.bind(turns);
  turns.run = async (work, order) => {
    const result = await run(work, order);
    await passes;
    return result;
  };
  const reviser = new VisitReviser({
    pool,
    turns,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    metrics: { visitsChanged: (change, count) => void (changed[change] = (changed[change] ?? 0) + count) }, // prettier-ignore
    fencesAt(tenantId, lonDeg, latDeg) {
      passes = passes.then(() => house.onPass());
      return fencesAt(world, tenantId, lonDeg, latDeg);
    },
  });
  const at = (second: number): Date => new Date(START_MS + second * 1000);
  const second = (column: string): string =>
    `round(extract(epoch from ${column} - to_timestamp(${START_MS}::float8 / 1000)))`;
  const house: House = {
    owner,
    reviser,
    deviceId,
    fenceId,
    changed,
    onPass: () => Promise.resolve(),
    async fixes(yard, road) {
      for (const [seconds, { lonDeg, latDeg }] of [[yard, YARD], [road, ROAD]] as const) {
        await owner.query(
          `insert into equipment_gps_location (equipment_has_iot_device_id, recorded_at, received_at, latitude, longitude)
           select $1, unnest($2::timestamptz[]), now(), $3, $4`,
          [deviceId, seconds.map(at), latDeg, lonDeg],
        );
      } // prettier-ignore
    },
    async visit(from, to, more = '') {
      await owner.query(
        `insert into geofence_visit (customer_id, account_id, geofence_id, geofence_version, equipment_id,
           equipment_has_iot_device_id, opened_at, entered_at, first_fix_at, left_at, last_fix_at, left_cause, entered_cause)
         values ($1, $2, $3, 1, $4, $5, $6, $6, $6, $7, $8, $9, 'move')`,
        [customerId, fleet.accountId, fenceId, fleet.equipmentIds[0], deviceId, at(from), to === null ? null : at(to),
          to === null ? null : at(to - 10), to === null ? null : more || 'move'],
      ); // prettier-ignore
    },
    async state(inside) {
      const stays = inside.map((stay) => ({
        fenceId, version: 1, name: 'Yard', enteredMs: 0, enterMs: stay.enteredMs ?? 0, dwelled: false, outCount: 0,
        outMs: null, lastInMs: null, endMs: null, ...stay,
      })); // prettier-ignore
      const state: DeviceState = { inside: stays, entering: [], ended: [], rules: [] };
      await owner.query(
        `insert into engine_state (equipment_has_iot_device_id, customer_id, state) values ($1, $2, $3)
         on conflict (equipment_has_iot_device_id) do update set state = excluded.state`,
        [deviceId, customerId, state],
      );
    },
    async ask(from, to) {
      await owner.query(
        `insert into visit_revision (equipment_has_iot_device_id, customer_id, from_at, to_at) values ($1, $2, $3, $4)
         on conflict (equipment_has_iot_device_id) do update set from_at = excluded.from_at, to_at = excluded.to_at`,
        [deviceId, customerId, at(from), at(to)],
      );
      reviser.committed(committedBatch(deviceId, true));
    },
    async told() {
      const { rows: visits } = await owner.query<{ told: string }>(
        `select format('%s: %s-%s r%s%s', ${second('opened_at')}, ${second('entered_at')}, ${second('left_at')},
                  revision, case when retracted then ' retracted' else '' end) as told
         from geofence_visit order by entered_at`,
      );
      return visits.map((row) => row.told);
    },
    async asked() {
      return (await owner.query('select from visit_revision')).rowCount ?? 0;
    },
  };
  return house;
}

/** A batch with a new fix of a device, or with a late one. */
function committedBatch(
  deviceId: number,
  isLate: boolean,
): { batch: Batch; evaluation: Evaluation } {
  const fixes = emptyFixes(1);
  fixes.count = 1;
  fixes.deviceId[0] = deviceId;
  const batch = { fixes, readings: emptyReadings(0), events: [], rejects: [], receivedMs: 0, copyRoom: null }; // prettier-ignore
  const evaluation = {
    events: [],
    changed: [],
    latestFixRows: Int32Array.from(isLate ? [] : [0]),
    lateCount: isLate ? 1 : 0,
    lateFixes: isLate ? [{ deviceId, fromMs: 0, toMs: 0 }] : [],
  };
  return { batch, evaluation };
}

const seconds = (from: number, to: number): number[] =>
  Array.from({ length: (to - from) / 10 }, (_, i) => from + i * 10);

t.test(
  'visits are inserted, revised and retracted, and the same again changes nothing',
  async (t) => {
    const house = await openHouse(t);
    // In truth: in the yard from 100 to 190, from 300 to 390, and not at 500; live saw the first half of the first.
    await house.fixes(
      [...seconds(100, 200), ...seconds(300, 400)],
      [...seconds(0, 100), ...seconds(200, 300), ...seconds(400, 700)],
    );
    await house.visit(100, 150);
    await house.visit(500, 520);
    await house.state([]);
    await house.ask(150, 540);
    await house.reviser.settle();
    t.same(await house.told(), ['100: 100-200 r2', '300: 300-400 r1', '500: 500-520 r2 retracted']);
    t.equal(await house.asked(), 0);
    t.match(house.changed, { inserted: 1, revised: 1, retracted: 1 });
    const { rows } = await house.owner.query(
      `select geofence_name, entered_cause, left_cause, duration_s from geofence_visit where revision = 1`,
    );
    t.same(rows, [{ geofence_name: 'Yard', entered_cause: 'late_data', left_cause: 'move', duration_s: 100 }]); // prettier-ignore

    await house.ask(0, 700);
    await house.reviser.settle();
    t.same(await house.told(), ['100: 100-200 r2', '300: 300-400 r1', '500: 500-520 r2 retracted']);
    t.match(house.changed, { inserted: 1, revised: 1, retracted: 1 });
  },
);

t.test('the open visit moves its beginning and keeps its name', async (t) => {
  const house = await openHouse(t);
  await house.fixes([...seconds(100, 300)], [...seconds(0, 100)]);
  await house.visit(200, null);
  await house.state([{ enteredMs: START_MS + 200_000 }]);
  await house.ask(50, 190);
  await house.reviser.settle();
  t.same(await house.told(), ['200: 100- r2']);
  t.equal(await house.asked(), 0);
});

t.test('what depends on fixes to come waits for them', async (t) => {
  const house = await openHouse(t);
  // Late: away at 150 and 160. The live engine has the unit inside all the while.
  await house.fixes(seconds(100, 150), [...seconds(0, 100), 150, 160]);
  await house.visit(100, null);
  await house.state([{ enteredMs: START_MS + 100_000 }]);
  await house.ask(150, 160);
  await house.reviser.settle();
  t.same(await house.told(), ['100: 100- r1']);
  t.equal(await house.asked(), 1);
  await house.reviser.settle();
  await house.fixes([170], []);
  house.reviser.committed(committedBatch(house.deviceId + 1, false));
  await house.reviser.settle();
  t.same(await house.told(), ['100: 100- r1'], 'the fixes of another are not waited for');
  house.reviser.committed(committedBatch(house.deviceId, false));
  await house.reviser.settle();
  t.same(await house.told(), ['100: 100-150 r1', '100: 170- r2']);
  t.equal(await house.asked(), 0);
});

t.test('a fence that was edited meanwhile is left as it is', async (t) => {
  const house = await openHouse(t);
  await house.fixes(seconds(100, 200), [...seconds(0, 100), ...seconds(200, 300)]);
  await house.state([]);
  await house.owner.query('update geofence set radius_m = 400');
  await house.ask(0, 300);
  await house.reviser.settle();
  t.same(await house.told(), []);
  t.equal(await house.asked(), 0);
});

t.test('what the live engine writes meanwhile counts', async (t) => {
  const house = await openHouse(t);
  await house.fixes(seconds(100, 200), seconds(0, 100));
  await house.visit(150, null);
  await house.state([{ enteredMs: START_MS + 150_000 }]);
  let passes = 0;
  house.onPass = async () => {
    if (passes++ > 0) return;
    await house.fixes([], [200, 210]);
    await house.owner.query(
      `update geofence_visit set left_at = opened_at + interval '50 s', last_fix_at = opened_at + interval '40 s',
         left_cause = 'move'`,
    );
    await house.state([]);
  };
  await house.ask(50, 140);
  await house.reviser.settle();
  t.same(await house.told(), ['150: 100-200 r2']);
  t.ok(passes > 1);
});

t.test('a long range is done in passes', async (t) => {
  const house = await openHouse(t);
  const count = Math.floor(PASS_FIXES_MAX * 2.5);
  await house.owner.query(
    `insert into equipment_gps_location (equipment_has_iot_device_id, recorded_at, received_at, latitude, longitude)
     select $1, to_timestamp($2::float8 / 1000 + i * 0.1), now(), $3,
            case when i % 2000 between 500 and 599 then $4::float8 else $5 end
     from generate_series(0, $6::int) i`,
    [house.deviceId, START_MS, YARD.latDeg, YARD.lonDeg, ROAD.lonDeg, count],
  );
  await house.state([]);
  await house.ask(0, count / 10);
  await house.reviser.settle();
  const told = await house.told();
  t.equal(told.length, count / 2_000 + 0.5);
  t.equal(told[0], '50: 50-60 r1');
  t.equal(told.at(-1), '2450: 2450-2460 r1');
  t.equal(await house.asked(), 0);
});

t.test('a device whose visits the database refuses waits for its next fixes', async (t) => {
  const house = await openHouse(t);
  await house.fixes(seconds(100, 200), [...seconds(0, 100), ...seconds(200, 700)]);
  await house.state([]);
  await house.owner.query(`
    create function refuse() returns trigger language plpgsql as $$ begin raise 'refused'; end $$;
    create trigger refuse before insert on geofence_visit for each row execute function refuse()`);
  await house.ask(100, 200);
  await house.reviser.settle();
  t.same(await house.told(), []);
  t.equal(await house.asked(), 1, 'it is not forgotten, and nobody else is held up');
  await house.owner.query('drop trigger refuse on geofence_visit');
  house.reviser.committed(committedBatch(house.deviceId, false));
  await house.reviser.settle();
  t.same(await house.told(), ['100: 100-200 r1']);
  t.equal(await house.asked(), 0);
});
