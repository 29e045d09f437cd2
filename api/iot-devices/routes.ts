/** Devices, beside their routes as a resource: mounted, given tokens, told commands, listened to. */
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { ApiContext } from '../context.ts';
import { entityTag } from '../entity-tag.ts';
import { inWork } from '../resources/routes.ts';
import {
  closed,
  guardedProblems,
  Id,
  idParams,
  nullable,
  problems,
  writeCondition,
} from '../schemas.ts';
import { addCommandRoutes } from './commands.ts';
import { addDeviceEventRoutes } from './events.ts';
import { DEVICE, showDevice } from './shown.ts';
import { mountDevice } from './store.ts';
import { addTokenRoutes } from './tokens.ts';

const tags = ['iot_device'];
const write = { permission: 'iot_device:write' } as const;

/** Adds the routes. Running ingestion hears of a change by the database's change feed. */
export function addDeviceRoutes(app: FastifyInstance, context: ApiContext): void {
  addMounting(app, context);
  addTokenRoutes(app, context);
  addCommandRoutes(app, context);
  addDeviceEventRoutes(app, context);
}

function addMounting(app: FastifyInstance, context: ApiContext): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>();
  const mountSchema = {
    operationId: 'mountDevice',
    tags,
    summary: 'Put a device on a unit, or take it off',
    params: idParams,
    headers: writeCondition,
    body: closed(
      { equipment_id: nullable(Id) },
      { examples: [{ equipment_id: 17 }, { equipment_id: null }] },
    ),
    response: { 200: DEVICE.shownSchema, ...guardedProblems, ...problems(404, 412, 413, 415, 422) },
  };
  routes.put(
    '/v1/iot-devices/:id/equipment',
    { config: write, schema: mountSchema },
    async (request, reply) => {
      const ifMatch = request.headers['if-match'];
      const { equipment_id } = request.body;
      const { id } = request.params;
      const row = await inWork(context, request, async (work) => {
        await mountDevice(work.db, work.principal, id, equipment_id, ifMatch);
        return showDevice(work, id);
      });
      reply.header('etag', entityTag(row['version'] as number));
      return row;
    },
  );
}
