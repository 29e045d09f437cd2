/**
 * Columns of numbers and words as binary array parameters of PostgreSQL, which takes them several times faster than text, on
 * both sides. Knows the format (`array_recv` in PostgreSQL's source; the fields of the elements are those of binary COPY);
 * refuses to know statements. NaN and `null` become NULL.
 */
const HEADER_BYTES = 20;
const NULL_LENGTH = -1;
const TWO_32 = 4_294_967_296;
/** Object identifiers of the element types; they never change. */
const OID = { bool: 16, int8: 20, text: 25, float4: 700, float8: 701 } as const;

/** `bigint[]` of whole numbers up to ±2^53. */
export function int8Array(values: readonly (number | null)[]): Buffer {
  return build(OID.int8, 8, values, (bytes, at, value) => {
    const high = Math.floor(value / TWO_32);
    bytes.writeInt32BE(high, at);
    bytes.writeUInt32BE(value - high * TWO_32, at + 4);
  });
}

/** `double precision[]`. */
export function float8Array(values: readonly (number | null)[]): Buffer {
  return build(OID.float8, 8, values, (bytes, at, value) => {
    bytes.writeDoubleBE(value, at);
  });
}

/** `real[]`. */
export function float4Array(values: readonly (number | null)[]): Buffer {
  return build(OID.float4, 4, values, (bytes, at, value) => {
    bytes.writeFloatBE(value, at);
  });
}

/** `boolean[]`. */
export function boolArray(values: readonly (boolean | null)[]): Buffer {
  const numbers = values.map((value) => (value === null ? null : Number(value)));
  return build(OID.bool, 1, numbers, (bytes, at, value) => {
    bytes[at] = value;
  });
}

/** `text[]`; what PostgreSQL cannot hold (NUL) must not be in it. */
export function textArray(values: readonly (string | null)[]): Buffer {
  const texts = values.map((value) => (value === null ? null : Buffer.from(value)));
  const size = texts.reduce((sum, text) => sum + 4 + (text?.length ?? 0), 0);
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + size);
  writeHeader(bytes, OID.text, texts.length);
  let at = HEADER_BYTES;
  for (const text of texts) {
    at = bytes.writeInt32BE(text?.length ?? NULL_LENGTH, at);
    if (text !== null) at += text.copy(bytes, at);
  }
  return bytes;
}

function build(
  oid: number,
  width: number,
  values: readonly (number | null)[],
  write: (bytes: Buffer, at: number, value: number) => void,
): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + values.length * (4 + width));
  writeHeader(bytes, oid, values.length);
  let at = HEADER_BYTES;
  for (const value of values) {
    const isNull = value === null || Number.isNaN(value);
    at = bytes.writeInt32BE(isNull ? NULL_LENGTH : width, at);
    if (isNull) continue;
    write(bytes, at, value);
    at += width;
  }
  return bytes.subarray(0, at);
}

/** One dimension, counted from 1, with NULLs. */
function writeHeader(bytes: Buffer, oid: number, count: number): void {
  bytes.writeInt32BE(1, 0);
  bytes.writeInt32BE(1, 4);
  bytes.writeInt32BE(oid, 8);
  bytes.writeInt32BE(count, 12);
  bytes.writeInt32BE(1, 16);
}
