/**
 * A gateway that speaks for several devices over HTTP: NDJSON, one request at a time, sent again until it is answered
 * with what became of each line. Knows requests and their answers; refuses to know what a line holds.
 */
import { Agent, request } from 'node:http';
import { gzipSync } from 'node:zlib';

export interface HttpGatewayOptions {
  readonly token: string;
  readonly port: number;
  /** Lines of one request, at most. */
  readonly linesMax: number;
  /** The next line, which the gateway from then on keeps; `null`: none for now. */
  readonly next: () => string | null;
  readonly onSent: (index: number) => void;
  readonly onAnswered: (index: number, refused: boolean) => void;
}

interface Answer {
  readonly status: number;
  readonly rejected: readonly { readonly index: number }[];
}

/** A request that nothing is heard of for so long is given up and sent again. */
const ANSWER_MS_MAX = 30_000;
const RETRY_MS = 200;

export class HttpGateway {
  /** Requests that were told to come again. */
  busyCount = 0;
  private readonly options: HttpGatewayOptions;
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 1 });
  private nextIndex = 0;
  private lines: string[] = [];
  private isSending = false;
  private isStopped = false;
  private timer: NodeJS.Timeout | null = null;

  constructor(options: HttpGatewayOptions) {
    this.options = options;
  }

  get waitingCount(): number {
    return this.lines.length;
  }

  start(): void {
    this.pump();
  }

  /** Sends what `next` gives, unless a request is on its way. */
  pump(): void {
    if (this.isSending || this.isStopped) return;
    while (this.lines.length < this.options.linesMax) {
      const line = this.options.next();
      if (line === null) break;
      this.lines.push(line);
    }
    if (this.lines.length === 0) return;
    this.isSending = true;
    void this.deliver();
  }

  stop(): void {
    this.isStopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    this.agent.destroy();
  }

  private async deliver(): Promise<void> {
    const { lines } = this;
    const answer = await this.post(`${lines.join('\n')}\n`).catch(() => null);
    if (this.isStopped) return;
    if (answer === null || (answer.status !== 200 && answer.status !== 422)) {
      this.busyCount += 1;
      this.timer = setTimeout(() => void this.deliver(), RETRY_MS);
      return;
    }
    const refused = new Set(answer.rejected.map(({ index }) => index));
    for (let i = 0; i < lines.length; i++) {
      this.options.onAnswered(this.nextIndex + i, refused.has(i));
    }
    this.nextIndex += lines.length;
    this.lines = [];
    this.isSending = false;
    this.pump();
  }

  /** Every other request is compressed. */
  private post(body: string): Promise<Answer> {
    const isZipped = this.nextIndex % 2 === 1;
    const bytes = isZipped ? gzipSync(body, { level: 1 }) : Buffer.from(body);
    return new Promise((resolve, reject) => {
      const outgoing = request({
        agent: this.agent,
        host: '127.0.0.1',
        port: this.options.port,
        method: 'POST',
        path: '/v1/telemetry',
        timeout: ANSWER_MS_MAX,
        headers: {
          authorization: `Bearer ${this.options.token}`,
          'content-type': 'application/x-ndjson',
          'content-length': bytes.length,
          ...(isZipped ? { 'content-encoding': 'gzip' } : {}),
        },
      });
      // All of it has gone out: before, the server can make nothing of it.
      outgoing.on('finish', () => {
        for (let i = 0; i < this.lines.length; i++) this.options.onSent(this.nextIndex + i);
      });
      outgoing.on('error', reject);
      outgoing.on('timeout', () => outgoing.destroy(new Error('no answer')));
      outgoing.on('response', (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () => {
          try {
            const text = Buffer.concat(chunks).toString();
            const { rejected } = JSON.parse(text) as { rejected?: { index: number }[] };
            resolve({ status: incoming.statusCode!, rejected: rejected ?? [] });
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)));
          }
        });
      });
      outgoing.end(bytes);
    });
  }
}
