/** For the tests of service: a portal whose clock is moved, people of some rights, and short ways to ask. */
import type { InjectOptions } from 'fastify';
import type { Row } from '../resources/define.ts';
import { NOW_MS, startTestPortal, type TestPortal, type Who } from '../test-portal.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Row & {
    readonly data: Row[];
    readonly errors: { pointer: string; detail: string }[];
    readonly allowedTransitions: string[];
  };
  readonly text: string;
}

/** One of the portal's users, or the subject of one made by `person`. */
type Asker = Who | { readonly subject: string };

/** Asks, and gives the answer whatever it is. */
export interface Asking {
  readonly portal: TestPortal;
  /** Minutes since the clock of the portal stood at `NOW_MS`. */
  readonly clock: { minutes: number };
  readonly nowIso: () => string;
  readonly ask: (who: Asker, request: InjectOptions) => Promise<Answer>;
  readonly get: (url: string) => Promise<Answer>;
  readonly post: (path: string, payload: object, who?: Asker) => Promise<Answer>;
  readonly patch: (path: string, payload: object, who?: Asker) => Promise<Answer>;
  readonly remove: (path: string) => Promise<Answer>;
  /** As the owner of the tables. */
  readonly sql: (text: string, values?: unknown[]) => Promise<Row[]>;
  /** A user of our tenant with these rights. */
  readonly person: (rights: object) => Promise<{ subject: string }>;
}

/** Makes rows; throws where that is refused. */
export interface ServiceHouse extends Asking {
  /** Of the north account, like its other rows. */
  readonly unit: number;
  readonly account: number;
  readonly make: (path: string, payload: object) => Promise<Row>;
  /** Takes a row to a state. */
  readonly move: (path: string, payload: object) => Promise<Row>;
  readonly request: (more?: object) => Promise<Row>;
  /** A request that is approved. */
  readonly approved: (more?: object) => Promise<Row>;
  readonly order: (more?: object) => Promise<Row>;
  readonly call: (more?: object) => Promise<Row>;
}

interface Tearable {
  teardown(work: () => Promise<unknown>): unknown;
}

async function openAsking(t: Tearable): Promise<Asking> {
  const clock = { minutes: 0 };
  const nowMs = () => NOW_MS + clock.minutes * 60_000;
  const rateLimits = { perUserMax: 1e6, perTenantMax: 1e6, perAddressMax: 1e6 };
  const portal = await startTestPortal(t, { now: nowMs, rateLimits });
  const { app, owner, issuer, seed } = portal;
  const sql = async (text: string, values: unknown[] = []) =>
    (await owner.query<Row>(text, values)).rows;
  const ask = async (who: Asker, request: InjectOptions): Promise<Answer> => {
    if (typeof who === 'string') return (await portal.as(who, request)) as unknown as Answer;
    const { access_token } = await issuer.issue(who.subject);
    const headers = { authorization: `Bearer ${access_token}`, ...request.headers };
    const answer = await app.inject({ ...request, headers });
    const body = answer.body === '' ? null : (JSON.parse(answer.body) as Row);
    return { status: answer.statusCode, headers: {}, body, text: answer.body } as unknown as Answer;
  };
  const headers = { 'if-match': '*' };
  return {
    portal,
    clock,
    nowIso: () => new Date(nowMs()).toISOString(),
    ask,
    get: (url) => ask('admin', { url: `/v1/${url}` }),
    post: (path, payload, who = 'admin') =>
      ask(who, { method: 'POST', url: `/v1/${path}`, payload, headers }),
    patch: (path, payload, who = 'admin') =>
      ask(who, { method: 'PATCH', url: `/v1/${path}`, payload, headers }),
    remove: (path) => ask('admin', { method: 'DELETE', url: `/v1/${path}`, headers }),
    sql,
    person: (rights) => addPerson(sql, seed.mine.customerId, rights),
  };
}

let people = 0;

async function addPerson(sql: Asking['sql'], customerId: number, rights: object) {
  people += 1;
  const subject = `test|person-${people}`;
  await sql(
    `with role as (insert into user_role (customer_id, name, role_permission) values ($1, $2, $3)
       returning user_role_id)
     insert into "user" (customer_id, user_role_id, email, auth_0_reference_id)
     select $1, user_role_id, $4, $2 from role`,
    [customerId, subject, JSON.stringify(rights), `person-${people}@acme.test`],
  );
  return { subject };
}

/** Opens it; all is gone at the teardown of `t`. */
export async function openService(t: Tearable): Promise<ServiceHouse> {
  const asking = await openAsking(t);
  const { portal, post } = asking;
  const unit = portal.seed.mine.equipmentIds[0];
  const account = portal.seed.mine.accountIds[0];
  const wanted = async (status: number, path: string, asked: Promise<Answer>) => {
    const answer = await asked;
    if (answer.status !== status) throw new Error(`${path}: ${answer.text}`);
    return answer.body as Row;
  };
  const make = (path: string, payload: object) => wanted(201, path, post(path, payload));
  const move = (path: string, payload: object) =>
    wanted(200, path, post(`${path}/transitions`, payload));
  const about = { account_id: account, equipment_id: unit };
  const request = (more: object = {}) =>
    make('service-requests', {
      ...about,
      service_urgency_lookup_id: 3,
      issue_description: 'The left rear tyre is flat.',
      status: 'submitted',
      ...more,
    });
  const description = { workorder_description: 'Change the tyre.', currency_code: 'USD' };
  const issue = { issue_description: 'The right front tyre has blown.' };
  return {
    ...asking,
    unit,
    account,
    make,
    move,
    request,
    approved: async (more) => {
      const { service_request_id: id } = await request(more);
      return move(`service-requests/${String(id)}`, { status: 'approved' });
    },
    order: (more = {}) => make('workorders', { ...about, ...description, ...more }),
    call: (more = {}) => make('ers', { ...about, ...issue, ...more }),
  };
}

/** Takes an order to `completed`. */
export async function complete(house: ServiceHouse, id: unknown): Promise<Row> {
  const path = `workorders/${String(id)}`;
  await house.move(path, { workorder_status: 'in_progress' });
  return house.move(path, { workorder_status: 'completed', resolution: 'Tyre changed.' });
}
