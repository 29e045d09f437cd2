/**
 * One WebSocket as a stream of bytes (section 6 of MQTT 3.1.1 and 5.0): packets may begin and end anywhere in messages.
 * Knows frames, and what a peer may send before anybody knows it; refuses to know MQTT packets.
 *
 * States: open → (end) closing, the peer's close is awaited → (its close, destroy) gone. Nothing is read from the socket
 * while nobody reads the stream, and `writableLength` is what the kernel has not taken.
 */
import { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { EARLY_BYTES_MAX } from './limits.ts';

/** Close code: a message of a kind that is not taken. */
const UNSUPPORTED_DATA = 1003;
const NORMAL_CLOSURE = 1000;

type Done = (error?: Error | null) => void;

export class WebSocketStream extends Duplex {
  readonly #ws: WebSocket;
  #stopCounting: () => void;

  /**
   * `raw` is the socket under `ws`. `refused` is called when a peer is closed for what it sends: a text message
   * [MQTT-6.0.0-1], or more than EARLY_BYTES_MAX before the first answer, which the codec would gather as one message.
   */
  constructor(ws: WebSocket, raw: Duplex, refused: (reason: string) => void) {
    super({ allowHalfOpen: false });
    this.#ws = ws;
    let earlyBytes = 0;
    const count = (chunk: Buffer): void => {
      earlyBytes += chunk.length;
      if (earlyBytes <= EARLY_BYTES_MAX) return;
      refused('early_bytes');
      this.destroy();
    };
    raw.on('data', count);
    this.#stopCounting = () => {
      raw.off('data', count);
      this.#stopCounting = () => undefined;
    };
    ws.on('message', (data: Buffer, isBinary: boolean) => {
      if (isBinary) {
        if (data.length > 0 && !this.push(data)) ws.pause();
        return;
      }
      refused('text_message');
      ws.close(UNSUPPORTED_DATA);
      this.destroy();
    });
    ws.on('error', (error) => this.destroy(error));
    ws.on('close', () => {
      if (!this.destroyed) this.push(null);
    });
  }

  override _read(): void {
    if (this.#ws.isPaused) this.#ws.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: Done): void {
    this.#stopCounting();
    this.#ws.send(chunk, { binary: true }, done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), '', done);
  }

  override _final(done: Done): void {
    this.#ws.close(NORMAL_CLOSURE);
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#stopCounting();
    this.#ws.terminate();
    done(error);
  }
}
