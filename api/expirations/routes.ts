/** `GET /v1/expirations`: what runs out, of everything that the caller may read, the soonest first. */
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Principal } from '../auth/principal.ts';
import { openList, type ApiContext } from '../context.ts';
import { readToday } from '../customer-day.ts';
import { principalOf, requirePermission } from '../guard.ts';
import { fieldProblem } from '../problem.ts';
import { inWork } from '../resources/routes.ts';
import {
  closed,
  described,
  guardedProblems,
  Id,
  nullable,
  pageOf,
  pageQuery,
  storedWord,
} from '../schemas.ts';
import { EXPIRATION_KINDS } from './kinds.ts';
import { DUE_SOON_DAYS_MAX, positionOf, readExpirations, WITHIN_DAYS_MAX } from './query.ts';

/** Days from today that are looked ahead when nothing is said. */
const WITHIN_DAYS_DEFAULT = 60;

const KINDS = Object.keys(EXPIRATION_KINDS);

const Expiration = Type.Object({
  kind: storedWord(KINDS),
  record: Type.String({ description: 'Where it is found, such as /v1/vehicle-documents/12.' }),
  id: described(Id, 'Its key there.'),
  label: Type.String({ description: 'What people call it.' }),
  equipment_id: nullable(described(Id, 'The unit that it is about.')),
  unit_number: nullable(
    Type.String({ description: 'Of that unit, for those who may read units.' }),
  ),
  vehicle_id: nullable(Type.String({ description: 'The vehicle that it is about.' })),
  account_id: nullable(Id),
  attached_to: nullable(
    Type.String({ description: 'Of a file: where that is which it hangs on.' }),
  ),
  expires_on: Type.String({ format: 'date', description: 'The last day on which it counts.' }),
  days_left: Type.Integer({
    description:
      'From today in the time zone of the customer; 0 on the last day, below zero after it.',
  }),
  status: Type.Unsafe<string>({
    ...storedWord(['ok', 'due_soon', 'expired']),
    description: `\`due_soon\`: ${DUE_SOON_DAYS_MAX} days are left or fewer; \`expired\`: the last day is over.`,
  }),
});

const querystring = closed({
  ...pageQuery,
  within_days: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: WITHIN_DAYS_MAX,
      default: WITHIN_DAYS_DEFAULT,
      description: 'What runs out by this many days from today.',
    }),
  ),
  include_past: Type.Optional(
    Type.Boolean({ default: true, description: 'Whether what has run out already is shown.' }),
  ),
  kind: Type.Optional(
    Type.String({
      maxLength: 400,
      description: `With commas between them: ${KINDS.join(', ')}. All that you may read when left out.`,
    }),
  ),
  account_id: Type.Optional(described(Id, 'Of this account.')),
  equipment_id: Type.Optional(described(Id, 'Of this unit, and of the vehicle that it is.')),
});

/** Adds the route. */
export function addExpirationRoutes(app: FastifyInstance, context: ApiContext): void {
  const schema = {
    operationId: 'listExpirations',
    tags: ['expiration'],
    summary: 'What runs out, the soonest first',
    description:
      'Papers of vehicles and units, inspections, files and agreements in one list. Kinds that you may not read are left ' +
      'out; to name one of them is a 403. What a newer one has taken the place of is not shown.',
    querystring,
    response: { 200: pageOf(Expiration), ...guardedProblems },
  };
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get('/v1/expirations', { config: { permission: 'signed_in' }, schema }, async (request) => {
      const { query } = request;
      const filters = {
        kinds: kindsFor(principalOf(request), query.kind),
        withinDays: query.within_days ?? WITHIN_DAYS_DEFAULT,
        includePast: query.include_past ?? true,
        accountId: query.account_id,
        equipmentId: query.equipment_id,
      };
      const list = openList(context, request, 'expirations');
      const rows = await inWork(context, request, async (work) =>
        readExpirations(work, await readToday(work), filters, list),
      );
      return list.page(rows, positionOf);
    });
}

/** Throws 400 for a kind that there is not, 403 for one that is named and may not be read. */
function kindsFor(principal: Principal, text: string | undefined): string[] {
  if (text === undefined || text === '') {
    return KINDS.filter((name) => principal.permissions.has(EXPIRATION_KINDS[name]!.right));
  }
  const asked = [...new Set(text.split(','))];
  for (const name of asked) {
    if (!Object.hasOwn(EXPIRATION_KINDS, name))
      throw fieldProblem('invalid_request', 'query', '/kind', `must be of ${KINDS.join(', ')}`);
    requirePermission(principal, EXPIRATION_KINDS[name]!.right);
  }
  return asked;
}
