/**
 * From ingestion to those who keep a copy of the newest positions and metrics: what a batch brought is told, what was
 * late is not, and nothing is missed, in whatever order transactions end.
 */
import t, { type Test } from 'tap';
import pg from 'pg';
import { metricsFeed, positionsFeed } from './api/changes/latest.ts';
import { beginNow, beginWhole, readPage, type Told } from './api/changes/page.ts';
import type { Place } from './api/changes/cursor.ts';
import { pruneChanges } from './api/changes/prune.ts';
import { TELEMETRY_KEEP_MS } from './api/changes/stream.ts';
import { createPool, valueTypes } from './db/pools.ts';
import { withTenant } from './db/tenancy.ts';
import { startPipeline, type TestPipeline } from './ingest/test-pipeline.ts';

const START_MS = Math.floor(Date.now() / 1_000) * 1_000 - 60_000;
const FEEDS = [metricsFeed, positionsFeed];

interface House {
  readonly pipeline: TestPipeline;
  readonly owner: pg.Pool;
  readonly api: pg.Pool;
  fix(unit: number, second: number): Promise<void>;
  metrics(unit: number, second: number, values: Record<string, number>): Promise<void>;
  /** Waits for all transactions of the server: those of other tests keep back what is told here, too. */
  settle(): Promise<void>;
}

async function openHouse(t: Test): Promise<House> {
  const pipeline = await startPipeline(t, { units: 3 });
  const owner = new pg.Pool({ connectionString: pipeline.ownerUrl, types: valueTypes, max: 4 });
  const api = createPool({
    connectionString: pipeline.ownerUrl,
    role: 'milepost_api',
    max: 2,
    applicationName: 'changes',
    statementTimeoutMs: 10_000,
  });
  t.teardown(async () => void (await Promise.all([owner.end(), api.end()])));
  const NONE = {
    altitudeM: NaN,
    speedMps: NaN,
    headingDeg: NaN,
    accuracyM: NaN,
    odometerM: NaN,
    satellites: NaN,
    ignition: NaN,
    motion: NaN,
    seq: NaN,
    event: null,
  };
  return {
    pipeline,
    owner,
    api,
    async fix(unit, second) {
      const timeMs = START_MS + second * 1_000;
      await pipeline.submit(pipeline.sender(`dev-${unit}`), ({ fixes }) =>
        fixes.push({ index: 0, device: null, timeMs, latDeg: second, lonDeg: unit, ...NONE }),
      );
    },
    async settle() {
      const { rows } = await owner.query<{ xid: string }>('select pg_current_xact_id() as xid');
      const isOver = 'select pg_snapshot_xmin(pg_current_snapshot()) > $1::xid8 as over';
      for (;;) {
        const answer = await owner.query<{ over: boolean }>(isOver, [rows[0]!.xid]);
        if (answer.rows[0]!.over) return;
      }
    },
    async metrics(unit, second, values) {
      const timeMs = START_MS + second * 1_000;
      await pipeline.submit(pipeline.sender(`dev-${unit}`), ({ readings }) => {
        for (const [metricCode, value] of Object.entries(values))
          readings.push({ index: 0, device: null, timeMs, metricCode, value, uomCode: null });
      });
    },
  };
}

/** A copy as a partner keeps it. */
class Copy {
  place: Place | null = null;
  readonly rows = new Map<string, Record<string, unknown>>();
  private readonly house: House;
  private readonly accountIds: readonly number[] | null;

  constructor(house: House, accountIds: readonly number[] | null = null) {
    this.house = house;
    this.accountIds = accountIds;
  }

  private get reading() {
    const { api, pipeline } = this.house;
    const tenant = { customerId: pipeline.fleet.customerId, accountIds: this.accountIds };
    return { pool: api, reader: { tenant, userId: null } };
  }

  async beginNow(): Promise<void> {
    this.place = await beginNow(this.reading, FEEDS, Date.now());
  }

  /** What came since, in words, once all that was begun is over. */
  async catchUp(limit = 100): Promise<string[]> {
    await this.house.settle();
    return this.ask(limit);
  }

  /** The same as of now. */
  async ask(limit = 100): Promise<string[]> {
    const told: Told[] = [];
    this.place ??= await beginWhole(this.reading, FEEDS, Date.now());
    for (let pages = 0; ; pages++) {
      if (pages > 100) throw new Error('it does not come to an end');
      const limits = { limit, nowMs: Date.now() };
      const page = await readPage(this.reading, FEEDS, this.place, limits);
      told.push(...page.told);
      this.place = page.place;
      if (!page.hasMore) break;
    }
    for (const { path, id, row } of told) {
      if (row === null) this.rows.delete(`${path}/${id}`);
      else this.rows.set(`${path}/${id}`, JSON.parse(row) as Record<string, unknown>);
    }
    return told.map(({ path, id, operation, row }) => {
      const { latitude, metric_value: value } = JSON.parse(row ?? '{}') as Record<string, number>;
      return `${path === 'latest-positions' ? 'unit' : 'metric'} ${id} ${operation === 'deleted' ? 'gone' : (latitude ?? value)}`;
    });
  }
}

t.test('positions: newer ones are told, late ones are not', async (t) => {
  const house = await openHouse(t);
  const [one, two] = house.pipeline.fleet.equipmentIds;
  const copy = new Copy(house);
  await house.fix(1, 10);
  t.same(await copy.catchUp(), [`unit ${one} 10`], 'the whole');
  t.same(await copy.catchUp(), []);
  await house.fix(1, 20);
  await house.fix(2, 5);
  t.same((await copy.catchUp()).sort(), [`unit ${one} 20`, `unit ${two} 5`]);
  await house.fix(1, 15);
  t.same(await copy.catchUp(), [], 'it was late');
  for (let second = 21; second <= 30; second++) await house.fix(1, second);
  t.same(await copy.catchUp(), [`unit ${one} 30`], 'of many the last');
  await house.metrics(1, 31, { temperature_c: 4 });
  t.same((await copy.catchUp()).sort().at(-1), `unit ${one} 30`, 'it is shown with a temperature');
  t.equal(copy.rows.get(`latest-positions/${one}`)!['temperature'], 4);
});

t.test('metrics: the newest of each code', async (t) => {
  const house = await openHouse(t);
  const [one, two] = house.pipeline.fleet.deviceIds;
  const copy = new Copy(house);
  await house.metrics(1, 10, { fuel: 50, oil: 3 });
  await house.metrics(2, 10, { fuel: 70 });
  t.same(
    await copy.catchUp(1),
    [`metric ${one}/fuel 50`, `metric ${one}/oil 3`, `metric ${two}/fuel 70`],
    'the whole, in pages of one',
  );
  await house.metrics(1, 20, { fuel: 49 });
  t.same(await copy.catchUp(), [`metric ${one}/fuel 49`]);
  await house.metrics(1, 15, { fuel: 49.5 });
  t.same(await copy.catchUp(), [], 'it was late');
  await house.metrics(1, 12, { oil: 2 });
  t.same(
    await copy.catchUp(),
    [`metric ${one}/oil 2`],
    'late for the device, and the newest of its code',
  );
  for (let second = 21; second <= 25; second++) {
    await house.metrics(1, second, { fuel: second, oil: second });
    await house.metrics(2, second, { fuel: second });
  }
  t.same(
    (await copy.catchUp(1)).sort(),
    [`metric ${one}/fuel 25`, `metric ${one}/oil 25`, `metric ${two}/fuel 25`],
    'told once, in pages of one',
  );
});

t.test('transactions that end in the other order than they began in', async (t) => {
  const house = await openHouse(t);
  const [one, two, three] = house.pipeline.fleet.equipmentIds;
  for (const unit of [1, 2, 3]) await house.fix(unit, 1);
  const copy = new Copy(house);
  await copy.catchUp();
  const write = (client: pg.PoolClient | pg.Pool, unit: number, latitude: number) =>
    client.query(
      `with moved as (
         update telematics set latitude = $2, written_xid = pg_current_xact_id()::text::bigint where equipment_id = $1
         returning customer_id, equipment_id)
       insert into telemetry_change (customer_id, source_ids) select customer_id, array_agg(equipment_id) from moved group by 1`,
      [unit, latitude],
    );
  const early = await house.owner.connect();
  t.teardown(() => early.release(true));
  await early.query('begin');
  await write(early, one!, 11);
  await write(house.owner, two!, 12);
  t.same(await copy.ask(), [], 'what ended first waits for what began before it');
  await early.query('commit');
  t.same(await copy.catchUp(), [`unit ${one} 11`, `unit ${two} 12`]);
  await early.query('begin');
  await write(early, three!, 13);
  await write(house.owner, two!, 14);
  await early.query('rollback');
  t.same(await copy.catchUp(), [`unit ${two} 14`]);
});

t.test('notes that name more than one page looks through', async (t) => {
  const house = await openHouse(t);
  const { customerId, equipmentIds } = house.pipeline.fleet;
  const [one, two, three] = equipmentIds;
  for (const unit of [1, 2, 3]) await house.fix(unit, 1);
  const copy = new Copy(house);
  await copy.beginNow();
  const many = (latest: number) =>
    house.owner.query(
      `with moved as (
         update telematics set written_xid = pg_current_xact_id()::text::bigint where equipment_id = $2)
       insert into telemetry_change (customer_id, source_ids)
       select $1, array_agg(1000000 + n) || $2::bigint from generate_series(1, 6000) n`,
      [customerId, latest],
    );
  for (const unit of [one!, two!, three!]) await many(unit);
  t.same(await copy.catchUp(2), [`unit ${one} 1`, `unit ${two} 1`, `unit ${three} 1`]);
  t.same(await copy.catchUp(2), []);
});

t.test('a unit that moves to another account takes positions and metrics with it', async (t) => {
  const house = await openHouse(t);
  const { customerId, accountId, equipmentIds, deviceIds } = house.pipeline.fleet;
  const { rows } = await house.owner.query<{ id: number }>(
    `insert into account (customer_id, account_name, account_number, account_type)
     values ($1, 'Other', 'A2', 'REGIONAL') returning account_id as id`,
    [customerId],
  );
  const other = rows[0]!.id;
  const whole = new Copy(house);
  const old = new Copy(house, [accountId]);
  const next = new Copy(house, [other]);
  await house.fix(1, 1);
  await house.metrics(1, 1, { fuel: 50 });
  for (const copy of [whole, old, next]) await copy.catchUp();
  t.equal(old.rows.size, 2);
  t.equal(next.rows.size, 0);
  await withTenant(house.api, { customerId, accountIds: null }, (_db, client) =>
    client.query('update equipment set account_id = $1 where equipment_id = $2', [
      other,
      equipmentIds[0],
    ]),
  );
  t.same((await old.catchUp()).sort(), [
    `metric ${deviceIds[0]}/fuel gone`,
    `unit ${equipmentIds[0]} gone`,
  ]);
  t.same((await next.catchUp()).sort(), [
    `metric ${deviceIds[0]}/fuel 50`,
    `unit ${equipmentIds[0]} 1`,
  ]);
  t.equal((await whole.catchUp()).length, 2);
  t.equal(whole.rows.get(`latest-positions/${equipmentIds[0]}`)!['account_id'], other);
  await house.fix(1, 2);
  await house.metrics(1, 2, { fuel: 49 });
  t.same(await old.catchUp(), [], 'nothing more is told of it');
});

t.test('who comes back late is told every row, and nobody misses what is removed', async (t) => {
  const house = await openHouse(t);
  const [one, two] = house.pipeline.fleet.equipmentIds;
  for (const unit of [1, 2]) await house.fix(unit, 1);
  const copy = new Copy(house);
  await copy.beginNow();
  await house.fix(1, 2);
  const runner = createPool({
    connectionString: house.pipeline.ownerUrl,
    role: 'milepost_runner',
    max: 1,
    applicationName: 'prune',
    statementTimeoutMs: 10_000,
  });
  t.teardown(() => runner.end());
  const prune = (now: number) =>
    pruneChanges({ pool: runner, now: () => now, onError: () => undefined });
  t.equal(await prune(Date.now()), 0);
  t.ok((await prune(Date.now() + TELEMETRY_KEEP_MS + 60_000)) >= 3);
  const streams = Object.fromEntries(
    Object.entries(copy.place!.streams).map(([index, [xid, id, ord, ms]]) => [
      index,
      [xid!, id!, ord!, ms! - TELEMETRY_KEEP_MS],
    ]),
  );
  copy.place = { ...copy.place!, streams };
  t.same(await copy.catchUp(), [`unit ${one} 2`, `unit ${two} 1`]);
  t.same(await copy.catchUp(), []);

  // As after a restore: the same numbers are given again, to others.
  await house.fix(1, 3);
  await copy.catchUp();
  const ahead = Object.fromEntries(
    Object.entries(copy.place.streams).map(([index, [xid, ...rest]]) => [
      index,
      [xid! + 1_000, ...rest],
    ]),
  );
  copy.place = { ...copy.place, streams: ahead };
  t.same(await copy.catchUp(), [`unit ${one} 3`, `unit ${two} 1`], 'numbers of the future');
  const before = copy.place;
  await house.fix(2, 4);
  await house.owner.query(`update telemetry_change set written_at = now() + interval '5 minutes'`);
  copy.place = {
    ...before,
    streams: Object.fromEntries(
      Object.entries(before.streams).map(([index, [xid, ...rest]]) => [index, [xid! + 1, ...rest]]),
    ),
  };
  await house.owner.query('select pg_current_xact_id()');
  t.same(await copy.catchUp(), [`unit ${one} 3`, `unit ${two} 4`], 'numbers that were given twice');
});
