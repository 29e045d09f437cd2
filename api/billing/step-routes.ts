/** `POST /v1/invoices/{id}/issue` and the other steps of an invoice. */
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { ApiContext } from '../context.ts';
import { entityTag } from '../entity-tag.ts';
import type { Row } from '../resources/define.ts';
import { idempotencyHeaders } from '../resources/idempotency.ts';
import type { Resource } from '../resources/resource.ts';
import { answered } from '../resources/routes.ts';
import { getRow } from '../resources/store.ts';
import {
  closed,
  guardedProblems,
  problems,
  versionHeaders,
  withHeaders,
  writeCondition,
} from '../schemas.ts';
import { STEPS, takeStep } from './steps.ts';

/** Adds the routes. */
export function addInvoiceSteps(
  app: FastifyInstance,
  context: ApiContext,
  invoices: Resource,
): void {
  for (const step of STEPS) {
    const schema = {
      operationId: `${step.name.replace(/-./g, (two) => two[1]!.toUpperCase())}Invoice`,
      tags: [invoices.tag],
      summary: step.summary,
      description: `${step.description} \`If-Match\` may be left out.`,
      params: closed({ id: invoices.keySchema }),
      headers: Type.Object({ ...writeCondition.properties, ...idempotencyHeaders.properties }),
      body: step.body,
      response: {
        200: withHeaders(invoices.shownSchema, versionHeaders),
        ...guardedProblems,
        ...problems(404, 409, 412, 413, 415, 422),
      },
    };
    const config = { permission: 'invoice:write' } as const;
    app.post(`/v1/invoices/:id/${step.name}`, { config, schema }, async (request, reply) => {
      const { id } = request.params as { id: number };
      const body = (request.body ?? {}) as Row;
      const ifMatch = request.headers['if-match'] ?? '*';
      const answer = await answered(context, request, async (work) => {
        await takeStep(work, invoices, step, { id, body, ifMatch });
        const row = await getRow(work, invoices, id);
        return { status: 200, headers: { etag: entityTag(row['version'] as number) }, body: row };
      });
      reply.headers(answer.headers);
      return answer.body;
    });
  }
}
