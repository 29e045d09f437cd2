/** Tokens of devices: made and rotated, shown once, taken away. */
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { inTenant, type ApiContext } from '../context.ts';
import { principalOf } from '../guard.ts';
import { closed, guardedProblems, idParams, noContent, problems } from '../schemas.ts';
import { inWork } from '../resources/routes.ts';
import { OVERLAP_S_DEFAULT, OVERLAP_S_MAX } from './schemas.ts';
import { DeviceWithToken, showDevice } from './shown.ts';
import { deleteToken, rotateToken } from './store.ts';

const tags = ['iot_device'];
const config = { permission: 'iot_device:write' } as const;

const Rotation = closed(
  {
    overlap_s: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: OVERLAP_S_MAX,
        default: OVERLAP_S_DEFAULT,
        description:
          'Seconds for which the token before holds too. 0: not at all, and its connections are closed at once.',
      }),
    ),
  },
  { examples: [{ overlap_s: 3600 }] },
);

/** Adds the routes. */
export function addTokenRoutes(app: FastifyInstance, context: ApiContext): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>();
  const rotateSchema = {
    operationId: 'rotateDeviceToken',
    tags,
    summary: 'Give a device a new token',
    description: 'Of three tokens the first is gone at once: only one is held over.',
    params: idParams,
    body: Rotation,
    response: { 200: DeviceWithToken, ...guardedProblems, ...problems(404, 413, 415) },
  };
  routes.post(
    '/v1/iot-devices/:id/token',
    { config, schema: rotateSchema },
    async (request, reply) => {
      const { overlap_s = OVERLAP_S_DEFAULT } = request.body;
      const { id } = request.params;
      const row = await inWork(context, request, async (work) => {
        const token = await rotateToken(work.db, work.principal, id, overlap_s);
        return { ...(await showDevice(work, id)), token };
      });
      reply.header('cache-control', 'no-store');
      return row;
    },
  );

  const deleteSchema = {
    operationId: 'deleteDeviceToken',
    tags,
    summary: 'Take a device its token',
    description: 'Its connections are closed at once.',
    params: idParams,
    response: { 204: noContent, ...guardedProblems, ...problems(404) },
  };
  routes.delete(
    '/v1/iot-devices/:id/token',
    { config, schema: deleteSchema },
    async (request, reply) => {
      await inTenant(context, request, (db) =>
        deleteToken(db, principalOf(request), request.params.id),
      );
      return reply.code(204).send();
    },
  );
}
