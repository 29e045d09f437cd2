import t from 'tap';
import type pg from 'pg';
import { PERMISSIONS, permissionsOf, rolePermissionOf } from './permissions.ts';
import {
  createPrincipals,
  PRINCIPAL_AGE_MS_MAX,
  PRINCIPAL_CACHE_ENTRIES_MAX,
} from './principal.ts';

/** A pool that answers when the test says so. */
function slowPool() {
  const waiting: (() => void)[] = [];
  const state = { queries: 0, role: { geofence: ['read'] } as object, fails: false };
  const pool = {
    query: (_text: string, [subject]: string[]) => {
      state.queries += 1;
      const { role, fails } = state;
      return new Promise((resolve, reject) => {
        waiting.push(() => {
          if (fails) return reject(new Error('away'));
          const row = {
            user_id: '7',
            customer_id: '3',
            email: 'e',
            role_name: 'r',
            role_permission: role,
          };
          const known = subject !== 'nobody';
          resolve({ rows: known ? [{ ...row, assigned_account_ids: ['4'] }] : [] });
        });
      });
    },
  } as unknown as pg.Pool;
  return {
    pool,
    state,
    answer: () => waiting.splice(0).forEach((go) => go()),
    answerOldest: () => waiting.shift()!(),
    answerNewest: () => waiting.pop()!(),
  };
}

t.test('a user is asked for once, and again when time is up or something changed', async (t) => {
  const { pool, state, answer } = slowPool();
  const clock = { ms: 0 };
  const principals = createPrincipals({ pool, now: () => clock.ms });
  const ask = (subject: string) => {
    const found = principals.bySubject(subject);
    answer();
    return found;
  };
  const both = [principals.bySubject('ann'), principals.bySubject('ann')];
  answer();
  const [first, second] = await Promise.all(both);
  t.equal(state.queries, 1, 'two at once share an answer');
  t.equal(first, second);
  t.match(first, { userId: 7, tenant: { customerId: 3, accountIds: [4] } });
  t.same([...first!.permissions], ['geofence:read']);
  await ask('ann');
  t.equal(state.queries, 1);
  clock.ms += PRINCIPAL_AGE_MS_MAX;
  await ask('ann');
  t.equal(state.queries, 2, 'after a while it is asked again');
  principals.invalidate();
  await ask('ann');
  t.equal(state.queries, 3);
  t.equal(await ask('nobody'), null);
  t.equal(await ask('nobody'), null);
  t.equal(state.queries, 4, 'that somebody is unknown is remembered too');
});

t.test('an answer that was under way when something changed is not kept', async (t) => {
  const { pool, state, answerOldest, answerNewest } = slowPool();
  const principals = createPrincipals({ pool });
  const old = principals.bySubject('ann');
  principals.invalidate();
  state.role = {};
  const fresh = principals.bySubject('ann');
  answerNewest();
  t.same([...(await fresh)!.permissions], []);
  answerOldest();
  await old;
  t.same([...(await principals.bySubject('ann'))!.permissions], []);
  t.equal(state.queries, 2);
});

t.test('a failure is told and not kept', async (t) => {
  const { pool, state, answer } = slowPool();
  const principals = createPrincipals({ pool });
  state.fails = true;
  const failing = principals.bySubject('ann');
  answer();
  await t.rejects(failing, { message: 'away' });
  state.fails = false;
  const found = principals.bySubject('ann');
  answer();
  t.match(await found, { userId: 7 });
});

t.test('so many are remembered, and no more', async (t) => {
  const { pool, state, answer } = slowPool();
  const principals = createPrincipals({ pool, now: () => 0 });
  const ask = async (i: number) => {
    const found = principals.bySubject(`user ${i}`);
    answer();
    await found;
  };
  for (let i = 0; i <= PRINCIPAL_CACHE_ENTRIES_MAX; i++) await ask(i);
  const asked = state.queries;
  await ask(PRINCIPAL_CACHE_ENTRIES_MAX);
  t.equal(state.queries, asked, 'the newest is remembered');
  await ask(0);
  t.equal(state.queries, asked + 1, 'the oldest was let go');
});

t.test('rights of a role', (t) => {
  const rows: [unknown, string[]][] = [
    [
      { geofence: ['read', 'write'], equipment: ['read'] },
      ['equipment:read', 'geofence:read', 'geofence:write'],
    ],
    [{ geofence: ['own', 7, null], unknown: ['read'] }, []],
    [{ geofence: 'read' }, []],
    [{ geofence: { read: true } }, []],
    [{ '*': ['*'] }, []],
    [JSON.parse('{"__proto__": {"geofence": ["read"]}}'), []],
    [['geofence:read'], []],
    ['geofence:read', []],
    [null, []],
    [{}, []],
  ];
  for (const [role, permissions] of rows)
    t.same([...permissionsOf(role)], permissions, JSON.stringify(role));
  t.same([...permissionsOf(rolePermissionOf(PERMISSIONS))], [...PERMISSIONS]);
  t.end();
});
