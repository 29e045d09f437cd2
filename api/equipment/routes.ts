/** Units of the fleet: listed and read. */
import { and, asc, eq, gt } from 'drizzle-orm';
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { equipment } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { inTenant, openList, type ApiContext } from '../context.ts';
import { notFound } from '../problem.ts';
import {
  closed,
  guardedProblems,
  Id,
  idParams,
  Instant,
  Name,
  nullable,
  oneOf,
  pageOf,
  pageQuery,
  problems,
} from '../schemas.ts';

const STATUSES = ['active', 'in_service', 'retired'] as const;

const Equipment = Type.Object({
  equipment_id: Id,
  customer_id: Id,
  account_id: nullable(Id),
  unit_number: Type.String(),
  description: Type.String(),
  vin: nullable(Type.String()),
  status: Type.String(),
  specifications: Type.Record(Type.String(), Type.Unknown()),
  created_at: Instant,
  updated_at: Instant,
});

const filters = closed({
  ...pageQuery,
  account_id: Type.Optional(Id),
  status: Type.Optional(oneOf(STATUSES)),
  unit_number: Type.Optional(Name),
});

/** Throws 404 when the unit is not there or is not the caller's. */
export async function requireEquipment(db: TenantDb, equipmentId: number): Promise<void> {
  const rows = await db
    .select({ equipment_id: equipment.equipment_id })
    .from(equipment)
    .where(eq(equipment.equipment_id, equipmentId));
  if (!rows[0]) throw notFound('equipment');
}

/** Adds the routes. */
export function addEquipmentRoutes(app: FastifyInstance, context: ApiContext): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>();
  routes.get(
    '/v1/equipment',
    {
      config: { permission: 'equipment:read' },
      schema: {
        operationId: 'listEquipment',
        tags: ['equipment'],
        summary: 'Units of the fleet, oldest first',
        querystring: filters,
        response: { 200: pageOf(Equipment), ...guardedProblems },
      },
    },
    async (request) => {
      const { account_id, status, unit_number } = request.query;
      const list = openList(context, request, 'equipment');
      const rows = await inTenant(context, request, (db) =>
        db
          .select()
          .from(equipment)
          .where(
            and(
              account_id === undefined ? undefined : eq(equipment.account_id, account_id),
              status === undefined ? undefined : eq(equipment.status, status),
              unit_number === undefined ? undefined : eq(equipment.unit_number, unit_number),
              list.after ? gt(equipment.equipment_id, list.after[0] as number) : undefined,
            ),
          )
          .orderBy(asc(equipment.equipment_id))
          .limit(list.rowsMax),
      );
      return list.page(rows, (row) => [row.equipment_id]);
    },
  );

  routes.get(
    '/v1/equipment/:id',
    {
      config: { permission: 'equipment:read' },
      schema: {
        operationId: 'getEquipment',
        tags: ['equipment'],
        summary: 'One unit',
        params: idParams,
        response: { 200: Equipment, ...guardedProblems, ...problems(404) },
      },
    },
    async (request) => {
      const rows = await inTenant(context, request, (db) =>
        db.select().from(equipment).where(eq(equipment.equipment_id, request.params.id)),
      );
      if (!rows[0]) throw notFound('equipment');
      return rows[0];
    },
  );
}
