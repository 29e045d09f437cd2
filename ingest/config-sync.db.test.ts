import pg from 'pg';
import t, { type Test } from 'tap';
import { createPool, valueTypes } from '../db/pools.ts';
import { createTestDatabase } from '../db/test-database.ts';
import type { Edit } from '../engine/types.ts';
import { ConfigSync } from './config-sync.ts';
import { Registry } from './registry.ts';
import { seedTestFleet } from './test-fleet.ts';

interface House {
  readonly owner: pg.Client;
  readonly registry: Registry;
  readonly sync: ConfigSync;
  readonly restored: number[];
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
  const restored: number[] = [];
  let onFailed = (): void => undefined;
  const failed = new Promise<void>((resolve) => (onFailed = resolve));
  const sync = new ConfigSync({
    pool,
    registry,
    log: { info: () => undefined, warn: () => onFailed(), error: () => undefined },
    target: {
      applyEdits: (edits) => void made.push(...edits),
      restore: ({ deviceId }) => void restored.push(deviceId),
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
       select $1, 'extra-' || i, 'tracker' from generate_series(1, 4100) as i`,
    [customerId],
  );
  await house.sync.load();
  t.equal(house.registry.deviceCount, 4_102);
  t.same(house.restored, [], 'devices that were never heard of take no memory');
  house.edits();
  await owner.query(`delete from iot_device where device_identifier in ('extra-1', 'extra-2500')`);
  await owner.query(`update iot_device set status = 'disabled' where device_identifier = 'dev-2'`);
  t.same(await house.reload(), ['device_delete']);
  t.equal(house.registry.deviceCount, 4_099);
  t.equal(house.registry.deviceNamed('extra-2500'), undefined);
  t.ok(house.registry.deviceNamed('extra-4100'));
});

t.test('what was stored of a device is restored once', async (t) => {
  const house = await openHouse(t, 2);
  const { owner, customerId } = house;
  const { rows } = await owner.query<{ id: number }>(
    'select equipment_has_iot_device_id as id from equipment_has_iot_device order by 1',
  );
  await owner.query(
    `insert into engine_state (equipment_has_iot_device_id, customer_id, state)
       values ($1, $2, '{"inside": [], "entering": [], "rules": []}')`,
    [rows[1]!.id, customerId],
  );
  await house.sync.load();
  await house.reload();
  t.same(house.restored, [rows[1]!.id]);
});
