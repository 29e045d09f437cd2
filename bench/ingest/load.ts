/**
 * Devices that cost next to nothing: prepared packets written to sockets, PUBACKs counted by their four bytes. So the
 * machine's time goes to the server that is measured. Speaks MQTT 3.1.1, QoS 1, with a window of unanswered publishes.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { generate } from 'mqtt-packet';
import type { Track } from './track.ts';

export interface LoadResult {
  readonly seconds: number;
  /** From writing a PUBLISH to its PUBACK, all publishes. */
  readonly latenciesMs: Float64Array;
}

const PUBACK_BYTES = 4;
const CONNACK_BYTES = 4;

/** Signs every device in, then sends all tracks at once and waits for the last PUBACK. */
export async function runLoad(options: {
  readonly port: number;
  readonly tracks: readonly Track[];
  readonly token: (device: string) => string;
  /** Publishes of one device that may wait for their PUBACK. */
  readonly window: number;
}): Promise<LoadResult> {
  const sockets: Socket[] = [];
  for (const track of options.tracks) {
    sockets.push(await signIn(options.port, track.device, options.token(track.device)));
  }
  const startedMs = performance.now();
  const latencies = await Promise.all(
    options.tracks.map((track, i) => send(sockets[i]!, track, options.window)),
  );
  const seconds = (performance.now() - startedMs) / 1000;
  for (const socket of sockets) socket.destroy();
  return { seconds, latenciesMs: concat(latencies) };
}

async function signIn(port: number, device: string, token: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  socket.write(
    generate({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clean: true,
      clientId: device,
      keepalive: 0,
      username: device,
      password: Buffer.from(token),
    }),
  );
  const [answer] = (await once(socket, 'data')) as [Buffer];
  if (answer.length < CONNACK_BYTES || answer[3] !== 0) throw new Error(`${device} was refused`);
  return socket;
}

function send(socket: Socket, track: Track, window: number): Promise<Float64Array> {
  const count = track.ends.length;
  const sentMs = new Float64Array(count);
  const latencies = new Float64Array(count);
  let sent = 0;
  let acked = 0;
  let ackBytes = 0;
  const more = (): void => {
    const upTo = Math.min(count, acked + window);
    if (upTo === sent) return;
    const nowMs = performance.now();
    sentMs.fill(nowMs, sent, upTo);
    const from = sent === 0 ? 0 : track.ends[sent - 1]!;
    sent = upTo;
    socket.write(track.packets.subarray(from, track.ends[upTo - 1]));
  };
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`${track.device} was closed after ${acked} acks`)));
    socket.on('data', (chunk) => {
      ackBytes += chunk.length;
      const upTo = Math.floor(ackBytes / PUBACK_BYTES);
      const nowMs = performance.now();
      for (; acked < upTo; acked++) latencies[acked] = nowMs - sentMs[acked]!;
      if (acked === count) resolve(latencies);
      else more();
    });
    more();
  });
}

function concat(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
