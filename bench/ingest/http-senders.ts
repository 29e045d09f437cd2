/**
 * A gateway that costs next to nothing: prepared requests written to keep-alive sockets, one at a time on each. Reads of an
 * answer only its status and length; any status but 200 fails the job.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { HttpJob } from './load-jobs.ts';
import type { PreparedLoad } from './load-program.ts';
import { deviceName, encodeRequests, fixesOf, type Messages, type TrackFix } from './track.ts';

/** Connects, with everything encoded: the first fix of every device, then the second of every device, and so on. */
export async function prepareHttp(job: HttpJob): Promise<PreparedLoad> {
  const requests = encodeRequests(interleaved(job), job);
  const sockets: Socket[] = [];
  for (let n = 0; n < job.connections; n++) {
    const socket = connect({ port: job.port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    sockets.push(socket);
  }
  return {
    async run() {
      const latenciesMs = new Float64Array(requests.ends.length);
      const next = { index: 0 };
      await Promise.all(sockets.map((socket) => sendAll(socket, requests, next, latenciesMs)));
      return latenciesMs;
    },
    close() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

function interleaved(job: HttpJob): (TrackFix & { device: string })[] {
  const tracks = Array.from({ length: job.devices }, (_, n) =>
    fixesOf(job, n, job.from, job.count),
  );
  const all: (TrackFix & { device: string })[] = [];
  for (let i = 0; i < job.count; i++) {
    for (let n = 0; n < job.devices; n++) all.push({ ...tracks[n]![i]!, device: deviceName(n) });
  }
  return all;
}

/** Takes requests from the common list until it is empty. */
async function sendAll(
  socket: Socket,
  { bytes, ends }: Messages,
  next: { index: number },
  latenciesMs: Float64Array,
): Promise<void> {
  const answers = new Answers(socket);
  while (next.index < ends.length) {
    const request = next.index++;
    const sentMs = performance.now();
    socket.write(bytes.subarray(request === 0 ? 0 : ends[request - 1]!, ends[request]));
    await answers.next();
    latenciesMs[request] = performance.now() - sentMs;
  }
}

class Answers {
  private text = '';
  private resolve: (() => void) | null = null;
  private reject: ((error: Error) => void) | null = null;

  constructor(socket: Socket) {
    socket.on('error', (error) => this.reject?.(error));
    socket.on('close', () => this.reject?.(new Error('the server closed the connection')));
    socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1');
      this.look();
    });
  }

  /** Resolves with the next whole answer. */
  next(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
      this.look();
    });
  }

  private look(): void {
    const headEnd = this.text.indexOf('\r\n\r\n');
    if (headEnd === -1) return;
    const length = Number(/content-length: (\d+)/i.exec(this.text)?.[1] ?? 0);
    const end = headEnd + 4 + length;
    if (this.text.length < end) return;
    const answer = this.text.slice(0, end);
    this.text = this.text.slice(end);
    if (answer.startsWith('HTTP/1.1 200 ')) this.resolve?.();
    else this.reject?.(new Error(`the server answered ${answer.slice(0, 200)}`));
  }
}
