/**
 * What an exported table is made of, whatever it is written as: columns of a kind, pages of rows, and what a value of each
 * kind may look like. It knows no file format, and not where rows come from.
 */

/** What a column holds, which decides how its cells are typed. */
export type ExportKind = 'text' | 'integer' | 'number' | 'boolean' | 'date' | 'instant' | 'json';

export interface ExportColumn {
  /** The property of a row that holds the value. */
  readonly name: string;
  /** What people read above the column, its unit included; that instants are UTC is added by {@link headerText}. */
  readonly header: string;
  readonly kind: ExportKind;
}

/** A row by the names of its columns. What no column names is not written; null and undefined are empty cells. */
export type ExportRow = Readonly<Record<string, unknown>>;

/** Rows in the order in which they are written. A page is asked for when the one before has been written. */
export type ExportPages = AsyncIterable<readonly ExportRow[]>;

/** Files are handed on in pieces of about this many bytes. */
export const EXPORT_CHUNK_BYTES = 65_536;

/** Words at the end of a column's name that are its unit, and how they are written. */
const UNITS: Readonly<Record<string, string>> = {
  bytes: 'bytes',
  c: '°C',
  deg: '°',
  h: 'h',
  kg: 'kg',
  km: 'km',
  kpa: 'kPa',
  kwh: 'kWh',
  l: 'L',
  m: 'm',
  min: 'min',
  mps: 'm/s',
  ms: 'ms',
  pct: '%',
  percent: '%',
  rpm: 'rpm',
  s: 's',
  v: 'V',
};

const WORDS: Readonly<Record<string, string>> = {
  dot: 'DOT',
  gps: 'GPS',
  id: 'ID',
  iot: 'IoT',
  imei: 'IMEI',
  oem: 'OEM',
  pm: 'PM',
  po: 'PO',
  url: 'URL',
  vin: 'VIN',
  vmrs: 'VMRS',
};

/** The header of a column by its name: `odometer_m` is `Odometer (m)`, `equipment_id` is `Equipment ID`. */
export function headerOf(name: string): string {
  const words = name.split('_').filter((word) => word !== '');
  const unit = words.length > 1 && Object.hasOwn(UNITS, words.at(-1)!) ? UNITS[words.pop()!]! : '';
  const told = words.map((word) => (Object.hasOwn(WORDS, word) ? WORDS[word]! : word)).join(' ');
  return told.charAt(0).toUpperCase() + told.slice(1) + (unit === '' ? '' : ` (${unit})`);
}

/** The header as it is written: that of an instant says UTC. */
export function headerText({ header, kind }: ExportColumn): string {
  return kind === 'instant' && !/\bUTC\b/.test(header) ? `${header} (UTC)` : header;
}

// Excel's operators, those of its full-width input, and what it takes for the end of a cell. White space is passed over,
// as Excel does in what is typed; leading apostrophes are counted in, so that the mark can be told from the text.
const FORMULA_LIKE = /^'*(?:[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20])/;

/**
 * Whether a spreadsheet may take this text for a formula, or would after an edit. Apostrophes before such text count as part
 * of it. About 5 ns where it begins with a letter or a digit. OWASP ASVS 5.0, 1.2.10.
 */
export function isFormulaLike(text: string): boolean {
  const first = text.charCodeAt(0);
  // 0-9, A-Z and a-z, which nearly all texts begin with.
  if (first <= 0x7a && (first >= 0x61 || (first <= 0x5a && first >= 0x41))) return false;
  if (first <= 0x39 && first >= 0x30) return false;
  return FORMULA_LIKE.test(text);
}

const NUMERIC = /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i;
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}.*(?:Z|[+-]\d{2}(?::?\d{2})?)$/;

/** The digits of a number, of a bigint or of text that is a number; null for anything else, NaN and Infinity among it. */
export function numberText(value: unknown): string | null {
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : null;
  if (typeof value === 'bigint') return String(value);
  return typeof value === 'string' && NUMERIC.test(value) ? value : null;
}

/** `YYYY-MM-DD` of such text, or of a Date in UTC; null for anything else. */
export function dateText(value: unknown): string | null {
  if (typeof value === 'string') return DATE.test(value) ? value : null;
  const time = instantMs(value);
  return time === null ? null : new Date(time).toISOString().slice(0, -14);
}

/** Milliseconds since 1970 of a Date or of ISO text with a time and its zone; null for anything else. */
export function instantMs(value: unknown): number | null {
  const isText = typeof value === 'string' && INSTANT.test(value);
  const time = value instanceof Date ? value.getTime() : isText ? Date.parse(value) : NaN;
  return Number.isNaN(time) ? null : time;
}

/** Any value as text: objects and lists as JSON, a Date in ISO 8601. Throws for what JSON cannot hold. */
export function anyText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? '' : value.toISOString();
  }
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
}

/** A value of a json column: always JSON, so that text is in quotes. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value) ?? '';
}
