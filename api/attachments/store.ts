/**
 * Where the bytes of attachments are kept: what a store must do, in words that fit a directory as well as S3. A store
 * knows keys and bytes; it knows no tenants, no names and no rights.
 */
import assert from 'node:assert/strict';
import type { Readable } from 'node:stream';

/** Characters of a key. */
export const KEY_LENGTH_MAX = 200;
const KEY = /^[a-z0-9-]+(\/[a-z0-9-]+)*$/;

export interface StoredBytes {
  readonly sizeBytes: number;
  /** 32 bytes. */
  readonly sha256: Buffer;
}

/** Both ends are bytes of the range, as in HTTP. */
export interface ByteRange {
  readonly firstByte: number;
  readonly lastByte: number;
}

export interface AttachmentStore {
  /**
   * Stores what the stream gives and resolves once it is durable. Rejects, having kept nothing, with the stream's own
   * error; with `StoreError` `too_large` as soon as more than `sizeMax` bytes have come; and with `failed` when the store
   * itself cannot.
   */
  put(
    key: string,
    stream: AsyncIterable<Uint8Array>,
    options: { readonly sizeMax: number },
  ): Promise<StoredBytes>;
  /** The bytes, or those of the range, which must lie within the file; null when there is nothing under this key. */
  open(key: string, range?: ByteRange): Promise<Readable | null>;
  /** Resolves once nothing is kept under this key; nothing having been there is no error. */
  remove(key: string): Promise<void>;
}

/** What a store cannot do. The cause is for the log. */
export class StoreError extends Error {
  readonly reason: 'too_large' | 'failed';

  constructor(reason: 'too_large' | 'failed', cause?: unknown) {
    super(`attachment store: ${reason}`, { cause });
    this.name = 'StoreError';
    this.reason = reason;
  }
}

/** Throws for a key that could mean anything but a file of the store: only `a-z`, `0-9`, `-` and single `/` within. */
export function requireKey(key: string): void {
  assert(key.length <= KEY_LENGTH_MAX && KEY.test(key), 'an attachment key has a-z, 0-9, - and /');
}
