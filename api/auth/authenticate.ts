/**
 * From a token to a principal, for every door that takes tokens: the HTTP routes and the WebSocket hub.
 */
import type { Principal, Principals } from './principal.ts';
import type { Verifier } from './verifier.ts';

/** `unavailable` is not the caller's fault and may pass; `unknown_user` is a good token of nobody active here. */
export type Authentication =
  | { readonly ok: true; readonly principal: Principal; readonly expiresMs: number }
  | {
      readonly ok: false;
      readonly reason: 'malformed' | 'expired' | 'not_accepted' | 'unknown_user' | 'unavailable';
      readonly detail: string;
    };

/** Verifies a token and looks its subject up. Rejects when the database cannot be asked. */
export type Authenticate = (token: string) => Promise<Authentication>;

/** Joins a verifier and the directory of users. `onSignedIn` is told of everybody who is let in, each time. */
export function createAuthenticate(
  verifier: Verifier,
  principals: Principals,
  onSignedIn: (userId: number) => void = () => undefined,
): Authenticate {
  return async (token) => {
    const verified = await verifier.verify(token);
    if (!verified.ok) return verified;
    const principal = await principals.bySubject(verified.subject);
    if (principal) {
      onSignedIn(principal.userId);
      return { ok: true, principal, expiresMs: verified.expiresMs };
    }
    const detail = 'no active user stands behind this token';
    return { ok: false, reason: 'unknown_user', detail };
  };
}
