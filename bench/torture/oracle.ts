/**
 * Holds what is in the database, and what the live stream brought, against the ledger and the reference. Knows tables and
 * promises; refuses to know what was done to the servers meanwhile. To be asked when everything that was sent has been
 * acknowledged, but for {@link lostOf}, which may be asked at any time.
 *
 * L1  what was acknowledged is stored, once          L2  what is stored was sent, with those values
 * L3  nothing is there twice                         L4  latest positions and the feed equal the reference
 * L5  every refused record is kept with its reason and payload, and no other
 */
import type pg from 'pg';
import type { FeedEvent } from '../../api/live/wire.ts';
import { FENCES, RULES, type Fix } from '../proof/journey.ts';
import type { LiveWatcher } from '../proof/live-watcher.ts';
import { keyOf, type BadEntry, type Entry, type Ledger } from './ledger.ts';
import { evaluatedOf, feedOf, type StoredFix, type StoredReading } from './replay.ts';

export interface Judged {
  readonly owner: pg.Pool;
  readonly ledger: Ledger;
  /** `equipment_has_iot_device_id` and `equipment_id` by unit. */
  readonly deviceIds: readonly number[];
  readonly equipmentIds: readonly number[];
  readonly customerId: number;
  /** By the name on the wire. */
  readonly unitOf: ReadonlyMap<string, number>;
  /** What it saw must be the feed. */
  readonly watcher: LiveWatcher;
}

/** What is wrong, by the law that it breaks; all empty when everything holds. */
export interface Verdict {
  readonly breaches: readonly string[];
  readonly figures: {
    readonly fixes: number;
    readonly readings: number;
    readonly events: number;
    readonly rejects: number;
  };
}

/** Said when the database was away: who somebody is, or what was missed, cannot be told now; the viewer comes again, or waits. */
const COME_AGAIN: ReadonlySet<string> = new Set([
  'access_changed',
  'auth_unavailable',
  'auth_timeout',
  // Every event is awaited all the same.
  'events_unavailable',
]);

/** Breaches of one kind that are told one by one. */
const TOLD_MAX = 5;

/** Collects breaches; of many of one kind the first few and their number. */
class Breaches {
  readonly lines: string[] = [];
  private readonly counts = new Map<string, number>();

  add(law: string, line: string): void {
    const count = (this.counts.get(law) ?? 0) + 1;
    this.counts.set(law, count);
    if (count <= TOLD_MAX) this.lines.push(`${law}: ${line}`);
  }

  /** Lines that are on one side alone, counted. */
  compare(law: string, found: readonly string[], wanted: readonly string[]): void {
    const counts = new Map<string, number>();
    for (const line of wanted) counts.set(line, (counts.get(line) ?? 0) + 1);
    for (const line of found) counts.set(line, (counts.get(line) ?? 0) - 1);
    for (const [line, count] of counts) {
      if (count > 0) this.add(law, `missing: ${line}`);
      if (count < 0) this.add(law, `too much: ${line}`);
    }
  }

  all(): string[] {
    const more = [...this.counts].filter(([, count]) => count > TOLD_MAX);
    return [...this.lines, ...more.map(([law, count]) => `${law}: ${count} in all`)];
  }
}

/** Of these promises, those that the database knows nothing of. */
export async function lostOf(
  { owner, deviceIds }: Pick<Judged, 'owner' | 'deviceIds'>,
  entries: readonly Entry[],
): Promise<string[]> {
  if (entries.length === 0) return [];
  const { rows } = await owner.query<{ id: number; ms: number }>(
    `select p.id, p.ms from unnest($1::bigint[], $2::float8[]) as p (id, ms)
      where not exists (select from equipment_gps_location l
        where l.equipment_has_iot_device_id = p.id and l.recorded_at = to_timestamp(p.ms / 1000))`,
    [entries.map(({ unit }) => deviceIds[unit]), entries.map(({ timeMs }) => timeMs)],
  );
  return rows.map(({ id, ms }) => `${deviceIds.indexOf(id)} ${new Date(ms).toISOString()}`);
}

/** Everything. */
export async function judge(judged: Judged): Promise<Verdict> {
  const breaches = new Breaches();
  const { ledger, deviceIds } = judged;
  for (const line of ledger.wrongAnswers) breaches.add('answers', line);
  let fixes = 0;
  let readings = 0;
  const wantedFeed: string[] = [];
  const wantedLatest: string[] = [];
  const entriesOf = byUnit(ledger);
  for (const unit of deviceIds.keys()) {
    const stored = await readUnit(judged, unit);
    fixes += stored.fixes.length;
    readings += stored.readings.length;
    holdFixes(breaches, unit, stored.fixes, entriesOf.get(unit) ?? []);
    holdReadings(breaches, unit, stored.readings, entriesOf.get(unit) ?? []);
    const evaluated = evaluatedOf(stored.fixes, stored.readings);
    const equipmentId = judged.equipmentIds[unit]!;
    for (const { timeMs, ...event } of feedOf(evaluated, FENCES, RULES)) {
      const event_time = iso(timeMs);
      wantedFeed.push(eventLine({ ...event, equipment_id: equipmentId, event_time }));
    }
    const last = stored.fixes.toSorted((a, b) => a.timeMs - b.timeMs).at(-1);
    const warmth = stored.readings.toSorted((a, b) => a.timeMs - b.timeMs).at(-1);
    if (last !== undefined) wantedLatest.push(latestLine(equipmentId, last, warmth));
  }
  await holdTotals(breaches, judged, { fixes, readings });
  breaches.compare('L4 latest', await readLatest(judged), wantedLatest);
  const feed = await readFeed(judged);
  breaches.compare('L4 feed', feed.map(eventLine), wantedFeed);
  await holdLive(breaches, judged.watcher, feed);
  const rejects = await holdRejects(breaches, judged);
  const figures = { fixes, readings, events: feed.length, rejects };
  return { breaches: breaches.all(), figures };
}

function byUnit({ entries }: Ledger): Map<number, Entry[]> {
  const lists = new Map<number, Entry[]>();
  for (const entry of entries.values()) {
    const list = lists.get(entry.unit);
    if (list === undefined) lists.set(entry.unit, [entry]);
    else list.push(entry);
  }
  return lists;
}

async function readUnit(
  { owner, deviceIds }: Judged,
  unit: number,
): Promise<{ fixes: StoredFix[]; readings: StoredReading[] }> {
  const id = deviceIds[unit];
  const fixes = await owner.query<StoredFix>(
    `select xmin::text::bigint as xid, extract(epoch from recorded_at)::float8 * 1000 as "timeMs",
            latitude as "latDeg", longitude as "lonDeg", speed_mps as "speedMps", heading_deg as "headingDeg",
            coalesce(accuracy_m, 'NaN') as "accuracyM"
       from equipment_gps_location where equipment_has_iot_device_id = $1`,
    [id],
  );
  const readings = await owner.query<StoredReading>(
    `select xmin::text::bigint as xid, extract(epoch from recorded_at)::float8 * 1000 as "timeMs",
            metric_value as value
       from iot_device_metric where equipment_has_iot_device_id = $1 and metric_code = 'temperature_c'`,
    [id],
  );
  return {
    fixes: fixes.rows.map((row) => ({ ...row, timeMs: Math.round(row.timeMs) })),
    readings: readings.rows.map((row) => ({ ...row, timeMs: Math.round(row.timeMs) })),
  };
}

function holdFixes(
  breaches: Breaches,
  unit: number,
  stored: readonly StoredFix[],
  entries: readonly Entry[],
): void {
  const storedAt = new Map<number, StoredFix>();
  for (const fix of stored) {
    if (storedAt.has(fix.timeMs)) breaches.add('L3', `${keyOf(unit, fix.timeMs)} is stored twice`);
    storedAt.set(fix.timeMs, fix);
  }
  for (const { timeMs, ackedMs, variants } of entries) {
    const row = storedAt.get(timeMs);
    storedAt.delete(timeMs);
    if (row === undefined) {
      if (ackedMs !== null) breaches.add('L1', `fix ${keyOf(unit, timeMs)} was acknowledged`);
    } else if (!variants.some((sent) => fixLine(sent) === fixLine(row))) {
      breaches.add('L2', `fix ${keyOf(unit, timeMs)} is stored with values that nobody sent`);
    }
  }
  for (const timeMs of storedAt.keys()) {
    breaches.add('L2', `fix ${keyOf(unit, timeMs)} is stored and was not sent as a good one`);
  }
}

function holdReadings(
  breaches: Breaches,
  unit: number,
  stored: readonly StoredReading[],
  entries: readonly Entry[],
): void {
  const storedAt = new Map<number, StoredReading>();
  for (const reading of stored) {
    const key = `reading ${keyOf(unit, reading.timeMs)}`;
    if (storedAt.has(reading.timeMs)) breaches.add('L3', `${key} is stored twice`);
    storedAt.set(reading.timeMs, reading);
  }
  for (const { timeMs, ackedMs, variants } of entries) {
    const sent = variants.map((fix) => fix.temperatureC).filter((value) => value !== null);
    const row = storedAt.get(timeMs);
    storedAt.delete(timeMs);
    const key = `reading ${keyOf(unit, timeMs)}`;
    // Of two records with one time only one may have carried it, and that may be the one that is still unanswered.
    const isPromised = ackedMs !== null && sent.length === variants.length;
    if (row === undefined && isPromised) breaches.add('L1', `${key} was acknowledged`);
    if (row !== undefined && !sent.includes(row.value)) {
      breaches.add('L2', `${key} is stored with a value that nobody sent`);
    }
  }
  for (const timeMs of storedAt.keys()) {
    breaches.add('L2', `reading ${keyOf(unit, timeMs)} is stored and was not sent`);
  }
}

/** What is stored for devices that are not ours, or under other codes. */
async function holdTotals(
  breaches: Breaches,
  { owner }: Judged,
  counted: { readonly fixes: number; readonly readings: number },
): Promise<void> {
  const { rows } = await owner.query<{ fixes: number; readings: number }>(
    `select (select count(*) from equipment_gps_location) as fixes,
            (select count(*) from iot_device_metric) as readings`,
  );
  for (const kind of ['fixes', 'readings'] as const) {
    const surplus = rows[0]![kind] - counted[kind];
    if (surplus !== 0) breaches.add('L2', `${surplus} ${kind} are stored that are nobody's`);
  }
}

async function readLatest({ owner, customerId }: Judged): Promise<string[]> {
  const { rows } = await owner.query<
    StoredFix & { id: number; temperature: number | null; warmMs: number | null }
  >(
    `select equipment_id as id, extract(epoch from recorded_at)::float8 * 1000 as "timeMs", latitude as "latDeg",
            longitude as "lonDeg", speed as "speedMps", heading_deg as "headingDeg",
            coalesce(accuracy_m, 'NaN') as "accuracyM",
            temperature, extract(epoch from temperature_at)::float8 * 1000 as "warmMs"
       from telematics where customer_id = $1`,
    [customerId],
  );
  return rows.map(({ id, temperature, warmMs, ...fix }) => {
    const warmth = warmMs === null ? undefined : { timeMs: warmMs, value: temperature! };
    return latestLine(id, fix, warmth);
  });
}

type FeedRow = FeedEvent & { readonly equipment_id: number };

async function readFeed({ owner, customerId }: Judged): Promise<FeedRow[]> {
  const { rows } = await owner.query<Omit<FeedRow, 'event_time'> & { event_time: Date }>(
    'select * from activity_feed where customer_id = $1 and entity_type is null order by activity_feed_id',
    [customerId],
  );
  return rows.map((row) => ({ ...row, event_time: row.event_time.toISOString() }));
}

/** The stream brought every event of the feed, by its id, and no other. */
async function holdLive(
  breaches: Breaches,
  watcher: LiveWatcher,
  feed: readonly FeedRow[],
): Promise<void> {
  await watcher.until(() => watcher.events.size >= feed.length);
  const line = (event: FeedEvent): string =>
    `${event.activity_feed_id} ${eventLine({ ...event, event_time: iso(Date.parse(event.event_time)) })}`;
  breaches.compare('live', [...watcher.events.values()].map(line), feed.map(line));
  for (const surprise of watcher.surprises) {
    if (surprise.type === 'error' && COME_AGAIN.has(surprise.code)) continue;
    breaches.add('live', JSON.stringify(surprise));
  }
}

interface RejectRow {
  readonly device: string | null;
  readonly reason: string;
  readonly payload: string | null;
}

/**
 * A record that was refused once is kept once. One that was sent again, because its answer was lost, may have been
 * refused again: nothing tells two deliveries of one record apart from two records.
 */
async function holdRejects(breaches: Breaches, judged: Judged): Promise<number> {
  const { owner, ledger, unitOf } = judged;
  const { rows } = await owner.query<RejectRow>(
    `select device_identifier as device, reason, convert_from(payload, 'utf8') as payload from ingest_reject`,
  );
  const found = new Map<BadEntry, RejectRow[]>();
  for (const row of rows) {
    const unit = unitOf.get(row.device ?? '');
    const timeMs = timeIn(row.payload ?? '');
    const entry = unit === undefined ? undefined : ledger.bad.get(keyOf(unit, timeMs));
    if (entry !== undefined) found.set(entry, [...(found.get(entry) ?? []), row]);
    else breaches.add('L5', `nothing bad was refused: ${row.device} ${row.reason} ${row.payload}`);
  }
  for (const entry of ledger.bad.values()) holdReject(breaches, entry, found.get(entry) ?? []);
  return rows.length;
}

/** The time of a refused record in its payload: JSON, or a record of Teltonika in hexadecimal, which begins with it. */
function timeIn(payload: string): number {
  const json = /"time":(\d+)/.exec(payload)?.[1];
  return json === undefined ? Number.parseInt(payload.slice(0, 16), 16) : Number(json);
}

function holdReject(breaches: Breaches, entry: BadEntry, rows: readonly RejectRow[]): void {
  const { unit, timeMs, reason, sentCount, ackedMs } = entry;
  const name = `bad ${keyOf(unit, timeMs)}`;
  if (ackedMs !== null && rows.length === 0) breaches.add('L5', `${name} is not kept`);
  if (rows.length > sentCount) {
    breaches.add('L5', `${name} was sent ${sentCount} times and kept ${rows.length} times`);
  }
  for (const row of rows) {
    if (row.reason !== reason) breaches.add('L5', `${name} is ${row.reason}, not ${reason}`);
  }
}

/** Rounded to what the table keeps. */
function fixLine({ latDeg, lonDeg, speedMps, headingDeg, accuracyM }: Omit<Fix, 'temperatureC'>) {
  const singles = [speedMps, headingDeg, accuracyM].map(Math.fround);
  return [latDeg, lonDeg, ...singles].join(' ');
}

function latestLine(
  equipmentId: number,
  fix: Omit<StoredFix, 'xid'>,
  warmth: { readonly timeMs: number; readonly value: number } | undefined,
): string {
  const warm = warmth === undefined ? 'none' : `${warmth.value} ${iso(warmth.timeMs)}`;
  return `${equipmentId} ${iso(fix.timeMs)} ${fixLine(fix)} ${warm}`;
}

type EventFields = Pick<
  FeedEvent,
  'equipment_id' | 'event_time' | 'event_type' | 'subject_name' | 'initial' | 'severity'
> & {
  readonly latitude: number | null;
  readonly longitude: number | null;
  readonly metric_value: number | null;
};

function eventLine(event: EventFields): string {
  return [
    event.equipment_id,
    event.event_time,
    event.event_type,
    event.subject_name,
    event.latitude,
    event.longitude,
    event.initial ? 'initial' : '',
    event.severity,
    event.metric_value,
  ].join(' ');
}

function iso(timeMs: number): string {
  return new Date(Math.round(timeMs)).toISOString();
}
