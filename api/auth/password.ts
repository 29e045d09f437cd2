/** Passwords of people, kept as scrypt hashes: `scrypt$N$r$p$salt$hash`, the last two in base64url. */
import { randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto';

/** Characters of a password; longer ones are refused before any hashing. */
export const PASSWORD_LENGTH_MAX = 200;

const COST = { N: 16_384, r: 8, p: 1 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** Costs a stored hash may ask for: 64 MiB of memory. */
const SCRYPT_MEMORY_BYTES_MAX = 64 * 1024 * 1024;
const FORMAT = /^scrypt\$(\d{1,7})\$(\d{1,2})\$(\d{1,2})\$([\w-]{16,64})\$([\w-]{43})$/;

/** Hashes a password under a random salt. About 50 ms of a worker thread and 16 MiB. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(password, salt, COST);
  const { N, r, p } = COST;
  return ['scrypt', N, r, p, salt.toString('base64url'), hash.toString('base64url')].join('$');
}

/** True when the password is the one that was hashed. A stored value in any other form matches nothing. */
export async function verifyPassword(password: string, stored: string): Promise<boolean> {
  const parts = FORMAT.exec(stored);
  if (!parts || password.length > PASSWORD_LENGTH_MAX) return false;
  const [, N, r, p, salt, hash] = parts;
  const cost = { N: Number(N), r: Number(r), p: Number(p) };
  const derived = await derive(password, Buffer.from(salt!, 'base64url'), cost);
  return timingSafeEqual(derived, Buffer.from(hash!, 'base64url'));
}

function derive(password: string, salt: Buffer, cost: ScryptOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = { ...cost, maxmem: SCRYPT_MEMORY_BYTES_MAX };
    scrypt(password.normalize('NFKC'), salt, HASH_BYTES, options, (error, hash) => {
      if (error) reject(error);
      else resolve(hash);
    });
  });
}
