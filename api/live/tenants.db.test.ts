/**
 * The live map beside another tenant: real tokens, a real database behind the replay, and in every text of the other
 * tenant a canary. Its frames bear it; ours never do.
 */
import { once } from 'node:events';
import t from 'tap';
import { CANARY, startTestPortal, type Who } from '../test-portal.ts';
import type { TenantSeed } from '../test-seed.ts';
import { createHub } from './hub.ts';
import { portalOf } from './portal.ts';
import { startLive } from './start.ts';
import { manualClock, TestClient, TEST_PATH } from './test-client.ts';
import type { LiveBatch, LiveEvent, LivePosition } from './wire.ts';

/** In every text of the account that `held` is not held to. */
const OTHER_ACCOUNT = 'other-account-5d2e';
const silent = { info() {}, warn() {}, error() {} };

const portal = await startTestPortal(t);
const { mine, foreign } = portal.seed;
const { clock, tick } = manualClock(Date.now());
const hub = createHub({ ...portalOf(portal.authenticate, portal.apiPool), log: silent, clock });
const live = await startLive({
  hub,
  host: '127.0.0.1',
  port: 0,
  path: TEST_PATH,
  allowedOrigins: [],
  transport: 'ws',
  log: silent,
});
t.teardown(() => live.close());

type Place = 0 | 1 | 2;

/** Units of a tenant, in the order of its seed: of the north, of the south, of no account. */
const PLACES: readonly Place[] = [0, 1, 2];

function wordOf({ customerId }: TenantSeed, place: Place): string {
  if (customerId === foreign.customerId) return CANARY;
  return place === 1 ? OTHER_ACCOUNT : 'acme';
}

function positionOf(tenant: TenantSeed, place: Place, latitude: number): LivePosition {
  const word = wordOf(tenant, place);
  return {
    customer_id: tenant.customerId,
    equipment_id: tenant.equipmentIds[place],
    unit_number: `${word} ${place}`,
    account_id: place === 2 ? null : tenant.accountIds[place],
    latitude,
    longitude: 10,
    speed: 5,
    heading_deg: 90,
    motion_status: word,
    ignition: true,
    temperature: null,
    recorded_at: new Date().toISOString(),
  };
}

/** Stores an event of the unit, and gives it as the hub is given it. */
async function storeEvent(tenant: TenantSeed, place: Place, what: string): Promise<LiveEvent> {
  const word = wordOf(tenant, place);
  const event = {
    customer_id: tenant.customerId,
    equipment_id: tenant.equipmentIds[place],
    account_id: place === 2 ? null : tenant.accountIds[place],
    event_type: 'geofence_enter',
    event_time: new Date().toISOString(),
    latitude: 50,
    longitude: 10,
    geofence_id: tenant.geofenceIds[place],
    telematic_alert_id: null,
    subject_name: `${word} ${what}`,
    metric_code: null,
    metric_value: null,
    severity: 'info',
    initial: false,
  };
  const names = Object.keys(event);
  const { rows } = await portal.owner.query<{ id: number }>(
    `insert into activity_feed (event_key, received_at, ${names.join(', ')})
     values (gen_random_uuid(), now(), ${names.map((_name, index) => `$${index + 1}`).join(', ')})
     returning activity_feed_id as id`,
    Object.values(event),
  );
  return { ...event, activity_feed_id: rows[0]!.id };
}

async function batchOf(latitude: number, what: string): Promise<LiveBatch> {
  const events: LiveEvent[] = [];
  const positions: LivePosition[] = [];
  // The other tenant's first: what came of ours has passed it.
  for (const tenant of [foreign, mine]) {
    for (const place of PLACES) {
      positions.push(positionOf(tenant, place, latitude));
      events.push(await storeEvent(tenant, place, what));
    }
  }
  return { positions, events };
}

async function signIn(who: Who): Promise<TestClient> {
  const client = new TestClient(live.port);
  await once(client.socket, 'open');
  const token = portal.headersOf(who).authorization.replace('Bearer ', '');
  client.send({ type: 'auth', token });
  await client.next('ready');
  return client;
}

/** The units that a client was told of, in order. */
const unitsOf = (client: TestClient, type: 'snapshot' | 'positions') =>
  [...new Set(client.ids(type))].sort((a, b) => a - b);
const subjectsOf = (client: TestClient) =>
  client.seen.flatMap((one) => (one.type === 'event' ? [one.event.subject_name] : [])).sort();

t.test('no frame shows what is another tenant’s or another account’s', async (t) => {
  const before = await batchOf(50, 'missed');
  hub.seed(before.positions, 0);
  const clients = await Promise.all(
    (['admin', 'held', 'foreign'] as const).map((who) => signIn(who)),
  );
  const [admin, held, theirs] = clients as [TestClient, TestClient, TestClient];
  for (const client of clients) {
    client.send({ type: 'subscribe', events_since: 0 });
    await client.next('snapshot');
  }
  tick();
  for (const client of clients) await client.next('caught_up');

  hub.publish(await batchOf(51, 'now'));
  tick();
  for (const client of clients) await client.next('positions');
  // A unit of theirs is asked for by its id, and one is taken off the map.
  admin.send({ type: 'subscribe', equipment_ids: foreign.equipmentIds, events: true });
  t.same((await admin.next('snapshot')).positions, []);
  hub.publish(await batchOf(52, 'asked for'));
  hub.removeUnits(foreign.customerId, [foreign.equipmentIds[0]]);
  hub.removeUnits(mine.customerId, [mine.equipmentIds[1]]);
  tick();
  await theirs.next('positions');
  await theirs.next('removed');
  for (const client of clients) await client.settled();

  t.same(unitsOf(theirs, 'snapshot'), foreign.equipmentIds, 'its owner is told of all of it');
  t.same(unitsOf(theirs, 'positions'), foreign.equipmentIds);
  t.same(
    subjectsOf(theirs),
    ['asked for', 'missed', 'now'].flatMap((what) => Array<string>(3).fill(`${CANARY} ${what}`)),
  );
  for (const kind of ['snapshot', 'positions', 'event']) {
    const frames = theirs.frames.filter((frame) => frame.includes(`"type":"${kind}"`));
    t.ok(frames.length > 0 && frames.every((frame) => frame.includes(CANARY)), `${kind} bears it`);
  }

  t.same(unitsOf(admin, 'snapshot'), mine.equipmentIds, 'ours are told of');
  t.same(unitsOf(admin, 'positions'), mine.equipmentIds);
  t.same(subjectsOf(admin), [
    ...['acme missed', 'acme missed', 'acme now', 'acme now'],
    ...[`${OTHER_ACCOUNT} missed`, `${OTHER_ACCOUNT} now`],
  ]);
  const ownToHeld = [mine.equipmentIds[0], mine.equipmentIds[2]];
  t.same(unitsOf(held, 'snapshot'), ownToHeld);
  t.same(unitsOf(held, 'positions'), ownToHeld);
  t.same(
    subjectsOf(held),
    ['asked for', 'missed', 'now'].flatMap((what) => Array<string>(2).fill(`acme ${what}`)),
  );

  for (const client of [admin, held]) {
    t.same(
      client.frames.filter((frame) => frame.includes(CANARY)),
      [],
      'no canary',
    );
    const removed = client.seen.flatMap((one) => (one.type === 'removed' ? one.equipment_ids : []));
    t.same(
      removed.filter((id) => foreign.equipmentIds.includes(id)),
      [],
    );
  }
  t.same(
    held.frames.filter((frame) => frame.includes(OTHER_ACCOUNT)),
    [],
    'nor another account',
  );
});

t.test('access that one tenant loses closes its own sockets alone', async (t) => {
  const admin = await signIn('admin');
  const theirs = await signIn('foreign');
  hub.revokeCustomer(foreign.customerId);
  t.equal(await theirs.closed, 4403);
  await admin.settled();
  t.equal(admin.socket.readyState, admin.socket.OPEN);
  t.notMatch(admin.frames.join(), CANARY);
});
