import type { ResourceDeclaration } from '../resources/define.ts';

export const maintenanceResources: readonly ResourceDeclaration[] = [];
