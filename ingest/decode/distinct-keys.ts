/**
 * How many different keys a text of JSON has, counted in its bytes before anything is made of it. Every new key costs the
 * parser a string and a shape: 1 MiB of them holds up everybody for 0.1 s, one that a gzip body unfolds to for a second. Knows
 * strings and colons; refuses to know whether the rest is JSON.
 */

/** Different keys in one message, at whatever depth, of all its records together. */
export const MESSAGE_KEYS_MAX = 2_000;
/** Bytes of a key at the least: quotes, a letter, colon, value, comma. */
const KEY_BYTES_MIN = 6;
/** Places for hashes; a power of two, and twice what is counted. */
const PLACES = 4_096;

const QUOTE = 0x22;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
/** Not known outside, so that nobody can make keys that count as one. */
const SEED = (Math.random() * 2 ** 32) | 0;

/** Hashes of the keys of the text at hand; 0 is a free place. */
const seen = new Int32Array(PLACES);

/**
 * Whether a text has more than {@link MESSAGE_KEYS_MAX} different keys. Looks at each byte once, and at none of a text that
 * is too short for so many; allocates nothing. A key that is written in two ways counts twice.
 */
export function hasTooManyKeys(bytes: Buffer): boolean {
  const { length } = bytes;
  if (length < MESSAGE_KEYS_MAX * KEY_BYTES_MIN) return false;
  seen.fill(0);
  let count = 0;
  for (let at = 0; at < length; at++) {
    if (bytes[at] !== QUOTE) continue;
    let hash = SEED;
    let byte = bytes[++at];
    while (byte !== QUOTE && at < length) {
      if (byte === BACKSLASH) byte = bytes[++at];
      hash = Math.imul(hash ^ byte!, 0x5bd1e995);
      byte = bytes[++at];
    }
    while (at + 1 < length && bytes[at + 1]! <= SPACE) at++;
    if (bytes[at + 1] === COLON && isNew(hash) && ++count > MESSAGE_KEYS_MAX) return true;
  }
  return false;
}

/** Whether the hash comes for the first time. */
function isNew(hash: number): boolean {
  const mixed = hash ^ (hash >>> 15);
  const wanted = mixed === 0 ? 1 : mixed;
  for (let place = wanted & (PLACES - 1); ; place = (place + 1) & (PLACES - 1)) {
    if (seen[place] === wanted) return false;
    if (seen[place] !== 0) continue;
    seen[place] = wanted;
    return true;
  }
}
