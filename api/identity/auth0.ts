/**
 * Auth0 as an identity provider, by its Management API v2. It knows which requests make a role or an account; how they
 * travel is `auth0-client.ts`, and when they are made `sync.ts`.
 *
 * Scopes of the client: `read:roles`, `create:roles`, `update:roles`, `delete:roles`, `read:users`, `create:users`,
 * `update:users`, `read:role_members`, `create:role_members`, `delete:role_members`.
 */
import { randomBytes } from 'node:crypto';
import {
  createAuth0Client,
  membersOf,
  type Auth0Client,
  type Auth0ClientOptions,
} from './auth0-client.ts';
import {
  hasRoleTag,
  IdentityError,
  type Account,
  type IdentityProvider,
  type ProviderRole,
} from './provider.ts';

export interface Auth0Options extends Auth0ClientOptions {
  /** The database connection in which accounts are made and looked for. */
  readonly connection: string;
}

/** The member of `app_metadata`, which only the Management API writes, that says for whom an account was made. */
const OWNER = 'milepost_user';
/** Roles of one page, and pages that are read of one list. */
const PAGE_ROWS = 100;
const PAGES_MAX = 20;

interface Role {
  readonly id: string;
  readonly name: string;
  readonly description: string;
}

/** Makes the provider; nothing is asked before the first call. */
export function createAuth0Provider(options: Auth0Options): IdentityProvider {
  const client = createAuth0Client(options);
  return {
    ...roleCalls(client),
    ...accountCalls(client, options.connection),
    ...memberCalls(client),
  };
}

type RoleCalls = Pick<IdentityProvider, 'createRole' | 'updateRole' | 'deleteRole' | 'findRole'>;

function roleCalls(client: Auth0Client): RoleCalls {
  const pathOf = (roleId: string) => `roles/${encodeURIComponent(roleId)}`;

  async function findRole(tag: string, signal: AbortSignal): Promise<Role | null> {
    // Auth0 looks for it anywhere in the name, and without regard to case.
    const found = await listRoles(client, 'roles', { name_filter: tag }, signal);
    return found.find(({ name }) => name.endsWith(tag)) ?? null;
  }

  async function updateRole(
    roleId: string,
    role: ProviderRole,
    signal: AbortSignal,
  ): Promise<boolean> {
    const request = { method: 'PATCH', path: pathOf(roleId), body: bodyOf(role) } as const;
    return (await unless404(client.send({ ...request, isRepeatable: true }, signal))) !== null;
  }

  return {
    updateRole: (roleId, role, signal) => updateRole(roleId, role, signal),
    async createRole(role, signal) {
      const before = await findRole(role.tag, signal);
      if (before && (isSame(before, role) || (await updateRole(before.id, role, signal)))) {
        return { roleId: before.id };
      }
      const request = { method: 'POST', path: 'roles', body: bodyOf(role) } as const;
      try {
        return {
          roleId: roleOf(await client.send({ ...request, isRepeatable: false }, signal)).id,
        };
      } catch (error) {
        // Somebody else was quicker. Which status tells that is not documented.
        if (!(error instanceof IdentityError && error.fault === 'permanent')) throw error;
        const after = await findRole(role.tag, signal);
        if (!after) throw error;
        return { roleId: after.id };
      }
    },
    async deleteRole(roleId, signal) {
      const request = { method: 'DELETE', path: pathOf(roleId), isRepeatable: true } as const;
      await unless404(client.send(request, signal));
    },
    async findRole(tag, signal) {
      const role = await findRole(tag, signal);
      return role && { roleId: role.id };
    },
  };
}

type AccountCalls = Pick<
  IdentityProvider,
  'findUserBySubject' | 'findUserByEmail' | 'createUser' | 'blockUser'
>;

function accountCalls(client: Auth0Client, connection: string): AccountCalls {
  return {
    async findUserBySubject(subject, signal) {
      const request = { method: 'GET', path: userPath(subject), isRepeatable: true } as const;
      const user = await unless404(client.send(request, signal));
      return user === null ? null : accountOf(user);
    },
    async findUserByEmail(email, signal) {
      const request = { method: 'GET', path: 'users-by-email', query: { email } } as const;
      const users = listOf(await client.send({ ...request, isRepeatable: true }, signal));
      const found = users.find((user) =>
        listOf(membersOf(user)['identities']).some(
          (identity) => membersOf(identity)['connection'] === connection,
        ),
      );
      return found === undefined ? null : accountOf(found);
    },
    async createUser({ email, name, owner }, signal) {
      const body = {
        connection,
        email,
        name,
        password: unknownPassword(),
        email_verified: false,
        verify_email: false,
        app_metadata: { [OWNER]: owner },
      };
      const request = { method: 'POST', path: 'users', body, isRepeatable: false } as const;
      try {
        return { subject: accountOf(await client.send(request, signal)).subject };
      } catch (error) {
        // It is there and was not found just before: it will be.
        if (!(error instanceof IdentityError && error.status === 409)) throw error;
        throw new IdentityError('passing', error.message, { status: 409, cause: error });
      }
    },
    async blockUser(subject, isBlocked, signal) {
      const request = { method: 'PATCH', path: userPath(subject) } as const;
      await client.send({ ...request, body: { blocked: isBlocked }, isRepeatable: true }, signal);
    },
  };
}

function memberCalls(client: Auth0Client): Pick<IdentityProvider, 'setUserRoles'> {
  return {
    async setUserRoles(subject, roleIds, signal) {
      const path = `${userPath(subject)}/roles`;
      const held = await listRoles(client, path, {}, signal);
      const missing = roleIds.filter((roleId) => held.every(({ id }) => id !== roleId));
      const surplus = held
        .filter(({ id, name }) => hasRoleTag(name) && !roleIds.includes(id))
        .map(({ id }) => id);
      const change = (method: 'POST' | 'DELETE', roles: string[]) =>
        client.send({ method, path, body: { roles }, isRepeatable: true }, signal);
      if (missing.length > 0) await change('POST', missing);
      if (surplus.length > 0) await change('DELETE', surplus);
    },
  };
}

async function listRoles(
  client: Auth0Client,
  path: string,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Role[]> {
  const found: Role[] = [];
  for (let page = 0; page < PAGES_MAX; page++) {
    const paging = { per_page: String(PAGE_ROWS), page: String(page), include_totals: 'true' };
    const request = { method: 'GET', path, query: { ...query, ...paging } } as const;
    const answer = membersOf(await client.send({ ...request, isRepeatable: true }, signal));
    const rows = listOf(answer['roles']).map(roleOf);
    found.push(...rows);
    if (rows.length < PAGE_ROWS) return found;
  }
  throw new IdentityError('permanent', `Auth0 has more than ${found.length} roles to choose from`);
}

/** Auth0 refuses an empty description. */
function bodyOf({ name, description }: ProviderRole): { name: string; description: string } {
  return { name, description: description === '' ? name : description };
}

function isSame(before: Role, role: ProviderRole): boolean {
  const { name, description } = bodyOf(role);
  return before.name === name && before.description === description;
}

function userPath(subject: string): string {
  return `users/${encodeURIComponent(subject)}`;
}

/** Long enough, and of every kind of character that a policy may ask for. */
function unknownPassword(): string {
  return `${randomBytes(32).toString('base64url')}aA1!`;
}

/** Null for an answer 404. */
async function unless404(answer: Promise<unknown>): Promise<unknown> {
  try {
    return (await answer) ?? {};
  } catch (error) {
    if (error instanceof IdentityError && error.status === 404) return null;
    throw error;
  }
}

function roleOf(value: unknown): Role {
  const { id, name, description } = membersOf(value);
  return {
    id: textOf(id, 'the id of a role'),
    name: textOf(name, 'the name of a role'),
    description: typeof description === 'string' ? description : '',
  };
}

function accountOf(value: unknown): Account {
  const { user_id, email_verified, blocked, app_metadata } = membersOf(value);
  const owner = membersOf(app_metadata)[OWNER];
  return {
    subject: textOf(user_id, 'the id of a user'),
    isVerified: email_verified === true,
    isBlocked: blocked === true,
    owner: typeof owner === 'string' ? owner : null,
  };
}

function textOf(value: unknown, what: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new IdentityError('passing', `an answer of Auth0 is without ${what}`);
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}
