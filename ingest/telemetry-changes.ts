/**
 * Notes of a batch for those who follow the newest positions and metrics: which units it has moved, and which metrics of
 * which devices it has brought. One row a tenant and kind, whatever the number of its devices; see `telemetry_change`
 * (migrations/0037_record_changes.sql). What is newest is for the reader to find: late readings are noted like others.
 */
import { float8Array, int8Array, textArray } from '../db/pg-arrays.ts';
import type { Pipeline } from '../db/pipeline.ts';
import type { ReadingRows } from './batch.ts';

/** Number of the transaction at work, as the rows that it writes bear it. */
export const WRITTEN_XID = '(select pg_current_xact_id()::text::bigint)';

/** Names the units that a statement with RETURNING customer_id, equipment_id has moved; the name is that of its CTE. */
export function tellMoved(moved: string): string {
  return `insert into telemetry_change (customer_id, source_ids)
    select customer_id, array_agg(equipment_id) from ${moved} group by customer_id`;
}

/** Devices of one tenant that sent the same metrics. */
interface MetricChange {
  readonly tenantId: number;
  readonly codes: readonly string[];
  readonly deviceIds: number[];
  sinceMs: number;
  untilMs: number;
}

interface Sent {
  readonly tenantId: number;
  readonly codes: string[];
  sinceMs: number;
  untilMs: number;
}

/** No metric code has it. */
const BETWEEN_CODES = '\0';

/** By tenant and metrics. */
export function metricChanges(readings: ReadingRows): MetricChange[] {
  const byDevice = new Map<number, Sent>();
  for (let i = 0; i < readings.count; i++) {
    const id = readings.deviceId[i]!;
    const timeMs = readings.timeMs[i]!;
    const code = readings.metricCode[i]!;
    const sent = byDevice.get(id);
    if (sent === undefined) {
      const { tenantId } = readings.link[i]!;
      byDevice.set(id, { tenantId, codes: [code], sinceMs: timeMs, untilMs: timeMs });
      continue;
    }
    if (!sent.codes.includes(code)) sent.codes.push(code);
    if (timeMs < sent.sinceMs) sent.sinceMs = timeMs;
    if (timeMs > sent.untilMs) sent.untilMs = timeMs;
  }
  const changes = new Map<string, MetricChange>();
  for (const [id, { tenantId, codes, sinceMs, untilMs }] of byDevice) {
    const key = `${tenantId} ${codes.join(BETWEEN_CODES)}`;
    const known = changes.get(key);
    if (known === undefined) {
      changes.set(key, { tenantId, codes, deviceIds: [id], sinceMs, untilMs });
      continue;
    }
    known.deviceIds.push(id);
    known.sinceMs = Math.min(known.sinceMs, sinceMs);
    known.untilMs = Math.max(known.untilMs, untilMs);
  }
  return [...changes.values()];
}

const METRICS_SQL = `
  insert into telemetry_change (customer_id, source_ids, metric_codes, since_at, until_at)
  select c.customer_id, c.ids::bigint[], array(select jsonb_array_elements_text(c.codes::jsonb)),
    to_timestamp(c.since_ms / 1000), to_timestamp(c.until_ms / 1000)
  from unnest($1::bigint[], $2::text[], $3::text[], $4::float8[], $5::float8[])
    as c (customer_id, ids, codes, since_ms, until_ms)`;

/** Adds the notes of its readings to a batch's transaction. */
export function writeMetricChanges(pipeline: Pipeline, readings: ReadingRows): void {
  if (readings.count === 0) return;
  const changes = metricChanges(readings);
  pipeline.query('metric_changes', METRICS_SQL, [
    int8Array(changes.map(({ tenantId }) => tenantId)),
    textArray(changes.map(({ deviceIds }) => `{${deviceIds.join()}}`)),
    textArray(changes.map(({ codes }) => JSON.stringify(codes))),
    float8Array(changes.map(({ sinceMs }) => sinceMs)),
    float8Array(changes.map(({ untilMs }) => untilMs)),
  ]);
}
