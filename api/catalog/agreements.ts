import type { ResourceDeclaration } from '../resources/define.ts';

export const agreementsResources: readonly ResourceDeclaration[] = [];
