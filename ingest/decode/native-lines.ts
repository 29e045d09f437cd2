/**
 * NDJSON of the native format in two ways at once: usual lines into a scan, the others as `native.ts` reads them. Whatever
 * concerns the message as a whole (too many lines, rows or keys, bytes that are no text) is left to `native.ts`, too.
 */
import { isUtf8 } from 'node:buffer';
import { emptyDecoded, type Decoded } from './decoded.ts';
import { hasTooManyKeys } from './distinct-keys.ts';
import { decodeLine, decodeNdjson, MESSAGE_ROWS_MAX, RECORDS_MAX } from './native.ts';
import type { FixScan } from './native-scan.ts';

const LINE_FEED = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
const RETURN = 0x0d;

/**
 * Reads a message like `decodeNdjson`: the scan and what is returned hold its records together, each in the order of their
 * index. Never throws.
 */
export function scanNdjson(scan: FixScan, payload: Buffer, nowMs: number): Decoded {
  scan.count = 0;
  const decoded = emptyDecoded();
  let isText = false;
  let index = 0;
  for (let at = 0; at < payload.length;) {
    const start = skipBlank(payload, at);
    if (index < RECORDS_MAX && scan.record(payload, start, index, nowMs)) {
      const behind = skipBlank(payload, scan.end);
      if (behind >= payload.length || payload[behind] === LINE_FEED) {
        at = behind + 1;
        index++;
        continue;
      }
      scan.drop();
    }
    isText ||= isUtf8(payload) && !startsWithMark(payload) && !hasTooManyKeys(payload);
    const lineEnd = payload.indexOf(LINE_FEED, start);
    const end = lineEnd === -1 ? payload.length : lineEnd;
    const line = payload.toString('utf8', at, end);
    at = end + 1;
    if (isText && line.trim() === '') continue;
    const rows = scan.count + decoded.fixes.length + decoded.readings.length;
    if (!isText || index >= RECORDS_MAX || rows > MESSAGE_ROWS_MAX)
      return whole(scan, payload, nowMs);
    decodeLine(decoded, line, index++, nowMs);
  }
  const rows = scan.count + decoded.fixes.length + decoded.readings.length;
  return rows > MESSAGE_ROWS_MAX ? whole(scan, payload, nowMs) : decoded;
}

function whole(scan: FixScan, payload: Buffer, nowMs: number): Decoded {
  scan.count = 0;
  return decodeNdjson(payload, nowMs);
}

/** The first byte from `at` on that is neither blank nor the end of a line's words. */
function skipBlank(bytes: Buffer, at: number): number {
  for (;;) {
    const byte = bytes[at];
    if (byte !== SPACE && byte !== TAB && byte !== RETURN) return at;
    at++;
  }
}

/** A byte order mark. */
function startsWithMark(bytes: Buffer): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}
