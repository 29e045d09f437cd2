/**
 * What every decoder yields: fixes and readings in Milepost's units, and rejects. Numbers, never strings to be parsed
 * again; NaN is "not reported". Knows no wire format and no device registry.
 */

export interface DecodedFix {
  /** Position of the record in its message, from 0. */
  readonly index: number;
  /** The device's name on the wire, or `null` where the credential says it. */
  readonly device: string | null;
  readonly timeMs: number;
  readonly latDeg: number;
  readonly lonDeg: number;
  readonly altitudeM: number;
  readonly speedMps: number;
  /** 0 ≤ heading < 360, clockwise from north. */
  readonly headingDeg: number;
  readonly accuracyM: number;
  readonly odometerM: number;
  readonly satellites: number;
  /** 1 on, 0 off. */
  readonly ignition: number;
  /** 1 moving, 0 at rest. */
  readonly motion: number;
  readonly seq: number;
  readonly event: string | null;
}

export interface DecodedReading {
  readonly index: number;
  readonly device: string | null;
  readonly timeMs: number;
  readonly metricCode: string;
  readonly value: number;
  /** Code of the unit in `uom_lookup`, or `null` where none was given. */
  readonly uomCode: string | null;
}

/**
 * What a device said of itself that is neither fix nor reading: a region entered, a waypoint, its last will. Kept as
 * it was said.
 */
export interface DecodedEvent {
  readonly index: number;
  readonly device: string | null;
  /** One of {@link DEVICE_EVENT_KINDS}. */
  readonly kind: DeviceEventKind;
  readonly timeMs: number;
  /** NaN where the event has no place, or one that cannot be trusted. */
  readonly latDeg: number;
  readonly lonDeg: number;
  /** The message's own fields; at most {@link EVENT_DETAIL_BYTES_MAX} as JSON. */
  readonly detail: Readonly<Record<string, unknown>>;
}

/**
 * `disconnected` (a will of the MQTT listener), `last_will` (told by a foreign broker), `region_enter` and
 * `region_leave` (the device's own regions), `waypoint`, `status`, `card` and the rest of OwnTracks' side messages.
 */
export const DEVICE_EVENT_KINDS = [
  'disconnected', 'last_will', 'region_enter', 'region_leave', 'waypoint', 'status', 'card', 'steps', 'beacon', 'dump',
  'command_reply',
] as const; // prettier-ignore
export type DeviceEventKind = (typeof DEVICE_EVENT_KINDS)[number];

/** Bytes of an event's detail as JSON; a larger one is refused. */
export const EVENT_DETAIL_BYTES_MAX = 16 * 1024;

/** A record that was refused. `reason` is a short stable code, `detail` a sentence for people. */
export interface Refusal {
  /** Position of the record in its message; −1 when the message as a whole was refused. */
  readonly index: number;
  readonly reason: string;
  readonly detail: string;
  readonly device: string | null;
  /** The refused record as it came, or `null` to keep the whole message. */
  readonly payload: string | null;
}

/** One message, decoded. A stateless bag that decoders push into. */
export interface Decoded {
  readonly fixes: DecodedFix[];
  readonly readings: DecodedReading[];
  readonly events: DecodedEvent[];
  readonly refusals: Refusal[];
  /** Optional fields that were left out because they made no sense: name → how often. */
  readonly ignored: Map<string, number>;
}

export function emptyDecoded(): Decoded {
  return { fixes: [], readings: [], events: [], refusals: [], ignored: new Map() };
}

export function addFix(decoded: Decoded, fix: DecodedFix): void {
  decoded.fixes.push(fix);
}

export function addReading(decoded: Decoded, reading: DecodedReading): void {
  decoded.readings.push(reading);
}

export function addEvent(decoded: Decoded, event: DecodedEvent): void {
  decoded.events.push(event);
}

/** Counts one ignored field. */
export function ignore(decoded: Decoded, field: string): void {
  decoded.ignored.set(field, (decoded.ignored.get(field) ?? 0) + 1);
}

/** A message refused as a whole. */
export function refuseMessage(decoded: Decoded, reason: string, detail: string): void {
  decoded.refusals.push({ index: -1, reason, detail, device: null, payload: null });
}
