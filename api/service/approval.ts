/**
 * Who allows a cost beyond the limit of a work order. What is approved becomes the limit, so a cost that rises further is
 * asked about again; what is refused stays refused until it is approved after all, or costs less.
 */
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { Cost } from '../catalog/service-fields.ts';
import type { ApiContext } from '../context.ts';
import { entityTag } from '../entity-tag.ts';
import { fieldProblem } from '../problem.ts';
import type { Row } from '../resources/define.ts';
import type { Resource } from '../resources/resource.ts';
import { inWork } from '../resources/routes.ts';
import { allowedFrom, isBlank, stays } from '../resources/states.ts';
import { lockRow, updateRow, type Work } from '../resources/store.ts';
import {
  closed,
  described,
  guardedProblems,
  problems,
  Text,
  versionHeaders,
  withHeaders,
  writeCondition,
} from '../schemas.ts';
import { APPROVAL_STATES, WORKORDER_STATES } from './states.ts';

interface Decision {
  readonly name: 'approve-cost' | 'refuse-cost';
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  readonly body: ReturnType<typeof closed>;
  readonly to: 'approved' | 'rejected';
  /** What is written beside the state. */
  set(work: Work, stored: Row, body: Row): Row;
}

const limit = described(Cost, 'Up to what may be spent; the total as it is now when left out.');

const DECISIONS: readonly Decision[] = [
  {
    name: 'approve-cost',
    operationId: 'approveWorkOrderCost',
    summary: 'Allow the cost of a work order that is beyond its limit',
    description: 'What is allowed becomes the limit: a cost that rises beyond it waits again.',
    body: closed({ cost_limit: Type.Optional(limit) }, { examples: [{ cost_limit: 1_200 }] }),
    to: 'approved',
    set({ principal, nowMs }, stored, body) {
      const total = stored['total_cost'] as number;
      const allowed = (body['cost_limit'] ?? total) as number;
      if (allowed < total) {
        const detail = `is less than the cost, which is ${total}`;
        throw fieldProblem('unprocessable', 'body', '/cost_limit', detail);
      }
      return {
        cost_limit: allowed,
        approved_by_user_id: principal.userId,
        approved_at: new Date(nowMs),
      };
    },
  },
  {
    name: 'refuse-cost',
    operationId: 'refuseWorkOrderCost',
    summary: 'Refuse the cost of a work order that is beyond its limit',
    description: 'The order is neither completed nor closed until it costs less or is approved.',
    body: closed(
      { status_reason: Type.Unsafe<string>({ ...Text, minLength: 1 }) },
      { examples: [{ status_reason: 'Too dear; ask for a second offer.' }] },
    ),
    to: 'rejected',
    set(_work, _stored, { status_reason }) {
      if (!isBlank(status_reason)) return { status_reason };
      throw fieldProblem('unprocessable', 'body', '/status_reason', 'is required to be rejected');
    },
  },
];

/** Adds the routes. */
export function addCostRoutes(
  app: FastifyInstance,
  context: ApiContext,
  workorders: Resource,
): void {
  for (const decision of DECISIONS) {
    const { name, operationId, summary, description, body } = decision;
    const schema = {
      operationId,
      tags: [workorders.tag],
      summary,
      description,
      params: closed({ id: workorders.keySchema }),
      headers: writeCondition,
      body,
      response: {
        200: withHeaders(workorders.shownSchema, versionHeaders),
        ...guardedProblems,
        ...problems(404, 409, 412, 413, 415, 422, 428),
      },
    };
    const config = { permission: 'workorder:approve' } as const;
    app.post(`/v1/${workorders.path}/:id/${name}`, { config, schema }, async (request, reply) => {
      const { id } = request.params as { id: number };
      const row = await inWork(context, request, async (work) => {
        const stored = await lockRow(work, workorders, id, request.headers['if-match']);
        const at = stored['workorder_status'] as string;
        if (WORKORDER_STATES.settled?.includes(at)) {
          throw stays(WORKORDER_STATES, at, `and is past what ${name} decides`);
        }
        const from = stored['approval_status'] as string;
        if (!allowedFrom(APPROVAL_STATES, from).includes(decision.to)) {
          throw stays(APPROVAL_STATES, from, `and not ${decision.to}`);
        }
        const values = decision.set(work, stored, request.body as Row);
        return updateRow(work, workorders, id, { approval_status: decision.to, ...values });
      });
      reply.header('etag', entityTag(row['version'] as number));
      return row;
    });
  }
}
