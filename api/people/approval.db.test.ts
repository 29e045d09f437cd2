/** Who lets whom in: every step from every status, by everyone who may and may not, and what it means for their tokens. */
import type { InjectOptions } from 'fastify';
import t, { type Test } from 'tap';
import { startTestPortal, type TestPortal, type Who } from '../test-portal.ts';

type Row = Record<string, unknown>;

const STATUSES = ['pending_approval', 'active', 'rejected', 'disabled'] as const;
type Status = (typeof STATUSES)[number];
const STEPS = ['approve', 'reject', 'disable', 'enable'] as const;
type Step = (typeof STEPS)[number];

/** What each step makes of a status; where nothing stands, it is refused. */
const LEADS: Readonly<Record<Step, Partial<Record<Status, Status>>>> = {
  approve: { pending_approval: 'active', rejected: 'active' },
  reject: { pending_approval: 'rejected' },
  disable: { active: 'disabled' },
  enable: { disabled: 'active' },
};

interface House {
  readonly portal: TestPortal;
  /** A role with these rights, of our tenant. */
  role(rights: object): Promise<number>;
  person(more?: { status?: Status; roleId?: number; accountIds?: number[] }): Promise<Person>;
  step(
    who: Who | Person,
    step: Step,
    userId: number,
    more?: { ifMatch?: string | null; reason?: string },
  ): Promise<Answer>;
  read(userId: number): Promise<Row>;
  /** How a token of theirs is answered now. */
  me(person: Person): Promise<Answer>;
}

interface Person {
  readonly userId: number;
  readonly subject: string;
}

interface Answer {
  readonly status: number;
  readonly body: Row;
  readonly headers: Row;
}

let serial = 0;

async function open(t: Test): Promise<House> {
  const portal = await startTestPortal(t);
  const { owner, seed, app, issuer, principals } = portal;
  const { customerId } = seed.mine;
  const insert = async (text: string, values: unknown[]) =>
    (await owner.query<{ id: number }>(`${text} as id`, values)).rows[0]!.id;
  const headersOf = async (who: Who | Person) =>
    typeof who === 'string'
      ? portal.headersOf(who)
      : { authorization: `Bearer ${(await issuer.issue(who.subject)).access_token}` };
  const inject = async (request: InjectOptions): Promise<Answer> => {
    // The portal under test hears of no changes; the program does, by the change feed.
    principals.invalidate();
    const answer = await app.inject(request);
    return { status: answer.statusCode, body: answer.json<Row>(), headers: answer.headers };
  };
  const role = (rights: object) => {
    serial += 1;
    return insert(
      `insert into user_role (customer_id, name, role_permission) values ($1, $2, $3) returning user_role_id`,
      [customerId, `role ${serial}`, JSON.stringify(rights)],
    );
  };
  return {
    portal,
    role,
    async person({ status = 'pending_approval', roleId, accountIds = [] } = {}) {
      serial += 1;
      const subject = `test|person-${serial}`;
      const userId = await insert(
        `insert into "user" (customer_id, user_role_id, email, auth_0_reference_id, status, assigned_account_ids,
           rejected_reason)
         values ($1, $2, $3, $4, $5, $6, 'unknown here') returning user_id`,
        [
          customerId,
          roleId ?? (await role({})),
          `p${serial}@acme.test`,
          subject,
          status,
          accountIds,
        ],
      );
      return { userId, subject };
    },
    async step(who, step, userId, { ifMatch = '*', reason = 'not one of ours' } = {}) {
      const headers = {
        ...(await headersOf(who)),
        ...(ifMatch === null ? {} : { 'if-match': ifMatch }),
      };
      const payload = step === 'reject' ? { reason } : {};
      return inject({ method: 'POST', url: `/v1/users/${userId}/${step}`, headers, payload });
    },
    async read(userId) {
      return (await owner.query<Row>('select * from "user" where user_id = $1', [userId])).rows[0]!;
    },
    me: async (person) => inject({ url: '/v1/me', headers: await headersOf(person) }),
  };
}

const house = await open(t);

t.test('every step from every status', async (t) => {
  for (const step of STEPS) {
    for (const status of STATUSES) {
      const person = await house.person({ status });
      const name = `${step} from ${status}`;
      const answer = await house.step('admin', step, person.userId);
      const leads = LEADS[step][status];
      t.equal((await house.read(person.userId))['status'], leads ?? status, name);
      const allowed = STEPS.filter((one) => LEADS[one][status] !== undefined).join(', ');
      if (leads === undefined) {
        const detail = `the user is ${status}, which allows ${allowed} and not ${step}`;
        t.match(answer, { status: 409, body: { code: 'conflict', detail } }, name);
        continue;
      }
      t.match(answer, {
        status: 200,
        body: { status: leads, version: 2 },
        headers: { etag: '"2"' },
      });
      const me = await house.me(person);
      t.equal(me.status, leads === 'active' ? 200 : 403, `${name}: their token`);
    }
  }
});

t.test('a token is good for nothing before its user is let in, and after', async (t) => {
  const person = await house.person();
  const { userId } = person;
  t.match(await house.me(person), { status: 403, body: { code: 'unknown_user' } });
  t.match(await house.step('admin', 'approve', userId), { status: 200 });
  t.match(await house.me(person), { status: 200, body: { user_id: userId } });
  const { approved_by, approved_at } = await house.read(userId);
  const [admin] = (
    await house.portal.owner.query<Row>(
      `select user_id from "user" where auth_0_reference_id = 'test|admin'`,
    )
  ).rows;
  t.equal(approved_by, admin!['user_id']);
  t.ok(approved_at instanceof Date);
  await house.step('admin', 'disable', userId);
  t.match(await house.me(person), { status: 403, body: { code: 'unknown_user' } });
  await house.step('admin', 'enable', userId);
  t.match(await house.me(person), { status: 200 });
});

t.test('a rejection has a reason, and an approval takes it back', async (t) => {
  const { userId } = await house.person();
  t.match(await house.step('admin', 'reject', userId, { reason: '' }), { status: 400 });
  const url = `/v1/users/${userId}/reject`;
  const headers = { 'if-match': '*' };
  t.equal(
    (await house.portal.as('admin', { method: 'POST', url, headers, payload: {} })).status,
    400,
  );
  await house.step('admin', 'reject', userId, { reason: 'left the company' });
  t.match(await house.read(userId), { rejected_reason: 'left the company', approved_by: null });
  await house.step('admin', 'approve', userId);
  t.match(await house.read(userId), { status: 'active', rejected_reason: null });
});

t.test('it must be said which version is meant', async (t) => {
  const { userId } = await house.person();
  const code = (status: number, word: string) => ({ status, body: { code: word } });
  const without = await house.step('admin', 'approve', userId, { ifMatch: null });
  t.match(without, code(428, 'precondition_required'));
  const old = await house.step('admin', 'approve', userId, { ifMatch: '"7"' });
  t.match(old, code(412, 'precondition_failed'));
  t.match(await house.read(userId), { status: 'pending_approval', version: 1 });
  t.equal((await house.step('admin', 'approve', userId, { ifMatch: '"1"' })).status, 200);
  const both = await house.person();
  const answers = await Promise.all(
    (['approve', 'reject'] as const).map((step) =>
      house.step('admin', step, both.userId, { ifMatch: '"1"' }),
    ),
  );
  t.same(answers.map(({ status }) => status).sort(), [200, 412], 'of two at once one is late');
});

t.test('nobody decides about themselves, or about those who may more', async (t) => {
  const rights = { user: ['read', 'approve'], equipment: ['read'] };
  const boss = await house.person({ status: 'active', roleId: await house.role(rights) });
  const refused = { status: 403, body: { code: 'forbidden' } };
  for (const step of STEPS)
    t.match(await house.step(boss, step, boss.userId), refused, `${step} oneself`);
  const more = await house.role({ equipment: ['read', 'write'] });
  const less = await house.role({ equipment: ['read'] });
  const greater = await house.person({ roleId: more });
  t.match(await house.step(boss, 'approve', greater.userId), refused);
  t.match(await house.step(boss, 'reject', greater.userId), refused);
  t.equal((await house.read(greater.userId))['status'], 'pending_approval');
  const lesser = await house.person({ roleId: less });
  t.match(await house.step(boss, 'approve', lesser.userId), { status: 200 });
  const equal = await house.person({ status: 'active', roleId: await house.role(rights) });
  t.match(await house.step(boss, 'disable', equal.userId), { status: 200 }, 'equals may');
  const writer = await house.person({
    status: 'active',
    roleId: await house.role({ user: ['read', 'write'] }),
  });
  t.match(await house.step(writer, 'approve', lesser.userId), refused, 'it is a right of its own');
});

t.test(
  'whoever is held to accounts decides about those who are held to some of them',
  async (t) => {
    const [north, south] = house.portal.seed.mine.accountIds;
    const refused = { status: 403, body: { code: 'forbidden' } };
    const wide = await house.person();
    const other = await house.person({ accountIds: [south] });
    const both = await house.person({ accountIds: [north, south] });
    const own = await house.person({ accountIds: [north] });
    for (const { userId } of [wide, other, both]) {
      const answer = await house.step('held', 'approve', userId);
      t.ok([403, 404].includes(answer.status), `${answer.status}`);
      t.equal((await house.read(userId))['status'], 'pending_approval');
    }
    t.match(await house.step('held', 'approve', own.userId), { status: 200 });
    const admin = await house.portal.owner.query<{ user_id: number }>(
      `select user_id from "user" where auth_0_reference_id = 'test|admin'`,
    );
    const answer = await house.step('held', 'disable', admin.rows[0]!.user_id);
    t.ok([refused.status, 404].includes(answer.status), 'nor about who sees all');
  },
);

t.test('rights that shrink are gone with the next request', async (t) => {
  const roleId = await house.role({ equipment: ['read'] });
  const person = await house.person({ status: 'active', roleId });
  t.match(await house.me(person), { body: { permissions: ['equipment:read'], account_ids: null } });
  const headers = { 'if-match': '*' };
  const payload = { role_permission: { equipment: [] } };
  const url = `/v1/user-roles/${roleId}`;
  t.equal((await house.portal.as('admin', { method: 'PATCH', url, headers, payload })).status, 200);
  t.match(await house.me(person), { body: { permissions: [] } });
  const [north] = house.portal.seed.mine.accountIds;
  const held = { assigned_account_ids: [north] };
  const path = `/v1/users/${person.userId}`;
  t.equal(
    (await house.portal.as('admin', { method: 'PATCH', url: path, headers, payload: held })).status,
    200,
  );
  t.match(await house.me(person), { body: { account_ids: [north] } });
});
