/**
 * How far the clocks of a time zone are ahead of UTC, at any instant. It knows what the runtime's time-zone data say,
 * and asks them rarely: what they answered is kept, in bounds. Refuses to know what the clocks are wanted for.
 */

/** Zones that are remembered at once, more than there are; the longest known go first. */
const ZONES_MAX = 1_000;
/** Blocks of time remembered for a zone; the first asked for go first. */
export const BLOCKS_PER_ZONE_MAX = 64;
/** The first and the last instant that a `Date` can hold, from zero. */
export const TIME_MS_MAX = 8.64e15;

const DAY_MS = 86_400_000;
const BLOCK_DAYS = 64;
const BLOCK_MS = BLOCK_DAYS * DAY_MS;
/** Offsets change at whole seconds, and in our times at whole minutes. */
const CHANGE_STEP_MS = 1_000;
const NAME = /^[A-Za-z][\w+/-]*$/;
const OFFSET = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/;

/** A stretch of time with one offset; the next one may have the same. */
export interface OffsetSpan {
  readonly fromMs: number;
  /** Excluded. */
  readonly untilMs: number;
  /** Local time less UTC. */
  readonly offsetMs: number;
}

interface Zone {
  readonly format: Intl.DateTimeFormat;
  readonly blocks: Map<number, readonly OffsetSpan[]>;
  /** The one that was asked for last: the next question is mostly about the same. */
  span: OffsetSpan;
}

const NO_SPAN: OffsetSpan = { fromMs: Infinity, untilMs: -Infinity, offsetMs: NaN };
const zones = new Map<string, Zone>();

/**
 * Whether the runtime knows a zone of this name, in any case (`Europe/Berlin`, `UTC`). Mere offsets (`+05:30`) are no
 * names: some runtimes take them and some do not. Under a microsecond for a name asked before, else some 200 µs.
 */
export function isTimeZone(name: string): boolean {
  return zones.has(name) || makeZone(name) !== null;
}

/**
 * The span that holds an instant (epoch milliseconds, within ±`TIME_MS_MAX`). Two changes of the clocks on one day are
 * taken for none or one: no zone has had them. Throws a `RangeError` for a zone that is not known. Some 50 ns for what is
 * known, else some 200 µs.
 */
export function offsetSpanAt(timeZone: string, timeMs: number): OffsetSpan {
  const zone = zones.get(timeZone) ?? makeZone(timeZone);
  if (zone === null) throw new RangeError(`there is no time zone ${timeZone}`);
  const { span } = zone;
  if (timeMs >= span.fromMs && timeMs < span.untilMs) return span;
  const spans = blockOf(zone, Math.floor(timeMs / BLOCK_MS));
  let at = spans.length - 1;
  while (at > 0 && timeMs < (spans[at]?.fromMs ?? 0)) at--;
  return (zone.span = spans[at] ?? NO_SPAN);
}

function makeZone(name: string): Zone | null {
  if (!NAME.test(name)) return null;
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' });
  } catch {
    return null;
  }
  const zone: Zone = { format, blocks: new Map(), span: NO_SPAN };
  forgetFirst(zones, ZONES_MAX);
  zones.set(name, zone);
  return zone;
}

function blockOf(zone: Zone, index: number): readonly OffsetSpan[] {
  const known = zone.blocks.get(index);
  if (known !== undefined) return known;
  const spans = makeBlock(zone.format, index * BLOCK_MS);
  forgetFirst(zone.blocks, BLOCKS_PER_ZONE_MAX);
  zone.blocks.set(index, spans);
  return spans;
}

function forgetFirst<K>(map: Map<K, unknown>, sizeMax: number): void {
  if (map.size < sizeMax) return;
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}

function makeBlock(format: Intl.DateTimeFormat, startMs: number): readonly OffsetSpan[] {
  const endMs = startMs + BLOCK_MS;
  const spans: OffsetSpan[] = [];
  let fromMs = startMs;
  let offsetMs = askOffsetMs(format, startMs);
  for (let dayMs = startMs; dayMs < endMs; dayMs += DAY_MS) {
    const next = askOffsetMs(format, dayMs + DAY_MS);
    if (next === offsetMs) continue;
    const untilMs = findChange(format, dayMs, offsetMs);
    spans.push({ fromMs, untilMs, offsetMs });
    fromMs = untilMs;
    offsetMs = next;
  }
  if (fromMs < endMs) spans.push({ fromMs, untilMs: endMs, offsetMs });
  return spans;
}

/** The first instant within the day after `dayMs` at which the offset is another one. */
function findChange(format: Intl.DateTimeFormat, dayMs: number, offsetMs: number): number {
  let same = 0;
  let other = DAY_MS / CHANGE_STEP_MS;
  while (other - same > 1) {
    const middle = (same + other) >> 1;
    if (askOffsetMs(format, dayMs + middle * CHANGE_STEP_MS) === offsetMs) same = middle;
    else other = middle;
  }
  return dayMs + other * CHANGE_STEP_MS;
}

function askOffsetMs(format: Intl.DateTimeFormat, timeMs: number): number {
  const inRange = Math.min(TIME_MS_MAX, Math.max(-TIME_MS_MAX, timeMs));
  const [, sign, hours = '0', minutes = '0', seconds = '0'] =
    OFFSET.exec(format.format(inRange)) ?? [];
  const s = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  return s === 0 ? 0 : s * (sign === '-' ? -1000 : 1000);
}
