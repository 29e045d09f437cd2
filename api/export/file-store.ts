/** Where files are kept: what exports need of it. It knows no disk and no cloud. */
import type { Readable } from 'node:stream';

/** Files by keys, in the manner of S3: a key shows its file once it has been written whole, or not at all. */
export interface FileStore {
  /**
   * Reads the stream to its end, no faster than it can be written. Rejects, and leaves nothing under the key, when the stream
   * fails or holds more than `sizeMax` bytes.
   */
  put(
    key: string,
    stream: Readable,
    options: { readonly sizeMax: number },
  ): Promise<{ sizeBytes: number; sha256: string }>;
  /** Rejects where there is none; `range` counts bytes from 0, both ends included. */
  open(key: string, range?: { readonly start: number; readonly end: number }): Promise<Readable>;
  /** Removing what is not there is no error. */
  remove(key: string): Promise<void>;
}
