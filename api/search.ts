/** `GET /v1/search`: one search over everything that has a name or a number. */
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { readAsTenant } from '../db/tenancy.ts';
import type { Permission } from './auth/permissions.ts';
import type { ApiContext } from './context.ts';
import { principalOf } from './guard.ts';
import { fieldProblem } from './problem.ts';
import { closed, guardedProblems } from './schemas.ts';

/** What can be found, and the right to see it. */
export const SEARCH_TYPES = {
  equipment: 'equipment:read',
  vehicle: 'vehicle:read',
  account: 'account:read',
  service_request: 'service_request:read',
  workorder: 'workorder:read',
  invoice: 'invoice:read',
  geofence: 'geofence:read',
  user: 'user:read',
} as const satisfies Record<string, Permission>;

type SearchType = keyof typeof SEARCH_TYPES;

/** Characters that are searched for; fewer would find everything. */
export const SEARCH_LENGTH_MIN = 2;
export const SEARCH_LENGTH_MAX = 100;
/** Rows of each type. */
export const SEARCH_ROWS_MAX = 50;
const SEARCH_ROWS_DEFAULT = 10;

const Found = Type.Object({
  id: Type.String(),
  type: Type.String(),
  title: Type.String(),
  subtitle: Type.String(),
  description: Type.String(),
  route: Type.String({
    description: 'Where it is found: the path of the resource, without `/v1`.',
  }),
});

type FoundRow = Record<keyof typeof Found.properties, string>;

const querystring = closed({
  q: Type.String({
    minLength: SEARCH_LENGTH_MIN,
    maxLength: SEARCH_LENGTH_MAX,
    pattern: '^[^\\u0000]*\\S[^\\u0000]*$',
    description: 'Part of a name, a number or a text; case and punctuation do not matter.',
  }),
  types: Type.Optional(
    Type.String({
      maxLength: 200,
      description: `With commas between them: ${Object.keys(SEARCH_TYPES).join(', ')}. All that you may read when left out.`,
    }),
  ),
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: SEARCH_ROWS_MAX,
      default: SEARCH_ROWS_DEFAULT,
      description: 'Rows of each type.',
    }),
  ),
});

/** Adds the route. */
export function addSearchRoutes(app: FastifyInstance, context: ApiContext): void {
  const schema = {
    operationId: 'search',
    tags: ['search'],
    summary: 'Search by name or number',
    description: 'Grouped by type, the nearest first. Types that you may not read are left out.',
    querystring,
    response: { 200: Type.Object({ data: Type.Array(Found) }), ...guardedProblems },
  };
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get('/v1/search', { config: { permission: 'signed_in' }, schema }, async (request) => {
      const { q, limit = SEARCH_ROWS_DEFAULT } = request.query;
      const { tenant, permissions } = principalOf(request);
      const types = readTypes(request.query.types).filter((type) =>
        permissions.has(SEARCH_TYPES[type]),
      );
      if (types.length === 0) return { data: [] };
      const data = await readAsTenant<FoundRow>(context.pool, tenant, {
        text: 'select * from global_search($1, $2::text[], $3::integer)',
        values: [q, types, limit],
      });
      return { data };
    });
}

function readTypes(text: string | undefined): SearchType[] {
  const all = Object.keys(SEARCH_TYPES) as SearchType[];
  if (text === undefined || text === '') return all;
  const asked = new Set(text.split(','));
  const unknown = [...asked].find((name) => !all.some((type) => type === name));
  if (unknown !== undefined) {
    throw fieldProblem('invalid_request', 'query', '/types', `must be of ${all.join(', ')}`);
  }
  return all.filter((type) => asked.has(type));
}
