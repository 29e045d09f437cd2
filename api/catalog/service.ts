import type { ResourceDeclaration } from '../resources/define.ts';

export const serviceResources: readonly ResourceDeclaration[] = [];
