/** Visits over HTTP: whose they are, in which order, and which of them. */
import t, { type Test } from 'tap';
import { NOW_MS, startTestPortal, type TestPortal } from '../test-portal.ts';

interface VisitRow {
  readonly geofence_visit_id: number;
  readonly geofence_name: string;
  readonly equipment_id: number;
}

const at = (minutesAgo: number): Date => new Date(NOW_MS - minutesAgo * 60_000);

/** A visit of one of my units, from and to so many minutes ago; null: still there. Gives its id. */
async function addVisit(
  { owner, seed }: TestPortal,
  fence: number,
  unit: 0 | 1 | 2,
  [from, to, more = {}]: readonly [
    number,
    number | null,
    { retracted?: boolean; whose?: 'foreign' }?,
  ],
): Promise<number> {
  const whose = seed[more.whose ?? 'mine'];
  const { rows } = await owner.query<{ id: number }>(
    `insert into geofence_visit (customer_id, account_id, geofence_id, geofence_name, geofence_version, equipment_id,
       equipment_has_iot_device_id, opened_at, entered_at, first_fix_at, left_at, last_fix_at, entered_cause, left_cause,
       retracted)
     values ($1, $2, $3, 'Yard', 1, $4, $5, $6, $6, $6, $7, $7, 'move', $8, $9) returning geofence_visit_id as id`,
    [
      whose.customerId,
      [...whose.accountIds, null][unit],
      fence,
      whose.equipmentIds[unit],
      whose.deviceIds[unit],
      at(from),
      to === null ? null : at(to),
      to === null ? null : 'move',
      more.retracted ?? false,
    ],
  );
  return rows[0]!.id;
}

async function openHouse(t: Test) {
  const portal = await startTestPortal(t);
  const list = async (url: string, who: 'admin' | 'held' = 'admin'): Promise<number[]> => {
    const { status, body } = await portal.as(who, { url });
    t.equal(status, 200, url);
    return (body.data as unknown as VisitRow[]).map((row) => row.geofence_visit_id);
  };
  return { portal, list, fence: portal.seed.mine.geofenceIds[2] };
}

t.test('visits of a fence and of a unit, newest first, page by page', async (t) => {
  const { portal, list, fence } = await openHouse(t);
  const [other] = portal.seed.mine.geofenceIds;
  const old = await addVisit(portal, fence, 0, [90, 80]);
  const twin = await addVisit(portal, fence, 1, [90, 70]);
  const open = await addVisit(portal, fence, 0, [30, null]);
  const elsewhere = await addVisit(portal, other, 0, [60, 50]);
  const [unit] = portal.seed.mine.equipmentIds;
  t.same(await list(`/v1/geofences/${fence}/visits`), [open, twin, old]);
  t.same(await list(`/v1/equipment/${unit}/visits`), [open, elsewhere, old]);

  const seen: number[] = [];
  for (let cursor = ''; ;) {
    const { body } = await portal.as('admin', {
      url: `/v1/geofences/${fence}/visits?limit=1${cursor}`,
    });
    seen.push(...(body.data as unknown as VisitRow[]).map((row) => row.geofence_visit_id));
    if (body.page.next_cursor === null) break;
    cursor = `&cursor=${body.page.next_cursor}`;
  }
  t.same(seen, [open, twin, old]);

  const { body } = await portal.as('admin', { url: `/v1/geofences/${fence}/visits` });
  t.match(body.data[0], {
    customer_id: portal.seed.mine.customerId,
    account_id: portal.seed.mine.accountIds[0],
    geofence_id: fence,
    geofence_name: 'Yard',
    geofence_version: 1,
    equipment_id: unit,
    equipment_has_iot_device_id: portal.seed.mine.deviceIds[0],
    opened_at: at(30).toISOString(),
    entered_at: at(30).toISOString(),
    left_at: null,
    duration_s: null,
    first_fix_at: at(30).toISOString(),
    last_fix_at: null,
    entered_cause: 'move',
    left_cause: null,
    dwelled_at: null,
    revision: 1,
    retracted: false,
  });
  t.match(body.data[1], { left_at: at(70).toISOString(), duration_s: 1_200, left_cause: 'move' });
});

t.test('by time, by whether they go on, and with those that were none', async (t) => {
  const { portal, list, fence } = await openHouse(t);
  const old = await addVisit(portal, fence, 0, [90, 80]);
  const middle = await addVisit(portal, fence, 0, [60, 50]);
  const none = await addVisit(portal, fence, 0, [45, 44, { retracted: true }]);
  const open = await addVisit(portal, fence, 0, [30, null]);
  const url = `/v1/geofences/${fence}/visits`;
  const time = (minutesAgo: number): string => encodeURIComponent(at(minutesAgo).toISOString());
  const table: [string, number[]][] = [
    ['', [open, middle, old]],
    ['?include_retracted=true', [open, none, middle, old]],
    ['?open=true', [open]],
    ['?open=false', [middle, old]],
    [`?from=${time(80)}`, [open, middle]],
    [`?from=${time(81)}`, [open, middle, old]],
    [`?from=${time(5)}`, [open]],
    [`?to=${time(30)}`, [middle, old]],
    [`?to=${time(29)}`, [open, middle, old]],
    [`?from=${time(55)}&to=${time(52)}`, [middle]],
    [`?from=${time(75)}&to=${time(61)}`, []],
  ];
  for (const [query, expected] of table) t.same(await list(url + query), expected, query);
  for (const query of [
    `?from=${time(1)}&to=${time(2)}`,
    '?from=2026-02-30T00:00:00Z',
    '?open=perhaps',
    '?until=1',
  ]) {
    t.equal((await portal.as('admin', { url: url + query })).status, 400, query);
  }
});

t.test('visits are seen by those who see the unit, and outlive the fence', async (t) => {
  const { portal, list, fence } = await openHouse(t);
  const { mine, foreign } = portal.seed;
  const north = await addVisit(portal, fence, 0, [50, 40]);
  const south = await addVisit(portal, fence, 1, [40, 30]);
  const common = await addVisit(portal, fence, 2, [30, null]);
  await addVisit(portal, foreign.geofenceIds[2], 2, [30, null, { whose: 'foreign' }]);
  const url = `/v1/geofences/${fence}/visits`;
  t.same(await list(url), [common, south, north]);
  const held = await list(url, 'held');
  t.equal(held.length, 2);
  t.ok(held.includes(common), 'one of them is of the account, the other of none');

  const status = async (who: 'admin' | 'held' | 'bare', path: string): Promise<number> =>
    (await portal.as(who, { url: path })).status;
  t.equal(await status('bare', url), 403);
  t.equal(await status('admin', `/v1/geofences/${foreign.geofenceIds[2]}/visits`), 404);
  t.equal(await status('admin', `/v1/equipment/${foreign.equipmentIds[2]}/visits`), 404);
  t.equal(await status('admin', '/v1/geofences/999999/visits'), 404);
  const unseen = held.includes(north) ? mine.equipmentIds[1] : mine.equipmentIds[0];
  t.equal(await status('held', `/v1/equipment/${unseen}/visits`), 404);
  t.equal(await status('bare', `/v1/equipment/${mine.equipmentIds[0]}/visits`), 403);

  await portal.owner.query('delete from geofence where geofence_id = $1', [fence]);
  t.same(await list(url), [common, south, north]);
  const neverUsed = mine.geofenceIds[1];
  t.same(await list(`/v1/geofences/${neverUsed}/visits`), [], 'a fence without visits is there');
});
