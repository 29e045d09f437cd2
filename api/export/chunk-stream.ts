/** A stream of pieces that are made when they are asked for. */
import { Readable } from 'node:stream';
import { EXPORT_CHUNK_BYTES } from './columns.ts';

/**
 * Asks for a piece when less than {@link EXPORT_CHUNK_BYTES} are waiting to be read, and for one at a time. Destroying it tells
 * `chunks` to return and does not wait until it has: unlike `Readable.from`, it can be destroyed while a piece that may never
 * come is waited for.
 */
export function streamOfChunks(chunks: AsyncGenerator<Buffer, void>): Readable {
  return new Readable({
    highWaterMark: EXPORT_CHUNK_BYTES,
    read() {
      chunks.next().then(
        ({ done, value }) => this.push(done === true ? null : value),
        (error: unknown) => this.destroy(error as Error),
      );
    },
    destroy(error, done) {
      chunks.return().catch(() => undefined);
      done(error);
    },
  });
}
