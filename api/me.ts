/** `GET /v1/me`: who the caller is here, and what they may do. */
import { eq } from 'drizzle-orm';
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import * as tables from '../db/schema.ts';
import { PERMISSIONS } from './auth/permissions.ts';
import { inTenant, type ApiContext } from './context.ts';
import { principalOf } from './guard.ts';
import { notFound } from './problem.ts';
import { guardedProblems, Id, nullable, oneOf } from './schemas.ts';

const Me = Type.Object({
  user_id: Id,
  email: Type.String(),
  first_name: Type.String(),
  last_name: Type.String(),
  role_name: Type.String(),
  permissions: Type.Array(oneOf(PERMISSIONS)),
  account_ids: nullable(
    Type.Array(Id, { description: 'Accounts the user is held to; null: all of the customer.' }),
  ),
  customer: Type.Object({
    customer_id: Id,
    customer_name: Type.String(),
    time_zone: Type.String(),
  }),
  live_url: nullable(Type.String({ description: 'Where the WebSocket of the live map is.' })),
});

/** Adds the route. */
export function addMeRoutes(app: FastifyInstance, context: ApiContext): void {
  app.withTypeProvider<TypeBoxTypeProvider>().get(
    '/v1/me',
    {
      config: { permission: 'signed_in' },
      schema: {
        operationId: 'getMe',
        tags: ['user'],
        summary: 'The signed-in user',
        response: { 200: Me, ...guardedProblems },
      },
    },
    async (request) => {
      const { userId, tenant, permissions, roleName } = principalOf(request);
      const { user, customer } = tables;
      const rows = await inTenant(context, request, (db) =>
        db
          .select({
            user_id: user.user_id,
            email: user.email,
            first_name: user.first_name,
            last_name: user.last_name,
            customer: {
              customer_id: customer.customer_id,
              customer_name: customer.customer_name,
              time_zone: customer.time_zone,
            },
          })
          .from(user)
          .innerJoin(customer, eq(customer.customer_id, user.customer_id))
          .where(eq(user.user_id, userId)),
      );
      if (!rows[0]) throw notFound('user');
      return {
        ...rows[0],
        role_name: roleName,
        permissions: [...permissions],
        account_ids: tenant.accountIds && [...tenant.accountIds],
        live_url: context.liveUrl,
      };
    },
  );
}
