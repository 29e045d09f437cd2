/**
 * Who a request says it is from: the `Authorization` header, or the key `token` of a query or form, held against the
 * registry. Takes the credential out of what is passed on, so that it is neither stored nor logged. Refuses to know
 * bodies and formats.
 */
import type { HttpCredential } from './decode/wires.ts';
import { bearerOf } from './http-submit.ts';
import type { Registry, Sender } from './registry.ts';

/** A sender; `none`, where the request bears no credential at all; `wrong`, where it bears one that does not hold. */
export type CredentialVerdict = Sender | 'none' | 'wrong';

/**
 * Judges the header and, where there is none, the token. A wrong credential is wrong: nothing else of the request is
 * tried in its place.
 */
export function judgeCredential(
  registry: Registry,
  accepted: readonly HttpCredential[],
  given: { readonly authorization: string | undefined; readonly token: string | null },
): CredentialVerdict {
  const { authorization, token } = given;
  if (authorization !== undefined) {
    const bearer = accepted.includes('bearer') ? bearerOf(registry, authorization) : null;
    if (bearer !== null) return bearer;
    return (accepted.includes('basic') ? basicOf(registry, authorization) : null) ?? 'wrong';
  }
  if (token === null || !accepted.includes('token_key')) return 'none';
  return registry.senderOf(token) ?? 'wrong';
}

/** A device by its name and token, or a gateway by its token with any user. */
function basicOf(registry: Registry, authorization: string): Sender | null {
  const pair = pairOf(authorization);
  if (pair === null) return null;
  const checked = registry.checkSecret(pair.user, Buffer.from(pair.password));
  if (checked.ok) return { kind: 'device', device: checked.device };
  const sender = registry.senderOf(pair.password);
  return sender?.kind === 'gateway' ? sender : null;
}

function pairOf(authorization: string): { user: string; password: string } | null {
  const encoded = /^Basic +([A-Za-z0-9+/=_-]+)$/i.exec(authorization)?.[1];
  if (encoded === undefined) return null;
  const pair = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return colon < 0 ? null : { user: pair.slice(0, colon), password: pair.slice(colon + 1) };
}

/** The user of Basic authentication that was found wrong, where no device has this name; else `null`. */
export function strangerOf(
  registry: Pick<Registry, 'deviceNamed'>,
  authorization: string | undefined,
): string | null {
  const user = pairOf(authorization ?? '')?.user ?? null;
  return user === null || registry.deviceNamed(user) !== undefined ? null : user;
}

/** Takes `token` out of keys and values as they came (`a=1&token=2`); the first one counts. */
export function takeToken(text: string): { readonly token: string | null; readonly rest: string } {
  // Names may be percent-encoded, but those of a text with neither word nor percent sign are not of interest.
  if (!/token|%/.test(text)) return { token: null, rest: text };
  let token: string | null = null;
  const rest = text.split('&').filter((pair) => {
    const value = new URLSearchParams(pair).get('token');
    token ??= value;
    return value === null;
  });
  return { token, rest: rest.join('&') };
}
