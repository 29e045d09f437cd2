import t, { type Test } from 'tap';
import { createPool } from '../db/pools.ts';
import { connectTestClient, createTestDatabase } from '../db/test-database.ts';
import type { Edit, Fence } from '../engine/types.ts';
import { FenceSync, PAGE_FENCES_MAX, PAGE_GEOMETRY_BYTES_MAX } from './fence-sync.ts';
import { seedTestFleet } from './test-fleet.ts';

const none = { full: false, fences: new Set<number>(), customers: new Set<number>() };
const full = { ...none, full: true };
const WEEKDAY = JSON.stringify([{ days: ['mon', 'fri'], from: '08:00', to: '24:00' }]);

async function openFences(t: Test) {
  const { ownerUrl } = await createTestDatabase(t);
  const [first, second] = [await seedTestFleet(ownerUrl, 0), await seedTestFleet(ownerUrl, 0, 'x')];
  const owner = await connectTestClient(t, ownerUrl);
  const pool = createPool({
    connectionString: ownerUrl,
    role: 'milepost_ingest',
    max: 2,
    applicationName: 'fence-sync',
    statementTimeoutMs: 10_000,
    onError: () => undefined,
  });
  t.teardown(() => pool.end());
  const queries: string[] = [];
  /** Queries that succeed before one fails. */
  let good = Infinity;
  const watched = new Proxy(pool, {
    get(target, name) {
      if (name !== 'query') return Reflect.get(target, name, target) as unknown;
      return (text: string, values: unknown[]) => {
        queries.push(text);
        if (good-- === 0) return Promise.reject(new Error('the database is away'));
        return target.query(text, values);
      };
    },
  });
  const edits: Edit[] = [];
  const refused: unknown[] = [];
  const nobody = (): void => undefined;
  const sync = new FenceSync({
    pool: watched,
    log: { info: nobody, warn: nobody, error: (what) => void refused.push(what) },
    applyEdits: (some) => void edits.push(...some),
  });
  /** Makes a fence with these columns beside those of a circle. */
  const make = async (customerId: number, columns: Record<string, unknown> = {}) => {
    const all: Record<string, unknown> = {
      customer_id: customerId,
      geofence_name: 'F',
      shape_type: 'circle',
      center_lat: 41,
      center_lng: -87,
      radius_m: 100,
      ...columns,
    };
    const names = Object.keys(all);
    const { rows } = await owner.query<{ id: number }>(
      `insert into geofence (${names.join()}) values (${names.map((_, i) => `$${i + 1}`).join()})
         returning geofence_id as id`,
      Object.values(all),
    );
    return rows[0]!.id;
  };
  return {
    owner,
    sync,
    make,
    customerIds: [first.customerId, second.customerId] as const,
    refused: () => refused.splice(0),
    failAfter: (queries: number) => void (good = queries),
    queries: () => queries.splice(0),
    /** The edits since the last call: fences that were put, ids that were deleted. */
    edits: (): (Fence | number)[] =>
      edits.splice(0).map((edit) => {
        if (edit.type === 'fence_put') return edit.fence;
        if (edit.type === 'fence_delete') return edit.fenceId;
        throw new Error(edit.type);
      }),
  };
}

const zones = (edits: (Fence | number)[]): unknown[] =>
  edits.map((edit) => (typeof edit === 'number' ? edit : [edit.fenceId, edit.schedule?.timeZone]));

t.test('what a fence says reaches the engine', async (t) => {
  const { sync, make, edits, customerIds } = await openFences(t);
  const plain = await make(customerIds[0]);
  const rich = await make(customerIds[0], {
    dwell_s: 600,
    cross_gap_s: 0,
    active_hours: WEEKDAY,
    time_zone: 'Europe/Berlin',
    exit_buffer_m: 5,
    enter_fix_count: 3,
    exit_fix_count: 4,
    accuracy_m_max: 50,
  });
  await sync.sync(full);
  const shape = { type: 'circle', centerLonDeg: -87, centerLatDeg: 41, radiusM: 100 };
  const both = { version: 1, tenantId: customerIds[0], accountId: null, name: 'F', shape };
  t.same(
    edits().sort((a, b) => (a as Fence).fenceId - (b as Fence).fenceId),
    [
      {
        ...both,
        fenceId: plain,
        exitBufferM: 0,
        enterFixCount: 1,
        exitFixCount: 2,
        accuracyMMax: null,
        dwellMs: null,
        crossGapMsMax: 120_000,
        schedule: null,
      },
      {
        ...both,
        fenceId: rich,
        exitBufferM: 5,
        enterFixCount: 3,
        exitFixCount: 4,
        accuracyMMax: 50,
        dwellMs: 600_000,
        crossGapMsMax: 0,
        schedule: {
          timeZone: 'Europe/Berlin',
          windows: [{ days: [1, 5], startMin: 480, endMin: 1440 }],
        },
      },
    ],
  );
});

t.test('a customer moves to another time zone', async (t) => {
  const { owner, sync, make, edits, refused, queries, customerIds } = await openFences(t);
  const [mine, other] = customerIds;
  const move = async (timeZone: string): Promise<void> => {
    await owner.query('update customer set time_zone = $1 where customer_id = $2', [
      timeZone,
      mine,
    ]);
  };
  await move('Europe/Berlin');
  const leaning = await make(mine, { active_hours: WEEKDAY });
  await make(mine, { active_hours: WEEKDAY, time_zone: 'Asia/Tokyo' });
  await make(mine);
  await make(other, { active_hours: WEEKDAY });
  await sync.sync(full);
  t.equal(edits().length, 4);

  await move('Europe/Lisbon');
  queries();
  await sync.sync(none);
  t.same(queries(), [], 'a round of other things asks nothing');
  await sync.sync({ ...none, customers: new Set([mine, other]) });
  t.same(zones(edits()), [[leaning, 'Europe/Lisbon']], 'what leans on it, and nothing else');
  await sync.sync({ ...none, customers: new Set([mine]) });
  t.same(edits(), [], 'once');

  await move('America/Lima');
  await sync.sync(full);
  t.same(zones(edits()), [[leaning, 'America/Lima']], 'also when the change was not told');

  // The database lets none in that it does not know; but its list of zones may be newer than that of Node.
  await owner.query(
    `begin; set local session_replication_role = replica;
     update customer set time_zone = 'Mars/Olympus' where customer_id = ${mine}; commit`,
  );
  await sync.sync({ ...none, customers: new Set([mine]) });
  t.same(zones(edits()), [leaning], 'a zone that is none takes the fence away');
  t.match(refused(), [{ fence: { fenceId: leaning, reason: /time_zone: "Mars\/Olympus"/ } }]);
  t.equal(sync.count, 3);
  await move('UTC');
  await sync.sync({ ...none, customers: new Set([mine]) });
  t.same(zones(edits()), [[leaning, 'UTC']], 'and a right one brings it back');
});

t.test('hours that cannot be read leave the fence out', async (t) => {
  const { sync, make, edits, refused, customerIds } = await openFences(t);
  const bad = await make(customerIds[0], { active_hours: '[{"days": ["mon"]}]' });
  await sync.sync({ ...none, fences: new Set([bad, bad + 1]) });
  t.same(edits(), []);
  t.match(refused(), [{ fence: { fenceId: bad, reason: /active_hours: .*00:00/ } }]);
  for (const active_hours of ['[]', '{}', 'null', JSON.stringify(Array(33).fill({}))]) {
    await t.rejects(make(customerIds[0], { active_hours }), { code: '23514' }, active_hours);
  }
  for (const [name, value] of [
    ['dwell_s', 0],
    ['dwell_s', 2_592_001],
    ['cross_gap_s', -1],
    ['cross_gap_s', 3_601],
    ['time_zone', ''],
  ] as const) {
    await t.rejects(make(customerIds[0], { [name]: value }), { code: '23514' }, `${name} ${value}`);
  }
});

t.test('pages are bounded by fences and by the size of their geometries', async (t) => {
  const { owner, sync, edits, queries, customerIds } = await openFences(t);
  await owner.query(
    `insert into geofence (customer_id, geofence_name, shape_type, center_lat, center_lng, radius_m)
       select $1, 'F', 'circle', 41, -87, 100 from generate_series(1, $2::int)`,
    [customerIds[0], PAGE_FENCES_MAX + 1],
  );
  await sync.sync(full);
  t.equal(edits().length, PAGE_FENCES_MAX + 1);
  t.equal(queries().length, 3, 'the outlines and two pages');

  const lines = 8;
  await owner.query(
    `insert into geofence (customer_id, geofence_name, shape_type, width_m, polygon)
       select $1, 'L', 'corridor', 10, jsonb_build_object('type', 'LineString', 'coordinates',
         (select jsonb_agg(jsonb_build_array(random() * n, random() + i / 1000)) from generate_series(1, 25000) i))
         from generate_series(1, $2::int) n`,
    [customerIds[0], lines],
  );
  await sync.sync(full);
  t.equal(edits().length, lines);
  const { rows } = await owner.query<{ bytes: number }>(
    `select pg_column_size(polygon) as bytes from geofence where shape_type = 'corridor'`,
  );
  let pages = 1;
  let bytes = 0;
  for (const row of rows) {
    if (bytes >= PAGE_GEOMETRY_BYTES_MAX) [pages, bytes] = [pages + 1, 0];
    bytes += row.bytes;
  }
  t.ok(pages > 1, `${rows[0]?.bytes} bytes each`);
  t.equal(queries().length, 1 + pages, 'the outlines and the pages');
});

t.test(
  'a page that cannot be read: those before it are in force, and the next round reads the rest',
  async (t) => {
    const { owner, sync, edits, failAfter, customerIds } = await openFences(t);
    await owner.query(
      `insert into geofence (customer_id, geofence_name, shape_type, center_lat, center_lng, radius_m)
       select $1, 'F', 'circle', 41, -87, 100 from generate_series(1, $2::int)`,
      [customerIds[0], PAGE_FENCES_MAX + 5],
    );
    failAfter(2);
    await t.rejects(sync.sync(full), /away/);
    t.equal(edits().length, PAGE_FENCES_MAX);
    t.equal(sync.count, PAGE_FENCES_MAX);
    await sync.sync(full);
    t.equal(edits().length, 5);
    t.equal(sync.count, PAGE_FENCES_MAX + 5);
  },
);
