/** Gateway tokens, beside their routes as a resource: a gateway is given a new one. */
import { eq } from 'drizzle-orm';
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { gatewayToken } from '../../db/schema.ts';
import { makeDeviceToken } from '../auth/device-token.ts';
import { CATALOG } from '../catalog/catalog.ts';
import type { ApiContext } from '../context.ts';
import { entityTag } from '../entity-tag.ts';
import type { Row } from '../resources/define.ts';
import { inWork } from '../resources/routes.ts';
import { getRow, lockRow, requireOwnParents, type Work } from '../resources/store.ts';
import { closed, guardedProblems, idParams, problems } from '../schemas.ts';

const GATEWAY = CATALOG.get('gateway_token')!;

/** Adds the route. */
export function addGatewayTokenRoutes(app: FastifyInstance, context: ApiContext): void {
  const schema = {
    operationId: 'rotateGatewayToken',
    tags: ['gateway_token'],
    summary: 'Give a gateway a new token',
    description:
      'The one before is refused from then on. To change without a gap, make a second token, and disable the first.',
    params: idParams,
    body: closed({}, { examples: [{}] }),
    response: { 200: GATEWAY.madeSchema, ...guardedProblems, ...problems(404, 413, 415) },
  };
  const config = { permission: 'gateway_token:write' } as const;
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .post('/v1/gateway-tokens/:id/token', { config, schema }, async (request, reply) => {
      const row = await inWork(context, request, (work) => rotate(work, request.params.id));
      reply.header('cache-control', 'no-store').header('etag', entityTag(row['version'] as number));
      return row;
    });
}

async function rotate(work: Work, id: number): Promise<Row> {
  const stored = await lockRow(work, GATEWAY, id, '*');
  await requireOwnParents(work, GATEWAY, stored);
  const { token, hash: token_hash } = makeDeviceToken();
  await work.db
    .update(gatewayToken)
    .set({ token_hash })
    .where(eq(gatewayToken.gateway_token_id, id));
  return { ...(await getRow(work, GATEWAY, id)), token };
}
