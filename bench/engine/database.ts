/**
 * Fences from the database into the world, by the server's own `ConfigSync` and change feed: how long it takes to load them
 * all, and from the COMMIT of an edit until an engine over that world tells its consequence. The event loop is watched; the
 * pool, the parsing and the edit itself are in its turns, and nothing else is.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { createChangeFeed } from '../../db/change-feed.ts';
import { startEmbeddedPostgres } from '../../db/embedded.ts';
import { createPool, valueTypes } from '../../db/pools.ts';
import { createEngine, type Engine } from '../../engine/engine.ts';
import type { Fence, LonLat } from '../../engine/types.ts';
import { applyEdits, createWorld, type World } from '../../engine/world.ts';
import { ConfigSync } from '../../ingest/config-sync.ts';
import { Registry } from '../../ingest/registry.ts';
import { migrate } from '../../migrations/run.ts';
import type { Report } from '../report.ts';
import { areaOf } from './area.ts';
import { batchOfColumns, emptyColumns, FIX_EVERY_MS, START_MS } from './drive.ts';
import {
  EDIT_KINDS,
  isHeldInside,
  planEdits,
  startFences,
  type EditKind,
  type PlannedEdit,
} from './edits.ts';
import { watchLoop, type LoopWatch } from './loop-watch.ts';
import { percentile } from './statistics.ts';

export interface DatabaseParams {
  readonly seed: number;
  readonly fences: number;
  readonly vertices: number;
  readonly largeVertices: number;
  /** Edits of each kind. */
  readonly edits: number;
  /** Times that everything is loaded. */
  readonly loads: number;
}

export const DATABASE_PARAMS: DatabaseParams = {
  seed: 1,
  fences: 100_000,
  vertices: 24,
  largeVertices: 10_000,
  edits: 10,
  loads: 3,
};

export const DATABASE_PARAMS_TINY: DatabaseParams = {
  ...DATABASE_PARAMS,
  fences: 100,
  largeVertices: 500,
  edits: 2,
  loads: 1,
};

const SIZE_DEG = 4;
/** Fences of one insert. */
const SEED_ROWS_MAX = 2_000;
/** The only device, which is wherever an edit is looked for. */
const DEVICE_ID = 1;

/** An edit that is not seen by then never will be. */
const VISIBLE_MS_MAX = 30_000;

const SET_SHAPE = `update geofence set polygon = $2, status = $3 where geofence_id = $1`;

/** On a database of its own, which is made and removed. */
export async function benchDatabase(params: DatabaseParams, report: Report): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'milepost-bench-'));
  const database = await startEmbeddedPostgres({ dataDir, port: 0 });
  try {
    await migrate(database.connectionString);
    await measureDatabase(database.connectionString, params, report);
  } finally {
    await database.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** On a migrated database that has no fences yet. */
export async function measureDatabase(
  ownerUrl: string,
  params: DatabaseParams,
  report: Report,
): Promise<void> {
  const figure = (metric: string, value: number, unit: string): void =>
    report({ scenario: 'engine_database', metric, value, unit, params: { ...params } });
  const area = areaOf(SIZE_DEG);
  const fences = startFences(area, params);
  const owner = new pg.Client({ connectionString: ownerUrl, types: valueTypes });
  await owner.connect();
  try {
    const customerId = await seedFences(owner, fences);
    for (let n = 0; n < params.loads; n++) {
      const house = new House(ownerUrl, customerId);
      try {
        const { seconds, stallMs } = await house.load(params.fences);
        figure(n === 0 ? 'load_s' : `load_again_${n}_s`, seconds, 's');
        if (n === 0) figure('load_stall_max_ms', stallMs, 'ms');
        if (n < params.loads - 1) continue;
        const plans = planEdits(area, params, fences);
        tellEdits(await house.edit(owner, plans), figure);
      } finally {
        await house.close();
      }
    }
  } finally {
    await owner.end();
  }
}

interface Seen {
  readonly kind: EditKind;
  /** From sending COMMIT to the event. */
  readonly visibleMs: number;
  readonly stallMs: number;
}

function tellEdits(
  seen: readonly Seen[],
  figure: (metric: string, value: number, unit: string) => void,
): void {
  const visibleMs = seen.map((one) => one.visibleMs);
  figure('edit_visible_p50_ms', percentile(visibleMs, 50), 'ms');
  figure('edit_visible_p99_ms', percentile(visibleMs, 99), 'ms');
  figure('edit_visible_max_ms', Math.max(...visibleMs), 'ms');
  figure('edit_stall_max_ms', Math.max(...seen.map((one) => one.stallMs)), 'ms');
  for (const kind of EDIT_KINDS) {
    const ofKind = seen.filter((one) => one.kind === kind);
    figure(`${kind}_visible_max_ms`, Math.max(...ofKind.map((one) => one.visibleMs)), 'ms');
    figure(`${kind}_stall_max_ms`, Math.max(...ofKind.map((one) => one.stallMs)), 'ms');
  }
}

/** A world that follows the database, as ingestion keeps one, and an engine with one vehicle over it. */
class House {
  private readonly world: World = createWorld();
  private readonly engine: Engine = createEngine(this.world);
  private readonly pool: pg.Pool;
  private readonly sync: ConfigSync;
  private readonly changeFeed: ReturnType<typeof createChangeFeed>;
  private readonly watch: LoopWatch = watchLoop();
  private fixes = 0;
  /** Called after every round of edits. */
  private onEdits: () => void = () => undefined;
  /** Called when something must not have happened. */
  private onFault: (error: Error) => void = () => undefined;

  constructor(ownerUrl: string, customerId: number) {
    this.pool = createPool({
      connectionString: ownerUrl,
      role: 'milepost_ingest',
      max: 2,
      applicationName: 'engine bench',
      statementTimeoutMs: 60_000,
      onError: (error) => this.onFault(error),
    });
    const device = { deviceId: DEVICE_ID, tenantId: customerId, accountId: null, equipmentId: 1 };
    applyEdits(this.world, [{ type: 'device_put', device }]);
    const fault = (fields: object, message: string): void =>
      this.onFault(new Error(`${message}: ${JSON.stringify(fields)}`));
    this.sync = new ConfigSync({
      pool: this.pool,
      registry: new Registry(),
      log: { info: () => undefined, warn: fault, error: fault },
      target: {
        applyEdits: (edits) => {
          applyEdits(this.world, edits);
          this.onEdits();
        },
        restore: () => undefined,
        deviceRevoked: () => undefined,
      },
    });
    this.changeFeed = createChangeFeed({
      connectionString: ownerUrl,
      onChange: (change) => this.sync.onChange(change),
      onReset: () => this.sync.onReset(),
      onError: (error) => this.onFault(error),
    });
  }

  /** As a server starts: listens, then loads. */
  async load(fences: number): Promise<{ seconds: number; stallMs: number }> {
    await this.changeFeed.start();
    this.watch.takeMaxMs();
    const startedMs = performance.now();
    await this.sync.load();
    const seconds = (performance.now() - startedMs) / 1_000;
    const stallMs = this.watch.takeMaxMs();
    assert.equal(this.sync.fenceCount, fences, 'every fence is loaded');
    await this.sync.settled();
    return { seconds, stallMs };
  }

  /** One edit after the other; each is waited for. */
  async edit(owner: pg.Client, plans: readonly PlannedEdit[]): Promise<Seen[]> {
    const idOf = new Map<number, number>();
    const seen: Seen[] = [];
    for (const planned of plans) {
      const fenceId = await write(owner, planned, idOf);
      this.stand(planned.place);
      const wasInside = isHeldInside(this.engine, DEVICE_ID, fenceId);
      assert.equal(wasInside, !planned.isInside, `${planned.kind} changes something`);
      this.watch.takeMaxMs();
      const visible = this.expect(planned, fenceId);
      const startedMs = performance.now();
      await Promise.all([owner.query('commit'), visible]);
      seen.push({
        kind: planned.kind,
        visibleMs: (await visible) - startedMs,
        stallMs: this.watch.takeMaxMs(),
      });
      await this.sync.settled();
    }
    return seen;
  }

  async close(): Promise<void> {
    this.watch.stop();
    this.onFault = () => undefined;
    await this.changeFeed.stop();
    await this.sync.stop();
    await this.pool.end();
  }

  /** The time at which a batch that followed had the vehicle where the edit puts it. */
  private expect({ kind, place, isInside }: PlannedEdit, fenceId: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const patience = setTimeout(
        () => reject(new Error(`${kind} of fence ${fenceId} is not seen`)),
        VISIBLE_MS_MAX,
      );
      this.onFault = (error) => {
        clearTimeout(patience);
        reject(error);
      };
      this.onEdits = () => {
        this.stand(place);
        if (isHeldInside(this.engine, DEVICE_ID, fenceId) !== isInside) return;
        clearTimeout(patience);
        resolve(performance.now());
      };
    });
  }

  /** The vehicle's next fix. */
  private stand([lonDeg, latDeg]: LonLat): void {
    const fixes = emptyColumns(1);
    fixes.deviceId[0] = DEVICE_ID;
    fixes.timeMs[0] = START_MS + FIX_EVERY_MS * this.fixes++;
    fixes.lonDeg[0] = lonDeg;
    fixes.latDeg[0] = latDeg;
    fixes.count = 1;
    this.engine.evaluate(batchOfColumns(fixes));
    this.engine.commit();
  }
}

/** Everything of an edit but its COMMIT. Gives the fence's id; `idOf` keeps those of fences that were created. */
async function write(
  owner: pg.Client,
  { edit, fenceId }: PlannedEdit,
  idOf: Map<number, number>,
): Promise<number> {
  await owner.query('begin');
  if (edit.type === 'fence_delete') {
    const id = idOf.get(fenceId) ?? fenceId;
    await owner.query(`update geofence set status = 'disabled' where geofence_id = $1`, [id]);
    return id;
  }
  assert(edit.type === 'fence_put', 'fences alone are edited');
  const updated = await owner.query(SET_SHAPE, [fenceId, geoJsonOf(edit.fence), 'active']);
  if (updated.rowCount === 1) return fenceId;
  const { rows } = await owner.query<{ id: number }>(
    `insert into geofence (customer_id, geofence_name, shape_type, polygon, exit_fix_count)
       select customer_id, $1, 'polygon', $2, 2 from customer returning geofence_id as id`,
    [edit.fence.name, geoJsonOf(edit.fence)],
  );
  const id = rows[0]?.id;
  assert(id !== undefined, 'the fence is inserted');
  idOf.set(fenceId, id);
  return id;
}

/** Gives the customer, the only one. */
async function seedFences(owner: pg.Client, fences: readonly Fence[]): Promise<number> {
  const { rows } = await owner.query<{ id: number }>(
    `insert into customer (customer_name) values ('Bench') returning customer_id as id`,
  );
  const customerId = rows[0]?.id;
  assert(customerId !== undefined, 'the customer is inserted');
  for (let from = 0; from < fences.length; from += SEED_ROWS_MAX) {
    const some = fences.slice(from, from + SEED_ROWS_MAX);
    await owner.query(
      `insert into geofence (geofence_id, customer_id, geofence_name, shape_type, polygon, exit_buffer_m,
                             exit_fix_count, accuracy_m_max)
         overriding system value
         select id, $1, 'Fence ' || id, 'polygon', shape, buffer_m, 2, 100
           from unnest($2::bigint[], $3::jsonb[], $4::float8[]) as f (id, shape, buffer_m)`,
      [
        customerId,
        some.map((fence) => fence.fenceId),
        some.map(geoJsonOf),
        some.map((fence) => fence.exitBufferM),
      ],
    );
  }
  await owner.query(
    `select setval(pg_get_serial_sequence('geofence', 'geofence_id'), max(geofence_id) + 1) from geofence`,
  );
  // What PostgreSQL would do on the side in the minutes after so many new rows.
  await owner.query('vacuum (analyze) geofence');
  await owner.query('checkpoint');
  return customerId;
}

function geoJsonOf({ shape }: Fence): string {
  assert(shape.type === 'polygon', 'fences are polygons');
  return JSON.stringify({ type: 'Polygon', coordinates: shape.polygons[0] });
}
