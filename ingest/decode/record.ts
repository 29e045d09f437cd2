/**
 * One record of a format with loose fields, in the making: fields are judged as they are set, and what was set becomes
 * a fix with readings, or readings alone where the record has no position that can be believed. Knows ranges and
 * limits that all such formats share; refuses to know their names for things.
 */
import { isUtf8 } from 'node:buffer';
import { hasTooManyKeys, MESSAGE_KEYS_MAX } from './distinct-keys.ts';
import { MESSAGE_ROWS_MAX, RECORD_METRICS_MAX, RECORDS_MAX } from './native.ts';
import { addEvent, addFix, addReading, ignore, refuseMessage, type Decoded } from './decoded.ts';

/** Why a record, or a whole message, is refused. */
export interface Reason {
  readonly reason: string;
  readonly detail: string;
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** Characters of an event's name. */
const EVENT_CHARS_MAX = 64;
/** Characters of a number that comes as text. */
const NUMBER_CHARS_MAX = 40;
/** Characters of a refused record that are kept. */
const REFUSED_CHARS_MAX = 4096;
const METRIC_CODE = /^[A-Za-z0-9_.:#%-]{1,64}$/;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?$/i;
/** Any name that a device can be registered under, and many more. */
const DEVICE_NAME = /^[\x20-\x7e]{1,64}$/;

/** Fields of a fix: what they are called where they stand alone, their unit, and what makes sense. */
const FIX_FIELDS = {
  altitudeM: { code: 'altitude_m', uomCode: 'm', min: -12_000, max: 100_000 },
  speedMps: { code: 'speed_mps', uomCode: 'm/s', min: 0, max: 1000 },
  headingDeg: { code: 'heading_deg', uomCode: 'deg', min: 0, max: 360 },
  accuracyM: { code: 'accuracy_m', uomCode: 'm', min: 0, max: 40_000_000 },
  odometerM: { code: 'odometer_m', uomCode: 'm', min: 0, max: 1e11 },
  satellites: { code: 'satellites', uomCode: null, min: 0, max: 255 },
  seq: { code: 'seq', uomCode: null, min: 0, max: Number.MAX_SAFE_INTEGER },
} as const;
type FixField = keyof typeof FIX_FIELDS;

/** What stays true without a position, and is kept as a reading then. */
const FIELDS_WITHOUT_POSITION = ['odometerM', 'satellites'] as const;

export const kphToMps = (kph: number): number => kph / 3.6;
export const knotsToMps = (knots: number): number => (knots * 1852) / 3600;
/** To the millimetre, so that 0.1 km is 100 m and not a little more. */
export const kmToM = (km: number): number => Math.round(km * 1e6) / 1e3;

export interface RecordHead {
  /** Position in the message. */
  readonly index: number;
  readonly device: string | null;
  readonly timeMs: number;
}

export class DraftRecord {
  private readonly decoded: Decoded;
  private readonly head: RecordHead;
  private readonly fields: Partial<Record<FixField, number>> = {};
  private readonly readings: { code: string; value: number; uomCode: string | null }[] = [];
  private latDeg = NaN;
  private lonDeg = NaN;
  private ignition = NaN;
  private motion = NaN;
  private event: string | null = null;

  constructor(decoded: Decoded, head: RecordHead) {
    this.decoded = decoded;
    this.head = head;
  }

  /**
   * Sets a field of the fix from a number, or text that is one; absent, `null` and empty leave it out, and so does −1
   * where nothing can be negative, which is how phones say "unknown". One that makes no sense is left out and counted.
   */
  set(field: FixField, value: unknown, convert?: (sent: number) => number): void {
    const { code, min, max } = FIX_FIELDS[field];
    const number = this.numberWithin(code, value, { min, max, convert });
    if (!Number.isNaN(number)) this.fields[field] = number;
  }

  setIgnition(value: unknown): void {
    this.ignition = this.flag('ignition', value);
  }

  setMotion(value: unknown): void {
    this.motion = this.flag('motion', value);
  }

  /** The first name stays: set what matters most first. One that is too long or no text is left out and counted. */
  setEvent(value: unknown): void {
    if (value === undefined || value === null || value === '') return;
    const isName =
      typeof value === 'string' && value.length <= EVENT_CHARS_MAX && !value.includes('\0');
    if (isName && this.event === null) this.event = value;
    else ignore(this.decoded, 'event');
  }

  /** Sets the position; both absent is no position. Returns why not, where one of them is missing or wrong. */
  setPosition(lat: unknown, lon: unknown): Reason | null {
    if (isAbsent(lat) && isAbsent(lon)) return null;
    const latDeg = coordinateOf('lat', lat, 90);
    if (typeof latDeg !== 'number') return latDeg;
    const lonDeg = coordinateOf('lon', lon, 180);
    if (typeof lonDeg !== 'number') return lonDeg;
    this.latDeg = latDeg;
    this.lonDeg = lonDeg;
    return null;
  }

  /**
   * Takes back a position that the device itself does not believe in. What is left says so by the reading
   * `position_valid`: no fence and no map may act on such a place.
   */
  doubtPosition(): void {
    this.latDeg = NaN;
    this.lonDeg = NaN;
    this.reading('position_valid', 0, '1');
  }

  /** A reading of a known meaning: a number, or text that is one, within its range. */
  named(
    code: string,
    value: unknown,
    how: {
      uomCode?: string;
      min?: number;
      max?: number;
      convert?: (sent: number) => number;
    } = {},
  ): void {
    const { uomCode = null, min = -Infinity, max = Infinity, convert } = how;
    const number = this.numberWithin(code, value, { min, max, convert });
    if (!Number.isNaN(number)) this.reading(code, number, uomCode);
  }

  /** A reading that is true or false. */
  namedFlag(code: string, value: unknown): void {
    const flag = this.flag(code, value);
    if (!Number.isNaN(flag)) this.reading(code, flag, '1');
  }

  /** A key that the format does not name: a reading where it is a number or a boolean, else left out and counted. */
  unknown(key: string, value: unknown): void {
    if (value === null || value === undefined) return;
    const number = typeof value === 'boolean' ? Number(value) : value;
    if (typeof number === 'number' && Number.isFinite(number) && METRIC_CODE.test(key)) {
      this.reading(key, number, null);
    } else ignore(this.decoded, 'unknown_key');
  }

  /** Hands what was set to the message. */
  finish(): void {
    const hasPosition = !Number.isNaN(this.latDeg);
    if (hasPosition) this.pushFix();
    else this.pushFieldsAlone();
    const { index, device, timeMs } = this.head;
    for (const { code, value, uomCode } of this.readings) {
      addReading(this.decoded, { index, device, timeMs, metricCode: code, value, uomCode });
    }
  }

  private pushFix(): void {
    const { fields } = this;
    const single = (field: FixField): number => Math.fround(fields[field] ?? NaN);
    addFix(this.decoded, {
      ...this.head,
      latDeg: this.latDeg,
      lonDeg: this.lonDeg,
      // Rounded to what the database keeps, so that a tiny number is 0 there and here.
      altitudeM: single('altitudeM'),
      speedMps: single('speedMps'),
      headingDeg: single('headingDeg') % 360,
      accuracyM: single('accuracyM'),
      odometerM: fields.odometerM ?? NaN,
      satellites: Math.trunc(fields.satellites ?? NaN),
      ignition: this.ignition,
      motion: this.motion,
      seq: Math.trunc(fields.seq ?? NaN),
      event: this.event,
    });
  }

  private pushFieldsAlone(): void {
    for (const field of FIELDS_WITHOUT_POSITION) {
      const value = this.fields[field];
      const { code, uomCode } = FIX_FIELDS[field];
      if (value !== undefined) this.reading(code, value, uomCode);
    }
    if (!Number.isNaN(this.ignition)) this.reading('ignition', this.ignition, '1');
    if (!Number.isNaN(this.motion)) this.reading('motion', this.motion, '1');
    if (this.event === null) return;
    // An alarm must not be lost for want of a place.
    const detail = { event: this.event };
    addEvent(this.decoded, { ...this.head, kind: 'status', latDeg: NaN, lonDeg: NaN, detail });
  }

  private reading(code: string, value: number, uomCode: string | null): void {
    if (this.readings.length < RECORD_METRICS_MAX) this.readings.push({ code, value, uomCode });
    else ignore(this.decoded, 'metrics_max');
  }

  private numberWithin(
    name: string,
    value: unknown,
    how: { min: number; max: number; convert?: ((sent: number) => number) | undefined },
  ): number {
    if (isAbsent(value)) return NaN;
    const sent = numberOf(value);
    if (sent === -1 && how.min === 0) return NaN;
    const number = how.convert === undefined ? sent : how.convert(sent);
    if (number >= how.min && number <= how.max && Number.isFinite(number)) return number;
    ignore(this.decoded, name);
    return NaN;
  }

  private flag(name: string, value: unknown): number {
    if (isAbsent(value)) return NaN;
    if (value === true || value === 1 || value === 'true' || value === '1') return 1;
    if (value === false || value === 0 || value === 'false' || value === '0') return 0;
    ignore(this.decoded, name);
    return NaN;
  }
}

/** A finite number, or text that is one in decimal; else NaN. */
export function numberOf(value: unknown): number {
  let number = NaN;
  if (typeof value === 'number') number = value;
  else if (typeof value === 'string' && value.length <= NUMBER_CHARS_MAX) {
    const text = value.trim();
    if (NUMBER.test(text)) number = Number(text);
  }
  return Number.isFinite(number) ? number : NaN;
}

/** A time as `readTime` takes it: text that is a number becomes one. */
export function timeValueOf(value: unknown): unknown {
  const number = numberOf(value);
  return Number.isNaN(number) ? value : number;
}

/** The name of a device from text or a whole number; a reason where it is neither, or none that can be registered. */
export function deviceNameOf(value: unknown): string | Reason {
  if (isAbsent(value)) return { reason: 'device_missing', detail: 'the device is not named' };
  const name = Number.isSafeInteger(value) ? String(value) : value;
  if (typeof name === 'string' && DEVICE_NAME.test(name)) return name;
  return { reason: 'device_name', detail: 'a device name is 1 to 64 printable characters' };
}

/** A coordinate from a number or text that is one. */
export function coordinateOf(
  key: 'lat' | 'lon',
  value: unknown,
  limitDeg: number,
): number | Reason {
  if (isAbsent(value)) return MISSING[key];
  const number = numberOf(value);
  if (Number.isNaN(number)) return NO_NUMBER[key];
  return Math.abs(number) > limitDeg ? OUT_OF_RANGE[key] : number;
}

const MISSING = {
  lat: { reason: 'lat_missing', detail: 'the latitude is missing' },
  lon: { reason: 'lon_missing', detail: 'the longitude is missing' },
};
const NO_NUMBER = {
  lat: { reason: 'lat_type', detail: 'the latitude must be a number of degrees' },
  lon: { reason: 'lon_type', detail: 'the longitude must be a number of degrees' },
};
const OUT_OF_RANGE = {
  lat: { reason: 'lat_range', detail: 'the latitude is outside −90…90' },
  lon: { reason: 'lon_range', detail: 'the longitude is outside −180…180' },
};

/** Absent, `null`, or text with nothing in it. */
export function isAbsent(value: unknown): boolean {
  return value === undefined || value === null || value === '';
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The payload's JSON, or why there is none. Never throws. */
export function parseJson(
  payload: Buffer,
): { ok: true; value: unknown } | ({ ok: false } & Reason) {
  if (!isUtf8(payload)) {
    return { ok: false, reason: 'utf8_invalid', detail: 'the payload is not UTF-8' };
  }
  if (hasTooManyKeys(payload)) {
    const detail = `more than ${MESSAGE_KEYS_MAX} different keys in one message`;
    return { ok: false, reason: 'keys_max', detail };
  }
  const text = payload.toString('utf8');
  try {
    return { ok: true, value: JSON.parse(text.startsWith('\ufeff') ? text.slice(1) : text) };
  } catch (error) {
    const why = error instanceof Error ? error.message.slice(0, 200) : String(error);
    return { ok: false, reason: 'json_malformed', detail: `the payload is not JSON: ${why}` };
  }
}

/**
 * Decodes record after record. Each is stored whole or refused whole, and one that is refused does not hold up those
 * beside it; too many of them, or of what they hold, refuse the message, because a part cannot be acknowledged.
 */
export function decodeEach(
  decoded: Decoded,
  records: readonly unknown[],
  decodeOne: (record: JsonObject, index: number) => Reason | null,
): void {
  if (records.length > RECORDS_MAX) {
    refuseMessage(decoded, 'records_max', `more than ${RECORDS_MAX} records in one message`);
    return;
  }
  for (let index = 0; index < records.length; index++) {
    const record = records[index];
    const refusal = isObject(record)
      ? decodeOne(record, index)
      : { reason: 'record_type', detail: 'a record must be a JSON object' };
    if (refusal !== null) {
      const payload = excerptOf(record);
      decoded.refusals.push({ index, ...refusal, device: null, payload });
    }
    if (rowCount(decoded) > MESSAGE_ROWS_MAX) {
      const { fixes, readings, events, refusals } = decoded;
      for (const rows of [fixes, readings, events, refusals]) rows.length = 0;
      const detail = `more than ${MESSAGE_ROWS_MAX} fixes and readings in one message`;
      refuseMessage(decoded, 'rows_max', detail);
      return;
    }
  }
}

function rowCount({ fixes, readings, events }: Decoded): number {
  return fixes.length + readings.length + events.length;
}

/** The record as JSON, cut; `null` (keep the whole message) where it is nested too deeply to be written again. */
function excerptOf(record: unknown): string | null {
  try {
    return JSON.stringify(record).slice(0, REFUSED_CHARS_MAX);
  } catch {
    return null;
  }
}
