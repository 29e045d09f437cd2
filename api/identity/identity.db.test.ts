/** From a change of a role or a user to the identity provider and back: the queue, the runner, and what people see of it. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import t, { type Test } from 'tap';
import { watchChanges, type TestChanges } from '../../db/test-changes.ts';
import { startTestPortal, type TestPortal, type Who } from '../test-portal.ts';
import { createAuth0Provider } from './auth0.ts';
import { roleTagOf, type IdentityProvider } from './provider.ts';
import { createIdentityRunner, type IdentityLimits } from './runner.ts';
import { performIdentityTask } from './sync.ts';
import { settleIdentityTask, switchIdentitySync, takeIdentityTask } from './task-rows.ts';
import { CLIENT, CONNECTION, startFakeAuth0, type FakeAuth0 } from './test-auth0.ts';

type Row = Record<string, unknown>;
type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

interface Answer {
  readonly status: number;
  readonly body: Row;
  readonly text: string;
}

const QUICK: Partial<IdentityLimits> = {
  pollMs: 20,
  retryMsMin: 20,
  retryMsMax: 40,
  beatMs: 50,
  lostMsMax: 400,
};

interface House {
  readonly portal: TestPortal;
  readonly owner: pg.Pool;
  readonly auth0: FakeAuth0;
  readonly provider: IdentityProvider;
  readonly told: string[];
  /** Of tasks, roles and users. */
  readonly changes: TestChanges;
  tasks(): Promise<Row[]>;
  /** Works until nothing waits any more. */
  settle(limits?: Partial<IdentityLimits>): Promise<void>;
  send(who: Who, method: Method, url: string, payload?: object): Promise<Answer>;
  role(name: string): Promise<Row>;
  /** Invites somebody into a role, and approves them. */
  person(email: string, roleId: unknown): Promise<number>;
}

async function open(t: Test): Promise<House> {
  const portal = await startTestPortal(t);
  const auth0 = await startFakeAuth0(t);
  const { owner, runnerPool } = portal;
  const listener = await owner.connect();
  t.teardown(() => listener.release(true));
  const changes = await watchChanges(listener, ['identity_task', 'user_role', 'user']);
  const limits = { pauseMsMin: 1, requestMsMax: 2_000, triesMax: 1 };
  const provider = createAuth0Provider({
    url: auth0.url,
    ...CLIENT,
    connection: CONNECTION,
    limits,
  });
  const told: string[] = [];
  const tasks = async () =>
    (await owner.query<Row>('select * from identity_task order by identity_task_id')).rows;
  const send: House['send'] = async (who, method, url, payload) => {
    const headers = { 'if-match': '*' };
    const answer = await portal.as(who, { method, url, headers, ...(payload && { payload }) });
    return { status: answer.status, body: answer.body as unknown as Row, text: answer.text };
  };
  return {
    portal,
    owner,
    auth0,
    provider,
    told,
    changes,
    tasks,
    send,
    async settle(more = {}) {
      const stop = new AbortController();
      const onError = (error: Error) => void told.push(error.message);
      const runner = createIdentityRunner({
        pool: runnerPool,
        provider,
        onError,
        limits: { ...QUICK, ...more },
      });
      const running = runner.run(stop.signal);
      const isBusy = (row: Row) => row['status'] === 'queued' || row['status'] === 'running';
      await changes.until(async () => !(await tasks()).some(isBusy));
      stop.abort();
      await running;
    },
    async role(name) {
      const { body, status, text } = await send('admin', 'POST', '/v1/user-roles', {
        name,
        description: `What a ${name} does`,
        role_permission: { equipment: ['read'] },
      });
      if (status !== 201) throw new Error(text);
      return body;
    },
    async person(email, roleId) {
      const payload = { email, user_role_id: roleId, first_name: 'Ann', last_name: 'Lee' };
      const { body, text } = await send('admin', 'POST', '/v1/users', payload);
      const approved = await send(
        'admin',
        'POST',
        `/v1/users/${body['user_id'] as number}/approve`,
        {},
      );
      if (approved.status !== 200) throw new Error(text + approved.text);
      return body['user_id'] as number;
    },
  };
}

/** A house whose provider has been told of all that the seed has made. */
async function openOn(t: Test): Promise<House> {
  const house = await open(t);
  const { owner, auth0 } = house;
  for (const name of ['admin', 'held', 'bare', 'foreign']) {
    auth0.addUser({ email: `${name}@seed.test`, user_id: `test|${name}`, email_verified: true });
  }
  await switchIdentitySync(house.portal.runnerPool, true);
  await house.settle();
  const { rows } = await owner.query<Row>(
    `select task_kind, status, last_error from identity_task where status <> 'done'`,
  );
  t.same(rows, []);
  return house;
}

async function userOf({ owner }: House, userId: number): Promise<Row> {
  const { rows } = await owner.query<Row>('select * from "user" where user_id = $1', [userId]);
  return rows[0]!;
}

t.test('without a provider no tasks are written, and none can be asked for', async (t) => {
  const house = await open(t);
  const role = await house.role('Dispatcher');
  await house.person('ann@acme.test', role['user_role_id']);
  t.same(await house.tasks(), []);
  const path = `/v1/user-roles/${role['user_role_id'] as number}/sync`;
  t.equal((await house.send('admin', 'POST', path, {})).status, 409);
  t.equal((await house.send('foreign', 'POST', path, {})).status, 404);
  t.equal((await house.send('bare', 'POST', path, {})).status, 403);

  await switchIdentitySync(house.portal.runnerPool, true);
  const kinds = (await house.tasks()).map((row) => row['task_kind']);
  t.equal(kinds.filter((kind) => kind === 'role_sync').length, 5, 'turned on, all roles are told');
  t.equal(kinds.filter((kind) => kind === 'user_sync').length, 5, 'and all who may sign in');
  await switchIdentitySync(house.portal.runnerPool, true);
  t.equal((await house.tasks()).length, 10, 'once');
  await switchIdentitySync(house.portal.runnerPool, false);
  t.same(await house.tasks(), [], 'turned off, nothing waits');
});

t.test('somebody is invited, approved, and comes in', async (t) => {
  const house = await openOn(t);
  const { portal, auth0 } = house;
  const role = await house.role('Dispatcher');
  const invited = await house.send('admin', 'POST', '/v1/users', {
    email: 'Ann@acme.test',
    user_role_id: role['user_role_id'],
    first_name: 'Ann',
    last_name: 'Lee',
  });
  t.match(invited, {
    status: 201,
    body: { status: 'pending_approval', auth_0_reference_id: null },
  });
  await house.settle();
  const accounts = () => [...auth0.users.values()].filter(({ email }) => email === 'ann@acme.test');
  t.same(accounts(), [], 'the provider does not hear of somebody who waits');
  const userId = invited.body['user_id'] as number;
  t.equal((await house.send('admin', 'POST', `/v1/users/${userId}/approve`, {})).status, 200);
  await house.settle();

  const [account] = accounts();
  t.match(account, { name: 'Ann Lee', email_verified: false });
  t.equal((await userOf(house, userId))['auth_0_reference_id'], account!.user_id);
  const names = () => [...account!.roles].map((id) => auth0.roles.get(id)!.name);
  t.match(names(), [/^Dispatcher \[milepost \d+\/\d+\]$/]);
  const me = async () => {
    portal.principals.invalidate();
    const { access_token: token } = await portal.issuer.issue(account!.user_id);
    const headers = { authorization: `Bearer ${token}` };
    const answer = await portal.app.inject({ url: '/v1/me', headers });
    return { status: answer.statusCode, body: answer.json<Row>() };
  };
  t.match(await me(), {
    status: 200,
    body: { email: 'ann@acme.test', permissions: ['equipment:read'] },
  });

  await house.send('admin', 'POST', `/v1/users/${userId}/disable`, {});
  t.match(await me(), { status: 403, body: { code: 'unknown_user' } }, 'here at once');
  await house.settle();
  t.match(account, { blocked: true }, 'and there soon after');
  t.same(names(), []);
  await house.send('admin', 'POST', `/v1/users/${userId}/enable`, {});
  await house.settle();
  t.match(account, { blocked: false });
  t.match(names(), [/^Dispatcher /]);

  const other = await house.role('Planner');
  await house.send('admin', 'PATCH', `/v1/users/${userId}`, {
    user_role_id: other['user_role_id'],
  });
  await house.settle();
  t.match(names(), [/^Planner /]);
  t.equal(names().length, 1);
  t.same(house.told, []);
});

t.test('a role is made, renamed and removed', async (t) => {
  const house = await openOn(t);
  const { owner, auth0 } = house;
  const role = await house.role('Dispatcher');
  const path = `/v1/user-roles/${role['user_role_id'] as number}`;
  await house.settle();
  const read = async () => (await house.send('admin', 'GET', path)).body;
  const synced = await read();
  t.match(synced, { auth0_sync_error: null, version: role['version'] }, 'no version of anybody');
  t.type(synced['auth0_synced_at'], 'string');
  const known = () => auth0.roles.get(synced['auth0_role_id'] as string);
  t.match(known(), { description: 'What a Dispatcher does' });
  const trail = await owner.query<Row>(
    `select after from activity_feed where entity_type = 'user_role' and entity_id = $1 order by activity_feed_id`,
    [String(role['user_role_id'])],
  );
  t.same(trail.rows.slice(1), [{ after: { auth0_role_id: synced['auth0_role_id'] } }]);

  await house.send('admin', 'PATCH', path, { role_permission: { equipment: [] } });
  t.ok(
    (await house.tasks()).every((row) => row['status'] === 'done'),
    'rights are no news there',
  );
  await house.send('admin', 'PATCH', path, { name: 'Planner' });
  await house.send('admin', 'PATCH', path, { description: '' });
  const waiting = (await house.tasks()).filter((row) => row['status'] === 'queued');
  t.equal(waiting.length, 1, 'two changes are one task');
  await house.settle();
  t.match(known(), { name: /^Planner \[milepost/, description: /^Planner \[milepost/ });

  auth0.roles.delete(synced['auth0_role_id'] as string);
  await house.send('admin', 'POST', `${path}/sync`, {});
  await house.settle();
  const again = (await read())['auth0_role_id'] as string;
  t.not(again, synced['auth0_role_id'], 'what somebody removed there is made again');
  t.ok(auth0.roles.has(again));
  t.equal((await house.send('admin', 'DELETE', path)).status, 204);
  await house.settle();
  t.notOk(auth0.roles.has(again));
});

t.test('what is not committed is not told', async (t) => {
  const house = await openOn(t);
  const before = await house.tasks();
  const client = await house.owner.connect();
  await client.query('begin');
  await client.query(`update user_role set name = name || ' changed'`);
  await client.query('rollback');
  client.release();
  t.same(await house.tasks(), before);
});

t.test('a role that nobody has the name of yet is removed by its tag', async (t) => {
  const house = await openOn(t);
  const role = await house.role('Dispatcher');
  const tag = roleTagOf(role['customer_id'] as number, role['user_role_id'] as number);
  const { signal } = new AbortController();
  await house.provider.createRole({ name: `Dispatcher ${tag}`, description: '', tag }, signal);
  await house.send('admin', 'DELETE', `/v1/user-roles/${role['user_role_id'] as number}`);
  const kinds = (await house.tasks()).filter((row) => row['status'] === 'queued');
  t.same(
    kinds.map((row) => row['task_kind']),
    ['role_delete'],
  );
  await house.settle();
  t.notOk([...house.auth0.roles.values()].some(({ name }) => name.startsWith('Dispatcher')));
});

t.test('a restart in the middle makes nothing twice', async (t) => {
  const house = await openOn(t);
  const { auth0, provider, portal, owner } = house;
  const role = await house.role('Dispatcher');
  const userId = await house.person('ann@acme.test', role['user_role_id']);
  const lost = randomUUID();
  const { signal } = new AbortController();
  const before = auth0.roles.size;

  // The provider has been told, and the process is gone before it could write that down.
  const first = await takeIdentityTask(portal.runnerPool, lost, 60_000);
  t.match(first, { kind: 'role_sync', tryCount: 1 });
  t.equal(await takeIdentityTask(portal.runnerPool, randomUUID(), 60_000), null, 'the user waits');
  const tag = roleTagOf(first!.customerId, first!.userRoleId!);
  await provider.createRole({ name: `Old name ${tag}`, description: 'x', tag }, signal);
  await provider.createUser(
    { email: 'ann@acme.test', name: 'Ann', owner: `${first!.customerId}/${userId}` },
    signal,
  );
  await owner.query(
    `update identity_task set beat_at = now() - interval '1 hour' where status = 'running'`,
  );
  await house.settle();
  t.equal(auth0.roles.size, before + 1, 'one role');
  t.match([...auth0.roles.values()].at(-1), { name: `Dispatcher ${tag}` });
  const accounts = [...auth0.users.values()].filter(({ email }) => email === 'ann@acme.test');
  t.equal(accounts.length, 1, 'one account');
  t.equal((await userOf(house, userId))['auth_0_reference_id'], accounts[0]!.user_id);
  t.equal(
    await settleIdentityTask(portal.runnerPool, first!, { status: 'failed', error: 'late' }),
    false,
    'whoever lost a task writes nothing about it',
  );
  await performIdentityTask({ pool: portal.runnerPool, provider }, first!, signal);
  t.equal(auth0.roles.size, before + 1, 'and doing it once more does no harm');
});

t.test('a runner that is stopped puts its task back', async (t) => {
  const house = await openOn(t);
  await house.role('Dispatcher');
  house.auth0.next('listRoles', { silence: () => undefined });
  const stop = new AbortController();
  const { runnerPool: pool } = house.portal;
  const running = createIdentityRunner({ pool, provider: house.provider, limits: QUICK }).run(
    stop.signal,
  );
  const { changes, owner } = house;
  const isRunning = async (condition: string) =>
    (await owner.query(`select from identity_task where status = 'running' and ${condition}`))
      .rowCount! > 0;
  await changes.until(() => isRunning('true'));
  // As if it had been at work for long.
  await owner.query(`update identity_task set beat_at = now() - interval '1 hour'
    where status = 'running'`);
  await changes.until(() => isRunning(`beat_at > now() - interval '1 minute'`));
  t.equal(await takeIdentityTask(pool, randomUUID(), 60_000), null, 'it is seen to be at work');
  stop.abort();
  await running;
  const [task] = (await house.tasks()).filter((row) => row['status'] === 'queued');
  t.match(task, { try_count: 0, last_error: null });
  await house.settle();
});

t.test('two runners share the work', async (t) => {
  const house = await openOn(t);
  for (let i = 0; i < 10; i++) await house.role(`Role ${i}`);
  house.auth0.log.length = 0;
  await Promise.all([house.settle(), house.settle(), house.settle()]);
  t.equal(house.auth0.log.filter((name) => name === 'createRole').length, 10);
  t.same(house.told, []);
});

t.test('the provider is away for a while', async (t) => {
  const house = await openOn(t);
  const { auth0, owner } = house;
  auth0.setAway(true);
  const role = await house.role('Dispatcher');
  const userId = await house.person('ann@acme.test', role['user_role_id']);
  const working = house.settle();
  const failing = async () =>
    (await owner.query<Row>('select * from user_role where auth0_sync_error is not null')).rows;
  await house.changes.until(async () => (await failing()).length > 0);
  t.match(await failing(), [{ auth0_sync_error: /could not be reached/, name: 'Dispatcher' }]);
  const { body } = await house.send('admin', 'GET', '/v1/identity-tasks?sort=identity_task_id');
  const open = (body['data'] as Row[]).filter((row) => row['status'] !== 'done');
  t.match(open, [{ task_kind: 'role_sync' }, { task_kind: 'user_sync', try_count: 0 }]);
  auth0.setAway(false);
  await working;
  t.same(await failing(), []);
  t.type((await userOf(house, userId))['auth_0_reference_id'], 'string');
  t.ok(house.told.length > 0);

  auth0.next('listRoles', {
    status: 429,
    headers: { 'x-ratelimit-reset': String(Date.now() / 1_000 + 6) },
  });
  await house.role('Planner');
  const startMs = performance.now();
  await house.settle();
  t.ok(performance.now() - startMs > 5_000, 'it is left alone for as long as it asks');
});

t.test('what cannot be done is told, and tried again when asked', async (t) => {
  const house = await openOn(t);
  const { auth0 } = house;
  const role = await house.role('Dispatcher');
  const stranger = auth0.addUser({ email: 'ann@acme.test' });
  const userId = await house.person('ann@acme.test', role['user_role_id']);
  await house.settle();
  t.equal((await userOf(house, userId))['auth_0_reference_id'], null, 'an address is no proof');
  const failed = async () =>
    (await house.send('admin', 'GET', '/v1/identity-tasks?filter[status][eq]=failed')).body['data'];
  t.match(await failed(), [
    { task_kind: 'user_sync', user_id: userId, last_error: /has not proved it/ },
  ]);
  t.same(
    (await house.send('foreign', 'GET', '/v1/identity-tasks?filter[status][eq]=failed')).body[
      'data'
    ],
    [],
  );
  t.equal((await house.send('bare', 'GET', '/v1/identity-tasks')).status, 403);

  stranger.email_verified = true;
  const path = `/v1/user-roles/${role['user_role_id'] as number}/sync`;
  const asked = await house.send('admin', 'POST', path, {});
  t.match(asked, { status: 202, body: { task_kind: 'role_sync', status: 'queued' } });
  t.notOk('runner_id' in asked.body);
  await house.settle();
  t.same(await failed(), []);
  t.equal((await userOf(house, userId))['auth_0_reference_id'], stranger.user_id);

  await house.send('admin', 'POST', `/v1/users/${userId}/disable`, {});
  await house.settle();
  t.equal(stranger.blocked, undefined, 'an account that is not of our making is not blocked');
  t.same([...stranger.roles], [], 'but has no role any more');
});

t.test('an account signs in one person alone', async (t) => {
  const house = await openOn(t);
  const role = await house.role('Dispatcher');
  const taken = house.auth0.addUser({
    email: 'ben@acme.test',
    user_id: 'auth0|taken',
    email_verified: true,
  });
  const first = await house.person('ann@acme.test', role['user_role_id']);
  await house.owner.query('update "user" set auth_0_reference_id = $1 where user_id = $2', [
    taken.user_id,
    first,
  ]);
  const second = await house.person('ben@acme.test', role['user_role_id']);
  await house.settle();
  t.equal((await userOf(house, second))['auth_0_reference_id'], null);
  const tasks = (await house.tasks()).filter((row) => row['status'] === 'failed');
  t.match(tasks, [{ user_id: second, last_error: /cannot be this user's/ }]);
  await house.send('admin', 'PATCH', `/v1/users/${second}`, {
    auth_0_reference_id: 'auth0|nobody',
  });
  await house.settle();
  const after = (await house.tasks()).filter((row) => row['status'] === 'failed');
  t.match(after, [{ user_id: second, last_error: /no account with the auth_0_reference_id/ }]);
});

t.test('tries are bounded, and what is over is swept', async (t) => {
  const house = await openOn(t);
  for (let i = 0; i < 3; i++) house.auth0.next('listRoles', { status: 403 });
  await house.role('Dispatcher');
  await house.settle({ triesMax: 2 });
  const ended = (await house.tasks()).filter((row) => row['status'] === 'failed');
  t.match(ended, [{ try_count: 2, last_error: /insufficient_scope/ }]);
  await house.settle({ doneKeepMs: 0 });
  await house.role('Planner');
  await house.settle({ doneKeepMs: 0, failedKeepMs: 0 });
  t.same(
    (await house.tasks()).map((row) => row['status']),
    ['done'],
  );
});
