/** What domains offer beside the work on single records: steps, conversions, lists of what is due. */
import type { FastifyInstance } from 'fastify';
import { addAgreementRoutes } from './agreements/routes.ts';
import { addBillingRoutes } from './billing/routes.ts';
import { addInspectionRoutes } from './inspections/routes.ts';
import { addMaintenanceRoutes } from './maintenance/routes.ts';
import { addApprovalRoutes } from './people/approval.ts';
import { addCostRoutes } from './service/approval.ts';
import { addConversionRoutes } from './service/conversions.ts';
import { addVehicleRoutes } from './vehicles/routes.ts';
import type { ApiContext } from './context.ts';
import type { Resource } from './resources/resource.ts';

/** Adds the routes of all domains; `catalog` holds the resources that they work on. */
export function addDomainRoutes(
  app: FastifyInstance,
  context: ApiContext,
  catalog: ReadonlyMap<string, Resource>,
): void {
  const resource = (name: string) => catalog.get(name)!;
  addVehicleRoutes(app, context);
  addAgreementRoutes(app, context, resource('equipment_assignment'));
  addInspectionRoutes(app, context);
  addMaintenanceRoutes(app, context);
  addCostRoutes(app, context, resource('workorder'));
  addConversionRoutes(app, context, {
    requests: resource('service_request'),
    workorders: resource('workorder'),
    calls: resource('ers'),
  });
  addApprovalRoutes(app, context, resource('user'));
  addBillingRoutes(app, context, catalog);
}
