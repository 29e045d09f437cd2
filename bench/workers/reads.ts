/**
 * What sockets would give: the same seeded fixes in the same order as MQTT packets one a read, as packets so many a read,
 * and as request bodies of NDJSON. Knows bytes and whose they are; refuses to know threads.
 */
import {
  deviceName,
  encodePublishes,
  encodeRequests,
  FIX_EVERY_MS,
  fixesOf,
  type Messages,
  type TrackFix,
} from '../ingest/track.ts';

export interface ReadsParams {
  readonly seed: number;
  readonly devices: number;
  /** Per device; a multiple of `packetsPerRead`. */
  readonly fixesPerDevice: number;
  readonly packetsPerRead: number;
  readonly linesPerRequest: number;
}

/** Read i ends at `ends[i]` of `bytes`. */
export interface Reads {
  /** What a read holds: PUBLISH packets of one device, or lines that name theirs. */
  readonly holds: 'packets' | 'lines';
  readonly bytes: Buffer;
  readonly ends: Uint32Array;
  /** Whose connection each came by; −1 for lines. */
  readonly device: Int32Array;
  readonly fixCount: Int32Array;
}

/** The clock of the bench: the time of the first fix. */
export const START_MS = Date.UTC(2026, 0, 5);

/** The clock that the reads are decoded by: when the last fix was made. */
export function decodedAtMs(params: ReadsParams): number {
  return START_MS + params.fixesPerDevice * FIX_EVERY_MS;
}

/** The reads by their name; all hold the same fixes in the same order: `packetsPerRead` of a device, then of the next. */
export function makeReads(params: ReadsParams): ReadonlyMap<string, Reads> {
  const { devices, fixesPerDevice, packetsPerRead, linesPerRequest } = params;
  const track = { seed: params.seed, startMs: START_MS };
  const tracks = Array.from({ length: devices }, (_, n) => fixesOf(track, n, 0, fixesPerDevice));
  const blocks: { readonly n: number; readonly fixes: readonly TrackFix[] }[] = [];
  for (let from = 0; from < fixesPerDevice; from += packetsPerRead) {
    tracks.forEach((fixes, n) =>
      blocks.push({ n, fixes: fixes.slice(from, from + packetsPerRead) }),
    );
  }
  const packets = blocks.map(({ n, fixes }) => encodePublishes(deviceName(n), fixes, 1));
  const bytes = Buffer.concat(packets.map((block) => block.bytes));
  const fixes = blocks.flatMap(({ n, fixes }) =>
    fixes.map((fix) => ({ ...fix, device: deviceName(n) })),
  );
  const requests = encodeRequests(fixes, { fixesPerRequest: linesPerRequest, token: 'token' });
  return new Map([
    ['1_packet', packetReads(bytes, packets, blocks, 1)],
    [`${packetsPerRead}_packets`, packetReads(bytes, packets, blocks, packetsPerRead)],
    [`${linesPerRequest}_lines`, lineReads(requests, fixes.length, linesPerRequest)],
  ]);
}

/** Read i by itself; shares memory with the others. */
export function readAt({ bytes, ends }: Reads, i: number): Buffer {
  return bytes.subarray(i === 0 ? 0 : ends[i - 1]!, ends[i]);
}

function packetReads(
  bytes: Buffer,
  packets: readonly Messages[],
  blocks: readonly { readonly n: number }[],
  packetsPerRead: number,
): Reads {
  const ends: number[] = [];
  const device: number[] = [];
  let start = 0;
  packets.forEach((block, b) => {
    for (let i = packetsPerRead - 1; i < block.ends.length; i += packetsPerRead) {
      ends.push(start + block.ends[i]!);
      device.push(blocks[b]!.n);
    }
    start += block.bytes.length;
  });
  return {
    holds: 'packets',
    bytes,
    ends: Uint32Array.from(ends),
    device: Int32Array.from(device),
    fixCount: new Int32Array(ends.length).fill(packetsPerRead),
  };
}

/** The bodies of the requests; who takes requests has read their heads before. */
function lineReads(requests: Messages, fixCount: number, linesPerRequest: number): Reads {
  const bodies = Array.from(requests.ends, (end, i) => {
    const request = requests.bytes.subarray(i === 0 ? 0 : requests.ends[i - 1]!, end);
    return request.subarray(request.indexOf('\r\n\r\n') + 4);
  });
  let end = 0;
  return {
    holds: 'lines',
    bytes: Buffer.concat(bodies),
    ends: Uint32Array.from(bodies, (body) => (end += body.length)),
    device: new Int32Array(bodies.length).fill(-1),
    fixCount: Int32Array.from(bodies, (_, i) =>
      Math.min(linesPerRequest, fixCount - i * linesPerRequest),
    ),
  };
}
