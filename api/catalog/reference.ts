import type { ResourceDeclaration } from '../resources/define.ts';

export const referenceResources: readonly ResourceDeclaration[] = [];
