/**
 * Notes of a batch for those who follow the newest positions and metrics: which units it has moved, and which metrics of
 * which devices it has brought. One row a tenant and kind, whatever the number of its devices; see `telemetry_change`
 * (migrations/0037_record_changes.sql). What is newest is for the reader to find: what came late is noted like the rest.
 */
import { float8Array, int8Array, textArray } from '../db/pg-arrays.ts';
import type { Pipeline } from '../db/pipeline.ts';
import type { ReadingRows } from './batch.ts';
import { TEMPERATURE_CODE, type LatestPosition } from './latest.ts';
import type { Link } from './registry.ts';

/** Number of the transaction at work, as latest positions that it writes bear it. */
export const WRITTEN_XID = '(select pg_current_xact_id()::text::bigint)';

/** Units of one tenant, or with `codes` devices of one tenant that sent the same metrics. */
export interface TelemetryChange {
  readonly tenantId: number;
  readonly codes: readonly string[] | null;
  readonly sourceIds: number[];
  sinceMs: number;
  untilMs: number;
}

interface Sent {
  readonly link: Link;
  readonly codes: string[];
  sinceMs: number;
  untilMs: number;
}

/** PostgreSQL holds none in a text. */
const BETWEEN_CODES = '\0';

/** Units whose latest position may be another, by tenant: those that moved, and those that sent a temperature. */
export function movedUnits(
  positions: readonly LatestPosition[],
  readings: ReadingRows,
): TelemetryChange[] {
  const unitsOf = new Map<number, Set<number>>();
  const add = ({ tenantId, equipmentId }: Link): void => {
    const units = unitsOf.get(tenantId);
    if (units === undefined) unitsOf.set(tenantId, new Set([equipmentId]));
    else units.add(equipmentId);
  };
  for (const { link } of positions) add(link);
  for (let i = 0; i < readings.count; i++) {
    if (readings.metricCode[i] === TEMPERATURE_CODE) add(readings.link[i]!);
  }
  return [...unitsOf].map(([tenantId, units]) => {
    return { tenantId, codes: null, sourceIds: [...units], sinceMs: NaN, untilMs: NaN };
  });
}

/** Devices that sent metrics, by tenant and by which they sent. */
export function sentMetrics(readings: ReadingRows): TelemetryChange[] {
  const byDevice = new Map<number, Sent>();
  for (let i = 0; i < readings.count; i++) {
    const id = readings.deviceId[i]!;
    const timeMs = readings.timeMs[i]!;
    const code = readings.metricCode[i]!;
    const sent = byDevice.get(id);
    if (sent === undefined) {
      const link = readings.link[i]!;
      byDevice.set(id, { link, codes: [code], sinceMs: timeMs, untilMs: timeMs });
      continue;
    }
    if (!sent.codes.includes(code)) sent.codes.push(code);
    if (timeMs < sent.sinceMs) sent.sinceMs = timeMs;
    if (timeMs > sent.untilMs) sent.untilMs = timeMs;
  }
  const changes = new Map<string, TelemetryChange>();
  for (const [id, { link, codes, sinceMs, untilMs }] of byDevice) {
    const { tenantId } = link;
    const key = `${tenantId} ${codes.join(BETWEEN_CODES)}`;
    const known = changes.get(key);
    if (known === undefined) {
      changes.set(key, { tenantId, codes, sourceIds: [id], sinceMs, untilMs });
      continue;
    }
    known.sourceIds.push(id);
    known.sinceMs = Math.min(known.sinceMs, sinceMs);
    known.untilMs = Math.max(known.untilMs, untilMs);
  }
  return [...changes.values()];
}

const CHANGES_SQL = `
  insert into telemetry_change (customer_id, source_ids, metric_codes, since_at, until_at)
  select c.customer_id, c.ids::bigint[],
    case when c.codes is not null then array(select jsonb_array_elements_text(c.codes::jsonb)) end,
    to_timestamp(c.since_ms / 1000), to_timestamp(c.until_ms / 1000)
  from unnest($1::bigint[], $2::text[], $3::text[], $4::float8[], $5::float8[])
    as c (customer_id, ids, codes, since_ms, until_ms)`;

/** Sources of one row: with more it would be compressed, which takes longer than all the rest of it. */
const SOURCES_MAX = 200;

function inPieces(change: TelemetryChange): TelemetryChange[] {
  const { sourceIds } = change;
  const pieces: TelemetryChange[] = [];
  for (let from = 0; from < sourceIds.length; from += SOURCES_MAX)
    pieces.push({ ...change, sourceIds: sourceIds.slice(from, from + SOURCES_MAX) });
  return pieces;
}

/** Adds the notes to a batch's transaction, in one statement: 0.1 ms, and 0.1 to 0.3 µs a row of a full batch. */
export function writeTelemetryChanges(
  pipeline: Pipeline,
  positions: readonly LatestPosition[],
  readings: ReadingRows,
): void {
  const noted = [...movedUnits(positions, readings), ...sentMetrics(readings)];
  const changes = noted.flatMap(inPieces);
  if (changes.length === 0) return;
  pipeline.query('telemetry_changes', CHANGES_SQL, [
    int8Array(changes.map(({ tenantId }) => tenantId)),
    textArray(changes.map(({ sourceIds }) => `{${sourceIds.join()}}`)),
    textArray(changes.map(({ codes }) => (codes === null ? null : JSON.stringify(codes)))),
    float8Array(changes.map(({ sinceMs }) => sinceMs)),
    float8Array(changes.map(({ untilMs }) => untilMs)),
  ]);
}
