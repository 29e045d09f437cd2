/**
 * Says whether an access token is the issuer's and still good, and whose it is. It takes nothing else from the token:
 * tenant and rights come from the database.
 */
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
  /** Never throws for a bad token. Costs one RSA verification. */
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
  return {
    warm: () => keySet.warm(),
    async verify(token) {
      if (token.length > TOKEN_LENGTH_MAX) {
        return refuse('malformed', `the token is longer than ${TOKEN_LENGTH_MAX} characters`);
      }
      try {
        const dated = { ...checks, currentDate: new Date(now()) };
        const { payload } = await jwtVerify(token, (header) => findKey(keySet, header), dated);
        return readClaims(payload);
      } catch (error) {
        return refusalOf(error);
      }
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
