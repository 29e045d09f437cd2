/** Tokens by which devices and gateways sign in: made here, shown once, and kept as hashes alone. */
import { createHash, randomBytes } from 'node:crypto';

/** Random bytes of a token; in base64url they are 43 characters. */
export const DEVICE_TOKEN_BYTES = 32;

/** A token, and the SHA-256 by which ingestion knows it again. A fast hash does: there is nothing to guess. */
export function makeDeviceToken(): { readonly token: string; readonly hash: Buffer } {
  const token = randomBytes(DEVICE_TOKEN_BYTES).toString('base64url');
  return { token, hash: createHash('sha256').update(token).digest() };
}
