import pg from 'pg';
import t, { type Test } from 'tap';
import { createPool, valueTypes } from '../db/pools.ts';
import { createTestDatabase } from '../db/test-database.ts';
import { ensureTimePartitions } from '../db/time-series.ts';
import type { Edit } from '../engine/types.ts';
import type { RestoredDevice } from './config-rows.ts';
import { ConfigSync } from './config-sync.ts';
import { Registry } from './registry.ts';
import { seedTestFleet } from './test-fleet.ts';

const FIX_MS = Math.floor(Date.now() / 1000) * 1000 - 60_000;
const NOTHING = { inside: [], entering: [], ended: [], rules: [] };

interface House {
  readonly owner: pg.Client;
  readonly registry: Registry;
  readonly sync: ConfigSync;
  readonly restored: RestoredDevice[];
  /** Resolves when a round has failed. */
  readonly failed: Promise<void>;
  /** The edits since the last call, in words. */
  edits(): string[];
  /** Reads everything anew. */
  reload(): Promise<string[]>;
}

async function openHouse(t: Test, units: number): Promise<House & { customerId: number }> {
  const { ownerUrl } = await createTestDatabase(t);
  const { customerId } = await seedTestFleet(ownerUrl, units);
  const owner = new pg.Client({ connectionString: ownerUrl, types: valueTypes });
  owner.on('error', () => undefined);
  await owner.connect();
  const pool = createPool({
    connectionString: ownerUrl,
    role: 'milepost_ingest',
    max: 2,
    applicationName: 'config-sync',
    statementTimeoutMs: 10_000,
    onError: () => undefined,
  });
  const registry = new Registry();
  const made: Edit[] = [];
  const restored: RestoredDevice[] = [];
  let onFailed = (): void => undefined;
  const failed = new Promise<void>((resolve) => (onFailed = resolve));
  const sync = new ConfigSync({
    pool,
    registry,
    log: { info: () => undefined, warn: () => onFailed(), error: () => undefined },
    target: {
      applyEdits: (edits) => void made.push(...edits),
      restore: (device) => void restored.push(device),
      deviceRevoked: () => undefined,
    },
  });
  t.teardown(async () => {
    await sync.stop();
    await pool.end();
    await owner.end();
  });
  const edits = (): string[] => made.splice(0).map(told).sort();
  return {
    customerId,
    owner,
    registry,
    sync,
    restored,
    failed,
    edits,
    async reload() {
      sync.onReset();
      await sync.settled();
      return edits().filter((edit) => !edit.startsWith('device_put'));
    },
  };
}

function told(edit: Edit): string {
  if (edit.type === 'fence_put') return `fence_put ${edit.fence.name}`;
  if (edit.type === 'fence_delete') return 'fence_delete';
  return edit.type;
}

t.test('a full reload takes what has changed since, fences by their version', async (t) => {
  const house = await openHouse(t, 1);
  const { owner, customerId } = house;
  await owner.query(
    `insert into geofence (customer_id, geofence_name, shape_type, center_lat, center_lng, radius_m)
       select $1, 'F' || i, 'circle', 41, -87, 100 from generate_series(1, 4) as i`,
    [customerId],
  );
  await house.sync.load();
  t.same(house.edits(), ['device_put', 'fence_put F1', 'fence_put F2', 'fence_put F3', 'fence_put F4']); // prettier-ignore
  t.same(await house.reload(), [], 'nothing changed');
  await owner.query(
    `update geofence set radius_m = 200, geofence_name = 'F2b' where geofence_name = 'F2'`,
  );
  await owner.query(`update geofence set status = 'disabled' where geofence_name = 'F3'`);
  await owner.query(`delete from geofence where geofence_name = 'F4'`);
  t.same(await house.reload(), ['fence_delete', 'fence_delete', 'fence_put F2b']);
  t.equal(house.sync.fenceCount, 2);
  t.same(await house.reload(), []);
});

t.test('a reload that fails is done again and loses nothing', async (t) => {
  const house = await openHouse(t, 1);
  const { owner, customerId } = house;
  await house.sync.load();
  house.edits();
  await owner.query(
    `insert into geofence (customer_id, geofence_name, shape_type, center_lat, center_lng, radius_m)
       values ($1, 'Yard', 'circle', 41, -87, 100)`,
    [customerId],
  );
  await owner.query(
    `insert into gateway_token (customer_id, name, token_hash) values ($1, 'new', sha256('x'))`,
    [customerId],
  );
  // The fence can be read, the devices after it cannot.
  await owner.query('alter table iot_device rename to iot_device_away');
  house.sync.onReset();
  await house.failed;
  await owner.query('alter table iot_device_away rename to iot_device');
  await house.sync.settled();
  t.equal(house.edits().filter((edit) => edit === 'fence_put Yard').length, 1);
  t.equal(house.sync.fenceCount, 1);
  t.equal([...house.registry.gatewayIds].length, 2);
});

t.test('more devices than are read in one page, and those that are gone', async (t) => {
  const house = await openHouse(t, 2);
  const { owner, customerId } = house;
  await owner.query(
    `insert into iot_device (customer_id, device_identifier, device_type)
       select $1, 'extra-' || i, 'tracker' from generate_series(1, 10100) as i`,
    [customerId],
  );
  await house.sync.load();
  t.equal(house.registry.deviceCount, 10_102);
  t.same(house.restored, [], 'devices that were never heard of take no memory');
  house.edits();
  await owner.query(`delete from iot_device where device_identifier in ('extra-1', 'extra-7500')`);
  await owner.query(`update iot_device set status = 'disabled' where device_identifier = 'dev-2'`);
  t.same(await house.reload(), ['device_delete']);
  t.equal(house.registry.deviceCount, 10_099);
  t.equal(house.registry.deviceNamed('extra-7500'), undefined);
  t.ok(house.registry.deviceNamed('extra-10100'));
});

t.test('what was stored of a device is restored once', async (t) => {
  const house = await openHouse(t, 2);
  const { owner, customerId } = house;
  const { rows } = await owner.query<{ id: number }>(
    'select equipment_has_iot_device_id as id from equipment_has_iot_device order by 1',
  );
  await owner.query(
    `insert into engine_state (equipment_has_iot_device_id, customer_id, state)
       values ($1, $2, '{"inside": [], "entering": [], "ended": [], "rules": []}')`,
    [rows[1]!.id, customerId],
  );
  await house.sync.load();
  await house.reload();
  t.same(house.restored, [{ deviceId: rows[1]!.id, state: NOTHING, last: null }]);
  await owner.query(`update iot_device set status = 'disabled' where device_identifier = 'dev-2'`);
  await house.reload();
  t.equal(house.registry.deviceNamed('dev-2'), undefined);
  await owner.query(`update iot_device set status = 'active' where device_identifier = 'dev-2'`);
  await house.reload();
  t.ok(house.registry.deviceNamed('dev-2'));
  t.equal(house.restored.length, 1, 'memory is ahead of the database, also of one that was away');
});

t.test(
  'stays of devices that left while nobody looked are shown to the engine, and ended',
  async (t) => {
    const house = await openHouse(t, 5);
    const { owner, customerId, sync } = house;
    const { rows } = await owner.query<{ id: number }>(
      'select equipment_has_iot_device_id as id from equipment_has_iot_device order by 1',
    );
    const ids = rows.map((row) => row.id);
    const inside = { ...NOTHING, inside: [{ fenceId: 1 }] };
    for (const [i, id] of ids.entries()) {
      // The second was nowhere; the last is still there.
      await owner.query('insert into engine_state values ($1, $2, $3)', [id, customerId, i === 1 ? NOTHING : inside]); // prettier-ignore
    }
    await owner.query(
      `update equipment_has_iot_device set removed_at = now() where equipment_has_iot_device_id = any ($1)`,
      [[ids[0], ids[1]]],
    );
    await owner.query(
      `update iot_device set status = 'disabled' where device_identifier = 'dev-3'`,
    );
    await owner.query(`update iot_device set status = 'retired' where device_identifier = 'dev-4'`);
    await sync.load();
    await sync.settled();
    const gone = [ids[0], ids[2], ids[3]];
    t.same(
      house.restored.map(({ deviceId, state }) => [deviceId, state]),
      [ids[4], ...gone].map((id) => [id, inside]),
    );
    t.same(
      house.edits().filter((edit) => edit === 'device_delete').length,
      3,
      'each is gone again',
    );
    await owner.query(`update iot_device set status = 'active' where device_identifier = 'dev-3'`);
    await house.reload();
    t.ok(house.registry.deviceNamed('dev-3'));
    t.equal(house.restored.length, 4, 'memory is ahead of the database');
  },
);

t.test('the newest fix is that of the latest position, or is looked for', async (t) => {
  const house = await openHouse(t, 4);
  const { owner, customerId } = house;
  await ensureTimePartitions(owner, FIX_MS, FIX_MS);
  const { rows: links } = await owner.query<{ id: number; unit: number }>(
    `select equipment_has_iot_device_id as id, equipment_id as unit
       from equipment_has_iot_device order by 1`,
  );
  const [named, second, readingsOnly, never] = [links[0]!, links[1]!, links[2]!, links[3]!];
  // The second device speaks for the first one's unit too, and is not the one that its latest position names.
  await owner.query(
    'update equipment_has_iot_device set equipment_id = $1 where equipment_has_iot_device_id = $2',
    [named.unit, second.id],
  );
  const at = new Date(FIX_MS);
  await owner.query(
    `insert into telematics (customer_id, equipment_id, unit_number, equipment_has_iot_device_id, recorded_at,
       received_at, latitude, longitude, accuracy_m) values ($1, $2, 'u', $3, $4, $4, 41.5, -87.25, 7.5)`,
    [customerId, named.unit, named.id, at],
  );
  await owner.query(
    `insert into equipment_gps_location (equipment_has_iot_device_id, recorded_at, received_at, latitude, longitude)
       select $1, $2::timestamptz - i * interval '1 s', $2, 42, -88 from generate_series(1, 3) as i`,
    [second.id, at],
  );
  await owner.query(
    `insert into iot_device_metric (equipment_has_iot_device_id, metric_code, recorded_at, received_at, metric_value)
       select link, 'fuel', $3::timestamptz - i * interval '1 s', $3, 1
         from unnest($1::bigint[], $2::int[]) as m (link, i)`,
    [[named.id, named.id, readingsOnly.id], [5, 6, 9], at],
  );
  await owner.query(
    `insert into engine_state (equipment_has_iot_device_id, customer_id, state) values ($1, $2, $3)`,
    [readingsOnly.id, customerId, NOTHING],
  );
  await owner.query(
    `insert into telematic_alert (customer_id, alert_name, metric_code, operator, operator_value)
       values ($1, 'Low', 'fuel', '<', 5)`,
    [customerId],
  );
  await house.sync.load();
  const last = { fixMs: NaN, lonDeg: NaN, latDeg: NaN, accuracyM: NaN, readingMs: {} };
  t.same(
    house.restored.toSorted((a, b) => a.deviceId - b.deviceId),
    [
      {
        deviceId: named.id,
        state: null,
        last: { fixMs: FIX_MS, lonDeg: -87.25, latDeg: 41.5, accuracyM: 7.5, readingMs: { fuel: FIX_MS - 5_000 } }, // prettier-ignore
      },
      {
        deviceId: second.id,
        state: null,
        last: { ...last, fixMs: FIX_MS - 1_000, lonDeg: -88, latDeg: 42 },
      },
      { deviceId: readingsOnly.id, state: NOTHING, last: { ...last, readingMs: { fuel: FIX_MS - 9_000 } } }, // prettier-ignore
    ],
  );
  t.ok(house.registry.deviceOfLink(never.id));
});

t.test(
  'changes told before the load are read with it, those told meanwhile after it',
  async (t) => {
    const house = await openHouse(t, 2);
    const { owner, sync, registry } = house;
    sync.onReset();
    await sync.settled();
    t.equal(registry.deviceCount, 0, 'nothing is read before the load');
    const loading = sync.load();
    await loading;
    await sync.settled();
    t.same(house.edits(), ['device_put', 'device_put'], 'once');
    const before = registry.deviceNamed('dev-1');
    await house.reload();
    t.equal(registry.deviceNamed('dev-1'), before, 'what is as it was stays the same object');
    await owner.query(`update equipment set unit_number = 'other' where unit_number = $1`, [
      before?.link?.unitNumber,
    ]);
    await house.reload();
    t.equal(registry.deviceNamed('dev-1')?.link?.unitNumber, 'other');
  },
);
