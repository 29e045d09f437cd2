/**
 * What the bench's devices do and how it is written on the wire: seeded random walks, the same in every program that is
 * given the same seed. Knows packets and requests; refuses to know sockets.
 */
import { generate } from 'mqtt-packet';

/** The devices' world: one square of the Midwest. */
export const AREA = { southDeg: 40, westDeg: -90, sizeDeg: 4 } as const;
/** From one fix of a device to its next. */
export const FIX_EVERY_MS = 5_000;

export interface TrackParams {
  readonly seed: number;
  /** The time of fix 0 of every device. */
  readonly startMs: number;
}

export interface TrackFix {
  readonly timeMs: number;
  readonly latDeg: number;
  readonly lonDeg: number;
  readonly speedMps: number;
  readonly headingDeg: number;
}

/** Messages one after the other in one Buffer; message i ends at `ends[i]`. */
export interface Messages {
  readonly bytes: Buffer;
  readonly ends: Uint32Array;
}

/** mulberry32: small, seeded, good enough to scatter points. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function deviceName(n: number): string {
  return `bench-${n}`;
}

/**
 * Fixes `from` … `from + count − 1` of device n: one every 5 s, about 19 m/s, in a world that ends where it begins. One in
 * a thousand is above 25 m/s, where the bench's alert rule has its threshold.
 */
export function fixesOf(params: TrackParams, n: number, from: number, count: number): TrackFix[] {
  const random = seededRandom(params.seed * 100_003 + n);
  let northDeg = random() * AREA.sizeDeg;
  let eastDeg = random() * AREA.sizeDeg;
  let headingDeg = random() * 360;
  const fixes: TrackFix[] = [];
  for (let i = 0; i < from + count; i++) {
    headingDeg = (headingDeg + (random() - 0.5) * 40 + 360) % 360;
    const speedMps = random() < 0.001 ? 27 : 14 + random() * 10;
    const headingRad = (headingDeg * Math.PI) / 180;
    northDeg = within(northDeg + (Math.cos(headingRad) * speedMps * 5) / 111_195);
    eastDeg = within(eastDeg + (Math.sin(headingRad) * speedMps * 5) / 82_800);
    if (i < from) continue;
    fixes.push({
      timeMs: params.startMs + i * FIX_EVERY_MS,
      latDeg: round(AREA.southDeg + northDeg, 6),
      lonDeg: round(AREA.westDeg + eastDeg, 6),
      speedMps: round(speedMps, 1),
      headingDeg: round(headingDeg, 0) % 360,
    });
  }
  return fixes;
}

/** A device's fixes as PUBLISH packets of MQTT 3.1.1, quality of service 1. */
export function encodePublishes(
  device: string,
  fixes: readonly TrackFix[],
  fixesPerPublish: number,
): Messages {
  const topic = `v1/devices/${device}/fixes`;
  return join(slices(fixes, fixesPerPublish), (some, i) => {
    const records = some.map((fix) => recordOf(fix));
    const payload = JSON.stringify(records.length === 1 ? records[0] : records);
    const messageId = (i % 65_535) + 1;
    return generate({
      cmd: 'publish',
      topic,
      payload,
      qos: 1,
      dup: false,
      retain: false,
      messageId,
    });
  });
}

/** Fixes of many devices as requests of NDJSON, each a whole HTTP/1.1 request. */
export function encodeRequests(
  fixes: readonly (TrackFix & { readonly device: string })[],
  options: { readonly fixesPerRequest: number; readonly token: string },
): Messages {
  return join(slices(fixes, options.fixesPerRequest), (some) => {
    const lines = some.map((fix) => JSON.stringify({ device: fix.device, ...recordOf(fix) }));
    const body = lines.join('\n');
    const head =
      `POST /v1/telemetry HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer ${options.token}\r\n` +
      `content-type: application/x-ndjson\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`;
    return Buffer.from(head + body);
  });
}

function recordOf(fix: TrackFix): object {
  return {
    time: fix.timeMs,
    lat: fix.latDeg,
    lon: fix.lonDeg,
    speed_mps: fix.speedMps,
    heading_deg: fix.headingDeg,
    accuracy_m: 5,
    satellites: 9,
    ignition: true,
    motion: true,
  };
}

function* slices<T>(all: readonly T[], size: number): Generator<readonly T[]> {
  for (let at = 0; at < all.length; at += size) yield all.slice(at, at + size);
}

function join<T>(items: Iterable<T>, encode: (item: T, index: number) => Buffer): Messages {
  const buffers: Buffer[] = [];
  const ends: number[] = [];
  let byteCount = 0;
  for (const item of items) {
    const buffer = encode(item, buffers.length);
    buffers.push(buffer);
    byteCount += buffer.length;
    ends.push(byteCount);
  }
  return { bytes: Buffer.concat(buffers), ends: Uint32Array.from(ends) };
}

function within(deg: number): number {
  return (deg + AREA.sizeDeg) % AREA.sizeDeg;
}

function round(value: number, digits: number): number {
  const factor = 10 ** digits;
  return Math.round(value * factor) / factor;
}
