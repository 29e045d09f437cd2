/** Who may come in: whose tokens are good, and who is behind them. Everything between a token and a principal, put together. */
import type pg from 'pg';
import type { Logger } from 'pino';
import { createAuthenticate, type Authenticate } from './authenticate.ts';
import { createPrincipals, type Principals } from './principal.ts';
import { createSignIns } from './sign-ins.ts';
import { createVerifier, type Verifier, type VerifierOptions } from './verifier.ts';

export interface Door {
  readonly authenticate: Authenticate;
  readonly principals: Principals;
  readonly verifier: Verifier;
}

/** Over a pool of the API's role; asks nobody yet. */
export function openDoor(
  auth: Pick<VerifierOptions, 'issuer' | 'audience' | 'jwksUrl'>,
  pool: pg.Pool,
  log: Logger,
): Door {
  const principals = createPrincipals({ pool });
  const verifier = createVerifier({
    ...auth,
    onKeySetError: (error) => log.warn({ err: error }, "the issuer's keys could not be fetched"),
  });
  const signIns = createSignIns({
    pool,
    onError: (error) => log.warn({ err: error }, 'it could not be noted who was here'),
  });
  const authenticate = createAuthenticate(verifier, principals, (userId) => signIns.note(userId));
  return { authenticate, principals, verifier };
}
