/** Every resource there is, by the name of its table. */
import { compileResource, type Resource } from '../resources/resource.ts';
import { agreementsResources } from './agreements.ts';
import { billingResources } from './billing.ts';
import { equipmentResources } from './equipment.ts';
import { inspectionsResources } from './inspections.ts';
import { maintenanceResources } from './maintenance.ts';
import { notificationsResources } from './notifications.ts';
import { peopleResources } from './people.ts';
import { referenceResources } from './reference.ts';
import { roadsideResources } from './roadside.ts';
import { serviceResources } from './service.ts';
import { exportedResources, telemetryResources } from './telemetry.ts';
import { vehiclesResources } from './vehicles.ts';

const DECLARATIONS = [
  ...peopleResources,
  ...equipmentResources,
  ...telemetryResources,
  ...agreementsResources,
  ...serviceResources,
  ...roadsideResources,
  ...maintenanceResources,
  ...inspectionsResources,
  ...notificationsResources,
  ...billingResources,
  ...vehiclesResources,
  ...referenceResources,
];

export const CATALOG: ReadonlyMap<string, Resource> = new Map(
  DECLARATIONS.map((declaration) => {
    const resource = compileResource(declaration);
    return [resource.name, resource];
  }),
);

/** Lists with routes of their own that can be exported as well, by the name of their table. */
export const EXPORTED: ReadonlyMap<string, Resource> = new Map(
  exportedResources.map((declaration) => {
    const resource = compileResource(declaration);
    return [resource.name, resource];
  }),
);
