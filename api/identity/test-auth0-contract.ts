/**
 * For tests: the interactions of Auth0's Management API v2 that Milepost relies on, as its documentation and public
 * recordings of its own client libraries show them: method, path, query, headers, body, and every answer. `test-auth0.ts`
 * answers what is in here and nothing else.
 */

/** A member's form; with `?` it may be missing. */
export type Form =
  | 'text'
  | 'boolean'
  | 'number'
  | 'texts'
  | 'role'
  | 'roles'
  | 'user'
  | 'users'
  | 'object'
  | 'identities'
  | `?${'text' | 'boolean' | 'number' | 'object' | 'identities'}`;

/** The members of an object; no others are there. */
export type Members = Readonly<Record<string, Form>>;

export interface Interaction {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** `{id}` is one segment, percent-encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, RegExp>>;
  /** Of the request; none: it has no body and no content type. */
  readonly body?: Members;
  /** False for the one request that asks for a token. */
  readonly isAuthorized: boolean;
  readonly success: { readonly status: number; readonly body: Members | 'user' | 'users' | null };
  /** Statuses that the documentation names besides. */
  readonly errors: readonly number[];
}

const paging = { per_page: /^\d{1,3}$/, page: /^\d+$/, include_totals: /^true$/ };
const roleMembers: Members = { id: 'text', name: 'text', description: 'text' };
const rolePage: Members = { roles: 'roles', start: 'number', limit: 'number', total: 'number' };

export const INTERACTIONS = {
  token: {
    method: 'POST',
    path: '/oauth/token',
    body: { grant_type: 'text', client_id: 'text', client_secret: 'text', audience: 'text' },
    isAuthorized: false,
    success: {
      status: 200,
      body: { access_token: 'text', scope: 'text', expires_in: 'number', token_type: 'text' },
    },
    errors: [401, 403, 429],
  },
  listRoles: {
    method: 'GET',
    path: '/api/v2/roles',
    query: { name_filter: /./, ...paging },
    isAuthorized: true,
    success: { status: 200, body: rolePage },
    errors: [400, 401, 403, 429],
  },
  createRole: {
    method: 'POST',
    path: '/api/v2/roles',
    body: { name: 'text', description: 'text' },
    isAuthorized: true,
    success: { status: 200, body: roleMembers },
    errors: [400, 401, 403, 409, 429],
  },
  updateRole: {
    method: 'PATCH',
    path: '/api/v2/roles/{id}',
    body: { name: 'text', description: 'text' },
    isAuthorized: true,
    success: { status: 200, body: roleMembers },
    errors: [400, 401, 403, 404, 429],
  },
  deleteRole: {
    method: 'DELETE',
    path: '/api/v2/roles/{id}',
    isAuthorized: true,
    success: { status: 200, body: {} },
    errors: [400, 401, 403, 404, 429],
  },
  usersByEmail: {
    method: 'GET',
    path: '/api/v2/users-by-email',
    query: { email: /^[^A-Z]+@[^A-Z]+$/ },
    isAuthorized: true,
    success: { status: 200, body: 'users' },
    errors: [400, 401, 403, 429],
  },
  getUser: {
    method: 'GET',
    path: '/api/v2/users/{id}',
    isAuthorized: true,
    success: { status: 200, body: 'user' },
    errors: [400, 401, 403, 404, 429],
  },
  createUser: {
    method: 'POST',
    path: '/api/v2/users',
    body: {
      connection: 'text',
      email: 'text',
      name: 'text',
      password: 'text',
      email_verified: 'boolean',
      verify_email: 'boolean',
      app_metadata: 'object',
    },
    isAuthorized: true,
    success: { status: 201, body: 'user' },
    errors: [400, 401, 403, 409, 429],
  },
  updateUser: {
    method: 'PATCH',
    path: '/api/v2/users/{id}',
    body: { blocked: 'boolean' },
    isAuthorized: true,
    success: { status: 200, body: 'user' },
    errors: [400, 401, 403, 404, 429],
  },
  listUserRoles: {
    method: 'GET',
    path: '/api/v2/users/{id}/roles',
    query: paging,
    isAuthorized: true,
    success: { status: 200, body: rolePage },
    errors: [401, 403, 429],
  },
  assignRoles: {
    method: 'POST',
    path: '/api/v2/users/{id}/roles',
    body: { roles: 'texts' },
    isAuthorized: true,
    success: { status: 204, body: null },
    errors: [400, 401, 403, 429],
  },
  removeRoles: {
    method: 'DELETE',
    path: '/api/v2/users/{id}/roles',
    body: { roles: 'texts' },
    isAuthorized: true,
    success: { status: 204, body: null },
    errors: [401, 403, 429],
  },
} as const satisfies Readonly<Record<string, Interaction>>;

export type InteractionName = keyof typeof INTERACTIONS;

/** An account; `blocked` and `app_metadata` are left out where they were never written. */
export const USER_MEMBERS: Members = {
  user_id: 'text',
  email: 'text',
  email_verified: 'boolean',
  name: 'text',
  nickname: 'text',
  picture: 'text',
  identities: 'identities',
  created_at: 'text',
  updated_at: 'text',
  blocked: '?boolean',
  app_metadata: '?object',
};
export const ROLE_MEMBERS = roleMembers;

/** What Auth0 says with a status that is no success. */
export const ERRORS: Readonly<
  Record<number, { error: string; message: string; errorCode: string }>
> = {
  400: {
    error: 'Bad Request',
    message: "Payload validation error: 'Missing required property: name'.",
    errorCode: 'invalid_body',
  },
  401: {
    error: 'Unauthorized',
    message: 'Expired token received for JSON Web Token validation',
    errorCode: 'invalid_token',
  },
  403: {
    error: 'Forbidden',
    message: 'Insufficient scope, expected any of: create:roles',
    errorCode: 'insufficient_scope',
  },
  404: {
    error: 'Not Found',
    message: 'The user does not exist.',
    errorCode: 'inexistent_user',
  },
  409: {
    error: 'Conflict',
    message: 'The user already exists.',
    errorCode: 'auth0_idp_error',
  },
  429: {
    error: 'Too Many Requests',
    message: 'Global limit has been reached',
    errorCode: 'too_many_requests',
  },
};

/** The token endpoint speaks OAuth 2 (RFC 6749 5.2). */
export const TOKEN_ERRORS: Readonly<Record<number, { error: string; error_description: string }>> =
  {
    401: { error: 'access_denied', error_description: 'Unauthorized' },
    403: {
      error: 'access_denied',
      error_description: 'Client is not authorized to access "https://example.auth0.com/api/v2/".',
    },
    429: { error: 'too_many_requests', error_description: 'Too many requests' },
  };
