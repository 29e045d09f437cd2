/**
 * The common case of the native format, read from its bytes straight into columns: records that are fixes and nothing else,
 * written as encoders write them. Takes a quarter of the time of `JSON.parse` and makes no garbage. Whatever is unusual (an
 * escape, an exponent, sixteen digits, a line break inside, an unknown key, a value out of its range, any error) it does not judge: it says so, and
 * `native.ts` decides. What it does take, it takes exactly as `native.ts` would: `native-scan.test.ts` holds them together.
 */
import type { DecodedFix } from './decoded.ts';
import { AGE_MS_MAX, AHEAD_MS_MAX, EPOCH_S_BELOW } from './time.ts';

/** Records read into one scan; a message with more goes to `native.ts`. */
export const SCAN_RECORDS_MAX = 10_000;
/** Digits that a number may have here: below 2^53, so that dividing by a power of ten rounds once and rightly. */
const DIGITS_MAX = 15;
const EVENT_CHARS_MAX = 64;
const DEVICE_CHARS_MAX = 64;

/** Places of a fix's numbers in {@link FixScan.values}. */
export const SCAN = {
  timeMs: 0, latDeg: 1, lonDeg: 2, altitudeM: 3, speedMps: 4, headingDeg: 5, accuracyM: 6, odometerM: 7, satellites: 8,
  ignition: 9, motion: 10, seq: 11,
} as const; // prettier-ignore
/** Numbers of one fix in {@link FixScan.values}; the last is `speed_kph`, which becomes metres per second. */
export const SCAN_VALUES = 13;
const SPEED_KPH = 12;

// Beside the numbers, what a key may set.
const DEVICE = 13;
const EVENT = 14;
const UNKNOWN = -1;

/** Least and greatest value of each number, and how it is kept; the order is that of `SCAN`, then `speed_kph`. */
const MIN = [0, -90, -180, -12_000, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const MAX = [
  0,
  90,
  180,
  100_000,
  1_000,
  360,
  40_000_000,
  1e11,
  255,
  1,
  1,
  Number.MAX_SAFE_INTEGER,
  3_600,
];

const KEYS: readonly (readonly [string, number])[] = [
  ['time', SCAN.timeMs],
  ['lat', SCAN.latDeg],
  ['lon', SCAN.lonDeg],
  ['altitude_m', SCAN.altitudeM],
  ['speed_mps', SCAN.speedMps],
  ['heading_deg', SCAN.headingDeg],
  ['accuracy_m', SCAN.accuracyM],
  ['odometer_m', SCAN.odometerM],
  ['satellites', SCAN.satellites],
  ['ignition', SCAN.ignition],
  ['motion', SCAN.motion],
  ['seq', SCAN.seq],
  ['speed_kph', SPEED_KPH],
  ['device', DEVICE],
  ['event', EVENT],
];
const KEY_CHARS_MIN = 3;
/** Places of a record whose key is guessed, less one. */
const ORDER_MASK = 15;
/** Names kept as strings; a power of two. */
const NAMES_MAX = 8_192;
const SLOTS = 64;

/** Names a key by its length and two of its characters; no two of KEYS fall together (asserted below). */
function slotOf(length: number, second: number, last: number): number {
  return (length + second + last * 3) & (SLOTS - 1);
}

const FIELD_OF_SLOT = new Int8Array(SLOTS).fill(UNKNOWN);
const NAME_OF_FIELD: Uint8Array[] = [];
for (const [name, field] of KEYS) {
  const bytes = Uint8Array.from(Buffer.from(name));
  const slot = slotOf(bytes.length, bytes[1]!, bytes.at(-1)!);
  if (FIELD_OF_SLOT[slot] !== UNKNOWN) throw new Error(`${name} shares its slot`);
  FIELD_OF_SLOT[slot] = field;
  NAME_OF_FIELD[field] = bytes;
}

const POWER_OF_TEN = Float64Array.from({ length: DIGITS_MAX + 1 }, (_, i) => 10 ** i);

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const SPACE = 0x20;
const TRUE_TEXT = Uint8Array.from(Buffer.from('true'));
const FALSE_TEXT = Uint8Array.from(Buffer.from('false'));

/** Instead of a place in the bytes: `native.ts` shall read it. */
const UNUSUAL = -1;

/** The fixes of one message. Filled anew by each `read…`; the arrays grow and are kept. */
export class FixScan {
  /** Fixes read. */
  count = 0;
  /** `SCAN_VALUES` numbers a fix, NaN where nothing was reported. */
  values = new Float64Array(16 * SCAN_VALUES);
  /** Position of each fix's record in the message. */
  index = new Int32Array(16);
  /** The name each record gives, `null` where it gives none. */
  readonly device: (string | null)[] = [];
  readonly event: (string | null)[] = [];
  /** After {@link FixScan.record} said yes: the first byte behind the record. */
  end = 0;
  /** The field that came last time at each place of a record. */
  private readonly order = new Int8Array(ORDER_MASK + 1);
  private readonly names = new NameCache();

  /**
   * Reads the message from `start` to `end`: an object, or an array of them. False when any of it is unusual; then the scan
   * is empty.
   */
  readMessage(bytes: Buffer, start: number, end: number, nowMs: number): boolean {
    if (this.readAll(bytes, start, end, nowMs)) return true;
    this.count = 0;
    return false;
  }

  /** May look at what lies behind `end`, but takes nothing that reaches behind it. */
  private readAll(bytes: Buffer, start: number, end: number, nowMs: number): boolean {
    this.count = 0;
    let at = skipSpace(bytes, start);
    if (bytes[at] === OPEN_BRACE) {
      return this.record(bytes, at, 0, nowMs) && skipSpace(bytes, this.end) === end;
    }
    if (bytes[at] !== OPEN_BRACKET) return false;
    for (let index = 0; index < SCAN_RECORDS_MAX; index++) {
      at = skipSpace(bytes, at + 1);
      if (!this.record(bytes, at, index, nowMs)) return false;
      at = skipSpace(bytes, this.end);
      if (bytes[at] === CLOSE_BRACKET) return skipSpace(bytes, at + 1) === end;
      if (bytes[at] !== COMMA) return false;
    }
    return false;
  }

  /** Takes the last fix back. */
  drop(): void {
    this.count--;
  }

  /**
   * Reads the object at `start` as one more fix. False when it is unusual; nothing was added then. The names of keys and
   * their ranges are those of `native.ts`.
   */
  record(bytes: Buffer, start: number, index: number, nowMs: number): boolean {
    if (bytes[start] !== OPEN_BRACE) return false;
    const row = this.count;
    this.reserve(row + 1);
    const { values } = this;
    const base = row * SCAN_VALUES;
    // A loop: to call fill costs more than thirteen numbers.
    for (let i = base; i < base + SCAN_VALUES; i++) values[i] = NaN;
    this.device[row] = this.event[row] = null;
    let at = start;
    let place = 0;
    do {
      at++;
      while (bytes[at] === SPACE) at++;
      if (bytes[at] !== QUOTE) return false;
      const field = this.key(bytes, at + 1, place++);
      if (field === UNKNOWN) return false;
      at += NAME_OF_FIELD[field]!.length + 2;
      if (bytes[at] !== COLON) return false;
      do at++;
      while (bytes[at] === SPACE);
      const first = bytes[at]!;
      if (first === QUOTE) at = this.text(bytes, at + 1, field, base);
      else if (first === TRUE_TEXT[0] || first === FALSE_TEXT[0]) {
        at = flag(bytes, at, field, base, values);
      } else at = number(bytes, at, field, base, values);
      if (at === UNUSUAL) return false;
      while (bytes[at] === SPACE) at++;
    } while (bytes[at] === COMMA);
    if (bytes[at] !== CLOSE_BRACE || !keep(values, base, nowMs)) return false;
    this.index[row] = index;
    this.count = row + 1;
    this.end = at + 1;
    return true;
  }

  /** The field whose name, closing quote included, starts at `at`. Devices send their keys in one order, so it is guessed. */
  private key(bytes: Buffer, at: number, place: number): number {
    const guess = this.order[place & ORDER_MASK]!;
    if (isNamed(bytes, at, guess)) return guess;
    let end = at;
    while (bytes[end] !== QUOTE) if (++end >= bytes.length) return UNKNOWN;
    if (end - at < KEY_CHARS_MIN) return UNKNOWN;
    const field = FIELD_OF_SLOT[slotOf(end - at, bytes[at + 1]!, bytes[end - 1]!)]!;
    if (field === UNKNOWN || !isNamed(bytes, at, field)) return UNKNOWN;
    this.order[place & ORDER_MASK] = field;
    return field;
  }

  /** Fix n as other decoders give it. */
  fix(n: number): DecodedFix {
    const { values } = this;
    const at = n * SCAN_VALUES;
    return {
      index: this.index[n]!,
      device: this.device[n]!,
      timeMs: values[at + SCAN.timeMs]!,
      latDeg: values[at + SCAN.latDeg]!,
      lonDeg: values[at + SCAN.lonDeg]!,
      altitudeM: values[at + SCAN.altitudeM]!,
      speedMps: values[at + SCAN.speedMps]!,
      headingDeg: values[at + SCAN.headingDeg]!,
      accuracyM: values[at + SCAN.accuracyM]!,
      odometerM: values[at + SCAN.odometerM]!,
      satellites: values[at + SCAN.satellites]!,
      ignition: values[at + SCAN.ignition]!,
      motion: values[at + SCAN.motion]!,
      seq: values[at + SCAN.seq]!,
      event: this.event[n]!,
    };
  }

  /** Reads the text from `from` on into its field; the byte behind its quote, or `UNUSUAL`. */
  private text(bytes: Buffer, from: number, field: number, base: number): number {
    let to = from;
    let hash = 0;
    for (let byte = bytes[to]!; byte !== QUOTE; byte = bytes[++to]!) {
      // Past the end there is `undefined`, which is not ≥ SPACE either.
      if (!(byte >= SPACE) || byte > 0x7e || byte === BACKSLASH) return UNUSUAL;
      hash = (Math.imul(hash, 31) + byte) | 0;
    }
    const row = this.count;
    if (field === DEVICE && to - from <= DEVICE_CHARS_MAX) {
      this.device[row] = this.names.get(bytes, from, to, hash);
    } else if (field === EVENT && to - from <= EVENT_CHARS_MAX) {
      this.event[row] = bytes.toString('latin1', from, to);
    } else if (field === SCAN.timeMs) {
      const timeMs = isoTimeMs(bytes, from, to);
      if (Number.isNaN(timeMs)) return UNUSUAL;
      this.values[base] = timeMs;
    } else return UNUSUAL;
    return to + 1;
  }

  private reserve(rows: number): void {
    if (this.index.length >= rows) return;
    const length = Math.max(rows, this.index.length * 2);
    const values = new Float64Array(length * SCAN_VALUES);
    values.set(this.values);
    this.values = values;
    const index = new Int32Array(length);
    index.set(this.index);
    this.index = index;
  }
}

/**
 * Names met lately as strings, so that one that comes again need not be made again, and is found in a map by its address
 * alone. A place holds one name; another that falls there takes it over.
 */
class NameCache {
  private readonly bytes: (Uint8Array | undefined)[] = new Array<undefined>(NAMES_MAX);
  private readonly names: string[] = new Array<string>(NAMES_MAX);

  get(from: Buffer, start: number, end: number, hash: number): string {
    const place = (hash ^ (hash >>> 15)) & (NAMES_MAX - 1);
    const known = this.bytes[place];
    if (known?.length === end - start) {
      let i = 0;
      while (i < known.length && known[i] === from[start + i]) i++;
      if (i === known.length) return this.names[place]!;
    }
    this.bytes[place] = Uint8Array.from(from.subarray(start, end));
    return (this.names[place] = from.toString('latin1', start, end));
  }
}

/** The first byte from `at` on that is no white space of JSON. */
function skipSpace(bytes: Buffer, at: number): number {
  for (;;) {
    const byte = bytes[at];
    if (byte !== SPACE && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
    at++;
  }
}

/** Whether a field's name and a quote stand at `at`. */
function isNamed(bytes: Buffer, at: number, field: number): boolean {
  const name = NAME_OF_FIELD[field]!;
  const { length } = name;
  for (let i = 0; i < length; i++) if (name[i] !== bytes[at + i]) return false;
  return bytes[at + length] === QUOTE;
}

/** Holds a fix's numbers against what a fix must have, and rounds them to what is kept. */
function keep(values: Float64Array, base: number, nowMs: number): boolean {
  const timeMs = values[base]!;
  const inTime = timeMs >= nowMs - AGE_MS_MAX && timeMs <= nowMs + AHEAD_MS_MAX;
  if (!inTime || Number.isNaN(values[base + SCAN.latDeg]! + values[base + SCAN.lonDeg]!)) {
    return false;
  }
  const speedMps = values[base + SCAN.speedMps]!;
  const speedKph = values[base + SPEED_KPH]!;
  values[base + SCAN.speedMps] = Math.fround(Number.isNaN(speedMps) ? speedKph / 3.6 : speedMps);
  values[base + SCAN.altitudeM] = Math.fround(values[base + SCAN.altitudeM]!);
  values[base + SCAN.headingDeg] = Math.fround(values[base + SCAN.headingDeg]!) % 360;
  values[base + SCAN.accuracyM] = Math.fround(values[base + SCAN.accuracyM]!);
  values[base + SCAN.satellites] = Math.trunc(values[base + SCAN.satellites]!);
  values[base + SCAN.seq] = Math.trunc(values[base + SCAN.seq]!);
  return true;
}

/** Reads the number at `start` into its field; the byte behind it, or `UNUSUAL`. */
function number(
  bytes: Buffer,
  start: number,
  field: number,
  base: number,
  values: Float64Array,
): number {
  let at = bytes[start] === MINUS ? start + 1 : start;
  const digitsStart = at;
  let digits = 0;
  let byte = bytes[at]!;
  while (byte >= ZERO && byte <= NINE) {
    digits = digits * 10 + (byte - ZERO);
    byte = bytes[++at]!;
  }
  let count = at - digitsStart;
  if (count === 0 || (count > 1 && bytes[digitsStart] === ZERO)) return UNUSUAL;
  let fraction = 0;
  if (byte === DOT) {
    const fractionStart = ++at;
    byte = bytes[at]!;
    while (byte >= ZERO && byte <= NINE) {
      digits = digits * 10 + (byte - ZERO);
      byte = bytes[++at]!;
    }
    fraction = at - fractionStart;
    if (fraction === 0) return UNUSUAL;
    count += fraction;
  }
  // 0x65, 0x45: an exponent.
  if (count > DIGITS_MAX || byte === 0x65 || byte === 0x45) return UNUSUAL;
  let value = fraction === 0 ? digits : digits / POWER_OF_TEN[fraction]!;
  if (at > start && bytes[start] === MINUS) value = -value;
  if (field === SCAN.timeMs) {
    values[base] = Math.floor(Math.abs(value) < EPOCH_S_BELOW ? value * 1000 : value);
    return at;
  }
  // What no number fits has no range.
  if (!(value >= MIN[field]! && value <= MAX[field]!)) return UNUSUAL;
  const isFlag = field === SCAN.ignition || field === SCAN.motion;
  if (isFlag && value > 0 && value < 1) return UNUSUAL;
  // Without the sign of −0, which a flag does not have.
  values[base + field] = isFlag ? Math.abs(value) : value;
  return at;
}

/** Reads `true` or `false` at `at` into its field; the byte behind it, or `UNUSUAL`. */
function flag(
  bytes: Buffer,
  at: number,
  field: number,
  base: number,
  values: Float64Array,
): number {
  if (field !== SCAN.ignition && field !== SCAN.motion) return UNUSUAL;
  const text = bytes[at] === TRUE_TEXT[0] ? TRUE_TEXT : FALSE_TEXT;
  for (let i = 1; i < text.length; i++) if (bytes[at + i] !== text[i]) return UNUSUAL;
  values[base + field] = text === TRUE_TEXT ? 1 : 0;
  return at + text.length;
}

/**
 * Epoch milliseconds of `2026-11-21T23:40:12Z`, with or without `.` and three digits; NaN for any other way to write a time,
 * and for the last days of a month, which not every month has.
 */
function isoTimeMs(bytes: Buffer, from: number, to: number): number {
  const length = to - from;
  if ((length !== 20 && length !== 24) || bytes[to - 1] !== 0x5a) return NaN;
  const year = two(bytes, from) * 100 + two(bytes, from + 2);
  const month = two(bytes, from + 5);
  const day = two(bytes, from + 8);
  const hour = two(bytes, from + 11);
  const minute = two(bytes, from + 14);
  const second = two(bytes, from + 17);
  const isWritten =
    bytes[from + 4] === MINUS &&
    bytes[from + 7] === MINUS &&
    bytes[from + 10] === 0x54 &&
    bytes[from + 13] === COLON &&
    bytes[from + 16] === COLON;
  const isReal =
    year >= 1970 && month >= 1 && month <= 12 && day >= 1 && day <= 28 && hour <= 23 && minute <= 59 && second <= 59; // prettier-ignore
  if (!isWritten || !isReal) return NaN;
  let ms = 0;
  if (length === 24) {
    if (bytes[from + 19] !== DOT) return NaN;
    const last = bytes[from + 22]! - ZERO;
    ms = two(bytes, from + 20) * 10 + (last >= 0 && last <= 9 ? last : NaN);
  }
  return Date.UTC(year, month - 1, day, hour, minute, second) + ms;
}

/** A number of two digits; NaN where they are none. */
function two(bytes: Buffer, at: number): number {
  const tens = bytes[at]! - ZERO;
  const ones = bytes[at + 1]! - ZERO;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : NaN;
}
