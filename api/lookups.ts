/** Lists that forms are filled from: alert types, geofence event types, units of measurement. */
import { and, asc, eq, gt } from 'drizzle-orm';
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import {
  alertCategoryLookup,
  alertTypeLookup,
  geofenceEventTypeLookup,
  uomLookup,
} from '../db/schema.ts';
import { inTenant, openList, type ApiContext } from './context.ts';
import { closed, guardedProblems, Id, nullable, pageOf, pageQuery } from './schemas.ts';

const AlertType = Type.Object({
  alert_type_lookup_id: Id,
  customer_id: nullable(Id),
  alert_category_lookup_id: Id,
  category_name: Type.String(),
  event_name: Type.String(),
  event_type: Type.String(),
  operation_type: Type.String(),
  metric_code: nullable(Type.String()),
  uom_lookup_id: nullable(Id),
  uom_code: nullable(Type.String()),
});

const GeofenceEventType = Type.Object({
  geofence_event_type_lookup_id: Id,
  event_name: Type.String(),
  event_category: Type.String(),
  description: Type.String(),
});

const Unit = Type.Object({
  uom_lookup_id: Id,
  uom_type: Type.String(),
  uom_code: Type.String({ description: 'UCUM code.' }),
  description: Type.String(),
});

const config = { permission: 'lookup:read' } as const;
const querystring = closed(pageQuery);

/** Adds the routes. */
export function addLookupRoutes(app: FastifyInstance, context: ApiContext): void {
  addAlertTypes(app, context);
  addGeofenceEventTypes(app, context);
  addUnits(app, context);
}

function addAlertTypes(app: FastifyInstance, context: ApiContext): void {
  const type = alertTypeLookup;
  const category = alertCategoryLookup;
  const schema = {
    operationId: 'listAlertTypes',
    tags: ['lookup'],
    summary: 'What alert rules can watch',
    querystring,
    response: { 200: pageOf(AlertType), ...guardedProblems },
  };
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get('/v1/alert-types', { config, schema }, async (request) => {
      const list = openList(context, request, 'alert types');
      const rows = await inTenant(context, request, (db) =>
        db
          .select({
            alert_type_lookup_id: type.alert_type_lookup_id,
            customer_id: type.customer_id,
            alert_category_lookup_id: type.alert_category_lookup_id,
            category_name: category.category_name,
            event_name: type.event_name,
            event_type: type.event_type,
            operation_type: type.operation_type,
            metric_code: type.metric_code,
            uom_lookup_id: type.uom_lookup_id,
            uom_code: uomLookup.uom_code,
          })
          .from(type)
          .innerJoin(category, eq(category.alert_category_lookup_id, type.alert_category_lookup_id))
          .leftJoin(uomLookup, eq(uomLookup.uom_lookup_id, type.uom_lookup_id))
          .where(
            and(
              eq(category.status, 'active'),
              list.after ? gt(type.alert_type_lookup_id, list.after[0] as number) : undefined,
            ),
          )
          .orderBy(asc(type.alert_type_lookup_id))
          .limit(list.rowsMax),
      );
      return list.page(rows, (row) => [row.alert_type_lookup_id]);
    });
}

function addGeofenceEventTypes(app: FastifyInstance, context: ApiContext): void {
  const id = geofenceEventTypeLookup.geofence_event_type_lookup_id;
  const schema = {
    operationId: 'listGeofenceEventTypes',
    tags: ['lookup'],
    summary: 'Kinds of transition',
    querystring,
    response: { 200: pageOf(GeofenceEventType), ...guardedProblems },
  };
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get('/v1/geofence-event-types', { config, schema }, async (request) => {
      const list = openList(context, request, 'geofence event types');
      const rows = await inTenant(context, request, (db) =>
        db
          .select()
          .from(geofenceEventTypeLookup)
          .where(list.after ? gt(id, list.after[0] as number) : undefined)
          .orderBy(asc(id))
          .limit(list.rowsMax),
      );
      return list.page(rows, (row) => [row.geofence_event_type_lookup_id]);
    });
}

function addUnits(app: FastifyInstance, context: ApiContext): void {
  const id = uomLookup.uom_lookup_id;
  const schema = {
    operationId: 'listUnits',
    tags: ['lookup'],
    summary: 'Units of measurement',
    querystring,
    response: { 200: pageOf(Unit), ...guardedProblems },
  };
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get('/v1/units', { config, schema }, async (request) => {
      const list = openList(context, request, 'units');
      const rows = await inTenant(context, request, (db) =>
        db
          .select()
          .from(uomLookup)
          .where(list.after ? gt(id, list.after[0] as number) : undefined)
          .orderBy(asc(id))
          .limit(list.rowsMax),
      );
      return list.page(rows, (row) => [row.uom_lookup_id]);
    });
}
