/**
 * What devices say of themselves, as rows: of `iot_device_event` all of it, of `activity_feed` what people watch for. Knows the
 * SQL of both and how an event is named, so that one sent twice is one row; refuses to know wires and the engine.
 */
import { createHash } from 'node:crypto';
import { EVENT_DETAIL_BYTES_MAX, type DecodedEvent } from './decode/decoded.ts';
import { storedEvents, type FeedEvent, type FeedRows, type StoredEvent } from './events.ts';
import type { Pipeline } from '../db/pipeline.ts';
import type { RegisteredDevice } from './registry.ts';

/** One event with the device that it speaks of. */
export interface DeviceEventRow {
  /** Position of its message's part in the batch. */
  readonly part: number;
  readonly index: number;
  readonly device: RegisteredDevice;
  readonly event: DecodedEvent;
  /** The detail as JSON that the database takes. */
  readonly detailJson: string;
  /** Names what happened: device, kind, time and detail. A uuid. */
  readonly key: string;
  readonly receivedMs: number;
}

/** Kinds that go into the feed when the device is mounted on a unit, and what they are called there. */
const FEED_TYPE: Readonly<Partial<Record<DecodedEvent['kind'], FeedEvent['type']>>> = {
  disconnected: 'device_disconnected',
  region_enter: 'device_region_enter',
  region_leave: 'device_region_leave',
};

/** Characters of a region's name in the feed. */
const SUBJECT_CHARS_MAX = 200;
/** What jsonb refuses: NUL, and halves of surrogate pairs, which JSON.stringify writes as escapes. */
const NOT_JSONB = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/;

/** An event's detail as JSON that the database takes, or why it cannot be kept. */
export function detailJsonOf(
  event: DecodedEvent,
): { ok: true; json: string } | { ok: false; reason: string; detail: string } {
  let json: string;
  try {
    json = JSON.stringify(event.detail);
  } catch {
    return { ok: false, reason: 'event_detail', detail: 'the detail is nested too deeply' };
  }
  if (Buffer.byteLength(json) > EVENT_DETAIL_BYTES_MAX) {
    const detail = `the detail is larger than ${EVENT_DETAIL_BYTES_MAX} bytes of JSON`;
    return { ok: false, reason: 'event_detail_max', detail };
  }
  if (NOT_JSONB.test(json)) {
    return {
      ok: false,
      reason: 'event_detail',
      detail: 'the detail holds NUL or half a character',
    };
  }
  return { ok: true, json };
}

/** The uuid that names an event; the same message sent again gives the same one. */
export function deviceEventKey(
  iotDeviceId: number,
  event: DecodedEvent,
  detailJson: string,
): string {
  const parts = [iotDeviceId, event.kind, event.timeMs, event.latDeg, event.lonDeg, detailJson];
  return createHash('sha256').update(parts.join('|')).digest('hex').slice(0, 32);
}

const EVENTS_SQL = `
  insert into iot_device_event (event_key, customer_id, iot_device_id, equipment_id, event_kind, recorded_at,
    received_at, latitude, longitude, detail)
  select event_key, customer_id, iot_device_id, equipment_id, event_kind, to_timestamp(recorded_ms / 1000),
    to_timestamp(received_ms / 1000), latitude, longitude, detail
  from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::float8[], $7::float8[],
    $8::float8[], $9::float8[], $10::jsonb[]) as e (event_key, customer_id, iot_device_id, equipment_id, event_kind,
    recorded_ms, received_ms, latitude, longitude, detail)
  on conflict (event_key) do nothing returning replace(event_key::text, '-', '') as key`;

/** Stores events. Gives, once that is done, 1 for each row that was there already, or `null` when none was. */
export function writeDeviceEvents(
  pipeline: Pipeline,
  rows: readonly DeviceEventRow[],
): () => Uint8Array | null {
  if (rows.length === 0) return () => null;
  const inserted = pipeline.query<{ key: string }>('device_events', EVENTS_SQL, [
    rows.map((row) => row.key),
    rows.map((row) => row.device.tenantId),
    rows.map((row) => row.device.iotDeviceId),
    rows.map((row) => row.device.link?.equipmentId ?? null),
    rows.map((row) => row.event.kind),
    rows.map((row) => row.event.timeMs),
    rows.map((row) => row.receivedMs),
    rows.map((row) => known(row.event.latDeg)),
    rows.map((row) => known(row.event.lonDeg)),
    rows.map((row) => row.detailJson),
  ]);
  return () => {
    if (inserted.rows.length === rows.length) return null;
    const fresh = new Set(inserted.rows.map((row) => row.key));
    return Uint8Array.from(rows, (row) => (fresh.delete(row.key) ? 0 : 1));
  };
}

const FEED_SQL = `
  insert into activity_feed (event_key, customer_id, account_id, equipment_id, equipment_has_iot_device_id, event_type,
    event_time, received_at, latitude, longitude, subject_name, severity, cause)
  select p.event_key, u.customer_id, u.account_id, u.equipment_id, p.link_id, p.event_type,
    to_timestamp(p.event_ms / 1000), to_timestamp(p.received_ms / 1000), p.latitude, p.longitude, p.subject_name,
    p.severity, 'device'
  from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::float8[], $7::float8[],
    $8::float8[], $9::float8[], $10::text[], $11::text[]) as p (event_key, customer_id, equipment_id, link_id,
    event_type, event_ms, received_ms, latitude, longitude, subject_name, severity)
  join equipment u on u.customer_id = p.customer_id and u.equipment_id = p.equipment_id
  on conflict (event_key) do nothing`;

/**
 * Puts those events into the feed that people watch for, and gives them once that is done. The unit is looked up as it is
 * then: one that was deleted meanwhile has no feed. A repeat keeps the id that it has.
 */
export function writeDeviceFeed(
  pipeline: Pipeline,
  rows: readonly DeviceEventRow[],
): () => FeedRows {
  const shown = rows.filter(isShown);
  if (shown.length === 0) return () => ({ events: [], ids: [] });
  const events = shown.map(feedEventOf);
  const keys = shown.map((row) => row.key);
  pipeline.query('device_feed', FEED_SQL, [
    keys,
    events.map((event) => event.tenantId),
    events.map((event) => event.equipmentId),
    events.map((event) => event.deviceId),
    events.map((event) => event.type),
    events.map((event) => event.timeMs),
    shown.map((row) => row.receivedMs),
    events.map((event) => known(event.latDeg)),
    events.map((event) => known(event.lonDeg)),
    events.map((event) => event.subjectName),
    events.map((event) => event.severity),
  ]);
  const stored = storedEvents(pipeline, keys);
  return () => inFeed(keys, events, stored.rows);
}

function inFeed(
  keys: readonly string[],
  events: readonly FeedEvent[],
  stored: readonly StoredEvent[],
): FeedRows {
  const eventOf = new Map(keys.map((key, i) => [key, events[i]!]));
  return {
    events: stored.map((row) => ({ ...eventOf.get(row.key)!, accountId: row.account_id })),
    ids: stored.map((row) => row.id),
  };
}

function isShown({ device, event }: DeviceEventRow): boolean {
  return device.link !== null && event.kind in FEED_TYPE;
}

function feedEventOf({ device, event }: DeviceEventRow): FeedEvent {
  const link = device.link!;
  return {
    type: FEED_TYPE[event.kind]!,
    deviceId: link.deviceId,
    equipmentId: link.equipmentId,
    tenantId: link.tenantId,
    accountId: link.accountId,
    timeMs: event.timeMs,
    lonDeg: event.lonDeg,
    latDeg: event.latDeg,
    fenceId: null,
    ruleId: null,
    subjectName: subjectOf(device, event),
    subjectVersion: 0,
    metricCode: null,
    metricValue: null,
    severity: event.kind === 'disconnected' ? 'warning' : 'info',
    initial: false,
    cause: 'device',
    enteredMs: NaN,
    leftMs: NaN,
    lastFixMs: NaN,
  };
}

/** A region goes by the name that the device gives it (`desc`, as OwnTracks calls it), everything else by the device's. */
function subjectOf(device: RegisteredDevice, event: DecodedEvent): string {
  const region = event.kind === 'disconnected' ? undefined : event.detail['desc'];
  if (typeof region !== 'string' || region.trim() === '') return device.deviceName;
  return region.slice(0, SUBJECT_CHARS_MAX);
}

function known(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
