/**
 * A token issuer of our own, for the demo and the tests: a real RSA key pair, RS256 tokens, the public key served as a
 * JWKS. Whoever verifies its tokens fetches that JWKS over HTTP, as from Auth0. Not for production: it has no lockout,
 * no second factor and no revocation. It knows no database; who may sign in is asked of the caller.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  calculateJwkThumbprint,
  exportJWK,
  exportPKCS8,
  generateKeyPair,
  importPKCS8,
  SignJWT,
  type JSONWebKeySet,
  type JWK,
} from 'jose';
import { hashPassword, verifyPassword } from './password.ts';

/** Seconds that a token is good for, when nothing else is asked. */
export const LOCAL_TOKEN_LIFETIME_S = 3_600;
const RSA_BITS = 2_048;

/** Someone who may sign in: the `auth_0_reference_id` of the user row, and a hash by `hashPassword`. */
export interface LocalUser {
  readonly subject: string;
  readonly passwordHash: string;
}

/** Where the private key (PKCS #8, PEM) survives a restart. `load` gives null when there is none yet. */
export interface KeyStorage {
  load(): Promise<string | null>;
  save(pem: string): Promise<void>;
}

export interface LocalIssuerOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly storage: KeyStorage;
  /** The email comes in lower case. */
  readonly findUser: (email: string) => LocalUser | null | Promise<LocalUser | null>;
  readonly tokenLifetimeS?: number;
  /** Epoch milliseconds; the machine's clock when left out. */
  readonly now?: () => number;
}

/** A token as sign-in hands it out (RFC 6749 5.1). */
export interface IssuedToken {
  readonly access_token: string;
  readonly token_type: 'Bearer';
  readonly expires_in: number;
}

export interface LocalIssuer {
  readonly jwks: JSONWebKeySet;
  /** A token for the user with this email and password; null for any other pair, after the same work. */
  signIn(email: string, password: string): Promise<IssuedToken | null>;
  /** A token for a subject, with no questions asked: for tests and the simulator. */
  issue(subject: string): Promise<IssuedToken>;
}

/** Loads the key pair, or makes and saves one (about 0.1 s). Rejects when the stored key cannot be read. */
export async function createLocalIssuer(options: LocalIssuerOptions): Promise<LocalIssuer> {
  const { issuer, audience, storage, findUser } = options;
  const now = options.now ?? Date.now;
  const lifetimeS = options.tokenLifetimeS ?? LOCAL_TOKEN_LIFETIME_S;
  const { privateKey, publicJwk } = await loadOrMakeKey(storage);
  const kid = publicJwk.kid!;
  // Verified when the email is unknown, so that the time of the answer does not tell.
  const nobodyHash = await hashPassword(randomUUID());

  async function issue(subject: string): Promise<IssuedToken> {
    const issuedS = Math.floor(now() / 1000);
    const token = await new SignJWT()
      .setProtectedHeader({ alg: 'RS256', kid, typ: 'at+jwt' })
      .setIssuer(issuer)
      .setAudience(audience)
      .setSubject(subject)
      .setIssuedAt(issuedS)
      .setExpirationTime(issuedS + lifetimeS)
      .setJti(randomUUID())
      .sign(privateKey);
    return { access_token: token, token_type: 'Bearer', expires_in: lifetimeS };
  }

  return {
    jwks: { keys: [publicJwk] },
    issue,
    async signIn(email, password) {
      const user = await findUser(email.toLowerCase());
      const good = await verifyPassword(password, user?.passwordHash ?? nobodyHash);
      return user && good ? issue(user.subject) : null;
    },
  };
}

/** Keeps the key in a file that only its owner may read. Its folder is made when it is missing. */
export function fileKeyStorage(path: string): KeyStorage {
  return {
    async load() {
      try {
        return await readFile(path, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw error;
      }
    },
    async save(pem) {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, pem, { mode: 0o600, flag: 'wx' });
    },
  };
}

type PrivateKey = Awaited<ReturnType<typeof importPKCS8>>;

async function loadOrMakeKey(
  storage: KeyStorage,
): Promise<{ privateKey: PrivateKey; publicJwk: JWK }> {
  let pem = await storage.load();
  if (pem === null) {
    const options = { modulusLength: RSA_BITS, extractable: true };
    const pair = await generateKeyPair('RS256', options);
    pem = await exportPKCS8(pair.privateKey);
    await storage.save(pem);
  }
  const privateKey = await importPKCS8(pem, 'RS256', { extractable: true });
  const { kty, n, e } = await exportJWK(privateKey);
  const bare = { kty, n, e } as JWK;
  const kid = await calculateJwkThumbprint(bare);
  return { privateKey, publicJwk: { ...bare, kid, alg: 'RS256', use: 'sig' } };
}
