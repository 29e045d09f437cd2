/** What the bench's devices send: seeded random walks, encoded before the clock starts. */
import { generate } from 'mqtt-packet';

export interface TrackParams {
  readonly seed: number;
  readonly devices: number;
  readonly fixesPerDevice: number;
  /** Fixes in one PUBLISH. */
  readonly fixesPerPublish: number;
}

export interface TrackFix {
  readonly timeMs: number;
  readonly latDeg: number;
  readonly lonDeg: number;
  readonly speedMps: number;
  readonly headingDeg: number;
}

/** One device's publishes, one after the other in one Buffer; publish i ends at `ends[i]`. */
export interface Track {
  readonly device: string;
  readonly packets: Buffer;
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

/** Device n's fixes: one every 5 s up to `endMs`, about 20 m/s, around 41.9 N 87.7 W. */
export function fixesOf(params: TrackParams, n: number, endMs: number): TrackFix[] {
  const random = seededRandom(params.seed * 100_003 + n);
  let latDeg = 41.7 + random() * 0.4;
  let lonDeg = -87.9 + random() * 0.4;
  let headingDeg = random() * 360;
  const startMs = endMs - params.fixesPerDevice * 5_000;
  return Array.from({ length: params.fixesPerDevice }, (_, i) => {
    headingDeg = (headingDeg + (random() - 0.5) * 40 + 360) % 360;
    const speedMps = 15 + random() * 10;
    latDeg += (Math.cos((headingDeg * Math.PI) / 180) * speedMps * 5) / 111_195;
    lonDeg += (Math.sin((headingDeg * Math.PI) / 180) * speedMps * 5) / 82_800;
    return {
      timeMs: startMs + i * 5_000,
      latDeg: round(latDeg, 6),
      lonDeg: round(lonDeg, 6),
      speedMps: round(speedMps, 1),
      headingDeg: round(headingDeg, 0) % 360,
    };
  });
}

export function encodeTrack(
  params: TrackParams,
  device: string,
  fixes: readonly TrackFix[],
): Track {
  const packets: Buffer[] = [];
  const ends: number[] = [];
  let bytes = 0;
  for (let at = 0; at < fixes.length; at += params.fixesPerPublish) {
    const records = fixes.slice(at, at + params.fixesPerPublish).map((fix) => ({
      time: fix.timeMs,
      lat: fix.latDeg,
      lon: fix.lonDeg,
      speed_mps: fix.speedMps,
      heading_deg: fix.headingDeg,
      accuracy_m: 5,
      satellites: 9,
      ignition: true,
      motion: true,
    }));
    const packet = generate({
      cmd: 'publish',
      topic: `v1/devices/${device}/fixes`,
      payload: JSON.stringify(records.length === 1 ? records[0] : records),
      qos: 1,
      dup: false,
      retain: false,
      messageId: (ends.length % 65_535) + 1,
    });
    packets.push(packet);
    bytes += packet.length;
    ends.push(bytes);
  }
  return { device, packets: Buffer.concat(packets), ends: Uint32Array.from(ends) };
}

function round(value: number, digits: number): number {
  const factor = 10 ** digits;
  return Math.round(value * factor) / factor;
}
