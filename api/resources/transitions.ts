/**
 * `GET` and `POST /v1/…/:id/transitions` of resources with states: where a row may go from where it is, and taking it
 * there. What a PATCH of the state does as well, but for one thing: who comes second is refused, and told what is
 * allowed by then, also where both wanted the same.
 */
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { inTenant, type ApiContext } from '../context.ts';
import { entityTag } from '../entity-tag.ts';
import { notFound } from '../problem.ts';
import {
  closed,
  guardedProblems,
  problems,
  versionHeaders,
  withHeaders,
  writeCondition,
} from '../schemas.ts';
import type { Row } from './define.ts';
import { idempotencyHeaders } from './idempotency.ts';
import { selectRow } from './query.ts';
import { titleOf, type Resource } from './resource.ts';
import { answered } from './routes.ts';
import { allowedFrom, stays, type StateMachine } from './states.ts';
import { patchRow, run } from './store.ts';

/** Adds the routes of one resource, where it has states. */
export function addTransitionRoutes(
  app: FastifyInstance,
  context: ApiContext,
  resource: Resource,
): void {
  const { states } = resource;
  if (states === null) return;
  addAllowed(app, context, resource, states);
  addTransition(app, context, resource, states);
}

function addAllowed(
  app: FastifyInstance,
  context: ApiContext,
  resource: Resource,
  states: StateMachine,
): void {
  const { noun, path, tag } = resource;
  const state = Type.String();
  const schema = {
    operationId: `list${titleOf(noun)}Transitions`,
    tags: [tag],
    summary: `Where a ${noun} may go from where it is`,
    params: closed({ id: resource.keySchema }),
    response: {
      200: Type.Object({ state, allowed_transitions: Type.Array(state) }),
      ...guardedProblems,
      ...problems(404),
    },
  };
  app.get(
    `/v1/${path}/:id/transitions`,
    { config: { permission: resource.read }, schema },
    async (request) => {
      const { id } = request.params as { id: string | number };
      const [row] = await inTenant(context, request, (_db, client) =>
        run(client, selectRow(resource, id, { lock: false })),
      );
      if (!row) throw notFound(noun);
      const at = row[states.column] as string;
      return { state: at, allowed_transitions: allowedFrom(states, at) };
    },
  );
}

function addTransition(
  app: FastifyInstance,
  context: ApiContext,
  resource: Resource,
  states: StateMachine,
): void {
  const { noun, path, tag } = resource;
  const { column } = states;
  const schema = {
    operationId: `move${titleOf(noun)}`,
    tags: [tag],
    summary: `Take a ${noun} from one state to another`,
    description:
      `\`${column}\` names the state, and what else is given is changed with it. A state that may not follow is refused ` +
      'with 409, and `allowedTransitions` says which may; so is the one that it is in already. `If-Match` may be left out.',
    params: closed({ id: resource.keySchema }),
    headers: Type.Object({ ...writeCondition.properties, ...idempotencyHeaders.properties }),
    body: resource.moveSchema!,
    response: {
      200: withHeaders(resource.shownSchema, versionHeaders),
      ...guardedProblems,
      ...problems(404, 409, 412, 413, 415, 422),
    },
  };
  app.post(
    `/v1/${path}/:id/transitions`,
    { config: { permission: resource.write }, schema },
    async (request, reply) => {
      const { id } = request.params as { id: string | number };
      const body = request.body as Row;
      const ifMatch = request.headers['if-match'] ?? '*';
      const answer = await answered(context, request, async (work) => {
        const row = await patchRow(work, resource, id, [body, ifMatch], (stored) => {
          const from = stored[column] as string;
          if (from === body[column]) throw stays(states, from, 'and is not entered twice');
        });
        const headers = { etag: entityTag(row['version'] as number) };
        return { status: 200, headers, body: row };
      });
      reply.headers(answer.headers);
      return answer.body;
    },
  );
}
