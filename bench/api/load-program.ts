/**
 * The load generator: prepared requests on keep-alive connections, on each the next one as soon as the answer to the one before
 * is whole. It looks at no more of an answer than its status, its length and, where it walks a list, the cursor at its end.
 * Spoken to by programs.ts.
 */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { takeOrders } from './programs.ts';

/** A GET. */
export interface LoadRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

export type LoadOrder = LoadFor | Download;

/** Requests in turn for so long. */
export interface LoadFor {
  readonly order: 'load';
  readonly port: number;
  readonly requests: readonly LoadRequest[];
  /** Each request is followed by its further pages. */
  readonly isWalk: boolean;
  readonly connections: number;
  readonly ms: number;
}

/** One answer, however long. */
export interface Download {
  readonly order: 'download';
  readonly port: number;
  readonly request: LoadRequest;
}

export interface Loaded {
  readonly requests: number;
  readonly requestsPerS: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface Downloaded {
  readonly seconds: number;
  readonly bytes: number;
  /** Line ends among the bytes. */
  readonly lines: number;
}

const LINE_END = 10;
/** Of an answer's end that may hold a cursor. */
const TAIL_BYTES = 1_500;
const CURSOR = /"next_cursor":"([^"]+)"/;

async function load(order: LoadFor): Promise<Loaded> {
  const sockets: Socket[] = [];
  for (let n = 0; n < order.connections; n++) {
    const socket = connect({ port: order.port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    sockets.push(socket);
  }
  const latenciesMs: number[] = [];
  const next = { index: 0 };
  const startedMs = performance.now();
  try {
    await Promise.all(sockets.map((socket) => loadOne(socket, order, next, latenciesMs)));
  } finally {
    for (const socket of sockets) socket.destroy();
  }
  const seconds = (performance.now() - startedMs) / 1000;
  latenciesMs.sort((a, b) => a - b);
  const at = (share: number): number => latenciesMs[Math.floor((latenciesMs.length - 1) * share)]!;
  const requests = latenciesMs.length;
  return { requests, requestsPerS: requests / seconds, p50Ms: at(0.5), p99Ms: at(0.99) };
}

async function loadOne(
  socket: Socket,
  order: LoadFor,
  next: { index: number },
  latenciesMs: number[],
): Promise<void> {
  const answers = new Answers(socket);
  const endMs = performance.now() + order.ms;
  let sentMs = performance.now();
  while (sentMs < endMs) {
    const request = order.requests[next.index++ % order.requests.length]!;
    for (let cursor: string | undefined = ''; cursor !== undefined && sentMs < endMs;) {
      socket.write(encode(request, cursor));
      const tail = await answers.next(order.isWalk);
      const nowMs = performance.now();
      latenciesMs.push(nowMs - sentMs);
      sentMs = nowMs;
      cursor = order.isWalk ? CURSOR.exec(tail)?.[1] : undefined;
    }
  }
}

const encoded = new WeakMap<LoadRequest, Buffer>();

function encode(request: LoadRequest, cursor: string): Buffer {
  if (cursor !== '') return encodeAnew({ ...request, path: `${request.path}&cursor=${cursor}` });
  const known = encoded.get(request) ?? encodeAnew(request);
  encoded.set(request, known);
  return known;
}

function encodeAnew({ path, headers }: LoadRequest): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`GET ${path} HTTP/1.1\r\nhost: bench\r\n${lines.join('')}\r\n`);
}

/** Whole answers from a socket, one at a time. */
class Answers {
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Of the answer with its head; 0 until that has been read. */
  #length = 0;
  #resolve: ((tail: string) => void) | null = null;
  #reject: ((error: Error) => void) | null = null;
  #wantsTail = false;

  constructor(socket: Socket) {
    socket.on('error', (error) => this.#reject?.(error));
    socket.on('close', () => this.#reject?.(new Error('the server closed the connection')));
    socket.on('data', (chunk) => this.#take(chunk));
  }

  /** Resolves with the end of the next answer, or with nothing where that is not wanted. */
  next(wantsTail: boolean): Promise<string> {
    this.#wantsTail = wantsTail;
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#length === 0 && !this.#readHead()) return;
    if (this.#bytes < this.#length) return;
    const tail = this.#wantsTail ? Buffer.concat(this.#chunks).subarray(-TAIL_BYTES) : null;
    this.#chunks = [];
    this.#bytes = 0;
    this.#length = 0;
    this.#resolve?.(tail === null ? '' : tail.toString('latin1'));
  }

  #readHead(): boolean {
    const text = Buffer.concat(this.#chunks).toString('latin1');
    const headEnd = text.indexOf('\r\n\r\n');
    if (headEnd === -1) return false;
    const length = /content-length: (\d+)/i.exec(text.slice(0, headEnd))?.[1];
    if (!text.startsWith('HTTP/1.1 200 ') || length === undefined) {
      this.#reject?.(new Error(`the server answered ${text.slice(0, 1_000)}`));
      return false;
    }
    this.#length = headEnd + 4 + Number(length);
    return true;
  }
}

async function download({ port, request }: Download): Promise<Downloaded> {
  const startedMs = performance.now();
  const { path, headers } = request;
  const asked = get({ host: '127.0.0.1', port, path, headers });
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  if (answer.statusCode !== 200) throw new Error(`${path}: ${answer.statusCode}`);
  let bytes = 0;
  let lines = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    for (let at = chunk.indexOf(LINE_END); at !== -1; at = chunk.indexOf(LINE_END, at + 1)) lines++;
  }
  return { seconds: (performance.now() - startedMs) / 1000, bytes, lines };
}

takeOrders((order: LoadOrder) => (order.order === 'load' ? load(order) : download(order)));
