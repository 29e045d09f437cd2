/**
 * What any input at all may make of a decoder: rows that can be stored, refusals that say why, and no more of either than
 * the input is long. Throws where that is broken. Knows `Decoded`; refuses to know formats.
 */
import assert from 'node:assert/strict';
import { DEVICE_EVENT_KINDS, type Decoded, type DecodedFix } from '../decode/decoded.ts';
import { MESSAGE_ROWS_MAX } from '../decode/native.ts';
import { AGE_MS_MAX, AHEAD_MS_MAX } from '../decode/time.ts';
import type { Seed } from './test-mutations.ts';

/** Characters of all texts together that a byte of input may become: a refusal's sentence for a record of two bytes. */
const CHARS_A_BYTE_MAX = 64;
/** And besides: one refusal of the whole message, and what an event says where the input has nothing. */
const CHARS_MIN = 8_192;
/** Names of ignored fields: constants of a decoder, never the sender's. */
const IGNORED_NAMES_MAX = 100;
const METRIC_CODE = /^[A-Za-z0-9_.:#%-]{1,64}$/;
const REASON = /^[a-z][a-z0-9_]{1,31}$/;
const FLAGS: readonly number[] = [0, 1, NaN];

/** Holds what was decoded of an input to what every decoder promises. */
export function checkDecoded(decoded: Decoded, { bytes, nowMs }: Seed): void {
  const { fixes, readings, events, refusals, ignored } = decoded;
  const rows = fixes.length + readings.length + events.length;
  assert.ok(rows <= MESSAGE_ROWS_MAX, 'more rows than a message may have');
  assert.ok(rows + refusals.length <= bytes.length + 1, 'more rows than bytes');
  assert.ok(ignored.size <= IGNORED_NAMES_MAX, 'names of ignored fields without bound');
  let chars = 0;
  const count = (text: string | null): void => {
    chars += text?.length ?? 0;
  };
  const isTime = (timeMs: number): boolean =>
    Number.isInteger(timeMs) && timeMs >= nowMs - AGE_MS_MAX && timeMs <= nowMs + AHEAD_MS_MAX;
  for (const fix of fixes) {
    checkFix(fix);
    assert.ok(isTime(fix.timeMs), `time of a fix: ${fix.timeMs}`);
    count(fix.event);
    count(fix.device);
  }
  for (const { index, timeMs, metricCode, value, uomCode, device } of readings) {
    assert.ok(index >= 0 && isTime(timeMs), `reading ${index} at ${timeMs}`);
    assert.match(metricCode, METRIC_CODE);
    assert.ok(Number.isFinite(value), `${metricCode} is ${value}`);
    count(uomCode);
    count(device);
  }
  for (const { kind, timeMs, latDeg, lonDeg, detail, device } of events) {
    assert.ok(DEVICE_EVENT_KINDS.includes(kind));
    assert.ok(
      Number.isFinite(timeMs) && Math.abs(timeMs) <= 8.64e15,
      `time of an event: ${timeMs}`,
    );
    assert.ok(Number.isNaN(latDeg) === Number.isNaN(lonDeg), 'half a place');
    assert.ok(!(Math.abs(latDeg) > 90) && !(Math.abs(lonDeg) > 180), `${latDeg} ${lonDeg}`);
    count(textOf(detail));
    count(device);
  }
  for (const { index, reason, detail, device, payload } of refusals) {
    assert.ok(Number.isInteger(index) && index >= -1);
    assert.match(reason, REASON);
    assert.ok(detail.length > 0 && detail.length <= 512, `${reason}: ${detail.length} characters`);
    [detail, device, payload].forEach(count);
  }
  assert.ok(chars <= CHARS_MIN + CHARS_A_BYTE_MAX * bytes.length, `${chars} characters of text`);
}

function checkFix(fix: DecodedFix): void {
  const { index, latDeg, lonDeg, headingDeg, ignition, motion, event, speedMps } = fix;
  assert.ok(index >= 0);
  assert.ok(Math.abs(latDeg) <= 90 && Math.abs(lonDeg) <= 180, `${latDeg} ${lonDeg}`);
  for (const [name, value] of Object.entries(fix)) {
    assert.ok(value !== Infinity && value !== -Infinity, `${name} is infinite`);
  }
  assert.ok(Number.isNaN(headingDeg) || (headingDeg >= 0 && headingDeg < 360), `${headingDeg}°`);
  assert.ok(Number.isNaN(speedMps) || (speedMps >= 0 && speedMps <= 1000), `${speedMps} m/s`);
  assert.ok(FLAGS.includes(ignition) && FLAGS.includes(motion), `${ignition} ${motion}`);
  assert.ok(event === null || (event.length <= 64 && !event.includes('\0')), 'event');
}

/** The intake refuses a detail that is nested too deeply to be written; it counts as nothing here. */
function textOf(detail: unknown): string | null {
  try {
    return JSON.stringify(detail);
  } catch {
    return null;
  }
}
