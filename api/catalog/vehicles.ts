import type { ResourceDeclaration } from '../resources/define.ts';

export const vehiclesResources: readonly ResourceDeclaration[] = [];
