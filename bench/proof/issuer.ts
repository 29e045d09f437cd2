/**
 * A token issuer as Auth0 is one for Milepost: a server of its own that serves its public keys. Knows subjects; refuses
 * to know what they may do.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLocalIssuer } from '../../api/auth/local-issuer.ts';

export interface Issuer {
  /** The settings by which Milepost trusts this issuer. */
  readonly settings: Record<'AUTH_ISSUER' | 'AUTH_AUDIENCE' | 'AUTH_JWKS_URL', string>;
  tokenOf(subject: string): Promise<string>;
}

/** Listens until the end of the test. */
export async function openIssuer(t: {
  teardown(work: () => Promise<unknown>): unknown;
}): Promise<Issuer> {
  let keySet = '{"keys":[]}';
  const server = createServer((request, response) => {
    const known = request.url === '/.well-known/jwks.json';
    response.writeHead(known ? 200 : 404, { 'content-type': 'application/json' });
    response.end(known ? keySet : '{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const issuer = await createLocalIssuer({
    issuer: url,
    audience: 'milepost',
    storage: { load: () => Promise.resolve(null), save: () => Promise.resolve() },
    findUser: () => null,
  });
  keySet = JSON.stringify(issuer.jwks);
  return {
    settings: {
      AUTH_ISSUER: url,
      AUTH_AUDIENCE: 'milepost',
      AUTH_JWKS_URL: `${url}.well-known/jwks.json`,
    },
    tokenOf: async (subject) => (await issuer.issue(subject)).access_token,
  };
}
