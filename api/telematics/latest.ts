/** The newest position of each unit. */
import { and, asc, eq, gt } from 'drizzle-orm';
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { telematics } from '../../db/schema.ts';
import { inTenant, openList, type ApiContext } from '../context.ts';
import {
  closed,
  described,
  guardedProblems,
  Id,
  Instant,
  nullable,
  pageOf,
  pageQuery,
} from '../schemas.ts';

const number = nullable(Type.Number());

/** A latest position. */
export const Telematics = Type.Object({
  telematics_id: Id,
  customer_id: Id,
  account_id: nullable(Id),
  equipment_id: Id,
  unit_number: Type.String(),
  equipment_has_iot_device_id: Id,
  recorded_at: Instant,
  received_at: Instant,
  latitude: Type.Number(),
  longitude: Type.Number(),
  altitude_m: number,
  speed: nullable(Type.Number({ description: 'Metres per second.' })),
  heading_deg: number,
  accuracy_m: number,
  odometer_m: number,
  temperature: nullable(Type.Number({ description: 'Degrees Celsius.' })),
  ignition: nullable(Type.Boolean()),
  motion_status: nullable(Type.String()),
});

/** Adds the route. */
export function addTelematicsRoutes(app: FastifyInstance, context: ApiContext): void {
  app.withTypeProvider<TypeBoxTypeProvider>().get(
    '/v1/telematics',
    {
      config: { permission: 'telematics:read' },
      schema: {
        operationId: 'listTelematics',
        tags: ['telematics'],
        summary: 'The newest position of each unit',
        querystring: closed({
          ...pageQuery,
          equipment_id: Type.Optional(described(Id, 'Of this unit.')),
          account_id: Type.Optional(described(Id, 'Of units of this account.')),
        }),
        response: { 200: pageOf(Telematics), ...guardedProblems },
      },
    },
    async (request) => {
      const { equipment_id, account_id } = request.query;
      const list = openList(context, request, 'telematics');
      const rows = await inTenant(context, request, (db) =>
        db
          .select()
          .from(telematics)
          .where(
            and(
              equipment_id === undefined ? undefined : eq(telematics.equipment_id, equipment_id),
              account_id === undefined ? undefined : eq(telematics.account_id, account_id),
              list.after ? gt(telematics.equipment_id, list.after[0] as number) : undefined,
            ),
          )
          .orderBy(asc(telematics.equipment_id))
          .limit(list.rowsMax),
      );
      return list.page(rows, (row) => [row.equipment_id]);
    },
  );
}
