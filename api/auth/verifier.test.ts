import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createPublicKey } from 'node:crypto';
import { exportSPKI, generateKeyPair, importJWK, SignJWT, UnsecuredJWT, exportJWK } from 'jose';
import t from 'tap';
import { createLocalIssuer, fileKeyStorage, type KeyStorage } from './local-issuer.ts';
import { hashPassword, verifyPassword } from './password.ts';
import { createVerifier, TOKEN_LENGTH_MAX } from './verifier.ts';
import { KEY_SET_LIMITS } from './key-set.ts';

const issuerName = 'https://issuer.test/';
const audience = 'milepost';
const startMs = Date.UTC(2026, 0, 1);

function memoryStorage(): KeyStorage {
  let kept: string | null = null;
  return {
    load: () => Promise.resolve(kept),
    save: (pem) => {
      kept = pem;
      return Promise.resolve();
    },
  };
}

/** An issuer whose key set is served by a real HTTP server, and a clock that the test moves. */
async function setUp(t: { teardown: (fn: () => unknown) => void }) {
  const clock = { ms: startMs };
  const issuer = await createLocalIssuer({
    issuer: issuerName,
    audience,
    storage: memoryStorage(),
    findUser: () => null,
    now: () => clock.ms,
  });
  const pair = await generateKeyPair('RS256', { extractable: true });
  const kid = 'second';
  const publicJwk = { ...(await exportJWK(pair.publicKey)), kid, alg: 'RS256', use: 'sig' };
  const body = JSON.stringify({ keys: [...issuer.jwks.keys, publicJwk] });
  const served = { status: 200, body, held: Promise.resolve() };
  const count = { fetches: 0, errors: 0 };
  const server = createServer((_, response) => {
    count.fetches += 1;
    void served.held.then(() =>
      response.writeHead(served.status, { 'content-type': 'application/json' }).end(served.body),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
  const verifier = createVerifier({
    issuer: issuerName,
    audience,
    jwksUrl,
    now: () => clock.ms,
    onKeySetError: () => {
      count.errors += 1;
    },
  });
  /** Resolves when the issuer has been asked so many times. */
  const asked = async (times: number) => {
    while (count.fetches < times) await once(server, 'request');
  };
  const nowS = () => Math.floor(clock.ms / 1000);
  const claims = () => ({
    iss: issuerName,
    aud: audience,
    sub: 'auth0|1',
    exp: nowS() + 60,
  });
  const sign = (payload: Record<string, unknown>, header: Record<string, unknown> = {}) =>
    new SignJWT(payload).setProtectedHeader({ alg: 'RS256', kid, ...header }).sign(pair.privateKey);
  return { clock, issuer, verifier, served, count, asked, claims, sign, nowS, pair, kid };
}

t.test('a good token gives subject and expiry', async (t) => {
  const { verifier, issuer, clock } = await setUp(t);
  const { access_token, expires_in, token_type } = await issuer.issue('auth0|7');
  t.equal(token_type, 'Bearer');
  t.same(await verifier.verify(access_token), {
    ok: true,
    subject: 'auth0|7',
    expiresMs: clock.ms + expires_in * 1000,
  });
});

t.test('bad tokens', async (t) => {
  const { verifier, claims, sign, nowS, pair, kid } = await setUp(t);
  t.match(
    await verifier.verify(await sign(claims())),
    { ok: true },
    'the rows below differ in one thing',
  );
  const without = (name: string) =>
    Object.fromEntries(Object.entries(claims()).filter(([key]) => key !== name));
  const publicPem = await exportSPKI(pair.publicKey);
  const stranger = await generateKeyPair('RS256');
  const hmac = (secret: string) =>
    new SignJWT(claims())
      .setProtectedHeader({ alg: 'HS256', kid })
      .sign(new TextEncoder().encode(secret));
  const good = await sign(claims());
  const [head, body, signature] = good.split('.') as [string, string, string];
  const none = Buffer.from(JSON.stringify({ alg: 'none', kid })).toString('base64url');
  const rows: [string, string, string][] = [
    ['alg none, unsigned', new UnsecuredJWT(claims()).encode(), 'not_accepted'],
    ['alg none with a signature', `${none}.${body}.${signature}`, 'not_accepted'],
    ['HS256 with the public key as secret', await hmac(publicPem), 'not_accepted'],
    ['HS256 with the trimmed public key', await hmac(publicPem.trim()), 'not_accepted'],
    ['another issuer', await sign({ ...claims(), iss: 'https://other.test/' }), 'not_accepted'],
    [
      'issuer without slash',
      await sign({ ...claims(), iss: 'https://issuer.test' }),
      'not_accepted',
    ],
    ['another audience', await sign({ ...claims(), aud: 'other' }), 'not_accepted'],
    ['no audience', await sign(without('aud')), 'not_accepted'],
    ['no issuer', await sign(without('iss')), 'not_accepted'],
    ['no subject', await sign(without('sub')), 'not_accepted'],
    ['empty subject', await sign({ ...claims(), sub: '' }), 'not_accepted'],
    ['long subject', await sign({ ...claims(), sub: 'x'.repeat(256) }), 'not_accepted'],
    ['no expiry', await sign(without('exp')), 'not_accepted'],
    ['expired', await sign({ ...claims(), exp: nowS() - 5 }), 'expired'],
    ['not yet valid', await sign({ ...claims(), nbf: nowS() + 60 }), 'not_accepted'],
    ['no key id', await sign(claims(), { kid: undefined }), 'malformed'],
    ['key by URL', await sign(claims(), { jku: 'http://127.0.0.1/x' }), 'malformed'],
    ['unknown key id', await sign(claims(), { kid: "x' or 1=1 --" }), 'not_accepted'],
    [
      "a stranger's signature under a known key id",
      await new SignJWT(claims())
        .setProtectedHeader({ alg: 'RS256', kid })
        .sign(stranger.privateKey),
      'not_accepted',
    ],
    ['a changed body', `${head}.${body.slice(0, -2)}AA.${signature}`, 'not_accepted'],
    ['no token at all', 'x', 'malformed'],
    ['empty', '', 'malformed'],
    ['too long', await sign({ ...claims(), pad: 'x'.repeat(TOKEN_LENGTH_MAX) }), 'malformed'],
  ];
  for (const [name, token, reason] of rows) {
    t.match(await verifier.verify(token), { ok: false, reason, detail: /\w/ }, name);
  }
  const tolerated = await sign({ ...claims(), exp: nowS() - 4 });
  t.match(await verifier.verify(tolerated), { ok: true }, 'clocks may differ by a few seconds');
});

t.test('tokens that are made to mislead', async (t) => {
  const { verifier, claims, sign, nowS, pair, kid } = await setUp(t);
  const jwk = await exportJWK(pair.publicKey);
  const signedAs = (alg: string) =>
    importJWK({ ...privateJwk, alg }, alg).then((key) =>
      new SignJWT(claims()).setProtectedHeader({ alg, kid }).sign(key),
    );
  const privateJwk = await exportJWK(pair.privateKey);
  const good = await sign(claims());
  const [head, body, signature] = good.split('.') as [string, string, string];
  const withHeader = (header: object) =>
    `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${body}.${signature}`;
  const idToken = { ...claims(), aud: 'a-client-of-the-issuer', nonce: 'x', email: 'a@b.test' };
  const rows: [string, string, string][] = [
    ['an ID token', await sign(idToken, { typ: 'JWT' }), 'not_accepted'],
    ['audiences without ours', await sign({ ...claims(), aud: ['a', 'b'] }), 'not_accepted'],
    ['an empty list of audiences', await sign({ ...claims(), aud: [] }), 'not_accepted'],
    ['a list in the list', await sign({ ...claims(), aud: [[audience]] }), 'not_accepted'],
    ['an object of audiences', await sign({ ...claims(), aud: { 0: audience } }), 'not_accepted'],
    ['audiences in one text', await sign({ ...claims(), aud: `${audience} x` }), 'not_accepted'],
    ['audience in capitals', await sign({ ...claims(), aud: 'MILEPOST' }), 'not_accepted'],
    ['a list of issuers', await sign({ ...claims(), iss: [issuerName] }), 'not_accepted'],
    ['issuer with a space', await sign({ ...claims(), iss: `${issuerName} ` }), 'not_accepted'],
    ['a subject that is no text', await sign({ ...claims(), sub: 7 }), 'not_accepted'],
    ['a list of subjects', await sign({ ...claims(), sub: ['auth0|1'] }), 'not_accepted'],
    [
      'an expiry that is no number',
      await sign({ ...claims(), exp: '99999999999' }),
      'not_accepted',
    ],
    ['a beginning that is no number', await sign({ ...claims(), nbf: 'now' }), 'not_accepted'],
    [
      'valid from beyond the tolerance',
      await sign({ ...claims(), nbf: nowS() + 6 }),
      'not_accepted',
    ],
    ['certificate by URL', await sign(claims(), { x5u: 'http://127.0.0.1/x' }), 'malformed'],
    ['a key of its own', await sign(claims(), { jwk }), 'malformed'],
    ['certificates of its own', await sign(claims(), { x5c: ['MIIB'] }), 'malformed'],
    ['PS256 by the same key', await signedAs('PS256'), 'not_accepted'],
    ['RS512 by the same key', await signedAs('RS512'), 'not_accepted'],
    ['alg in other letters', withHeader({ alg: 'rs256', kid }), 'not_accepted'],
    ['alg None', withHeader({ alg: 'None', kid }), 'not_accepted'],
    ['alg in a list', withHeader({ alg: ['RS256'], kid }), 'malformed'],
    ['a key id that is no text', withHeader({ alg: 'RS256', kid: 1 }), 'malformed'],
    [
      'an unknown critical header',
      withHeader({ alg: 'RS256', kid, crit: ['x'], x: 1 }),
      'not_accepted',
    ],
    ['a key id like a path', await sign(claims(), { kid: '../../../etc/passwd' }), 'not_accepted'],
    ['a key id like a member', await sign(claims(), { kid: '__proto__' }), 'not_accepted'],
    ['a huge key id', await sign(claims(), { kid: 'k'.repeat(5_000) }), 'not_accepted'],
    ['no signature', `${head}.${body}.`, 'not_accepted'],
    ['a part too many', `${good}.x`, 'malformed'],
    ['encrypted', `${head}.a.b.c.d`, 'malformed'],
    [
      'a list for a body',
      `${head}.${Buffer.from('[]').toString('base64url')}.${signature}`,
      'not_accepted',
    ],
  ];
  for (const [name, token, reason] of rows) {
    t.match(await verifier.verify(token), { ok: false, reason, detail: /\w/ }, name);
  }
  const both = await sign({ ...claims(), aud: ['https://issuer.test/userinfo', audience] });
  t.match(await verifier.verify(both), { ok: true }, 'ours among several audiences');
  const soon = await sign({ ...claims(), nbf: nowS() + 4 });
  t.match(await verifier.verify(soon), { ok: true }, 'clocks may differ by a few seconds');
});

t.test('keys in the set that are not for this', async (t) => {
  const { verifier, claims, sign, served, issuer, pair, kid } = await setUp(t);
  const jwk = { ...(await exportJWK(pair.publicKey)), kid };
  const secret = Buffer.from('a secret of the issuer that it should not show').toString(
    'base64url',
  );
  served.body = JSON.stringify({
    keys: [
      ...issuer.jwks.keys,
      { ...jwk, use: 'enc', alg: 'RSA-OAEP' },
      { kty: 'oct', k: secret, kid: 'shared', alg: 'HS256' },
    ],
  });
  t.match(await verifier.verify(await sign(claims())), { ok: false, reason: 'not_accepted' });
  const shared = await new SignJWT(claims())
    .setProtectedHeader({ alg: 'HS256', kid: 'shared' })
    .sign(Buffer.from(secret, 'base64url'));
  t.match(await verifier.verify(shared), { ok: false, reason: 'not_accepted' });
});

t.test('a token that is known to be good is so no longer than it would be verified', async (t) => {
  const { verifier, served, sign, claims, clock, asked, issuer } = await setUp(t);
  await verifier.warm();
  const both = served.body;
  const { exp } = claims();
  const token = await sign({ ...claims(), nbf: Math.floor(clock.ms / 1000) });
  for (let i = 0; i < 3; i++) t.match(await verifier.verify(token), { ok: true });
  t.match(await verifier.verify(`${token.slice(0, -6)}AAAAAA`), { reason: 'not_accepted' });

  clock.ms -= 60_000;
  t.match(await verifier.verify(token), { reason: 'not_accepted' }, 'the clock was turned back');
  clock.ms += 60_000;
  t.match(await verifier.verify(token), { ok: true });

  clock.ms = (exp + 4) * 1000 + 999;
  t.match(await verifier.verify(token), { ok: true }, 'within the tolerance');
  clock.ms += 1;
  t.match(await verifier.verify(token), { ok: false, reason: 'expired' });

  const lasting = await sign({ ...claims(), exp: exp + 1e6 });
  t.match(await verifier.verify(lasting), { ok: true });
  served.body = JSON.stringify(issuer.jwks);
  clock.ms += KEY_SET_LIMITS.freshMsMax + 1;
  t.match(await verifier.verify(lasting), { ok: true }, 'the keys are fetched meanwhile');
  await asked(2);
  await verifier.warm();
  t.match(await verifier.verify(lasting), { reason: 'not_accepted' }, 'its key is withdrawn');

  served.body = both;
  clock.ms += KEY_SET_LIMITS.cooldownMsMin;
  t.match(await verifier.verify(lasting), { ok: true });
  served.status = 500;
  clock.ms += KEY_SET_LIMITS.staleMsMax + 1;
  t.match(await verifier.verify(lasting), { reason: 'unavailable' }, 'without usable keys');
});

t.test('a flood of unknown key ids asks the issuer once per cooldown', async (t) => {
  const { verifier, sign, claims, count, clock } = await setUp(t);
  t.equal(await verifier.warm(), true);
  t.equal(count.fetches, 1);
  const flood = async (n: number) => {
    for (let i = 0; i < n; i++) {
      const token = await sign(claims(), { kid: `unknown ${clock.ms} ${i}` });
      t.match(await verifier.verify(token), { ok: false, reason: 'not_accepted' });
    }
  };
  await flood(5);
  t.equal(count.fetches, 1, 'the keys were fetched just before');
  clock.ms += KEY_SET_LIMITS.cooldownMsMin;
  await flood(5);
  t.equal(count.fetches, 2);
});

t.test('a flood that comes at once asks once, and holds up nobody', async (t) => {
  const { verifier, sign, claims, count, clock, served } = await setUp(t);
  const kids = Array.from(
    { length: 50 },
    (_, i) => `${'../'.repeat(i % 7)}${'k'.repeat(i * 60)}${i}`,
  );
  const sent = () => Promise.all(kids.map((kid) => sign(claims(), { kid })));
  const flood = (tokens: string[]) => Promise.all(tokens.map((token) => verifier.verify(token)));
  const cold = await flood(await sent());
  t.ok(cold.every((answer) => !answer.ok && answer.reason === 'not_accepted'));
  t.equal(count.fetches, 1, 'also where no keys were held yet');
  clock.ms += KEY_SET_LIMITS.cooldownMsMin;
  let answer: () => void;
  served.held = new Promise((resolve) => (answer = resolve));
  const [tokens, good] = await Promise.all([sent(), sign(claims())]);
  let isOver = false;
  const unknown = flood(tokens).then(() => (isOver = true));
  t.match(await verifier.verify(good), { ok: true });
  t.equal(isOver, false, 'a known key does not wait for the issuer');
  answer!();
  await unknown;
  t.equal(count.fetches, 2);
  clock.ms += KEY_SET_LIMITS.cooldownMsMin;
  served.status = 500;
  await flood(await sent());
  await flood(await sent());
  t.equal(count.fetches, 3, 'a failure counts as well');
  t.match(await verifier.verify(await sign(claims())), { ok: true }, 'and takes no key away');
});

t.test('keys are rotated', async (t) => {
  const { verifier, sign, claims, count, asked, clock, served, issuer } = await setUp(t);
  const both = served.body;
  served.body = JSON.stringify(issuer.jwks);
  const old = await issuer.issue('auth0|7');
  t.match(await verifier.verify(old.access_token), { ok: true });
  served.body = both;
  clock.ms += KEY_SET_LIMITS.cooldownMsMin;
  const tokens = await Promise.all(Array.from({ length: 5 }, () => sign(claims())));
  const answers = await Promise.all(tokens.map((token) => verifier.verify(token)));
  t.ok(
    answers.every(({ ok }) => ok),
    'the new key is fetched when it is first seen',
  );
  t.equal(count.fetches, 2);
  t.match(await verifier.verify(old.access_token), { ok: true }, 'the old one holds beside it');
  served.body = JSON.stringify({ keys: (JSON.parse(both) as { keys: unknown[] }).keys.slice(-1) });
  clock.ms += KEY_SET_LIMITS.freshMsMax + 1;
  const { access_token: revoked } = await issuer.issue('auth0|7');
  await verifier.verify(revoked);
  await asked(3);
  await verifier.warm();
  t.match(await verifier.verify(revoked), { ok: false }, 'what the issuer has withdrawn is not');
});

t.test('a new key is found when the cooldown is over', async (t) => {
  const { verifier, served, sign, claims, clock, issuer } = await setUp(t);
  const full = served.body;
  served.body = JSON.stringify(issuer.jwks);
  t.match(await verifier.verify(await sign(claims())), { ok: false, reason: 'not_accepted' });
  served.body = full;
  clock.ms += KEY_SET_LIMITS.cooldownMsMin;
  t.match(await verifier.verify(await sign(claims())), { ok: true });
});

t.test('an outage of the issuer', async (t) => {
  const { verifier, served, sign, claims, clock, count } = await setUp(t);
  served.status = 500;
  t.match(await verifier.verify(await sign(claims())), { ok: false, reason: 'unavailable' });
  t.match(await verifier.verify(await sign(claims())), { ok: false, reason: 'unavailable' });
  t.equal(count.fetches, 1, 'a failed fetch is not repeated at once');
  t.equal(count.errors, 1);
  clock.ms += KEY_SET_LIMITS.retryMsMin;
  served.status = 200;
  t.match(await verifier.verify(await sign(claims())), { ok: true }, 'the issuer is back');

  served.status = 503;
  clock.ms += KEY_SET_LIMITS.freshMsMax + 1;
  t.match(await verifier.verify(await sign(claims())), { ok: true }, 'stale keys are kept');
  t.equal(await verifier.warm(), true, 'and count as usable');
  clock.ms += KEY_SET_LIMITS.staleMsMax;
  t.match(
    await verifier.verify(await sign(claims())),
    { ok: false, reason: 'unavailable' },
    'but not for ever',
  );
  served.status = 200;
  clock.ms += KEY_SET_LIMITS.retryMsMin;
  t.match(await verifier.verify(await sign(claims())), { ok: true });
});

t.test('answers of the issuer that are no key set', async (t) => {
  const { verifier, served, sign, claims, clock, count } = await setUp(t);
  for (const body of ['', '[]', '{"keys": 5}', `"${'x'.repeat(KEY_SET_LIMITS.answerBytesMax)}"`]) {
    served.body = body;
    clock.ms += KEY_SET_LIMITS.retryMsMin;
    t.match(await verifier.verify(await sign(claims())), { ok: false, reason: 'unavailable' });
  }
  t.equal(count.errors, 4);
});

t.test('the local issuer keeps its key and checks passwords', async (t) => {
  const path = `${t.testdir()}/keys/issuer.pem`;
  const passwordHash = await hashPassword('correct horse');
  const options = {
    issuer: issuerName,
    audience,
    storage: fileKeyStorage(path),
    findUser: (email: string) =>
      email === 'ann@example.test' ? { subject: 'demo|ann', passwordHash } : null,
  };
  const first = await createLocalIssuer(options);
  const second = await createLocalIssuer(options);
  t.same(second.jwks, first.jwks, 'a second start uses the same key');
  t.same(
    Object.keys(first.jwks.keys[0]!).sort(),
    ['alg', 'e', 'kid', 'kty', 'n', 'use'],
    'public only',
  );
  t.ok(createPublicKey({ key: first.jwks.keys[0] as never, format: 'jwk' }));
  t.ok(await importJWK(first.jwks.keys[0]!, 'RS256'));
  t.ok(await first.signIn('Ann@Example.test', 'correct horse'));
  t.equal(await first.signIn('ann@example.test', 'wrong'), null);
  t.equal(await first.signIn('bob@example.test', 'correct horse'), null);
});

t.test('stored passwords in any other form match nothing', async (t) => {
  const stored = await hashPassword('secret');
  t.equal(await verifyPassword('secret', stored), true);
  t.equal(await verifyPassword('secret ', stored), false);
  t.equal(await verifyPassword('x'.repeat(201), await hashPassword('x'.repeat(201))), false);
  for (const bad of ['', 'secret', stored.slice(1), `${stored}x`]) {
    t.equal(await verifyPassword('secret', bad), false);
  }
});
