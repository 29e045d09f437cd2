import type { ResourceDeclaration } from '../resources/define.ts';

export const equipmentResources: readonly ResourceDeclaration[] = [];
