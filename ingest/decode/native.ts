/**
 * The native JSON format (`docs/protocol.md`): an object, an array of them, or NDJSON, each a fix, a metric, or both.
 * Knows this one wire format; refuses to know who sent it or whether the device exists.
 */
import { isUtf8 } from 'node:buffer';
import { hasTooManyKeys, MESSAGE_KEYS_MAX } from './distinct-keys.ts';
import { readTime } from './time.ts';
import { toKeptUnit } from './units.ts';
import { emptyDecoded, ignore, refuseMessage, type Decoded, type DecodedFix } from './decoded.ts';

/** Records in one message; more are refused as a whole, because a part cannot be acknowledged. */
export const RECORDS_MAX = 10_000;
/** Fixes and readings of one message together: what goes into one batch whole. */
export const MESSAGE_ROWS_MAX = 20_000;
/** Readings in one record. */
export const RECORD_METRICS_MAX = 100;
/** Characters of an `event`. */
const EVENT_CHARS_MAX = 64;
/** Characters of a refused record that are kept. */
const REFUSED_CHARS_MAX = 4096;
/** Metric codes: short, printable, fit for a URL. */
const METRIC_CODE = /^[A-Za-z0-9_.:#%-]{1,64}$/;

/** What the topic or path says a record is; `any` lets the record say it. */
export type RecordKind = 'fix' | 'metric' | 'any';

type JsonObject = Record<string, unknown>;

const FIX_KEYS: ReadonlySet<string> = new Set([
  'device', 'time', 'lat', 'lon', 'speed_mps', 'speed_kph', 'heading_deg', 'altitude_m', 'accuracy_m',
  'satellites', 'odometer_m', 'ignition', 'motion', 'event', 'seq', 'metrics', 'metric', 'value', 'unit',
]); // prettier-ignore

/** Units of the readings that a fix may carry under names of their own. */
const NAMED_METRIC_UOM: ReadonlyMap<string, string> = new Map([
  ['battery_pct', '%'],
  ['fuel_pct', '%'],
  ['temperature_c', 'Cel'],
]);

/**
 * Decodes one message of `application/json`: an object or an array of objects. Never throws; what is wrong becomes a
 * refusal with the record's index.
 */
export function decodeNative(payload: Buffer, kind: RecordKind, nowMs: number): Decoded {
  const decoded = emptyDecoded();
  const text = textOf(payload, decoded);
  if (text === null) return decoded;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    refuseMessage(decoded, 'json_malformed', `the payload is not JSON: ${messageOf(error)}`);
    return decoded;
  }
  decodeRecords(decoded, Array.isArray(parsed) ? parsed : [parsed], kind, nowMs);
  return decoded;
}

/**
 * Decodes a message with nothing beside it that says how it is written, as over MQTT: NDJSON where its first line holds an
 * object from beginning to end, else as {@link decodeNative}.
 */
export function decodeUntyped(payload: Buffer, kind: RecordKind, nowMs: number): Decoded {
  const lineEnd = payload.indexOf('\n');
  const line = lineEnd === -1 ? '' : payload.toString('utf8', 0, lineEnd).trim();
  const hasLines = line.startsWith('{') && line.endsWith('}');
  return hasLines ? decodeNdjson(payload, nowMs, kind) : decodeNative(payload, kind, nowMs);
}

/** Decodes NDJSON: one record a line, empty lines skipped. A malformed line costs that line only. */
export function decodeNdjson(payload: Buffer, nowMs: number, kind: RecordKind = 'any'): Decoded {
  const decoded = emptyDecoded();
  const text = textOf(payload, decoded);
  if (text === null) return decoded;
  const records: unknown[] = [];
  // One line more than is allowed is enough to know: a body may hold millions of them.
  for (const line of nonEmptyLines(text, RECORDS_MAX + 1)) records.push(parseLine(line));
  decodeRecords(decoded, records, kind, nowMs);
  return decoded;
}

class Malformed {
  readonly line: string;
  readonly why: string;
  constructor(line: string, why: string) {
    this.line = line;
    this.why = why;
  }
}

function decodeRecords(
  decoded: Decoded,
  records: readonly unknown[],
  kind: RecordKind,
  nowMs: number,
): void {
  if (records.length > RECORDS_MAX) {
    refuseMessage(decoded, 'records_max', `more than ${RECORDS_MAX} records in one message`);
    return;
  }
  for (let index = 0; index < records.length; index++) {
    decodeIndexed(decoded, records[index], index, kind, nowMs);
    if (decoded.fixes.length + decoded.readings.length <= MESSAGE_ROWS_MAX) continue;
    for (const rows of [decoded.fixes, decoded.readings, decoded.refusals]) rows.length = 0;
    const detail = `more than ${MESSAGE_ROWS_MAX} fixes and readings in one message`;
    refuseMessage(decoded, 'rows_max', detail);
    return;
  }
}

/** One line of NDJSON that is not empty. Adds what it holds, all of it or nothing, or why it is refused. */
export function decodeLine(decoded: Decoded, line: string, index: number, nowMs: number): void {
  decodeIndexed(decoded, parseLine(line), index, 'any', nowMs);
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    return new Malformed(line, messageOf(error));
  }
}

function decodeIndexed(
  decoded: Decoded,
  record: unknown,
  index: number,
  kind: RecordKind,
  nowMs: number,
): void {
  if (record instanceof Malformed) {
    decoded.refusals.push({
      index,
      reason: 'json_malformed',
      detail: `the line is not JSON: ${record.why}`,
      device: null,
      payload: record.line.slice(0, REFUSED_CHARS_MAX),
    });
    return;
  }
  const refusal = decodeRecord(decoded, record, index, kind, nowMs);
  if (refusal === null) return;
  decoded.refusals.push({
    index,
    reason: refusal.reason,
    detail: refusal.detail,
    device: isObject(record) && typeof record['device'] === 'string' ? record['device'] : null,
    payload: excerpt(record),
  });
}

interface Reason {
  readonly reason: string;
  readonly detail: string;
}

/** Pushes what the record holds, all of it or nothing; the reason when it is refused. */
function decodeRecord(
  decoded: Decoded,
  record: unknown,
  index: number,
  kind: RecordKind,
  nowMs: number,
): Reason | null {
  if (!isObject(record)) {
    return { reason: 'record_type', detail: 'a record must be a JSON object' };
  }
  const device = record['device'] ?? null;
  if (device !== null && typeof device !== 'string') {
    return { reason: 'device_type', detail: 'device must be a string' };
  }
  const time = readTime(record['time'], nowMs);
  if (!time.ok) return time;
  const hasPosition = record['lat'] !== undefined || record['lon'] !== undefined;
  const isFix = kind === 'fix' || hasPosition;
  const readingsFrom = decoded.readings.length;
  const refusal =
    readMetrics(decoded, record, { index, device, timeMs: time.timeMs, isFix }) ??
    (isFix ? readFix(decoded, record, { index, device, timeMs: time.timeMs }) : null);
  if (refusal !== null) decoded.readings.length = readingsFrom;
  return refusal;
}

interface RecordHead {
  readonly index: number;
  readonly device: string | null;
  readonly timeMs: number;
}

function readFix(decoded: Decoded, record: JsonObject, head: RecordHead): Reason | null {
  const lat = coordinate(record, 'lat', 90);
  if (typeof lat !== 'number') return lat;
  const lon = coordinate(record, 'lon', 180);
  if (typeof lon !== 'number') return lon;
  const fix: DecodedFix = {
    index: head.index,
    device: head.device,
    timeMs: head.timeMs,
    latDeg: lat,
    lonDeg: lon,
    altitudeM: Math.fround(optional(decoded, record, 'altitude_m', -12_000, 100_000)),
    // Rounded to what the database keeps, so that a tiny number is 0 there and here.
    speedMps: Math.fround(speed(decoded, record)),
    headingDeg: Math.fround(optional(decoded, record, 'heading_deg', 0, 360)) % 360,
    accuracyM: Math.fround(optional(decoded, record, 'accuracy_m', 0, 40_000_000)),
    odometerM: optional(decoded, record, 'odometer_m', 0, 1e11),
    satellites: Math.trunc(optional(decoded, record, 'satellites', 0, 255)),
    ignition: flag(decoded, record, 'ignition'),
    motion: flag(decoded, record, 'motion'),
    seq: Math.trunc(optional(decoded, record, 'seq', 0, Number.MAX_SAFE_INTEGER)),
    event: eventName(decoded, record),
  };
  decoded.fixes.push(fix);
  return null;
}

function coordinate(record: JsonObject, key: string, limitDeg: number): number | Reason {
  const value = record[key];
  if (value === undefined || value === null) {
    return { reason: `${key}_missing`, detail: `${key} is required` };
  }
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    return { reason: `${key}_type`, detail: `${key} must be a number of degrees` };
  }
  if (Math.abs(value) > limitDeg) {
    return {
      reason: `${key}_range`,
      detail: `${key} ${value} is outside −${limitDeg}…${limitDeg}`,
    };
  }
  return value;
}

/** An optional number within its range; NaN when absent, and counted as ignored when it makes no sense. */
function optional(
  decoded: Decoded,
  record: JsonObject,
  key: string,
  min: number,
  max: number,
): number {
  const value = record[key];
  if (value === undefined || value === null) return NaN;
  if (typeof value === 'number' && value >= min && value <= max) return value;
  ignore(decoded, key);
  return NaN;
}

function speed(decoded: Decoded, record: JsonObject): number {
  const mps = optional(decoded, record, 'speed_mps', 0, 1000);
  if (!Number.isNaN(mps)) return mps;
  return optional(decoded, record, 'speed_kph', 0, 3600) / 3.6;
}

function flag(decoded: Decoded, record: JsonObject, key: string): number {
  const value = record[key];
  if (value === undefined || value === null) return NaN;
  if (value === true || value === 1) return 1;
  if (value === false || value === 0) return 0;
  ignore(decoded, key);
  return NaN;
}

function eventName(decoded: Decoded, record: JsonObject): string | null {
  const value = record['event'];
  if (value === undefined || value === null) return null;
  if (typeof value === 'string' && value.length <= EVENT_CHARS_MAX && !value.includes('\0')) {
    return value;
  }
  ignore(decoded, 'event');
  return null;
}

interface MetricHead extends RecordHead {
  readonly isFix: boolean;
}

function readMetrics(decoded: Decoded, record: JsonObject, head: MetricHead): Reason | null {
  const from = decoded.readings.length;
  const refusal = readNamedMetric(decoded, record, head) ?? readMetricMap(decoded, record, head);
  if (refusal !== null) return refusal;
  for (const key of Object.keys(record)) {
    if (FIX_KEYS.has(key)) continue;
    const value = record[key];
    if ((typeof value === 'number' && Number.isFinite(value)) || typeof value === 'boolean') {
      const pushed = push(decoded, head, { key, value, unit: NAMED_METRIC_UOM.get(key) });
      if (pushed !== null) ignore(decoded, 'unknown_key');
    } else if (value !== null) {
      ignore(decoded, NAMED_METRIC_UOM.has(key) ? key : 'unknown_key');
    }
  }
  const count = decoded.readings.length - from;
  if (count > RECORD_METRICS_MAX) {
    return {
      reason: 'metrics_max',
      detail: `${count} metrics in one record; the limit is ${RECORD_METRICS_MAX}`,
    };
  }
  if (count === 0 && !head.isFix) {
    return { reason: 'metric_missing', detail: 'metric and value, or metrics, is required' };
  }
  return null;
}

/** `metric` + `value` (+ `unit`). */
function readNamedMetric(decoded: Decoded, record: JsonObject, head: MetricHead): Reason | null {
  const key = record['metric'];
  if (key === undefined || key === null) return null;
  if (typeof key !== 'string') return { reason: 'metric_type', detail: 'metric must be a string' };
  const unit = record['unit'] ?? undefined;
  if (unit !== undefined && typeof unit !== 'string') {
    return { reason: 'unit_type', detail: 'unit must be a string' };
  }
  return push(decoded, head, { key, value: record['value'], unit });
}

/** `metrics: {code: value, …}`. */
function readMetricMap(decoded: Decoded, record: JsonObject, head: MetricHead): Reason | null {
  const map = record['metrics'];
  if (map === undefined || map === null) return null;
  if (!isObject(map)) {
    return { reason: 'metrics_type', detail: 'metrics must be an object of code: value' };
  }
  for (const key of Object.keys(map)) {
    const refusal = push(decoded, head, { key, value: map[key], unit: NAMED_METRIC_UOM.get(key) });
    if (refusal !== null) return refusal;
  }
  return null;
}

interface RawMetric {
  readonly key: string;
  readonly value: unknown;
  readonly unit: string | undefined;
}

function push(decoded: Decoded, head: RecordHead, metric: RawMetric): Reason | null {
  if (!METRIC_CODE.test(metric.key)) {
    return {
      reason: 'metric_code',
      detail: 'a metric code is 1 to 64 of the characters A–Z a–z 0–9 _ . : # % -',
    };
  }
  const number = typeof metric.value === 'boolean' ? Number(metric.value) : metric.value;
  if (typeof number !== 'number' || !Number.isFinite(number)) {
    const detail = `the value of ${metric.key} must be a finite number or a boolean`;
    return { reason: 'value_type', detail };
  }
  let value = number;
  let uomCode: string | null = null;
  if (metric.unit !== undefined) {
    const kept = toKeptUnit(number, metric.unit);
    if (kept === null) {
      return {
        reason: 'unit_unknown',
        detail: `unit ${JSON.stringify(metric.unit.slice(0, 20))} is not known`,
      };
    }
    if (!Number.isFinite(kept.value)) {
      return { reason: 'value_range', detail: `the value of ${metric.key} is out of range` };
    }
    value = kept.value;
    uomCode = kept.uomCode;
  }
  const { index, device, timeMs } = head;
  decoded.readings.push({ index, device, timeMs, metricCode: metric.key, value, uomCode });
  return null;
}

/** The record as JSON, cut; `null` (keep the whole message) where it is nested too deeply to be written again. */
function excerpt(record: unknown): string | null {
  try {
    return JSON.stringify(record).slice(0, REFUSED_CHARS_MAX);
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The payload as text without a byte order mark; `null`, and a refusal, when it is not UTF-8 or has too many keys. */
function textOf(payload: Buffer, decoded: Decoded): string | null {
  if (!isUtf8(payload)) {
    refuseMessage(decoded, 'utf8_invalid', 'the payload is not UTF-8');
    return null;
  }
  if (hasTooManyKeys(payload)) {
    const detail = `more than ${MESSAGE_KEYS_MAX} different keys in one message`;
    refuseMessage(decoded, 'keys_max', detail);
    return null;
  }
  const text = payload.toString('utf8');
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

function* nonEmptyLines(text: string, linesMax: number): Generator<string> {
  let at = 0;
  for (let count = 0; at < text.length && count < linesMax;) {
    const end = text.indexOf('\n', at);
    const line = text.slice(at, end === -1 ? text.length : end);
    at = end === -1 ? text.length : end + 1;
    if (line.trim() === '') continue;
    count++;
    yield line;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 200) : String(error);
}
