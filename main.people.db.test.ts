/**
 * People come and go while the program runs: invited, approved, made at the identity provider, let in, shut out; what
 * changes holds for the next request and for sockets that are open. The provider is told also after a kill.
 */
import t from 'tap';
import { CLIENT, startFakeAuth0 } from './api/identity/test-auth0.ts';
import { openIssuer } from './bench/proof/issuer.ts';
import { LiveWatcher } from './bench/proof/live-watcher.ts';
import { withPatience } from './bench/proof/patience.ts';
import { QUIET_SETTINGS, startProgram } from './bench/proof/program.ts';
import { seedProofTenant } from './bench/proof/tenants.ts';
import { watchChanges } from './db/test-changes.ts';
import { connectTestClient, createTestDatabase, openOwnerPool } from './db/test-database.ts';

type Row = Record<string, unknown>;

const { ownerUrl } = await createTestDatabase(t);
const owner = openOwnerPool(t, ownerUrl, 1);
const changes = await watchChanges(await connectTestClient(t, ownerUrl), [
  'user',
  'user_role',
  'identity_task',
]);
const fleet = await seedProofTenant(ownerUrl, 'fleet', 1);
const issuer = await openIssuer(t);
const auth0 = await startFakeAuth0(t);
auth0.addUser({ email: 'somebody@fleet.test', user_id: fleet.subject, email_verified: true });
const settings = {
  ...QUIET_SETTINGS,
  DATABASE_URL: ownerUrl,
  ...issuer.settings,
  AUTH0_MANAGEMENT_URL: auth0.url,
  AUTH0_MANAGEMENT_CLIENT_ID: CLIENT.clientId,
  AUTH0_MANAGEMENT_CLIENT_SECRET: CLIENT.clientSecret,
};
const start = () => startProgram(t, settings);
let program = await start();
const output: string[] = [];

async function send(
  subject: string,
  method: string,
  path: string,
  body?: object,
): Promise<{ status: number; body: Row }> {
  const answer = await fetch(program.urls.http + path, {
    method,
    headers: {
      authorization: `Bearer ${await issuer.tokenOf(subject)}`,
      'if-match': '*',
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Row };
}

const asAdmin = (method: string, path: string, body?: object) =>
  send(fleet.subject, method, path, body);
const me = async (subject: string) => (await send(subject, 'GET', '/v1/me')).status;

/** Resolves when it holds, which a change of people, roles or tasks tells; the test fails when patience is at its end. */
async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const told = changes.until(async () => holds());
  await withPatience(told, () => `until ${what}\n${program.output()}`);
}

/** The same of what the program answers, which nothing but another request tells. */
async function untilAnswered(what: string, holds: () => Promise<boolean>): Promise<void> {
  let isOver = false;
  const asking = async (): Promise<void> => {
    while (!isOver && !(await holds()));
  };
  await withPatience(asking(), () => `until ${what}\n${program.output()}`).finally(
    () => (isOver = true),
  );
}

/** Lets the provider say nothing to the next request for a role; resolves when it has come. */
function silentRole(): Promise<void> {
  const asked = new Promise<void>((resolve) => {
    auth0.next('createRole', { silence: resolve });
  });
  return withPatience(asked, () => `until the provider is asked\n${program.output()}`);
}

async function makeRole(name: string, rights: object): Promise<number> {
  const { body } = await asAdmin('POST', '/v1/user-roles', { name, role_permission: rights });
  return body['user_role_id'] as number;
}

const WATCHING = { equipment: ['read'], telematics: ['read'], activity_feed: ['read'] };
const roleId = await makeRole('Watcher', WATCHING);
let userId = 0;
let subject = '';

t.test('somebody who was invited comes in once they are approved', async (t) => {
  const invited = await asAdmin('POST', '/v1/users', {
    email: 'ann@fleet.test',
    user_role_id: roleId,
    first_name: 'Ann',
  });
  t.equal(invited.status, 201);
  userId = invited.body['user_id'] as number;
  const approved = await asAdmin('POST', `/v1/users/${userId}/approve`, {});
  t.match(approved.body, { status: 'active', auth_0_reference_id: null });
  await until('the account is made', async () => {
    const { body } = await asAdmin('GET', `/v1/users/${userId}`);
    subject = (body['auth_0_reference_id'] as string | null) ?? '';
    return subject !== '';
  });
  t.match(auth0.users.get(subject), { email: 'ann@fleet.test', name: 'Ann' });
  await untilAnswered('the token is good', async () => (await me(subject)) === 200);
  await until('it is noted that they were here', async () => {
    const { rows } = await owner.query(
      'select from "user" where user_id = $1 and last_sign_in_at is not null',
      [userId],
    );
    return rows.length === 1;
  });
});

t.test('who is shut out is out, on open sockets too', async (t) => {
  const watcher = new LiveWatcher();
  t.teardown(() => watcher.close());
  const watch = async () => watcher.connect(program.urls.live, await issuer.tokenOf(subject));
  await watch();
  t.equal((await asAdmin('POST', `/v1/users/${userId}/disable`, {})).status, 200);
  await withPatience(watcher.whenClosed(), () => 'for the socket to be closed');
  await untilAnswered('the token is refused', async () => (await me(subject)) === 403);
  await t.rejects(watch(), { message: /did not let us in/ });
  await until('the account is blocked', () => auth0.users.get(subject)!.blocked === true);
  t.equal((await asAdmin('POST', `/v1/users/${userId}/enable`, {})).status, 200);
  await untilAnswered('the token is good again', async () => (await me(subject)) === 200);
  await until('the account is open', () => auth0.users.get(subject)!.blocked === false);
});

t.test('rights that shrink and accounts that are given away take effect at once', async (t) => {
  const watcher = new LiveWatcher();
  t.teardown(() => watcher.close());
  const watch = async () => watcher.connect(program.urls.live, await issuer.tokenOf(subject));
  const equipment = async () => (await send(subject, 'GET', '/v1/equipment')).status;
  await watch();
  t.equal(await equipment(), 200);
  await asAdmin('PATCH', `/v1/user-roles/${roleId}`, { role_permission: { equipment: [] } });
  await withPatience(watcher.whenClosed(), () => 'for the socket to be closed');
  await untilAnswered('the right is gone', async () => (await equipment()) === 403);
  await asAdmin('PATCH', `/v1/user-roles/${roleId}`, {
    role_permission: { equipment: ['read'] },
  });
  await untilAnswered('the right is back', async () => (await equipment()) === 200);

  const account = await asAdmin('POST', '/v1/accounts', {
    account_name: 'North',
    account_number: 'N-1',
    account_type: 'REGIONAL',
  });
  const units = async () => {
    const { body } = await send(subject, 'GET', '/v1/equipment');
    return (body['data'] as Row[]).map((row) => row['account_id']);
  };
  const path = `/v1/equipment/${fleet.equipmentIds[0]}`;
  t.equal((await asAdmin('PATCH', path, { account_id: account.body['account_id'] })).status, 200);
  t.equal((await units()).length, 1);
  const other = await asAdmin('POST', '/v1/accounts', {
    account_name: 'South',
    account_number: 'S-1',
    account_type: 'REGIONAL',
  });
  await asAdmin('PATCH', `/v1/users/${userId}`, {
    assigned_account_ids: [other.body['account_id']],
  });
  await untilAnswered('the unit is out of sight', async () => (await units()).length === 0);
});

t.test('a kill in the middle loses nothing and makes nothing twice', async (t) => {
  const asked = silentRole();
  const lostId = await makeRole('Planner', {});
  await asked;
  program.kill();
  await program.exited;
  output.push(program.output());
  program = await start();
  // The one that was killed is taken for lost only after a while.
  await owner.query(
    `update identity_task set beat_at = now() - interval '1 hour' where status = 'running'`,
  );
  const named = () => [...auth0.roles.values()].filter(({ name }) => name.startsWith('Planner '));
  await until('the role is made', () => named().length > 0);
  await until('it is known here', async () => {
    const { body } = await asAdmin('GET', `/v1/user-roles/${lostId}`);
    return body['auth0_role_id'] === named()[0]!.id;
  });
  t.equal(named().length, 1);
  const { body } = await asAdmin('GET', '/v1/identity-tasks?filter[status][eq]=failed');
  t.same(body['data'], []);
});

t.test('it stops in the middle of a call, and its log holds no secret', async (t) => {
  const asked = silentRole();
  await makeRole('Loader', {});
  await asked;
  program.signal('SIGTERM');
  const { code } = await program.exited;
  t.equal(code, 0);
  output.push(program.output());
  const { rows } = await owner.query<Row>(
    `select status, try_count from identity_task where status <> 'done'`,
  );
  t.same(rows, [{ status: 'queued', try_count: 0 }]);
  t.ok(output.every((text) => text.length > 0 && !text.includes(CLIENT.clientSecret)));
  t.notMatch(output.join(''), /token-\d+-/);
});
