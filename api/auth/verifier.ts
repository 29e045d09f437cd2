/**
 * Says whether an access token is the issuer's and still good, and whose it is. It takes nothing else from the token:
 * tenant and rights come from the database.
 */
import { createHash } from 'node:crypto';
import { errors, jwtVerify, type JWTPayload, type JWTVerifyOptions } from 'jose';
import {
  createKeySet,
  IssuerUnavailable,
  KEY_SET_LIMITS,
  type KeySet,
  type KeySetLimits,
} from './key-set.ts';

/** Characters of a token; longer ones are refused unread. */
export const TOKEN_LENGTH_MAX = 8_192;
/** Characters of a subject. */
export const SUBJECT_LENGTH_MAX = 255;
/** Seconds by which the issuer's clock may differ from ours. */
export const CLOCK_TOLERANCE_S = 5;
/** Tokens that need not be verified again; those that were verified longest ago go first. */
export const KNOWN_TOKENS_MAX = 10_000;

export interface VerifierOptions {
  /** Exactly as in the token's `iss`; Auth0's ends with a slash. */
  readonly issuer: string;
  readonly audience: string;
  /** Where the issuer serves its public keys. */
  readonly jwksUrl: string;
  readonly keySetLimits?: Partial<KeySetLimits>;
  /** Epoch milliseconds; the machine's clock when left out. */
  readonly now?: () => number;
  /** Told when the issuer's keys could not be fetched. */
  readonly onKeySetError?: (error: unknown) => void;
}

/** `unavailable` is not the token's fault: the issuer's keys are not at hand. */
export type Verification =
  | { readonly ok: true; readonly subject: string; readonly expiresMs: number }
  | {
      readonly ok: false;
      readonly reason: 'malformed' | 'expired' | 'not_accepted' | 'unavailable';
      readonly detail: string;
    };

export interface Verifier {
  /** Never throws for a bad token. Costs one RSA verification, or, for a token known to be good, one hash. */
  verify(token: string): Promise<Verification>;
  /** Fetches the issuer's keys ahead of the first token; false when they could not be had. */
  warm(): Promise<boolean>;
}

/**
 * Makes a verifier of RS256 tokens: signature by one of the issuer's keys, issuer, audience, expiry and subject are
 * all required. A key named or carried by the token itself (`jku`, `x5u`, `jwk`, `x5c`) is refused.
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const now = options.now ?? Date.now;
  const keySet = createKeySet({
    url: new URL(options.jwksUrl),
    limits: { ...KEY_SET_LIMITS, ...options.keySetLimits },
    now,
    onError: options.onKeySetError ?? (() => undefined),
  });
  const checks: JWTVerifyOptions = {
    algorithms: ['RS256'],
    issuer: options.issuer,
    audience: options.audience,
    requiredClaims: ['exp', 'sub'],
    clockTolerance: CLOCK_TOLERANCE_S,
  };
  const known = createKnownTokens();
  return {
    warm: () => keySet.warm(),
    async verify(token) {
      if (token.length > TOKEN_LENGTH_MAX) {
        return refuse('malformed', `the token is longer than ${TOKEN_LENGTH_MAX} characters`);
      }
      const hash = createHash('sha256').update(token).digest('base64');
      const generation = keySet.generation();
      const accepted = known.find(hash, generation, now());
      if (accepted !== null) return accepted;
      const verifiedMs = now();
      try {
        const dated = { ...checks, currentDate: new Date(verifiedMs) };
        const { payload } = await jwtVerify(token, (header) => findKey(keySet, header), dated);
        const verification = readClaims(payload);
        // By the keys of before, if others have come meanwhile: it is verified again when it comes again.
        if (verification.ok && generation !== null) {
          known.add(hash, { verification, generation, verifiedMs });
        }
        return verification;
      } catch (error) {
        return refusalOf(error);
      }
    },
  };
}

type Accepted = Extract<Verification, { ok: true }>;

interface KnownToken {
  readonly verification: Accepted;
  /** Of the keys by one of which it is signed. */
  readonly generation: number;
  readonly verifiedMs: number;
}

/**
 * Tokens that were verified, by their hash. One is known as long as its verification would come out the same: until it
 * expires, with the issuer's keys as they were then, and by a clock that has not been turned back since.
 */
function createKnownTokens() {
  const tokens = new Map<string, KnownToken>();
  return {
    find(hash: string, generation: number | null, nowMs: number): Accepted | null {
      const token = tokens.get(hash);
      if (token === undefined) return null;
      const { verification, verifiedMs } = token;
      // Whole seconds, as the verification itself reckons.
      const isLive = Math.floor(nowMs / 1_000) - CLOCK_TOLERANCE_S < verification.expiresMs / 1_000;
      if (isLive && nowMs >= verifiedMs && token.generation === generation) return verification;
      tokens.delete(hash);
      return null;
    },
    add(hash: string, token: KnownToken): void {
      tokens.delete(hash);
      if (tokens.size >= KNOWN_TOKENS_MAX) tokens.delete(tokens.keys().next().value!);
      tokens.set(hash, token);
    },
  };
}

const KEY_CARRIERS = ['jku', 'x5u', 'jwk', 'x5c'];

function findKey(keySet: KeySet, header: Parameters<KeySet['find']>[0]) {
  if (typeof header.kid !== 'string' || KEY_CARRIERS.some((name) => name in header)) {
    throw new errors.JWSInvalid('the header must name a key by kid, and carry none');
  }
  return keySet.find(header);
}

function readClaims({ sub, exp }: JWTPayload): Verification {
  if (typeof sub !== 'string' || sub === '' || sub.length > SUBJECT_LENGTH_MAX) {
    return refuse('not_accepted', 'the token has no usable subject');
  }
  // requiredClaims has made sure that exp is there, and jose that it is a number.
  return { ok: true, subject: sub, expiresMs: exp! * 1000 };
}

function refusalOf(error: unknown): Verification {
  if (error instanceof IssuerUnavailable) {
    return refuse('unavailable', 'the keys of the token issuer are not available');
  }
  if (error instanceof errors.JWTExpired) return refuse('expired', 'the token has expired');
  if (error instanceof errors.JWTClaimValidationFailed) {
    return refuse('not_accepted', `the token's "${error.claim}" is not accepted`);
  }
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) {
    return refuse('malformed', 'the token is malformed');
  }
  if (error instanceof errors.JOSEError) {
    return refuse('not_accepted', 'the token is not signed by an accepted key');
  }
  throw error;
}

function refuse(
  reason: 'malformed' | 'expired' | 'not_accepted' | 'unavailable',
  detail: string,
): Verification {
  return { ok: false, reason, detail };
}
