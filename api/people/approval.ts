/**
 * Who gets in: a user that was invited waits until somebody with the right to approve lets them in or turns them away, and
 * can be shut out and let in again later. It holds from the next request on: the change feed makes every process forget
 * whom it remembered.
 */
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { requireLesser } from '../catalog/people-rules.ts';
import type { ApiContext } from '../context.ts';
import { entityTag } from '../entity-tag.ts';
import { Problem } from '../problem.ts';
import type { Row } from '../resources/define.ts';
import type { Resource } from '../resources/resource.ts';
import { inWork } from '../resources/routes.ts';
import { lockRow, updateRow, type Work } from '../resources/store.ts';
import { closed, guardedProblems, problems, Text, writeCondition } from '../schemas.ts';

type Status = 'pending_approval' | 'active' | 'rejected' | 'disabled';

interface Step {
  readonly name: 'approve' | 'reject' | 'disable' | 'enable';
  readonly summary: string;
  readonly from: readonly Status[];
  /** What is written. */
  set(work: Work, reason: string): Row;
}

const STEPS: readonly Step[] = [
  {
    name: 'approve',
    summary: 'Let an invited user in',
    from: ['pending_approval', 'rejected'],
    set: ({ principal }) => ({
      status: 'active',
      approved_by: principal.userId,
      approved_at: new Date(),
      rejected_reason: null,
    }),
  },
  {
    name: 'reject',
    summary: 'Turn an invited user away',
    from: ['pending_approval'],
    set: (_work, reason) => ({ status: 'rejected', rejected_reason: reason }),
  },
  {
    name: 'disable',
    summary: 'Shut a user out',
    from: ['active'],
    set: () => ({ status: 'disabled' }),
  },
  {
    name: 'enable',
    summary: 'Let a user in who was shut out',
    from: ['disabled'],
    set: () => ({ status: 'active' }),
  },
];

const Reason = closed(
  { reason: Type.Unsafe<string>({ ...Text, minLength: 1 }) },
  { examples: [{ reason: 'Nobody here knows them.' }] },
);
const Nothing = closed({}, { examples: [{}] });

/** Adds the routes. */
export function addApprovalRoutes(
  app: FastifyInstance,
  context: ApiContext,
  users: Resource,
): void {
  for (const step of STEPS) {
    const schema = {
      operationId: `${step.name}User`,
      tags: [users.tag],
      summary: step.summary,
      params: closed({ id: users.keySchema }),
      headers: writeCondition,
      body: step.name === 'reject' ? Reason : Nothing,
      response: {
        200: users.shownSchema,
        ...guardedProblems,
        ...problems(404, 409, 412, 413, 415, 422, 428),
      },
    };
    const config = { permission: 'user:approve' } as const;
    app.post(`/v1/users/:id/${step.name}`, { config, schema }, async (request, reply) => {
      const { id } = request.params as { id: number };
      const { reason = '' } = request.body as { reason?: string };
      const row = await inWork(context, request, (work) =>
        take(work, users, step, { id, reason, ifMatch: request.headers['if-match'] }),
      );
      reply.header('etag', entityTag(row['version'] as number));
      return row;
    });
  }
}

async function take(
  work: Work,
  users: Resource,
  step: Step,
  { id, reason, ifMatch }: { id: number; reason: string; ifMatch: string | undefined },
): Promise<Row> {
  const stored = await lockRow(work, users, id, ifMatch);
  if (id === work.principal.userId)
    throw new Problem('forbidden', 'it is yourself; ask somebody else');
  await requireLesser(work, stored);
  const status = stored['status'] as Status;
  if (!step.from.includes(status)) {
    const allowed = STEPS.filter(({ from }) => from.includes(status)).map(({ name }) => name);
    throw new Problem(
      'conflict',
      `the user is ${status}, which allows ${allowed.join(', ')} and not ${step.name}`,
    );
  }
  return updateRow(work, users, id, step.set(work, reason));
}
