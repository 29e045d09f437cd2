/**
 * A fence or rule that is made or changed through the API takes effect in the running engine. It is known by what it
 * does: a device sends fix after fix from where it stands, each once the last is acknowledged, until the feed answers.
 */
import mqtt from 'mqtt';
import t, { type Test } from 'tap';
import { openHouse } from './bench/proof/run.ts';

/** Fixes after which an edit is taken to be lost: each takes one commit, so this is well over a second. */
const FIXES_MAX = 50;

const HERE = { lat: 47.4, lon: 8.5 };
const AWAY = { lat: 47.6 };
const YARD = { shape_type: 'circle', center_lat: 47.4, center_lng: 8.5, radius_m: 200 };

interface Event {
  readonly activity_feed_id: number;
  readonly event_type: string;
  readonly subject_name: string;
  readonly subject_version: number;
  readonly cause: string;
}

const house = await openHouse(t, 'node dist/main.js', 1);
const { owner, portal, watcher, program } = house;
const { device, token } = house.fleet.credentials(0);
const client = await mqtt.connectAsync(program.urls.mqtt, {
  username: device,
  password: token,
  protocolVersion: 5,
});
t.teardown(() => client.endAsync(true));

let timeMs = Math.floor(Date.now() / 1000) * 1000 - 3_600_000;
let seenId = 0;
/** Sends one fix and gives what the feed holds since the last one. */
async function send(more: object): Promise<Event[]> {
  timeMs += 1000;
  const payload = JSON.stringify({ time: timeMs, ...HERE, ...more });
  await client.publishAsync(`v1/devices/${device}/fixes`, payload, { qos: 1 });
  const { rows } = await owner.query<Event>(
    `select activity_feed_id, event_type, subject_name, subject_version, cause from activity_feed
      where activity_feed_id > $1 and entity_type is null order by activity_feed_id`,
    [seenId],
  );
  seenId = rows.at(-1)?.activity_feed_id ?? seenId;
  return rows;
}

/** Makes an edit and sends fixes until something happens, which must be `wanted` and nothing else. */
async function edit(
  t: Test,
  options: { readonly what: string; readonly wanted: string; readonly more?: object },
  make: () => Promise<unknown>,
): Promise<void> {
  await make();
  const madeMs = performance.now();
  for (let count = 1; count <= FIXES_MAX; count++) {
    const sentMs = performance.now();
    const events = await send(options.more ?? {});
    if (events.length === 0) continue;
    const ms = [sentMs, performance.now()].map((at) => Math.round(at - madeMs));
    t.comment(`${options.what}: by fix ${count}, sent ${ms[0]} ms and stored ${ms[1]} ms after`);
    t.same(
      events.map((e) => `${e.event_type} ${e.subject_name} v${e.subject_version} ${e.cause}`),
      [options.wanted],
      options.what,
    );
    return;
  }
  t.fail(`${options.what}: ${FIXES_MAX} fixes, and nothing has happened`);
}

/** What the engine answers to the question which fences hold the place where the device stands. */
async function heldBy(): Promise<string[]> {
  const points = [{ latitude: HERE.lat, longitude: HERE.lon }];
  const { results } = await portal.send<{
    results: { geofences: { geofence_name: string; version: number; in_force: boolean }[] }[];
  }>('POST', '/v1/geofences/test', { points });
  return (results[0]?.geofences ?? []).map(
    (fence) => `${fence.geofence_name} v${fence.version}${fence.in_force ? '' : ' not in force'}`,
  );
}

t.test('a fence is made, moved away, brought back and switched off', async (t) => {
  t.same(await send({}), [], 'nothing is here yet');
  t.same(await heldBy(), []);
  let path = '';
  await edit(t, { what: 'made', wanted: 'geofence_enter Yard v1 fence_changed' }, async () => {
    const fence = await portal.send<{ geofence_id: number }>('POST', '/v1/geofences', {
      geofence_name: 'Yard',
      ...YARD,
    });
    path = `/v1/geofences/${fence.geofence_id}`;
  });
  t.same(await heldBy(), ['Yard v1'], 'asked for, it is as the engine has it');
  await edit(t, { what: 'moved away', wanted: 'geofence_exit Yard v2 fence_changed' }, () =>
    portal.send('PATCH', path, { center_lat: 47.5 }),
  );
  t.same(await heldBy(), []);
  await edit(
    t,
    { what: 'brought back under another name', wanted: 'geofence_enter Hof v3 fence_changed' },
    () => portal.send('PATCH', path, { center_lat: 47.4, geofence_name: 'Hof' }),
  );
  t.same(await heldBy(), ['Hof v3']);
  await edit(t, { what: 'switched off', wanted: 'geofence_exit Hof v3 fence_removed' }, () =>
    portal.send('PATCH', path, { status: 'disabled' }),
  );
  t.same(await heldBy(), []);
  await edit(
    t,
    {
      what: 'another is made after it was switched off',
      wanted: 'geofence_enter Next v1 fence_changed',
    },
    () => portal.send('POST', '/v1/geofences', { geofence_name: 'Next', ...YARD }),
  );
  const events = [...(await send(AWAY)), ...(await send(AWAY)), ...(await send(AWAY))];
  t.same(
    events.map((e) => `${e.event_type} ${e.subject_name}`),
    ['geofence_exit Next'],
    'the one that is off says nothing more',
  );
});

t.test('a rule is made, loosened, tightened and deleted', async (t) => {
  const more = { ...AWAY, speed_mps: 30 };
  let path = '';
  await edit(t, { what: 'made', wanted: 'alert_raised Fast v1 move', more }, async () => {
    const rule = await portal.send<{ telematic_alert_id: number }>('POST', '/v1/telematic-alerts', {
      alert_name: 'Fast',
      metric_code: 'speed_mps',
      operator: '>',
      operator_value: 25,
    });
    path = `/v1/telematic-alerts/${rule.telematic_alert_id}`;
  });
  t.same(await send(more), [], 'it is raised once');
  await edit(t, { what: 'loosened', wanted: 'alert_cleared Fast v2 rule_changed', more }, () =>
    portal.send('PATCH', path, { operator_value: 35 }),
  );
  await edit(t, { what: 'tightened', wanted: 'alert_raised Fast v3 move', more }, () =>
    portal.send('PATCH', path, { operator_value: 20 }),
  );
  await portal.send('DELETE', path);
  await edit(
    t,
    { what: 'another is made after it', wanted: 'alert_raised Faster v1 move', more },
    () =>
      portal.send('POST', '/v1/telematic-alerts', {
        alert_name: 'Faster',
        metric_code: 'speed_mps',
        operator: '>=',
        operator_value: 30,
      }),
  );
  const events = await send({ ...AWAY, speed_mps: 10 });
  t.same(
    events.map((e) => `${e.event_type} ${e.subject_name}`),
    ['alert_cleared Faster'],
    'the one that was deleted says nothing more',
  );
});

t.test('whoever watches was told of it all', async (t) => {
  const { rows } = await owner.query<{ id: number }>(
    'select activity_feed_id as id from activity_feed where entity_type is null',
  );
  await watcher.until(() => watcher.events.size >= rows.length);
  t.same(
    [...watcher.events.keys()].sort((a, b) => a - b),
    rows.map(({ id }) => id).sort((a, b) => a - b),
  );
});
