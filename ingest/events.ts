/**
 * Engine events as rows of `activity_feed` in binary COPY format. The key of a row follows from what happened, so the
 * same event written twice is one row.
 */
import { createHash } from 'node:crypto';
import type { EngineEvent } from '../engine/types.ts';
import type { Batch } from './batch.ts';
import { CopyWriter, textBytesMax } from './copy-encode.ts';
import type { Answer, Pipeline } from '../db/pipeline.ts';

/** A row of the feed: what the engine concluded, or what a device said of itself. */
export interface FeedEvent extends Omit<EngineEvent, 'type' | 'cause'> {
  readonly type:
    EngineEvent['type'] | 'device_disconnected' | 'device_region_enter' | 'device_region_leave';
  readonly cause: EngineEvent['cause'] | 'device';
}

/** What a batch put into the feed, with the `activity_feed_id` of each. */
export interface FeedRows {
  readonly events: readonly FeedEvent[];
  readonly ids: readonly number[];
}

/** Column order of {@link encodeEvents}. */
export const EVENT_COLUMNS =
  'event_key, customer_id, account_id, equipment_id, equipment_has_iot_device_id, event_type, ' +
  'event_time, received_at, latitude, longitude, geofence_id, telematic_alert_id, subject_name, subject_version, ' +
  'metric_code, metric_value, severity, initial, cause';

const FIELDS = 19;
/** Fixed fields: 19 length words, at most 8 bytes each, but 16 for the key. */
const FIXED_BYTES_MAX = 2 + FIELDS * 12 + 8;

/** 16 bytes in hexadecimal digits that name an event: its kind, device, fence or rule with version, time and visit. */
export function eventKey(event: EngineEvent): string {
  const parts = [
    event.type,
    event.deviceId,
    event.fenceId ?? '',
    event.ruleId ?? '',
    event.subjectVersion,
    event.timeMs,
    Number.isNaN(event.enteredMs) ? '' : event.enteredMs,
  ];
  return createHash('sha256').update(parts.join('|')).digest('hex').slice(0, 32);
}

/** The events of a batch as COPY data; `keys[i]` is the key of event i. */
export function encodeEvents(
  events: readonly EngineEvent[],
  keys: readonly string[],
  batch: Batch,
): Buffer {
  let bytes = 0;
  for (const event of events) bytes += FIXED_BYTES_MAX + textBytes(event);
  const writer = new CopyWriter(bytes);
  for (let i = 0; i < events.length; i++) putEvent(writer, events[i]!, keys[i]!, batch.receivedMs);
  return writer.finish();
}

function textBytes(event: EngineEvent): number {
  return (
    textBytesMax(event.type) +
    textBytesMax(event.subjectName) +
    textBytesMax(event.metricCode) +
    textBytesMax(event.severity) +
    textBytesMax(event.cause)
  );
}

function putEvent(writer: CopyWriter, event: EngineEvent, key: string, receivedMs: number): void {
  writer.row(FIELDS);
  writer.raw(Buffer.from(key, 'hex'));
  writer.int8(event.tenantId);
  putId(writer, event.accountId);
  writer.int8(event.equipmentId);
  writer.int8(event.deviceId);
  writer.text(event.type);
  writer.time(event.timeMs);
  writer.time(receivedMs);
  writer.float8(event.latDeg);
  writer.float8(event.lonDeg);
  putId(writer, event.fenceId);
  putId(writer, event.ruleId);
  writer.text(event.subjectName);
  writer.int4(event.subjectVersion);
  writer.text(event.metricCode);
  writer.float8(event.metricValue ?? NaN);
  writer.text(event.severity);
  writer.bool(event.initial ? 1 : 0);
  writer.text(event.cause);
}

function putId(writer: CopyWriter, id: number | null): void {
  if (id === null) writer.none();
  else writer.int8(id);
}

/** An event as the feed has it. */
export interface StoredEvent {
  /** 32 hexadecimal digits. */
  readonly key: string;
  readonly id: number;
  readonly account_id: number | null;
}

const STORED_SQL = `
  select replace(event_key::text, '-', '') as key, activity_feed_id as id, account_id from activity_feed
  where event_key = any ($1::uuid[])`;

/** Asks for those of these events that are in the feed by then. */
export function storedEvents(pipeline: Pipeline, keys: readonly string[]): Answer<StoredEvent> {
  return pipeline.query<StoredEvent>('', STORED_SQL, [keys]);
}
