import t from 'tap';
import { connectTestClient, createTestDatabase } from '../db/test-database.ts';
import { createIngest } from './ingest.ts';
import { seedTestFleet, testIngestOptions } from './test-fleet.ts';

t.test('which fences hold a point is told of what was loaded', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const mine = await seedTestFleet(ownerUrl, 1);
  const other = await seedTestFleet(ownerUrl, 1, 'other-');
  const owner = await connectTestClient(t, ownerUrl);
  await owner.query(
    `insert into geofence (customer_id, account_id, geofence_name, status, shape_type, center_lat, center_lng, radius_m,
       active_hours, time_zone)
     select customer_id, account_id, name, status, 'circle', 41, -87, 100, hours::jsonb, zone
       from jsonb_to_recordset($1) as f (customer_id bigint, account_id bigint, name text, status text, hours text,
         zone text)`,
    [
      JSON.stringify([
        { customer_id: mine.customerId, name: 'whole', status: 'active' },
        {
          customer_id: mine.customerId,
          account_id: mine.accountId,
          name: 'account',
          status: 'active',
          hours: '[{"days": ["mon"], "from": "08:00", "to": "09:00"}]',
          zone: 'Asia/Tokyo',
        },
        { customer_id: mine.customerId, name: 'off', status: 'disabled' },
        { customer_id: other.customerId, name: 'rival', status: 'active' },
      ]),
    ],
  );
  const ingest = createIngest(testIngestOptions(ownerUrl));
  t.teardown(() => ingest.stop(AbortSignal.timeout(10_000)));
  t.same(ingest.fencesAt(mine.customerId, -87, 41), [], 'nothing is loaded yet');
  await ingest.load();
  t.match(ingest.fencesAt(mine.customerId, -87, 41), [
    { name: 'whole', accountId: null, schedule: null },
    {
      name: 'account',
      accountId: mine.accountId,
      schedule: { timeZone: 'Asia/Tokyo', windows: [{ days: [1], startMin: 480, endMin: 540 }] },
    },
  ]);
  t.equal(ingest.fencesAt(mine.customerId, -87, 41).length, 2);
  t.same(
    ingest.fencesAt(other.customerId, -87, 41).map(({ name }) => name),
    ['rival'],
  );
  t.same(ingest.fencesAt(mine.customerId, -87, 42), []);
  t.same(ingest.fencesAt(987_654, -87, 41), []);
});
