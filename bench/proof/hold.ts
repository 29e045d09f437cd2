/** Holds what a run left behind, in the database, on the live stream and behind the API, against the reference. */
import type { Test } from 'tap';
import type { FeedEvent } from '../../api/live/wire.ts';
import { FENCES, FIX_COUNT, RULES } from './journey.ts';
import { expectedOf, type Expected } from './reference.ts';
import type { House } from './run.ts';

/** Every fix and every reading is in the database once, as it was sent, and nothing else is. */
export async function holdRows(t: Test, { owner, units }: House): Promise<void> {
  const fixes = await owner.query<{
    id: number;
    at: Date;
    latitude: number;
    longitude: number;
    speed_mps: number;
    accuracy_m: number;
  }>(
    `select equipment_has_iot_device_id as id, recorded_at as at, latitude, longitude, speed_mps, accuracy_m
       from equipment_gps_location`,
  );
  t.equal(fixes.rows.length, units.length * FIX_COUNT, 'as many fixes as were sent');
  const line = (...parts: (number | string)[]): string => parts.join(' ');
  sameLines(
    t,
    fixes.rows.map((r) =>
      line(r.id, r.at.toISOString(), r.latitude, r.longitude, r.speed_mps, r.accuracy_m),
    ),
    units.flatMap(({ deviceId, fixes: sent }) =>
      sent.map((f) => line(deviceId, iso(f.timeMs), f.latDeg, f.lonDeg, f.speedMps, f.accuracyM)),
    ),
    'every fix is stored once, as it was sent',
  );
  const readings = await owner.query<{ id: number; at: Date; code: string; value: number }>(
    `select equipment_has_iot_device_id as id, recorded_at as at, metric_code as code, metric_value as value
       from iot_device_metric`,
  );
  sameLines(
    t,
    readings.rows.map((r) => line(r.id, r.at.toISOString(), r.code, r.value)),
    units.flatMap(({ deviceId, fixes: sent }) =>
      sent
        .filter((f) => f.temperatureC !== null)
        .map((f) => line(deviceId, iso(f.timeMs), 'temperature_c', f.temperatureC!)),
    ),
    'every reading is stored once, as it was sent',
  );
  const { rows } = await owner.query('select reason, detail from ingest_reject');
  t.same(rows, [], 'nothing was refused');
}

/** The feed holds exactly what the reference says, and the live stream brought exactly the feed. */
export async function holdEvents(t: Test, house: House): Promise<void> {
  const feed = await readFeed(house);
  const expected = house.units.flatMap(({ equipmentId, fixes }) =>
    expectedOf(fixes, FENCES, RULES).map((event) => expectedLine(equipmentId, event)),
  );
  t.ok(expected.length > 30 * house.units.length, `the reference knows ${expected.length} events`);
  sameLines(t, feed.map(eventLine), expected, 'the feed is what the reference says');
  t.same(
    [...new Set(feed.map(({ cause }) => cause))].sort(),
    ['first_fix', 'move'],
    'units moved, and not fences',
  );
  const { watcher } = house;
  await watcher.until(() => feed.every(({ activity_feed_id: id }) => watcher.events.has(id)));
  sameLines(
    t,
    [...watcher.events.values()].map((event) => `${event.activity_feed_id} ${eventLine(event)}`),
    feed.map((event) => `${event.activity_feed_id} ${eventLine(event)}`),
    'the live stream brought the feed, by id',
  );
  t.same(watcher.surprises, [], 'and no errors, gaps or contradictions');
}

/** The live stream's last position of each unit is the last fix of its journey. */
export async function holdPositions(t: Test, { units, watcher }: House): Promise<void> {
  const lastOf = units.map(({ equipmentId, fixes }) => ({ equipmentId, fix: fixes.at(-1)! }));
  await watcher.until(() =>
    lastOf.every(({ equipmentId, fix }) => {
      const position = watcher.positions.get(equipmentId);
      return position !== undefined && Date.parse(position.recorded_at) === fix.timeMs;
    }),
  );
  t.same(
    [...watcher.positions.values()]
      .sort((a, b) => a.equipment_id - b.equipment_id)
      .map((p) => [p.equipment_id, p.latitude, p.longitude, p.speed, Math.round(p.heading_deg!)]),
    lastOf.map(({ equipmentId, fix }) => [
      equipmentId,
      fix.latDeg,
      fix.lonDeg,
      fix.speedMps,
      Math.round(fix.headingDeg),
    ]),
    'the live stream ends with the last fix of every unit',
  );
}

/** The lists of the API give what the database has. */
export async function holdLists(t: Test, house: House): Promise<void> {
  const { portal, units } = house;
  const latest = await portal.list<{
    equipment_id: number;
    recorded_at: string;
    latitude: number;
    longitude: number;
    speed: number;
    temperature: number;
  }>('/v1/telematics?limit=7');
  t.same(
    latest.map((r) => [
      r.equipment_id,
      iso(Date.parse(r.recorded_at)),
      r.latitude,
      r.longitude,
      r.speed,
      r.temperature,
    ]),
    units.map(({ equipmentId, fixes }) => {
      const last = fixes.at(-1)!;
      const { temperatureC } = fixes.findLast((fix) => fix.temperatureC !== null)!;
      return [equipmentId, iso(last.timeMs), last.latDeg, last.lonDeg, last.speedMps, temperatureC];
    }),
    'GET /v1/telematics: the last fix and the last temperature of every unit',
  );
  for (const { equipmentId, fixes } of [units[0]!, units.at(-1)!]) {
    const window = `from=${iso(fixes[0]!.timeMs)}&to=${iso(fixes.at(-1)!.timeMs + 1)}`;
    const rows = await portal.list<{ recorded_at: string; latitude: number; longitude: number }>(
      `/v1/equipment/${equipmentId}/locations?order=oldest&limit=200&${window}`,
    );
    t.same(
      rows.map((r) => [Date.parse(r.recorded_at), r.latitude, r.longitude]),
      fixes.map((f) => [f.timeMs, f.latDeg, f.lonDeg]),
      `GET /v1/equipment/${equipmentId}/locations: its whole journey in order`,
    );
  }
  const feed = await readFeed(house);
  const listed = await portal.list<FeedEvent>('/v1/activity-feed?limit=100');
  t.same(
    listed.map(({ activity_feed_id: id }) => id),
    feed
      .toSorted(
        (a, b) =>
          Date.parse(b.event_time) - Date.parse(a.event_time) ||
          b.activity_feed_id - a.activity_feed_id,
      )
      .map(({ activity_feed_id: id }) => id),
    'GET /v1/activity-feed: the whole feed, newest first',
  );
  sameLines(t, listed.map(eventLine), feed.map(eventLine), 'with the same content');
}

/** The other tenant was told nothing of all this, though its stream, its devices and its fences work. */
export async function holdRival(t: Test, house: House): Promise<void> {
  const { rival, rivalPortal, rivalWatcher, watcher, program } = house;
  t.same(
    [rivalWatcher.events.size, rivalWatcher.positionMessages, rivalWatcher.surprises],
    [0, 0, []],
    'the other tenant saw nothing',
  );
  const before = watcher.events.size;
  const timeMs = Math.floor(Date.now() / 1000) * 1000 - 60_000;
  const [equipmentId] = rival.equipmentIds;
  const response = await fetch(`${program.urls.http}/v1/telemetry`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${rival.credentials(0).token}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ time: timeMs, lat: 47.4, lon: 8.5 }),
  });
  t.equal(response.status, 200);
  await rivalWatcher.until(() => rivalWatcher.events.size > 0 && rivalWatcher.positions.size > 0);
  t.same([...rivalWatcher.positions.keys()], [equipmentId], 'then its own unit');
  t.same(
    [...rivalWatcher.events.values()].map((e) => [e.equipment_id, e.event_type, e.subject_name]),
    [[equipmentId, 'geofence_enter', 'Rival']],
    'and its own event',
  );
  const units = await rivalPortal.list<{ equipment_id: number }>('/v1/telematics');
  t.same(
    units.map((row) => row.equipment_id),
    [equipmentId],
    'its lists hold its own',
  );
  const feed = await rivalPortal.list<FeedEvent>('/v1/activity-feed');
  t.same(
    feed.map((event) => event.equipment_id),
    [equipmentId],
  );
  await t.rejects(
    rivalPortal.get(`/v1/equipment/${house.units[0]!.equipmentId}/locations`),
    { message: / gives 404/ },
    'a foreign unit is not there',
  );
  t.equal(watcher.events.size, before, 'and the first tenant saw nothing of the other');
  t.notOk(watcher.positions.has(equipmentId!));
}

type FeedRow = FeedEvent & { readonly cause: string };

async function readFeed({ owner, fleet }: House): Promise<FeedRow[]> {
  const { rows } = await owner.query<Omit<FeedRow, 'event_time'> & { event_time: Date }>(
    'select * from activity_feed where customer_id = $1 and entity_type is null order by activity_feed_id',
    [fleet.customerId],
  );
  return rows.map((row) => ({ ...row, event_time: row.event_time.toISOString() }));
}

function eventLine(event: FeedEvent): string {
  return [
    event.equipment_id,
    iso(Date.parse(event.event_time)),
    event.event_type,
    event.subject_name,
    event.latitude,
    event.longitude,
    event.initial ? 'initial' : '',
    event.severity,
    event.metric_value,
  ].join(' ');
}

function expectedLine(equipmentId: number, { timeMs, ...event }: Expected): string {
  return eventLine({
    ...event,
    equipment_id: equipmentId,
    event_time: iso(timeMs),
  } as unknown as FeedEvent);
}

function iso(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

/** One assertion for thousands of rows: what is missing and what is too much, shortened. */
function sameLines(t: Test, found: string[], wanted: string[], what: string): void {
  const counts = new Map<string, number>();
  for (const line of wanted) counts.set(line, (counts.get(line) ?? 0) + 1);
  for (const line of found) counts.set(line, (counts.get(line) ?? 0) - 1);
  const off = [...counts].filter(([, count]) => count !== 0);
  const missing = off.filter(([, count]) => count > 0).map(([line]) => line);
  const surplus = off.filter(([, count]) => count < 0).map(([line]) => line);
  t.same(
    { missing: missing.slice(0, 10), surplus: surplus.slice(0, 10), off: off.length },
    { missing: [], surplus: [], off: 0 },
    `${what} (${wanted.length})`,
  );
}
