/**
 * One batch, one transaction, as a rule one write to the socket: COPY fixes, COPY readings, latest positions, engine state,
 * visits, activity feed, rejects, COMMIT. Knows SQL and the order of writing; refuses to know where rows came from and when to
 * try again.
 *
 * Two ways in. Optimistic: COPY straight into the tables; a repeat of a stored row fails it with 23505. Staged: COPY
 * into a temporary table, then INSERT … ON CONFLICT DO NOTHING, which also tells which rows were new.
 */
import type { ClientBase } from 'pg';
import { cutConnection } from '../db/pools.ts';
import type { Evaluation } from '../engine/types.ts';
import type { Batch, Reject } from './batch.ts';
import {
  encodeFixes,
  encodeReadings,
  FIX_COLUMNS,
  READING_COLUMNS,
  roomForFixes,
} from './copy-encode.ts';
import { writeDeviceEvents, writeDeviceFeed } from './device-events.ts';
import { encodeEvents, eventKey, EVENT_COLUMNS, storedEvents, type FeedRows } from './events.ts';
import { isConnectionError } from './faults.ts';
import { latestPositions, latestTemperatures, type LatestPosition } from './latest.ts';
import { boolArray, float4Array, float8Array, int8Array, textArray } from '../db/pg-arrays.ts';
import { Pipeline, type Answer } from '../db/pipeline.ts';
import { WRITTEN_XID, writeTelemetryChanges } from './telemetry-changes.ts';
import { writeLateFixes, writeVisits } from './visits.ts';

/** Everything one transaction writes, encoded once, so that a retry writes the very same bytes. */
export interface CommitWork {
  readonly batch: Batch;
  readonly evaluation: Evaluation;
  readonly fixes: Buffer | null;
  readonly readings: Buffer | null;
  positions: readonly LatestPosition[];
  /** What it put into the feed; empty until it is committed. */
  feed: FeedRows;
}

const NO_FEED: FeedRows = { events: [], ids: [] };

/** 1 for each row that was in the database already; `null` when none was. */
export interface CommitResult {
  readonly fixDuplicate: Uint8Array | null;
  readonly readingDuplicate: Uint8Array | null;
  readonly eventDuplicate: Uint8Array | null;
}

const SESSION_SQL = `
  create temporary table if not exists fix_staging on commit delete rows as
    select ${FIX_COLUMNS} from equipment_gps_location with no data;
  create temporary table if not exists reading_staging on commit delete rows as
    select ${READING_COLUMNS} from iot_device_metric with no data;
  create temporary table if not exists event_staging on commit delete rows as
    select ${EVENT_COLUMNS} from activity_feed with no data`;

/** Prepares a new connection for {@link commitBatch}. */
export async function prepareCommitSession(client: ClientBase): Promise<void> {
  await client.query(SESSION_SQL);
}

export function commitWork(batch: Batch, evaluation: Evaluation): CommitWork {
  return {
    batch,
    evaluation,
    fixes: batch.fixes.count === 0 ? null : encodeInRoom(batch),
    readings: batch.readings.count === 0 ? null : encodeReadings(batch.readings),
    positions: latestPositions(batch, evaluation),
    feed: NO_FEED,
  };
}

/** A batch keeps its room for the next rows in it: a megabyte anew for each batch is work for the collector. */
function encodeInRoom(batch: Batch): Buffer {
  batch.copyRoom = roomForFixes(batch.fixes, batch.copyRoom);
  return encodeFixes(batch.fixes, batch.copyRoom);
}

/**
 * Writes and commits. When it rejects with an error of the server, nothing is in the database. When the connection broke,
 * or the answer took too long, COMMIT may have arrived, or may arrive later:
 *
 * - The same work, staged, then finds its rows as duplicates and changes nothing.
 * - An optimistic one that comes late finds its rows there, and fails. Nothing in a staged one would fail, and it would set
 *   the engine's state back to what it was; so its COMMIT is sent when all else has been answered. Its locks then keep
 *   later ones waiting.
 */
export async function commitBatch(
  client: ClientBase,
  work: CommitWork,
  staged: boolean,
): Promise<CommitResult> {
  const { batch } = work;
  const pipeline = new Pipeline();
  pipeline.query('begin', 'begin');
  const rows = staged ? writeStaged(pipeline, work) : writeOptimistic(pipeline, work);
  const latest = writeLatest(pipeline, work);
  if (!staged) writeLateFixes(pipeline, work.evaluation, false);
  writeTelemetryChanges(pipeline, work.positions, batch.readings);
  writeState(pipeline, work);
  writeVisits(pipeline, work.evaluation);
  const events = writeEvents(pipeline, work, staged);
  const deviceEvents = writeDeviceEvents(pipeline, batch.events);
  const deviceFeed = writeDeviceFeed(pipeline, batch.events);
  writeRejects(pipeline, batch.rejects);
  try {
    if (staged) {
      await pipeline.run(client);
      await commit(new Pipeline(), client);
    } else await commit(pipeline, client);
  } catch (error) {
    if (!isConnectionError(error)) await rollBack(client, error);
    throw error;
  }
  work.positions = latest();
  work.feed = joined(events(), deviceFeed());
  return { ...rows(), eventDuplicate: deviceEvents() };
}

/** A connection on which not even this is answered is in no known state: then it is cut, and rejects as one that broke. */
async function rollBack(client: ClientBase, cause: unknown): Promise<void> {
  try {
    await client.query('rollback');
  } catch {
    cutConnection(client);
    throw new Error('the connection was silent behind an error', { cause });
  }
}

function commit(pipeline: Pipeline, client: ClientBase): Promise<void> {
  pipeline.query('commit', 'commit');
  return pipeline.run(client);
}

function joined(a: FeedRows, b: FeedRows): FeedRows {
  if (b.events.length === 0) return a;
  return { events: [...a.events, ...b.events], ids: [...a.ids, ...b.ids] };
}

function copySql(table: string, columns: string): string {
  return `copy ${table} (${columns}) from stdin (format binary)`;
}

const COPY_FIXES = copySql('equipment_gps_location', FIX_COLUMNS);
const COPY_READINGS = copySql('iot_device_metric', READING_COLUMNS);
const COPY_EVENTS = copySql('activity_feed', EVENT_COLUMNS);

type RowResult = Omit<CommitResult, 'eventDuplicate'>;

function writeOptimistic(pipeline: Pipeline, work: CommitWork): () => RowResult {
  if (work.fixes !== null) pipeline.copy('copy_fixes', COPY_FIXES, work.fixes);
  if (work.readings !== null) pipeline.copy('copy_readings', COPY_READINGS, work.readings);
  return () => ({ fixDuplicate: null, readingDuplicate: null });
}

interface InsertedRow {
  id: number;
  code: string;
  ms: number;
}

const INSERT_FIXES = `
  insert into equipment_gps_location (${FIX_COLUMNS}) select ${FIX_COLUMNS} from fix_staging
  on conflict do nothing returning equipment_has_iot_device_id as id, '' as code,
    (extract(epoch from recorded_at) * 1000)::double precision as ms`;

const INSERT_READINGS = `
  insert into iot_device_metric (${READING_COLUMNS}) select ${READING_COLUMNS} from reading_staging
  on conflict do nothing returning equipment_has_iot_device_id as id, metric_code as code,
    (extract(epoch from recorded_at) * 1000)::double precision as ms`;

function writeStaged(pipeline: Pipeline, work: CommitWork): () => RowResult {
  const { fixes, readings } = work.batch;
  let newFixes: Answer<InsertedRow> | null = null;
  let newReadings: Answer<InsertedRow> | null = null;
  if (work.fixes !== null) {
    pipeline.copy('stage_fixes', copySql('fix_staging', FIX_COLUMNS), work.fixes);
    writeLateFixes(pipeline, work.evaluation, true);
    newFixes = pipeline.query<InsertedRow>('insert_fixes', INSERT_FIXES);
  }
  if (work.readings !== null) {
    pipeline.copy('stage_readings', copySql('reading_staging', READING_COLUMNS), work.readings);
    newReadings = pipeline.query<InsertedRow>('insert_readings', INSERT_READINGS);
  }
  return () => ({
    fixDuplicate: duplicates(newFixes, fixes.count, (i) =>
      key(fixes.deviceId[i]!, '', fixes.timeMs[i]!),
    ),
    readingDuplicate: duplicates(newReadings, readings.count, (i) =>
      key(readings.deviceId[i]!, readings.metricCode[i]!, readings.timeMs[i]!),
    ),
  });
}

function key(deviceId: number, code: string, timeMs: number): string {
  return `${deviceId} ${timeMs} ${code}`;
}

/** Of rows with one key the first went in; the others, and all whose key was not returned, are duplicates. */
function duplicates(
  inserted: Answer<InsertedRow> | null,
  count: number,
  keyOf: (row: number) => string,
): Uint8Array | null {
  if (inserted === null || inserted.rows.length === count) return null;
  const fresh = new Set(inserted.rows.map((row) => key(row.id, row.code, row.ms)));
  const flags = new Uint8Array(count);
  for (let i = 0; i < count; i++) if (!fresh.delete(keyOf(i))) flags[i] = 1;
  return flags;
}

const LATEST_SQL = `
  insert into telematics (customer_id, account_id, equipment_id, unit_number, equipment_has_iot_device_id, recorded_at,
    received_at, latitude, longitude, altitude_m, speed, heading_deg, accuracy_m, odometer_m, ignition, motion_status,
    temperature, temperature_at, written_xid)
  select e.customer_id, e.account_id, e.equipment_id, e.unit_number, p.link_id,
    to_timestamp(p.recorded_ms / 1000), to_timestamp(p.received_ms / 1000), p.latitude, p.longitude, p.altitude_m,
    p.speed, p.heading_deg, p.accuracy_m, p.odometer_m, p.ignition, p.motion_status,
    p.temperature, to_timestamp(p.temperature_ms / 1000), ${WRITTEN_XID}
  from unnest($1::bigint[], $2::bigint[], $3::float8[], $4::float8[], $5::float8[], $6::float8[], $7::real[], $8::real[],
    $9::real[], $10::real[], $11::float8[], $12::boolean[], $13::text[], $14::float8[], $15::float8[])
    as p (equipment_id, link_id, recorded_ms, received_ms, latitude, longitude, altitude_m, speed, heading_deg,
      accuracy_m, odometer_m, ignition, motion_status, temperature, temperature_ms)
  join equipment e on e.equipment_id = p.equipment_id
  on conflict (equipment_id) do update set
    equipment_has_iot_device_id = excluded.equipment_has_iot_device_id,
    recorded_at = excluded.recorded_at, received_at = excluded.received_at,
    latitude = excluded.latitude, longitude = excluded.longitude, altitude_m = excluded.altitude_m,
    speed = excluded.speed, heading_deg = excluded.heading_deg, accuracy_m = excluded.accuracy_m,
    odometer_m = coalesce(excluded.odometer_m, telematics.odometer_m),
    ignition = coalesce(excluded.ignition, telematics.ignition),
    motion_status = coalesce(excluded.motion_status, telematics.motion_status),
    temperature = case when telematics.temperature_at is null or excluded.temperature_at >= telematics.temperature_at
      then excluded.temperature else telematics.temperature end,
    temperature_at = greatest(excluded.temperature_at, telematics.temperature_at),
    written_xid = excluded.written_xid
  where telematics.recorded_at < excluded.recorded_at
  returning equipment_id, temperature`;

/** Readings that came without a newer fix. */
const TEMPERATURE_SQL = `
  update telematics t set temperature = p.temperature, temperature_at = to_timestamp(p.ms / 1000),
    written_xid = ${WRITTEN_XID}
  from unnest($1::bigint[], $2::float8[], $3::float8[]) as p (equipment_id, temperature, ms)
  where t.equipment_id = p.equipment_id
    and (t.temperature_at is null or t.temperature_at < to_timestamp(p.ms / 1000))`;

/** Gives the positions that watchers are told: with the temperatures that the table has then. */
function writeLatest(pipeline: Pipeline, work: CommitWork): () => readonly LatestPosition[] {
  const p = work.positions;
  const latest =
    p.length === 0
      ? null
      : pipeline.query<{ equipment_id: number; temperature: number | null }>('latest', LATEST_SQL, [
          int8Array(p.map((row) => row.link.equipmentId)),
          int8Array(p.map((row) => row.link.deviceId)),
          float8Array(p.map((row) => row.recordedMs)),
          float8Array(p.map((row) => row.receivedMs)),
          float8Array(p.map((row) => row.latDeg)),
          float8Array(p.map((row) => row.lonDeg)),
          float4Array(p.map((row) => row.altitudeM)),
          float4Array(p.map((row) => row.speedMps)),
          float4Array(p.map((row) => row.headingDeg)),
          float4Array(p.map((row) => row.accuracyM)),
          float8Array(p.map((row) => row.odometerM)),
          boolArray(p.map((row) => row.ignition)),
          textArray(p.map((row) => row.motionStatus)),
          float8Array(p.map((row) => row.temperatureC)),
          float8Array(p.map((row) => row.temperatureMs)),
        ]);
  writeTemperatures(pipeline, work.batch);
  return () => {
    if (latest === null) return p;
    // A late reading has not replaced a newer one there.
    const temperatureOf = new Map(latest.rows.map((row) => [row.equipment_id, row.temperature]));
    return p.map((row) => {
      const temperatureC = temperatureOf.get(row.link.equipmentId);
      return temperatureC === undefined ? row : { ...row, temperatureC };
    });
  };
}

function writeTemperatures(pipeline: Pipeline, batch: Batch): void {
  const newest = latestTemperatures(batch);
  if (newest.size === 0) return;
  const rows = [...newest].sort(([a], [b]) => a - b);
  pipeline.query('temperature', TEMPERATURE_SQL, [
    int8Array(rows.map(([id]) => id)),
    float8Array(rows.map(([, r]) => r.valueC)),
    float8Array(rows.map(([, r]) => r.timeMs)),
  ]);
}

const STATE_SQL = `
  insert into engine_state (equipment_has_iot_device_id, customer_id, state, updated_at)
  select id, tenant, state::jsonb, now() from unnest($1::bigint[], $2::bigint[], $3::text[]) as s (id, tenant, state)
  on conflict (equipment_has_iot_device_id) do update set state = excluded.state, updated_at = excluded.updated_at`;

function writeState(pipeline: Pipeline, { evaluation }: CommitWork): void {
  if (evaluation.changed.length === 0) return;
  const changed = evaluation.changed.toSorted((a, b) => a.deviceId - b.deviceId);
  pipeline.query('state', STATE_SQL, [
    int8Array(changed.map(({ deviceId }) => deviceId)),
    int8Array(changed.map(({ tenantId }) => tenantId)),
    textArray(changed.map(({ state }) => JSON.stringify(state))),
  ]);
}

const INSERT_EVENTS = `
  insert into activity_feed (${EVENT_COLUMNS}) select ${EVENT_COLUMNS} from event_staging on conflict do nothing`;

/** Gives the events with the ids that they have in the feed, also where an earlier try had committed after all. */
function writeEvents(pipeline: Pipeline, work: CommitWork, staged: boolean): () => FeedRows {
  const { events } = work.evaluation;
  if (events.length === 0) return () => NO_FEED;
  const keys = events.map(eventKey);
  const data = encodeEvents(events, keys, work.batch);
  if (staged) {
    pipeline.copy('stage_events', copySql('event_staging', EVENT_COLUMNS), data);
    pipeline.query('insert_events', INSERT_EVENTS);
  } else pipeline.copy('copy_events', COPY_EVENTS, data);
  const stored = storedEvents(pipeline, keys);
  return () => {
    const idOf = new Map(stored.rows.map((row) => [row.key, row.id]));
    return { events, ids: keys.map((key) => idOf.get(key)!) };
  };
}

const REJECTS_SQL = `
  insert into ingest_reject (reject_key, customer_id, iot_device_id, device_identifier, source, topic, reason, detail, payload,
    payload_bytes, received_at)
  select r.reject_key, r.customer_id, r.iot_device_id, r.device_identifier, r.source, r.topic, r.reason, r.detail, r.payload,
    r.payload_bytes, to_timestamp(r.received_ms / 1000)
  from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[],
    $9::integer[], $10::float8[], $11::uuid[]) as r (customer_id, iot_device_id, device_identifier, source, topic, reason,
    detail, payload, payload_bytes, received_ms, reject_key)
  on conflict (reject_key) do nothing`;

function writeRejects(pipeline: Pipeline, rejects: readonly Reject[]): void {
  if (rejects.length === 0) return;
  pipeline.query('rejects', REJECTS_SQL, [
    rejects.map((r) => r.tenantId),
    rejects.map((r) => r.iotDeviceId),
    rejects.map((r) => clean(r.deviceName)),
    rejects.map((r) => r.source),
    rejects.map((r) => clean(r.topic)),
    rejects.map((r) => r.reason),
    rejects.map((r) => clean(r.detail)),
    rejects.map((r) => r.payload),
    rejects.map((r) => r.payloadBytes),
    rejects.map((r) => r.receivedMs),
    rejects.map((r) => r.key),
  ]);
}

/** PostgreSQL text holds no NUL. */
function clean(text: string | null): string | null {
  return text === null ? null : text.replaceAll('\0', '\u2400');
}
