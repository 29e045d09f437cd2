/** `POST /v1/user-roles/:id/sync`: tells the identity provider of a role again. What it was told is a list of the catalog. */
import type { FastifyInstance } from 'fastify';
import { identitySync } from '../../db/schema.ts';
import type { ApiContext } from '../context.ts';
import { notFound, Problem } from '../problem.ts';
import type { Resource } from '../resources/resource.ts';
import { inWork } from '../resources/routes.ts';
import { getRow } from '../resources/store.ts';
import { closed, guardedProblems, problems } from '../schemas.ts';

/** Adds the route. */
export function addIdentityRoutes(
  app: FastifyInstance,
  context: ApiContext,
  { roles, tasks }: { readonly roles: Resource; readonly tasks: Resource },
): void {
  const schema = {
    operationId: 'syncUserRole',
    tags: [tasks.tag],
    summary: 'Tell the identity provider of a role and its users again',
    description:
      'Answers with the task, which is done in the background; `GET /v1/identity-tasks/{id}` says how it went. 409 where ' +
      'this server keeps no identity provider up to date.',
    params: closed({ id: roles.keySchema }),
    body: closed({}, { examples: [{}] }),
    response: { 202: tasks.shownSchema, ...guardedProblems, ...problems(404, 409, 413, 415, 422) },
  };
  const config = { permission: 'user_role:write' } as const;
  app.post('/v1/user-roles/:id/sync', { config, schema }, async (request, reply) => {
    const { id } = request.params as { id: number };
    const task = await inWork(context, request, async (work) => {
      const { rows } = await work.client.query<{ task_id: number | null }>(
        'select sync_identity_role($1) as task_id',
        [id],
      );
      const taskId = rows[0]!.task_id;
      if (taskId === null) throw notFound(roles.noun);
      const [setting] = await work.db.select().from(identitySync);
      if (setting?.is_on !== true) {
        throw new Problem('conflict', 'this server keeps no identity provider up to date');
      }
      return getRow(work, tasks, taskId);
    });
    return reply.code(202).send(task);
  });
}
