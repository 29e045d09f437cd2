/**
 * The time of a record: ISO 8601 or epoch, to epoch milliseconds, held against the window in which a clock can be
 * believed. Knows no wire format; the present comes in as an argument.
 */

const DAY_MS = 86_400_000;
/** Older fixes are refused: their day may be compressed or gone. */
export const AGE_MS_MAX = 90 * DAY_MS;
/** Further ahead is a wrong clock. */
export const AHEAD_MS_MAX = 10 * 60_000;
/** Epoch numbers below this are seconds: 1e11 s is the year 5138, 1e11 ms is 1973. */
export const EPOCH_S_BELOW = 1e11;

const ISO =
  /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)(Z|[+-]\d{2}(?::?\d{2})?)?$/i;

export type TimeResult =
  | { readonly ok: true; readonly timeMs: number }
  | { readonly ok: false; readonly reason: string; readonly detail: string };

/**
 * Reads a time. Epoch numbers below 1e11 are seconds, others milliseconds; fractions of a millisecond are cut off. A
 * date without an offset is UTC. Anything outside `nowMs` − 90 d … + 10 min is refused with `time_range`.
 */
export function readTime(value: unknown, nowMs: number): TimeResult {
  if (value === undefined || value === null) {
    return { ok: false, reason: 'time_missing', detail: 'time is required' };
  }
  const timeMs = toEpochMs(value);
  if (Number.isNaN(timeMs)) {
    return {
      ok: false,
      reason: 'time_invalid',
      detail: 'time must be ISO 8601 or an epoch number in seconds or milliseconds',
    };
  }
  if (timeMs < nowMs - AGE_MS_MAX || timeMs > nowMs + AHEAD_MS_MAX) {
    return {
      ok: false,
      reason: 'time_range',
      detail: `time ${describe(timeMs)} is not within 90 days before and 10 minutes after now`,
    };
  }
  return { ok: true, timeMs };
}

function toEpochMs(value: unknown): number {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return NaN;
    return Math.floor(Math.abs(value) < EPOCH_S_BELOW ? value * 1000 : value);
  }
  if (typeof value !== 'string' || value.length > 40) return NaN;
  const match = ISO.exec(value);
  if (match === null) return NaN;
  // Else 31 April would be 1 May.
  if (new Date(`${match[1]}T00:00Z`).getUTCDate() !== Number(match[1]!.slice(8))) return NaN;
  const offset = (match[3] ?? 'Z').replace(
    /^([+-]\d{2}):?(\d{2})?$/,
    (_, h: string, m?: string) => {
      return `${h}:${m ?? '00'}`;
    },
  );
  return Date.parse(`${match[1]}T${match[2]!.replace(',', '.')}${offset.toUpperCase()}`);
}

function describe(timeMs: number): string {
  return Math.abs(timeMs) <= 8.64e15 ? new Date(timeMs).toISOString() : String(timeMs);
}
