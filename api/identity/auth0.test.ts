/** The provider over a real socket, against the recorded contract: every interaction, and what may go wrong with it. */
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { AUTH0_LIMITS, type Auth0Limits } from './auth0-client.ts';
import { createAuth0Provider } from './auth0.ts';
import { IdentityError, ownerOf, roleTagOf } from './provider.ts';
import { CLIENT, CONNECTION, startFakeAuth0 } from './test-auth0.ts';

const { signal } = new AbortController();
const tag = roleTagOf(1, 7);
const role = { name: `Dispatcher ${tag}`, description: 'Units on the road', tag };

async function open(t: Test, limits: Partial<Auth0Limits> = {}) {
  const clock = { ms: Date.now() };
  const auth0 = await startFakeAuth0(t, () => clock.ms);
  return { auth0, clock, provider: providerOf(auth0.url, clock, limits) };
}

function providerOf(url: string, clock: { ms: number }, limits: Partial<Auth0Limits> = {}) {
  return createAuth0Provider({
    url,
    ...CLIENT,
    connection: CONNECTION,
    now: () => clock.ms,
    limits: { pauseMsMin: 1, ...limits },
  });
}

/** What a call rejects with; an answer is a failure of the test. */
async function failure(call: Promise<unknown>): Promise<IdentityError> {
  const answer = await call.then(
    () => null,
    (error: unknown) => error,
  );
  if (answer instanceof IdentityError) return answer;
  throw new Error('it was not refused as it should be', { cause: answer });
}

t.test('a role is made, found, renamed and removed', async (t) => {
  const { auth0, provider } = await open(t);
  t.equal(await provider.findRole(tag, signal), null);
  const { roleId } = await provider.createRole(role, signal);
  t.same(auth0.roles.get(roleId), { id: roleId, name: role.name, description: role.description });
  t.same(await provider.findRole(tag, signal), { roleId });
  t.same(await provider.createRole(role, signal), { roleId }, 'a second time it is the same');
  const renamed = { ...role, name: `Planner ${tag}`, description: '' };
  t.same(await provider.createRole(renamed, signal), { roleId }, 'under another name as well');
  t.match(auth0.roles.get(roleId), { name: renamed.name, description: renamed.name });
  t.equal(await provider.updateRole(roleId, role, signal), true);
  t.match(auth0.roles.get(roleId), { name: role.name, description: role.description });
  await provider.deleteRole(roleId, signal);
  await provider.deleteRole(roleId, signal);
  t.equal(auth0.roles.size, 0);
  t.equal(await provider.updateRole(roleId, role, signal), false, 'it is gone');
  t.equal(auth0.tokens, 1, 'one token served for all of it');
});

t.test('roles of other tenants and programs are left alone', async (t) => {
  const { auth0, provider } = await open(t);
  const { roleId } = await provider.createRole(role, signal);
  const other = await provider.createRole(
    { ...role, name: `Dispatcher ${roleTagOf(11, 7)}`, tag: roleTagOf(11, 7) },
    signal,
  );
  t.not(other.roleId, roleId);
  auth0.roles.set('rol_shop', { id: 'rol_shop', name: 'Shop assistant', description: 'Sells' });
  const user = auth0.addUser({
    email: 'ann@example.test',
    roles: new Set(['rol_shop', other.roleId]),
  });
  await provider.setUserRoles(user.user_id, [roleId], signal);
  t.same([...user.roles].sort(), ['rol_shop', roleId].sort());
  auth0.log.length = 0;
  await provider.setUserRoles(user.user_id, [roleId], signal);
  t.same(auth0.log, ['listUserRoles'], 'what is right already is not written');
  await provider.setUserRoles(user.user_id, [], signal);
  t.same([...user.roles], ['rol_shop']);
});

t.test('more roles than one page', async (t) => {
  const { auth0, provider } = await open(t);
  const user = auth0.addUser({ email: 'ann@example.test' });
  for (let i = 0; i < 205; i++) {
    const id = `rol_${i}`;
    auth0.roles.set(id, { id, name: `Role ${roleTagOf(1, i)}`, description: 'x' });
    user.roles.add(id);
  }
  await provider.setUserRoles(user.user_id, ['rol_204'], signal);
  t.same([...user.roles], ['rol_204']);
});

t.test('accounts', async (t) => {
  const { auth0, provider } = await open(t);
  const email = 'ann@example.test';
  t.equal(await provider.findUserByEmail(email, signal), null);
  auth0.addUser({
    email,
    connection: 'google-oauth2',
    user_id: 'google-oauth2|1',
    email_verified: true,
  });
  t.equal(await provider.findUserByEmail(email, signal), null, 'of another connection');
  const owner = ownerOf(1, 5);
  const { subject } = await provider.createUser({ email, name: 'Ann Lee', owner }, signal);
  const found = { subject, isVerified: false, isBlocked: false, owner };
  t.same(await provider.findUserByEmail(email, signal), found);
  t.same(await provider.findUserBySubject(subject, signal), found);
  await provider.blockUser(subject, true, signal);
  t.match(await provider.findUserBySubject(subject, signal), { isBlocked: true });
  await provider.blockUser(subject, false, signal);
  t.match(await provider.findUserBySubject(subject, signal), { isBlocked: false });
  t.equal(await provider.findUserBySubject('auth0|nobody/../roles', signal), null);
  const { password } = auth0.users.get(subject)!;
  const second = await provider.createUser(
    { email: 'ben@example.test', name: 'Ben', owner },
    signal,
  );
  t.ok(password.length > 40);
  t.not(auth0.users.get(second.subject)!.password, password, 'nobody knows the password');
});

t.test('what is there already', async (t) => {
  const { auth0, provider } = await open(t);
  auth0.next('createRole', { status: 409 });
  t.match(await failure(provider.createRole(role, signal)), { fault: 'permanent', status: 409 });
  auth0.next('createRole', { drop: 'after' });
  t.match(await failure(provider.createRole(role, signal)), { fault: 'passing', status: null });
  t.equal(auth0.roles.size, 1, 'it was made, and the answer was lost');
  const { roleId } = await provider.createRole(role, signal);
  t.equal(auth0.roles.has(roleId) && auth0.roles.size, 1, 'it is found and not made again');

  auth0.addUser({ email: 'ann@example.test' });
  const again = { email: 'ann@example.test', name: 'Ann', owner: ownerOf(1, 5) };
  t.match(await failure(provider.createUser(again, signal)), { fault: 'passing', status: 409 });
});

t.test('tokens are kept, renewed in time, and renewed once when they are refused', async (t) => {
  const { auth0, clock, provider } = await open(t);
  auth0.tokenLifetimeS = 600;
  await Promise.all([provider.findRole(tag, signal), provider.findRole(tag, signal)]);
  t.equal(auth0.tokens, 1, 'two at once share one');
  clock.ms += 600_000 - AUTH0_LIMITS.tokenMarginMs - 1;
  await provider.findRole(tag, signal);
  t.equal(auth0.tokens, 1);
  clock.ms += 2;
  await provider.findRole(tag, signal);
  t.equal(auth0.tokens, 2, 'shortly before it expires');
  auth0.forgetTokens();
  await provider.findRole(tag, signal);
  t.equal(auth0.tokens, 3, 'Auth0 refused it early');
  auth0.next('listRoles', { status: 401 });
  auth0.next('listRoles', { status: 401 });
  t.match(await failure(provider.findRole(tag, signal)), { fault: 'passing', status: 401 });
  t.equal(auth0.tokens, 4, 'and not for ever');
});

t.test('wrong credentials and missing scopes may be put right', async (t) => {
  const { auth0, clock, provider } = await open(t);
  auth0.next('listRoles', { status: 403 });
  const scope = await failure(provider.findRole(tag, signal));
  t.match(scope, { fault: 'passing', status: 403, message: /insufficient_scope/ });
  t.equal(auth0.log.filter((name) => name === 'listRoles').length, 1, 'it is not tried at once');
  const wrong = createAuth0Provider({
    url: auth0.url,
    clientId: CLIENT.clientId,
    clientSecret: 'wrong secret',
    connection: CONNECTION,
    now: () => clock.ms,
  });
  const refused = await failure(wrong.findRole(tag, signal));
  t.match(refused, { fault: 'passing', status: 401, message: /access_denied/ });
  t.notMatch(`${refused.message}${refused.stack}`, /wrong secret/);
});

t.test('limits are honoured', async (t) => {
  const { auth0, clock, provider } = await open(t);
  const reset = (inMs: number) => ({
    status: 429,
    headers: { 'x-ratelimit-reset': String((clock.ms + inMs) / 1_000) },
  });
  auth0.next('listRoles', reset(300));
  const startMs = performance.now();
  t.equal(await provider.findRole(tag, signal), null);
  t.ok(performance.now() - startMs >= 290, 'it waited until the reset');
  auth0.next('createRole', { status: 429, headers: { 'retry-after': '0' } });
  t.ok(
    await provider.createRole(role, signal),
    'also what must not be done twice: it was not done',
  );
  auth0.next('listRoles', reset(60_000));
  const later = await failure(provider.findRole(tag, signal));
  t.match(later, { fault: 'passing', status: 429 });
  t.ok(Math.abs(later.retryAfterMs - 60_000) < 2_000, 'a long wait is left to the caller');
  auth0.next('listRoles', { status: 429, headers: { 'x-ratelimit-reset': '99999999999999' } });
  t.equal((await failure(provider.findRole(tag, signal))).retryAfterMs, 3_600_000);
  auth0.next('token', { status: 429 });
  auth0.forgetTokens();
  clock.ms += 90_000_000;
  t.ok(await provider.findRole(tag, signal), 'the request for a token as well');
  for (let i = 0; i < AUTH0_LIMITS.triesMax; i++) auth0.next('listRoles', { status: 429 });
  t.match(await failure(provider.findRole(tag, signal)), { status: 429 }, 'tries are bounded');
});

t.test('trouble on the way', async (t) => {
  const { auth0, provider } = await open(t);
  auth0.next('listRoles', { drop: 'before' });
  auth0.next('listRoles', { status: 502 });
  t.equal(await provider.findRole(tag, signal), null, 'reading is tried again');
  auth0.next('createUser', { drop: 'after' });
  const email = 'ann@example.test';
  const user = { email, name: 'Ann', owner: ownerOf(1, 5) };
  t.match(await failure(provider.createUser(user, signal)), { fault: 'passing', status: null });
  t.equal(auth0.users.size, 1);
  t.match(await provider.findUserByEmail(email, signal), { owner: user.owner }, 'and is found');
  auth0.setAway(true);
  t.match(await failure(provider.findRole(tag, signal)), { fault: 'passing', message: /reached/ });
  auth0.setAway(false);
  auth0.next('updateRole', { status: 400 });
  const bad = await failure(provider.updateRole('rol_1', role, signal));
  t.match(bad, { fault: 'permanent', status: 400, message: /Payload validation error/ });
});

t.test('answers that are not those of Auth0', async (t) => {
  const { auth0, provider } = await open(t, {
    answerBytesMax: 2_000,
    requestMsMax: 200,
    triesMax: 1,
  });
  const rows: [string, { status: number; headers?: Record<string, string>; body: string }][] = [
    ['no JSON', { status: 200, body: 'hello' }],
    ['too large', { status: 200, body: `"${'x'.repeat(3_000)}"` }],
    ['a role without an id', { status: 200, body: '{"roles":[{"name":"x"}]}' }],
    ['a redirect', { status: 302, headers: { location: 'https://elsewhere.test/' }, body: '' }],
  ];
  for (const [name, accident] of rows) {
    auth0.next('listRoles', accident);
    t.match(await failure(provider.findRole(tag, signal)), { fault: 'passing' }, name);
  }
  auth0.next('listRoles', { silence: () => undefined });
  t.match(await failure(provider.findRole(tag, signal)), { message: /within 200 ms/ });
});

t.test('the token goes to nobody else', async (t) => {
  const seen: string[] = [];
  const elsewhere = createServer((request, response) => {
    seen.push(String(request.headers.authorization));
    response.end('{}');
  }).listen(0, '127.0.0.1');
  await once(elsewhere, 'listening');
  t.teardown(() => elsewhere.close());
  const { auth0, provider } = await open(t, { triesMax: 1 });
  const location = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/`;
  auth0.next('listRoles', { status: 307, headers: { location }, body: '' });
  await failure(provider.findRole(tag, signal));
  t.same(seen, []);
});

t.test('a call ends with its signal', async (t) => {
  const { auth0, provider } = await open(t);
  await provider.findRole(tag, signal);
  const work = new AbortController();
  auth0.next('listRoles', { silence: () => work.abort(new Error('stop')) });
  await t.rejects(provider.findRole(tag, work.signal), { message: 'stop' });
});

t.test('the fake refuses what is in no record', async (t) => {
  const auth0 = await startFakeAuth0(t);
  const rows: [string, RequestInit][] = [
    ['api/v2/clients', {}],
    ['api/v2/roles?name_filter=x', {}],
    ['api/v2/users-by-email?email=A@x.y', { headers: { authorization: 'Bearer x' } }],
    ['api/v2/users/1', {}],
    ['api/v2/roles', { method: 'POST', body: '{"name":"x","description":"y"}' }],
    [
      'api/v2/roles',
      { method: 'POST', body: '{"name":"x"}', headers: { 'content-type': 'application/json' } },
    ],
  ];
  for (const [path, init] of rows) {
    t.equal((await fetch(auth0.url + path, init)).status, 418, path);
  }
  t.equal(auth0.refused.splice(0).length, rows.length);
});
