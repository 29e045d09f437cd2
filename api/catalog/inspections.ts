import type { ResourceDeclaration } from '../resources/define.ts';

export const inspectionsResources: readonly ResourceDeclaration[] = [];
