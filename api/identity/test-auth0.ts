/**
 * For tests: an Auth0 that listens on a socket, keeps roles and accounts in memory, and holds every request and every
 * answer of its own to the recorded contract. What does not fit is answered 418 and fails the test that asked.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  ERRORS,
  INTERACTIONS,
  ROLE_MEMBERS,
  TOKEN_ERRORS,
  USER_MEMBERS,
  type Form,
  type Interaction,
  type InteractionName,
  type Members,
} from './test-auth0-contract.ts';

export const CLIENT = { clientId: 'client', clientSecret: 'a secret that nobody may log' };
export const CONNECTION = 'Username-Password-Authentication';

type Json = Record<string, unknown>;

export interface FakeUser {
  user_id: string;
  email: string;
  email_verified: boolean;
  name: string;
  blocked?: boolean;
  app_metadata?: Json;
  connection: string;
  password: string;
  roles: Set<string>;
}

/** How the next request of a kind is answered instead. `drop`: done, and the connection ends without an answer. */
export type Accident =
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }
  | { readonly drop: 'before' | 'after' }
  /** It is taken, told of, and never answered. */
  | { readonly silence: () => void };

export interface FakeAuth0 {
  readonly url: string;
  readonly roles: Map<string, { id: string; name: string; description: string }>;
  readonly users: Map<string, FakeUser>;
  /** What was asked, in order, the token left out. */
  readonly log: InteractionName[];
  tokens: number;
  /** Of tokens that are given from now on. */
  tokenLifetimeS: number;
  /** Requests that are in no record; the teardown fails the test for each. */
  readonly refused: string[];
  next(name: InteractionName, accident: Accident): void;
  addUser(user: Partial<FakeUser> & { email: string }): FakeUser;
  /** Ends all tokens given so far. */
  forgetTokens(): void;
  /** Asks the server to be away, or back. */
  setAway(isAway: boolean): void;
}

interface Test {
  teardown(work: () => Promise<unknown>): unknown;
}

/** Listens until the end of the test, `now` being its clock. */
export async function startFakeAuth0(t: Test, now: () => number = Date.now): Promise<FakeAuth0> {
  const house = new House(now);
  const server = createServer((request, response) => {
    house.serve(request, response).catch((error: unknown) => {
      house.refused.push(String(error));
      response.writeHead(418).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  house.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  t.teardown(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    if (house.refused.length > 0) throw new Error(`in no record: ${house.refused.join('; ')}`);
  });
  return house;
}

class House implements FakeAuth0 {
  url = '';
  readonly roles = new Map<string, { id: string; name: string; description: string }>();
  readonly users = new Map<string, FakeUser>();
  readonly log: InteractionName[] = [];
  tokens = 0;
  tokenLifetimeS = 86_400;
  readonly refused: string[] = [];
  readonly #now: () => number;
  readonly #issued = new Map<string, number>();
  readonly #accidents = new Map<InteractionName, Accident[]>();
  #serial = 0;
  #isAway = false;

  constructor(now: () => number) {
    this.#now = now;
  }

  next(name: InteractionName, accident: Accident): void {
    this.#accidents.set(name, [...(this.#accidents.get(name) ?? []), accident]);
  }

  addUser(given: Partial<FakeUser> & { email: string }): FakeUser {
    this.#serial += 1;
    const user: FakeUser = {
      user_id: `auth0|${String(this.#serial).padStart(24, '0')}`,
      email_verified: false,
      name: given.email,
      connection: CONNECTION,
      password: '',
      roles: new Set(),
      ...given,
    };
    this.users.set(user.user_id, user);
    return user;
  }

  forgetTokens(): void {
    this.#issued.clear();
  }

  setAway(isAway: boolean): void {
    this.#isAway = isAway;
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#isAway) return void request.socket.destroy();
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const url = new URL(request.url!, this.url);
    const [name, id] = this.#find(request.method!, url.pathname);
    const interaction: Interaction = INTERACTIONS[name];
    const body = readBody(interaction, request, Buffer.concat(parts).toString());
    holdQuery(interaction, url);
    if (name !== 'token') this.log.push(name);
    if (interaction.isAuthorized && !this.#isAuthorized(request)) {
      return void reply(response, 401, errorBody(name, 401));
    }
    const accident = this.#accidents.get(name)?.shift();
    if (accident && 'silence' in accident) return accident.silence();
    if (accident && 'drop' in accident) {
      if (accident.drop === 'after') this.#act(name, id, body, url);
      return void request.socket.destroy();
    } else if (accident) {
      return void this.#misfortune(response, name, accident);
    }
    const answer = this.#act(name, id, body, url);
    if (answer.status === interaction.success.status) holdAnswer(interaction, answer.body);
    else if (!interaction.errors.includes(answer.status))
      throw new Error(`${name}: ${answer.status}`);
    reply(response, answer.status, answer.body);
  }

  #misfortune(
    response: ServerResponse,
    name: InteractionName,
    { status, headers, body }: { status: number; headers?: Record<string, string>; body?: string },
  ): void {
    const isDocumented = (INTERACTIONS[name].errors as readonly number[]).includes(status);
    if (body === undefined && status < 500 && !isDocumented) {
      throw new Error(`${name} is not documented to answer ${status}`);
    }
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
    // Errors of its own come from a proxy before it.
    if (body !== undefined) response.end(body);
    else response.end(status >= 500 ? '<html></html>' : JSON.stringify(errorBody(name, status)));
  }

  #find(method: string, path: string): [InteractionName, string] {
    for (const [name, one] of Object.entries(INTERACTIONS)) {
      const pattern = new RegExp(`^${one.path.replace('{id}', '([^/]+)')}$`);
      const match = one.method === method ? pattern.exec(path) : null;
      if (match) return [name as InteractionName, decodeURIComponent(match[1] ?? '')];
    }
    throw new Error(`there is no record of ${method} ${path}`);
  }

  #isAuthorized(request: IncomingMessage): boolean {
    const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined) throw new Error(`${request.url} is without a token`);
    return (this.#issued.get(token) ?? 0) > this.#now();
  }

  #act(
    name: InteractionName,
    id: string,
    body: Json,
    url: URL,
  ): { status: number; body?: unknown } {
    switch (name) {
      case 'token':
        return this.#giveToken(body);
      case 'listRoles':
        return ok(this.#pageOfRoles([...this.roles.values()], url));
      case 'createRole':
      case 'updateRole':
      case 'deleteRole':
        return this.#changeRole(name, id, body as { name: string; description: string });
      case 'usersByEmail': {
        const email = url.searchParams.get('email');
        return ok([...this.users.values()].filter((user) => user.email === email).map(shown));
      }
      case 'createUser':
        return this.#createUser(body as unknown as FakeUser);
      case 'getUser':
      case 'updateUser':
      case 'listUserRoles':
      case 'assignRoles':
      case 'removeRoles':
        return this.#ofUser(name, id, body, url);
    }
  }

  #giveToken(body: Json): { status: number; body: unknown } {
    const isKnown =
      body['grant_type'] === 'client_credentials' &&
      body['client_id'] === CLIENT.clientId &&
      body['client_secret'] === CLIENT.clientSecret;
    if (!isKnown) return { status: 401, body: errorBody('token', 401) };
    if (body['audience'] !== `${this.url}api/v2/`)
      return { status: 403, body: errorBody('token', 403) };
    this.tokens += 1;
    const token = `token-${this.tokens}-${Math.random().toString(36).slice(2)}`;
    this.#issued.set(token, this.#now() + this.tokenLifetimeS * 1_000);
    const scope = 'read:roles create:roles';
    const rest = { scope, expires_in: this.tokenLifetimeS, token_type: 'Bearer' };
    return ok({ access_token: token, ...rest });
  }

  #pageOfRoles(all: { id: string; name: string; description: string }[], url: URL): Json {
    const filter = (url.searchParams.get('name_filter') ?? '').toLowerCase();
    const limit = Number(url.searchParams.get('per_page'));
    const start = Number(url.searchParams.get('page')) * limit;
    const found = all.filter(({ name }) => name.toLowerCase().includes(filter));
    return { roles: found.slice(start, start + limit), start, limit, total: found.length };
  }

  #changeRole(
    name: 'createRole' | 'updateRole' | 'deleteRole',
    id: string,
    role: { name: string; description: string },
  ): { status: number; body: unknown } {
    if (name === 'createRole') {
      const isTaken = [...this.roles.values()].some((one) => one.name === role.name);
      if (isTaken) return { status: 409, body: errorBody(name, 409) };
      this.#serial += 1;
      const made = { id: `rol_${String(this.#serial).padStart(16, '0')}`, ...role };
      this.roles.set(made.id, made);
      return ok(made);
    }
    if (!this.roles.has(id)) return { status: 404, body: errorBody(name, 404) };
    if (name === 'updateRole') {
      this.roles.set(id, { id, ...role });
      return ok(this.roles.get(id));
    }
    this.roles.delete(id);
    for (const user of this.users.values()) user.roles.delete(id);
    return ok({});
  }

  #createUser(given: FakeUser): { status: number; body: unknown } {
    const isTaken = [...this.users.values()].some(
      (user) => user.email === given.email && user.connection === given.connection,
    );
    if (isTaken) return { status: 409, body: errorBody('createUser', 409) };
    const { email, name, password, connection, email_verified } = given;
    const metadata = given.app_metadata ? { app_metadata: given.app_metadata } : {};
    const user = this.addUser({ email, name, password, connection, email_verified, ...metadata });
    return { status: 201, body: shown(user) };
  }

  #ofUser(
    name: 'getUser' | 'updateUser' | 'listUserRoles' | 'assignRoles' | 'removeRoles',
    id: string,
    body: Json,
    url: URL,
  ): { status: number; body?: unknown } {
    const user = this.users.get(id);
    if (!user) return { status: name.includes('Roles') ? 400 : 404, body: errorBody(name, 404) };
    if (name === 'getUser') return ok(shown(user));
    if (name === 'updateUser') {
      user.blocked = body['blocked'] as boolean;
      return ok(shown(user));
    }
    if (name === 'listUserRoles') {
      return ok(
        this.#pageOfRoles(
          [...user.roles].map((roleId) => this.roles.get(roleId)!),
          url,
        ),
      );
    }
    for (const roleId of body['roles'] as string[]) {
      if (!this.roles.has(roleId)) return { status: 400, body: errorBody(name, 400) };
      if (name === 'assignRoles') user.roles.add(roleId);
      else user.roles.delete(roleId);
    }
    return { status: 204 };
  }
}

function ok(body: unknown): { status: number; body: unknown } {
  return { status: 200, body };
}

function shown({ password: _password, roles: _roles, connection, ...user }: FakeUser): Json {
  const [provider, userId] = user.user_id.split('|');
  return {
    ...user,
    nickname: user.email.split('@')[0],
    picture: 'https://example.test/picture.png',
    identities: [{ connection, user_id: userId, provider, isSocial: false }],
    created_at: '2026-01-15T08:00:00.000Z',
    updated_at: '2026-01-15T08:00:00.000Z',
  };
}

function errorBody(name: InteractionName, status: number): Json {
  const body = name === 'token' ? TOKEN_ERRORS[status] : ERRORS[status];
  if (!body) throw new Error(`nothing is recorded of ${status}`);
  return name === 'token' ? { ...body } : { statusCode: status, ...body };
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
  response.end(body === undefined ? '' : JSON.stringify(body));
}

function readBody({ body, path }: Interaction, request: IncomingMessage, text: string): Json {
  const type = request.headers['content-type'];
  if (!body) {
    if (text !== '' || type !== undefined) throw new Error(`${path} is recorded without a body`);
    return {};
  }
  if (type !== 'application/json') throw new Error(`${path} is recorded as JSON, not ${type}`);
  const given = JSON.parse(text) as unknown;
  holdMembers(path, given, body);
  return given as Json;
}

function holdQuery({ query = {}, path }: Interaction, url: URL): void {
  for (const name of url.searchParams.keys()) {
    if (!(name in query)) throw new Error(`${path} is recorded without ?${name}`);
  }
  for (const [name, pattern] of Object.entries(query)) {
    const value = url.searchParams.get(name) ?? '';
    if (!pattern.test(value)) throw new Error(`${path}: ?${name}=${value} is not as recorded`);
  }
}

function holdAnswer({ success, path }: Interaction, body: unknown): void {
  if (success.body === null) {
    if (body !== undefined) throw new Error(`${path} is recorded to answer nothing`);
  } else if (typeof success.body === 'string') {
    holdForm(`the answer of ${path}`, body, success.body);
  } else {
    holdMembers(`the answer of ${path}`, body, success.body);
  }
}

function holdMembers(where: string, value: unknown, members: Members): void {
  if (typeof value !== 'object' || value === null) throw new Error(`${where} is no object`);
  for (const name of Object.keys(value)) {
    if (!(name in members)) throw new Error(`${where}: ${name} is in no record`);
  }
  for (const [name, form] of Object.entries(members)) {
    const given = (value as Json)[name];
    if (given === undefined && form.startsWith('?')) continue;
    holdForm(`${where}: ${name}`, given, form);
  }
}

function holdForm(where: string, value: unknown, form: Form): void {
  const isList = Array.isArray(value);
  switch (form) {
    case 'role':
      return holdMembers(where, value, ROLE_MEMBERS);
    case 'user':
      return holdMembers(where, value, USER_MEMBERS);
    case 'roles':
    case 'users':
    case 'texts':
    case 'identities':
    case '?identities': {
      if (!isList) throw new Error(`${where} is no list`);
      const one = { roles: 'role', users: 'user', texts: 'text' } as const;
      const item = form in one ? one[form as keyof typeof one] : 'object';
      if (form === 'texts' && value.length === 0) throw new Error(`${where} is empty`);
      for (const each of value) holdForm(where, each, item);
      return;
    }
    default: {
      const wanted = form.replace('?', '').replace('text', 'string');
      const isFit = typeof value === wanted && !isList && value !== null && value !== '';
      if (!isFit) throw new Error(`${where} is ${JSON.stringify(value)}, not ${form}`);
    }
  }
}
